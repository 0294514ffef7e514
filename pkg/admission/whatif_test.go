package admission_test

import (
	"fmt"
	"strings"
	"testing"

	istionetworking "istio.io/api/networking/v1alpha3"
	istiosecurity "istio.io/api/security/v1beta1"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestWhatIf: a change that would make a workload unsafe that is there is
// refused and names it; one that would not, or that makes nothing worse, passes.
func TestWhatIf(t *testing.T) {
	t.Parallel()
	const permissive = istiosecurity.PeerAuthentication_MutualTLS_PERMISSIVE
	s := fixtures.NewScheme()
	auth := s.PeerAuth.DeepCopy()
	auth.Spec.Mtls = &istiosecurity.PeerAuthentication_MutualTLS{Mode: permissive}
	unset := s.PeerAuth.DeepCopy()
	unset.Spec.Mtls = nil
	root := auth.DeepCopy()
	root.Namespace, root.Name = "istio-system", "mesh"
	port := s.PeerAuth.DeepCopy()
	port.Name = "one-port"
	port.Spec.Selector = nil
	port.Spec.PortLevelMtls = nil
	labelled := s.PeerAuth.DeepCopy()
	labelled.Finalizers = []string{"a/b"}
	plain := s.DestinationRule.DeepCopy()
	plain.Spec.TrafficPolicy = &istionetworking.TrafficPolicy{Tls: &istionetworking.ClientTLSSettings{Mode: istionetworking.ClientTLSSettings_DISABLE}}
	leaked := s.ILP1.DeepCopy()
	leaked.Data["ILP_SECRET"] = []byte(fixtures.PublishedILPDefault)
	shared := s.ILP1.DeepCopy()
	shared.Data["ILP_SECRET"] = s.ILP2.Data["ILP_SECRET"]
	fresh := s.ILP1.DeepCopy()
	fresh.Data["ILP_SECRET"] = []byte(fixtures.RandomSecret())
	annotated := s.ILP1.DeepCopy()
	annotated.Annotations = map[string]string{"a": "b"}
	broken := s.JWS1.DeepCopy()
	broken.Data["jwsSigningKey.pem"] = []byte("no key")
	rotated := s.JWS1.DeepCopy()
	rotated.Data["jwsSigningKey.pem"] = fixtures.NewKeyPair().Private
	withdrawn := s.VerificationKeys.DeepCopy()
	delete(withdrawn.Data, "perffsp-1.pem")
	other := &corev1.ConfigMap{TypeMeta: s.MeshConfig.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: fixtures.Namespace}, Data: map[string]string{"a": "b"}}

	tests := []struct {
		name string
		req  *admissionv1.AdmissionRequest
		want []string // of the refusal; empty when it passes
		warn string
	}{
		{"STRICT to PERMISSIVE", update(t, auth, s.PeerAuth), []string{"mtls-strict", "Deployment mojaloop/perffsp-1-sdk", "Deployment mojaloop/perffsp-2-sdk", "fix: "}, ""},
		{"STRICT to UNSET", update(t, unset, s.PeerAuth), []string{"mtls-strict"}, ""},
		{"delete STRICT", remove(t, s.PeerAuth), []string{"mtls-strict", "Deployment mojaloop/perffsp-1-sdk"}, ""},
		{"finalizer of STRICT", update(t, labelled, s.PeerAuth), nil, ""},
		{"another STRICT", create(t, port), nil, ""},
		{"mesh-wide PERMISSIVE below a STRICT namespace", create(t, root), nil, ""},
		{"plain text by DestinationRule", update(t, plain, s.DestinationRule), []string{"mtls-client-tls"}, ""},
		{"delete a DestinationRule", remove(t, s.DestinationRule), nil, ""},
		{"default into a Secret", update(t, leaked, s.ILP1), []string{"ilp-secret-not-default", "Deployment mojaloop/perffsp-1-sdk"}, ""},
		{"secret of another DFSP", update(t, shared, s.ILP1), []string{"ilp-secret-unique"}, ""},
		{"new secret", update(t, fresh, s.ILP1), nil, ""},
		{"annotation", update(t, annotated, s.ILP1), nil, ""},
		{"delete a Secret in use", remove(t, s.ILP1), []string{"ilp-secret-set", "Deployment mojaloop/perffsp-1-sdk"}, ""},
		{"unusable key", update(t, broken, s.JWS1), []string{"jws-key-usable"}, ""},
		{"a new key before it is published", update(t, rotated, s.JWS1), nil, "jws-key-pair-match"},
		{"a key withdrawn from peers", update(t, withdrawn, s.VerificationKeys), nil, "jws-verification-keys-mounted"},
		{"another ConfigMap", create(t, other), nil, ""},
		{"delete a NetworkPolicy", remove(t, s.NetworkPolicy), nil, "dfsp-isolated"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scheme(func(n *fixtures.Scheme) { *n = *s })
			d := open(t, c)
			r := d.ask("/validate", test.req)
			if len(test.want) > 0 {
				wantRefused(t, r, test.want...)
				for _, secret := range [][]byte{s.ILP1.Data["ILP_SECRET"], s.ILP2.Data["ILP_SECRET"], []byte("PRIVATE KEY")} {
					if strings.Contains(message(r), string(secret)) {
						t.Errorf("the refusal shows a secret: %s", message(r))
					}
				}
				r = d.ask("/validate/warn", test.req)
				wantAllowed(t, r)
				wantWarning(t, r, test.want[0])
				return
			}
			wantAllowed(t, r)
			if test.warn != "" && test.warn != "dfsp-isolated" {
				wantWarning(t, r, test.warn)
			}
		})
	}
}

// TestWhatIfLetsGo: what nobody needs any more can be deleted, a namespace comes
// to its end, and what was wrong before may stay as wrong as it was.
func TestWhatIfLetsGo(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	wantRefused(t, d.ask("/validate", remove(t, s.PeerAuth)))
	ending := s.Namespace.DeepCopy()
	ending.DeletionTimestamp = &metav1.Time{Time: fixtures.Now}
	c.apply(ending)
	for _, obj := range []runtime.Object{s.PeerAuth, s.ILP1, s.JWS1, s.VerificationKeys} {
		wantAllowed(t, d.ask("/validate", remove(t, obj)))
	}

	c, s = scheme()
	c.snap = c.snap.Apply(policy.Update{Gone: []policy.Ref{policy.RefOf(s.SDK1), policy.RefOf(s.SDK2), policy.RefOf(s.HubDeployment)}})
	d = open(t, c)
	for _, obj := range []runtime.Object{s.PeerAuth, s.ILP1, s.JWS1, s.VerificationKeys} {
		wantAllowed(t, d.ask("/validate", remove(t, obj)))
	}

	const permissive, disable = istiosecurity.PeerAuthentication_MutualTLS_PERMISSIVE, istiosecurity.PeerAuthentication_MutualTLS_DISABLE
	c, s = scheme(func(s *fixtures.Scheme) { s.PeerAuth.Spec.Mtls.Mode = disable })
	better := s.PeerAuth.DeepCopy()
	better.Spec.Mtls.Mode = permissive
	wantAllowed(t, open(t, c).ask("/validate", update(t, better, s.PeerAuth)))
}

// TestWhatIfBoundsNames: a refusal names some workloads and counts the others.
func TestWhatIfBoundsNames(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	for i := range 30 {
		more := s.SDK1.DeepCopy()
		more.Name = fmt.Sprintf("sdk-%d", i)
		p := podOf(&more.Spec.Template, more.Name+"-x")
		c.apply(more, p)
	}
	r := open(t, c).ask("/validate", remove(t, s.PeerAuth))
	wantRefused(t, r, "and 23 more")
	if strings.Contains(message(r), "Pod ") {
		t.Errorf("names pods beside what makes them: %s", message(r))
	}
}

// TestWhatIfVirtualService: a Gateway in a namespace without mode that asks
// nobody for a certificate must not be opened to a Mojaloop service.
func TestWhatIfVirtualService(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	gateway := s.Gateway.DeepCopy()
	gateway.Namespace, gateway.Name = "ingress", "public"
	gateway.Spec.Servers[0].Tls.Mode = istionetworking.ServerTLSSettings_SIMPLE
	c.apply(gateway, &corev1.Namespace{TypeMeta: s.Namespace.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: "ingress"}})
	vs := &istionetworkingv1.VirtualService{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "VirtualService"}, ObjectMeta: metav1.ObjectMeta{Name: "open", Namespace: fixtures.Namespace},
		Spec: istionetworking.VirtualService{
			Hosts: []string{"interop.example.org"}, Gateways: []string{"ingress/public"},
			Http: []*istionetworking.HTTPRoute{{Route: []*istionetworking.HTTPRouteDestination{{Destination: &istionetworking.Destination{Host: "quoting-service-handler"}}}}},
		},
	}
	d := open(t, c)
	wantRefused(t, d.ask("/validate", create(t, vs)), "mtls-gateway-mutual", "Gateway ingress/public")
	elsewhere := vs.DeepCopy()
	elsewhere.Spec.Http[0].Route[0].Destination.Host = "web.other.svc.cluster.local"
	wantAllowed(t, d.ask("/validate", create(t, elsewhere)))
	wantAllowed(t, d.ask("/validate", remove(t, vs)))
}

// TestMeshRoot: what counts for the whole mesh is judged by the workloads of the
// whole mesh.
func TestMeshRoot(t *testing.T) {
	t.Parallel()
	c, s := scheme(func(s *fixtures.Scheme) { s.PeerAuth.Namespace = "istio-system" })
	d := open(t, c)
	wantRefused(t, d.ask("/validate", remove(t, s.PeerAuth)), "mtls-strict", "Deployment mojaloop/perffsp-1-sdk")
	// A rule of the root namespace is one for every client in the mesh.
	plain := s.DestinationRule.DeepCopy()
	plain.Namespace = "istio-system"
	plain.Spec.TrafficPolicy.Tls.Mode = istionetworking.ClientTLSSettings_DISABLE
	wantRefused(t, d.ask("/validate", create(t, plain)), "mtls-client-tls")
	off := s.MeshConfig.DeepCopy()
	off.Data["mesh"] = strings.Replace(off.Data["mesh"], "enableAutoMtls: true", "enableAutoMtls: false", 1)
	wantRefused(t, d.ask("/validate", update(t, off, s.MeshConfig)), "mtls-auto")
}
