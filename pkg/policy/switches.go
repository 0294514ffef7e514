package policy

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/crypto"
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
		if fact, ok := dotenv(w, c); ok {
			return unknown(fact)
		}
	}
	switch on, known := v.Switch(r.byDefault); {
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

// lineSetting is a setting in the command or the arguments of a container.
type lineSetting struct {
	name   string
	member string
	index  int
	// secret and tag describe the value of a secret, as far as a shell's first
	// word of it goes.
	secret crypto.SecretFacts
	tag    crypto.Tag
}

// lineSettings finds NAME= in the command and the arguments of a container, for
// the switches that rules judge, and for ILP_SECRET.
func lineSettings(c *corev1.Container, h *crypto.Hasher) []lineSetting {
	var found []lineSetting
	for l, args := range [...][]string{c.Command, c.Args} {
		for i, arg := range args {
			if !strings.Contains(arg, "=") {
				continue
			}
			for _, name := range [...]string{
				SettingJWSSign, SettingJWSSignPutParties, SettingValidateJWS, SettingValidatePutParties,
				SettingCheckILP, SettingWithoutQuote, SettingILPSecret,
			} {
				_, after, ok := strings.Cut(arg, name+"=")
				if !ok {
					continue
				}
				set := lineSetting{name: name, member: [...]string{"command", "args"}[l], index: i}
				if isSecretSetting(name) {
					value := []byte(firstWord(after))
					set.secret, set.tag = crypto.DescribeSecret(value), h.Sum(crypto.TrimSecret(value))
				}
				found = append(found, set)
			}
		}
	}
	return found
}

// firstWord is what a shell would take for a value: up to its quote, else to
// what ends a word.
func firstWord(text string) string {
	if text != "" && strings.Contains(`"'`, text[:1]) {
		word, _, _ := strings.Cut(text[1:], text[:1])
		return word
	}
	if end := strings.IndexAny(text, " \t\n;&|)"); end >= 0 {
		return text[:end]
	}
	return text
}

// onCommandLine tells where a container sets a variable on its command line.
func (c *Container) onCommandLine(w *Workload, name string) (*field.Path, bool) {
	for _, l := range c.line {
		if l.name == name {
			return c.Path(w).Child(l.member).Index(l.index), true
		}
	}
	return nil, false
}

// dotenv tells that a volume provides the .env file of the working directory,
// from which the SDK takes what its environment does not have.
func dotenv(w *Workload, c *Container) (Fact, bool) {
	t := w.Resolve(c, ".env")
	if t.Mount == nil || len(cleanMountPath(t.Mount.MountPath)) < len(path.Dir(t.Path)) {
		return Fact{}, false
	}
	return Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: t.Path}, true
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
