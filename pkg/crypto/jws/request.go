package jws

import (
	"errors"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// Names of the HTTP headers that a signature is about. Their case does not
// matter on the wire; that of the same names in the protected header does.
const (
	HeaderSignature   = "FSPIOP-Signature"
	HeaderURI         = "FSPIOP-URI"
	HeaderMethod      = "FSPIOP-HTTP-Method"
	HeaderSource      = "FSPIOP-Source"
	HeaderDestination = "FSPIOP-Destination"
	HeaderDate        = "Date"
)

// Request is the part of an HTTP request that a signature covers.
type Request struct {
	// Method as sent. Signed is its upper case.
	Method string
	// URI is the path or the whole URL. Signed is the part from the FSPIOP
	// resource on: "/quotes/123" of "https://hub/fsp/1.0/quotes/123".
	URI string
	// SentMethod and SentURI are the headers FSPIOP-HTTP-Method and FSPIOP-URI
	// of a request that was received; [Received] fills them in. The SDK believes
	// them and never looks at the request line; Verify compares both where both
	// are given.
	SentMethod, SentURI string
	// Source is the FSPIOP-Source header: the sender's FSP id.
	Source string
	// Destination is the FSPIOP-Destination header; "" when there is none.
	Destination string
	// Date is the Date header; "" when there is none.
	Date string
	// Body is JSON text.
	Body []byte
}

// Received is the Request of which only headers and body are at hand, and the
// value of its FSPIOP-Signature header. Names are found in any case. The error
// is an [Error]: a header that the signature covers is missing or there twice.
// An http.Header can be passed as it is.
func Received(headers map[string][]string, body []byte) (Request, string, error) {
	r := Request{Body: body}
	var signature string
	for _, want := range []struct {
		name     string
		into     *string
		optional bool
	}{
		{HeaderSource, &r.Source, false},
		{HeaderURI, &r.SentURI, false},
		{HeaderMethod, &r.SentMethod, false},
		{HeaderSignature, &signature, false},
		{HeaderDestination, &r.Destination, true},
		{HeaderDate, &r.Date, true},
	} {
		var values []string
		for name, v := range headers {
			if strings.EqualFold(name, want.name) {
				values = append(values, v...)
			}
		}
		switch {
		case len(values) > 1:
			return Request{}, "", stricter(HeaderRepeated, "%s is there %d times", want.name, len(values))
		case len(values) == 1:
			*want.into = values[0]
		}
		if *want.into == "" && !want.optional {
			return Request{}, "", missing(want.name)
		}
	}
	return r, signature, nil
}

func missing(header string) *Error {
	return refuse(HeaderMissing, "there is no %s header", header)
}

// resources are the first parts of the paths that the SDK signs.
var resources = []string{
	"participants", "parties", "quotes", "bulkQuotes", "transfers", "bulkTransfers", "transactionRequests",
	"thirdpartyRequests", "authorizations", "consents", "consentRequests", "fxQuotes", "fxTransfers",
}

// Resource is the part of a path or URL that is signed: from the last FSPIOP
// resource on. It is what the regular expression of the SDK finds, oddities
// included: "/" of a path that ends in a slash, and what follows the first
// slash of "//". It is false where the SDK finds nothing and does not sign. A
// URI is bytes, as on the wire: U+2028, which would end a line in JavaScript, is
// three other characters there.
func Resource(uri string) (string, bool) {
	if strings.ContainsAny(uri, "\r\n") {
		return "", false
	}
	for at := len(uri); ; {
		at = strings.LastIndexByte(uri[:at], '/')
		if at < 0 {
			return "", false
		}
		first, _, _ := strings.Cut(uri[at+1:], "/")
		if first == "" || slices.Contains(resources, first) {
			return uri[at:], true
		}
	}
}

// fields are what the protected header says, or should say.
type fields struct{ method, uri, source, destination, date string }

// toSign checks a Request and returns what its protected header says.
func (r Request) toSign() (fields, error) {
	uri, ok := Resource(r.URI)
	if !ok {
		return fields{}, refuse(URIInvalid, "%s holds no FSPIOP resource; want a path such as /quotes or /transfers/ID", show(r.URI))
	}
	f := fields{strings.ToUpper(r.Method), uri, r.Source, r.Destination, r.Date}
	for _, h := range []struct {
		name, value string
		optional    bool
	}{
		{HeaderMethod, f.method, false},
		{HeaderURI, f.uri, false},
		{HeaderSource, f.source, false},
		{HeaderDestination, f.destination, true},
		{HeaderDate, f.date, true},
	} {
		switch {
		case h.value == "" && !h.optional:
			return fields{}, missing(h.name)
		case !sendable(h.value):
			return fields{}, stricter(HeaderInvalid, "%s %s cannot be an HTTP header: it has a control character, or a space at an end", h.name, show(h.value))
		}
	}
	return f, nil
}

// sendable tells that a value reaches the peer as it is in an HTTP header.
func sendable(value string) bool {
	control := func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
	return !strings.ContainsFunc(value, control) && strings.Trim(value, " \t") == value
}

// parseBody reads a body that can be signed.
func parseBody(body []byte) (ecmajson.Value, error) {
	if len(body) == 0 {
		return ecmajson.Value{}, refuse(BodyMissing, "there is no body; requests without one are not signed")
	}
	v, err := ecmajson.Parse(body)
	if err != nil {
		e := refuse(BodySyntax, "the body is not JSON: %s", err)
		e.err = err
		e.StricterThanSDK = errors.Is(err, ecmajson.ErrTooDeep) || errors.Is(err, ecmajson.ErrTooLong)
		return v, e
	}
	if !v.Truthy() {
		return v, refuse(BodyMissing, "the body is %s, which the SDK takes for none", v.Ordered())
	}
	for _, name := range []string{"exp", "nbf"} {
		if claim, ok := v.Member(name); ok {
			// With a number the SDK compares the clock. No FSPIOP message has
			// such a member, so no clock is asked for here.
			e := refuse(BodyClaim, "the body has a member %q, which the SDK takes for the life time of a token", name)
			e.StricterThanSDK = claim.Kind() == ecmajson.Number && string(claim.Ordered()) != "null"
			return v, e
		}
	}
	return v, nil
}
