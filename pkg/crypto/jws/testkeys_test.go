package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
)

// No private key stands in this repository. Those that recorded signatures need
// are made from a sentence, the same at every run; all others are random.

// expand makes n bytes of a sentence.
func expand(sentence string, n int) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		block := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(sentence), i))
		out = append(out, block[:]...)
	}
	return out[:n]
}

// primeOf is the first prime at or after a number of 1024 bits.
func primeOf(sentence string) *big.Int {
	p := new(big.Int).SetBytes(expand(sentence, 128))
	p.SetBit(p, 1023, 1).SetBit(p, 1022, 1).SetBit(p, 0, 1)
	for two := big.NewInt(2); !p.ProbablyPrime(0); {
		p.Add(p, two)
	}
	return p
}

// vectorKeys are the keys of testdata/sdk-signatures.json.
var vectorKeys = sync.OnceValue(func() map[Algorithm]*PrivateKey {
	p, q, e := primeOf("mojasec test vectors, p"), primeOf("mojasec test vectors, q"), big.NewInt(65537)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	rsaKey := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e.Int64())},
		D:         new(big.Int).ModInverse(e, phi),
		Primes:    []*big.Int{p, q},
	}
	rsaKey.Precompute()
	ecKey := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), expand("mojasec test vectors, d", 32)))
	return map[Algorithm]*PrivateKey{RS256: must(newPrivateKey(rsaKey)), ES256: must(newPrivateKey(ecKey))}
})

// keys are random keys, one of each kind but the slow ones.
var keys = sync.OnceValue(func() map[KeyKind]*PrivateKey {
	return map[KeyKind]*PrivateKey{RSA2048: must(GenerateKey(RSA2048, rand.Reader)), P256: must(GenerateKey(P256, rand.Reader))}
})

// must returns the value of a call that cannot fail in a test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkcs8(key any) string { return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }
func spki(key any) string  { return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key))) }

// transfer is a request as a payer sends it, in the order of the specification.
func transfer() Request {
	return Request{
		Method: "POST", URI: "https://hub.example:4000/fsp/1.0/transfers", Source: "perffsp-1", Destination: "perffsp-2",
		Date: "Tue, 24 Nov 2026 02:00:00 GMT",
		Body: []byte(`{"transferId":"b51ec534-ee48-4575-b6a9-ead2955b8069","payerFsp":"perffsp-1","payeeFsp":"perffsp-2",` +
			`"amount":{"currency":"USD","amount":"100"},"expiration":"2026-11-24T02:00:30.000Z"}`),
	}
}

// sign signs a request that can be signed.
func sign(t testing.TB, k *PrivateKey, r Request) Signed {
	t.Helper()
	s, err := k.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sent is the request as its receiver sees it.
func sent(r Request, s Signed) Request {
	r.Body = s.Body
	return r
}
