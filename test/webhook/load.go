package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/serving"
)

// Load is dry runs of pods through the API server, at a steady rate whatever the
// answers take. Each makes two reviews or more.
type Load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	began  time.Time

	mu     sync.Mutex
	calls  int
	failed []string
}

// StartLoad creates a good and a bad pod by turns, perSecond of them in all. The
// good one must be admitted and the bad one refused with a text.
func StartLoad(ctx context.Context, c client.Client, good, bad *corev1.Pod, refusal string, perSecond int) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{cancel: cancel, began: time.Now()}
	const workers = 20
	for w := range workers {
		l.wg.Go(func() {
			tick := time.NewTicker(time.Second * workers / time.Duration(perSecond))
			defer tick.Stop()
			for i := w; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				wrong := ""
				if i%2 == 0 {
					if err := c.Create(ctx, good.DeepCopy(), client.DryRunAll); err != nil {
						wrong = fmt.Sprintf("a good pod: %v", err)
					}
				} else if err := c.Create(ctx, bad.DeepCopy(), client.DryRunAll); err == nil || !strings.Contains(err.Error(), refusal) {
					wrong = fmt.Sprintf("a bad pod: %v", err)
				}
				if ctx.Err() == nil {
					l.note(wrong)
				}
			}
		})
	}
	return l
}

func (l *Load) note(wrong string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if wrong != "" {
		l.failed = append(l.failed, fmt.Sprintf("after %s: %s", time.Since(l.began).Round(time.Millisecond), wrong))
	}
}

// Stop ends the load and returns how many calls there were, how many a second,
// and what was wrong.
func (l *Load) Stop() (calls int, rate float64, failed []string) {
	l.cancel()
	l.wg.Wait()
	return l.calls, float64(l.calls) / time.Since(l.began).Seconds(), l.failed
}

// RollingRestart replaces one replica after the other, as a Deployment does.
func (w *Webhook) RollingRestart(ctx context.Context) error {
	for _, old := range w.Replicas() {
		if _, err := w.Start(ctx); err != nil {
			return err
		}
		if err := old.Stop(); err != nil {
			return err
		}
		w.Drop(old)
	}
	return nil
}

// How long a rotation may take, and how often it is looked at.
const (
	rotationPatience = 2 * time.Minute
	rotationInterval = 100 * time.Millisecond
)

// Rotate has the CA and the serving certificate replaced, and returns when the
// new one is served and the old CA is trusted no more.
func (w *Webhook) Rotate(ctx context.Context, c client.Client) error {
	before, err := w.serial(ctx)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: serving.Namespace, Name: serving.SecretName}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, serving.AnnotationRotate, time.Now().UTC().Format(time.RFC3339Nano)))
	if err := c.Patch(ctx, secret, patch); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	last := ""
	err = wait.PollUntilContextTimeout(ctx, rotationInterval, rotationPatience, true, func(ctx context.Context) (bool, error) {
		now, err := w.serial(ctx)
		if err != nil { // a replica may have ended under this connection
			last = err.Error()
			return false, nil //nolint:nilerr // it is asked again
		}
		if err := c.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
			return false, err
		}
		cas := certificates(secret.Data["ca.crt"])
		last = fmt.Sprintf("serial changed: %t, %d CAs are trusted", now != before, cas)
		return now != before && cas == 1, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the rotation to end (%s): %w", last, err)
	}
	return nil
}

// serial is that of the certificate that is served.
func (w *Webhook) serial(ctx context.Context) (string, error) {
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // it is only looked at
	conn, err := dialer.DialContext(ctx, "tcp", w.Balancer.Address())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	c, ok := conn.(*tls.Conn)
	if !ok || len(c.ConnectionState().PeerCertificates) == 0 {
		return "", errors.New("the webhook shows no certificate")
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// certificates counts those of a PEM bundle.
func certificates(bundle []byte) (n int) {
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return n
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			n++
		}
	}
}
