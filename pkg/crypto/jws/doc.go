// Package jws signs and verifies the FSPIOP-Signature header as Mojaloop does.
//
// # What is signed
//
// The value of FSPIOP-Signature is
//
//	{"protectedHeader":"BASE64URL","signature":"BASE64URL"}
//
// The protected header repeats the method, the resource path, the source and,
// where the request has them, the destination and the date. The payload is the
// body, which is not part of the header: the verifier takes the body it got.
//
// # Which text of the body
//
// A Mojaloop verifier parses the body and writes it again before it checks the
// signature, and the two generations of the SDK write it differently (package
// ecmajson). [PrivateKey.Sign] signs the sorted text and returns it: sent as it
// is, every peer comes to the same text. [PublicKey.Verify] tries the sorted
// text, the text in JavaScript's order and the bytes as received, and returns
// as [Form] which of them is signed, and so who else would accept the message.
//
// # Which rules
//
// Verify refuses all that the validator of sdk-standard-components 19.19
// refuses, by the rules below in the same order, and says by [Error] which one
// it was. Where it refuses more, [Error.StricterThanSDK] is set. SDKs up to 18.1
// know RS256 alone.
//
// Header values are bytes, as on the wire. Node takes them for Latin-1, and the
// protected header holds them so.
//
// # Key material
//
// A [PrivateKey] prints as its fingerprint, whatever the verb or encoding.
// [PrivateKey.MarshalPEM] is the one way out.
package jws
