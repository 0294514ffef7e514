package crypto

import (
	"bytes"
	"math"
	"unicode"
)

// publishedILPSecrets are the ILP secrets that stand in public repositories.
// Reports name them by their number, from 1, so the order stays.
var publishedILPSecrets = []struct{ value, source string }{
	{"mojaloop-sdk", "sdk-scheme-adapter, built-in default"},
	{"Quaixohyaesahju3thivuiChai5cahng", "Helm values of the simulator and the SDK"},
	{"RycKYRgLTBn4g1zx6WkXmJ4sZvqz8PQs", "example configuration of a quoting service"},
	{"Use2DwOwCea6VobuFScu3IcoEviS3Oth", "public Mojaloop configuration"},
	{"secret", "public Mojaloop configuration"},
	{"some-ilp-secret", "documentation of ILP version 4"},
	{"mockILPSecret", "tests of an SDK"},
	{"sample", "public Mojaloop configuration"},
	{"53cr3t", "example settings (FSPIOP_ILP_SECRET)"},
	{"1234", "images of a connector (CONNECTOR_ILP_SECRET)"},
}

// TrimSecret removes white space and quotes around a secret, as often as they
// are there. The SDK uses a secret as it is; who guesses it tries both.
func TrimSecret(value []byte) []byte {
	return bytes.TrimFunc(value, func(r rune) bool {
		switch r {
		case '"', '\'', '`', 0, '\ufeff':
			return true
		}
		return unicode.IsSpace(r)
	})
}

// PublishedILPSecret returns the number, from 1, of the published ILP secret
// that a value is ("published default 2"). White space and quotes around it do
// not count.
func PublishedILPSecret(value string) (number int, ok bool) {
	return publishedNumber([]byte(value))
}

func publishedNumber(value []byte) (number int, ok bool) {
	trimmed := TrimSecret(value)
	for i, p := range publishedILPSecrets {
		if string(trimmed) == p.value {
			return i + 1, true
		}
	}
	return 0, false
}

// PublishedILPSecrets returns the published ILP secrets, the one with number 1
// first. They are for rules that compare in clear text, not for reports.
func PublishedILPSecrets() []string {
	values := make([]string, 0, len(publishedILPSecrets))
	for _, p := range publishedILPSecrets {
		values = append(values, p.value)
	}
	return values
}

// PublishedILPSource says where the published ILP secret of a number was
// found, without the secret; empty for a number that is none.
func PublishedILPSource(number int) string {
	if number < 1 || number > len(publishedILPSecrets) {
		return ""
	}
	return publishedILPSecrets[number-1].source
}

// SecretFacts is what is known of a shared secret. It does not hold it.
type SecretFacts struct {
	Length int `json:"length"` // in bytes
	// Bits is Length × log2(size of Alphabet), rounded down: an upper bound of
	// what is to be guessed.
	Bits int `json:"bits"`
	// Alphabet names the characters it uses: "digits", "hex", "lower case",
	// "letters", …; empty for an empty secret.
	Alphabet string `json:"alphabet,omitempty"`
	// Published is the number of the published secret it is; 0 for none.
	Published int `json:"published,omitempty"`
	// Repetitive is set for a value that repeats itself, so that Bits says too
	// much.
	Repetitive bool `json:"repetitive,omitempty"`
}

// DescribeSecret describes a shared secret. White space around it counts for
// Length and Bits, because the SDK uses it, but hides neither a published
// secret nor a repetition.
func DescribeSecret(value []byte) SecretFacts {
	name, size := alphabet(value)
	f := SecretFacts{Length: len(value), Alphabet: name, Repetitive: repetitive(TrimSecret(value))}
	if size > 0 {
		f.Bits = int(float64(len(value)) * math.Log2(size))
	}
	f.Published, _ = publishedNumber(value)
	return f
}

// class is a set of character classes.
type class uint8

const (
	digits class = 1 << iota
	hexLower
	hexUpper
	beyondHexLower // g to z
	beyondHexUpper // G to Z
	otherPrintable // punctuation and white space of ASCII
	binary

	lower = hexLower | beyondHexLower
	upper = hexUpper | beyondHexUpper
)

func classOf(c byte) class {
	switch {
	case c >= '0' && c <= '9':
		return digits
	case c >= 'a' && c <= 'f':
		return hexLower
	case c >= 'g' && c <= 'z':
		return beyondHexLower
	case c >= 'A' && c <= 'F':
		return hexUpper
	case c >= 'G' && c <= 'Z':
		return beyondHexUpper
	case c >= ' ' && c <= '~', c >= '\t' && c <= '\r':
		return otherPrintable
	}
	return binary
}

// alphabet returns the name and the size of the set of characters that a value
// is drawn from, judged by the classes it uses.
func alphabet(value []byte) (name string, size float64) {
	var used class
	for _, c := range value {
		used |= classOf(c)
	}
	switch {
	case used == 0:
		return "", 0
	case used&binary != 0:
		return "bytes", 256
	case used == digits:
		return "digits", 10
	case used&^(digits|hexLower) == 0, used&^(digits|hexUpper) == 0:
		return "hex", 16
	}
	for _, set := range []struct {
		class class
		size  float64
	}{{digits, 10}, {lower, 26}, {upper, 26}, {otherPrintable, 33}} {
		if used&set.class != 0 {
			size += set.size
		}
	}
	switch {
	case used&otherPrintable != 0:
		name = "printable"
	case used&digits != 0:
		name = "letters and digits"
	case used&upper == 0:
		name = "lower case"
	case used&lower == 0:
		name = "upper case"
	default:
		name = "letters"
	}
	return name, size
}

const (
	// A value of at least fewCharactersFrom bytes with fewer than fewCharacters
	// different ones is repetitive. 32 random hex digits have so few once in
	// 10^12.
	fewCharacters     = 6
	fewCharactersFrom = 12
	// maxPairs bounds the different neighbours that are asked for, so that a
	// long value in a small alphabet is not called repetitive.
	maxPairs = 64
)

// repetitive tells that a value is a shorter one repeated, uses very few
// characters, or says the same again for more than half of its length. Time is
// linear.
func repetitive(value []byte) bool {
	if len(value) < 2 {
		return false
	}
	var characters [256]bool
	var seen [1 << 16 / 64]uint64 // one bit for each pair
	different, pairs := 0, 0
	for i, c := range value {
		if !characters[c] {
			characters[c] = true
			different++
		}
		if i == 0 {
			continue
		}
		pair := uint(value[i-1])<<8 | uint(c)
		if bit := uint64(1) << (pair % 64); seen[pair/64]&bit == 0 {
			seen[pair/64] |= bit
			pairs++
		}
	}
	return len(value) >= fewCharactersFrom && different < fewCharacters ||
		2*pairs < min(len(value)-1, maxPairs) ||
		period(value) <= len(value)/2
}

// period returns the length of the shortest beginning of a value that gives
// the value when repeated, the last time perhaps in part: its length less its
// longest border (the failure function of Knuth, Morris and Pratt).
func period(value []byte) int {
	border := make([]int, len(value))
	for i := 1; i < len(value); i++ {
		n := border[i-1]
		for n > 0 && value[i] != value[n] {
			n = border[n-1]
		}
		if value[i] == value[n] {
			n++
		}
		border[i] = n
	}
	return len(value) - border[len(value)-1]
}
