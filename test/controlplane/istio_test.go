package controlplane

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// invalidGateway passes Istio's definitions and fails in istiod.
const invalidGateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: no-certificate
spec:
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: ["*"]
`

func TestIstio(t *testing.T) {
	t.Parallel()
	c := StartForTest(t, Options{Istio: true})
	client := kubernetes.NewForConfigOrDie(c.Config)

	for _, tt := range []struct {
		name   string
		labels map[string]string
		want   bool
	}{
		{name: "asks-for-it", labels: map[string]string{"sidecar.istio.io/inject": "true"}, want: true},
		{name: "does-not", labels: map[string]string{}},
	} {
		pod, err := client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: tt.name, Labels: tt.labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := HasSidecar(pod); got != tt.want {
			t.Errorf("pod %s has a sidecar: got %t, want %t", tt.name, got, tt.want)
		}
		eventually(t, "pod "+tt.name+" runs", func() bool {
			pod, err := client.CoreV1().Pods("default").Get(t.Context(), tt.name, metav1.GetOptions{})
			return err == nil && pod.Status.Phase == corev1.PodRunning
		})
	}

	err := Apply(t.Context(), c.Config, []byte(invalidGateway))
	if err == nil || !strings.Contains(err.Error(), "validation.istio.io") {
		t.Errorf("apply a Gateway without TLS settings: got %v, want istiod's refusal", err)
	}
	for _, namespace := range []string{"istio-system", "default"} {
		eventually(t, "ConfigMap istio-ca-root-cert is in "+namespace, func() bool {
			_, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "istio-ca-root-cert", metav1.GetOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
			return err == nil
		})
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}
