package probe_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/plugin/probe"
)

var now = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

func newKey(t *testing.T) *jws.PrivateKey {
	t.Helper()
	key, err := jws.GenerateKey(jws.P256, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// adapter answers in the order of the SDK: headers, signature, body.
type adapter struct {
	t    *testing.T
	keys jws.Keys
	// off verifies nothing.
	off bool
	// contentType is the only one that is known.
	contentType string
	// handled counts what got as far as a handler.
	handled int
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	fail := func(code, description string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"errorInformation":{"errorCode":%q,"errorDescription":%q}}`, code, description)
	}
	if got := r.Header.Get("Content-Type"); a.contentType != "" && got != a.contentType {
		fail("3001", "Unacceptable version requested - The Client supplied a version that is not supported")
		return
	}
	if !a.off {
		received, header, err := jws.Received(map[string][]string(r.Header), body)
		if err == nil {
			received.Method, received.URI = r.Method, r.URL.Path
			_, err = a.keys.Verify(received, header)
		}
		switch refused, ok := errors.AsType[*jws.Error](err); {
		case ok && refused.Rule == jws.KeyMissing:
			fail("3105", "Invalid signature - JWS public key for 'perffsp-1' not available. Unable to verify JWS. Only have keys for: []")
			return
		case err != nil:
			fail("3105", "Invalid signature - invalid signature")
			return
		}
	}
	if !strings.Contains(string(body), "quoteId") {
		fail("3102", "Missing element - /requestBody must have required property 'quoteId'")
		return
	}
	a.handled++
}

func TestProbe(t *testing.T) {
	t.Parallel()
	key, other := newKey(t), newKey(t)
	holds := jws.Keys{"perffsp-1": key.Public()}
	json := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	tests := []struct {
		name    string
		handler http.Handler
		want    probe.Answer
		code    string
		detail  string
	}{
		{"holds it", &adapter{t: t, keys: holds}, probe.Holds, "3102", "3102 Missing element"},
		{"holds another", &adapter{t: t, keys: jws.Keys{"perffsp-1": other.Public()}}, probe.HoldsAnother, "3105", "3105 Invalid signature"},
		{"holds none of the source", &adapter{t: t, keys: jws.Keys{"perffsp-2": key.Public()}}, probe.HoldsNone, "3105", "not available"},
		{"does not verify", &adapter{t: t, off: true}, probe.DoesNotVerify, "3102", "a wrong signature got the same answer"},
		{
			"version 1.1",
			&adapter{t: t, keys: holds, contentType: "application/vnd.interoperability.quotes+json;version=1.1"},
			probe.Holds, "3102", "",
		},
		{
			"version 2.0",
			&adapter{t: t, keys: holds, contentType: "application/vnd.interoperability.quotes+json;version=2.0"},
			probe.Holds, "3102", "",
		},
		{
			"ISO 20022",
			&adapter{t: t, keys: holds, contentType: "application/vnd.interoperability.iso20022.quotes+json;version=2.0"},
			probe.Holds, "3102", "",
		},
		{"unknown version", &adapter{t: t, keys: holds, contentType: "text/plain"}, probe.NotAvailable, "3001", "3001 Unacceptable version"},
		{"no Mojaloop", json(http.StatusNotFound, "<html>"), probe.NotAvailable, "", "HTTP 404 without an FSPIOP error code"},
		{"accepts all", json(http.StatusAccepted, ""), probe.NotAvailable, "", "HTTP 202 without an FSPIOP error code"},
		{"a mesh that refuses", json(http.StatusForbidden, "RBAC: access denied"), probe.NotAvailable, "", "HTTP 403"},
		{"a redirect", http.RedirectHandler("/elsewhere", http.StatusPermanentRedirect), probe.NotAvailable, "", "HTTP 308"},
		{
			"broken inside", json(http.StatusInternalServerError, `{"errorInformation":{"errorCode":"2001","errorDescription":"x"}}`),
			probe.NotAvailable, "2001", "HTTP 500, FSPIOP 2001 x",
		},
		{
			"code as a number", json(http.StatusBadRequest, `{"errorInformation":{"errorCode":3105}}`),
			probe.HoldsAnother, "3105", "",
		},
		{
			"hostile text", json(http.StatusBadRequest, `{"errorInformation":{"errorCode":"3105","errorDescription":"\u001b[31m`+strings.Repeat("é", 1000)+`"}}`),
			probe.HoldsAnother, "3105", `\x1b[31m`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			got, err := probe.Probe(t.Context(), server.Client(), server.URL, key, "perffsp-1", "perffsp-2", now)
			if err != nil {
				t.Fatal(err)
			}
			if got.Answer != tt.want || got.Code != tt.code {
				t.Errorf("got %s with code %q (%s), want %s with %q", got.Answer, got.Code, got.Detail, tt.want, tt.code)
			}
			if !strings.Contains(got.Detail, tt.detail) || len(got.Detail) > 400 {
				t.Errorf("got detail %q, want %q in it", got.Detail, tt.detail)
			}
			if a, ok := tt.handler.(*adapter); ok && a.handled > 0 {
				t.Error("the probe reached a handler")
			}
		})
	}
}

// TestContradiction covers a verifier that changes its mind between the two
// requests, as one does whose key is replaced at that moment.
func TestContradiction(t *testing.T) {
	t.Parallel()
	answers := []string{"3102", "3100"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"errorInformation":{"errorCode":%q}}`, answers[0])
		answers = answers[1:]
	}))
	defer server.Close()
	got, err := probe.Probe(t.Context(), server.Client(), server.URL, newKey(t), "a", "", now)
	if err != nil || got.Answer != probe.NotAvailable || !strings.Contains(got.Detail, "contradict") {
		t.Errorf("got %+v, %v, want no answer because of a contradiction", got, err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	got, err := probe.Probe(t.Context(), http.DefaultClient, server.URL, newKey(t), "a", "b", now)
	if err != nil || got.Answer != probe.NotAvailable || !strings.Contains(got.Detail, "connection refused") {
		t.Errorf("got %+v, %v, want not available, connection refused", got, err)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	client := server.Client()
	client.Timeout = time.Millisecond
	got, err := probe.Probe(t.Context(), client, server.URL, newKey(t), "a", "b", now)
	if err != nil || got.Answer != probe.NotAvailable || got.Detail != "no answer in time" {
		t.Errorf("got %+v, %v, want not available, no answer in time", got, err)
	}
}

func TestImpossible(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe.Probe(canceled, http.DefaultClient, "http://127.0.0.1:1", newKey(t), "a", "b", now); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if _, err := probe.Probe(t.Context(), http.DefaultClient, "http://127.0.0.1:1", nil, "a", "b", now); err == nil {
		t.Error("without a key: got no error")
	}
	if _, err := probe.Probe(t.Context(), http.DefaultClient, "http://a b", newKey(t), "a", "b", now); err == nil {
		t.Error("wrong URL: got no error")
	}
}
