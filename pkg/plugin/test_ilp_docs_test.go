package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
)

// fence is a code block of Markdown: its language, its file if it is one, and
// its text.
var fence = regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")

// TestILPDocs types what docs/ilp.md tells to type and compares what comes out.
// Blocks with a name are the files; … stands for any text in a line, and on a
// line of its own for the rest.
func TestILPDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/ilp.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	blocks := fence.FindAllStringSubmatch(string(page), -1)
	for _, b := range blocks {
		if name := b[2]; name != "" {
			writeTestFile(t, name, b[3])
		}
	}
	writeDocsTransfers(t)
	ran := 0
	for _, b := range blocks {
		if b[1] != "console" {
			continue
		}
		command, want, _ := strings.Cut(b[3], "\n")
		words, stdin, _ := strings.Cut(strings.TrimPrefix(command, "$ kubectl mojasec "), " < ")
		got := typed(t, strings.Fields(words), stdin)
		if !regexp.MustCompile(`^` + wildcard(want) + `$`).MatchString(got) {
			t.Errorf("%s\ngot:\n%s\nwant:\n%s", command, got, want)
		}
		ran++
	}
	if ran < 4 {
		t.Errorf("%d commands ran: the page has more", ran)
	}
}

func writeTestFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeDocsTransfers makes the files that the page assumes.
func writeDocsTransfers(t *testing.T) {
	t.Helper()
	var p ilp.Prepared
	quote := typed(t, strings.Fields("test ilp generate --secret-file ilp-secret.txt --transaction transaction.json"), "")
	if err := json.Unmarshal([]byte(quote), &p); err != nil {
		t.Fatalf("%v in %s", err, quote)
	}
	transfer, err := json.Marshal(map[string]any{
		"payerFsp": "perffsp-1", "payeeFsp": "perffsp-2", "amount": map[string]string{"currency": "USD", "amount": "100"},
		"ilpPacket": p.Packet, "condition": p.Condition,
	})
	if err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, "packet.txt", p.Packet+"\n")
	writeTestFile(t, "transfer.json", string(transfer))
	writeTestFile(t, "changed.json", strings.Replace(string(transfer), `"100"`, `"101"`, 1))
	writeTestFile(t, "other-secret.txt", "0d9c5e1f7a3b48620c6e2f4a8d1b9573\n")
}

// typed is what a terminal shows of a command.
func typed(t *testing.T, args []string, stdin string) string {
	t.Helper()
	var in []byte
	if stdin != "" {
		var err error
		if in, err = os.ReadFile(stdin); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	err := Execute(t.Context(), args, genericiooptions.IOStreams{In: bytes.NewReader(in), Out: &out, ErrOut: &out}, Build{})
	if message := Message(err); message != "" {
		out.WriteString("error: " + message + "\n")
	}
	return out.String()
}

// wildcard makes a pattern of a text with ….
func wildcard(text string) string {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*")
	return strings.Replace(pattern, "\n.*\n", "\n(?s:.*)", 1)
}
