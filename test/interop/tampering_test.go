package interop_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// tampering changes one thing of a message that was good. It is nil where there
// is nothing to change.
type tampering struct {
	name  string
	apply func(m, other message) *message
}

// change makes a copy of a message with some headers changed; "" takes one away.
func change(m message, headers map[string]string) *message {
	changed := message{name: m.name, body: m.body, headers: maps.Clone(m.headers)}
	for name, value := range headers {
		if value == "" {
			delete(changed.headers, name)
		} else {
			changed.headers[name] = value
		}
	}
	return &changed
}

// protectedFields are the headers that a signature covers, and something else
// that each may say.
var protectedFields = []struct{ header, field, other string }{
	{"fspiop-uri", "FSPIOP-URI", "/transfers/another"},
	{"fspiop-http-method", "FSPIOP-HTTP-Method", "OPTIONS"},
	{"fspiop-destination", "FSPIOP-Destination", "another"},
	{"date", "Date", "Wed, 25 Nov 2026 02:00:00 GMT"},
	{"fspiop-source", "FSPIOP-Source", "DFSP_2"},
}

func tamperings(t *testing.T, f *forger) []tampering {
	t.Helper()
	var all []tampering
	add := func(name string, apply func(m, other message) *message) {
		all = append(all, tampering{name, apply})
	}
	for _, p := range protectedFields {
		other := func(m message) string { // an alias has the same key: the signature is good
			if p.field == "FSPIOP-Source" && (m.headers[p.header] == p.other || m.headers["fspiop-source"] == ecFSP || aliases[m.headers["fspiop-source"]] == ecFSP) {
				return "ec-DFSP_2"
			}
			return p.other
		}
		add(p.field+" header changed", func(m, _ message) *message {
			if p.field == "Date" && m.headers["date"] == "" || m.headers[p.header] == other(m) {
				return nil // a date that is not signed may be added
			}
			return change(m, map[string]string{p.header: other(m)})
		})
		add(p.field+" header removed", func(m, _ message) *message {
			if m.headers[p.header] == "" {
				return nil
			}
			return change(m, map[string]string{p.header: ""})
		})
		add(p.field+" protected otherwise", func(m, _ message) *message {
			return reprotect(t, m, func(h map[string]any) { h[p.field] = p.other + "x" })
		})
		add(p.field+" changed in both", func(m, _ message) *message {
			if m.headers[p.header] == other(m) {
				return nil
			}
			changed := reprotect(t, m, func(h map[string]any) { h[p.field] = other(m) })
			return change(*changed, map[string]string{p.header: other(m)})
		})
		add(p.field+" no longer protected", func(m, _ message) *message {
			if m.headers[p.header] == "" {
				return nil
			}
			return reprotect(t, m, func(h map[string]any) { delete(h, p.field) })
		})
	}
	add("source with another key", func(m, _ message) *message {
		if source := m.headers["fspiop-source"]; source == ecFSP || aliases[source] == ecFSP {
			return change(m, map[string]string{"fspiop-source": rsaFSP})
		}
		return change(m, map[string]string{"fspiop-source": ecFSP})
	})
	add("source unknown", func(m, _ message) *message { return change(m, map[string]string{"fspiop-source": "mallory"}) })
	add("source in other case", func(m, _ message) *message {
		return change(m, map[string]string{"fspiop-source": "PERFFSP-1"})
	})

	for _, alg := range []any{"none", "None", "HS256", "PS256", "RS512", "ES384", "", nil} {
		add(fmt.Sprintf("alg %v", alg), func(m, _ message) *message {
			return reprotect(t, m, func(h map[string]any) { h["alg"] = alg })
		})
	}
	add("alg of the other kind", func(m, _ message) *message {
		return reprotect(t, m, func(h map[string]any) {
			h["alg"] = map[any]string{"RS256": "ES256", "ES256": "RS256"}[h["alg"]]
		})
	})
	add("alg none without signature", func(m, _ message) *message {
		changed := reprotect(t, m, func(h map[string]any) { h["alg"] = "none" })
		p := partsOf(t, *changed)
		p.Signature = ""
		return change(m, map[string]string{"fspiop-signature": p.String()})
	})
	add("HMAC with the public key", func(m, _ message) *message {
		changed := reprotect(t, m, func(h map[string]any) { h["alg"] = "HS256" })
		p := partsOf(t, *changed)
		text, err := ecmajson.Sorted(m.body)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(f.public[m.headers["fspiop-source"]]))
		mac.Write([]byte(p.ProtectedHeader + "." + base64.RawURLEncoding.EncodeToString(text)))
		p.Signature = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		return change(m, map[string]string{"fspiop-signature": p.String()})
	})

	signature := func(name string, tamper func(sig []byte) []byte) {
		add("signature "+name, func(m, _ message) *message {
			p := partsOf(t, m)
			raw, err := base64.RawURLEncoding.DecodeString(p.Signature)
			if err != nil {
				t.Fatal(err)
			}
			p.Signature = base64.RawURLEncoding.EncodeToString(tamper(raw))
			return change(m, map[string]string{"fspiop-signature": p.String()})
		})
	}
	signature("first bit", func(s []byte) []byte { s[0] ^= 0x80; return s })
	signature("last bit", func(s []byte) []byte { s[len(s)-1] ^= 1; return s })
	signature("one byte less", func(s []byte) []byte { return s[:len(s)-1] })
	signature("one byte more", func(s []byte) []byte { return append(s, 0) })
	signature("empty", func([]byte) []byte { return nil })
	signature("zeros", func(s []byte) []byte { clear(s); return s })
	add("signature of another message", func(m, other message) *message {
		p := partsOf(t, m)
		p.Signature = partsOf(t, other).Signature
		return change(m, map[string]string{"fspiop-signature": p.String()})
	})
	add("whole FSPIOP-Signature of another message", func(m, other message) *message {
		return change(m, map[string]string{"fspiop-signature": other.headers["fspiop-signature"]})
	})
	add("FSPIOP-Signature removed", func(m, _ message) *message { return change(m, map[string]string{"fspiop-signature": ""}) })

	body := func(name string, tamper func(body []byte) []byte) {
		add("body "+name, func(m, _ message) *message {
			changed := change(m, nil)
			if changed.body = tamper(m.body); changed.body == nil {
				return nil
			}
			return changed
		})
	}
	body("with a member more", func(body []byte) []byte {
		if body[0] != '{' {
			return nil
		}
		return append([]byte(`{"tampered":true,`), body[1:]...)
	})
	body("in a list", func(body []byte) []byte { return []byte("[" + string(body) + "]") })
	body("empty object", func([]byte) []byte { return []byte("{}") })
	body("null", func([]byte) []byte { return []byte("null") })
	body("absent", func([]byte) []byte { return []byte{} })
	body("no JSON", func(body []byte) []byte { return body[:len(body)-1] })
	body("with a value changed", func(body []byte) []byte {
		text := strings.Replace(string(body), `"100"`, `"100000"`, 1)
		if text == string(body) {
			return nil
		}
		return []byte(text)
	})
	add("body of another message", func(m, other message) *message {
		changed := change(m, nil)
		changed.body = other.body
		return changed
	})
	return all
}

// reprotect changes the protected header and leaves the signature.
func reprotect(t *testing.T, m message, edit func(map[string]any)) *message {
	t.Helper()
	p := partsOf(t, m)
	raw, err := base64.RawURLEncoding.DecodeString(p.ProtectedHeader)
	if err != nil {
		t.Fatal(err)
	}
	// Latin-1, which JSON does not know.
	runes := make([]rune, len(raw))
	for i, c := range raw {
		runes[i] = rune(c)
	}
	var header map[string]any
	if err := json.Unmarshal([]byte(string(runes)), &header); err != nil {
		t.Fatal(err)
	}
	edit(header)
	if raw, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	p.ProtectedHeader = base64.RawURLEncoding.EncodeToString(raw)
	return change(m, map[string]string{"fspiop-signature": p.String()})
}

// TestTampering changes each protected field, the signature, the algorithm, the
// key and the body of good messages of all three signers. Everybody refuses all
// of them.
func TestTampering(t *testing.T) {
	t.Parallel()
	r := requests{newBodies(seed(t))}
	f := newForger(t).withAliases()
	keys, private := f.privateKeys(t), f.privatePEM(t)
	const each = 60
	var good []message
	for _, fsp := range []string{rsaFSP, ecFSP} {
		all := make([]jws.Request, each)
		for i := range all {
			all[i] = r.next(fsp, false)
		}
		good = append(good, signAll(t, keys[fsp], all)...)
	}
	for _, release := range mojaloop.Releases() {
		asked := make([]sdkMessage, each)
		for i := range asked {
			asked[i] = toSign(r.next(rsaFSP, true))
		}
		for i, m := range sdkSign(t, release, private[rsaFSP], asked) {
			good = append(good, message{name: fmt.Sprintf("%s %d", release, i), headers: textOf(m.Headers), body: m.Body})
		}
	}
	wantAccepted(t, f, good)

	var bad []message
	tried := map[string]int{}
	for i, m := range good {
		other := good[(i+1)%len(good)]
		for j := i + 2; string(other.body) == string(m.body); j++ {
			other = good[j%len(good)]
		}
		for _, tamper := range tamperings(t, f) {
			changed := tamper.apply(m, other)
			if changed == nil {
				continue
			}
			tried[tamper.name]++
			changed.name = m.name + ", " + tamper.name
			bad = append(bad, *changed)
		}
	}
	for _, tamper := range tamperings(t, f) {
		if tried[tamper.name] == 0 {
			t.Errorf("%s: never tried", tamper.name)
		}
	}
	ours := f.keys(t)
	for _, m := range bad {
		if r, signature, err := m.received(); err == nil {
			if form, err := ours.Verify(r, signature); err == nil {
				t.Errorf("%s: accepted as %s\n%s", m.name, form, m)
			}
		}
	}
	v := compareVerifiers(t, f, bad)
	if v.accepted > 0 || len(v.stricter) > 0 || v.refused != len(bad) {
		t.Errorf("got %d accepted, %d refused by us only (%.10q); want all %d refused by all", v.accepted, len(v.stricter), v.stricter, len(bad))
	}
	t.Logf("%d messages tampered with in %d ways: refused by all", len(bad), len(tried))
}
