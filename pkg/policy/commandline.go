package policy

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// lineSetting is a setting that a program which a container starts is given, or
// robbed of, by the text that starts it.
type lineSetting struct {
	name string
	// at leads from the container to the text.
	at []string
	// index in the list of that name; leaf is what follows it.
	index int
	leaf  string
	// plain tells that the value of a secret is a word that means itself;
	// secret and tag then describe it.
	plain  bool
	secret crypto.SecretFacts
	tag    crypto.Tag
}

// path is the field of the text.
func (l *lineSetting) path(container *field.Path) *field.Path {
	p := container.Child(l.at[0], l.at[1:]...).Index(l.index)
	if l.leaf != "" {
		p = p.Child(l.leaf)
	}
	return p
}

// line is a text of a container that a program may run.
type line struct {
	at    []string
	index int
	leaf  string
	text  string
	// before is the argument before it.
	before string
}

// lines returns the command lines of a container, with the variables that the
// pod tells, and the values of its variables: shells run those too.
func lines(c *corev1.Container) []line {
	var out []line
	x := expander{env: c.Env}
	add := func(args []string, at ...string) {
		before := ""
		for i, arg := range args {
			out = append(out, line{at: at, index: i, text: x.line(arg), before: before})
			before = arg
		}
	}
	add(c.Command, "command")
	add(c.Args, "args")
	if l := c.Lifecycle; l != nil {
		for name, h := range map[string]*corev1.LifecycleHandler{"postStart": l.PostStart, "preStop": l.PreStop} {
			if h != nil && h.Exec != nil {
				add(h.Exec.Command, "lifecycle", name, "exec", "command")
			}
		}
	}
	for i := range c.Env {
		if e := &c.Env[i]; strings.ContainsAny(e.Value, " =;[") {
			out = append(out, line{at: []string{"env"}, index: i, leaf: "value", text: e.Value})
		}
	}
	return out
}

// line replaces the variables in a text whose values the pod tells.
func (x *expander) line(text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	x.fill(len(x.env))
	var b strings.Builder
	for _, p := range x.expand(text) {
		b.WriteString(p.text)
	}
	return b.String()
}

// Words that give a program a variable or take it away. Whoever only reads one
// ("$NAME", process.env.NAME) is not meant.
var (
	lineName = regexp.MustCompile(`(?:\b|-u)(` + strings.Join(append([]string{
		SettingJWSSign, SettingJWSSignPutParties, SettingValidateJWS, SettingValidatePutParties, SettingCheckILP,
		SettingWithoutQuote, SettingSigningKeyPath, SettingVerificationDir, SettingDFSPID, SettingPM4ML,
	}, ilpSecretSettings[:]...), "|") + `)\b`)
	lineGives    = regexp.MustCompile(`^['"\]]*\s*(?:=(?:[^=~]|$)|:\s*['"])`)
	lineDefaults = regexp.MustCompile(`^:?=`)
	lineTakes    = regexp.MustCompile(`(?:\b(?:unset|read|export\s+-n)\b[^;&|\n]*|(?:^|\s)(?:-u|--unset)[\s=]*|\bdelete\s+process\.env(?:\.|\[\s*['"]))$`)
	lineClears   = regexp.MustCompile(`(?:^|[\s;&|(/])env\s+(?:-\S*i\S*|--ignore-environment|-)(?:\s|$)`)
)

// lineSettings finds the settings that the texts of a container give or take.
func lineSettings(c *corev1.Container, h *crypto.Hasher) []lineSetting {
	var found []lineSetting
	for _, l := range lines(c) {
		for _, m := range lineName.FindAllStringSubmatchIndex(l.text, -1) {
			name, before, after := l.text[m[2]:m[3]], l.text[:m[2]], l.text[m[3]:]
			reads := strings.HasSuffix(before, "$") || strings.HasSuffix(before, "${")
			set := lineSetting{name: name, at: l.at, index: l.index, leaf: l.leaf}
			switch {
			case reads && strings.HasSuffix(before, "{") && lineDefaults.MatchString(after):
			case reads:
				continue
			case lineGives.MatchString(after):
				if value, ok := strings.CutPrefix(after, "="); ok && isSecretSetting(name) {
					set.describe(firstWord(value), h)
				}
			case lineTakes.MatchString(before), before == "" && after == "" && (l.before == "-u" || l.before == "--unset"):
			default:
				continue
			}
			found = append(found, set)
		}
		clears := l.text == "env" || strings.HasSuffix(l.text, "/env")
		if lineClears.MatchString(l.text) || clears && l.index+1 < len(c.Command) && l.at[0] == "command" && lineClears.MatchString("env "+c.Command[l.index+1]) {
			found = append(found, lineSetting{name: SettingILPSecret, at: l.at, index: l.index, leaf: l.leaf})
		}
	}
	return found
}

// describe takes the value of a secret. One that a shell or a script would put
// together cannot be told.
func (l *lineSetting) describe(word string, h *crypto.Hasher) {
	if word == "" || strings.ContainsAny(word, "'\"`$\\") {
		return
	}
	value := []byte(word)
	l.plain, l.secret, l.tag = true, crypto.DescribeSecret(value), h.Sum(crypto.TrimSecret(value))
}

// firstWord is what a shell would take for a value: up to its quote, where
// nothing follows that, else to what ends a word.
func firstWord(text string) string {
	const ends = " \t\n;&|)"
	if text != "" && strings.Contains(`"'`, text[:1]) {
		word, rest, _ := strings.Cut(text[1:], text[:1])
		if rest == "" || strings.Contains(ends, rest[:1]) {
			return word
		}
		return text[:1] // more of the word follows
	}
	if end := strings.IndexAny(text, ends); end >= 0 {
		return text[:end]
	}
	return text
}

// onCommandLine tells where a container gives a variable to a program, or takes
// it away, by the text that starts it.
func (c *Container) onCommandLine(w *Workload, name string) (*field.Path, bool) {
	i := slices.IndexFunc(c.line, func(l lineSetting) bool { return l.name == name })
	if i < 0 {
		return nil, false
	}
	return c.line[i].path(c.Path(w)), true
}
