package crypto

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// everyForm prints a value in every way a log or a report might.
func everyForm(v any) string {
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	j, err := json.Marshal(v)
	fmt.Fprintf(&b, "%s %v\n", j, err)
	return b.String()
}

// leaks finds parts of a secret in an output: as text, hex, base64 or a list of
// numbers.
func leaks(output string, secret []byte) bool {
	const part = 12 // bytes that cannot be equal by chance
	for len(secret) >= part {
		s := secret[:part]
		numbers := strings.Trim(fmt.Sprintf("%d", s), "[]")
		for _, form := range []string{string(s), hex.EncodeToString(s), base64.StdEncoding.EncodeToString(s), numbers, strings.ReplaceAll(numbers, " ", ", ")} {
			if strings.Contains(strings.ToLower(output), strings.ToLower(form)) {
				return true
			}
		}
		secret = secret[part:]
	}
	return false
}

func TestLeaks(t *testing.T) {
	secret := []byte("twelve bytes and more")
	for _, output := range []string{everyForm(secret), everyForm(string(secret)), everyForm(struct{ b []byte }{secret})} {
		if !leaks(output, secret) {
			t.Errorf("did not find the secret in %q", output)
		}
	}
}

func TestNoKeyMaterialInAnyForm(t *testing.T) {
	k := keys()
	numbers := numbersOf(k.rsa)
	scalar := must(k.p256.Bytes())
	secrets := [][]byte{
		derOf(pkcs1(k.rsa))[4:], []byte(strings.Split(pkcs1(k.rsa), "\n")[3]), numbers.D.Bytes(), numbers.P.Bytes(), numbers.Q.Bytes(),
		scalar, k.ed.Seed(),
	}
	bad := strings.Replace(pkcs1(k.rsa), "MII", "MI!", 1)
	var shown []any
	for _, input := range []string{
		pkcs1(k.rsa), pkcs8(k.rsa), sec1(k.p256), pkcs8(k.p256), pkcs8(k.ed), bad, string(derOf(pkcs1(k.rsa))),
		strings.ReplaceAll(pkcs1(k.rsa), "\n", ""), strings.ReplaceAll(pkcs1(k.rsa), "\n", `\n`), pkcs1(k.rsa)[:900], pkcs1(k.rsa)[200:],
		strings.Replace(pkcs1(k.rsa), "RSA PRIVATE KEY-----\n", "", 1), strings.ReplaceAll(pkcs1(k.rsa), "-----\n", "\n"),
	} {
		set, err := ParseKeys([]byte(input))
		shown = append(shown, set, &set, err, FindPEM(input))
		for _, key := range set.Keys {
			shown = append(shown, key, &key, key.Fingerprint, key.SDKUsable(MinRSABits))
		}
		for _, p := range set.Problems {
			shown = append(shown, p, errors.Unwrap(p))
		}
		_, err = ParseFingerprint(input)
		shown = append(shown, err)
	}
	for _, v := range shown {
		output := everyForm(v)
		for i, secret := range secrets {
			if leaks(output, secret) {
				t.Errorf("secret %d is in the output of %T", i, v)
			}
		}
	}
}

func TestNoSecretInAnyForm(t *testing.T) {
	secret, key := []byte("a secret that nobody may see"), []byte("the key of the hasher itself")
	h := NewHasher(key)
	tag := h.Sum(secret)
	facts := DescribeSecret(secret)
	published, _ := Published().Lookup(Fingerprint{})
	type holder struct {
		Tag    Tag
		Facts  SecretFacts
		Hasher *Hasher
		hidden *Hasher
	}
	for _, v := range []any{tag, &tag, []Tag{tag}, map[Tag]Tag{tag: tag}, facts, h, holder{tag, facts, h, h}, published, Published()} {
		output := everyForm(v)
		for name, material := range map[string][]byte{"secret": secret, "key": key, "tag": tag[:]} {
			if leaks(output, material) {
				t.Errorf("the %s is in the output of %T: %s", name, v, output)
			}
		}
	}
	if got := fmt.Sprintf("%v %s", tag, tag.String()); got != "redacted redacted" {
		t.Errorf("got %q, want %q", got, "redacted redacted")
	}
	for _, p := range publishedILPSecrets {
		if output := everyForm(DescribeSecret([]byte(p.value))); leaks(output, []byte(p.value)) {
			t.Errorf("published secret is in %s", output)
		}
	}
}
