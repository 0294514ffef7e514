package ecmajson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Quote is a string as JSON.stringify writes it, quotes included. Bytes that are
// not UTF-8 become U+FFFD.
func Quote(s string) []byte {
	return appendQuoted(make([]byte, 0, len(s)+len(`""`)), s)
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && plainByte[s[i]] {
			i++
		}
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			break
		}
		if s[i] < utf8.RuneSelf {
			dst = appendUnit(dst, rune(s[i]))
			i++
			continue
		}
		size := 0
		dst, size = appendRune(dst, s[i:])
		i += size
	}
	return append(dst, '"')
}

// plainByte holds the ASCII characters that stand for themselves in a string.
var plainByte = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// str reads the string that begins at i. The node spans its canonical text;
// plain tells that this has neither escapes nor bytes beyond ASCII.
func (p *parser) str(i int) (n node, next int, plain bool, err error) {
	start := i
	src := p.src
	for i++; i < len(src) && plainByte[src[i]]; i++ { //nolint:revive // the body is the condition
	}
	if i < len(src) && src[i] == '"' {
		i++
		return node{kind: kindString, from: u32(start), to: u32(i)}, i, true, nil
	}
	return p.longString(start, i)
}

// longString goes on at i, where str found something other than plain ASCII. As
// long as the text is canonical it spans the source; a copy begins with the
// first difference.
func (p *parser) longString(start, i int) (node, int, bool, error) {
	src := p.src
	from, copied := start, start // copied: the source before it is in the copy
	rewriting := false
	for i < len(src) {
		c := src[i]
		switch {
		case plainByte[c]:
			i++
		case c == '"':
			i++
			if !rewriting {
				return node{kind: kindString, from: u32(start), to: u32(i)}, i, false, nil
			}
			p.text = append(p.text, src[copied:i]...)
			return node{kind: kindString, from: u32(from), to: u32(len(p.text))}, i, false, nil
		case c >= utf8.RuneSelf:
			if r, size := utf8.DecodeRune(src[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			if !rewriting {
				rewriting, from = true, len(p.text)
			}
			p.text = append(p.text, src[copied:i]...)
			p.text = append(p.text, "\ufffd"...)
			i += invalidPrefix(src[i:])
			copied = i
		case c == '\\':
			r, next, err := p.escape(i)
			if err != nil {
				return node{}, next, false, err
			}
			// One that JavaScript would write the same way need not be copied.
			var scratch [8]byte
			if canonical := appendUnit(scratch[:0], r); string(canonical) != string(src[i:next]) {
				if !rewriting {
					rewriting, from = true, len(p.text)
				}
				p.text = append(p.text, src[copied:i]...)
				p.text = append(p.text, canonical...)
				copied = next
			}
			i = next
		default:
			return node{}, i, false, p.fail(i, "control character in a string, write it as an escape")
		}
	}
	return node{}, i, false, p.unexpected(i, "a quote at the end of the string")
}

// escape reads the escape sequence at i: a character, or a lone surrogate.
func (p *parser) escape(i int) (rune, int, error) {
	if i+1 >= len(p.src) {
		return 0, i + 1, p.unexpected(i+1, "an escape sequence")
	}
	switch c := p.src[i+1]; c {
	case '"', '\\', '/':
		return rune(c), i + 2, nil
	case 'b':
		return '\b', i + 2, nil
	case 'f':
		return '\f', i + 2, nil
	case 'n':
		return '\n', i + 2, nil
	case 'r':
		return '\r', i + 2, nil
	case 't':
		return '\t', i + 2, nil
	case 'u':
		r, err := p.hex(i + 2)
		if err != nil {
			return 0, i + 2, err
		}
		next := i + 6
		// A high surrogate joins with a low one that follows as an escape. UTF-8
		// has no surrogates, so no other character can complete it.
		if isHigh(r) && next+1 < len(p.src) && p.src[next] == '\\' && p.src[next+1] == 'u' {
			low, err := p.hex(next + 2)
			if err != nil {
				return 0, next + 2, err
			}
			if joined := utf16.DecodeRune(r, low); joined != utf8.RuneError {
				return joined, next + 6, nil
			}
		}
		return r, next, nil
	default:
		return 0, i + 1, p.unexpected(i+1, "an escape sequence")
	}
}

// hex reads four hexadecimal digits.
func (p *parser) hex(i int) (rune, error) {
	var r rune
	for j := i; j < i+4; j++ {
		if j >= len(p.src) {
			return 0, p.unexpected(j, "four hexadecimal digits")
		}
		value := hexValue(p.src[j])
		if value < 0 {
			return 0, p.unexpected(j, "four hexadecimal digits")
		}
		r = r<<4 | value
	}
	return r, nil
}

// hexValue is the value of a hexadecimal digit, else -1.
func hexValue(c byte) rune {
	switch {
	case isDigit(c):
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	default:
		return -1
	}
}

const hexDigits = "0123456789abcdef"

// appendUnit writes a character or a lone surrogate as JSON.stringify does.
func appendUnit(dst []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r == '\b':
		return append(dst, `\b`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\f':
		return append(dst, `\f`...)
	case r == '\r':
		return append(dst, `\r`...)
	case r < ' ' || utf16.IsSurrogate(r):
		return append(dst, '\\', 'u', hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
	default:
		return utf8.AppendRune(dst, r)
	}
}

func isHigh(r rune) bool { return 0xd800 <= r && r < 0xdc00 }

// appendRune appends the character that begins s, which is not ASCII, and tells
// how many bytes of s it took.
func appendRune(dst []byte, s string) ([]byte, int) {
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return append(dst, "\ufffd"...), invalidPrefix([]byte(s[:min(len(s), utf8.UTFMax)]))
	}
	return append(dst, s[:size]...), size
}

// invalidPrefix tells how many bytes at the start of s, which is not a whole
// character, become one U+FFFD: the longest start of a character that then goes
// wrong, else one byte. Go's own decoder replaces byte by byte, Node as the
// Encoding Standard says.
func invalidPrefix(s []byte) int {
	low, high, more := byte(0x80), byte(0xbf), 0
	switch c := s[0]; {
	case 0xe0 <= c && c <= 0xef:
		more = 1
	case 0xf0 <= c && c <= 0xf4:
		more = 2
	}
	switch s[0] { // overlong forms, surrogates, and what is beyond Unicode
	case 0xe0:
		low = 0xa0
	case 0xed:
		high = 0x9f
	case 0xf0:
		low = 0x90
	case 0xf4:
		high = 0x8f
	}
	n := 1
	for ; n <= more && n < len(s) && low <= s[n] && s[n] <= high; n++ {
		low, high = 0x80, 0xbf
	}
	return n
}

// unquote is the value of a canonical string.
func unquote(quoted []byte) string {
	text := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	units := make([]uint16, 0, len(text))
	for reader := (unitReader{text: text}); ; {
		u := reader.next()
		if u == noUnit {
			return string(utf16.Decode(units))
		}
		units = append(units, uint16(u)) //nolint:gosec // G115: a code unit
	}
}
