package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
)

const ilpTransaction = `{
  "transactionId": "85feac2f-39b2-491b-817e-4a03203d4f14",
  "quoteId": "7c23e80c-d078-4077-8263-2c047876fcf6",
  "payee": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "16135551212", "fspId": "perffsp-2"}},
  "payer": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "27713803912", "fspId": "perffsp-1"}},
  "amount": {
    "currency": "USD",
    "amount": "100"
  },
  "expiration": "2030-01-31T12:00:00.000Z"
}
`

const ilpConversion = `{"conversionRequestId": "c1", "conversionTerms": {"initiatingFsp": "perffsp-1", "counterPartyFsp": "fxp",
 "sourceAmount": {"currency": "USD", "amount": "1"}, "targetAmount": {"currency": "TZS", "amount": "2600"}, "expiration": "2030-01-31T12:00:00Z"}}`

// ilpFiles is a folder with a secret, transactions, and quotes and transfers
// that were made of them.
type ilpFiles struct {
	dir    string
	v1, v4 ilp.Prepared
}

func (f *ilpFiles) path(name string) string { return filepath.Join(f.dir, name) }

func newILPFiles(t *testing.T, secret string) *ilpFiles {
	t.Helper()
	f := &ilpFiles{dir: t.TempDir()}
	s, err := ilp.NewSecret([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	prepare := func(v ilp.Version, text string) ilp.Prepared {
		tx, err := ilp.ParseTransaction([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Prepare(v, tx)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	f.v1, f.v4 = prepare(ilp.V1, ilpTransaction), prepare(ilp.V4, ilpTransaction)
	old := prepare(ilp.V4, strings.Replace(ilpTransaction, "2030", "2020", 1))
	transfer := func(p ilp.Prepared) string {
		return `{"payerFsp": "perffsp-1", "payeeFsp": "perffsp-2", "amount": {"currency": "USD", "amount": "100"},
 "ilpPacket": "` + p.Packet + `", "condition": "` + p.Condition + `"}`
	}
	for name, text := range map[string]string{
		"secret":          secret + "\n",
		"crlf":            secret + "\r\n",
		"other":           "another secret of a payee, long enough",
		"published":       "mojaloop-sdk\n",
		"weak":            "hunter2",
		"repetitive":      strings.Repeat("ab", 20),
		"spaces":          " " + secret,
		"empty":           "\n",
		"transaction":     ilpTransaction,
		"bad-amount":      strings.Replace(ilpTransaction, `"100"`, `"1.234"`, 1),
		"no-currency":     strings.Replace(ilpTransaction, `"currency": "USD",`, "", 1),
		"no-json":         strings.Replace(ilpTransaction, `"amount": {`, `"amount": [`, 1),
		"list":            "[]",
		"conversion":      ilpConversion,
		"transfer":        transfer(f.v1),
		"transfer4":       transfer(f.v4),
		"expired":         transfer(old),
		"changed":         strings.Replace(transfer(f.v4), `"100"`, `"101"`, 1),
		"no-payer":        strings.Replace(transfer(f.v4), "payerFsp", "payer", 1),
		"broken-packet":   strings.Replace(transfer(f.v4), f.v4.Packet, f.v4.Packet[:40], 1),
		"other-condition": strings.Replace(transfer(f.v4), f.v4.Condition, f.v1.Condition, 1),
		"fx": `{"initiatingFsp": "perffsp-1", "counterPartyFsp": "fxp", "sourceAmount": {"currency": "USD", "amount": "1"},
 "targetAmount": {"currency": "TZS", "amount": "2600"}, "condition": "` + f.v4.Condition + `"}`,
	} {
		if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

const goodILPSecret = "x7Kq-not-a-default-secret-0f3Vd9"

func TestILPExitCodes(t *testing.T) {
	f := newILPFiles(t, goodILPSecret)
	generate := func(secret, transaction string, more ...string) []string {
		return append([]string{"test", "ilp", "generate", "--secret-file", f.path(secret), "--transaction", f.path(transaction)}, more...)
	}
	verify := func(args ...string) []string { return append([]string{"test", "ilp", "verify"}, args...) }
	decode := func(args ...string) []string { return append([]string{"test", "ilp", "decode"}, args...) }
	documents := []string{formatJSON, formatYAML}
	all := []string{formatTable, formatJSON, formatYAML}
	for _, c := range []struct {
		formats  []string
		outcomes []outcome
	}{
		{documents, []outcome{
			{name: "version 1", args: generate("secret", "transaction"), want: Good},
			{name: "version 4", args: generate("secret", "transaction", "--ilp-version", "4"), want: Good},
			{name: "conversion", args: generate("secret", "conversion"), want: Good},
			{name: "published secret", args: generate("published", "transaction"), want: Good},
			{name: "no version", args: generate("secret", "transaction", "--ilp-version", "2"), want: Usage},
			{name: "no secret", args: []string{"test", "ilp", "generate", "--transaction", f.path("transaction")}, want: Usage},
			{name: "no transaction", args: []string{"test", "ilp", "generate", "--secret-file", f.path("secret")}, want: Usage},
			{name: "stdin twice", args: []string{"test", "ilp", "generate", "--secret-file", "-", "--transaction", "-"}, want: Usage},
			{name: "argument", args: generate("secret", "transaction", "nonsense"), want: Usage},
			{name: "no such secret", args: generate("nowhere", "transaction"), want: Failed},
			{name: "no such transaction", args: generate("secret", "nowhere"), want: Failed},
			{name: "empty secret", args: generate("empty", "transaction"), want: Failed},
			{name: "amount", args: generate("secret", "bad-amount"), want: Failed},
			{name: "not JSON", args: generate("secret", "no-json"), want: Failed},
			{name: "no object", args: generate("secret", "list"), want: Failed},
			{name: "interrupted", args: []string{"test", "ilp", "generate", "--secret-file", f.path("secret"), "--transaction", "-"}, hangs: true, interrupt: true, want: Interrupted},
		}},
		{all, []outcome{
			{name: "decode 1", args: decode(f.v1.Packet), want: Good},
			{name: "decode 4", args: decode(f.v4.Packet), want: Good},
			{name: "decode nothing", args: decode(), want: Usage},
			{name: "decode two", args: decode("AQ", "AQ"), want: Usage},
			{name: "decode what is none", args: decode("AQ"), want: Failed},
			{name: "decode empty input", args: decode("-"), want: Failed},
			{name: "decode interrupted", args: decode("-"), hangs: true, interrupt: true, want: Interrupted},
		}},
		{all, []outcome{
			{name: "fulfilment", args: verify("--fulfilment", f.v1.Fulfilment, "--condition", f.v1.Condition), want: Good},
			{name: "another fulfilment", args: verify("--fulfilment", f.v4.Fulfilment, "--condition", f.v1.Condition), want: Findings},
			{name: "no fulfilment", args: verify("--fulfilment", "x", "--condition", f.v1.Condition), want: Failed},
			{name: "no condition", args: verify("--fulfilment", f.v1.Fulfilment, "--condition", "x"), want: Failed},
			{name: "packet", args: verify("--packet", f.v1.Packet), want: Good},
			{name: "packet with condition", args: verify("--packet", f.v4.Packet, "--condition", f.v4.Condition), want: Good},
			{name: "packet with another condition", args: verify("--packet", f.v4.Packet, "--condition", f.v1.Condition), want: Findings},
			{name: "packet and fulfilment", args: verify("--packet", f.v4.Packet, "--fulfilment", f.v4.Fulfilment), want: Good},
			{name: "broken packet", args: verify("--packet", "x"), want: Failed},
			{name: "transfer", args: verify("--transfer", f.path("transfer"), "--fulfilment", f.v1.Fulfilment), want: Good},
			{name: "transfer of version 4", args: verify("--transfer", f.path("transfer4"), "--fulfilment", f.v4.Fulfilment), want: Good},
			{name: "expired", args: verify("--transfer", f.path("expired")), want: Good},
			{name: "transfer with another packet", args: verify("--transfer", f.path("transfer"), "--packet", f.v4.Packet), want: Findings},
			{name: "changed transfer", args: verify("--transfer", f.path("changed")), want: Findings},
			{name: "transfer with another condition", args: verify("--transfer", f.path("other-condition")), want: Findings},
			{name: "condition is not the transfer's", args: verify("--transfer", f.path("transfer4"), "--condition", f.v1.Condition), want: Findings},
			{name: "broken transfer", args: verify("--transfer", f.path("no-payer")), want: Failed},
			{name: "transfer with a broken packet", args: verify("--transfer", f.path("broken-packet")), want: Failed},
			{name: "no such transfer", args: verify("--transfer", f.path("nowhere")), want: Failed},
			{name: "conversion without packet", args: verify("--transfer", f.path("fx")), want: Failed},
			{name: "conversion with a packet of a transfer", args: verify("--transfer", f.path("fx"), "--packet", f.v4.Packet), want: Findings},
			{name: "secret", args: verify("--transfer", f.path("transfer"), "--secret-file", f.path("secret")), want: Good},
			{name: "secret, version 4", args: verify("--transfer", f.path("transfer4"), "--secret-file", f.path("crlf")), want: Good},
			{name: "another secret", args: verify("--transfer", f.path("transfer"), "--secret-file", f.path("other")), want: Findings},
			{name: "secret with its line end", args: verify("--transfer", f.path("transfer"), "--secret-file", f.path("secret"), "--exact"), want: Findings},
			{name: "secret alone", args: verify("--secret-file", f.path("secret")), want: Usage},
			{name: "secret and packet of version 1", args: verify("--packet", f.v1.Packet, "--secret-file", f.path("secret")), want: Usage},
			{name: "nothing", args: verify(), want: Usage},
			{name: "fulfilment alone", args: verify("--fulfilment", f.v1.Fulfilment), want: Usage},
			{name: "condition alone", args: verify("--condition", f.v1.Condition), want: Usage},
			{name: "stdin twice", args: verify("--transfer", "-", "--secret-file", "-"), want: Usage},
			{name: "interrupted", args: verify("--transfer", "-"), hangs: true, interrupt: true, want: Interrupted},
		}},
	} {
		for _, o := range c.outcomes {
			for _, format := range append(slices.Clone(c.formats), "nonsense") {
				t.Run(o.name+"/"+format, func(t *testing.T) {
					want := o
					if format == "nonsense" {
						want.want = Usage
					}
					want.check(t, format)
				})
			}
		}
	}
}

// TestILPAnswers compares what the commands print with what the package says.
func TestILPAnswers(t *testing.T) {
	f := newILPFiles(t, goodILPSecret)
	for version, want := range map[string]ilp.Prepared{"1": f.v1, "4": f.v4} {
		for _, secret := range []string{"secret", "crlf"} {
			stdout, stderr, _ := run(t, "test", "ilp", "generate", "--secret-file", f.path(secret), "--transaction", f.path("transaction"), "--ilp-version", version)
			var got ilp.Prepared
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || stderr != "" {
				t.Fatalf("got %q, %q (%v)", stdout, stderr, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("version %s, %s (-want +got):\n%s", version, secret, diff)
			}
		}
		var decoded [2]decodedPacket
		for i, format := range []string{formatJSON, formatYAML} {
			stdout, stderr, code := run(t, "test", "ilp", "decode", want.Packet, "-o", format)
			if err := yaml.Unmarshal([]byte(stdout), &decoded[i]); err != nil || stderr != "" || code != Good {
				t.Fatalf("got %q, %q, code %d (%v)", stdout, stderr, code, err)
			}
		}
		if decoded[0].Amount != "10000" || decoded[0].Version != int(version[0]-'0') || !json.Valid(decoded[0].Transaction) {
			t.Errorf("got %+v", decoded[0])
		}
		if diff := cmp.Diff(decoded[0], decoded[1]); diff != "" {
			t.Errorf("JSON and YAML differ:\n%s", diff)
		}
	}
}

func TestILPMessages(t *testing.T) {
	f := newILPFiles(t, goodILPSecret)
	generate := func(secret, transaction string) []string {
		return []string{"test", "ilp", "generate", "--secret-file", f.path(secret), "--transaction", f.path(transaction)}
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"line of a field", generate("secret", "bad-amount"), `bad-amount:8: amount.amount: "1.234" has 3 decimals, USD has 2`},
		{"line of what misses a field", generate("secret", "no-currency"), "no-currency:6: amount.currency: is missing"},
		{"line of a syntax error", generate("secret", "no-json"), "no-json:7:15: not JSON: "},
		{"no object", generate("secret", "list"), "list: (document): want a JSON object"},
		{"published", generate("published", "transaction"), "published: the secret is published default 1 (sdk-scheme-adapter, built-in default)"},
		{"weak", generate("weak", "transaction"), "weak: the secret has at most"},
		{"repetitive", generate("repetitive", "transaction"), "repetitive: the secret repeats itself"},
		{"spaces", generate("spaces", "transaction"), "spaces: the secret begins or ends with white space"},
		{"empty", generate("empty", "transaction"), "empty: secret: is empty"},
		{"expired", []string{"test", "ilp", "verify", "--transfer", f.path("expired")}, "note: the quote expired at 2020-01-31T12:00:00.000Z"},
		{"packet of a transfer", []string{"test", "ilp", "verify", "--transfer", f.path("broken-packet")}, "broken-packet:2: ilpPacket: is cut off"},
		{"misspelt", []string{"test", "ilp", "decod"}, "did you mean decode?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, _ := run(t, tt.args...)
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("got %q, want %q", stderr, tt.want)
			}
		})
	}
}

// TestILPStandardInput reads each input from there.
func TestILPStandardInput(t *testing.T) {
	f := newILPFiles(t, goodILPSecret)
	for stdin, args := range map[string][]string{
		"secret":      {"test", "ilp", "generate", "--secret-file", "-", "--transaction", f.path("transaction")},
		"transaction": {"test", "ilp", "generate", "--secret-file", f.path("secret"), "--transaction", "-"},
		"transfer":    {"test", "ilp", "verify", "--transfer", "-"},
	} {
		text, err := os.ReadFile(f.path(stdin))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		streams := genericiooptions.IOStreams{In: bytes.NewReader(text), Out: &out, ErrOut: &out}
		if err := Execute(t.Context(), args, streams, Build{}); err != nil || out.Len() == 0 {
			t.Errorf("%s: got %v, %q", stdin, err, &out)
		}
	}
	var out bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(f.v4.Packet + "\r\n"), Out: &out, ErrOut: &out}
	if err := Execute(t.Context(), []string{"test", "ilp", "decode", "-"}, streams, Build{}); err != nil || !strings.Contains(out.String(), "perffsp-2") {
		t.Errorf("got %v, %q", err, &out)
	}
	streams.In = strings.NewReader(strings.Repeat(" ", maxILPInput+1))
	if err := Execute(t.Context(), []string{"test", "ilp", "decode", "-"}, streams, Build{}); err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Errorf("got %v, want a limit", err)
	}
}

// TestNoILPSecretInAnyOutput looks for the secret in whatever comes out.
func TestNoILPSecretInAnyOutput(t *testing.T) {
	c := &canaries{forms: map[string]string{}}
	f := newILPFiles(t, c.sing("secret file"))
	wrong := f.path("wrong")
	if err := os.WriteFile(wrong, []byte(c.sing("secret that is not UTF-8")+"\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		{"generate", "--secret-file", wrong, "--transaction", f.path("transaction")},
		{"verify", "--transfer", f.path("transfer"), "--secret-file", wrong},
		{"generate", "--secret-file", f.path("transaction"), "--transaction", f.path("secret")}, // mixed up
		{"verify", "--transfer", f.path("secret"), "--secret-file", f.path("transfer")},
	}
	for _, secret := range []string{"secret", "crlf", "spaces"} {
		for _, transaction := range []string{"transaction", "conversion", "bad-amount", "no-json"} {
			commands = append(commands, []string{"generate", "--secret-file", f.path(secret), "--transaction", f.path(transaction)})
		}
		for _, transfer := range []string{"transfer", "transfer4", "changed", "other-condition", "no-payer"} {
			commands = append(commands, []string{"verify", "--transfer", f.path(transfer), "--secret-file", f.path(secret)})
		}
	}
	for _, args := range commands {
		for _, format := range []string{formatTable, formatJSON, formatYAML} {
			stdout, stderr, _ := run(t, append([]string{"test", "ilp", args[0], "-o", format}, args[1:]...)...)
			if stdout == "" && stderr == "" {
				t.Errorf("%q: nothing came out", args)
			}
			c.look(t, "stdout", []byte(stdout))
			c.look(t, "stderr", []byte(stderr))
		}
	}
}

// TestILPDecodeShowsNoControlCharacters decodes what a terminal would obey.
func TestILPDecodeShowsNoControlCharacters(t *testing.T) {
	f := newILPFiles(t, goodILPSecret)
	evil := strings.NewReplacer("perffsp-1", `a\u001b[2Jb\u009bc\u202ed`, `"transactionId"`, "\"\u009b\u202e\": \"\u009b\", \"transactionId\"").Replace(ilpTransaction)
	if err := os.WriteFile(f.path("evil"), []byte(evil), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := run(t, "test", "ilp", "generate", "--secret-file", f.path("secret"), "--transaction", f.path("evil"))
	var p ilp.Prepared
	if err := json.Unmarshal([]byte(stdout), &p); err != nil {
		t.Fatalf("%v (%s, code %d)", err, stderr, code)
	}
	stdout, _, _ = run(t, "test", "ilp", "decode", p.Packet)
	for _, r := range stdout {
		if r != '\n' && visibleLine(string(r)) != string(r) {
			t.Fatalf("got %U in %q", r, stdout)
		}
	}
	if !strings.Contains(stdout, "perffsp-2") {
		t.Errorf("got %q, want the rest of the packet", stdout)
	}
}

func TestLineOf(t *testing.T) {
	t.Parallel()
	const text = "{\"a\": [\n {\"b\": 1}],\n\n \"c\": {\n  \"b\": {},\n  \"d\": \"{\"}, \"c2\": 1,\n \"c\":\n  {\"e\": 2}}"
	for path, want := range map[string]int{"a": 1, "c": 7, "c.b": 7, "c.e": 8, "c2": 6, "x": 0, "c.x.y": 7, "b": 0, "a.b": 1} {
		if got := lineOf([]byte(text), path); got != want {
			t.Errorf("%s: got line %d, want %d", path, got, want)
		}
	}
	for _, text := range []string{"", "[", "{", `{"a"`, `{"a":`, `{"a":[`, `5`, `{"a":1}`} {
		if got := lineOf([]byte(text), "a.b"); got > 1 {
			t.Errorf("%q: got line %d", text, got)
		}
	}
}
