// Package yamledit adds members to the lists and maps of YAML and JSON files
// and keeps everything else as it is: comments, order, quotes, line ends.
//
// An edit is text put between what stands there already. What it amounts to is
// not trusted: [File.Bytes] reads the result and compares it with the values
// that were asked for, so that anchors, merges and forms nobody thought of end
// in an error, not in a broken file.
package yamledit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// Member is something to add to an object.
type Member struct {
	// Path is the list or map that gets it, as field.Path prints it. It is made
	// where it is absent.
	Path string
	// Key is its key when Path is a map; "" when it is a list.
	Key string
	// Value is its value in the types of encoding/json.
	Value any
}

// File is a file that is being edited.
type File struct {
	src        *yamltree.Source
	docs       []document
	insertions []insertion
}

type document struct {
	root yamltree.Node
	json bool
	// dash is how far the dashes of lists stand right of their keys.
	dash int
	// want is the value of the document after the edits.
	want any
}

// insertion is text to put before the byte at an offset.
type insertion struct {
	at   int
	text string
	// depth of the collection that gets it: of two at one offset, the deeper
	// one comes first.
	depth int
	// inLine is set for text inside a line, not of lines of its own.
	inLine bool
}

// Parse reads a file.
func Parse(data []byte) (*File, error) {
	src, err := yamltree.NewSource(data)
	if err != nil {
		return nil, err
	}
	f := &File{src: src}
	for _, chunk := range src.Split() {
		docs, err := src.Parse(chunk)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			root := doc.Tree().Root()
			start, _ := root.Range()
			f.docs = append(f.docs, document{
				root: root, json: start < len(data) && data[start] == '{', dash: dashOf(root), want: doc.Value(doc.Root),
			})
		}
	}
	return f, nil
}

// Add adds members to the object whose name stands at a position. Items of a
// List are objects too.
func (f *File) Add(name yamltree.Position, members []Member) error {
	for i := range f.docs {
		for _, object := range objects(f.docs[i].root) {
			start, _ := object.node.Locate("metadata.name")
			if f.src.Position(start) == name {
				return f.add(&f.docs[i], object, members)
			}
		}
	}
	return fmt.Errorf("no object is named at line %d", name.Line)
}

// object is an object and the path to it in its document.
type object struct {
	node yamltree.Node
	path string
}

func objects(root yamltree.Node) []object {
	out := []object{{root, ""}}
	if items, ok := root.Find("items"); ok && items.Kind() == yamltree.Sequence {
		i := 0
		for item := range items.Children() {
			out = append(out, object{item, fmt.Sprintf("items[%d].", i)})
			i++
		}
	}
	return out
}

func (f *File) add(doc *document, o object, members []Member) error {
	var paths []string
	groups := map[string][]Member{}
	for _, m := range members {
		if groups[m.Path] == nil {
			paths = append(paths, m.Path)
		}
		groups[m.Path] = append(groups[m.Path], m)
	}
	for _, path := range paths {
		ins, err := f.insertion(doc, o.node, path, groups[path])
		if err != nil {
			return err
		}
		f.insertions = append(f.insertions, ins)
		for _, m := range groups[path] {
			doc.want = with(doc.want, split(o.path+path), m)
		}
	}
	return nil
}

// insertion finds out how to add members to the collection at a path.
func (f *File) insertion(doc *document, object yamltree.Node, path string, members []Member) (insertion, error) {
	node, steps := object, split(path)
	depth := 0
	for ; depth < len(steps); depth++ {
		child, ok := node.Find(steps[depth])
		if !ok {
			break
		}
		if child.Kind() == yamltree.Alias {
			start, _ := child.Range()
			return insertion{}, fmt.Errorf("%s is an alias (line %d)", strings.Join(steps[:depth+1], "."), f.src.Position(start).Line)
		}
		node = child
	}
	add := addition{doc: doc, newline: f.newline(), items: members}
	for _, step := range slices.Backward(steps[depth:]) {
		if strings.HasPrefix(step, "[") {
			return insertion{}, fmt.Errorf("%s is not there", path)
		}
		add = add.below(step)
	}
	ins, err := f.insertInto(node, add)
	ins.depth = depth
	if err != nil {
		return ins, fmt.Errorf("%s: %w", path, err)
	}
	return ins, nil
}

func (f *File) insertInto(node yamltree.Node, add addition) (insertion, error) {
	start, end := node.Range()
	switch {
	case node.Kind() == yamltree.Scalar:
		keyStart, keyEnd, ok := node.KeyRange()
		if start != end || !ok {
			return insertion{}, errors.New("is a single value")
		}
		indent := f.column(keyStart)
		if add.isList() {
			indent += add.doc.dash
		} else {
			indent += indentStep
		}
		return f.lines(keyEnd, add.block(indent)), nil
	case node.Style() == yamltree.Flow:
		return f.inBrackets(node, add), nil
	}
	return f.lines(end, add.block(f.column(start))), nil
}

// lines inserts whole lines after the line that holds the last byte before end.
func (f *File) lines(end int, text string) insertion {
	data := f.src.Bytes()
	if end > 0 && data[end-1] == '\n' { // of a block scalar
		return insertion{at: end, text: text}
	}
	if n := bytes.IndexByte(data[end:], '\n'); n >= 0 {
		return insertion{at: end + n + 1, text: text}
	}
	newline := f.newline()
	return insertion{at: len(data), text: newline + strings.TrimSuffix(text, newline)}
}

// inBrackets inserts behind the last member of a collection in brackets. A
// member that has a line of its own is followed by another one.
func (f *File) inBrackets(node yamltree.Node, add addition) insertion {
	start, _ := node.Range()
	at, first := start+1, -1
	for child := range node.Children() {
		var end int
		first, end = child.Range()
		if keyStart, keyEnd, ok := child.KeyRange(); ok {
			first, end = keyStart, max(end, keyEnd)
		}
		at = end
	}
	text := add.flow()
	if first < 0 {
		return insertion{at: at, text: text, inLine: true}
	}
	data := f.src.Bytes()
	line := bytes.LastIndexByte(data[:first], '\n') + 1
	if before := data[line:first]; line > start && len(bytes.TrimSpace(before)) == 0 {
		return insertion{at: at, text: "," + f.newline() + string(before) + text, inLine: true}
	}
	return insertion{at: at, text: ", " + text, inLine: true}
}

// Bytes returns the edited file. It returns an error when the file would not
// say what it should.
func (f *File) Bytes() ([]byte, error) {
	var out bytes.Buffer
	data, done := f.src.Bytes(), 0
	for _, ins := range f.sorted() {
		out.Write(data[done:ins.at])
		out.WriteString(ins.text)
		done = ins.at
	}
	out.Write(data[done:])

	edited, err := Parse(out.Bytes())
	if err != nil {
		return nil, errors.New("its form is too unusual to edit")
	}
	same := func(a, b document) bool { return reflect.DeepEqual(a.want, b.want) }
	if !slices.EqualFunc(f.docs, edited.docs, same) {
		return nil, errors.New("its form is too unusual to edit (an anchor, perhaps)")
	}
	return out.Bytes(), nil
}

// sorted returns the insertions in the order of the text.
func (f *File) sorted() []insertion {
	return slices.SortedStableFunc(slices.Values(f.insertions), func(a, b insertion) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.depth, a.depth))
	})
}

func (f *File) column(offset int) int { return f.src.Position(offset).Column - 1 }

// newline is how the first line of the file ends.
func (f *File) newline() string {
	data := f.src.Bytes()
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// dashOf returns how far dashes stand right of the keys of their lists, as the
// first list shows it.
func dashOf(root yamltree.Node) int {
	dash, found := 0, false
	var walk func(yamltree.Node)
	walk = func(n yamltree.Node) {
		if found || n.Kind() == yamltree.Alias {
			return
		}
		keyStart, _, ok := n.KeyRange()
		if start, end := n.Range(); ok && n.Kind() == yamltree.Sequence && n.Style() == yamltree.Block && start < end {
			src := n.Source()
			dash, found = src.Position(start).Column-src.Position(keyStart).Column, true
			return
		}
		for child := range n.Children() {
			walk(child)
		}
	}
	walk(root)
	return dash
}

// split cuts a path at its dots and before its brackets.
func split(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
}

// with returns a tree with a member added at a path. It shares with the old
// tree what did not change.
func with(tree any, steps []string, m Member) any {
	if len(steps) == 0 {
		if m.Key == "" {
			list, _ := tree.([]any)
			return append(slices.Clone(list), m.Value)
		}
		return set(tree, m.Key, m.Value)
	}
	if list, ok := tree.([]any); ok {
		list = slices.Clone(list)
		for i := range list {
			if fmt.Sprintf("[%d]", i) == steps[0] {
				list[i] = with(list[i], steps[1:], m)
			}
		}
		return list
	}
	old, _ := tree.(map[string]any)
	return set(tree, steps[0], with(old[steps[0]], steps[1:], m))
}

func set(tree any, key string, value any) map[string]any {
	out := map[string]any{}
	if old, ok := tree.(map[string]any); ok {
		maps.Copy(out, old)
	}
	out[key] = value
	return out
}
