package admission_test

import (
	"encoding/json"
	"slices"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// checksOf lists the checks for which an answer refuses.
func checksOf(r *admissionv1.AdmissionResponse) []string {
	var ids []string
	if !r.Allowed {
		for _, c := range r.Result.Details.Causes {
			ids = append(ids, string(c.Type))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// refusing lists the checks for which a report refuses.
func refusing(r policy.Report) []string {
	var ids []string
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Action == policy.ActionDeny && !f.Waived {
			ids = append(ids, string(r.Check(f.Pair).ID))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestDoorsAgree sends every object of every fixture through the webhook: it
// refuses for the checks for which Evaluate does, and for no others.
func TestDoorsAgree(t *testing.T) {
	t.Parallel()
	refused := 0
	for _, f := range fixtures.All() {
		if f.Offline {
			continue // a webhook has no files
		}
		s := fixtures.NewScheme()
		if f.Tweak != nil {
			f.Tweak(s)
		}
		var objs []runtime.Object
		for _, in := range s.Inputs() {
			objs = append(objs, in.Object)
		}
		c := clusterOf(objs...)
		c.may["*"] = true // rules, not guards
		d := open(t, c)
		for _, in := range s.Inputs() {
			want := refusing(policy.Review(policy.Checks(), []policy.Input{in}, c.snap, true))
			req := create(t, in.Object)
			if in.Raw != nil {
				req.Object.Raw = text(t, in.Raw)
			}
			r := d.ask("/validate", req)
			if got := checksOf(r); !slices.Equal(got, want) {
				t.Errorf("%s/%s: %s: refused for %v, Evaluate refuses for %v\n%s", f.Check, f.Name, policy.RefOf(in.Object), got, want, message(r))
			}
			if !r.Allowed {
				refused++
			}
			r = d.ask("/validate/warn", req)
			if !r.Allowed || len(want) > 0 && len(r.Warnings) == 0 {
				t.Errorf("%s/%s: %s: /validate/warn answered allowed %t with %d warnings", f.Check, f.Name, policy.RefOf(in.Object), r.Allowed, len(r.Warnings))
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d objects refused: this test proves nothing", refused)
	}
}

func text(t testing.TB, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// patch applies the answer of /mutate to a pod.
func patch(t testing.TB, p *corev1.Pod, r *admissionv1.AdmissionResponse) *corev1.Pod {
	t.Helper()
	out := &corev1.Pod{}
	if err := json.Unmarshal(patchText(t, text(t, p), r), out); err != nil {
		t.Fatal(err)
	}
	return out
}

func patchText(t testing.TB, text []byte, r *admissionv1.AdmissionResponse) []byte {
	t.Helper()
	if len(r.Patch) == 0 {
		return text
	}
	if r.PatchType == nil || *r.PatchType != admissionv1.PatchTypeJSONPatch {
		t.Fatalf("patch type %v", r.PatchType)
	}
	ops, err := jsonpatch.DecodePatch(r.Patch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ops.Apply(text)
	if err != nil {
		t.Fatalf("apply %s: %v", r.Patch, err)
	}
	return out
}

// TestHardCase14SameVerdictForMakerAndPod: a Deployment is refused exactly when
// its pods would be, after injection.
func TestHardCase14SameVerdictForMakerAndPod(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures.All() {
		if f.Offline {
			continue
		}
		c, s := scheme(func(s *fixtures.Scheme) {
			if f.Tweak != nil {
				f.Tweak(s)
			}
		})
		d := open(t, c)
		for _, maker := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
			if maker.Namespace != fixtures.Namespace || maker.Kind == "" {
				continue
			}
			p := podOf(&maker.Spec.Template, maker.Name+"-7c6fdc9d8b-x2x4x")
			p = patch(t, p, d.ask("/mutate", create(t, p)))
			ofPod := d.ask("/validate", create(t, p))
			ofMaker := d.ask("/validate", create(t, maker))
			if diff := cmp.Diff(checksOf(ofMaker), checksOf(ofPod)); diff != "" {
				t.Errorf("%s/%s: %s (-maker +pod):\n%s", f.Check, f.Name, maker.Name, diff)
			}
		}
	}
}
