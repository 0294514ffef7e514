package policy

import (
	"cmp"

	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// Ref names an API object.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// String is how reports name an object, for example
// "Deployment mojaloop/perffsp-1-sdk".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Compare orders references by namespace, kind, name and version.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Namespace, o.Namespace),
		cmp.Compare(r.Kind, o.Kind),
		cmp.Compare(r.Name, o.Name),
		cmp.Compare(r.APIVersion, o.APIVersion),
	)
}

// RefOf returns the reference of an object. Typed objects that a client read
// have no TypeMeta, so the Go type tells the kind then. An object that is still
// to be named by the API server shows as "prefix*".
func RefOf(obj runtime.Object) Ref {
	var ref Ref
	ref.APIVersion, ref.Kind = obj.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	if ref.Kind == "" {
		ref.APIVersion, ref.Kind = kindOfType(obj)
	}
	if m, ok := obj.(metav1.Object); ok {
		ref.Namespace, ref.Name = m.GetNamespace(), m.GetName()
		if ref.Name == "" && m.GetGenerateName() != "" {
			ref.Name = m.GetGenerateName() + "*"
		}
	}
	return ref
}

// kindOfType names the kind of a typed object without TypeMeta.
func kindOfType(obj runtime.Object) (apiVersion, kind string) {
	switch obj.(type) {
	case *corev1.Pod:
		return "v1", "Pod"
	case *corev1.Secret:
		return "v1", "Secret"
	case *corev1.ConfigMap:
		return "v1", "ConfigMap"
	case *corev1.Namespace:
		return "v1", "Namespace"
	case *corev1.Service:
		return "v1", "Service"
	case *corev1.ReplicationController:
		return "v1", "ReplicationController"
	case *appsv1.Deployment:
		return "apps/v1", "Deployment"
	case *appsv1.StatefulSet:
		return "apps/v1", "StatefulSet"
	case *appsv1.DaemonSet:
		return "apps/v1", "DaemonSet"
	case *appsv1.ReplicaSet:
		return "apps/v1", "ReplicaSet"
	case *batchv1.Job:
		return "batch/v1", "Job"
	case *batchv1.CronJob:
		return "batch/v1", "CronJob"
	case *networkingv1.NetworkPolicy:
		return "networking.k8s.io/v1", "NetworkPolicy"
	case *securityv1.PeerAuthentication:
		return "security.istio.io/v1", "PeerAuthentication"
	case *securityv1.AuthorizationPolicy:
		return "security.istio.io/v1", "AuthorizationPolicy"
	case *istionetworkingv1.DestinationRule:
		return "networking.istio.io/v1", "DestinationRule"
	case *istionetworkingv1.Gateway:
		return "networking.istio.io/v1", "Gateway"
	case *istionetworkingv1.VirtualService:
		return "networking.istio.io/v1", "VirtualService"
	case *istionetworkingv1alpha3.EnvoyFilter:
		return "networking.istio.io/v1alpha3", "EnvoyFilter"
	case *v1alpha1.Profile:
		return v1alpha1.GroupVersion.String(), "Profile"
	case *v1alpha1.Waiver:
		return v1alpha1.GroupVersion.String(), "Waiver"
	case *v1alpha1.Quarantine:
		return v1alpha1.GroupVersion.String(), "Quarantine"
	case *v1alpha1.Rotation:
		return v1alpha1.GroupVersion.String(), "Rotation"
	}
	return "", ""
}
