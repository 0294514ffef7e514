package admission_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/test/fixtures"
)

// typicalPod is a pod of an SDK as a real chart makes it: a dozen settings, ten
// mounts, probes, resources, and what the API server has added to it.
func typicalPod(s *fixtures.Scheme) *corev1.Pod {
	p := sdkPod(s)
	p.GenerateName = "perffsp-1-sdk-7c6fdc9d8b-"
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "perffsp-1-sdk-7c6fdc9d8b", UID: "0f9e5b1c-2f5c-4a86-8d6f-2f1f6a1b3c4d", Controller: new(true)}}
	c := &p.Spec.Containers[0]
	for i := range 8 {
		name := fmt.Sprintf("extra-%d", i)
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/mnt/" + name})
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("BACKEND_ENDPOINT_%d", i), Value: "backend.mojaloop.svc.cluster.local:4000"})
	}
	c.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
	}
	p.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:component":{},"f:dfsp":{}},"f:ownerReferences":{}},"f:spec":{"f:containers":{"k:{\"name\":\"sdk\"}":{".":{},"f:env":{".":{},"k:{\"name\":\"DFSP_ID\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:volumeMounts":{".":{},"k:{\"mountPath\":\"/opt/app/secrets\"}":{".":{},"f:mountPath":{},"f:name":{},"f:readOnly":{}}}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:volumes":{}}}`),
	}}
	return p
}

// benchmarkPost sends the same body over and over through TLS and HTTP/2, on
// several connections at once.
func benchmarkPost(b *testing.B, server *httptest.Server, path string, body []byte) {
	b.ReportMetric(float64(len(body)), "body-bytes")
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		for pb.Next() {
			resp, err := client.Post(server.URL+path, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("status %d, error %v", resp.StatusCode, err)
				return
			}
		}
	})
}

// BenchmarkValidate judges a good pod: H1 to H3.
func BenchmarkValidate(b *testing.B) {
	c, s := scheme()
	d := open(b, c)
	benchmarkPost(b, d.server, "/validate", reviewOf(b, create(b, typicalPod(s))))
}

// BenchmarkMutate injects into a pod that has nothing: H4.
func BenchmarkMutate(b *testing.B) {
	c, s := scheme()
	d := open(b, c)
	p := typicalPod(s)
	container := &p.Spec.Containers[0]
	container.VolumeMounts, container.Env = container.VolumeMounts[2:], append(container.Env[:1:1], container.Env[8:]...)
	benchmarkPost(b, d.server, "/mutate", reviewOf(b, create(b, p)))
}

// BenchmarkFloor is a bare webhook on the same connection: it decodes the
// review and its pod with the standard library, looks at three fields, answers.
func BenchmarkFloor(b *testing.B) {
	_, s := scheme()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var p corev1.Pod
		if err := json.Unmarshal(review.Request.Object.Raw, &p); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ok := !p.Spec.HostNetwork && p.Labels["sidecar.istio.io/inject"] != "false" && len(p.Spec.Containers) > 0
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: ok}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(&review); err != nil {
			b.Error(err)
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	b.Cleanup(server.Close)
	benchmarkPost(b, server, "/validate", reviewOf(b, create(b, typicalPod(s))))
}

// BenchmarkHandler is validate without connection: what is ours of H1.
func BenchmarkHandler(b *testing.B) {
	c, s := scheme()
	d := open(b, c)
	body := reviewOf(b, create(b, typicalPod(s)))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/validate", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		d.server.Config.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
