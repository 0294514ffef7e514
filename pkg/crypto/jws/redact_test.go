package jws

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
)

// everyForm prints a value in every way a log, a report or an error might.
func everyForm(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	j, err := json.Marshal(v)
	fmt.Fprintf(&b, "%s %v\n", j, err)
	slog.New(slog.NewTextHandler(&b, nil)).Info("key", "key", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("key", slog.Any("key", v), slog.Group("g", "k", v))
	fmt.Fprintln(&b, fmt.Errorf("wrapped: %w", fmt.Errorf("key %v", v)))
	return b.String()
}

// material is what must not be seen: the secret numbers and the text.
func material(k *PrivateKey) [][]byte {
	out := [][]byte{[]byte(strings.Split(string(k.MarshalPEM()), "\n")[2])}
	switch key := k.open().(type) {
	case *rsa.PrivateKey:
		for _, n := range []*big.Int{key.D, key.Primes[0], key.Primes[1]} {
			out = append(out, n.Bytes(), []byte(n.String()))
		}
	case *ecdsa.PrivateKey:
		d := must(key.Bytes())
		out = append(out, d, []byte(new(big.Int).SetBytes(d).String()))
	}
	return out
}

func assertHidden(t *testing.T, output string, secret []byte) {
	t.Helper()
	const part = 12 // bytes that are not equal by chance
	for ; len(secret) >= part; secret = secret[part:] {
		s := secret[:part]
		numbers := strings.Trim(fmt.Sprintf("%d", s), "[]")
		for _, form := range []string{string(s), hex.EncodeToString(s), base64.StdEncoding.EncodeToString(s), numbers, strings.ReplaceAll(numbers, " ", ",")} {
			if strings.Contains(strings.ToLower(output), strings.ToLower(form)) {
				t.Errorf("key material is in %.200q", output)
			}
		}
	}
}

func TestKeysShowTheirFingerprintOnly(t *testing.T) {
	t.Parallel()
	type holder struct {
		Key     PrivateKey
		Pointer *PrivateKey
		hidden  PrivateKey
		List    []*PrivateKey
		Map     map[string]PrivateKey
		Any     any
	}
	for kind, k := range keys() {
		for _, v := range []any{
			k, *k, &k,
			holder{*k, k, *k, []*PrivateKey{k}, map[string]PrivateKey{"a": *k}, k},
			&holder{Key: *k, hidden: *k},
			[]PrivateKey{*k},
			map[string]*PrivateKey{"a": k},
			k.Public(), *k.Public(),
			Keys{"a": k.Public()},
		} {
			output := everyForm(t, v)
			for _, secret := range material(k) {
				assertHidden(t, output, secret)
			}
		}
		for _, v := range []any{k, *k, k.Public(), *k.Public()} {
			want := k.Fingerprint().String()
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				if got := fmt.Sprintf(verb, v); got != want {
					t.Errorf("%s %T %s: got %q, want %q", kind, v, verb, got, want)
				}
			}
			if got := string(must(json.Marshal(v))); got != `"`+want+`"` {
				t.Errorf("%s %T: got JSON %s, want %q", kind, v, got, want)
			}
		}
		if got, want := k.LogValue().String(), k.Public().LogValue().String(); got != want || got != k.Fingerprint().String() {
			t.Errorf("got %s and %s, want the fingerprint", got, want)
		}
	}
	if got := fmt.Sprint(PrivateKey{}, PublicKey{}, (*PrivateKey)(nil)); got != "no key no key <nil>" {
		t.Errorf("got %q", got)
	}
}

func TestErrorsHoldNoKeyMaterial(t *testing.T) {
	t.Parallel()
	for _, k := range keys() {
		text := string(k.MarshalPEM())
		for _, broken := range []string{
			text[:len(text)/2], text[40:], strings.ReplaceAll(text, "\n", ""), strings.Replace(text, "\n", "\n!", 2), "BEGIN EC \n" + text,
		} {
			_, private := ParsePrivateKey([]byte(broken))
			_, public := ParsePublicKey([]byte(broken))
			_, kind := ParseKeyKind(broken[:5])
			output := everyForm(t, errors.Join(private, public, kind))
			for _, secret := range material(k) {
				assertHidden(t, output, secret)
			}
		}
	}
}

func TestAssertHiddenFindsMaterial(t *testing.T) {
	t.Parallel()
	secret := []byte("twelve bytes and more")
	for _, v := range []any{secret, string(secret), struct{ b []byte }{secret}} {
		var probe testing.T
		assertHidden(&probe, everyForm(t, v), secret)
		if !probe.Failed() {
			t.Errorf("did not find the secret in %T", v)
		}
	}
}
