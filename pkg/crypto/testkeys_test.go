package crypto

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"
)

// Keys are made at run time: no private key stands in this repository.

var (
	notBefore = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	notAfter  = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
)

type testKeys struct {
	rsa, otherRSA, rsa1024, rsa3072 *rsa.PrivateKey
	p256, p384, p521, p224          *ecdsa.PrivateKey
	ed                              ed25519.PrivateKey
}

var keys = sync.OnceValue(func() testKeys {
	newRSA := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return k
	}
	newEC := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return testKeys{
		rsa: newRSA(2048), otherRSA: newRSA(2048), rsa1024: newRSA(1024), rsa3072: newRSA(3072),
		p256: newEC(elliptic.P256()), p384: newEC(elliptic.P384()), p521: newEC(elliptic.P521()), p224: newEC(elliptic.P224()),
		ed: ed,
	}
})

// must returns the value of a call that cannot fail with these keys.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkcs1(k *rsa.PrivateKey) string {
	return pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
}
func pkcs8(k any) string { return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k))) }
func sec1(k *ecdsa.PrivateKey) string {
	return pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k)))
}
func spki(public any) string { return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(public))) }
func certificate(t testing.TB, public, signer any, cn string, ca bool) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: cn}, NotBefore: notBefore, NotAfter: notAfter,
		IsCA: ca, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der)
}

// fingerprintOf is the definition, by the standard library.
func fingerprintOf(public any) Fingerprint {
	return sha256.Sum256(must(x509.MarshalPKIXPublicKey(public)))
}

// derOf is the DER inside the first PEM block.
func derOf(text string) []byte {
	b, _ := pem.Decode([]byte(text))
	return b.Bytes
}

// marshal builds DER that the standard library does not write.
func marshal(v any) []byte { return must(asn1.Marshal(v)) }

// rsaNumbers is an RSAPrivateKey of any size and any consistency.
type rsaNumbers struct {
	Version                  int
	N, E, D, P, Q, DP, DQ, I *big.Int
}

func numbersOf(k *rsa.PrivateKey) rsaNumbers {
	return rsaNumbers{
		N: k.N, E: big.NewInt(int64(k.E)), D: k.D, P: k.Primes[0], Q: k.Primes[1],
		DP: k.Precomputed.Dp, DQ: k.Precomputed.Dq, I: k.Precomputed.Qinv,
	}
}

// rsa512 makes a key that Go's own generator refuses to make.
func rsa512() (n *big.Int, der []byte) {
	prime := func() *big.Int {
		for {
			p := new(big.Int).SetBytes(must(randomBytes(32)))
			p.SetBit(p, 255, 1).SetBit(p, 254, 1).SetBit(p, 0, 1)
			if p.ProbablyPrime(10) {
				return p
			}
		}
	}
	p, q := prime(), prime()
	n = new(big.Int).Mul(p, q)
	one := big.NewInt(1)
	return n, marshal(rsaNumbers{N: n, E: big.NewInt(65537), D: one, P: p, Q: q, DP: one, DQ: one, I: one})
}

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return b, err
}

// pkcs8With wraps a private key with any algorithm.
func pkcs8With(oid asn1.ObjectIdentifier, parameters asn1.RawValue, key []byte) []byte {
	return marshal(struct {
		Version   int
		Algorithm algorithmIdentifier
		Key       []byte
	}{0, algorithmIdentifier{oid, parameters}, key})
}

// spkiWith wraps a public key with any algorithm.
func spkiWith(oid asn1.ObjectIdentifier, parameters asn1.RawValue, key []byte) []byte {
	return marshal(struct {
		Algorithm algorithmIdentifier
		Key       asn1.BitString
	}{algorithmIdentifier{oid, parameters}, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
}

// fullBytes makes a RawValue of encoded DER.
func fullBytes(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }
