package jws

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// appendProtectedHeader writes the protected header with the members in the
// order of the SDK.
func appendProtectedHeader(dst []byte, alg Algorithm, f fields) []byte {
	dst = append(dst, `{"alg":"`...)
	dst = append(dst, alg...)
	dst = append(dst, '"')
	for _, m := range []struct{ name, value string }{
		{HeaderURI, f.uri},
		{HeaderMethod, f.method},
		{HeaderSource, f.source},
		{HeaderDestination, f.destination},
		{HeaderDate, f.date},
	} {
		if m.value == "" {
			continue
		}
		dst = append(append(append(dst, `,"`...), m.name...), `":`...)
		dst = appendQuoted(dst, m.value)
	}
	return append(dst, '}')
}

// appendQuoted quotes a header value as JSON.stringify does and Node then
// encodes as Latin-1: bytes beyond ASCII stay as they are.
func appendQuoted(dst []byte, value string) []byte {
	dst = append(dst, '"')
	for _, c := range []byte(value) {
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\t': // the only control character in a header
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// signatureHeader writes the value of FSPIOP-Signature.
func signatureHeader(protected, signature []byte) string {
	const open, between, end = `{"protectedHeader":"`, `","signature":"`, `"}`
	enc := base64.RawURLEncoding
	out := make([]byte, 0, len(open)+len(protected)+len(between)+enc.EncodedLen(len(signature))+len(end))
	out = append(append(append(out, open...), protected...), between...)
	out = enc.AppendEncode(out, signature)
	return string(append(out, end...))
}

// parts are the two members of FSPIOP-Signature.
type parts struct{ protected, signature string }

// parseSignatureHeader reads the value of FSPIOP-Signature. The error is an
// [Error].
func parseSignatureHeader(value string) (parts, error) {
	v, err := ecmajson.Parse([]byte(latin1(value)))
	if err != nil {
		return parts{}, refuse(SignatureSyntax, "%s is not JSON: %s", HeaderSignature, err)
	}
	if v.Kind() != ecmajson.Object {
		return parts{}, refuse(SignatureSyntax, "%s is not a JSON object", HeaderSignature)
	}
	var p parts
	for _, m := range []struct {
		name string
		into *string
	}{{"protectedHeader", &p.protected}, {"signature", &p.signature}} {
		member, ok := v.Member(m.name)
		if !ok {
			return parts{}, refuse(SignatureSyntax, "%s has no member %q", HeaderSignature, m.name)
		}
		text, ok := member.Text()
		if !ok {
			// JavaScript makes a string of ["text"] and goes on.
			return parts{}, stricter(SignatureSyntax, "%s of %s is not a string", m.name, HeaderSignature)
		}
		if text == "" || strings.ContainsFunc(text, notBase64URL) {
			return parts{}, refuse(SignatureSyntax, "%s of %s is not base64url without padding", m.name, HeaderSignature)
		}
		if len(text)%4 == 1 {
			return parts{}, stricter(SignatureSyntax, "%s of %s has a length that no base64url has", m.name, HeaderSignature)
		}
		*m.into = text
	}
	if n := len(v.Names()); n > 2 {
		return parts{}, stricter(SignatureSyntax, "%s has %d members; want protectedHeader and signature", HeaderSignature, n)
	}
	return p, nil
}

func notBase64URL(c rune) bool {
	switch {
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		return false
	}
	return true
}

// protectedHeader is a parsed protected header.
type protectedHeader struct{ value ecmajson.Value }

// parseProtectedHeader decodes base64url of JSON. The error is an [Error].
func parseProtectedHeader(text string) (protectedHeader, error) {
	// Node's decoder passes over bits beyond the last byte, and so does this.
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return protectedHeader{}, refuse(ProtectedHeaderSyntax, "the protected header is not base64url: %s", err)
	}
	v, err := ecmajson.Parse([]byte(latin1(string(raw))))
	if err != nil {
		return protectedHeader{}, refuse(ProtectedHeaderSyntax, "the protected header is not JSON: %s", err)
	}
	if v.Kind() != ecmajson.Object {
		return protectedHeader{}, refuse(ProtectedHeaderSyntax, "the protected header is not a JSON object")
	}
	// b64 would change what is signed and crit says that it matters; the SDK
	// knows neither.
	for _, name := range []string{"crit", "b64"} {
		if _, ok := v.Member(name); ok {
			return protectedHeader{}, stricter(ProtectedHeaderSyntax, "the protected header has %q, which FSPIOP does not know", name)
		}
	}
	return protectedHeader{v}, nil
}

// algorithm checks the member alg. The error is an [Error].
func (h protectedHeader) algorithm() (Algorithm, error) {
	v, ok := h.value.Member("alg")
	if !ok {
		return "", refuse(AlgNotAllowed, "the protected header has no alg; want RS256 or ES256")
	}
	text, _ := v.Text()
	alg := Algorithm(text)
	if !slices.Contains([]Algorithm{RS256, ES256}, alg) {
		return "", refuse(AlgNotAllowed, "alg of the protected header is %s; want RS256 or ES256", show(string(v.Ordered())))
	}
	return alg, nil
}

// field is a member as JavaScript's rules see it: absent covers empty strings,
// null, false and 0.
type field struct {
	name    string
	value   ecmajson.Value
	present bool
}

func (h protectedHeader) field(name string) field {
	v, ok := h.value.Member(name)
	return field{name, v, ok && v.Truthy()}
}

// is compares with a header value of the request.
func (f field) is(value string) bool {
	text, ok := f.value.Text()
	return ok && text == latin1(value)
}

// show quotes the member.
func (f field) show() string {
	if text, ok := f.value.Text(); ok {
		return show(text)
	}
	return show(string(f.value.Ordered()))
}

// latin1 is the text that Node makes of the bytes of a header.
func latin1(value string) string {
	if strings.IndexFunc(value, func(c rune) bool { return c >= utf8.RuneSelf }) < 0 {
		return value
	}
	runes := make([]rune, 0, len(value))
	for _, c := range []byte(value) {
		runes = append(runes, rune(c))
	}
	return string(runes)
}
