package crypto

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// The parsers below read one DER structure each. They return ErrMalformed when
// it is not theirs, and ErrUnsupportedAlgorithm with what can be said of a key
// whose numbers they do not read.

// Object identifiers of RFC 8017 (RSA), 5480 (EC) and 8410 (Ed25519).
var (
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidEC      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// namedCurve is a curve of RFC 5480.
type namedCurve struct {
	oid       asn1.ObjectIdentifier
	algorithm Algorithm
	curve     elliptic.Curve
}

var namedCurves = []namedCurve{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, P256, elliptic.P256()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, P384, elliptic.P384()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 35}, P521, elliptic.P521()},
}

// curveOf finds the curve that EC parameters name. Parameters that spell the
// curve out find none.
func curveOf(parameters []byte) (namedCurve, bool) {
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(parameters, &oid); err != nil {
		return namedCurve{}, false
	}
	for _, c := range namedCurves {
		if c.oid.Equal(oid) {
			return c, true
		}
	}
	return namedCurve{}, false
}

type algorithmIdentifier struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// cutDER cuts the first value, a SEQUENCE, off its input. OpenSSL ignores what
// follows, so the caller decides.
func cutDER(data []byte) (der, trailing []byte, err error) {
	var raw asn1.RawValue
	trailing, err = asn1.Unmarshal(data, &raw)
	if err != nil || raw.Class != asn1.ClassUniversal || raw.Tag != asn1.TagSequence {
		return nil, nil, ErrMalformed
	}
	return raw.FullBytes, trailing, nil
}

// parseDER reads a key or certificate of any structure.
func parseDER(data []byte) (k KeyFacts, trailing []byte, err error) {
	der, trailing, err := cutDER(data)
	if err != nil {
		return KeyFacts{}, nil, err
	}
	for _, parse := range []func([]byte) (KeyFacts, error){
		parsePKCS8, parsePKCS1Private, parseSEC1, parseSPKI, parsePKCS1Public, parseCertificate, parseEncrypted,
	} {
		if k, err = parse(der); !errors.Is(err, ErrMalformed) {
			return k, trailing, err
		}
	}
	return KeyFacts{}, nil, ErrMalformed
}

// unmarshal decodes a DER value. More fields at the end of a SEQUENCE than the
// target has are ignored, as X.509 wants.
func unmarshal(der []byte, into any) error {
	if _, err := asn1.Unmarshal(der, into); err != nil {
		return ErrMalformed
	}
	return nil
}

// parsePKCS1Private reads an RSAPrivateKey. Proving the primes, as x509 does,
// takes most of its time and says nothing about a fact; that the primes belong
// to the modulus does, because a signer uses the primes and shows the modulus.
func parsePKCS1Private(der []byte) (KeyFacts, error) {
	var raw struct {
		Version int
		N       *big.Int
		E       int
		D, P, Q *big.Int
	}
	if unmarshal(der, &raw) != nil || raw.N.BitLen() > maxRSABits || raw.P.Sign() <= 0 || raw.Q.Sign() <= 0 {
		return KeyFacts{}, ErrMalformed
	}
	twoPrimes := raw.Version == 0
	if twoPrimes && (raw.P.BitLen()+raw.Q.BitLen() > maxRSABits+1 || new(big.Int).Mul(raw.P, raw.Q).Cmp(raw.N) != 0) {
		return KeyFacts{}, ErrMalformed
	}
	return rsaFacts(raw.N, raw.E, true)
}

// parsePKCS1Public reads an RSAPublicKey.
func parsePKCS1Public(der []byte) (KeyFacts, error) {
	var raw struct {
		N *big.Int
		E int
	}
	if unmarshal(der, &raw) != nil {
		return KeyFacts{}, ErrMalformed
	}
	return rsaFacts(raw.N, raw.E, false)
}

// maxRSABits is the longest modulus that OpenSSL verifies with
// (OPENSSL_RSA_MAX_MODULUS_BITS).
const maxRSABits = 16384

func rsaFacts(n *big.Int, e int, private bool) (KeyFacts, error) {
	if n.Sign() <= 0 || n.BitLen() > maxRSABits || e < 3 || e%2 == 0 {
		return KeyFacts{}, ErrMalformed
	}
	return publicFacts(&rsa.PublicKey{N: n, E: e}, KeyFacts{Private: private, Algorithm: RSA, Bits: n.BitLen(), Encoding: PKCS1})
}

// publicFacts adds the fingerprint of a public key.
func publicFacts(public any, k KeyFacts) (KeyFacts, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return KeyFacts{}, ErrMalformed
	}
	k.Fingerprint = sha256.Sum256(der)
	return k, nil
}

// parseSEC1 reads an ECPrivateKey that names its curve.
func parseSEC1(der []byte) (KeyFacts, error) {
	var raw struct {
		Version int
		Scalar  []byte
		Curve   asn1.RawValue `asn1:"optional,explicit,tag:0"`
	}
	if unmarshal(der, &raw) != nil || raw.Version != 1 || len(raw.Curve.FullBytes) == 0 {
		return KeyFacts{}, ErrMalformed
	}
	return scalarFacts(raw.Scalar, raw.Curve.Bytes, SEC1)
}

// scalarFacts describes an EC private key. The public half is computed: a
// signer uses the scalar and never looks at the point that came with it.
func scalarFacts(scalar, parameters []byte, enc Encoding) (KeyFacts, error) {
	c, ok := curveOf(parameters)
	if !ok {
		return KeyFacts{Private: true, Algorithm: UnknownCurve, Encoding: enc}, ErrUnsupportedAlgorithm
	}
	size := (c.curve.Params().BitSize + 7) / 8
	scalar = bytes.TrimLeft(scalar, "\x00") // some encoders drop leading zeros, some add them
	if len(scalar) > size {
		return KeyFacts{}, ErrMalformed
	}
	padded := make([]byte, size)
	copy(padded[size-len(scalar):], scalar)
	key, err := ecdsa.ParseRawPrivateKey(c.curve, padded)
	if err != nil {
		return KeyFacts{}, ErrMalformed
	}
	return publicFacts(&key.PublicKey, KeyFacts{Private: true, Algorithm: c.algorithm, Bits: c.curve.Params().BitSize, Encoding: enc})
}

// parsePKCS8 reads a PrivateKeyInfo.
func parsePKCS8(der []byte) (KeyFacts, error) {
	var raw struct {
		Version   int
		Algorithm algorithmIdentifier
		Key       []byte
	}
	if unmarshal(der, &raw) != nil {
		return KeyFacts{}, ErrMalformed
	}
	switch oid := raw.Algorithm.Algorithm; {
	case oid.Equal(oidRSA), oid.Equal(oidRSAPSS):
		k, err := parsePKCS1Private(raw.Key)
		return asRSA(k, oid, PKCS8), err
	case oid.Equal(oidEC):
		var key struct {
			Version int
			Scalar  []byte
		}
		if unmarshal(raw.Key, &key) != nil || key.Version != 1 {
			return KeyFacts{}, ErrMalformed
		}
		return scalarFacts(key.Scalar, raw.Algorithm.Parameters.FullBytes, PKCS8)
	case oid.Equal(oidEd25519):
		var seed []byte
		if unmarshal(raw.Key, &seed) != nil || len(seed) != ed25519.SeedSize {
			return KeyFacts{}, ErrMalformed
		}
		return edFacts(ed25519.NewKeyFromSeed(seed).Public(), true, PKCS8)
	}
	return KeyFacts{Private: true, Algorithm: UnknownAlgorithm, Encoding: PKCS8}, ErrUnsupportedAlgorithm
}

// asRSA completes facts of an RSA key that was found inside another structure.
// A key restricted to PSS keeps the fingerprint it has without the
// restriction: it is the same key.
func asRSA(k KeyFacts, oid asn1.ObjectIdentifier, enc Encoding) KeyFacts {
	k.Encoding = enc
	if oid.Equal(oidRSAPSS) {
		k.Algorithm = RSAPSS
	}
	return k
}

func edFacts(public any, private bool, enc Encoding) (KeyFacts, error) {
	return publicFacts(public, KeyFacts{Private: private, Algorithm: Ed25519, Bits: 8 * ed25519.PublicKeySize, Encoding: enc})
}

// parseEncrypted recognises an EncryptedPrivateKeyInfo.
func parseEncrypted(der []byte) (KeyFacts, error) {
	var raw struct {
		Algorithm algorithmIdentifier
		Data      []byte
	}
	if unmarshal(der, &raw) != nil {
		return KeyFacts{}, ErrMalformed
	}
	return KeyFacts{Private: true, Algorithm: Encrypted, Encoding: PKCS8}, ErrEncrypted
}

// parseSPKI reads a SubjectPublicKeyInfo, in every form that OpenSSL takes.
func parseSPKI(der []byte) (KeyFacts, error) {
	var raw struct {
		Algorithm algorithmIdentifier
		Key       asn1.BitString
	}
	if unmarshal(der, &raw) != nil {
		return KeyFacts{}, ErrMalformed
	}
	// What is not understood is told apart by its bytes.
	opaque := KeyFacts{Algorithm: UnknownAlgorithm, Encoding: SPKI, Fingerprint: sha256.Sum256(der)}
	key := raw.Key.RightAlign()
	switch oid := raw.Algorithm.Algorithm; {
	case oid.Equal(oidRSA), oid.Equal(oidRSAPSS):
		k, err := parsePKCS1Public(key)
		return asRSA(k, oid, SPKI), err
	case oid.Equal(oidEC):
		c, ok := curveOf(raw.Algorithm.Parameters.FullBytes)
		if !ok {
			opaque.Algorithm = UnknownCurve
			return opaque, ErrUnsupportedAlgorithm
		}
		public, err := ecdsa.ParseUncompressedPublicKey(c.curve, uncompressed(c.curve, key))
		if err != nil {
			return KeyFacts{}, ErrMalformed
		}
		return publicFacts(public, KeyFacts{Algorithm: c.algorithm, Bits: c.curve.Params().BitSize, Encoding: SPKI})
	case oid.Equal(oidEd25519):
		if len(key) != ed25519.PublicKeySize {
			return KeyFacts{}, ErrMalformed
		}
		return edFacts(ed25519.PublicKey(key), false, SPKI)
	}
	return opaque, ErrUnsupportedAlgorithm
}

// uncompressed returns a point in its long form; what is no compressed point is
// returned as it is.
func uncompressed(curve elliptic.Curve, point []byte) []byte {
	x, y := elliptic.UnmarshalCompressed(curve, point)
	if x == nil {
		return point
	}
	size := (curve.Params().BitSize + 7) / 8
	long := make([]byte, 1+2*size)
	long[0] = 4
	x.FillBytes(long[1 : 1+size])
	y.FillBytes(long[1+size:])
	return long
}

// parseCertificate reads an X.509 certificate.
func parseCertificate(der []byte) (KeyFacts, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return KeyFacts{}, ErrMalformed
	}
	k, err := parseSPKI(cert.RawSubjectPublicKeyInfo)
	if errors.Is(err, ErrMalformed) {
		return KeyFacts{}, err
	}
	k.Encoding = X509
	k.NotBefore, k.NotAfter, k.IsCA = cert.NotBefore, cert.NotAfter, cert.IsCA
	k.Subject, k.Issuer = printable(cert.Subject.String()), printable(cert.Issuer.String())
	return k, err
}

// maxName bounds a distinguished name, in characters.
const maxName = 256

// printable cuts a name and escapes what would act on a terminal or hide.
func printable(name string) string {
	var b strings.Builder
	n := 0
	for _, r := range name {
		if n++; n > maxName {
			b.WriteRune('…')
			break
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
