package ilp

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// Transaction is the transaction object of a quote, or the object with the
// conversionTerms of an fxQuote. It is immutable.
type Transaction struct {
	value ecmajson.Value
	json  []byte // as the packet has it
	terms *terms
}

// terms are what packets say of a Transaction, read from it when first asked
// for: one transaction makes many packets in tests of the load a scheme bears.
type terms struct {
	units      once[uint64]
	account    once[string]
	expiration once[time.Time]
}

// once is a value that is computed once, or the error instead of it.
type once[T any] struct {
	sync.Once

	value T
	err   error
}

func (o *once[T]) get(compute func() (T, error)) (T, error) {
	o.Do(func() { o.value, o.err = compute() })
	return o.value, o.err
}

// ParseTransaction reads a transaction object: JSON as the SDK would get it in a
// message. It has to be an object and no more; what a version needs of it,
// [Secret.Prepare] looks at. Errors are [ecmajson.SyntaxError] or [Error].
func ParseTransaction(text []byte) (Transaction, error) {
	v, err := parseObject(text)
	if err != nil {
		return Transaction{}, err
	}
	return Transaction{value: v, json: v.Sorted(), terms: new(terms)}, nil
}

func parseObject(text []byte) (ecmajson.Value, error) {
	v, err := ecmajson.Parse(text)
	if err != nil {
		return ecmajson.Value{}, fmt.Errorf("read JSON: %w", err)
	}
	if v.Kind() != ecmajson.Object {
		return ecmajson.Value{}, &Error{Field: "(document)", Detail: "want a JSON object"}
	}
	return v, nil
}

// Ordered is the Transaction as SDKs before 19.19.1 write it into a packet: in the
// order of JSON.stringify instead of sorted by name.
func (t Transaction) Ordered() Transaction {
	return Transaction{value: t.value, json: t.value.Ordered(), terms: t.terms}
}

// JSON is the text that goes into the packet.
func (t Transaction) JSON() []byte { return append([]byte(nil), t.json...) }

// IsFX tells that the object is about a currency conversion.
func (t Transaction) IsFX() bool {
	terms, ok := t.value.Member("conversionTerms")
	return ok && terms.Truthy()
}

// Amount is what the payee gets; for a conversion, what the initiator gives.
func (t Transaction) Amount() (Amount, error) {
	if t.IsFX() {
		return amountAt(t.value, "conversionTerms", "sourceAmount")
	}
	return amountAt(t.value, "amount")
}

// TargetAmount is what a conversion yields. Its amount may be missing.
func (t Transaction) TargetAmount() (Amount, error) {
	return amountAt(t.value, "conversionTerms", "targetAmount")
}

// Units is the amount as the packet has it: 0 for a conversion.
func (t Transaction) Units() (uint64, error) {
	if t.terms == nil {
		return t.readUnits() // the zero Transaction
	}
	return t.terms.units.get(t.readUnits)
}

func (t Transaction) readUnits() (uint64, error) {
	if t.IsFX() {
		return 0, nil
	}
	amount, err := t.Amount()
	if err != nil {
		return 0, err
	}
	units, err := amount.Units()
	return units, under("amount", err)
}

// PayerFSP is the FSP that pays; for a conversion, the one that asks for it.
func (t Transaction) PayerFSP() (string, error) {
	if t.IsFX() {
		return textAt(t.value, "conversionTerms", "initiatingFsp")
	}
	return textAt(t.value, "payer", "partyIdInfo", "fspId")
}

// PayeeFSP is the FSP that is paid; for a conversion, the one that converts.
func (t Transaction) PayeeFSP() (string, error) {
	if t.IsFX() {
		return textAt(t.value, "conversionTerms", "counterPartyFsp")
	}
	return textAt(t.value, "payee", "partyIdInfo", "fspId")
}

// ID is the transactionId, or the conversionRequestId; empty without one.
func (t Transaction) ID() string {
	name := "transactionId"
	if t.IsFX() {
		name = "conversionRequestId"
	}
	id, err := textAt(t.value, name)
	if err != nil {
		return ""
	}
	return id
}

// isoTime is a time as FSPIOP writes it. The SDK reads many other forms; one
// without a zone would be local time.
var isoTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// Expiration is when the quote expires, in UTC and in milliseconds: JavaScript
// cuts off what is finer.
func (t Transaction) Expiration() (time.Time, error) {
	if t.terms == nil {
		return t.readExpiration()
	}
	return t.terms.expiration.get(t.readExpiration)
}

func (t Transaction) readExpiration() (time.Time, error) {
	path := []string{"expiration"}
	if t.IsFX() {
		path = []string{"conversionTerms", "expiration"}
	}
	text, err := textAt(t.value, path...)
	if err != nil {
		return time.Time{}, err
	}
	return parseTime(strings.Join(path, "."), text)
}

// parseTime reads a time as FSPIOP writes it.
func parseTime(field, text string) (time.Time, error) {
	if !isoTime.MatchString(text) {
		return time.Time{}, fail(field, "%q is no time of FSPIOP; want one such as 2030-01-31T12:00:00.000Z", clip(text))
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fail(field, "%q is not in the calendar", clip(text))
	}
	at = at.UTC().Truncate(time.Millisecond)
	if !timeFits(at) {
		return time.Time{}, fail(field, "%q is out of range; want a year from 1970 to 9999", clip(text))
	}
	return at, nil
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func formatUint(n uint64) string { return strconv.FormatUint(n, 10) }

// maxAccount is the longest ILP address, in characters.
const maxAccount = 1023

// Account is the ILP address of the payee in a packet of version 1. Every
// character is below U+0100: JavaScript writes the low byte of each UTF-16 code
// unit into the packet.
func (t Transaction) Account() (string, error) {
	if t.terms == nil {
		return t.readAccount()
	}
	return t.terms.account.get(t.readAccount)
}

func (t Transaction) readAccount() (string, error) {
	fsp, err := t.PayeeFSP()
	if err != nil {
		return "", err
	}
	parts := []string{"g", fsp}
	if t.IsFX() {
		parts, err = t.fxAccount(fsp)
	} else {
		parts, err = t.partyAccount(parts)
	}
	if err != nil {
		return "", err
	}
	account := lowBytes(strings.Join(parts, "."))
	if n := len([]rune(account)); n > maxAccount {
		return "", fail("payee.partyIdInfo", "the ILP address has %d characters, at most %d are allowed", n, maxAccount)
	}
	return account, nil
}

func (t Transaction) partyAccount(parts []string) ([]string, error) {
	for _, name := range []string{"partyIdType", "partyIdentifier", "partySubIdOrType"} {
		path := []string{"payee", "partyIdInfo", name}
		if name == "partySubIdOrType" {
			if v, ok := at(t.value, path...); !ok || v.Kind() == ecmajson.String && !v.Truthy() {
				continue
			}
		}
		text, err := textAt(t.value, path...)
		if err != nil {
			return nil, err
		}
		if text, err = lower(strings.Join(path, "."), text); err != nil {
			return nil, err
		}
		parts = append(parts, text)
	}
	return parts, nil
}

// fxAccount is in lower case as a whole, the FSP included.
func (t Transaction) fxAccount(fsp string) ([]string, error) {
	parts := []string{"g"}
	fsp, err := lower("conversionTerms.counterPartyFsp", fsp)
	if err != nil {
		return nil, err
	}
	parts = append(parts, fsp)
	for _, name := range []string{"sourceAmount", "targetAmount"} {
		currency, err := textAt(t.value, "conversionTerms", name, "currency")
		if err != nil {
			return nil, err
		}
		if currency, err = lower("conversionTerms."+name+".currency", currency); err != nil {
			return nil, err
		}
		parts = append(parts, currency)
	}
	return parts, nil
}

// lower is toLowerCase of JavaScript.
func lower(field, s string) (string, error) {
	if strings.ContainsRune(s, 'Σ') {
		// It becomes σ or ς, depending on the letters around it.
		return "", fail(field, "%q has a capital sigma; write it in lower case", clip(s))
	}
	// The only other letter whose lower case is two characters.
	return strings.ToLower(strings.ReplaceAll(s, "İ", "i\u0307")), nil
}

// lowBytes keeps the low byte of every UTF-16 code unit, as Node does in
// Buffer.from(text, 'ascii').
func lowBytes(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxLatin1 }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			b.WriteRune(r >> 10 & 0xff) // the high surrogate, 0xd800 + r>>10
			b.WriteRune(r & 0xff)       // the low one, 0xdc00 + r&0x3ff
			continue
		}
		b.WriteRune(r & 0xff)
	}
	return b.String()
}

// at is the value at a path of names.
func at(v ecmajson.Value, path ...string) (ecmajson.Value, bool) {
	for _, name := range path {
		next, ok := v.Member(name)
		if !ok {
			return ecmajson.Value{}, false
		}
		v = next
	}
	return v, true
}

// textAt is the string at a path; missing, empty and other values are errors.
func textAt(v ecmajson.Value, path ...string) (string, error) {
	field := strings.Join(path, ".")
	found, ok := at(v, path...)
	if !ok {
		return "", fail(field, "is missing")
	}
	text, ok := found.Text()
	switch {
	case !ok:
		return "", fail(field, "want a string, got %s", clip(string(found.Ordered())))
	case text == "":
		return "", fail(field, "is empty")
	case strings.ContainsRune(text, unicode.ReplacementChar) && string(found.Ordered()) != string(ecmajson.Quote(text)):
		return "", fail(field, "has half of a surrogate pair")
	}
	return text, nil
}

func amountAt(v ecmajson.Value, path ...string) (Amount, error) {
	currency, err := textAt(v, append(slices.Clip(path), "currency")...)
	if err != nil {
		return Amount{}, err
	}
	amount, err := textAt(v, append(slices.Clip(path), "amount")...)
	if err != nil {
		return Amount{}, err
	}
	return Amount{Currency: currency, Amount: amount}, nil
}

// under puts the field of an Error below another one.
func under(field string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Field: field + "." + e.Field, Detail: e.Detail}
	}
	return err
}
