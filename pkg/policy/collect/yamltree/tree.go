package yamltree

import (
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is what a node holds.
type Kind uint8

// The kinds of nodes.
const (
	Scalar Kind = iota
	Mapping
	Sequence
	Alias
)

// Style is how a node is written.
type Style uint8

// The styles: the first four are for scalars only. Block is the style of
// collections that are written by indentation, Flow of those in brackets.
const (
	Plain Style = iota
	Quoted
	Literal // |
	Folded  // >
	Block
	Flow
)

// Tree is the skeleton of a document: where its nodes stand, not what they
// hold. It is immutable and safe for concurrent use.
type Tree struct {
	src   *Source
	nodes []entry
	// odd holds the keys whose text is not what stands in the source:
	// escaped, tagged, aliased or numbers.
	odd map[uint32]string
}

// entry is one node. Offsets are in bytes from the start of the file; 0 in
// next and child means none, as node 0 is the root.
type entry struct {
	start, end       uint32
	keyStart, keyEnd uint32 // equal when the node has no key
	next             uint32 // sibling
	child            uint32 // first child; of an alias, its target
	kind             Kind
	style            Style
	merge            bool // the key is <<
}

// Tree builds the skeleton of the document.
func (d *Document) Tree() *Tree {
	b := builder{doc: d, tree: &Tree{src: d.src, nodes: make([]entry, 0, d.nodes)}, anchored: map[*yaml.Node]uint32{}}
	b.add(d.Root, nil, d.chunk.Start, -1)
	return b.tree
}

// Node is a node of a Tree.
type Node struct {
	tree *Tree
	id   uint32
}

// Root returns the value of the document.
func (t *Tree) Root() Node { return Node{t, 0} }

func (n Node) entry() *entry { return &n.tree.nodes[n.id] }

// Kind tells what the node holds.
func (n Node) Kind() Kind { return n.entry().kind }

// Style tells how the node is written.
func (n Node) Style() Style { return n.entry().style }

// Source returns the text that the node is part of.
func (n Node) Source() *Source { return n.tree.src }

// Range returns where the value stands, without anchor and tag, from the first
// byte to the one after the last. Both are the same when nothing stands there.
// A block collection starts at its first key or dash, so that the column of the
// start is its indentation.
func (n Node) Range() (start, end int) {
	e := n.entry()
	return int(e.start), int(e.end)
}

// KeyRange returns where the key of the value stands; false for list items and
// the root.
func (n Node) KeyRange() (start, end int, ok bool) {
	e := n.entry()
	return int(e.keyStart), int(e.keyEnd), e.keyEnd > e.keyStart
}

// Text returns the value as it is written, quotes included.
func (n Node) Text() string {
	start, end := n.Range()
	return string(n.tree.src.data[start:end])
}

// Children lists the entries of a mapping or the items of a list. An alias has
// the children of what it stands for.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for id := n.target().entry().child; id != 0; id = n.tree.nodes[id].next {
			if !yield(Node{n.tree, id}) {
				return
			}
		}
	}
}

// target follows an alias. One of a key leads nowhere: keys are no nodes.
func (n Node) target() Node {
	if e := n.entry(); e.kind == Alias && e.child != 0 {
		return Node{n.tree, e.child}
	}
	return n
}

// hasKey tells whether the key of the node is name.
func (n Node) hasKey(name string) bool {
	e := n.entry()
	if text, ok := n.tree.odd[n.id]; ok {
		return text == name
	}
	return e.keyStart < e.keyEnd && string(unquotedKey(n.tree.src.data[e.keyStart:e.keyEnd])) == name
}

// Key returns the key of the node as a string; false for list items and the
// root.
func (n Node) Key() (string, bool) {
	e := n.entry()
	if text, ok := n.tree.odd[n.id]; ok {
		return text, true
	}
	if e.keyStart == e.keyEnd {
		return "", false
	}
	return string(unquotedKey(n.tree.src.data[e.keyStart:e.keyEnd])), true
}

// unquotedKey is a key without its quotes. Keys with escapes are in Tree.odd.
func unquotedKey(text []byte) []byte {
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') {
		return text[1 : len(text)-1]
	}
	return text
}

// Same tells whether two nodes are of one kind and, being scalars, hold the same
// text, however it is written.
func (n Node) Same(other Node) bool {
	n, other = n.target(), other.target()
	return n.Kind() == other.Kind() && (n.Kind() != Scalar || n.words() == other.words())
}

// words is the content of a scalar with all white space made alike, as quoting
// and folding differ in that.
func (n Node) words() string {
	text := n.Text()
	switch n.Style() {
	case Quoted:
		var value string
		if yaml.Unmarshal([]byte(text), &value) == nil {
			text = value
		}
	case Literal, Folded:
		_, text, _ = strings.Cut(text, "\n")
	case Plain, Block, Flow:
	}
	return strings.Join(strings.Fields(text), " ")
}
