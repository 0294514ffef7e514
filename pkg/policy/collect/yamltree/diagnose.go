package yamltree

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	yamlv4 "go.yaml.in/yaml/v4"
)

// diagnose says where a chunk is broken and what to do about it, given the
// error of the parser.
//
// What is YAML is for yaml/v3 to say: its scanner is the one kubectl has. But
// its errors have no column and often the wrong line; those of yaml/v4 have
// both.
func (s *Source) diagnose(c Chunk, err error) *Error {
	text := s.data[c.Start:c.End]
	if at, message := badCharacter(text); at >= 0 {
		return &Error{Offset: c.Start + at, Message: message}
	}
	problem, line := cutPrefixes(err.Error())
	var lines lineIndex
	e := &Error{Offset: lines.offset(s, c, line, 1)}
	where := problem
	if v4 := locate(text); v4 != nil {
		problem = v4.Message
		mark := v4.Mark
		// Where the quote opened, where the key stands.
		if v4.ContextMark.Line > 0 && (strings.HasPrefix(problem, "found unexpected") || strings.HasPrefix(problem, "could not find")) {
			mark = v4.ContextMark
		}
		e.Offset = lines.offset(s, c, max(mark.Line, 1), max(mark.Column, 1))
		where = strings.TrimPrefix(v4.ContextMsg+": "+problem, ": ")
	}
	if tab := tabIndent(s.data[:c.End], e.Offset, c.Start); tab >= 0 {
		return &Error{Offset: tab, Message: "is indented with a tab: YAML wants spaces"}
	}
	e.Message = s.explain(where, e.Offset, c)
	return e
}

// locate parses once more, for the position.
func locate(text []byte) (found *yamlv4.LoadError) {
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	dec := yamlv4.NewDecoder(bytes.NewReader(text))
	for {
		var node yamlv4.Node
		if err := dec.Decode(&node); err != nil {
			if loadErr, ok := errors.AsType[*yamlv4.LoadError](err); ok && loadErr.Mark.Line > 0 {
				return loadErr
			}
			return nil
		}
	}
}

var linePrefix = regexp.MustCompile(`^line (\d+): `)

// cutPrefixes takes "yaml: line N:" off a message.
func cutPrefixes(message string) (problem string, line int) {
	problem = strings.TrimPrefix(message, "yaml: ")
	line = 1
	if m := linePrefix.FindStringSubmatch(problem); m != nil {
		line, _ = strconv.Atoi(m[1])
		problem = problem[len(m[0]):]
	}
	return problem, max(line, 1)
}

// badCharacter finds what may not stand in a YAML file at all.
func badCharacter(text []byte) (at int, message string) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1:
			return i, fmt.Sprintf("is not UTF-8: byte 0x%02x", text[i])
		case r == 0:
			return i, "holds a NUL byte: this is no text file"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == unicode.MaxLatin1, r == 0x7f:
			return i, fmt.Sprintf("holds the control character U+%04X", r)
		}
		i += size
	}
	return -1, ""
}

// tabIndent finds a tab in the indentation of the line of an offset.
func tabIndent(text []byte, at, start int) int {
	at = min(at, len(text))
	line := max(bytes.LastIndexAny(text[:at], "\r\n")+1, start)
	for i := line; i < len(text) && (text[i] == ' ' || text[i] == '\t'); i++ {
		if text[i] == '\t' {
			return i
		}
	}
	return -1
}

// explain puts a message of the parser into words for who wrote the file.
func (s *Source) explain(problem string, at int, c Chunk) string {
	for _, p := range []struct{ parser, words string }{
		{"mapping values are not allowed", `":" is not allowed here: check the indentation, or quote the value`},
		{"did not find expected key", "the indentation does not fit the lines above"},
		{"did not find expected '-' indicator", `want a list item ("- …"): check the indentation`},
		{"block sequence entries are not allowed", `"- " is not allowed here: check the indentation`},
		{"did not find expected ',' or ']'", `want "," or "]": a list in brackets is not closed`},
		{"did not find expected ',' or '}'", `want "," or "}": a mapping in braces is not closed`},
		{"could not find expected ':'", `want "key: value"`},
		{"found unexpected end of stream", "this quote is never closed"},
		{"found unexpected document indicator", "this quote is not closed before the document ends"},
		{"unknown escape character", `unknown escape sequence: write \\ for a backslash, or use single quotes`},
		{"unknown anchor", "no anchor of this name stands before this alias: a value that starts with * wants quotes"},
		{"did not find expected <document start>", "want the end of the document, or --- before another one"},
		{"exceeded max depth", "is nested too deep"},
		{"did not find expected alphabetic or numeric character", "a value that starts with * or & wants quotes"},
	} {
		if strings.Contains(problem, p.parser) {
			return p.words
		}
	}
	if strings.Contains(problem, "cannot start any token") && at < c.End {
		r, _ := utf8.DecodeRune(s.data[at:c.End])
		return fmt.Sprintf("a value cannot start with %q: quote it", r)
	}
	return "is not YAML: " + problem
}
