package policy

import (
	"slices"

	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// CheckMode returns the Profile's mode for a check.
func (s *Snapshot) CheckMode(id ID) Mode { return s.profile.mode(id) }

// MeshRoot is the namespace whose policies count for the whole mesh.
func (s *Snapshot) MeshRoot() string { return s.mesh.root }

// Terminating tells whether a namespace is being deleted.
func (s *Snapshot) Terminating(ns string) bool {
	sh := s.shard(ns)
	return sh != nil && sh.namespace != nil &&
		(sh.namespace.DeletionTimestamp != nil || sh.namespace.Status.Phase == corev1.NamespaceTerminating)
}

// Workloads returns what is known of the pods and pod makers of a namespace,
// ordered by name. Pods of a cluster that are all alike are one Workload, called
// "generateName*". Nobody may change them.
func (s *Snapshot) Workloads(ns string) []*Workload {
	members := s.workloads(ns)
	out := make([]*Workload, len(members))
	for i := range members {
		out[i] = members[i].Workload
	}
	return out
}

// Pod returns what is known of a pod by its name; nil when there is none of that
// name. The Ref of the Workload may be that of all pods like it.
func (s *Snapshot) Pod(ns, name string) *Workload {
	sh := s.shard(ns)
	if sh == nil {
		return nil
	}
	probe := &Workload{Ref: Ref{Kind: "Pod", Namespace: ns, Name: name}}
	if key := sh.pods.find(name); key != nil {
		probe = &Workload{Ref: key.ref, pods: key}
	}
	if i, found := slices.BinarySearchFunc(sh.workloads, member{Workload: probe}, compareMembers); found {
		return sh.workloads[i].Workload
	}
	return nil
}

// Service returns a Service by name; nil when none of that name is known.
func (s *Snapshot) Service(ns, name string) *corev1.Service {
	if sh := s.shard(ns); sh != nil {
		for _, svc := range sh.services {
			if svc.Name == name {
				return svc
			}
		}
	}
	return nil
}

// Gateways returns the Istio Gateways of all namespaces. Nobody may change
// them.
func (s *Snapshot) Gateways() []*istionetworkingv1.Gateway {
	var all []*istionetworkingv1.Gateway
	for _, sh := range s.shardsInOrder() {
		all = append(all, sh.gateways...)
	}
	return all
}

// OpenQuarantines returns the Quarantines of all namespaces that are not
// released. Nobody may change them.
func (s *Snapshot) OpenQuarantines() []*v1alpha1.Quarantine {
	var open []*v1alpha1.Quarantine
	for _, sh := range s.shardsInOrder() {
		for _, q := range sh.quarantines {
			if q.Status.Phase != v1alpha1.QuarantineReleased {
				open = append(open, q)
			}
		}
	}
	return open
}

// Enforced tells whether any namespace is in mode enforce.
func (s *Snapshot) Enforced() bool {
	for _, sh := range s.shardsInOrder() {
		if sh.namespace == nil {
			continue
		}
		if mode, presence := s.Mode(sh.name); presence == Present && mode == ModeEnforce {
			return true
		}
	}
	return false
}
