package jws

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// Keys are public keys by FSP id. The id is compared as it is, case included.
type Keys map[string]*PublicKey

// Verify is [PublicKey.Verify] with the key of the request's source.
func (k Keys) Verify(r Request, header string) (Form, error) {
	return verify(r, header, func() (*PublicKey, error) {
		if r.Source == "" {
			return nil, missing(HeaderSource)
		}
		if key := k[r.Source]; key != nil {
			return key, nil
		}
		return nil, k.unknown(r.Source)
	})
}

// unknown says which keys there are, and looks for one that differs in case.
func (k Keys) unknown(source string) *Error {
	ids := make([]string, 0, len(k))
	for id := range k {
		if strings.EqualFold(id, source) {
			return refuse(KeyMissing, "there is no public key of %s, only of %s: names of FSPs are compared with their case", show(source), show(id))
		}
		ids = append(ids, show(id))
	}
	if len(ids) == 0 {
		return refuse(KeyMissing, "there is no public key of %s, nor of anybody", show(source))
	}
	slices.Sort(ids)
	const most = 10
	more := ""
	if len(ids) > most {
		ids, more = ids[:most], " and more"
	}
	return refuse(KeyMissing, "there is no public key of %s, only of %s%s", show(source), strings.Join(ids, ", "), more)
}

// Verify checks the value of FSPIOP-Signature against a request and says which
// text of the body it covers. It accepts what any generation of the SDK would
// accept, and a signature of the bytes as they came, which none does: a caller
// that decides for a peer looks at the [Form]. The error is an [Error].
//
// The signature itself is checked by go-jose, which knows the rules of JWS
// beyond those of FSPIOP.
func (k *PublicKey) Verify(r Request, header string) (Form, error) {
	return verify(r, header, func() (*PublicKey, error) { return k, nil })
}

// verify applies the rules in the order of the SDK.
func verify(r Request, header string, keyOfSource func() (*PublicKey, error)) (Form, error) {
	body, err := parseBody(r.Body)
	if err != nil {
		return 0, err
	}
	key, err := keyOfSource()
	if err != nil {
		return 0, err
	}
	if header == "" {
		return 0, missing(HeaderSignature)
	}
	p, err := parseSignatureHeader(header)
	if err != nil {
		return 0, err
	}
	protected, err := parseProtectedHeader(p.protected)
	if err != nil {
		return 0, err
	}
	alg, err := protected.algorithm()
	if err != nil {
		return 0, err
	}
	if alg != key.algorithm {
		return 0, refuse(AlgDiffers, "alg of the protected header is %s, but the key of the source is for %s", alg, key.algorithm)
	}
	form, mismatch := key.match(p, body, r.Body)
	differs := protected.compare(r)
	switch {
	case mismatch != nil:
		return 0, explain(mismatch, differs)
	case differs != nil:
		return 0, differs
	}
	return form, nil
}

// match finds the text of the body that the signature covers.
func (k *PublicKey) match(p parts, body ecmajson.Value, raw []byte) (Form, *Error) {
	sorted := body.Sorted()
	token, err := jose.ParseDetached(p.protected+".."+p.signature, sorted, algorithms)
	if err != nil {
		return 0, stricter(ProtectedHeaderSyntax, "the protected header is not that of a JWS: %s", show(err.Error()))
	}
	covers := func(text []byte) bool { return token.DetachedVerify(text, k.key) == nil }
	signed := covers(sorted)
	ordered := body.Ordered()
	same := bytes.Equal(sorted, ordered)
	switch {
	case signed && same:
		return Sorted, nil
	case signed:
		return SortedOnly, nil
	case !same && covers(ordered):
		return Ordered, nil
	case !bytes.Equal(raw, sorted) && !bytes.Equal(raw, ordered) && covers(raw):
		return Raw, nil
	}
	return 0, refuse(SignatureMismatch, "the signature is not that of key %s over this body: it was made with another key, or the protected header or the body was changed", k.fingerprint.Short())
}

// explain adds to a signature that does not match what else is wrong: a header
// of another request, or the key of another source.
func explain(mismatch, also *Error) *Error {
	if also != nil {
		mismatch.Detail += "; also, " + also.Detail
	}
	return mismatch
}

// compare checks the protected header against the request, in the order of the
// SDK.
func (h protectedHeader) compare(r Request) *Error {
	for _, check := range []func(Request) *Error{h.compareURI, h.compareMethod, h.compareSource, h.compareDate, h.compareDestination} {
		if err := check(r); err != nil {
			return err
		}
	}
	return nil
}

func (h protectedHeader) required(name string) (field, *Error) {
	f := h.field(name)
	if !f.present {
		return f, refuse(ProtectedFieldMissing, "the protected header has no %s", name)
	}
	return f, nil
}

func (h protectedHeader) compareURI(r Request) *Error {
	f, err := h.required(HeaderURI)
	if err != nil {
		return err
	}
	if r.SentURI != "" && !f.is(r.SentURI) {
		return refuse(URIDiffers, "the %s header is %s, the protected header has %s", HeaderURI, show(r.SentURI), f.show())
	}
	if r.URI == "" && r.SentURI != "" {
		return nil
	}
	path, ok := Resource(r.URI)
	if ok && f.is(path) {
		return nil
	}
	e := refuse(URIDiffers, "the request is to %s, the protected header has %s", show(r.URI), f.show())
	e.StricterThanSDK = r.SentURI != ""
	return e
}

func (h protectedHeader) compareMethod(r Request) *Error {
	f, err := h.required(HeaderMethod)
	if err != nil {
		return err
	}
	if r.SentMethod != "" && !f.is(r.SentMethod) {
		return refuse(MethodDiffers, "the %s header is %s, the protected header has %s", HeaderMethod, show(r.SentMethod), f.show())
	}
	if r.Method == "" && r.SentMethod != "" || f.is(strings.ToUpper(r.Method)) {
		return nil
	}
	e := refuse(MethodDiffers, "the method is %s, the protected header has %s", show(r.Method), f.show())
	e.StricterThanSDK = r.SentMethod != ""
	return e
}

func (h protectedHeader) compareSource(r Request) *Error {
	f, err := h.required(HeaderSource)
	switch {
	case err != nil:
		return err
	case r.Source == "":
		return missing(HeaderSource)
	case !f.is(r.Source):
		return refuse(SourceDiffers, "the %s header is %s, the protected header has %s", HeaderSource, show(r.Source), f.show())
	}
	return nil
}

// compareDate lets pass a Date header that is not signed, as the SDK does:
// servers and proxies add one.
func (h protectedHeader) compareDate(r Request) *Error {
	f := h.field(HeaderDate)
	switch {
	case !f.present:
		return nil
	case r.Date == "":
		return refuse(DateDiffers, "there is no Date header, the protected header has %s", f.show())
	case !f.is(r.Date):
		return refuse(DateDiffers, "the Date header is %s, the protected header has %s", show(r.Date), f.show())
	}
	return nil
}

func (h protectedHeader) compareDestination(r Request) *Error {
	f := h.field(HeaderDestination)
	switch {
	case !f.present && r.Destination == "":
		return nil
	case !f.present:
		return refuse(DestinationDiffers, "the %s header is %s, the protected header has none", HeaderDestination, show(r.Destination))
	case r.Destination == "":
		return refuse(DestinationDiffers, "there is no %s header, the protected header has %s", HeaderDestination, f.show())
	case !f.is(r.Destination):
		return refuse(DestinationDiffers, "the %s header is %s, the protected header has %s", HeaderDestination, show(r.Destination), f.show())
	}
	return nil
}
