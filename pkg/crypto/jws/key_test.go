package jws

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// stdKeys are keys of the standard library, in whatever form a test wants.
func stdKeys() (rsaKey *rsa.PrivateKey, ecKey *ecdsa.PrivateKey) {
	rsaKey, _ = keys()[RSA2048].open().(*rsa.PrivateKey)
	ecKey, _ = keys()[P256].open().(*ecdsa.PrivateKey)
	return rsaKey, ecKey
}

func certificate(t *testing.T, public, signer any) string {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "perffsp-1"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der)
}

func TestParsePrivateKey(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey := stdKeys()
	rsa1024 := must(rsa.GenerateKey(rand.Reader, 1024))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := func(k *rsa.PrivateKey) string { return pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)) }
	sec1 := func(k *ecdsa.PrivateKey) string { return pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k))) }
	for _, tc := range []struct {
		name, text string
		want       *PrivateKey
		err        string
	}{
		{"RSA in PKCS#1", pkcs1(rsaKey), keys()[RSA2048], ""},
		{"RSA in PKCS#8", pkcs8(rsaKey), keys()[RSA2048], ""},
		{"P-256 in SEC1", sec1(ecKey), keys()[P256], ""},
		{"with parameters before it", pemOf("EC PARAMETERS", []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")) + sec1(ecKey), keys()[P256], ""},
		{"byte order mark, CRLF, text around", "\xef\xbb\xbf" + "a key:\r\n" + strings.ReplaceAll(pkcs1(rsaKey), "\n", "\r\n") + "the end", keys()[RSA2048], ""},
		{"the first of two", sec1(ecKey) + sec1(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))), keys()[P256], ""},
		{"after its public half", spki(&ecKey.PublicKey) + sec1(ecKey), keys()[P256], ""},
		{"P-256 in PKCS#8", pkcs8(ecKey), nil, "openssl pkey -in KEY -traditional -out NEW"},
		{"RSA 1024", pkcs1(rsa1024), nil, "RSA key has 1024 bits; want at least 2048"},
		{"P-384", sec1(p384), nil, "EC P-384 key is of no use to FSPIOP"},
		{"Ed25519", pkcs8(ed), nil, "Ed25519 key is of no use to FSPIOP"},
		{"RSA and the mark of EC", "BEGIN EC \n" + pkcs1(rsaKey), nil, "ES256"},
		{"encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", nil, "encrypted"},
		{"cut off", pkcs1(rsaKey)[:900], nil, "no END line"},
		{"escaped line breaks", strings.ReplaceAll(pkcs1(rsaKey), "\n", `\n`), nil, "line breaks"},
		{"DER", string(x509.MarshalPKCS1PrivateKey(rsaKey)), nil, "key is DER"},
		{"a public key", spki(&ecKey.PublicKey), nil, "there is none; want RSA"},
		{"the word test", "test", nil, "no PEM block"},
		{"nothing", "", nil, "no PEM block"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePrivateKey([]byte(tc.text))
			if tc.want == nil {
				if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.HasPrefix(err.Error(), "parse private key: ") {
					t.Errorf("got %v, %v, want an error with %q", got, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Fingerprint() != tc.want.Fingerprint() || got.Algorithm() != tc.want.Algorithm() {
				t.Errorf("got %s %s, want %s %s", got.Algorithm(), got, tc.want.Algorithm(), tc.want)
			}
			if err := got.SelfTest(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey := stdKeys()
	rsaPKCS1 := pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))
	cert := certificate(t, &rsaKey.PublicKey, rsaKey)
	rsa1024 := must(rsa.GenerateKey(rand.Reader, 1024))
	for _, tc := range []struct {
		name, text string
		want       *PrivateKey
		err        string
	}{
		{"RSA in SPKI", spki(&rsaKey.PublicKey), keys()[RSA2048], ""},
		{"RSA in PKCS#1", rsaPKCS1, keys()[RSA2048], ""},
		{"RSA in a certificate", cert, keys()[RSA2048], ""},
		{"P-256 in SPKI", spki(&ecKey.PublicKey), keys()[P256], ""},
		{"P-256 in a certificate", certificate(t, &ecKey.PublicKey, ecKey), keys()[P256], ""},
		{"SPKI before certificate", cert + spki(&ecKey.PublicKey), keys()[P256], ""},
		{"a private key", string(keys()[P256].MarshalPEM()), nil, "this is a private key, which belongs to its owner alone"},
		{"RSA 1024", spki(&rsa1024.PublicKey), nil, "1024 bits"},
		{"the word test", "test", nil, "no PEM block"},
		{"an unknown block", "-----BEGIN X-----\nAAAA\n-----END X-----\n", nil, "not a key or certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePublicKey([]byte(tc.text))
			if tc.want == nil {
				if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.HasPrefix(err.Error(), "parse public key: ") {
					t.Errorf("got %v, %v, want an error with %q", got, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Fingerprint() != tc.want.Fingerprint() || got.Algorithm() != tc.want.Algorithm() {
				t.Errorf("got %s %s, want %s %s", got.Algorithm(), got, tc.want.Algorithm(), tc.want)
			}
			s := sign(t, tc.want, transfer())
			if _, err := got.Verify(sent(transfer(), s), s.Header); err != nil {
				t.Error(err)
			}
		})
	}
}

// A key that OpenSSL reads and Go does not must not be taken for another one in
// the same text.
func TestUnreadEncodingIsNotAnotherKey(t *testing.T) {
	t.Parallel()
	_, ecKey := stdKeys()
	compressed := elliptic.MarshalCompressed(elliptic.P256(), ecKey.X, ecKey.Y)
	der := append([]byte("\x30\x39\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x22\x00"), compressed...)
	text := pemOf("PUBLIC KEY", der) + string(vectorKeys()[ES256].Public().MarshalPEM())
	facts, _ := crypto.ParseKeys([]byte(text))
	if k, _ := facts.VerificationKey(); k.Fingerprint != keys()[P256].Fingerprint() {
		t.Fatalf("got %s, want the compressed key", k)
	}
	got, err := ParsePublicKey([]byte(text))
	if err == nil && got.Fingerprint() != keys()[P256].Fingerprint() {
		t.Errorf("got %s, want %s or an error", got, keys()[P256])
	}
	if err != nil && !strings.Contains(err.Error(), "rewrite it with `openssl pkey`") {
		t.Errorf("got %q", err)
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for kind, want := range map[KeyKind]struct {
		label string
		alg   Algorithm
		bits  int
	}{
		RSA2048: {"RSA PRIVATE KEY", RS256, 2048}, RSA3072: {"RSA PRIVATE KEY", RS256, 3072}, RSA4096: {"RSA PRIVATE KEY", RS256, 4096},
		P256: {"EC PRIVATE KEY", ES256, 256},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			if kind == RSA4096 && testing.Short() {
				t.Skip("takes seconds")
			}
			k, err := GenerateKey(kind, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.SelfTest(); err != nil {
				t.Error(err)
			}
			set, err := crypto.ParseKeys(k.MarshalPEM())
			if err != nil || len(set.Problems) > 0 {
				t.Fatalf("got %v, %v", err, set.Problems)
			}
			facts, _ := set.SigningKey()
			block, _ := pem.Decode(k.MarshalPEM())
			if block.Type != want.label || facts.Bits != want.bits || k.Algorithm() != want.alg {
				t.Errorf("got %s, %s, %s; want %v", block.Type, facts, k.Algorithm(), want)
			}
			if err := facts.SDKUsable(crypto.MinRSABits); err != nil {
				t.Error(err)
			}
			if facts.Fingerprint != k.Fingerprint() || k.Public().Fingerprint() != k.Fingerprint() {
				t.Errorf("got fingerprints %s, %s, %s; want one", facts.Fingerprint, k.Fingerprint(), k.Public().Fingerprint())
			}
			if parsed, err := ParseKeyKind(strings.ToUpper(string(kind))); err != nil || parsed != kind {
				t.Errorf("got %s, %v, want %s", parsed, err, kind)
			}
		})
	}
	if k, err := GenerateKey("rsa-1024", rand.Reader); err == nil || !strings.Contains(err.Error(), `"rsa-1024": want rsa-2048`) {
		t.Errorf("got %v, %v", k, err)
	}
	if a, b := must(GenerateKey(P256, rand.Reader)), must(GenerateKey(P256, rand.Reader)); a.Fingerprint() == b.Fingerprint() {
		t.Errorf("got %s twice", a)
	}
	if len(KeyKinds()) != 4 {
		t.Errorf("got %v", KeyKinds())
	}
}

func TestSelfTestFindsAWrongPair(t *testing.T) {
	t.Parallel()
	k := keys()[P256]
	wrong := &PrivateKey{open: k.open, public: vectorKeys()[ES256].Public()}
	if err := wrong.SelfTest(); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("got %v", err)
	}
}

func TestConcatenate(t *testing.T) {
	t.Parallel()
	pad := func(n string) string { return strings.Repeat("\x00", 32-len(n)) + n }
	long := strings.Repeat("\xff", 32)
	for _, tc := range []struct{ name, der, want string }{
		{"short numbers", "\x30\x06\x02\x01\x05\x02\x01\x07", pad("\x05") + pad("\x07")},
		{"full length with sign", "\x30\x46\x02\x21\x00" + long + "\x02\x21\x00" + long, long + long},
		{"empty", "", ""},
		{"no sequence", "\x31\x06\x02\x01\x05\x02\x01\x07", ""},
		{"wrong length", "\x30\x07\x02\x01\x05\x02\x01\x07", ""},
		{"one number", "\x30\x03\x02\x01\x05", ""},
		{"number beyond the end", "\x30\x06\x02\x01\x05\x02\x02\x07", ""},
		{"33 bytes", "\x30\x26\x02\x21\x01" + long + "\x02\x01\x07", ""},
	} {
		got, err := concatenate([]byte(tc.der))
		if string(got) != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: got %x, %v, want %x", tc.name, got, err, tc.want)
		}
	}
}
