package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestQuarantine freezes a DFSP: its new pods are marked, nobody but responders
// reaches into them, and nobody takes away what holds it.
func TestQuarantine(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	me := &authenticationv1.SelfSubjectReview{}
	if err := world.client.Create(t.Context(), me); err != nil {
		t.Fatal(err)
	}
	q := &v1alpha1.Quarantine{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "incident"},
		Spec:       v1alpha1.QuarantineSpec{DFSP: fixtures.DFSP1, Mode: v1alpha1.QuarantineLockdown, Reason: "a test of the lock", OpenedBy: me.Status.UserInfo.Username},
	}
	t.Run("openedBy is who opens it", func(t *testing.T) {
		other := q.DeepCopy()
		other.Spec.OpenedBy = "somebody else"
		if err := world.client.Create(t.Context(), other, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "openedBy") {
			t.Errorf("got %v, want a refusal that names openedBy", err)
		}
	})
	world.kubectl(t, "", "label", "namespace", s.ns, "mojasec.io/quarantine=incident", "--overwrite").accepted(t)
	world.create(t, q)
	t.Cleanup(func() {
		until := metav1.NewTime(time.Now().Add(10 * time.Minute))
		q.Spec.Breakglass = &v1alpha1.Breakglass{User: me.Status.UserInfo.Username, Reason: "the test is over", Until: until}
		if err := world.client.Update(context.WithoutCancel(t.Context()), q); err != nil {
			t.Error(err)
		}
		eventually(noCancel{t}, "the Quarantine to be deleted", func(ctx context.Context) (bool, string) {
			err := client.IgnoreNotFound(world.client.Delete(ctx, q))
			return err == nil, fmt.Sprint(err)
		})
		world.kubectl(t, "", "label", "namespace", s.ns, "mojasec.io/quarantine-")
	})
	marked := func(name string) (string, error) {
		pod := s.pod(name)
		err := world.client.Create(t.Context(), pod, client.DryRunAll)
		return pod.Labels[v1alpha1.LabelQuarantine], err
	}
	t.Run("new pods are marked", func(t *testing.T) {
		eventually(t, "the mark", func(context.Context) (bool, string) {
			label, err := marked("marked")
			return label == "incident", fmt.Sprintf("label %q, %v", label, err)
		})
	})
	operator := s.c.newOperator(t, s.ns)
	running := s.pods(s.SDK1.Spec.Selector.MatchLabels)[0].Name
	peer := s.pods(s.SDK2.Spec.Selector.MatchLabels)[0].Name
	for _, v := range []struct {
		name string
		args []string
	}{
		{"exec", []string{"exec", running, "--", "true"}},
		{"attach", []string{"attach", running}},
		{"port-forward", []string{"port-forward", "pod/" + running, ":4000"}},
		{"proxy", []string{"get", "--raw", "/api/v1/namespaces/" + s.ns + "/pods/http:" + running + ":4000/proxy/"}},
		{"proxy of a Service", []string{"get", "--raw", "/api/v1/namespaces/" + s.ns + "/services/" + fixtures.DFSP1 + ":80/proxy/"}},
		{"debug", []string{"debug", running, "--image=busybox"}},
		{"another image", []string{"set", "image", "deployment/" + s.SDK1.Name, "sdk=mojaloop/sdk-scheme-adapter:v25"}},
		{"take the label off the namespace", []string{"label", "namespace", s.ns, "mojasec.io/quarantine-"}},
		{"lower the mode", []string{"label", "--overwrite", "namespace", s.ns, "mojasec.io/mode=warn"}},
		{"delete the namespace", []string{"delete", "namespace", s.ns, "--wait=false"}},
		{"delete the Quarantine", []string{"delete", "quarantine", "incident"}},
		{"say that it is over", []string{"patch", "quarantine", "incident", "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Released"}}`}},
	} {
		t.Run(v.name, func(t *testing.T) {
			a := s.kubectl(t, "", append([]string{"--as", operator}, v.args...)...)
			if a.code == 0 || !strings.Contains(a.stderr, "mojasec") && !strings.Contains(a.stderr, "quarantine") {
				t.Errorf("got status %d %q, want a refusal", a.code, a.stderr)
			}
		})
	}
	t.Run("the mark of a running pod stays", func(t *testing.T) {
		a := s.kubectl(t, "", "--as", operator, "label", "pod", running, "dfsp-")
		if a.code == 0 {
			t.Error("a quarantined pod lost the label of its DFSP")
		}
	})
	t.Run("peers are free", func(t *testing.T) {
		a := s.kubectl(t, "", "--as", operator, "exec", peer, "--", "true")
		if strings.Contains(a.stderr, "quarantine") {
			t.Errorf("got %q, want the webhook not in the way", a.stderr)
		}
	})
	t.Run("a responder gets in", func(t *testing.T) {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "responder"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"mojasec.io"}, Resources: []string{"quarantines"}, Verbs: []string{"respond"}},
		}}
		world.create(t, role, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "responder"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operator}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "responder"},
		})
		eventually(t, "the responder to get past the webhook", func(context.Context) (bool, string) {
			a := s.kubectl(t, "", "--as", operator, "exec", running, "--", "true")
			return !strings.Contains(a.stderr, "quarantine"), a.stderr
		})
	})
	t.Run("pods come back when they are deleted", func(t *testing.T) {
		s.kubectl(t, "", "delete", "pod", running, "--wait=false").accepted(t)
		s.rollout(s.SDK1.Name)
		var d appsv1.Deployment
		if err := world.client.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: s.SDK1.Name}, &d); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a pod with the mark", func(context.Context) (bool, string) {
			for _, p := range s.pods(s.SDK1.Spec.Selector.MatchLabels) {
				if p.Labels[v1alpha1.LabelQuarantine] == "incident" {
					return true, ""
				}
			}
			return false, "no mark"
		})
	})
}

// noCancel is a test whose context outlives it, for its cleanup.
type noCancel struct{ testing.TB }

func (n noCancel) Context() context.Context { return context.WithoutCancel(n.TB.Context()) }
