package yamltree

import (
	"slices"
	"strconv"
	"strings"
)

// path is the way from the root to the node that is being visited.
type path []step

// step is the name of a field, the key of a map or the index of an item.
type step struct {
	kind  stepKind
	name  string
	index int
}

type stepKind uint8

const (
	fieldStep stepKind = iota // or a key of who knows what
	keyStep
	itemStep
)

func field(name string) step { return step{kind: fieldStep, name: name} }

func item(index int) step { return step{kind: itemStep, index: index} }

func (p *path) push(s step) { *p = append(*p, s) }

func (p *path) pop() { *p = (*p)[:len(*p)-1] }

// with returns a longer path that shares nothing with p.
func (p path) with(s step) path { return append(slices.Clone(p), s) }

// String returns the text form of field.Path. Keys of maps stand in brackets;
// where no type tells, those that are no plain names do.
func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.kind == itemStep:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case s.kind == keyStep, strings.ContainsAny(s.name, "./[]"):
			b.WriteString("[" + s.name + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// nextSegment cuts the first step off the text form of a path. A bracket ends
// where another step or the end follows, so that a key may hold brackets itself.
func nextSegment(path string) (segment, rest string) {
	if path[0] != '[' {
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return path, ""
		}
		return path[:end], strings.TrimPrefix(path[end:], ".")
	}
	for i := 1; i < len(path); i++ {
		if path[i] != ']' {
			continue
		}
		if i+1 == len(path) || path[i+1] == '.' || path[i+1] == '[' {
			return path[1:i], strings.TrimPrefix(path[i+1:], ".")
		}
	}
	return path[1:], ""
}
