package policy

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ilpValue is the ILP secret of one SDK container.
type ilpValue struct {
	container *Container
	value     Value
}

// at is the field of the value, or where it should stand.
func (v *ilpValue) at(w *Workload) *field.Path {
	return settingPath(w, v.container, v.value, SettingILPSecret)
}

// ilpValues returns the ILP secrets of an SDK pod, one for each container that
// runs the SDK. unknown is set when one cannot be told.
func ilpValues(sub *Subject, snap *Snapshot) (values []ilpValue, missing *Fact) {
	if sub.Workload == nil || sub.Workload.Role != RoleSDK {
		return nil, nil
	}
	w := sub.Workload
	values = make([]ilpValue, 0, 1)
	for i := range w.Containers {
		c := &w.Containers[i]
		if !c.SDK {
			continue
		}
		v := snap.Value(w, c, SettingILPSecret)
		if v.Presence == Unknown && missing == nil {
			fact := v.missing(w, SettingILPSecret)
			missing = &fact
		}
		values = append(values, ilpValue{c, v})
	}
	return values, missing
}

// eachILP applies a rule to every ILP secret that is known, and answers Unknown
// when none breaks it and one is not known.
func eachILP(sub *Subject, snap *Snapshot, rule func(v ilpValue) (Violation, bool)) Result {
	values, missing := ilpValues(sub, snap)
	if len(values) == 0 {
		return notApplicable
	}
	var found []Violation
	present := false
	for _, v := range values {
		if v.value.Presence != Present {
			continue
		}
		present = true
		if f, bad := rule(v); bad {
			f.Field = v.at(sub.Workload)
			found = append(found, f)
		}
	}
	switch {
	case len(found) > 0:
		return failed(found...)
	case missing != nil:
		return unknown(*missing)
	case !present:
		return notApplicable // ilp-secret-set speaks about it
	}
	return passed()
}
