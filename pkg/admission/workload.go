package admission

import (
	"context"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
)

// reviewPod judges a pod as it is: what was to be injected has been.
func (h *handler) reviewPod(ctx context.Context, rv *review, snap *policy.Snapshot, lenient bool) (*verdict, error) {
	now, _ := rv.object.(*corev1.Pod)
	was, _ := rv.old.(*corev1.Pod)
	if rv.Operation == admissionv1.Delete || now == nil {
		return &verdict{}, nil
	}
	if was != nil && !significant(now, was) {
		return &verdict{}, nil
	}
	if !lenient {
		if d, err := h.guardFrozen(ctx, rv, snap); err != nil || d != nil {
			return guardVerdict(rv, d), err
		}
	}
	return h.decide(ctx, snap, lenient, func(snap *policy.Snapshot, checks []policy.Check) (*verdict, error) {
		// In warn and audit nothing is injected, and the review says what
		// would be; but for the marker of a quarantine, which is.
		mode, presence := snap.Mode(rv.Namespace)
		_, quarantined := snap.Quarantines(rv.Namespace)
		inject := presence == policy.Present && mode != policy.ModeEnforce && quarantined != policy.Present
		return h.reviewOne(rv, snap, checks, inject, lenient), nil
	})
}

// significant tells whether an update of a pod changes what rules read: labels,
// annotations, or more of its spec than the API server lets anybody but the
// scheduler change.
func significant(now, was *corev1.Pod) bool {
	if now.DeletionTimestamp != nil && equality.Semantic.DeepEqual(now.Labels, was.Labels) && sameSpec(now, was) {
		return false // on its way out; labels still decide which policies select it
	}
	return !equality.Semantic.DeepEqual(now.Labels, was.Labels) ||
		!equality.Semantic.DeepEqual(now.Annotations, was.Annotations) || !sameSpec(now, was)
}

// sameSpec compares what rules read of the specs of pods.
func sameSpec(a, b *corev1.Pod) bool {
	return equality.Semantic.DeepEqual(judgedSpec(&a.Spec), judgedSpec(&b.Spec))
}

// judgedSpec is a spec without what changes in the life of every pod.
func judgedSpec(s *corev1.PodSpec) *corev1.PodSpec {
	out := *s
	out.NodeName, out.NodeSelector, out.Affinity, out.SchedulingGates, out.Tolerations = "", nil, nil, nil, nil
	out.ActiveDeadlineSeconds, out.TerminationGracePeriodSeconds = nil, nil
	return &out
}

// reviewMaker judges a pod maker by the pods it will make.
func (h *handler) reviewMaker(ctx context.Context, rv *review, snap *policy.Snapshot, lenient bool) (*verdict, error) {
	if rv.Operation == admissionv1.Delete || rv.object == nil || rv.SubResource != "" {
		return &verdict{}, nil
	}
	if rv.old != nil && sameMaker(rv, snap) {
		return &verdict{}, nil
	}
	if !lenient {
		if d, err := h.guardFrozen(ctx, rv, snap); err != nil || d != nil {
			return guardVerdict(rv, d), err
		}
	}
	return h.decide(ctx, snap, lenient, func(snap *policy.Snapshot, checks []policy.Check) (*verdict, error) {
		return h.reviewOne(rv, snap.With(rv.object), checks, true, lenient), nil
	})
}

// sameMaker tells whether an update changes nothing that rules read: scaling,
// status, finalizers, the bookkeeping of the Job controller.
func sameMaker(rv *review, snap *policy.Snapshot) bool {
	if !equality.Semantic.DeepEqual(rv.object.GetLabels(), rv.old.GetLabels()) ||
		!equality.Semantic.DeepEqual(rv.object.GetAnnotations(), rv.old.GetAnnotations()) {
		return false
	}
	now, was := podOf(snap, rv.object), podOf(snap, rv.old)
	return now != nil && was != nil && equality.Semantic.DeepEqual(now, was)
}

// podOf returns the pod that an object is or makes; nil for other objects.
func podOf(snap *policy.Snapshot, o object) *corev1.PodTemplateSpec {
	return snap.Subject(policy.Input{Object: o}).Pod
}

// reviewOne judges the object of a request. What it had wrong before warns,
// unless the value that is wrong is another one now.
func (h *handler) reviewOne(rv *review, snap *policy.Snapshot, checks []policy.Check, inject, lenient bool) *verdict {
	r := policy.Review(checks, []policy.Input{rv.subject()}, snap, inject)
	v := &verdict{ref: r.Subjects[0].Ref}
	wide := rv.kind.family == posture && rv.Namespace == snap.MeshRoot() && snap.Enforced()
	v.take(&r, h.knownBefore(rv, &r, snap, inject, wide), snap, wide, lenient)
	return v
}

// knownBefore lists the findings that the old object of an update had.
func (h *handler) knownBefore(rv *review, now *policy.Report, snap *policy.Snapshot, inject, wide bool) known {
	in, ok := rv.before()
	if !ok || !wide && !denies(now) {
		return nil
	}
	if rv.kind.family != pod {
		snap = snap.With(rv.old)
	}
	was := policy.Review(now.Checks, []policy.Input{in}, snap, inject)
	k := known{}
	var trees *trees
	for i := range was.Findings {
		f := &was.Findings[i]
		if trees == nil {
			trees = treesOf(rv)
		}
		if f.At != nil || f.Field == nil || trees.same(f.Field.String()) {
			k[findingKey(&was, f)] = true
		}
	}
	return k
}

func denies(r *policy.Report) bool {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Action == policy.ActionDeny && !f.Waived {
			return true
		}
	}
	return false
}

// trees are both forms of an object, to compare single values.
type trees struct{ now, was map[string]any }

func treesOf(rv *review) *trees {
	tree := func(o object, raw map[string]any) map[string]any {
		if raw != nil {
			return raw
		}
		t, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			return nil
		}
		return t
	}
	return &trees{tree(rv.object, rv.raw), tree(rv.old, rv.oldRaw)}
}

// same tells whether both forms have the same value at a path, or neither has
// one.
func (t *trees) same(path string) bool {
	if t.now == nil || t.was == nil {
		return false
	}
	return reflect.DeepEqual(valueAt(t.now, path), valueAt(t.was, path))
}
