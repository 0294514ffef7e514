package jws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// forge signs any protected header over any payload.
func forge(t testing.TB, k *PrivateKey, protected, payload string) string {
	t.Helper()
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(protected))
	signature, err := k.sign([]byte(head + "." + enc.EncodeToString([]byte(payload))))
	if err != nil {
		t.Fatal(err)
	}
	return signatureHeader([]byte(head), signature)
}

// header is a protected header as JSON, with the members of the transfer where
// tweak does not change them.
func header(t testing.TB, tweak func(map[string]any)) string {
	t.Helper()
	r := transfer()
	members := map[string]any{
		"alg": "ES256", HeaderURI: "/transfers", HeaderMethod: "POST", HeaderSource: r.Source, HeaderDestination: r.Destination, HeaderDate: r.Date,
	}
	tweak(members)
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// without leaves a member out of the protected header; with sets one.
func without(name string) func(map[string]any) {
	return func(m map[string]any) { delete(m, name) }
}

func with(name string, value any) func(map[string]any) {
	return func(m map[string]any) { m[name] = value }
}

func assertRefused(t *testing.T, err error, rule Rule, detail string, stricter bool) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		t.Fatalf("got %v, want an Error with rule %q", err, rule)
	case e.Rule != rule:
		t.Errorf("got rule %q (%s), want %q", e.Rule, e.Detail, rule)
	case !strings.Contains(e.Detail, detail):
		t.Errorf("got detail %q, want %q in it", e.Detail, detail)
	case e.StricterThanSDK != stricter:
		t.Errorf("got stricter than the SDK: %v, want %v", e.StricterThanSDK, stricter)
	}
	if want := fmt.Sprintf("%s (%s)", e.Detail, e.Rule); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// The protected header is signed as it says, so that only the rule in question
// can refuse it.
func TestVerifyProtectedHeader(t *testing.T) {
	t.Parallel()
	none := func(map[string]any) {}
	for _, tc := range []struct {
		name     string
		tweak    func(map[string]any)
		request  func(*Request)
		rule     Rule // "" = accepted
		detail   string
		stricter bool
	}{
		{name: "as it should be", tweak: none},
		{name: "no alg", tweak: without("alg"), rule: AlgNotAllowed, detail: "no alg"},
		{name: "none", tweak: with("alg", "none"), rule: AlgNotAllowed, detail: "none"},
		{name: "HS256", tweak: with("alg", "HS256"), rule: AlgNotAllowed, detail: "want RS256 or ES256"},
		{name: "PS256", tweak: with("alg", "PS256"), rule: AlgNotAllowed},
		{name: "ES384", tweak: with("alg", "ES384"), rule: AlgNotAllowed},
		{name: "lower case", tweak: with("alg", "es256"), rule: AlgNotAllowed},
		{name: "alg is a list", tweak: with("alg", []string{"ES256"}), rule: AlgNotAllowed, detail: `[\"ES256\"]`},
		{name: "RS256 of an EC key", tweak: with("alg", "RS256"), rule: AlgDiffers, detail: "alg of the protected header is RS256, but the key of the source is for ES256"},
		{name: "no URI", tweak: without(HeaderURI), rule: ProtectedFieldMissing, detail: HeaderURI},
		{name: "empty URI", tweak: with(HeaderURI, ""), rule: ProtectedFieldMissing, detail: HeaderURI},
		{name: "other URI", tweak: with(HeaderURI, "/quotes"), rule: URIDiffers, detail: `the protected header has "/quotes"`},
		{name: "URI with prefix", tweak: with(HeaderURI, "/fsp/1.0/transfers"), rule: URIDiffers},
		{name: "URI is a list", tweak: with(HeaderURI, []string{"/transfers"}), rule: URIDiffers},
		{name: "no method", tweak: without(HeaderMethod), rule: ProtectedFieldMissing, detail: HeaderMethod},
		{name: "other method", tweak: with(HeaderMethod, "PUT"), rule: MethodDiffers, detail: `the method is "POST", the protected header has "PUT"`},
		{name: "method in lower case", tweak: with(HeaderMethod, "post"), rule: MethodDiffers},
		{name: "request method in lower case", tweak: none, request: func(r *Request) { r.Method = "post" }},
		{name: "no source", tweak: without(HeaderSource), rule: ProtectedFieldMissing, detail: HeaderSource},
		{name: "other source", tweak: with(HeaderSource, "perffsp-3"), rule: SourceDiffers, detail: `header is "perffsp-1", the protected header has "perffsp-3"`},
		{name: "source in other case", tweak: with(HeaderSource, "PERFFSP-1"), rule: SourceDiffers},
		{name: "other destination", tweak: with(HeaderDestination, "perffsp-3"), rule: DestinationDiffers, detail: "perffsp-3"},
		{name: "destination not signed", tweak: without(HeaderDestination), rule: DestinationDiffers, detail: "the protected header has none"},
		{name: "destination null", tweak: with(HeaderDestination, nil), rule: DestinationDiffers, detail: "the protected header has none"},
		{name: "destination removed", tweak: none, request: func(r *Request) { r.Destination = "" }, rule: DestinationDiffers, detail: "there is no FSPIOP-Destination header"},
		{name: "no destination anywhere", tweak: without(HeaderDestination), request: func(r *Request) { r.Destination = "" }},
		{name: "empty destination", tweak: with(HeaderDestination, ""), request: func(r *Request) { r.Destination = "" }},
		{name: "other date", tweak: with(HeaderDate, "Tue, 24 Nov 2026 02:00:01 GMT"), rule: DateDiffers, detail: "02:00:01"},
		{name: "date removed", tweak: none, request: func(r *Request) { r.Date = "" }, rule: DateDiffers, detail: "there is no Date header"},
		{name: "date not signed", tweak: without(HeaderDate)},
		{name: "date is a number", tweak: with(HeaderDate, 5), rule: DateDiffers, detail: "5"},
		{name: "date is 0", tweak: with(HeaderDate, 0)},
		{name: "unknown member", tweak: with("kid", "1")},
		{name: "typ", tweak: with("typ", "JWT")},
		{name: "critical", tweak: with("crit", []string{"exp"}), rule: ProtectedHeaderSyntax, detail: "crit", stricter: true},
		{name: "unencoded payload", tweak: with("b64", false), rule: ProtectedHeaderSyntax, detail: "b64", stricter: true},
		{name: "kid is a number", tweak: with("kid", 1), rule: ProtectedHeaderSyntax, stricter: true},
		{name: "sent headers agree", tweak: none, request: func(r *Request) { r.SentURI, r.SentMethod = "/transfers", "POST" }},
		{name: "sent URI differs", tweak: none, request: func(r *Request) { r.SentURI = "/quotes" }, rule: URIDiffers, detail: "the FSPIOP-URI header is"},
		{name: "sent URI has a prefix", tweak: none, request: func(r *Request) { r.URI, r.SentURI = "", "/fsp/transfers" }, rule: URIDiffers},
		{name: "sent method differs", tweak: none, request: func(r *Request) { r.SentMethod = "post" }, rule: MethodDiffers, detail: "the FSPIOP-HTTP-Method header is"},
		{name: "sent URI of another request", tweak: none, request: func(r *Request) { r.URI, r.SentURI = "/quotes", "/transfers" }, rule: URIDiffers, detail: "the request is to", stricter: true},
		{name: "sent method of another request", tweak: none, request: func(r *Request) { r.Method, r.SentMethod = "PUT", "POST" }, rule: MethodDiffers, detail: "the method is", stricter: true},
		{name: "no source header", tweak: none, request: func(r *Request) { r.Source = "" }, rule: HeaderMissing, detail: HeaderSource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			k, r := vectorKeys()[ES256], transfer()
			if tc.request != nil {
				tc.request(&r)
			}
			payload := must(ecmajson.Sorted(r.Body))
			got, err := k.Public().Verify(r, forge(t, k, header(t, tc.tweak), string(payload)))
			if tc.rule != "" {
				assertRefused(t, err, tc.rule, tc.detail, tc.stricter)
				return
			}
			if err != nil || got != SortedOnly { // the body is not sent in this order
				t.Errorf("got %s, %v, want %s", got, err, SortedOnly)
			}
		})
	}
}

func TestVerifyForms(t *testing.T) {
	t.Parallel()
	k := vectorKeys()[ES256]
	const body = `{"b":1.0,"a":"x"}`
	for _, tc := range []struct {
		name, body, signed string
		want               Form
		newer, older       bool
	}{
		{"sorted text of a sorted body", `{"a":"x","b":1.0}`, `{"a":"x","b":1}`, Sorted, true, true},
		{"sorted text of another order", body, `{"a":"x","b":1}`, SortedOnly, true, false},
		{"in the order of the body", body, `{"b":1,"a":"x"}`, Ordered, false, true},
		{"the bytes as sent", body, body, Raw, false, false},
		{"the bytes as sent, with spaces", `{ "a" : 1 }`, `{ "a" : 1 }`, Raw, false, false},
		{"indices, sorted", `{"10":1,"9":2}`, `{"10":1,"9":2}`, SortedOnly, true, false},
		{"indices, ordered", `{"10":1,"9":2}`, `{"9":2,"10":1}`, Ordered, false, true},
		{"a string", `"x"`, `"x"`, Sorted, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := transfer()
			r.Body = []byte(tc.body)
			got, err := k.Public().Verify(r, forge(t, k, header(t, func(map[string]any) {}), tc.signed))
			if err != nil || got != tc.want {
				t.Fatalf("got %s, %v, want %s", got, err, tc.want)
			}
			if got.AcceptedByNew() != tc.newer || got.AcceptedByOld() != tc.older {
				t.Errorf("accepted by new %v, by old %v; want %v, %v", got.AcceptedByNew(), got.AcceptedByOld(), tc.newer, tc.older)
			}
		})
	}
}

func TestFormSpeaks(t *testing.T) {
	t.Parallel()
	for f, want := range map[Form][2]string{
		Sorted: {"sorted", "every Mojaloop SDK"}, SortedOnly: {"sorted-only", "19.19 or later"}, Ordered: {"ordered", "before 19.19"},
		Raw: {"raw", "no Mojaloop SDK"}, 0: {"none", "nobody"},
	} {
		if f.String() != want[0] || !strings.Contains(f.Accepts(), want[1]) {
			t.Errorf("got %q, %q; want %q, %q in it", f, f.Accepts(), want[0], want[1])
		}
	}
}

func TestVerifyBody(t *testing.T) {
	t.Parallel()
	k := vectorKeys()[ES256]
	for _, tc := range []struct {
		name, body string
		rule       Rule
		detail     string
		code       string
		stricter   bool
	}{
		{"none", "", BodyMissing, "no body", "3105", false},
		{"null", "null", BodyMissing, "null", "3105", false},
		{"false", "false", BodyMissing, "false", "3105", false},
		{"zero", "-0.0", BodyMissing, "0", "3105", false},
		{"empty string", ` ""`, BodyMissing, `""`, "3105", false},
		{"not JSON", `{"a":1,}`, BodySyntax, "line 1, column 8", "3101", false},
		{"not closed", "[1", BodySyntax, "line 1", "3101", false},
		{"too deep", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), BodySyntax, "deep", "3101", true},
		{"exp is text", `{"exp":"x"}`, BodyClaim, `"exp"`, "3105", false},
		{"exp beyond doubles", `{"exp":1e400}`, BodyClaim, `"exp"`, "3105", false},
		{"exp is a number", `{"exp":99999999999}`, BodyClaim, `"exp"`, "3105", true},
		{"nbf", `{"nbf":null}`, BodyClaim, `"nbf"`, "3105", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := transfer()
			r.Body = []byte(tc.body)
			_, err := Keys{r.Source: k.Public()}.Verify(r, forge(t, k, header(t, func(map[string]any) {}), tc.body))
			assertRefused(t, err, tc.rule, tc.detail, tc.stricter)
			if e, _ := errors.AsType[*Error](err); e.Code() != tc.code {
				t.Errorf("got code %s, want %s", e.Code(), tc.code)
			}
			_, err = k.Sign(r)
			assertRefused(t, err, tc.rule, tc.detail, tc.stricter)
		})
	}
	t.Run("exp further down is no claim", func(t *testing.T) {
		t.Parallel()
		r := transfer()
		r.Body = []byte(`[{"exp":1,"a":{"nbf":2}}]`)
		s := sign(t, k, r)
		if _, err := k.Public().Verify(sent(r, s), s.Header); err != nil {
			t.Error(err)
		}
	})
}

func TestVerifySignatureHeader(t *testing.T) {
	t.Parallel()
	k := vectorKeys()[ES256]
	good := sign(t, k, transfer())
	p, err := parseSignatureHeader(good.Header)
	if err != nil {
		t.Fatal(err)
	}
	object := func(protected, signature string) string {
		return fmt.Sprintf(`{"signature":%q,"protectedHeader":%q}`, signature, protected)
	}
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, tc := range []struct {
		name, header string
		rule         Rule // "" = accepted
		stricter     bool
	}{
		{name: "in the order of older SDKs", header: object(p.protected, p.signature)},
		{name: "with spaces", header: " \t" + strings.ReplaceAll(good.Header, ",", " ,\t")},
		{name: "escaped", header: strings.Replace(good.Header, "protected", `\u0070rotected`, 1)},
		{name: "last of two", header: strings.Replace(good.Header, "{", `{"signature":"AAAA",`, 1)},
		{name: "empty", header: "", rule: HeaderMissing},
		{name: "no JSON", header: "eyJhbGciOiJFUzI1NiJ9..AAAA", rule: SignatureSyntax},
		{name: "null", header: "null", rule: SignatureSyntax},
		{name: "a list", header: "[]", rule: SignatureSyntax},
		{name: "no signature", header: `{"protectedHeader":"` + p.protected + `"}`, rule: SignatureSyntax},
		{name: "no protected header", header: `{"signature":"` + p.signature + `"}`, rule: SignatureSyntax},
		{name: "names in another case", header: strings.ToLower(good.Header), rule: SignatureSyntax},
		{name: "empty signature", header: object(p.protected, ""), rule: SignatureSyntax},
		{name: "signature in a list", header: strings.Replace(object(p.protected, p.signature), `"`+p.signature+`"`, `["`+p.signature+`"]`, 1), rule: SignatureSyntax, stricter: true},
		{name: "a third member", header: strings.Replace(good.Header, "{", `{"x":1,`, 1), rule: SignatureSyntax, stricter: true},
		{name: "padded", header: object(p.protected, p.signature+"=="), rule: SignatureSyntax},
		{name: "standard base64", header: object(p.protected, "+/"+p.signature[2:]), rule: SignatureSyntax},
		{name: "line break", header: object(p.protected, p.signature[:4]+"\n"+p.signature[4:]), rule: SignatureSyntax},
		{name: "another part", header: object(p.protected+".e30", p.signature), rule: SignatureSyntax},
		{name: "odd length", header: object(p.protected, p.signature+"AAA"), rule: SignatureSyntax, stricter: true},
		{name: "short signature", header: object(p.protected, p.signature[:84]), rule: SignatureMismatch},
		{name: "long signature", header: object(p.protected, p.signature+"AA"), rule: SignatureMismatch},
		{name: "DER", header: object(p.protected, encode("0\x06\x02\x01\x01\x02\x01\x01")), rule: SignatureMismatch},
		{name: "zeros", header: object(p.protected, strings.Repeat("A", 86)), rule: SignatureMismatch},
		{name: "protected header is no JSON", header: object(encode("x"), p.signature), rule: ProtectedHeaderSyntax},
		{name: "protected header is a list", header: object(encode("[]"), p.signature), rule: ProtectedHeaderSyntax},
		{name: "protected header is null", header: object(encode("null"), p.signature), rule: ProtectedHeaderSyntax},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := k.Public().Verify(sent(transfer(), good), tc.header)
			if tc.rule == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			assertRefused(t, err, tc.rule, "", tc.stricter)
		})
	}
}

// Any change of what is signed is refused, by whatever rule, for both
// algorithms.
func TestTamperingIsRefused(t *testing.T) {
	t.Parallel()
	change := map[string]func(*Request){
		"body":        func(r *Request) { r.Body = bytes.Replace(r.Body, []byte(`"100"`), []byte(`"900"`), 1) },
		"method":      func(r *Request) { r.Method = "PUT" },
		"uri":         func(r *Request) { r.URI += "/1" },
		"source":      func(r *Request) { r.Source = "perffsp-3" },
		"destination": func(r *Request) { r.Destination = "perffsp-3" },
		"date":        func(r *Request) { r.Date = "Tue, 24 Nov 2026 02:00:01 GMT" },
	}
	for alg, k := range vectorKeys() {
		s := sign(t, k, transfer())
		all := Keys{"perffsp-1": k.Public(), "perffsp-3": k.Public()}
		for name, tamper := range change {
			r := sent(transfer(), s)
			tamper(&r)
			if form, err := all.Verify(r, s.Header); err == nil {
				t.Errorf("%s: changed %s is accepted as %s", alg, name, form)
			}
		}
		// Every byte of both parts, but for the bits beyond the last byte.
		for i := range len(s.Header) - len(`x"}`) {
			changed := []byte(s.Header)
			changed[i] ^= 1
			if form, err := all.Verify(sent(transfer(), s), string(changed)); err == nil {
				t.Errorf("%s: header changed at %d is accepted as %s", alg, i, form)
			}
		}
	}
}

func TestVerifyOfAnotherKey(t *testing.T) {
	t.Parallel()
	for _, k := range keys() {
		r := transfer()
		s := sign(t, k, r)
		other := vectorKeys()[k.Algorithm()].Public()
		_, err := other.Verify(sent(r, s), s.Header)
		assertRefused(t, err, SignatureMismatch, "it was made with another key", false)
		r.Source = "perffsp-3"
		_, err = Keys{"perffsp-3": other}.Verify(sent(r, s), s.Header)
		assertRefused(t, err, SignatureMismatch, `also, the FSPIOP-Source header is "perffsp-3"`, false)
		for alg, wrong := range vectorKeys() {
			if alg != k.Algorithm() {
				_, err = wrong.Public().Verify(sent(r, s), s.Header)
				assertRefused(t, err, AlgDiffers, "", false)
			}
		}
	}
}

func TestKeysFindTheSource(t *testing.T) {
	t.Parallel()
	k := vectorKeys()[ES256]
	r := transfer()
	s := sign(t, k, r)
	many := Keys{}
	for i := range 20 {
		many[fmt.Sprintf("fsp-%02d", i)] = k.Public()
	}
	for _, tc := range []struct {
		name   string
		keys   Keys
		source string
		rule   Rule
		detail string
	}{
		{"found", Keys{"perffsp-1": k.Public()}, "perffsp-1", "", ""},
		{"none at all", nil, "perffsp-1", KeyMissing, "nor of anybody"},
		{"nil", Keys{"perffsp-1": nil}, "perffsp-1", KeyMissing, ""},
		{"others", Keys{"b": k.Public(), "a": k.Public()}, "perffsp-1", KeyMissing, `only of "a", "b"`},
		{"many others", many, "perffsp-1", KeyMissing, `"fsp-09" and more`},
		{"another case", Keys{"PerfFSP-1": k.Public(), "a": k.Public()}, "perffsp-1", KeyMissing, `only of "PerfFSP-1": names of FSPs are compared with their case`},
		{"no source", Keys{"": k.Public()}, "", HeaderMissing, HeaderSource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := sent(r, s)
			r.Source = tc.source
			form, err := tc.keys.Verify(r, s.Header)
			if tc.rule == "" {
				if err != nil || form != Sorted {
					t.Errorf("got %s, %v, want %s", form, err, Sorted)
				}
				return
			}
			assertRefused(t, err, tc.rule, tc.detail, false)
		})
	}
}

func TestReceived(t *testing.T) {
	t.Parallel()
	good := map[string][]string{
		"FSPIOP-Source": {"a"}, "fspiop-destination": {"b"}, "Fspiop-Uri": {"/quotes"}, "FSPIOP-HTTP-METHOD": {"POST"},
		"date": {"d"}, "fspiop-signature": {"{}"}, "Content-Type": {"x", "y"},
	}
	r, signature, err := Received(good, []byte("{}"))
	if err != nil || signature != "{}" || r.Source != "a" || r.Destination != "b" || r.SentURI != "/quotes" || r.SentMethod != "POST" || r.Date != "d" || string(r.Body) != "{}" {
		t.Errorf("got %+v, %q, %v", r, signature, err)
	}
	for _, name := range []string{"FSPIOP-Source", "Fspiop-Uri", "FSPIOP-HTTP-METHOD", "fspiop-signature"} {
		for _, values := range [][]string{nil, {""}} {
			headers := maps.Clone(good)
			headers[name] = values
			_, _, err := Received(headers, nil)
			assertRefused(t, err, HeaderMissing, "there is no FSPIOP-", false)
		}
		headers := maps.Clone(good)
		headers[strings.ToUpper(name)] = []string{"1", "2"}
		_, _, err := Received(headers, nil)
		assertRefused(t, err, HeaderRepeated, "times", true)
	}
	for _, name := range []string{"fspiop-destination", "date"} {
		headers := maps.Clone(good)
		delete(headers, name)
		if _, _, err := Received(headers, nil); err != nil {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// go-jose is the second opinion on every signature made here.
func TestSignaturesAreJWS(t *testing.T) {
	t.Parallel()
	for kind, k := range keys() {
		s := sign(t, k, transfer())
		p, err := parseSignatureHeader(s.Header)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jose.ParseDetached(p.protected+".."+p.signature, s.Body, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.Algorithm())})
		if err != nil {
			t.Fatal(err)
		}
		if err := token.DetachedVerify(s.Body, k.public.key); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if got := token.Signatures[0].Protected.ExtraHeaders["FSPIOP-Source"]; got != "perffsp-1" {
			t.Errorf("got source %v", got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	k := keys()[P256]
	all := Keys{"perffsp-1": k.Public()}
	want := sign(t, k, transfer())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := k.Sign(transfer())
				if err != nil || got.Header != want.Header {
					t.Errorf("got %q, %v, want %q", got.Header, err, want.Header)
					return
				}
				if _, err := all.Verify(sent(transfer(), got), got.Header); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
