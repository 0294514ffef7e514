package istio

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
)

// The answers of the two that validate Istio's objects.
const (
	refusedByUs    = `admission webhook "enforce.mojasec.io" denied`
	refusedByIstio = `admission webhook "validation.istio.io" denied`
)

// runWorkloads rolls out the workloads of a scheme and returns when the webhook
// knows that they run.
func (c *cluster) runWorkloads(t *testing.T, s *scheme) {
	t.Helper()
	for _, d := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
		if err := c.client.Create(t.Context(), fixtures.In(s.ns, d)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
		c.must(t, "", "rollout", "status", "-n", s.ns, "deployment/"+d.Name, "--timeout=30s")
	}
	eventually(t, "the webhook to know the workloads of "+s.ns, func(context.Context) (bool, string) {
		a := c.kubectl(t, fmt.Sprintf(policy, "STRICT", "DISABLE"), "apply", "-n", s.ns, "--dry-run=server", "-f", "-")
		return strings.Contains(a.stderr, refusedByUs), a.stdout + a.stderr
	})
}

// Objects with a good and a bad value for each of the two.
const (
	policy = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: sdk}
spec:
  selector: {matchLabels: {component: sdk-scheme-adapter}}
  mtls: {mode: %s}
  portLevelMtls: {4000: {mode: %s}}
`
	rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hub}
spec:
  host: quoting-service-handler
  trafficPolicy: {tls: {mode: %s}, connectionPool: {tcp: {maxConnections: %s}}}
`
	gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: outside}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: ["%[2]s"]
      tls: {mode: %[1]s, credentialName: outside-tls, minProtocolVersion: TLSV1_2}
`
)

// TestValidationTogether applies objects that one, both or none of Istio and us
// refuse: neither hides the answer of the other.
func TestValidationTogether(t *testing.T) {
	s := world.newScheme(t, enforcedInMesh)
	world.runWorkloads(t, s)
	for _, tt := range []struct {
		name, object string
		ours, istio  bool
	}{
		{name: "policy", object: fmt.Sprintf(policy, "STRICT", "STRICT")},
		{name: "policy that is weak", object: fmt.Sprintf(policy, "PERMISSIVE", "STRICT"), ours: true},
		{name: "policy that is weak on a port", object: fmt.Sprintf(policy, "STRICT", "DISABLE"), ours: true},
		{name: "rule", object: fmt.Sprintf(rule, "ISTIO_MUTUAL", "10")},
		{name: "rule that is weak", object: fmt.Sprintf(rule, "DISABLE", "10"), ours: true},
		{name: "rule that is invalid", object: fmt.Sprintf(rule, "ISTIO_MUTUAL", "-1"), istio: true},
		{name: "rule that is both", object: fmt.Sprintf(rule, "DISABLE", "-1"), ours: true, istio: true},
		{name: "gateway", object: fmt.Sprintf(gateway, "MUTUAL", "scheme.example.org")},
		{name: "gateway that is weak", object: fmt.Sprintf(gateway, "SIMPLE", "scheme.example.org"), ours: true},
		{name: "gateway that is invalid", object: fmt.Sprintf(gateway, "MUTUAL", "not a host"), istio: true},
		{name: "gateway that is both", object: fmt.Sprintf(gateway, "SIMPLE", "not a host"), ours: true, istio: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := world.reviews(t)
			a := world.kubectl(t, tt.object, "apply", "-n", s.ns, "-f", "-")
			if got, want := a.code == 0, !tt.ours && !tt.istio; got != want {
				t.Errorf("accepted: got %t, want %t\n%s", got, want, a.stderr)
			}
			ours, istio := strings.Contains(a.stderr, refusedByUs), strings.Contains(a.stderr, refusedByIstio)
			if ours && !tt.ours || istio && !tt.istio || (tt.ours || tt.istio) && !ours && !istio {
				t.Errorf("got a refusal by us: %t, by Istio: %t; want %t and %t\n%s", ours, istio, tt.ours, tt.istio, a.stderr)
			}
			decision := "validate allowed"
			if tt.ours {
				decision = "validate denied"
			}
			// The API server shows one refusal of several: the count tells ours.
			if got := since(before, world.reviews(t)); got[decision] != 1 {
				t.Errorf("got the answers %v, want one %q", got, decision)
			}
		})
	}
}

// TestMeshRootChurn watches istiod renew its leases, which are ConfigMaps: none
// of it is sent to us. What the mesh reads of its ConfigMap is.
func TestMeshRootChurn(t *testing.T) {
	before := world.reviews(t)
	seen := map[string]bool{}
	eventually(t, "istiod to renew its leases", func(context.Context) (bool, string) {
		versions := world.must(t, "", "get", "configmaps,leases", "-n", meshRoot, "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name}@{.metadata.resourceVersion}{"\n"}{end}`)
		for v := range strings.FieldsSeq(versions) {
			seen[v] = true
		}
		return len(seen) >= 4+len(strings.Fields(versions)), fmt.Sprintf("%d versions", len(seen))
	})
	if got := since(before, world.reviews(t)); len(got) > 0 {
		t.Errorf("got the reviews %v while only istiod wrote, want none", got)
	}
	world.must(t, "", "annotate", "configmap", "istio", "-n", meshRoot, "example.org/note=x")
	if got := since(before, world.reviews(t)); got["validate allowed"] != 1 {
		t.Errorf("got the reviews %v after a write of the mesh config, want one: else this test proves nothing", got)
	}
	world.must(t, "", "annotate", "configmap", "istio", "-n", meshRoot, "example.org/note-")

	// istiod writes into protected namespaces too.
	s := world.newScheme(t, enforcedInMesh)
	world.must(t, "", "delete", "configmap", "istio-ca-root-cert", "-n", s.ns)
	eventually(t, "istiod to write its root certificate again", func(context.Context) (bool, string) {
		a := world.kubectl(t, "", "get", "configmap", "istio-ca-root-cert", "-n", s.ns)
		return a.code == 0, a.stderr
	})
}

// TestHardCase01IstioUpgrade upgrades Istio while our webhook is down: it comes
// back without us, and with us everything is as before.
func TestHardCase01IstioUpgrade(t *testing.T) {
	s := world.newScheme(t, enforcedInMesh)
	world.runWorkloads(t, s)
	if err := world.webhook.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Run("down", func(t *testing.T) {
		if err := world.ControlPlane.RestartIstio(t.Context()); err != nil {
			t.Fatal(err)
		}
		world.must(t, "", "delete", "pods", "--all", "-n", meshRoot)
		world.must(t, "", "rollout", "restart", "-n", meshRoot, "deployment/istiod")
		world.must(t, "", "rollout", "status", "-n", meshRoot, "deployment/istiod", "--timeout=60s")
		world.must(t, "", "annotate", "configmap", "istio", "-n", meshRoot, "example.org/upgraded=yes")
		world.must(t, fmt.Sprintf(policy, "STRICT", "STRICT"), "apply", "-n", meshRoot, "-f", "-")
		world.must(t, "", "delete", "-n", meshRoot, "peerauthentication", "sdk")
		a := world.kubectl(t, s.yaml(t, s.pod("unchecked")), "apply", "-f", "-")
		if a.code == 0 || !strings.Contains(a.stderr, "failed calling webhook") {
			t.Errorf("got %q, want no pod that nobody has checked", a.stdout+a.stderr)
		}
	})
	if err := world.startReplicas(t.Context()); err != nil {
		t.Fatal(err)
	}
	world.settle(t, s)
	world.must(t, "", "rollout", "restart", "-n", s.ns, "deployment/"+s.SDK1.Name)
	world.must(t, "", "rollout", "status", "-n", s.ns, "deployment/"+s.SDK1.Name, "--timeout=30s")
	pod := s.pod("checked")
	bare(&pod.Spec)
	if err := world.client.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	protected(t, pod)
}
