package admission

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// validateNamespace guards the labels by which a namespace is protected.
func (h *handler) validateNamespace(ctx context.Context, req *request) (admission.Response, error) {
	snap, err := h.snapshot()
	if err != nil {
		return admission.Response{}, err
	}
	k, ok := kindOf(req)
	if !ok || req.Kind.Kind != "Namespace" {
		return h.guarded(req, nil), nil
	}
	rv, err := read(req, k)
	if err != nil {
		return admission.Response{}, err
	}
	d, err := h.guardNamespace(ctx, rv, snap)
	if err != nil {
		return admission.Response{}, err
	}
	return h.guarded(req, d), nil
}

// guardNamespace refuses to lower the mode of a namespace, to take off its
// quarantine label, and to delete it, but to those who may unenforce; to
// everybody while a DFSP in it is quarantined.
func (h *handler) guardNamespace(ctx context.Context, rv *review, snap *policy.Snapshot) (*denial, error) {
	was, ok := rv.old.(*corev1.Namespace)
	if !ok || rv.Operation == admissionv1.Create {
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	}
	now, _ := rv.object.(*corev1.Namespace)
	what := weakening(now, was)
	if what == "" {
		return nil, nil //nolint:nilnil // as above
	}
	if reason := snap.Unread(policy.FactQuarantine, was.Name); reason != "" {
		return nil, couldNotCheck("Quarantines of namespace %q: %s", was.Name, reason)
	}
	if open, presence := snap.Quarantines(was.Name); presence == policy.Present {
		q := open[0]
		return guard("it would %s while DFSP %q is quarantined in it (Quarantine %s): release it first: `kubectl mojasec release dfsp/%s`", what, q.Spec.DFSP, q.Name, q.Spec.DFSP), nil
	}
	ok, err := h.mayUnenforce(ctx, rv.request)
	if err == nil && !ok && now != nil && modeRank(now) >= modeRank(was) {
		// Only the mark of a quarantine goes that no longer stands.
		ok, err = h.may(ctx, rv.request, verbRespond, ResourceAttributes{Resource: "quarantines", Namespace: was.Name})
	}
	if err != nil || ok {
		return nil, err
	}
	return guard("it would %s, and %q may not: that takes the verb `unenforce` on profiles.mojasec.io, which ClusterRole mojasec-unenforce gives", what, rv.UserInfo.Username), nil
}

// weakening says what an update (or, with now nil, the deletion) of a namespace
// takes away; it is empty when that is nothing.
func weakening(now, was *corev1.Namespace) string {
	quarantine, marked := was.Labels[labelQuarantine]
	switch {
	case now == nil && was.DeletionTimestamp != nil: // it is going already
		return ""
	case now == nil && (modeRank(was) > 0 || marked):
		return "delete a protected namespace"
	case now == nil:
		return ""
	case modeRank(now) < modeRank(was):
		if _, ok := now.Labels[labelMode]; !ok {
			return fmt.Sprintf("take the label %s: %s off the namespace", labelMode, clean(was.Labels[labelMode], 63))
		}
		return fmt.Sprintf("lower %s from %q to %q", labelMode, clean(was.Labels[labelMode], 63), clean(now.Labels[labelMode], 63))
	case marked && now.Labels[labelQuarantine] != quarantine:
		return "take the label " + labelQuarantine + " off the namespace"
	}
	return ""
}

// modeRank orders the modes of namespaces as the entries of the webhook select
// them. A value that is no mode enforces: a typing error must not switch
// protection off.
func modeRank(ns *corev1.Namespace) int {
	mode, ok := ns.Labels[labelMode]
	switch {
	case !ok:
		return 0
	case mode == string(v1alpha1.ModeAudit):
		return 1
	case mode == string(v1alpha1.ModeWarn):
		return 2
	}
	return 3
}
