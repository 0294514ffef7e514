package ilp

import (
	"strings"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// Transfer is what POST /transfers or POST /fxTransfers asks for, as far as its
// packet fixes it.
type Transfer struct {
	// FX tells that it is a conversion: then PayerFSP is the initiatingFsp,
	// PayeeFSP the counterPartyFsp, Amount the sourceAmount.
	FX                 bool
	ID                 string
	PayerFSP, PayeeFSP string
	Amount             Amount
	TargetAmount       Amount // of a conversion
	// Condition and Packet are as they came; an fxTransfer has no packet, an ISO
	// 20022 transfer no condition.
	Condition, Packet string
	// Expiration is that of the transfer, which may be after that of the packet.
	Expiration time.Time
	iso        bool
}

// ParseTransfer reads the body of POST /transfers or POST /fxTransfers in
// FSPIOP's form, or of POST /transfers in that of ISO 20022 (CdtTrfTxInf).
func ParseTransfer(text []byte) (Transfer, error) {
	v, err := parseObject(text)
	if err != nil {
		return Transfer{}, err
	}
	p := transferParser{value: v}
	var t Transfer
	switch {
	case p.has("CdtTrfTxInf"):
		t = Transfer{
			iso:      true,
			ID:       p.optional("CdtTrfTxInf.PmtId.TxId"),
			PayerFSP: p.text("CdtTrfTxInf.DbtrAgt.FinInstnId.Othr.Id"),
			PayeeFSP: p.text("CdtTrfTxInf.CdtrAgt.FinInstnId.Othr.Id"),
			Amount: Amount{
				Currency: p.text("CdtTrfTxInf.IntrBkSttlmAmt.Ccy"), Amount: p.text("CdtTrfTxInf.IntrBkSttlmAmt.ActiveCurrencyAndAmount"),
			},
			Packet:     p.text("CdtTrfTxInf.VrfctnOfTerms.IlpV4PrepPacket"),
			Expiration: p.time("GrpHdr.PmtInstrXpryDtTm"),
		}
	case p.has("sourceAmount"):
		t = Transfer{
			FX:           true,
			ID:           p.optional("commitRequestId"),
			PayerFSP:     p.text("initiatingFsp"),
			PayeeFSP:     p.text("counterPartyFsp"),
			Amount:       p.amount("sourceAmount"),
			TargetAmount: p.amount("targetAmount"),
			Condition:    p.condition("condition"),
			Expiration:   p.time("expiration"),
		}
	default:
		t = Transfer{
			ID:         p.optional("transferId"),
			PayerFSP:   p.text("payerFsp"),
			PayeeFSP:   p.text("payeeFsp"),
			Amount:     p.amount("amount"),
			Condition:  p.condition("condition"),
			Packet:     p.text("ilpPacket"),
			Expiration: p.time("expiration"),
		}
	}
	if p.err != nil {
		return Transfer{}, p.err
	}
	return t, nil
}

// transferParser reads fields by their path; the first error stays.
type transferParser struct {
	value ecmajson.Value
	err   error
}

func (p *transferParser) has(path string) bool {
	_, ok := at(p.value, strings.Split(path, ".")...)
	return ok
}

func (p *transferParser) text(path string) string {
	text, err := textAt(p.value, strings.Split(path, ".")...)
	if p.err == nil {
		p.err = err
	}
	return text
}

func (p *transferParser) optional(path string) string {
	if !p.has(path) {
		return ""
	}
	return p.text(path)
}

func (p *transferParser) condition(path string) string {
	condition := p.text(path)
	if _, err := decode32(path, condition); p.err == nil {
		p.err = err
	}
	return condition
}

func (p *transferParser) amount(path string) Amount {
	a := Amount{Currency: p.text(path + ".currency"), Amount: p.text(path + ".amount")}
	if _, err := a.Units(); p.err == nil {
		p.err = under(path, err)
	}
	return a
}

func (p *transferParser) time(path string) time.Time {
	text := p.optional(path)
	if text == "" {
		return time.Time{}
	}
	t, err := parseTime(path, text)
	if p.err == nil {
		p.err = err
	}
	return t
}

// fields are the paths of a transfer in the form it came in.
func (t *Transfer) fields() (payer, payee, amount, currency string) {
	switch {
	case t.iso:
		return "CdtTrfTxInf.DbtrAgt.FinInstnId.Othr.Id", "CdtTrfTxInf.CdtrAgt.FinInstnId.Othr.Id",
			"CdtTrfTxInf.IntrBkSttlmAmt.ActiveCurrencyAndAmount", "CdtTrfTxInf.IntrBkSttlmAmt.Ccy"
	case t.FX:
		return "initiatingFsp", "counterPartyFsp", "sourceAmount.amount", "sourceAmount.currency"
	}
	return "payerFsp", "payeeFsp", "amount.amount", "amount.currency"
}

// Validate compares a transfer with the packet, and the packet with the
// transaction object in it. It wants everything that
// validateIlpAgainstTransferRequest of the SDK wants, and that the two halves of
// the packet say the same. The error is [Differences], or an [Error] for a packet
// without a transaction object.
func (p *Packet) Validate(t Transfer) error {
	tx, err := p.Transaction()
	if err != nil {
		return err
	}
	c := comparison{}
	if t.Packet != "" {
		if own, err := p.Encode(); err != nil || own != t.Packet {
			c.differ("ilpPacket", clip(t.Packet), clip(own), "the transfer carries another packet")
		}
	}
	c.inside(p, tx)
	c.terms(&t, tx)
	if p.Version == V4 && t.Condition != "" {
		c.same("condition", t.Condition, encode32(p.Condition), nil)
	}
	if len(c.found) > 0 {
		return c.found
	}
	return nil
}

type comparison struct{ found Differences }

func (c *comparison) differ(field, got, want, note string) {
	c.found = append(c.found, Difference{Field: field, Got: got, Want: want, Note: note})
}

// same wants a value; err is why there is none to compare with.
func (c *comparison) same(field, got, want string, err error) {
	if err != nil {
		c.differ(field, got, "", "the packet: "+err.Error())
	} else if got != want {
		c.differ(field, got, want, "")
	}
}

// terms compares the transfer with the transaction object. The SDK compares the
// text of amounts, so 10 and 10.0 differ.
func (c *comparison) terms(t *Transfer, tx Transaction) {
	payer, payee, amount, currency := t.fields()
	if t.FX != tx.IsFX() {
		words := map[bool]string{true: "a conversion", false: "a transfer"}
		c.differ("(document)", words[t.FX], words[tx.IsFX()], "the packet is about something else")
		return
	}
	fsp, err := tx.PayerFSP()
	c.same(payer, t.PayerFSP, fsp, err)
	fsp, err = tx.PayeeFSP()
	c.same(payee, t.PayeeFSP, fsp, err)
	want, err := tx.Amount()
	c.amounts(amount, currency, t.Amount, want, err)
	if t.FX {
		want, err = tx.TargetAmount()
		c.amounts("targetAmount.amount", "targetAmount.currency", t.TargetAmount, want, err)
	}
}

func (c *comparison) amounts(amount, currency string, got, want Amount, err error) {
	if err != nil {
		c.same(amount, got.Amount, "", err)
		return
	}
	c.same(currency, got.Currency, want.Currency, nil)
	if got.Amount == want.Amount {
		return
	}
	note := ""
	a, errGot := got.Units()
	b, errWant := want.Units()
	if errGot == nil && errWant == nil && a == b && got.Currency == want.Currency {
		note = "the same value, but the SDK compares the text"
	}
	c.differ(amount, got.Amount, want.Amount, note)
}

// inside compares the packet with the transaction object that it carries.
func (c *comparison) inside(p *Packet, tx Transaction) {
	units, err := tx.Units()
	c.same("packet.amount", formatUint(p.Amount), formatUint(units), err)
	if p.Version == V1 {
		account, err := tx.Account()
		c.same("packet.account", p.Account, account, err)
		return
	}
	at, err := tx.Expiration()
	c.same("packet.expiresAt", formatTime(p.ExpiresAt), formatTime(at), err)
}

// Consistent compares the packet with the transaction object that it carries:
// amount, account and expiry. The error is like that of [Packet.Validate].
func (p *Packet) Consistent() error {
	tx, err := p.Transaction()
	if err != nil {
		return err
	}
	c := comparison{}
	c.inside(p, tx)
	if len(c.found) > 0 {
		return c.found
	}
	return nil
}
