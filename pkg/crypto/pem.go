package crypto

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

const (
	beginMark = "-----BEGIN "
	endMark   = "-----END "
	dashes    = "-----"
)

// maxBody bounds the text of one PEM block, in bytes. An RSA key of 16384 bits
// takes 13 KB, a certificate with hundreds of names about 30 KB.
const maxBody = 64 << 10

// pemBlock is one PEM block as text. The standard library's pem.Decode passes
// silently over a block that it cannot decode; here that is a finding.
type pemBlock struct {
	label  string
	body   []byte // between the BEGIN and the END line
	closed bool   // the END line is there and has the same label
}

// nextBlock cuts the first PEM block off a text, by OpenSSL's rules: BEGIN and
// END are at the start of a line, and only white space follows them on it.
func nextBlock(text []byte) (block pemBlock, rest []byte, ok bool) {
	for len(text) > 0 {
		line, next := cutLine(text)
		text = next
		label, ok := boundary(line, beginMark)
		if !ok {
			continue
		}
		block = pemBlock{label: label}
		block.body, rest, block.closed = cutBody(text, label)
		return block, rest, true
	}
	return pemBlock{}, nil, false
}

// cutBody cuts the text after a BEGIN line at its END line. A second BEGIN
// line, or the end of the text, leaves the block open.
func cutBody(text []byte, label string) (body, rest []byte, closed bool) {
	for at := 0; at < len(text); {
		line, next := cutLine(text[at:])
		if bytes.HasPrefix(line, []byte(beginMark)) {
			return text[:at], text[at:], false
		}
		if bytes.HasPrefix(line, []byte(endMark)) {
			end, ok := boundary(line, endMark)
			return text[:at], next, ok && end == label
		}
		at = len(text) - len(next)
	}
	return text, nil, false
}

func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte("\n"))
	return line, rest
}

// boundary reads the label of a BEGIN or END line. More dashes inside mean that
// the line breaks are lost and the rest of the block is on the line.
func boundary(line []byte, mark string) (label string, ok bool) {
	if !bytes.HasPrefix(line, []byte(mark)) {
		return "", false
	}
	line = bytes.TrimRight(line[len(mark):], " \t\r\v\f")
	line, ok = bytes.CutSuffix(line, []byte(dashes))
	return string(line), ok && !bytes.Contains(line, []byte(dashes))
}

// decode returns the DER inside the block.
func (b pemBlock) decode() ([]byte, error) {
	body, headers := cutHeaders(b.body)
	switch {
	case b.label == "ENCRYPTED PRIVATE KEY" || bytes.Contains(headers, []byte("ENCRYPTED")):
		return nil, ErrEncrypted
	case !b.closed:
		return nil, ErrUnclosed
	case len(body) > maxBody:
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxBody)
	}
	der, ok := decodeBase64(dropBlanks(body))
	if !ok || len(der) == 0 {
		return nil, fmt.Errorf("%w: not base64", ErrMalformed)
	}
	return der, nil
}

// cutHeaders cuts off the headers of RFC 1421 ("Proc-Type: 4,ENCRYPTED"),
// which end at a blank line.
func cutHeaders(body []byte) (rest, headers []byte) {
	line, _ := cutLine(body)
	if !bytes.Contains(line, []byte(":")) {
		return body, nil
	}
	for at := 0; at < len(body); {
		line, next := cutLine(body[at:])
		if len(bytes.TrimSpace(line)) == 0 {
			return next, body[:at]
		}
		at = len(body) - len(next)
	}
	return nil, body
}

// dropBlanks removes white space.
func dropBlanks(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			out = append(out, c)
		}
	}
	return out
}

// decodeBase64 decodes text without white space. Padding may be missing.
func decodeBase64(text []byte) ([]byte, bool) {
	for range 2 {
		text, _ = bytes.CutSuffix(text, []byte("="))
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(out, text)
	return out[:n], err == nil
}

// plainLabel tells that a label can be shown: a few words as short as those of
// PEM types, so that no secret in the place of a label passes for one.
func plainLabel(label string) bool {
	const longestWord, mostWords = len("CERTIFICATE"), 5
	words := strings.Split(label, " ")
	return len(words) <= mostWords && !slices.ContainsFunc(words, func(w string) bool {
		return w == "" || len(w) > longestWord || strings.Trim(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.") != ""
	})
}

// saysPrivate tells that a label announces a private key of any kind.
func saysPrivate(label string) bool { return strings.Contains(label, "PRIVATE KEY") }
