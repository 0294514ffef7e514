package policy

import "fmt"

// jws-key-pair-match: every verifier that holds <fspId>.pem for a DFSP holds
// the public half of the key it signs with.
var checkJWSKeyPairMatch = Check{
	ID: "jws-key-pair-match", Category: CategoryKeys, Severity: Error,
	Title: "peers hold the public half of the signing key",
	Fix:   "put the public half into <fspId>.pem of the verification keys: `" + generateJWS + " --replace=public`",
	Doc: `A peer verifies with the key it holds in ` + "`<fspId>.pem`" + `. When that is not the public half of the key
the DFSP signs with, every message fails with FSPIOP error 3105: after a rotation that was done half,
or a copy into the wrong file. Compared are fingerprints (SHA-256 of the public key).`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if !signsByRole(sub) {
			return notApplicable
		}
		return sub.eachKey(func(k *keyAt) Result { return matchedKey(sub, k, snap) })
	},
}

// matchedKey judges one signing key.
func matchedKey(sub *Subject, k *keyAt, snap *Snapshot) Result {
	id := snap.DFSP(sub.Workload)
	switch {
	case k.presence == Unknown && k.missing != (Fact{}):
		return unknown(k.missing)
	case id.Presence == Unknown || (id.Presence == Present && !id.IsText):
		return unknown(id.missing(sub.Workload, SettingDFSPID))
	case !k.hasKey || id.Presence != Present:
		return notApplicable
	}
	own := k.key.Fingerprint
	var found []Violation
	for _, h := range snap.whole().held[id.Text] {
		if h.key.Fingerprint.IsZero() || h.key.Fingerprint == own {
			continue
		}
		v := Violation{
			At: &h.data, Field: snap.entryField(h.data, h.file.Key),
			Detail: fmt.Sprintf("peers hold key %s for %s, which signs with key %s", h.key.Fingerprint.Short(), id.Text, own.Short()),
			Related: []Location{
				{Ref: k.data, Field: snap.entryField(k.data, k.entry.Key), Message: "the key it signs with"},
				{Ref: h.verifier.Ref, Message: "verifies with the other"},
			},
		}
		if snap.stranger(h.verifier, sub.Ref.Namespace) {
			v.Severity = new(Warning)
		}
		found = append(found, v)
	}
	if missing := snap.whole().unknownHolders; len(found) == 0 && len(missing) > 0 {
		return unknown(missing[0])
	}
	return failedOrPassed(found)
}
