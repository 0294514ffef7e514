package jws

import (
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"io"
	"slices"
	"strings"
)

// KeyKind is what kind of key to make.
type KeyKind string

// The kinds of keys that the SDK can use.
const (
	RSA2048 KeyKind = "rsa-2048"
	RSA3072 KeyKind = "rsa-3072"
	RSA4096 KeyKind = "rsa-4096"
	P256    KeyKind = "p-256"
)

// KeyKinds returns all kinds, the usual one first.
func KeyKinds() []KeyKind { return []KeyKind{RSA2048, RSA3072, RSA4096, P256} }

// ParseKeyKind reads the name of a kind, in any case.
func ParseKeyKind(name string) (KeyKind, error) {
	kind := KeyKind(strings.ToLower(name))
	if !slices.Contains(KeyKinds(), kind) {
		return "", fmt.Errorf("kind of key %q: want rsa-2048, rsa-3072, rsa-4096 or p-256", name)
	}
	return kind, nil
}

// GenerateKey makes a key. Since Go 1.26 crypto/rsa and crypto/ecdsa take their
// randomness from the system whatever random is; it is an argument because a
// pure package asks for what it uses, and a test may replace the source through
// testing/cryptotest.
func GenerateKey(kind KeyKind, random io.Reader) (*PrivateKey, error) {
	var key stdcrypto.Signer
	var err error
	switch kind {
	case RSA2048:
		key, err = rsa.GenerateKey(random, 2048)
	case RSA3072:
		key, err = rsa.GenerateKey(random, 3072)
	case RSA4096:
		key, err = rsa.GenerateKey(random, 4096)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), random)
	default:
		_, err = ParseKeyKind(string(kind))
	}
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return newPrivateKey(key)
}

// SelfTest proves that a key does what it is for: what MarshalPEM writes is read
// as the same key, and the public half verifies what the key signs.
func (k *PrivateKey) SelfTest() error {
	again, err := ParsePrivateKey(k.MarshalPEM())
	if err != nil {
		return fmt.Errorf("self-test of key %s: %w", k, err)
	}
	public, err := ParsePublicKey(k.public.MarshalPEM())
	if err != nil {
		return fmt.Errorf("self-test of key %s: %w", k, err)
	}
	r := Request{Method: "POST", URI: "/quotes", Source: "a", Destination: "b", Body: []byte(`{"selfTest":true}`)}
	signed, err := again.Sign(r)
	if err != nil {
		return fmt.Errorf("self-test of key %s: %w", k, err)
	}
	if _, err := public.Verify(r, signed.Header); err != nil {
		return fmt.Errorf("self-test of key %s: the public half does not belong to it: %w", k, err)
	}
	return nil
}
