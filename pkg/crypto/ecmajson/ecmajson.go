package ecmajson

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
)

const (
	// MaxDepth is how many objects and arrays may stand in one another. Node 20
	// writes 4050 with an empty stack; whoever nests deeper than this cannot
	// count on a peer that can check the signature.
	MaxDepth = 2000

	// MaxLength of a text, in bytes. Mojaloop's servers stop at 1 MiB. The limit
	// keeps positions within 32 bits and memory within reason: a text of
	// nothing but zeros takes 16 times its size.
	MaxLength = 16 << 20
)

// ErrTooDeep and ErrTooLong are returned for texts beyond [MaxDepth] and
// [MaxLength], which may be JSON all the same.
var (
	ErrTooDeep = errors.New("nested too deeply")
	ErrTooLong = errors.New("text too long")
)

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in characters, from 1
	Msg    string // without the position
}

// Error gives the position and the reason. It quotes one character at most.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// Kind is what typeof and Array.isArray tell of a Value.
type Kind uint8

// The kinds of a Value. Null comes first: it is what a zero Value is.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is a text that was parsed. It is immutable, and may be used by several
// goroutines. The zero Value is null.
type Value struct {
	doc  *document
	node node
}

// Parse reads a text as JSON.parse does. The Value keeps nothing of text.
func Parse(text []byte) (Value, error) {
	p := parsers.Get().(*parser)
	defer p.release()
	root, err := p.parse(text)
	if err != nil {
		return Value{}, err
	}
	doc := &document{text: bytes.Clone(p.text), members: slices.Clone(p.members)}
	return Value{doc: doc, node: root}, nil
}

// Ordered is JSON.stringify(JSON.parse(text)).
func Ordered(text []byte) ([]byte, error) {
	return rewrite(text, (*document).appendOrdered)
}

// Sorted is safe-stable-stringify of JSON.parse(text).
func Sorted(text []byte) ([]byte, error) {
	return rewrite(text, (*document).appendSorted)
}

func rewrite(text []byte, write func(*document, []byte, node) []byte) ([]byte, error) {
	p := parsers.Get().(*parser)
	defer p.release()
	root, err := p.parse(text)
	if err != nil {
		return nil, err
	}
	return write(&p.document, make([]byte, 0, len(p.text)), root), nil
}

// Ordered is the Value as JSON.stringify writes it.
func (v Value) Ordered() []byte {
	return v.AppendOrdered(make([]byte, 0, v.size()))
}

// Sorted is the Value as safe-stable-stringify writes it.
func (v Value) Sorted() []byte {
	return v.AppendSorted(make([]byte, 0, v.size()))
}

// AppendOrdered appends to dst what [Value.Ordered] returns.
func (v Value) AppendOrdered(dst []byte) []byte {
	return v.doc.appendOrdered(dst, v.node)
}

// AppendSorted appends to dst what [Value.Sorted] returns.
func (v Value) AppendSorted(dst []byte) []byte {
	return v.doc.appendSorted(dst, v.node)
}

// size is a guess: what came in, and what was rewritten of it.
func (v Value) size() int {
	if v.doc == nil {
		return len("null")
	}
	return len(v.doc.text)
}

// Kind tells what the Value is. A number beyond the range of a double is a
// Number, though it is written as null.
func (v Value) Kind() Kind {
	switch v.node.kind {
	case kindTrue, kindFalse:
		return Bool
	case kindNumber, kindInfinity:
		return Number
	case kindString:
		return String
	case kindArray:
		return Array
	case kindObject:
		return Object
	default:
		return Null
	}
}

// Truthy tells whether JavaScript takes the Value for true: null, false, 0 and
// the empty string are not. The SDK neither signs nor verifies such a body.
func (v Value) Truthy() bool {
	switch v.node.kind {
	case kindNull, kindFalse:
		return false
	case kindNumber:
		text := v.doc.span(v.node)
		return len(text) != 1 || text[0] != '0'
	case kindString:
		return v.node.to-v.node.from > uint32(len(`""`))
	default:
		return true
	}
}

// Member is the value of a name of an Object. It is false when there is none,
// and when the Value is no Object.
func (v Value) Member(name string) (Value, bool) {
	if v.node.kind != kindObject {
		return Value{}, false
	}
	quoted := Quote(name)
	for _, m := range v.doc.members[v.node.from:v.node.to] {
		if bytes.Equal(v.doc.text[m.from:m.to], quoted) {
			return Value{doc: v.doc, node: m.value}, true
		}
	}
	return Value{}, false
}

// Names are the names of an Object, as [Value.Text] gives strings, in the order
// of Object.keys.
func (v Value) Names() []string {
	if v.node.kind != kindObject {
		return nil
	}
	names := make([]string, 0, v.node.to-v.node.from)
	for _, m := range v.doc.members[v.node.from:v.node.to] {
		names = append(names, unquote(v.doc.text[m.from:m.to]))
	}
	return names
}

// Text is the value of a String, and false for any other kind. A lone surrogate
// becomes U+FFFD: Go's strings cannot hold it.
func (v Value) Text() (string, bool) {
	if v.node.kind != kindString {
		return "", false
	}
	return unquote(v.doc.span(v.node)), true
}

// document is what spans and ranges of nodes point into. It is not changed once
// it is parsed.
type document struct {
	// text is what was read, and after it the scalars whose text differs from
	// the canonical one.
	text    []byte
	members []member
}

type kind uint8

const (
	kindNull kind = iota
	kindTrue
	kindFalse
	kindNumber
	kindInfinity // is written as null
	kindString
	kindArray
	kindObject
)

// node is one value. Of a number or string, from and to span its canonical text
// in document.text, quotes included; of an array or object, its members.
type node struct {
	from, to uint32
	kind     kind
}

// member is an element of an array or a property of an object. The members of
// an object are in JavaScript's order and their names differ.
type member struct {
	from, to uint32 // canonical text of the name, quotes included
	value    node
	// next holds the sorted order: members[i].next is the place, counted from
	// the object's first member, of the one that is i-th by name.
	next uint32
	// plain: the name is ASCII without escapes, so that its bytes compare as its
	// code units do.
	plain bool
}

func (d *document) span(n node) []byte { return d.text[n.from:n.to] }

func (d *document) appendOrdered(dst []byte, n node) []byte {
	switch n.kind {
	case kindArray:
		dst = append(dst, '[')
		for i, m := range d.members[n.from:n.to] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.appendOrdered(dst, m.value)
		}
		return append(dst, ']')
	case kindObject:
		dst = append(dst, '{')
		for i, m := range d.members[n.from:n.to] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(dst, d.text[m.from:m.to]...), ':')
			dst = d.appendOrdered(dst, m.value)
		}
		return append(dst, '}')
	default:
		return d.appendScalar(dst, n)
	}
}

func (d *document) appendSorted(dst []byte, n node) []byte {
	switch n.kind {
	case kindArray:
		dst = append(dst, '[')
		for i, m := range d.members[n.from:n.to] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.appendSorted(dst, m.value)
		}
		return append(dst, ']')
	case kindObject:
		dst = append(dst, '{')
		members := d.members[n.from:n.to]
		for i := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			m := &members[members[i].next]
			dst = append(append(dst, d.text[m.from:m.to]...), ':')
			dst = d.appendSorted(dst, m.value)
		}
		return append(dst, '}')
	default:
		return d.appendScalar(dst, n)
	}
}

func (d *document) appendScalar(dst []byte, n node) []byte {
	switch n.kind {
	case kindTrue:
		return append(dst, "true"...)
	case kindFalse:
		return append(dst, "false"...)
	case kindNumber, kindString:
		return append(dst, d.text[n.from:n.to]...)
	default:
		return append(dst, "null"...)
	}
}

// parsers are kept for their memory.
var parsers = sync.Pool{New: func() any { return new(parser) }}
