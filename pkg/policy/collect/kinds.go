package collect

import (
	"strings"

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

// object is what all typed objects are.
type object interface {
	runtime.Object
	metav1.Object
}

// kind is how objects of a kind are read.
type kind struct {
	// new makes an empty object; nil for kinds that stay trees.
	new func() object
	// raw keeps the tree beside the typed object.
	raw bool
	// cluster scope: there is no namespace.
	cluster bool
}

// kindOf finds a kind by group, whatever the version: fields of old versions
// that are still there mean the same. It returns false for kinds that no check
// reads.
func kindOf(apiVersion, name string) (kind, bool) {
	group := ""
	if before, _, ok := strings.Cut(apiVersion, "/"); ok {
		group = before
	}
	k, ok := kinds[group+"/"+name]
	return k, ok
}

// kinds by "group/Kind". It stands for a scheme, which would take longer to
// build than most manifests take to read.
var kinds = map[string]kind{
	"/Pod":                   typed[corev1.Pod](),
	"/ReplicationController": typed[corev1.ReplicationController](),
	"/Secret":                typed[corev1.Secret](),
	"/ConfigMap":             typed[corev1.ConfigMap](),
	"/Service":               typed[corev1.Service](),
	"/ServiceAccount":        typed[corev1.ServiceAccount](),
	"/Namespace":             clusterWide(typed[corev1.Namespace]()),

	"apps/Deployment":       typed[appsv1.Deployment](),
	"apps/StatefulSet":      typed[appsv1.StatefulSet](),
	"apps/DaemonSet":        typed[appsv1.DaemonSet](),
	"apps/ReplicaSet":       typed[appsv1.ReplicaSet](),
	"extensions/Deployment": typed[appsv1.Deployment](), // removed in Kubernetes 1.16, still in old charts
	"extensions/DaemonSet":  typed[appsv1.DaemonSet](),
	"extensions/ReplicaSet": typed[appsv1.ReplicaSet](),
	"batch/Job":             typed[batchv1.Job](),
	"batch/CronJob":         typed[batchv1.CronJob](),

	"networking.k8s.io/NetworkPolicy": typed[networkingv1.NetworkPolicy](),
	"extensions/NetworkPolicy":        typed[networkingv1.NetworkPolicy](),

	"security.istio.io/PeerAuthentication":  withRaw(typed[securityv1.PeerAuthentication]()),
	"security.istio.io/AuthorizationPolicy": withRaw(typed[securityv1.AuthorizationPolicy]()),
	"networking.istio.io/DestinationRule":   withRaw(typed[istionetworkingv1.DestinationRule]()),
	"networking.istio.io/Gateway":           withRaw(typed[istionetworkingv1.Gateway]()),
	"networking.istio.io/VirtualService":    withRaw(typed[istionetworkingv1.VirtualService]()),
	"networking.istio.io/EnvoyFilter":       withRaw(typed[istionetworkingv1alpha3.EnvoyFilter]()),

	"mojasec.io/Profile":    clusterWide(typed[v1alpha1.Profile]()),
	"mojasec.io/Waiver":     clusterWide(typed[v1alpha1.Waiver]()),
	"mojasec.io/Quarantine": typed[v1alpha1.Quarantine](),
	"mojasec.io/Rotation":   typed[v1alpha1.Rotation](),

	"argoproj.io/Rollout":         {raw: true},
	"cert-manager.io/Certificate": {raw: true},
}

// typed is the kind of a Go type.
func typed[T any, P interface {
	*T
	object
}]() kind {
	return kind{new: func() object { return P(new(T)) }}
}

func withRaw(k kind) kind {
	k.raw = true
	return k
}

func clusterWide(k kind) kind {
	k.cluster = true
	return k
}
