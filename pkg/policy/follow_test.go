package policy_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// states are what objects of a cluster may be at one time or another: those of
// all fixtures. The keys of a DFSP differ from one fixture to the next.
func states() map[policy.Ref][]runtime.Object {
	out := map[policy.Ref][]runtime.Object{}
	for i, f := range fixtures.All() {
		if f.Offline || i%3 != 0 { // the more there are, the less often one fits another
			continue
		}
		s := scheme(f)
		for _, o := range slices.Concat(s.Objects(), replicas(s.SDK1, "aaa", 3), replicas(s.SDK2, "bbb", 2)) {
			ref := policy.RefOf(o)
			out[ref] = append(out[ref], o)
		}
	}
	return out
}

// TestFollowing lets things happen to a cluster in any order, and compares at
// every step what a Snapshot that followed them knows with one made of what is
// there.
func TestFollowing(t *testing.T) {
	t.Parallel()
	pool := states()
	refs := make([]policy.Ref, 0, len(pool))
	for ref := range pool {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, policy.Ref.Compare)
	empty := policy.NewSnapshot(options(fixtures.Fixture{}), nil)
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		there, snap := map[policy.Ref]runtime.Object{}, empty
		for step := range 60 {
			var u policy.Update
			for range 1 + r.IntN(6) {
				ref := refs[r.IntN(len(refs))]
				if len(u.Gone) == 0 && r.IntN(4) > 0 {
					o := pool[ref][r.IntN(len(pool[ref]))]
					u.Set, there[ref] = append(u.Set, o), o
					continue
				}
				u.Gone = append(u.Gone, ref)
				delete(there, ref)
			}
			if r.IntN(2) == 0 {
				snap.Prepare()
			}
			snap = snap.Apply(u)
			var all []runtime.Object
			for _, ref := range refs {
				if o := there[ref]; o != nil {
					all = append(all, o)
				}
			}
			got := policy.ReviewWorkloads(factChecks(), snap, nil)
			want := policy.ReviewWorkloads(factChecks(), empty.Apply(policy.Update{Set: all}), nil)
			if diff := cmp.Diff(answers(&want), answers(&got)); diff != "" {
				t.Fatalf("seed %d, step %d (-made +followed):\n%s", seed, step, diff)
			}
		}
	}
}

// TestReviewsWhileFollowing reviews from several goroutines while Snapshots are
// made from those under review. It is for the race detector.
func TestReviewsWhileFollowing(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	snap := snapshot(s.Objects())
	p := replicas(s.SDK1, "aaa", 1)[0]
	relaxed := s.PeerAuth.DeepCopy()
	relaxed.Spec.Mtls.Mode = 2 // PERMISSIVE
	pods := replicas(s.SDK2, "bbb", 50)
	var wg sync.WaitGroup
	for i := range 50 {
		base := snap
		for range 3 {
			wg.Go(func() {
				if got := failures(base, policy.Input{Object: p}); len(got) > 0 {
					t.Errorf("got %q, want nothing", got)
				}
				if got := failures(base.With(relaxed), policy.Input{Object: p}); !slices.Equal(got, []string{"mtls-strict"}) {
					t.Errorf("relaxed: got %q, want mtls-strict", got)
				}
			})
		}
		u := policy.Update{Set: pods[i : i+1]}
		if i%5 == 0 {
			u.Set = append(u.Set, s.ILP2, s.VerificationKeys)
		}
		snap = snap.Apply(u)
	}
	wg.Wait()
	if got := snap.Pod(fixtures.Namespace, pods[49].(*corev1.Pod).Name); got == nil {
		t.Error("the last pod is not known")
	}
}
