package ilp

import (
	"errors"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	prepared, _ := answer(t, V1, plain)
	good, condition := prepared.Fulfilment, prepared.Condition
	other, _ := answer(t, V4, plain)
	for _, tt := range []struct {
		name, fulfilment, condition string
		field                       string // of an Error; "" with mismatch or none
		mismatch                    bool
	}{
		{name: "match", fulfilment: good, condition: condition},
		{name: "another", fulfilment: other.Fulfilment, condition: condition, mismatch: true},
		{name: "swapped", fulfilment: condition, condition: good, mismatch: true},
		{name: "empty fulfilment", condition: condition, field: "fulfilment"},
		{name: "empty condition", fulfilment: good, field: "condition"},
		{name: "short", fulfilment: good[:42], condition: condition, field: "fulfilment"},
		{name: "long", fulfilment: good + "A", condition: condition, field: "fulfilment"},
		{name: "padding", fulfilment: good + "=", condition: condition, field: "fulfilment"},
		{name: "line end", fulfilment: good[:42] + "\n", condition: condition, field: "fulfilment"},
		{name: "base64", fulfilment: "+" + good[1:], condition: condition, field: "fulfilment"},
		// 43 characters are 258 bits: the last two have to be 0.
		{name: "loose bits", fulfilment: strings.Repeat("A", 42) + "B", condition: condition, field: "fulfilment"},
		{name: "loose bits in the condition", fulfilment: good, condition: strings.Repeat("A", 42) + "B", field: "condition"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := Verify(tt.fulfilment, tt.condition)
			e, isError := errors.AsType[*Error](err)
			switch {
			case tt.field != "":
				if !isError || e.Field != tt.field || errors.Is(err, ErrMismatch) {
					t.Errorf("got %v, want an error about the %s", err, tt.field)
				}
			case errors.Is(err, ErrMismatch) != tt.mismatch || isError:
				t.Errorf("got %v, want a mismatch: %v", err, tt.mismatch)
			}
			if err != nil && tt.fulfilment != "" && strings.Contains(err.Error(), tt.fulfilment) {
				t.Error("the error repeats the fulfilment")
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Version{"1": V1, "4": V4} {
		if got, err := ParseVersion(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "v1", "01", "2", "4 "} {
		if got, err := ParseVersion(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// TestFulfilProvesTheSecret tells one's own packets from those of others.
func TestFulfilProvesTheSecret(t *testing.T) {
	t.Parallel()
	for _, version := range []Version{V1, V4} {
		prepared, _ := answer(t, version, plain)
		for secret, want := range map[string]bool{"a secret of the payee": true, "another": false} {
			fulfilment, err := mustSecret(t, secret).Fulfil(prepared.Packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := Verify(fulfilment, prepared.Condition) == nil; got != want {
				t.Errorf("version %s, %q: got %v, want %v", version, secret, got, want)
			}
		}
	}
}
