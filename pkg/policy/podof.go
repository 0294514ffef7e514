package policy

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maker is an object that makes pods, or a pod.
type maker struct {
	meta *metav1.ObjectMeta
	pod  *corev1.PodTemplateSpec
	path *field.Path
}

var (
	templatePath    = field.NewPath("spec", "template")
	jobTemplatePath = field.NewPath("spec", "jobTemplate", "spec", "template")
)

// podOf returns the pod an object makes. The template shares memory with the
// object.
func podOf(obj runtime.Object) (maker, bool) {
	switch o := obj.(type) {
	case *corev1.Pod:
		return maker{&o.ObjectMeta, &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, nil}, true
	case *appsv1.Deployment:
		return maker{&o.ObjectMeta, &o.Spec.Template, templatePath}, true
	case *appsv1.StatefulSet:
		return maker{&o.ObjectMeta, &o.Spec.Template, templatePath}, true
	case *appsv1.DaemonSet:
		return maker{&o.ObjectMeta, &o.Spec.Template, templatePath}, true
	case *appsv1.ReplicaSet:
		return maker{&o.ObjectMeta, &o.Spec.Template, templatePath}, true
	case *corev1.ReplicationController:
		if o.Spec.Template == nil {
			return maker{}, false
		}
		return maker{&o.ObjectMeta, o.Spec.Template, templatePath}, true
	case *batchv1.Job:
		return maker{&o.ObjectMeta, &o.Spec.Template, templatePath}, true
	case *batchv1.CronJob:
		return maker{&o.ObjectMeta, &o.Spec.JobTemplate.Spec.Template, jobTemplatePath}, true
	case *unstructured.Unstructured:
		return rolloutPod(o)
	}
	return maker{}, false
}

// rolloutPod reads the pod template of an Argo Rollout. One that refers to a
// Deployment (workloadRef) has none of its own: the Deployment is judged.
func rolloutPod(o *unstructured.Unstructured) (maker, bool) {
	if o.GetKind() != "Rollout" || o.GroupVersionKind().Group != "argoproj.io" {
		return maker{}, false
	}
	value, _, err := unstructured.NestedFieldNoCopy(o.Object, "spec", "template")
	tree, ok := value.(map[string]any)
	if err != nil || !ok {
		return maker{}, false
	}
	pod := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(tree, pod); err != nil {
		return maker{}, false
	}
	meta := &metav1.ObjectMeta{
		Name: o.GetName(), Namespace: o.GetNamespace(), Labels: o.GetLabels(),
		Annotations: o.GetAnnotations(), OwnerReferences: o.GetOwnerReferences(),
	}
	return maker{meta, pod, templatePath}, true
}
