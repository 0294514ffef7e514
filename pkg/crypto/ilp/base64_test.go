package ilp

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// TestBase64 compares with the standard library.
func TestBase64(t *testing.T) {
	t.Parallel()
	strict := base64.RawURLEncoding.Strict()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var b [32]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		text := encode32(b)
		if want := base64.RawURLEncoding.EncodeToString(b[:]); text != want {
			t.Fatalf("got %q, want %q", text, want)
		}
		if got, err := decode32("x", text); err != nil || got != b {
			t.Fatalf("got %x, %v, want %x", got, err, b)
		}
		// Any byte at any place.
		changed := []byte(text)
		changed[random.IntN(len(changed))] = byte(random.Uint32())
		want := make([]byte, 33)
		n, wantErr := strict.Decode(want, changed)
		got, err := decode32("x", string(changed))
		if bad := wantErr != nil || n != 32; (err != nil) != bad || err == nil && string(got[:]) != string(want[:32]) {
			t.Fatalf("%q: got %x, %v, want %x, %v", changed, got, err, want, wantErr)
		}
	}
}
