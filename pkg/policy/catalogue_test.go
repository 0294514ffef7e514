package policy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// options are those of a door that sees a whole cluster, or of one that sees
// files. Nobody knows readers of Secrets yet.
func options(f fixtures.Fixture) policy.SnapshotOptions {
	if f.Offline {
		return policy.OfflineOptions(fixtures.Now, []byte("a key for tests"))
	}
	return policy.SnapshotOptions{
		Now: fixtures.Now, HashKey: []byte("a key for tests"),
		Incomplete: []policy.FactKind{policy.FactSecretReaders, policy.FactKeyAge},
	}
}

func scheme(f fixtures.Fixture) *fixtures.Scheme {
	s := fixtures.NewScheme()
	if f.Tweak != nil {
		f.Tweak(s)
	}
	return s
}

func objects(inputs []policy.Input) []runtime.Object {
	out := make([]runtime.Object, 0, len(inputs))
	for _, in := range inputs {
		out = append(out, in.Object)
	}
	return out
}

func review(f fixtures.Fixture, s *fixtures.Scheme) policy.Report {
	inputs := s.Inputs()
	return policy.Review(policy.Checks(), inputs, policy.NewSnapshot(options(f), objects(inputs)), true)
}

// outcomes counts what each check said.
type outcomes struct{ passed, failed, skipped map[string]int }

func count(r *policy.Report) outcomes {
	o := outcomes{map[string]int{}, map[string]int{}, map[string]int{}}
	for _, p := range r.Passed {
		o.passed[string(r.Check(p).ID)]++
	}
	for _, f := range r.Findings {
		o.failed[string(r.Check(f.Pair).ID)]++
	}
	for _, s := range r.Skipped {
		o.skipped[string(r.Check(s.Pair).ID)]++
	}
	return o
}

// TestFixtures judges every fixture: the check says what it must, and no other
// check fails but those that the one fault breaks too.
func TestFixtures(t *testing.T) {
	for _, f := range fixtures.All() {
		t.Run(f.Check+"/"+f.Name, func(t *testing.T) {
			r := review(f, scheme(f))
			got := count(&r)
			switch f.Verdict {
			case fixtures.Pass:
				if got.passed[f.Check] == 0 {
					t.Errorf("%s passed for no subject", f.Check)
				}
				if got.failed[f.Check]+got.skipped[f.Check] > 0 {
					t.Errorf("%s failed %d times and was skipped %d times, want a pass", f.Check, got.failed[f.Check], got.skipped[f.Check])
				}
			case fixtures.Fail:
				if got.failed[f.Check] == 0 {
					t.Errorf("%s did not fail", f.Check)
				}
			case fixtures.Unknown:
				if got.failed[f.Check] > 0 || got.skipped[f.Check] == 0 {
					t.Errorf("%s failed %d times and was skipped %d times, want a skip", f.Check, got.failed[f.Check], got.skipped[f.Check])
				}
			}
			for id := range got.failed {
				if id != f.Check && !slices.Contains(f.Also, id) {
					t.Errorf("%s failed as well", id)
				}
			}
			if t.Failed() {
				t.Log(render(&r))
			}
		})
	}
}

func render(r *policy.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s %s: %s\n", r.Check(f.Pair).ID, r.Place(&f), f.Field, f.Detail)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "skipped %s %s: %s\n", r.Check(s.Pair).ID, r.Subject(s.Pair).Ref, s.Reason())
	}
	return b.String()
}

// alwaysUnknown are the checks that need facts no door has yet.
var alwaysUnknown = []string{"secret-readers"}

// TestCatalogue refuses a check that is not finished.
func TestCatalogue(t *testing.T) {
	verdicts := map[string]map[fixtures.Verdict]bool{}
	for _, f := range fixtures.All() {
		if verdicts[f.Check] == nil {
			verdicts[f.Check] = map[fixtures.Verdict]bool{}
		}
		verdicts[f.Check][f.Verdict] = true
	}
	seen := map[policy.ID]bool{}
	for _, c := range policy.Checks() {
		t.Run(string(c.ID), func(t *testing.T) {
			if seen[c.ID] {
				t.Error("is registered twice")
			}
			seen[c.ID] = true
			want := []fixtures.Verdict{fixtures.Pass, fixtures.Fail}
			if slices.Contains(alwaysUnknown, string(c.ID)) {
				want = []fixtures.Verdict{fixtures.Unknown}
			}
			for _, v := range want {
				if !verdicts[string(c.ID)][v] {
					t.Errorf("has no fixture that must %s", v)
				}
			}
			if c.Title == "" || c.Fix == "" || c.Run == nil || !slices.Contains(policy.Categories(), c.Category) {
				t.Error("lacks a title, a fix, a category or a rule")
			}
			if len(c.Doc) < 100 {
				t.Error("lacks a section for the documentation")
			}
			file := "check_" + strings.ReplaceAll(string(c.ID), "-", "_") + ".go"
			if _, err := os.Stat(file); err != nil {
				t.Errorf("does not stand in a file of its own: %v", err)
			}
		})
		delete(verdicts, string(c.ID))
	}
	if len(verdicts) > 0 {
		t.Errorf("fixtures of checks that do not exist: %v", slices.Sorted(maps.Keys(verdicts)))
	}
	files, err := filepath.Glob("check_*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		id := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(file, "check_"), ".go"), "_", "-")
		if !seen[policy.ID(id)] {
			t.Errorf("%s has no check that is registered", file)
		}
	}
}

// TestInject has the properties of injection: twice is once, what it claims to
// repair is repaired, and its argument stays as it was.
func TestInject(t *testing.T) {
	for _, f := range fixtures.All() {
		s := scheme(f)
		inputs := s.Inputs()
		snap := policy.NewSnapshot(options(f), objects(inputs))
		for _, in := range inputs {
			sub := snap.Subject(in)
			if sub.Pod == nil {
				continue
			}
			before := sub.Pod.DeepCopy()
			once, changes := policy.Injector{}.Inject(sub.Pod, sub.Ref.Namespace, snap)
			if diff := cmp.Diff(before, sub.Pod); diff != "" {
				t.Errorf("%s/%s: Inject changed its argument (-want +got):\n%s", f.Check, f.Name, diff)
			}
			twice, more := policy.Injector{}.Inject(once.DeepCopy(), sub.Ref.Namespace, snap)
			if len(more) > 0 {
				t.Errorf("%s/%s: injecting again changes %v", f.Check, f.Name, more)
			}
			if diff := cmp.Diff(once, twice); diff != "" {
				t.Errorf("%s/%s: injected twice differs (-once +twice):\n%s", f.Check, f.Name, diff)
			}
			r := policy.Review(policy.Checks(), []policy.Input{in}, snap, true)
			for _, finding := range r.Findings {
				if slices.ContainsFunc(changes, func(c policy.Change) bool { return c.Check == r.Check(finding.Pair).ID }) && len(r.Injected) > 0 {
					t.Errorf("%s/%s: %s was injected and still fails: %s", f.Check, f.Name, r.Check(finding.Pair).ID, finding.Detail)
				}
			}
		}
	}
}

// TestEvaluateIsPure judges twice and in another order: same verdict, same
// objects.
func TestEvaluateIsPure(t *testing.T) {
	for _, f := range fixtures.All() {
		s := scheme(f)
		inputs := s.Inputs()
		before := make([]runtime.Object, 0, len(inputs))
		for _, in := range inputs {
			before = append(before, in.Object.DeepCopyObject())
		}
		first := policy.Review(policy.Checks(), inputs, policy.NewSnapshot(options(f), objects(inputs)), true)
		reversed := slices.Clone(inputs)
		slices.Reverse(reversed)
		second := policy.Review(policy.Checks(), reversed, policy.NewSnapshot(options(f), objects(reversed)), true)
		if diff := cmp.Diff(lines(&first), lines(&second)); diff != "" {
			t.Errorf("%s/%s: the verdict depends on the order (-first +second):\n%s", f.Check, f.Name, diff)
		}
		for i, in := range inputs {
			if diff := cmp.Diff(before[i], in.Object, protoComparer); diff != "" {
				t.Errorf("%s/%s: judging changed %s:\n%s", f.Check, f.Name, policy.RefOf(in.Object), diff)
			}
		}
	}
}

func lines(r *policy.Report) []string {
	out := strings.Split(render(r), "\n")
	slices.Sort(out)
	return out
}
