package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// packetsEach is how many packets each release and version makes.
const packetsEach = 10_000

// transactions makes transaction objects, and secrets.
type transactions struct{ bodies }

// currencies with no, two, three and four decimals.
var currencies = []string{"USD", "EUR", "XOF", "TZS", "UGX", "JPY", "BHD", "KWD", "CLF", "ZMW"}

// ilpCase is what a payee answers to.
type ilpCase struct {
	secret, transaction []byte
	// refused is the field for which we refuse; "" for a good object.
	refused string
}

// next makes an object that a payee may well agree to.
func (x transactions) next() ilpCase {
	return ilpCase{secret: x.secret(), transaction: x.object(x.amount(), x.expiration())}
}

func (x transactions) secret() []byte {
	return pick(x.bodies, [][]byte{[]byte("s"), []byte("0f8b2c4d6e1a3957f0e1d2c3b4a59687"), []byte("clé 🔑\n"), fmt.Appendf(nil, "%064x", x.Uint64()), []byte(strings.Repeat("long", 50))})
}

// amount is a JSON text of an amount that its currency can have.
func (x transactions) amount() string {
	currency := pick(x.bodies, currencies)
	places, _ := ilp.Decimals(currency)
	whole := strconv.FormatUint(x.Uint64N(uint64(math.Pow10(1+x.IntN(14)))), 10)
	fraction := ""
	if n := x.IntN(places + 1); n > 0 {
		fraction = fmt.Sprintf(".%0*d", n, x.IntN(int(math.Pow10(n))))
		if x.IntN(4) == 0 {
			fraction += "0"
		}
	}
	return fmt.Sprintf(`{"currency":%q,"amount":"%s%s"}`, currency, whole, fraction)
}

func (x transactions) expiration() string {
	at := time.UnixMilli(1 + x.Int64N(200*365*24*3600*1000)).UTC()
	format := pick(x.bodies, []string{"2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05Z", "2006-01-02T15:04:05.999999999Z07:00"})
	zone := pick(x.bodies, []*time.Location{time.UTC, time.FixedZone("", 19800), time.FixedZone("", -3*3600)})
	if strings.HasSuffix(format, "Z") {
		zone = time.UTC
	}
	if at.Year() < 1971 {
		at = at.AddDate(1, 0, 0)
	}
	return at.Add(time.Duration(x.IntN(1_000_000))).In(zone).Format(format)
}

func (x transactions) party() string {
	identifier := pick(x.bodies, []string{`"16135551212"`, `"a@b.example"`, `"ABC-123"`, `"ÉCOLE"`, `"İ Ā 😀"`, `"x"`, `"\u0041"`, `"Straße ﬀ"`, `"1.2.3"`})
	members := []string{
		fmt.Sprintf(`"partyIdType":%q`, pick(x.bodies, []string{"MSISDN", "EMAIL", "PERSONAL_ID", "Alias"})), `"partyIdentifier":` + identifier,
		fmt.Sprintf(`"fspId":%q`, pick(x.bodies, []string{"perffsp-1", "GreenBank", "green bank", "Ä", "1"})),
	}
	if x.IntN(3) == 0 {
		members = append(members, `"partySubIdOrType":`+pick(x.bodies, []string{`"PASSPORT"`, `""`, `"Ünder"`}))
	}
	x.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return `{"partyIdInfo":{` + strings.Join(members, ",") + `},"name":"Siabelo"}`
}

// object makes a transaction object, or that of a conversion, with members in
// any order and others among them.
func (x transactions) object(amount, expiration string) []byte {
	members := []string{
		`"transactionId":"85feac2f-39b2-491b-817e-4a03203d4f14"`, `"quoteId":"7c23e80c-d078-4077-8263-2c047876fcf6"`, `"payee":` + x.party(), `"payer":` + x.party(),
		`"amount":` + amount, fmt.Sprintf(`"expiration":%q`, expiration), `"transactionType":{"scenario":"TRANSFER","initiator":"PAYER","initiatorType":"CONSUMER"}`,
	}
	if x.IntN(2) == 0 {
		members = append(members, `"note":`+pick(x.bodies, hardStrings))
	}
	if x.IntN(3) == 0 {
		members = append(members, `"extensionList":`+string(x.Object()))
	}
	if x.IntN(5) == 0 {
		members = append(members, fmt.Sprintf(`"%d":%s`, x.IntN(20), pick(x.bodies, hardNumbers)))
	}
	x.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return []byte("{" + strings.Join(members, ",") + "}")
}

// conversion makes the object of an fxQuote.
func (x transactions) conversion() ilpCase {
	terms := []string{
		`"conversionId":"c0ffee00-1111-4222-8333-444455556666"`, `"initiatingFsp":"perffsp-1"`, fmt.Sprintf(`"counterPartyFsp":%q`, pick(x.bodies, []string{"PerfFXP", "fxp"})),
		`"sourceAmount":` + x.amount(), `"targetAmount":` + x.amount(), fmt.Sprintf(`"expiration":%q`, x.expiration()), `"charges":` + string(x.Object()),
	}
	x.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
	return ilpCase{secret: x.secret(), transaction: []byte(`{"conversionTerms":{` + strings.Join(terms, ",") + `},"conversionRequestId":"bee87b1d-3b0b-4ed0-9b5a-1d0c4b3f1b0e"}`)}
}

// badAmounts are amounts of USD that SDKs turn into something.
var badAmounts = []string{
	`"-1"`, `"1e3"`, `"007"`, `".5"`, `"5."`, `""`, `"abc"`, `"184467440737095516.16"`, `"1.234"`, `" 1"`, `"1 "`, `"+1"`, `"0x10"`, `"NaN"`, `"Infinity"`, `"1_000"`, `5`, `null`, `true`, `{}`, `["1"]`, `"１"`,
}

// bad makes an object that we refuse, whatever the SDK does.
func (x transactions) bad() ilpCase {
	if x.IntN(2) == 0 {
		return ilpCase{secret: x.secret(), transaction: x.object(`{"currency":"USD","amount":`+pick(x.bodies, badAmounts)+`}`, x.expiration()), refused: "amount.amount"}
	}
	return ilpCase{secret: x.secret(), transaction: x.object(`{"currency":"ABC","amount":"1"}`, x.expiration()), refused: "amount.currency"}
}

// sdkILP is what the SDK makes of a transaction object, or of a packet.
type sdkILP struct {
	ilp.Prepared
	Error string
	// Of a packet.
	Amount, ExpiresAt    string
	Account, Transaction []byte
}

// ilpKey is a release with a version of ILP that it has.
type ilpKey struct {
	release mojaloop.Release
	version ilp.Version
}

var ilpKeys = []ilpKey{{mojaloop.New, ilp.V1}, {mojaloop.New, ilp.V4}, {mojaloop.Old, ilp.V1}}

func (k ilpKey) String() string { return fmt.Sprintf("%s v%s", k.release, k.version) }

func (k ilpKey) generate(t *testing.T, cases []ilpCase) []sdkILP {
	t.Helper()
	return call[ilpCase, sdkILP](t, k.release, "ilp.generate", cases, func(part []ilpCase) any {
		secrets, texts := make([][]byte, len(part)), make([][]byte, len(part))
		for i, c := range part {
			secrets[i], texts[i] = c.secret, c.transaction
		}
		return map[string]any{"version": k.version, "secrets": secrets, "transactions": texts}
	})
}

// prepare is what we make of a case.
func (k ilpKey) prepare(c ilpCase) (ilp.Prepared, ilp.Transaction, error) {
	secret, err := ilp.NewSecret(c.secret)
	if err != nil {
		return ilp.Prepared{}, ilp.Transaction{}, err
	}
	tx, err := ilp.ParseTransaction(c.transaction)
	if err != nil {
		return ilp.Prepared{}, tx, err
	}
	if k.release == mojaloop.Old {
		tx = tx.Ordered()
	}
	got, err := secret.Prepare(k.version, tx)
	return got, tx, err
}

// exactInOld tells whether the older release, which multiplies doubles, comes to
// the amount.
func exactInOld(tx ilp.Transaction) bool {
	amount, err := tx.Amount()
	if err != nil {
		return false
	}
	units, err := amount.Units()
	if err != nil {
		return false
	}
	value, err := strconv.ParseFloat(amount.Amount, 64)
	places, _ := ilp.Decimals(amount.Currency)
	return err == nil && units < 1<<53 && value*math.Pow10(places) == float64(units)
}

// TestILP: same packet, fulfilment and condition, and each reads the packets of
// the other, which are then the same.
func TestILP(t *testing.T) {
	t.Parallel()
	start := seed(t)
	for _, k := range ilpKeys {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			x := transactions{newBodies(start)}
			cases := make([]ilpCase, packetsEach)
			for i := range cases {
				cases[i] = x.next()
				if k.release == mojaloop.New && i%10 == 0 {
					cases[i] = x.conversion()
				}
			}
			compared := 0
			var good []ilpCase
			var made []ilp.Prepared
			for i, answer := range k.generate(t, cases) {
				c := cases[i]
				got, tx, err := k.prepare(c)
				if err != nil {
					t.Fatalf("%s: we refuse it: %v; the SDK says %q", c.transaction, err, answer.Error)
				}
				if k.release == mojaloop.Old && !exactInOld(tx) {
					continue
				}
				if answer.Error != "" {
					t.Fatalf("%s: the SDK refuses it: %s", c.transaction, answer.Error)
				}
				if diff := cmp.Diff(answer.Prepared, got); diff != "" {
					t.Fatalf("%s with secret %q (-SDK +ours):\n%s", c.transaction, c.secret, diff)
				}
				compared++
				good, made = append(good, c), append(made, got)
			}
			if compared < packetsEach*3/4 {
				t.Errorf("compared %d of %d", compared, packetsEach)
			}
			k.compareDecoders(t, good, made)
			t.Logf("%d packets compared and decoded", compared)
		})
	}
}

// compareDecoders has packets read by both.
func (k ilpKey) compareDecoders(t *testing.T, cases []ilpCase, made []ilp.Prepared) {
	t.Helper()
	for i, theirs := range k.decode(t, cases, made) {
		if theirs.Error != "" {
			t.Fatalf("%s: the SDK does not read the packet: %s", cases[i].transaction, theirs.Error)
		}
		k.compareDecoded(t, cases[i], made[i].Packet, theirs)
		if theirs.Fulfilment != made[i].Fulfilment {
			t.Fatalf("%s: the SDK recomputes fulfilment %q, want %q", cases[i].transaction, theirs.Fulfilment, made[i].Fulfilment)
		}
	}
}

func (k ilpKey) decode(t *testing.T, cases []ilpCase, made []ilp.Prepared) []sdkILP {
	t.Helper()
	type input struct{ secret, packet string }
	inputs := make([]input, len(cases))
	for i := range cases {
		inputs[i] = input{string(cases[i].secret), made[i].Packet}
	}
	return call[input, sdkILP](t, k.release, "ilp.decode", inputs, func(part []input) any {
		secrets, packets := make([][]byte, len(part)), make([]string, len(part))
		for i, c := range part {
			secrets[i], packets[i] = []byte(c.secret), c.packet
		}
		return map[string]any{"version": k.version, "secrets": secrets, "packets": packets}
	})
}

// compareDecoded compares what we read in a packet with what the SDK does.
func (k ilpKey) compareDecoded(t *testing.T, c ilpCase, packet string, theirs sdkILP) {
	t.Helper()
	p, err := ilp.Decode(packet)
	if err != nil {
		t.Fatalf("%s: we do not read the packet: %v", c.transaction, err)
	}
	tx, err := p.Transaction()
	if err != nil {
		t.Fatalf("%s: %v", c.transaction, err)
	}
	secret := must(ilp.NewSecret(c.secret))
	fulfilment, err := secret.Fulfil(packet)
	if err != nil {
		t.Fatalf("%s: %v", c.transaction, err)
	}
	got := sdkILP{
		Amount: strconv.FormatUint(p.Amount, 10), Account: asciiBytes(p.Account), Transaction: tx.Ordered().JSON(),
		Prepared: ilp.Prepared{Fulfilment: fulfilment},
	}
	if p.Version == ilp.V4 {
		got.ExpiresAt = p.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z")
		got.Condition = base64.RawURLEncoding.EncodeToString(p.Condition[:])
	}
	if diff := cmp.Diff(theirs, got); diff != "" || p.Version != k.version {
		t.Fatalf("%.300s, version %s (-SDK +ours):\n%s", packet, p.Version, diff)
	}
}

// asciiBytes is the text as Node's reader of packets has it, which drops the
// highest bit of every character.
func asciiBytes(text string) []byte {
	var out []byte
	for _, r := range text {
		out = append(out, byte(r)&0x7f)
	}
	return out
}

// TestILPRefused: what we refuse, with the field that is wrong.
func TestILPRefused(t *testing.T) {
	t.Parallel()
	x := transactions{newBodies(seed(t))}
	for _, k := range ilpKeys {
		cases := make([]ilpCase, 300)
		for i := range cases {
			cases[i] = x.bad()
		}
		theyRefuse := 0
		for i, answer := range k.generate(t, cases) {
			_, _, err := k.prepare(cases[i])
			var refused *ilp.Error
			if !errors.As(err, &refused) || !strings.HasPrefix(refused.Field, cases[i].refused) {
				t.Errorf("%s: got %v, want an error about %s", cases[i].transaction, err, cases[i].refused)
			}
			if answer.Error != "" {
				theyRefuse++
			}
		}
		t.Logf("%s: refuses %d of %d that we refuse", k, theyRefuse, len(cases))
	}
}

// TestILPTampered: a packet that was changed is refused, or is read as the SDK
// reads it.
func TestILPTampered(t *testing.T) {
	t.Parallel()
	x := transactions{newBodies(seed(t))}
	for _, k := range ilpKeys {
		var cases []ilpCase
		var changed []ilp.Prepared
		for range 1500 {
			c := x.next()
			made, _, err := k.prepare(c)
			if err != nil {
				t.Fatal(err)
			}
			raw := must(base64.RawURLEncoding.DecodeString(made.Packet))
			switch at := x.IntN(min(len(raw), 120)); x.IntN(4) {
			case 0:
				raw[at] ^= 1 << x.IntN(8)
			case 1:
				raw = slices.Delete(raw, at, at+1)
			case 2:
				raw = slices.Insert(raw, at, byte(x.IntN(256)))
			default:
				raw = raw[:at]
			}
			made.Packet = base64.RawURLEncoding.EncodeToString(raw)
			cases, changed = append(cases, c), append(changed, made)
		}
		read, refused := 0, 0
		for i, theirs := range k.decode(t, cases, changed) {
			p, err := ilp.Decode(changed[i].Packet)
			if err == nil {
				_, err = p.Transaction()
			}
			if err != nil || p.Version != k.version {
				refused++
				continue
			}
			read++
			if theirs.Error != "" {
				t.Errorf("%.300s: we read it, the SDK says %s", changed[i].Packet, theirs.Error)
				continue
			}
			if theirs.Fulfilment == "" { // the SDK does not like the object that is in there now
				theirs.Fulfilment = must(must(ilp.NewSecret(cases[i].secret)).Fulfil(changed[i].Packet))
			}
			k.compareDecoded(t, cases[i], changed[i].Packet, theirs)
		}
		if read < 20 || refused < 500 {
			t.Errorf("%s: got %d read and %d refused: the changes do not reach the rules", k, read, refused)
		}
	}
}

// TestFulfilments: both agree which fulfilments meet which conditions.
func TestFulfilments(t *testing.T) {
	t.Parallel()
	x := transactions{newBodies(seed(t))}
	type pair struct {
		Fulfilment string `json:"fulfilment"`
		Condition  string `json:"condition"`
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	pairs := make([]pair, 4000)
	for i := range pairs {
		made, _, err := ilpKeys[i%2].prepare(x.next())
		if err != nil {
			t.Fatal(err)
		}
		pairs[i] = pair{made.Fulfilment, made.Condition}
		text := &pairs[i].Fulfilment
		if x.IntN(2) == 0 {
			text = &pairs[i].Condition
		}
		at := x.IntN(len(*text))
		switch x.IntN(5) {
		case 0:
			*text = (*text)[:at] + string(alphabet[x.IntN(64)]) + (*text)[at+1:]
		case 1:
			*text = (*text)[:at]
		case 2:
			*text += string(alphabet[x.IntN(64)])
		}
	}
	valid, differ := 0, 0
	type answer struct {
		Valid bool
		Error string
	}
	for i, theirs := range call[pair, answer](t, mojaloop.New, "ilp.verify", pairs, func(part []pair) any { return map[string]any{"pairs": part} }) {
		err := ilp.Verify(pairs[i].Fulfilment, pairs[i].Condition)
		switch malformed := (*ilp.Error)(nil); {
		case err == nil && theirs.Valid:
			valid++
		case errors.Is(err, ilp.ErrMismatch) && !theirs.Valid:
			differ++
		case errors.As(err, &malformed):
			// Node's decoder passes over what is no base64url.
		default:
			t.Errorf("%+v: we say %v, the SDK %+v", pairs[i], err, theirs)
		}
	}
	if valid < 500 || differ < 500 {
		t.Errorf("got %d that fit and %d that do not", valid, differ)
	}
}

// TestTransfersAgainstPackets: what the SDK finds wrong between a transfer and
// its packet, we find too, and the other way round.
func TestTransfersAgainstPackets(t *testing.T) {
	t.Parallel()
	x := transactions{newBodies(seed(t))}
	for _, k := range ilpKeys {
		transfers := make([][]byte, 2000)
		for i := range transfers {
			transfers[i] = x.transfer(t, k)
		}
		type answer struct {
			Valid bool
			Error string
		}
		valid, differ := 0, 0
		for i, theirs := range call[[]byte, answer](t, k.release, "ilp.validate", transfers, func(part [][]byte) any {
			return map[string]any{"version": k.version, "transfers": part}
		}) {
			transfer, err := ilp.ParseTransfer(transfers[i])
			if err != nil {
				t.Fatalf("%s: %v", transfers[i], err)
			}
			p, err := ilp.Decode(transfer.Packet)
			if err == nil {
				err = p.Validate(transfer)
			}
			if (err == nil) != (theirs.Valid && theirs.Error == "") || err != nil && !errors.Is(err, ilp.ErrMismatch) {
				t.Fatalf("%s: we say %v, the SDK %+v", transfers[i], err, theirs)
			}
			if err == nil {
				valid++
			} else {
				differ++
			}
		}
		if valid < 300 || differ < 300 {
			t.Errorf("%s: got %d that fit and %d that do not", k, valid, differ)
		}
	}
}

// transfer makes the body of a transfer for a packet, mostly with one field
// changed.
func (x transactions) transfer(t *testing.T, k ilpKey) []byte {
	t.Helper()
	made, tx, err := k.prepare(x.next())
	if err != nil {
		t.Fatal(err)
	}
	payer, payee := must(tx.PayerFSP()), must(tx.PayeeFSP())
	amount := must(tx.Amount())
	switch x.IntN(8) {
	case 0:
		payer += "x"
	case 1:
		payee = strings.ToUpper(payee) + "2"
	case 2:
		amount.Amount = "1" + amount.Amount
	case 3:
		amount.Currency = "INR"
		amount.Amount, _, _ = strings.Cut(amount.Amount, ".")
	}
	body, err := json.Marshal(map[string]any{
		"transferId": "b51ec534-ee48-4575-b6a9-ead2955b8069", "payerFsp": payer, "payeeFsp": payee, "expiration": "2026-11-24T02:00:30.000Z",
		"amount": map[string]string{"currency": amount.Currency, "amount": amount.Amount}, "ilpPacket": made.Packet, "condition": made.Condition,
	})
	if err != nil {
		t.Fatal(err)
	}
	return must(ecmajson.Ordered(body))
}
