package policy

import (
	"fmt"
	"slices"

	istionetworking "istio.io/api/networking/v1alpha3"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
)

// mtls-auto: where the mesh config has enableAutoMtls: false, every in-mesh
// host of a Mojaloop workload gets ISTIO_MUTUAL from a DestinationRule.
var checkMTLSAuto = Check{
	ID: "mtls-auto", Category: CategoryMTLS, Severity: Error,
	Title: "callers use mutual TLS by themselves or by a DestinationRule",
	Fix:   "set `enableAutoMtls: true` in the mesh config, or apply a DestinationRule with `trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}` for the host",
	Doc: `Istio's callers use mutual TLS wherever the other side can (auto mTLS). Mojaloop's
infrastructure-as-code modules switch that off (` + "`enableAutoMtls: false`" + `): then every call inside the
mesh is plain text unless a DestinationRule says ` + "`ISTIO_MUTUAL`" + `, and a blanket STRICT cuts all of
them. The check reads ` + "`mesh`" + ` in ConfigMap ` + "`istio`" + ` of the mesh root namespace and the
DestinationRules of the Services in front of each workload.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || !sub.Workload.Role.Mojaloop() || snap.noMesh() {
			return notApplicable
		}
		cfg := snap.mesh.config
		switch {
		case cfg == nil && (snap.mesh.bad || snap.incomplete(FactMeshConfig)):
			return unknown(Fact{Kind: FactMeshConfig})
		case cfg == nil || cfg.EnableAutoMTLS == nil || *cfg.EnableAutoMTLS:
			return passed()
		}
		sh := snap.shard(sub.Ref.Namespace)
		served := false
		var found []Violation
		if sh != nil {
			for _, svc := range sh.services {
				if len(svc.Spec.Selector) == 0 || !isSubset(svc.Spec.Selector, sub.Workload.Labels) {
					continue
				}
				served = true
				if !snap.hasMutualRule(host{svc.Name, svc.Namespace}) {
					ref := snap.mesh.configRef
					found = append(found, Violation{
						Detail:  fmt.Sprintf("the mesh config has enableAutoMtls: false and no DestinationRule sets ISTIO_MUTUAL for %s: callers of %s send plain text", svc.Name, sub.Ref),
						Related: []Location{{Ref: ref, Message: "enableAutoMtls: false"}, {Ref: RefOf(svc), Message: "the service"}},
					})
				}
			}
		}
		if !served && snap.incomplete(FactService) {
			return unknown(Fact{Kind: FactService, Namespace: sub.Ref.Namespace})
		}
		return failedOrPassed(found)
	},
}

// hasMutualRule tells whether a DestinationRule gives a host ISTIO_MUTUAL.
func (s *Snapshot) hasMutualRule(h host) bool {
	for _, sh := range s.shardsInOrder() {
		for _, rule := range sh.destinationRules {
			rh, ok := s.parseHost(rule.Spec.Host, sh.name)
			if ok && s.reachesCallers(rule, h.namespace) && rh.covers(h) && rule.Spec.TrafficPolicy.GetTls().GetMode() == istionetworking.ClientTLSSettings_ISTIO_MUTUAL {
				return true
			}
		}
	}
	return false
}

// reachesCallers tells whether the callers of a service follow a rule: Istio
// looks for it in the namespace of the service and in the mesh root namespace,
// and only as far as the rule is exported. Rules for selected callers or in a
// caller's own namespace do not speak for the others.
func (s *Snapshot) reachesCallers(rule *istionetworkingv1.DestinationRule, ns string) bool {
	if len(rule.Spec.WorkloadSelector.GetMatchLabels()) > 0 {
		return false
	}
	if rule.Namespace == ns {
		return true
	}
	to := rule.Spec.ExportTo
	return rule.Namespace == s.mesh.root && (len(to) == 0 || slices.Contains(to, "*") || slices.Contains(to, ns))
}
