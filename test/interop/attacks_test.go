package interop_test

import (
	"bytes"
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// message is an HTTP request as an attacker sends it. Names of headers are in
// lower case, as Node has them; values are bytes.
type message struct {
	name    string
	headers map[string]string
	body    []byte
}

// forger makes messages of two FSPs whose keys it has, and of others.
type forger struct {
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
	public map[string]string // PEM by FSP id
}

const (
	rsaFSP = "perffsp-1"
	ecFSP  = "perffsp-2"
)

func newForger(t testing.TB) *forger {
	t.Helper()
	needInterop(t)
	f := &forger{}
	var err error
	if f.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if f.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	f.public = map[string]string{rsaFSP: spki(t, &f.rsa.PublicKey), ecFSP: spki(t, &f.ec.PublicKey)}
	return f
}

func spki(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// keys are the public keys as we read them.
func (f *forger) keys(t testing.TB) jws.Keys {
	t.Helper()
	keys := jws.Keys{}
	for fsp, text := range f.public {
		key, err := jws.ParsePublicKey([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		keys[fsp] = key
	}
	return keys
}

// forgery is a message before it is signed. Its zero value becomes an honest
// one; each attack changes one thing.
type forgery struct {
	source    string            // rsaFSP when empty
	protected string            // text of the protected header; "" is the honest one
	alg       string            // of the honest one
	payload   []byte            // what is signed; nil is the sorted body
	body      []byte            // what is sent
	headers   map[string]string // added to the honest ones, "" takes one away
	// sign makes the signature over the input; nil uses the key of the source.
	sign func(input []byte) []byte
	// outer makes FSPIOP-Signature of its two parts; nil is the honest one.
	outer func(protected, signature string) string
}

// honestBody has the same text in both forms, so that both SDKs can accept it.
const honestBody = `{"amount":{"amount":"100","currency":"USD"},"transferId":"b51ec534-ee48-4575-b6a9-ead2955b8069"}`

func (f *forger) message(t testing.TB, name string, g forgery) message {
	t.Helper()
	if g.source == "" {
		g.source = rsaFSP
	}
	if g.alg == "" {
		g.alg = "RS256"
		if g.source == ecFSP {
			g.alg = "ES256"
		}
	}
	if g.body == nil {
		g.body = []byte(honestBody)
	}
	if g.payload == nil {
		g.payload = g.body
		if sorted, err := ecmajson.Sorted(g.body); err == nil {
			g.payload = sorted
		}
	}
	if g.protected == "" {
		g.protected = fmt.Sprintf(`{"alg":%q,"FSPIOP-URI":"/transfers","FSPIOP-HTTP-Method":"POST","FSPIOP-Source":%q,"FSPIOP-Destination":"hub","Date":"D"}`, g.alg, g.source)
	}
	if g.sign == nil {
		g.sign = f.signRSA(stdcrypto.SHA256)
		if g.source == ecFSP {
			g.sign = f.signEC
		}
	}
	if g.outer == nil {
		g.outer = func(protected, signature string) string {
			return fmt.Sprintf(`{"signature":%q,"protectedHeader":%q}`, signature, protected)
		}
	}
	protected := base64.RawURLEncoding.EncodeToString([]byte(g.protected))
	signature := base64.RawURLEncoding.EncodeToString(g.sign([]byte(protected + "." + base64.RawURLEncoding.EncodeToString(g.payload))))
	m := message{name: name, body: g.body, headers: map[string]string{
		"content-type": "application/vnd.interoperability.transfers+json;version=1.1", "fspiop-source": g.source, "fspiop-destination": "hub", "date": "D",
		"fspiop-uri": "/transfers", "fspiop-http-method": "POST", "fspiop-signature": g.outer(protected, signature),
	}}
	maps.Copy(m.headers, g.headers)
	maps.DeleteFunc(m.headers, func(_, value string) bool { return value == "" })
	return m
}

func (f *forger) signRSA(hash stdcrypto.Hash) func([]byte) []byte {
	return func(input []byte) []byte {
		h := hash.New()
		h.Write(input)
		signature, err := rsa.SignPKCS1v15(nil, f.rsa, hash, h.Sum(nil))
		if err != nil {
			return []byte(err.Error())
		}
		return signature
	}
}

func (f *forger) signEC(input []byte) []byte {
	r, s := f.signPair(input)
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func (f *forger) signPair(input []byte) (r, s *big.Int) {
	digest := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, f.ec, digest[:])
	if err != nil {
		return new(big.Int), new(big.Int)
	}
	return r, s
}

// attacks are messages on which two verifiers may well disagree.
func (f *forger) attacks(t *testing.T) []message {
	t.Helper()
	var all []message
	add := func(name string, g forgery) { all = append(all, f.message(t, name, g)) }
	header := func(fields string) forgery { return forgery{protected: "{" + fields + "}"} }
	const honest = `"alg":"RS256","FSPIOP-URI":"/transfers","FSPIOP-HTTP-Method":"POST","FSPIOP-Source":"perffsp-1","FSPIOP-Destination":"hub","Date":"D"`
	mac := func(hash func() []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			m := hmac.New(sha256.New, hash())
			m.Write(input)
			return m.Sum(nil)
		}
	}

	add("honest RS256", forgery{})
	add("honest ES256", forgery{source: ecFSP})

	// The algorithm.
	add("alg none, no signature", forgery{alg: "none", sign: func([]byte) []byte { return nil }})
	add("alg none, a signature", forgery{alg: "none"})
	add("alg None", forgery{alg: "None", sign: func([]byte) []byte { return nil }})
	add("alg empty", header(strings.Replace(honest, "RS256", "", 1)))
	add("no alg", header(strings.Replace(honest, `"alg":"RS256",`, "", 1)))
	add("alg in lower case", forgery{alg: "rs256"})
	add("alg Alg", header(strings.Replace(honest, `"alg"`, `"Alg"`, 1)))
	add("alg with a space", forgery{alg: "RS256 "})
	add("alg in a list", header(strings.Replace(honest, `"RS256"`, `["RS256"]`, 1)))
	add("alg a number", header(strings.Replace(honest, `"RS256"`, `256`, 1)))
	add("alg null", header(strings.Replace(honest, `"RS256"`, `null`, 1)))
	add("alg an object", header(strings.Replace(honest, `"RS256"`, `{"RS256":1}`, 1)))
	add("HS256 with the PEM as secret", forgery{alg: "HS256", sign: mac(func() []byte { return []byte(f.public[rsaFSP]) })})
	add("HS256 with the trimmed PEM as secret", forgery{alg: "HS256", sign: mac(func() []byte { return []byte(strings.TrimSpace(f.public[rsaFSP])) })})
	add("HS256 with the DER as secret", forgery{alg: "HS256", sign: mac(func() []byte {
		block, _ := pem.Decode([]byte(f.public[rsaFSP]))
		return block.Bytes
	})})
	add("RS256 made by HMAC", forgery{sign: mac(func() []byte { return []byte(f.public[rsaFSP]) })})
	add("RS384", forgery{alg: "RS384", sign: f.signRSA(stdcrypto.SHA384)})
	add("RS512", forgery{alg: "RS512", sign: f.signRSA(stdcrypto.SHA512)})
	add("RS256 with SHA-512 inside", forgery{sign: f.signRSA(stdcrypto.SHA512)})
	add("PS256", forgery{alg: "PS256", sign: func(input []byte) []byte {
		digest := sha256.Sum256(input)
		signature, _ := rsa.SignPSS(rand.Reader, f.rsa, stdcrypto.SHA256, digest[:], nil)
		return signature
	}})
	add("ES256 for an RSA key", forgery{alg: "ES256", sign: f.signEC})
	add("RS256 for a P-256 key", forgery{source: ecFSP, alg: "RS256", sign: f.signRSA(stdcrypto.SHA256)})
	add("RS256 for a P-256 key, DER of ECDSA", forgery{source: ecFSP, alg: "RS256", sign: func(input []byte) []byte {
		digest := sha256.Sum256(input)
		der, _ := ecdsa.SignASN1(rand.Reader, f.ec, digest[:])
		return der
	}})
	add("ES512 for a P-256 key", forgery{source: ecFSP, alg: "ES512", sign: func(input []byte) []byte {
		digest := sha512.Sum512(input)
		r, s, _ := ecdsa.Sign(rand.Reader, f.ec, digest[:])
		return append(r.FillBytes(make([]byte, 66)), s.FillBytes(make([]byte, 66))...)
	}})
	add("alg twice, the last good", header(`"alg":"none",`+honest))
	add("alg twice, the last bad", header(honest+`,"alg":"none"`))

	// Another source, another key.
	add("key of another FSP", forgery{headers: map[string]string{"fspiop-source": ecFSP}})
	add("source nobody knows", forgery{source: "nobody"})
	add("source in other case", forgery{source: "PERFFSP-1"})
	for _, name := range []string{"__proto__", "constructor", "toString", "hasOwnProperty"} {
		add("source "+name, forgery{source: name})
	}
	add("source with a space", forgery{headers: map[string]string{"fspiop-source": rsaFSP + " "}})
	add("no source", forgery{headers: map[string]string{"fspiop-source": ""}})

	// Numbers of the signature.
	order := elliptic.P256().Params().N
	add("ES256, s is n-s", forgery{source: ecFSP, sign: func(input []byte) []byte {
		r, s := f.signPair(input)
		return append(r.FillBytes(make([]byte, 32)), new(big.Int).Sub(order, s).FillBytes(make([]byte, 32))...)
	}})
	add("ES256 in DER", forgery{source: ecFSP, sign: func(input []byte) []byte {
		digest := sha256.Sum256(input)
		der, _ := ecdsa.SignASN1(rand.Reader, f.ec, digest[:])
		return der
	}})
	for name, pair := range map[string][2]*big.Int{
		"zero": {new(big.Int), new(big.Int)}, "one": {big.NewInt(1), big.NewInt(1)}, "n": {order, order}, "r zero": {new(big.Int), big.NewInt(1)}, "s zero": {big.NewInt(1), new(big.Int)},
	} {
		add("ES256, r and s are "+name, forgery{source: ecFSP, sign: func([]byte) []byte {
			return append(pair[0].FillBytes(make([]byte, 32)), pair[1].FillBytes(make([]byte, 32))...)
		}})
	}
	add("ES256, 65 bytes", forgery{source: ecFSP, sign: func(input []byte) []byte { return append(f.signEC(input), 0) }})
	add("ES256, 63 bytes", forgery{source: ecFSP, sign: func(input []byte) []byte { return f.signEC(input)[:63] }})
	add("ES256, 66 bytes with zeros", forgery{source: ecFSP, sign: func(input []byte) []byte {
		s := f.signEC(input)
		return append(append([]byte{0}, s[:32]...), append([]byte{0}, s[32:]...)...)
	}})
	rs256 := f.signRSA(stdcrypto.SHA256)
	add("RS256, a zero before", forgery{sign: func(input []byte) []byte { return append([]byte{0}, rs256(input)...) }})
	add("RS256, a zero behind", forgery{sign: func(input []byte) []byte { return append(rs256(input), 0) }})
	add("RS256, cut", forgery{sign: func(input []byte) []byte { return rs256(input)[:255] }})
	add("RS256, plus n", forgery{sign: func(input []byte) []byte {
		sum := new(big.Int).Add(new(big.Int).SetBytes(rs256(input)), f.rsa.N)
		return sum.Bytes()
	}})
	add("RS256, zero", forgery{sign: func([]byte) []byte { return make([]byte, 256) }})
	add("RS256, one", forgery{sign: func([]byte) []byte { return append(make([]byte, 255), 1) }})
	add("RS256, a flipped bit", forgery{sign: func(input []byte) []byte {
		s := rs256(input)
		s[100] ^= 1
		return s
	}})

	// FSPIOP-Signature and its base64.
	outer := func(name string, write func(protected, signature string) string) { add(name, forgery{outer: write}) }
	form := func(format string) func(p, s string) string {
		return func(p, s string) string { return strings.NewReplacer("P", p, "S", s).Replace(format) }
	}
	outer("white space around", form(" {\t\"signature\" : \"S\" , \"protectedHeader\" : \"P\" } "))
	outer("a third member", form(`{"signature":"S","protectedHeader":"P","x":1}`))
	outer("a member payload", form(`{"signature":"S","protectedHeader":"P","payload":"e30"}`))
	outer("a member header", form(`{"signature":"S","protectedHeader":"P","header":{"alg":"none"}}`))
	outer("signature twice, the last good", form(`{"signature":"AAAA","protectedHeader":"P","signature":"S"}`))
	outer("signature twice, the last bad", form(`{"signature":"S","protectedHeader":"P","signature":"AAAA"}`))
	outer("protectedHeader twice, the last good", form(`{"protectedHeader":"e30","signature":"S","protectedHeader":"P"}`))
	outer("names in other case", form(`{"Signature":"S","ProtectedHeader":"P"}`))
	outer("both cases, the exact one bad", form(`{"signature":"AAAA","Signature":"S","protectedHeader":"P"}`))
	outer("compact serialisation", form(`P..S`))
	outer("compact serialisation as a string", form(`"P..S"`))
	outer("general serialisation", form(`{"payload":"","signatures":[{"protected":"P","signature":"S"}]}`))
	outer("flattened serialisation", form(`{"protected":"P","signature":"S"}`))
	outer("list", form(`[{"signature":"S","protectedHeader":"P"}]`))
	outer("null", form(`null`))
	outer("true", form(`true`))
	outer("empty object", form(`{}`))
	outer("not JSON", form(`{"signature":"S","protectedHeader":"P"`))
	outer("text behind", form(`{"signature":"S","protectedHeader":"P"}x`))
	outer("single quotes", form(`{'signature':'S','protectedHeader':'P'}`))
	outer("no signature", form(`{"protectedHeader":"P"}`))
	outer("empty signature", form(`{"signature":"","protectedHeader":"P"}`))
	outer("signature null", form(`{"signature":null,"protectedHeader":"P"}`))
	outer("signature in a list", form(`{"signature":["S"],"protectedHeader":"P"}`))
	outer("protectedHeader in a list", form(`{"signature":"S","protectedHeader":["P"]}`))
	outer("signature a number", form(`{"signature":1,"protectedHeader":"P"}`))
	outer("protectedHeader an object", form(`{"signature":"S","protectedHeader":{"alg":"RS256"}}`))
	outer("padding", form(`{"signature":"S==","protectedHeader":"P"}`))
	outer("one character behind the signature", form(`{"signature":"SAA","protectedHeader":"P"}`))
	outer("three characters behind the signature", form(`{"signature":"SAAA","protectedHeader":"P"}`))
	outer("a dot in the signature", form(`{"signature":"S.","protectedHeader":"P"}`))
	outer("a dot in the header", form(`{"signature":"S","protectedHeader":"P."}`))
	outer("payload smuggled into the header", func(p, s string) string {
		return fmt.Sprintf(`{"signature":%q,"protectedHeader":%q}`, s, p+"."+base64.RawURLEncoding.EncodeToString([]byte(honestBody)))
	})
	outer("line break in the signature", form(`{"signature":"S\n","protectedHeader":"P"}`))
	outer("line break before the header", form(`{"signature":"S","protectedHeader":"\nP"}`))
	outer("space in the signature", form(`{"signature":" S","protectedHeader":"P"}`))
	outer("the other alphabet", func(p, s string) string {
		return fmt.Sprintf(`{"signature":%q,"protectedHeader":%q}`, strings.NewReplacer("-", "+", "_", "/").Replace(s), p)
	})
	outer("escapes in base64", func(p, s string) string {
		return fmt.Sprintf(`{"signature":"\u%04x%s","protectedHeader":"%s\u%04x"}`, s[0], s[1:], p[:len(p)-1], p[len(p)-1])
	})
	outer("letters beyond ASCII", form(`{"signature":"Sé","protectedHeader":"P"}`))
	outer("unused bits of the signature", func(p, s string) string {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, s[len(s)-1])
		return fmt.Sprintf(`{"signature":%q,"protectedHeader":%q}`, s[:len(s)-1]+string(alphabet[last|1]), p)
	})
	outer("byte order mark", form("\xef\xbb\xbf"+`{"signature":"S","protectedHeader":"P"}`))
	outer("__proto__", form(`{"__proto__":{"signature":"S","protectedHeader":"P"}}`))
	outer("deep", func(p, s string) string {
		return fmt.Sprintf(`{"x":%s1%s,"signature":%q,"protectedHeader":%q}`, strings.Repeat("[", 500), strings.Repeat("]", 500), s, p)
	})

	// Members of the protected header that another library would obey.
	jwk := fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, base64.RawURLEncoding.EncodeToString(f.rsa.N.Bytes()))
	for name, extra := range map[string]string{
		"crit": `"crit":["exp"]`, "crit empty": `"crit":[]`, "crit and b64 false": `"crit":["b64"],"b64":false`, "b64 false": `"b64":false`, "b64 true": `"b64":true`,
		"jwk": `"jwk":` + jwk, "jwk broken": `"jwk":{"kty":"RSA"}`, "jwk a string": `"jwk":"x"`, "jku": `"jku":"https://example.com/keys"`, "kid": `"kid":"perffsp-2"`, "kid a path": `"kid":"../../etc/passwd"`,
		"x5c": `"x5c":["AAAA"]`, "x5c broken": `"x5c":[1]`, "x5u": `"x5u":"https://example.com/c"`, "typ JWT": `"typ":"JWT"`, "cty": `"cty":"JWT"`, "zip": `"zip":"DEF"`, "enc": `"enc":"A128GCM"`, "nonce": `"nonce":"x"`,
		"exp": `"exp":1`, "__proto__": `"__proto__":{"alg":"none"}`, "a number": `"x":1e400`, "a name in other case": `"fspiop-source":"hub"`, "kid a number": `"kid":1`, "jku a number": `"jku":1`, "deep": `"x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500),
		"x5c large": `"x5c":["` + strings.Repeat("A", 1<<16) + `"]`,
	} {
		add("protected header with "+name, header(honest+","+extra))
	}
	add("jwk of the attacker", forgery{source: "mallory", protected: `{"alg":"RS256","FSPIOP-URI":"/transfers","FSPIOP-HTTP-Method":"POST","FSPIOP-Source":"mallory","FSPIOP-Destination":"hub","Date":"D","jwk":` + jwk + `}`})
	add("protected header is a list", forgery{protected: `["RS256"]`})
	add("protected header is a string", forgery{protected: `"RS256"`})
	add("protected header is null", forgery{protected: `null`})
	add("protected header is no JSON", forgery{protected: `{"alg":"RS256"`})
	add("protected header with white space", forgery{protected: " { \n" + honest + " } \n"})
	add("protected header with a byte order mark", forgery{protected: "\xef\xbb\xbf{" + honest + "}"})
	add("protected header with text behind", forgery{protected: "{" + honest + "}{}"})
	add("protected header with escapes", header(strings.Replace(honest, "perffsp-1", `\u0070erffsp-1`, 1)))
	add("names with escapes", header(strings.Replace(honest, "FSPIOP-Source", `\u0046SPIOP-Source`, 1)))

	// Each protected field: missing, empty, of another type, twice, different.
	for _, field := range []struct{ name, header, value string }{
		{"FSPIOP-URI", "fspiop-uri", "/transfers"}, {"FSPIOP-HTTP-Method", "fspiop-http-method", "POST"}, {"FSPIOP-Source", "fspiop-source", rsaFSP}, {"FSPIOP-Destination", "fspiop-destination", "hub"}, {"Date", "date", "D"},
	} {
		member := fmt.Sprintf("%q:%q", field.name, field.value)
		replaced := func(with string) forgery { return header(strings.Replace(honest, member, with, 1)) }
		without := forgery{protected: "{" + strings.Replace(honest, ","+member, "", 1) + "}"}
		add(field.name+" not protected", without)
		without.headers = map[string]string{field.header: ""}
		add(field.name+" nowhere", without)
		add(field.name+" protected, no header", forgery{headers: map[string]string{field.header: ""}})
		for _, value := range []string{`""`, `null`, `false`, `0`, `1`, `[]`, `{}`, `["` + field.value + `"]`, `"` + field.value + ` "`, `"` + strings.ToLower(field.value) + `x"`, `"` + strings.ToUpper(field.value) + `"`} {
			add(field.name+" protected as "+value, replaced(fmt.Sprintf("%q:%s", field.name, value)))
			g := replaced(fmt.Sprintf("%q:%s", field.name, value))
			g.headers = map[string]string{field.header: ""}
			add(field.name+" protected as "+value+", no header", g)
		}
		add(field.name+" twice, the last good", replaced(fmt.Sprintf("%q:%q,%s", field.name, "x", member)))
		add(field.name+" twice, the last bad", replaced(fmt.Sprintf("%s,%q:%q", member, field.name, "x")))
		add(field.name+" in lower case", replaced(fmt.Sprintf("%q:%q", strings.ToLower(field.name), field.value)))
		add(field.name+" header changed", forgery{headers: map[string]string{field.header: field.value + "x"}})
		// What is beyond ASCII travels as Latin-1.
		g := replaced(fmt.Sprintf("%q:\"%s\xe9\"", field.name, field.value))
		g.headers = map[string]string{field.header: field.value + "\xe9"}
		add(field.name+" in Latin-1", g)
		g = replaced(fmt.Sprintf("%q:\"%s\\u00e9\"", field.name, field.value))
		g.headers = map[string]string{field.header: field.value + "\xe9"}
		add(field.name+" in Latin-1, escaped", g)
		g = replaced(fmt.Sprintf("%q:\"%sé\"", field.name, field.value))
		g.headers = map[string]string{field.header: field.value + "é"}
		add(field.name+" in UTF-8", g)
		g = replaced(fmt.Sprintf("%q:\"%s\\u0100\"", field.name, field.value))
		g.headers = map[string]string{field.header: field.value + "\u0100"}
		add(field.name+" beyond Latin-1", g)
	}
	add("no FSPIOP-Signature", forgery{headers: map[string]string{"fspiop-signature": ""}})

	// The body.
	for _, body := range []string{
		``, `null`, `false`, `0`, `-0`, `0.0`, `""`, `1`, `true`, `"x"`, `[]`, `{}`, `[1]`, `1e400`, `{"exp":1}`, `{"exp":99999999999}`, `{"exp":"1"}`, `{"exp":null}`, `{"nbf":99999999999}`, `{"nbf":1}`, `{"nbf":"x"}`,
		`{"exp":1e400}`, `{"exp":0}`, `{"EXP":1}`, `{"a":{"exp":1}}`, `[{"exp":1}]`, `{"iat":99999999999,"aud":"x","iss":"y","sub":"z","jti":1}`, `{"exp":99999999999,"exp":1}`, `{"__proto__":{"exp":1}}`, `{"__proto__":null,"a":1}`,
		`{"b":1,"a":2}`, `{"1":1,"b":2}`, `{"10":1,"9":2}`, ` { "a" : 1.0 } `, `{"a":1,"a":2}`, `{"toJSON":1}`, "\xef\xbb\xbf{}", `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1,}`, `{}x`,
	} {
		add("body "+body, forgery{body: []byte(body)})
		if ordered, err := ecmajson.Ordered([]byte(body)); err == nil {
			add("body in order "+body, forgery{body: []byte(body), payload: ordered})
		}
		add("body as sent "+body, forgery{body: []byte(body), payload: []byte(body)})
		add("body of another "+body, forgery{body: []byte(body), payload: []byte(`{"a":"another"}`)})
		add("no payload, "+body, forgery{body: []byte(body), payload: []byte{}})
	}
	add("body in another order", forgery{body: []byte(`{"b":1,"a":{"10":1,"9":2}}`)})
	large := []byte(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)
	add("large body", forgery{body: large})
	add("large body changed", forgery{body: large, payload: append([]byte(` `), large...)})
	add("large protected header", header(honest+`,"x":"`+strings.Repeat("x", 1<<20)+`"`))
	return all
}

// verdicts counts what became of messages.
type verdicts struct {
	accepted, refused int
	// stricter are the messages that we refuse and an SDK accepts.
	stricter []string
}

// compareVerifiers has every message judged by both SDKs and by us.
func compareVerifiers(t testing.TB, f *forger, messages []message) verdicts {
	t.Helper()
	var v verdicts
	keys := f.keys(t)
	newer, older := sdkVerify(t, mojaloop.New, f.public, messages), sdkVerify(t, mojaloop.Old, f.public, messages)
	for i, m := range messages {
		headers := map[string][]string{}
		for name, value := range m.headers {
			headers[name] = []string{value}
		}
		var form jws.Form
		r, signature, err := jws.Received(headers, m.body)
		if err == nil {
			form, err = keys.Verify(r, signature)
		}
		newSays, oldSays := newer[i] == "", older[i] == ""
		refusal, known := errors.AsType[*jws.Error](err)
		switch {
		case err == nil:
			v.accepted++
			if wantOld := form.AcceptedByOld() && keys[m.headers["fspiop-source"]].Algorithm() == jws.RS256; newSays != form.AcceptedByNew() || oldSays != wantOld {
				t.Errorf("%s: we accept it as %s, the newer SDK says %q, the older %q\n%s", m.name, form, newer[i], older[i], m)
			}
		case !known:
			t.Errorf("%s: got error %v, want a jws.Error", m.name, err)
		case !newSays && !oldSays:
			v.refused++
		case refusal.StricterThanSDK:
			v.stricter = append(v.stricter, m.name)
		default:
			t.Errorf("%s: we refuse it: %v; the newer SDK says %q, the older %q\n%s", m.name, err, newer[i], older[i], m)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", m.name, len(err.Error()))
		}
	}
	return v
}

func (m message) String() string {
	return fmt.Sprintf("body %.300q\nheaders %.900q", m.body, m.headers)
}

// stricter are the attacks that an SDK accepts and we refuse: texts in which
// another reader would find something else than the SDK does.
var stricter = []string{
	"a member header", "a member payload", "a third member", "deep", "protectedHeader in a list", "signature in a list",
	"FSPIOP-Destination twice, the last good", "FSPIOP-HTTP-Method twice, the last good", "FSPIOP-Source twice, the last good", "FSPIOP-URI twice, the last good", "Date twice, the last good", "alg twice, the last good",
	"protected header with a number", "protected header with b64 false", "protected header with b64 true", "protected header with crit", "protected header with crit and b64 false", "protected header with crit empty",
	"protected header with jwk a string", "protected header with jwk broken", "protected header with kid a number", "protected header with x5c", "protected header with x5c broken", "protected header with x5c large",
	`body {"exp":99999999999}`, `body as sent {"exp":99999999999}`, `body in order {"exp":99999999999}`, `body {"nbf":1}`, `body as sent {"nbf":1}`, `body in order {"nbf":1}`,
}

func TestAttacks(t *testing.T) {
	f := newForger(t)
	v := compareVerifiers(t, f, f.attacks(t))
	t.Logf("%d accepted, %d refused, %d refused by us only", v.accepted, v.refused, len(v.stricter))
	slices.Sort(v.stricter)
	slices.Sort(stricter)
	if diff := cmp.Diff(stricter, v.stricter); diff != "" {
		t.Errorf("refused by us only (-want +got):\n%s", diff)
	}
	if v.accepted < 50 || v.refused < 200 {
		t.Errorf("got %d accepted and %d refused: the attacks do not reach the rules", v.accepted, v.refused)
	}
}

// Protected headers and FSPIOP-Signature made at random, mostly with a good
// signature, so that what is behind it is compared, too.
func TestRandomHeaders(t *testing.T) {
	f := newForger(t)
	b := newBodies(seed(t))
	names := []string{"alg", "FSPIOP-URI", "FSPIOP-HTTP-Method", "FSPIOP-Source", "FSPIOP-Destination", "Date", "fspiop-source", "crit", "typ", "kid", "__proto__", "0"}
	honest := map[string]string{"FSPIOP-URI": `"/transfers"`, "FSPIOP-HTTP-Method": `"POST"`, "FSPIOP-Source": `"perffsp-1"`, "FSPIOP-Destination": `"hub"`, "Date": `"D"`, "alg": `"RS256"`}
	messages := make([]message, 0, 3000)
	for i := range cap(messages) {
		var members []string
		for _, name := range names[:6] {
			if b.IntN(20) > 0 {
				members = append(members, fmt.Sprintf("%q:%s", name, honest[name]))
			}
		}
		for range b.IntN(3) {
			var value bytes.Buffer
			b.value(&value, 5)
			text := value.String()
			if b.IntN(3) == 0 {
				text = pick(b, []string{`"/transfers"`, `"POST"`, `"perffsp-1"`, `"hub"`, `"D"`, `"RS256"`, `"ES256"`, `null`, `""`})
			}
			at := b.IntN(len(members) + 1)
			members = append(members[:at:at], append([]string{fmt.Sprintf("%q:%s", pick(b, names), text)}, members[at:]...)...)
		}
		g := forgery{protected: "{" + strings.Join(members, ",") + "}", body: b.Object()}
		switch b.IntN(6) {
		case 0:
			if ordered, err := ecmajson.Ordered(g.body); err == nil {
				g.payload = ordered
			}
		case 1:
			g.payload = g.body
		case 2:
			g.outer = func(p, s string) string {
				text := []byte(fmt.Sprintf(`{"signature":%q,"protectedHeader":%q}`, s, p))
				switch at := b.IntN(len(text)); b.IntN(3) {
				case 0:
					text[at] = byte(' ' + b.IntN(0x5f))
				case 1:
					text = append(text[:at:at], text[at+1:]...)
				default:
					text = append(text[:at:at], append([]byte{byte(' ' + b.IntN(0x5f))}, text[at:]...)...)
				}
				return string(text)
			}
		}
		messages = append(messages, f.message(t, fmt.Sprintf("message %d", i), g))
	}
	v := compareVerifiers(t, f, messages)
	t.Logf("%d accepted, %d refused, %d refused by us only", v.accepted, v.refused, len(v.stricter))
	if v.accepted < 500 || v.refused < 500 {
		t.Errorf("got %d accepted and %d refused: the messages do not reach the rules", v.accepted, v.refused)
	}
}

// FuzzVerifyAgainstNode lets the fuzzer write protected headers and bodies, which
// are then signed, and whatever is around them.
func FuzzVerifyAgainstNode(f *testing.F) {
	forger := newForger(f)
	// P-256, because it signs fifty times as fast.
	const honest = `{"alg":"ES256","FSPIOP-URI":"/transfers","FSPIOP-HTTP-Method":"POST","FSPIOP-Source":"perffsp-2","FSPIOP-Destination":"hub","Date":"D"}`
	f.Add([]byte(honest), []byte(honestBody), []byte(honestBody), `{"signature":"`, `","protectedHeader":"`, `"}`)
	b := newBodies(1)
	for range 50 {
		f.Add([]byte(honest[:len(honest)-1]+`,`+pick(b, hardNames)+`:`+pick(b, hardStrings)+`}`), b.Object(), b.Object(), ` {"signature" : "`, `" ,"x":1, "protectedHeader" : "`, `"} `)
	}
	f.Fuzz(func(t *testing.T, protected, body, payload []byte, before, between, after string) {
		g := forgery{source: ecFSP, protected: string(protected), body: body, outer: func(p, s string) string { return before + s + between + p + after }}
		if len(payload)%2 == 0 {
			g.payload = payload // else the sorted body
		}
		m := forger.message(t, "message", g)
		if strings.ContainsFunc(m.headers["fspiop-signature"], func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return // no header
		}
		compareVerifiers(t, forger, []message{m})
	})
}
