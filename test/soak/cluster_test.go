package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient/wait"

	"github.com/mojasec/mojasec/manifests"
	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

const patience = 2 * time.Minute

// cluster is a control plane with a scheme in an enforced namespace.
type cluster struct {
	*controlplane.Cluster
	client client.Client
	hook   *webhook.Webhook
	dir    string
	// product is the binary that users run; faulty has the faults of
	// cmd/webhook's build tag soak.
	product, faulty string
	installed       bool
}

func newCluster(ctx context.Context, on *controlplane.Cluster) (*cluster, error) {
	dir, err := os.MkdirTemp("", "mojasec-soak-")
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: on, dir: dir}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) prepare(ctx context.Context) error {
	var err error
	if c.client, err = webhook.NewClient(c.Config); err != nil {
		return err
	}
	for _, o := range fixtures.NewScheme().Objects() {
		if err := client.IgnoreAlreadyExists(c.client.Create(ctx, o.(client.Object))); err != nil {
			return fmt.Errorf("create %T: %w", o, err)
		}
	}
	accounts := []client.Object{binding(fixtures.Namespace)}
	for _, d := range []string{fixtures.DFSP1, fixtures.DFSP2} {
		accounts = append(accounts, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: fixtures.Namespace, Name: d}})
	}
	for _, o := range accounts {
		if err := c.client.Create(ctx, o); err != nil {
			return err
		}
	}
	if c.hook, err = webhook.New(ctx, c.Cluster, c.ControlPlane.Processes(), c.dir); err != nil {
		return err
	}
	// Everything hurries; an API server learns of a caBundle in milliseconds.
	c.hook.Flags = []string{"--ca-settle", "2s", "--ca-drain", "2s", "--lease-duration", "5s", "--drain-delay", "4s"}
	c.product, c.faulty = c.hook.Binary, filepath.Join(c.dir, "webhook-soak")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", "soak", "-o", c.faulty, "github.com/mojasec/mojasec/cmd/webhook")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the product, so that nothing is compiled twice
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the webhook with faults: %w\n%s", err, out)
	}
	return nil
}

func (c *cluster) stop() error {
	var err error
	if c.hook != nil {
		err = c.hook.Close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// replicas runs n processes of a binary behind the balancer, installed as a user
// installs it, until the test ends.
func (c *cluster) replicas(t *testing.T, binary string, n int) []*webhook.Replica {
	t.Helper()
	c.hook.Binary = binary
	t.Cleanup(func() {
		if err := c.hook.Stop(); err != nil {
			t.Error(err)
		}
	})
	for range n {
		if _, err := c.hook.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !c.installed {
		var out bytes.Buffer
		if err := c.hook.Install(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		c.installed = true
	}
	// Refusals need a caBundle, and namespaces that were taken in.
	bad := sdkPod("soak-probe")
	bad.Spec.HostNetwork = true
	c.eventually(t, "a bad pod to be refused", func(ctx context.Context) (bool, string) {
		err := c.client.Create(ctx, bad.DeepCopy(), client.DryRunAll)
		return refusedBy(err, "mtls-in-mesh"), fmt.Sprint(err)
	})
	return c.hook.Replicas()
}

// refusedBy tells whether an error is a refusal for a check.
func refusedBy(err error, check string) bool {
	return err != nil && strings.Contains(err.Error(), check) && strings.Contains(err.Error(), "denied the request")
}

// eventually fails the test unless a condition holds within the patience.
func (c *cluster) eventually(t testing.TB, what string, condition func(ctx context.Context) (done bool, last string)) {
	t.Helper()
	last := "nothing"
	err := wait.For(func(ctx context.Context) (done bool, err error) {
		done, last = condition(ctx)
		return done, nil
	}, wait.WithTimeout(patience), wait.WithInterval(100*time.Millisecond), wait.WithImmediate(), wait.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("wait for %s: %v; last seen: %s", what, err, last)
	}
}

// pause returns after a time, or when the test ends.
func pause(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// create makes objects, a few at a time.
func (c *cluster) create(t testing.TB, objs ...client.Object) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for _, o := range objs {
		group.Go(func() error {
			if err := c.client.Create(ctx, o); err != nil {
				return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// namespace makes a namespace that the webhook may read, without a mode.
func (c *cluster) namespace(t testing.TB, name string) {
	t.Helper()
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"istio-injection": "enabled"}}})
	c.create(t, binding(name))
	t.Cleanup(func() { c.setMode(t, name, "") })
}

// setMode labels a namespace; the empty mode takes the label away.
func (c *cluster) setMode(t testing.TB, name, mode string) {
	t.Helper()
	value := strconv.Quote(mode)
	if mode == "" {
		value = "null"
	}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{"mojasec.io/mode":%s}}}`, value))
	if err := c.client.Patch(context.WithoutCancel(t.Context()), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, patch); err != nil {
		t.Errorf("set the mode of %s: %v", name, err)
	}
}

// binding gives the webhook the rights in a namespace that kubectl mojasec
// install --namespace gives.
func binding(ns string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mojasec-webhook"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "mojasec-namespace"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: manifests.Namespace, Name: "mojasec-webhook"}},
	}
}

// sdkPod is a pod of the first DFSP as its ReplicaSet makes it, complete.
func sdkPod(name string) *corev1.Pod {
	template := fixtures.NewScheme().SDK1.Spec.Template
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.Name = fixtures.Namespace, name
	return pod
}

// metrics reads those of a process.
func metrics(t testing.TB, r *webhook.Replica) map[string]float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Metrics+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			out[name] = v
		}
	}
	return out
}

// resident is the memory of a process in MB.
func resident(t testing.TB, r *webhook.Replica) float64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib * 1024 / 1e6
		}
	}
	t.Fatal("there is no VmRSS")
	return 0
}
