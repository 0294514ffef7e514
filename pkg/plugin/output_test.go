package plugin

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/mojasec/mojasec/pkg/policy"
)

func TestParseOutputs(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   []string // format→file
		err    string
	}{
		{name: "none", want: []string{"table→"}},
		{name: "several", values: []string{"table", "sarif=a.sarif", "name=names"}, want: []string{"table→", "sarif→a.sarif", "name→names"}},
		{name: "stdout by name", values: []string{"json=-"}, want: []string{"json→"}},
		{name: "an expression with =", values: []string{"jsonpath={.findings[?(@.check==\"a\")]}"}, want: []string{"jsonpath→"}},
		{name: "no expression", values: []string{"jsonpath"}, err: "want -o jsonpath='{.findings[*].check}'"},
		{name: "no file", values: []string{"sarif="}, err: "want a file after the ="},
		{name: "two on stdout", values: []string{"json", "yaml=-"}, err: "stdout is taken"},
		{name: "two in a file", values: []string{"json=a", "yaml=./a"}, err: "another -o writes a"},
		{name: "a broken template", values: []string{"go-template={{"}, err: "parse expression"},
		{name: "a column without path", values: []string{"custom-columns=CHECK"}, err: "want HEADER:PATH"},
		{name: "a column with a broken path", values: []string{"custom-columns=CHECK:{.a}{.b}"}, err: "want a path"},
		{name: "no file of columns", values: []string{"custom-columns-file=/nowhere"}, err: "no such file"},
		{name: "unknown", values: []string{"xml"}, err: `unknown format "xml"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outs, err := parseOutputs(tt.values)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || CodeOf(err) != Usage {
					t.Errorf("got error %v, want usage error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range outs {
				got = append(got, o.format+"→"+o.file)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	half := func(w io.Writer) error { _, _ = io.WriteString(w, "hel"); return errors.New("disk full") }

	if err := writeFile(name, hello); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("out", link); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(link, half); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got error %v, want disk full", err)
	}
	if got := read(t, name); got != "hello" {
		t.Errorf("after a failure: got %q, want %q", got, "hello")
	}
	if err := writeFile(link, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	if got := read(t, name); got != "new" {
		t.Errorf("through a link: got %q, want %q", got, "new")
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, error %v, want the mode as it was", info.Mode(), err)
	}
	if err := writeFile(os.DevNull, hello); err != nil {
		t.Errorf("%s: %v", os.DevNull, err)
	}
	if err := writeFile(dir, hello); err == nil {
		t.Error("wrote a directory")
	}
	if err := writeFile(filepath.Join(dir, "no", "where"), hello); err == nil {
		t.Error("wrote where no directory is")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("got %v, want no file left behind", entries)
	}
}

// sample is a report with two findings.
func sample() *policy.Report {
	ref := func(name string) policy.Ref {
		return policy.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "mojaloop", Name: name}
	}
	r := &policy.Report{
		Checks:   []policy.Check{{ID: "mtls-strict", Title: "t"}, {ID: "ilp-secret-set", Title: "u"}},
		Subjects: []policy.Subject{{Ref: ref("a")}, {Ref: ref("b")}},
	}
	for i, path := range []*field.Path{nil, field.NewPath("spec").Child("env").Index(3)} {
		r.Findings = append(r.Findings, policy.Finding{
			Pair: policy.Pair{Check: int32(i), Subject: int32(i)}, Severity: policy.Error,
			Violation: policy.Violation{Field: path, Detail: "text with \x1b[1m and, a comma"},
		})
	}
	return r
}

// TestColumnsAreKubectls compares the columns with kubectl's own printer, which
// only this test may link.
func TestColumnsAreKubectls(t *testing.T) {
	r := sample()
	tree, err := treeOf(r)
	if err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	for _, f := range tree["findings"].([]any) {
		list.Items = append(list.Items, unstructured.Unstructured{Object: f.(map[string]any)})
	}
	for _, spec := range []string{
		"CHECK:.check,NAME:.subject.name", "A:check", "A:{.check},B:{subject.kind}", "NONE:.nothing,FIELD:.field",
		"A:.subject", "A:.detail", "A:.waived,B:.*", "A:{.a}{.b}", "A",
	} {
		t.Run(spec, func(t *testing.T) {
			var want, got bytes.Buffer
			kubectl, wantErr := get.NewCustomColumnsPrinterFromSpec(spec, nil, false)
			if wantErr == nil {
				wantErr = kubectl.PrintObj(list, &want)
			}
			ours, err := parseColumns(spec)
			if err == nil {
				err = ours(&got, r)
			}
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("got error %v, kubectl has %v", err, wantErr)
			}
			if wantErr != nil || spec == "A:.subject" || strings.Contains(spec, "*") { // the order of a map
				return
			}
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("(-kubectl +got):\n%s", diff)
			}
		})
	}
}

func TestExpressions(t *testing.T) {
	dir := write(t, map[string]string{"columns": "CHECK ON\n.check .subject.name\n", "path": "{.findings[0].check}", "template": "{{.kind}}"})
	for value, want := range map[string]string{
		"name": "deployment.apps/a\ndeployment.apps/b\n",
		"jsonpath={.findings[*].check} {.summary.errors}{.nothing}": "mtls-strict ilp-secret-set 2",
		"jsonpath-as-json={.findings[*].check}":                     "[\n    \"mtls-strict\",\n    \"ilp-secret-set\"\n]\n",
		"jsonpath-file=" + filepath.Join(dir, "path"):               "mtls-strict",
		"go-template={{len .findings}} {{.summary.errors}}":         "2 2",
		"go-template-file=" + filepath.Join(dir, "template"):        "Report",
		"custom-columns-file=" + filepath.Join(dir, "columns"):      "CHECK            ON\nmtls-strict      a\nilp-secret-set   b\n",
	} {
		t.Run(value, func(t *testing.T) {
			outs, err := parseOutputs([]string{value})
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := outs[0].printReport(&got, sample()); err != nil {
				t.Fatal(err)
			}
			if got.String() != want {
				t.Errorf("got %q, want %q", &got, want)
			}
		})
	}
}

func TestBaseline(t *testing.T) {
	dir := write(t, map[string]string{
		"same.json":   `{"kind":"Report","apiVersion":"mojasec.io/v1alpha1","findings":[{"check":"ilp-secret-set","field":"spec.env[7]","subject":{"kind":"Deployment","namespace":"mojaloop","name":"b"}}]}`,
		"waived.json": `{"kind":"Report","apiVersion":"mojasec.io/v1alpha1","findings":[{"check":"ilp-secret-set","field":"spec.env[3]","waived":true,"subject":{"kind":"Deployment","namespace":"mojaloop","name":"b"}}]}`,
		"other.json":  `{"kind":"Report","apiVersion":"mojasec.io/v1alpha1","findings":[{"check":"ilp-secret-set","field":"spec.env[3]","subject":{"kind":"Deployment","namespace":"other","name":"b"}}]}`,
		"kind.json":   `{"kind":"List","apiVersion":"v1"}`,
		"text.json":   `hello`,
	})
	tests := []struct {
		file  string
		known bool
		err   string
	}{
		{file: "same.json", known: true},
		{file: "waived.json"},
		{file: "other.json"},
		{file: "kind.json", err: `have "v1" and "List"`},
		{file: "text.json", err: "not a report"},
		{file: "nowhere.json", err: "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			b, err := readBaseline(filepath.Join(dir, tt.file))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got error %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r := sample()
			again := r.Findings[1] // a second one at the same field is new
			r.Findings = append(r.Findings, again)
			b.mark(r)
			if r.Findings[0].Known || r.Findings[1].Known != tt.known || r.Findings[2].Known {
				t.Errorf("got known %v %v %v, want false %v false", r.Findings[0].Known, r.Findings[1].Known, r.Findings[2].Known, tt.known)
			}
		})
	}
}

func TestRepositoryPath(t *testing.T) {
	root := write(t, map[string]string{".git/HEAD": "", "deploy/a.yaml": "", "chart/b.yaml": ""})
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../chart", filepath.Join(root, "deploy", "link")); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(filepath.Dir(root), "elsewhere.yaml")
	repo := newRepository(filepath.Join(root, "deploy"))
	for file, want := range map[string]string{
		"a.yaml": "deploy/a.yaml", "./a.yaml": "deploy/a.yaml", "../chart/b.yaml": "chart/b.yaml", "link/b.yaml": "chart/b.yaml",
		filepath.Join(root, "chart", "b.yaml"): "chart/b.yaml", "templates/not-there.yaml": "deploy/templates/not-there.yaml",
		"<stdin>": "", outside: outside,
	} {
		if got := repo.path(file); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}
