package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func failedOrPassed(found []Violation) Result {
	if len(found) > 0 {
		return failed(found...)
	}
	return passed()
}

// host is a name in DNS, resolved as Istio does: a name without dots belongs to
// the namespace of the object it stands in.
type host struct {
	name      string // of the service; "*" for all
	namespace string // "*" for all
}

// parseHost reads the host of a DestinationRule or VirtualService. It returns
// false for hosts outside the cluster.
func (s *Snapshot) parseHost(text, ns string) (host, bool) {
	suffix := ".svc." + s.profile.ClusterDomain
	switch {
	case text == "":
		return host{}, false
	case text == "*" || text == "*.local" || text == "*."+s.profile.ClusterDomain || text == "*"+suffix:
		return host{"*", "*"}, true
	case !strings.Contains(text, "."):
		return host{text, ns}, true
	}
	name, ok := strings.CutSuffix(text, suffix)
	if !ok {
		return host{}, false
	}
	service, namespace, ok := strings.Cut(name, ".")
	if !ok || strings.Contains(namespace, ".") {
		// *.something.svc… that is no namespace, or a pod of a headless service.
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			return host{"*", name[i+1:]}, true
		}
		return host{}, false
	}
	return host{service, namespace}, true
}

// covers tells whether one host takes in another.
func (h host) covers(o host) bool {
	return (h.namespace == "*" || h.namespace == o.namespace) && (h.name == "*" || h.name == o.name)
}

// isInMesh tells whether a host stands for a Mojaloop workload that takes part
// in the mesh. Without a Service that says otherwise a host belongs to the
// workloads of its namespace, except to a datastore of that name.
func (s *Snapshot) isInMesh(h host) (bool, Presence) {
	known := false
	for _, sh := range s.shardsInOrder() {
		if h.namespace != "*" && sh.name != h.namespace {
			continue
		}
		for _, w := range sh.workloads {
			known = true
			if w.Role.Mojaloop() && s.enrolment(w).state != meshNone && s.serves(sh, w, h.name) {
				return true, Present
			}
		}
	}
	if known || !s.incomplete(FactService) {
		return false, Present
	}
	return false, Unknown
}

// serves tells whether a workload may be behind the service name.
func (s *Snapshot) serves(sh *shard, w *Workload, name string) bool {
	if name == "*" {
		return true
	}
	for _, svc := range sh.services {
		if svc.Name == name {
			return len(svc.Spec.Selector) > 0 && isSubset(svc.Spec.Selector, w.Labels)
		}
	}
	// No Service given. A datastore that goes by this name is not in the mesh.
	for _, o := range sh.workloads {
		if o.Role == RoleDatastore && (o.Ref.Name == name || o.Labels[labelAppName] == name || o.Component == name) {
			return false
		}
	}
	_, datastore := components[name]
	return !datastore || components[name].role != RoleDatastore
}
