package policy

import (
	"fmt"

	istionetworking "istio.io/api/networking/v1alpha3"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// mtls-client-tls: no DestinationRule (top, port, subset) sets tls.mode DISABLE
// or SIMPLE for a host in the mesh: that beats auto mTLS.
var checkMTLSClientTLS = Check{
	ID: "mtls-client-tls", Category: CategoryMTLS, Severity: Error,
	Title: "callers speak mutual TLS to in-mesh services",
	Fix:   "remove tls from the traffic policy (auto mTLS then does the right thing), or set `mode: ISTIO_MUTUAL`",
	Doc: `A DestinationRule tells callers how to speak to a service, and it beats auto mTLS. With
` + "`tls.mode: DISABLE`" + ` they send plain text, with ` + "`SIMPLE`" + ` they show no certificate: under STRICT the
call fails, under PERMISSIVE the payment goes out unprotected. The check reads the traffic policy of
the rule, of each port and of each subset, for hosts inside the mesh: short names, full names and
wildcards below ` + "`svc.<cluster domain>`" + `.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		rule, ok := sub.Object.(*istionetworkingv1.DestinationRule)
		if !ok || snap.noMesh() {
			return notApplicable
		}
		found := clientTLS(rule)
		h, inCluster := snap.parseHost(rule.Spec.Host, sub.Ref.Namespace)
		if !inCluster {
			return notApplicable
		}
		inMesh, presence := snap.isInMesh(h)
		switch {
		case presence == Unknown && len(found) > 0:
			return unknown(Fact{Kind: FactService, Namespace: h.namespace, Name: h.name})
		case presence == Present && !inMesh:
			return notApplicable
		}
		return failedOrPassed(found)
	},
}

// clientTLS lists the places of a rule that turn mutual TLS off or down.
func clientTLS(rule *istionetworkingv1.DestinationRule) []Violation {
	spec := field.NewPath("spec")
	found := policyTLS(nil, rule.Spec.Host, rule.Spec.TrafficPolicy, spec.Child("trafficPolicy"))
	for i, subset := range rule.Spec.Subsets {
		found = policyTLS(found, rule.Spec.Host, subset.GetTrafficPolicy(), spec.Child("subsets").Index(i).Child("trafficPolicy"))
	}
	return found
}

func policyTLS(found []Violation, host string, p *istionetworking.TrafficPolicy, at *field.Path) []Violation {
	add := func(tls *istionetworking.ClientTLSSettings, at *field.Path) {
		if tls == nil {
			return
		}
		mode := tls.GetMode()
		if tls.GetInsecureSkipVerify().GetValue() {
			found = append(found, Violation{
				Field:  at.Child("tls", "insecureSkipVerify"),
				Detail: fmt.Sprintf("callers of %s do not check whom they speak to; want insecureSkipVerify off", host),
			})
		}
		if mode == istionetworking.ClientTLSSettings_DISABLE || mode == istionetworking.ClientTLSSettings_SIMPLE {
			found = append(found, Violation{
				Field:  at.Child("tls", "mode"),
				Detail: fmt.Sprintf("callers of %s use tls mode %s; want ISTIO_MUTUAL or none", host, mode),
			})
		}
	}
	add(p.GetTls(), at)
	for i, port := range p.GetPortLevelSettings() {
		add(port.GetTls(), at.Child("portLevelSettings").Index(i))
	}
	return found
}
