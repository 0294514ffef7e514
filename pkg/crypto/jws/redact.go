package jws

import (
	"fmt"
	"io"
	"log/slog"
)

// unset is how a zero key prints.
const unset = "no key"

// The methods below have values for receivers, so that a key in a struct is
// shown no more than a pointer to one.

// String is the fingerprint.
func (k PrivateKey) String() string {
	if k.public == nil {
		return unset
	}
	return k.public.String()
}

// Format writes the fingerprint for every verb.
func (k PrivateKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// MarshalText encodes the fingerprint; JSON and YAML use it too.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue is the fingerprint.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// String is the fingerprint.
func (k PublicKey) String() string {
	if k.key == nil {
		return unset
	}
	return k.fingerprint.String()
}

// Format writes the fingerprint for every verb.
func (k PublicKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// MarshalText encodes the fingerprint; JSON and YAML use it too.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue is the fingerprint.
func (k PublicKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
