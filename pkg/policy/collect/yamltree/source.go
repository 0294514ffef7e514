package yamltree

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"
)

// MaxSize is the largest file in bytes whose offsets fit into a Tree.
const MaxSize = 1<<32 - 1

// Error says what is wrong with a document, in words for its author. It never
// holds a value of the document other than a boolean.
type Error struct {
	// Offset is where in the Source, in bytes.
	Offset int
	// Path is the field in the text form of field.Path; empty when the text
	// as such is broken.
	Path    string
	Message string
}

// Error returns the message, after the path when there is one.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Position is a place in a file: line and column count from 1, columns in
// Unicode characters.
type Position struct {
	Line, Column int
}

// Source is the text of one file. It is safe for concurrent use.
type Source struct {
	data  []byte
	ascii bool
	lines func() []uint32
}

var (
	bomUTF8    = []byte("\xef\xbb\xbf")
	bomUTF16BE = []byte("\xfe\xff")
	bomUTF16LE = []byte("\xff\xfe")
)

// NewSource takes the text of a file, which must not change afterwards. It
// refuses text that is not meant to be UTF-8.
func NewSource(data []byte) (*Source, error) {
	switch {
	case len(data) > MaxSize:
		return nil, &Error{Message: fmt.Sprintf("is larger than %d bytes", MaxSize)}
	case bytes.HasPrefix(data, bomUTF16BE), bytes.HasPrefix(data, bomUTF16LE):
		return nil, &Error{Message: "is UTF-16: save it as UTF-8"}
	}
	s := &Source{data: data, ascii: isASCII(data)}
	s.lines = sync.OnceValue(s.startsOfLines)
	return s, nil
}

// offset32 converts an offset in a Source, which is at most MaxSize.
func offset32(offset int) uint32 { return uint32(offset) } //nolint:gosec // see above

// Bytes returns the text.
func (s *Source) Bytes() []byte { return s.data }

// Position converts an offset in bytes. An offset beyond the end means the end.
func (s *Source) Position(offset int) Position {
	offset = max(0, min(offset, len(s.data)))
	lines := s.lines()
	line, found := slices.BinarySearch(lines, offset32(offset))
	if !found {
		line = max(line-1, 0)
	}
	start := min(int(lines[line]), offset)
	if s.ascii {
		return Position{line + 1, offset - start + 1}
	}
	return Position{line + 1, utf8.RuneCount(s.data[start:offset]) + 1}
}

// startsOfLines finds the lines as editors and GitHub count them, which is not
// how YAML does: a Unicode line separator does not count.
func (s *Source) startsOfLines() []uint32 {
	lines := make([]uint32, 1, 1+bytes.Count(s.data, []byte{'\n'}))
	if bytes.HasPrefix(s.data, bomUTF8) {
		lines[0] = offset32(len(bomUTF8)) // editors do not show it
	}
	for i, c := range s.data {
		if c == '\n' || c == '\r' && (i+1 == len(s.data) || s.data[i+1] != '\n') {
			lines = append(lines, offset32(i+1))
		}
	}
	return lines
}

func isASCII(data []byte) bool {
	for _, c := range data {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Chunk is a stretch of a Source that is read by itself: a YAML document with
// the marker before it, or a stream of JSON values.
type Chunk struct {
	Start, End int // offsets in bytes
}

// Split cuts the text at document markers. A chunk may hold no document at all
// (nothing but comments), or several when they are ended by "...".
func (s *Source) Split() []Chunk {
	start := 0
	if bytes.HasPrefix(s.data, bomUTF8) {
		start = len(bomUTF8)
	}
	var chunks []Chunk
	for at := start; ; {
		marker := s.nextMarker(at)
		if marker < 0 {
			return append(chunks, Chunk{start, len(s.data)})
		}
		at = marker + len("---")
		if marker > start && !onlyDirectives(s.data[start:marker]) {
			chunks = append(chunks, Chunk{start, marker})
			start = marker
		}
	}
}

// nextMarker finds the next "---" that stands alone at the start of a line.
func (s *Source) nextMarker(from int) int {
	for {
		i := bytes.Index(s.data[from:], []byte("---"))
		if i < 0 {
			return -1
		}
		i += from
		from = i + 1
		if i > 0 && s.data[i-1] != '\n' && s.data[i-1] != '\r' && (i != len(bomUTF8) || !bytes.HasPrefix(s.data, bomUTF8)) {
			continue
		}
		if end := i + len("---"); end == len(s.data) || isSpace(s.data[end]) {
			return i
		}
	}
}

// onlyDirectives tells whether text is the prologue of the document that
// follows it: %YAML or %TAG, which a marker must follow.
func onlyDirectives(text []byte) bool {
	found := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
		case line[0] == '%':
			found = true
		default:
			return false
		}
	}
	return found
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
