package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// service-account-dedicated: an SDK runs under a ServiceAccount that no other
// DFSP and no other role uses, and that is not "default".
var checkServiceAccountDedicated = Check{
	ID: "service-account-dedicated", Category: CategoryAccess, Severity: Warning,
	Title: "each DFSP's workloads have their own ServiceAccount",
	Fix:   "create a ServiceAccount for the DFSP and set serviceAccountName in its pods",
	Doc: `In the mesh a workload's identity is its ServiceAccount. Under a shared one (or ` + "`default`" + `) rules cannot
tell DFSPs apart: neither an AuthorizationPolicy nor a quarantine can name one of them. Compared are
the SDKs and other Mojaloop workloads of the namespace.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || sub.Workload.Role != RoleSDK || sub.Workload.Job {
			return notApplicable
		}
		w := sub.Workload
		at := func() *field.Path { return w.PodPath.Child("spec", "serviceAccountName") }
		if w.ServiceAccount == "default" {
			return failed(Violation{Field: at(), Detail: "runs under the ServiceAccount default, as everything does that names none"})
		}
		self := snap.DFSP(w)
		sh := snap.shard(sub.Ref.Namespace)
		if sh == nil || self.Presence == Unknown {
			return passed()
		}
		for _, o := range snap.indexOf(sh).accounts[w.ServiceAccount] {
			if o.workload.is(w.Ref) || (o.dfsp == self.Text && o.workload.Role != RoleHub) {
				continue
			}
			other := o.workload
			return failed(Violation{
				Field: at(), Detail: fmt.Sprintf("ServiceAccount %s is shared with %s", w.ServiceAccount, other.Ref),
				Related: []Location{{Ref: other.Ref, Field: other.PodPath.Child("spec", "serviceAccountName"), Message: "runs under the same"}},
			})
		}
		return passed()
	},
}
