package plugin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// run runs a command line in this process.
func run(t *testing.T, args ...string) (stdout, stderr string, code Code) {
	t.Helper()
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}
	err := Execute(t.Context(), args, streams, Build{Version: "v1.2.3", GoVersion: "go1", Platform: "a/b"})
	return out.String(), errOut.String() + Message(err), CodeOf(err)
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{
			[]string{"verfy", "-f", "x"},
			"unknown command \"verfy\"; did you mean verify?\ntype:  kubectl mojasec verify -f x",
		},
		{
			[]string{"help", "verfy"},
			"unknown command \"verfy\"; did you mean verify?\ntype:  kubectl mojasec help verify",
		},
		{
			[]string{"verify", "-f", "a b", "--fial-on=error"},
			"unknown flag --fial-on for \"kubectl mojasec verify\"; did you mean --fail-on?\ntype:  kubectl mojasec verify -f 'a b' --fail-on=error",
		},
		{
			[]string{"verify", "-f", "x", "-q"},
			"unknown flag -q for \"kubectl mojasec verify\"\ntype:  kubectl mojasec verify --help",
		},
		{
			[]string{"verify", "-f", "x", "--only", "mtls-strict,ilp-secret-st"},
			"unknown check \"ilp-secret-st\"; did you mean ilp-secret-set or ilp-secret-strong?\ntype:  kubectl mojasec verify -f x --only mtls-strict,ilp-secret-set",
		},
		{
			[]string{"verify", "-f", "x", "-o", "srif=out"},
			"unknown format \"srif\"; did you mean sarif?\ntype:  kubectl mojasec verify -f x -o sarif=out",
		},
		{
			[]string{"verify", "-f", "x", "--fail-on", "critical"},
			"unknown severity \"critical\"; want error, warning or note\ntype:  kubectl mojasec verify --help",
		},
		{
			[]string{"verify"},
			"nothing to verify: name manifests with -f, or a kustomization with -k\ntype:  kubectl mojasec verify -f .",
		},
		{
			[]string{"verify", "-f", "a.yaml", "b.yaml"},
			"verify takes files after -f, got \"b.yaml\"\ntype:  kubectl mojasec verify -f a.yaml -f b.yaml",
		},
		{
			[]string{"verify", "-f", "x", "-o", "json", "-o", "sarif"},
			"-o sarif: stdout is taken by another -o; name a file: -o sarif=FILE\ntype:  kubectl mojasec verify --help",
		},
		{
			[]string{"verify", "-f", "x", "-o", "jsonpath={"},
			"-o jsonpath: parse expression: unclosed action\ntype:  kubectl mojasec verify --help",
		},
		{
			[]string{"verify", "-f", "x", "--dry-run"},
			"--dry-run shows what --fix would write: give both\ntype:  kubectl mojasec verify -f x --fix --dry-run",
		},
		{
			[]string{"explain", "mtls-strit"},
			"unknown check \"mtls-strit\"; did you mean mtls-strict?\ntype:  kubectl mojasec explain mtls-strict",
		},
		{
			[]string{"completion", "bahs"},
			"unknown shell \"bahs\"; did you mean bash?\ntype:  kubectl mojasec completion bash",
		},
		{
			[]string{"version", "-o", "jsn"},
			"unknown format \"jsn\"; did you mean json?\ntype:  kubectl mojasec version -o json",
		},
		{
			[]string{"version", "now"},
			"\"kubectl mojasec version\" takes no argument, got \"now\"\ntype:  kubectl mojasec version --help",
		},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			stdout, stderr, code := run(t, tt.args...)
			if diff := cmp.Diff(tt.want, stderr); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			if code != Usage {
				t.Errorf("got code %d, want %d", code, Usage)
			}
			if strings.Contains(strings.Join(tt.args, " "), "-o json ") != (stdout != "") {
				t.Errorf("got stdout %q", stdout)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"verify", "verfy", 1}, {"kitten", "sitting", 3}, {"bahs", "bash", 2},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q): got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for arg, want := range map[string]string{
		"a.yaml": "a.yaml", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "-o=json": "-o=json",
	} {
		if got := quote(arg); got != want {
			t.Errorf("quote(%q): got %s, want %s", arg, got, want)
		}
	}
}
