package policy

import (
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// dfsp-isolated: the ingress of SDK pods is limited by NetworkPolicies, taken
// together: they only ever add, so one that allows all defeats the rest.
var checkDFSPIsolated = Check{
	ID: "dfsp-isolated", Category: CategoryAccess, Severity: Warning,
	Title: "NetworkPolicies limit who reaches an SDK",
	Fix:   "apply a NetworkPolicy that selects the SDK's pods and names its callers in ingress.from, and narrow or remove the one that allows all",
	Doc: `NetworkPolicies are additive: a connection is allowed when any policy that selects the pod allows it,
and a pod that no policy selects for ingress takes everything. So one policy that allows all (the
performance lab has one) defeats every other. The check evaluates all policies of the namespace for the
SDK's pods and names those that let everybody in: a rule without ` + "`from`" + `, ` + "`0.0.0.0/0`" + ` or another block wider than /8, or
all pods of all namespaces. A selector that only says which labels exist, or what they are not, counts
as one for all.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || sub.Workload.Role != RoleSDK || sub.Workload.Job {
			return notApplicable
		}
		selecting, err := snap.ingressPolicies(sub.Ref.Namespace, sub.Workload.Labels)
		if err != nil {
			return failed(Violation{Detail: err.Error()})
		}
		if len(selecting) == 0 {
			return failed(Violation{Detail: "no NetworkPolicy selects its pods: everybody in the cluster reaches them"})
		}
		var found []Violation
		for _, p := range selecting {
			for i := range p.Spec.Ingress {
				if err := invalidSelector(&p.Spec.Ingress[i]); err != nil {
					ref := RefOf(p)
					found = append(found, Violation{
						At: &ref, Field: field.NewPath("spec", "ingress").Index(i).Child("from"),
						Detail: fmt.Sprintf("NetworkPolicy %s: a selector cannot be read: %s", p.Name, err),
					})
					continue
				}
				if why := allowsAll(&p.Spec.Ingress[i]); why != "" {
					ref := RefOf(p)
					found = append(found, Violation{
						At: &ref, Field: field.NewPath("spec", "ingress").Index(i),
						Detail:  fmt.Sprintf("NetworkPolicy %s lets everybody reach %s: %s; policies only add, so no other can limit it", p.Name, sub.Ref, why),
						Related: []Location{{Ref: sub.Ref, Message: "the SDK that is open"}},
					})
				}
			}
		}
		return failedOrPassed(found)
	},
}

// ingressPolicies returns the policies that select pods for ingress.
func (s *Snapshot) ingressPolicies(ns string, podLabels map[string]string) ([]*networkingv1.NetworkPolicy, error) {
	sh := s.shard(ns)
	if sh == nil {
		return nil, nil
	}
	var out []*networkingv1.NetworkPolicy
	for _, p := range sh.networkPolicies {
		if !forIngress(p) {
			continue
		}
		selects, err := selects(&p.Spec.PodSelector, podLabels)
		if err != nil {
			return nil, fmt.Errorf("NetworkPolicy %s: podSelector: %w", p.Name, err)
		}
		if selects {
			out = append(out, p)
		}
	}
	return out, nil
}

// selects tells whether a selector matches labels.
func selects(s *metav1.LabelSelector, have map[string]string) (bool, error) {
	if len(s.MatchExpressions) == 0 {
		return isSubset(s.MatchLabels, have), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return false, err
	}
	return selector.Matches(labels.Set(have)), nil
}

// forIngress tells whether a policy is about ingress: it is unless its types
// say otherwise.
func forIngress(p *networkingv1.NetworkPolicy) bool {
	return len(p.Spec.PolicyTypes) == 0 || slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
}

// allowsAll says why a rule lets everybody in; "" when it does not.
func allowsAll(r *networkingv1.NetworkPolicyIngressRule) string {
	if len(r.From) == 0 {
		return "a rule without from"
	}
	for _, peer := range r.From {
		switch {
		case peer.IPBlock != nil:
			if isWide(peer.IPBlock.CIDR) {
				return "a rule from " + peer.IPBlock.CIDR
			}
		case isWideSelector(peer.NamespaceSelector) && (peer.PodSelector == nil || isWideSelector(peer.PodSelector)):
			return "a rule from all pods of all namespaces"
		}
	}
	return ""
}

// isWide tells whether a block is a large part of all addresses: a prefix
// shorter than 8 bits. Exceptions do not narrow it enough.
func isWide(cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && p.Bits() < 8
}

// isWideSelector tells whether a selector names nothing that it selects: it is
// empty, or says only what labels are there or what they are not.
func isWideSelector(s *metav1.LabelSelector) bool {
	return s != nil && len(s.MatchLabels) == 0 && !slices.ContainsFunc(s.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Operator == metav1.LabelSelectorOpIn
	})
}

// invalidSelector says why a selector of a rule cannot be read.
func invalidSelector(r *networkingv1.NetworkPolicyIngressRule) error {
	for _, peer := range r.From {
		for _, s := range []*metav1.LabelSelector{peer.NamespaceSelector, peer.PodSelector} {
			if s == nil || len(s.MatchExpressions) == 0 {
				continue
			}
			if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
				return err
			}
		}
	}
	return nil
}
