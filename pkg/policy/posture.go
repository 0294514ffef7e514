package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// SigningKey is a key that a DFSP, or the hub, signs with.
type SigningKey struct {
	// DFSP is the participant; the hub's own name for the hub.
	DFSP        string
	Namespace   string
	Fingerprint crypto.Fingerprint
	// Since is when the key came into use; zero when that is not known.
	Since time.Time
	// Published tells that its private half is in a public repository.
	Published bool
}

// SigningKeys returns the keys that the workloads of a Snapshot sign with,
// ordered by DFSP, namespace and fingerprint. Keys that cannot be read are not
// among them.
func (s *Snapshot) SigningKeys() []SigningKey {
	seen := map[SigningKey]bool{}
	var keys []SigningKey
	for _, sh := range s.shardsInOrder() {
		for _, m := range sh.workloads {
			w := m.Workload
			if w.Role != RoleSDK && w.Role != RoleHub || !s.signs(w) {
				continue
			}
			who := s.DFSP(w)
			if who.Presence != Present {
				continue
			}
			for _, k := range s.signingKeys(w) {
				if !k.hasKey {
					continue
				}
				key := SigningKey{DFSP: who.Text, Namespace: sh.name, Fingerprint: k.key.Fingerprint}
				if seen[key] {
					continue
				}
				seen[key] = true
				if d, presence := s.data(k.origin.Source, sh.name, k.origin.Object); presence == Present {
					key.Since, _ = keySince(d, key.Fingerprint)
				}
				_, key.Published = s.profile.published.Lookup(key.Fingerprint)
				keys = append(keys, key)
			}
		}
	}
	slices.SortFunc(keys, func(a, b SigningKey) int {
		return cmp.Or(cmp.Compare(a.DFSP, b.DFSP), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Fingerprint.String(), b.Fingerprint.String()))
	})
	return keys
}
