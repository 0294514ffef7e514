package load

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// Kind is a kind of traffic.
type Kind string

// The kinds.
const (
	// Quotes are POST /quotes: a payee agrees, nothing is reserved.
	Quotes Kind = "quotes"
	// Transfers are POST /transfers, without a quote before: a hub reserves
	// money, a payee's adapter answers later that it knows no quote.
	Transfers Kind = "transfers"
	// Callbacks are what a payee sends: PUT /quotes/{id} and PUT /transfers/{id},
	// in turn. Whoever waits for none verifies and drops them.
	Callbacks Kind = "callbacks"
	// Payments are whole: POST /quotes and, with the packet and condition of the
	// callback, POST /transfers. They need [FSPIOP.Answers].
	Payments Kind = "payments"
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{Quotes, Transfers, Callbacks, Payments} }

// Note stands in every message that has room for it.
const Note = "mojasec test: no real payment"

// IDPrefix begins the id of every quote and transfer. It spells "moja".
const IDPrefix = "6d6f6a61"

// Party is a party of a payment, such as MSISDN 15550100.
type Party struct{ Type, ID string }

// ParseParty reads TYPE/ID.
func ParseParty(s string) (Party, error) {
	kind, id, ok := strings.Cut(s, "/")
	if !ok || kind == "" || id == "" || strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || strings.ContainsAny(id, "\"\\\n ") {
		return Party{}, fmt.Errorf("%q is no party: want a type and an id, such as MSISDN/15550100", s)
	}
	return Party{kind, id}, nil
}

// FSPIOP makes the messages of one DFSP to another.
type FSPIOP struct {
	Kinds               []Kind // sent in turn
	Source, Destination string // FSP ids
	Payer, Payee        Party
	Amount, Currency    string
	// Version is that of the resources, such as 1.0.
	Version string
	// Run tells the ids of this load from others; its lower 28 bits count.
	Run uint32
	// Key signs every message; nil sends them unsigned.
	Key *jws.PrivateKey
	// Secret makes packets, conditions and fulfilments, in a version of ILP: one
	// for every message when FreshILP is set, else one for all.
	Secret     ilp.Secret
	ILPVersion ilp.Version
	FreshILP   bool
	// Answers takes the callbacks of payments.
	Answers *Answers

	shared ilp.Prepared
}

// Prepare checks the settings, before the first message.
func (f *FSPIOP) Prepare(now time.Time) error {
	for _, k := range f.Kinds {
		if !slices.Contains(Kinds(), k) {
			return fmt.Errorf("unknown kind of message %q", k)
		}
		if k == Payments && f.Answers == nil {
			return errors.New("payments need somebody who takes the callbacks")
		}
	}
	if len(f.Kinds) == 0 || f.Source == "" || f.Destination == "" {
		return errors.New("messages need a kind, a source and a destination")
	}
	var err error
	f.shared, err = f.prepareILP(f.id(0), now)
	return err
}

// id is a UUID (version 4 by its looks) that nobody else makes.
func (f *FSPIOP) id(n int64) string {
	run := f.Run & 0xfffffff
	count := uint64(n) & 0xfffffffffffffff //nolint:gosec // n counts from 0
	return fmt.Sprintf("%s-%04x-4%03x-8%03x-%012x", IDPrefix, run>>12, run&0xfff, count>>48, count&0xffffffffffff)
}

// Make makes message n.
func (f *FSPIOP) Make(n int64, now time.Time) (Message, error) {
	kinds := int64(len(f.Kinds))
	switch f.Kinds[n%kinds] {
	case Transfers:
		return f.transfer(f.id(n), now)
	case Callbacks:
		if n/kinds%2 == 0 {
			return f.quoteCallback(f.id(n), now)
		}
		return f.transferCallback(f.id(n), now)
	case Payments:
		if q, ok := f.Answers.nextQuote(); ok {
			return f.pay(q, now)
		}
		m, err := f.quote(f.id(n), now)
		f.Answers.expect(f.id(n), now)
		return m, err
	default:
		return f.quote(f.id(n), now)
	}
}

// The bodies are written with sorted keys: that is the text to send, signed or
// not, so that layers differ in nothing else.

func (f *FSPIOP) quote(id string, now time.Time) (Message, error) {
	body := `{"amount":` + f.money() + `,"amountType":"SEND","extensionList":` + f.mark() + `,"note":` + strconv.Quote(Note) +
		`,"payee":` + f.party(f.Payee, f.Destination) + `,"payer":` + f.party(f.Payer, f.Source) +
		`,"quoteId":"` + id + `","transactionId":"` + id + `","transactionType":` + transactionType + `}`
	return f.message(http.MethodPost, "quotes", "", body, now)
}

const transactionType = `{"initiator":"PAYER","initiatorType":"CONSUMER","scenario":"TRANSFER"}`

func (f *FSPIOP) transfer(id string, now time.Time) (Message, error) {
	made, err := f.ilp(id, now)
	if err != nil {
		return Message{}, err
	}
	return f.prepare(id, made.Packet, made.Condition, f.money(), now)
}

// pay makes the transfer of a quote that was answered.
func (f *FSPIOP) pay(q quoted, now time.Time) (Message, error) {
	f.Answers.transferring(q.id, now)
	return f.prepare(q.id, q.packet, q.condition, q.amount, now)
}

func (f *FSPIOP) prepare(id, packet, condition, money string, now time.Time) (Message, error) {
	body := `{"amount":` + money + `,"condition":"` + condition + `","expiration":"` + expiration(now) +
		`","extensionList":` + f.mark() + `,"ilpPacket":"` + packet + `","payeeFsp":` + strconv.Quote(f.Destination) +
		`,"payerFsp":` + strconv.Quote(f.Source) + `,"transferId":"` + id + `"}`
	return f.message(http.MethodPost, "transfers", "", body, now)
}

func (f *FSPIOP) quoteCallback(id string, now time.Time) (Message, error) {
	made, err := f.ilp(id, now)
	if err != nil {
		return Message{}, err
	}
	body := `{"condition":"` + made.Condition + `","expiration":"` + expiration(now) + `","extensionList":` + f.mark() +
		`,"ilpPacket":"` + made.Packet + `","transferAmount":` + f.money() + `}`
	return f.message(http.MethodPut, "quotes", id, body, now)
}

func (f *FSPIOP) transferCallback(id string, now time.Time) (Message, error) {
	made, err := f.ilp(id, now)
	if err != nil {
		return Message{}, err
	}
	body := `{"completedTimestamp":"` + now.UTC().Format(dateTime) + `","extensionList":` + f.mark() +
		`,"fulfilment":"` + made.Fulfilment + `","transferState":"COMMITTED"}`
	return f.message(http.MethodPut, "transfers", id, body, now)
}

// dateTime is how FSPIOP writes times.
const dateTime = "2006-01-02T15:04:05.000Z"

// expiration is far enough for a peer under load.
func expiration(now time.Time) string { return now.UTC().Add(time.Minute).Format(dateTime) }

func (f *FSPIOP) money() string {
	return `{"amount":"` + f.Amount + `","currency":"` + f.Currency + `"}`
}

func (f *FSPIOP) party(p Party, fsp string) string {
	return `{"partyIdInfo":{"fspId":` + strconv.Quote(fsp) + `,"partyIdType":"` + p.Type + `","partyIdentifier":"` + p.ID + `"}}`
}

// mark is an extension list that says what this message is.
func (f *FSPIOP) mark() string {
	return fmt.Sprintf(`{"extension":[{"key":"mojasec-test","value":"%07x"}]}`, f.Run&0xfffffff)
}

// ilp returns the packet, condition and fulfilment of a message.
func (f *FSPIOP) ilp(id string, now time.Time) (ilp.Prepared, error) {
	if !f.FreshILP {
		return f.shared, nil
	}
	return f.prepareILP(id, now)
}

func (f *FSPIOP) prepareILP(id string, now time.Time) (ilp.Prepared, error) {
	tx, err := ilp.ParseTransaction([]byte(`{"transactionId":"` + id + `","quoteId":"` + id + `","payee":` + f.party(f.Payee, f.Destination) +
		`,"payer":` + f.party(f.Payer, f.Source) + `,"amount":` + f.money() + `,"transactionType":` + transactionType +
		`,"expiration":"` + expiration(now) + `","note":` + strconv.Quote(Note) + `}`))
	if err != nil {
		return ilp.Prepared{}, fmt.Errorf("make an ILP packet: %w", err)
	}
	return f.Secret.Prepare(f.ILPVersion, tx)
}

// message completes a message: headers, and the signature.
func (f *FSPIOP) message(method, resource, id, body string, now time.Time) (Message, error) {
	path := "/" + resource
	if id != "" {
		path += "/" + id
	}
	date := now.UTC().Format(http.TimeFormat)
	media := "application/vnd.interoperability." + resource + "+json;version="
	m := Message{Method: method, Path: path, Body: []byte(body), Header: http.Header{
		"Content-Type":       {media + f.Version},
		"Date":               {date},
		"Fspiop-Source":      {f.Source},
		"Fspiop-Destination": {f.Destination},
		"User-Agent":         {"kubectl-mojasec"},
	}}
	if method == http.MethodPost {
		m.Header["Accept"] = []string{media + f.Version}
	}
	if f.Key == nil {
		return m, nil
	}
	signed, err := f.Key.Sign(jws.Request{
		Method: method, URI: path, Source: f.Source, Destination: f.Destination, Date: date, Body: m.Body,
	})
	if err != nil {
		return Message{}, fmt.Errorf("sign %s %s: %w", method, path, err)
	}
	m.Body = signed.Body
	// The SDK's validator wants what was signed as headers, too.
	m.Header["Fspiop-Uri"] = []string{path}
	m.Header["Fspiop-Http-Method"] = []string{method}
	m.Header["Fspiop-Signature"] = []string{signed.Header}
	return m, nil
}
