package admission

import (
	"context"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/policy"
)

// validate judges what enters a protected namespace, and everything of
// mojasec's own.
func (h *handler) validate(ctx context.Context, req *request) (admission.Response, error) {
	return h.admit(ctx, req, false)
}

// validateWarn judges what enters a namespace in mode warn or audit. It refuses
// nothing.
func (h *handler) validateWarn(ctx context.Context, req *request) (admission.Response, error) {
	return h.admit(ctx, req, true)
}

func (h *handler) admit(ctx context.Context, req *request, lenient bool) (admission.Response, error) {
	snap, err := h.snapshot()
	if err != nil {
		return admission.Response{}, err
	}
	if !lenient {
		if denial, err := h.guardArtefact(ctx, req, snap); err != nil || denial != nil {
			return h.guarded(req, denial), err
		}
	}
	k, ok := kindOf(req)
	if !ok || req.Operation == admissionv1.Connect {
		resp := admission.Allowed("")
		resp.AuditAnnotations = map[string]string{"not-judged": clean("no rule is about "+req.Kind.Kind+" of group "+req.Kind.Group, maxAudit)}
		return resp, nil
	}
	rv, err := read(req, k)
	if err != nil {
		return admission.Response{}, err
	}
	switch {
	case req.Operation != admissionv1.Delete && rv.object == nil:
		return admission.Response{}, badRequest("decode object: a %s has none", req.Operation)
	case req.Operation == admissionv1.Delete && rv.old == nil:
		return admission.Response{}, badRequest("decode oldObject: a DELETE has none")
	}
	if !k.cluster && k.family != own && !lenient {
		if snap, err = h.freshNamespace(ctx, req, snap); err != nil {
			return admission.Response{}, err
		}
	}
	var v *verdict
	switch k.family {
	case pod:
		v, err = h.reviewPod(ctx, rv, snap, lenient)
	case podMaker:
		v, err = h.reviewMaker(ctx, rv, snap, lenient)
	case posture:
		v, err = h.reviewPosture(ctx, rv, snap, lenient)
	case own:
		v, err = h.reviewOwn(ctx, rv, snap)
	case binding:
		v = h.reviewBinding(rv, snap)
	case scaler:
		v, err = h.reviewScaler(ctx, rv, snap)
	}
	if err != nil {
		return admission.Response{}, err
	}
	h.report(req, v)
	return v.response(req), nil
}

// guarded is the answer to a request that a guard has judged.
func (h *handler) guarded(req *request, d *denial) admission.Response {
	if d == nil {
		return admission.Allowed("")
	}
	v := verdict{ref: refOf(req), denials: []denial{*d}}
	return v.response(req)
}

// refOf names the object of a request by the request alone.
func refOf(req *request) policy.Ref {
	version := req.Kind.Version
	if req.Kind.Group != "" {
		version = req.Kind.Group + "/" + version
	}
	return policy.Ref{APIVersion: version, Kind: req.Kind.Kind, Namespace: req.Namespace, Name: req.Name}
}

// subject is the object of a request as the rules see it.
func (rv *review) subject() policy.Input {
	in := policy.Input{Object: rv.object, Raw: rv.raw}
	if rv.old != nil {
		in.Old = rv.old
	}
	return in
}

// before is the object as it was; ok is false when there was none.
func (rv *review) before() (in policy.Input, ok bool) {
	if rv.old == nil || rv.Operation != admissionv1.Update {
		return policy.Input{}, false
	}
	return policy.Input{Object: rv.old, Raw: rv.oldRaw}, true
}
