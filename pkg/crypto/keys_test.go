package crypto

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The fingerprints were printed by OpenSSL 3.0 for these public keys:
// openssl pkey -pubin -outform DER | sha256sum.
func TestParseKeysKnownAnswers(t *testing.T) {
	for _, tc := range []struct{ name, base64, want string }{
		{
			name: "P-256",
			base64: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfVv92m5w+LuxKbUu9OG5BU2x5NhP\n" +
				"mcElAjKdfObOHq7U0qV5GZVxbl/RVrlxkUC4Qc+oViBLMb6MQSB2JbgEKA==",
			want: "3d011b2926f742190d1539b355e4d1db4dcef07572d5014acaef77decfe92989",
		},
		{
			name:   "the same P-256 key with its point compressed",
			base64: "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACfVv92m5w+LuxKbUu9OG5BU2x5NhP\nmcElAjKdfObOHq4=",
			want:   "3d011b2926f742190d1539b355e4d1db4dcef07572d5014acaef77decfe92989",
		},
		{
			name: "RSA 1024",
			base64: "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDdZWKBVrq4eQI1EscfcyCyc707\n" +
				"Yp8od47QXomkxw1IQObWdTUY9Yh1cVrZJ3U3B0wXdMvJqgBfQ35fyrgoM+PpftUp\n" +
				"aw7T+hzKt8fMYmSSDtpYO9yhaK8d0BKH+24OM49Uzp6dL2rjCPWPLS8AJjzxgwEA\n" +
				"mP+Afmi1HMZIUAKkfQIDAQAB",
			want: "487ef824b9f0de027c1f4b6e365ce849c0ef44dd93b0177e9e8d883a11ab55e6",
		},
		{
			name:   "Ed25519",
			base64: "MCowBQYDK2VwAyEAvvAvtzm1A5/A1JtiHzS1Hz3sBrinaDAXcvWyZjlWw18=",
			want:   "55d3fe5b7c94c5a630fd2699d266a548a541ea528ad62b5654b142c7cb1f9739",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := ParseKeys([]byte("-----BEGIN PUBLIC KEY-----\n" + tc.base64 + "\n-----END PUBLIC KEY-----\n"))
			if err != nil {
				t.Fatal(err)
			}
			if got := set.Keys[0].Fingerprint.String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseKeysFacts(t *testing.T) {
	k := keys()
	n512, der512 := rsa512()
	facts := func(public any, private bool, a Algorithm, bits int, e Encoding) KeyFacts {
		return KeyFacts{Private: private, Fingerprint: fingerprintOf(public), Algorithm: a, Bits: bits, Encoding: e}
	}
	cert := func(public any, a Algorithm, bits int, cn string, ca bool) KeyFacts {
		f := facts(public, false, a, bits, X509)
		f.NotBefore, f.NotAfter, f.Subject, f.Issuer, f.IsCA = notBefore, notAfter, cn, cn, ca
		return f
	}
	for _, tc := range []struct {
		name, input string
		want        KeyFacts
	}{
		{"RSA private PKCS#1", pkcs1(k.rsa), facts(&k.rsa.PublicKey, true, RSA, 2048, PKCS1)},
		{"RSA private PKCS#8", pkcs8(k.rsa), facts(&k.rsa.PublicKey, true, RSA, 2048, PKCS8)},
		{"RSA public SPKI", spki(&k.rsa.PublicKey), facts(&k.rsa.PublicKey, false, RSA, 2048, SPKI)},
		{"RSA public PKCS#1", pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)), facts(&k.rsa.PublicKey, false, RSA, 2048, PKCS1)},
		{"RSA certificate", certificate(t, &k.rsa.PublicKey, k.rsa, "fsp1", false), cert(&k.rsa.PublicKey, RSA, 2048, "CN=fsp1", false)},
		{"CA", certificate(t, &k.p256.PublicKey, k.p256, "ca", true), cert(&k.p256.PublicKey, P256, 256, "CN=ca", true)},
		{"RSA 1024", pkcs1(k.rsa1024), facts(&k.rsa1024.PublicKey, true, RSA, 1024, PKCS1)},
		{"RSA 512", pemOf("RSA PRIVATE KEY", der512), facts(&rsa.PublicKey{N: n512, E: 65537}, true, RSA, 512, PKCS1)},
		{"RSA 3072", pkcs8(k.rsa3072), facts(&k.rsa3072.PublicKey, true, RSA, 3072, PKCS8)},
		{"P-256 SEC1", sec1(k.p256), facts(&k.p256.PublicKey, true, P256, 256, SEC1)},
		{"P-256 PKCS#8", pkcs8(k.p256), facts(&k.p256.PublicKey, true, P256, 256, PKCS8)},
		{"P-256 SPKI", spki(&k.p256.PublicKey), facts(&k.p256.PublicKey, false, P256, 256, SPKI)},
		{"P-384 SEC1", sec1(k.p384), facts(&k.p384.PublicKey, true, P384, 384, SEC1)},
		{"P-521 PKCS#8", pkcs8(k.p521), facts(&k.p521.PublicKey, true, P521, 521, PKCS8)},
		{"P-521 SPKI", spki(&k.p521.PublicKey), facts(&k.p521.PublicKey, false, P521, 521, SPKI)},
		{"Ed25519 PKCS#8", pkcs8(k.ed), facts(k.ed.Public(), true, Ed25519, 256, PKCS8)},
		{"Ed25519 SPKI", spki(k.ed.Public()), facts(k.ed.Public(), false, Ed25519, 256, SPKI)},
		{"PKCS#8 under the label of PKCS#1", strings.ReplaceAll(pkcs8(k.rsa), "PRIVATE", "RSA PRIVATE"), facts(&k.rsa.PublicKey, true, RSA, 2048, PKCS8)},
		{"PKCS#8 under the label of SEC1", strings.ReplaceAll(pkcs8(k.p256), "PRIVATE", "EC PRIVATE"), facts(&k.p256.PublicKey, true, P256, 256, PKCS8)},
		{"old label of certificates", pemOf("X509 CERTIFICATE", derOf(certificate(t, &k.rsa.PublicKey, k.rsa, "a", false))), cert(&k.rsa.PublicKey, RSA, 2048, "CN=a", false)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(tc.input))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(KeySet{Keys: []KeyFacts{tc.want}}, set); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			tc.want.Block = NoBlock
			set, err = ParseKeys(derOf(tc.input))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(KeySet{Keys: []KeyFacts{tc.want}}, set); diff != "" {
				t.Errorf("as DER: -want +got\n%s", diff)
			}
		})
	}
}

// Every form in which OpenSSL reads a key gives the fingerprint of the key.
func TestParseKeysOneKeyOneFingerprint(t *testing.T) {
	k := keys()
	rsaDER := x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)
	curve := fullBytes(marshal(namedCurves[0].oid))
	point := must(k.p256.PublicKey.Bytes())
	compressed := append([]byte{2 + point[64]&1}, point[1:33]...)
	type sec1Key struct {
		Version int
		Scalar  []byte
		Curve   asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		Public  asn1.BitString        `asn1:"optional,explicit,tag:1"`
	}
	scalar := must(k.p256.Bytes())
	wrongPublic := marshal(sec1Key{1, scalar, namedCurves[0].oid, asn1.BitString{Bytes: point[:len(point)-1], BitLength: 8 * 64}})
	for _, tc := range []struct {
		name, label string
		der         []byte
		want        any
		trailing    bool
	}{
		{"SPKI without NULL", "PUBLIC KEY", spkiWith(oidRSA, asn1.RawValue{}, rsaDER), &k.rsa.PublicKey, false},
		{"SPKI with data inside the bit string", "PUBLIC KEY", spkiWith(oidRSA, asn1.NullRawValue, append(slices.Clone(rsaDER), 1, 2, 3)), &k.rsa.PublicKey, false},
		{"SPKI with data after it", "PUBLIC KEY", append(derOf(spki(&k.rsa.PublicKey)), 0), &k.rsa.PublicKey, true},
		{"compressed point", "PUBLIC KEY", spkiWith(oidEC, curve, compressed), &k.p256.PublicKey, false},
		{"PKCS#1 with data after it", "RSA PRIVATE KEY", append(derOf(pkcs1(k.rsa)), 1, 2), &k.rsa.PublicKey, true},
		{"PKCS#8 with data after it", "PRIVATE KEY", append(derOf(pkcs8(k.rsa)), 1, 2), &k.rsa.PublicKey, true},
		{"certificate with data after it", "CERTIFICATE", append(derOf(certificate(t, &k.rsa.PublicKey, k.rsa, "a", false)), 9), &k.rsa.PublicKey, true},
		{"SEC1 without public key", "EC PRIVATE KEY", marshal(sec1Key{Version: 1, Scalar: scalar, Curve: namedCurves[0].oid}), &k.p256.PublicKey, false},
		{"SEC1 with another public key", "EC PRIVATE KEY", wrongPublic, &k.p256.PublicKey, false},
		{"SEC1 scalar with a leading zero", "EC PRIVATE KEY", marshal(sec1Key{Version: 1, Scalar: append([]byte{0}, scalar...), Curve: namedCurves[0].oid}), &k.p256.PublicKey, false},
		{"PSS private", "PRIVATE KEY", pkcs8With(oidRSAPSS, asn1.RawValue{}, derOf(pkcs1(k.rsa))), &k.rsa.PublicKey, false},
		{"PSS public", "PUBLIC KEY", spkiWith(oidRSAPSS, asn1.RawValue{}, rsaDER), &k.rsa.PublicKey, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(pemOf(tc.label, tc.der)))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := set.Keys[0].Fingerprint, fingerprintOf(tc.want); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := len(set.Problems) == 1 && errors.Is(set.Problems[0], ErrTrailing); got != tc.trailing {
				t.Errorf("trailing: got %v (%v), want %v", got, set.Problems, tc.trailing)
			}
			if found := FindPEM(pemOf(tc.label, tc.der)); len(found) != 1 || found[0].Fingerprint != fingerprintOf(tc.want) {
				t.Errorf("scan: got %v", found)
			}
		})
	}
}

// Scalars with leading zeros are written short by some encoders.
func TestParseKeysShortScalar(t *testing.T) {
	scalar := make([]byte, 32)
	scalar[31] = 5
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		t.Fatal(err)
	}
	short := marshal(struct {
		Version int
		Scalar  []byte
		Curve   asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	}{1, []byte{5}, namedCurves[0].oid})
	set, err := ParseKeys(short)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := set.Keys[0].Fingerprint, fingerprintOf(&key.PublicKey); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseKeysProblems(t *testing.T) {
	k := keys()
	rsaKey, ecKey := pkcs1(k.rsa), sec1(k.p256)
	numbers := numbersOf(k.rsa)
	foreign := numbers
	foreign.N = k.otherRSA.N
	huge := numbers
	huge.Version = 1
	huge.N = new(big.Int).SetBit(big.NewInt(1), maxRSABits+1, 1)
	encryptedInfo := marshal(struct {
		Algorithm algorithmIdentifier
		Data      []byte
	}{algorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}}, []byte("cipher text")})
	legacy := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	for _, tc := range []struct {
		name, input string
		want        []error
		first       Algorithm // of the first key; empty for no key
		fatal       bool
	}{
		{"empty", "", []error{ErrNoPEM}, "", true},
		{"text", "test", []error{ErrNoPEM}, "", true},
		{"not DER", "\x30\x03\x02\x01", []error{ErrNoPEM}, "", true},
		{"other DER", string(marshal([]int{1})), []error{ErrNoPEM}, "", true},
		{"escaped line breaks", strings.ReplaceAll(rsaKey, "\n", `\n`), []error{ErrMalformed}, "", true},
		{"indented", "  " + strings.ReplaceAll(rsaKey, "\n", "\n  "), []error{ErrMalformed}, "", true},
		{"text before BEGIN", "key: " + rsaKey, []error{ErrMalformed}, "", true},
		{"text after BEGIN", strings.Replace(rsaKey, "-----\n", "-----x\n", 1), []error{ErrMalformed}, "", true},
		{"no line breaks", strings.ReplaceAll(rsaKey, "\n", ""), []error{ErrMalformed}, "", true},
		{"CR only", strings.ReplaceAll(rsaKey, "\n", "\r"), []error{ErrMalformed}, "", true},
		{"no END", strings.Split(rsaKey, "-----END")[0], []error{ErrUnclosed}, Unknown, true},
		{"text after END", strings.TrimSpace(rsaKey) + "x", []error{ErrMalformed}, Unknown, true},
		{"END of another type", strings.Replace(rsaKey, "END RSA", "END EC", 1), []error{ErrMalformed}, Unknown, true},
		{"redacted", "-----BEGIN PRIVATE KEY-----\nREDACTED!\n-----END PRIVATE KEY-----\n", []error{ErrMalformed}, Unknown, true},
		{"nothing inside", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", []error{ErrMalformed}, Unknown, true},
		{"too long", "-----BEGIN PUBLIC KEY-----\n" + strings.Repeat("A", maxBody+1) + "\n-----END PUBLIC KEY-----\n", []error{ErrMalformed}, Unknown, true},
		{"PKCS#1 under the label of PKCS#8", strings.ReplaceAll(rsaKey, "RSA ", ""), []error{ErrMalformed}, Unknown, true},
		{"SEC1 under the label of PKCS#1", strings.ReplaceAll(ecKey, "EC ", "RSA "), []error{ErrMalformed}, Unknown, true},
		{"SPKI under the label of PKCS#1", strings.ReplaceAll(spki(&k.rsa.PublicKey), "PUBLIC", "RSA PUBLIC"), []error{ErrMalformed}, Unknown, true},
		{"modulus of another key", pemOf("RSA PRIVATE KEY", marshal(foreign)), []error{ErrMalformed}, Unknown, true},
		{"huge modulus", pemOf("RSA PRIVATE KEY", marshal(huge)), []error{ErrMalformed}, Unknown, true},
		{"even exponent", pemOf("RSA PUBLIC KEY", marshal(struct{ N, E *big.Int }{k.rsa.N, big.NewInt(4)})), []error{ErrMalformed}, Unknown, true},
		{"encrypted PKCS#1", legacy, []error{ErrEncrypted}, Encrypted, true},
		{"encrypted PKCS#8", pemOf("ENCRYPTED PRIVATE KEY", encryptedInfo), []error{ErrEncrypted}, Encrypted, true},
		{"encrypted DER", string(encryptedInfo), []error{ErrEncrypted}, Encrypted, true},
		{"OpenSSH", pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), []error{ErrUnknownBlock}, Unknown, true},
		{"certificate request", pemOf("CERTIFICATE REQUEST", []byte("x")), []error{ErrUnknownBlock}, "", true},
		{"EC parameters alone", pemOf("EC PARAMETERS", marshal(namedCurves[0].oid)), []error{ErrUnknownBlock}, "", true},
		{"P-224", sec1(k.p224), []error{ErrUnsupportedAlgorithm}, UnknownCurve, true},
		{"P-224 public", spki(&k.p224.PublicKey), []error{ErrUnsupportedAlgorithm}, UnknownCurve, true},
		{"Ed448", pemOf("PRIVATE KEY", pkcs8With(asn1.ObjectIdentifier{1, 3, 101, 113}, asn1.RawValue{}, []byte{4, 1, 0})), []error{ErrUnsupportedAlgorithm}, UnknownAlgorithm, true},
		{"text after the key", rsaKey + "text", []error{ErrTrailing}, RSA, false},
		{"data after DER", string(derOf(rsaKey)) + "text", []error{ErrTrailing}, RSA, false},
		{"broken key first", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n" + rsaKey, []error{ErrMalformed}, Unknown, false},
		{"key inside a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n" + rsaKey, []error{ErrUnclosed}, Unknown, false},
		{"key inside something else", "-----BEGIN X-----\n" + rsaKey, []error{ErrUnclosed}, RSA, false},
		{"RSA key, then EC key", rsaKey + ecKey, []error{ErrECMarker}, RSA, false},
		{"RSA key after a comment", "# no BEGIN EC key\n" + rsaKey, []error{ErrECMarker}, RSA, false},
		{"several", legacy + pemOf("DH PARAMETERS", nil) + rsaKey + "x", []error{ErrEncrypted, ErrUnknownBlock, ErrTrailing}, Encrypted, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(tc.input))
			if (err != nil) != tc.fatal {
				t.Errorf("got error %v, want one: %v", err, tc.fatal)
			}
			if tc.fatal && !errors.Is(err, tc.want[0]) {
				t.Errorf("got error %v, want %v", err, tc.want[0])
			}
			if !slices.EqualFunc(set.Problems, tc.want, func(p Problem, want error) bool { return errors.Is(p, want) }) {
				t.Errorf("got problems %v, want %v", set.Problems, tc.want)
			}
			var first Algorithm
			if len(set.Keys) > 0 {
				first = set.Keys[0].Algorithm
			}
			if first != tc.first {
				t.Errorf("got first key %q, want %q", first, tc.first)
			}
		})
	}
}

func TestParseKeysAcceptsWhatOpenSSLAccepts(t *testing.T) {
	k := keys()
	base := pkcs1(k.rsa)
	oneLine := strings.Replace(strings.Replace(strings.ReplaceAll(base, "\n", ""), "KEY-----", "KEY-----\n", 1), "-----END", "\n-----END", 1)
	for _, tc := range []struct {
		name, input string
		block       int
	}{
		{"CRLF", strings.ReplaceAll(base, "\n", "\r\n"), 0},
		{"byte order mark", "\ufeff" + base, 0},
		{"leading text", "Bag Attributes\n    friendlyName: x\n" + base, 0},
		{"no final line break", strings.TrimSpace(base), 0},
		{"blanks at line ends", strings.ReplaceAll(base, "\n", " \t\n"), 0},
		{"tabs in lines", strings.ReplaceAll(base, "MII", "MI\tI"), 0},
		{"one long line", oneLine, 0},
		{"blank line", strings.Replace(base, "\n", "\n\n", 1), 0},
		{"header", strings.Replace(base, "\n", "\nComment: x\n\n", 1), 0},
		{"after EC parameters of no use", pemOf("EC PARAMETERS", []byte{5, 0}) + base, 1},
		{"after a certificate", certificate(t, &k.p384.PublicKey, k.p384, "x", false) + base, 1},
		{"blank lines around", "\n\n" + base + "\n \r\n", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(tc.input))
			if err != nil {
				t.Fatal(err)
			}
			got, ok := set.SigningKey()
			if !ok || got.Fingerprint != fingerprintOf(&k.rsa.PublicKey) || got.Block != tc.block {
				t.Errorf("got %v in block %d, want the RSA key in block %d", got, got.Block, tc.block)
			}
		})
	}
}

func TestKeySetPicksAsTheSDK(t *testing.T) {
	k := keys()
	rsaPublic, ecPublic := spki(&k.rsa.PublicKey), spki(&k.p256.PublicKey)
	rsaPKCS1 := pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey))
	rsaCert, ecCert := certificate(t, &k.rsa.PublicKey, k.rsa, "a", false), certificate(t, &k.p256.PublicKey, k.p256, "b", false)
	encrypted := "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
	bad := func(label string) string { return pemOf(label, []byte{0x30, 1, 2}) }
	signing, verification := KeySet.SigningKey, KeySet.VerificationKey
	for _, tc := range []struct {
		name, input string
		pick        func(KeySet) (KeyFacts, bool)
		want        string // Algorithm and structure; empty for none
	}{
		{"first of two", pkcs1(k.rsa) + pkcs1(k.otherRSA), signing, "RSA PKCS#1 0"},
		{"EC, then RSA", sec1(k.p256) + pkcs1(k.rsa), signing, "EC P-256 SEC1 0"},
		{"P-384 is taken although it fails", sec1(k.p384) + pkcs1(k.rsa), signing, "EC P-384 SEC1 0"},
		{"a broken key is passed over", bad("PRIVATE KEY") + pkcs1(k.rsa), signing, "RSA PKCS#1 1"},
		{"an encrypted key is not", encrypted + pkcs1(k.rsa), signing, "encrypted  0"},
		{"a block without end is not", "-----BEGIN X-----\n" + pkcs1(k.rsa), signing, "unknown  0"},
		{"public keys are", rsaPublic + rsaCert + pkcs8(k.rsa), signing, "RSA PKCS#8 2"},
		{"no private key", rsaPublic, signing, ""},
		{"first SPKI", ecPublic + rsaPublic, verification, "EC P-256 SPKI 0"},
		{"SPKI before certificate", ecCert + rsaPublic, verification, "RSA SPKI 1"},
		{"SPKI before private key", pkcs1(k.otherRSA) + rsaPublic, verification, "RSA SPKI 1"},
		{"SPKI before PKCS#1", rsaPKCS1 + ecPublic, verification, "EC P-256 SPKI 1"},
		{"PKCS#1 before certificate", ecCert + rsaPKCS1, verification, "RSA PKCS#1 1"},
		{"first certificate", ecCert + rsaCert, verification, "EC P-256 X.509 0"},
		{"certificate before private key", sec1(k.p256) + rsaCert, verification, "RSA X.509 1"},
		{"private key alone", pkcs1(k.rsa), verification, "RSA PKCS#1 0"},
		{"a broken SPKI is not passed over", bad("PUBLIC KEY") + rsaPublic, verification, "unknown SPKI 0"},
		{"nor for a certificate", bad("PUBLIC KEY") + rsaCert, verification, "unknown SPKI 0"},
		{"a broken PKCS#1 gives way to SPKI", bad("RSA PUBLIC KEY") + rsaPublic, verification, "RSA SPKI 1"},
		{"a block without end", "-----BEGIN X-----\n" + rsaPublic, verification, "unknown  0"},
		{"nothing", "test", verification, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, _ := ParseKeys([]byte(tc.input))
			got := ""
			if key, ok := tc.pick(set); ok {
				got = string(key.Algorithm) + " " + string(key.Encoding) + " " + string(rune('0'+key.Block))
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseKeysBoundsBlocks(t *testing.T) {
	k := keys()
	many := strings.Repeat(spki(&k.p256.PublicKey), maxBlocks)
	set, err := ParseKeys([]byte(many))
	if err != nil || len(set.Keys) != maxBlocks || len(set.Problems) != 0 {
		t.Errorf("got %d keys, problems %v, error %v; want %d keys", len(set.Keys), set.Problems, err, maxBlocks)
	}
	set, _ = ParseKeys([]byte(many + pkcs1(k.rsa)))
	last := set.Keys[len(set.Keys)-1]
	if len(set.Problems) != 1 || !errors.Is(set.Problems[0], ErrTooManyBlocks) || !last.Private || last.Algorithm != Unknown {
		t.Errorf("got problems %v and last key %v, want an unread private key", set.Problems, last)
	}
}

func TestProblemMessage(t *testing.T) {
	secret := "5EBE2294ECD0E0F08EAB7690D2A6EE69"
	set, _ := ParseKeys([]byte(pemOf("OPENSSH PRIVATE KEY", []byte("x")) + pemOf(secret, nil) + "-----BEGIN \x1b[31mX-----\n-----END \x1b[31mX-----\n"))
	want := []string{
		"PEM block 1 (OPENSSH PRIVATE KEY): not a key or certificate that the SDK reads",
		"PEM block 2: not a key or certificate that the SDK reads",
		"PEM block 3: not a key or certificate that the SDK reads",
	}
	var got []string
	for _, p := range set.Problems {
		got = append(got, p.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCertificateNamesArePrintable(t *testing.T) {
	k := keys()
	long := strings.Repeat("x", 2*maxName)
	for _, tc := range []struct{ name, cn, want string }{
		{"terminal", "a\x1b[31m\u202eb\n", `CN=a\x1b[31m\u202eb\n`},
		{"accents stay", "Bänk", "CN=Bänk"},
		{"long", long, "CN=" + long[:maxName-3] + "…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := ParseKeys([]byte(certificate(t, &k.p256.PublicKey, k.p256, tc.cn, false)))
			if err != nil {
				t.Fatal(err)
			}
			if got := set.Keys[0].Subject; got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
