package policy

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// The settings of the SDK that rules read.
const (
	SettingDFSPID             = "DFSP_ID"
	SettingJWSSign            = "JWS_SIGN"
	SettingJWSSignPutParties  = "JWS_SIGN_PUT_PARTIES"
	SettingSigningKeyPath     = "JWS_SIGNING_KEY_PATH"
	SettingVerificationDir    = "JWS_VERIFICATION_KEYS_DIRECTORY"
	SettingValidateJWS        = "VALIDATE_INBOUND_JWS"
	SettingValidatePutParties = "VALIDATE_INBOUND_PUT_PARTIES_JWS"
	SettingILPSecret          = "ILP_SECRET"
	SettingCheckILP           = "CHECK_ILP"
	SettingWithoutQuote       = "ALLOW_TRANSFER_WITHOUT_QUOTE"
	SettingInboundTLS         = "INBOUND_MUTUAL_TLS_ENABLED"
	SettingOutboundTLS        = "OUTBOUND_MUTUAL_TLS_ENABLED"
	SettingPM4ML              = "PM4ML_ENABLED"
)

// isSetting tells whether rules read an environment variable. Others are not
// kept: they may hold anything.
func isSetting(name string) bool {
	switch {
	case len(name) < 6:
		return false
	case strings.HasPrefix(name, "JWS_"), strings.HasPrefix(name, "ILP_"),
		strings.HasPrefix(name, "VALIDATE_INBOUND_"), strings.HasPrefix(name, "AUDIT_LOG_"),
		strings.HasPrefix(name, "IN_"), strings.HasPrefix(name, "OUT_"),
		strings.HasSuffix(name, "_MUTUAL_TLS_ENABLED"), strings.HasSuffix(name, settingSuffixILP),
		strings.Contains(name, "__JWS__"), strings.HasSuffix(name, "HUB_PARTICIPANT__NAME"):
		return true
	}
	switch name {
	case SettingDFSPID, SettingCheckILP, SettingWithoutQuote, SettingPM4ML,
		"MULTI_DFSP", "API_TYPE", "EXPIRY_SECONDS", "LOG_FILTER", "SWITCH_ID", "HUB_NAME":
		return true
	}
	return strings.HasSuffix(name, "_SWITCH_ID") || strings.HasSuffix(name, "_HUB_NAME")
}

// settingSuffixILP also ends CONNECTOR_ILP_SECRET and FSPIOP_ILP_SECRET.
const settingSuffixILP = "ILP_SECRET"

func isSecretSetting(name string) bool { return strings.HasSuffix(name, settingSuffixILP) }

// SettingSource tells where the value of a setting comes from.
type SettingSource int

// The sources of a setting.
const (
	FromLiteral SettingSource = iota
	FromConfigMap
	FromSecret
	FromElsewhere // a field of the pod, a resource, a file: known on the node only
)

// Setting is one environment variable of a container, as far as it is written
// in the pod. It holds no secret.
type Setting struct {
	Name   string
	Source SettingSource
	// Object and Key name the entry of the ConfigMap or Secret.
	Object, Key string
	Optional    bool
	// Text is the literal value with $(VAR) expanded; empty for a secret.
	Text string
	// Secret and Tag describe the literal value of a secret.
	Secret crypto.SecretFacts
	Tag    crypto.Tag

	index int    // in env, or in envFrom when prefix is used
	from  bool   // from envFrom
	parts []part // set when the value mixes in variables that are not literal
}

// part is a stretch of an expanded value: text, or another setting.
type part struct {
	text string
	ref  *Setting
}

// Path returns the field of the setting below its container. leaf is the
// member that holds the value.
func (s *Setting) Path(container *field.Path) *field.Path {
	if s.from {
		return container.Child("envFrom").Index(s.index)
	}
	p := container.Child("env").Index(s.index)
	switch s.Source {
	case FromConfigMap:
		return p.Child("valueFrom", "configMapKeyRef")
	case FromSecret:
		return p.Child("valueFrom", "secretKeyRef")
	case FromElsewhere:
		return p.Child("valueFrom")
	case FromLiteral:
	}
	return p.Child("value")
}

// Value is the value of a setting as far as a Snapshot knows it.
type Value struct {
	// Presence is Absent when the variable will not be set and Unknown when
	// Missing names what would have to be read to tell.
	Presence Presence
	Missing  Fact
	// Text is the value where IsText is true.
	Text   string
	IsText bool
	// Secret and Tag describe a secret value.
	Secret   crypto.SecretFacts
	Tag      crypto.Tag
	Embedded []int
	// Setting is where it comes from; nil when Absent.
	Setting *Setting
	// Dangling names the Secret or ConfigMap (or the key in one) that the
	// setting needs and that is known not to exist: the container cannot
	// start.
	Dangling string
}

// Switch reads the value as a boolean with its default. known is false when
// the value is set and cannot be told.
func (v Value) Switch(byDefault bool) (on, known bool) {
	switch {
	case v.Presence == Absent:
		return byDefault, true
	case v.Presence == Unknown || !v.IsText:
		return false, false
	}
	if on, ok := parseSwitch(v.Text); ok {
		return on, true
	}
	return byDefault, true
}

// Value looks up an environment variable of a container as the kubelet does:
// env before envFrom, the last of several wins, optional references that lead
// nowhere count as not written.
func (s *Snapshot) Value(w *Workload, c *Container, name string) Value {
	for i := len(c.Settings) - 1; i >= 0; i-- {
		if c.Settings[i].Name != name {
			continue
		}
		v := s.settingValue(w, &c.Settings[i])
		if v.Presence == Absent && v.Dangling == "" {
			continue
		}
		return v
	}
	for i := len(c.EnvFrom) - 1; i >= 0; i-- {
		if v := s.envFromValue(w, &c.EnvFrom[i], i, name); v.Presence != Absent {
			return v
		}
	}
	return Value{Presence: Absent}
}

func (s *Snapshot) settingValue(w *Workload, set *Setting) Value {
	switch {
	case set.parts != nil:
		return s.joined(w, set)
	case set.Source == FromLiteral:
		return Value{
			Presence: Present, Text: set.Text, IsText: !isSecretSetting(set.Name),
			Secret: set.Secret, Tag: set.Tag, Setting: set,
		}
	case set.Source == FromElsewhere:
		return Value{Presence: Unknown, Setting: set, Missing: Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: set.Name}}
	}
	data, presence := s.data(set.Source, w.Ref.Namespace, set.Object)
	if presence == Unknown {
		return Value{Presence: Unknown, Setting: set, Missing: set.Source.fact(w.Ref.Namespace, set.Object)}
	}
	if presence == Present {
		if e, ok := data.Entry(set.Key); ok {
			return entryValue(e, set)
		}
	}
	v := Value{Presence: Absent, Setting: set}
	if !set.Optional {
		v.Dangling = string(set.Source.fact("", "").Kind) + " " + set.Object
		if presence == Present {
			v.Dangling = "key " + set.Key + " of " + v.Dangling
		}
	}
	return v
}

// fact names an object that a setting or a mount refers to.
func (s SettingSource) fact(ns, name string) Fact {
	if s == FromSecret {
		return Fact{Kind: FactSecret, Namespace: ns, Name: name}
	}
	return Fact{Kind: FactConfigMap, Namespace: ns, Name: name}
}

func entryValue(e *Entry, set *Setting) Value {
	return Value{
		Presence: Present, Text: e.Text, IsText: e.IsText,
		Secret: e.Secret, Tag: e.Tag, Embedded: e.Embedded, Setting: set,
	}
}

func (s *Snapshot) joined(w *Workload, set *Setting) Value {
	var b strings.Builder
	for _, p := range set.parts {
		if p.ref == nil {
			b.WriteString(p.text)
			continue
		}
		v := s.settingValue(w, p.ref)
		if !v.IsText {
			if v.Presence != Unknown {
				v.Missing = Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: p.ref.Name}
			}
			return Value{Presence: Unknown, Setting: set, Missing: v.Missing}
		}
		b.WriteString(v.Text)
	}
	return s.literal(set, b.String())
}

// literal is the value of a setting that turned out to be known text.
func (s *Snapshot) literal(set *Setting, text string) Value {
	v := Value{Presence: Present, Setting: set}
	if isSecretSetting(set.Name) {
		v.Secret, v.Tag = crypto.DescribeSecret([]byte(text)), s.hasher.Sum(crypto.TrimSecret([]byte(text)))
	} else {
		v.Text, v.IsText = text, true
	}
	return v
}

func (s *Snapshot) envFromValue(w *Workload, from *EnvFrom, index int, name string) Value {
	key, ok := strings.CutPrefix(name, from.Prefix)
	if !ok || key == "" {
		return Value{Presence: Absent}
	}
	set := &Setting{Name: name, Source: from.Source, Object: from.Object, Key: key, Optional: true, index: index, from: true}
	return s.settingValue(w, set)
}

// EnvFrom is an envFrom source of a container.
type EnvFrom struct {
	Prefix   string
	Source   SettingSource
	Object   string
	Optional bool
}

// environment reduces env and envFrom of a container to what rules read.
func environment(c *corev1.Container, h *crypto.Hasher) ([]Setting, []EnvFrom) {
	var from []EnvFrom
	for i := range c.EnvFrom {
		src := &c.EnvFrom[i]
		switch {
		case src.ConfigMapRef != nil:
			from = append(from, EnvFrom{Prefix: src.Prefix, Source: FromConfigMap, Object: src.ConfigMapRef.Name, Optional: isTrue(src.ConfigMapRef.Optional)})
		case src.SecretRef != nil:
			from = append(from, EnvFrom{Prefix: src.Prefix, Source: FromSecret, Object: src.SecretRef.Name, Optional: isTrue(src.SecretRef.Optional)})
		default: // keep indices aligned
			from = append(from, EnvFrom{Source: FromElsewhere, Prefix: "\x00"})
		}
	}
	n := 0
	for i := range c.Env {
		if isSetting(c.Env[i].Name) {
			n++
		}
	}
	if n == 0 {
		return nil, from
	}
	settings := make([]Setting, 0, n)
	for i := range c.Env {
		if isSetting(c.Env[i].Name) {
			settings = append(settings, newSetting(c.Env, i, from, h))
		}
	}
	return settings, from
}

func isTrue(b *bool) bool { return b != nil && *b }

func newSetting(env []corev1.EnvVar, i int, from []EnvFrom, h *crypto.Hasher) Setting {
	set := Setting{Name: env[i].Name, index: i}
	switch ref := env[i].ValueFrom; {
	case ref == nil && !strings.Contains(env[i].Value, "$"):
		set.setLiteral(env[i].Value, h)
	case ref == nil:
		set.setText(expand(env, i, from), h)
	case ref.SecretKeyRef != nil:
		set.Source, set.Object, set.Key, set.Optional = FromSecret, ref.SecretKeyRef.Name, ref.SecretKeyRef.Key, isTrue(ref.SecretKeyRef.Optional)
	case ref.ConfigMapKeyRef != nil:
		set.Source, set.Object, set.Key, set.Optional = FromConfigMap, ref.ConfigMapKeyRef.Name, ref.ConfigMapKeyRef.Key, isTrue(ref.ConfigMapKeyRef.Optional)
	default:
		set.Source = FromElsewhere
	}
	return set
}

// setLiteral takes a value without variables.
func (s *Setting) setLiteral(text string, h *crypto.Hasher) {
	if isSecretSetting(s.Name) {
		value := []byte(text)
		s.Secret, s.Tag = crypto.DescribeSecret(value), h.Sum(crypto.TrimSecret(value))
		return
	}
	s.Text = text
}

// setText takes the expanded value: plain text, another variable, or a mix.
func (s *Setting) setText(parts []part, h *crypto.Hasher) {
	switch {
	case len(parts) == 0:
		s.setLiteral("", h)
	case len(parts) == 1 && parts[0].ref == nil:
		s.setLiteral(parts[0].text, h)
	default:
		// A literal part of a secret must not stay: only a value that is one
		// variable as a whole can be looked up later.
		if isSecretSetting(s.Name) && len(parts) > 1 {
			s.Source = FromElsewhere
			return
		}
		if ref := parts[0].ref; len(parts) == 1 && ref.parts == nil {
			s.Source, s.Object, s.Key, s.Optional = ref.Source, ref.Object, ref.Key, ref.Optional
			return
		}
		s.parts = parts
	}
}

// missing names what would have to be read to know a value.
func (v Value) missing(w *Workload, name string) Fact {
	if v.Missing != (Fact{}) {
		return v.Missing
	}
	return Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: name}
}

// shown is how a detail quotes a value that is no secret.
func shown(v Value, absent string) string {
	if v.Presence == Present && v.IsText {
		return fmt.Sprintf("%q", v.Text)
	}
	return absent
}

// settingPath is the field that sets a value, or where it should stand.
func settingPath(w *Workload, c *Container, v Value, name string) *field.Path {
	if v.Setting != nil {
		return v.Setting.Path(c.Path(w))
	}
	return c.Path(w).Child("env").Key(name)
}
