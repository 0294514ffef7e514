package yamledit

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// indentStep is how far the members of a map stand right of its key.
const indentStep = 2

// addition is what a collection gets: members of one list or of one map.
type addition struct {
	doc     *document
	newline string
	items   []Member
}

func (a addition) isList() bool { return a.items[0].Key == "" }

// below returns the addition of a as the value of a new key.
func (a addition) below(key string) addition {
	var value any
	if a.isList() {
		var list []any
		for _, m := range a.items {
			list = append(list, m.Value)
		}
		value = list
	} else {
		tree := map[string]any{}
		for _, m := range a.items {
			tree[m.Key] = m.Value
		}
		value = tree
	}
	a.items = []Member{{Key: key, Value: value}}
	return a
}

// block writes the addition as lines.
func (a addition) block(indent int) string {
	w := writer{newline: a.newline, dash: a.doc.dash}
	for _, m := range a.items {
		if m.Key == "" {
			w.item(indent, m.Value)
		} else {
			w.entry(indent, m.Key, m.Value)
		}
	}
	return w.text.String()
}

// flow writes the addition as it stands inside brackets.
func (a addition) flow() string {
	w := writer{json: a.doc.json}
	for i, m := range a.items {
		if i > 0 {
			w.text.WriteString(", ")
		}
		if m.Key != "" {
			w.text.WriteString(w.scalar(m.Key) + ": ")
		}
		w.flow(m.Value)
	}
	return w.text.String()
}

// writer writes values of encoding/json.
type writer struct {
	text    strings.Builder
	newline string
	dash    int
	json    bool
}

func (w *writer) entry(indent int, key string, value any) {
	w.text.WriteString(strings.Repeat(" ", indent) + w.scalar(key) + ":")
	switch v := value.(type) {
	case map[string]any:
		w.text.WriteString(w.newline)
		for _, k := range keys(v) {
			w.entry(indent+indentStep, k, v[k])
		}
	case []any:
		w.text.WriteString(w.newline)
		for _, item := range v {
			w.item(indent+w.dash, item)
		}
	default:
		w.text.WriteString(" " + w.scalar(v) + w.newline)
	}
}

func (w *writer) item(indent int, value any) {
	tree, ok := value.(map[string]any)
	if !ok {
		w.text.WriteString(strings.Repeat(" ", indent) + "- " + w.scalar(value) + w.newline)
		return
	}
	// The entries as they stand below each other, with the first indent
	// turned into a dash.
	inner := writer{newline: w.newline, dash: w.dash}
	for _, k := range keys(tree) {
		inner.entry(indent+indentStep, k, tree[k])
	}
	w.text.WriteString(strings.Repeat(" ", indent) + "- " + inner.text.String()[indent+indentStep:])
}

func (w *writer) flow(value any) {
	switch v := value.(type) {
	case map[string]any:
		w.text.WriteByte('{')
		for i, k := range keys(v) {
			if i > 0 {
				w.text.WriteString(", ")
			}
			w.text.WriteString(w.scalar(k) + ": ")
			w.flow(v[k])
		}
		w.text.WriteByte('}')
	case []any:
		w.text.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				w.text.WriteString(", ")
			}
			w.flow(item)
		}
		w.text.WriteByte(']')
	default:
		w.text.WriteString(w.scalar(v))
	}
}

// plainText is a string that YAML 1.1 reads as itself without quotes, unless it
// is one of words.
var (
	plainText = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)
	words     = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

func (w *writer) scalar(value any) string {
	if s, ok := value.(string); ok && !w.json && plainText.MatchString(s) && !words.MatchString(s) {
		return s
	}
	text, err := json.Marshal(value)
	if err != nil { // not a value of encoding/json: File.Bytes refuses the result
		return "null"
	}
	return string(text)
}

// keys orders the keys of a map as people do: the name first.
func keys(tree map[string]any) []string {
	return slices.SortedFunc(maps.Keys(tree), func(a, b string) int {
		return cmp.Or(-compareBool(a == "name", b == "name"), cmp.Compare(a, b))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
