package admission

import (
	"context"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/json"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// guardArtefact protects what a Quarantine has put in place, wherever it
// stands: it changes and goes only while the Quarantine is being released, or
// by who has broken the glass.
func (h *handler) guardArtefact(ctx context.Context, req *request, snap *policy.Snapshot) (*denial, error) {
	switch {
	case req.Operation != admissionv1.Update && req.Operation != admissionv1.Delete, req.SubResource != "",
		req.Kind.Group == v1alpha1.GroupVersion.Group, req.Kind.Kind == "Pod", req.Kind.Kind == "Namespace",
		req.UserInfo.Username == h.Self && h.Self != "":
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	}
	open := snap.OpenQuarantines()
	if len(open) == 0 {
		return nil, nil //nolint:nilnil // as above
	}
	was, err := partial(req, req.OldObject.Raw, "oldObject")
	if err != nil || was == nil || was.Labels[labelQuarantine] == "" {
		return nil, err
	}
	now, err := partial(req, req.Object.Raw, "object")
	if err != nil || now != nil && equality.Semantic.DeepEqual(now.Labels, was.Labels) && sameSpecText(req) {
		return nil, err
	}
	for _, q := range open {
		if policy.Marker(q) != was.Labels[labelQuarantine] && q.Name != was.Labels[labelQuarantine] || q.Status.Phase == v1alpha1.QuarantineReleasing {
			continue
		}
		ok, err := h.mayTouch(ctx, req, q, now != nil)
		if err != nil {
			return nil, err
		}
		if !ok {
			return guard("it isolates DFSP %q (Quarantine %s/%s) and stays as it is until the release: `kubectl mojasec release dfsp/%s`; in an emergency record spec.breakglass on the Quarantine first", q.Spec.DFSP, q.Namespace, q.Name, q.Spec.DFSP), nil
		}
	}
	return nil, nil //nolint:nilnil // as above
}

// mayTouch tells whether the user may change what a Quarantine has put in
// place: whoever broke the glass, and a responder while layers are still being
// applied.
func (h *handler) mayTouch(ctx context.Context, req *request, q *v1alpha1.Quarantine, update bool) (bool, error) {
	if b := q.Spec.Breakglass; b != nil && b.User == req.UserInfo.Username && h.Now().Before(b.Until.Time) {
		return h.may(ctx, req, verbBreakglass, ResourceAttributes{"quarantines", q.Namespace, q.Name})
	}
	switch q.Status.Phase {
	case "", v1alpha1.QuarantineApplying, v1alpha1.QuarantinePartial:
		if update {
			return h.may(ctx, req, verbRespond, ResourceAttributes{"quarantines", q.Namespace, q.Name})
		}
	default:
	}
	return false, nil
}

// sameSpecText tells whether an update leaves all but metadata and status of an
// object of any kind as it was.
func sameSpecText(req *request) bool {
	var now, was map[string]any
	if json.UnmarshalCaseSensitivePreserveInts(req.Object.Raw, &now) != nil || json.UnmarshalCaseSensitivePreserveInts(req.OldObject.Raw, &was) != nil {
		return false
	}
	for _, tree := range []map[string]any{now, was} {
		delete(tree, "metadata")
		delete(tree, "status")
		delete(tree, "apiVersion")
	}
	return reflect.DeepEqual(now, was)
}
