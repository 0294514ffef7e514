package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// namespace-protected: a namespace with Mojaloop workloads has the label
// mojasec.io/mode.
var checkNamespaceProtected = Check{
	ID: "namespace-protected", Category: CategoryPolicy, Severity: Warning,
	Title: "Mojaloop workloads run in namespaces with a mode label",
	Fix:   "label the namespace, first to watch and then to enforce: `kubectl label namespace NAME mojasec.io/mode=audit`",
	Doc: `Admission looks at namespaces with the label ` + "`mojasec.io/mode`" + ` only: ` + "`enforce`" + ` denies, ` + "`warn`" + ` warns, ` + "`audit`" + `
records. A namespace with Mojaloop workloads and without the label is not protected. A value that is
none of the three counts as ` + "`enforce`" + ` and is reported.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if ns, ok := sub.Object.(*corev1.Namespace); ok {
			return protectedNamespace(ns, snap)
		}
		if sub.Workload == nil || !sub.Workload.Role.Mojaloop() {
			return notApplicable
		}
		switch _, presence := snap.Namespace(sub.Ref.Namespace); presence {
		case Unknown:
			return unknown(Fact{Kind: FactNamespace, Name: sub.Ref.Namespace})
		case Absent, Present: // the Namespace is judged itself
		}
		return notApplicable
	},
}

func protectedNamespace(ns *corev1.Namespace, snap *Snapshot) Result {
	value, labelled := ns.Labels[LabelMode]
	at := field.NewPath("metadata", "labels").Key(LabelMode)
	if labelled {
		switch Mode(value) {
		case ModeEnforce, ModeWarn, ModeAudit:
			return passed()
		case ModeNone:
		}
		return failed(Violation{Field: at, Detail: fmt.Sprintf("%s: %q is no mode and counts as enforce; want enforce, warn or audit", LabelMode, value)})
	}
	for _, w := range snap.workloads(ns.Name) {
		if w.Role.Mojaloop() {
			return failed(Violation{
				Field: at, Detail: fmt.Sprintf("runs %s and has no label %s", w.Ref, LabelMode),
				Related: []Location{{Ref: w.Ref, Message: "runs here"}},
				Fix:     fmt.Sprintf("label the namespace, first to watch and then to enforce: `kubectl label namespace %s %s=audit`", ns.Name, LabelMode),
			})
		}
	}
	return notApplicable
}
