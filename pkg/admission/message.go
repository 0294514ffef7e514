package admission

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is said. API servers cut warnings at 256 characters and all
// of them together at 4096; events and terminals want less than a page.
const (
	maxFindings = 10
	maxNames    = 10
	maxWarnings = 10
	maxWarning  = 256
	maxLine     = 1024
	maxAudit    = 1024
)

// clean makes text that may come from an object safe to show: no control or
// invisible characters, no line breaks, at most limit bytes.
func clean(text string, limit int) string {
	harmless := func(r rune) bool {
		return !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) && r != utf8.RuneError && r != '\u2028' && r != '\u2029'
	}
	ascii := true
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			ascii = false
			break
		}
	}
	if !ascii {
		text = strings.Map(func(r rune) rune {
			if harmless(r) {
				return r
			}
			return ' '
		}, text)
	}
	return cut(text, limit)
}

// cut shortens text to limit bytes, at the end of a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	end := max(0, limit-len(mark))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// warning is a text fit for a warning.
func warning(text string) string { return clean(text, maxWarning) }

// listNames writes the first names of a list, and how many there are beyond.
func listNames(names []string) string {
	if len(names) <= maxNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}

// asBadRequest makes an error of reading a review an HTTP 400. Parsers quote
// their input, which may be a secret: only those of our own are passed on.
func asBadRequest(doing string, err error) error {
	if status, ok := errors.AsType[*statusError](err); ok {
		return &statusError{status.code, doing + ": " + status.message}
	}
	return &statusError{http.StatusBadRequest, doing + ": " + withoutValue(err)}
}

// withoutValue says what kind of error a parser met, without the text it read.
func withoutValue(err error) string {
	text := err.Error()
	for _, known := range []string{"unexpected end of JSON", "invalid character", "exceeded max depth", "cannot unmarshal"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return "not what the API describes"
}
