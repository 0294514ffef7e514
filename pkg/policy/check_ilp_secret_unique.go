package policy

import (
	"fmt"
)

// ilp-secret-unique: no two DFSPs share an ILP secret.
var checkILPSecretUnique = Check{
	ID: "ilp-secret-unique", Category: CategoryILP, Severity: Error,
	Title: "every DFSP has an ILP secret of its own",
	Fix:   "give each DFSP a random secret of its own: `" + generateILP + " --replace`",
	Doc: `Two DFSPs with one ILP secret can fulfil each other's transfers. Compared are keyed hashes whose key
is random per run: the report never holds anything from which a secret could be guessed.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		id := Identity{}
		if sub.Workload != nil {
			id = snap.DFSP(sub.Workload)
		}
		r := eachILP(sub, snap, func(v ilpValue) (Violation, bool) {
			if v.value.Tag.IsZero() {
				return Violation{}, false
			}
			for _, o := range snap.whole().byILP[v.value.Tag] {
				if o.dfsp == id.Text || o.workload.is(sub.Ref) {
					continue
				}
				return Violation{
					Detail:  fmt.Sprintf("%s has the same ILP secret as %s", orUnnamed(id.Text), orUnnamed(o.dfsp)),
					Related: []Location{{Ref: o.workload.Ref, Message: "has the same secret"}},
				}, true
			}
			return Violation{}, false
		})
		if missing := snap.whole().unknownSecrets; r.Applies && len(r.Violations)+len(r.Unknown) == 0 && len(missing) > 0 {
			return unknown(missing[0])
		}
		return r
	},
}
