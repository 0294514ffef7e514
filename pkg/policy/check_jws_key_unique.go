package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// jws-key-unique: no two DFSPs sign with one key, and no verifier holds one
// key for two.
var checkJWSKeyUnique = Check{
	ID: "jws-key-unique", Category: CategoryKeys, Severity: Error,
	Title: "every DFSP has a key of its own",
	Fix:   "make a new key for all but one of the DFSPs and give their peers the public halves: `" + generateJWS + " --replace`",
	Doc: `A key that two DFSPs share proves nothing: each can sign as the other. The performance lab runs the
Hub and eight DFSPs on a single demo key. Compared are the fingerprints of the keys that are signed
with, and of those that verifiers hold under different names.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if data := snap.dataOf(sub); data != nil {
			return uniqueHeld(data, snap)
		}
		if !signsByRole(sub) {
			return notApplicable
		}
		return sub.eachKey(func(k *keyAt) Result { return uniqueKey(sub, k, snap) })
	},
}

// uniqueKey judges one signing key.
func uniqueKey(sub *Subject, k *keyAt, snap *Snapshot) Result {
	id := snap.DFSP(sub.Workload)
	switch {
	case k.presence == Unknown && k.missing != (Fact{}):
		return unknown(k.missing)
	case !k.hasKey:
		return notApplicable
	}
	others, related := snap.otherSigners(k.key.Fingerprint, id.Text)
	if len(others) == 0 {
		if missing := snap.whole().unknownSigners; len(missing) > 0 {
			return unknown(missing[0])
		}
		return passed()
	}
	return failed(Violation{
		At: &k.data, Field: snap.entryField(k.data, k.entry.Key),
		Detail:  fmt.Sprintf("%s signs with key %s, and so does %s", orUnnamed(id.Text), k.key.Fingerprint.Short(), enumerated(others)),
		Related: related,
	})
}

func orUnnamed(dfsp string) string {
	if dfsp == "" {
		return "an unnamed DFSP"
	}
	return dfsp
}

// otherSigners lists DFSPs, other than one, that sign with a key: not more than
// can be told.
func (s *Snapshot) otherSigners(key crypto.Fingerprint, dfsp string) (others []string, related []Location) {
	for _, o := range s.whole().byKey[key] {
		if o.dfsp == dfsp || slices.Contains(others, orUnnamed(o.dfsp)) {
			continue
		}
		if others = append(others, orUnnamed(o.dfsp)); len(others) > maxEnumerated {
			break
		}
		related = append(related, Location{Ref: o.workload.Ref, Message: "signs with the same key"})
	}
	return others, related
}

// uniqueHeld finds one key under two names among the verification keys.
func uniqueHeld(data *Data, snap *Snapshot) Result {
	if !snap.isVerificationData(data) {
		return notApplicable
	}
	names := map[crypto.Fingerprint][]string{}
	for i := range data.Entries {
		e := &data.Entries[i]
		held, hasKey := e.VerificationKey()
		if fsp, ok := fspOfFile(e.Key); ok && hasKey && snap.isHeld(data, e.Key) && !held.Fingerprint.IsZero() {
			names[held.Fingerprint] = append(names[held.Fingerprint], fsp)
		}
	}
	if len(names) == 0 {
		return notApplicable
	}
	var found []Violation
	for key, fsps := range names {
		if len(fsps) < 2 {
			continue
		}
		v := Violation{
			Field:  dataField(data, fsps[0]+".pem"),
			Detail: fmt.Sprintf("%s have one key, %s: each of them can sign as the others", enumerated(fsps), key.Short()),
		}
		for _, fsp := range fsps[1:min(len(fsps), maxEnumerated)] {
			v.Related = append(v.Related, Location{Ref: data.Ref, Field: dataField(data, fsp+".pem"), Message: "the same key"})
		}
		found = append(found, v)
	}
	slices.SortFunc(found, func(a, b Violation) int { return strings.Compare(a.Detail, b.Detail) })
	return failedOrPassed(found)
}
