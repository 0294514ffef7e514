package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	admissionregistrationclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Options are what certificates are made of.
type Options struct {
	// Secrets are those of the namespace with Secret mojasec-webhook-tls.
	Secrets coreclient.SecretInterface
	// Configurations have the caBundles.
	Configurations admissionregistrationclient.AdmissionregistrationV1Interface
	// Hosts are the names and addresses the webhook is called by; [Hosts].
	Hosts   []string
	Periods Periods
	Now     func() time.Time
	Log     *slog.Logger
}

// Hosts returns the names of the webhook's Service, and more names or addresses
// after them.
func Hosts(more ...string) []string {
	name := ServiceName + "." + Namespace + ".svc"
	return append([]string{name, name + ".cluster.local"}, more...)
}

// Certificates serves the leaf of the Secret. Every replica runs it.
type Certificates struct {
	o       Options
	leaf    atomic.Pointer[tls.Certificate]
	problem atomic.Pointer[error] // why there is no newer leaf
}

// NewCertificates returns certificates that are not loaded yet: Start does.
func NewCertificates(o Options) (*Certificates, error) {
	if len(o.Hosts) == 0 {
		return nil, errors.New("serving certificates need the names the webhook is called by")
	}
	for _, host := range o.Hosts {
		if _, port, err := net.SplitHostPort(host); err == nil {
			return nil, fmt.Errorf("serving host %q: leave out the port %q, a certificate has none", host, port)
		}
	}
	return &Certificates{o: o}, nil
}

// NeedLeaderElection says that every replica runs it.
func (c *Certificates) NeedLeaderElection() bool { return false }

// Start loads the leaf, and every newer one, until ctx ends. Where there is no
// Secret yet it makes one: of several replicas that do the first one wins.
func (c *Certificates) Start(ctx context.Context) error {
	seeded := false
	follow(ctx, c.o.Secrets, SecretName, c.o.Periods.Drain/5, func(secret *corev1.Secret, exists bool) {
		switch {
		case exists:
			c.load(secret)
		case !seeded && c.leaf.Load() == nil:
			// Once only: the leader makes up for one that is deleted later.
			if err := c.seed(ctx); err != nil {
				c.fail(err)
				return
			}
			seeded = true
		}
	}, c.fail)
	return nil
}

// GetCertificate is that of a [tls.Config].
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if leaf := c.leaf.Load(); leaf != nil {
		return leaf, nil
	}
	return nil, errors.New("there is no serving certificate yet")
}

// Ready returns nil when there is a leaf that is valid now, else the reason.
func (c *Certificates) Ready() error {
	leaf := c.leaf.Load()
	switch problem := c.problem.Load(); {
	case leaf == nil && problem != nil:
		return fmt.Errorf("no serving certificate: %w", *problem)
	case leaf == nil:
		return errors.New("no serving certificate: it is being loaded")
	}
	if now := c.o.Now(); !now.Before(leaf.Leaf.NotAfter) {
		return fmt.Errorf("the serving certificate ended at %s", leaf.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func (c *Certificates) load(secret *corev1.Secret) {
	leaf, err := readLeaf(secret)
	if err != nil {
		c.fail(err) // the leaf in use is better than none
		return
	}
	c.problem.Store(nil)
	if before := c.leaf.Swap(&leaf); before == nil || !before.Leaf.Equal(leaf.Leaf) {
		c.o.Log.Info("serve a certificate", "serial", leaf.Leaf.SerialNumber.Text(16),
			"ca", leaf.Leaf.Issuer.CommonName, "notAfter", leaf.Leaf.NotAfter)
	}
}

func (c *Certificates) fail(err error) {
	c.problem.Store(&err)
	c.o.Log.Error("serving certificate", "error", err)
}

// seed makes the first Secret, and has it trusted: the first correct answer
// need not wait for a lease that a replica of yesterday still holds.
func (c *Certificates) seed(ctx context.Context) error {
	s, err := advance(state{}, actMakeAll, c.o.Periods, c.o.Hosts, c.o.Now())
	if err != nil {
		return err
	}
	secret := emptySecret()
	if err := s.write(secret); err != nil {
		return err
	}
	if _, err := c.o.Secrets.Create(ctx, secret, createOptions); apierrors.IsAlreadyExists(err) {
		return nil // another replica was first; the watch brings its Secret
	} else if err != nil {
		return fmt.Errorf("create Secret %q: %w", SecretName, err)
	}
	c.load(secret)
	if _, err := publish(ctx, c.o.Configurations, s, onlyIfUntrusted(c.o.Now())); err != nil {
		c.o.Log.Warn("the leader will publish the CA", "error", err)
	}
	return nil
}

var (
	createOptions = metav1.CreateOptions{FieldManager: FieldManager}
	updateOptions = metav1.UpdateOptions{FieldManager: FieldManager}
	patchOptions  = metav1.PatchOptions{FieldManager: FieldManager}
)

func emptySecret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: SecretName, Namespace: Namespace,
			Labels: map[string]string{
				"app.kubernetes.io/name":       "mojasec",
				"app.kubernetes.io/part-of":    "mojasec",
				"app.kubernetes.io/component":  "webhook",
				"app.kubernetes.io/managed-by": FieldManager,
			},
		},
		Type: corev1.SecretTypeTLS,
	}
}
