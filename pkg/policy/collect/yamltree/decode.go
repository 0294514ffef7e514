package yamltree

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxErrors bounds the errors reported of one object.
const maxErrors = 10

// Decode sets the value that into points to from a node of the document, by the
// rules of the API server: JSON names, case matters, fields it does not know
// are passed over, types must fit. It returns every field that does not fit,
// at most ten; the value is then incomplete.
//
// Errors have paths from n.
func (d *Document) Decode(n *yaml.Node, into any) []*Error {
	dec := decoder{doc: d}
	dec.decode(n, reflect.ValueOf(into).Elem())
	return dec.errs
}

// Value returns the node as maps, slices, strings, int64, float64, bool and nil.
func (d *Document) Value(n *yaml.Node) any {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		entries := pairs(n)
		out := make(map[string]any, len(entries))
		for _, p := range entries {
			key, _ := keyString(p.key)
			out[key] = d.Value(p.value)
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = d.Value(item)
		}
		return out
	default:
		return scalar(n).any()
	}
}

// Child returns the value of a key of a mapping, nil when there is none.
func Child(n *yaml.Node, name string) *yaml.Node {
	if n == nil {
		return nil
	}
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var found *yaml.Node
	for _, p := range pairs(n) {
		if key, ok := keyString(p.key); ok && key == name {
			found = resolve(p.value)
		}
	}
	return found
}

// Text returns the string a node holds; false when it holds something else.
func Text(n *yaml.Node) (string, bool) {
	if n == nil || n.Kind != yaml.ScalarNode {
		return "", false
	}
	v := scalar(n)
	return v.text, v.kind == stringValue
}

type decoder struct {
	doc  *Document
	at   path
	errs []*Error
	// alias is the outermost alias that is being followed: errors point there.
	alias *yaml.Node
}

func (d *decoder) fail(n *yaml.Node, message string) { d.failAt(n, d.at, message) }

func (d *decoder) failAt(n *yaml.Node, at path, message string) {
	if len(d.errs) == maxErrors {
		return
	}
	if d.alias != nil {
		n = d.alias
	}
	d.errs = append(d.errs, &Error{Offset: d.doc.offset(n), Path: at.String(), Message: message})
}

// want reports a value of the wrong type. A scalar that would be right as a
// string says so.
func (d *decoder) want(n *yaml.Node, what string) {
	message := "want " + what + ", have " + Describe(n)
	if what == wantString && n.Kind == yaml.ScalarNode && n.Value != "" {
		message += ": quote it"
	}
	d.fail(n, message)
}

const wantString = "a string"

func (d *decoder) decode(n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		if d.alias == nil {
			d.alias = n
			defer func() { d.alias = nil }()
		}
		n = n.Alias
	}
	var s value
	if n.Kind == yaml.ScalarNode {
		if s = scalar(n); s.kind == nullValue {
			return
		}
		if v.Kind() == reflect.String && s.kind == stringValue {
			v.SetString(s.text) // most of an object; no string reads JSON itself
			return
		}
	}
	t := typeOf(v.Type())
	switch {
	case t.unmarshaler:
		d.unmarshal(n, v)
	case v.Kind() == reflect.Pointer:
		elem := reflect.New(v.Type().Elem())
		d.decode(n, elem.Elem())
		v.Set(elem)
	case v.Kind() == reflect.Struct:
		d.decodeStruct(n, v, t)
	case v.Kind() == reflect.Map:
		d.decodeMap(n, v)
	case t.bytes:
		d.decodeBytes(n, v)
	case v.Kind() == reflect.Slice:
		d.decodeSlice(n, v)
	case v.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(d.doc.Value(n)))
	default:
		d.decodeScalar(n, s, v)
	}
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, t *typeInfo) {
	if n.Kind != yaml.MappingNode {
		d.want(n, "a mapping")
		return
	}
	d.eachPair(n, func(key, value *yaml.Node) {
		name, _ := keyString(key)
		index, ok := t.fields[name]
		if !ok {
			return
		}
		target := v.FieldByIndex(index)
		target.SetZero() // a merge may have set it
		d.at.push(field(name))
		d.decode(value, target)
		d.at.pop()
	})
}

// eachPair calls f for the entries of a mapping in the order of pairs. Without
// merges, the usual case, that is the order of the text.
func (*decoder) eachPair(n *yaml.Node, f func(key, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			for _, p := range pairs(n) {
				f(p.key, p.value)
			}
			return
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], n.Content[i+1])
	}
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.want(n, "a mapping")
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	d.eachPair(n, func(key, value *yaml.Node) {
		name, _ := keyString(key)
		elem := reflect.New(v.Type().Elem()).Elem()
		d.at.push(step{kind: keyStep, name: name})
		d.decode(value, elem)
		d.at.pop()
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), elem)
	})
}

func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.want(n, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, value := range n.Content {
		d.at.push(item(i))
		d.decode(value, v.Index(i))
		d.at.pop()
	}
}

// decodeBytes reads base64, the form of a []byte in JSON.
func (d *decoder) decodeBytes(n *yaml.Node, v reflect.Value) {
	text, ok := Text(n)
	if !ok {
		d.want(n, wantString)
		return
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		d.fail(n, "is not base64: text in clear belongs into stringData")
		return
	}
	v.SetBytes(data)
}

// decodeScalar sets a value from a scalar; n is another node and s nothing when
// the types do not fit.
func (d *decoder) decodeScalar(n *yaml.Node, s value, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		d.want(n, wantString)
	case reflect.Bool:
		if s.kind != boolValue {
			d.want(n, "true or false")
			return
		}
		v.SetBool(s.truth)
	case reflect.Float32, reflect.Float64:
		switch s.kind {
		case intValue:
			v.SetFloat(float64(s.int))
		case floatValue:
			v.SetFloat(s.float)
		default:
			d.want(n, "a number")
		}
	default:
		d.decodeInt(n, s, v)
	}
}

func (d *decoder) decodeInt(n *yaml.Node, s value, v reflect.Value) {
	switch {
	case s.kind == floatValue:
		d.fail(n, "want a whole number of at most 64 bits")
	case s.kind != intValue:
		d.want(n, "a whole number")
	case v.CanInt() && !v.OverflowInt(s.int):
		v.SetInt(s.int)
	case v.CanUint() && s.int >= 0 && !v.OverflowUint(uint64(s.int)):
		v.SetUint(uint64(s.int))
	default:
		d.fail(n, "is too large, or negative where that cannot be")
	}
}

// unmarshal hands a node to a type that reads JSON itself.
func (d *decoder) unmarshal(n *yaml.Node, v reflect.Value) {
	if unmarshalJSON(d.doc.Value(n), v) == nil {
		return
	}
	b := blame{doc: d.doc, into: v.Type(), node: n, at: d.at, wrap: func(value any) any { return value }}
	b.narrow()
	have := ", have " + Describe(b.node)
	switch what := wantOf(b.into); {
	case what != "":
		d.failAt(b.node, b.at, "want "+what+have)
	case b.enum && resolve(b.node).Kind == yaml.ScalarNode:
		d.failAt(b.node, b.at, strconv.Quote(resolve(b.node).Value)+" is none of the values this field can have")
	default:
		d.failAt(b.node, b.at, "has a value of the wrong type"+have)
	}
}

func unmarshalJSON(value any, v reflect.Value) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(data)
}

// blame finds the innermost node that a type refuses. The type tells only that
// it refuses the whole, so every part is tried by itself.
type blame struct {
	doc  *Document
	into reflect.Type
	node *yaml.Node // refused, as far as is known
	at   path
	wrap func(any) any // puts a value of node into the containers around it
	enum bool          // it is a word that is not among those that are known
}

// narrow moves to the first part of the node that is refused, and on in there.
func (b *blame) narrow() {
	n, outer := resolve(b.node), b.wrap
	switch n.Kind {
	case yaml.MappingNode:
		for _, p := range pairs(n) {
			name, _ := keyString(p.key)
			if b.refuses(p.value, field(name), func(value any) any { return outer(map[string]any{name: value}) }) {
				b.narrow()
				return
			}
		}
	case yaml.SequenceNode:
		for i, part := range n.Content {
			if b.refuses(part, item(i), func(value any) any { return outer([]any{value}) }) {
				b.narrow()
				return
			}
		}
	default:
	}
}

// refuses tries one part of the node, and moves there if the type refuses it.
func (b *blame) refuses(n *yaml.Node, s step, wrap func(any) any) bool {
	err := unmarshalJSON(wrap(b.doc.Value(n)), reflect.New(b.into).Elem())
	if err != nil {
		b.node, b.at, b.wrap, b.enum = n, b.at.with(s), wrap, strings.Contains(err.Error(), "enum")
	}
	return err != nil
}
