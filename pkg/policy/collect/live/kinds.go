package live

import (
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// presence is what it means that the API server does not know a kind.
type presence int

const (
	// builtIn kinds are always there.
	builtIn presence = iota
	// ours come with the installation: without them it is incomplete.
	ours
	// optional kinds belong to software that may not be installed.
	optional
)

// kind is an API kind and how it is read.
type kind struct {
	name     string // as in policy.Ref
	group    string
	versions []string // the first that is served; all have the same form
	resource string
	presence presence
	// sensitive kinds hold secrets, or may. They are read in namespaces that
	// opted in only, by the right of one RoleBinding each, and over connections
	// of their own.
	sensitive bool
	// carrier kinds have pods in them, and people put secrets into pods. They
	// come over the connections of the sensitive ones.
	carrier bool
	// facts are what cannot be known without it.
	facts []policy.FactKind
	// pageSize bounds what is in memory at a time while lists are read.
	pageSize int64

	object, list func() runtime.Object
}

const (
	istioNetworking = "networking.istio.io"
	istioSecurity   = "security.istio.io"
)

var (
	kindSecret    = core("Secret", "secrets", of[corev1.Secret](), of[corev1.SecretList](), policy.FactSecret).perNamespace(50)
	kindConfigMap = core("ConfigMap", "configmaps", of[corev1.ConfigMap](), of[corev1.ConfigMapList](), policy.FactConfigMap).perNamespace(50)
	kindNamespace = core("Namespace", "namespaces", of[corev1.Namespace](), of[corev1.NamespaceList](), policy.FactNamespace)

	kindPeerAuthentication = istio(istioSecurity, "PeerAuthentication", "peerauthentications",
		of[securityv1.PeerAuthentication](), of[securityv1.PeerAuthenticationList](), "v1", "v1beta1")
)

// clusterKinds are read from the start, in all namespaces.
var clusterKinds = []*kind{
	// The Profile comes first: it says how workloads are recognised.
	mojasec("Profile", "profiles", of[v1alpha1.Profile](), of[v1alpha1.ProfileList]()),
	mojasec("Waiver", "waivers", of[v1alpha1.Waiver](), of[v1alpha1.WaiverList]()),
	mojasec("Quarantine", "quarantines", of[v1alpha1.Quarantine](), of[v1alpha1.QuarantineList](), policy.FactQuarantine),

	kindNamespace,
	core("Service", "services", of[corev1.Service](), of[corev1.ServiceList](), policy.FactService),
	core("Pod", "pods", of[corev1.Pod](), of[corev1.PodList]()).withPods(),
	core("ReplicationController", "replicationcontrollers", of[corev1.ReplicationController](), of[corev1.ReplicationControllerList]()).withPods(),
	builtin(appsv1.SchemeGroupVersion, "Deployment", "deployments", of[appsv1.Deployment](), of[appsv1.DeploymentList]()).withPods(),
	builtin(appsv1.SchemeGroupVersion, "StatefulSet", "statefulsets", of[appsv1.StatefulSet](), of[appsv1.StatefulSetList]()).withPods(),
	builtin(appsv1.SchemeGroupVersion, "DaemonSet", "daemonsets", of[appsv1.DaemonSet](), of[appsv1.DaemonSetList]()).withPods(),
	builtin(appsv1.SchemeGroupVersion, "ReplicaSet", "replicasets", of[appsv1.ReplicaSet](), of[appsv1.ReplicaSetList]()).withPods(),
	builtin(batchv1.SchemeGroupVersion, "Job", "jobs", of[batchv1.Job](), of[batchv1.JobList]()).withPods(),
	builtin(batchv1.SchemeGroupVersion, "CronJob", "cronjobs", of[batchv1.CronJob](), of[batchv1.CronJobList]()).withPods(),
	builtin(networkingv1.SchemeGroupVersion, "NetworkPolicy", "networkpolicies", of[networkingv1.NetworkPolicy](), of[networkingv1.NetworkPolicyList]()),

	kindPeerAuthentication,
	istio(istioSecurity, "AuthorizationPolicy", "authorizationpolicies", of[securityv1.AuthorizationPolicy](), of[securityv1.AuthorizationPolicyList](), "v1", "v1beta1"),
	istio(istioNetworking, "DestinationRule", "destinationrules", of[istionetworkingv1.DestinationRule](), of[istionetworkingv1.DestinationRuleList](), "v1", "v1beta1", "v1alpha3"),
	istio(istioNetworking, "Gateway", "gateways", of[istionetworkingv1.Gateway](), of[istionetworkingv1.GatewayList](), "v1", "v1beta1", "v1alpha3"),
	istio(istioNetworking, "VirtualService", "virtualservices", of[istionetworkingv1.VirtualService](), of[istionetworkingv1.VirtualServiceList](), "v1", "v1beta1", "v1alpha3"),
	istio(istioNetworking, "EnvoyFilter", "envoyfilters", of[istionetworkingv1alpha3.EnvoyFilter](), of[istionetworkingv1alpha3.EnvoyFilterList](), "v1alpha3"),
}

// namespaceKinds are read in each namespace that opted in.
var namespaceKinds = []*kind{kindSecret, kindConfigMap}

func of[T any, P interface {
	*T
	runtime.Object
}]() func() runtime.Object {
	return func() runtime.Object { return P(new(T)) }
}

func builtin(gv schema.GroupVersion, name, resource string, object, list func() runtime.Object, facts ...policy.FactKind) *kind {
	return &kind{
		name: name, group: gv.Group, versions: []string{gv.Version}, resource: resource,
		facts: facts, pageSize: 500, object: object, list: list,
	}
}

func core(name, resource string, object, list func() runtime.Object, facts ...policy.FactKind) *kind {
	return builtin(corev1.SchemeGroupVersion, name, resource, object, list, facts...)
}

func mojasec(name, resource string, object, list func() runtime.Object, facts ...policy.FactKind) *kind {
	k := builtin(v1alpha1.GroupVersion, name, resource, object, list, facts...)
	k.presence = ours
	return k
}

func istio(group, name, resource string, object, list func() runtime.Object, versions ...string) *kind {
	k := builtin(schema.GroupVersion{Group: group}, name, resource, object, list, policy.FactMesh)
	k.versions, k.presence = versions, optional
	if name == "PeerAuthentication" {
		k.facts = append(k.facts, policy.FactPeerAuthentication)
	}
	return k
}

func (k *kind) perNamespace(pageSize int64) *kind {
	k.sensitive, k.pageSize = true, pageSize
	return k
}

func (k *kind) withPods() *kind {
	k.carrier = true
	return k
}

// secretive tells whether secrets may come with objects of this kind.
func (k *kind) secretive() bool { return k.sensitive || k.carrier }

// groupResource is the name of the kind in RBAC and in messages, for example
// "deployments.apps".
func (k *kind) groupResource() string {
	return schema.GroupResource{Group: k.group, Resource: k.resource}.String()
}

// Resource is something this package reads, with the verbs get, list and watch.
type Resource struct {
	Group, Resource string
	// Namespaced resources are read in namespaces that opted in, and in the
	// mesh root namespace (ConfigMaps). The others in the whole cluster.
	Namespaced bool
}

// Resources lists what this package reads.
func Resources() []Resource {
	var out []Resource
	for _, k := range clusterKinds {
		out = append(out, Resource{Group: k.group, Resource: k.resource})
	}
	for _, k := range namespaceKinds {
		out = append(out, Resource{Group: k.group, Resource: k.resource, Namespaced: true})
	}
	return out
}
