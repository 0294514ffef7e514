package crypto

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func jsonString(s string) string { return string(must(json.Marshal(s))) }

func TestScanPEMFindsHiddenKeys(t *testing.T) {
	k := keys()
	key, ec := pkcs8(k.rsa), sec1(k.p256)
	b64 := base64.StdEncoding.EncodeToString
	wrap := func(s string) string {
		var lines []string
		for len(s) > 76 {
			lines, s = append(lines, s[:76]), s[76:]
		}
		return strings.Join(append(lines, s), "\n")
	}
	noNewlines := strings.ReplaceAll(key, "\n", "")
	for _, tc := range []struct{ name, text string }{
		{"plain", key},
		{"indented in YAML", "data:\n  key: |\n    " + strings.ReplaceAll(key, "\n", "\n    ")},
		{"CRLF", strings.ReplaceAll(key, "\n", "\r\n")},
		{"JSON", `{"key":` + jsonString(key) + `}`},
		{"JSON in JSON", jsonString(`{"key":` + jsonString(key) + `}`)},
		{"JSON in JSON in JSON", jsonString(jsonString(jsonString(key)))},
		{"JSON with escaped slashes", strings.ReplaceAll(jsonString(key), "/", `\/`)},
		{"JSON with escaped signs", strings.NewReplacer("+", `\u002b`, "/", `\u002F`, "=", `\u003d`).Replace(jsonString(key))},
		{"line breaks as \\u000a", strings.ReplaceAll(key, "\n", `\u000a`)},
		{"line breaks as \\x0a", strings.ReplaceAll(key, "\n", `\x0a`)},
		{"no line breaks", noNewlines},
		{"blanks for line breaks", strings.ReplaceAll(key, "\n", " ")},
		{"no blanks in the labels", strings.ReplaceAll(noNewlines, " ", "")},
		{"URL query", "key=" + url.QueryEscape(key)},
		{"URL path", url.PathEscape(key)},
		{"XML", "<k>" + strings.ReplaceAll(key, "\n", "&#10;") + "</k>"},
		{"array of lines", string(must(json.Marshal(strings.Split(key, "\n"))))},
		{"JavaScript", "'" + strings.ReplaceAll(key, "\n", "\\n' \\\n'") + "'"},
		{"shell argument", `--key="` + strings.ReplaceAll(key, "\n", `\n`) + `" --other`},
		{"no END", strings.Split(key, "-----END")[0]},
		{"END of another type", strings.Replace(key, "END PRIVATE", "END RSA PRIVATE", 1)},
		{"under a harmless label", strings.ReplaceAll(key, "PRIVATE KEY", "CERTIFICATE")},
		{"after a BEGIN without block", "-----BEGIN-----BEGIN X" + key},
		{"after an open block", "-----BEGIN CERTIFICATE-----\nAAAA\n" + key},
		{"base64", b64([]byte(key))},
		{"base64 without padding", base64.RawStdEncoding.EncodeToString([]byte(key))},
		{"base64 for URLs", base64.URLEncoding.EncodeToString([]byte(key))},
		{"base64, second alignment", b64([]byte("x" + key))},
		{"base64, third alignment", b64([]byte("xy" + key))},
		{"base64 of an environment file", b64([]byte("A=1\nKEY=" + jsonString(key) + "\n"))},
		{"base64 in lines", "key: |\n" + wrap(b64([]byte(key)))},
		{"base64 in lines, escaped", jsonString(wrap(b64([]byte(key))))},
		{"base64 in YAML", "data:\n  a: " + b64([]byte("hello")) + "\n  key: " + b64([]byte(key)) + "\n  z: " + b64([]byte("end")) + "\n"},
		{"base64 after dashes", b64([]byte("----------" + key))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := FindPEM(tc.text)
			if len(found) != 1 || !found[0].Private || found[0].Fingerprint != fingerprintOf(&k.rsa.PublicKey) {
				t.Errorf("got %v, want the private key", found)
			}
			if diff := cmp.Diff(found, ScanPEM([]byte(tc.text))); diff != "" {
				t.Errorf("ScanPEM differs: -FindPEM +ScanPEM\n%s", diff)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		text := ec + "x" + jsonString(spki(&k.rsa.PublicKey)) + b64([]byte(pkcs1(k.otherRSA)+ec)) + " " + b64([]byte(key))
		var got []string
		for _, f := range FindPEM(text) {
			got = append(got, fmt.Sprint(f, " ", f.Block))
		}
		short := func(public any) string { return fingerprintOf(public).Short() }
		want := []string{
			"EC P-256 private key " + short(&k.p256.PublicKey) + " 0",
			"RSA 2048 public key " + short(&k.rsa.PublicKey) + " 1",
			"RSA 2048 private key " + short(&k.otherRSA.PublicKey) + " 2",
			"EC P-256 private key " + short(&k.p256.PublicKey) + " 3",
			"RSA 2048 private key " + short(&k.rsa.PublicKey) + " 4",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestScanPEMUnreadable(t *testing.T) {
	k := keys()
	key := pkcs8(k.rsa)
	unknown, encrypted := KeyFacts{Private: true, Algorithm: Unknown}, KeyFacts{Private: true, Algorithm: Encrypted}
	for _, tc := range []struct {
		name, text string
		want       []KeyFacts
	}{
		{"redacted", "-----BEGIN PRIVATE KEY-----\nREDACTED\n-----END PRIVATE KEY-----", []KeyFacts{unknown}},
		{"redacted with signs", "-----BEGIN RSA PRIVATE KEY-----\\n<hidden>\\n-----END RSA PRIVATE KEY-----", []KeyFacts{unknown}},
		{"cut", key[:600], []KeyFacts{unknown}},
		{"OpenSSH", pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), []KeyFacts{unknown}},
		{"PGP", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n-----END PGP PRIVATE KEY BLOCK-----", []KeyFacts{unknown}},
		{"encrypted", pemOf("ENCRYPTED PRIVATE KEY", marshal(struct {
			A algorithmIdentifier
			D []byte
		}{algorithmIdentifier{Algorithm: oidRSA}, []byte("x")})), []KeyFacts{{Private: true, Algorithm: Encrypted, Encoding: PKCS8}}},
		{"encrypted in the old way", "-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\n\\nAAAA\\n-----END RSA PRIVATE KEY-----", []KeyFacts{encrypted}},
		{"public key as private", strings.ReplaceAll(spki(&k.rsa.PublicKey), "PUBLIC", "PRIVATE"), []KeyFacts{unknown}},
		{"certificate that is none", "-----BEGIN CERTIFICATE-----\nREDACTED\n-----END CERTIFICATE-----", nil},
		{"EC parameters", pemOf("EC PARAMETERS", marshal(namedCurves[0].oid)), nil},
		{"in prose", "A key begins with -----BEGIN PRIVATE KEY----- and then goes on for many lines of base64, until all of it is said and done and nobody reads on", nil},
		{"in a script", "grep -q -e '-----BEGIN RSA PRIVATE KEY-----' /keys/private.key || exit 1\n", nil},
		{"label of a page", "-----BEGIN " + strings.Repeat("x", maxLabel+1) + " PRIVATE KEY-----", nil},
		{"base64 of dashes", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("-", 100))), nil},
		{"text", "ILP_SECRET=x", nil},
		{"empty", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, FindPEM(tc.text)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Dummies in front of it do not hide a private key.
func TestScanPEMBoundsBlocks(t *testing.T) {
	many := strings.Repeat("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", maxBlocks)
	many = strings.ReplaceAll(many, "PUBLIC KEY", "EC PARAMETERS")
	key := pkcs1(keys().rsa)
	want := []KeyFacts{{Private: true, Algorithm: Unknown, Block: maxBlocks}}
	if diff := cmp.Diff(want, FindPEM(many+key+key)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestScanPEMWithoutKeyDoesNotAllocate(t *testing.T) {
	text := []byte(strings.Repeat("ILP_SECRET=x; LS0tLS0tLS0t; -----END; BEGIN\n", 1000))
	s := string(text)
	if n := testing.AllocsPerRun(10, func() { ScanPEM(text) }); n != 0 {
		t.Errorf("ScanPEM: got %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(10, func() { FindPEM(s) }); n != 0 {
		t.Errorf("FindPEM: got %v allocations, want 0", n)
	}
}

// Hostile texts of twice the length must not take much more than twice the
// time. The bound is wide, so that only quadratic time fails: it gives 64.
func TestScanPEMIsLinear(t *testing.T) {
	for _, piece := range []string{
		"-----BEGIN", "-----BEGIN A-----", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----MIIE", "-",
		"LS0t", "LS0tLS1CRUdJT", "LS0tQkVHSU", "LS0tLS1CRUdJT LS0tLUJFR0lO", `\`, `-----BEGIN PRIVATE KEY-----\`, "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		pemOf("PUBLIC KEY", []byte{0x30, 0x80}), "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t\n",
	} {
		took := func(size int) time.Duration {
			text := strings.Repeat(piece, size/len(piece))
			best := time.Hour
			for range 3 {
				start := time.Now()
				FindPEM(text)
				_, _ = ParseKeys([]byte(text))
				best = min(best, time.Since(start))
			}
			return best
		}
		small, large := took(128<<10), took(1<<20)
		if large > 24*small+20*time.Millisecond {
			t.Errorf("%.40q: 128 KiB took %v, 1 MiB %v", piece, small, large)
		}
	}
}
