package admission

import (
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// guardRotation keeps the record of a key that is being replaced: without it
// nobody can finish or undo the work.
func guardRotation(rv *review, snap *policy.Snapshot) *denial {
	if rv.Operation == admissionv1.Create {
		if r, ok := rv.object.(*v1alpha1.Rotation); ok && r.Spec.RequestedBy != rv.UserInfo.Username {
			return guard("spec.requestedBy is %q and the user is %q: it must be who starts the rotation; `kubectl mojasec rotate` fills it in", clean(r.Spec.RequestedBy, 253), rv.UserInfo.Username)
		}
		return nil
	}
	was, ok := rv.old.(*v1alpha1.Rotation)
	if rv.Operation != admissionv1.Delete || !ok || snap.Terminating(rv.Namespace) {
		return nil
	}
	switch was.Status.Phase {
	case v1alpha1.RotationRunning, v1alpha1.RotationRollingBack, v1alpha1.RotationStopped:
		return guard("the rotation is in phase %s, and its record is what it goes on from: finish or undo it first with `kubectl mojasec rotate resume`, `rotate abort` or `rotate rollback`", was.Status.Phase)
	default:
	}
	return nil
}
