package collect

import (
	"bytes"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// textFile is a file that made an object but is not the text of it: a template
// or a kustomization. Places in it are found by what stands there.
type textFile struct {
	name  string
	src   *yamltree.Source
	lines []textLine
}

type textLine struct {
	start int    // offset of text
	text  string // without indentation, dash and line break
}

func newTextFile(name string, src *yamltree.Source) *textFile {
	t := &textFile{name: name, src: src}
	offset := 0
	for line := range bytes.Lines(src.Bytes()) {
		text := strings.TrimRight(string(line), " \t\r\n")
		trimmed := strings.TrimLeft(text, " \t-")
		t.lines = append(t.lines, textLine{offset + len(text) - len(trimmed), trimmed})
		offset += len(line)
	}
	return t
}

// textPositions are those of a rendered object in the file that made it.
type textPositions struct {
	file *textFile
	root yamltree.Node // of the rendered object
	// rendered are the positions in the text that was given; they are the
	// answer for a value that does not stand in file. May be nil.
	rendered policy.Positions
}

// Locate implements policy.Positions. It follows the path through the text:
// from the line with the kind on, each key and each name of a list item is
// looked for after the one before. The value itself counts only where it stands
// literally.
func (p textPositions) Locate(path string) (policy.Region, bool) {
	s := search{file: p.file, at: -1}
	if kind, ok := p.root.Find("kind"); ok {
		s.find("kind", kind.Text())
	}
	trail, complete := p.root.Trail(path)
	if len(trail) == 0 { // the object itself, or something that it lacks
		if name, ok := p.root.Find("metadata.name"); ok {
			s.find("name", name.Text())
		}
		return s.region(), true
	}
	// lost: a list item does not stand in the file by its name (a loop made
	// it), so keys below it would be those of another one.
	lost := false
	for i, node := range trail {
		last := complete && i == len(trail)-1
		switch key, ok := node.Key(); {
		case ok && last && node.Kind() == yamltree.Scalar:
			if !s.find(key, node.Text()) {
				if lost && p.rendered != nil {
					return p.rendered.Locate(path)
				}
				if !lost {
					s.find(key, "")
				}
			}
		case ok:
			s.find(key, "")
		case last && node.Kind() == yamltree.Scalar:
			s.find("", node.Text())
		default:
			if name, ok := node.Find("name"); ok && !s.find("name", name.Text()) {
				lost = true
			}
		}
	}
	return s.region(), true
}

// search is a place in a text that moves forward.
type search struct {
	file       *textFile
	at         int // line; -1 before the first
	start, end int // offsets of what was found
}

// find moves to the next line that is "key: value", "key:" when value is
// empty, or "value" when key is. It stays where it is when there is none.
func (s *search) find(key, value string) bool {
	if strings.ContainsAny(value, "\r\n") || key == "" && value == "" {
		return false
	}
	for i := max(s.at, 0); i < len(s.file.lines); i++ {
		line := s.file.lines[i]
		keyLen, rest := 0, line.text
		if key != "" {
			var ok bool
			if keyLen, ok = keyAt(line.text, key); !ok {
				continue
			}
			rest = strings.TrimLeft(line.text[keyLen+len(":"):], " \t")
		}
		switch start := line.start + len(line.text) - len(rest); {
		case value == "":
			s.at, s.start, s.end = i, line.start, line.start+keyLen
			return true
		case sameScalar(rest, value):
			s.at, s.start, s.end = i, start, start+scalarLen(rest)
			return true
		}
	}
	return false
}

// keyAt returns the length of a key that a line begins with, quotes included.
func keyAt(line, key string) (length int, ok bool) {
	for _, quote := range []string{"", `"`, "'"} {
		if quoted := quote + key + quote; strings.HasPrefix(line, quoted+":") {
			return len(quoted), true
		}
	}
	return 0, false
}

// sameScalar tells whether a text begins with a scalar of the same content,
// whatever the quotes.
func sameScalar(text, value string) bool {
	return unquote(text[:scalarLen(text)]) == unquote(value)
}

// scalarLen returns the length of the scalar at the start of a text.
func scalarLen(text string) int {
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		if end := strings.IndexByte(text[1:], text[0]); end >= 0 {
			return end + 2
		}
	}
	if i := strings.Index(text, " #"); i >= 0 {
		text = text[:i]
	}
	return len(strings.TrimRight(text, " \t"))
}

func unquote(text string) string {
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[0] == text[len(text)-1] {
		return text[1 : len(text)-1]
	}
	return text
}

// region is what was found, else the first line.
func (s *search) region() policy.Region {
	if s.at < 0 && len(s.file.lines) > 0 {
		line := s.file.lines[0]
		return region(s.file.name, s.file.src, line.start, line.start+len(line.text))
	}
	return region(s.file.name, s.file.src, s.start, s.end)
}
