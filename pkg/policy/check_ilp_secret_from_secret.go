package policy

import (
	"fmt"
)

// ilp-secret-from-secret: the value comes from a Secret.
var checkILPSecretFromSecret = Check{
	ID: "ilp-secret-from-secret", Category: CategoryILP, Severity: Warning,
	Title: "the ILP secret comes from a Secret",
	Fix:   "move the value into a Secret and refer to it with `valueFrom: {secretKeyRef: {name: DFSP-ilp, key: ILP_SECRET}}`; replace it, because it has been seen",
	Doc: `A literal in a manifest or a value in a ConfigMap is readable to everybody who may read Deployments,
and it is in version control. The secret belongs into a Secret, referred to with ` + "`secretKeyRef`" + ` or a
` + "`secretRef`" + ` in ` + "`envFrom`" + `.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		values, missing := ilpValues(sub, snap)
		var found []Violation
		applies := false
		for _, v := range values {
			if p, ok := v.container.onCommandLine(sub.Workload, SettingILPSecret); ok {
				applies = true
				found = append(found, Violation{Field: p, Detail: fmt.Sprintf("container %s sets ILP_SECRET on its command line", v.container.Name)})
				continue
			}
			set := v.value.Setting
			if set == nil || (set.from && v.value.Presence == Unknown) {
				continue // it may or may not come from there
			}
			applies = true
			switch set.Source {
			case FromLiteral:
				found = append(found, Violation{Field: v.at(sub.Workload), Detail: fmt.Sprintf("ILP_SECRET of container %s is a literal", v.container.Name)})
			case FromConfigMap:
				found = append(found, Violation{Field: v.at(sub.Workload), Detail: fmt.Sprintf("ILP_SECRET of container %s comes from ConfigMap %s", v.container.Name, set.Object)})
			case FromElsewhere:
				if v.value.Presence == Present {
					found = append(found, Violation{Field: v.at(sub.Workload), Detail: fmt.Sprintf("ILP_SECRET of container %s is taken from %s of the pod, which is no secret", v.container.Name, set.field)})
				}
			case FromSecret:
			}
		}
		switch {
		case applies:
		case missing != nil:
			return unknown(*missing)
		default:
			return notApplicable
		}
		return failedOrPassed(found)
	},
}
