package crypto

import (
	"errors"
	"fmt"
	"time"
)

// Algorithm names a kind of key.
type Algorithm string

// The algorithms that are told apart. UnknownCurve (also a curve given by its
// parameters instead of its name) and UnknownAlgorithm are keys in good form
// whose numbers are not read; Encrypted is a key that needs a passphrase, and
// Unknown what says that it is a key and is none.
const (
	RSA              Algorithm = "RSA"
	RSAPSS           Algorithm = "RSA-PSS"
	P256             Algorithm = "EC P-256"
	P384             Algorithm = "EC P-384"
	P521             Algorithm = "EC P-521"
	Ed25519          Algorithm = "Ed25519"
	UnknownCurve     Algorithm = "unknown EC curve"
	UnknownAlgorithm Algorithm = "unknown algorithm"
	Encrypted        Algorithm = "encrypted"
	Unknown          Algorithm = "unknown"
)

// Encoding is the structure a key was written in.
type Encoding string

// The encodings.
const (
	PKCS1 Encoding = "PKCS#1"
	PKCS8 Encoding = "PKCS#8"
	SEC1  Encoding = "SEC1"
	SPKI  Encoding = "SPKI"
	X509  Encoding = "X.509"
)

// NoBlock is the Block of a key that came as DER, without PEM around it.
const NoBlock = -1

// KeyFacts is what is known of a key or certificate. It holds no key material.
type KeyFacts struct {
	Private bool `json:"private"`
	// Fingerprint is that of the public half, for private keys and certificates
	// too. It is zero when the numbers of a private key were not read.
	Fingerprint Fingerprint `json:"fingerprint,omitzero"`
	Algorithm   Algorithm   `json:"algorithm"`
	// Bits is the length of the RSA modulus or of the curve's field.
	Bits     int      `json:"bits,omitempty"`
	Encoding Encoding `json:"encoding,omitempty"`

	// The next five are set for certificates only. Subject and Issuer are in
	// the form of RFC 2253, cut to a bounded length; what does not print is
	// escaped.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Subject   string    `json:"subject,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	IsCA      bool      `json:"isCA,omitempty"`

	// Block is the index of the PEM block in the input, or [NoBlock].
	Block int `json:"block"`
}

// String describes the key, for example "RSA 2048 private key 38a37ac2".
func (k KeyFacts) String() string {
	what := "public key"
	switch {
	case k.Private:
		what = "private key"
	case k.Encoding == X509:
		what = "certificate"
	}
	if k.Algorithm == RSA {
		what = fmt.Sprintf("%d %s", k.Bits, what)
	}
	what = fmt.Sprintf("%s %s", k.Algorithm, what)
	if !k.Fingerprint.IsZero() {
		what += " " + k.Fingerprint.Short()
	}
	return what
}

// readable tells that the numbers of the key were read.
func (k KeyFacts) readable() bool {
	switch k.Algorithm {
	case Unknown, Encrypted, UnknownAlgorithm, UnknownCurve:
		return false
	default:
		return true
	}
}

// MinRSABits is the shortest RSA modulus, in bits, that counts as safe. The
// SDK itself has no minimum.
const MinRSABits = 2048

// SDKUsable returns nil when the Mojaloop SDK can use the key for JWS, else why
// not and what to use instead, as the end of a sentence. minRSABits is the
// shortest RSA modulus; one below [MinRSABits] counts as MinRSABits.
func (k KeyFacts) SDKUsable(minRSABits int) error {
	minRSABits = max(minRSABits, MinRSABits)
	const want = "want RSA (RS256) or EC P-256 (ES256)"
	switch k.Algorithm {
	case RSA, P256:
	case Encrypted:
		return ErrEncrypted
	case UnknownCurve:
		return errors.New("EC key is on no curve that FSPIOP knows, or names it by parameters; " + want)
	case RSAPSS, P384, P521, Ed25519, UnknownAlgorithm:
		return fmt.Errorf("%s key is of no use to FSPIOP; %s", k.Algorithm, want)
	default:
		return errors.New("key cannot be read; " + want + " in PEM")
	}
	switch {
	case k.Block < 0:
		return errors.New("key is DER, which the SDK cannot read; want PEM")
	case k.Algorithm == RSA && k.Bits < minRSABits:
		return fmt.Errorf("RSA key has %d bits; want at least %d", k.Bits, minRSABits)
	case k.Algorithm == P256 && k.Private && k.Encoding != SEC1:
		return fmt.Errorf("P-256 private key is encoded in %s, which the SDK takes for RSA, so no signature verifies; want SEC1 (BEGIN EC PRIVATE KEY)", k.Encoding)
	}
	return nil
}
