package crypto

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seeded gives the same "random" bytes in every run.
func seeded(n int, r *rand.Rand) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func newSeeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestPublishedILPSecret(t *testing.T) {
	if len(publishedILPSecrets) != 10 {
		t.Errorf("got %d published secrets, want 10", len(publishedILPSecrets))
	}
	seen := map[string]bool{}
	for i, p := range publishedILPSecrets {
		for _, value := range []string{p.value, p.value + "\n", " \t" + p.value + " ", `"` + p.value + `"`, "' \"" + p.value + "\" '\r\n", "\ufeff" + p.value + "\u00a0"} {
			if got, ok := PublishedILPSecret(value); !ok || got != i+1 {
				t.Errorf("%q: got %d, %v, want %d", value, got, ok, i+1)
			}
			if got := DescribeSecret([]byte(value)).Published; got != i+1 {
				t.Errorf("%q: got %d, want %d", value, got, i+1)
			}
		}
		source := PublishedILPSource(i + 1)
		if source == "" || strings.Contains(source, p.value) && len(p.value) > len("secret") {
			t.Errorf("source of %d: got %q", i+1, source)
		}
		if seen[p.value] {
			t.Errorf("%q is there twice", p.value)
		}
		seen[p.value] = true
	}
	for _, value := range []string{"", " ", `""`, "mojaloop", "Secret", "secrets", "mojaloop sdk"} {
		if got, ok := PublishedILPSecret(value); ok || got != 0 {
			t.Errorf("%q: got %d, %v, want none", value, got, ok)
		}
	}
	for _, n := range []int{-1, 0, 11} {
		if got := PublishedILPSource(n); got != "" {
			t.Errorf("source of %d: got %q, want none", n, got)
		}
	}
}

func TestDescribeSecret(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  SecretFacts
	}{
		{"", SecretFacts{}},
		{"4829", SecretFacts{Length: 4, Bits: 13, Alphabet: "digits"}},
		{"d41c8ca9", SecretFacts{Length: 8, Bits: 32, Alphabet: "hex"}},
		{"D41C8CA9", SecretFacts{Length: 8, Bits: 32, Alphabet: "hex"}},
		{"d41C8ca9", SecretFacts{Length: 8, Bits: 47, Alphabet: "letters and digits"}},
		{"fedbca", SecretFacts{Length: 6, Bits: 24, Alphabet: "hex"}},
		{"horse", SecretFacts{Length: 5, Bits: 23, Alphabet: "lower case"}},
		{"HORSE", SecretFacts{Length: 5, Bits: 23, Alphabet: "upper case"}},
		{"Horse", SecretFacts{Length: 5, Bits: 28, Alphabet: "letters"}},
		{"a horse!", SecretFacts{Length: 8, Bits: 47, Alphabet: "printable"}},
		{"d41c8ca9\n", SecretFacts{Length: 9, Bits: 54, Alphabet: "printable"}},
		{"\x00\xff", SecretFacts{Length: 2, Bits: 16, Alphabet: "bytes"}},
		{"mojaloop-sdk", SecretFacts{Length: 12, Bits: 70, Alphabet: "printable", Published: 1}},
		{"xyzxyzxyz", SecretFacts{Length: 9, Bits: 42, Alphabet: "lower case", Repetitive: true}},
	} {
		t.Run(tc.value, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, DescribeSecret([]byte(tc.value))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestRepetitive(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  bool
	}{
		{"", false},
		{"a", false},
		{"aa", true},
		{strings.Repeat("a", 32), true},
		{strings.Repeat("abc", 11), true},
		{strings.Repeat("changeme", 4), true},
		{strings.Repeat("changeme", 4) + "\n", true},
		{strings.Repeat("changeme", 4) + "1!", true},
		{"x" + strings.Repeat("changeme", 4), true},
		{strings.Repeat("0123456789abcdef", 2), true},
		{"kQz7rT1mWc9xLp4v" + "kQz7rT1mWc9xLp4v", true},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaab12", true},
		{"11111111111111112222222222222222", true},
		{"01101001100101101001011001101001", true},
		{"abcdeabdecabedcaebdcabcedbaecdba", true},
		{"Quaixohyaesahju3thivuiChai5cahng", false},
		{"kQz7rT1mWc9xLp4vB2nHs8dYf6gJ0aEu", false},
		{"correct horse battery staple", false},
	} {
		t.Run(tc.value, func(t *testing.T) {
			if got := DescribeSecret([]byte(tc.value)).Repetitive; got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// What people generate passes: openssl rand -hex, -base64 and longer ones.
func TestRandomSecretsAreStrong(t *testing.T) {
	r := newSeeded()
	for _, tc := range []struct {
		name string
		make func() string
	}{
		{"32 hex", func() string { return hex.EncodeToString(seeded(16, r)) }},
		{"32 upper-case hex", func() string { return strings.ToUpper(hex.EncodeToString(seeded(16, r))) }},
		{"64 hex", func() string { return hex.EncodeToString(seeded(32, r)) }},
		{"1000 hex", func() string { return hex.EncodeToString(seeded(500, r)) }},
		{"base64 of 24 bytes", func() string { return base64.StdEncoding.EncodeToString(seeded(24, r)) }},
		{"40 digits", func() string { return fmt.Sprintf("%020d%020d", r.Uint64(), r.Uint64()) }},
		{"32 bytes", func() string { return string(seeded(32, r)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 10_000 {
				value := tc.make()
				if f := DescribeSecret([]byte(value)); f.Repetitive || f.Bits < 128 || f.Published != 0 {
					t.Fatalf("%q: got %+v, want at least 128 bits and no repetition", value, f)
				}
			}
		})
	}
}

func TestHasher(t *testing.T) {
	key := []byte("key of this process")
	h := NewHasher(key)
	if again := NewHasher(key); h.Sum([]byte("a")) != again.Sum([]byte("a")) {
		t.Error("equal values have different tags")
	}
	if h.Sum([]byte("a")) == h.Sum([]byte("b")) {
		t.Error("different values have equal tags")
	}
	if h.Sum([]byte("a")) == NewHasher([]byte("other")).Sum([]byte("a")) {
		t.Error("different keys give equal tags")
	}
	if !h.Sum(nil).IsZero() || h.Sum([]byte("a")).IsZero() {
		t.Error("only the tag of nothing is zero")
	}
	before := h.Sum([]byte("a"))
	key[0] = 'x'
	if h.Sum([]byte("a")) != before {
		t.Error("the hasher uses the caller's slice")
	}
	// RFC 4231, test case 2.
	if got, want := hex.EncodeToString(slice(NewHasher([]byte("Jefe")).Sum([]byte("what do ya want for nothing?")))), "5bdcc146bf60754e6a042426089575c7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func slice(t Tag) []byte { return t[:] }
