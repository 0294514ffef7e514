package interop_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// bodies makes JSON texts that are hard to write the same way twice.
type bodies struct{ *rand.Rand }

// newBodies always makes the same texts for a seed.
func newBodies(seed uint64) bodies { return bodies{rand.New(rand.NewPCG(seed, 0x6d6f6a61))} }

func pick[T any](b bodies, from []T) T { return from[b.IntN(len(from))] }

var (
	// hardNames sort or collide in ways of their own.
	hardNames = []string{
		`""`, `"a"`, `"b"`, `"B"`, `"\u0061"`, `"aa"`, `"a\u0000"`, `"a\n"`, `"a\""`, `"a!"`, `"a]"`, `"a\\"`, `"é"`, `"\u00e9"`, `"e\u0301"`,
		`"0"`, `"1"`, `"2"`, `"9"`, `"10"`, `"01"`, `"-0"`, `"-1"`, `"1.5"`, `"1e3"`, `"\u0031"`, `"4294967293"`, `"4294967294"`, `"4294967295"`,
		`"4294967296"`, `"9007199254740991"`, `"9007199254740992"`, `"18446744073709551616"`, `"99999999999"`, `"2147483648"`,
		`"__proto__"`, `"\u005f_proto__"`, `"constructor"`, `"prototype"`, `"toJSON"`, `"toString"`, `"hasOwnProperty"`, `"length"`, `"valueOf"`, `"then"`,
		`"😀"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\uD83Dz"`, `"\ud83d\ue000"`, "\"\ue000\"", "\"\uffff\"", "\"\ufffd\"", "\"\ufeff\"", "\"\u2028\"", "\"\x7f\"", "\"\xff\"",
		`"\/"`, `"/"`, `"\u002f"`, `"amount"`, `"currency"`, `"transferId"`, `"extensionList"`,
	}
	hardStrings = []string{
		`""`, `" "`, `"\u0000"`, `"\u001f"`, `"\u001F\u0008\u000C"`, `"\b\f\n\r\t\"\\\/"`, `"\u007f\u0080\u009f"`, "\"\u2028\u2029\x7f\"", `"\u2028"`, `"<script>&amp;</script>"`,
		`"\ud800"`, `"\udfff"`, `"\ud800\ud800\udc00\udc00"`, `"\ud83d\u0041\ude00"`, `"\uD83D\uDE00"`, `"\udbff\udfff"`, `"\ud83d\n\ude00"`, `"\ud83d\\ude00"`,
		"\"\xff\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\xe2\x82\xac\"", "\"\xc3\\n\"", "\"\xf0\x9f\\u0041\"",
		"\"\xf0\x80\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xf0\x90\x85\xf4\x8f\xbf\xed\x9f\"", "\"\xe0\xa0\xe0\x80\xef\xbf\"",
		"\"\ufeff\"", "\"a\u0300á\u202e\"", `"100"`, `"100.00"`, `"1e21"`, `"true"`, `"null"`, `"{\"a\":1}"`, `"2026-11-24T10:00:00.000Z"`, `"مرحبا"`, `"日本語"`, "\"\U0010ffff\U000e0001\"",
	}
	hardNumbers = []string{
		"0", "-0", "-0.0", "0.0", "0e0", "-0e-5", "1.0", "1.10", "1e0", "1E5", "1e+5", "100", "1e2", "1e20", "1e21", "1e22", "123456789012345678901", "999999999999999999999",
		"0.1", "0.000001", "0.0000001", "1e-6", "1e-7", "0.00000123", "1.5e-10", "5e-324", "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072014e-308",
		"1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e308", "1e309", "-1e309", "1e99999999999999999999", "1e-99999999999999999999",
		"9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551615", "18446744073709551616", "123456789012345", "1234567890123456", "0.1234567890123456789",
		"123456789.12345678", "4.35", "0.1e1", "10e-1", "1000000000000000128", "1000000000000000129", "4503599627370496.5", "0.30000000000000004", "2.5", "1e23", "9.5e-7", "-1.5E-9",
	}
	spaces = []string{"", "", "", "", " ", "\n", "\t", "\r\n  "}
)

// Text makes one JSON text that JSON.parse reads.
func (b bodies) Text() []byte {
	var out bytes.Buffer
	out.WriteString(pick(b, spaces))
	switch b.IntN(40) {
	case 0: // deep, but not beyond what both read
		levels := 1 + b.IntN(1000)
		b.nest(&out, levels)
	case 1: // many members
		b.object(&out, 0, 150+b.IntN(120))
	case 2: // a scalar
		b.value(&out, 99)
	default:
		b.object(&out, 0, b.IntN(12))
	}
	out.WriteString(pick(b, spaces))
	return out.Bytes()
}

// Object makes a JSON text that is an object without a name __proto__: a body
// that Mojaloop's servers take.
func (b bodies) Object() []byte {
	for {
		var out bytes.Buffer
		b.object(&out, 0, 1+b.IntN(12))
		if !bytes.Contains(out.Bytes(), []byte(`_proto__`)) {
			return out.Bytes()
		}
	}
}

// Broken makes a text of which JSON.parse may read some and refuse most.
func (b bodies) Broken() []byte {
	text := b.Text()
	for range 1 + b.IntN(3) {
		if len(text) == 0 {
			break
		}
		i := b.IntN(len(text))
		switch b.IntN(5) {
		case 0:
			text = append(text[:i:i], text[i+1:]...)
		case 1:
			text = text[:i]
		case 2:
			text[i] = byte(b.IntN(256))
		default:
			odd := pick(b, []string{
				",", ":", "[", "]", "{", "}", `"`, `\`, "\x00", "\n", "\x0b", "\u00a0", "\ufeff", "\u2028", "0", "-", "+", ".", "e", "E5", "x", "/", "//", "'", "nul", "NaN", "Infinity",
				`\u`, `\u12`, `\x`, `\ud83d`, "\xff", "\xf0\x9f", "\x7f", "\x1f", "true", `"a":`, ",,", "01", "1.", ".5", "1e", "#",
			})
			text = append(text[:i:i], append([]byte(odd), text[i:]...)...)
		}
	}
	return text
}

func (b bodies) nest(out *bytes.Buffer, levels int) {
	var closing []byte
	for range levels {
		if b.IntN(2) == 0 {
			out.WriteByte('[')
			closing = append(closing, ']')
		} else {
			out.WriteString(`{` + pick(b, hardNames) + `:`)
			closing = append(closing, '}')
		}
	}
	b.scalar(out)
	for _, c := range slices.Backward(closing) {
		out.WriteByte(c)
	}
}

func (b bodies) object(out *bytes.Buffer, depth, members int) {
	out.WriteByte('{')
	for i := range members {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(pick(b, spaces))
		switch b.IntN(4) {
		case 0:
			fmt.Fprintf(out, `"%d"`, b.IntN(300))
		case 1:
			b.string(out)
		default:
			out.WriteString(pick(b, hardNames))
		}
		out.WriteString(pick(b, spaces) + ":" + pick(b, spaces))
		b.value(out, depth+1)
		out.WriteString(pick(b, spaces))
	}
	out.WriteByte('}')
}

func (b bodies) value(out *bytes.Buffer, depth int) {
	switch kind := b.IntN(8); {
	case kind == 0 && depth < 6:
		b.object(out, depth, b.IntN(6))
	case kind == 1 && depth < 6:
		out.WriteByte('[')
		for i := range b.IntN(6) {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(pick(b, spaces))
			b.value(out, depth+1)
			out.WriteString(pick(b, spaces))
		}
		out.WriteByte(']')
	default:
		b.scalar(out)
	}
}

func (b bodies) scalar(out *bytes.Buffer) {
	switch b.IntN(7) {
	case 0:
		out.WriteString(pick(b, []string{"true", "false", "null"}))
	case 1:
		out.WriteString(pick(b, hardNumbers))
	case 2:
		b.number(out)
	case 3:
		b.string(out)
	default:
		out.WriteString(pick(b, hardStrings))
	}
}

// number writes any double, or a decimal that lies between two.
func (b bodies) number(out *bytes.Buffer) {
	f := math.Float64frombits(b.Uint64())
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = b.Float64()
	}
	switch b.IntN(6) {
	case 0:
		out.WriteString(strconv.FormatFloat(f, 'e', b.IntN(25), 64))
	case 1:
		out.WriteString(strconv.FormatFloat(f, 'e', -1, 64))
	case 2:
		fmt.Fprintf(out, "%d.%0*d", b.Int64N(1_000_000_000), 1+b.IntN(12), b.IntN(1000))
	case 3:
		fmt.Fprintf(out, "%d%de%d", 1+b.IntN(9), b.Uint64(), b.IntN(40)-30)
	case 4:
		fmt.Fprintf(out, "-0.%s%d", strings.Repeat("0", b.IntN(12)), b.Uint32())
	default:
		fmt.Fprint(out, int64(b.Uint64())>>b.IntN(64))
	}
}

// string writes a string of characters, escapes and bytes of all sorts.
func (b bodies) string(out *bytes.Buffer) {
	out.WriteByte('"')
	for range b.IntN(10) {
		switch b.IntN(8) {
		case 0:
			fmt.Fprintf(out, `\u%04x`, b.IntN(0x10000))
		case 1:
			fmt.Fprintf(out, `\u%04X`, 0xd800+b.IntN(0x800))
		case 2:
			out.WriteRune(rune(0x80 + b.IntN(0x10ff7f)))
		case 3:
			out.WriteString(pick(b, []string{`\b`, `\f`, `\n`, `\r`, `\t`, `\"`, `\\`, `\/`}))
		case 4:
			out.WriteByte(byte(0x80 + b.IntN(0x80)))
		default:
			c := byte(' ' + b.IntN(0x5f))
			if c == '"' || c == '\\' {
				c = 'x'
			}
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
}
