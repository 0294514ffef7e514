package admission

import (
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/mojasec/mojasec/pkg/policy"
)

// transitional are checks that no change of one object can keep: a new key is
// either signed with or published first, and a quarantine takes a key from its
// peers on purpose. What breaks them warns.
var transitional = []policy.ID{"jws-key-pair-match", "jws-verification-keys-mounted"}

// reviewPosture judges an object that others depend on: by itself, and by what
// would become of the workloads that are there.
func (h *handler) reviewPosture(ctx context.Context, rv *review, snap *policy.Snapshot, lenient bool) (*verdict, error) {
	switch {
	case rv.SubResource != "":
		return &verdict{}, nil
	case rv.Operation == admissionv1.Delete && snap.Terminating(rv.Namespace):
		return &verdict{}, nil // a namespace must come to its end
	case rv.Operation == admissionv1.Update && rv.old != nil && samePosture(rv):
		return &verdict{}, nil
	}
	return h.decide(ctx, snap, lenient, func(snap *policy.Snapshot, checks []policy.Check) (*verdict, error) {
		if rv.old != nil {
			snap = snap.With(rv.old) // what is known may be older than the request
		}
		after := rv.applied(snap)
		v := &verdict{ref: refOf(rv.request)}
		if rv.Operation != admissionv1.Delete {
			v = h.reviewOne(rv, after, checks, true, lenient)
		}
		namespaces := affected(rv, snap, after)
		was, now := policy.ReviewWorkloads(checks, snap, namespaces), policy.ReviewWorkloads(checks, after, namespaces)
		v.consequences(&was, &now, lenient)
		if rv.Kind.Kind == "VirtualService" {
			v.gateways(rv, checks, snap, after, lenient)
		}
		return v, nil
	})
}

// applied is what would be known after the request.
func (rv *review) applied(snap *policy.Snapshot) *policy.Snapshot {
	if rv.Operation == admissionv1.Delete {
		return snap.Without(policy.RefOf(rv.old))
	}
	return snap.With(rv.object)
}

// samePosture tells whether an update changes nothing that rules read.
func samePosture(rv *review) bool {
	if !equality.Semantic.DeepEqual(rv.object.GetLabels(), rv.old.GetLabels()) ||
		!equality.Semantic.DeepEqual(rv.object.GetAnnotations(), rv.old.GetAnnotations()) {
		return false
	}
	if rv.raw != nil {
		return equality.Semantic.DeepEqual(rv.raw["spec"], rv.oldRaw["spec"])
	}
	switch now := rv.object.(type) {
	case *corev1.Secret:
		was, ok := rv.old.(*corev1.Secret)
		return ok && now.Type == was.Type && equality.Semantic.DeepEqual(now.Data, was.Data) && equality.Semantic.DeepEqual(now.StringData, was.StringData)
	case *corev1.ConfigMap:
		was, ok := rv.old.(*corev1.ConfigMap)
		return ok && equality.Semantic.DeepEqual(now.Data, was.Data) && equality.Semantic.DeepEqual(now.BinaryData, was.BinaryData)
	case *networkingv1.NetworkPolicy:
		was, ok := rv.old.(*networkingv1.NetworkPolicy)
		return ok && equality.Semantic.DeepEqual(now.Spec, was.Spec)
	}
	return false
}

// affected lists the namespaces whose workloads an object may matter to; nil
// for all of them.
func affected(rv *review, snap, after *policy.Snapshot) []string {
	own := []string{rv.Namespace}
	if rv.Namespace == snap.MeshRoot() {
		return nil
	}
	var data *policy.Data
	switch rv.Kind.Kind {
	case "DestinationRule", "VirtualService", "Gateway":
		return nil
	case "Secret":
		data, _ = after.Secret(rv.Namespace, rv.name())
		if data == nil {
			data, _ = snap.Secret(rv.Namespace, rv.name())
		}
	case "ConfigMap":
		data, _ = after.ConfigMap(rv.Namespace, rv.name())
		if data == nil {
			data, _ = snap.ConfigMap(rv.Namespace, rv.name())
		}
	}
	// The public keys that peers hold are those of DFSPs anywhere.
	if data != nil && slices.ContainsFunc(data.Entries, func(e policy.Entry) bool { return len(e.Keys)+len(e.Hidden) > 0 }) {
		return nil
	}
	return own
}

// name is that of the object; a request that deletes many may have none.
func (rv *review) name() string {
	for _, o := range []object{rv.object, rv.old} {
		if o != nil && o.GetName() != "" {
			return o.GetName()
		}
	}
	return rv.Name
}

// offence is a check that a workload fails.
type offence struct {
	check policy.ID
	ref   policy.Ref
}

// offences counts the findings that refuse, for each check and workload.
func offences(r *policy.Report, counts func(f *policy.Finding) bool) map[offence]int {
	out := map[offence]int{}
	for i := range r.Findings {
		if f := &r.Findings[i]; counts(f) {
			out[offence{r.Check(f.Pair).ID, r.Subject(f.Pair).Ref}]++
		}
	}
	return out
}

func refuses(f *policy.Finding) bool { return f.Action == policy.ActionDeny && !f.Waived }

// consequences files what a change would do to workloads that are there. A
// workload that fails a check now may go on failing it: only more is new.
func (v *verdict) consequences(was, now *policy.Report, lenient bool) {
	v.worse(was, now, lenient, refuses)
}

func (v *verdict) worse(was, now *policy.Report, lenient bool, counts func(f *policy.Finding) bool) {
	before, after := offences(was, counts), offences(now, counts)
	hit := map[policy.ID][]policy.Ref{}
	first := map[policy.ID]*policy.Finding{}
	for i := range now.Findings {
		f := &now.Findings[i]
		o := offence{now.Check(f.Pair).ID, now.Subject(f.Pair).Ref}
		if !counts(f) || after[o] <= before[o] || slices.Contains(hit[o.check], o.ref) {
			continue
		}
		hit[o.check] = append(hit[o.check], o.ref)
		if first[o.check] == nil {
			first[o.check] = f
		}
	}
	for i := range now.Checks {
		check := &now.Checks[i]
		f := first[check.ID]
		if f == nil {
			continue
		}
		text := fmt.Sprintf("%s: %q would no longer hold for %s: %s", check.ID, check.Title, listNames(makers(hit[check.ID])), f.Detail)
		if lenient || slices.Contains(transitional, check.ID) {
			v.warn(text)
			v.count(check.ID, "warn")
			continue
		}
		v.denials = append(v.denials, denial{check.ID, text + fixOf(f.Fix), fieldOf(f)})
		v.count(check.ID, "deny")
	}
}

// makers names workloads: those that people know where there are any, else
// their pods.
func makers(refs []policy.Ref) []string {
	byPeople := slices.DeleteFunc(slices.Clone(refs), func(r policy.Ref) bool { return r.Kind == "Pod" || r.Kind == "ReplicaSet" })
	if len(byPeople) == 0 {
		byPeople = refs
	}
	names := make([]string, 0, len(byPeople))
	for _, r := range byPeople {
		names = append(names, r.String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// gateways files what a VirtualService does to Gateways: it may open one that
// asks nobody for a certificate to a Mojaloop service. Their own namespace may
// have no mode; that of the VirtualService has.
func (v *verdict) gateways(rv *review, checks []policy.Check, snap, after *policy.Snapshot, lenient bool) {
	if mode, presence := snap.Mode(rv.Namespace); presence == policy.Present && mode != policy.ModeEnforce {
		return
	}
	review := func(snap *policy.Snapshot) policy.Report {
		var inputs []policy.Input
		for _, g := range snap.Gateways() {
			inputs = append(inputs, policy.Input{Object: g})
		}
		return policy.Review(checks, inputs, snap, false)
	}
	was, now := review(snap), review(after)
	v.worse(&was, &now, lenient, func(f *policy.Finding) bool {
		return f.Severity == policy.Error && !f.Waived && after.CheckMode(now.Check(f.Pair).ID) == policy.ModeEnforce
	})
}
