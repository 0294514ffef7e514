package serving

import (
	"context"
	"fmt"
	"math/big"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Leader renews the certificates and keeps every caBundle equal to the bundle
// of the Secret. One replica at a time runs it; should two do, conflicts keep
// them from harm.
type Leader struct {
	o    Options
	kick chan struct{}
	last state // for the case that the Secret is deleted

	bundle   string   // the observations below are about this bundle
	serial   *big.Int // and this leaf
	observed observed
}

// NewLeader returns the leader of some certificates.
func NewLeader(o Options) *Leader {
	return &Leader{o: o, kick: make(chan struct{}, 1)}
}

// NeedLeaderElection says that one replica runs it.
func (l *Leader) NeedLeaderElection() bool { return true }

// How long to wait after a conflict, and after any other error.
const (
	conflictDelay = 20 * time.Millisecond
	retryDelay    = time.Second
)

// Start renews and publishes until ctx ends.
func (l *Leader) Start(ctx context.Context) error {
	// What was observed during an earlier term may not hold any more.
	l.bundle, l.serial, l.observed = "", nil, observed{}
	fail := func(err error) { l.o.Log.Error("certificates", "error", err) }
	period := l.o.Periods.Drain / 5
	go follow(ctx, l.o.Secrets, SecretName, period, func(*corev1.Secret, bool) { l.wake() }, fail)
	go follow(ctx, l.o.Configurations.MutatingWebhookConfigurations(), MutatingName, period,
		func(*admissionregistrationv1.MutatingWebhookConfiguration, bool) { l.wake() }, fail)
	go follow(ctx, l.o.Configurations.ValidatingWebhookConfigurations(), ValidatingName, period,
		func(*admissionregistrationv1.ValidatingWebhookConfiguration, bool) { l.wake() }, fail)
	for ctx.Err() == nil {
		until, err := l.step(ctx)
		wait := until.Sub(l.o.Now())
		switch {
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
			wait = conflictDelay // somebody else was faster: look again
		case err != nil:
			if ctx.Err() == nil {
				fail(err)
			}
			wait = retryDelay
		}
		select {
		case <-ctx.Done():
		case <-l.kick:
		case <-time.After(wait):
		}
	}
	return nil
}

func (l *Leader) wake() {
	select {
	case l.kick <- struct{}{}:
	default: // one look sees all that has changed
	}
}

// step looks, publishes, and does at most one action. It returns when to look
// again.
func (l *Leader) step(ctx context.Context) (time.Time, error) {
	secret, err := l.o.Secrets.Get(ctx, SecretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return l.o.Now(), l.restore(ctx)
	} else if err != nil {
		return time.Time{}, fmt.Errorf("read Secret %q: %w", SecretName, err)
	}
	s := readState(secret)
	if err := l.observe(ctx, s); err != nil {
		return time.Time{}, err
	}
	l.last = s
	now := l.o.Now()
	d := decide(s, l.o.Periods, l.o.Hosts, l.observed, now)
	if d.action == actWait {
		return d.until, nil
	}
	next, err := advance(s, d.action, l.o.Periods, l.o.Hosts, now)
	if err != nil {
		return time.Time{}, err
	}
	if err := next.write(secret); err != nil {
		return time.Time{}, err
	}
	if _, err = l.o.Secrets.Update(ctx, secret, updateOptions); err != nil {
		return time.Time{}, fmt.Errorf("write Secret %q: %w", SecretName, err)
	}
	l.o.Log.Info("certificates: "+d.action.String(), "why", d.why)
	return now, nil // look again at once
}

// restore makes the Secret anew after somebody deleted it, to have other
// certificates. What is known goes on serving until the next CA is trusted.
func (l *Leader) restore(ctx context.Context) error {
	s, now := l.last, l.o.Now()
	s.rotate, s.rotated, s.renew, s.renewed = "", "", "", ""
	what := actWait // a rotation under way just goes on
	if verify(s.leaf.Leaf, s.trusted(), now) != nil {
		what = actMakeAll
	} else if !s.next.canSign(now) {
		what = actAddCA
	}
	s, err := advance(s, what, l.o.Periods, l.o.Hosts, now)
	if err != nil {
		return err
	}
	secret := emptySecret()
	if err := s.write(secret); err != nil {
		return err
	}
	if _, err := l.o.Secrets.Create(ctx, secret, createOptions); err != nil {
		return fmt.Errorf("create Secret %q: %w", SecretName, err)
	}
	l.o.Log.Info("certificates: "+what.String(), "why", "there was no Secret")
	return nil
}

// observe publishes the bundle of a state and notes since when it is
// everywhere.
func (l *Leader) observe(ctx context.Context, s state) error {
	bundle := s.bundle()
	if len(bundle) == 0 || s.leaf.Leaf == nil {
		return nil // nothing to publish: decide makes all anew
	}
	wrote, err := publish(ctx, l.o.Configurations, s, anyDifference)
	now := l.o.Now()
	if err != nil {
		l.observed.published = time.Time{}
		return err
	}
	// Where somebody had replaced a caBundle, API servers may have learned that
	// one: they get the settling time anew.
	if wrote || l.bundle != string(bundle) || l.observed.published.IsZero() {
		l.bundle, l.observed.published = string(bundle), now
	}
	if serial := s.leaf.Leaf.SerialNumber; l.serial == nil || l.serial.Cmp(serial) != 0 {
		l.serial, l.observed.served = serial, now
	}
	return nil
}

// String returns the action as a log line says it.
func (a action) String() string {
	switch a {
	case actMakeAll:
		return "made a CA and a serving certificate"
	case actRenewLeaf:
		return "made a serving certificate"
	case actAddCA:
		return "made the next CA, to be trusted beside the present one"
	case actSwitchCA:
		return "signed the serving certificate with the next CA"
	case actDropOldCAs:
		return "trust the old CA no more"
	default:
		return "nothing to do"
	}
}
