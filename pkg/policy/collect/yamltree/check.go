package yamltree

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxAliased bounds how many nodes aliases may repeat: a few lines can ask for
// billions. It is what kubectl's YAML library allows a small document.
const maxAliased = 400_000

// check refuses what the API server or kubectl would: keys that are given
// twice or are no scalars, merges of what is no mapping, aliases that contain
// themselves or blow up. It counts the nodes.
func (d *Document) check() error {
	c := checker{doc: d, sizes: map[*yaml.Node]int{}}
	size := c.node(d.Root)
	d.nodes = c.nodes - c.keys
	switch {
	case c.err != nil:
		return c.err
	case size-c.nodes > maxAliased:
		return d.errorAt(d.Root, "", "aliases repeat more than %d nodes", maxAliased)
	}
	return nil
}

type checker struct {
	doc *Document
	at  path
	// nodes counts all, keys those that are keys.
	nodes, keys int
	// sizes of anchored nodes with their aliases expanded; -1 while a node
	// is being visited.
	sizes map[*yaml.Node]int
	// given are the keys of the small mappings being visited, innermost last.
	given []namedKey
	err   *Error
}

type namedKey struct {
	name string
	node *yaml.Node
}

// smallMapping is the number of keys up to which comparing is cheaper than
// hashing.
const smallMapping = 16

// node checks a node and returns its size with aliases expanded.
func (c *checker) node(n *yaml.Node) int {
	c.nodes++
	if n.Kind == yaml.AliasNode {
		size, seen := c.sizes[n.Alias]
		if seen && size < 0 {
			c.fail(n, "an anchor cannot contain an alias to itself")
		}
		return 1 + max(size, 0)
	}
	if n.Anchor != "" {
		c.sizes[n] = -1
	}
	size := 1
	switch n.Kind {
	case yaml.SequenceNode:
		for i, value := range n.Content {
			c.at.push(item(i))
			size += c.node(value)
			c.at.pop()
		}
	case yaml.MappingNode:
		size += c.mapping(n)
	case yaml.ScalarNode:
		if scalar(n).kind == badValue {
			c.fail(n, "does not fit its tag, or is a number that JSON cannot hold")
		}
	default:
	}
	size = min(size, maxAliased*2) // no overflow
	if n.Anchor != "" {
		c.sizes[n] = size
	}
	return size
}

func (c *checker) mapping(n *yaml.Node) int {
	size, outer := 0, len(c.given)
	var index map[string]*yaml.Node
	if len(n.Content)/2 > smallMapping {
		index = make(map[string]*yaml.Node, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		size += c.node(key)
		c.keys++
		name, ok := keyString(key)
		if !ok {
			c.fail(key, "a key must be a word, have %s", Describe(key))
			continue
		}
		if isMerge(key) && !isMergeable(value) {
			c.fail(value, "<< wants an alias to a mapping, or a list of them")
		}
		c.at.push(field(name))
		if !isMerge(key) {
			c.once(name, key, outer, index)
		}
		size += c.node(value)
		c.at.pop()
	}
	c.given = c.given[:outer]
	return size
}

// once checks that a key has not been given before: in index, or for small
// mappings in c.given from outer on.
func (c *checker) once(name string, key *yaml.Node, outer int, index map[string]*yaml.Node) {
	first := index[name]
	for _, k := range c.given[outer:] {
		if k.name == name {
			first = k.node
		}
	}
	if first != nil {
		c.fail(key, "is given twice, first in line %d", c.doc.src.Position(c.doc.offset(first)).Line)
	}
	if index != nil {
		index[name] = key
	} else {
		c.given = append(c.given, namedKey{name, key})
	}
}

// fail keeps the first error.
func (c *checker) fail(n *yaml.Node, format string, args ...any) {
	if c.err == nil {
		c.err = c.doc.errorAt(n, c.at.String(), format, args...)
	}
}

func isMergeable(n *yaml.Node) bool {
	if resolve(n).Kind == yaml.MappingNode {
		return true
	}
	if n.Kind != yaml.SequenceNode {
		return false
	}
	for _, value := range n.Content {
		if resolve(value).Kind != yaml.MappingNode {
			return false
		}
	}
	return true
}

// pair is an entry of a mapping.
type pair struct {
	key, value *yaml.Node
}

// pairs lists the entries of a mapping in the order in which kubectl sets them:
// a later one replaces an earlier one of the same name, merged or not.
func pairs(n *yaml.Node) []pair {
	out := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !isMerge(key) {
			out = append(out, pair{key, value})
			continue
		}
		if value.Kind != yaml.SequenceNode {
			out = append(out, pairs(resolve(value))...)
			continue
		}
		for _, merged := range slices.Backward(value.Content) { // earlier ones count more
			out = append(out, pairs(resolve(merged))...)
		}
	}
	return out
}
