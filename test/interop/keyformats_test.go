package interop_test

import (
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// keyFormats are the keys of the table, and what encodings there are of them.
type keyFormats struct {
	rsa2048, rsa3072, rsa1024, other *rsa.PrivateKey
	p256, p384, p521                 *ecdsa.PrivateKey
	ed25519                          ed25519.PrivateKey
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKeyFormats(t *testing.T) keyFormats {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyFormats{
		rsa2048: must(rsa.GenerateKey(rand.Reader, 2048)), rsa3072: must(rsa.GenerateKey(rand.Reader, 3072)),
		rsa1024: must(rsa.GenerateKey(rand.Reader, 1024)), other: must(rsa.GenerateKey(rand.Reader, 2048)),
		p256: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), p384: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		p521: must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), ed25519: edwards,
	}
}

func pemText(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkcs1(k *rsa.PrivateKey) string {
	return pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
}

func pkcs8(k any) string { return pemText("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k))) }

func sec1(k *ecdsa.PrivateKey) string {
	return pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k)))
}

func spkiOf(k stdcrypto.Signer) string {
	return pemText("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(k.Public())))
}

func certificateOf(k stdcrypto.Signer) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rsaFSP},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), // long over: nobody looks
	}
	return pemText("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)))
}

// keyCase is a file, the key that it should work as, who can use it: the SDK's
// newer release, and we.
type keyCase struct {
	name      string
	text      string
	pair      stdcrypto.Signer
	sdk, ours bool
}

// ecParameters is the block that openssl ecparam -genkey writes before the key.
const ecParameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// privateCases are files with a signing key.
func (k keyFormats) privateCases() []keyCase {
	rsaPKCS8 := pkcs8(k.rsa2048)
	return []keyCase{
		{"RSA 2048, PKCS#1", pkcs1(k.rsa2048), k.rsa2048, true, true},
		{"RSA 3072, PKCS#1", pkcs1(k.rsa3072), k.rsa3072, true, true},
		{"RSA 2048, PKCS#8", rsaPKCS8, k.rsa2048, true, true},
		{"RSA 1024, PKCS#1", pkcs1(k.rsa1024), k.rsa1024, true, false},
		{"RSA 1024, PKCS#8", pkcs8(k.rsa1024), k.rsa1024, true, false},
		{"P-256, SEC1", sec1(k.p256), k.p256, true, true},
		{"P-256, SEC1 behind EC PARAMETERS", ecParameters + sec1(k.p256), k.p256, true, true},
		{"P-256, PKCS#8", pkcs8(k.p256), k.p256, false, false},
		{"P-256, PKCS#8 behind EC PARAMETERS", ecParameters + pkcs8(k.p256), k.p256, true, false},
		{"P-384, SEC1", sec1(k.p384), k.p384, false, false},
		{"P-384, PKCS#8", pkcs8(k.p384), k.p384, false, false},
		{"P-521, SEC1", sec1(k.p521), k.p521, false, false},
		{"Ed25519, PKCS#8", pkcs8(k.ed25519), k.ed25519, false, false},
		{"two RSA keys, the first", pkcs1(k.rsa2048) + pkcs1(k.other), k.rsa2048, true, true},
		{"two RSA keys, the second", pkcs1(k.rsa2048) + pkcs1(k.other), k.other, false, false},
		{"RSA, then P-256 in SEC1", pkcs1(k.rsa2048) + sec1(k.p256), k.rsa2048, false, false},
		{"certificate, then key", certificateOf(k.rsa2048) + pkcs1(k.rsa2048), k.rsa2048, true, true},
		{"public key, then key", spkiOf(k.rsa2048) + pkcs1(k.rsa2048), k.rsa2048, true, true},
		{"CRLF", crlf(pkcs1(k.rsa2048)), k.rsa2048, true, true},
		{"no line end at the end", strings.TrimSpace(rsaPKCS8), k.rsa2048, true, true},
		{"text around it", "Bag Attributes\n    friendlyName: x\n" + rsaPKCS8 + "more\n", k.rsa2048, true, true},
		{"byte order mark", "\ufeff" + rsaPKCS8, k.rsa2048, true, true},
		{"no line ends inside", strings.ReplaceAll(rsaPKCS8, "\n", ""), k.rsa2048, false, false},
		{"line ends as backslash n", strings.ReplaceAll(rsaPKCS8, "\n", `\n`), k.rsa2048, false, false},
		{"end line cut off", rsaPKCS8[:strings.LastIndex(rsaPKCS8, "-----END")], k.rsa2048, false, false},
		{"half of it", rsaPKCS8[:len(rsaPKCS8)/2], k.rsa2048, false, false},
		{"wrong label", strings.ReplaceAll(rsaPKCS8, "PRIVATE KEY", "RSA PRIVATE KEY"), k.rsa2048, true, true},
		{"public key", spkiOf(k.rsa2048), k.rsa2048, false, false},
		{"certificate", certificateOf(k.rsa2048), k.rsa2048, false, false},
		{"the word test", "test", k.rsa2048, false, false},
		{"white space", " \n", k.rsa2048, false, false},
	}
}

// publicCases are files with a verification key.
func (k keyFormats) publicCases() []keyCase {
	rsaSPKI := spkiOf(k.rsa2048)
	rsaPKCS1 := pemText("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa2048.PublicKey))
	return []keyCase{
		{"RSA 2048, SPKI", rsaSPKI, k.rsa2048, true, true},
		{"RSA 3072, SPKI", spkiOf(k.rsa3072), k.rsa3072, true, true},
		{"RSA 2048, PKCS#1", rsaPKCS1, k.rsa2048, true, true},
		{"RSA 2048, certificate", certificateOf(k.rsa2048), k.rsa2048, true, true},
		{"RSA 1024, SPKI", spkiOf(k.rsa1024), k.rsa1024, true, false},
		{"P-256, SPKI", spkiOf(k.p256), k.p256, true, true},
		{"P-256, certificate", certificateOf(k.p256), k.p256, true, true},
		{"two keys, the first", rsaSPKI + spkiOf(k.other), k.rsa2048, true, true},
		{"two keys, the second", rsaSPKI + spkiOf(k.other), k.other, false, false},
		{"certificate, then another key", certificateOf(k.other) + rsaSPKI, k.rsa2048, true, true},
		{"CRLF", crlf(rsaSPKI), k.rsa2048, true, true},
		{"no line end at the end", strings.TrimSpace(rsaSPKI), k.rsa2048, true, true},
		{"text around it", "key of perffsp-1\n" + rsaSPKI + "\n", k.rsa2048, true, true},
		{"byte order mark", "\ufeff" + rsaSPKI, k.rsa2048, true, true},
		{"no line ends inside", strings.ReplaceAll(rsaSPKI, "\n", ""), k.rsa2048, false, false},
		{"half of it", rsaSPKI[:len(rsaSPKI)/2], k.rsa2048, false, false},
		{"private key, PKCS#1", pkcs1(k.rsa2048), k.rsa2048, true, false},
		{"private key, PKCS#8", pkcs8(k.rsa2048), k.rsa2048, true, false},
		{"private key, SEC1", sec1(k.p256), k.p256, true, false},
		{"the word test", "test", k.rsa2048, false, false},
		{"white space", " \n", k.rsa2048, false, false},
	}
}

// refusedOnPurpose are files that the SDK can use and we do not: weak keys, a
// private key where everybody can read it, and a label that the SDK reads by
// chance.
var refusedOnPurpose = []string{
	"private: RSA 1024, PKCS#1", "private: RSA 1024, PKCS#8", "private: P-256, PKCS#8 behind EC PARAMETERS",
	"public: RSA 1024, SPKI", "public: private key, PKCS#1", "public: private key, PKCS#8", "public: private key, SEC1",
}

// TestKeyFormats holds our readers of keys against the SDK, which signs or
// verifies with every file, and against the facts that checks go by.
func TestKeyFormats(t *testing.T) {
	needInterop(t)
	k := newKeyFormats(t)
	var onPurpose []string
	judge := func(t *testing.T, c keyCase, kind string, sdk, ours bool, err error) {
		t.Helper()
		if sdk != c.sdk {
			t.Errorf("the SDK can use it: %v, want %v", sdk, c.sdk)
		}
		if ours != c.ours {
			t.Errorf("we can use it: %v (%v), want %v", ours, err, c.ours)
		}
		if ours && !sdk {
			t.Error("we take a key that the SDK cannot use")
		}
		if sdk && !ours {
			onPurpose = append(onPurpose, kind+": "+c.name)
		}
		if err != nil && strings.Contains(err.Error(), "MII") {
			t.Errorf("the error holds a part of the key: %v", err)
		}
	}
	request := jws.Request{Method: "POST", URI: "/transfers", Source: rsaFSP, Destination: "hub", Body: []byte(honestBody)}

	for _, c := range k.privateCases() {
		t.Run("private/"+c.name, func(t *testing.T) {
			signed := sdkSign(t, mojaloop.New, []byte(c.text), []sdkMessage{toSign(request)})[0]
			sdk := signed.Error == "" && verifies(t, c.pair, signed)
			key, err := jws.ParsePrivateKey([]byte(c.text))
			ours := false
			if err == nil {
				got, signErr := key.Sign(request)
				if signErr != nil {
					t.Fatal(signErr)
				}
				m := sentMessage(c.name, request, got)
				ours = verifies(t, c.pair, sdkMessage{Headers: bytesOf(m.headers), Body: m.body})
			}
			judge(t, c, "private", sdk, ours, err)
			wantFacts(t, c, err == nil, crypto.KeySet.SigningKey)
		})
	}
	for _, c := range k.publicCases() {
		t.Run("public/"+c.name, func(t *testing.T) {
			signer := sec1OrPKCS1(c.pair)
			signed := sdkSign(t, mojaloop.New, []byte(signer), []sdkMessage{toSign(request)})[0]
			if signed.Error != "" {
				t.Fatalf("the SDK does not sign: %s", signed.Error)
			}
			m := message{name: c.name, headers: textOf(signed.Headers), body: signed.Body}
			sdk := sdkVerify(t, mojaloop.New, map[string]string{rsaFSP: c.text}, []message{m})[0] == ""
			key, err := jws.ParsePublicKey([]byte(c.text))
			ours := false
			if err == nil {
				r, signature, received := m.received()
				if received != nil {
					t.Fatal(received)
				}
				_, verifyErr := key.Verify(r, signature)
				ours = verifyErr == nil
			}
			judge(t, c, "public", sdk, ours, err)
			wantFacts(t, c, err == nil, crypto.KeySet.VerificationKey)
		})
	}
	slices.Sort(onPurpose)
	want := slices.Sorted(slices.Values(refusedOnPurpose))
	if !slices.Equal(onPurpose, want) {
		t.Errorf("the SDK can use and we refuse\n%q, want\n%q", onPurpose, want)
	}
}

// verifies tells whether a message verifies with the public half of a key.
func verifies(t *testing.T, pair stdcrypto.Signer, m sdkMessage) bool {
	t.Helper()
	keys := map[string]string{rsaFSP: spkiOf(pair)}
	return sdkVerify(t, mojaloop.New, keys, []message{{headers: textOf(m.Headers), body: m.Body}})[0] == ""
}

// wantFacts compares the reader of keys with the facts that checks judge by.
func wantFacts(t *testing.T, c keyCase, parsed bool, choose func(crypto.KeySet) (crypto.KeyFacts, bool)) {
	t.Helper()
	set, err := crypto.ParseKeys([]byte(c.text))
	facts, ok := choose(set)
	usable := err == nil && ok && facts.SDKUsable(crypto.MinRSABits) == nil
	if parsed && !usable {
		t.Errorf("we take a key of which the facts say %v %v", err, facts.SDKUsable(crypto.MinRSABits))
	}
	if c.ours {
		if want := must(x509.MarshalPKIXPublicKey(c.pair.Public())); facts.Fingerprint != crypto.Fingerprint(sha256.Sum256(want)) {
			t.Errorf("got fingerprint %s, it is that of another key", facts.Fingerprint)
		}
	}
}

// sec1OrPKCS1 is a private key as the SDK reads it.
func sec1OrPKCS1(k stdcrypto.Signer) string {
	if k, ok := k.(*ecdsa.PrivateKey); ok {
		return sec1(k)
	}
	return pkcs1(k.(*rsa.PrivateKey))
}
