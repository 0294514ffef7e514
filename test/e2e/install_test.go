package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// run runs a command of the plugin.
func (c *cluster) run(t testing.TB, args ...string) answer {
	t.Helper()
	cmd := c.mojasec(context.WithoutCancel(t.Context()), args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit status tells
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// TestInstallTwice installs what is installed: nothing changes.
func TestInstallTwice(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	versions := func() string {
		return world.kubectl(t, "", "get", "mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,crds",
			"-l", "app.kubernetes.io/part-of=mojasec", "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}").stdout
	}
	before := versions()
	if strings.Count(before, "\n") < 4 {
		t.Fatalf("got %q: nothing to compare", before)
	}
	a := world.run(t, "install", "--yes", "--url", "https://"+world.webhook.Balancer.Address())
	a.accepted(t)
	if got := versions(); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	for line := range strings.Lines(a.stdout) {
		if !strings.Contains(line, "unchanged") {
			t.Errorf("got %q, want it unchanged", line)
		}
	}
}

// TestHardCase25Configurations compares the configurations in the cluster with
// the manifests, as a GitOps tool does: the API server adds nothing.
func TestHardCase25Configurations(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	out := world.run(t, "install", "-o", "yaml", "--url", "https://"+world.webhook.Balancer.Address())
	out.accepted(t)
	a := world.kubectl(t, out.stdout, "diff", "--server-side", "--force-conflicts", "--field-manager", "kubectl-mojasec", "-f", "-")
	for line := range strings.Lines(a.stdout) {
		added := (strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-")) && !strings.HasPrefix(line, "+++") && !strings.HasPrefix(line, "---")
		if added && !strings.Contains(line, "caBundle") && !strings.Contains(line, "generation:") {
			t.Errorf("drift: %s", line)
		}
	}
	if a.code > 1 {
		t.Errorf("got exit status %d: %s", a.code, a.stderr)
	}
}

// TestHardCase03Uninstall has a dead webhook block pods, unblocks, uninstalls, and
// finds nothing left.
func TestHardCase03Uninstall(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	ctx := context.WithoutCancel(t.Context())
	s := world.newScheme(t)
	s.run()
	if err := world.webhook.Stop(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if len(world.webhook.Replicas()) > 0 {
			return
		}
		if err := world.install(ctx, world.webhook); err != nil {
			t.Fatal(err)
		}
	}()
	t.Run("a dead webhook blocks, and doctor says so", func(t *testing.T) {
		if a := s.kubectl(t, "", "delete", "peerauthentication", "default"); a.code == 0 {
			t.Error("got in with the webhook down")
		}
		a := world.run(t, "doctor")
		if a.code == 0 {
			t.Errorf("got exit status 0 of doctor: %s", a.stdout)
		}
		if !strings.Contains(a.stdout, "--unblock") {
			t.Errorf("got %s, want the way out", a.stdout)
		}
	})
	t.Run("doctor --unblock lets the cluster go on", func(t *testing.T) {
		world.run(t, "doctor", "--unblock", "--yes")
		s.kubectl(t, s.yaml(s.pod("after")), "apply", "-f", "-").accepted(t)
	})
	t.Run("uninstall leaves nothing", func(t *testing.T) {
		world.run(t, "uninstall", "--yes", "--labels").accepted(t)
		out := world.kubectl(t, "", "get", "mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings", "-o", "name").stdout
		out += world.kubectl(t, "", "get", "rolebindings,roles", "-A", "-o", "name").stdout
		for line := range strings.Lines(out) {
			if strings.Contains(line, "mojasec") {
				t.Errorf("left behind: %s", line)
			}
		}
		eventually(t, "mojasec-system to be gone", func(ctx context.Context) (bool, string) {
			var ns corev1.Namespace
			err := world.client.Get(ctx, client.ObjectKey{Name: "mojasec-system"}, &ns)
			return apierrors.IsNotFound(err), fmt.Sprintf("%+v", ns.Status)
		})
		if mode := s.kubectl(t, "", "get", "namespace", s.ns, "-o", "jsonpath={.metadata.labels}").stdout; strings.Contains(mode, "mojasec") {
			t.Errorf("left behind: labels %s", mode)
		}
	})
	t.Run("and installs again", func(t *testing.T) {
		if err := world.install(ctx, world.webhook); err != nil {
			t.Fatal(err)
		}
		world.run(t, "install", "--namespace", s.ns, "--mode", "enforce", "--yes").accepted(t)
		s.settle()
	})
}
