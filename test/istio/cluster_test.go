package istio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient/wait"

	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/webhook"
)

// How long the tests wait for what happens by itself, and how often they look.
const (
	patience = 30 * time.Second
	interval = 50 * time.Millisecond
)

// The namespace of the mesh, the names of its webhook configuration and ours.
const (
	meshRoot = "istio-system"
	injector = "istio-sidecar-injector"
	ours     = "00-mojasec.io"
)

// cluster is a Kubernetes with Istio and with mojasec as a user installs it.
type cluster struct {
	*controlplane.Cluster
	client  client.Client
	webhook *webhook.Webhook
	dir     string
}

func newCluster(ctx context.Context, on *controlplane.Cluster) (*cluster, error) {
	dir, err := os.MkdirTemp("", "mojasec-istio-")
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: on, dir: dir}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) prepare(ctx context.Context) (err error) {
	if c.client, err = webhook.NewClient(c.Config); err != nil {
		return err
	}
	if c.webhook, err = webhook.New(ctx, c.Cluster, c.ControlPlane.Processes(), c.dir); err != nil {
		return err
	}
	if err := c.startReplicas(ctx); err != nil {
		return err
	}
	return c.webhook.Install(ctx, io.Discard)
}

func (c *cluster) startReplicas(ctx context.Context) error {
	for range 2 {
		if _, err := c.webhook.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) stop() error {
	var err error
	if c.webhook != nil {
		err = c.webhook.Close()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// answer is what a command printed.
type answer struct {
	stdout, stderr string
	code           int
}

func run(t testing.TB, cmd *exec.Cmd, stdin string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// kubectl runs the real kubectl with text on its standard input.
func (c *cluster) kubectl(t testing.TB, stdin string, args ...string) answer {
	t.Helper()
	cmd := c.Kubectl(context.WithoutCancel(t.Context()), args...)
	cmd.Env = append(cmd.Env, "HOME="+c.dir)
	return run(t, cmd, stdin)
}

// must fails the test unless kubectl did what it was asked.
func (c *cluster) must(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	a := c.kubectl(t, stdin, args...)
	if a.code != 0 {
		t.Fatalf("kubectl %s: %s", strings.Join(args, " "), a.stderr)
	}
	return a.stdout
}

// plugin runs kubectl mojasec.
func (c *cluster) plugin(t testing.TB, stdin string, args ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.webhook.Plugin, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "HOME="+c.dir)
	return run(t, cmd, stdin)
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

// remove deletes an object at the end of a test; that it is gone already is
// fine.
func (c *cluster) remove(t testing.TB, o client.Object) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := client.IgnoreNotFound(c.client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationBackground))); err != nil {
		t.Errorf("delete %T %s: %v", o, o.GetName(), err)
	}
}

var reviewsMetric = regexp.MustCompile(`(?m)^mojasec_admission_requests_total\{decision="([^"]*)",endpoint="([^"]*)",operation="[^"]*"\} (\d+)$`)

// reviews counts what the replicas answered so far, by endpoint and decision:
// "mutate patched".
func (c *cluster) reviews(t testing.TB) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, r := range c.webhook.Replicas() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Metrics+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("read metrics: %s, %v", resp.Status, err)
		}
		for _, m := range reviewsMetric.FindAllSubmatch(text, -1) {
			n, err := strconv.Atoi(string(m[3]))
			if err != nil {
				t.Fatal(err)
			}
			counts[string(m[2])+" "+string(m[1])] += n
		}
	}
	return counts
}

// since is what was counted after an earlier count.
func since(before, now map[string]int) map[string]int {
	out := map[string]int{}
	for k, n := range now {
		if n != before[k] {
			out[k] = n - before[k]
		}
	}
	return out
}
