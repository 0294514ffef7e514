package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy/report"
)

// outcome is a way a command can end.
type outcome struct {
	name string
	args []string
	// hangs makes standard input never end; interrupt is a signal.
	hangs, interrupt bool
	want             Code
	// errors tells that the document of -o json has some.
	errors bool
}

// TestExitCodes is the matrix of command, format and outcome.
func TestExitCodes(t *testing.T) {
	dir := write(t, map[string]string{
		"unrelated.yaml": unrelated, "sdk.yaml": sdk, "published.yaml": published, "broken.yaml": broken,
		"waiver.yaml": waiver, "baseline.json": "{}",
	})
	file := func(name string) string { return filepath.Join(dir, name) }
	verify := func(args ...string) []string { return append([]string{"verify"}, args...) }

	commands := map[string]struct {
		formats  []string
		outcomes []outcome
	}{
		"verify": {
			formats: append(report.Formats(), "name", "jsonpath={.summary}", "jsonpath-as-json={.summary}", "go-template={{.kind}}",
				"custom-columns=CHECK:.check"),
			outcomes: []outcome{
				{name: "good", args: verify("-f", file("unrelated.yaml")), want: Good},
				{name: "findings", args: verify("-f", file("published.yaml")), want: Findings},
				{name: "findings below --fail-on", args: verify("-f", file("published.yaml"), "--only", "ilp-secret-from-secret"), want: Good},
				{name: "findings at --fail-on", args: verify("-f", file("published.yaml"), "--only", "ilp-secret-from-secret", "--fail-on", "warning"), want: Findings},
				{name: "findings without injection", args: verify("-f", file("sdk.yaml"), "--only", "ilp-secret-set", "--no-inject"), want: Findings},
				{name: "waived", args: verify("-f", file("published.yaml"), "--only", "ilp-secret-not-default,waiver-valid", "--waivers", file("waiver.yaml")), want: Good},
				{name: "incomplete", args: verify("-f", file("sdk.yaml")), want: Incomplete},
				{name: "incomplete, allowed", args: verify("-f", file("sdk.yaml"), "--allow-incomplete"), want: Good},
				{name: "expected skips", args: verify("-f", file("sdk.yaml"), "--only", "ilp-secret-strong"), want: Good},
				{name: "expected skips, --strict", args: verify("-f", file("sdk.yaml"), "--only", "ilp-secret-strong", "--strict"), want: Incomplete},
				{name: "broken", args: verify("-f", file("broken.yaml")), want: Failed, errors: true},
				{name: "broken and findings", args: verify("-f", dir), want: Failed, errors: true},
				{name: "no such file", args: verify("-f", file("nowhere.yaml")), want: Failed, errors: true},
				{name: "broken waiver", args: verify("-f", file("unrelated.yaml"), "--waivers", file("broken.yaml")), want: Failed, errors: true},
				{name: "waiver that is none", args: verify("-f", file("unrelated.yaml"), "--waivers", file("sdk.yaml")), want: Failed, errors: true},
				{name: "broken baseline", args: verify("-f", file("unrelated.yaml"), "--baseline", file("baseline.json")), want: Failed, errors: true},
				{name: "no such baseline", args: verify("-f", file("unrelated.yaml"), "--baseline", file("nowhere")), want: Failed, errors: true},
				{name: "file that cannot be written", args: verify("-f", file("published.yaml"), "-o", "sarif="+file("nowhere/out.sarif")), want: Failed},
				{name: "unknown flag", args: verify("-f", file("unrelated.yaml"), "--nonsense"), want: Usage, errors: true},
				{name: "unknown check", args: verify("-f", file("unrelated.yaml"), "--skip", "nonsense"), want: Usage, errors: true},
				{name: "nothing to verify", args: verify(), want: Usage, errors: true},
				{name: "timeout", args: verify("-f", "-", "--timeout", "1ms"), hangs: true, want: TimedOut, errors: true},
				{name: "interrupted", args: verify("-f", "-"), hangs: true, interrupt: true, want: Interrupted, errors: true},
			},
		},
		"explain": {
			formats: []string{"text", "markdown"},
			outcomes: []outcome{
				{name: "list", args: []string{"explain"}, want: Good},
				{name: "one", args: []string{"explain", "ilp-secret-set"}, want: Good},
				{name: "all", args: []string{"explain", "--all"}, want: Good},
				{name: "unknown check", args: []string{"explain", "nonsense"}, want: Usage},
				{name: "too many", args: []string{"explain", "ilp-secret-set", "mtls-strict"}, want: Usage},
			},
		},
		"generate": {
			formats: []string{"json", "yaml"},
			outcomes: []outcome{
				{name: "policies", args: []string{"generate", "policies", "--kind=admission"}, want: Good},
				{name: "no kind", args: []string{"generate", "policies"}, want: Usage},
				{name: "unknown mode", args: []string{"generate", "policies", "--kind=admission", "--mode=off"}, want: Usage},
				{name: "broken profile", args: []string{"generate", "policies", "--kind=admission", "--profile", file("broken.yaml")}, want: Failed},
				{name: "profile that is none", args: []string{"generate", "policies", "--kind=admission", "--profile", file("sdk.yaml")}, want: Failed},
				{name: "jws", args: []string{"generate", "jws", "dfsp/bank", "--algorithm", "p-256"}, want: Good},
				{name: "jws for nobody", args: []string{"generate", "jws"}, want: Usage},
				{name: "jws, printed and applied", args: []string{"generate", "jws", "dfsp/bank", "--apply"}, want: Usage},
				{name: "jws with a broken profile", args: []string{"generate", "jws", "dfsp/bank", "--profile", file("broken.yaml")}, want: Failed},
				{name: "jws of one Secret for two", args: []string{"generate", "jws", "dfsp/bank", "dfsp/Bank"}, want: Refused},
				{name: "jws of a Deployment, unreachable", args: []string{"generate", "jws", "deploy/sdk", "-n", "x", "--server", "https://127.0.0.1:1"}, want: Failed},
				{name: "ilp-secret", args: []string{"generate", "ilp-secret", "dfsp/bank"}, want: Good},
				{name: "ilp-secret for the hub", args: []string{"generate", "ilp-secret", "hub"}, want: Usage},
				{name: "values", args: []string{"generate", "values", "dfsp/bank"}, want: Good},
				{name: "values for nobody", args: []string{"generate", "values"}, want: Usage},
				{name: "values with no keys", args: []string{"generate", "values", "dfsp/bank", "--verification-keys", dir}, want: Failed},
			},
		},
		"keys list": {
			formats: []string{"table", "wide", "json", "yaml", "name"},
			outcomes: []outcome{
				{name: "files", args: []string{"keys", "list", "-f", file("sdk.yaml")}, want: Good},
				{name: "no keys", args: []string{"keys", "list", "-f", file("unrelated.yaml")}, want: Good},
				{name: "no such target", args: []string{"keys", "list", "dfsp/nobody", "-f", file("sdk.yaml")}, want: Failed},
				{name: "broken", args: []string{"keys", "list", "-f", file("broken.yaml")}, want: Failed},
				{name: "unreachable", args: []string{"keys", "list", "-n", "a", "--server", "https://127.0.0.1:1"}, want: Failed},
				{name: "interrupted", args: []string{"keys", "list", "-n", "a", "--server", "https://127.0.0.1:1"}, interrupt: true, want: Interrupted},
				{name: "no target", args: []string{"keys", "list", "nonsense"}, want: Usage},
				{name: "timeout", args: []string{"keys", "list", "-f", "-", "--timeout", "1ms"}, hangs: true, want: TimedOut},
			},
		},
		"keys show": {
			formats: []string{"text", "json", "yaml"},
			outcomes: []outcome{
				{name: "files", args: []string{"keys", "show", "dfsp/perffsp-1", "-f", file("sdk.yaml")}, want: Good},
				{name: "no such target", args: []string{"keys", "show", "dfsp/nobody", "-f", file("sdk.yaml")}, want: Failed},
				{name: "unreachable", args: []string{"keys", "show", "hub", "-n", "a", "--server", "https://127.0.0.1:1"}, want: Failed},
				{name: "nothing", args: []string{"keys", "show"}, want: Usage},
			},
		},
		"keys export-public": {
			formats: []string{"pem", "yaml", "json"},
			outcomes: []outcome{
				{name: "unreachable", args: []string{"keys", "export-public", "hub", "-n", "a", "--server", "https://127.0.0.1:1"}, want: Failed},
				{name: "nothing", args: []string{"keys", "export-public"}, want: Usage},
			},
		},
		"install": {
			formats: []string{"yaml", "json", "name"},
			outcomes: []outcome{
				{name: "manifests", args: []string{"install"}, want: Good},
				{name: "namespaces", args: []string{"install", "-n", "mojaloop"}, want: Good},
				{name: "argument", args: []string{"install", "nonsense"}, want: Usage},
				{name: "unknown mode", args: []string{"install", "-n", "mojaloop", "--mode", "nonsense"}, want: Usage},
			},
		},
		"doctor": {
			formats: []string{"table", "short", "json"},
			outcomes: []outcome{
				{name: "unreachable", args: []string{"doctor", "--server", "https://127.0.0.1:1"}, want: Failed},
				{name: "no such context", args: []string{"doctor", "--context", "nonsense"}, want: Failed},
				{name: "interrupted", args: []string{"doctor", "--server", "https://127.0.0.1:1"}, interrupt: true, want: Interrupted},
				{name: "contradiction", args: []string{"doctor", "--fix", "--unblock"}, want: Usage},
				{name: "argument", args: []string{"doctor", "nonsense"}, want: Usage},
			},
		},
		"version": {
			formats: []string{"json", "yaml"},
			outcomes: []outcome{
				{name: "version", args: []string{"version"}, want: Good},
				{name: "client", args: []string{"version", "--client"}, want: Good},
				{name: "argument", args: []string{"version", "nonsense"}, want: Usage},
			},
		},
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
				})
			}
		}
	}
}

func (o *outcome) check(t *testing.T, format string) {
	var stdin io.Reader = strings.NewReader("")
	if o.hangs {
		r, w := io.Pipe()
		t.Cleanup(func() { _ = w.Close() })
		stdin = r
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if o.interrupt {
		cancel()
	}
	var stdout, stderr bytes.Buffer
	streams := genericiooptions.IOStreams{In: stdin, Out: &stdout, ErrOut: &stderr}
	err := Execute(ctx, append(slices.Clone(o.args), "-o", format), streams, Build{})
	if got := CodeOf(err); got != o.want {
		t.Errorf("got code %d, want %d (stderr: %s %v)", got, o.want, &stderr, err)
	}
	if o.want != Good && o.want != Findings && stderr.Len() == 0 && Message(err) == "" && stdout.Len() == 0 {
		t.Error("nothing was said")
	}
	if o.args[0] == "verify" && (format == "json" || format == "yaml") {
		checkDocument(t, stdout.Bytes(), format, o.errors)
	}
	if o.args[0] == "doctor" && format == "json" && !json.Valid(stdout.Bytes()) {
		t.Errorf("got stdout %q, want a JSON document", &stdout)
	}
}

// checkDocument checks that text is one Report.
func checkDocument(t *testing.T, text []byte, format string, wantErrors bool) {
	t.Helper()
	if format == "yaml" {
		var err error
		if text, err = yaml.YAMLToJSONStrict(text); err != nil {
			t.Fatal(err)
		}
	}
	var r v1alpha1.Report
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more than one document: %s", text)
	}
	if r.Kind != v1alpha1.KindReport {
		t.Errorf("got kind %q, want %q", r.Kind, v1alpha1.KindReport)
	}
	if (len(r.Errors) > 0) != wantErrors {
		t.Errorf("got errors %v, want some: %v", r.Errors, wantErrors)
	}
}

func TestCompletionCodes(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell", "kubectl"} {
		stdout, stderr, code := run(t, "completion", shell)
		if code != Good || stdout == "" || stderr != "" {
			t.Errorf("%s: got code %d, %d bytes, stderr %q", shell, code, len(stdout), stderr)
		}
	}
	if _, _, code := run(t, "completion"); code != Usage {
		t.Errorf("without shell: got code %d, want %d", code, Usage)
	}
}

func TestCompletionOfWords(t *testing.T) {
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"explain", "ilp-secret-s"}, []string{"ilp-secret-set", "ilp-secret-strong"}},
		{[]string{"verify", "--only", "mtls-strict,ilp-secret-s"}, []string{"mtls-strict,ilp-secret-set", "mtls-strict,ilp-secret-strong"}},
		{[]string{"verify", "--only", "mtls-strict,mtls-s"}, nil},
		{[]string{"verify", "-o", "s"}, []string{"short", "sarif"}},
		{[]string{"verify", "--fail-on", ""}, []string{"error", "warning", "note"}},
		{[]string{"completion", "k"}, []string{"kubectl"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			stdout, _, _ := run(t, append([]string{"__complete"}, tt.args...)...)
			var got []string
			for line := range strings.Lines(stdout) {
				// Shells keep what begins as the word that was typed.
				if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); strings.HasPrefix(word, tt.args[len(tt.args)-1]) && word[0] != ':' {
					got = append(got, word)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
