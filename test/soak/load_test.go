package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
)

// stamp stands in a body for what differs from call to call: whoever remembers
// something for each name shows in the memory.
const stamp = "STAMP0000000"

// request is what is sent again and again, with the answer that is right.
type request struct {
	name, path string
	body       []byte
	status     int
	// contains must be in the answer, without may not.
	contains string
}

// answer is what came back.
type answer struct {
	status int
	body   []byte
	took   time.Duration
}

// check says what is wrong with an answer; nil when it is right.
func (r *request) check(a answer, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", r.name, err)
	case a.status != r.status:
		return fmt.Errorf("%s: got HTTP %d %s, want %d", r.name, a.status, shortened(a.body), r.status)
	case !bytes.Contains(a.body, []byte(r.contains)):
		return fmt.Errorf("%s: got %s, want %q in it", r.name, shortened(a.body), r.contains)
	}
	return nil
}

func shortened(b []byte) string { return string(b[:min(len(b), 400)]) }

// caller is one HTTP/2 connection, as an API server has.
func caller() *http.Client {
	return &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // loopback
		ForceAttemptHTTP2: true, MaxConnsPerHost: 1,
	}}
}

func post(ctx context.Context, client *http.Client, url string, body io.Reader) (answer, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, text, time.Since(began)}, err
}

// mix sends n requests over some connections, in turn, and returns what was
// wrong with how many answers, and the first of them.
func mix(ctx context.Context, url string, requests []request, connections, n int) (wrong int64, first error) {
	var next, bad atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			client := caller()
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				r := &requests[int(i)%len(requests)]
				body := bytes.ReplaceAll(r.body, []byte(stamp), fmt.Appendf(nil, "call-%d", i))
				a, err := post(ctx, client, url+r.path, bytes.NewReader(body))
				if err := r.check(a, err); err != nil && ctx.Err() == nil {
					bad.Add(1)
					once.Do(func() { first = err })
				}
			}
		})
	}
	wg.Wait()
	return bad.Load(), first
}

// latency sends a request over one connection for a while.
func latency(t *testing.T, url string, r request, n int) (p50, p99 time.Duration) {
	t.Helper()
	client := caller()
	defer client.CloseIdleConnections()
	took := make([]time.Duration, 0, n)
	for range n {
		a, err := post(t.Context(), client, url+r.path, bytes.NewReader(r.body))
		if err := r.check(a, err); err != nil {
			t.Fatal(err)
		}
		took = append(took, a.took)
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100]
}

// review is an AdmissionReview in JSON.
func review(t testing.TB, op admissionv1.Operation, resource string, obj, old client.Object) []byte {
	t.Helper()
	raw := func(o client.Object) runtime.RawExtension {
		if o == nil {
			return runtime.RawExtension{}
		}
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return runtime.RawExtension{Raw: data}
	}
	about := obj
	if about == nil {
		about = old
	}
	gvk := about.GetObjectKind().GroupVersionKind()
	kind := metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
	out, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: stamp, Operation: op, Namespace: about.GetNamespace(), Name: about.GetName(),
			Kind: kind, RequestKind: &kind, UserInfo: authenticationv1.UserInfo{Username: "user-" + stamp},
			Resource: metav1.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: resource},
			Object:   raw(obj), OldObject: raw(old),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// complete is a review of a good pod.
func complete(t testing.TB) request {
	t.Helper()
	return request{"a good pod", "/validate", review(t, admissionv1.Create, "pods", sdkPod("pod-"+stamp), nil), http.StatusOK, `"allowed":true`}
}

// mixed are reviews of all sorts.
func mixed(t testing.TB) []request {
	t.Helper()
	s := fixtures.NewScheme()
	pods := func(change func(p *corev1.Pod)) []byte {
		p := sdkPod("pod-" + stamp)
		p.Labels["run"] = stamp
		change(p)
		return review(t, admissionv1.Create, "pods", p, nil)
	}
	bare := pods(func(p *corev1.Pod) {
		box := &p.Spec.Containers[0]
		box.Env = slices.DeleteFunc(box.Env, func(e corev1.EnvVar) bool {
			return e.Name == "ILP_SECRET" || e.Name == "JWS_SIGNING_KEY_PATH" || e.Name == "JWS_VERIFICATION_KEYS_DIRECTORY"
		})
		box.VolumeMounts, p.Spec.Volumes = nil, nil
	})
	host := pods(func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	key := string(fixtures.NewKeyPair().Private)
	literal := pods(func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "KEY", Value: key})
	})
	many := pods(func(p *corev1.Pod) {
		for i := range 200 {
			box := *p.Spec.Containers[0].DeepCopy()
			box.Name = fmt.Sprintf("box-%d", i)
			box.Image = "registry.example/" + strings.Repeat("x", 100) + stamp
			p.Spec.Containers = append(p.Spec.Containers, box)
		}
	})
	secret := s.ILP1
	secret.Name, secret.Data["ILP_SECRET"] = "secret-"+stamp, []byte(strings.Repeat("not a default ", 20))
	strict, relaxed := s.PeerAuth, s.PeerAuth.DeepCopy()
	relaxed.Spec.Mtls.Mode = 2 // PERMISSIVE
	deep := []byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"` + stamp + `","object":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`)
	return []request{
		complete(t),
		{"a pod to complete", "/mutate", bare, http.StatusOK, `"patch":`},
		{"a pod on the host network", "/validate", host, http.StatusOK, `"allowed":false`},
		complete(t),
		{"a pod to complete", "/mutate", bare, http.StatusOK, `"patch":`},
		{"a private key in clear", "/validate", literal, http.StatusOK, `"allowed":false`},
		{"a bad pod where it is warned about", "/validate/warn", host, http.StatusOK, `"allowed":true`},
		{"a Secret", "/validate", review(t, admissionv1.Create, "secrets", secret, nil), http.StatusOK, `"allowed":true`},
		{"PERMISSIVE", "/validate", review(t, admissionv1.Update, "peerauthentications", relaxed, strict), http.StatusOK, `"allowed":false`},
		{"200 containers", "/validate", many, http.StatusOK, `"allowed":`},
		{"no JSON", "/validate", []byte("no JSON " + stamp), http.StatusBadRequest, "mojasec: "},
		{"no request", "/validate", []byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`), http.StatusBadRequest, "mojasec: "},
		{"cut off", "/mutate", bare[:len(bare)/2], http.StatusBadRequest, "mojasec: "},
		{"deep", "/validate", deep, http.StatusBadRequest, "mojasec: "},
		{"invalid UTF-8", "/validate", bytes.ReplaceAll(host, []byte("docker.io"), []byte("docker\xff\xfeio")), http.StatusOK, `"allowed":false`},
		{"no such path", "/" + stamp, host, http.StatusNotFound, ""},
	}
}

// sampled is what a process looked like over time.
type sampled struct{ resident, live, goroutines, files float64 }

func (s sampled) String() string {
	return fmt.Sprintf("%.1f MB resident, %.1f MB live, %s goroutines, %s files",
		s.resident, s.live, strconv.FormatFloat(s.goroutines, 'f', 0, 64), strconv.FormatFloat(s.files, 'f', 0, 64))
}
