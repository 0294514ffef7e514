package ecmajson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// FuzzForms checks what holds for every text. Whether a form is what JavaScript
// writes is for the vectors and the comparison with Node to say.
func FuzzForms(f *testing.F) {
	f.Add([]byte(quote))
	for _, v := range vectors(f) {
		f.Add(v.Bytes)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		v, err := ecmajson.Parse(text)
		if !bytes.Equal(before, text) {
			t.Fatal("the text was changed")
		}
		checkRefusal(t, text, err)
		if err != nil {
			return
		}
		ordered, sorted := v.Ordered(), v.Sorted()
		for name, form := range map[string][]byte{"Ordered": ordered, "Sorted": sorted} {
			if !utf8.Valid(form) || !json.Valid(form) {
				t.Errorf("%s of %q: got %q, which is not JSON", name, text, form)
			}
		}

		// A form is a fixed point, and each leads to the other.
		again, err := ecmajson.Parse(sorted)
		if err != nil {
			t.Fatalf("Sorted of %q: got %q: %v", text, sorted, err)
		}
		if got := again.Sorted(); !bytes.Equal(got, sorted) {
			t.Errorf("Sorted of %q: got %q, and from that %q", text, sorted, got)
		}
		again, err = ecmajson.Parse(ordered)
		if err != nil {
			t.Fatalf("Ordered of %q: got %q: %v", text, ordered, err)
		}
		if got := again.Ordered(); !bytes.Equal(got, ordered) {
			t.Errorf("Ordered of %q: got %q, and from that %q", text, ordered, got)
		}
		if got := again.Sorted(); !bytes.Equal(got, sorted) {
			t.Errorf("Sorted of %q: got %q, by way of Ordered %q", text, sorted, got)
		}
		if len(ordered) != len(sorted) {
			t.Errorf("%q: Ordered has %d bytes, Sorted %d", text, len(ordered), len(sorted))
		}

		// The way without a Value says the same.
		if got, err := ecmajson.Ordered(text); err != nil || !bytes.Equal(got, ordered) {
			t.Errorf("Ordered(%q): got %q, %v, want %q", text, got, err, ordered)
		}
		if got, err := ecmajson.Sorted(text); err != nil || !bytes.Equal(got, sorted) {
			t.Errorf("Sorted(%q): got %q, %v, want %q", text, got, err, sorted)
		}
		checkMembers(t, v)
	})
}

// checkRefusal compares with Go's parser, whose grammar is the same. It takes
// more depth, and so little of texts that the fuzzer makes is too long.
func checkRefusal(t *testing.T, text []byte, err error) {
	t.Helper()
	if errors.Is(err, ecmajson.ErrTooDeep) {
		return
	}
	if (err == nil) != json.Valid(text) {
		t.Errorf("%q: got error %v, json.Valid says %t", text, err, json.Valid(text))
	}
	if err == nil {
		return
	}
	syntax, ok := errors.AsType[*ecmajson.SyntaxError](err)
	if !ok {
		t.Fatalf("%q: got error %v, want a SyntaxError", text, err)
	}
	if syntax.Offset < 0 || syntax.Offset > len(text) || syntax.Line != 1+bytes.Count(text[:syntax.Offset], []byte{'\n'}) || syntax.Column < 1 {
		t.Errorf("%q: got position %+v", text, *syntax)
	}
}

// checkMembers finds every member of an object by its name.
func checkMembers(t *testing.T, v ecmajson.Value) {
	t.Helper()
	seen := map[string]bool{}
	for _, name := range v.Names() {
		if bytes.ContainsRune([]byte(name), utf8.RuneError) {
			continue // may stand for a lone surrogate, which has no name in Go
		}
		if _, ok := v.Member(name); !ok || seen[name] {
			t.Errorf("Member(%q): got %t, seen before %t", name, ok, seen[name])
		}
		seen[name] = true
	}
}

func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "perffsp-1", "a\"\\\n\x00\x1f\x7f", "é\u2028😀", "\xff\xe2\x82A\xed\xa0\x80", "\xf0\x9f\x98"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := ecmajson.Quote(s)
		v, err := ecmajson.Parse(quoted)
		if err != nil {
			t.Fatalf("Quote(%q): got %q: %v", s, quoted, err)
		}
		text, ok := v.Text()
		if !ok || utf8.ValidString(s) && text != s {
			t.Errorf("Quote(%q): got %q, which reads %q", s, quoted, text)
		}
		if got := v.Sorted(); !bytes.Equal(got, quoted) {
			t.Errorf("Quote(%q): got %q, Sorted writes %q", s, quoted, got)
		}
	})
}
