package admission

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

const (
	labelMode       = v1alpha1.LabelMode
	labelQuarantine = v1alpha1.LabelQuarantine
)

// guard makes a reason to refuse of a sentence and what to do instead.
func guard(format string, args ...any) *denial { return &denial{text: fmt.Sprintf(format, args...)} }

func guardVerdict(rv *review, d *denial) *verdict {
	v := &verdict{ref: refOf(rv.request)}
	if rv.Name == "" {
		v.ref.Name = rv.name()
	}
	if d != nil {
		v.denials = append(v.denials, *d)
	}
	return v
}

// reviewOwn judges the objects of mojasec itself, and namespaces.
func (h *handler) reviewOwn(ctx context.Context, rv *review, snap *policy.Snapshot) (*verdict, error) {
	var d *denial
	var err error
	switch rv.Kind.Kind {
	case "Namespace":
		d, err = h.guardNamespace(ctx, rv, snap)
	case "Profile":
		return h.reviewProfile(ctx, rv, snap)
	case "Quarantine":
		d, err = h.guardQuarantine(ctx, rv, snap)
	case "Rotation":
		d = guardRotation(rv, snap)
	}
	if err != nil || d != nil || rv.Operation == admissionv1.Delete || rv.SubResource != "" {
		return guardVerdict(rv, d), err
	}
	return h.decide(ctx, snap, false, func(snap *policy.Snapshot, checks []policy.Check) (*verdict, error) {
		return h.reviewOne(rv, snap.With(rv.object), checks, true, false), nil
	})
}

// held lists the Quarantines that a workload may belong to. Where nobody can
// tell whose it is, that is all of them.
func (h *handler) held(snap *policy.Snapshot, ns string, w *policy.Workload) ([]*v1alpha1.Quarantine, error) {
	if reason := snap.Unread(policy.FactQuarantine, ns); reason != "" {
		return nil, couldNotCheck("Quarantines of namespace %q: %s", ns, reason)
	}
	open, presence := snap.Quarantines(ns)
	if presence != policy.Present {
		return nil, nil
	}
	if w != nil {
		switch q, presence, _ := snap.HeldBy(w); presence {
		case policy.Present:
			return []*v1alpha1.Quarantine{q}, nil
		case policy.Absent:
			return nil, nil
		case policy.Unknown:
		}
	}
	var all []*v1alpha1.Quarantine
	for _, q := range open {
		if q.Spec.Mode != v1alpha1.QuarantineObserve {
			all = append(all, q)
		}
	}
	return all, nil
}

// mayRespond returns the first Quarantine in which the user may not work.
func (h *handler) mayRespond(ctx context.Context, req *request, list []*v1alpha1.Quarantine) (*v1alpha1.Quarantine, error) {
	for _, q := range list {
		ok, err := h.may(ctx, req, verbRespond, ResourceAttributes{"quarantines", q.Namespace, q.Name})
		if err != nil {
			return nil, err
		}
		if !ok {
			return q, nil
		}
	}
	return nil, nil //nolint:nilnil // nil says that none is in the way
}
