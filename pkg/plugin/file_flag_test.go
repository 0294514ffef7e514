package plugin

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/fixtures"
)

// signingFiles are what the commands below test need.
func signingFiles(t *testing.T) func(string) string {
	t.Helper()
	key := generateKeys(t, 1)[0]
	dir := write(t, map[string]string{
		"a.key": string(key.MarshalPEM()), "out/verification-keys/a.pem": string(key.Public().MarshalPEM()), "out/signing-keys/a.pem": "x",
		"body.json": `{"quoteId":"1"}`, "none/x": "",
	})
	return func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
}

// TestErrorsNameTheFlag: what cannot be read is named once, with its flag.
func TestErrorsNameTheFlag(t *testing.T) {
	file := signingFiles(t)
	sign := []string{"test", "jws", "sign", "--key", file("a.key"), "--source", "a", "--uri", "/quotes", "--body", file("body.json")}
	verify := []string{"test", "jws", "verify", "--keys", file("out"), "--headers", file("body.json"), "--body", file("body.json")}
	mtls := []string{"test", "mtls", "--url", "https://127.0.0.1:1", "--cert", file("a.key"), "--key", file("a.key")}
	transaction := []string{
		"test", "transaction", "--url", "http://127.0.0.1:1", "--key", file("a.key"), "--source", "a", "--destination", "b",
		"--callback-listen", "127.0.0.1:0", "--cert", file("a.key"), "--key-tls", file("a.key"),
	}
	ilp := []string{"test", "ilp", "generate", "--secret-file", file("a.key"), "--transaction", file("body.json")}
	for flag, command := range map[string][]string{
		"--private":         {"keys", "import", "dfsp/a", "-o", "yaml"},
		"--public":          {"keys", "import", "dfsp/a", "-o", "yaml"},
		"--seal-cert":       {"generate", "jws", "dfsp/a", "-o", "yaml", "-n", "a"},
		"--key":             sign,
		"--body":            sign,
		"--headers":         verify,
		"--keys":            verify,
		"--cert":            mtls,
		"--ca":              mtls[:4],
		"--key-tls":         transaction,
		"--ilp-secret-file": transaction,
		"--secret-file":     append(slices.Clone(ilp), "--transaction", file("body.json")),
		"--transaction":     ilp,
		"--transfer":        {"test", "ilp", "verify"},
	} {
		_, stderr, code := run(t, append(slices.Clone(command), flag, file("nowhere"))...)
		want := fmt.Sprintf("%s %s: no such file or directory", flag, file("nowhere"))
		if code != Failed || !strings.Contains(stderr, want) || strings.Count(stderr, "nowhere") != 1 {
			t.Errorf("%s: got code %d and %q, want %q", flag, code, stderr, want)
		}
		_, stderr, code = run(t, append(slices.Clone(command), flag, string(generateKeys(t, 1)[0].MarshalPEM()))...)
		if want := flag + " wants the name of a file, and got the key itself"; code != Failed || !strings.Contains(stderr, want) {
			t.Errorf("%s: got code %d and %q, want %q", flag, code, stderr, want)
		}
		_, stderr, code = run(t, append(slices.Clone(command), flag, string(generateKeys(t, 1)[0].Public().MarshalPEM()))...)
		if want := flag + " wants the name of a file, and got what stands in it"; code != Failed || !strings.Contains(stderr, want) {
			t.Errorf("%s: got code %d and %q, want %q", flag, code, stderr, want)
		}
		_, stderr, code = run(t, append(slices.Clone(command), flag, strings.Repeat("0123456789abcdef", 4))...)
		if want := flag + " wants the name of a file, and there is none of that name"; code != Failed || !strings.Contains(stderr, want) {
			t.Errorf("%s: got code %d and %q, want %q", flag, code, stderr, want)
		}
	}
}

// TestSignSaysErrorsOnce: a document for an error is for who asked for one.
func TestSignSaysErrorsOnce(t *testing.T) {
	file := signingFiles(t)
	sign := []string{"test", "jws", "sign", "--key", file("a.key"), "--source", "a", "--uri", "/quotes", "--body", file("nowhere")}
	stdout, stderr, code := run(t, sign...)
	if code != Failed || stdout != "" || !strings.Contains(stderr, "no such file") {
		t.Errorf("got code %d, stdout %q, stderr %q; want the error on stderr only", code, stdout, stderr)
	}
	stdout, _, _ = run(t, append(sign, "-o", "json")...)
	if !json.Valid([]byte(stdout)) || !strings.Contains(stdout, "no such file") {
		t.Errorf("got stdout %q, want a document with the error", stdout)
	}
}

// TestSignWithoutResource: a URL in which the SDK finds no resource is signed as
// the SDK does, with a warning, and has no content type.
func TestSignWithoutResource(t *testing.T) {
	file := signingFiles(t)
	for uri, want := range map[string]bool{
		"/quotes": true, "/fsp/1.0/transfers/1": true, "http://127.0.0.1:4000/quotes": true, "http://127.0.0.1:4000/quotes/1/error": true,
		"http://127.0.0.1:4000": false, "http://127.0.0.1:4000/": false, "http://127.0.0.1:4000/nothing": false, "http://127.0.0.1:4000/quotes/": false,
	} {
		sign := []string{"test", "jws", "sign", "--key", file("a.key"), "--source", "a", "--uri", uri, "--body", file("body.json")}
		stdout, stderr, code := run(t, sign...)
		if got := stderr == ""; code != Good || stdout == "" || got != want {
			t.Errorf("%s: got code %d and %q, want a warning: %t", uri, code, stderr, !want)
		}
		if !strings.HasPrefix(uri, "http") {
			continue
		}
		stdout, stderr, code = run(t, append(sign, "-o", "curl")...)
		switch {
		case want && (code != Good || !strings.Contains(stdout, ".quotes+json;")):
			t.Errorf("%s: got code %d and %q, want the content type of quotes", uri, code, stdout)
		case !want && (code != Usage || stdout != "" || !strings.Contains(stderr, "has no FSPIOP resource")):
			t.Errorf("%s: got code %d, %q and %q, want a refusal", uri, code, stdout, stderr)
		}
	}
}

// TestKeysOfGenerate: the folder that generate jws --out writes will do.
func TestKeysOfGenerate(t *testing.T) {
	file := signingFiles(t)
	message, _, _ := run(t, "test", "jws", "sign", "--key", file("a.key"), "--source", "a", "--uri", "/quotes", "--body", file("body.json"))
	if err := os.WriteFile(file("signed.json"), []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]Code{"out": Good, "out/verification-keys": Good, "none": Failed, "out/signing-keys": Findings} {
		if stdout, stderr, code := run(t, "test", "jws", "verify", "--keys", file(dir), "--headers", file("signed.json")); code != want {
			t.Errorf("%s: got code %d, want %d (%s%s)", dir, code, want, stdout, stderr)
		}
	}
	sdk := httptest.NewServer(&fakeSDK{keys: jws.Keys{}})
	defer sdk.Close()
	for dir, want := range map[string]string{"out": "", "none": "holds no <fsp>.pem file"} {
		_, stderr, _ := run(t, "test", "transaction", "--url", sdk.URL, "--key", file("a.key"), "--source", "a", "--destination", "b",
			"--callback-listen", "127.0.0.1:0", "--keys", file(dir), "--for=10ms", "--warm-up=0s", "--callback-wait=1ms")
		if !strings.Contains(stderr, want) || want == "" && strings.Contains(stderr, "verification keys") {
			t.Errorf("%s: got %q, want %q", dir, stderr, want)
		}
	}
}

// TestFileInPlaceOfPacket: a packet is an argument, its file is not.
func TestFileInPlaceOfPacket(t *testing.T) {
	file := signingFiles(t)
	name := file("body.json")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"decode", name}, "type:  kubectl mojasec test ilp decode - < " + name},
		{[]string{"verify", "--packet", name}, `--packet "$(cat ` + name + `)"`},
	} {
		_, stderr, code := run(t, append([]string{"test", "ilp"}, tt.args...)...)
		if code != Failed || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: got code %d and %q, want %q", tt.args[0], code, stderr, tt.want)
		}
	}
}

// TestKeyInPlaceOfSecret: a file with a key is hardly that of an ILP secret.
func TestKeyInPlaceOfSecret(t *testing.T) {
	file := signingFiles(t)
	f := newILPFiles(t, goodILPSecret)
	_, stderr, code := run(t, "test", "ilp", "generate", "--secret-file", file("a.key"), "--transaction", f.path("transaction"))
	if code != Good || !strings.Contains(stderr, "a.key: "+pemForSecret) {
		t.Errorf("got code %d and %q, want a warning", code, stderr)
	}
	_, stderr, _ = run(t, "test", "ilp", "generate", "--secret-file", f.path("secret"), "--transaction", f.path("transaction"))
	if stderr != "" {
		t.Errorf("got %q for a good secret, want nothing", stderr)
	}
}

// TestNothingReadable: what may not be read is not missing.
func TestNothingReadable(t *testing.T) {
	s := fixtures.NewScheme()
	for name, forbidden := range map[string][]string{
		"nothing": {"secrets", "configmaps", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "pods", "profiles", "namespaces"},
		"no pods": {"pods"},
	} {
		flags := serveObjects(t, s.Objects(), forbidden...)
		for _, args := range [][]string{{"dfsp/perffsp-1"}, {"--all-dfsps"}} {
			for _, format := range []string{formatTable, formatJSON} {
				stdout, stderr, code := run(t, slices.Concat([]string{"test", "jws", "-n", "mojaloop", "-o", format}, args, flags)...)
				if code != Incomplete || !strings.Contains(stdout+stderr, "pods") || strings.Contains(stdout+stderr, "nobody signs") {
					t.Errorf("%s, %s: got code %d, %q and %q, want %d", name, args[0], code, stdout, stderr, Incomplete)
				}
			}
		}
	}
}

// TestMTLSWithoutConnection says in a line what there is to say.
func TestMTLSWithoutConnection(t *testing.T) {
	t.Parallel()
	stdout, _, code := run(t, "test", "mtls", "--url", "https://127.0.0.1:1", "--color=never")
	if code != Failed || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, "127.0.0.1:1: ") || strings.Contains(stdout, "port-forward") {
		t.Errorf("got code %d and %q, want one line and a hint", code, stdout)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	if got, want := tally(map[status]int{statusWarning: 2, statusPassed: 1}), "2 warnings, 1 passed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := tally(map[status]int{statusWarning: 1, statusFailed: 2}), "2 failed, 1 warning"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestShownURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://127.0.0.1:4000/quotes":         "http://127.0.0.1:4000/quotes",
		"https://user:pass@a.example/x":        "https://…@a.example/x",
		"https://a.example/x?token=abc":        "https://a.example/x?…",
		"http://user:pa/ss@a.example":          "http://…@a.example",
		"http://user:%zz@a.example":            "http://…@a.example",
		"user:pass@a.example":                  "…@a.example",
		"127.0.0.1:4000":                       "127.0.0.1:4000",
		"http://a/" + strings.Repeat("0a", 16): "http://a/…",
		"http://a/%2e%2e/\x1b":                 `http://a/%2e%2e/\x1b`,
	} {
		if got := shownURL(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
