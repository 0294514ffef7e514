package ilp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"
	"unicode/utf8"
)

// secretBytes is the size of a secret that [GenerateSecret] draws: 256 bits, as
// much as the HMAC can use.
const secretBytes = 32

const redacted = "[redacted]"

// Secret is the secret of one payee (ILP_SECRET). It prints as "[redacted]" in
// every form and is safe for concurrent use. The zero Secret makes nothing.
type Secret struct {
	// Inside the closure no formatting verb reaches the material, not even where a
	// Secret is an unexported field of something else: fmt then calls no method,
	// and a wrong verb shows what a pointer points to.
	material func() *material
}

type material struct {
	value []byte
	// macs holds HMACs keyed with the secret, so that the key is hashed once.
	macs sync.Pool
}

// NewSecret takes a secret as it is: the SDK trims nothing. It refuses an empty
// one, and what cannot be the value of an environment variable.
func NewSecret(value []byte) (Secret, error) {
	switch {
	case len(value) == 0:
		return Secret{}, fail("secret", "is empty")
	case bytes.IndexByte(value, 0) >= 0:
		return Secret{}, fail("secret", "has a NUL byte, which no environment variable can hold")
	case !utf8.Valid(value):
		return Secret{}, fail("secret", "is not UTF-8; the SDK would replace the bytes it cannot read")
	}
	m := &material{value: bytes.Clone(value)}
	// The SDK: crypto.createHmac('sha256', Buffer.from(base64(secret), 'ascii')).
	key := make([]byte, base64.StdEncoding.EncodedLen(len(value)))
	base64.StdEncoding.Encode(key, value)
	m.macs.New = func() any { return hmac.New(sha256.New, key) }
	return Secret{material: func() *material { return m }}, nil
}

// GenerateSecret draws a secret of 256 bits, written as 64 hexadecimal digits.
func GenerateSecret(random io.Reader) (Secret, error) {
	var raw [secretBytes]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return Secret{}, fmt.Errorf("draw an ILP secret: %w", err)
	}
	return NewSecret([]byte(hex.EncodeToString(raw[:])))
}

// Bytes returns the secret itself: the one way out.
func (s Secret) Bytes() []byte {
	if s.material == nil {
		return nil
	}
	return bytes.Clone(s.material().value)
}

// sum is HMAC-SHA256 of a text.
func (s Secret) sum(text []byte) (sum [sha256.Size]byte) {
	macs := &s.material().macs
	mac, ok := macs.Get().(hash.Hash)
	if !ok {
		return sum // never: New makes nothing else
	}
	defer macs.Put(mac)
	mac.Reset()
	mac.Write(text)
	mac.Sum(sum[:0])
	return sum
}

// String hides the secret.
func (Secret) String() string { return redacted }

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
