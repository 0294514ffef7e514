package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// jws-key-usable: the Mojaloop SDK can really use the key. Private: RSA of at
// least the Profile's bits in PKCS#1 or PKCS#8, P-256 in SEC1 only. Public
// (each <fsp>.pem): SPKI, PKCS#1 or X.509 of the same kinds.
var checkJWSKeyUsable = Check{
	ID: "jws-key-usable", Category: CategoryKeys, Severity: Error,
	Title: "the Mojaloop SDK can use the JWS keys",
	Fix:   "replace the key by one the SDK can use: `" + generateJWS + " --replace`",
	Doc: `The SDK accepts more than it can use, and fails only when a message is signed or verified. It can use

| | private | public |
|---|---|---|
| RSA, 2048 bits or more | PKCS#1, PKCS#8 | SPKI, PKCS#1, X.509 |
| P-256 | SEC1 only (` + "`BEGIN EC PRIVATE KEY`" + `) | SPKI, X.509 |

A P-256 key in PKCS#8 is signed with as if it were RSA and every peer refuses the signature. P-384 and
Ed25519 fail. RSA with 1024 bits works, which is worse. Of a file with several keys only the first is
used. Encrypted keys cannot be read.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if data := snap.dataOf(sub); data != nil {
			return usableData(data, snap)
		}
		if !signsByRole(sub) {
			return notApplicable
		}
		return sub.eachKey(func(k *keyAt) Result { return usableKey(sub, k, snap) })
	},
}

// usableKey judges one signing key.
func usableKey(sub *Subject, k *keyAt, snap *Snapshot) Result {
	switch {
	case k.presence == Unknown && k.missing != (Fact{}):
		return unknown(k.missing)
	case k.target.Kind == VolumeCSI:
		return unknown(Fact{Kind: FactSecret, Namespace: sub.Ref.Namespace, Name: k.target.Mount.Name})
	case k.entry == nil:
		return notApplicable // jws-signing-key-mounted speaks about it
	}
	if err := usablePrivate(k.entry, snap); err != nil {
		return failed(Violation{
			At: &k.data, Field: snap.entryField(k.data, k.entry.Key),
			Detail:  fmt.Sprintf("the signing key of %s, %s in %s: %s", sub.Ref, k.entry.Key, k.data, err),
			Related: []Location{{Ref: sub.Ref, Message: "signs with it"}},
		})
	}
	return passed()
}

var errNoPrivateKey = errors.New("holds a public key or certificate; want the private key")

// usablePrivate tells why a value is no signing key.
func usablePrivate(e *Entry, snap *Snapshot) error {
	key, ok := e.SigningKey()
	switch {
	case !ok && len(e.Keys) > 0 && !e.Keys[0].Private:
		return errNoPrivateKey
	case !ok:
		return e.noKey()
	case key.Block == crypto.NoBlock:
		return errNotPEM
	}
	for _, p := range e.Problems {
		if errors.Is(p, crypto.ErrECMarker) {
			return p.Err
		}
	}
	return key.SDKUsable(int(snap.profile.JWS.MinRSABits))
}

var errNotPEM = errors.New("is DER; the SDK reads PEM only")

// noKey says why a value holds no key.
func (e *Entry) noKey() error {
	if e.Problem != nil {
		return e.Problem
	}
	return crypto.ErrNoPEM
}

// usableData judges the public keys verifiers read, and signing keys in
// Secrets with the Profile's name.
func usableData(data *Data, snap *Snapshot) Result {
	applies := false
	var found []Violation
	add := func(e *Entry, err error) {
		if err != nil {
			found = append(found, Violation{Field: dataField(data, e.Key), Detail: fmt.Sprintf("%s: %s", e.Key, err)})
		}
	}
	verification := snap.isVerificationData(data)
	for i := range data.Entries {
		e := &data.Entries[i]
		fsp, isPEM := fspOfFile(e.Key)
		switch {
		case verification && isPEM && fsp != "" && snap.isHeld(data, e.Key):
			applies = true
			add(e, usablePublic(e, snap))
		case snap.isSigningKey(data, e.Key):
			applies = true
			add(e, usablePrivate(e, snap))
		}
	}
	if !applies {
		return notApplicable
	}
	return failedOrPassed(found)
}

func usablePublic(e *Entry, snap *Snapshot) error {
	key, ok := e.VerificationKey()
	switch {
	case !ok:
		return e.noKey()
	case key.Private:
		return errors.New("is a private key among public ones: everybody who mounts this can sign as that DFSP")
	case key.Block == crypto.NoBlock:
		return errNotPEM
	}
	return key.SDKUsable(int(snap.profile.JWS.MinRSABits))
}

// isVerificationData tells whether an object holds the public keys of peers: it
// has the Profile's name, or a verifier mounts it as such.
func (s *Snapshot) isVerificationData(d *Data) bool {
	if d.Ref.Name == s.profile.JWS.VerificationConfigMap || strings.HasSuffix(d.Ref.Name, "-jws-public-keys") {
		return true
	}
	return s.holdersOf(d) != nil
}

// isSigningKey tells whether an entry is the signing key of a DFSP by the
// Profile's names.
func (s *Snapshot) isSigningKey(d *Data, key string) bool {
	return d.Ref.Kind == "Secret" && key == s.profile.JWS.KeyFile && fitsPattern(s.profile.JWS.SecretName, d.Ref.Name)
}

// holdersOf returns the entries of an object that verifiers see in their
// directory; nil when none does.
func (s *Snapshot) holdersOf(d *Data) map[string]bool {
	sh := s.shard(d.Ref.Namespace)
	if sh == nil {
		return nil
	}
	return s.indexOf(sh).holders[d.Ref]
}

// isHeld tells whether an entry of verification data is a peer's key: one that
// verifiers see, or any where no verifier is known.
func (s *Snapshot) isHeld(d *Data, key string) bool {
	entries := s.holdersOf(d)
	return entries == nil || entries[key]
}
