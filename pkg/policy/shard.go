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
)

// shard is one namespace. The cluster's own objects are in shard "".
// Its slices are sorted by name and never changed once the shard is built.
type shard struct {
	name      string
	namespace *corev1.Namespace // nil when not given

	secrets               []*Data
	configMaps            []*Data
	workloads             []*Workload
	services              []*corev1.Service
	networkPolicies       []*networkingv1.NetworkPolicy
	peerAuthentications   []*securityv1.PeerAuthentication
	authorizationPolicies []*securityv1.AuthorizationPolicy
	destinationRules      []*istionetworkingv1.DestinationRule
	gateways              []*istionetworkingv1.Gateway
	virtualServices       []*istionetworkingv1.VirtualService
	envoyFilters          []*istionetworkingv1alpha3.EnvoyFilter

	index lazyIndex
}

func (sh *shard) clone(name string) *shard {
	if sh == nil {
		return &shard{name: name}
	}
	return &shard{
		name: sh.name, namespace: sh.namespace,
		secrets: slices.Clone(sh.secrets), configMaps: slices.Clone(sh.configMaps),
		workloads: slices.Clone(sh.workloads), services: slices.Clone(sh.services),
		networkPolicies:     slices.Clone(sh.networkPolicies),
		peerAuthentications: slices.Clone(sh.peerAuthentications), authorizationPolicies: slices.Clone(sh.authorizationPolicies),
		destinationRules: slices.Clone(sh.destinationRules), gateways: slices.Clone(sh.gateways),
		virtualServices: slices.Clone(sh.virtualServices), envoyFilters: slices.Clone(sh.envoyFilters),
	}
}

func (sh *shard) add(obj any) {
	switch o := obj.(type) {
	case *Data:
		if o.Ref.Kind == "Secret" {
			sh.secrets = append(sh.secrets, o)
		} else {
			sh.configMaps = append(sh.configMaps, o)
		}
	case *Workload:
		sh.workloads = append(sh.workloads, o)
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
	}
}

func (sh *shard) sort() {
	sh.secrets = sortedData(sh.secrets)
	sh.configMaps = sortedData(sh.configMaps)
	sh.workloads = sortedLast(sh.workloads, func(w *Workload) Ref { return w.Ref })
	sh.services = sortedObjects(sh.services)
	sh.networkPolicies = sortedObjects(sh.networkPolicies)
	sh.peerAuthentications = sortedObjects(sh.peerAuthentications)
	sh.authorizationPolicies = sortedObjects(sh.authorizationPolicies)
	sh.destinationRules = sortedObjects(sh.destinationRules)
	sh.gateways = sortedObjects(sh.gateways)
	sh.virtualServices = sortedObjects(sh.virtualServices)
	sh.envoyFilters = sortedObjects(sh.envoyFilters)
}

func sortedData(in []*Data) []*Data { return sortedLast(in, func(d *Data) Ref { return d.Ref }) }

func sortedObjects[T runtime.Object](in []T) []T {
	return sortedLast(in, func(o T) Ref { return RefOf(o) })
}

// sortedLast sorts by reference and keeps the last of equal ones.
func sortedLast[T any](in []T, ref func(T) Ref) []T {
	slices.Reverse(in)
	slices.SortStableFunc(in, func(a, b T) int { return compareIdentity(ref(a), ref(b)) })
	return slices.CompactFunc(in, func(a, b T) bool { return compareIdentity(ref(a), ref(b)) == 0 })
}

// compareIdentity orders references without their version: an object is the
// same at every served version.
func compareIdentity(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace))
}

func (sh *shard) remove(ref Ref) {
	same := func(o Ref) bool { return compareIdentity(o, ref) == 0 }
	switch ref.Kind {
	case "Namespace":
		sh.namespace = nil
	case "Secret":
		sh.secrets = slices.DeleteFunc(sh.secrets, func(d *Data) bool { return same(d.Ref) })
	case "ConfigMap":
		sh.configMaps = slices.DeleteFunc(sh.configMaps, func(d *Data) bool { return same(d.Ref) })
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
	default:
		sh.workloads = slices.DeleteFunc(sh.workloads, func(w *Workload) bool { return same(w.Ref) })
	}
}

func deleteObject[T runtime.Object](in []T, same func(Ref) bool) []T {
	return slices.DeleteFunc(in, func(o T) bool { return same(RefOf(o)) })
}
