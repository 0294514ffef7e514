package jws

import (
	"fmt"
	"strings"
)

// Rule names what a request breaks. The values are for machines and never
// change.
type Rule string

// The rules, in the order in which they are checked.
const (
	// BodyMissing: there is no body, or one that JavaScript takes for false
	// (null, false, 0, ""). Requests without a body, GET above all, are not
	// signed.
	BodyMissing Rule = "body-missing"
	// BodySyntax: the body is not JSON.
	BodySyntax Rule = "body-syntax"
	// BodyClaim: the body has a member "exp" or "nbf" at the top, which the
	// SDK's library takes for the life time of a token.
	BodyClaim Rule = "body-claim"
	// HeaderMissing: FSPIOP-Source, FSPIOP-URI, FSPIOP-HTTP-Method or
	// FSPIOP-Signature is absent or empty.
	HeaderMissing Rule = "header-missing"
	// HeaderRepeated: a header that the signature covers is there twice.
	HeaderRepeated Rule = "header-repeated"
	// HeaderInvalid: a value cannot be sent as an HTTP header.
	HeaderInvalid Rule = "header-invalid"
	// URIInvalid: the path holds no FSPIOP resource.
	URIInvalid Rule = "uri-invalid"
	// KeyMissing: there is no public key of the source.
	KeyMissing Rule = "key-missing"
	// SignatureSyntax: FSPIOP-Signature is not JSON with the two members
	// protectedHeader and signature in base64url.
	SignatureSyntax Rule = "signature-syntax"
	// ProtectedHeaderSyntax: the protected header is not what the rules want of
	// a JWS header.
	ProtectedHeaderSyntax Rule = "protected-header-syntax"
	// AlgNotAllowed: the algorithm is neither RS256 nor ES256.
	AlgNotAllowed Rule = "alg-not-allowed"
	// AlgDiffers: the algorithm is not that of the key.
	AlgDiffers Rule = "alg-differs"
	// SignatureMismatch: no text of the body makes the signature that of the key.
	SignatureMismatch Rule = "signature-mismatch"
	// ProtectedFieldMissing: the protected header lacks FSPIOP-URI,
	// FSPIOP-HTTP-Method or FSPIOP-Source.
	ProtectedFieldMissing Rule = "protected-field-missing"
	// URIDiffers, MethodDiffers, SourceDiffers, DestinationDiffers and
	// DateDiffers: the request says something else than the protected header,
	// or only one of them has the destination or, signed, the date.
	URIDiffers         Rule = "uri-differs"
	MethodDiffers      Rule = "method-differs"
	SourceDiffers      Rule = "source-differs"
	DateDiffers        Rule = "date-differs"
	DestinationDiffers Rule = "destination-differs"
)

// FSPIOP error codes of Mojaloop's answer.
const (
	codeMalformedSyntax  = "3101"
	codeInvalidSignature = "3105"
)

// Error is why a request is not signed or not accepted.
type Error struct {
	Rule Rule
	// Detail is the reason as a sentence, with the values in quotes and, where
	// there is something to do, what.
	Detail string
	// StricterThanSDK is set where sdk-standard-components would not refuse.
	StricterThanSDK bool

	err error
}

// Error returns the detail and the rule.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Detail, e.Rule) }

// Unwrap returns the error below, for a body that is not JSON.
func (e *Error) Unwrap() error { return e.err }

// Code is the FSPIOP error code with which Mojaloop answers such a request:
// 3101 for a body that is not JSON, else 3105, invalid signature, missing keys
// and headers included.
func (e *Error) Code() string {
	if e.Rule == BodySyntax {
		return codeMalformedSyntax
	}
	return codeInvalidSignature
}

func refuse(rule Rule, format string, args ...any) *Error {
	return &Error{Rule: rule, Detail: fmt.Sprintf(format, args...)}
}

// stricter is refuse where the SDK is content.
func stricter(rule Rule, format string, args ...any) *Error {
	e := refuse(rule, format, args...)
	e.StricterThanSDK = true
	return e
}

// maxShown bounds how much of a value of the other side an error repeats.
const maxShown = 120

// show quotes a value and cuts it to a bounded length.
func show(value string) string {
	if len(value) > maxShown {
		value = strings.ToValidUTF8(value[:maxShown], "") + "…"
	}
	return fmt.Sprintf("%q", value)
}
