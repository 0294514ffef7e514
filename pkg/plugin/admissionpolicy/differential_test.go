package admissionpolicy_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/plugin/admissionpolicy"
	"github.com/mojasec/mojasec/pkg/policy"
	expect "github.com/mojasec/mojasec/test/admissionpolicies"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestFixtures asks engine and policies about every fixture. What the engine
// refuses the policies refuse, but for what is listed as unseen; what it passes
// they pass, and what it cannot tell as well.
func TestFixtures(t *testing.T) {
	t.Parallel()
	byProfile := map[string]*server{}
	used := map[string]bool{}
	denied := map[policy.ID]int{}
	for _, f := range fixtures.All() {
		t.Run(f.Check+"/"+f.Name, func(t *testing.T) {
			s := fixtures.NewScheme()
			if f.Tweak != nil {
				f.Tweak(s)
			}
			var profile *v1alpha1.Profile
			namespaces := map[string]*corev1.Namespace{s.Namespace.Name: s.Namespace}
			for _, o := range s.Objects() {
				switch o := o.(type) {
				case *v1alpha1.Profile:
					profile = o
				case *corev1.Namespace:
					namespaces[o.Name] = o
				}
			}
			key := fmt.Sprintf("%+v", profile)
			if byProfile[key] == nil {
				byProfile[key] = newServer(t, admissionpolicy.Options{Profile: profile}, oldest)
			}
			for obj, of := range expect.Judge(s.Inputs(), expect.Options(&f)) {
				m := obj.(metav1.Object)
				ns := namespaces[m.GetNamespace()]
				if ns == nil {
					ns = &corev1.Namespace{}
				}
				for _, untyped := range []bool{false, true} {
					got := byProfile[key].ask(t.Context(), t, request{object: obj, namespace: ns, untyped: untyped})
					for id, want := range of {
						message, refused := got[id]
						if refused {
							denied[id]++
						}
						entry := fmt.Sprintf("%s/%s/%s", f.Check, f.Name, id)
						switch {
						case want == expect.Failed && !refused && expect.Unseen[entry] != "":
							used[entry] = true
						case want == expect.Failed && !refused:
							t.Errorf("%s: %s fails, but no policy refuses it", m.GetName(), id)
						case want != expect.Failed && refused:
							t.Errorf("%s: %s is %s, but a policy refuses it: %s", m.GetName(), id, want, message)
						}
					}
				}
			}
		})
	}
	for entry := range expect.Unseen {
		if !used[entry] {
			t.Errorf("%s is listed as unseen, but is not", entry)
		}
	}
	for _, c := range expect.PodLocal() {
		if denied[c.ID] == 0 {
			t.Errorf("no fixture is refused for %s: this test proves nothing about it", c.ID)
		}
	}
}
