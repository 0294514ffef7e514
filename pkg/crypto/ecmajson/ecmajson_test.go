package ecmajson_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/ecmajson"
)

// Known answers of Node 20.20 and safe-stable-stringify 2.5.0.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, ordered, sorted string // sorted: "" means as ordered
	}{
		{"white space", " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n", `{"a":[1,2],"b":{}}`, ""},
		{"insertion order", `{"b":1,"a":{"d":2,"c":3}}`, `{"b":1,"a":{"d":2,"c":3}}`, `{"a":{"c":3,"d":2},"b":1}`},
		{"empty containers", `{"a":{},"b":[]}`, `{"a":{},"b":[]}`, ""},
		{"null", `null`, `null`, ""},
		{"true", ` true`, `true`, ""},
		{"false", `false `, `false`, ""},
		{"string", `"x"`, `"x"`, ""},
		{"empty string", `""`, `""`, ""},
		{"number", `7`, `7`, ""},
		{"empty name", `{"b":1,"":2}`, `{"b":1,"":2}`, `{"":2,"b":1}`},

		{"duplicate names", `{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`, ""},
		{"duplicates three times", `{"a":1,"b":2,"a":3,"b":4,"a":5,"c":6}`, `{"a":5,"b":4,"c":6}`, ""},
		{"duplicates written differently", `{"z":0,"a":1,"\u0061":2}`, `{"z":0,"a":2}`, `{"a":2,"z":0}`},
		{"duplicate surrogate pair", `{"😀":1,"\ud83d\ude00":2}`, `{"😀":2}`, ""},
		{"__proto__", `{"b":1,"__proto__":{"x":1},"a":3}`, `{"b":1,"__proto__":{"x":1},"a":3}`, `{"__proto__":{"x":1},"a":3,"b":1}`},
		{"__proto__ twice", `{"b":1,"__proto__":5,"__proto__":null}`, `{"b":1,"__proto__":null}`, `{"__proto__":null,"b":1}`},
		{"toJSON", `{"toJSON":1,"a":{"toJSON":{}}}`, `{"toJSON":1,"a":{"toJSON":{}}}`, `{"a":{"toJSON":{}},"toJSON":1}`},
		{"length", `{"length":2,"1":0,"0":1}`, `{"0":1,"1":0,"length":2}`, ""},

		{"indices first", `{"b":1,"10":2,"9":3,"1":4,"":5,"B":6}`, `{"1":4,"9":3,"10":2,"b":1,"":5,"B":6}`, `{"":5,"1":4,"10":2,"9":3,"B":6,"b":1}`},
		{"no indices", `{"b":1,"01":2,"-1":3,"1.5":4,"1e3":5,"00":6}`, `{"b":1,"01":2,"-1":3,"1.5":4,"1e3":5,"00":6}`, `{"-1":3,"00":6,"01":2,"1.5":4,"1e3":5,"b":1}`},
		{"largest index", `{"z":1,"4294967295":2,"4294967294":3,"4294967296":4,"9007199254740991":5,"2147483648":6}`, `{"2147483648":6,"4294967294":3,"z":1,"4294967295":2,"4294967296":4,"9007199254740991":5}`, `{"2147483648":6,"4294967294":3,"4294967295":2,"4294967296":4,"9007199254740991":5,"z":1}`},
		{"index written as an escape", `{"b":1,"\u0031":2}`, `{"1":2,"b":1}`, ""},
		{"duplicate index", `{"b":1,"1":2,"0":3,"1":4}`, `{"0":3,"1":4,"b":1}`, ""},

		{"code units", `{"\uffff":1,"\ud83d\ude00":2,"\ud800":3,"\udc00":4,"z":5}`, "{\"\uffff\":1,\"😀\":2,\"\\ud800\":3,\"\\udc00\":4,\"z\":5}", "{\"z\":5,\"\\ud800\":3,\"😀\":2,\"\\udc00\":4,\"\uffff\":1}"},
		{"half of a pair", `{"\ud83d\ude01":1,"\ud83dz":2,"\ud83d\ue000":3,"\ud83d":4}`, "{\"😁\":1,\"\\ud83dz\":2,\"\\ud83d\ue000\":3,\"\\ud83d\":4}", "{\"\\ud83d\":4,\"\\ud83dz\":2,\"😁\":1,\"\\ud83d\ue000\":3}"},
		{"escapes in names", `{"\n":1,"\"":2,"\\":3,"]":4,"[":5,"!":6,"#":7,"\u0000":8}`, `{"\n":1,"\"":2,"\\":3,"]":4,"[":5,"!":6,"#":7,"\u0000":8}`, `{"\u0000":8,"\n":1,"!":6,"\"":2,"#":7,"[":5,"\\":3,"]":4}`},
		{"prefix", `{"ab":1,"a":2,"a\n":3,"aé":4}`, `{"ab":1,"a":2,"a\n":3,"aé":4}`, `{"a":2,"a\n":3,"ab":1,"aé":4}`},

		{"control characters", `"\u0000\u0001\u0008\u0009\u000a\u000b\u000c\u000d\u001F\b\t\n\f\r"`, `"\u0000\u0001\b\t\n\u000b\f\r\u001f\b\t\n\f\r"`, ""},
		{"verbatim", "\"\\u007f\\u0080\\u2028\\u2029\x7f\u2028\\/\"", "\"\u007f\u0080\u2028\u2029\u007f\u2028/\"", ""},
		{"quote and backslash", `"\"\\\u0022\u005c"`, `"\"\\\"\\"`, ""},
		{"lone surrogates", `"\udc00\uD800x\ud83d\ude00\uDBFF"`, `"\udc00\ud800x😀\udbff"`, ""},
		{"two high surrogates", `"\ud83d\ud83d\ude00\ude00"`, `"\ud83d😀\ude00"`, ""},
		{"surrogates apart", `"\ud83d\u0041\ude00\ud83d\n\ude00"`, `"\ud83dA\ude00\ud83d\n\ude00"`, ""},
		{"after a rewrite", `"\/a\"b\u00e9c"`, `"/a\"béc"`, ""},

		{"numbers as they are", `[0,1,-1,10,100,1.5,-0.25,123456789012345,0.1]`, `[0,1,-1,10,100,1.5,-0.25,123456789012345,0.1]`, ""},
		{"zeros", `[-0,-0.0,0.0,0e5,-0E-5,1e-400]`, `[0,0,0,0,0,0]`, ""},
		{"trailing zeros", `[1.0,1.50,100.00,0.10]`, `[1,1.5,100,0.1]`, ""},
		{"exponents", `[1E5,1e+5,1e-5,12e-1,1e0]`, `[100000,100000,0.00001,1.2,1]`, ""},
		{"small", `[0.000001,0.0000001,1e-6,1e-7,0.000001234,0.00000123,5e-324,2e-324]`, `[0.000001,1e-7,0.000001,1e-7,0.000001234,0.00000123,5e-324,0]`, ""},
		{"large", `[1e20,1e21,123456789012345678901234567890,1.7976931348623157e308,123456.789e3]`, `[100000000000000000000,1e+21,1.2345678901234568e+29,1.7976931348623157e+308,123456789]`, ""},
		{"beyond a double", `[1e400,-1e400,1.7976931348623159e308]`, `[null,null,null]`, ""},
		{"lost digits", `[9007199254740993,1234567890.12345678901234,18446744073709551615]`, `[9007199254740992,1234567890.1234567,18446744073709552000]`, ""},

		{"bytes that are no UTF-8", "\"\xff\"", "\"\ufffd\"", ""},
		{"cut characters", "\"\xe2\x82\"", "\"\ufffd\"", ""},
		{"cut before ASCII", "\"\xf0\x9fA\"", "\"\ufffdA\"", ""},
		{"cut before a character", "\"\xf0\x9f\x98\xf0\x9f\x98\x80\"", "\"\ufffd😀\"", ""},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "\"\ufffd\ufffd\ufffd\"", ""},
		{"overlong", "\"\xc0\x80\xe0\x80\x80\"", "\"\ufffd\ufffd\ufffd\ufffd\ufffd\"", ""},
		{"beyond Unicode", "\"\xf4\x90\x80\x80\xf8\x88\x80\x80\x80\"", "\"" + strings.Repeat("\ufffd", 9) + "\"", ""},
		{"overlong, four bytes", "\"\xf0\x80\x80\x80\"", "\"" + strings.Repeat("\ufffd", 4) + "\"", ""},
		{"no first byte", "\"\xf5\x80\x80\x80\"", "\"" + strings.Repeat("\ufffd", 4) + "\"", ""},
		{"cut after three bytes", "\"\xf0\x90\x85\xf4\x8f\xbf\xed\x9f\"", "\"\ufffd\ufffd\ufffd\"", ""},
		{"U+FFFD itself", "\"\ufffd\"", "\"\ufffd\"", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.sorted == "" {
				tt.sorted = tt.ordered
			}
			got, err := ecmajson.Ordered([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.ordered {
				t.Errorf("Ordered: got %q, want %q", got, tt.ordered)
			}
			if got, err = ecmajson.Sorted([]byte(tt.text)); err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.sorted {
				t.Errorf("Sorted: got %q, want %q", got, tt.sorted)
			}
		})
	}
}

// What JSON.parse of Node 20 refuses.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       string
	}{
		{"empty", "", `line 1, column 1: unexpected end of text, want a value`},
		{"white space only", " \n ", `line 2, column 2: unexpected end of text, want a value`},
		{"byte order mark", "\ufeff{}", `line 1, column 1: unexpected '\ufeff', want a value`},
		{"no-break space", "\u00a0{}", `line 1, column 1: unexpected '\u00a0', want a value`},
		{"line separator", "\u2028{}", `line 1, column 1: unexpected '\u2028', want a value`},
		{"vertical tab", "\v{}", `line 1, column 1: unexpected '\v', want a value`},
		{"form feed", "{}\f", `line 1, column 3: unexpected '\f', want the end of the text`},
		{"comma at the end of an object", `{"a":1,}`, `line 1, column 8: unexpected '}', want a name in quotes`},
		{"comma at the end of an array", `[1,]`, `line 1, column 4: unexpected ']', want a value`},
		{"comma alone", `[,]`, `line 1, column 2: unexpected ',', want a value`},
		{"no comma", `[1 2]`, `line 1, column 4: unexpected '2', want "," or "]" after an element`},
		{"no comma in an object", `{"a":1 "b":2}`, `line 1, column 8: unexpected '"', want "," or "}" after a value`},
		{"leading zero", `01`, `line 1, column 2: unexpected '1', want no digit after a leading zero`},
		{"negative leading zero", `-01`, `line 1, column 3: unexpected '1', want no digit after a leading zero`},
		{"minus", `-`, `line 1, column 2: unexpected end of text, want a digit`},
		{"minus word", `-Infinity`, `line 1, column 2: unexpected 'I', want a digit`},
		{"plus", `+1`, `line 1, column 1: unexpected '+', want a value`},
		{"point at the end", `[1.]`, `line 1, column 4: unexpected ']', want a digit after the point`},
		{"point at the start", `.5`, `line 1, column 1: unexpected '.', want a value`},
		{"no exponent", `1e`, `line 1, column 3: unexpected end of text, want a digit of the exponent`},
		{"no exponent after the sign", `1e+`, `line 1, column 4: unexpected end of text, want a digit of the exponent`},
		{"fraction in the exponent", `1e5.5`, `line 1, column 4: unexpected '.', want the end of the text`},
		{"hexadecimal", `0x10`, `line 1, column 2: unexpected 'x', want the end of the text`},
		{"underscore", `1_000`, `line 1, column 2: unexpected '_', want the end of the text`},
		{"NaN", `NaN`, `line 1, column 1: unexpected 'N', want a value`},
		{"word", `tru`, `line 1, column 4: unexpected end of text, want "true"`},
		{"other word", `[nul]`, `line 1, column 5: unexpected ']', want "null"`},
		{"two values", `true false`, `line 1, column 6: unexpected 'f', want the end of the text`},
		{"single quotes", `'a'`, `line 1, column 1: unexpected '\'', want a value`},
		{"name without quotes", `{a:1}`, `line 1, column 2: unexpected 'a', want a name in quotes`},
		{"number as a name", `{1:2}`, `line 1, column 2: unexpected '1', want a name in quotes`},
		{"no colon", `{"a"}`, `line 1, column 5: unexpected '}', want ":" after a name`},
		{"no value", `{"a":}`, `line 1, column 6: unexpected '}', want a value`},
		{"comment", `/**/1`, `line 1, column 1: unexpected '/', want a value`},
		{"open array", `[1`, `line 1, column 3: unexpected end of text, want "," or "]" after an element`},
		{"open object", `{"a":1`, `line 1, column 7: unexpected end of text, want "," or "}" after a value`},
		{"open object after a comma", `{"a":1,`, `line 1, column 8: unexpected end of text, want a name in quotes`},
		{"open string", `"a`, `line 1, column 3: unexpected end of text, want a quote at the end of the string`},
		{"open escape", `"\`, `line 1, column 3: unexpected end of text, want an escape sequence`},
		{"tab in a string", "\"\t\"", `line 1, column 2: control character in a string, write it as an escape`},
		{"NUL in a string", "\"\x00\"", `line 1, column 2: control character in a string, write it as an escape`},
		{"unknown escape", `"\x41"`, `line 1, column 3: unexpected 'x', want an escape sequence`},
		{"short escape", `"\u12"`, `line 1, column 6: unexpected '"', want four hexadecimal digits`},
		{"open hexadecimal escape", `"\u12`, `line 1, column 6: unexpected end of text, want four hexadecimal digits`},
		{"wrong digit", `"\u00G0"`, `line 1, column 6: unexpected 'G', want four hexadecimal digits`},
		{"code point escape", `"\u{41}"`, `line 1, column 4: unexpected '{', want four hexadecimal digits`},
		{"short second half", `"\uD83D\u"`, `line 1, column 10: unexpected '"', want four hexadecimal digits`},
		{"NUL", "\x00", `line 1, column 1: unexpected '\x00', want a value`},
		{"NUL at the end", "1\x00", `line 1, column 2: unexpected '\x00', want the end of the text`},
		{"byte that is no UTF-8", "[\xff]", `line 1, column 2: unexpected byte 0xff, want a value`},
		{"column in characters", "[\n\"é😀\" x]", `line 2, column 6: unexpected 'x', want "," or "]" after an element`},
		{"bracket of the other kind", `[1}`, `line 1, column 3: unexpected '}', want "," or "]" after an element`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ecmajson.Parse([]byte(tt.text))
			if _, ok := errors.AsType[*ecmajson.SyntaxError](err); !ok {
				t.Fatalf("got error %v, want a SyntaxError", err)
			}
			if err.Error() != tt.want {
				t.Errorf("got %s, want %s", err, tt.want)
			}
			for name, write := range map[string]func([]byte) ([]byte, error){"Ordered": ecmajson.Ordered, "Sorted": ecmajson.Sorted} {
				if got, other := write([]byte(tt.text)); other == nil || other.Error() != tt.want {
					t.Errorf("%s: got %q, %v, want the error of Parse", name, got, other)
				}
			}
		})
	}
}

func nested(levels int) []byte {
	return []byte(strings.Repeat(`[{"a":`, levels/2) + "1" + strings.Repeat("}]", levels/2))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	deepest := nested(ecmajson.MaxDepth)
	if got, err := ecmajson.Sorted(deepest); err != nil || !bytes.Equal(got, deepest) {
		t.Errorf("%d levels: got %d bytes, %v, want the same text", ecmajson.MaxDepth, len(got), err)
	}
	if _, err := ecmajson.Sorted(nested(ecmajson.MaxDepth + 2)); !errors.Is(err, ecmajson.ErrTooDeep) {
		t.Errorf("%d levels: got error %v, want %v", ecmajson.MaxDepth+2, err, ecmajson.ErrTooDeep)
	}
	// Many levels one after the other are no depth.
	if _, err := ecmajson.Sorted([]byte("[" + strings.Repeat("[],", 2*ecmajson.MaxDepth) + "{}]")); err != nil {
		t.Errorf("flat text: %v", err)
	}

	long := bytes.Repeat([]byte{' '}, ecmajson.MaxLength)
	long[0] = '1'
	if got, err := ecmajson.Ordered(long); err != nil || string(got) != "1" {
		t.Errorf("%d bytes: got %q, %v, want 1", len(long), got, err)
	}
	if _, err := ecmajson.Ordered(append(long, ' ')); !errors.Is(err, ecmajson.ErrTooLong) {
		t.Errorf("%d bytes: got error %v, want %v", len(long)+1, err, ecmajson.ErrTooLong)
	}
}

// An object with many members must take time in proportion, however the names
// are chosen, and come out as a small one does.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	const n = 50_000
	var text, want bytes.Buffer
	text.WriteString(`{"same":0`)
	want.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&text, `,"same":%d,"%d":%d`, i, n-1-i, i)
		fmt.Fprintf(&want, `"%d":%d,`, i, n-1-i)
	}
	text.WriteString(`}`)
	fmt.Fprintf(&want, `"same":%d}`, n-1)
	got, err := ecmajson.Ordered(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("got %.80q…, want %.80q…", got, want.Bytes())
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"", `""`},
		{"perffsp-1", `"perffsp-1"`},
		{"/quotes/1?a=b&c=<d>", `"/quotes/1?a=b&c=<d>"`},
		{"\x00\b\t\n\v\f\r\x1f\x7f", "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\""},
		{`"\`, `"\"\\"`},
		{"é\u2028😀", "\"é\u2028😀\""},
		{"\xff\xe2\x82A\xf0\x9f\x98", "\"\ufffd\ufffdA\ufffd\""},
		{"\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
	} {
		if got := ecmajson.Quote(tt.text); string(got) != tt.want {
			t.Errorf("Quote(%q): got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	text := []byte(`{"s":"a\nb\ud800","n":1,"inf":1e999,"o":{"b":[],"1":{}},"e":"","z":-0,"t":true,"f":false,"nil":null}`)
	v, err := ecmajson.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := v.Sorted()
	clear(text) // the Value must not live on the text
	for range 3 {
		if _, err := ecmajson.Parse([]byte(`{"x":[1,2,3,"another text in the same memory"]}`)); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.Sorted(); !bytes.Equal(got, want) {
		t.Errorf("Sorted changed: got %q, want %q", got, want)
	}

	for _, tt := range []struct {
		name   string
		kind   ecmajson.Kind
		truthy bool
	}{
		{"s", ecmajson.String, true},
		{"e", ecmajson.String, false},
		{"n", ecmajson.Number, true},
		{"z", ecmajson.Number, false},
		{"inf", ecmajson.Number, true},
		{"o", ecmajson.Object, true},
		{"t", ecmajson.Bool, true},
		{"f", ecmajson.Bool, false},
		{"nil", ecmajson.Null, false},
	} {
		m, ok := v.Member(tt.name)
		if !ok || m.Kind() != tt.kind || m.Truthy() != tt.truthy {
			t.Errorf("%s: got %t, kind %d, truthy %t, want kind %d, truthy %t", tt.name, ok, m.Kind(), m.Truthy(), tt.kind, tt.truthy)
		}
	}
	s, _ := v.Member("s")
	if got, ok := s.Text(); !ok || got != "a\nb\ufffd" {
		t.Errorf("Text: got %q, %t", got, ok)
	}
	if got, ok := v.Text(); ok {
		t.Errorf("Text of an object: got %q", got)
	}
	o, _ := v.Member("o")
	if got := o.Names(); !slices.Equal(got, []string{"1", "b"}) {
		t.Errorf("Names: got %q", got)
	}
	if got := o.AppendOrdered([]byte("> ")); string(got) != `> {"1":{},"b":[]}` {
		t.Errorf("AppendOrdered of a part: got %q", got)
	}
	if _, ok := v.Member("none"); ok {
		t.Error("Member of a name that is not there")
	}
	if _, ok := s.Member("length"); ok {
		t.Error("Member of a string")
	}
	var zero ecmajson.Value
	if got := zero.Sorted(); string(got) != "null" || zero.Kind() != ecmajson.Null || zero.Truthy() || zero.Names() != nil {
		t.Errorf("zero Value: got %q", got)
	}
}

// A caller's memory is neither written, behind the end of the text included, nor
// kept for the next one.
func TestCallersMemory(t *testing.T) {
	const text, behind = `{"b":"\/","a":1.0}`, "behind the text there is more of the caller's"
	buffer := []byte(text + behind)
	for range 3 {
		if _, err := ecmajson.Sorted(buffer[:len(text)]); err != nil {
			t.Fatal(err)
		}
		if _, err := ecmajson.Parse([]byte(`{"x":[1.0,2.0,3.0,"\/"]}`)); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(buffer); got != text+behind {
		t.Errorf("the caller has %q now", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	v, err := ecmajson.Parse([]byte(quote))
	if err != nil {
		t.Fatal(err)
	}
	want := v.Sorted()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				if got := v.Sorted(); !bytes.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				if got, err := ecmajson.Sorted([]byte(quote)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
	group.Wait()
}
