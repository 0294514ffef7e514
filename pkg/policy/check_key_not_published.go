package policy

import (
	"fmt"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// key-not-published: no key in use has its private half in a public
// repository. Judged by SPKI fingerprint: signing keys, TLS keys, certificates,
// and the public keys verifiers hold.
var checkKeyNotPublished = Check{
	ID: "key-not-published", Category: CategoryKeys, Severity: Error,
	Title: "no key is public knowledge",
	Fix:   "replace the key pair by a new one, for JWS with `" + generateJWS + " --replace`; the published one protects nothing",
	Doc: `Mojaloop's public repositories contain dozens of private keys: of tests, of charts, of the
performance lab, and one inside the SDK's image. Whoever finds a message signed with one of them can
sign such messages too. The program ships the SHA-256 fingerprints of all of them, with where they
are published; the Profile can add more (` + "`spec.publishedKeys`" + `). A public key in the verification
directory whose private half is published is as bad: the peer accepts forged messages.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if data := snap.dataOf(sub); data != nil {
			return publishedIn(data, snap)
		}
		if !signsByRole(sub) {
			return notApplicable
		}
		return sub.eachKey(func(k *keyAt) Result { return unpublishedKey(sub, k, snap) })
	},
}

// unpublishedKey judges one signing key.
func unpublishedKey(sub *Subject, k *keyAt, snap *Snapshot) Result {
	switch {
	case k.presence == Unknown && k.missing != (Fact{}):
		return unknown(k.missing)
	case k.entry == nil:
		return notApplicable
	}
	for _, key := range k.entry.Keys {
		if p, ok := snap.profile.published.Lookup(key.Fingerprint); ok {
			return failed(Violation{
				At: &k.data, Field: snap.entryField(k.data, k.entry.Key),
				Detail:  fmt.Sprintf("%s signs with key %s, whose private half is %s", sub.Ref, key.Fingerprint.Short(), published(p)),
				Related: []Location{{Ref: sub.Ref, Message: "signs with it"}},
			})
		}
	}
	return passed()
}

// publishedIn finds published keys in an object: one finding for each key,
// however often the object holds it.
func publishedIn(data *Data, snap *Snapshot) Result {
	var found []Violation
	at := map[crypto.Fingerprint]int{} // index into found
	applies := false
	for i := range data.Entries {
		e := &data.Entries[i]
		for _, keys := range [][]crypto.KeyFacts{e.Keys, e.Hidden} {
			for _, key := range keys {
				applies = true
				p, ok := snap.profile.published.Lookup(key.Fingerprint)
				if !ok {
					continue
				}
				if first, again := at[key.Fingerprint]; again {
					found[first].Related = append(found[first].Related, Location{Ref: data.Ref, Field: dataField(data, e.Key), Message: "the same key"})
					continue
				}
				at[key.Fingerprint] = len(found)
				found = append(found, Violation{Field: dataField(data, e.Key), Detail: fmt.Sprintf("%s in %s: its private half is %s", key, e.Key, published(p))})
			}
		}
	}
	for i := range found {
		switch n := len(found[i].Related); n {
		case 0:
		case 1:
			found[i].Detail += "; 1 more entry holds it"
		default:
			found[i].Detail += fmt.Sprintf("; %d more entries hold it", n)
		}
	}
	if !applies {
		return notApplicable
	}
	return failedOrPassed(found)
}

// published says where a key can be found.
func published(p crypto.PublishedKey) string {
	switch n := len(p.PublishedIn); n {
	case 0:
		return "published, as the Profile says"
	case 1:
		return "published in " + p.PublishedIn[0]
	default:
		more := "more places"
		if n == 2 {
			more = "more place"
		}
		return fmt.Sprintf("published in %s and %d %s", p.PublishedIn[0], n-1, more)
	}
}
