package policy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Subject is one object that is judged.
type Subject struct {
	Ref    Ref
	Object runtime.Object
	// Old is the object before an update; nil otherwise.
	Old runtime.Object
	// Raw is the tree as it was written, for objects whose typed form loses
	// fields (Istio's, and kinds without a type here); nil for others.
	Raw map[string]any
	// Pod is the pod this object makes, for pods and pod makers; nil otherwise.
	Pod *corev1.PodTemplateSpec
	// Workload is Pod, resolved. It is set exactly when Pod is.
	Workload *Workload
	// key is where the signing key is read from; nil when Workload does not sign.
	key *keyAt
	// Injectable lists the checks that the Injector would satisfy for this
	// subject where it is not allowed to (the namespace is not in enforce).
	Injectable []ID
	// Changes are what the Injector added to Pod.
	Changes []Change
}
