package plugin

import (
	"crypto/tls"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// TestExitCodesOfTests is the matrix of the commands below test.
func TestExitCodesOfTests(t *testing.T) {
	key := generateKeys(t, 1)[0]
	dir := write(t, map[string]string{
		"body.json": `{"quoteId":"1"}`, "broken.json": `{`, "keys/one.pem": string(key.Public().MarshalPEM()), "empty/x": "", "none.http": "no header",
	})
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("one.key"), key.MarshalPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	sign := func(args ...string) []string {
		return append([]string{"test", "jws", "sign", "--key", file("one.key"), "--source", "one", "--uri", "http://a/quotes"}, args...)
	}
	verify := func(args ...string) []string {
		return append([]string{"test", "jws", "verify", "--keys", file("keys")}, args...)
	}
	stdout, _, _ := run(t, sign("--body", file("body.json"))...)
	if err := os.WriteFile(file("signed.json"), []byte(stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(stdout, "quoteId", "quoteID", 1)
	if err := os.WriteFile(file("forged.json"), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(&fakeSDK{keys: jws.Keys{"one": key.Public()}})
	defer endpoint.Close()
	other := httptest.NewServer(&fakeSDK{keys: jws.Keys{}})
	defer other.Close()
	ask := func(args ...string) []string {
		return append([]string{"test", "jws", "dfsp/one", "--key", file("one.key")}, args...)
	}
	root := newAuthority(t, "CA", nil)
	_, _, ca := files(t, nil, root)
	oneWay := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{root.issue(t, "hub.example", nil)}}, nil)
	both := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{root.issue(t, "hub.example", nil)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: root.pool(),
	}, nil)
	mtls := func(args ...string) []string { return append([]string{"test", "mtls", "--ca", ca}, args...) }

	documents := []string{formatJSON, formatYAML}
	commands := map[string]struct {
		formats  []string
		outcomes []outcome
	}{
		"sign": {append(slices.Clone(documents), formatCurl), []outcome{
			{name: "good", args: sign("--body", file("body.json")), want: Good},
			{name: "broken body", args: sign("--body", file("broken.json")), want: Failed},
			{name: "no such body", args: sign("--body", file("nowhere")), want: Failed},
			{name: "method without body", args: sign("--body", file("empty/x")), want: Failed},
			{name: "no body", args: sign(), want: Usage},
			{name: "interrupted", args: sign("--body", "-"), hangs: true, interrupt: true, want: Interrupted},
		}},
		"verify": {append(slices.Clone(documents), formatTable), []outcome{
			{name: "good", args: verify("--headers", file("signed.json")), want: Good},
			{name: "forged", args: verify("--headers", file("forged.json")), want: Findings},
			{name: "broken body", args: verify("--headers", file("signed.json"), "--body", file("broken.json")), want: Findings},
			{name: "no headers", args: verify("--headers", file("none.http")), want: Failed},
			{name: "no body", args: verify("--headers", file("keys/one.pem")), want: Failed},
			{name: "no keys", args: append(verify("--headers", file("signed.json")), "--keys", file("empty")), want: Failed},
			{name: "no such keys", args: append(verify("--headers", file("signed.json")), "--keys", file("nowhere")), want: Failed},
			{name: "argument", args: verify("x"), want: Usage},
			{name: "interrupted", args: verify("--headers", "-"), hangs: true, interrupt: true, want: Interrupted},
		}},
		"pods": {append(slices.Clone(documents), formatTable), []outcome{
			{name: "holds", args: ask("--url", endpoint.URL), want: Good},
			{name: "holds another", args: ask("--url", other.URL), want: Findings},
			{name: "nobody there", args: ask("--url", "http://127.0.0.1:1"), want: Incomplete},
			{name: "unreachable cluster", args: []string{"test", "jws", "dfsp/one", "-n", "a", "--server", "https://127.0.0.1:1"}, want: Failed},
			{name: "no such key", args: []string{"test", "jws", "dfsp/one", "--key", file("nowhere"), "--url", endpoint.URL}, want: Failed},
			{name: "no target", args: []string{"test", "jws"}, want: Usage},
			{name: "interrupted", args: ask("--url", endpoint.URL), interrupt: true, want: Interrupted},
		}},
		"mtls": {append(slices.Clone(documents), formatTable), []outcome{
			{name: "mutual", args: mtls("--url", both), want: Good},
			{name: "one-way", args: mtls("--url", oneWay), want: Findings},
			{name: "nobody there", args: mtls("--url", "https://127.0.0.1:1"), want: Failed},
			{name: "no such CA", args: mtls("--url", both, "--ca", file("nowhere")), want: Failed},
			{name: "no URL", args: mtls(), want: Usage},
			{name: "interrupted", args: mtls("--url", both), interrupt: true, want: Interrupted},
		}},
	}
	for command, c := range commands {
		for _, o := range c.outcomes {
			for _, format := range append(slices.Clone(c.formats), "nonsense") {
				t.Run(strings.Join([]string{command, o.name, format}, "/"), func(t *testing.T) {
					want := o
					if format == "nonsense" {
						want.want = Usage
					}
					want.check(t, format)
					if want.hangs || want.interrupt || !slices.Contains(documents, format) {
						return
					}
					stdout, _, _ := run(t, append(slices.Clone(o.args), "-o", format)...)
					text := []byte(stdout)
					if format == formatYAML {
						var err error
						if text, err = yaml.YAMLToJSONStrict(text); err != nil {
							t.Fatal(err)
						}
					}
					var document map[string]any
					if err := json.Unmarshal(text, &document); err != nil || len(document) == 0 {
						t.Errorf("got stdout %q, want one document (%v)", stdout, err)
					}
				})
			}
		}
	}
}

// TestNoKeyInTheOutputOfTests puts private keys where they belong and where they
// do not, and looks for them in whatever comes out.
func TestNoKeyInTheOutputOfTests(t *testing.T) {
	c := &canaries{forms: map[string]string{}}
	key := c.key(t, "signing key")
	dir := write(t, map[string]string{
		"good.key": key, "broken.key": strings.Replace(c.key(t, "broken key"), "BEGIN EC", "BEGIN", 1), "half.key": c.key(t, "half a key")[:120],
		"keys/one.pem":   c.key(t, "private key in place of a public one"),
		"keys/two.pem":   "-----BEGIN PUBLIC KEY-----\n" + c.sing("broken public key") + "\n-----END PUBLIC KEY-----\n",
		"body.json":      `{"name":"` + c.sing("body") + `"}`,
		"broken.json":    `{"name":` + c.sing("broken body") + `}`,
		"headers.http":   "FSPIOP-Source: one\nFSPIOP-URI: /quotes\nFSPIOP-HTTP-Method: POST\nAuthorization: Bearer " + c.sing("token") + "\nFSPIOP-Signature: {}\n",
		"two.http":       "FSPIOP-Source: two\nFSPIOP-URI: /quotes\nFSPIOP-HTTP-Method: POST\nFSPIOP-Signature: {}\n",
		"headers.json":   `{"fspiop-source":"one","authorization":"` + c.sing("token in JSON") + `","x":{"y":"` + c.sing("nested") + `"}}`,
		"broken-h.json":  `{"a":"` + c.sing("broken headers") + `"`,
		"certificate.pm": "-----BEGIN CERTIFICATE-----\n" + c.sing("broken certificate") + "\n-----END CERTIFICATE-----\n",
	})
	file := func(name string) string { return filepath.Join(dir, name) }
	sdk := httptest.NewServer(&fakeSDK{keys: jws.Keys{}})
	defer sdk.Close()
	var lines [][]string
	for _, name := range []string{"good.key", "broken.key", "half.key", "keys/two.pem"} {
		lines = append(lines,
			[]string{"test", "jws", "sign", "--key", file(name), "--source", "one", "--uri", "http://a/quotes", "--body", file("broken.json")},
			[]string{"test", "jws", "dfsp/one", "--key", file(name), "--url", sdk.URL},
			[]string{"test", "mtls", "--url", "https://127.0.0.1:1", "--cert", file("certificate.pm"), "--key", file(name)},
			[]string{"test", "mtls", "--url", "https://127.0.0.1:1", "--cert", file(name), "--key", file(name)},
			[]string{"test", "mtls", "--url", "https://127.0.0.1:1", "--ca", file(name)},
		)
	}
	for _, headers := range []string{"headers.http", "two.http", "headers.json", "broken-h.json", "good.key"} {
		for _, body := range []string{"body.json", "broken.json"} {
			lines = append(lines, []string{"test", "jws", "verify", "--keys", file("keys"), "--headers", file(headers), "--body", file(body)})
		}
	}
	for _, line := range lines {
		for _, format := range []string{formatJSON, formatYAML, formatTable, formatCurl} {
			stdout, stderr, code := run(t, append(slices.Clone(line), "-o", format)...)
			if stdout+stderr == "" || code == Good {
				t.Errorf("%s: got code %d, and nothing said: %v", strings.Join(line[:3], " "), code, stdout+stderr == "")
			}
			c.look(t, strings.Join(line, " ")+": stdout", []byte(stdout))
			c.look(t, strings.Join(line, " ")+": stderr", []byte(stderr))
		}
	}
	// What is signed is printed, what signs is not.
	own := &canaries{forms: map[string]string{}}
	for form, place := range c.forms {
		if strings.HasPrefix(place, "signing key") {
			own.forms[form] = place
		}
	}
	for _, format := range []string{formatJSON, formatYAML, formatCurl} {
		stdout, stderr, code := run(t, "test", "jws", "sign", "--key", file("good.key"), "--source", "one", "--uri", "http://a/quotes", "--body", file("body.json"), "-o", format)
		if code != Good {
			t.Fatalf("got code %d: %s", code, stderr)
		}
		own.look(t, "stdout of sign", []byte(stdout))
		own.look(t, "stderr of sign", []byte(stderr))
	}
}

func TestParseMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text        string
		method, uri, body string
		source            string
		broken            bool
	}{
		{name: "lines", text: "FSPIOP-Source: one\nDate: x\n", source: "one"},
		{name: "lines with CRLF", text: "fspiop-source:one\r\nDate: x\r\n\r\n{}\r\n", source: "one", body: "{}"},
		{name: "request", text: "\nPUT /quotes/1 HTTP/1.1\nFSPIOP-Source:   one  \n\n{\"a\":\n1}\n", source: "one", method: "PUT", uri: "/quotes/1", body: "{\"a\":\n1}"},
		{name: "request of curl", text: "> POST /quotes HTTP/1.1\n> FSPIOP-Source: one\n", source: "one", method: "POST", uri: "/quotes"},
		{name: "object", text: `{"fspiop-source":"one","content-length":"3"}`, source: "one"},
		{name: "object with lists and numbers", text: `{"fspiop-source":["one"],"content-length":3}`, source: "one"},
		{name: "object with a mark", text: "\ufeff" + `{"fspiop-source":"one"}`, source: "one"},
		{name: "message", text: `{"method":"POST","url":"/quotes","headers":{"fspiop-source":"one"},"body":"{\"a\":1}"}`, source: "one", method: "POST", uri: "/quotes", body: `{"a":1}`},
		{name: "message with a parsed body", text: `{"headers":{"fspiop-source":"one"},"body":{"a":1}}`, source: "one", body: `{"a":1}`},
		{name: "nothing", text: " \n", broken: true},
		{name: "no header line", text: "hello", broken: true},
		{name: "only a request line", text: "POST /quotes HTTP/1.1\n", broken: true},
		{name: "broken object", text: `{"a"`, broken: true},
		{name: "headers that are none", text: `{"headers":1}`, broken: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := parseMessage([]byte(tt.text))
			if tt.broken {
				if err == nil {
					t.Errorf("got %+v, want an error", m)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			source := ""
			for name, values := range m.headers {
				if strings.EqualFold(name, "FSPIOP-Source") {
					source = strings.Join(values, ",")
				}
			}
			if m.method != tt.method || m.uri != tt.uri || string(m.body) != tt.body || source != tt.source {
				t.Errorf("got %q %q %q from %q, want %q %q %q from %q", m.method, m.uri, m.body, source, tt.method, tt.uri, tt.body, tt.source)
			}
		})
	}
	m, err := parseMessage([]byte(`{"fspiop-signature": {"protectedHeader": "a",  "signature": "b"}}`))
	if err != nil || m.headers["fspiop-signature"][0] != `{"protectedHeader":"a","signature":"b"}` {
		t.Errorf("parsed signature: got %v, %v", m, err)
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{
		"POST /quotes HTTP/1.1\nFSPIOP-Source: one\n\n{}", `{"headers":{"a":["b"]},"body":{"a":1}}`, `{"fspiop-signature":{"a":1}}`, "> a: b", "\xff:\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMessage(text)
		if err == nil && m == nil {
			t.Error("neither a message nor an error")
		}
		if err != nil {
			return
		}
		a := verifyMessage(m, &peerKeys{good: jws.Keys{}})
		if a.Verified || a.Rule == "" {
			t.Errorf("got %+v, want a refusal with its rule", a)
		}
	})
}
