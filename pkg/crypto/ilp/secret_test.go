package ilp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mojasec/mojasec/pkg/crypto"
)

func TestNewSecret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"text", "Quaixohyaesahju3", true},
		{"one character", "s", true},
		{"kept as it is", " s\n", true},
		{"beyond ASCII", "clé", true},
		{"empty", "", false},
		{"NUL", "a\x00b", false},
		{"not UTF-8", "a\xff", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewSecret([]byte(tt.value))
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want ok: %v", err, tt.ok)
			}
			if tt.ok && string(s.Bytes()) != tt.value {
				t.Errorf("got %q, want %q", s.Bytes(), tt.value)
			}
			if e, ok := errors.AsType[*Error](err); !tt.ok && (!ok || e.Field != "secret") {
				t.Errorf("got %v, want an error about the secret", err)
			}
		})
	}
}

// TestSecretIsACopy changes what went in and what came out.
func TestSecretIsACopy(t *testing.T) {
	t.Parallel()
	value := []byte("before")
	s := mustSecret(t, string(value))
	copy(s.Bytes(), "XXXXXX")
	if got := string(s.Bytes()); got != "before" {
		t.Errorf("got %q, want the secret that went in", got)
	}
}

func TestGenerateSecret(t *testing.T) {
	t.Parallel()
	s, err := GenerateSecret(bytes.NewReader(bytes.Repeat([]byte{0x0a, 0xf1, 0x37, 0xc2}, 8)))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("0af137c2", 8); string(s.Bytes()) != want {
		t.Errorf("got %q, want %q", s.Bytes(), want)
	}
	if _, err := GenerateSecret(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want the error of the source", err)
	}
	if _, err := GenerateSecret(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("31 bytes were enough")
	}
	// 256 bits, and not what DescribeSecret calls weak.
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i*37 + 11)
	}
	if s, err = GenerateSecret(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	if f := crypto.DescribeSecret(s.Bytes()); f.Length != 64 || f.Bits != 256 || f.Published != 0 || f.Repetitive {
		t.Errorf("got %+v, want 256 bits in 64 characters", f)
	}
}

// TestSecretPrintsNothing prints a secret in every way that a log might.
func TestSecretPrintsNothing(t *testing.T) {
	t.Parallel()
	const value = "Never-To-Be-Seen-0123456789"
	s := mustSecret(t, value)
	type open struct {
		Secret  Secret
		Pointer *Secret
		List    []Secret
	}
	type closed struct {
		secret  Secret
		pointer *Secret
	}
	numbers := strings.Trim(fmt.Sprintf("%d", []byte(value[:9])), "[]")
	for _, v := range []any{
		s,
		&s,
		open{s, &s, []Secret{s}},
		&open{s, &s, []Secret{s}},
		closed{s, &s},
		&closed{s, &s},
		[]any{s, &s},
		map[string]any{"s": s},
		fmt.Errorf("with %v", s),
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", v)
		for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), numbers, "TmV2ZXIt"} {
			if strings.Contains(out.String(), form) {
				t.Errorf("%T shows the secret: %s", v, &out)
			}
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, &s, s, s, s); got != strings.TrimSpace(strings.Repeat(redacted+" ", 7)) {
		t.Errorf("got %q, want %q", got, redacted)
	}
	if text, err := json.Marshal(open{Secret: s}); err != nil || !strings.Contains(string(text), `"Secret":"[redacted]"`) {
		t.Errorf("got %s (%v), want [redacted]", text, err)
	}
}

func TestZeroSecret(t *testing.T) {
	t.Parallel()
	var s Secret
	if s.Bytes() != nil {
		t.Error("the zero secret has bytes")
	}
	if _, err := s.Prepare(V1, Transaction{}); err == nil {
		t.Error("the zero secret prepares")
	}
	if _, err := s.Fulfil("AQ"); err == nil {
		t.Error("the zero secret fulfils")
	}
}
