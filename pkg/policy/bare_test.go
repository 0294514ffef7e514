package policy_test

import (
	"fmt"
	"strings"
	"testing"

	kruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// A thousand pods that sign with one key, each for another DFSP, are each
// refused; none of the findings lists all the others.
func TestManyClaimOneKey(t *testing.T) {
	t.Parallel()
	const pods = 1000
	s := fixtures.NewScheme()
	objs := s.Objects()
	for i := range pods {
		p := podOf(s, fmt.Sprintf("claimed-%d", i))
		p.Name, p.Spec.Volumes = fmt.Sprintf("bare-%d", i), podOf(s, fixtures.DFSP1).Spec.Volumes
		objs = append(objs, p)
	}
	checks := policy.Checks()
	r := policy.ReviewWorkloads(checks, follow(append([]kruntime.Object(nil), objs...)), nil)
	found := map[policy.ID]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		found[r.Check(f.Pair).ID]++
		if len(f.Detail) > 1024 || len(f.Related) > 50 {
			t.Fatalf("%s: the detail has %d characters and %d related objects: %.200s…", r.Check(f.Pair).ID, len(f.Detail), len(f.Related), f.Detail)
		}
		if id := r.Check(f.Pair).ID; id == "jws-key-unique" && !strings.HasSuffix(f.Detail, " and others") {
			t.Errorf("got %q, want it to say that there are others", f.Detail)
		}
	}
	if n := found["jws-key-unique"]; n < pods {
		t.Errorf("got %d findings of jws-key-unique, want one for each of %d pods", n, pods)
	}
}
