package jws

import (
	"strings"
	"testing"
)

// Measured with the regular expression of sdk-standard-components 19.19.1.
func TestResource(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		uri, want string
		ok        bool
	}{
		{"/quotes", "/quotes", true},
		{"/quotes/7c23e80c", "/quotes/7c23e80c", true},
		{"https://hub.example:4000/fsp/1.0/transfers/1/error", "/transfers/1/error", true},
		{"/parties/MSISDN/123/sub", "/parties/MSISDN/123/sub", true},
		{"/parties/ALIAS/quotes", "/quotes", true},
		{"/quotes/", "/", true},
		{"/x//y", "//y", true},
		{"https://hub.example/x", "//hub.example/x", true},
		{"/quotes/1?x=/2", "/quotes/1?x=/2", true},
		{"/fxTransfers/1", "/fxTransfers/1", true},
		{"/", "/", true},
		{"/quotes?x=1", "", false},
		{"/quotesX/1", "", false},
		{"/Quotes/1", "", false},
		{"quotes/1", "", false},
		{"/health", "", false},
		{"", "", false},
		{"/quotes/1\n", "", false},
		{"\r\n/quotes", "", false},
	} {
		if got, ok := Resource(tc.uri); got != tc.want || ok != tc.ok {
			t.Errorf("%q: got %q, %v, want %q, %v", tc.uri, got, ok, tc.want, tc.ok)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		tweak    func(*Request)
		rule     Rule
		detail   string
		stricter bool
	}{
		{"no body", func(r *Request) { r.Body = nil }, BodyMissing, "requests without one are not signed", false},
		{"no resource", func(r *Request) { r.URI = "/health" }, URIInvalid, `"/health" holds no FSPIOP resource; want a path such as /quotes`, false},
		{"long URI", func(r *Request) { r.URI = strings.Repeat("x", 1000) }, URIInvalid, "…", false},
		{"no method", func(r *Request) { r.Method = "" }, HeaderMissing, HeaderMethod, false},
		{"no source", func(r *Request) { r.Source = "" }, HeaderMissing, HeaderSource, false},
		{"line break in the source", func(r *Request) { r.Source = "a\r\nX: y" }, HeaderInvalid, `FSPIOP-Source "a\r\nX: y"`, true},
		{"space after the destination", func(r *Request) { r.Destination = "b " }, HeaderInvalid, "FSPIOP-Destination", true},
		{"control character in the date", func(r *Request) { r.Date = "a\x00b" }, HeaderInvalid, "Date", true},
		{"DEL in the URI", func(r *Request) { r.URI = "/quotes/\x7f" }, HeaderInvalid, "FSPIOP-URI", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := transfer()
			tc.tweak(&r)
			_, err := vectorKeys()[ES256].Sign(r)
			assertRefused(t, err, tc.rule, tc.detail, tc.stricter)
		})
	}
	var zero PrivateKey
	for _, k := range []*PrivateKey{nil, &zero} {
		if _, err := k.Sign(transfer()); err == nil || err.Error() != "sign: no key" {
			t.Errorf("got %v, want no key", err)
		}
	}
}

func TestSignDoesNotChangeItsInput(t *testing.T) {
	t.Parallel()
	r := transfer()
	sign(t, vectorKeys()[ES256], r)
	if want := transfer(); string(r.Body) != string(want.Body) {
		t.Errorf("got %s, want %s", r.Body, want.Body)
	}
}
