package policy

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
)

// LabelMode on a namespace says what admission does there.
const LabelMode = v1alpha1.LabelMode

// Mode is what admission does with findings, the weakest first.
type Mode string

// The modes. ModeNone is a namespace without the label.
const (
	ModeNone    Mode = ""
	ModeAudit   Mode = "audit"
	ModeWarn    Mode = "warn"
	ModeEnforce Mode = "enforce"
)

func (m Mode) rank() int {
	return slices.Index([]Mode{ModeNone, ModeAudit, ModeWarn, ModeEnforce}, m)
}

// weaker returns the weaker of two modes.
func weaker(a, b Mode) Mode {
	if a.rank() < b.rank() {
		return a
	}
	return b
}

// Mode returns the mode of a namespace. It is Unknown when the labels are. A
// value that is no mode counts as enforce: a typing error must not switch
// protection off.
func (s *Snapshot) Mode(ns string) (Mode, Presence) {
	labels, presence := s.Namespace(ns)
	if presence != Present {
		return ModeNone, presence
	}
	value, ok := labels[LabelMode]
	switch m := Mode(value); {
	case !ok:
		return ModeNone, Present
	case m == ModeAudit || m == ModeWarn:
		return m, Present
	}
	return ModeEnforce, Present
}

// profile is a Profile, prepared for look-up.
type profile struct {
	*v1alpha1.ProfileSpec
	name       string
	modes      map[ID]Mode
	recogniser recogniser
	published  *crypto.PublishedKeys
	// secrets are the tags of the extra published ILP secrets.
	secrets map[crypto.Tag]bool
}

func (p *profile) isPublishedSecret(t crypto.Tag) bool { return p.secrets[t] }

// minILPLength is the least that a Profile can ask of an ILP secret, in bytes.
// The API server refuses less; a file can say anything.
const minILPLength = 16

func newProfile(p *v1alpha1.Profile, published *crypto.PublishedKeys, h *crypto.Hasher) *profile {
	spec := p.Spec.DeepCopy()
	spec.Default()
	spec.ILP.MinLength = max(spec.ILP.MinLength, minILPLength)
	out := &profile{
		ProfileSpec: spec, name: p.Name, published: published,
		recogniser: recogniser{rules: spec.Recognition},
	}
	if len(spec.PublishedSecrets) > 0 {
		out.secrets = make(map[crypto.Tag]bool, len(spec.PublishedSecrets))
		for _, secret := range spec.PublishedSecrets {
			out.secrets[h.Sum(crypto.TrimSecret([]byte(secret)))] = true
		}
	}
	if len(spec.Checks) > 0 {
		out.modes = make(map[ID]Mode, len(spec.Checks))
		for _, c := range spec.Checks {
			if m := Mode(c.Mode); m == ModeAudit || m == ModeWarn {
				out.modes[ID(c.ID)] = m // anything else counts as enforce
			}
		}
	}
	var extra []crypto.PublishedKey
	for _, k := range spec.PublishedKeys {
		// The API server has validated the form.
		if f, err := crypto.ParseFingerprint(k.SPKISHA256); err == nil {
			extra = append(extra, crypto.PublishedKey{Fingerprint: f, Use: k.Use, PublishedIn: k.PublishedIn})
		}
	}
	if len(extra) > 0 {
		out.published = published.With(extra...)
	}
	return out
}

// mode returns the Profile's mode for a check: enforce unless it says less.
func (p *profile) mode(id ID) Mode {
	if m, ok := p.modes[id]; ok {
		return m
	}
	return ModeEnforce
}

// forDFSP fills the DFSP into a name pattern such as "{dfsp}-jws-keys", in lower
// case as names of objects are. It is false when that makes no such name.
func forDFSP(pattern, dfsp string) (string, bool) {
	name := strings.ReplaceAll(pattern, "{dfsp}", strings.ToLower(dfsp))
	return name, len(validation.IsDNS1123Subdomain(name)) == 0
}

// fitsPattern tells whether a name is what forDFSP makes of a pattern.
func fitsPattern(pattern, name string) bool {
	prefix, suffix, ok := strings.Cut(pattern, "{dfsp}")
	return ok && len(name) > len(prefix)+len(suffix) && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
}
