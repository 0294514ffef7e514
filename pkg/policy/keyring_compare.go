package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// compare says who shares keys, and who holds what, once all are known.
func (b *keyringBuilder) compare() {
	slices.SortStableFunc(b.ring.Signing, func(x, y SigningEntry) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.DFSP, y.DFSP), x.Object.Compare(y.Object),
			cmp.Compare(x.Entry, y.Entry), cmp.Compare(x.Elsewhere, y.Elsewhere))
	})
	owners, names := map[crypto.Fingerprint][]string{}, map[string][]int{}
	own := func(key crypto.Fingerprint, who string) {
		if !slices.Contains(owners[key], who) {
			owners[key] = append(owners[key], who)
		}
	}
	for i := range b.ring.Signing {
		e := &b.ring.Signing[i]
		if e.HasKey {
			own(e.Key.Fingerprint, cmp.Or(e.DFSP, e.Object.String()))
		}
		names[e.DFSP] = append(names[e.DFSP], i)
	}
	for i := range b.ring.Verification {
		v := &b.ring.Verification[i]
		if v.HasKey {
			own(v.Key.Fingerprint, v.FSP)
		}
		v.Match = b.match(v, names[v.FSP])
		for _, j := range names[v.FSP] {
			b.ring.Signing[j].Holders = append(b.ring.Signing[j].Holders, i)
		}
	}
	for i := range b.ring.Signing {
		e := &b.ring.Signing[i]
		if e.HasKey {
			e.Exposed = b.exposed[e.Key.Fingerprint] || e.Object.Kind == "ConfigMap"
			e.SharedWith = without(owners[e.Key.Fingerprint], cmp.Or(e.DFSP, e.Object.String()))
			e.Users = b.withMounts(e)
		}
		e.Users = joined(e.Users)
	}
	for i := range b.ring.Verification {
		v := &b.ring.Verification[i]
		if v.HasKey {
			v.SharedWith = without(owners[v.Key.Fingerprint], v.FSP)
		}
	}
}

// without returns the names but one, in order. The name of a Secret says an id
// in lower case only.
func without(names []string, self string) []string {
	var out []string
	for _, name := range names {
		if !strings.EqualFold(name, self) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// match compares a verification key with what the FSP signs with; where nobody
// signs yet, with the key that is there for it.
func (b *keyringBuilder) match(v *VerificationEntry, signing []int) Match {
	var external, unknown, unused, signedOther, other bool
	for _, i := range signing {
		e := &b.ring.Signing[i]
		switch {
		case e.External:
			external = true
		case !e.HasKey:
			unknown = unknown || e.Presence != Absent
		case !v.HasKey:
			return MatchOther
		case e.Key.Fingerprint == v.Key.Fingerprint && e.Signed():
			return MatchCurrent
		case e.Key.Fingerprint == v.Key.Fingerprint:
			unused = true
		case e.Signed():
			signedOther = true
		default:
			other = true
		}
	}
	switch {
	case unused:
		return MatchUnused
	case signedOther, other && !unknown && !external:
		return MatchOther
	case unknown:
		return MatchUnknown
	}
	return MatchExternal
}
