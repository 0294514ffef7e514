package crypto

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

func fuzzSeeds(f *testing.F) {
	k := keys()
	for _, seed := range []string{
		"", "test", pkcs1(k.rsa1024), pkcs8(k.p256), sec1(k.p256), sec1(k.p224), pkcs8(k.ed), spki(&k.rsa.PublicKey),
		certificate(f, &k.p256.PublicKey, k.p256, "a", true), string(derOf(sec1(k.p384))), string(derOf(spki(k.ed.Public()))),
		strings.ReplaceAll(sec1(k.p256), "\n", `\\n`), base64.StdEncoding.EncodeToString([]byte("x" + sec1(k.p256))),
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", sec1(k.p256) + "x" + pkcs8(k.ed),
	} {
		f.Add([]byte(seed))
	}
}

// keyLines are the long words of an input: whatever of them an output repeats
// may be key material.
func keyLines(data []byte) [][]byte {
	return bytes.FieldsFunc(data, func(r rune) bool { return !isBase64(byte(r)) || r > 0x7f })
}

func assertNoLeak(t *testing.T, data []byte, output string) {
	t.Helper()
	for _, line := range keyLines(data) {
		if len(line) > 24 && strings.Contains(output, string(line)) {
			t.Errorf("output repeats %q", line)
		}
	}
}

func assertFacts(t *testing.T, found []KeyFacts) {
	t.Helper()
	block := NoBlock - 1
	for _, k := range found {
		if k.Algorithm == "" || k.readable() && (k.Fingerprint.IsZero() || k.Bits == 0 || k.Encoding == "") {
			t.Errorf("incomplete facts %+v", k)
		}
		if k.Block <= block {
			t.Errorf("block %d after %d", k.Block, block)
		}
		block = k.Block
	}
}

func FuzzParseKeys(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		set, err := ParseKeys(data)
		if !bytes.Equal(before, data) {
			t.Error("the input was changed")
		}
		assertFacts(t, set.Keys)
		readable := 0
		for _, k := range set.Keys {
			if k.readable() {
				readable++
			} else if len(set.Problems) == 0 {
				t.Errorf("%v without a problem", k)
			}
			if err := k.SDKUsable(MinRSABits); err == nil && !k.readable() {
				t.Errorf("%v is usable", k)
			}
		}
		if (err == nil) != (readable > 0) {
			t.Errorf("got error %v with %d readable keys", err, readable)
		}
		names := false // of certificates are shown
		for _, k := range set.Keys {
			names = names || k.Encoding == X509
		}
		if !names {
			assertNoLeak(t, data, everyForm(set)+everyForm(err))
		}
		// What the standard library finds, in blocks with a known label, is
		// found here too, by both doors.
		found := FindPEM(string(data))
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			kind, ok := kinds[block.Type]
			if !ok || len(block.Headers) > 0 || len(block.Bytes) > maxBody/2 || len(set.Problems) > 0 {
				continue
			}
			want, err := kind.parse(block.Bytes)
			if err != nil {
				continue
			}
			same := func(k KeyFacts) bool { return k.Fingerprint == want.Fingerprint && k.Private == want.Private }
			if !slices.ContainsFunc(set.Keys, same) || !slices.ContainsFunc(found, same) {
				t.Errorf("%v is in neither %v nor %v", want, set.Keys, found)
			}
		}
	})
}

func FuzzScanPEM(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		found := ScanPEM(data)
		assertFacts(t, found)
		if len(found) > maxBlocks+1 {
			t.Errorf("got %d keys, want at most %d", len(found), maxBlocks+1)
		}
		names := slices.ContainsFunc(found, func(k KeyFacts) bool { return k.Encoding == X509 })
		if !names {
			assertNoLeak(t, data, everyForm(found))
		}
		// Putting a private key after any text that opens nothing adds one find.
		if !bytes.Contains(data, []byte("-----")) && !bytes.Contains(data, []byte("LS0t")) {
			after := ScanPEM(append(bytes.Clone(data), "\n"+sec1(keys().p256)...))
			if len(after) != len(found)+1 {
				t.Errorf("got %d keys with a key added, want %d", len(after), len(found)+1)
			}
		}
	})
}

func FuzzDescribeSecret(f *testing.F) {
	for _, seed := range []string{"", "a", "mojaloop-sdk\n", "abcabcabc", "d41d8cd98f00b204e9800998ecf8427e", "\x00\xff", " ' \" "} {
		f.Add([]byte(seed))
	}
	h := NewHasher([]byte("key"))
	f.Fuzz(func(t *testing.T, value []byte) {
		got := DescribeSecret(value)
		if got.Length != len(value) || got.Bits < 0 || got.Bits > 8*len(value) || got.Published < 0 || got.Published > len(publishedILPSecrets) {
			t.Errorf("got %+v for %d bytes", got, len(value))
		}
		if (got.Alphabet == "") != (len(value) == 0) {
			t.Errorf("got alphabet %q for %d bytes", got.Alphabet, len(value))
		}
		if twice := TrimSecret(TrimSecret(value)); !bytes.Equal(twice, TrimSecret(value)) {
			t.Error("trimming twice is not trimming once")
		}
		if quoted := DescribeSecret([]byte(" \"" + string(value) + "\"\n")); quoted.Published != got.Published || quoted.Repetitive != got.Repetitive {
			t.Errorf("got %+v with quotes, want %+v", quoted, got)
		}
		if trimmed := TrimSecret(value); len(trimmed) > 0 && len(trimmed) < 1000 && !DescribeSecret(bytes.Repeat(trimmed, 2)).Repetitive {
			t.Error("twice the same is not repetitive")
		}
		if len(value) > 12 && leaks(everyForm(got)+everyForm(h.Sum(value)), value) && !strings.Contains("unprintable letters and digits lower case upper", string(value)) {
			t.Errorf("%q is in the output", value)
		}
	})
}
