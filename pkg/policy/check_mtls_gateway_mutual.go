package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	istionetworking "istio.io/api/networking/v1alpha3"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// mtls-gateway-mutual: servers of a Gateway in a protected namespace, or of
// one that a VirtualService binds to a Mojaloop service, are MUTUAL or
// ISTIO_MUTUAL, or redirect only, unless the Profile lists the Gateway as public.
var checkMTLSGatewayMutual = Check{
	ID: "mtls-gateway-mutual", Category: CategoryMTLS, Severity: Error,
	Title: "gateways ask DFSPs for their certificate",
	Fix:   "set `tls: {mode: MUTUAL, credentialName: …}` on the server; list a Gateway that is meant for everybody in the Profile (spec.publicGateways)",
	Doc: `At the edge of the scheme a DFSP proves who it is with its client certificate. A server with
` + "`mode: SIMPLE`" + ` lets anybody connect; with ` + "`PASSTHROUGH`" + ` it depends on what stands behind. A server without TLS
is a fault too, unless all it does is redirect (` + "`httpsRedirect: true`" + `). Judged are Gateways in namespaces with a mode label or with Mojaloop workloads, and Gateways anywhere that a
VirtualService binds to a Mojaloop service. Portals that are public by design are listed in
` + "`publicGateways`" + ` of the Profile.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		g, ok := sub.Object.(*istionetworkingv1.Gateway)
		if !ok || snap.noMesh() {
			return notApplicable
		}
		if slices.Contains(snap.profile.PublicGateways, v1alpha1.GatewayRef{Namespace: sub.Ref.Namespace, Name: sub.Ref.Name}) {
			return notApplicable
		}
		var found []Violation
		applies := false
		for i, server := range g.Spec.Servers {
			tls := server.GetTls()
			at := field.NewPath("spec", "servers").Index(i).Child("tls")
			if isPlain(server) {
				if tls.GetHttpsRedirect() {
					continue // answers with a redirect only
				}
				applies = true
				found = append(found, Violation{
					Field:  at,
					Detail: fmt.Sprintf("the server on port %d speaks %s without TLS; want HTTPS with tls mode MUTUAL, or httpsRedirect: true", server.GetPort().GetNumber(), server.GetPort().GetProtocol()),
				})
				continue
			}
			applies = true
			mode := tls.GetMode()
			if tls == nil {
				mode = istionetworking.ServerTLSSettings_SIMPLE // asks nobody for a certificate
			}
			switch mode {
			case istionetworking.ServerTLSSettings_MUTUAL, istionetworking.ServerTLSSettings_ISTIO_MUTUAL, istionetworking.ServerTLSSettings_AUTO_PASSTHROUGH:
			default:
				found = append(found, Violation{
					Field:  at.Child("mode"),
					Detail: fmt.Sprintf("the server on port %d has tls mode %s; want MUTUAL", server.GetPort().GetNumber(), mode),
				})
			}
		}
		if !applies || !snap.protectsGateway(sub.Ref) {
			return notApplicable
		}
		return failedOrPassed(found)
	},
}

// isPlain tells whether a server speaks without TLS: it has none, or its
// protocol is one for which Istio ignores it.
func isPlain(s *istionetworking.Server) bool {
	switch strings.ToUpper(s.GetPort().GetProtocol()) {
	case "HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB":
		return true
	case "HTTPS", "TLS":
		return false
	}
	return s.GetTls() == nil
}

// protectsGateway tells whether a Gateway leads to the scheme.
func (s *Snapshot) protectsGateway(ref Ref) bool {
	mode, presence := s.Mode(ref.Namespace)
	if presence != Present || mode != ModeNone || s.selectsMojaloop(ref.Namespace, nil) {
		return true
	}
	for _, sh := range s.shardsInOrder() {
		for _, vs := range sh.virtualServices {
			if bindsGateway(vs, ref) && (s.routesToMojaloop(vs) || s.delegatesToMojaloop(vs)) {
				return true
			}
		}
	}
	return false
}

// bindsGateway resolves the gateways of a VirtualService as istiod does
// (resolveGatewayName): namespace/name, ./name, name, or the old form
// name.namespace.svc….
func bindsGateway(vs *istionetworkingv1.VirtualService, ref Ref) bool {
	return slices.ContainsFunc(vs.Spec.Gateways, func(text string) bool {
		ns, name, ok := strings.Cut(text, "/")
		switch {
		case ok && ns == ".":
			ns = vs.Namespace
		case !ok && strings.Contains(text, "."):
			name, ns, _ = strings.Cut(text, ".")
			ns, _, _ = strings.Cut(ns, ".")
		case !ok:
			ns, name = vs.Namespace, text
		}
		return ns == ref.Namespace && name == ref.Name
	})
}

// delegatesToMojaloop follows the delegates of a VirtualService: one level, as
// Istio does. A delegate names no gateway of its own.
func (s *Snapshot) delegatesToMojaloop(vs *istionetworkingv1.VirtualService) bool {
	for _, r := range vs.Spec.Http {
		d := r.GetDelegate()
		if d == nil {
			continue
		}
		sh := s.shard(cmp.Or(d.GetNamespace(), vs.Namespace))
		if sh == nil {
			continue
		}
		for _, o := range sh.virtualServices {
			if o.Name == d.GetName() && s.routesToMojaloop(o) {
				return true
			}
		}
	}
	return false
}

func (s *Snapshot) routesToMojaloop(vs *istionetworkingv1.VirtualService) bool {
	leads := func(d *istionetworking.Destination) bool {
		h, ok := s.parseHost(d.GetHost(), vs.Namespace)
		if !ok {
			return false
		}
		inMesh, presence := s.isInMesh(h)
		return inMesh || presence == Unknown && len(s.workloads(h.namespace)) == 0
	}
	for _, r := range vs.Spec.Http {
		if r.GetMirror() != nil && leads(r.GetMirror()) {
			return true
		}
		for _, m := range r.GetMirrors() {
			if leads(m.GetDestination()) {
				return true
			}
		}
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
