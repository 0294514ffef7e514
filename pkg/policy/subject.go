package policy

import (
	"slices"

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
	// keys is where the signing keys are read from, for each container that
	// signs; empty when Workload does not.
	keys []keyAt
	// Injectable lists the checks that the Injector would satisfy for this
	// subject where it is not allowed to (the namespace is not in enforce).
	Injectable []ID
	// Changes are what the Injector added to Pod.
	Changes []Change
}

// eachKey judges every signing key of a subject by itself and joins what is
// said of them.
func (sub *Subject) eachKey(judge func(k *keyAt) Result) Result {
	var all Result
	for i := range sub.keys {
		all.join(judge(&sub.keys[i]))
	}
	return all
}

// join adds what is said of another part of the same subject.
func (r *Result) join(o Result) {
	r.Applies = r.Applies || o.Applies
	r.Violations = append(r.Violations, o.Violations...)
	for _, f := range o.Unknown { // what is missing twice is named once
		if !slices.Contains(r.Unknown, f) {
			r.Unknown = append(r.Unknown, f)
		}
	}
}
