package admission

import (
	"context"
	"reflect"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// guardQuarantine holds people to the record: who opened, who asked for the
// release, who approved it, who broke the glass. The schema of the kind cannot,
// because it knows no user.
func (h *handler) guardQuarantine(ctx context.Context, rv *review, snap *policy.Snapshot) (*denial, error) {
	now, _ := rv.object.(*v1alpha1.Quarantine)
	was, _ := rv.old.(*v1alpha1.Quarantine)
	switch {
	case rv.Operation == admissionv1.Delete && was != nil:
		return h.guardQuarantineEnd(ctx, rv, was, snap)
	case now == nil:
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	case rv.SubResource == "status":
		return h.guardQuarantineStatus(rv, now, was), nil
	case rv.SubResource != "":
		return nil, nil //nolint:nilnil // as above
	}
	if d := recordOf(rv, now, was); d != nil {
		return d, nil
	}
	if d, err := h.guardRelease(ctx, rv, now, was); d != nil || err != nil {
		return d, err
	}
	return h.guardBreakglass(ctx, rv, now, was)
}

// recordOf keeps what was asked for from being rewritten or weakened.
func recordOf(rv *review, now, was *v1alpha1.Quarantine) *denial {
	user := rv.UserInfo.Username
	if was == nil {
		if now.Spec.OpenedBy != user {
			return guard("spec.openedBy is %q and the user is %q: it must be who opens the quarantine; `kubectl mojasec quarantine` fills it in", now.Spec.OpenedBy, user)
		}
		return nil
	}
	switch {
	case now.Spec.DFSP != was.Spec.DFSP:
		return guard("spec.dfsp cannot be changed: open another Quarantine for another DFSP")
	case now.Spec.OpenedBy != was.Spec.OpenedBy || now.Spec.Reason != was.Spec.Reason:
		return guard("spec.openedBy and spec.reason cannot be changed: they are part of the record")
	case modeOrder(now.Spec.Mode) < modeOrder(was.Spec.Mode):
		return guard("spec.mode can be raised, not lowered from %s to %s: release the DFSP instead: `kubectl mojasec release dfsp/%s`", was.Spec.Mode, now.Spec.Mode, was.Spec.DFSP)
	case was.Spec.PatchPolicies && !now.Spec.PatchPolicies, was.Spec.HubDisable && !now.Spec.HubDisable, !includes(now, was):
		return guard("patchPolicies, hubDisable and include can be added to, not taken back: release the DFSP instead: `kubectl mojasec release dfsp/%s`", was.Spec.DFSP)
	}
	return nil
}

func modeOrder(m v1alpha1.QuarantineMode) int {
	switch m {
	case v1alpha1.QuarantineObserve:
		return 0
	case v1alpha1.QuarantineLockdown:
		return 2
	default:
		return 1
	}
}

func includes(now, was *v1alpha1.Quarantine) bool {
	have := map[v1alpha1.WorkloadRef]bool{}
	for _, ref := range now.Spec.Include {
		have[ref] = true
	}
	for _, ref := range was.Spec.Include {
		if !have[ref] {
			return false
		}
	}
	return true
}

// guardRelease takes two people: one asks, another one approves.
func (h *handler) guardRelease(ctx context.Context, rv *review, now, was *v1alpha1.Quarantine) (*denial, error) {
	var before, after v1alpha1.QuarantineRelease
	if was != nil && was.Spec.Release != nil {
		before = *was.Spec.Release
	}
	if now.Spec.Release != nil {
		after = *now.Spec.Release
	}
	user := rv.UserInfo.Username
	switch {
	case after == before:
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	case was == nil:
		return guard("spec.release is set on a Quarantine that is being opened: a release comes later"), nil
	case before.RequestedBy != "" && (after.RequestedBy != before.RequestedBy || after.Reason != before.Reason),
		before.ApprovedBy != "" && after.ApprovedBy != before.ApprovedBy:
		return guard("spec.release cannot be changed: it is part of the record"), nil
	case before.RequestedBy == "" && after.RequestedBy != user:
		return guard("spec.release.requestedBy is %q and the user is %q: it must be who asks for the release; `kubectl mojasec release` fills it in", after.RequestedBy, user), nil
	case after.ApprovedBy == before.ApprovedBy:
		return nil, nil //nolint:nilnil // as above
	case after.ApprovedBy != user:
		return guard("spec.release.approvedBy is %q and the user is %q: it must be who approves", after.ApprovedBy, user), nil
	case after.ApprovedBy == was.Spec.OpenedBy || after.ApprovedBy == after.RequestedBy:
		return guard("%q opened the quarantine or asked for its release, so somebody else has to approve: `kubectl mojasec release dfsp/%s --approve`", user, now.Spec.DFSP), nil
	}
	ok, err := h.may(ctx, rv.request, verbApprove, ResourceAttributes{"quarantines", now.Namespace, now.Name})
	if err != nil || ok {
		return nil, err
	}
	return guard("%q may not approve: that takes the verb `approve` on quarantines.mojasec.io", user), nil
}

// maxBreakglass is how long the glass may stay broken.
const maxBreakglass = time.Hour

// guardBreakglass lets a user break the glass for himself, for an hour.
func (h *handler) guardBreakglass(ctx context.Context, rv *review, now, was *v1alpha1.Quarantine) (*denial, error) {
	var before *v1alpha1.Breakglass
	if was != nil {
		before = was.Spec.Breakglass
	}
	after, user := now.Spec.Breakglass, rv.UserInfo.Username
	switch {
	case sameBreakglass(before, after):
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	case after == nil:
		return guard("spec.breakglass cannot be removed: it is part of the record; to end it, set until to now"), nil
	case after.User != user:
		return guard("spec.breakglass.user is %q and the user is %q: everybody breaks the glass for himself", after.User, user), nil
	case after.Until.After(h.Now().Add(maxBreakglass)):
		return guard("spec.breakglass.until is more than an hour from now"), nil
	}
	ok, err := h.may(ctx, rv.request, verbBreakglass, ResourceAttributes{"quarantines", now.Namespace, now.Name})
	if err != nil || ok {
		return nil, err
	}
	return guard("%q may not break the glass: that takes the verb `breakglass` on quarantines.mojasec.io", user), nil
}

func sameBreakglass(a, b *v1alpha1.Breakglass) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.User == b.User && a.Reason == b.Reason && a.Until.Equal(&b.Until)
}

// guardQuarantineEnd keeps a Quarantine that stands: deleting it releases
// nobody, and loses the record.
func (h *handler) guardQuarantineEnd(ctx context.Context, rv *review, was *v1alpha1.Quarantine, snap *policy.Snapshot) (*denial, error) {
	if was.Status.Phase == v1alpha1.QuarantineReleased || snap.Terminating(rv.Namespace) {
		return nil, nil //nolint:nilnil // nil says that nothing is in the way
	}
	if b := was.Spec.Breakglass; b != nil && b.User == rv.UserInfo.Username && h.Now().Before(b.Until.Time) {
		ok, err := h.may(ctx, rv.request, verbBreakglass, ResourceAttributes{"quarantines", was.Namespace, was.Name})
		if err != nil || ok {
			return nil, err
		}
	}
	return guard("DFSP %q is quarantined: release it first with `kubectl mojasec release dfsp/%s`; in an emergency record spec.breakglass on the Quarantine first", was.Spec.DFSP, was.Spec.DFSP), nil
}

// guardQuarantineStatus leaves the phase and the layers to the webhook itself.
// Others add where the evidence is, once.
func (h *handler) guardQuarantineStatus(rv *review, now, was *v1alpha1.Quarantine) *denial {
	if h.Self != "" && rv.UserInfo.Username == h.Self {
		return nil
	}
	after, before := now.Status, v1alpha1.QuarantineStatus{}
	if was != nil {
		before = was.Status
	}
	if before.Evidence == nil {
		after.Evidence, before.Evidence = nil, nil
	}
	if reflect.DeepEqual(after, before) {
		return nil
	}
	return guard("the status of a Quarantine is written by mojasec alone, which has seen what it says; to release the DFSP: `kubectl mojasec release dfsp/%s`", now.Spec.DFSP)
}
