package policy

import (
	"fmt"
	"slices"
	"strings"

	istionetworking "istio.io/api/networking/v1alpha3"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// mtls-gateway-mutual: TLS servers of a Gateway in a protected namespace, or of
// one that a VirtualService binds to a Mojaloop service, are MUTUAL or
// ISTIO_MUTUAL, unless the Profile lists the Gateway as public.
var checkMTLSGatewayMutual = Check{
	ID: "mtls-gateway-mutual", Category: CategoryMTLS, Severity: Error,
	Title: "gateways ask DFSPs for their certificate",
	Fix:   "set `tls: {mode: MUTUAL, credentialName: …}` on the server; list a Gateway that is meant for everybody in the Profile (spec.publicGateways)",
	Doc: `At the edge of the scheme a DFSP proves who it is with its client certificate. A server with
` + "`mode: SIMPLE`" + ` lets anybody connect; with ` + "`PASSTHROUGH`" + ` it depends on what stands behind. Judged are
Gateways in namespaces with a mode label or with Mojaloop workloads, and Gateways anywhere that a
VirtualService binds to a Mojaloop service. Portals that are public by design are listed in
` + "`publicGateways`" + ` of the Profile.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		g, ok := sub.Object.(*istionetworkingv1.Gateway)
		if !ok || snap.profile.Mesh == "none" {
			return notApplicable
		}
		if slices.Contains(snap.profile.PublicGateways, v1alpha1.GatewayRef{Namespace: sub.Ref.Namespace, Name: sub.Ref.Name}) {
			return notApplicable
		}
		var found []Violation
		tls := false
		for i, server := range g.Spec.Servers {
			mode, isTLS := serverMode(server)
			if !isTLS {
				continue
			}
			tls = true
			switch mode {
			case istionetworking.ServerTLSSettings_MUTUAL, istionetworking.ServerTLSSettings_ISTIO_MUTUAL, istionetworking.ServerTLSSettings_AUTO_PASSTHROUGH:
			default:
				found = append(found, Violation{
					Field:  field.NewPath("spec", "servers").Index(i).Child("tls", "mode"),
					Detail: fmt.Sprintf("the server on port %d has tls mode %s; want MUTUAL", server.GetPort().GetNumber(), mode),
				})
			}
		}
		if !tls || !snap.protectsGateway(sub.Ref) {
			return notApplicable
		}
		return failedOrPassed(found)
	},
}

// serverMode returns the TLS mode of a server; false for plain HTTP (which a
// redirect needs).
func serverMode(s *istionetworking.Server) (istionetworking.ServerTLSSettings_TLSmode, bool) {
	protocol := strings.ToUpper(s.GetPort().GetProtocol())
	if s.GetTls() == nil {
		return istionetworking.ServerTLSSettings_SIMPLE, protocol == "HTTPS" || protocol == "TLS"
	}
	return s.GetTls().GetMode(), protocol != "HTTP"
}

// protectsGateway tells whether a Gateway leads to the scheme.
func (s *Snapshot) protectsGateway(ref Ref) bool {
	mode, presence := s.Mode(ref.Namespace)
	if presence != Present || mode != ModeNone || s.selectsMojaloop(ref.Namespace, nil) {
		return true
	}
	for _, sh := range s.shardsInOrder() {
		for _, vs := range sh.virtualServices {
			if bindsGateway(vs, ref) && s.routesToMojaloop(vs) {
				return true
			}
		}
	}
	return false
}

func bindsGateway(vs *istionetworkingv1.VirtualService, ref Ref) bool {
	return slices.ContainsFunc(vs.Spec.Gateways, func(name string) bool {
		if ns, n, ok := strings.Cut(name, "/"); ok {
			return ns == ref.Namespace && n == ref.Name
		}
		return vs.Namespace == ref.Namespace && name == ref.Name
	})
}

func (s *Snapshot) routesToMojaloop(vs *istionetworkingv1.VirtualService) bool {
	leads := func(d *istionetworking.Destination) bool {
		h, ok := s.parseHost(d.GetHost(), vs.Namespace)
		if !ok {
			return false
		}
		inMesh, presence := s.isInMesh(h)
		return inMesh || presence == Unknown
	}
	for _, r := range vs.Spec.Http {
		for _, d := range r.GetRoute() {
			if leads(d.GetDestination()) {
				return true
			}
		}
	}
	for _, r := range vs.Spec.Tls {
		for _, d := range r.GetRoute() {
			if leads(d.GetDestination()) {
				return true
			}
		}
	}
	for _, r := range vs.Spec.Tcp {
		for _, d := range r.GetRoute() {
			if leads(d.GetDestination()) {
				return true
			}
		}
	}
	return false
}
