package admission

import (
	"context"
	"slices"

	"github.com/mojasec/mojasec/pkg/policy"
)

// maxReread bounds the look-ups of one review.
const maxReread = 32

// facts is a set in the order of its making.
type facts struct{ list []policy.Fact }

func (f *facts) add(fact policy.Fact) {
	if len(f.list) < maxReread && !slices.Contains(f.list, fact) {
		f.list = append(f.list, fact)
	}
}

// reread looks for what was absent; that it cannot be found out is an HTTP 500.
func (h *handler) reread(ctx context.Context, snap *policy.Snapshot, absent []policy.Fact) (*policy.Snapshot, bool, error) {
	next, found, err := h.Knowledge.Reread(ctx, snap, absent)
	if err != nil {
		return nil, false, couldNotCheck("%v", err)
	}
	if !found || next == nil {
		return snap, false, nil
	}
	return next.At(snap.Now()), true, nil
}

// freshNamespace makes sure that the namespace of a request is known as the API
// server knows it. The entries of the webhook select namespaces by labels: one
// that seems to have none of them has just been labelled.
func (h *handler) freshNamespace(ctx context.Context, req *request, snap *policy.Snapshot) (*policy.Snapshot, error) {
	if req.Namespace == "" || req.Namespace == snap.MeshRoot() {
		return snap, nil
	}
	labels, presence := snap.Namespace(req.Namespace)
	if presence == policy.Present {
		if mode, _ := snap.Mode(req.Namespace); mode == policy.ModeEnforce || labels[labelQuarantine] != "" {
			return snap, nil
		}
	}
	next, _, err := h.reread(ctx, snap, []policy.Fact{{Kind: policy.FactNamespace, Name: req.Namespace}})
	return next, err
}

// judge makes a verdict of a Snapshot by some of the checks.
type judge func(snap *policy.Snapshot, checks []policy.Check) (*verdict, error)

// decide makes a verdict. Before it refuses it looks again for all that the
// refusal found absent: what is known is behind the cluster by a moment, and
// kubectl sends a Secret and the pod that reads it in one breath.
func (h *handler) decide(ctx context.Context, snap *policy.Snapshot, lenient bool, judge judge) (*verdict, error) {
	v, err := judge(snap, h.checks)
	if err != nil {
		return nil, err
	}
	for range 3 { // what is found may name what is absent in turn
		if len(v.denials) == 0 || lenient {
			break
		}
		var absent facts
		if _, err := judge(snap.Tracking(absent.add), v.denied(h.checks)); err != nil {
			return nil, err
		}
		if len(absent.list) == 0 {
			break
		}
		next, found, err := h.reread(ctx, snap, absent.list)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		before := v.denials
		if v, err = judge(next, h.checks); err != nil {
			return nil, err
		}
		if slices.Equal(v.denials, before) {
			break // it was about something else
		}
		snap = next
	}
	switch {
	case v.unread == "" || len(v.denials) > 0:
	case lenient:
		v.warn("could not check: " + v.unread)
	default:
		return nil, couldNotCheck("%s: %s", clean(v.ref.String(), maxLine), v.unread)
	}
	return v, nil
}
