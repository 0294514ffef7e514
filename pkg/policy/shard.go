package policy

import (
	"cmp"
	"slices"

	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// shard is one namespace. The cluster's own objects are in shard "".
// Its slices are sorted by name and never changed once the shard is in a
// Snapshot.
type shard struct {
	name      string
	namespace *corev1.Namespace // nil when not given

	secrets               []*Data
	configMaps            []*Data
	workloads             []member
	services              []*corev1.Service
	networkPolicies       []*networkingv1.NetworkPolicy
	peerAuthentications   []*securityv1.PeerAuthentication
	authorizationPolicies []*securityv1.AuthorizationPolicy
	destinationRules      []*istionetworkingv1.DestinationRule
	gateways              []*istionetworkingv1.Gateway
	virtualServices       []*istionetworkingv1.VirtualService
	envoyFilters          []*istionetworkingv1alpha3.EnvoyFilter
	quarantines           []*v1alpha1.Quarantine

	// pods are those of workloads that stand for several, by name.
	pods podNames
	// index is shared by the versions of a shard that differ in nothing that
	// is in it.
	index *lazyIndex
}

func newShard(name string) *shard { return &shard{name: name, index: &lazyIndex{}} }

// clone returns a copy to be changed; of nil, an empty shard.
func (sh *shard) clone(name string) *shard {
	if sh == nil {
		return newShard(name)
	}
	return &shard{
		name: sh.name, namespace: sh.namespace, pods: sh.pods, index: sh.index,
		secrets: slices.Clone(sh.secrets), configMaps: slices.Clone(sh.configMaps),
		workloads: slices.Clone(sh.workloads), services: slices.Clone(sh.services),
		networkPolicies:     slices.Clone(sh.networkPolicies),
		peerAuthentications: slices.Clone(sh.peerAuthentications), authorizationPolicies: slices.Clone(sh.authorizationPolicies),
		destinationRules: slices.Clone(sh.destinationRules), gateways: slices.Clone(sh.gateways),
		virtualServices: slices.Clone(sh.virtualServices), envoyFilters: slices.Clone(sh.envoyFilters),
		quarantines: slices.Clone(sh.quarantines),
	}
}

// isEmpty tells that nothing is known of a namespace.
func (sh *shard) isEmpty() bool {
	return sh.namespace == nil && !sh.hasIstio() &&
		len(sh.secrets)+len(sh.configMaps)+len(sh.workloads)+len(sh.services)+len(sh.networkPolicies)+len(sh.quarantines) == 0
}

// add appends an object; sort makes the shard whole again.
func (sh *shard) add(obj any) {
	switch o := obj.(type) {
	case *Data:
		if o.Ref.Kind == "Secret" {
			sh.secrets = append(sh.secrets, o)
		} else {
			sh.configMaps = append(sh.configMaps, o)
		}
	case *Workload:
		sh.workloads = append(sh.workloads, member{Workload: o})
	case *corev1.Namespace:
		sh.namespace = o
	case *corev1.Service:
		sh.services = append(sh.services, o)
	case *networkingv1.NetworkPolicy:
		sh.networkPolicies = append(sh.networkPolicies, o)
	case *securityv1.PeerAuthentication:
		sh.peerAuthentications = append(sh.peerAuthentications, o)
	case *securityv1.AuthorizationPolicy:
		sh.authorizationPolicies = append(sh.authorizationPolicies, o)
	case *istionetworkingv1.DestinationRule:
		sh.destinationRules = append(sh.destinationRules, o)
	case *istionetworkingv1.Gateway:
		sh.gateways = append(sh.gateways, o)
	case *istionetworkingv1.VirtualService:
		sh.virtualServices = append(sh.virtualServices, o)
	case *istionetworkingv1alpha3.EnvoyFilter:
		sh.envoyFilters = append(sh.envoyFilters, o)
	case *v1alpha1.Quarantine:
		sh.quarantines = append(sh.quarantines, o)
	}
}

// put adds or replaces one object of a sorted shard.
func (sh *shard) put(obj any) {
	switch o := obj.(type) {
	case *Data:
		if o.Ref.Kind == "Secret" {
			sh.secrets = put(sh.secrets, o, compareData)
		} else {
			sh.configMaps = put(sh.configMaps, o, compareData)
		}
	case *Workload:
		sh.workloads = put(sh.workloads, member{Workload: o}, compareMembers)
	case runtime.Object: // few of a kind
		sh.remove(RefOf(o))
		sh.add(o)
		sh.sortObjects()
	}
}

// put adds an item to a sorted list, or replaces the one that is the same.
func put[T any](list []T, item T, compare func(a, b T) int) []T {
	i, found := slices.BinarySearchFunc(list, item, compare)
	if found {
		list[i] = item
		return list
	}
	return slices.Insert(list, i, item)
}

// putPod counts a pod among those like it. reduce makes the workload when it is
// the first one. It tells whether rules can see the difference.
func (sh *shard) putPod(name string, key *podKey, reduce func() *Workload) bool {
	old := sh.pods.find(name)
	if old != nil && *old == *key {
		return false
	}
	changed := old != nil && sh.forget(old)
	i, found := sh.searchPods(key)
	if found {
		key = sh.workloads[i].key() // one copy for all
		sh.workloads[i].pods++
	} else {
		w := reduce()
		w.pods = key
		sh.workloads = slices.Insert(sh.workloads, i, member{w, 1})
	}
	sh.pods = sh.pods.with(name, key)
	return changed || !found
}

// removePod takes a pod out of those like it.
func (sh *shard) removePod(name string) (changed bool) {
	key := sh.pods.find(name)
	if key == nil {
		return false
	}
	sh.pods = sh.pods.with(name, nil)
	return sh.forget(key)
}

// forget counts one pod less and drops the workload with the last one.
func (sh *shard) forget(key *podKey) (changed bool) {
	i, found := sh.searchPods(key)
	switch {
	case !found:
		return false
	case sh.workloads[i].pods > 1:
		sh.workloads[i].pods--
		return false
	}
	sh.workloads = slices.Delete(sh.workloads, i, i+1)
	return true
}

func (sh *shard) searchPods(key *podKey) (int, bool) {
	return slices.BinarySearchFunc(sh.workloads, member{Workload: &Workload{Ref: key.ref, pods: key}}, compareMembers)
}

func (sh *shard) sort() {
	sh.secrets = sortedLast(sh.secrets, compareData)
	sh.configMaps = sortedLast(sh.configMaps, compareData)
	sh.workloads = sortedLast(sh.workloads, compareMembers)
	sh.sortObjects()
}

func (sh *shard) sortObjects() {
	sh.services = sortedObjects(sh.services)
	sh.networkPolicies = sortedObjects(sh.networkPolicies)
	sh.peerAuthentications = sortedObjects(sh.peerAuthentications)
	sh.authorizationPolicies = sortedObjects(sh.authorizationPolicies)
	sh.destinationRules = sortedObjects(sh.destinationRules)
	sh.gateways = sortedObjects(sh.gateways)
	sh.virtualServices = sortedObjects(sh.virtualServices)
	sh.envoyFilters = sortedObjects(sh.envoyFilters)
	sh.quarantines = sortedObjects(sh.quarantines)
}

func compareData(a, b *Data) int { return compareIdentity(a.Ref, b.Ref) }

func sortedObjects[T runtime.Object](in []T) []T {
	if len(in) < 2 {
		return in
	}
	return sortedLast(in, func(a, b T) int { return compareIdentity(RefOf(a), RefOf(b)) })
}

// sortedLast sorts a list and keeps the last of equal items.
func sortedLast[T any](in []T, compare func(a, b T) int) []T {
	slices.Reverse(in)
	slices.SortStableFunc(in, compare)
	return slices.CompactFunc(in, func(a, b T) bool { return compare(a, b) == 0 })
}

// compareIdentity orders references without their version: an object is the
// same at every served version.
func compareIdentity(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace))
}

// remove takes an object out. It tells whether an index may hold something of
// it.
func (sh *shard) remove(ref Ref) (indexed bool) {
	same := func(o Ref) bool { return compareIdentity(o, ref) == 0 }
	switch ref.Kind {
	case "Namespace":
		sh.namespace = nil
	case "Secret":
		return removeData(&sh.secrets, ref)
	case "ConfigMap":
		return removeData(&sh.configMaps, ref)
	case "Service":
		sh.services = deleteObject(sh.services, same)
	case "NetworkPolicy":
		sh.networkPolicies = deleteObject(sh.networkPolicies, same)
	case "PeerAuthentication":
		sh.peerAuthentications = deleteObject(sh.peerAuthentications, same)
	case "AuthorizationPolicy":
		sh.authorizationPolicies = deleteObject(sh.authorizationPolicies, same)
	case "DestinationRule":
		sh.destinationRules = deleteObject(sh.destinationRules, same)
	case "Gateway":
		sh.gateways = deleteObject(sh.gateways, same)
	case "VirtualService":
		sh.virtualServices = deleteObject(sh.virtualServices, same)
	case "EnvoyFilter":
		sh.envoyFilters = deleteObject(sh.envoyFilters, same)
	case "Quarantine":
		sh.quarantines = deleteObject(sh.quarantines, same)
	default:
		i, found := slices.BinarySearchFunc(sh.workloads, member{Workload: &Workload{Ref: ref}}, compareMembers)
		if found {
			sh.workloads = slices.Delete(sh.workloads, i, i+1)
		}
		return found
	}
	return false
}

func removeData(list *[]*Data, ref Ref) bool {
	i, found := slices.BinarySearchFunc(*list, &Data{Ref: ref}, compareData)
	if found {
		*list = slices.Delete(*list, i, i+1)
	}
	return found
}

func deleteObject[T runtime.Object](in []T, same func(Ref) bool) []T {
	return slices.DeleteFunc(in, func(o T) bool { return same(RefOf(o)) })
}
