package ilp

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		amount, currency string
		want             uint64
	}{
		{"0", "USD", 0},
		{"0.01", "USD", 1},
		{"1", "USD", 100},
		{"1.1", "USD", 110}, // 110.00000000000001 in floating point
		{"4.35", "USD", 435},
		{"12.50", "USD", 1250},
		{"12.000000", "USD", 1200},
		{"0.0", "JPY", 0},
		{"100", "JPY", 100},
		{"0.001", "BHD", 1},
		{"1.0001", "CLF", 10001},
		{"184467440737095516.15", "USD", math.MaxUint64},
		{"999999999999999999", "UGX", 999999999999999999},
	} {
		if got, err := (Amount{tt.currency, tt.amount}).Units(); err != nil || got != tt.want {
			t.Errorf("%s %s: got %d, %v, want %d", tt.amount, tt.currency, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ amount, currency, field, want string }{
		{"1", "ABC", "currency", `knows no currency "ABC"`},
		{"1", "usd", "currency", "knows no currency"},
		{"1", "", "currency", "knows no currency"},
		{"", "USD", "amount", "is no amount"},
		{"-1", "USD", "amount", "is no amount"},
		{"+1", "USD", "amount", "is no amount"},
		{"1e3", "USD", "amount", "is no amount"},
		{"0x10", "USD", "amount", "is no amount"},
		{".5", "USD", "amount", "is no amount"},
		{"5.", "USD", "amount", "is no amount"},
		{"1.2.3", "USD", "amount", "is no amount"},
		{"1,5", "USD", "amount", "is no amount"},
		{" 1", "USD", "amount", "is no amount"},
		{"1 ", "USD", "amount", "is no amount"},
		{"١", "USD", "amount", "is no amount"},
		{"NaN", "USD", "amount", "is no amount"},
		{"007", "USD", "amount", "write 7"},
		{"00.5", "USD", "amount", "write 0.5"},
		{"1.234", "USD", "amount", `"1.234" has 3 decimals, USD has 2`},
		{"0.1", "JPY", "amount", "JPY has 0"},
		{"184467440737095516.16", "USD", "amount", "more than 64 bits"},
		{"1000000000000000000", "USD", "amount", "19 digits before the point"},
		{strings.Repeat("9", 100000), "USD", "amount", "100000 digits"},
	} {
		got, err := (Amount{tt.currency, tt.amount}).Units()
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Field != tt.field || !strings.Contains(e.Detail, tt.want) || len(e.Detail) > 300 {
			t.Errorf("%.40q %s: got %d, %.300v, want an error about %s with %q", tt.amount, tt.currency, got, err, tt.field, tt.want)
		}
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	if len(decimals) != 168 {
		t.Errorf("got %d currencies, the SDK has 168", len(decimals))
	}
	for code := range decimals {
		if len(code) != 3 || strings.ToUpper(code) != code {
			t.Errorf("%q is no currency code", code)
		}
	}
}
