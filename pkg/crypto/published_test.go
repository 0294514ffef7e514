package crypto

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublishedListFormat(t *testing.T) {
	var file publishedFile
	d := json.NewDecoder(bytes.NewReader(publishedList))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.Version != publishedVersion {
		t.Errorf("got version %d, want %d", file.Version, publishedVersion)
	}
	prints := make([]string, len(file.Keys))
	for i, k := range file.Keys {
		prints[i] = k.Fingerprint.String()
		if k.Fingerprint.IsZero() || k.Bits < 512 || k.Use != "jws" && k.Use != "tls-or-other" {
			t.Errorf("key %d: got %+v", i, k)
		}
		if len(k.PublishedIn) == 0 || !slices.IsSorted(k.PublishedIn) || len(slices.Compact(slices.Clone(k.PublishedIn))) != len(k.PublishedIn) {
			t.Errorf("key %s: places are missing, unsorted or repeated: %q", prints[i], k.PublishedIn)
		}
		for _, place := range k.PublishedIn {
			if !strings.Contains(place, "/") || strings.HasPrefix(place, "/") {
				t.Errorf("key %s: got place %q, want repository/path", prints[i], place)
			}
		}
	}
	if !slices.IsSorted(prints) || len(slices.Compact(slices.Clone(prints))) != len(prints) {
		t.Error("keys are not sorted by fingerprint, or one is there twice")
	}
	if bytes.Contains(publishedList, []byte("PRIVATE KEY")) {
		t.Error("the list holds key material")
	}
}

func TestPublished(t *testing.T) {
	use := map[string]int{}
	for _, k := range Published().keys {
		use[k.Use]++
	}
	if diff := cmp.Diff(map[string]int{"jws": 25, "tls-or-other": 48}, use); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := Published().Len(); got != 73 {
		t.Errorf("got %d keys, want 73", got)
	}
	for _, tc := range []struct{ name, fingerprint, place string }{
		{"performance lab", "38a37ac2d8226f5fca59257effd492d483716f5be3695727933d3c0a90223b06", "ml-perf-whitepaper-ws/certs/jws/jwtRS256.key"},
		{"in the SDK's image", "f78d9ec084b6db6954982b4f9afb5967fc0a8977d60996158a11a3f1f40b38ca", "sdk-scheme-adapter/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := ParseFingerprint(tc.fingerprint)
			if err != nil {
				t.Fatal(err)
			}
			k, ok := Published().Lookup(f)
			if !ok || k.Use != "jws" || !slices.ContainsFunc(k.PublishedIn, func(p string) bool { return strings.HasPrefix(p, tc.place) }) {
				t.Errorf("got %+v, %v, want a JWS key in %s", k, ok, tc.place)
			}
		})
	}
	for _, f := range []Fingerprint{{}, {1}} {
		if k, ok := Published().Lookup(f); ok {
			t.Errorf("got %+v for %s, want nothing", k, f)
		}
	}
}

func TestPublishedKeysWith(t *testing.T) {
	a, b := Fingerprint{1}, Fingerprint{2}
	base := new(PublishedKeys).With(PublishedKey{Fingerprint: a, Bits: 2048, Use: "jws", PublishedIn: []string{"repo/b"}})
	more := base.With(
		PublishedKey{Fingerprint: a, Use: "tls-or-other", PublishedIn: []string{"repo/a", "repo/b"}},
		PublishedKey{Fingerprint: b, PublishedIn: []string{"repo/c"}},
		PublishedKey{PublishedIn: []string{"no fingerprint"}},
	)
	if base.Len() != 1 || more.Len() != 2 {
		t.Errorf("got %d and %d keys, want 1 and 2", base.Len(), more.Len())
	}
	got, _ := more.Lookup(a)
	want := PublishedKey{Fingerprint: a, Bits: 2048, Use: "jws", PublishedIn: []string{"repo/a", "repo/b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	got.PublishedIn[0] = "changed"
	if again, _ := more.Lookup(a); again.PublishedIn[0] != "repo/a" {
		t.Error("a caller changed the set")
	}
	if old, _ := base.Lookup(a); len(old.PublishedIn) != 1 {
		t.Errorf("With changed its receiver: %+v", old)
	}
}

func TestParsePublishedRefuses(t *testing.T) {
	for _, tc := range []struct{ name, data string }{
		{"no JSON", "x"},
		{"other version", `{"version":2,"keys":[]}`},
		{"bad fingerprint", `{"version":1,"keys":[{"spkiSha256":"12"}]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if set, err := parsePublished([]byte(tc.data)); err == nil {
				t.Errorf("got %d keys, want an error", set.Len())
			}
		})
	}
}
