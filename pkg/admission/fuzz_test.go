package admission_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/admission"
	"github.com/mojasec/mojasec/test/fixtures"
)

// FuzzAdmissionReview: whatever the body is, the answer is a verdict on the uid
// that was asked about or an HTTP status of the contract, and no panic.
func FuzzAdmissionReview(f *testing.F) {
	c, s := scheme()
	c.apply(quarantine())
	h, err := admission.NewHandler(admission.Options{Knowledge: c, Authorizer: c, Now: func() time.Time { return fixtures.Now }})
	if err != nil {
		f.Fatal(err)
	}
	for _, obj := range []runtime.Object{sdkPod(s), s.SDK1, s.PeerAuth, s.DestinationRule, s.Gateway, s.ILP1, s.VerificationKeys, s.Namespace, quarantine()} {
		f.Add(reviewOf(f, create(f, obj)))
		f.Add(reviewOf(f, update(f, obj, obj)))
		f.Add(reviewOf(f, remove(f, obj)))
	}
	f.Add(reviewOf(f, connect("pods", "proxy", "http:perffsp-1-sdk-0:80")))
	f.Add([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","object":{},"object":{}}}`))
	paths := []string{"/mutate", "/mutate/quarantine", "/validate", "/validate/warn", "/validate/namespaces", "/validate/connect"}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range paths {
			r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			switch w.Code {
			case http.StatusBadRequest:
			case http.StatusOK:
				checkVerdict(t, path, body, w.Body.Bytes())
			default:
				t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
			}
		}
	})
}

func checkVerdict(t *testing.T, path string, body, answer []byte) {
	t.Helper()
	var asked struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	var said admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &said); err != nil || said.Response == nil {
		t.Fatalf("%s: answer %q: %v", path, answer, err)
	}
	if err := json.Unmarshal(body, &asked); err == nil && asked.Request.UID != string(said.Response.UID) {
		t.Errorf("%s: answered uid %q, was asked about %q", path, said.Response.UID, asked.Request.UID)
	}
	if path == "/validate/warn" && !said.Response.Allowed {
		t.Errorf("%s refused", path)
	}
}
