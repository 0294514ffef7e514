package yamltree

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseOne reads the only document of a text.
func parseOne(t *testing.T, text string) *Document {
	t.Helper()
	src, err := NewSource([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var docs []*Document
	for _, c := range src.Split() {
		more, err := src.Parse(c)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		docs = append(docs, more...)
	}
	if len(docs) != 1 {
		t.Fatalf("got %d documents, want 1", len(docs))
	}
	return docs[0]
}

// show formats a range as line:column-line:column and its text.
func show(src *Source, start, end int) string {
	from, to := src.Position(start), src.Position(end)
	return fmt.Sprintf("%d:%d-%d:%d %s", from.Line, from.Column, to.Line, to.Column, src.data[start:end])
}

func TestLocate(t *testing.T) {
	for _, tc := range []struct{ name, text, path, want string }{
		{"plain", "a: b c\n", "a", "1:4-1:7 b c"},
		{"plain with comment", "a: b # c\n", "a", "1:4-1:5 b"},
		{"plain with hash", "a: b#c\n", "a", "1:4-1:7 b#c"},
		{"plain at end of file", "a: b", "a", "1:4-1:5 b"},
		{"plain over lines", "a: b\n  c\n\n  d # e\nf: g\n", "a", "1:4-4:4 b\n  c\n\n  d"},
		{"plain number", "a: 0x1F\n", "a", "1:4-1:8 0x1F"},
		{"colon in plain", "a: b:c\n", "a", "1:4-1:7 b:c"},
		{"trailing space", "a: b   \nc: d", "a", "1:4-1:5 b"},
		{"CRLF", "a: b\r\nc: d\r\n", "c", "2:4-2:5 d"},
		{"lone CR", "a: b\rc: d\r", "c", "2:4-2:5 d"},
		{"byte order mark", "\ufeffa: b\n", "a", "1:4-1:5 b"},
		{"not ASCII before", "a: [é, b]\n", "a[1]", "1:8-1:9 b"},
		{"not ASCII", "é: 漢字\n", "é", "1:4-1:6 漢字"},
		{"astral", "a: [😀, b]\n", "a[1]", "1:8-1:9 b"},
		{"line separator ends no line", "a: [\"x\u2028y\",\n  b]\n", "a[1]", "2:3-2:4 b"},
		{"single quoted", "a: 'b ''c'' #' # d\n", "a", "1:4-1:15 'b ''c'' #'"},
		{"double quoted", "a: \"b \\\" c\" # d\n", "a", "1:4-1:12 \"b \\\" c\""},
		{"double quoted over lines", "a: \"b\n  c\\\n  d\"\n", "a", "1:4-3:5 \"b\n  c\\\n  d\""},
		{"empty string", "a: ''\n", "a", "1:4-1:6 ''"},
		{"literal", "a: |\n  b\n   c\n\nd: e\n", "a", "1:4-3:5 |\n  b\n   c"},
		{"literal with comment and indicators", "a: |2- # x\n    b\n  c\nd: e\n", "a", "1:4-3:4 |2- # x\n    b\n  c"},
		{"literal then comment", "a:\n  b: |\n    c\n # d\n", "a.b", "2:6-3:6 |\n    c"},
		{"literal in list", "- |\n b\n- c\n", "[0]", "1:3-2:3 |\n b"},
		{"folded", "a: >-\n  b\n  c\n", "a", "1:4-3:4 >-\n  b\n  c"},
		{"empty literal", "a: |\nb: c\n", "a", "1:4-1:5 |"},
		{"block mapping", "a:\n  b: c\n  d: e # f\ng: h\n", "a", "2:3-3:7 b: c\n  d: e"},
		{"block list", "a:\n  - b\n  - c # d\ne: f\n", "a", "2:3-3:6 - b\n  - c"},
		{"list without indentation", "a:\n- b\n- c\nd: e\n", "a", "2:1-3:4 - b\n- c"},
		{"list item", "a:\n- b: c\n  d: e\n- f\n", "a[0]", "2:3-3:7 b: c\n  d: e"},
		{"nested lists", "- - a\n  - b\n", "[0][1]", "2:5-2:6 b"},
		{"flow mapping", "a: {b: c, 'd': e} # f\n", "a", "1:4-1:18 {b: c, 'd': e}"},
		{"in flow mapping", "a: {b: c, 'd': e} # f\n", "a.d", "1:16-1:17 e"},
		{"flow list over lines", "a: [b, # x]\n  c,\n]\n", "a", "1:4-3:2 [b, # x]\n  c,\n]"},
		{"pair in flow list", "a: [b: c, d]\n", "a[0].b", "1:8-1:9 c"},
		{"empty flow", "a: { }\n", "a", "1:4-1:7 { }"},
		{"question mark", "? a\n: b\n", "a", "2:3-2:4 b"},
		{"alias", "a: &x b\nc: *x\n", "c", "2:4-2:6 *x"},
		{"below an alias", "a: &x {b: {c: d}}\ne: *x\n", "e.b.c", "2:4-2:6 *x"},
		{"anchor", "a: &x b\n", "a", "1:7-1:8 b"},
		{"anchor of a list", "a: &x # y\n  - b\n", "a", "2:3-2:6 - b"},
		{"tag", "a: !!str 12\n", "a", "1:10-1:12 12"},
		{"verbatim tag", "a: !<tag:yaml.org,2002:str> 12\n", "a", "1:29-1:31 12"},
		{"merged", "x: &x {a: 1, b: 2}\nz:\n  <<: *x\n  a: 3\n", "z.b", "3:7-3:9 *x"},
		{"set after the merge", "x: &x {a: 1, b: 2}\nz:\n  <<: *x\n  a: 3\n", "z.a", "4:6-4:7 3"},
		{"set before the merge", "x: &x {a: 1, b: 2}\nz:\n  a: 3\n  <<: *x\n", "z.a", "4:7-4:9 *x"},
		{"merged from a list", "x: &x {a: 1}\ny: &y {b: 2}\nz:\n  <<: [*x, *y]\n", "z.b", "4:7-4:15 [*x, *y]"},
		{"marker line", "# x\n--- # y\na: b\n", "a", "3:4-3:5 b"},
		{"value on marker line", "--- {a: b}\n", "a", "1:9-1:10 b"},
		{"directive", "%YAML 1.1\n---\na: b\n", "a", "3:4-3:5 b"},
		{"key in brackets", "a:\n  foo/bar.baz: c\n", "a[foo/bar.baz]", "2:16-2:17 c"},
		{"key with bracket", "a:\n  'b]c': d\n", "a[b]c]", "2:10-2:11 d"},
		{"key with escape", "a:\n  \"\\x62\": d\n", "a.b", "2:11-2:12 d"},
		{"key that is a number", "a:\n  0x10: d\n", "a.16", "2:9-2:10 d"},
		{"key that is a boolean", "on: d\n", "true", "1:5-1:6 d"},
		{"JSON", "{\"a\": [1, {\"b\": \"c\\u00e9\"}]}", "a[1].b", "1:17-1:26 \"c\\u00e9\""},
		{"JSON surrogates", "{\"a\": \"\\ud83d\\ude00\",\n\t\"b\": true}", "b", "2:7-2:11 true"},

		{"null shows the key", "a:\n  b:\nc: d\n", "a.b", "2:3-2:4 b"},
		{"null with anchor shows the key", "a:\n  b: &x\nc: d\n", "a.b", "2:3-2:4 b"},
		{"absent shows the parent's key", "a:\n  b:\n    c: d\n", "a.b.e.f", "2:3-2:4 b"},
		{"absent in scalar", "a:\n  b: c\n", "a.b.c", "2:3-2:4 b"},
		{"absent item shows the list's key", "a:\n- b\n", "a[1]", "1:1-1:2 a"},
		{"absent in named item", "a:\n- image: x\n  name: y\n", "a[0].env", "3:9-3:10 y"},
		{"absent in item without name", "a:\n- image: x\n", "a[0].env", "2:3-2:8 image"},
		{"absent in empty item", "a:\n- {}\n", "a[0].env", "2:3-2:5 {}"},
		{"absent below an alias", "a: &x {b: c}\nd: *x\n", "d.e", "2:4-2:6 *x"},
		{"absent at the top", "kind: Pod\nmetadata:\n  name: x\n", "spec.containers", "3:9-3:10 x"},
		{"object", "kind: Pod\nmetadata:\n  name: x\n", "", "3:9-3:10 x"},
		{"object with generated name", "metadata:\n  generateName: x-\n", "", "2:17-2:19 x-"},
		{"object without name", "kind: Pod\n", "spec", "1:7-1:10 Pod"},
		{"nothing known", "a: b\n", "spec", "1:1-1:2 a"},
		{"absent in metadata", "metadata:\n  name: x\n", "metadata.labels[a]", "1:1-1:9 metadata"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := parseOne(t, tc.text)
			start, end := doc.Tree().Root().Locate(tc.path)
			if got := show(doc.src, start, end); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNodeForEdits(t *testing.T) {
	doc := parseOne(t, "spec:\n  containers:\n    - name: a\n      env: [{name: b}]\n")
	root := doc.Tree().Root()
	list, ok := root.Find("spec.containers")
	if !ok {
		t.Fatal("spec.containers not found")
	}
	start, _ := list.Range()
	if got := doc.src.Position(start).Column; got != 5 || list.Kind() != Sequence || list.Style() != Block {
		t.Errorf("got column %d, kind %d, style %d, want a block list at column 5", got, list.Kind(), list.Style())
	}
	env, _ := root.Find("spec.containers[0].env")
	if env.Style() != Flow || env.Text() != "[{name: b}]" {
		t.Errorf("got style %d and text %q, want a flow list", env.Style(), env.Text())
	}
	var keys []string
	item, _ := root.Find("spec.containers[0]")
	for child := range item.Children() {
		start, end, _ := child.KeyRange()
		keys = append(keys, string(child.Source().Bytes()[start:end]))
	}
	if diff := cmp.Diff([]string{"name", "env"}, keys); diff != "" {
		t.Errorf("keys of the item (-want +got):\n%s", diff)
	}
	if _, ok := root.Find("spec.containers[0].image"); ok {
		t.Error("found spec.containers[0].image, want it absent")
	}
}

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"one", "a: b\n", []string{"a: b\n"}},
		{"marker first", "---\na: b\n", []string{"---\na: b\n"}},
		{"two", "a: b\n---\nc: d\n", []string{"a: b\n", "---\nc: d\n"}},
		{"CRLF", "a: b\r\n---\r\nc: d\r\n", []string{"a: b\r\n", "---\r\nc: d\r\n"}},
		{"marker is a line of its own", "a: |\n  ---\nb: c---\n---d\n----\n", []string{"a: |\n  ---\nb: c---\n---d\n----\n"}},
		{"directive stays with its document", "a: b\n...\n%YAML 1.1\n---\nc: d\n", []string{"a: b\n...\n%YAML 1.1\n", "---\nc: d\n"}},
		{"directive first", "# x\n%YAML 1.1\n---\nc: d\n---\ne: f\n", []string{"# x\n%YAML 1.1\n---\nc: d\n", "---\ne: f\n"}},
		{"byte order mark", "\ufeff---\na: b\n---", []string{"---\na: b\n", "---"}},
		{"empty", "", []string{""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, err := NewSource([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range src.Split() {
				got = append(got, tc.text[c.Start:c.End])
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("chunks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"tab", "a:\n  b: c\n\td: e\n", "3:1 is indented with a tab: YAML wants spaces"},
		{"colon in value", "a: b\nc: d: e\n", `2:5 ":" is not allowed here: check the indentation, or quote the value`},
		{"indentation", "a:\n  b: c\n d: e\n", "3:2 the indentation does not fit the lines above"},
		{"open quote", "a: b\nc: 'd\ne: f\n", "2:4 this quote is never closed"},
		{"open list", "a: [b,\nc: d\n", `3:1 want "," or "]": a list in brackets is not closed`},
		{"at sign", "a: @b\n", "1:4 a value cannot start with '@': quote it"},
		{"escape", `a: "\q"`, `1:5 unknown escape sequence: write \\ for a backslash, or use single quotes`},
		{"no key", "a: b\nc\nd: e\n", `2:1 want "key: value"`},
		{"unknown anchor", "a: *secret\n", "1:4 no anchor of this name stands before this alias: a value that starts with * wants quotes"},
		{"key twice", "a:\n  b: 1\n  c: 2\n  'b': 3\n", "4:3 a.b: is given twice, first in line 2"},
		{"key twice in JSON", `{"a": [{"b": 1, "b": 2}]}`, "1:17 a[0].b: is given twice, first in line 1"},
		{"key twice by type", "1: a\n0x1: b\n", "2:1 1: is given twice, first in line 1"},
		{"key twice in a large mapping", manyKeys(40) + "k3: x\n", "41:1 k3: is given twice, first in line 4"},
		{"list as key", "a:\n  ? [b]\n  : c\n", "2:5 a: a key must be a word, have a list"},
		{"null as key", "a:\n  ~: c\n", "2:3 a: a key must be a word, have nothing"},
		{"number JSON cannot hold", "a: .nan\n", "1:4 a: does not fit its tag, or is a number that JSON cannot hold"},
		{"tag", "a: !!int b\n", "1:4 a: does not fit its tag, or is a number that JSON cannot hold"},
		{"alias in itself", "a: &x\n  b: *x\n", "2:6 a.b: an anchor cannot contain an alias to itself"},
		{"merge of a scalar", "a: &x 1\nb:\n  <<: *x\n", "3:7 b: << wants an alias to a mapping, or a list of them"},
		{"billion laughs", laughs(12), "1:1 aliases repeat more than 400000 nodes"},
		{"not UTF-8", "a: b\nc: \xff\n", "2:4 is not UTF-8: byte 0xff"},
		{"not UTF-8 in JSON", "{\"a\": \"\xff\"}", "1:8 is not UTF-8"},
		{"NUL", "a: \x00\n", "1:4 holds a NUL byte: this is no text file"},
		{"control character", "a: \x1b[0m\n", "1:4 holds the control character U+001B"},
		{"JSON comma", `{"a": 1 "b": 2}`, "1:9 is not JSON: invalid character '\"' after object key:value pair"},
		{"JSON stream", "{\"a\": 1}\n{\"b\": tru}", "2:10 is not JSON: invalid character '}' in literal true (expecting 'e')"},
		{"JSON cut off", "{\"a\": [1, 2\n", "1:12 ends in the middle of a JSON value"},
		{"depth", strings.Repeat("[", 20000), "1:10001 is nested too deep"},
		{"depth of JSON", strings.Repeat(`{"a":`, 20000), "1:1 is nested too deep"},
		{"directive", "%FOO\n---\na: b\n", "1:5 is not YAML: while scanning a directive: found unknown directive name"},
		{"trailing text", "{a: b} c\n", "1:8 want the end of the document, or --- before another one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, err := NewSource([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			for _, c := range src.Split() {
				_, err := src.Parse(c)
				if e, ok := errors.AsType[*Error](err); ok {
					p := src.Position(e.Offset)
					got = fmt.Sprintf("%d:%d %v", p.Line, p.Column, e)
				}
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: v\n", i)
	}
	return b.String()
}

// laughs nests lists of aliases: n levels are 8^n nodes.
func laughs(n int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := range n {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 8), ","))
	}
	return b.String()
}

func TestUTF16(t *testing.T) {
	for _, text := range []string{"\xff\xfea\x00", "\xfe\xff\x00a"} {
		if _, err := NewSource([]byte(text)); err == nil || err.Error() != "is UTF-16: save it as UTF-8" {
			t.Errorf("NewSource(%q): got %v, want it refused as UTF-16", text, err)
		}
	}
}

func TestBrokenDocumentLeavesOthers(t *testing.T) {
	src, err := NewSource([]byte("a: 1\n---\na: b: c\n---\na: 2\n...\n---\n# nothing\n"))
	if err != nil {
		t.Fatal(err)
	}
	docs, errs := 0, 0
	for _, c := range src.Split() {
		got, err := src.Parse(c)
		docs += len(got)
		if err != nil {
			errs++
		}
	}
	if docs != 2 || errs != 1 {
		t.Errorf("got %d documents and %d errors, want 2 and 1", docs, errs)
	}
}
