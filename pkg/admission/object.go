package admission

import (
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/json"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// family is how the objects of a kind are reviewed.
type family int

const (
	// podMaker objects are judged as the pods they will make.
	podMaker family = iota + 1
	// pod objects are judged as they are.
	pod
	// posture objects decide over the safety of others: what a change would
	// do to those is part of the verdict.
	posture
	// own objects are mojasec's; guards come first.
	own
	// binding objects give a pod a node, and labels and annotations with it.
	binding
	// scaler objects change the number of pods.
	scaler
)

// kind is how objects of a kind are read and reviewed.
type kind struct {
	family family
	// new makes an empty object; nil for kinds that stay trees.
	new func() object
	// raw keeps the tree beside the typed object, which loses fields.
	raw bool
	// cluster scope: the namespace of a request says nothing.
	cluster bool
}

type object interface {
	runtime.Object
	metav1.Object
}

func typed[T any, P interface {
	*T
	object
}](f family) kind {
	return kind{family: f, new: func() object { return P(new(T)) }}
}

func withRaw(k kind) kind {
	k.raw = true
	return k
}

func clusterWide(k kind) kind {
	k.cluster = true
	return k
}

// kinds by group and kind, whatever the version: fields of old versions that
// are still there mean the same.
var kinds = map[schema.GroupKind]kind{
	{Kind: "Pod"}:                                       typed[corev1.Pod](pod),
	{Kind: "Binding"}:                                   typed[corev1.Binding](binding),
	{Kind: "ReplicationController"}:                     typed[corev1.ReplicationController](podMaker),
	{Group: "apps", Kind: "Deployment"}:                 typed[appsv1.Deployment](podMaker),
	{Group: "apps", Kind: "StatefulSet"}:                typed[appsv1.StatefulSet](podMaker),
	{Group: "apps", Kind: "DaemonSet"}:                  typed[appsv1.DaemonSet](podMaker),
	{Group: "apps", Kind: "ReplicaSet"}:                 typed[appsv1.ReplicaSet](podMaker),
	{Group: "batch", Kind: "Job"}:                       typed[batchv1.Job](podMaker),
	{Group: "batch", Kind: "CronJob"}:                   typed[batchv1.CronJob](podMaker),
	{Group: "argoproj.io", Kind: "Rollout"}:             {family: podMaker, raw: true},
	{Kind: "Secret"}:                                    typed[corev1.Secret](posture),
	{Kind: "ConfigMap"}:                                 typed[corev1.ConfigMap](posture),
	{Kind: "Namespace"}:                                 clusterWide(typed[corev1.Namespace](own)),
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}: typed[networkingv1.NetworkPolicy](posture),

	{Group: "security.istio.io", Kind: "PeerAuthentication"}:  withRaw(typed[securityv1.PeerAuthentication](posture)),
	{Group: "security.istio.io", Kind: "AuthorizationPolicy"}: withRaw(typed[securityv1.AuthorizationPolicy](posture)),
	{Group: "networking.istio.io", Kind: "DestinationRule"}:   withRaw(typed[istionetworkingv1.DestinationRule](posture)),
	{Group: "networking.istio.io", Kind: "Gateway"}:           withRaw(typed[istionetworkingv1.Gateway](posture)),
	{Group: "networking.istio.io", Kind: "VirtualService"}:    withRaw(typed[istionetworkingv1.VirtualService](posture)),
	{Group: "networking.istio.io", Kind: "EnvoyFilter"}:       withRaw(typed[istionetworkingv1alpha3.EnvoyFilter](posture)),
	{Group: "cert-manager.io", Kind: "Certificate"}:           {family: posture, raw: true},

	{Group: "mojasec.io", Kind: "Profile"}:    clusterWide(typed[v1alpha1.Profile](own)),
	{Group: "mojasec.io", Kind: "Waiver"}:     clusterWide(typed[v1alpha1.Waiver](own)),
	{Group: "mojasec.io", Kind: "Quarantine"}: typed[v1alpha1.Quarantine](own),
	{Group: "mojasec.io", Kind: "Rotation"}:   typed[v1alpha1.Rotation](own),

	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: typed[autoscalingv2.HorizontalPodAutoscaler](scaler),
}

// kindOf finds the kind of the object in a request.
func kindOf(req *request) (kind, bool) {
	k, ok := kinds[schema.GroupKind{Group: req.Kind.Group, Kind: req.Kind.Kind}]
	return k, ok
}

// review is a request with its objects. On DELETE old alone is set, on CREATE
// object alone.
type review struct {
	*request
	kind        kind
	object, old object
	// raw and oldRaw are the trees of kinds that ask for them.
	raw, oldRaw map[string]any
}

// read parses the objects of a request.
func read(req *request, k kind) (*review, error) {
	rv := &review{request: req, kind: k}
	var err error
	if rv.object, rv.raw, err = parse(req, k, req.Object.Raw, "object"); err != nil {
		return nil, err
	}
	if rv.old, rv.oldRaw, err = parse(req, k, req.OldObject.Raw, "oldObject"); err != nil {
		return nil, err
	}
	return rv, nil
}

// parse reads one object. The API server has read it before, so what cannot be
// read is an error of the caller. Kind and namespace are those of the request:
// the object may lack them.
func parse(req *request, k kind, text []byte, member string) (object, map[string]any, error) {
	if len(text) == 0 {
		return nil, nil, nil
	}
	var tree map[string]any
	if k.raw {
		if err := json.UnmarshalCaseSensitivePreserveInts(text, &tree); err != nil {
			return nil, nil, asBadRequest("decode "+member, err)
		}
	}
	var o object
	if k.new == nil {
		o = &unstructured.Unstructured{Object: tree}
	} else {
		o = k.new()
		if err := json.UnmarshalCaseSensitivePreserveInts(text, o); err != nil {
			return nil, nil, asBadRequest("decode "+member, err)
		}
	}
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: req.Kind.Group, Version: req.Kind.Version, Kind: req.Kind.Kind})
	if k.cluster {
		o.SetNamespace("")
	} else if req.Namespace != "" {
		o.SetNamespace(req.Namespace)
	}
	if o.GetName() == "" && req.Name != "" {
		o.SetName(req.Name)
	}
	return o, tree, nil
}

// partial reads the metadata of an object of any kind.
func partial(req *request, text []byte, member string) (*metav1.PartialObjectMetadata, error) {
	o, _, err := parse(req, kind{new: func() object { return &metav1.PartialObjectMetadata{} }}, text, member)
	if err != nil || o == nil {
		return nil, err
	}
	p, _ := o.(*metav1.PartialObjectMetadata)
	return p, nil
}
