package crypto

import (
	"strings"
	"testing"
)

func TestSDKUsable(t *testing.T) {
	k := keys()
	for _, tc := range []struct {
		name, input string
		minBits     int
		want        string // part of the reason; empty for usable
	}{
		{"RSA PKCS#1", pkcs1(k.rsa), 0, ""},
		{"RSA PKCS#8", pkcs8(k.rsa), 0, ""},
		{"RSA SPKI", spki(&k.rsa.PublicKey), 0, ""},
		{"RSA certificate", certificate(t, &k.rsa.PublicKey, k.rsa, "a", false), 0, ""},
		{"P-256 SEC1", sec1(k.p256), 0, ""},
		{"P-256 SEC1 whatever the RSA bits", sec1(k.p256), 4096, ""},
		{"P-256 SPKI", spki(&k.p256.PublicKey), 0, ""},
		{"P-256 certificate", certificate(t, &k.p256.PublicKey, k.p256, "a", false), 0, ""},
		{"P-256 PKCS#8", pkcs8(k.p256), 0, "encoded in PKCS#8"},
		{"RSA 1024", pkcs1(k.rsa1024), 0, "has 1024 bits; want at least 2048"},
		{"RSA 1024 public, lower minimum", spki(&k.rsa1024.PublicKey), 1024, "want at least 2048"},
		{"RSA 2048, higher minimum", pkcs1(k.rsa), 3072, "want at least 3072"},
		{"RSA 3072, higher minimum", pkcs1(k.rsa3072), 3072, ""},
		{"P-384", sec1(k.p384), 0, "EC P-384 key is of no use"},
		{"P-521 public", spki(&k.p521.PublicKey), 0, "EC P-521 key is of no use"},
		{"P-224", sec1(k.p224), 0, "on no curve that FSPIOP knows"},
		{"Ed25519", pkcs8(k.ed), 0, "Ed25519 key is of no use"},
		{"DER", string(derOf(pkcs1(k.rsa))), 0, "want PEM"},
		{"encrypted", pemOf("ENCRYPTED PRIVATE KEY", []byte{1}), 0, "encrypted; the SDK cannot read it; decrypt it with"},
		{"unreadable", pemOf("PRIVATE KEY", []byte{1}), 0, "cannot be read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, _ := ParseKeys([]byte(tc.input))
			err := set.Keys[0].SDKUsable(tc.minBits)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if got := set.Keys[0].SDKUsable(tc.minBits); (got == nil) != (err == nil) {
				t.Errorf("SDKUsable: got %v, want %v", got, err)
			}
		})
	}
	if err := (KeyFacts{}).SDKUsable(MinRSABits); err == nil {
		t.Error("zero facts: got usable, want a reason")
	}
}

func TestKeyFactsString(t *testing.T) {
	f := Fingerprint{0x38, 0xa3, 0x7a, 0xc2}
	for _, tc := range []struct {
		facts KeyFacts
		want  string
	}{
		{KeyFacts{Private: true, Algorithm: RSA, Bits: 2048, Fingerprint: f}, "RSA 2048 private key 38a37ac2"},
		{KeyFacts{Algorithm: P256, Bits: 256, Fingerprint: f}, "EC P-256 public key 38a37ac2"},
		{KeyFacts{Algorithm: RSA, Bits: 4096, Encoding: X509, Fingerprint: f}, "RSA 4096 certificate 38a37ac2"},
		{KeyFacts{Private: true, Algorithm: Encrypted}, "encrypted private key"},
		{KeyFacts{Private: true, Algorithm: Unknown}, "unknown private key"},
	} {
		if got := tc.facts.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestParseFingerprint(t *testing.T) {
	const hex = "38a37ac2d8226f5fca59257effd492d483716f5be3695727933d3c0a90223b06"
	var pairs []string
	for i := 0; i < len(hex); i += 2 {
		pairs = append(pairs, strings.ToUpper(hex[i:i+2]))
	}
	for _, tc := range []struct {
		name, input string
		ok          bool
	}{
		{"plain", hex, true},
		{"upper case and blanks", " " + strings.ToUpper(hex) + "\n", true},
		{"colons", strings.Join(pairs, ":"), true},
		{"short", hex[:62], false},
		{"long", hex + "00", false},
		{"not hex", "z" + hex[1:], false},
		{"stray colons", hex + strings.Repeat(":", 31), false},
		{"one colon", hex[:2] + ":" + hex[2:], false},
		{"empty", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseFingerprint(tc.input)
			switch {
			case tc.ok && (err != nil || got.String() != hex):
				t.Errorf("got %q, %v, want %q", got, err, hex)
			case !tc.ok && err == nil:
				t.Errorf("got %q, want an error", got)
			case !tc.ok && len(tc.input) > 0 && strings.Contains(err.Error(), tc.input):
				t.Errorf("error %q repeats its input", err)
			}
		})
	}
}
