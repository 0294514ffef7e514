package yamltree

import "strconv"

// Find returns the node at a path below n, in the text form of field.Path:
// spec.containers[0].env[3].value, metadata.annotations[foo/bar.baz]. A path
// that leads through an alias or a merge ends at the node it stands for.
// It returns false when there is no such node.
func (n Node) Find(path string) (Node, bool) {
	f := n.follow(path, nil)
	return f.node, f.missing == ""
}

// Locate returns the range, in bytes, at which to point for a path below n: the
// value itself or, where something of its way is an alias, the alias.
//
// For what is absent it is the key of the nearest parent that exists; for list
// items the value of their name; and for what is absent at the top the value of
// metadata.name.
func (n Node) Locate(path string) (start, end int) {
	f := n.follow(path, nil)
	if f.missing != "" || path == "" {
		return f.nearest(n)
	}
	if start, end = f.shown().Range(); start == end {
		return f.nearest(n)
	}
	return start, end
}

// Trail returns the nodes on the way to a path below n, n not included. It
// returns false when the last of them is not what the path names.
func (n Node) Trail(path string) (nodes []Node, complete bool) {
	f := n.follow(path, func(node Node) { nodes = append(nodes, node) })
	return nodes, f.missing == ""
}

// found is how far a path could be followed.
type found struct {
	node Node // the last one on the path
	// alias is the first alias or merge on the way.
	alias    Node
	hasAlias bool
	item     bool   // node is a list item
	missing  string // the rest of the path
}

// shown is the node to point at: what an alias stands for is used elsewhere
// too, and not what has to change here.
func (f *found) shown() Node {
	if f.hasAlias {
		return f.alias
	}
	return f.node
}

// follow walks down a path and shows every node on the way to visit.
func (n Node) follow(path string, visit func(Node)) found {
	f := found{node: n}
	if n.Kind() == Alias {
		f.pin(n)
	}
	for path != "" {
		segment, rest := nextSegment(path)
		child, ok := f.step(segment)
		if !ok {
			f.missing = path
			return f
		}
		f.item = f.node.target().Kind() == Sequence
		f.node = child
		if visit != nil {
			visit(child)
		}
		if child.Kind() == Alias {
			f.pin(child)
		}
		path = rest
	}
	return f
}

func (f *found) pin(alias Node) {
	if !f.hasAlias {
		f.alias, f.hasAlias = alias, true
	}
}

// step finds a child. Of a mapping with merges it is the last one of that name,
// as the last one counts.
func (f *found) step(segment string) (Node, bool) {
	in := f.node.target()
	if in.Kind() == Sequence {
		index, err := strconv.Atoi(segment)
		for child := range in.Children() {
			if index == 0 && err == nil {
				return child, true
			}
			index--
		}
		return Node{}, false
	}
	var last, merged Node
	ok := false
	for child := range in.Children() {
		switch {
		case child.entry().merge:
			if target, found := child.lookMerged(segment); found {
				last, merged, ok = target, child, true
			}
		case child.hasKey(segment):
			last, merged, ok = child, Node{}, true
		}
	}
	if merged.tree != nil {
		f.pin(merged)
	}
	return last, ok
}

// lookMerged finds a key in the value of a merge key.
func (n Node) lookMerged(name string) (Node, bool) {
	if n.Kind() == Sequence {
		for item := range n.Children() { // earlier ones count more
			if child, ok := item.lookMerged(name); ok {
				return child, true
			}
		}
		return Node{}, false
	}
	f := found{node: n}
	return f.step(name)
}

// nearest is where to point for what is absent below the last node.
func (f *found) nearest(root Node) (start, end int) {
	switch name, ok := f.node.Find("name"); {
	case f.hasAlias:
		return f.alias.Range()
	case f.node.id == root.id:
		return root.nameRange()
	case f.item && ok && name.Kind() == Scalar:
		if start, end = name.Range(); start < end {
			return start, end
		}
	}
	if start, end, ok := f.node.KeyRange(); ok {
		return start, end
	}
	// A list item without a name: its first key or, when it has none, itself.
	for child := range f.node.Children() {
		if start, end, ok := child.KeyRange(); ok {
			return start, end
		}
		break
	}
	if start, end = f.node.Range(); start < end {
		return start, end
	}
	return root.nameRange()
}

// nameRange is where an object says what it is: its name, else its kind, else
// its first line.
func (n Node) nameRange() (start, end int) {
	for _, path := range []string{"metadata.name", "metadata.generateName", "name", "kind"} {
		if node, ok := n.Find(path); ok {
			if start, end = node.Range(); start < end {
				return start, end
			}
		}
	}
	for child := range n.Children() {
		if start, end, ok := child.KeyRange(); ok {
			return start, end
		}
		break
	}
	return n.Range()
}
