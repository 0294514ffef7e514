package policy

import (
	"slices"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// Verifier is a container that takes FSPIOP messages from others.
type Verifier struct {
	Container *Container
	// Verifies tells that its settings make it check signatures; Known that
	// they could be read.
	Verifies, Known bool
	// External tells that it gets its keys over a websocket.
	External bool
	// Key is the public key that is mounted for the FSP that was asked for,
	// where HasKey is true, and Data the object it comes from. Presence is
	// Absent when there is no such file, Unknown when that cannot be told.
	Key      crypto.KeyFacts
	HasKey   bool
	Data     Ref
	Presence Presence
}

// hubVerifiers are the services of the hub that take messages from outside.
var hubVerifiers = []string{"account-lookup-service", "ml-api-adapter-service", "quoting-service"}

// VerifiersOf returns the containers of a workload that take messages, and what
// is mounted in them for messages of an FSP. A hub service that is not told to
// verify is none.
func (s *Snapshot) VerifiersOf(w *Workload, fsp string) []Verifier {
	s = s.quiet()
	switch {
	case w.Job:
	case w.Role == RoleSDK:
		var out []Verifier
		for _, c := range w.SDKs() {
			v := Verifier{Container: c, External: s.usesExternalKeys(w, c)}
			v.Verifies, v.Known = s.Value(w, c, SettingValidateJWS).Switch(true)
			if !v.External {
				v.mounted(s, w, s.Value(w, c, SettingVerificationDir), fsp)
			}
			out = append(out, v)
		}
		return out
	case w.Role == RoleHub && slices.Contains(hubVerifiers, w.Component):
		on, presence := s.hubSwitch(w, hubJWSValidate)
		c := w.Main()
		if c == nil || presence == Absent || presence == Present && !on.on {
			return nil
		}
		v := Verifier{Container: c, Verifies: on.on, Known: presence == Present}
		v.mounted(s, w, s.hubPath(w, hubVerificationDir, defaultVerificationDir), fsp)
		return []Verifier{v}
	}
	return nil
}

// mounted finds the file of an FSP in the directory that a setting names.
func (v *Verifier) mounted(s *Snapshot, w *Workload, dir Value, fsp string) {
	v.Presence = Unknown
	if dir.Presence == Unknown || dir.Presence == Present && !dir.IsText {
		return
	}
	files, _, presence, _ := s.Files(w, v.Container, directory(dir))
	if v.Presence = presence; presence != Present {
		return
	}
	v.Presence = Absent
	for _, f := range files {
		if name, ok := fspOfFile(f.Name); !ok || name != fsp {
			continue
		}
		v.Data, v.Presence = f.Data, Present
		if f.Entry == nil || f.Missing != (Fact{}) {
			v.Presence = Unknown
			return
		}
		v.Key, v.HasKey = f.Entry.VerificationKey()
		return
	}
}
