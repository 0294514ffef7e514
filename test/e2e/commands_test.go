package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	istiosecurity "istio.io/api/security/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/test/fixtures"
)

func mustParse(text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		panic(err)
	}
	return u
}

// copy returns a scheme with the same keys, to be changed.
func (s *scheme) copy() *fixtures.Scheme {
	return &fixtures.Scheme{
		Namespace: s.Namespace.DeepCopy(), MeshNamespace: s.MeshNamespace.DeepCopy(), MeshConfig: s.MeshConfig.DeepCopy(),
		SDK1: s.SDK1.DeepCopy(), SDK2: s.SDK2.DeepCopy(), HubDeployment: s.HubDeployment.DeepCopy(), HubConfig: s.HubConfig.DeepCopy(),
		HubKey: s.HubKey.DeepCopy(), JWS1: s.JWS1.DeepCopy(), JWS2: s.JWS2.DeepCopy(), ILP1: s.ILP1.DeepCopy(), ILP2: s.ILP2.DeepCopy(),
		VerificationKeys: s.VerificationKeys.DeepCopy(), PeerAuth: s.PeerAuth.DeepCopy(), DestinationRule: s.DestinationRule.DeepCopy(),
		Gateway: s.Gateway.DeepCopy(), NetworkPolicy: s.NetworkPolicy.DeepCopy(),
	}
}

// restore undoes what got in: the object of the scheme comes back, another one
// goes.
func (s *scheme) restore(t testing.TB, o runtime.Object) {
	t.Helper()
	moved, _ := fixtures.In(s.ns, o).(client.Object)
	for _, original := range s.Objects() {
		m, _ := original.(client.Object)
		if m.GetName() == moved.GetName() && original.GetObjectKind().GroupVersionKind().Kind == o.GetObjectKind().GroupVersionKind().Kind {
			s.c.kubectl(t, s.yaml(original), "replace", "-f", "-")
			return
		}
	}
	s.c.remove(t, moved)
}

// commandsAround tries what needs no manifest: each command is refused for a
// check or with words, and its twin is not.
func commandsAround(t *testing.T, s *scheme) {
	const ilp = fixtures.DFSP1 + "-ilp"
	running := s.pods(s.SDK1.Spec.Selector.MatchLabels)[0].Name
	secretPatch := func(key, value string) string { return fmt.Sprintf(`{"stringData":{%q:%q}}`, key, value) }
	permissive := s.copy().PeerAuth
	permissive.Spec.Mtls.Mode = istiosecurity.PeerAuthentication_MutualTLS_PERMISSIVE
	plain := s.pod("plain")
	plain.Labels, plain.Spec.Volumes = nil, nil
	plain.Spec.Containers = []corev1.Container{{Name: "sdk", Image: "docker.io/library/nginx:1.29"}}
	s.c.create(t, plain)
	for _, v := range []struct {
		name, want  string
		stdin       string
		args, twin  []string
		restorewith string
	}{
		{name: "delete the policy", want: "mtls-strict", args: []string{"delete", "peerauthentication", "default"}},
		{name: "delete every policy", want: "mtls-strict", args: []string{"delete", "peerauthentication", "--all"}},
		{name: "delete a secret in use", want: "ilp-secret-set", args: []string{"delete", "secret", ilp}},
		{name: "delete a key in use", want: "jws-signing-key-mounted", args: []string{"delete", "secret", fixtures.DFSP1 + "-jws-keys"}},
		{name: "replace by force", want: "mtls-strict", stdin: s.yaml(permissive), args: []string{"replace", "--force", "-f", "-"}},
		{name: "create", want: "mtls-strict", stdin: strings.Replace(strings.Replace(s.yaml(permissive), "name: default", "name: another", 1), "spec:", "spec:\n  selector: {matchLabels: {dfsp: perffsp-1}}", 1), args: []string{"create", "-f", "-"}},
		{
			name: "server-side apply by force", want: "mtls-strict", stdin: s.yaml(permissive),
			args: []string{"apply", "--server-side", "--force-conflicts", "-f", "-"},
		},
		{
			name: "merge patch of the policy", want: "mtls-strict",
			args: []string{"patch", "peerauthentication", "default", "--type=merge", "-p", `{"spec":{"mtls":{"mode":"PERMISSIVE"}}}`},
			twin: []string{"patch", "peerauthentication", "default", "--type=merge", "-p", `{"spec":{"mtls":{"mode":"STRICT"}}}`},
		},
		{
			name: "JSON patch of the policy", want: "mtls-strict",
			args: []string{"patch", "peerauthentication", "default", "--type=json", "-p", `[{"op":"remove","path":"/spec/mtls"}]`},
		},
		{
			name: "patch of a secret", want: "ilp-secret-not-default",
			args: []string{"patch", "secret", ilp, "-p", secretPatch("ILP_SECRET", fixtures.PublishedILPDefault)},
			twin: []string{"patch", "secret", ilp, "-p", secretPatch("ILP_SECRET", fixtures.RandomSecret())},
		},
		{
			name: "set env", want: "jws-signing-enabled",
			args: []string{"set", "env", "deployment/" + s.SDK1.Name, "JWS_SIGN=false"},
			twin: []string{"set", "env", "deployment/" + s.SDK1.Name, "LOG_LEVEL=info"},
		},
		{
			name: "set env everywhere", want: "ilp-checked", args: []string{"set", "env", "deployment", "-l", "!none", "CHECK_ILP=false"},
		},
		{
			name: "image of a running pod", want: "mtls-in-mesh|ilp-secret-set|jws-signing-key-mounted|dfsp-identity",
			args: []string{"set", "image", "pod/plain", "sdk=mojaloop/sdk-scheme-adapter:v24.19.6"},
			twin: []string{"set", "image", "pod/plain", "sdk=docker.io/library/nginx:1.30"},
		},
		{
			name: "labels that make a running pod an SDK", want: "dfsp-identity|ilp-secret-set|jws-signing-key-mounted",
			args: []string{"label", "pod", "plain", "component=sdk-scheme-adapter"},
			twin: []string{"label", "pod", "plain", "colour=blue"},
		},
		{
			name: "labels through the status of a running pod", want: "dfsp-identity|ilp-secret-set|jws-signing-key-mounted",
			args: []string{"patch", "pod", "plain", "--subresource=status", "--type=merge", "-p", `{"metadata":{"labels":{"component":"sdk-scheme-adapter"}}}`},
			twin: []string{"patch", "pod", "plain", "--subresource=status", "--type=merge", "-p", `{"metadata":{"labels":{"colour":"red"}}}`},
		},
		{
			name: "debug with the published secret", want: "ilp-secret-not-default",
			args: []string{"debug", running, "--image=busybox", "--env=ILP_SECRET=" + fixtures.PublishedILPDefault},
		},
		{
			name: "debug with the rights of the network", want: "mtls-no-bypass",
			args: []string{"debug", running, "--image=busybox", "--profile=netadmin"},
		},
		{
			name: "debug a copy without its sidecar", want: "mtls-in-mesh",
			args: []string{"debug", running, "--copy-to=copied", "--image=busybox", "--profile=general", "--custom=" + s.c.write(t, "custom.json", `{"env":[{"name":"ILP_SECRET","value":"`+fixtures.PublishedILPDefault+`"}]}`)},
		},
		{
			name: "run", want: "ilp-secret-not-default",
			args: []string{"run", "quick", "--image=mojaloop/sdk-scheme-adapter:v24", "--env=DFSP_ID=" + fixtures.DFSP1, "--env=ILP_SECRET=mojaloop-sdk"},
		},
		{
			name: "create deployment", want: "dfsp-identity",
			args: []string{"create", "deployment", "quick", "--image=mojaloop/sdk-scheme-adapter:v24"},
			twin: []string{"create", "deployment", "quick", "--image=docker.io/library/nginx:1.29"},
		},
		{
			name: "create cronjob", want: "dfsp-identity",
			args: []string{"create", "cronjob", "quick", "--schedule=0 0 1 1 *", "--image=mojaloop/sdk-scheme-adapter:v24"},
			twin: []string{"create", "cronjob", "quick", "--schedule=0 0 1 1 *", "--image=docker.io/library/busybox:1"},
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			if v.twin != nil {
				s.kubectl(t, v.stdin, append(v.twin, "--dry-run=server")...).accepted(t)
			}
			a := s.kubectl(t, v.stdin, v.args...)
			if v.name == "debug a copy without its sidecar" {
				v.want = "ilp-secret-not-default"
			}
			if a.code == 0 {
				t.Errorf("got in; want a refusal for %q\nstdout: %s", v.want, a.stdout)
				return
			}
			if !strings.Contains(a.stderr, "denied the request") || !containsAny(a.stderr, strings.Split(v.want, "|")) {
				t.Errorf("got another refusal than for %q\n%s", v.want, a.stderr)
			}
		})
	}
	t.Run("a bad revision does not come back", func(t *testing.T) { badRevision(t, s) })
	t.Run("labels of a namespace keep the proxy out", func(t *testing.T) {
		s.c.kubectl(t, "", "label", "--overwrite", "namespace", s.ns, "istio-injection=disabled").accepted(t)
		defer s.c.kubectl(t, "", "label", "--overwrite", "namespace", s.ns, "istio-injection=enabled")
		eventually(t, "a pod without a proxy to be refused", func(ctx context.Context) (bool, string) {
			err := s.c.client.Create(ctx, s.pod("bare"), client.DryRunAll)
			return err != nil && strings.Contains(err.Error(), "mtls-in-mesh"), fmt.Sprint(err)
		})
	})
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// badRevision makes a Deployment with a bad revision while nobody enforces, and
// then tries to get its pods back.
func badRevision(t *testing.T, s *scheme) {
	s.c.setMode(t, s.ns, "")
	bad := s.deployment(s.SDK1)
	bad.Name = "history"
	bad.Spec.Replicas = new(int32(0))
	sel := map[string]string{"history": "yes"}
	bad.Spec.Selector = &metav1.LabelSelector{MatchLabels: sel}
	metav1.SetMetaDataLabel(&bad.Spec.Template.ObjectMeta, "history", "yes")
	good := bad.DeepCopy()
	bad.Spec.Template.Labels["sidecar.istio.io/inject"] = "false"
	s.c.create(t, bad)
	rs := func() []string {
		out := s.kubectl(t, "", "get", "rs", "-l", "history=yes", "-o", "name").stdout
		return strings.Fields(out)
	}
	eventually(t, "the first ReplicaSet", func(context.Context) (bool, string) { return len(rs()) == 1, fmt.Sprint(rs()) })
	old := rs()[0]
	good.ResourceVersion = ""
	if err := s.c.client.Update(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second ReplicaSet", func(context.Context) (bool, string) { return len(rs()) == 2, fmt.Sprint(rs()) })
	s.c.setMode(t, s.ns, "enforce")
	s.settle()
	s.kubectl(t, "", "rollout", "undo", "deployment/history").refused(t, 1, "mtls-in-mesh")
	// Scaling changes no template, so it passes; the pods do not get in.
	s.kubectl(t, "", "scale", old, "--replicas=1").accepted(t)
	eventually(t, "the pod of the old ReplicaSet to be refused", func(context.Context) (bool, string) {
		out := s.kubectl(t, "", "get", "events", "--field-selector", "reason=FailedCreate", "-o", "jsonpath={.items[*].message}").stdout
		return strings.Contains(out, "mtls-in-mesh"), out
	})
	if got := s.pods(sel); len(got) > 0 {
		t.Errorf("got pod %s of a bad template", got[0].Name)
	}
	s.kubectl(t, "", "delete", "deployment", "history", "--wait=false").accepted(t)
}
