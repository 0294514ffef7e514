package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// switchRule judges a boolean of an SDK: it must not be what is weak.
type switchRule struct {
	setting   string
	byDefault bool
	want      bool
	why       string
}

// run applies the rule to the SDK container of a subject.
func (r switchRule) run(sub *Subject, snap *Snapshot) Result {
	if sub.Pod == nil || sub.Workload.Role != RoleSDK {
		return notApplicable
	}
	var found []Violation
	w := sub.Workload
	for i := range w.Containers {
		c := &w.Containers[i]
		if !c.SDK {
			continue
		}
		v := snap.Value(w, c, r.setting)
		if v.Dangling != "" {
			found = append(found, Violation{Field: settingPath(w, c, v, r.setting), Detail: fmt.Sprintf("%s comes from %s, which does not exist", r.setting, v.Dangling)})
			continue
		}
		on, known := v.Switch(r.byDefault)
		switch {
		case !known:
			return unknown(v.missing(w, r.setting))
		case on != r.want:
			found = append(found, Violation{
				Field:  settingPath(w, c, v, r.setting),
				Detail: fmt.Sprintf("%s is %s in container %s: %s; want %q", r.setting, shown(v, fmt.Sprintf("not set (%t)", r.byDefault)), c.Name, r.why, fmt.Sprint(r.want)),
			})
		}
	}
	return failedOrPassed(found)
}

// hubPlace is where a boolean of a hub service is set.
func hubPlace(w *Workload, v hubValue) (at *Ref, p *field.Path) {
	if v.setting != nil {
		return nil, v.setting.Path(w.Main().Path(w))
	}
	if v.config != (Ref{}) {
		return &v.config, field.NewPath("data").Key(hubConfigKey)
	}
	return nil, nil
}

// valuesSwitch judges a boolean in Helm values, wherever it stands.
func valuesSwitch(sub *Subject, name string, want bool, why string) Result {
	var found []Violation
	walkValues(sub.Raw, nil, func(p *field.Path, key string, value any) {
		if key != name {
			return
		}
		if on, ok := parseSwitch(fmt.Sprint(value)); ok && on != want {
			found = append(found, Violation{Field: p, Detail: fmt.Sprintf("%s is %v: %s; want %t", name, value, why, want)})
		}
	})
	if len(found) == 0 {
		return notApplicable
	}
	return failed(found...)
}
