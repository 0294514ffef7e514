package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
)

// AnnotationKeySince on a Secret says since when a key is in it: the
// fingerprint of the key, so that it does not outlive it, @ and a time in RFC
// 3339.
const AnnotationKeySince = v1alpha1.AnnotationKeySince

// jws-key-age: the signing key is younger than the Profile's maxKeyAge. Its
// age: the annotation mojasec.io/key-since, else the certificate's notBefore,
// else at least the time since its Secret was written.
var checkJWSKeyAge = Check{
	ID: "jws-key-age", Category: CategoryKeys, Severity: Warning,
	Title: "the signing key is younger than the Profile's maximum",
	Fix:   "replace the key by a new one, and give the peers its public half first",
	Doc: `The longer a key is in use, the more places it has leaked to. The age of a key is read from the
annotation ` + "`mojasec.io/key-since`" + ` of its Secret (the fingerprint it is for and a time), else from
` + "`notBefore`" + ` of the certificate beside it. Without both a key in a cluster is at least as old as the last write to
its Secret: enough to find it too old, never to pass it. From files alone it is usually not known. The maximum is
` + "`spec.jws.maxKeyAge`" + ` of the Profile, 90 days by default.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if !signsByRole(sub) {
			return notApplicable
		}
		return sub.eachKey(func(k *keyAt) Result { return youngKey(sub, k, snap) })
	},
}

// youngKey judges one signing key.
func youngKey(sub *Subject, k *keyAt, snap *Snapshot) Result {
	if !k.hasKey {
		if k.presence == Unknown {
			return unknown(Fact{Kind: FactKeyAge, Namespace: sub.Ref.Namespace, Name: sub.Ref.Name})
		}
		return notApplicable
	}
	data, _ := snap.data(k.origin.Source, sub.Ref.Namespace, k.origin.Object)
	since, exact, ok := keyAge(data, k.key.Fingerprint)
	age, limit := snap.now.Sub(since), snap.profile.JWS.MaxKeyAge.Duration
	switch {
	case ok && age > limit:
	case exact:
		return passed()
	default:
		return unknown(Fact{Kind: FactKeyAge, Namespace: k.data.Namespace, Name: k.data.Name})
	}
	return failed(Violation{
		At: &k.data, Field: snap.entryField(k.data, k.entry.Key),
		Detail: fmt.Sprintf("key %s is %d days old; want at most %d", k.key.Fingerprint.Short(), int(age/day), int(limit/day)),
	})
}

// keySince tells since when a key is in a Secret, where that is known exactly.
func keySince(d *Data, key crypto.Fingerprint) (time.Time, bool) {
	since, exact, ok := keyAge(d, key)
	return since, ok && exact
}

// keyAge tells since when a key is in a Secret. Without an annotation and a
// certificate it goes by when the data was last written: the key is at least as
// old as that, for whoever writes a field moves the time of all fields of the
// same manager.
func keyAge(d *Data, key crypto.Fingerprint) (since time.Time, exact, ok bool) {
	if fingerprint, at, ok := strings.Cut(d.Meta.Annotations[AnnotationKeySince], "@"); ok && fingerprint == key.String() {
		if t, err := time.Parse(time.RFC3339, at); err == nil {
			return t, true, true
		}
	}
	for i := range d.Entries {
		for _, k := range d.Entries[i].Keys {
			if k.Fingerprint == key && !k.NotBefore.IsZero() {
				return k.NotBefore, true, true
			}
		}
	}
	return d.written, false, !d.written.IsZero()
}
