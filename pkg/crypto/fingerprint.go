package crypto

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Fingerprint is the SHA-256 of a DER SubjectPublicKeyInfo: what
// `openssl pkey -pubout -outform DER | sha256sum` prints. A private key, its
// public half and its certificate have the same one.
type Fingerprint [sha256.Size]byte

// String returns the fingerprint in lower-case hex.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// Short returns the first eight hex digits, enough for a person to compare.
func (f Fingerprint) Short() string { return hex.EncodeToString(f[:4]) }

// IsZero tells that no key was read.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText encodes the fingerprint in lower-case hex.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what [ParseFingerprint] reads.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	got, err := ParseFingerprint(string(text))
	if err != nil {
		return err
	}
	*f = got
	return nil
}

// ParseFingerprint reads 64 hex digits of either case, plain or in pairs with
// colons as openssl prints them. The error does not repeat the text: it may be
// a key in the wrong place.
func ParseFingerprint(text string) (Fingerprint, error) {
	text = strings.TrimSpace(text)
	digits := text
	if strings.Contains(text, ":") {
		pairs := strings.Split(text, ":")
		digits = strings.Join(pairs, "")
		if len(pairs) != sha256.Size || slices.ContainsFunc(pairs, func(p string) bool { return len(p) != 2 }) {
			digits = ""
		}
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != sha256.Size {
		return Fingerprint{}, fmt.Errorf("parse fingerprint of %d characters: want 64 hex digits (SHA-256 of the SubjectPublicKeyInfo)", len(text))
	}
	return Fingerprint(b), nil
}
