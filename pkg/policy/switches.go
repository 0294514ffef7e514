package policy

import (
	"fmt"
	"path"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// switchRule judges a boolean of an SDK: it must not be what is weak.
type switchRule struct {
	setting   string
	byDefault bool
	want      bool
	why       string
}

// run applies the rule to every SDK container of a subject.
func (r switchRule) run(sub *Subject, snap *Snapshot) Result {
	if sub.isValues() {
		return valuesSwitch(sub, r.setting, r.want, r.why)
	}
	if sub.Workload == nil || sub.Workload.Role != RoleSDK {
		return notApplicable
	}
	var all Result
	for i := range sub.Workload.Containers {
		if c := &sub.Workload.Containers[i]; c.SDK {
			all.join(r.container(sub, c, snap))
		}
	}
	return all
}

// container applies the rule to one container.
func (r switchRule) container(sub *Subject, c *Container, snap *Snapshot) Result {
	w := sub.Workload
	if p, ok := c.onCommandLine(w, r.setting); ok {
		return failed(Violation{Field: p, Detail: fmt.Sprintf("container %s sets %s on its command line, where no rule can follow it; set it in env", c.Name, r.setting)})
	}
	v := snap.Value(w, c, r.setting)
	if v.Dangling != "" {
		return failed(Violation{Field: settingPath(w, c, v, r.setting), Detail: fmt.Sprintf("%s comes from %s, which does not exist", r.setting, v.Dangling)})
	}
	if v.Presence == Absent {
		if file, ok := snap.dotenv(w, c); ok {
			return failed(Violation{Field: settingPath(w, c, v, r.setting), Detail: fmt.Sprintf("container %s does not set %s, and a volume provides %s, which may; set it in env", c.Name, r.setting, quotedPath(file))})
		}
	}
	switch on, known := v.Switch(r.byDefault); {
	case !known && v.missing(w, r.setting).Kind == FactSetting: // the pod's own doing
		return failed(Violation{Field: settingPath(w, c, v, r.setting), Detail: fmt.Sprintf("nobody can tell %s of container %s before it runs; set it as a literal, or from a ConfigMap", r.setting, c.Name)})
	case !known:
		return unknown(v.missing(w, r.setting))
	case on != r.want:
		return failed(Violation{
			Field:  settingPath(w, c, v, r.setting),
			Detail: fmt.Sprintf("%s is %s in container %s: %s; want %q", r.setting, shown(v, fmt.Sprintf("not set (%t)", r.byDefault)), c.Name, r.why, fmt.Sprint(r.want)),
		})
	}
	return passed()
}

// dotenv tells that a volume provides the .env file of the working directory,
// from which the SDK takes what its environment does not have.
func (s *Snapshot) dotenv(w *Workload, c *Container) (file string, ok bool) {
	t := w.Resolve(c, ".env")
	if t.Mount == nil || len(cleanMountPath(t.Mount.MountPath)) < len(path.Dir(t.Path)) {
		return "", false
	}
	switch t.Kind {
	case VolumeSecret, VolumeConfigMap, VolumeProjected:
		if _, _, presence, _ := s.Entry(w.Ref.Namespace, t.Origins); presence == Absent {
			return "", false
		}
	default:
	}
	return t.Path, true
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
