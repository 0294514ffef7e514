package policy

import (
	"fmt"

	istionetworking "istio.io/api/networking/v1alpha3"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// mtls-min-version: the mesh config asks for TLS 1.3
// (meshMTLS.minProtocolVersion), servers of Gateways for at least 1.2.
var checkMTLSMinVersion = Check{
	ID: "mtls-min-version", Category: CategoryMTLS, Severity: Warning,
	Title: "workloads speak TLS 1.3, gateways at least 1.2",
	Fix:   "set `meshMTLS: {minProtocolVersion: TLSV1_3}` in the mesh config; on a Gateway server `tls: {minProtocolVersion: TLSV1_2}`",
	Doc: `Between workloads both ends are Istio's proxies, so nothing speaks against TLS 1.3:
` + "`meshConfig.meshMTLS.minProtocolVersion: TLSV1_3`" + ` (Istio's default is 1.2). At a Gateway the other end
is somebody else's: at least 1.2, which is also Istio's default there. A DestinationRule has no such
field: the API server refuses it, older clients drop it silently (check ` + "`istio-known-fields`" + `).`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if snap.noMesh() {
			return notApplicable
		}
		switch o := sub.Object.(type) {
		case *istionetworkingv1.Gateway:
			return gatewayVersions(o)
		case *corev1.ConfigMap:
			if sub.Ref == snap.mesh.configRef {
				if snap.mesh.bad {
					return failed(Violation{Field: field.NewPath("data", "mesh"), Detail: "the mesh config cannot be read as YAML"})
				}
				return meshVersion(snap.mesh.config)
			}
			return notApplicable
		}
		if sub.Workload == nil || !sub.Workload.Role.Mojaloop() || snap.mesh.config != nil {
			return notApplicable // the mesh config is judged itself
		}
		if snap.incomplete(FactMeshConfig) {
			return unknown(Fact{Kind: FactMeshConfig})
		}
		return notApplicable
	},
}

func meshVersion(cfg *MeshConfig) Result {
	v := cfg.MeshMTLS.MinProtocolVersion
	if v == "TLSV1_3" {
		return passed()
	}
	if v == "" {
		v = "not set (Istio's default is TLS 1.2)"
	}
	return failed(Violation{Field: field.NewPath("data", "mesh"), Detail: fmt.Sprintf("meshMTLS.minProtocolVersion is %s; want TLSV1_3", v)})
}

func gatewayVersions(g *istionetworkingv1.Gateway) Result {
	var found []Violation
	applies := false
	for i, server := range g.Spec.Servers {
		if server.GetTls() == nil {
			continue
		}
		applies = true
		v := server.GetTls().GetMinProtocolVersion()
		if v == istionetworking.ServerTLSSettings_TLSV1_0 || v == istionetworking.ServerTLSSettings_TLSV1_1 {
			found = append(found, Violation{
				Field:  field.NewPath("spec", "servers").Index(i).Child("tls", "minProtocolVersion"),
				Detail: fmt.Sprintf("the server on port %d accepts %s; want at least TLSV1_2", server.GetPort().GetNumber(), v),
			})
		}
	}
	if !applies {
		return notApplicable
	}
	return failedOrPassed(found)
}
