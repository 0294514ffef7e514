package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestHostileObjects judges objects that nobody in his right mind writes: no
// panic, and an answer in time.
func TestHostileObjects(t *testing.T) {
	many := func(n int, f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	tests := []struct {
		name string
		make func(s *fixtures.Scheme) runtime.Object
	}{
		{"empty pod", func(*fixtures.Scheme) runtime.Object { return &corev1.Pod{} }},
		{"ConfigMap without TypeMeta", func(s *fixtures.Scheme) runtime.Object {
			c := s.HubConfig.DeepCopy()
			c.TypeMeta = metav1.TypeMeta{}
			return c
		}},
		{"Secret without TypeMeta", func(s *fixtures.Scheme) runtime.Object {
			c := s.JWS1.DeepCopy()
			c.TypeMeta = metav1.TypeMeta{}
			return c
		}},
		{"somebody else's ConfigMap kind", func(*fixtures.Scheme) runtime.Object {
			return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.org/v1", "kind": "ConfigMap"}}
		}},
		{"Rollout with an odd template", func(*fixtures.Scheme) runtime.Object {
			return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": map[string]any{"template": map[string]any{"spec": map[string]any{"hostNetwork": 1}}}}}
		}},
		{"no main container", func(s *fixtures.Scheme) runtime.Object {
			d := s.SDK1.DeepCopy()
			d.Spec.Template.Spec.InitContainers = d.Spec.Template.Spec.Containers
			d.Spec.Template.Spec.Containers = nil
			return d
		}},
		{"a thousand containers", func(s *fixtures.Scheme) runtime.Object {
			d := s.SDK1.DeepCopy()
			many(1000, func(i int) {
				c := d.Spec.Template.Spec.Containers[0]
				c.Name = fmt.Sprint("c", i)
				d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, c)
			})
			return d
		}},
		{"two thousand mounts of a large ConfigMap", func(s *fixtures.Scheme) runtime.Object {
			large := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "large", Namespace: fixtures.Namespace}, Data: map[string]string{}}
			many(20000, func(i int) { large.Data[fmt.Sprint("k", i)] = "" })
			s.More = append(s.More, large)
			d := s.SDK1.DeepCopy()
			spec := &d.Spec.Template.Spec
			spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "large", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "large"}}}})
			many(2000, func(i int) {
				spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "large", MountPath: fmt.Sprint("/m", i)})
			})
			spec.Containers[0].Image = "example.org/web:1"
			return d
		}},
		{"long values that refer to each other", func(s *fixtures.Scheme) runtime.Object {
			d := s.SDK1.DeepCopy()
			c := &d.Spec.Template.Spec.Containers[0]
			c.Env = append(c.Env, corev1.EnvVar{Name: "A", Value: strings.Repeat("x", 32<<10)})
			many(5000, func(i int) {
				c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("Q", i, "__JWS__X"), Value: "$(A)$(A)"})
			})
			return d
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fixtures.NewScheme()
			hostile := tt.make(s)
			objs := append(objects(s.Inputs()), hostile)
			began := time.Now()
			policy.Review(policy.Checks(), []policy.Input{{Object: hostile}}, snapshot(objs), true)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %s", took)
			} else {
				t.Logf("took %s", took)
			}
		})
	}
}
