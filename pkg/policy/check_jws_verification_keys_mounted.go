package policy

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// jws-verification-keys-mounted: JWS_VERIFICATION_KEYS_DIRECTORY is a mount
// and holds <fspId>.pem for every other signer of this cluster, and no mount or
// projection hides one of them.
var checkJWSVerificationKeysMounted = Check{
	ID: "jws-verification-keys-mounted", Category: CategoryJWS, Severity: Error, Injected: true,
	Title: "the public keys of the peers are mounted",
	Fix:   "mount ConfigMap mojaloop-jws-verification-keys at JWS_VERIFICATION_KEYS_DIRECTORY and put <fspId>.pem of each peer into it; of a DFSP of this cluster: `" + generateJWS + "`",
	Doc: `The verifier reads one file per peer, ` + "`<fspId>.pem`" + `, from ` + "`JWS_VERIFICATION_KEYS_DIRECTORY`" + `. The directory
must be a mount (the image contains demo keys), filled from a ConfigMap, a Secret, a projected volume
or the CSI volume of a secrets store, and hold the key of every other DFSP that signs in this cluster,
and the hub's when it signs here. A peer whose file is missing gets FSPIOP error 3105 on every
message. A mount of its own over the file of a peer must hold the key that the peer signs with, and
the ConfigMap of the Profile must not exist as a Secret too. A hub service is judged when its
configuration says that it verifies (` + "`JWS_VALIDATE`" + `).

In namespaces with ` + "`mojasec.io/mode: enforce`" + ` mojasec mounts the Profile's ConfigMap where a pod mounts
nothing.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil {
			return snap.ambiguousKeys(sub)
		}
		var all Result
		for _, v := range snap.verifiers(sub.Workload) {
			all.join(mountedPeers(sub.Workload, v.container, v.dir, snap))
		}
		return all
	},
}

// mountedPeers judges the directory of one verifier.
func mountedPeers(w *Workload, c *Container, dir Value, snap *Snapshot) Result {
	if p, ok := c.onCommandLine(w, SettingVerificationDir); ok && w.Role == RoleSDK {
		return failed(Violation{Field: p, Detail: fmt.Sprintf("container %s changes %s on its command line, where no rule can follow it; set it in env", c.Name, SettingVerificationDir)})
	}
	if dir.Presence == Unknown || (dir.Presence == Present && !dir.IsText) {
		return unknown(dir.missing(w, SettingVerificationDir))
	}
	t := w.Resolve(c, directory(dir))
	where := func() *field.Path {
		if dir.Setting == nil {
			return t.MountPath(c.Path(w))
		}
		return settingPath(w, c, dir, SettingVerificationDir)
	}
	switch t.Kind {
	case VolumeCSI:
		if driver := w.unknownDriver(&t); driver != (Fact{}) {
			return unknown(driver)
		}
		return passed()
	case VolumeSecret, VolumeConfigMap, VolumeProjected:
	case VolumeNone:
		return failed(Violation{Field: where(), Detail: fmt.Sprintf("container %s reads its peers' keys from %s, where no volume is mounted: only the image's demo keys are there", c.Name, quotedPath(t.Path))})
	default:
		return failed(Violation{Field: where(), Detail: fmt.Sprintf("container %s reads its peers' keys from %s, which is on %s %s", c.Name, quotedPath(t.Path), article(t.Kind), t.Kind)})
	}
	peers, missing := snap.missingPeers(w, c, &t)
	switch {
	case missing != (Fact{}):
		return unknown(missing)
	case len(peers.absent)+len(peers.hidden) == 0:
		return passed()
	}
	var found []Violation
	if len(peers.absent) > 0 {
		for i := range t.Origins {
			if o := &t.Origins[i]; o.Source != FromElsewhere {
				snap.lookedUp(o.Source.fact(w.Ref.Namespace, o.Object))
			}
		}
	}
	known, strange := snap.strangersOnly(peers.absent, w.Ref.Namespace)
	for i, fsps := range [][]string{known, strange} {
		if len(fsps) == 0 {
			continue
		}
		v := Violation{At: peers.holder, Detail: fmt.Sprintf("%s has no key for %s, whose messages will be refused (FSPIOP error 3105)", quotedPath(t.Path), enumerated(fsps))}
		if peers.holder == nil {
			v.Field = t.MountPath(c.Path(w))
		}
		if i == 1 {
			v.Severity = new(Warning)
		}
		found = append(found, v)
	}
	for _, f := range peers.hidden {
		detail := fmt.Sprintf("%s/%s comes from %s, which hides the key of the peer", quotedPath(t.Path), f.Name, f.Origin.Object)
		if f.Origin.Source != FromElsewhere {
			detail = fmt.Sprintf("%s/%s is mounted on its own from %s, and the peer does not sign with the key there", quotedPath(t.Path), f.Name, f.Data)
		}
		at := w.Resolve(c, t.Path+"/"+f.Name)
		found = append(found, Violation{Field: at.MountPath(c.Path(w)), Detail: detail})
	}
	return failed(found...)
}

// ambiguousKeys judges the object of the Profile with the peers' keys: as both a
// ConfigMap and a Secret, nobody can tell which one is kept up to date.
func (s *Snapshot) ambiguousKeys(sub *Subject) Result {
	name := s.profile.JWS.VerificationConfigMap
	if sub.Ref.Name != name {
		return notApplicable
	}
	var other SettingSource
	switch sub.Ref.Kind {
	case "Secret":
		other = FromConfigMap
	case "ConfigMap":
		other = FromSecret
	default:
		return notApplicable
	}
	data, presence := s.data(other, sub.Ref.Namespace, name)
	if presence != Present {
		return notApplicable
	}
	return failed(Violation{
		Detail:  fmt.Sprintf("%s has the name of %s: verifiers that mount the one trust other keys than those that mount the other", sub.Ref, data.Ref),
		Fix:     "put the peers' keys into one of the two, mount that everywhere, and delete the other",
		Related: []Location{{Ref: data.Ref, Message: "the other one"}},
	})
}

// peerFiles is what a verification directory lacks.
type peerFiles struct {
	absent []string // FSPs without a file
	hidden []File   // files that hold something else than the key of their FSP
	holder *Ref     // the object that should hold the absent ones
}

// missingPeers looks for the signers of the cluster, other than w itself, in a
// verification directory.
func (s *Snapshot) missingPeers(w *Workload, c *Container, t *Target) (p peerFiles, missing Fact) {
	self := s.DFSP(w).Text
	// The usual case, and the same for every SDK: one object as a whole.
	switch data, presence, fact := s.wholeObject(w, c, t); presence {
	case Unknown:
		return p, fact
	case Present:
		p.holder, p.absent = &data.Ref, s.withoutKey(data)
		if i, ok := slices.BinarySearch(p.absent, self); ok {
			p.absent = slices.Concat(p.absent[:i], p.absent[i+1:])
		}
		return p, Fact{}
	case Absent:
	}
	files, _, presence, missing := s.Files(w, c, t.Path)
	if presence == Unknown {
		return p, missing
	}
	for _, fsp := range slices.Sorted(maps.Keys(s.whole().signers)) {
		i := slices.IndexFunc(files, func(f File) bool { return f.Name == fsp+".pem" })
		switch {
		case fsp == "" || fsp == self:
		case i < 0:
			p.absent = append(p.absent, fsp)
		case files[i].Missing != (Fact{}):
			missing = files[i].Missing
		case files[i].Origin.Source == FromElsewhere, files[i].Nested && !s.signsWith(fsp, files[i].Entry):
			p.hidden = append(p.hidden, files[i])
		}
	}
	if i := slices.IndexFunc(files, func(f File) bool { return f.Origin.Source != FromElsewhere && f.Missing == (Fact{}) }); i >= 0 {
		p.holder = &files[i].Data
	}
	if len(p.absent)+len(p.hidden) > 0 {
		return p, Fact{} // certain, whatever the rest is
	}
	return p, missing
}

// signsWith tells whether an entry is the public half of a key that a DFSP signs
// with, or could be: not every signing key is known.
func (s *Snapshot) signsWith(fsp string, e *Entry) bool {
	key, ok := e.VerificationKey()
	return ok && slices.ContainsFunc(s.whole().signers[fsp], func(sg signer) bool {
		return sg.key.IsZero() || sg.key == key.Fingerprint
	})
}
