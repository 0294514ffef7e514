package policy

import (
	"slices"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// DefaultDFSP is the identity of an SDK that does not say who it is.
const DefaultDFSP = "mojaloop"

// Identity is the DFSP a workload acts for.
type Identity struct {
	Value
	// Container is where DFSP_ID is set; nil when labels tell.
	Container *Container
}

// DFSP returns the identity of a workload: DFSP_ID of the SDK, else its
// labels; for a hub service the hub's participant name. An SDK that sets
// nothing has no identity here, though it will call itself "mojaloop".
func (s *Snapshot) DFSP(w *Workload) Identity {
	if w.Role == RoleHub {
		return s.hubName(w)
	}
	for i := range w.Containers {
		c := &w.Containers[i]
		if !c.SDK {
			continue
		}
		v := s.Value(w, c, SettingDFSPID)
		if v.Presence == Present && v.IsText && v.Text != "" {
			return Identity{v, c}
		}
		if v.Presence != Absent && w.LabelDFSP == "" {
			v.Presence = Unknown
			if v.Missing == (Fact{}) {
				v.Missing = Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: SettingDFSPID}
			}
			return Identity{v, c}
		}
	}
	if w.LabelDFSP != "" {
		return Identity{Value: Value{Presence: Present, Text: w.LabelDFSP, IsText: true}}
	}
	return Identity{Value: Value{Presence: Absent}}
}

// usesExternalKeys tells SDKs that get their keys over a websocket from the
// connection manager (PM4ML_ENABLED): what they mount is a placeholder.
func (s *Snapshot) usesExternalKeys(w *Workload, c *Container) bool {
	if _, changes := c.onCommandLine(w, SettingPM4ML); changes {
		return false
	}
	on, known := s.Value(w, c, SettingPM4ML).Switch(false)
	return on && known
}

// signs tells whether a workload signs messages by its settings. What is not
// known counts as signing for an SDK (its default) and as not for the hub.
func (s *Snapshot) signs(w *Workload) bool {
	if !w.Signs {
		return false
	}
	if w.Role == RoleSDK {
		return slices.ContainsFunc(w.SDKs(), func(c *Container) bool {
			on, known := s.Value(w, c, SettingJWSSign).Switch(true)
			return on || !known
		})
	}
	sign, presence := s.hubSwitch(w, hubJWSSign)
	return presence == Present && sign.on
}

// keyAt is where a signing key is read from.
type keyAt struct {
	container *Container
	path      Value // of the setting that names the path
	target    Target
	entry     *Entry // nil when absent or unknown
	key       crypto.KeyFacts
	hasKey    bool // entry holds a private key whose fingerprint is known
	origin    *Origin
	data      Ref
	presence  Presence
	missing   Fact
}

// defaultSigningKey is where the SDK and the hub's services look for their key
// when nothing names a path; relative to their working directory.
const (
	defaultSigningKey      = "secrets/jwsSigningKey.key"
	defaultVerificationDir = "secrets/jwsVerificationKeys"
)

// signingKeys follows the path of the signing key to what is mounted there, for
// each container that signs.
func (s *Snapshot) signingKeys(w *Workload) []keyAt {
	switch {
	case !w.Signs:
		return nil
	case w.Role == RoleHub:
		if c := w.Main(); c != nil {
			return []keyAt{s.signingKey(w, c, s.hubPath(w, hubSigningKeyPath, defaultSigningKey))}
		}
		return nil
	}
	var keys []keyAt
	for _, c := range w.SDKs() {
		if !s.usesExternalKeys(w, c) {
			keys = append(keys, s.signingKey(w, c, s.Value(w, c, SettingSigningKeyPath)))
		}
	}
	return keys
}

func (s *Snapshot) signingKey(w *Workload, c *Container, path Value) keyAt {
	k := keyAt{container: c, path: path}
	text := defaultSigningKey
	switch {
	case path.Presence == Unknown || (path.Presence == Present && !path.IsText):
		k.missing = path.missing(w, SettingSigningKeyPath)
		return k
	case path.Presence == Present && path.Text != "":
		text = path.Text
	}
	k.target = w.Resolve(c, text)
	k.entry, k.origin, k.presence, k.missing = s.Entry(w.Ref.Namespace, k.target.Origins)
	if k.entry != nil {
		k.key, k.hasKey = k.entry.SigningKey()
		k.hasKey = k.hasKey && !k.key.Fingerprint.IsZero()
	}
	if k.origin != nil {
		if d, p := s.data(k.origin.Source, w.Ref.Namespace, k.origin.Object); p == Present {
			k.data = d.Ref
		}
	}
	return k
}

// verifier is a container that verifies signatures and the setting that names
// the directory of its keys.
type verifier struct {
	container *Container
	dir       Value
}

// verifiers returns the containers of a workload that verify with keys from a
// directory.
func (s *Snapshot) verifiers(w *Workload) []verifier {
	switch w.Role {
	case RoleSDK:
		var out []verifier
		for _, c := range w.SDKs() {
			if !s.usesExternalKeys(w, c) {
				out = append(out, verifier{c, s.Value(w, c, SettingVerificationDir)})
			}
		}
		return out
	case RoleHub:
		v, presence := s.hubSwitch(w, hubJWSValidate)
		if c := w.Main(); c != nil && !w.Job && presence == Present && v.on {
			return []verifier{{c, s.hubPath(w, hubVerificationDir, defaultVerificationDir)}}
		}
	default:
	}
	return nil
}

// directory is the path that a setting names; the default when it names none.
func directory(v Value) string {
	if v.Presence == Present && v.IsText && v.Text != "" {
		return v.Text
	}
	return defaultVerificationDir
}

// fspOfFile returns the FSP that a file of the verification directory is for:
// the SDK takes the base name of every *.pem.
func fspOfFile(name string) (string, bool) {
	const ext = ".pem"
	if len(name) <= len(ext) || name[len(name)-len(ext):] != ext {
		return "", false
	}
	return name[:len(name)-len(ext)], true
}
