package yamltree

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// builder makes a Tree in document order.
type builder struct {
	doc      *Document
	tree     *Tree
	anchored map[*yaml.Node]uint32
}

// add appends a node and all below it. The value stands at or after an offset;
// indent is the column, from 0, of the collection around it.
func (b *builder) add(n, key *yaml.Node, after, indent int) uint32 {
	id := offset32(len(b.tree.nodes)) // fewer nodes than bytes
	b.tree.nodes = append(b.tree.nodes, entry{})
	if n.Anchor != "" {
		b.anchored[n] = id
	}
	e := entry{style: styleOf(n)}
	if key != nil {
		keyStart := b.skipProperties(max(b.doc.offset(key), after))
		keyEnd := b.scalarEnd(key, keyStart, indent)
		e.keyStart, e.keyEnd = offset32(keyStart), offset32(keyEnd)
		e.merge = isMerge(key)
		b.noteOddKey(id, key, keyStart, keyEnd)
		after = keyEnd
	}
	start := max(b.doc.offset(n), after)
	if n.Kind != yaml.ScalarNode || n.Value != "" || n.Style&quotedStyles != 0 {
		start = b.skipProperties(start)
	}
	end := start
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		e.kind = Sequence
		if n.Kind == yaml.MappingNode {
			e.kind = Mapping
		}
		e.child, start, end = b.children(n, start)
	case yaml.AliasNode:
		e.kind, e.child = Alias, b.anchored[n.Alias]
		end = b.scalarEnd(n, start, indent)
	default:
		end = b.scalarEnd(n, start, indent)
	}
	e.start, e.end = offset32(start), offset32(min(end, b.doc.chunk.End))
	b.tree.nodes[id] = e
	return id
}

// children adds what a collection holds and returns the first child and where
// the collection starts and ends.
func (b *builder) children(n *yaml.Node, at int) (first uint32, start, end int) {
	open := b.byteAt(at)
	bracketed := n.Style&yaml.FlowStyle != 0 && (open == '{' || open == '[')
	start, end = at, at
	if bracketed {
		end++
	}
	indent := -1
	if n.Style&yaml.FlowStyle == 0 { // in flow style nothing depends on it, and lines may be long
		indent = b.column(start)
	}
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	var last uint32
	for i := 0; i+step <= len(n.Content); i += step {
		var key *yaml.Node
		if step == 2 {
			key = n.Content[i]
		}
		id := b.add(n.Content[i+step-1], key, end, indent)
		if last == 0 {
			first = id
		} else {
			b.tree.nodes[last].next = id
		}
		last = id
		end = max(end, int(b.tree.nodes[id].end), int(b.tree.nodes[id].keyEnd))
	}
	if bracketed {
		end = b.closing(end, open+2) // in ASCII ] and } follow [ and { by two
	}
	return first, start, end
}

// noteOddKey remembers a key that cannot be read back from the source.
func (b *builder) noteOddKey(id uint32, key *yaml.Node, start, end int) {
	name, _ := keyString(key)
	if start < end && string(unquotedKey(b.doc.src.data[start:end])) == name {
		return
	}
	if b.tree.odd == nil {
		b.tree.odd = map[uint32]string{}
	}
	b.tree.odd[id] = name
}

func styleOf(n *yaml.Node) Style {
	switch {
	case n.Kind == yaml.AliasNode:
		return Plain
	case n.Kind != yaml.ScalarNode:
		if n.Style&yaml.FlowStyle != 0 {
			return Flow
		}
		return Block
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return Quoted
	case n.Style&yaml.LiteralStyle != 0:
		return Literal
	case n.Style&yaml.FoldedStyle != 0:
		return Folded
	}
	return Plain
}

// The rest finds where nodes end. The parser tells only where they start.

func (b *builder) byteAt(at int) byte {
	if at < b.doc.chunk.End {
		return b.doc.src.data[at]
	}
	return 0
}

// column is the distance in bytes to the start of the line: what stands before
// a block collection is ASCII.
func (b *builder) column(at int) int {
	before := b.doc.src.data[b.doc.chunk.Start:at]
	return len(before) - 1 - bytes.LastIndexAny(before, "\r\n")
}

// skipProperties skips anchors and tags, and the space after them when a value
// follows.
func (b *builder) skipProperties(at int) int {
	for c := b.byteAt(at); c == '&' || c == '!'; c = b.byteAt(at) {
		for at++; at < b.doc.chunk.End; at++ {
			// A tag ends at white space only, an anchor also before , and :
			if c == '&' && !isAnchorChar(b.byteAt(at)) || whiteAt(b.doc.src.data[at:b.doc.chunk.End]) > 0 {
				break
			}
		}
		at = b.skipSpace(at)
	}
	return at
}

// isAnchorChar tells what the scanner takes into the name of an anchor.
func isAnchorChar(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_' || c == '-'
}

// skipSpace skips white space and comments.
func (b *builder) skipSpace(at int) int {
	text := b.doc.src.data[:b.doc.chunk.End]
	for at < len(text) {
		n := whiteAt(text[at:])
		switch {
		case n > 0:
			at += n
		case text[at] == '#' && at > 0 && isSpace(text[at-1]):
			at = nextLine(text, at)
		default:
			return at
		}
	}
	return at
}

// closing finds the bracket that ends a flow collection, after its last item.
func (b *builder) closing(at int, bracket byte) int {
	for {
		at = b.skipSpace(at)
		switch b.byteAt(at) {
		case bracket:
			return at + 1
		case ',', ':', '?':
			at++
		default:
			return at
		}
	}
}

func (b *builder) scalarEnd(n *yaml.Node, start, indent int) int {
	text := b.doc.src.data[start:b.doc.chunk.End]
	switch {
	case n.Kind == yaml.AliasNode:
		return min(start+len("*")+len(n.Value), b.doc.chunk.End)
	case n.Kind != yaml.ScalarNode:
		return start
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return start + quotedEnd(text, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return start + quotedEnd(text, '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return start + blockEnd(text, indent)
	}
	return start + plainEnd(text, n.Value)
}

// quotedEnd returns the length of the quoted scalar at the start of text.
func quotedEnd(text []byte, quote byte) int {
	if len(text) == 0 || text[0] != quote {
		return 0
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] != quote:
		case quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(text)
}

// plainEnd returns the length of the plain scalar at the start of text. Lines
// are folded in its value, but what is not white space stands there unchanged.
func plainEnd(text []byte, value string) int {
	if len(text) >= len(value) && string(text[:len(value)]) == value {
		return len(value)
	}
	at, end := 0, 0
	for i := 0; i < len(value); i++ {
		if n := whiteAt(value[i:]); n > 0 {
			i += n - 1
			continue
		}
		for at < len(text) {
			n := whiteAt(text[at:])
			if n == 0 {
				break
			}
			at += n
		}
		if at == len(text) || text[at] != value[i] {
			return end
		}
		at++
		end = at
	}
	return end
}

// whiteAt returns the length of the blank or line break at the start of text.
func whiteAt[T string | []byte](text T) int {
	if text[0] == ' ' || text[0] == '\t' {
		return 1
	}
	return yamlBreak(text)
}

// blockEnd returns the length of the block scalar (| or >) at the start of
// text, from its indicator to the end of its last line that is not blank.
// indent is the column of the collection around it, -1 when there is none.
func blockEnd(text []byte, indent int) int {
	at := nextLine(text, 0)
	header := text[:at]
	if i := bytes.Index(header, []byte(" #")); i >= 0 {
		header = header[:i]
	}
	end := trimmedLen(header)
	content, detected := max(indent+1, 1), false
	if i := bytes.IndexAny(header, "123456789"); i >= 0 {
		content, detected = max(indent, 0)+int(header[i]-'0'), true
	}
	for next := at; at < len(text); at = next {
		next = nextLine(text, at)
		line := text[at:next]
		spaces := len(line) - len(bytes.TrimLeft(line, " "))
		blank := spaces == len(line) || yamlBreak(line[spaces:]) > 0
		if !detected {
			// Blank lines before the first one count for the indentation too.
			content, detected = max(content, spaces), !blank
		}
		if !blank && spaces < content {
			break
		}
		if n := trimmedLen(line); n > content {
			end = at + n
		}
	}
	return end
}

// nextLine returns the offset of the line after the one at an offset.
func nextLine(text []byte, at int) int {
	for ; at < len(text); at++ {
		if n := yamlBreak(text[at:]); n > 0 {
			return at + n
		}
	}
	return len(text)
}

func trimmedLen(line []byte) int { return len(bytes.TrimRight(line, " \t\r\n")) }
