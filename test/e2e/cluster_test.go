package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient/wait"

	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

// How long the tests wait for what happens by itself, and how often they look.
const (
	patience = 90 * time.Second
	interval = 50 * time.Millisecond
)

// cluster is the Kubernetes the tests run on.
type cluster struct {
	*controlplane.Cluster
	client client.Client
	dir    string
	// webhook is nil on a cluster of the user's own, which has one already.
	webhook *webhook.Webhook
}

func newCluster(ctx context.Context, on *controlplane.Cluster) (*cluster, error) {
	dir, err := os.MkdirTemp("", "mojasec-e2e-")
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: on, dir: dir}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// prepare makes the client, installs the webhook where there is none, and
// gives the mesh its configuration.
func (c *cluster) prepare(ctx context.Context) error {
	var err error
	if c.client, err = webhook.NewClient(c.Config); err != nil {
		return err
	}
	s := fixtures.NewScheme()
	for _, o := range []client.Object{s.MeshNamespace, s.MeshConfig} {
		if err := client.IgnoreAlreadyExists(c.client.Create(ctx, o)); err != nil {
			return err
		}
	}
	if c.ControlPlane == nil {
		return nil
	}
	c.webhook, err = c.installWebhook(ctx)
	return err
}

func (c *cluster) stop() error {
	var errs []error
	if c.webhook != nil {
		errs = append(errs, c.webhook.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// answer is what a command printed.
type answer struct {
	stdout, stderr string
	code           int
}

// kubectl runs the real kubectl with text on its standard input.
func (c *cluster) kubectl(t testing.TB, stdin string, args ...string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := c.Kubectl(context.WithoutCancel(t.Context()), args...)
	cmd.Env = append(cmd.Env, "HOME="+c.dir, "KUBECTL_EXTERNAL_DIFF=diff -u")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// eventually fails the test unless a condition holds within the patience; last
// says what was seen instead.
func eventually(t testing.TB, what string, condition func(ctx context.Context) (done bool, last string)) {
	t.Helper()
	last := "nothing"
	err := wait.For(func(ctx context.Context) (done bool, err error) {
		done, last = condition(ctx)
		return done, nil
	}, wait.WithTimeout(patience), wait.WithInterval(interval), wait.WithImmediate(), wait.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("wait for %s: %v; last seen: %s", what, err, last)
	}
}

// create makes objects and removes the cluster-scoped ones of them at the end
// of the test; those of a namespace go with it.
func (c *cluster) create(t testing.TB, objs ...client.Object) {
	t.Helper()
	for _, o := range objs {
		if err := c.client.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
		if o.GetNamespace() == "" {
			t.Cleanup(func() { c.remove(t, o) })
		}
	}
}

// remove deletes an object; that it is gone already is fine.
func (c *cluster) remove(t testing.TB, o client.Object) {
	t.Helper()
	if err := client.IgnoreNotFound(c.client.Delete(context.WithoutCancel(t.Context()), o)); err != nil {
		t.Errorf("delete %T %s: %v", o, o.GetName(), err)
	}
}

// namespace makes a namespace without a mode and deletes it at the end of the
// test, the pods at once.
func (c *cluster) namespace(t testing.TB, labels map[string]string) *corev1.Namespace {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: labels}}
	if err := c.client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.clear(t, ns.Name); c.remove(t, ns) })
	return ns
}

// write writes text into a file for kubectl.
func (c *cluster) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
