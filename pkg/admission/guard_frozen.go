package admission

import (
	"context"
	"maps"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// lockedDown keeps the Quarantines that freeze workloads.
func lockedDown(list []*v1alpha1.Quarantine) []*v1alpha1.Quarantine {
	var out []*v1alpha1.Quarantine
	for _, q := range list {
		if q.Spec.Mode == v1alpha1.QuarantineLockdown {
			out = append(out, q)
		}
	}
	return out
}

// guardFrozen keeps the workloads of a quarantined DFSP as they are: nobody but
// a responder adds a container to one of its pods or changes the labels by which
// policies select it, and in lockdown nobody else changes what its pods are made
// of.
func (h *handler) guardFrozen(ctx context.Context, rv *review, snap *policy.Snapshot) (*denial, error) {
	if rv.Operation != admissionv1.Update || rv.old == nil || rv.object == nil {
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	}
	reaches := rv.SubResource == "ephemeralcontainers" || relabels(rv)
	now, was := podOf(snap, rv.object), podOf(snap, rv.old)
	if !reaches && (now == nil || was == nil || equality.Semantic.DeepEqual(judgedSpec(&now.Spec), judgedSpec(&was.Spec)) && !resumes(rv)) {
		return nil, nil //nolint:nilnil // as above
	}
	for _, o := range []object{rv.old, rv.object} { // whoever it claims to be now
		list, err := h.held(snap, rv.Namespace, snap.Subject(policy.Input{Object: o}).Workload)
		if err != nil {
			return nil, err
		}
		if !reaches {
			list = lockedDown(list)
		}
		q, err := h.mayRespond(ctx, rv.request, list)
		if err != nil {
			return nil, err
		}
		if q != nil {
			return guard("DFSP %q is quarantined (Quarantine %s/%s): its workloads stay as they are; who may `respond` on that Quarantine can change them, or release the DFSP: `kubectl mojasec release dfsp/%s`", q.Spec.DFSP, q.Namespace, q.Name, q.Spec.DFSP), nil
		}
	}
	return nil, nil //nolint:nilnil // as above
}

// relabels tells whether a pod gets other labels. The mark of a quarantine has a
// check of its own.
func relabels(rv *review) bool {
	now, ok := rv.object.(*corev1.Pod)
	was, old := rv.old.(*corev1.Pod)
	if !ok || !old {
		return false
	}
	unmarked := func(labels map[string]string) map[string]string {
		labels = maps.Clone(labels)
		delete(labels, labelQuarantine)
		return labels
	}
	return !equality.Semantic.DeepEqual(unmarked(now.Labels), unmarked(was.Labels))
}

// resumes tells whether a paused rollout is resumed.
func resumes(rv *review) bool {
	now, ok := rv.object.(*appsv1.Deployment)
	was, old := rv.old.(*appsv1.Deployment)
	return ok && old && was.Spec.Paused && !now.Spec.Paused
}

// reviewScaler keeps autoscalers away from the workloads of a DFSP in lockdown.
func (h *handler) reviewScaler(ctx context.Context, rv *review, snap *policy.Snapshot) (*verdict, error) {
	hpa, ok := rv.object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok || rv.Operation == admissionv1.Delete || rv.SubResource != "" {
		return &verdict{}, nil
	}
	if was, ok := rv.old.(*autoscalingv2.HorizontalPodAutoscaler); ok && equality.Semantic.DeepEqual(hpa.Spec, was.Spec) {
		return &verdict{}, nil
	}
	target := hpa.Spec.ScaleTargetRef
	var w *policy.Workload
	for _, known := range snap.Workloads(rv.Namespace) {
		if known.Ref.Kind == target.Kind && known.Ref.Name == target.Name {
			w = known
		}
	}
	list, err := h.held(snap, rv.Namespace, w)
	if err != nil {
		return nil, err
	}
	q, err := h.mayRespond(ctx, rv.request, lockedDown(list))
	if err != nil || q == nil {
		return &verdict{}, err
	}
	return guardVerdict(rv, guard("DFSP %q is quarantined (Quarantine %s/%s): %s %q is not scaled; who may `respond` on that Quarantine can change this", q.Spec.DFSP, q.Namespace, q.Name, target.Kind, target.Name)), nil
}
