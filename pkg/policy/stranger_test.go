package policy_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestStrangersRefuseNobody puts an SDK into a namespace without a mode that
// claims a DFSP, signs as nobody knows, and holds wrong keys: that is told, and
// refuses no workload of a namespace that enforces. With a mode it does refuse.
func TestStrangersRefuseNobody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, mode string
		dfsp       string
		check      string
		denied     bool
	}{
		{name: "claims", dfsp: fixtures.DFSP1, check: "dfsp-identity"},
		{name: "claims in a namespace with a mode", mode: "audit", dfsp: fixtures.DFSP1, check: "dfsp-identity", denied: true},
		{name: "signs", dfsp: "ghost", check: "jws-verification-keys-mounted"},
		{name: "signs in a namespace with a mode", mode: "audit", dfsp: "ghost", check: "jws-verification-keys-mounted", denied: true},
		{name: "holds", dfsp: "ghost", check: "jws-key-pair-match"},
		{name: "holds in a namespace with a mode", mode: "audit", dfsp: "ghost", check: "jws-key-pair-match", denied: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := fixtures.NewScheme()
			objs := s.Objects()
			ns := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "stranger", Labels: map[string]string{"istio-injection": "enabled"}}}
			if tc.mode != "" {
				ns.Labels["mojasec.io/mode"] = tc.mode
			}
			sdk, keys := fixtures.In("stranger", s.SDK1), fixtures.In("stranger", s.VerificationKeys)
			fixtures.SetEnv(sdk, "DFSP_ID", tc.dfsp)
			sdk.Spec.Template.Labels["dfsp"] = tc.dfsp
			keys.Data[fixtures.DFSP1+".pem"] = string(fixtures.NewKeyPair().Public)
			snap := policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("k")}, append(objs, ns, sdk, keys))
			r := policy.Review(policy.Checks(), []policy.Input{{Object: runtime.Object(s.SDK1)}}, snap, true)
			told := false
			for i := range r.Findings {
				f := &r.Findings[i]
				if id := string(r.Check(f.Pair).ID); id == tc.check {
					told = true
					if denied := f.Action == policy.ActionDeny; denied != tc.denied {
						t.Errorf("got action %s of %s (%s), want denied %t", f.Action, id, f.Detail, tc.denied)
					}
				}
			}
			if !told {
				t.Errorf("got no finding of %s", tc.check)
			}
		})
	}
}
