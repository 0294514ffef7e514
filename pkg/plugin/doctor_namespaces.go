package plugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

func testModes(seen *observation) verdict {
	if seen.namespaces.err != nil {
		return notKnown(seen.namespaces.err)
	}
	var reasons []string
	hint := ""
	for i := range seen.namespaces.value {
		ns := &seen.namespaces.value[i]
		mode, ok := ns.GetLabels()[v1alpha1.LabelMode]
		if ok && !slices.Contains(modeOrder, mode) {
			reasons = append(reasons, fmt.Sprintf("namespace %s has mojasec.io/mode: %s, which protects nothing; want %s", ns.GetName(), mode, orList(modeOrder)))
			hint = cmp.Or(hint, displayName+" install --namespace "+ns.GetName()+" --mode warn")
		}
	}
	if len(reasons) > 0 {
		return wrong(hint, reasons...)
	}
	return well()
}

// unbound returns the protected namespaces that the webhook may not read.
func (seen *observation) unbound() []string {
	bound := map[string]bool{}
	for i := range seen.bindings.value {
		b := &seen.bindings.value[i]
		bound[b.GetNamespace()] = bound[b.GetNamespace()] || isNamespaceBinding(b) && contains(b.Object["subjects"], bindingFor("").Object["subjects"])
	}
	var out []string
	for i := range seen.namespaces.value {
		ns := &seen.namespaces.value[i]
		mode := ns.GetLabels()[v1alpha1.LabelMode]
		if slices.Contains(modeOrder, mode) && !bound[ns.GetName()] && !slices.Contains(seen.granted, ns.GetName()) && ns.GetDeletionTimestamp() == nil && !slices.Contains(exemptNamespaces, ns.GetName()) {
			out = append(out, ns.GetName())
		}
	}
	return out
}

func testRights(seen *observation) verdict {
	if err := cmp.Or(seen.namespaces.err, seen.bindings.err); err != nil {
		return notKnown(err)
	}
	var reasons []string
	for _, ns := range seen.unbound() {
		reasons = append(reasons, fmt.Sprintf("namespace %s has a mode, but no RoleBinding %s to ClusterRole %s", ns, webhookName, namespaceRole))
	}
	if len(reasons) > 0 {
		return wrong(hintFix, reasons...)
	}
	return well()
}

func testLabelled(seen *observation) verdict {
	if err := cmp.Or(seen.namespaces.err, seen.mojaloop.err); err != nil {
		return notKnown(err)
	}
	var reasons, names []string
	for i := range seen.namespaces.value {
		ns := &seen.namespaces.value[i]
		workload := seen.mojaloop.value[ns.GetName()]
		if _, ok := ns.GetLabels()[v1alpha1.LabelMode]; ok || workload == "" {
			continue
		}
		reasons = append(reasons, fmt.Sprintf("namespace %s has %s, but no label mojasec.io/mode", ns.GetName(), workload))
		names = append(names, ns.GetName())
	}
	if len(reasons) > 0 {
		return doubtful(displayName+" install --namespace "+strings.Join(names, ",")+" --mode warn", reasons...)
	}
	return well()
}

func testPods(seen *observation) verdict {
	if seen.lacking.err != nil {
		return notKnown(seen.lacking.err)
	}
	var reasons []string
	for _, l := range seen.lacking.value {
		reason := fmt.Sprintf("%s: %s without %s", nameOf(l.kind, l.ns, l.name), podsOf(l.pods), strings.Join(l.changes, "; "))
		if l.manual != "" {
			reason += " (by hand: " + l.manual + ")"
		}
		reasons = append(reasons, reason)
	}
	if len(reasons) > 0 {
		return doubtful(displayName+" doctor --fix --restart", reasons...)
	}
	return well()
}
