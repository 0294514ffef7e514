package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/report"
	"github.com/mojasec/mojasec/test/fixtures"
)

// verifyAt runs verify on a path as it would run at the time of the fixtures.
func verifyAt(t *testing.T, path, format string) []byte {
	t.Helper()
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	flags := &VerifyFlags{
		Filenames: []string{path}, Recursive: true, FailOn: policy.Error.String(),
		Colour: colourAuto, Outputs: []string{format}, IOStreams: streams,
	}
	o, err := flags.ToOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Now = fixtures.Now
	var exit *ExitError
	if err := o.Run(context.Background()); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDoorsAgree judges every fixture twice: as objects, and as files through
// verify. The answers must be the same.
func TestDoorsAgree(t *testing.T) {
	for _, f := range fixtures.All() {
		t.Run(f.Check+"/"+f.Name, func(t *testing.T) {
			s := fixtures.NewScheme()
			if f.Tweak != nil {
				f.Tweak(s)
			}
			inputs := s.Inputs()
			objs := make([]runtime.Object, 0, len(inputs))
			var text bytes.Buffer
			for i, o := range s.Objects() {
				objs = append(objs, inputs[i].Object)
				doc, err := yaml.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&text, "---\n%s", doc)
			}
			dir := write(t, map[string]string{"all.yaml": text.String()})
			direct := policy.Review(policy.Checks(), inputs, policy.NewSnapshot(policy.OfflineOptions(fixtures.Now, []byte("k")), objs), true)
			var want bytes.Buffer
			if err := report.Write("json", &want, &direct, report.Options{}); err != nil {
				t.Fatal(err)
			}
			got := verifyAt(t, dir, "json")
			if diff := cmp.Diff(verdicts(t, want.Bytes()), verdicts(t, got)); diff != "" {
				t.Errorf("verify and Evaluate differ (-Evaluate +verify):\n%s", diff)
			}
		})
	}
}

// verdicts reads what a JSON report says, without where.
func verdicts(t *testing.T, data []byte) []string {
	t.Helper()
	type object struct{ Kind, Namespace, Name string }
	var r struct {
		Findings []struct {
			Check, Severity, Action, Field, Detail string
			Subject                                object
		}
		Skipped []struct {
			Check, Reason string
			Subject       object
		}
		Injected []struct {
			Check, Change string
			Subject       object
		}
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	var out []string
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("finding %+v", f))
	}
	for _, s := range r.Skipped {
		out = append(out, fmt.Sprintf("skipped %+v", s))
	}
	for _, i := range r.Injected {
		out = append(out, fmt.Sprintf("injected %+v", i))
	}
	for _, e := range r.Errors {
		out = append(out, "error "+e.Message)
	}
	slices.Sort(out)
	return out
}

// TestSARIFOfFiles reads the SARIF of real files: every result has a whole
// region, and ten lines above change no fingerprint.
func TestSARIFOfFiles(t *testing.T) {
	const examples = "../../examples/broken"
	before := results(t, verifyAt(t, examples, "sarif"))
	if len(before) < 20 {
		t.Fatalf("only %d results: this test proves nothing", len(before))
	}
	moved := t.TempDir()
	err := filepath.WalkDir(examples, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(moved, strings.TrimPrefix(path, examples))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, append([]byte(strings.Repeat("# moved\n", 10)), text...), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	after := results(t, verifyAt(t, moved, "sarif"))
	if diff := cmp.Diff(keys(before, 0), keys(after, 10)); diff != "" {
		t.Errorf("ten lines above change fingerprints (-before +after):\n%s", diff)
	}
}

// result is a SARIF result, as far as this test reads it.
type result struct {
	RuleID    string
	Locations []struct {
		PhysicalLocation struct {
			Region struct{ StartLine, StartColumn, EndLine, EndColumn int }
		}
	}
	PartialFingerprints map[string]string
}

func results(t *testing.T, data []byte) []result {
	t.Helper()
	var log struct{ Runs []struct{ Results []result } }
	if err := json.Unmarshal(data, &log); err != nil {
		t.Fatal(err)
	}
	for _, r := range log.Runs[0].Results {
		if len(r.Locations) == 0 {
			t.Errorf("%s has no location", r.RuleID)
			continue
		}
		at := r.Locations[0].PhysicalLocation.Region
		if at.StartLine < 1 || at.StartColumn < 1 || at.EndLine < at.StartLine || (at.EndLine == at.StartLine && at.EndColumn <= at.StartColumn) {
			t.Errorf("%s has region %+v", r.RuleID, at)
		}
	}
	return log.Runs[0].Results
}

// keys are the fingerprints of results with their lines, moved back.
func keys(rs []result, moved int) []string {
	var out []string
	for _, r := range rs {
		out = append(out, fmt.Sprintf("%s %v line %d", r.RuleID, r.PartialFingerprints, r.Locations[0].PhysicalLocation.Region.StartLine-moved))
	}
	slices.Sort(out)
	return out
}
