package admission_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/pkg/admission"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestHardCase29HostileInput: what is no review of a known form is an HTTP
// status, never a verdict and never a panic.
func TestHardCase29HostileInput(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	good := string(reviewOf(t, create(t, sdkPod(s))))
	object := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[]}}`
	with := func(obj string) string {
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"mojaloop","operation":"CREATE","object":` + obj + `}}`
	}
	tests := []struct {
		name, contentType, body string
		want                    int
	}{
		{"good", "application/json", good, http.StatusOK},
		{"good with charset", "application/json; charset=utf-8", good, http.StatusOK},
		{"smallest", "application/json", with(object), http.StatusOK},
		{"white space everywhere", "application/json", strings.NewReplacer(":", " : ", ",", " ,\n\t").Replace(with(object)), http.StatusOK},
		{"escaped member name", "application/json", strings.Replace(with(object), `"object":`, `"obj\u0065ct":`, 1), http.StatusOK},
		{"other content type", "application/yaml", good, http.StatusUnsupportedMediaType},
		{"no content type", "", good, http.StatusUnsupportedMediaType},
		{"empty", "application/json", "", http.StatusBadRequest},
		{"not JSON", "application/json", "kind: AdmissionReview", http.StatusBadRequest},
		{"null", "application/json", "null", http.StatusBadRequest},
		{"cut off", "application/json", good[:len(good)/2], http.StatusBadRequest},
		{"text after the end", "application/json", good + "{}", http.StatusBadRequest},
		{"v1beta1", "application/json", strings.Replace(good, "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1), http.StatusBadRequest},
		{"other kind", "application/json", strings.Replace(good, "AdmissionReview", "ConversionReview", 1), http.StatusBadRequest},
		{"no request", "application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, http.StatusBadRequest},
		{"request null", "application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, http.StatusBadRequest},
		{"request twice", "application/json", strings.Replace(with(object), `"request":`, `"request":{},"request":`, 1), http.StatusBadRequest},
		{"object twice", "application/json", strings.Replace(with(object), `"object":`, `"object":{},"object":`, 1), http.StatusBadRequest},
		{"namespace twice", "application/json", strings.Replace(with(object), `"namespace":`, `"namespace":"other","namespace":`, 1), http.StatusBadRequest},
		{"no uid", "application/json", strings.Replace(with(object), `"uid":"1",`, "", 1), http.StatusBadRequest},
		{"no object", "application/json", strings.Replace(with(object), `,"object":`, `,"thing":`, 1), http.StatusBadRequest},
		{"object of another type", "application/json", with(`[1,2]`), http.StatusBadRequest},
		{"field of another type", "application/json", with(`{"metadata":{"name":3}}`), http.StatusBadRequest},
		{"unbalanced", "application/json", with(`{"metadata":{"name":"a"]}`), http.StatusBadRequest},
		{"unknown operation", "application/json", strings.Replace(with(object), "CREATE", "PATCH", 1), http.StatusBadRequest},
		{"deep", "application/json", with(`{"metadata":{"name":"a"},"spec":` + strings.Repeat(`{"x":`, 100_000) + "1" + strings.Repeat("}", 100_000) + `}`), http.StatusBadRequest},
		{"deep where nobody looks", "application/json", strings.Replace(with(object), `"uid"`, `"options":`+strings.Repeat("[", 1_000_000)+strings.Repeat("]", 1_000_000)+`,"uid"`, 1), http.StatusOK},
		{"duplicate key in the object", "application/json", with(`{"metadata":{"name":"a","name":"b"},"spec":{"containers":[]}}`), http.StatusOK},
		{"invalid UTF-8", "application/json", with("{\"metadata\":{\"name\":\"\xff\xfe\"},\"spec\":{\"containers\":[]}}"), http.StatusOK},
		{"null containers", "application/json", with(`{"metadata":{"name":"a"},"spec":{"containers":[null,null],"volumes":[null]}}`), http.StatusOK},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, path := range []string{"/mutate", "/mutate/quarantine", "/validate", "/validate/warn", "/validate/namespaces", "/validate/connect"} {
				want := test.want
				if test.name == "no object" && strings.HasPrefix(path, "/validate/n") || test.name == "object of another type" && path == "/validate/namespaces" {
					continue
				}
				if want == http.StatusBadRequest && path != "/validate" && path != "/mutate" {
					// Paths that have no use for the object do not read it.
					if got, _ := d.post(path, test.contentType, []byte(test.body)); got != want && got != http.StatusOK {
						t.Errorf("%s: got status %d", path, got)
					}
					continue
				}
				if got, answer := d.post(path, test.contentType, []byte(test.body)); got != want {
					t.Errorf("%s: got status %d (%.200s), want %d", path, got, answer, want)
				}
			}
		})
	}
	t.Run("GET", func(t *testing.T) {
		resp, err := d.client.Get(d.server.URL + "/validate")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("got status %d, want 405", resp.StatusCode)
		}
	})
}

// TestHardCase29Large: the body may have 7 MiB and not one byte more, whether it
// says its length or not; large pods are judged.
func TestHardCase29Large(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	large := sdkPod(s)
	large.Annotations = map[string]string{"big": strings.Repeat("x", 3<<20)}
	if r := d.ask("/validate", create(t, large)); !r.Allowed {
		t.Errorf("3 MiB: %s", message(r))
	}
	many := sdkPod(s)
	for i := range 1000 {
		many.Spec.Containers = append(many.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "mojaloop/sdk-scheme-adapter:v24", Env: []corev1.EnvVar{{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault}}})
	}
	began := time.Now()
	r := d.ask("/validate", create(t, many))
	wantRefused(t, r, "and ", " more: `kubectl mojasec verify")
	if took, n := time.Since(began), len(message(r)); took > 4*time.Second || n > 64<<10 {
		t.Errorf("1000 containers: %s, a message of %d bytes", took, n)
	}
	tooMuch := bytes.Repeat([]byte(" "), 7<<20+1)
	if got, _ := d.post("/validate", "application/json", tooMuch); got != http.StatusRequestEntityTooLarge {
		t.Errorf("got status %d, want 413", got)
	}
	resp, err := d.client.Post(d.server.URL+"/validate", "application/json", struct{ *bytes.Reader }{bytes.NewReader(tooMuch)})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("without length: got status %d, want 413", resp.StatusCode)
	}
}

// panicking knows nothing, loudly.
type panicking struct{ *cluster }

func (p panicking) Snapshot() *policy.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		panic(p.broken)
	}
	return p.snap
}

// TestHardCase29Panic: a panic is an HTTP 500 for that request only.
func TestHardCase29Panic(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c, func(o *admission.Options) { o.Knowledge = panicking{c} })
	req := create(t, sdkPod(s))
	wantAllowed(t, d.ask("/validate", req))
	c.mu.Lock()
	c.broken = fmt.Errorf("token-1234")
	c.mu.Unlock()
	for _, path := range []string{"/validate", "/validate/warn", "/mutate"} {
		code, answer := d.status(path, req)
		if code != http.StatusInternalServerError || strings.Contains(answer, "token-1234") {
			t.Errorf("%s: got %d %q, want 500 without what was going on", path, code, answer)
		}
	}
	c.mu.Lock()
	c.broken = nil
	c.mu.Unlock()
	wantAllowed(t, d.ask("/validate", req))
	if err := testutil.GatherAndCompare(d.registry, strings.NewReader("# HELP mojasec_admission_panics_total Reviews that ended in a panic, answered with HTTP 500.\n# TYPE mojasec_admission_panics_total counter\nmojasec_admission_panics_total 3\n"), "mojasec_admission_panics_total"); err != nil {
		t.Error(err)
	}
}

// slow takes its time to authorize.
type slow struct {
	*cluster
	began chan struct{}
	end   chan struct{}
}

func (s slow) Allowed(ctx context.Context, user authenticationv1.UserInfo, verb string, a admission.ResourceAttributes) (bool, error) {
	s.began <- struct{}{}
	select {
	case <-s.end:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return s.cluster.Allowed(ctx, user, verb, a)
}

// TestHardCase8Overload: with all turns taken a request is told to come again,
// soon; a look-up without end is given up in time.
func TestHardCase8Overload(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	auth := slow{c, make(chan struct{}), make(chan struct{})}
	d := open(t, c, func(o *admission.Options) {
		o.Authorizer, o.MaxInFlight, o.QueueTimeout, o.Timeout = auth, 1, 20*time.Millisecond, 2*time.Second
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		wantRefused(t, d.ask("/validate/namespaces", remove(t, s.Namespace)), "unenforce")
	})
	<-auth.began
	code, answer := d.status("/validate", create(t, sdkPod(s)))
	if code != http.StatusTooManyRequests || !strings.Contains(answer, "try again") {
		t.Errorf("got %d %q, want 429", code, answer)
	}
	close(auth.end)
	wg.Wait()

	forever := slow{c, make(chan struct{}, 1), make(chan struct{})}
	d = open(t, c, func(o *admission.Options) { o.Authorizer, o.Timeout = forever, 50*time.Millisecond })
	if code, answer := d.status("/validate/namespaces", remove(t, s.Namespace)); code != http.StatusInternalServerError || !strings.Contains(answer, "could not check") {
		t.Errorf("got %d %q, want 500 could not check", code, answer)
	}
}

// TestHardCase8SlowBodies: whoever takes a turn and then sends nothing does not
// keep it from the others.
func TestHardCase8SlowBodies(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c, func(o *admission.Options) {
		o.MaxInFlight, o.QueueTimeout, o.BodyTimeout = 1, 5*time.Second, 50*time.Millisecond
	})
	reader, writer := io.Pipe()
	began := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := d.client.Post(d.server.URL+"/validate", "application/json", reader)
		if err == nil {
			_ = resp.Body.Close()
		}
	})
	wg.Go(func() {
		_, _ = writer.Write([]byte("{")) // returns when the request is under way
		close(began)
	})
	<-began
	if code, answer := d.status("/validate", create(t, sdkPod(s))); code != http.StatusOK {
		t.Errorf("got %d %q, want a verdict", code, answer)
	}
	_ = writer.Close()
	wg.Wait()
}

// TestHardCase9NotReady: before everything was read nothing is allowed, and
// warn and audit namespaces are not blocked.
func TestHardCase9NotReady(t *testing.T) {
	t.Parallel()
	_, s := scheme()
	d := open(t, &cluster{})
	p := create(t, sdkPod(s))
	for path, req := range map[string]*admissionv1.AdmissionRequest{
		"/validate": p, "/mutate": p, "/mutate/quarantine": p, "/validate/namespaces": remove(t, s.Namespace),
		"/validate/connect": connect("pods", "exec", "perffsp-1-sdk-0"),
	} {
		if code, answer := d.status(path, req); code != http.StatusInternalServerError || !strings.Contains(answer, "could not check") {
			t.Errorf("%s: got %d %q, want 500 could not check", path, code, answer)
		}
	}
	r := d.ask("/validate/warn", p)
	wantAllowed(t, r)
	wantWarning(t, r, "could not check")
}

// TestHardCase27Metrics: counts are by endpoint, operation and decision, and findings of
// a dry run are no findings (hard case 27).
func TestHardCase27Metrics(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	bad := sdkPod(s)
	badILP(&bad.Spec)
	req := create(t, bad)
	req.DryRun = new(true)
	wantRefused(t, d.ask("/validate", req))
	if n, err := testutil.GatherAndCount(d.registry, "mojasec_findings_total"); err != nil || n != 0 {
		t.Errorf("a dry run left %d findings, error %v", n, err)
	}
	req.DryRun = nil
	wantRefused(t, d.ask("/validate", req))
	want := `# HELP mojasec_admission_requests_total Reviews by endpoint, operation and decision.
# TYPE mojasec_admission_requests_total counter
mojasec_admission_requests_total{decision="denied",endpoint="validate",operation="create"} 2
# HELP mojasec_findings_total Findings at admission by check and what was done: deny, warn, audit or waived. Dry runs do not count.
# TYPE mojasec_findings_total counter
mojasec_findings_total{check="ilp-secret-not-default",mode="deny"} 1
mojasec_findings_total{check="ilp-secret-from-secret",mode="warn"} 1
`
	if err := testutil.GatherAndCompare(d.registry, strings.NewReader(want), "mojasec_admission_requests_total", "mojasec_findings_total"); err != nil {
		t.Error(err)
	}
}
