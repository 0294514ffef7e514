package admission

import (
	"context"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/policy"
)

// mutate makes pods of enforce namespaces right.
func (h *handler) mutate(ctx context.Context, req *request) (admission.Response, error) {
	p, err := newPod(req)
	if err != nil || p == nil {
		return admission.Allowed(""), err
	}
	snap, err := h.snapshot()
	if err != nil {
		return admission.Response{}, err
	}
	if snap, err = h.freshNamespace(ctx, req, snap); err != nil {
		return admission.Response{}, err
	}
	changes, absent := h.injections(p, snap)
	if len(absent) > 0 {
		// What is not injected for want of a Secret is refused later. The
		// Secret may be younger than what is known.
		next, found, err := h.reread(ctx, snap, absent)
		if err != nil {
			return admission.Response{}, err
		}
		if found {
			changes, _ = h.injections(p, next)
		}
	}
	return patched(p, changes)
}

// mutateQuarantine marks the pods of quarantined DFSPs, whatever the mode of
// their namespace.
func (h *handler) mutateQuarantine(ctx context.Context, req *request) (admission.Response, error) {
	p, err := newPod(req)
	if err != nil || p == nil {
		return admission.Allowed(""), err
	}
	snap, err := h.snapshot()
	if err != nil {
		return admission.Response{}, err
	}
	if snap, err = h.freshNamespace(ctx, req, snap); err != nil {
		return admission.Response{}, err
	}
	if reason := snap.Unread(policy.FactQuarantine, req.Namespace); reason != "" {
		return admission.Response{}, couldNotCheck("Quarantines of namespace %q: %s", req.Namespace, reason)
	}
	template := &corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	_, changes := policy.Injector{}.InjectMarker(template, req.Namespace, snap)
	return patched(p, changes)
}

// newPod returns the pod that a request creates; nil for other requests.
func newPod(req *request) (*corev1.Pod, error) {
	k, ok := kindOf(req)
	if !ok || k.family != pod || req.Operation != admissionv1.Create || req.SubResource != "" {
		return nil, nil //nolint:nilnil // nil says that there is nothing to do
	}
	rv, err := read(req, k)
	if err != nil {
		return nil, err
	}
	p, ok := rv.object.(*corev1.Pod)
	if !ok {
		return nil, badRequest("decode object: a CREATE has none")
	}
	return p, nil
}

// injections returns what is to be added to a pod, and what was looked for in
// vain where something that should be added cannot.
func (h *handler) injections(p *corev1.Pod, snap *policy.Snapshot) ([]policy.Change, []policy.Fact) {
	inputs := []policy.Input{{Object: p}}
	r := policy.Review(h.injectable, inputs, snap, true)
	changes := r.Subjects[0].Changes
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Action == policy.ActionDeny && !f.Waived {
			var absent facts
			policy.Review(h.injectable, inputs, snap.Tracking(absent.add), true)
			return changes, absent.list
		}
	}
	return changes, nil
}

// patched is the answer with the changes of a pod.
func patched(p *corev1.Pod, changes []policy.Change) (admission.Response, error) {
	if len(changes) == 0 {
		return admission.Allowed(""), nil
	}
	patch, err := patchOf(p, changes)
	if err != nil {
		return admission.Response{}, err
	}
	resp := admission.Allowed("")
	resp.Patch, resp.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	v := verdict{}
	for _, c := range changes {
		v.note("injected", c.Text)
	}
	resp.AuditAnnotations = v.audit
	return resp, nil
}
