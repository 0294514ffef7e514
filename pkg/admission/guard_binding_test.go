package admission_test

import (
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/test/fixtures"
)

// TestBindingGuard: labels and annotations that come with a node are none to
// escape by.
func TestBindingGuard(t *testing.T) {
	t.Parallel()
	c, _ := scheme()
	d := open(t, c)
	for _, test := range []struct {
		name                string
		labels, annotations map[string]string
		want                string
	}{
		{name: "a node"},
		{name: "where it is", labels: map[string]string{"topology.kubernetes.io/zone": "a"}},
		{name: "what a scheduler notes", annotations: map[string]string{"example.org/gpu": "1", "sidecar.istio.io/status": "{}"}},
		{name: "another DFSP", labels: map[string]string{"dfsp": fixtures.DFSP2}, want: "dfsp"},
		{name: "out of the mesh by label", labels: map[string]string{"sidecar.istio.io/inject": "false"}, want: "sidecar.istio.io/inject"},
		{name: "out of the mesh by annotation", annotations: map[string]string{"sidecar.istio.io/inject": "false"}, want: "mtls-in-mesh"},
		{name: "a port past the proxy", annotations: map[string]string{"traffic.sidecar.istio.io/excludeInboundPorts": "4000"}, want: "mtls-no-bypass"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			req := create(t, &corev1.Binding{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Binding"},
				ObjectMeta: metav1.ObjectMeta{Namespace: fixtures.Namespace, Name: "sdk-1", Labels: test.labels, Annotations: test.annotations},
				Target:     corev1.ObjectReference{Kind: "Node", Name: "n"},
			})
			req.Operation, req.SubResource = admissionv1.Create, "binding"
			answer := d.ask("/validate", req)
			if test.want != "" {
				wantRefused(t, answer, test.want)
			} else if !answer.Allowed {
				t.Errorf("refused: %s", answer.Result.Message)
			}
		})
	}
}
