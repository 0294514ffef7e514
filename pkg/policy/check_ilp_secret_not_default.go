package policy

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ilp-secret-not-default: the ILP secret equals no published default, however
// it gets there.
var checkILPSecretNotDefault = Check{
	ID: "ilp-secret-not-default", Category: CategoryILP, Severity: Error, PodLocal: true,
	Title: "the ILP secret is no published default",
	Fix:   "put a random one into a Secret and refer to that: `" + generateILP + "`, with --replace where the Secret has the published one",
	Doc: `The ILP secrets of the SDK's source code, of Mojaloop's charts, of the Testing Toolkit and of examples
are public. With such a secret whoever sees an ILP packet can compute its fulfilment. Judged are
` + "`ILP_SECRET`, `CONNECTOR_ILP_SECRET` and `FSPIOP_ILP_SECRET`" + ` in every container, from a literal, a
ConfigMap, a Secret or ` + "`envFrom`" + `; Secrets and ConfigMaps themselves; documents inside them such as the
Testing Toolkit's ` + "`user_config.json`" + `; and Helm values. A value that nobody can tell before the pod runs
(a file, a resource, parts put together, a command line that changes it) counts as one. White space and quotes around the value do not
count. Reports give the number of the default, never its text. The Profile can add more
(` + "`spec.publishedSecrets`" + `).`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		switch {
		case sub.isValues():
			return defaultsInValues(sub, snap)
		case sub.Workload != nil:
			return defaultsInPod(sub, snap)
		}
		data := snap.dataOf(sub)
		if data == nil {
			return notApplicable
		}
		return defaultsInData(data, snap)
	},
}

// publishedDefault describes a published secret without repeating it.
func (s *Snapshot) publishedDefault(v Value) (string, bool) {
	switch {
	case v.Secret.Published > 0:
		return fmt.Sprintf("published default %d", v.Secret.Published), true
	case !v.Tag.IsZero() && s.profile.isPublishedSecret(v.Tag):
		return "a published secret of the Profile", true
	case len(v.Embedded) > 0:
		return fmt.Sprintf("published default %d", v.Embedded[0]), true
	}
	return "", false
}

func defaultsInPod(sub *Subject, snap *Snapshot) Result {
	w := sub.Workload
	var found []Violation
	var missing []Fact
	applies := false
	for i := range w.Containers {
		c := &w.Containers[i]
		for _, l := range c.line {
			switch what, bad := snap.publishedDefault(Value{Secret: l.secret, Tag: l.tag}); {
			case !isSecretSetting(l.name):
				continue
			case bad:
				found = append(found, Violation{Field: l.path(c.Path(w)), Detail: fmt.Sprintf("%s on the command line of container %s is %s", l.name, c.Name, what)})
			case !l.plain && c.SDK && l.name == SettingILPSecret:
				found = append(found, Violation{Field: l.path(c.Path(w)), Detail: fmt.Sprintf("container %s changes %s on its command line, where no rule can follow it; set it in env", c.Name, l.name)})
			}
			applies = true
		}
		for _, name := range ilpSecretSettings {
			v := snap.Value(w, c, name)
			if v.Presence == Absent || (v.Presence == Unknown && v.Setting.from && !c.SDK) {
				continue
			}
			applies = true
			if what, bad := snap.publishedDefault(v); bad {
				found = append(found, Violation{Field: settingPath(w, c, v, name), Detail: fmt.Sprintf("%s of container %s is %s", name, c.Name, what)})
			} else if fact := v.missing(w, name); v.Presence != Unknown || slices.Contains(missing, fact) {
				continue
			} else if fact.Kind == FactSetting { // the pod's own doing
				found = append(found, Violation{Field: settingPath(w, c, v, name), Detail: fmt.Sprintf("nobody can tell %s of container %s before it runs; take it as a whole from a Secret", name, c.Name)})
			} else {
				missing = append(missing, fact)
			}
		}
	}
	switch {
	case len(found) > 0:
		if w.Role == RoleSDK {
			fix := ilpFix(sub, snap)
			for i := range found {
				found[i].Fix = fix
			}
		}
		return failed(found...)
	case len(missing) > 0:
		return unknown(missing...)
	case !applies:
		return notApplicable
	}
	return passed()
}

func defaultsInData(data *Data, snap *Snapshot) Result {
	var found []Violation
	applies := false
	named := fitsPattern(snap.profile.ILP.SecretName, data.Ref.Name)
	for i := range data.Entries {
		e := &data.Entries[i]
		isILP := isSecretSetting(e.Key) || (named && e.Key == snap.profile.ILP.Key)
		if !isILP && len(e.Embedded) == 0 {
			continue
		}
		applies = true
		v := Value{Embedded: e.Embedded}
		if isILP {
			v.Secret, v.Tag = e.Secret, e.Tag
		}
		if what, bad := snap.publishedDefault(v); bad {
			found = append(found, Violation{Field: dataField(data, e.Key), Detail: fmt.Sprintf("%s holds %s", e.Key, what)})
		}
	}
	if !applies {
		return notApplicable
	}
	return failedOrPassed(found)
}

func defaultsInValues(sub *Subject, snap *Snapshot) Result {
	var found []Violation
	applies := false
	walkValues(sub.Raw, nil, func(p *field.Path, key string, value any) {
		if !isSecretSetting(key) || value == nil {
			return
		}
		applies = true
		set := Setting{Name: key}
		if what, bad := snap.publishedDefault(snap.literal(&set, fmt.Sprint(value))); bad {
			found = append(found, Violation{Field: p, Detail: fmt.Sprintf("%s is %s", key, what)})
		}
	})
	if !applies {
		return notApplicable
	}
	return failedOrPassed(found)
}
