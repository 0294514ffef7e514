package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// quarantine-held: pods of a quarantined DFSP carry its marker, the label
// mojasec.io/quarantine with the name of the Quarantine. Needs the Quarantines
// of a cluster.
var checkQuarantineHeld = Check{
	ID: "quarantine-held", Category: CategoryAccess, Severity: Error,
	Title: "a quarantined DFSP stays isolated",
	Fix:   "do not change what a Quarantine holds; end it first",
	Doc: `While a Quarantine stands, the pods of its DFSP carry its marker: the label
` + "`mojasec.io/quarantine`" + ` with its name, by which they are kept apart, and which mojasec sets on every
new pod, whatever the mode of the namespace. A pod belongs to the DFSP by its ` + "`DFSP_ID`" + `, its label, the
Secrets it uses, or the ServiceAccount it runs under. A Quarantine that only observes holds nothing.
Which DFSPs are quarantined only a cluster knows, so from files alone this check is skipped, unless the
Quarantine is among them.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		w := sub.Workload
		if w == nil {
			return notApplicable
		}
		q, presence, missing := snap.HeldBy(w)
		switch {
		case presence == Present:
			return marked(w, q)
		case w.Role != RoleSDK:
			return notApplicable
		case presence == Unknown:
			return unknown(missing)
		}
		return passed()
	},
}

// marked judges a pod that a Quarantine holds.
func marked(w *Workload, q *v1alpha1.Quarantine) Result {
	want := Marker(q)
	got, said := w.Labels[v1alpha1.LabelQuarantine]
	detail := fmt.Sprintf("DFSP %q is quarantined by %s", q.Spec.DFSP, RefOf(q))
	switch {
	case got == want:
		return passed()
	case said:
		detail += fmt.Sprintf(", and the label %s of its pod is %s; want %q", v1alpha1.LabelQuarantine, quoted(got), want)
	default:
		detail += fmt.Sprintf(", and its pod has no label %s: %s", v1alpha1.LabelQuarantine, want)
	}
	return failed(Violation{
		Field: w.PodPath.Child("metadata", "labels").Key(v1alpha1.LabelQuarantine), Detail: detail,
		Related: []Location{{Ref: RefOf(q), Field: field.NewPath("spec", "dfsp"), Message: "the quarantine"}},
	})
}
