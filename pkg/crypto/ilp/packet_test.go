package ilp

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	// Written by hand from the specification, not by Encode.
	payment := "01" + "13" + "0000000000000064" + "05" + hex.EncodeToString([]byte("g.a.b")) + "03" + hex.EncodeToString([]byte("e30")) + "00"
	condition := strings.Repeat("ab", 32)
	prepare := "0c" + "48" + "00000000000003e8" + hex.EncodeToString([]byte("20300131120000123")) + condition +
		"0a" + hex.EncodeToString([]byte(Destination)) + "03" + hex.EncodeToString([]byte("e30"))
	want := []Packet{
		{Version: V1, Amount: 100, Account: "g.a.b", Data: []byte("e30")},
		{
			Version: V4, Amount: 1000, Account: Destination, Data: []byte("e30"),
			ExpiresAt: time.Date(2030, 1, 31, 12, 0, 0, 123e6, time.UTC), Condition: [32]byte(slices.Repeat([]byte{0xab}, 32)),
		},
	}
	for i, hexes := range []string{payment, prepare} {
		text := base64.RawURLEncoding.EncodeToString(fromHex(t, hexes))
		got, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if again, err := got.Encode(); err != nil || again != text {
			t.Errorf("got %q (%v), want %q", again, err, text)
		}
	}
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// content puts a type and a length around the content of a packet.
func content(kind byte, body ...[]byte) string {
	joined := slices.Concat(body...)
	return base64.RawURLEncoding.EncodeToString(slices.Concat([]byte{kind}, appendLength(nil, len(joined)), joined))
}

// octets is a string of bytes with its length.
func octets(s string) []byte { return append(appendLength(nil, len(s)), s...) }

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	amount := binary.BigEndian.AppendUint64(nil, 1)
	account, data, none, zero := octets("g.a.b"), octets("e30"), octets(""), []byte{0}
	at, condition := []byte("20300131120000000"), make([]byte, 32)
	good := content(1, amount, account, data, zero)
	goodV4 := content(12, amount, at, condition, octets(Destination), data)
	for _, packet := range []string{good, goodV4} {
		if _, err := Decode(packet); err != nil {
			t.Fatalf("a good packet is refused: %v", err)
		}
	}
	withBytes := func(b ...byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	for _, tt := range []struct{ name, packet, want string }{
		{"empty", "", "is empty"},
		{"padding", good + "=", "padding"},
		{"base64", strings.Replace(good, "A", "+", 1), "base64, not base64url"},
		{"slash", strings.Replace(good, "A", "/", 1), "base64, not base64url"},
		{"white space", good[:8] + " " + good[8:], "white space at character 9"},
		{"line end", good + "\n", "white space at character"},
		{"other character", good[:8] + "é" + good[8:], "character 9 is not of base64url"},
		{"one character missing", goodV4[:len(goodV4)-1], "last character"},
		{"too long", strings.Repeat("A", MaxPacket+1), "FSPIOP allows 32768"},
		{"only a type", withBytes(1), "is cut off"},
		{"unknown type", withBytes(99, 0), "unknown type 99"},
		{"fulfil", withBytes(13, 0), "ILP fulfil (type 13)"},
		{"reject", withBytes(14, 0), "ILP reject (type 14)"},
		{"cut off", good[:len(good)-4], "is cut off"},
		{"something behind", base64.RawURLEncoding.EncodeToString(append(decoded(t, good), 0)), "1 bytes too many after the packet"},
		{"something behind the payment", content(1, amount, account, data, zero, zero), "1 bytes too many after the payment"},
		{"something behind the prepare", content(12, amount, at, condition, octets(Destination), data, zero), "1 bytes too many after the prepare"},
		{"no extensions byte", content(1, amount, account, data), "extensions"},
		{"extensions", content(1, amount, account, data, []byte{1}), "byte for extensions is 1"},
		{"no amount", content(1, amount[:7]), "the amount needs 8 bytes, 7 are left"},
		{"no account", content(1, amount, none, data, zero), "the account has 0 characters"},
		{"long account", content(1, amount, octets("g."+strings.Repeat("a", 1022)), data, zero), "the account has 1024 characters"},
		{"length in two bytes that fits one", content(1, amount, []byte("\x81\x05g.a.b"), data, zero), "as short as it can be"},
		{"length in three bytes that fits two", content(1, amount, []byte("\x82\x00\x80"), []byte(strings.Repeat("a", 128)), data, zero), "as short as it can be"},
		{"length of length 0", content(1, amount, []byte("\x80g.a.b"), data, zero), "takes 0 bytes"},
		{"length of 2^56", content(1, amount, []byte("\x88\xff\xff\xff\xff\xff\xff\xff\xff"), data, zero), "takes 8 bytes"},
		{"length beyond the end", content(1, amount, []byte("\x83\xff\xff\xff"), data, zero), "16777215"},
		{"destination that is no address", content(12, amount, at, condition, octets("g.mojaloop!"), data), "no ILP address"},
		{"empty destination", content(12, amount, at, condition, none, data), "no ILP address"},
		{"destination beyond ASCII", content(12, amount, at, condition, octets("g.\xe9"), data), "no ILP address"},
		{"month 13", content(12, amount, []byte("20301331120000000"), condition, octets(Destination), data), "the expiry"},
		{"30 February", content(12, amount, []byte("20300230120000000"), condition, octets(Destination), data), "the expiry"},
		{"expiry with a sign", content(12, amount, []byte("+0300131120000000"), condition, octets(Destination), data), "the expiry"},
		{"expiry before 1970", content(12, amount, []byte("19691231235959999"), condition, octets(Destination), data), "out of range"},
		{"short condition", content(12, amount, at, condition[:31]), "the condition needs 32 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Decode(tt.packet)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Field != "ilpPacket" || !strings.Contains(e.Detail, tt.want) {
				t.Errorf("got %+v, %v, want an error with %q", got, err, tt.want)
			}
			if errors.Is(err, ErrMismatch) {
				t.Error("what cannot be read is taken for a mismatch")
			}
		})
	}
}

func decoded(t testing.TB, packet string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(packet)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		p    Packet
		want string
	}{
		{"no version", Packet{Account: "g.a"}, "no ILP version 0"},
		{"no account", Packet{Version: V1}, "0 characters"},
		{"account beyond Latin-1", Packet{Version: V1, Account: "g.Ω"}, "above U+00FF"},
		{"no address", Packet{Version: V4, Account: "x", ExpiresAt: at}, "no ILP address"},
		{"no expiry", Packet{Version: V4, Account: Destination}, "out of range"},
		{"late expiry", Packet{Version: V4, Account: Destination, ExpiresAt: at.AddDate(8000, 0, 0)}, "out of range"},
		{"too much data", Packet{Version: V1, Account: "g.a", Data: make([]byte, MaxPacket)}, "FSPIOP allows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := tt.p.Encode(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
}

func TestTransactionOfOtherData(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"nothing": "", "no base64url": "PSK/1.0", "no JSON": "UFNL", "no object": "W10", "line end": "e\n30", "loose end": "e31",
	} {
		p := Packet{Version: V1, Account: "g.a", Data: []byte(data)}
		if tx, err := p.Transaction(); err == nil {
			t.Errorf("%s: got %s, want an error", name, tx.JSON())
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range sdkCases(f) {
		if len(c.Packet) < 4096 {
			f.Add(c.Packet)
		}
	}
	f.Add(content(1, make([]byte, 8), octets("g.\xe9"), octets(""), []byte{0}))
	f.Fuzz(func(t *testing.T, packet string) {
		p, err := Decode(packet)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Field == "" || e.Detail == "" {
				t.Fatalf("got %v, want an Error that says why", err)
			}
			return
		}
		if again, err := p.Encode(); err != nil || again != packet {
			t.Fatalf("got %q (%v), want %q", again, err, packet)
		}
		tx, err := p.Transaction()
		if err != nil {
			return
		}
		// None of these may fail in any other way than by an error.
		_ = p.Validate(Transfer{})
		_, _ = tx.Units()
		if _, err := tx.Account(); err != nil && strings.Contains(err.Error(), "\x00") {
			t.Fatal("an error holds a control character")
		}
	})
}
