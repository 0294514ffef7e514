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
// the namespace of the object it stands in. A part that starts with "*" stands
// for all that end with the rest.
type host struct {
	name      string // of the service; "*" for all
	namespace string // "*" for all
}

// parseHost reads the host of a DestinationRule or VirtualService. It returns
// false for hosts outside the cluster.
func (s *Snapshot) parseHost(text, ns string) (host, bool) {
	suffix := ".svc." + s.profile.ClusterDomain
	text = strings.TrimSuffix(strings.ToLower(text), ".") // names in DNS
	tail, wild := strings.CutPrefix(text, "*")
	switch {
	case text == "":
		return host{}, false
	case wild && strings.HasSuffix(suffix, tail): // also *luster.local
		return host{"*", "*"}, true
	case !strings.Contains(text, "."):
		return host{text, ns}, true
	}
	name, ok := strings.CutSuffix(text, suffix)
	if !ok {
		return host{}, false
	}
	i := strings.LastIndexByte(name, '.')
	switch {
	case i < 0 && wild: // *loop.svc…: of all namespaces that end so
		return host{"*", name}, true
	case i < 0:
		return host{}, false
	case strings.Contains(name[:i], "."): // a pod of a headless service
		return host{"*", name[i+1:]}, true
	}
	return host{name[:i], name[i+1:]}, true
}

// covers tells whether one host takes in another.
func (h host) covers(o host) bool {
	return matchesName(h.namespace, o.namespace) && matchesName(h.name, o.name)
}

// matchesName compares a name with a pattern that may start with "*".
func matchesName(pattern, name string) bool {
	if tail, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(name, tail)
	}
	return pattern == name
}

// isInMesh tells whether a host stands for a Mojaloop workload that takes part
// in the mesh. Without a Service that says otherwise a host belongs to the
// workloads of its namespace, except to a datastore of that name.
func (s *Snapshot) isInMesh(h host) (bool, Presence) {
	served := isDatastore(h.name)
	for _, sh := range s.shardsInOrder() {
		if !matchesName(h.namespace, sh.name) {
			continue
		}
		for _, w := range sh.workloads {
			if w.Role.Mojaloop() && s.enrolment(w.Workload).state != meshNone && s.serves(sh, w.Workload, h.name) {
				return true, Present
			}
			served = served || w.Role == RoleDatastore && w.goesBy(h.name)
		}
		for _, svc := range sh.services {
			served = served || matchesName(h.name, svc.Name)
		}
	}
	if served || !s.incomplete(FactService) {
		return false, Present
	}
	return false, Unknown
}

// isDatastore tells whether a name alone stands for a datastore.
func isDatastore(name string) bool {
	c, ok := components[name]
	return ok && c.role == RoleDatastore
}

// goesBy tells whether a workload has a name, by which a Service may be called.
func (w *Workload) goesBy(pattern string) bool {
	return matchesName(pattern, w.Ref.Name) || matchesName(pattern, w.Labels[labelAppName]) || matchesName(pattern, w.Component)
}

// serves tells whether a workload may be behind the service name.
func (s *Snapshot) serves(sh *shard, w *Workload, name string) bool {
	if name == "*" {
		return true
	}
	wild := strings.HasPrefix(name, "*")
	for _, svc := range sh.services {
		if !matchesName(name, svc.Name) {
			continue
		}
		if len(svc.Spec.Selector) > 0 && isSubset(svc.Spec.Selector, w.Labels) {
			return true
		}
		if !wild {
			return false
		}
	}
	if wild {
		return w.goesBy(name)
	}
	// No Service given. A datastore that goes by this name is not in the mesh.
	for _, o := range sh.workloads {
		if o.Role == RoleDatastore && o.goesBy(name) {
			return false
		}
	}
	return !isDatastore(name)
}
