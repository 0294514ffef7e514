package jws

import (
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Signed is what to send.
type Signed struct {
	// Header is the value of FSPIOP-Signature.
	Header string
	// URI and Method are the values of FSPIOP-URI and FSPIOP-HTTP-Method, which
	// the SDK wants as headers too.
	URI, Method string
	// Body is the text that is signed. Any other text of the same JSON is
	// refused by one generation of peers or the other.
	Body []byte
}

// Sign signs a request. The error is an [Error] when the request is one that
// peers could not verify. Signatures of both algorithms are deterministic
// (RFC 6979 for ES256).
//
// go-jose writes the members of a protected header in an order of its own, so
// the header and the signing input are written here, byte for byte as the SDK
// does.
func (k *PrivateKey) Sign(r Request) (Signed, error) {
	if k == nil || k.open == nil {
		return Signed{}, errors.New("sign: " + unset)
	}
	body, err := parseBody(r.Body)
	if err != nil {
		return Signed{}, err
	}
	f, err := r.toSign()
	if err != nil {
		return Signed{}, err
	}
	text := body.Sorted()
	header := appendProtectedHeader(make([]byte, 0, 256), k.public.algorithm, f)

	enc := base64.RawURLEncoding
	input := make([]byte, 0, enc.EncodedLen(len(header))+1+enc.EncodedLen(len(text)))
	input = enc.AppendEncode(input, header)
	protected := len(input)
	input = append(input, '.')
	input = enc.AppendEncode(input, text)

	signature, err := k.sign(input)
	if err != nil {
		return Signed{}, fmt.Errorf("sign with key %s: %w", k, err)
	}
	return Signed{Header: signatureHeader(input[:protected], signature), URI: f.uri, Method: f.method, Body: text}, nil
}

// sign returns the signature as a JWS has it.
func (k *PrivateKey) sign(input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	key := k.open()
	// Without a random source RSA needs none and ECDSA takes RFC 6979.
	signature, err := key.Sign(nil, digest[:], stdcrypto.SHA256)
	if err != nil {
		return nil, err
	}
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return concatenate(signature)
	}
	return signature, nil
}

// coordinate is the length of each half of an ES256 signature.
const coordinate = 32

// concatenate turns the DER of an ECDSA signature into the two numbers side by
// side that a JWS has (RFC 7518, 3.4).
func concatenate(der []byte) ([]byte, error) {
	bad := errors.New("crypto/ecdsa wrote a signature of another form")
	// SEQUENCE, its length, then two INTEGERs: below 128 bytes in all, so that
	// each length is one byte.
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, bad
	}
	out, rest := make([]byte, 2*coordinate), der[2:]
	for half := range 2 {
		if len(rest) < 2 || rest[0] != 0x02 || int(rest[1]) > len(rest)-2 {
			return nil, bad
		}
		number := rest[2 : 2+rest[1]]
		rest = rest[2+rest[1]:]
		if len(number) > coordinate && number[0] == 0 {
			number = number[1:] // the sign
		}
		if len(number) > coordinate {
			return nil, bad
		}
		copy(out[(half+1)*coordinate-len(number):], number)
	}
	return out, nil
}
