package admission

import (
	"bytes"
	"errors"
	"fmt"

	"sigs.k8s.io/json"
)

var errTruncated = errors.New("unexpected end of JSON")

// members calls visit for each member of a JSON object, with the text of its
// value. It finds the end of values without parsing them: it checks no more of
// them than that strings end and brackets are balanced. Its depth is bounded
// by nothing, for it does not recurse.
func members(text []byte, visit func(name string, value []byte) error) error {
	i := space(text, 0)
	if i >= len(text) || text[i] != '{' {
		return errors.New("want a JSON object")
	}
	i = space(text, i+1)
	if i < len(text) && text[i] == '}' {
		return atEnd(text, i+1)
	}
	for {
		name, next, err := memberName(text, i)
		if err != nil {
			return err
		}
		i = space(text, next)
		if i >= len(text) || text[i] != ':' {
			return fmt.Errorf("want ':' at offset %d", i)
		}
		i = space(text, i+1)
		end, err := skip(text, i)
		if err != nil {
			return err
		}
		if err := visit(name, text[i:end]); err != nil {
			return err
		}
		i = space(text, end)
		switch {
		case i >= len(text):
			return errTruncated
		case text[i] == '}':
			return atEnd(text, i+1)
		case text[i] != ',':
			return fmt.Errorf("want ',' or '}' at offset %d", i)
		}
		i = space(text, i+1)
	}
}

func atEnd(text []byte, i int) error {
	if i = space(text, i); i < len(text) {
		return fmt.Errorf("text after the end at offset %d", i)
	}
	return nil
}

// memberName reads the name of a member.
func memberName(text []byte, i int) (name string, next int, err error) {
	if i >= len(text) || text[i] != '"' {
		return "", i, fmt.Errorf("want the name of a member at offset %d", i)
	}
	end, err := skipString(text, i)
	if err != nil {
		return "", i, err
	}
	if bytes.IndexByte(text[i:end], '\\') < 0 {
		return string(text[i+1 : end-1]), end, nil
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(text[i:end], &name); err != nil {
		return "", i, fmt.Errorf("name of a member at offset %d: %w", i, err)
	}
	return name, end, nil
}

func space(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// skip returns the offset after the value that begins at i.
func skip(text []byte, i int) (int, error) {
	if i >= len(text) {
		return i, errTruncated
	}
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipNested(text, i)
	case '}', ']', ',', ':':
		return i, fmt.Errorf("want a value at offset %d", i)
	}
	for i < len(text) && !bytes.ContainsRune([]byte(",}] \n\t\r"), rune(text[i])) {
		i++
	}
	return i, nil
}

func skipNested(text []byte, i int) (int, error) {
	depth := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			end, err := skipString(text, i)
			if err != nil {
				return end, err
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1, nil
			}
		}
		i++
	}
	return i, errTruncated
}

func skipString(text []byte, i int) (int, error) {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1, nil
		}
	}
	return len(text), errTruncated
}
