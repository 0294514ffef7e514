package live

import (
	"hash/maphash"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mojasec/mojasec/pkg/policy"
)

// item is what is left of an object that was read.
type item struct {
	ref    policy.Ref
	object runtime.Object // one of object and data
	data   *policy.Data
	// problem says why neither is there although the object exists.
	problem error
	// digest is equal for two states of an object that mean the same here.
	digest uint64
}

// reduction turns objects into items.
type reduction struct {
	reducer policy.Reducer
	seed    maphash.Seed
}

// reduce returns false for objects that count as not there. It keeps nothing of
// a Secret or ConfigMap but facts, and takes obj over.
func (r reduction) reduce(k *kind, version string, obj runtime.Object) (item, bool) {
	m, ok := obj.(metav1.Object)
	if !ok {
		return item{}, false
	}
	// Typed clients leave it out, and not every kind is known by its Go type.
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: k.group, Version: version, Kind: k.name})
	it := item{ref: policy.RefOf(obj), object: obj}
	switch o := obj.(type) {
	case *unreadable:
		it.object, it.problem = nil, o.err
	case *corev1.Secret:
		it.object, it.data = nil, r.reducer.Secret(o)
	case *corev1.ConfigMap:
		it.object, it.data = nil, r.reducer.ConfigMap(o)
	case *corev1.Pod:
		if o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed {
			return it, false // it has ended and will not start again
		}
	case *appsv1.ReplicaSet:
		// It repeats its Deployment, up to ten times with its history. This
		// exempts nothing: its pods are known, and it is judged when it is made.
		if owner := metav1.GetControllerOfNoCopy(o); owner != nil && owner.Kind == "Deployment" {
			return it, false
		}
	}
	if text := withoutStatus(obj); text != nil {
		m.SetManagedFields(nil)
		m.SetResourceVersion("")
		m.SetGeneration(0)
		it.digest = r.digest(text)
		return it, true
	}
	it.digest = maphash.String(r.seed, string(m.GetUID())+" "+m.GetResourceVersion())
	if it.object != nil {
		slim(m)
	}
	return it, true
}

// protobuf is what Kubernetes' own kinds are.
type protobuf interface {
	Size() int
	MarshalToSizedBuffer(buf []byte) (int, error)
}

// withoutStatus clears what nodes and controllers report of a pod or pod maker.
// Most events of a running cluster are about nothing else. It returns nil for
// other kinds.
func withoutStatus(obj runtime.Object) protobuf {
	switch o := obj.(type) {
	case *corev1.Pod:
		o.Status = corev1.PodStatus{}
		return o
	case *corev1.ReplicationController:
		o.Status = corev1.ReplicationControllerStatus{}
		return o
	case *appsv1.Deployment:
		o.Status = appsv1.DeploymentStatus{}
		return o
	case *appsv1.StatefulSet:
		o.Status = appsv1.StatefulSetStatus{}
		return o
	case *appsv1.DaemonSet:
		o.Status = appsv1.DaemonSetStatus{}
		return o
	case *appsv1.ReplicaSet:
		o.Status = appsv1.ReplicaSetStatus{}
		return o
	case *batchv1.Job:
		o.Status = batchv1.JobStatus{}
		return o
	case *batchv1.CronJob:
		o.Status = batchv1.CronJobStatus{}
		return o
	}
	return nil
}

// digest hashes an object. The key is random, so nobody can make two objects
// that are the same to it.
func (r reduction) digest(p protobuf) uint64 {
	buf := make([]byte, p.Size())
	n, err := p.MarshalToSizedBuffer(buf)
	if err != nil {
		return 0 // equal to nothing: see source.set
	}
	return maphash.Bytes(r.seed, buf[len(buf)-n:])
}

// slim drops metadata that no rule reads from an object that stays in the
// Snapshot. The last applied configuration, for one, may hold anything.
func slim(m metav1.Object) {
	m.SetManagedFields(nil)
	var kept map[string]string
	for key, value := range m.GetAnnotations() {
		if keptAnnotation(key) {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[key] = value
		}
	}
	m.SetAnnotations(kept)
	switch o := m.(type) {
	case *corev1.Namespace:
		o.Spec = corev1.NamespaceSpec{}
	case *corev1.Service:
		o.Status = corev1.ServiceStatus{}
	}
}

// keptAnnotation: those of mojasec, of Istio, and of those who own objects.
func keptAnnotation(key string) bool {
	prefix, _, ok := strings.Cut(key, "/")
	if !ok {
		return false
	}
	for _, domain := range []string{"mojasec.io", "istio.io", "helm.sh", "argoproj.io", "cert-manager.io"} {
		if prefix == domain || strings.HasSuffix(prefix, "."+domain) {
			return true
		}
	}
	return false
}
