package interop_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// messagesEachWay is how many messages each side signs for the other, of each
// kind of key.
const messagesEachWay = 10_000

// requests makes requests of all resources and methods with bodies that are
// hard to write the same way twice.
type requests struct{ bodies }

// fspiopResources are those of the specification. The signer of the older
// release does not know the last two.
var fspiopResources = []string{
	"participants", "parties", "quotes", "bulkQuotes", "transfers", "bulkTransfers", "transactionRequests", "thirdpartyRequests",
	"authorizations", "consents", "consentRequests", "fxQuotes", "fxTransfers",
}

var (
	methods      = []string{"POST", "PUT", "PATCH", "DELETE", "post", "Put"}
	prefixes     = []string{"", "", "", "http://localhost:4000", "https://hub.example:4000/fsp/1.0", "http://10.0.0.1/quotes", "https://hub.example/a/b%20c"}
	suffixes     = []string{"", "", "/7c23e80c-d078-4077-8263-2c047876fcf6", "/MSISDN/123456789", "/MSISDN/1/PASSPORT/error", "/ID/error", "/", "/a%2Fb", "/Zürich", "/1?x=/y"}
	destinations = []string{"", "hub", "perffsp-3", `a"b\c`, "with space", "D\xe9\xff", "Ünïcode"}
	dates        = []string{"", "Tue, 24 Nov 2026 02:00:00 GMT", "2026-11-24T02:00:00.000Z", "x"}
)

// aliases are FSPs with a key of another. An id may be anything that is a header
// and the name of a file.
var aliases = map[string]string{
	"DFSP_2": rsaFSP, "with space": rsaFSP, `q"u'o\te`: rsaFSP, "constructor": rsaFSP, "0": rsaFSP,
	"ec-DFSP_2": ecFSP, "ec with space": ecFSP, `ec-q"u'o\te`: ecFSP, "toString": ecFSP, "1": ecFSP,
}

// withAliases gives the FSPs of aliases their keys.
func (f *forger) withAliases() *forger {
	for alias, fsp := range aliases {
		f.public[alias] = f.public[fsp]
	}
	return f
}

// sourcesOf are the FSPs that sign with the key of fsp, in a fixed order.
func sourcesOf(fsp string) []string {
	all := []string{fsp}
	for alias, owner := range aliases {
		if owner == fsp {
			all = append(all, alias)
		}
	}
	slices.Sort(all)
	return all
}

// next makes a request that can be signed with the key of fsp, by the older
// release too.
func (r requests) next(fsp string, old bool) jws.Request {
	known := fspiopResources
	if old {
		known = known[:len(known)-2]
	}
	out := jws.Request{
		Method: pick(r.bodies, methods), URI: pick(r.bodies, prefixes) + "/" + pick(r.bodies, known) + pick(r.bodies, suffixes),
		Source: pick(r.bodies, sourcesOf(fsp)), Destination: pick(r.bodies, destinations), Date: pick(r.bodies, dates),
	}
	switch r.IntN(20) {
	case 0: // a list
		out.Body = fmt.Appendf(nil, "[%s,%s]", r.Object(), r.Object())
	case 1: // keys in order, as most senders of the older release have them
		out.Body, _ = ecmajson.Sorted(r.Object())
	case 2:
		out.Body = []byte(honestBody)
	case 3:
		out.Body = r.deep()
	default:
		out.Body = r.Object()
	}
	return out
}

// deep makes a body of many levels, without the name that servers refuse.
func (r requests) deep() []byte {
	for {
		var out bytes.Buffer
		out.WriteString(`{"deep":`)
		r.nest(&out, 1+r.IntN(300))
		out.WriteByte('}')
		if !bytes.Contains(out.Bytes(), []byte(`_proto__`)) {
			return out.Bytes()
		}
	}
}

// headersOf are the headers of a request before it is signed, in lower case.
func headersOf(r jws.Request) map[string]string {
	headers := map[string]string{"content-type": "application/vnd.interoperability.quotes+json;version=1.1", "fspiop-source": r.Source}
	if r.Destination != "" {
		headers["fspiop-destination"] = r.Destination
	}
	if r.Date != "" {
		headers["date"] = r.Date
	}
	return headers
}

// privateKeys are the keys of a forger as we and as the SDK read them.
func (f *forger) privateKeys(t *testing.T) map[string]*jws.PrivateKey {
	t.Helper()
	keys := map[string]*jws.PrivateKey{}
	for fsp, text := range f.privatePEM(t) {
		key, err := jws.ParsePrivateKey(text)
		if err != nil {
			t.Fatal(err)
		}
		keys[fsp] = key
	}
	return keys
}

func (f *forger) privatePEM(t *testing.T) map[string][]byte {
	t.Helper()
	ec, err := x509.MarshalECPrivateKey(f.ec)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		rsaFSP: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(f.rsa)}),
		ecFSP:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec}),
	}
}

// signAll signs requests as we do.
func signAll(t *testing.T, key *jws.PrivateKey, all []jws.Request) []message {
	t.Helper()
	messages := make([]message, len(all))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, r := range all {
		group.Go(func() error {
			signed, err := key.Sign(r)
			if err != nil {
				return fmt.Errorf("%+v: %w", r, err)
			}
			messages[i] = sentMessage(fmt.Sprintf("message %d", i), r, signed)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return messages
}

func sentMessage(name string, r jws.Request, signed jws.Signed) message {
	m := message{name: name, headers: headersOf(r), body: signed.Body}
	m.headers["fspiop-uri"], m.headers["fspiop-http-method"], m.headers["fspiop-signature"] = signed.URI, signed.Method, signed.Header
	return m
}

// received is a message as we take it for verification.
func (m message) received() (jws.Request, string, error) {
	headers := map[string][]string{}
	for name, value := range m.headers {
		headers[name] = []string{value}
	}
	return jws.Received(headers, m.body)
}

// formsOf counts the texts that signatures cover.
func formsOf(t *testing.T, keys jws.Keys, messages []message) map[jws.Form]int {
	t.Helper()
	found := map[jws.Form]int{}
	for _, m := range messages {
		r, signature, err := m.received()
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		form, err := keys.Verify(r, signature)
		if err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, m)
		}
		found[form]++
	}
	return found
}

// wantForms wants every message to be one of the forms, and some of each.
func wantForms(t *testing.T, got map[jws.Form]int, total int, forms ...jws.Form) {
	t.Helper()
	sum := 0
	for _, form := range forms {
		if got[form] < total/100 {
			t.Errorf("got %d messages of form %s, want more: %v", got[form], form, got)
		}
		sum += got[form]
	}
	if sum != total {
		t.Errorf("got forms %v for %d messages, want %v alone", got, total, forms)
	}
	t.Logf("%d messages, forms %v", total, got)
}

// wantAccepted wants every message accepted by whom its form says.
func wantAccepted(t *testing.T, f *forger, messages []message) {
	t.Helper()
	if v := compareVerifiers(t, f, messages); v.accepted != len(messages) {
		t.Errorf("got %d of %d accepted, %d refused, %v refused by us only", v.accepted, len(messages), v.refused, v.stricter)
	}
}

// TestWeSignTheyVerify: what we sign the newer release accepts, and the older
// one where the key is RSA and no name is an array index.
func TestWeSignTheyVerify(t *testing.T) {
	t.Parallel()
	start := seed(t)
	f := newForger(t).withAliases()
	keys := f.privateKeys(t)
	for _, fsp := range []string{rsaFSP, ecFSP} {
		t.Run(string(keys[fsp].Algorithm()), func(t *testing.T) {
			t.Parallel()
			r := requests{newBodies(start)}
			all := make([]jws.Request, messagesEachWay)
			for i := range all {
				all[i] = r.next(fsp, false)
			}
			messages := signAll(t, keys[fsp], all)
			wantForms(t, formsOf(t, f.keys(t), messages), len(messages), jws.Sorted, jws.SortedOnly)
			wantAccepted(t, f, messages)
		})
	}
}

// TestTheySignWeVerify: we accept what either release signs and say who else
// does; and what the newer one writes is what we write.
func TestTheySignWeVerify(t *testing.T) {
	t.Parallel()
	start := seed(t)
	f := newForger(t).withAliases()
	keys, private := f.privateKeys(t), f.privatePEM(t)
	for _, tt := range []struct {
		release mojaloop.Release
		fsp     string
		forms   []jws.Form
	}{
		{mojaloop.New, rsaFSP, []jws.Form{jws.Sorted, jws.SortedOnly}},
		{mojaloop.New, ecFSP, []jws.Form{jws.Sorted, jws.SortedOnly}},
		{mojaloop.Old, rsaFSP, []jws.Form{jws.Sorted, jws.Ordered}},
	} {
		t.Run(fmt.Sprintf("%s %s", tt.release, keys[tt.fsp].Algorithm()), func(t *testing.T) {
			t.Parallel()
			r := requests{newBodies(start + 1)}
			all := make([]jws.Request, messagesEachWay)
			asked := make([]sdkMessage, len(all))
			for i := range all {
				all[i] = r.next(tt.fsp, tt.release == mojaloop.Old)
				asked[i] = toSign(all[i])
				asked[i].Axios = i%2 == 0
			}
			messages := make([]message, len(all))
			for i, m := range sdkSign(t, tt.release, private[tt.fsp], asked) {
				if m.Error != "" {
					t.Fatalf("the SDK does not sign: %s\n%+v", m.Error, all[i])
				}
				messages[i] = message{name: fmt.Sprintf("message %d", i), headers: textOf(m.Headers), body: m.Body}
				if tt.release == mojaloop.New {
					wantSameAsOurs(t, keys[tt.fsp], all[i], messages[i])
				}
			}
			wantForms(t, formsOf(t, f.keys(t), messages), len(messages), tt.forms...)
			wantAccepted(t, f, messages)
		})
	}
}

// wantSameAsOurs compares what the SDK sends with what we would. Signatures of
// ES256 differ every time.
func wantSameAsOurs(t *testing.T, key *jws.PrivateKey, r jws.Request, got message) {
	t.Helper()
	signed, err := key.Sign(r)
	if err != nil {
		t.Fatalf("we do not sign: %v\n%+v", err, r)
	}
	want := sentMessage(got.name, r, signed)
	ours, theirs := partsOf(t, want), partsOf(t, got)
	if key.Algorithm() == jws.ES256 {
		ours.Signature = theirs.Signature
	}
	if ours != theirs || string(want.body) != string(got.body) ||
		want.headers["fspiop-uri"] != got.headers["fspiop-uri"] || want.headers["fspiop-http-method"] != got.headers["fspiop-http-method"] {
		t.Fatalf("%s: we send\n%s\nthe SDK sends\n%s", got.name, want, got)
	}
}

// signatureParts are the members of FSPIOP-Signature.
type signatureParts struct {
	ProtectedHeader string `json:"protectedHeader"`
	Signature       string `json:"signature"`
}

func (p signatureParts) String() string {
	return fmt.Sprintf(`{"protectedHeader":%q,"signature":%q}`, p.ProtectedHeader, p.Signature)
}

func partsOf(t *testing.T, m message) signatureParts {
	t.Helper()
	var p signatureParts
	if err := json.Unmarshal([]byte(m.headers["fspiop-signature"]), &p); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	return p
}

func bytesOf(headers map[string]string) map[string][]byte {
	out := make(map[string][]byte, len(headers))
	for name, value := range headers {
		out[name] = []byte(value)
	}
	return out
}

func textOf(headers map[string][]byte) map[string]string {
	out := make(map[string]string, len(headers))
	for name, value := range headers {
		out[name] = string(value)
	}
	return out
}

// TestWhatIsNotSigned: both refuse to sign the same requests.
func TestWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	b := newBodies(seed(t))
	f := newForger(t)
	key, private := f.privateKeys(t)[ecFSP], f.privatePEM(t)[ecFSP]
	parts := append([]string{
		"", "/", "//", "?", "#", "x", "quote", "Quotes", "quotes?a=b", "quotes#a", "error", ".", "%2F", " ", "\n", "\r", "\xe9", "1", ":", "http:", "quotesx",
	}, fspiopResources...)
	texts := []string{`{"a":1}`, `[]`, `{}`, `1`, `true`, `null`, `false`, `0`, `-0.0`, `1e-400`, `""`, `1e400`}
	all := make([]jws.Request, 4000)
	asked := make([]sdkMessage, len(all))
	for i := range all {
		var uri strings.Builder
		for range 1 + b.IntN(5) {
			uri.WriteString(pick(b, parts))
			if b.IntN(3) > 0 {
				uri.WriteByte('/')
			}
		}
		all[i] = jws.Request{Method: "POST", URI: uri.String(), Source: ecFSP, Body: []byte(texts[0])}
		if b.IntN(4) == 0 {
			all[i].Body = []byte(pick(b, texts))
		}
		asked[i] = toSign(all[i])
	}
	signed, refused := 0, 0
	for i, answer := range sdkSign(t, mojaloop.New, private, asked) {
		got, err := key.Sign(all[i])
		var refusal *jws.Error
		switch {
		case err == nil && answer.Error == "":
			signed++
			if got.URI != string(answer.Headers["fspiop-uri"]) || string(got.Body) != string(answer.Body) {
				t.Errorf("%+v: got %q %q, the SDK has %q %q", all[i], got.URI, got.Body, answer.Headers["fspiop-uri"], answer.Body)
			}
		case err != nil && answer.Error != "":
			refused++
		case errors.As(err, &refusal) && refusal.StricterThanSDK:
		default:
			t.Errorf("%+v: we say %v, the SDK %q", all[i], err, answer.Error)
		}
	}
	if signed < 500 || refused < 500 {
		t.Errorf("got %d signed and %d refused: the requests do not reach the rules", signed, refused)
	}
}
