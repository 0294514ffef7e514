package admission_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mojasec/mojasec/pkg/admission"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

const self = "system:serviceaccount:mojasec-system:mojasec-webhook"

// cluster is what a handler knows of a cluster, and who may do what in it.
type cluster struct {
	mu     sync.Mutex
	snap   *policy.Snapshot
	hidden []runtime.Object // exist, but are not known yet
	broken error            // of Reread
	reads  []policy.Fact
	may    map[string]bool // "user verb resource namespace/name", "*" for all
	asked  []string
	denied error // of Allowed
}

func (c *cluster) Snapshot() *policy.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snap
}

func (c *cluster) Reread(_ context.Context, snap *policy.Snapshot, absent []policy.Fact) (*policy.Snapshot, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = append(c.reads, absent...)
	if c.broken != nil {
		return nil, false, c.broken
	}
	found := false
	for _, o := range c.hidden {
		ref := policy.RefOf(o)
		for _, f := range absent {
			if string(f.Kind) == ref.Kind && f.Namespace == ref.Namespace && (f.Name == ref.Name || f.Name == "") {
				snap, found = snap.With(o), true
			}
		}
	}
	return snap, found, nil
}

func (c *cluster) Allowed(_ context.Context, user authenticationv1.UserInfo, verb string, a admission.ResourceAttributes) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprintf("%s %s %s %s/%s", user.Username, verb, a.Resource, a.Namespace, a.Name)
	c.asked = append(c.asked, key)
	return c.may[key] || c.may["*"], c.denied
}

// apply changes what is known.
func (c *cluster) apply(objs ...runtime.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snap = c.snap.Apply(policy.Update{Set: objs})
}

// liveOptions are those of a webhook that has read everything.
func liveOptions() policy.SnapshotOptions {
	return policy.SnapshotOptions{
		Now: fixtures.Now, HashKey: []byte("a key for the tests"), TrustWaivers: true,
		Incomplete: []policy.FactKind{policy.FactSecretReaders, policy.FactCA, policy.FactKeyAge},
	}
}

func clusterOf(objs ...runtime.Object) *cluster {
	return &cluster{snap: policy.NewSnapshot(liveOptions(), objs), may: map[string]bool{}}
}

// scheme is the cluster of a scheme without faults, and the scheme.
func scheme(tweaks ...func(s *fixtures.Scheme)) (*cluster, *fixtures.Scheme) {
	s := fixtures.NewScheme()
	for _, tweak := range tweaks {
		tweak(s)
	}
	objs := make([]runtime.Object, 0, 32)
	for _, in := range s.Inputs() {
		objs = append(objs, in.Object)
	}
	return clusterOf(objs...), s
}

// door is a webhook behind TLS and HTTP/2, as an API server sees it.
type door struct {
	t        testing.TB
	server   *httptest.Server
	client   *http.Client
	registry *prometheus.Registry
}

func open(t testing.TB, c *cluster, tweaks ...func(o *admission.Options)) *door {
	t.Helper()
	registry := prometheus.NewRegistry()
	o := admission.Options{
		Knowledge: c, Authorizer: c, Self: self, Registerer: registry,
		Now: func() time.Time { return fixtures.Now },
	}
	for _, tweak := range tweaks {
		tweak(&o)
	}
	h, err := admission.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return &door{t: t, server: server, client: server.Client(), registry: registry}
}

// post sends a body and returns status and answer.
func (d *door) post(path, contentType string, body []byte) (int, []byte) {
	d.t.Helper()
	resp, err := d.client.Post(d.server.URL+path, contentType, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.ProtoMajor != 2 {
		d.t.Fatalf("got %s, want HTTP/2", resp.Proto)
	}
	return resp.StatusCode, answer
}

// ask sends a request that must get a verdict.
func (d *door) ask(path string, req *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	d.t.Helper()
	status, answer := d.post(path, "application/json", reviewOf(d.t, req))
	if status != http.StatusOK {
		d.t.Fatalf("got status %d (%s), want a verdict", status, answer)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &review); err != nil {
		d.t.Fatalf("%v in %s", err, answer)
	}
	if review.Response == nil || review.Response.UID != req.UID || review.Kind != "AdmissionReview" || review.APIVersion != "admission.k8s.io/v1" {
		d.t.Fatalf("not an answer to review %s: %s", req.UID, answer)
	}
	return review.Response
}

// status sends a request that must not get a verdict.
func (d *door) status(path string, req *admissionv1.AdmissionRequest) (int, string) {
	d.t.Helper()
	code, answer := d.post(path, "application/json", reviewOf(d.t, req))
	return code, string(answer)
}

func reviewOf(t testing.TB, req *admissionv1.AdmissionRequest) []byte {
	t.Helper()
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: req,
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// create, update and remove make requests as an API server does.
func create(t testing.TB, obj runtime.Object) *admissionv1.AdmissionRequest {
	t.Helper()
	return request(t, admissionv1.Create, obj, nil)
}

func update(t testing.TB, now, was runtime.Object) *admissionv1.AdmissionRequest {
	t.Helper()
	return request(t, admissionv1.Update, now, was)
}

func remove(t testing.TB, was runtime.Object) *admissionv1.AdmissionRequest {
	t.Helper()
	return request(t, admissionv1.Delete, nil, was)
}

func request(t testing.TB, op admissionv1.Operation, now, was runtime.Object) *admissionv1.AdmissionRequest {
	t.Helper()
	subject := now
	if subject == nil {
		subject = was
	}
	gvk := subject.GetObjectKind().GroupVersionKind()
	m, ok := subject.(metav1.Object)
	if !ok || gvk.Kind == "" {
		t.Fatalf("%T has no kind or no metadata", subject)
	}
	req := &admissionv1.AdmissionRequest{
		UID: types.UID("705ab4f5-6393-11e8-b7cc-42010a800002"), Operation: op,
		Kind:      metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind},
		Resource:  metav1.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: plural(gvk.Kind)},
		Name:      m.GetName(),
		Namespace: m.GetNamespace(),
		UserInfo:  authenticationv1.UserInfo{Username: "alice", UID: "1", Groups: []string{"system:authenticated"}},
	}
	if gvk.Kind == "Namespace" {
		req.Namespace = m.GetName()
	}
	for _, side := range []struct {
		obj runtime.Object
		to  *runtime.RawExtension
	}{{now, &req.Object}, {was, &req.OldObject}} {
		if side.obj == nil {
			continue
		}
		text, err := json.Marshal(side.obj)
		if err != nil {
			t.Fatal(err)
		}
		side.to.Raw = text
	}
	return req
}

func plural(kind string) string {
	lower := strings.ToLower(kind)
	if before, ok := strings.CutSuffix(lower, "y"); ok && !strings.HasSuffix(lower, "ay") {
		return before + "ies"
	}
	return lower + "s"
}

// as sends a request as another user.
func as(user string, req *admissionv1.AdmissionRequest) *admissionv1.AdmissionRequest {
	req.UserInfo = authenticationv1.UserInfo{Username: user, Groups: []string{"system:authenticated"}}
	return req
}

// sub makes a request one for a subresource.
func sub(name string, req *admissionv1.AdmissionRequest) *admissionv1.AdmissionRequest {
	req.SubResource = name
	return req
}

// podOf is a pod as the ReplicaSet controller makes it of a template.
func podOf(template *corev1.PodTemplateSpec, name string) *corev1.Pod {
	p := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	p.Name, p.Namespace = name, fixtures.Namespace
	return p
}

// sdkPod is a pod of the first DFSP.
func sdkPod(s *fixtures.Scheme) *corev1.Pod { return podOf(&s.SDK1.Spec.Template, "perffsp-1-sdk-0") }

// badILP gives a pod the secret everybody knows.
func badILP(p *corev1.PodSpec) {
	c := &p.Containers[0]
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "ILP_SECRET" })
	c.Env = append(c.Env, corev1.EnvVar{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault})
}

func message(r *admissionv1.AdmissionResponse) string {
	if r.Result == nil {
		return ""
	}
	return r.Result.Message
}

func wantAllowed(t *testing.T, r *admissionv1.AdmissionResponse) {
	t.Helper()
	if !r.Allowed {
		t.Errorf("refused: %s", message(r))
	}
}

func wantRefused(t *testing.T, r *admissionv1.AdmissionResponse, says ...string) {
	t.Helper()
	if r.Allowed {
		t.Fatalf("allowed (warnings %q), want a refusal that says %q", r.Warnings, says)
	}
	for _, want := range says {
		if !strings.Contains(message(r), want) {
			t.Errorf("refusal lacks %q: %s", want, message(r))
		}
	}
	if r.Result.Code != http.StatusForbidden || r.Result.Reason != metav1.StatusReasonForbidden {
		t.Errorf("got code %d, reason %q; want 403, Forbidden", r.Result.Code, r.Result.Reason)
	}
}

func wantWarning(t *testing.T, r *admissionv1.AdmissionResponse, says string) {
	t.Helper()
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, says) }) {
		t.Errorf("got warnings %q, want one that says %q", r.Warnings, says)
	}
}
