package ecmajson

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// parser reads one text into its document. Its position is an argument and a
// result of every method, which keeps it in a register.
type parser struct {
	document
	src   []byte // document.text[:length of the text]
	depth int
	stack []member // of the arrays and objects that are still open
	order []uint32 // scratch of finish
}

// keepLength is the longest text whose memory the pool keeps.
const keepLength = 64 << 10

// release gives the parser back. Nothing that was handed out points into it.
func (p *parser) release() {
	p.src = nil
	if cap(p.text) <= keepLength && cap(p.members) <= keepLength && cap(p.stack) <= keepLength {
		parsers.Put(p)
	}
}

func (p *parser) parse(text []byte) (node, error) {
	if len(text) > MaxLength {
		return node{}, fmt.Errorf("%w: %d bytes, and at most %d are read", ErrTooLong, len(text), MaxLength)
	}
	p.text = append(p.text[:0], text...)
	p.src = p.text[:len(text):len(text)]
	p.members, p.stack, p.depth = p.members[:0], p.stack[:0], 0

	root, i, err := p.value(p.space(0))
	if err != nil {
		return node{}, err
	}
	if i = p.space(i); i < len(p.src) {
		return node{}, p.unexpected(i, "the end of the text")
	}
	return root, nil
}

// space skips what JSON calls white space: less than JavaScript does.
func (p *parser) space(i int) int {
	for i < len(p.src) {
		switch p.src[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

func (p *parser) value(i int) (node, int, error) {
	if i >= len(p.src) {
		return node{}, i, p.unexpected(i, "a value")
	}
	switch c := p.src[i]; {
	case c == '"':
		n, i, _, err := p.str(i)
		return n, i, err
	case c == '{':
		return p.object(i)
	case c == '[':
		return p.array(i)
	case c == '-' || isDigit(c):
		return p.number(i)
	case c == 't':
		return p.literal(i, "true", kindTrue)
	case c == 'f':
		return p.literal(i, "false", kindFalse)
	case c == 'n':
		return p.literal(i, "null", kindNull)
	default:
		return node{}, i, p.unexpected(i, "a value")
	}
}

func (p *parser) literal(i int, word string, k kind) (node, int, error) {
	for j := range len(word) {
		if i+j >= len(p.src) || p.src[i+j] != word[j] {
			return node{}, i, p.unexpected(i+j, strconv.Quote(word))
		}
	}
	return node{kind: k}, i + len(word), nil
}

// enter counts a level of nesting.
func (p *parser) enter(i int) error {
	p.depth++
	if p.depth > MaxDepth {
		return fmt.Errorf("%w: more than %d levels at byte %d", ErrTooDeep, MaxDepth, i)
	}
	return nil
}

func (p *parser) array(i int) (node, int, error) {
	if err := p.enter(i); err != nil {
		return node{}, i, err
	}
	bottom := len(p.stack)
	i = p.space(i + 1)
	if i < len(p.src) && p.src[i] == ']' {
		return p.leave(kindArray, bottom), i + 1, nil
	}
	for {
		v, next, err := p.value(i)
		if err != nil {
			return node{}, next, err
		}
		p.stack = append(p.stack, member{value: v})
		i = p.space(next)
		switch {
		case i < len(p.src) && p.src[i] == ',':
			i = p.space(i + 1)
		case i < len(p.src) && p.src[i] == ']':
			return p.leave(kindArray, bottom), i + 1, nil
		default:
			return node{}, i, p.unexpected(i, `"," or "]" after an element`)
		}
	}
}

func (p *parser) object(i int) (node, int, error) {
	if err := p.enter(i); err != nil {
		return node{}, i, err
	}
	bottom := len(p.stack)
	i = p.space(i + 1)
	if i < len(p.src) && p.src[i] == '}' {
		return p.leave(kindObject, bottom), i + 1, nil
	}
	for {
		if i >= len(p.src) || p.src[i] != '"' {
			return node{}, i, p.unexpected(i, "a name in quotes")
		}
		name, next, plain, err := p.str(i)
		if err != nil {
			return node{}, next, err
		}
		i = p.space(next)
		if i >= len(p.src) || p.src[i] != ':' {
			return node{}, i, p.unexpected(i, `":" after a name`)
		}
		v, next, err := p.value(p.space(i + 1))
		if err != nil {
			return node{}, next, err
		}
		p.stack = append(p.stack, member{from: name.from, to: name.to, plain: plain, value: v})
		i = p.space(next)
		switch {
		case i < len(p.src) && p.src[i] == ',':
			i = p.space(i + 1)
		case i < len(p.src) && p.src[i] == '}':
			p.finish(bottom)
			return p.leave(kindObject, bottom), i + 1, nil
		default:
			return node{}, i, p.unexpected(i, `"," or "}" after a value`)
		}
	}
}

// leave moves what the stack has above bottom to the members of the document.
func (p *parser) leave(k kind, bottom int) node {
	p.depth--
	from := len(p.members)
	p.members = append(p.members, p.stack[bottom:]...)
	p.stack = p.stack[:bottom]
	return node{kind: k, from: u32(from), to: u32(len(p.members))}
}

// unexpected is the SyntaxError of the character at i.
func (p *parser) unexpected(i int, want string) error {
	if i >= len(p.src) {
		return p.fail(i, "unexpected end of text, want "+want)
	}
	r, size := utf8.DecodeRune(p.src[i:])
	if r == utf8.RuneError && size == 1 {
		return p.fail(i, fmt.Sprintf("unexpected byte %#x, want %s", p.src[i], want))
	}
	return p.fail(i, fmt.Sprintf("unexpected %q, want %s", r, want))
}

func (p *parser) fail(i int, msg string) error {
	e := &SyntaxError{Offset: i, Line: 1, Column: 1, Msg: msg}
	start := 0
	for j, c := range p.src[:i] {
		if c == '\n' {
			e.Line++
			start = j + 1
		}
	}
	e.Column += utf8.RuneCount(p.src[start:i])
	return e
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// u32 is a position. MaxLength keeps all of them within 32 bits: no canonical
// text is longer than six times its source.
func u32(i int) uint32 {
	return uint32(i) //nolint:gosec // G115: see above
}
