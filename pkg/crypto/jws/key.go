package jws

import (
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// Algorithm is how a key signs.
type Algorithm string

// The algorithms that FSPIOP allows.
const (
	RS256 Algorithm = Algorithm(jose.RS256)
	ES256 Algorithm = Algorithm(jose.ES256)
)

// algorithms is the list for go-jose.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// PrivateKey signs. It is immutable and safe for concurrent use, and no
// formatting, encoding or reflection shows more of it than its fingerprint.
type PrivateKey struct {
	// The key is inside the closure, where no reflection reaches it.
	open   func() stdcrypto.Signer
	public *PublicKey
}

// PublicKey verifies. It is immutable and safe for concurrent use.
type PublicKey struct {
	key         any // *rsa.PublicKey or *ecdsa.PublicKey
	algorithm   Algorithm
	fingerprint crypto.Fingerprint
}

// ParsePrivateKey reads the key that the Mojaloop SDK would sign with: the
// first private key of a PEM text. It refuses, and says why, what the SDK cannot
// use ([crypto.KeyFacts.SDKUsable]); P-256 in PKCS#8 and RSA below 2048 bits
// among them. No error holds a part of the key.
func ParsePrivateKey(text []byte) (*PrivateKey, error) {
	set, err := crypto.ParseKeys(text)
	facts, ok := set.SigningKey()
	switch {
	case !ok && err != nil:
		return nil, fmt.Errorf("parse private key: %w", err)
	case !ok:
		return nil, errors.New("parse private key: there is none; want RSA in PKCS#1 or PKCS#8, or P-256 in SEC1 (BEGIN EC PRIVATE KEY)")
	}
	for _, p := range set.Problems {
		if errors.Is(p, crypto.ErrECMarker) || p.Block == facts.Block && errors.Is(p, crypto.ErrMalformed) {
			return nil, fmt.Errorf("parse private key: %w", p)
		}
	}
	if err := facts.SDKUsable(crypto.MinRSABits); err != nil {
		return nil, fmt.Errorf("parse private key: %w%s", err, rewrite(facts))
	}
	key, err := findBlock(text, facts, privateOf)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	return newPrivateKey(key)
}

// rewrite says what to type for a key that is good and only written wrongly.
func rewrite(facts crypto.KeyFacts) string {
	if facts.Private && facts.Algorithm == crypto.P256 && facts.Encoding != crypto.SEC1 {
		return "; rewrite it with `openssl pkey -in KEY -traditional -out NEW`"
	}
	return ""
}

// ParsePublicKey reads the key that the Mojaloop SDK would verify with: of a PEM
// text the first SPKI, else the first PKCS#1 public key, else the first
// certificate. It refuses what the SDK cannot use, RSA below 2048 bits, and a
// private key in the place of a public one.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	set, err := crypto.ParseKeys(text)
	facts, ok := set.VerificationKey()
	switch {
	case !ok && err != nil:
		return nil, fmt.Errorf("parse public key: %w", err)
	case !ok:
		return nil, errors.New("parse public key: there is none; want SPKI (BEGIN PUBLIC KEY), PKCS#1 or a certificate")
	case facts.Private:
		return nil, errors.New("parse public key: this is a private key, which belongs to its owner alone; write the public half with `openssl pkey -in KEY -pubout -out PUBLIC`")
	}
	if err := facts.SDKUsable(crypto.MinRSABits); err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	key, err := findBlock(text, facts, publicOf)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	return newPublicKey(key)
}

func newPrivateKey(key stdcrypto.Signer) (*PrivateKey, error) {
	public, err := newPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{open: func() stdcrypto.Signer { return key }, public: public}, nil
}

func newPublicKey(key stdcrypto.PublicKey) (*PublicKey, error) {
	k := &PublicKey{key: key, fingerprint: fingerprintOf(key)}
	switch key := key.(type) {
	case *rsa.PublicKey:
		k.algorithm = RS256
		return k, nil
	case *ecdsa.PublicKey:
		k.algorithm = ES256
		if key.Curve == elliptic.P256() {
			return k, nil
		}
	}
	return nil, errors.New("key is neither RSA nor P-256")
}

// findBlock reads the key with the given facts by Go's own parsers. Package
// crypto has chosen the key as OpenSSL would, which reads more than Go does; the
// fingerprint holds the two readings together.
func findBlock[K any](text []byte, facts crypto.KeyFacts, parse func([]byte) (K, crypto.Fingerprint, bool)) (K, error) {
	const bom = "\xef\xbb\xbf"
	rest := text
	if len(rest) >= len(bom) && string(rest[:len(bom)]) == bom {
		rest = rest[len(bom):]
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			var none K
			return none, fmt.Errorf("%s: OpenSSL reads its encoding, this program does not; rewrite it with `openssl pkey`", facts)
		}
		if key, fingerprint, ok := parse(block.Bytes); ok && fingerprint == facts.Fingerprint {
			return key, nil
		}
	}
}

// privateOf reads a private key, whatever its label says, as OpenSSL does.
func privateOf(der []byte) (stdcrypto.Signer, crypto.Fingerprint, bool) {
	var signer stdcrypto.Signer
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		signer = k
	} else if k, err := x509.ParseECPrivateKey(der); err == nil {
		signer = k
	} else if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ = k.(stdcrypto.Signer)
	}
	if signer == nil {
		return nil, crypto.Fingerprint{}, false
	}
	return signer, fingerprintOf(signer.Public()), true
}

// publicOf reads a public key or the key of a certificate.
func publicOf(der []byte) (stdcrypto.PublicKey, crypto.Fingerprint, bool) {
	var public stdcrypto.PublicKey
	if k, err := x509.ParsePKIXPublicKey(der); err == nil {
		public = k
	} else if k, err := x509.ParsePKCS1PublicKey(der); err == nil {
		public = k
	} else if c, err := x509.ParseCertificate(der); err == nil {
		public = c.PublicKey
	}
	return public, fingerprintOf(public), public != nil
}

// Fingerprint is that of the public half.
func (k *PrivateKey) Fingerprint() crypto.Fingerprint { return k.public.fingerprint }

// Algorithm is how the key signs.
func (k *PrivateKey) Algorithm() Algorithm { return k.public.algorithm }

// Public is the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// MarshalPEM writes the key as the SDK reads it: RSA in PKCS#1, P-256 in SEC1.
// It is the one way out for key material.
func (k *PrivateKey) MarshalPEM() []byte {
	block := pem.Block{}
	switch key := k.open().(type) {
	case *rsa.PrivateKey:
		block = pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	case *ecdsa.PrivateKey:
		// It cannot fail for a curve that has a name.
		der, _ := x509.MarshalECPrivateKey(key)
		block = pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	}
	return pem.EncodeToMemory(&block)
}

// Fingerprint is the SHA-256 of the SubjectPublicKeyInfo.
func (k *PublicKey) Fingerprint() crypto.Fingerprint { return k.fingerprint }

// Algorithm is how signatures that the key verifies are made.
func (k *PublicKey) Algorithm() Algorithm { return k.algorithm }

// MarshalPEM writes the key as SPKI (BEGIN PUBLIC KEY).
func (k *PublicKey) MarshalPEM() []byte {
	// It cannot fail: the key was encoded when it was made.
	der, _ := x509.MarshalPKIXPublicKey(k.key)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// fingerprintOf is zero for a key that has no SubjectPublicKeyInfo.
func fingerprintOf(key stdcrypto.PublicKey) crypto.Fingerprint {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return crypto.Fingerprint{}
	}
	return sha256.Sum256(der)
}
