package jws

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// FuzzHeader reads any FSPIOP-Signature. What is accepted can be written again
// and read as the same.
func FuzzHeader(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Sent.Signature)
	}
	for _, seed := range []string{"", "null", `{"signature":"AA","protectedHeader":"e30"}`, `{"protectedHeader":["e30"],"signature":1}`, "\xff", `{"a":`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p, err := parseSignatureHeader(value)
		if err != nil {
			assertIsError(t, err)
			return
		}
		if strings.ContainsFunc(p.protected+p.signature, notBase64URL) || p.protected == "" || p.signature == "" {
			t.Errorf("got %q, %q", p.protected, p.signature)
		}
		signature, err := base64.RawURLEncoding.DecodeString(p.signature)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseSignatureHeader(signatureHeader([]byte(p.protected), signature))
		if err != nil || again.protected != p.protected {
			t.Errorf("got %v, %v, want %v", again, err, p)
		}
		if h, err := parseProtectedHeader(p.protected); err != nil {
			assertIsError(t, err)
		} else if alg, err := h.algorithm(); err != nil {
			assertIsError(t, err)
		} else if alg != RS256 && alg != ES256 {
			t.Errorf("got algorithm %q", alg)
		}
	})
}

// FuzzProtectedHeader verifies any protected header that is rightly signed: it
// is accepted only when it says what the request says.
func FuzzProtectedHeader(f *testing.F) {
	k := vectorKeys()[ES256]
	for _, seed := range []string{
		string(appendProtectedHeader(nil, ES256, must(transfer().toSign()))), header(f, without(HeaderDate)), header(f, with("crit", []string{"b64"})),
		header(f, with("alg", "none")), `{"alg":"ES256","alg":"ES256"}`, "null", "\xff", `{"alg":"ES256","__proto__":{}}`,
	} {
		f.Add(seed)
	}
	payload := string(must(ecmajson.Sorted(transfer().Body)))
	f.Fuzz(func(t *testing.T, protected string) {
		if protected == "" {
			return
		}
		r := transfer()
		r.Body = []byte(payload)
		if _, err := k.Public().Verify(r, forge(t, k, protected, payload)); err != nil {
			assertIsError(t, err)
			return
		}
		v, err := ecmajson.Parse([]byte(protected))
		if err != nil {
			t.Fatalf("accepted %q, which is not JSON: %v", protected, err)
		}
		for name, want := range map[string]string{
			"alg": "ES256", HeaderURI: "/transfers", HeaderMethod: "POST", HeaderSource: r.Source, HeaderDestination: r.Destination,
		} {
			member, _ := v.Member(name)
			if got, _ := member.Text(); got != want {
				t.Errorf("accepted %q with %s %q, want %q", protected, name, got, want)
			}
		}
	})
}

// FuzzVerify gives any header and body to the verifier. What it accepts is
// really signed by the key, as another implementation sees it.
func FuzzVerify(f *testing.F) {
	k := vectorKeys()[ES256]
	for _, v := range vectors(f) {
		if v.Alg == ES256 {
			f.Add(v.Sent.Signature, []byte(v.Sent.Body), v.Sent.URI, v.Sent.Method, v.Request.Source, v.Request.Destination, v.Request.Date)
		}
	}
	r := transfer()
	s := sign(f, k, r)
	f.Add(s.Header, s.Body, s.URI, s.Method, r.Source, r.Destination, r.Date)
	f.Fuzz(func(t *testing.T, header string, body []byte, uri, method, source, destination, date string) {
		r := Request{Method: method, URI: uri, Source: source, Destination: destination, Date: date, Body: body}
		form, err := Keys{source: k.Public()}.Verify(r, header)
		if err != nil {
			assertIsError(t, err)
			return
		}
		texts := map[Form]func([]byte) ([]byte, error){
			Sorted: ecmajson.Sorted, SortedOnly: ecmajson.Sorted, Ordered: ecmajson.Ordered,
			Raw: func(b []byte) ([]byte, error) { return b, nil },
		}
		payload, err := texts[form](body)
		if err != nil {
			t.Fatal(err)
		}
		if !signedBy(t, k.Public(), header, payload) {
			t.Errorf("accepted %q over %q as %s", header, body, form)
		}
	})
}

// signedBy checks an ES256 signature by its numbers.
func signedBy(t *testing.T, k *PublicKey, header string, payload []byte) bool {
	t.Helper()
	p, err := parseSignatureHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.signature)
	key, ok := k.key.(*ecdsa.PublicKey)
	if err != nil || !ok || len(raw) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(p.protected + "." + base64.RawURLEncoding.EncodeToString(payload)))
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:]))
}

// FuzzSign signs any request. What is signed is accepted, and the body that is
// sent means the same as the one that was given.
func FuzzSign(f *testing.F) {
	k := vectorKeys()[ES256]
	for _, v := range vectors(f) {
		r := v.Request
		f.Add([]byte(r.Body), r.URI, r.Method, r.Source, r.Destination, r.Date)
	}
	f.Add([]byte(`[]`), "/quotes", "post", "\xff\x80", "\u00e9\u2028", "\t\"\\")
	f.Fuzz(func(t *testing.T, body []byte, uri, method, source, destination, date string) {
		r := Request{Method: method, URI: uri, Source: source, Destination: destination, Date: date, Body: body}
		s, err := k.Sign(r)
		if err != nil {
			assertIsError(t, err)
			return
		}
		form, err := k.Public().Verify(sent(r, s), s.Header)
		if err != nil || !form.AcceptedByNew() {
			t.Fatalf("got %s, %v of %+v", form, err, s)
		}
		if form == SortedOnly && !bytes.ContainsAny(s.Body, "0123456789") {
			t.Errorf("got %s of a body without indices: %s", form, s.Body)
		}
		if again := sign(t, k, sent(r, s)); !bytes.Equal(again.Body, s.Body) {
			t.Errorf("signed again: got body %s, want %s", again.Body, s.Body)
		}
		received, header, err := Received(map[string][]string{
			HeaderSource: {source}, HeaderDestination: {destination}, HeaderDate: {date}, HeaderURI: {s.URI}, HeaderMethod: {s.Method}, HeaderSignature: {s.Header},
		}, s.Body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Public().Verify(received, header); err != nil {
			t.Errorf("received: %v", err)
		}
	})
}

// FuzzParseKeys reads any text as a key. A key that is read works.
func FuzzParseKeys(f *testing.F) {
	// No private RSA key: it takes a millisecond to use one, and a mutated one
	// hardly ever is a key.
	_, ecKey := stdKeys()
	f.Add(keys()[P256].MarshalPEM())
	f.Add([]byte(pkcs8(ecKey)))
	for _, k := range keys() {
		f.Add(k.Public().MarshalPEM())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if k, err := ParsePrivateKey(text); err == nil {
			if err := k.SelfTest(); err != nil {
				t.Error(err)
			}
		}
		if k, err := ParsePublicKey(text); err == nil {
			if again, err := ParsePublicKey(k.MarshalPEM()); err != nil || again.Fingerprint() != k.Fingerprint() {
				t.Errorf("got %v, %v, want %s", again, err, k)
			}
		}
	})
}

func assertIsError(t *testing.T, err error) {
	t.Helper()
	if e, ok := err.(*Error); !ok || e.Rule == "" || e.Detail == "" || len(e.Code()) != 4 { //nolint:errorlint // never wrapped
		t.Errorf("got %v, want an Error", err)
	}
}
