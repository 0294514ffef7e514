package ecmajson_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// vector is what Node makes of a text. `UPDATE=1 make test-interop` writes them.
type vector struct {
	Text    string `json:"text,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"` // instead of Text, where it is not UTF-8
	Ordered string `json:"ordered,omitempty"`
	Sorted  string `json:"sorted,omitempty"` // absent where it is as Ordered
	Refused bool   `json:"refused,omitempty"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Bytes == nil {
			all[i].Bytes = []byte(all[i].Text)
		}
		if all[i].Sorted == "" {
			all[i].Sorted = all[i].Ordered
		}
	}
	return all
}

func TestVectors(t *testing.T) {
	t.Parallel()
	read, refused := 0, 0
	for _, v := range vectors(t) {
		parsed, err := ecmajson.Parse(v.Bytes)
		switch {
		case v.Refused:
			refused++
			if err == nil {
				t.Errorf("%q: got %q, JSON.parse refuses it", v.Bytes, parsed.Ordered())
			}
			continue
		case err != nil:
			t.Errorf("%q: %v", v.Bytes, err)
			continue
		}
		read++
		if got := parsed.Ordered(); string(got) != v.Ordered {
			t.Errorf("%q: Ordered: got %q, want %q", v.Bytes, got, v.Ordered)
		}
		if got := parsed.Sorted(); string(got) != v.Sorted {
			t.Errorf("%q: Sorted: got %q, want %q", v.Bytes, got, v.Sorted)
		}
	}
	if read < 100 || refused < 50 {
		t.Errorf("got %d texts to read and %d to refuse", read, refused)
	}
}
