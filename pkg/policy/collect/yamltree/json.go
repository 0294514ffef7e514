package yamltree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the nesting of JSON; the YAML scanner has the same bound.
const maxDepth = 10000

// parseJSON reads a stream of JSON values. YAML is nearly a superset of JSON,
// but not where escapes, long keys and tabs are concerned.
func (s *Source) parseJSON(c Chunk) ([]*yaml.Node, error) {
	text := s.data[c.Start:c.End]
	if bad := firstInvalidUTF8(text); bad >= 0 {
		return nil, &Error{Offset: c.Start + bad, Message: "is not UTF-8"}
	}
	p := &jsonParser{dec: json.NewDecoder(bytes.NewReader(text)), text: text, base: c.Start}
	p.dec.UseNumber()
	var roots []*yaml.Node
	for {
		start := int(p.dec.InputOffset())
		if len(bytes.TrimSpace(text[start:])) == 0 {
			return roots, nil
		}
		root, err := p.value(0)
		if err != nil {
			return roots, p.diagnose(err, start)
		}
		roots = append(roots, root)
	}
}

type jsonParser struct {
	dec  *json.Decoder
	text []byte
	base int // offset of text in the file
}

// next returns the next token and a node that stands where it starts: Line is
// 0 and Column the offset.
func (p *jsonParser) next() (json.Token, *yaml.Node, error) {
	start := int(p.dec.InputOffset())
	tok, err := p.dec.Token()
	if err != nil {
		return nil, nil, err
	}
	for start < len(p.text) && (isSpace(p.text[start]) || p.text[start] == ',' || p.text[start] == ':') {
		start++
	}
	return tok, &yaml.Node{Column: p.base + start}, nil
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	tok, n, err := p.next()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errors.New("is nested too deep")
	}
	n.Kind = yaml.ScalarNode
	switch tok := tok.(type) {
	case json.Delim:
		return n, p.collection(n, tok, depth)
	case string:
		n.Tag, n.Value, n.Style = "!!str", tok, yaml.DoubleQuotedStyle
	case json.Number:
		n.Value = tok.String()
	case bool:
		n.Value = "false"
		if tok {
			n.Value = "true"
		}
	case nil:
		n.Value = "null"
	}
	return n, nil
}

func (p *jsonParser) collection(n *yaml.Node, open json.Delim, depth int) error {
	n.Style = yaml.FlowStyle
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	// The decoder takes care that keys are strings and that each has a value.
	for p.dec.More() {
		child, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := p.dec.Token()
	return err
}

// diagnose finds what is wrong with the value that starts at an offset of the
// text. The decoder's own offsets are not exact when it hands out tokens.
func (p *jsonParser) diagnose(err error, start int) *Error {
	var syntax *json.SyntaxError
	switch {
	case !errors.As(err, &syntax) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Offset: p.base + start, Message: err.Error()}
	case errors.As(json.Unmarshal(p.text[start:], new(json.RawMessage)), &syntax) && int(syntax.Offset) <= len(p.text)-start &&
		!strings.HasPrefix(syntax.Error(), "unexpected end"):
		// Offset counts the bytes read, the bad one included.
		return &Error{Offset: p.base + start + max(int(syntax.Offset)-1, 0), Message: "is not JSON: " + syntax.Error()}
	}
	return &Error{Offset: p.base + len(bytes.TrimRight(p.text, " \t\r\n")), Message: "ends in the middle of a JSON value"}
}

func firstInvalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}
