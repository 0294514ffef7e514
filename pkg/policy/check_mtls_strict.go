package policy

import (
	"fmt"

	istiosecurity "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// mtls-strict: the effective mode of PeerAuthentication (mesh root namespace <
// namespace < workload < port) is STRICT for every Mojaloop workload, on every
// port. UNSET inherits; with no policy at all Istio's default is PERMISSIVE.
var checkMTLSStrict = Check{
	ID: "mtls-strict", Category: CategoryMTLS, Severity: Error,
	Title: "mutual TLS is STRICT on every port",
	Fix:   "apply a PeerAuthentication with `spec: {mtls: {mode: STRICT}}` to the namespace, and remove the exceptions",
	Doc: `The effective mode of Istio's PeerAuthentication must be ` + "`STRICT`" + ` for every Mojaloop
workload, on every port. Policies apply in this order, the later over the earlier: the mesh root
namespace, the namespace, the workload (selector), the port (` + "`portLevelMtls`" + `). ` + "`UNSET`" + ` and ` + "`{}`" + `
inherit. Of several policies at one level the oldest counts, of equally old ones (files
carry no time) the weakest. With no policy anywhere Istio accepts
plain text (` + "`PERMISSIVE`" + `).

In PERMISSIVE mode whoever reaches a pod's address speaks to it without a certificate: the payment
messages are readable and the identity of the caller is whatever it says.

Before switching to STRICT, look at the mesh config: with ` + "`enableAutoMtls: false`" + ` in-mesh callers
send plain text and would be cut off (check ` + "`mtls-auto`" + `).`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if p, ok := sub.Object.(*securityv1.PeerAuthentication); ok {
			return strictPolicy(sub, p, snap)
		}
		if sub.Workload == nil || !sub.Workload.Role.Mojaloop() {
			return notApplicable
		}
		switch e := snap.enrolment(sub.Workload); {
		case e.state == meshNone:
			return notApplicable
		case !snap.mesh.known:
			return unknown(Fact{Kind: FactMesh})
		}
		m := snap.effectiveMTLS(sub.Ref.Namespace, sub.Workload.Labels)
		if m.missing != (Fact{}) {
			return unknown(m.missing)
		}
		var found []Violation
		if m.mode != mtlsStrict {
			v := Violation{Detail: "no PeerAuthentication sets a mode, so Istio accepts plain text (PERMISSIVE); want STRICT"}
			if m.from != nil {
				ref := RefOf(m.from)
				v = Violation{At: &ref, Field: field.NewPath("spec", "mtls", "mode"), Detail: fmt.Sprintf("the effective mode of %s is %s; want STRICT", sub.Ref, m.mode)}
			}
			found = append(found, v)
		}
		for _, p := range m.ports {
			if p.mode != mtlsStrict {
				found = append(found, Violation{
					At: &p.from, Field: p.field,
					Detail: fmt.Sprintf("port %d of %s is %s; want STRICT", p.port, sub.Ref, p.mode),
				})
			}
		}
		return failedOrPassed(found)
	},
}

// strictPolicy judges a PeerAuthentication whose workloads are not known: those
// that are known are judged themselves, with what really applies to them.
func strictPolicy(sub *Subject, p *securityv1.PeerAuthentication, snap *Snapshot) Result {
	match := p.Spec.Selector.GetMatchLabels()
	if snap.noMesh() || snap.selectsMojaloop(sub.Ref.Namespace, match) {
		return notApplicable
	}
	if len(match) > 0 && !mojaloopByLabels(match, snap) {
		return notApplicable
	}
	if mode, presence := snap.Mode(sub.Ref.Namespace); presence == Present && mode == ModeNone && sub.Ref.Namespace != snap.mesh.root {
		return notApplicable
	}
	var found []Violation
	check := func(mode istiosecurity.PeerAuthentication_MutualTLS_Mode, at *field.Path) {
		if mode != mtlsUnset && mode != mtlsStrict {
			found = append(found, Violation{Field: at, Detail: fmt.Sprintf("the mode is %s; want STRICT", mode)})
		}
	}
	check(p.Spec.Mtls.GetMode(), field.NewPath("spec", "mtls", "mode"))
	for _, port := range sortedKeys(p.Spec.PortLevelMtls) {
		check(p.Spec.PortLevelMtls[port].GetMode(), field.NewPath("spec", "portLevelMtls").Key(itoa(port)).Child("mode"))
	}
	return failedOrPassed(found)
}

// selectsMojaloop tells whether a known Mojaloop workload of a namespace has
// the labels.
func (s *Snapshot) selectsMojaloop(ns string, match map[string]string) bool {
	for _, w := range s.workloads(ns) {
		if w.Role.Mojaloop() && isSubset(match, w.Labels) {
			return true
		}
	}
	return false
}

// mojaloopByLabels tells whether labels alone show a Mojaloop workload.
func mojaloopByLabels(labels map[string]string, snap *Snapshot) bool {
	w := Workload{Role: RoleOther}
	snap.profile.recogniser.byLabels(&w, labels)
	return w.Role.Mojaloop() || labels["dfsp"] != "" || labels[LabelDFSP] != ""
}
