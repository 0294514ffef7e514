package jws

import (
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

// sdkSignatures was made by sdk-standard-components 19.19.1 and 17.4.0 with the
// keys of vectorKeys. `UPDATE=1 make test-interop` writes it, and compares many
// more messages with the SDK itself.
//
//go:embed testdata/sdk-signatures.json
var sdkSignatures []byte

const (
	newRelease = "19.19.1"
	oldRelease = "17.4.0"
)

type vector struct {
	Name string
	// Release signed it; it is empty for a message that was tampered with, which
	// has no Request either.
	Release string
	Alg     Algorithm
	Request struct{ Method, URI, Source, Destination, Date, Body string }
	// Sent is what arrives; headers that do not are empty.
	Sent struct{ URI, Method, Source, Destination, Date, Body, Signature string }
	// Accepted are the releases that accept it.
	Accepted []string
}

func (v vector) request() Request {
	r := v.Request
	return Request{Method: r.Method, URI: r.URI, Source: r.Source, Destination: r.Destination, Date: r.Date, Body: []byte(r.Body)}
}

// verify verifies what arrives.
func (v vector) verify() (Form, error) {
	headers := map[string][]string{}
	for name, value := range map[string]string{
		"fspiop-source": v.Sent.Source, "fspiop-destination": v.Sent.Destination, "date": v.Sent.Date, "fspiop-uri": v.Sent.URI,
		"fspiop-http-method": v.Sent.Method, "fspiop-signature": v.Sent.Signature,
	} {
		if value != "" {
			headers[name] = []string{value}
		}
	}
	r, signature, err := Received(headers, []byte(v.Sent.Body))
	if err != nil {
		return 0, err
	}
	key := vectorKeys()[v.Alg].Public()
	return Keys{"perffsp-1": key, "perffsp-2": key, "DFSP_2": key, "ec-DFSP_2": key, `a"b\c`: key}.Verify(r, signature)
}

func vectors(t testing.TB) []vector {
	t.Helper()
	var all []vector
	if err := json.Unmarshal(sdkSignatures, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestVerifyAnswersAsTheSDK(t *testing.T) {
	t.Parallel()
	count := map[Form]int{}
	for _, v := range vectors(t) {
		t.Run(v.Release+" "+string(v.Alg)+" "+v.Name, func(t *testing.T) {
			form, err := v.verify()
			count[form]++
			if refused := (*Error)(nil); len(v.Accepted) == 0 && (!errors.As(err, &refused) || refused.StricterThanSDK) {
				t.Errorf("got %s, error %v; no SDK accepts it", form, err)
			}
			if len(v.Accepted) > 0 && err != nil {
				t.Errorf("got error %v, %q accept it", err, v.Accepted)
			}
			// SDKs up to 18.1 know RS256 only.
			byOld := form.AcceptedByOld() && v.Alg == RS256
			if byOld != slices.Contains(v.Accepted, oldRelease) || form.AcceptedByNew() != slices.Contains(v.Accepted, newRelease) {
				t.Errorf("got %s, %q accept it", form, v.Accepted)
			}
		})
	}
	for _, form := range []Form{0, Sorted, SortedOnly, Ordered} {
		if count[form] < 10 {
			t.Errorf("got %d vectors of form %s, want more", count[form], form)
		}
	}
}

func TestSignWritesWhatTheSDKWrites(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, v := range vectors(t) {
		if v.Release != newRelease {
			continue
		}
		compared++
		t.Run(string(v.Alg)+" "+v.Name, func(t *testing.T) {
			t.Parallel()
			got := sign(t, vectorKeys()[v.Alg], v.request())
			if string(got.Body) != v.Sent.Body || got.URI != v.Sent.URI || got.Method != v.Sent.Method {
				t.Errorf("got %s %s\n%s\nwant %s %s\n%s", got.Method, got.URI, got.Body, v.Sent.Method, v.Sent.URI, v.Sent.Body)
			}
			header, want := got.Header, v.Sent.Signature
			if v.Alg == ES256 { // Node takes a random number for each signature
				header, want = protectedOf(t, header), protectedOf(t, want)
			}
			if header != want {
				t.Errorf("got %s\nwant %s", header, want)
			}
		})
	}
	if compared < 100 {
		t.Errorf("got %d vectors to compare, want more", compared)
	}
}

func protectedOf(t testing.TB, header string) string {
	t.Helper()
	p, err := parseSignatureHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	return p.protected
}
