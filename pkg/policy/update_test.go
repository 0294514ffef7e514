package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestApplyIsNewSnapshot: whatever order objects arrive in, and whatever was
// there before, a Snapshot knows what it would know had it been made of them.
func TestApplyIsNewSnapshot(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures.All() {
		if f.Offline {
			continue // files are not updated
		}
		t.Run(f.Check+"/"+f.Name, func(t *testing.T) {
			t.Parallel()
			s := scheme(f)
			inputs, objs := s.Inputs(), s.Objects()
			opts := policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("a key for the tests"), TrustWaivers: true}
			opts.Incomplete = []policy.FactKind{policy.FactSecretReaders}
			judge := func(snap *policy.Snapshot) []string {
				return findings(policy.Review(policy.Checks(), inputs, snap, true))
			}
			want := judge(policy.NewSnapshot(opts, objs))

			snap := policy.NewSnapshot(opts, nil)
			var gone []policy.Ref
			for _, obj := range objs {
				snap = snap.Apply(policy.Update{Set: []runtime.Object{obj}})
				gone = append(gone, policy.RefOf(obj))
			}
			if diff := cmp.Diff(want, judge(snap)); diff != "" {
				t.Errorf("one by one (-at once +one by one):\n%s", diff)
			}
			snap = snap.Apply(policy.Update{Gone: gone}).Apply(policy.Update{Set: objs})
			if diff := cmp.Diff(want, judge(snap)); diff != "" {
				t.Errorf("deleted and made again (-at once +again):\n%s", diff)
			}
		})
	}
}

func findings(r policy.Report) []string {
	var out []string
	for i := range r.Findings {
		f := &r.Findings[i]
		out = append(out, string(r.Check(f.Pair).ID)+" "+r.Place(f).String()+" "+f.Field.String()+" "+f.Detail)
	}
	for i := range r.Skipped {
		out = append(out, "skipped "+string(r.Check(r.Skipped[i].Pair).ID)+" "+r.Subject(r.Skipped[i].Pair).Ref.String()+" "+r.Skipped[i].Reason())
	}
	return out
}
