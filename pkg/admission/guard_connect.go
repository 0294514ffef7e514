package admission

import (
	"context"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// validateConnect lets nobody but responders into the pods of a quarantined
// DFSP: exec, attach, port-forward and proxy, by way of a Service too.
func (h *handler) validateConnect(ctx context.Context, req *request) (admission.Response, error) {
	snap, err := h.snapshot()
	if err != nil {
		return admission.Response{}, err
	}
	if req.Operation != admissionv1.Connect || req.Namespace == "" {
		return h.guarded(req, nil), nil
	}
	list, err := h.reached(req, snap)
	if err != nil {
		return admission.Response{}, err
	}
	q, err := h.mayRespond(ctx, req, list)
	if err != nil || q == nil {
		return h.guarded(req, nil), err
	}
	return h.guarded(req, guard("DFSP %q is quarantined (Quarantine %s/%s), and %q may not work on it: that takes the verb `respond` on that Quarantine", q.Spec.DFSP, q.Namespace, q.Name, req.UserInfo.Username)), nil
}

// reached lists the Quarantines of the pods that a connection would reach. What
// cannot be found is taken for a pod of any of them.
func (h *handler) reached(req *request, snap *policy.Snapshot) ([]*v1alpha1.Quarantine, error) {
	// pods/proxy and services/proxy take [scheme:]name[:port].
	_, name, _, ok := utilnet.SplitSchemeNamePort(req.Name)
	if !ok {
		return h.held(snap, req.Namespace, nil)
	}
	if req.Resource.Resource != "services" {
		return h.held(snap, req.Namespace, snap.Pod(req.Namespace, name))
	}
	svc := snap.Service(req.Namespace, name)
	if svc == nil || len(svc.Spec.Selector) == 0 {
		return h.held(snap, req.Namespace, nil) // its endpoints may be anybody's
	}
	selector := labels.SelectorFromSet(svc.Spec.Selector)
	var all []*v1alpha1.Quarantine
	for _, w := range snap.Workloads(req.Namespace) {
		if !selector.Matches(labels.Set(w.Labels)) {
			continue
		}
		list, err := h.held(snap, req.Namespace, w)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}
