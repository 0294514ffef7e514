package policy

import (
	"slices"
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
	switch name {
	case SettingDFSPID, SettingJWSSign, SettingJWSSignPutParties, SettingSigningKeyPath, SettingVerificationDir,
		SettingValidateJWS, SettingValidatePutParties, SettingCheckILP, SettingWithoutQuote,
		SettingInboundTLS, SettingOutboundTLS, SettingPM4ML, settingLogFilter:
		return true
	}
	if _, dead := deadSettings[name]; dead || isSecretSetting(name) {
		return true
	}
	return strings.Contains(name, "__JWS__") || strings.HasSuffix(name, hubParticipantName)
}

// keepsText tells whether the value of a setting may be kept as it stands.
func keepsText(name string) bool {
	_, dead := deadSettings[name]
	return !dead && !isSecretSetting(name)
}

const settingLogFilter = "LOG_FILTER"

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

	field string // of the pod, when the value is one
	told  bool   // the pod tells it: Text, Secret and Tag hold it
	index int    // in env, or in envFrom when prefix is used
	from  bool   // from envFrom
	parts []part // set when the value mixes in variables that are not literal
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
		v := s.settingValue(w, c, &c.Settings[i])
		if v.Presence == Absent && v.Dangling == "" {
			continue
		}
		return v
	}
	return s.envFromValue(w, c, name)
}

func (s *Snapshot) settingValue(w *Workload, c *Container, set *Setting) Value {
	switch {
	case set.parts != nil:
		return s.joined(w, c, set)
	case set.Source == FromLiteral, set.told:
		return Value{
			Presence: Present, Text: set.Text, IsText: !isSecretSetting(set.Name),
			Secret: set.Secret, Tag: set.Tag, Setting: set,
		}
	case set.Source == FromElsewhere:
		if text, ok := w.field(set.field); ok {
			return s.literal(set, text)
		}
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
		if !set.from { // a source of envFrom need not have every key
			s.lookedUp(set.Source.fact(w.Ref.Namespace, set.Object))
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

// joined puts together a value that mixes in other variables.
func (s *Snapshot) joined(w *Workload, c *Container, set *Setting) Value {
	if len(set.parts) == 1 {
		// One variable as a whole: all that is known of it is known.
		if v := s.partValue(w, c, &set.parts[0]); v.Presence != Absent {
			v.Setting = set
			return v
		}
	}
	var b strings.Builder
	for i := range set.parts {
		p := &set.parts[i]
		if p.ref == nil && p.name == "" {
			b.WriteString(p.text)
			continue
		}
		switch v := s.partValue(w, c, p); {
		case v.Presence == Absent:
			b.WriteString("$(" + p.variable() + ")") // as the kubelet leaves it
		case v.Presence == Present && v.IsText:
			b.WriteString(v.Text)
		default:
			return Value{Presence: Unknown, Setting: set, Missing: v.missing(w, p.variable())}
		}
	}
	return s.literal(set, b.String())
}

func (p *part) variable() string {
	if p.ref != nil {
		return p.ref.Name
	}
	return p.name
}

// partValue looks up a variable that another one refers to.
func (s *Snapshot) partValue(w *Workload, c *Container, p *part) Value {
	if p.ref != nil {
		if v := s.settingValue(w, c, p.ref); v.Presence != Absent {
			return v
		}
	}
	return s.envFromValue(w, c, p.variable())
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

// envFromValue looks up a variable in envFrom: the last source that has it
// wins.
func (s *Snapshot) envFromValue(w *Workload, c *Container, name string) Value {
	for i, from := range slices.Backward(c.EnvFrom) {
		key, ok := strings.CutPrefix(name, from.Prefix)
		if !ok || key == "" {
			continue
		}
		set := &Setting{Name: name, Source: from.Source, Object: from.Object, Key: key, Optional: true, index: i, from: true}
		if v := s.settingValue(w, c, set); v.Presence != Absent {
			return v
		}
	}
	return Value{Presence: Absent}
}

// EnvFrom is an envFrom source of a container.
type EnvFrom struct {
	Prefix   string
	Source   SettingSource
	Object   string
	Optional bool
}

// environment reduces env and envFrom of a container to what rules read. The
// annotations are those of its pod, which variables can refer to.
func environment(c *corev1.Container, annotations map[string]string, h *crypto.Hasher) ([]Setting, []EnvFrom) {
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
	wanted := func(name string) bool { return isSetting(name) || namesSubPath(c, name) }
	n := 0
	for i := range c.Env {
		if wanted(c.Env[i].Name) {
			n++
		}
	}
	if n == 0 {
		return nil, from
	}
	x := expander{env: c.Env, from: len(from) > 0, annotations: annotations}
	settings := make([]Setting, 0, n)
	for i := range c.Env {
		if wanted(c.Env[i].Name) {
			settings = append(settings, newSetting(&x, i, h))
		}
	}
	return settings, from
}

// namesSubPath tells whether a subPathExpr of a container refers to a variable.
func namesSubPath(c *corev1.Container, name string) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.SubPathExpr != "" && strings.Contains(m.SubPathExpr, "$("+name+")")
	})
}

func isTrue(b *bool) bool { return b != nil && *b }

func newSetting(x *expander, i int, h *crypto.Hasher) Setting {
	set := Setting{Name: x.env[i].Name, index: i}
	switch ref := x.env[i].ValueFrom; {
	case ref == nil && !strings.Contains(x.env[i].Value, "$"):
		set.setLiteral(x.env[i].Value, h)
	case ref == nil:
		parts, ok := x.value(i)
		if !ok {
			set.Source = FromElsewhere
			break
		}
		set.setParts(parts, h)
	case ref.SecretKeyRef != nil:
		set.Source, set.Object, set.Key, set.Optional = FromSecret, ref.SecretKeyRef.Name, ref.SecretKeyRef.Key, isTrue(ref.SecretKeyRef.Optional)
	case ref.ConfigMapKeyRef != nil:
		set.Source, set.Object, set.Key, set.Optional = FromConfigMap, ref.ConfigMapKeyRef.Name, ref.ConfigMapKeyRef.Key, isTrue(ref.ConfigMapKeyRef.Optional)
	default:
		set.Source = FromElsewhere
		if ref.FieldRef != nil {
			set.field = ref.FieldRef.FieldPath
		}
		if text, ok := x.annotation(&x.env[i]); ok {
			set.told = true
			set.setLiteral(text, h)
		}
	}
	return set
}

// field returns a field of the pod that a variable can refer to, where the
// object tells it. Labels that are not there may still be added by a controller.
func (w *Workload) field(path string) (string, bool) {
	switch path {
	case "metadata.namespace":
		return w.Ref.Namespace, w.Ref.Namespace != ""
	case "metadata.name":
		return w.Ref.Name, w.Ref.Kind == "Pod" && w.Ref.Name != "" && !strings.HasSuffix(w.Ref.Name, "*")
	case "spec.serviceAccountName":
		return w.ServiceAccount, true
	}
	if label, ok := strings.CutPrefix(path, "metadata.labels['"); ok {
		value, ok := w.Labels[strings.TrimSuffix(label, "']")]
		return value, ok
	}
	return "", false
}

// setLiteral takes a value without variables.
func (s *Setting) setLiteral(text string, h *crypto.Hasher) {
	switch {
	case isSecretSetting(s.Name):
		value := []byte(text)
		s.Secret, s.Tag = crypto.DescribeSecret(value), h.Sum(crypto.TrimSecret(value))
	case keepsText(s.Name):
		s.Text = text
	}
}

// setParts takes the expanded value: plain text, another variable, or a mix.
func (s *Setting) setParts(parts []part, h *crypto.Hasher) {
	literal := func(p part) bool { return p.ref == nil && p.name == "" }
	switch {
	case len(parts) == 0:
		s.setLiteral("", h)
	case len(parts) == 1 && literal(parts[0]):
		s.setLiteral(parts[0].text, h)
	case isSecretSetting(s.Name) && slices.ContainsFunc(parts, literal):
		// A literal part of a secret must not stay, so the mix cannot be told.
		s.Source = FromElsewhere
	case len(parts) == 1 && parts[0].ref != nil && parts[0].ref.parts == nil && !parts[0].ref.Optional:
		ref := parts[0].ref
		s.Source, s.Object, s.Key, s.field = ref.Source, ref.Object, ref.Key, ref.field
	default:
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

// settingPath is the field that sets a value, or where it should stand.
func settingPath(w *Workload, c *Container, v Value, name string) *field.Path {
	if v.Setting != nil {
		return v.Setting.Path(c.Path(w))
	}
	return c.Path(w).Child("env").Key(name)
}
