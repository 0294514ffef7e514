package ilp

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// object is a transaction object to be tweaked.
func object(t testing.TB, tweak func(m map[string]any)) string {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(plain), &m); err != nil {
		t.Fatal(err)
	}
	tweak(m)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plain is a transaction object in which nothing is special.
const plain = `{"transactionId":"85feac2f-39b2-491b-817e-4a03203d4f14","quoteId":"7c23e80c-d078-4077-8263-2c047876fcf6",
"payee":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"16135551212","fspId":"perffsp-2"}},
"payer":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"27713803912","fspId":"perffsp-1"}},
"amount":{"currency":"USD","amount":"100"},"expiration":"2030-01-31T12:00:00.000Z"}`

const conversion = `{"conversionRequestId":"bee87b1d-3b0b-4ed0-9b5a-1d0c4b3f1b0e","conversionTerms":{"initiatingFsp":"perffsp-1",
"counterPartyFsp":"PerfFXP","sourceAmount":{"currency":"USD","amount":"100.5"},"targetAmount":{"currency":"TZS","amount":"262305"},
"expiration":"2030-01-31T12:00:00.000Z"}}`

func info(m map[string]any) map[string]any {
	return m["payee"].(map[string]any)["partyIdInfo"].(map[string]any)
}

func TestPrepareNamesTheField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		version Version
		tweak   func(map[string]any)
		want    string
	}{
		{"no amount", V1, func(m map[string]any) { delete(m, "amount") }, "amount.currency: is missing"},
		{"amount is text", V4, func(m map[string]any) { m["amount"] = "5 USD" }, "amount.currency: is missing"},
		{"amount is a number", V4, func(m map[string]any) { m["amount"].(map[string]any)["amount"] = 5 }, "amount.amount: want a string, got 5"},
		{"no payee", V1, func(m map[string]any) { delete(m, "payee") }, "payee.partyIdInfo.fspId: is missing"},
		{"fsp is null", V1, func(m map[string]any) { info(m)["fspId"] = nil }, "payee.partyIdInfo.fspId: want a string, got null"},
		{"no type", V1, func(m map[string]any) { delete(info(m), "partyIdType") }, "payee.partyIdInfo.partyIdType: is missing"},
		{"empty identifier", V1, func(m map[string]any) { info(m)["partyIdentifier"] = "" }, "payee.partyIdInfo.partyIdentifier: is empty"},
		{"sub id is a number", V1, func(m map[string]any) { info(m)["partySubIdOrType"] = 7 }, "payee.partyIdInfo.partySubIdOrType: want a string, got 7"},
		{"capital sigma", V1, func(m map[string]any) { info(m)["partyIdentifier"] = "ΟΔΟΣ" }, "payee.partyIdInfo.partyIdentifier: \"ΟΔΟΣ\" has a capital sigma"},
		{"long identifier", V1, func(m map[string]any) { info(m)["partyIdentifier"] = strings.Repeat("x", 1100) }, "payee.partyIdInfo: the ILP address has 1119 characters"},
		{"time is a number", V4, func(m map[string]any) { m["expiration"] = 1893499200000 }, "expiration: want a string"},
		{"time in words", V4, func(m map[string]any) { m["expiration"] = "tomorrow" }, `expiration: "tomorrow" is no time`},
		{"date only", V4, func(m map[string]any) { m["expiration"] = "2030-01-31" }, `expiration: "2030-01-31" is no time`},
		{"offset of 24 hours", V4, func(m map[string]any) { m["expiration"] = "2030-01-31T12:00:00+24:00" }, "is no time"},
		{"comma", V4, func(m map[string]any) { m["expiration"] = "2030-01-31T12:00:00,5Z" }, "is no time"},
		{"leap second", V4, func(m map[string]any) { m["expiration"] = "2030-01-31T12:00:60Z" }, "not in the calendar"},
		{"1970", V4, func(m map[string]any) { m["expiration"] = "1970-01-01T00:00:00Z" }, "out of range"},
		{"10000 in UTC", V4, func(m map[string]any) { m["expiration"] = "9999-12-31T23:59:59-01:00" }, "out of range"},
		{"too long", V1, func(m map[string]any) { m["note"] = strings.Repeat("x", MaxPacket) }, "ilpPacket: has "},
		{"no such version", Version(2), func(map[string]any) {}, "ilpVersion: there is no ILP version 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := mustSecret(t, "s").Prepare(tt.version, mustTransaction(t, object(t, tt.tweak)))
			if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestSurrogateInTheAccount(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{`\ud800`: false, "\ufffd": true, `\ud83d\ude00`: true} {
		tx := mustTransaction(t, strings.Replace(plain, "16135551212", text, 1))
		if account, err := tx.Account(); (err == nil) != ok {
			t.Errorf("%q: got %q, %v, want ok: %v", text, account, err, ok)
		}
	}
}

func TestParseTransactionRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", "null", `"x"`, "5", "true"} {
		if _, err := ParseTransaction([]byte(text)); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
	_, err := ParseTransaction([]byte("{\n  \"a\": ]"))
	if e, ok := errors.AsType[*ecmajson.SyntaxError](err); !ok || e.Line != 2 {
		t.Errorf("got %v, want a syntax error in line 2", err)
	}
}

func TestTransactionReads(t *testing.T) {
	t.Parallel()
	read := func(tx Transaction) map[string]string {
		got := map[string]string{"id": tx.ID()}
		for name, f := range map[string]func() (string, error){
			"payer": tx.PayerFSP, "payee": tx.PayeeFSP, "account": tx.Account,
			"amount":     func() (string, error) { a, err := tx.Amount(); return a.String(), err },
			"expiration": func() (string, error) { e, err := tx.Expiration(); return formatTime(e), err },
			"units":      func() (string, error) { n, err := tx.Units(); return formatUint(n), err },
		} {
			text, err := f()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got[name] = text
		}
		return got
	}
	for _, tt := range []struct {
		text string
		fx   bool
		want map[string]string
	}{
		{plain, false, map[string]string{
			"id": "85feac2f-39b2-491b-817e-4a03203d4f14", "payer": "perffsp-1", "payee": "perffsp-2", "amount": "100 USD",
			"account": "g.perffsp-2.msisdn.16135551212", "expiration": "2030-01-31T12:00:00.000Z", "units": "10000",
		}},
		{conversion, true, map[string]string{
			"id": "bee87b1d-3b0b-4ed0-9b5a-1d0c4b3f1b0e", "payer": "perffsp-1", "payee": "PerfFXP", "amount": "100.5 USD",
			"account": "g.perffxp.usd.tzs", "expiration": "2030-01-31T12:00:00.000Z", "units": "0",
		}},
	} {
		tx := mustTransaction(t, tt.text)
		if tx.IsFX() != tt.fx {
			t.Errorf("got IsFX %v, want %v", tx.IsFX(), tt.fx)
		}
		for name, got := range read(tx) {
			if got != tt.want[name] {
				t.Errorf("%s: got %q, want %q", name, got, tt.want[name])
			}
		}
	}
}
