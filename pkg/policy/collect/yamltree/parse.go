package yamltree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Document is one parsed document. It is not safe for concurrent use; the Tree
// and the values made from it are.
type Document struct {
	// Root is the value of the document.
	Root *yaml.Node

	src   *Source
	chunk Chunk
	lines lineIndex
	nodes int // without those that aliases repeat
}

// Parse reads the documents of a chunk. Those before a broken one are returned
// with the error, which is always an *Error.
func (s *Source) Parse(c Chunk) ([]*Document, error) {
	text := s.data[c.Start:c.End]
	if !looksLikeJSON(text) {
		return s.parse(c, (*Source).parseYAML)
	}
	docs, err := s.parse(c, (*Source).parseJSON)
	if err == nil {
		return docs, nil
	}
	// What begins like JSON may be YAML in flow style.
	yamlDocs, yamlErr := s.parse(c, (*Source).parseYAML)
	if yamlErr != nil && meantAsJSON(text) {
		return docs, err
	}
	return yamlDocs, yamlErr
}

// parse reads and checks the documents of a chunk.
func (s *Source) parse(c Chunk, read func(*Source, Chunk) ([]*yaml.Node, error)) ([]*Document, error) {
	roots, err := read(s, c)
	var docs []*Document
	for _, root := range roots {
		doc := &Document{Root: root, src: s, chunk: c}
		if checkErr := doc.check(); checkErr != nil {
			return docs, checkErr
		}
		docs = append(docs, doc)
	}
	return docs, err
}

// parseYAML reads with the scanner kubectl uses. It panics on some broken
// input, which is an error like any other here.
func (s *Source) parseYAML(c Chunk) (roots []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Offset: c.Start, Message: "is not YAML that can be read"}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(s.data[c.Start:c.End]))
	for {
		var node yaml.Node
		switch err := dec.Decode(&node); {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return roots, s.diagnose(c, err)
		}
		if root := node.Content[0]; root.Kind != yaml.ScalarNode || root.Value != "" {
			roots = append(roots, root)
		}
	}
}

func looksLikeJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}

// meantAsJSON tells whether the first key is quoted, so that a person would
// call it JSON.
func meantAsJSON(text []byte) bool {
	text = bytes.TrimLeft(bytes.TrimLeft(text, " \t\r\n")[1:], " \t\r\n")
	return len(text) == 0 || text[0] == '"'
}

// offset is where a node starts, in bytes from the start of the file.
func (d *Document) offset(n *yaml.Node) int {
	if n.Line == 0 { // made by parseJSON
		return n.Column
	}
	return d.lines.offset(d.src, d.chunk, n.Line, n.Column)
}

func (d *Document) errorAt(n *yaml.Node, path, format string, args ...any) *Error {
	return &Error{Offset: d.offset(n), Path: path, Message: fmt.Sprintf(format, args...)}
}

// lineIndex finds the offset of a line and column of a chunk, as the YAML
// scanner counts them. The zero value is ready for use.
type lineIndex struct {
	starts []uint32
	// The last answer: nodes come in order, so that the next one on the same
	// line is found from here. Without it a long line costs quadratic time.
	line, column, at int
}

func (l *lineIndex) offset(s *Source, c Chunk, line, column int) int {
	if l.starts == nil {
		l.starts = startsOfYAMLLines(s.data[:c.End], c.Start)
	}
	if line > len(l.starts) {
		return c.End
	}
	start := int(l.starts[line-1])
	if s.ascii {
		return min(start+column-1, c.End)
	}
	if line != l.line || column < l.column {
		l.line, l.column, l.at = line, 1, start
	}
	for ; l.column < column && l.at < c.End; l.column++ {
		_, size := utf8.DecodeRune(s.data[l.at:c.End])
		l.at += size
	}
	return l.at
}

// startsOfYAMLLines finds the lines as the YAML scanner counts them: U+0085,
// U+2028 and U+2029 end a line too.
func startsOfYAMLLines(data []byte, from int) []uint32 {
	lines := make([]uint32, 1, 2+bytes.Count(data[from:], []byte{'\n'}))
	lines[0] = offset32(from)
	for i := from; i < len(data); i++ {
		if n := yamlBreak(data[i:]); n > 0 {
			i += n - 1
			lines = append(lines, offset32(i+1))
		}
	}
	return lines
}

// yamlBreak returns the length of the line break at the start of text, 0 when
// there is none.
func yamlBreak[T string | []byte](text T) int {
	switch text[0] {
	case '\n':
		return 1
	case '\r':
		if len(text) > 1 && text[1] == '\n' {
			return 2
		}
		return 1
	case 0xC2:
		if len(text) > 1 && text[1] == 0x85 {
			return 2
		}
	case 0xE2:
		if len(text) > 2 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9) {
			return 3
		}
	}
	return 0
}
