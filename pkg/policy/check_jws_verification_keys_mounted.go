package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// jws-verification-keys-mounted: JWS_VERIFICATION_KEYS_DIRECTORY is a mount
// and holds <fspId>.pem for every other signer of this cluster.
var checkJWSVerificationKeysMounted = Check{
	ID: "jws-verification-keys-mounted", Category: CategoryJWS, Severity: Error, Injected: true,
	Title: "the public keys of the peers are mounted",
	Fix:   "mount ConfigMap mojaloop-jws-verification-keys at JWS_VERIFICATION_KEYS_DIRECTORY and put <fspId>.pem of each peer into it",
	Doc: `The verifier reads one file per peer, ` + "`<fspId>.pem`" + `, from ` + "`JWS_VERIFICATION_KEYS_DIRECTORY`" + `. The directory
must be a mount (the image contains demo keys), filled from a ConfigMap, a Secret, a projected volume
or CSI, and hold the key of every other DFSP that signs in this cluster, and the hub's when it signs
here. A peer whose file is missing gets FSPIOP error 3105 on every message. A hub service is
judged when its configuration says that it verifies (` + "`JWS_VALIDATE`" + `).

In namespaces with ` + "`mojasec.io/mode: enforce`" + ` mojasec mounts the Profile's ConfigMap where a pod mounts
nothing.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Pod == nil {
			return notApplicable
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
		return passed()
	case VolumeSecret, VolumeConfigMap, VolumeProjected:
	case VolumeNone:
		return failed(Violation{Field: where(), Detail: fmt.Sprintf("container %s reads its peers' keys from %s, where no volume is mounted: only the image's demo keys are there", c.Name, quotedPath(t.Path))})
	default:
		return failed(Violation{Field: where(), Detail: fmt.Sprintf("container %s reads its peers' keys from %s, which is on %s %s", c.Name, quotedPath(t.Path), article(t.Kind), t.Kind)})
	}
	absent, holder, missing := snap.missingPeers(w, c, &t)
	switch {
	case missing != (Fact{}):
		return unknown(missing)
	case len(absent) == 0:
		return passed()
	}
	v := Violation{At: holder, Detail: fmt.Sprintf("%s has no key for %s, whose messages will be refused (FSPIOP error 3105)", quotedPath(t.Path), strings.Join(absent, ", "))}
	if holder == nil {
		v.Field = t.MountPath(c.Path(w))
	}
	return failed(v)
}

// missingPeers lists the signers of the cluster, other than w itself, that have
// no file in a verification directory, and the object that should hold them.
func (s *Snapshot) missingPeers(w *Workload, c *Container, t *Target) (absent []string, holder *Ref, missing Fact) {
	self := s.DFSP(w).Text
	if src, whole := wholeSource(&w.Volumes[t.VolumeIndex].VolumeSource); whole && t.inVolume() == "" {
		// The usual case, and the same for every SDK: one object as a whole.
		data, presence := s.data(src.source, w.Ref.Namespace, src.object)
		switch presence {
		case Unknown:
			return nil, nil, src.source.fact(w.Ref.Namespace, src.object)
		case Present:
			absent = s.withoutKey(data)
			if slices.Contains(absent, self) {
				absent = slices.DeleteFunc(slices.Clone(absent), func(fsp string) bool { return fsp == self })
			}
			return absent, &data.Ref, Fact{}
		case Absent:
		}
	}
	files, _, presence, missing := s.Files(w, c, t.Path)
	if presence == Unknown {
		return nil, nil, missing
	}
	for fsp := range s.whole().signers {
		held := slices.ContainsFunc(files, func(f File) bool { return f.Name == fsp+".pem" })
		if fsp != "" && fsp != self && !held {
			absent = append(absent, fsp)
		}
	}
	slices.Sort(absent)
	if len(files) > 0 {
		holder = &files[0].Data
	}
	return absent, holder, Fact{}
}
