package policy

import (
	"fmt"
)

// ilp-secret-set: ILP_SECRET is set on every container of the SDK.
var checkILPSecretSet = Check{
	ID: "ilp-secret-set", Category: CategoryILP, Severity: Error, Injected: true, PodLocal: true,
	Title: "ILP_SECRET is set",
	Fix:   "set ILP_SECRET from a Secret of the DFSP; to make one: `" + generateILP + "`",
	Doc: `The payee's SDK derives the fulfilment of a transfer from ` + "`ILP_SECRET`" + `. Unset, it uses the default in
its source code, which everybody knows: whoever sees the ILP packet of a quote can then compute the
fulfilment and claim the transfer. Resolved as Kubernetes does it: ` + "`env`" + ` over ` + "`envFrom`" + `, the last of
several, optional references that lead nowhere count as not set.

In namespaces with ` + "`mojasec.io/mode: enforce`" + ` mojasec sets it from the Secret of the Profile where it is
absent.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		values, missing := ilpValues(sub, snap)
		if len(values) == 0 {
			return notApplicable
		}
		var found []Violation
		for _, v := range values {
			switch {
			case v.value.Dangling != "":
				found = append(found, Violation{Field: v.at(sub.Workload), Detail: fmt.Sprintf("ILP_SECRET of container %s comes from %s, which does not exist", v.container.Name, v.value.Dangling)})
			case v.value.Presence == Absent:
				found = append(found, Violation{Field: v.at(sub.Workload), Detail: fmt.Sprintf("container %s does not set ILP_SECRET, so the SDK uses its published default", v.container.Name)})
			case v.value.Presence == Present && v.value.Secret.Length == 0:
				found = append(found, Violation{Field: v.at(sub.Workload), Detail: fmt.Sprintf("ILP_SECRET of container %s is empty", v.container.Name)})
			}
		}
		if len(found) > 0 {
			fix := ilpFix(sub, snap)
			for i := range found {
				found[i].Fix = fix
			}
			return failed(found...)
		}
		if missing != nil {
			// The reference is there; only what it leads to is not known.
			for _, v := range values {
				if v.value.Presence == Unknown && (v.value.Setting == nil || v.value.Setting.from) {
					return unknown(*missing)
				}
			}
		}
		return passed()
	},
}

// ilpFix names the Secret of the DFSP; "" when the DFSP is not known.
func ilpFix(sub *Subject, snap *Snapshot) string {
	id := snap.DFSP(sub.Workload)
	if id.Presence != Present || id.Text == "" {
		return ""
	}
	p := &snap.profile.ILP
	name, ok := forDFSP(p.SecretName, id.Text)
	if !ok {
		return ""
	}
	return fmt.Sprintf("set ILP_SECRET with `valueFrom: {secretKeyRef: {name: %s, key: %s}}`; to make the Secret: %s", name, p.Key, generateFor(generateILP, sub.Ref.Namespace, id.Text))
}
