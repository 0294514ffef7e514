package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/retry"
)

// cluster is a fake API server with our two webhook configurations.
type cluster struct {
	*fake.Clientset
	o Options
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := fake.NewClientset(
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: MutatingName},
			Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "a.mojasec.io"}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: ValidatingName},
			Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "b.mojasec.io"}, {Name: "c.mojasec.io"}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "other.example.org"},
			Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "other.example.org"}},
		},
	)
	return &cluster{c, Options{
		Secrets: c.CoreV1().Secrets(Namespace), Configurations: c.AdmissionregistrationV1(),
		Hosts: Hosts("127.0.0.1"), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Periods: Periods{CA: time.Hour, Leaf: time.Hour, Settle: 50 * time.Millisecond, Drain: 50 * time.Millisecond},
	}}
}

// run starts something that ends with the test, before the test does.
func run(t *testing.T, start func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := start(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func (c *cluster) replica(t *testing.T) *Certificates {
	t.Helper()
	certs, err := NewCertificates(c.o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, certs.Start)
	return certs
}

// bundles returns the caBundle of every entry of ours.
func (c *cluster) bundles(t *testing.T) []string {
	t.Helper()
	m, err := c.o.Configurations.MutatingWebhookConfigurations().Get(t.Context(), MutatingName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.o.Configurations.ValidatingWebhookConfigurations().Get(t.Context(), ValidatingName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range m.Webhooks {
		out = append(out, string(w.ClientConfig.CABundle))
	}
	for _, w := range v.Webhooks {
		out = append(out, string(w.ClientConfig.CABundle))
	}
	return out
}

func (c *cluster) secret(t *testing.T) *corev1.Secret {
	t.Helper()
	secret, err := c.o.Secrets.Get(t.Context(), SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// settled tells whether all is as the Secret says, and no rotation under way.
func (c *cluster) settled(t *testing.T) bool {
	secret, err := c.o.Secrets.Get(t.Context(), SecretName, metav1.GetOptions{})
	if err != nil {
		return false
	}
	s := readState(secret)
	return s.ca.cert != nil && s.next.cert == nil && len(s.old) == 0 && s.rotate == s.rotated &&
		!slices.ContainsFunc(c.bundles(t), func(b string) bool { return b != string(s.bundle()) })
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return cond(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	certs := c.replica(t)
	eventually(t, "ready", func() bool { return certs.Ready() == nil })
	// Without a leader, the first replica publishes what it made.
	eventually(t, "published", func() bool { return c.settled(t) })
	other, err := c.o.Configurations.ValidatingWebhookConfigurations().Get(t.Context(), "other.example.org", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(other.Webhooks[0].ClientConfig.CABundle) > 0 {
		t.Error("wrote the caBundle of somebody else's webhook")
	}
	again := c.replica(t)
	eventually(t, "second replica ready", func() bool { return again.Ready() == nil })
	first, _ := certs.GetCertificate(nil)
	second, _ := again.GetCertificate(nil)
	if !first.Leaf.Equal(second.Leaf) {
		t.Error("two replicas serve different certificates")
	}
}

func TestHardCase5ReplicasRace(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	var replicas []*Certificates
	for range 8 {
		replicas = append(replicas, c.replica(t))
	}
	run(t, NewLeader(c.o).Start)
	run(t, NewLeader(c.o).Start) // as when a lease changes hands late
	for _, r := range replicas {
		eventually(t, "ready", func() bool { return r.Ready() == nil })
	}
	eventually(t, "settled", func() bool { return c.settled(t) })
	want := readState(c.secret(t)).leaf.Leaf
	for _, r := range replicas {
		eventually(t, "one leaf", func() bool { leaf, _ := r.GetCertificate(nil); return leaf.Leaf.Equal(want) })
	}
}

func TestHardCase5BundleIsWrittenAnew(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	run(t, NewLeader(c.o).Start)
	eventually(t, "settled", func() bool { return c.settled(t) })
	configs := c.o.Configurations.ValidatingWebhookConfigurations()
	v, err := configs.Get(t.Context(), ValidatingName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// As a chart is applied again: one entry loses its caBundle, one is new.
	v.Webhooks[0].ClientConfig.CABundle = nil
	v.Webhooks = append(v.Webhooks, admissionregistrationv1.ValidatingWebhook{Name: "d.mojasec.io"})
	if _, err := configs.Update(t.Context(), v, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "settled again", func() bool { return len(c.bundles(t)) == 4 && c.settled(t) })
}

func TestNothingIsWrittenWithoutNeed(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	stop := run(t, NewLeader(c.o).Start)
	eventually(t, "settled", func() bool { return c.settled(t) })
	stop()
	c.ClearActions()
	l := NewLeader(c.o)
	for range 3 {
		if _, err := l.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range c.Actions() {
		if a.GetVerb() != "get" {
			t.Errorf("%s %s, want nothing but get", a.GetVerb(), a.GetResource().Resource)
		}
	}
}

// A caBundle must not be written into a configuration that changed meanwhile.
func TestPublishNamesTheResourceVersion(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.PrependReactor("patch", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		var patch struct {
			Metadata struct {
				ResourceVersion *string `json:"resourceVersion"`
			} `json:"metadata"`
		}
		data := a.(clienttesting.PatchAction).GetPatch()
		if err := json.Unmarshal(data, &patch); err != nil || patch.Metadata.ResourceVersion == nil {
			t.Errorf("got patch %s (%v), want one with metadata.resourceVersion", data, err)
		}
		return false, nil, nil
	})
	s := made(t, state{}, start, actMakeAll)
	if wrote, err := publish(t.Context(), c.o.Configurations, s, anyDifference); err != nil || !wrote {
		t.Fatalf("got %t, %v, want true", wrote, err)
	}
}

func TestOtherReplicasDoNotUndoTheLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := made(t, state{}, time.Now(), actMakeAll)
	leader := made(t, s, time.Now(), actAddCA)
	if _, err := publish(t.Context(), c.o.Configurations, leader, anyDifference); err != nil {
		t.Fatal(err)
	}
	wrote, err := publish(t.Context(), c.o.Configurations, s, onlyIfUntrusted(time.Now()))
	if err != nil || wrote {
		t.Errorf("got %t, %v: wrote an older bundle over one that trusts the same leaf", wrote, err)
	}
}

func TestLeaderGoesOnAfterErrors(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	var mu sync.Mutex
	failures := map[string]int{}
	fail := func(a clienttesting.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		key := a.GetVerb() + " " + a.GetResource().Resource
		if failures[key]++; failures[key] > 2 {
			return false, nil, nil
		}
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: key}, "x", fmt.Errorf("try again"))
	}
	for _, verb := range []string{"create", "update", "patch"} {
		c.PrependReactor(verb, "*", fail)
	}
	run(t, NewLeader(c.o).Start)
	eventually(t, "settled", func() bool { return c.settled(t) })
	before := readState(c.secret(t)).ca.cert
	annotate(t, c, AnnotationRotate, "now")
	eventually(t, "rotated", func() bool { return c.settled(t) && !readState(c.secret(t)).ca.cert.Equal(before) })
	mu.Lock()
	defer mu.Unlock()
	for _, key := range []string{"create secrets", "update secrets", "patch mutatingwebhookconfigurations"} {
		if failures[key] <= 2 {
			t.Errorf("%s failed %d times and was not tried again", key, failures[key])
		}
	}
}

func annotate(t *testing.T, c *cluster, name, value string) {
	t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		secret := c.secret(t)
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, name, value)
		_, err := c.o.Secrets.Update(t.Context(), secret, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// caller is an API server: it learns of a caBundle some time after it was
// written, and opens a connection for every call, so that each is a handshake.
type caller struct {
	mu      sync.Mutex
	bundles []seenBundle
	lag     time.Duration
}

type seenBundle struct {
	pem string
	at  time.Time
}

// pool returns what the caller trusts now; nil before it learned of anything.
func (a *caller) pool(current string) *x509.CertPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if n := len(a.bundles); n == 0 || a.bundles[n-1].pem != current {
		a.bundles = append(a.bundles, seenBundle{current, now})
	}
	for _, b := range slices.Backward(a.bundles) {
		if now.Sub(b.at) >= a.lag {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM([]byte(b.pem))
			return pool
		}
	}
	return nil
}

func TestHardCase6RotationUnderLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.o.Periods.Settle, c.o.Periods.Drain = 200*time.Millisecond, 200*time.Millisecond
	certs := c.replica(t)
	run(t, NewLeader(c.o).Start)
	eventually(t, "settled", func() bool { return certs.Ready() == nil && c.settled(t) })

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	listener := tls.NewListener(server.Listener, &tls.Config{GetCertificate: certs.GetCertificate, MinVersion: tls.VersionTLS13})
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()

	a := &caller{lag: 60 * time.Millisecond}
	eventually(t, "the caller knows the first bundle", func() bool { return a.pool(c.bundles(t)[0]) != nil })
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var calls, failed int
	load.Go(func() {
		for ctx.Err() == nil {
			calls++
			if err := call(address, a.pool(c.bundles(t)[calls%3])); err != nil {
				failed++
				t.Logf("call %d: %v", calls, err)
			}
		}
	})
	serials := map[string]bool{}
	for i := range 10 {
		before := readState(c.secret(t))
		switch i % 3 {
		case 0, 1:
			annotate(t, c, AnnotationRotate, fmt.Sprint(i))
		case 2: // a person who thinks that this is how to rotate
			if err := c.o.Secrets.Delete(t.Context(), SecretName, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "rotated", func() bool {
			return c.settled(t) && !readState(c.secret(t)).ca.cert.Equal(before.ca.cert)
		})
		leaf := readState(c.secret(t)).leaf.Leaf
		eventually(t, "served", func() bool { l, _ := certs.GetCertificate(nil); return l.Leaf.Equal(leaf) })
		serials[leaf.SerialNumber.String()] = true
	}
	stop()
	load.Wait()
	if len(serials) != 10 {
		t.Errorf("got %d different certificates, want 10", len(serials))
	}
	if calls < 100 || failed > 0 {
		t.Errorf("%d of %d calls failed, want 0 of at least 100", failed, calls)
	}
}

func call(address string, pool *x509.CertPool) error {
	d := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 5 * time.Second},
		Config:    &tls.Config{RootCAs: pool, ServerName: Hosts()[0], MinVersion: tls.VersionTLS13},
	}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	_, err = io.ReadAll(conn)
	return err
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.PrependReactor("*", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, SecretName, nil)
	})
	certs := c.replica(t)
	eventually(t, "the reason", func() bool { return certs.problem.Load() != nil })
	if err := certs.Ready(); !apierrors.IsForbidden(err) {
		t.Errorf("got %v, want forbidden", err)
	}
	if _, err := certs.GetCertificate(nil); err == nil {
		t.Error("got a certificate, want an error")
	}
}
