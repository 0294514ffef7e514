package yamltree

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

var seeds = []string{
	"a: b\nc: [1, {d: e}]\n", "a: |2-\n    b\n  c\nd: >\n e\n\n f\n", "a: &x {b: c}\nd: *x\ne:\n  <<: *x\n  b: y\n",
	"{\"a\": [\"\\u00e9\", 1e3, -0, true, null]}", "? a\n: - b\n  - - c\n", "a: 'it''s'\nb: \"x\\\n  y\"\n", "é: !!str 漢\u2028\n",
	"%YAML 1.1\n--- # x\na: !<tag:yaml.org,2002:int> 1\n...\n---\nb:\n", "\ufeffa:\r\n- b\r\n-\r\n", "yes: no\n1.0: 0x10\n", "&a b: *a\n",
	"a: b\n c\n\n d\ne: [f: g, h]\n", "&0:0", "-.0:", "!, 0", "- |\n  x\n# y\n-\tz\n", laughs(3),
}

// FuzzDocument holds what must be true of every text that can be read.
func FuzzDocument(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		src, err := NewSource(data)
		if err != nil {
			return
		}
		for _, c := range src.Split() {
			docs, err := src.Parse(c)
			if err != nil {
				if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(data) || e.Message == "" {
					t.Errorf("error %v does not lie in the file", err)
				}
			}
			for _, doc := range docs {
				checkTree(t, doc)
				if len(docs) == 1 && err == nil {
					checkValue(t, doc)
				}
			}
		}
	})
}

// checkTree walks the nodes and their skeleton side by side.
func checkTree(t *testing.T, doc *Document) {
	t.Helper()
	root := doc.Tree().Root()
	var walk func(n *yaml.Node, at Node, where path)
	walk = func(n *yaml.Node, at Node, where path) {
		start, end := at.Range()
		if start < doc.chunk.Start || end < start || end > doc.chunk.End {
			t.Fatalf("%s: range %d-%d is not in the document %+v", where, start, end, doc.chunk)
		}
		if n.Kind == yaml.ScalarNode && at.Style() == Plain && !strings.ContainsAny(at.Text(), "\r\n\u0085\u2028\u2029") && at.Text() != n.Value {
			t.Errorf("%s: text %q of the plain scalar %q", where, at.Text(), n.Value)
		}
		step, i := 1, 0
		if n.Kind == yaml.MappingNode {
			step = 2
		}
		if n.Kind == yaml.AliasNode {
			return
		}
		for child := range at.Children() {
			here := where.with(item(i))
			if step == 2 {
				name, _ := keyString(n.Content[i])
				here = where.with(field(name))
				if !isMerge(n.Content[i]) && !child.hasKey(name) {
					t.Errorf("%s: the skeleton lost the key", here)
				}
			}
			childStart, childEnd := child.Range()
			if childStart < start || childEnd > end {
				t.Errorf("%s: range %d-%d is not in its parent's %d-%d", here, childStart, childEnd, start, end)
			}
			walk(n.Content[i+step-1], child, here)
			i += step
		}
		if i != len(n.Content) {
			t.Errorf("%s: %d of %d children", where, i, len(n.Content))
		}
		if start, end := root.Locate(where.String()); start < doc.chunk.Start || end > doc.chunk.End || end < start {
			t.Errorf("%s: located at %d-%d, not in the document", where, start, end)
		}
	}
	walk(doc.Root, root, nil)
}

// checkValue compares with what kubectl reads.
func checkValue(t *testing.T, doc *Document) {
	t.Helper()
	text := doc.src.data[doc.chunk.Start:doc.chunk.End]
	if doc.Root.Line == 0 || strings.Contains(string(text), "!") {
		return // JSON; tags that are no tags ("! x") are read otherwise
	}
	data, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return
	}
	var want any
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, roundTrip(t, doc.Value(doc.Root))); diff != "" {
		t.Errorf("value (-kubectl +got):\n%s", diff)
	}
}

func roundTrip(t *testing.T, value any) any {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
