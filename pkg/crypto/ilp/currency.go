package ilp

import (
	"strconv"
	"strings"
)

// MaxAmountDigits is the most digits that FSPIOP allows before the decimal
// point.
const MaxAmountDigits = 18

// decimals is the number of decimals of each currency that the SDK knows
// (currency.json of sdk-standard-components 19.19.1), which are those of ISO
// 4217. Only XXX and XTS, the codes for none and for testing, are the SDK's own;
// they had 0 up to 17.4.0.
var decimals = func() map[string]int {
	table := map[string]int{}
	for places, codes := range [...]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
		2: `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
		CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF
		IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
		MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD SSP STN SVC
		SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VES WST XCD YER ZAR ZMW ZWL`,
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW XTS XXX",
	} {
		for code := range strings.FieldsSeq(codes) {
			table[code] = places
		}
	}
	return table
}()

// Decimals is how many decimals a currency has; false for a code that the SDK
// does not know, and so cannot make a packet of.
func Decimals(currency string) (int, bool) {
	n, ok := decimals[currency]
	return n, ok
}

// Amount is a sum of money as FSPIOP writes it.
type Amount struct {
	Currency string `json:"currency"` // ISO 4217
	Amount   string `json:"amount"`   // decimal, such as "12.5"
}

// String is "12.5 USD".
func (a Amount) String() string { return a.Amount + " " + a.Currency }

// Units is the amount in the smallest unit of its currency, as packets have it:
// value × 10^decimals, exactly. Zeros at the end do not count as decimals.
// Fields of errors are "amount" and "currency".
func (a Amount) Units() (uint64, error) {
	places, ok := Decimals(a.Currency)
	if !ok {
		return 0, fail("currency", "the SDK knows no currency %q", clip(a.Currency))
	}
	whole, fraction, hasPoint := strings.Cut(a.Amount, ".")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) {
		return 0, fail("amount", "%q is no amount; want digits, with a point before decimals, such as 12.5", clip(a.Amount))
	}
	if len(whole) > 1 && whole[0] == '0' {
		return 0, fail("amount", "%q begins with a zero; write %s", clip(a.Amount), clip(withoutZeros(a.Amount)))
	}
	fraction = strings.TrimRight(fraction, "0")
	switch {
	case len(fraction) > places:
		return 0, fail("amount", "%q has %d decimals, %s has %d", clip(a.Amount), len(fraction), a.Currency, places)
	case len(whole) > MaxAmountDigits:
		return 0, fail("amount", "%q has %d digits before the point, FSPIOP allows %d", clip(a.Amount), len(whole), MaxAmountDigits)
	}
	units, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
	if err != nil {
		return 0, fail("amount", "%q %s is more than 64 bits can count in units of 10^-%d", a.Amount, a.Currency, places)
	}
	return units, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func withoutZeros(amount string) string {
	amount = strings.TrimLeft(amount, "0")
	if amount == "" || amount[0] == '.' {
		return "0" + amount
	}
	return amount
}

// maxQuoted is how much of a value an error repeats.
const maxQuoted = 64

// clip shortens a value for a message.
func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
