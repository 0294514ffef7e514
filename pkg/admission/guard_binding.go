package admission

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/policy"
)

// reviewBinding keeps whoever binds a pod to a node from giving it other labels,
// and annotations that take it out of the mesh: the API server writes both over
// those that the pod was admitted with.
func (h *handler) reviewBinding(rv *review, snap *policy.Snapshot) *verdict {
	b, ok := rv.object.(*corev1.Binding)
	if !ok {
		return &verdict{}
	}
	known := map[string]string{}
	if w := snap.Pod(rv.Namespace, rv.name()); w != nil {
		known = w.Labels
	}
	for _, key := range sortedNames(b.Labels) {
		value, same := known[key]
		if !strings.HasPrefix(key, "topology.kubernetes.io/") && (!same || value != b.Labels[key]) {
			return guardVerdict(rv, guard("it would give the pod the label %s: %q as it is bound to a node, where no rule looks at the pod again; label the pod itself", clean(key, 253), clean(b.Labels[key], 63)))
		}
	}
	// As on a pod that the rules are about; some schedulers send the annotations
	// that the pod has.
	like := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: rv.Namespace, Name: rv.name(), Annotations: b.Annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sdk", Image: "mojaloop/sdk-scheme-adapter"}}},
	}
	checks := slices.DeleteFunc(slices.Clone(h.checks), func(c policy.Check) bool { return c.Category != policy.CategoryMTLS || !c.PodLocal })
	r := policy.Review(checks, []policy.Input{{Object: like}}, snap, false)
	r.Findings = slices.DeleteFunc(r.Findings, func(f policy.Finding) bool { return !strings.HasPrefix(fieldOf(&f), "metadata.annotations") })
	r.Skipped = nil
	v := guardVerdict(rv, nil)
	v.take(&r, nil, snap, false, false)
	return v
}

func sortedNames(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
