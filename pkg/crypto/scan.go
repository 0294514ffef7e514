package crypto

import (
	"bytes"
	"slices"
	"strings"
)

const (
	// maxScan bounds how much of one text, in bytes, is searched. Kubernetes
	// takes no object of this size.
	maxScan = 4 << 20
	// anyBegin is searched instead of beginMark: blanks get lost or turn into
	// "+" and "%20" on a PEM's way through other formats.
	anyBegin = "-----BEGIN"
	// maxLabel bounds the text of a PEM type, in bytes.
	maxLabel = 64
)

// base64Begin is how anyBegin looks inside base64 at one alignment, from its
// first whole group on, and the dashes before that group.
type base64Begin struct{ begin, missing string }

var base64Begins = []base64Begin{
	{"LS0tLS1CRUdJT", ""},
	{"LS0tQkVHSU", "--"},
	{"LS0tLUJFR0lO", "-"},
}

// ScanPEM finds keys and certificates inside any text: PEM whose line breaks
// are escaped (as in JSON, once or more often), missing or indented, and PEM in
// base64. A block that says it is a private key is reported even when it cannot
// be read, with the algorithm [Unknown] or [Encrypted]. KeyFacts.Block counts
// the blocks of the text. Only the first 4 MiB are searched; time is linear.
func ScanPEM(text []byte) []KeyFacts {
	text = text[:min(len(text), maxScan)]
	if !bytes.Contains(text, []byte(anyBegin)) && !slices.ContainsFunc(base64Begins, func(b base64Begin) bool {
		return bytes.Contains(text, []byte(b.begin))
	}) {
		return nil // the usual case, without a copy
	}
	return FindPEM(string(text))
}

// FindPEM is [ScanPEM] of a string.
func FindPEM(text string) []KeyFacts {
	text = text[:min(len(text), maxScan)]
	var s scanner
	s.text(text)
	for hit := nextBase64(text, 0); hit.at >= 0; {
		// A run ends where the next one begins, so no byte is decoded twice.
		next := nextBase64(text, hit.at+1)
		end := len(text)
		if next.at >= 0 {
			end = next.at
		}
		s.text(hit.missing + string(decodeRun(text[hit.at:end])))
		hit = next
	}
	return s.found
}

// base64Hit is where a PEM begins inside base64: at is negative for nowhere.
type base64Hit struct {
	at      int
	missing string
}

func nextBase64(text string, from int) base64Hit {
	const anchor = "LS0t" // all of base64Begins have it, so one pass is enough
	for at := from; ; at++ {
		i := strings.Index(text[at:], anchor)
		if i < 0 {
			return base64Hit{at: -1}
		}
		at += i
		for _, b := range base64Begins {
			if strings.HasPrefix(text[at:], b.begin) {
				return base64Hit{at: at, missing: b.missing}
			}
		}
	}
}

// decodeRun decodes the base64 that a text begins with, wrapped or not.
func decodeRun(text string) []byte {
	plain, _ := unescape(text[:min(len(text), 2*maxBody)], true)
	out, _ := decodeBase64(plain[:len(plain)-len(plain)%4])
	return out
}

// scanner collects keys.
type scanner struct {
	found  []KeyFacts
	blocks int
	full   bool // an unread private key beyond maxBlocks was reported
}

// text finds the blocks of a text.
func (s *scanner) text(text string) {
	for {
		begin := strings.Index(text, anyBegin)
		if begin < 0 {
			return
		}
		text = text[begin+len(anyBegin):]
		end := strings.Index(text[:min(len(text), maxLabel+len(dashes))], dashes)
		if end < 0 {
			continue
		}
		label := text[:end]
		// The dashes stay: they may begin the next block.
		text = text[end:]
		s.block(bareLabel(label), text[len(dashes):])
	}
}

// bareLabel drops everything but letters and digits from a PEM type.
func bareLabel(label string) string {
	label = strings.ReplaceAll(label, "%20", "")
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, label)
}

// block reads one block; rest is the text after its BEGIN.
func (s *scanner) block(label, rest string) {
	if label == "ECPARAMETERS" {
		s.blocks++
		return
	}
	k, ok := KeyFacts{Private: true, Algorithm: Unknown}, strings.Contains(label, "PRIVATEKEY")
	if s.blocks < maxBlocks {
		k, ok = readBlock(ok, rest)
	} else if !ok || s.full {
		return
	} else {
		s.full = true
	}
	if ok {
		k.Block = s.blocks
		s.found = append(s.found, k)
	}
	s.blocks++
}

// readBlock reads what stands between BEGIN and END. Without an END it is a
// key only when it looks like DER: scripts and manuals mention the BEGIN line.
func readBlock(private bool, rest string) (k KeyFacts, ok bool) {
	unread := KeyFacts{Private: true, Algorithm: Unknown}
	body, after, closed := strings.Cut(rest[:min(len(rest), maxBody)], dashes)
	closed = closed && strings.HasPrefix(strings.TrimLeft(after, "-"), "END")
	if strings.Contains(body, "ENCRYPTED") {
		return KeyFacts{Private: true, Algorithm: Encrypted}, private
	}
	plain, whole := unescape(body, !closed)
	der, valid := decodeBase64(plain)
	if !closed && (len(der) < 64 || der[0] != 0x30) { // 0x30 is an ASN.1 SEQUENCE
		return unread, false
	}
	if !whole || closed && !valid {
		return unread, private
	}
	k, _, err := parseDER(der)
	if err != nil && k.Algorithm == "" || private && !k.Private {
		return unread, private
	}
	return k, true
}

// unescape reduces a text to the base64 in it: it drops white space, quotes,
// commas and line breaks escaped by JSON, URLs or XML, and resolves escaped
// characters. At the first other character it stops when asked to take a
// prefix, else it reports that the text is not all base64.
func unescape(text string, prefix bool) (plain []byte, whole bool) {
	plain = make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		c, n := unescapeOne(text[i:])
		i += n
		switch {
		case c == 0:
		case isBase64(c):
			plain = append(plain, c)
		case c == '-':
			plain = append(plain, '+') // the alphabet of base64url
		case c == '_':
			plain = append(plain, '/')
		default:
			return plain, prefix
		}
	}
	return plain, true
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '='
}

// unescapeOne returns the first character of a text, 0 for one that does not
// count, and the number of bytes it took.
func unescapeOne(text string) (c byte, n int) {
	switch text[0] {
	case ' ', '\t', '\r', '\n', '"', '\'', '`', ',':
		return 0, 1
	case '\\':
		return unescapeBackslash(text)
	case '%':
		return unescapeHex(text, 1, 3)
	case '&': // &#10; and &#xA; of XML
		if end := strings.IndexByte(text[:min(len(text), 8)], ';'); end > 0 {
			return 0, end + 1
		}
	}
	return text[0], 1
}

// unescapeBackslash reads a run of backslashes, as long as texts were nested in
// each other, and what they escape.
func unescapeBackslash(text string) (c byte, n int) {
	for n < len(text) && text[n] == '\\' {
		n++
	}
	if n == len(text) {
		return 0, n
	}
	switch text[n] {
	case 'n', 'r', 't':
		return 0, n + 1
	case 'u':
		return unescapeHex(text, n+3, n+5) // \u002b: ASCII is in the last two digits
	case 'x':
		return unescapeHex(text, n+1, n+3)
	}
	return 0, n // "\/" and a backslash before a line break: the character follows
}

// unescapeHex returns the character whose two hex digits stand at text[from:to].
func unescapeHex(text string, from, to int) (c byte, n int) {
	if to > len(text) {
		return 0, len(text)
	}
	for _, digit := range []byte(text[from:to]) {
		switch {
		case digit >= '0' && digit <= '9':
			c = c<<4 | digit - '0'
		case digit|0x20 >= 'a' && digit|0x20 <= 'f':
			c = c<<4 | (digit | 0x20 - 'a' + 10)
		default:
			return '?', to // no escape and no base64 either
		}
	}
	if !isBase64(c) {
		return 0, to
	}
	return c, to
}
