package load

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// correlationID is the pattern of the FSPIOP API.
var correlationID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func newKey(t *testing.T) *jws.PrivateKey {
	t.Helper()
	key, err := jws.GenerateKey(jws.P256, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newMessages(t *testing.T, kinds ...Kind) *FSPIOP {
	t.Helper()
	secret, err := ilp.NewSecret([]byte("a secret of this test only"))
	if err != nil {
		t.Fatal(err)
	}
	f := &FSPIOP{
		Kinds: kinds, Source: "perffsp-1", Destination: "perffsp-2", Payer: Party{"MSISDN", "15550100"}, Payee: Party{"MSISDN", "15550101"},
		Amount: "12.5", Currency: "USD", Version: "1.0", Run: 0x1234567, Key: newKey(t), Secret: secret, ILPVersion: ilp.V1, FreshILP: true,
		Answers: NewAnswers(nil, func() time.Time { return now }),
	}
	if err := f.Prepare(now); err != nil {
		t.Fatal(err)
	}
	return f
}

// body is what all messages together may hold.
type body struct {
	QuoteID, TransactionID, TransferID string
	ILPPacket, Condition, Fulfilment   string
	PayerFSP, PayeeFSP, Expiration     string
	Amount, TransferAmount             ilp.Amount
	ExtensionList                      struct{ Extension []struct{ Key, Value string } }
}

func make1(t *testing.T, f *FSPIOP, n int64) (Message, body) {
	t.Helper()
	m, err := f.Make(n, now)
	if err != nil {
		t.Fatal(err)
	}
	var b body
	if err := json.Unmarshal(m.Body, &b); err != nil {
		t.Fatalf("%v in %s", err, m.Body)
	}
	return m, b
}

func TestMessagesAreSignedAndMarked(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := newMessages(t, kind)
			keys := jws.Keys{f.Source: f.Key.Public()}
			for n := range int64(4) {
				m, b := make1(t, f, n)
				request := jws.Request{
					Method: m.Method, URI: m.Path, Source: m.Header.Get("FSPIOP-Source"), Destination: m.Header.Get("FSPIOP-Destination"),
					Date: m.Header.Get("Date"), Body: m.Body,
				}
				form, err := keys.Verify(request, m.Header.Get("FSPIOP-Signature"))
				if err != nil || form != jws.Sorted {
					t.Errorf("got %s, error %v; want a signature that everybody accepts", form, err)
				}
				if m.Header.Get("FSPIOP-URI") != m.Path || m.Header.Get("FSPIOP-HTTP-Method") != m.Method || m.Header.Get("Date") != "Fri, 01 May 2026 12:00:00 GMT" {
					t.Errorf("got headers %v", m.Header)
				}
				if e := b.ExtensionList.Extension; len(e) != 1 || e[0].Key != "mojasec-test" || e[0].Value != "1234567" {
					t.Errorf("got extensions %v, want the mark of this load", e)
				}
				id := b.QuoteID + b.TransferID
				if m.Method == http.MethodPut {
					id = m.Path[strings.LastIndex(m.Path, "/")+1:]
				}
				if !correlationID.MatchString(id) || !strings.HasPrefix(id, IDPrefix) {
					t.Errorf("got id %q, want a UUID that begins with %s", id, IDPrefix)
				}
			}
		})
	}
}

// The text without a signature is the text with one: layers differ in nothing
// else.
func TestUnsignedMessages(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Quotes, Transfers, Callbacks} {
		f := newMessages(t, kind)
		signed, _ := make1(t, f, 0)
		f.Key = nil
		plain, _ := make1(t, f, 0)
		if !bytes.Equal(plain.Body, signed.Body) {
			t.Errorf("%s: the body differs (-unsigned +signed):\n%s", kind, cmp.Diff(string(plain.Body), string(signed.Body)))
		}
		if sorted, err := ecmajson.Sorted(plain.Body); err != nil || !bytes.Equal(sorted, plain.Body) {
			t.Errorf("%s: the body is not sorted: %s (error %v)", kind, plain.Body, err)
		}
		for name := range plain.Header {
			if strings.Contains(name, "Signature") || strings.HasSuffix(name, "Uri") {
				t.Errorf("%s: an unsigned message has the header %s", kind, name)
			}
		}
	}
}

func TestILPOfMessages(t *testing.T) {
	t.Parallel()
	for _, version := range []ilp.Version{ilp.V1, ilp.V4} {
		f := newMessages(t, Transfers)
		f.ILPVersion = version
		if err := f.Prepare(now); err != nil {
			t.Fatal(err)
		}
		_, b := make1(t, f, 3)
		packet, err := ilp.Decode(b.ILPPacket)
		if err != nil {
			t.Fatal(err)
		}
		fulfilment, err := f.prepareILP(b.TransferID, now)
		if err != nil {
			t.Fatal(err)
		}
		if packet.Version != version || packet.Amount != 1250 || b.Condition != fulfilment.Condition {
			t.Errorf("version %v: got %+v with condition %s, want 1250 cents of a condition of the secret", version, packet, b.Condition)
		}
	}

	callbacks := newMessages(t, Callbacks)
	_, quote := make1(t, callbacks, 0)
	_, next := make1(t, callbacks, 2)
	transfer, fulfilled := make1(t, callbacks, 1)
	if quote.Condition == next.Condition || quote.ILPPacket == next.ILPPacket {
		t.Error("two quotes have the same packet or condition")
	}
	if !strings.HasPrefix(transfer.Path, "/transfers/") || len(fulfilled.Fulfilment) != 43 {
		t.Errorf("got %s with fulfilment %q, want that of a transfer", transfer.Path, fulfilled.Fulfilment)
	}
	callbacks.FreshILP = false
	_, quote = make1(t, callbacks, 0)
	_, next = make1(t, callbacks, 2)
	if quote.Condition != next.Condition {
		t.Error("without ILP per message conditions differ")
	}
}

func TestIDsDiffer(t *testing.T) {
	t.Parallel()
	f := newMessages(t, Quotes)
	seen := map[string]bool{}
	for _, run := range []uint32{0, 1, 0xfffffff} {
		for _, n := range []int64{0, 1, 1 << 20, 1 << 40, 1 << 50} {
			f.Run = run
			id := f.id(n)
			if seen[id] || !correlationID.MatchString(id) {
				t.Errorf("got id %q of run %x, message %d: want a new UUID", id, run, n)
			}
			seen[id] = true
		}
	}
}

func TestKindsTakeTurns(t *testing.T) {
	t.Parallel()
	f := newMessages(t, Quotes, Callbacks)
	var got []string
	for n := range int64(4) {
		m, _ := make1(t, f, n)
		resource, _, _ := strings.Cut(strings.TrimPrefix(m.Path, "/"), "/")
		got = append(got, m.Method+" "+resource)
	}
	if want := []string{"POST quotes", "PUT quotes", "POST quotes", "PUT transfers"}; !cmp.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*FSPIOP){
		"no kind":                   func(f *FSPIOP) { f.Kinds = nil },
		"unknown kind":              func(f *FSPIOP) { f.Kinds = []Kind{"nonsense"} },
		"no source":                 func(f *FSPIOP) { f.Source = "" },
		"payments without answers":  func(f *FSPIOP) { f.Kinds, f.Answers = []Kind{Payments}, nil },
		"currency that nobody uses": func(f *FSPIOP) { f.Currency = "XXQ" },
	} {
		f := newMessages(t, Quotes)
		spoil(f)
		if err := f.Prepare(now); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestParseParty(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Party{
		"MSISDN/15550100": {"MSISDN", "15550100"}, "ACCOUNT_ID/a/b": {"ACCOUNT_ID", "a/b"},
		"": {}, "MSISDN": {}, "MSISDN/": {}, "/1": {}, "msisdn/1": {}, `MSISDN/1"`: {},
	} {
		got, err := ParseParty(text)
		if got != want || (err != nil) != (want == Party{}) {
			t.Errorf("%q: got %v, error %v; want %v", text, got, err, want)
		}
	}
}

// payee answers the messages of payments as an adapter does.
type payee struct {
	key    *jws.PrivateKey
	secret ilp.Secret
	made   ilp.Prepared
}

// callback is a signed request of the payee.
func (p *payee) callback(t *testing.T, path, text string) *http.Request {
	t.Helper()
	signed, err := p.key.Sign(jws.Request{Method: http.MethodPut, URI: path, Source: "perffsp-2", Destination: "perffsp-1", Date: "today", Body: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, path, bytes.NewReader(signed.Body))
	for name, value := range map[string]string{
		"FSPIOP-Source": "perffsp-2", "FSPIOP-Destination": "perffsp-1", "Date": "today", "FSPIOP-URI": path,
		"FSPIOP-HTTP-Method": http.MethodPut, "FSPIOP-Signature": signed.Header,
	} {
		r.Header.Set(name, value)
	}
	return r
}

func (p *payee) quote(t *testing.T, f *FSPIOP, id string) *http.Request {
	t.Helper()
	var err error
	if p.made, err = f.prepareILP(id, now); err != nil {
		t.Fatal(err)
	}
	return p.callback(t, "/quotes/"+id, fmt.Sprintf(`{"ilpPacket":%q,"condition":%q,"transferAmount":{"amount":"12.5","currency":"USD"}}`, p.made.Packet, p.made.Condition))
}

func (p *payee) transfer(t *testing.T, id, fulfilment string) *http.Request {
	t.Helper()
	return p.callback(t, "/transfers/"+id, fmt.Sprintf(`{"fulfilment":%q,"transferState":"COMMITTED"}`, fulfilment))
}

func TestPayments(t *testing.T) {
	t.Parallel()
	f := newMessages(t, Payments)
	p := &payee{key: newKey(t), secret: f.Secret}
	clock := now
	f.Answers = NewAnswers(jws.Keys{"perffsp-2": p.key.Public()}, func() time.Time { return clock })
	send := func(r *http.Request) int {
		w := httptest.NewRecorder()
		f.Answers.ServeHTTP(w, r)
		return w.Code
	}

	quote, asked := make1(t, f, 0)
	if quote.Path != "/quotes" || f.Answers.Waiting() != 1 {
		t.Fatalf("got %s, %d callbacks waited for; want a quote and 1", quote.Path, f.Answers.Waiting())
	}
	clock = now.Add(20 * time.Millisecond)
	if code := send(p.quote(t, f, asked.QuoteID)); code != http.StatusOK {
		t.Errorf("got status %d, want %d", code, http.StatusOK)
	}
	transfer, prepared := make1(t, f, 1)
	if transfer.Path != "/transfers" || prepared.TransferID != asked.TransactionID || prepared.Condition != p.made.Condition || prepared.Amount.Amount != "12.5" {
		t.Fatalf("got %s %+v, want the transfer of the quote", transfer.Path, prepared)
	}
	send(p.transfer(t, prepared.TransferID, p.made.Fulfilment))
	got := f.Answers.Result()
	if got.Received != 2 || got.Failed != 0 || got.Missing != 0 || got.Paid != 1 || !got.Verified || got.Latency.Max.Milliseconds() < 19 {
		t.Errorf("got %+v, want one payment", got)
	}
	// A callback that comes twice, and one of somebody else, are not ours.
	send(p.transfer(t, prepared.TransferID, p.made.Fulfilment))
	send(p.quote(t, f, "b51ec534-ee48-4575-b6a9-ead2955b8069"))
	if got := f.Answers.Result(); got.Received != 2 {
		t.Errorf("got %d callbacks, want the 2 that were waited for", got.Received)
	}
}

func TestPaymentsThatFail(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("A", 43)
	for _, tt := range []struct {
		name string
		// quote and transfer change the callbacks; a quote that is wrong is not
		// paid.
		quote    func(*testing.T, *payee, *FSPIOP, string) *http.Request
		transfer func(*testing.T, *payee, string) *http.Request
		want     string
		status   int
	}{
		{name: "no callback", want: "missing"},
		{name: "wrong fulfilment", transfer: func(t *testing.T, p *payee, id string) *http.Request { return p.transfer(t, id, other) }, want: "ilp-fulfilment", status: 200},
		{name: "no fulfilment", transfer: func(t *testing.T, p *payee, id string) *http.Request { return p.transfer(t, id, "") }, want: "ilp-fulfilment", status: 200},
		{
			name: "another key", want: "3105", status: 400,
			quote: func(t *testing.T, p *payee, f *FSPIOP, id string) *http.Request {
				return (&payee{key: newKey(t), secret: p.secret}).quote(t, f, id)
			},
		},
		{
			name: "unsigned", want: "3105", status: 400,
			quote: func(t *testing.T, p *payee, f *FSPIOP, id string) *http.Request {
				r := p.quote(t, f, id)
				r.Header.Del("FSPIOP-Signature")
				return r
			},
		},
		{
			name: "packet that is none", want: "ilp-packet", status: 200,
			quote: func(t *testing.T, p *payee, _ *FSPIOP, id string) *http.Request {
				return p.callback(t, "/quotes/"+id, `{"ilpPacket":"AA","condition":"`+other+`"}`)
			},
		},
		{
			name: "error callback", want: "5104", status: 200,
			quote: func(t *testing.T, p *payee, _ *FSPIOP, id string) *http.Request {
				return p.callback(t, "/quotes/"+id+"/error", `{"errorInformation":{"errorCode":"5104","errorDescription":"no"}}`)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newMessages(t, Payments)
			p := &payee{key: newKey(t), secret: f.Secret}
			f.Answers = NewAnswers(jws.Keys{"perffsp-2": p.key.Public()}, func() time.Time { return now })
			_, asked := make1(t, f, 0)
			send := func(r *http.Request) int {
				w := httptest.NewRecorder()
				f.Answers.ServeHTTP(w, r)
				return w.Code
			}
			status := 0
			switch {
			case tt.quote != nil:
				status = send(tt.quote(t, p, f, asked.QuoteID))
			case tt.transfer != nil:
				send(p.quote(t, f, asked.QuoteID))
				make1(t, f, 1)
				status = send(tt.transfer(t, p, asked.QuoteID))
			}
			got := f.Answers.Result()
			if tt.want == "missing" {
				if got.Missing != 1 || got.Failed != 0 {
					t.Errorf("got %+v, want one missing", got)
				}
				return
			}
			if status != tt.status || got.Failed != 1 || got.Paid != 0 || got.Missing != 0 {
				t.Fatalf("got status %d, %+v; want %d and one failure", status, got, tt.status)
			}
			for _, o := range got.Outcomes {
				if o.Failed && (o.Code != tt.want || !strings.Contains(o.Reason, "PUT /")) {
					t.Errorf("got %+v, want code %s and which message it was", o, tt.want)
				}
			}
			if m, _ := make1(t, f, 2); tt.quote != nil && m.Path != "/quotes" {
				t.Error("a quote that failed is paid")
			}
		})
	}
}
