package ilp

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answer is what a payee answers to a quote, and the transfer that follows.
func answer(t testing.TB, v Version, text string) (Prepared, Packet) {
	t.Helper()
	prepared, err := mustSecret(t, "a secret of the payee").Prepare(v, mustTransaction(t, text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Decode(prepared.Packet)
	if err != nil {
		t.Fatal(err)
	}
	return prepared, p
}

func fspiop(p Prepared) string {
	return `{"transferId":"b51ec534-ee48-4575-b6a9-ead2955b8069","payerFsp":"perffsp-1","payeeFsp":"perffsp-2",
"amount":{"currency":"USD","amount":"100"},"ilpPacket":"` + p.Packet + `","condition":"` + p.Condition + `","expiration":"2030-01-31T12:00:30.000Z"}`
}

func TestValidate(t *testing.T) {
	t.Parallel()
	other := strings.Replace(plain, `"100"`, `"101"`, 1)
	for _, tt := range []struct {
		name     string
		old, new string // a change of the transfer
		want     []string
		v4       []string // where it differs from want
	}{
		{name: "as agreed"},
		{name: "payer", old: "perffsp-1", new: "perffsp-9", want: []string{`payerFsp: got "perffsp-9", want "perffsp-1"`}},
		{name: "payee", old: "perffsp-2", new: "perffsp-9", want: []string{`payeeFsp: got "perffsp-9", want "perffsp-2"`}},
		{name: "amount", old: `"100"`, new: `"100.01"`, want: []string{`amount.amount: got "100.01", want "100"`}},
		{
			name: "same value", old: `"100"`, new: `"100.00"`,
			want: []string{`amount.amount: got "100.00", want "100" (the same value, but the SDK compares the text)`},
		},
		{name: "currency", old: "USD", new: "EUR", want: []string{`amount.currency: got "EUR", want "USD"`}},
		{
			name: "two at once", old: `"currency":"USD","amount":"100"`, new: `"currency":"EUR","amount":"1"`,
			want: []string{`amount.currency: got "EUR", want "USD"`, `amount.amount: got "1", want "100"`},
		},
		{name: "later than the quote", old: "12:00:30", new: "13:00:00"},
	} {
		for _, version := range []Version{V1, V4} {
			t.Run(tt.name+"/v"+version.String(), func(t *testing.T) {
				t.Parallel()
				prepared, p := answer(t, version, plain)
				transfer, err := ParseTransfer([]byte(strings.Replace(fspiop(prepared), tt.old, tt.new, 1)))
				if err != nil {
					t.Fatal(err)
				}
				checkDifferences(t, p.Validate(transfer), tt.want)
			})
		}
	}
	t.Run("another packet", func(t *testing.T) {
		t.Parallel()
		mine, p := answer(t, V4, plain)
		theirs, _ := answer(t, V4, other)
		transfer, err := ParseTransfer([]byte(fspiop(theirs)))
		if err != nil {
			t.Fatal(err)
		}
		checkDifferences(t, p.Validate(transfer), []string{
			"ilpPacket: got \"" + clip(theirs.Packet) + "\", want \"" + clip(mine.Packet) + "\" (the transfer carries another packet)",
			`condition: got "` + theirs.Condition + `", want "` + mine.Condition + `"`,
		})
	})
}

func checkDifferences(t *testing.T, err error, want []string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("got %v, want no difference", err)
		}
		return
	}
	if !errors.Is(err, ErrMismatch) {
		t.Fatalf("got %v, want a mismatch", err)
	}
	found, _ := errors.AsType[Differences](err)
	var got []string
	for _, d := range found {
		got = append(got, d.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestValidatePacketAgainstItself changes what a packet says beside its data.
func TestValidatePacketAgainstItself(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		version Version
		tweak   func(*Packet)
		want    string
	}{
		{"amount", V1, func(p *Packet) { p.Amount++ }, `packet.amount: got "10001", want "10000"`},
		{"amount", V4, func(p *Packet) { p.Amount = 0 }, `packet.amount: got "0", want "10000"`},
		{"account", V1, func(p *Packet) { p.Account = "g.mallory" }, `packet.account: got "g.mallory", want "g.perffsp-2.msisdn.16135551212"`},
		{
			"expiry", V4, func(p *Packet) { p.ExpiresAt = p.ExpiresAt.AddDate(1, 0, 0) },
			`packet.expiresAt: got "2031-01-31T12:00:00.000Z", want "2030-01-31T12:00:00.000Z"`,
		},
		{"condition", V4, func(p *Packet) { p.Condition[0] ^= 1 }, "condition: got"},
	} {
		prepared, p := answer(t, tt.version, plain)
		tt.tweak(&p)
		transfer, err := ParseTransfer([]byte(fspiop(prepared)))
		if err != nil {
			t.Fatal(err)
		}
		transfer.Packet = ""
		if err := p.Validate(transfer); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of version %s: got %v, want %q", tt.name, tt.version, err, tt.want)
		}
	}
}

func TestValidateConversion(t *testing.T) {
	t.Parallel()
	for _, version := range []Version{V1, V4} {
		prepared, p := answer(t, version, conversion)
		body := `{"commitRequestId":"c1","determiningTransferId":"d1","initiatingFsp":"perffsp-1","counterPartyFsp":"PerfFXP",
"sourceAmount":{"currency":"USD","amount":"100.5"},"targetAmount":{"currency":"TZS","amount":"262305"},"condition":"` + prepared.Condition + `"}`
		for old, want := range map[string][]string{
			"":                             nil,
			"100.5":                        {`sourceAmount.amount: got "7", want "100.5"`},
			"262305":                       {`targetAmount.amount: got "7", want "262305"`},
			`{"initiatingFsp":"perffsp-1"`: nil, // not in the body: nothing changes
		} {
			text := body
			if old != "" {
				text = strings.Replace(body, old, "7", 1)
			}
			transfer, err := ParseTransfer([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			checkDifferences(t, p.Validate(transfer), want)
		}
		// A packet of a transfer is none of a conversion, and the other way round.
		_, other := answer(t, version, plain)
		transfer, err := ParseTransfer([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Validate(transfer); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "something else") {
			t.Errorf("got %v, want a mismatch", err)
		}
	}
}

func TestValidateISO20022(t *testing.T) {
	t.Parallel()
	prepared, p := answer(t, V4, plain)
	body := `{"GrpHdr":{"MsgId":"01","PmtInstrXpryDtTm":"2030-01-31T12:00:30.000Z"},"CdtTrfTxInf":{"PmtId":{"TxId":"b51ec534"},
"DbtrAgt":{"FinInstnId":{"Othr":{"Id":"perffsp-1"}}},"CdtrAgt":{"FinInstnId":{"Othr":{"Id":"perffsp-2"}}},
"IntrBkSttlmAmt":{"Ccy":"USD","ActiveCurrencyAndAmount":"100"},"VrfctnOfTerms":{"IlpV4PrepPacket":"` + prepared.Packet + `"}}}`
	for old, want := range map[string][]string{
		"nothing":   nil,
		"perffsp-1": {`CdtTrfTxInf.DbtrAgt.FinInstnId.Othr.Id: got "7", want "perffsp-1"`},
		"perffsp-2": {`CdtTrfTxInf.CdtrAgt.FinInstnId.Othr.Id: got "7", want "perffsp-2"`},
		`"100"`:     {`CdtTrfTxInf.IntrBkSttlmAmt.ActiveCurrencyAndAmount: got "7", want "100"`},
	} {
		replacement := "7"
		if strings.HasPrefix(old, `"`) {
			replacement = `"7"`
		}
		transfer, err := ParseTransfer([]byte(strings.Replace(body, old, replacement, 1)))
		if err != nil {
			t.Fatal(err)
		}
		checkDifferences(t, p.Validate(transfer), want)
	}
}

func TestParseTransferNamesTheField(t *testing.T) {
	t.Parallel()
	good := fspiop(Prepared{Packet: "AQ", Condition: someCondition})
	if _, err := ParseTransfer([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"payerFsp":"perffsp-1",`, "", "payerFsp: is missing"},
		{`"payeeFsp":"perffsp-2",`, `"payeeFsp":null,`, "payeeFsp: want a string, got null"},
		{`"100"`, `100`, "amount.amount: want a string"},
		{`"100"`, `"1.234"`, "amount.amount: \"1.234\" has 3 decimals"},
		{`"USD"`, `"US"`, "amount.currency: the SDK knows no currency"},
		{`"condition":"` + someCondition + `",`, "", "condition: is missing"},
		{someCondition, someCondition + "=", "condition: has 44 characters"},
		{someCondition, "++++" + someCondition[4:], "condition: is not the base64url of 32 bytes"},
		{`"ilpPacket":"AQ",`, "", "ilpPacket: is missing"},
		{"2030-01-31T12:00:30.000Z", "soon", `expiration: "soon" is no time`},
		{`{"transferId"`, `{"sourceAmount":{},"transferId"`, "initiatingFsp: is missing"},
		{good, "[]", "want a JSON object"},
	} {
		if _, err := ParseTransfer([]byte(strings.Replace(good, tt.old, tt.new, 1))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

const someCondition = "sl2Dc-u1pi3gw4-hjPIFSu2NQiOa8QQE-5vDHaddJXU"
