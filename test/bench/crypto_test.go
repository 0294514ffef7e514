package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSpeed(t *testing.T) {
	t.Parallel()
	want := rates{"RS256 sign": 4000, "RS256 verify": 80000, "ES256 sign": 65536, "ES256 verify": 20000}
	for name, out := range map[string]string{
		"OpenSSL 3":   "+DTP:2048:private:rsa:1\n+F2:2:2048:4000:80000.0\n+F4:3:256:65536.000000:20000\n",
		"OpenSSL 1.1": "+F2:2:2048:0.00025:0.0000125\n+F4:3:256:0.0000152587890625:0.00005\n",
	} {
		got, err := parseSpeed(out)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	for _, out := range []string{"", "+F2:2:2048:4000:80000\n", "+F2:2:2048:x:80000\n+F4:3:256:1:1\n", "+F2:2:2048:0:80000\n+F4:3:256:1:1\n"} {
		if got, err := parseSpeed(out); err == nil {
			t.Errorf("%q: got %v, want an error", out, got)
		}
	}
}
