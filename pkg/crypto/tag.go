package crypto

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
)

// Tag is a keyed hash: equal secrets have equal tags under one key, and without
// the key it says nothing. It is comparable and prints as "redacted".
type Tag [16]byte

const redacted = "redacted"

// IsZero tells that nothing was hashed.
func (t Tag) IsZero() bool { return t == Tag{} }

// String hides the tag: it is for comparing, not for showing.
func (Tag) String() string { return redacted }

// Format hides the tag from every verb.
func (Tag) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText hides the tag.
func (Tag) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Hasher makes tags with one key: the first 16 bytes of HMAC-SHA256. It is safe
// for concurrent use.
type Hasher struct {
	// The key is inside the closure, where no formatting verb reaches it.
	mac func() hash.Hash
}

// NewHasher returns a Hasher. The key should be random and live as long as one
// process, so that tags mean nothing elsewhere.
func NewHasher(key []byte) *Hasher {
	key = slices.Clone(key)
	return &Hasher{mac: func() hash.Hash { return hmac.New(sha256.New, key) }}
}

// Sum returns the tag of a value; the zero tag for an empty one.
func (h *Hasher) Sum(value []byte) Tag {
	if len(value) == 0 {
		return Tag{}
	}
	mac := h.mac()
	mac.Write(value)
	return Tag(mac.Sum(nil)[:len(Tag{})])
}

// Format hides the key from every verb.
func (*Hasher) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText hides the key.
func (*Hasher) MarshalText() ([]byte, error) { return []byte(redacted), nil }
