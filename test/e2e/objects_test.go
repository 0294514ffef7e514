package e2e

import (
	"strings"
	"testing"

	istionetworking "istio.io/api/networking/v1alpha3"
	istiosecurity "istio.io/api/security/v1beta1"
	istiotype "istio.io/api/type/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/test/fixtures"
)

// objectVector changes something that workloads depend upon.
type objectVector struct {
	name string
	// want is the check that refuses it.
	want string
	// object is what is applied, made of a copy of the scheme.
	object func(*fixtures.Scheme) runtime.Object
	// twin differs from it in the one thing, and gets in.
	twin func(*fixtures.Scheme) runtime.Object
	// warns tells that it is only warned about: what no change of one object
	// can keep, such as a new key that is signed with or published first.
	warns bool
}

func mtls(mode istiosecurity.PeerAuthentication_MutualTLS_Mode) *istiosecurity.PeerAuthentication_MutualTLS {
	return &istiosecurity.PeerAuthentication_MutualTLS{Mode: mode}
}

func clientTLS(mode istionetworking.ClientTLSSettings_TLSmode) *istionetworking.ClientTLSSettings {
	return &istionetworking.ClientTLSSettings{Mode: mode}
}

// yamlObject is an object as somebody would type it.
func yamlObject(text string) func(*fixtures.Scheme) runtime.Object {
	return func(*fixtures.Scheme) runtime.Object { return mustParse(text) }
}

func objectVectors() []objectVector {
	const (
		permissive = istiosecurity.PeerAuthentication_MutualTLS_PERMISSIVE
		strict     = istiosecurity.PeerAuthentication_MutualTLS_STRICT
	)
	peerAuth := func(tweak func(*istiosecurity.PeerAuthentication)) func(*fixtures.Scheme) runtime.Object {
		return func(s *fixtures.Scheme) runtime.Object { tweak(&s.PeerAuth.Spec); return s.PeerAuth }
	}
	workload := func(tweak func(*istiosecurity.PeerAuthentication)) func(*fixtures.Scheme) runtime.Object {
		return func(s *fixtures.Scheme) runtime.Object {
			p := s.PeerAuth.DeepCopy()
			p.Name = "workload"
			p.Spec.Selector = &istiotype.WorkloadSelector{MatchLabels: map[string]string{"dfsp": fixtures.DFSP1}}
			tweak(&p.Spec)
			return p
		}
	}
	rule := func(tweak func(*istionetworking.DestinationRule)) func(*fixtures.Scheme) runtime.Object {
		return func(s *fixtures.Scheme) runtime.Object { tweak(&s.DestinationRule.Spec); return s.DestinationRule }
	}
	strictWorkload := workload(func(p *istiosecurity.PeerAuthentication) { p.Mtls = mtls(strict) })
	mutualRule := rule(func(r *istionetworking.DestinationRule) {
		r.TrafficPolicy = &istionetworking.TrafficPolicy{Tls: clientTLS(istionetworking.ClientTLSSettings_ISTIO_MUTUAL)}
	})
	sameSecret := func(s *fixtures.Scheme) runtime.Object { return s.ILP1 }
	sameKeys := func(s *fixtures.Scheme) runtime.Object { return s.VerificationKeys }
	return []objectVector{
		{
			name: "PERMISSIVE in the namespace", want: "mtls-strict", object: peerAuth(func(p *istiosecurity.PeerAuthentication) { p.Mtls = mtls(permissive) }),
			twin: peerAuth(func(*istiosecurity.PeerAuthentication) {}),
		},
		{name: "DISABLE in the namespace", want: "mtls-strict", object: peerAuth(func(p *istiosecurity.PeerAuthentication) {
			p.Mtls = mtls(istiosecurity.PeerAuthentication_MutualTLS_DISABLE)
		})},
		{name: "UNSET in the namespace", want: "mtls-strict", object: peerAuth(func(p *istiosecurity.PeerAuthentication) {
			p.Mtls = mtls(istiosecurity.PeerAuthentication_MutualTLS_UNSET)
		})},
		{name: "an empty spec in the namespace", want: "mtls-strict", object: peerAuth(func(p *istiosecurity.PeerAuthentication) { p.Mtls = nil })},
		{name: "the policy moves to one workload", want: "mtls-strict", object: peerAuth(func(p *istiosecurity.PeerAuthentication) {
			p.Selector = &istiotype.WorkloadSelector{MatchLabels: map[string]string{"dfsp": fixtures.DFSP1}}
		})},
		{name: "PERMISSIVE for a workload", want: "mtls-strict", object: workload(func(p *istiosecurity.PeerAuthentication) { p.Mtls = mtls(permissive) }), twin: strictWorkload},
		{name: "DISABLE for a port of a workload", want: "mtls-strict", object: workload(func(p *istiosecurity.PeerAuthentication) {
			p.Mtls = mtls(strict)
			p.PortLevelMtls = map[uint32]*istiosecurity.PeerAuthentication_MutualTLS{4000: mtls(istiosecurity.PeerAuthentication_MutualTLS_DISABLE)}
		}), twin: strictWorkload},
		{name: "PERMISSIVE in an older version of the API", want: "mtls-strict", object: yamlObject(`
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata: {name: workload, namespace: mojaloop}
spec: {selector: {matchLabels: {dfsp: perffsp-1}}, mtls: {mode: PERMISSIVE}}
`), twin: strictWorkload},

		{name: "DISABLE for callers", want: "mtls-client-tls", object: rule(func(r *istionetworking.DestinationRule) {
			r.TrafficPolicy.Tls = clientTLS(istionetworking.ClientTLSSettings_DISABLE)
		}), twin: mutualRule},
		{name: "SIMPLE for callers of a port", want: "mtls-client-tls", object: rule(func(r *istionetworking.DestinationRule) {
			r.TrafficPolicy = &istionetworking.TrafficPolicy{PortLevelSettings: []*istionetworking.TrafficPolicy_PortTrafficPolicy{{
				Port: &istionetworking.PortSelector{Number: 80}, Tls: clientTLS(istionetworking.ClientTLSSettings_SIMPLE),
			}}}
		}), twin: mutualRule},
		{name: "DISABLE for callers of a subset", want: "mtls-client-tls", object: rule(func(r *istionetworking.DestinationRule) {
			r.TrafficPolicy = nil
			r.Subsets = []*istionetworking.Subset{{Name: "v1", TrafficPolicy: &istionetworking.TrafficPolicy{Tls: clientTLS(istionetworking.ClientTLSSettings_DISABLE)}}}
		}), twin: mutualRule},
		{name: "DISABLE for callers of every host", want: "mtls-client-tls", object: rule(func(r *istionetworking.DestinationRule) {
			r.Host = "*.local"
			r.TrafficPolicy.Tls = clientTLS(istionetworking.ClientTLSSettings_DISABLE)
		}), twin: mutualRule},
		{name: "DISABLE in an older version of the API", want: "mtls-client-tls", object: yamlObject(`
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: old, namespace: mojaloop}
spec: {host: quoting-service-handler, trafficPolicy: {tls: {mode: DISABLE}}}
`)},
		{name: "DISABLE for callers of a host in capitals", want: "mtls-client-tls", object: yamlObject(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: capitals, namespace: mojaloop}
spec: {host: Quoting-Service-Handler, trafficPolicy: {tls: {mode: DISABLE}}}
`)},
		{name: "callers that check nobody", want: "mtls-client-tls", object: yamlObject(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: anybody, namespace: mojaloop}
spec: {host: quoting-service-handler, trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /a, privateKey: /b, insecureSkipVerify: true}}}
`)},
		{name: "DISABLE from the mesh root namespace", want: "mtls-client-tls", object: yamlObject(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: everywhere, namespace: istio-system}
spec: {host: "*.mojaloop.svc.cluster.local", trafficPolicy: {tls: {mode: DISABLE}}}
`), twin: yamlObject(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: everywhere, namespace: istio-system}
spec: {host: "*.mojaloop.svc.cluster.local", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`)},

		{name: "SIMPLE at the gateway", want: "mtls-gateway-mutual", object: func(s *fixtures.Scheme) runtime.Object {
			s.Gateway.Spec.Servers[0].Tls.Mode = istionetworking.ServerTLSSettings_SIMPLE
			return s.Gateway
		}, twin: func(s *fixtures.Scheme) runtime.Object { return s.Gateway }},
		{name: "plain HTTP at the gateway", want: "mtls-gateway-mutual", object: func(s *fixtures.Scheme) runtime.Object {
			s.Gateway.Spec.Servers = append(s.Gateway.Spec.Servers, &istionetworking.Server{
				Hosts: []string{"*"}, Port: &istionetworking.Port{Number: 80, Name: "http", Protocol: "HTTP"},
			})
			return s.Gateway
		}},
		{name: "a filter that takes the chain away", want: "mtls-no-bypass", object: yamlObject(`
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: plain, namespace: mojaloop}
spec:
  configPatches:
  - applyTo: FILTER_CHAIN
    match: {context: SIDECAR_INBOUND}
    patch: {operation: REMOVE}
`)},
		{name: "a filter that adds a chain for all the rest", want: "mtls-no-bypass", object: yamlObject(`
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: rest, namespace: mojaloop}
spec:
  configPatches:
  - applyTo: LISTENER
    match: {context: SIDECAR_INBOUND}
    patch: {operation: MERGE, value: {default_filter_chain: {filters: [{name: tcp}]}}}
`)},
		{name: "a filter for the whole mesh", want: "mtls-no-bypass", object: yamlObject(`
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: plain, namespace: istio-system}
spec:
  configPatches:
  - applyTo: FILTER_CHAIN
    match: {context: SIDECAR_INBOUND}
    patch: {operation: REMOVE}
`)},
		{name: "auto mTLS off in the mesh config", want: "mtls-auto", object: func(s *fixtures.Scheme) runtime.Object {
			s.MeshConfig.Data["mesh"] = strings.Replace(s.MeshConfig.Data["mesh"], "true", "false", 1)
			return s.MeshConfig
		}, twin: func(s *fixtures.Scheme) runtime.Object { return s.MeshConfig }},

		{name: "published secret in a new ConfigMap", want: "ilp-secret-not-default", object: func(*fixtures.Scheme) runtime.Object {
			return configMap("flags", map[string]string{"ILP_SECRET": fixtures.PublishedILPDefault})
		}},
		{name: "published secret in the Secret", want: "ilp-secret-not-default", object: func(s *fixtures.Scheme) runtime.Object {
			s.ILP1.Data["ILP_SECRET"] = []byte(" " + fixtures.PublishedILPDefault + "\n")
			return s.ILP1
		}, twin: sameSecret},
		{name: "the secret of another DFSP", want: "ilp-secret-unique", object: func(s *fixtures.Scheme) runtime.Object {
			s.ILP1.Data = s.ILP2.Data
			return s.ILP1
		}, twin: sameSecret},
		{name: "the secret's key renamed", want: "ilp-secret-set", object: func(s *fixtures.Scheme) runtime.Object {
			s.ILP1.Data = map[string][]byte{"secret": []byte(fixtures.RandomSecret())}
			return s.ILP1
		}, twin: sameSecret},
		{name: "the key of another DFSP", want: "jws-key-unique", object: func(s *fixtures.Scheme) runtime.Object {
			s.JWS1.Data = s.JWS2.Data
			return s.JWS1
		}},
		{name: "a key that nobody knows", warns: true, want: "jws-key-pair-match", object: func(s *fixtures.Scheme) runtime.Object {
			s.JWS1.Data["jwsSigningKey.pem"] = fixtures.NewKeyPair().Private
			return s.JWS1
		}, twin: func(s *fixtures.Scheme) runtime.Object { return s.JWS1 }},
		{name: "a public key in place of the private one", want: "jws-key-usable", object: func(s *fixtures.Scheme) runtime.Object {
			s.JWS1.Data["jwsSigningKey.pem"] = []byte(s.VerificationKeys.Data[fixtures.DFSP1+".pem"])
			return s.JWS1
		}},
		{name: "a peer's key taken away", warns: true, want: "jws-verification-keys-mounted", object: func(s *fixtures.Scheme) runtime.Object {
			delete(s.VerificationKeys.Data, fixtures.DFSP2+".pem")
			return s.VerificationKeys
		}, twin: sameKeys},
		{name: "a peer's key replaced", warns: true, want: "jws-key-pair-match", object: func(s *fixtures.Scheme) runtime.Object {
			s.VerificationKeys.Data[fixtures.DFSP2+".pem"] = string(fixtures.NewKeyPair().Public)
			return s.VerificationKeys
		}, twin: sameKeys},
		{name: "a private key among the public ones", want: "private-key-in-clear", object: func(s *fixtures.Scheme) runtime.Object {
			s.VerificationKeys.Data["backup"] = string(fixtures.NewKeyPair().Private)
			return s.VerificationKeys
		}, twin: sameKeys},
		{name: "a private key in binary data", want: "private-key-in-clear", object: func(*fixtures.Scheme) runtime.Object {
			m := configMap("blob", nil)
			m.BinaryData = map[string][]byte{"blob": fixtures.NewKeyPair().Private}
			return m
		}},
		{name: "the hub stops signing", want: "jws-signing-enabled", object: func(s *fixtures.Scheme) runtime.Object {
			s.HubConfig.Data["default.json"] = strings.Replace(s.HubConfig.Data["default.json"], `"JWS_SIGN":true`, `"JWS_SIGN":false`, 1)
			return s.HubConfig
		}, twin: func(s *fixtures.Scheme) runtime.Object { return s.HubConfig }},
		{name: "the peers' keys as a Secret too", want: "jws-verification-keys-mounted", object: func(s *fixtures.Scheme) runtime.Object {
			return secret(s.VerificationKeys.Name, s.VerificationKeys.Data)
		}},
	}
}

// objectsAround applies each object with kubectl: it is refused, and the twin
// is not.
func objectsAround(t *testing.T, s *scheme) {
	for _, v := range objectVectors() {
		t.Run(v.name, func(t *testing.T) {
			if v.twin != nil {
				s.c.kubectl(t, s.yaml(v.twin(s.copy())), "apply", "--dry-run=server", "-f", "-").accepted(t)
			}
			if v.warns {
				a := s.c.kubectl(t, s.yaml(v.object(s.copy())), "apply", "--dry-run=server", "-f", "-")
				a.accepted(t)
				a.warned(t, v.want)
				return
			}
			a := s.c.kubectl(t, s.yaml(v.object(s.copy())), "apply", "-f", "-")
			a.refused(t, 1, v.want)
			if a.code == 0 { // what is weak must not stay for the others
				s.restore(t, v.object(s.copy()))
			}
			for _, word := range []string{"PRIVATE KEY", fixtures.PublishedILPDefault} {
				// Before it, kubectl repeats what it was given.
				_, message, _ := strings.Cut(a.stderr, "denied the request")
				if strings.Contains(message, word) {
					t.Errorf("got %q in the message\n%s", word, message)
				}
			}
		})
	}
	t.Run("messages name fingerprints, not keys", func(t *testing.T) {
		pair := fixtures.NewKeyPair()
		c := s.copy()
		c.JWS1.Data["jwsSigningKey.pem"] = pair.Private
		a := s.kubectl(t, s.yaml(c.JWS1), "apply", "--dry-run=server", "-f", "-")
		a.warned(t, "jws-key-pair-match")
		if want := crypto.Fingerprint(pair.Fingerprint).Short(); !strings.Contains(a.stderr, want) {
			t.Errorf("got %q, want the fingerprint %s in it", a.stderr, want)
		}
	})
}
