package report

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// visible makes text safe for a terminal and for every other medium that shows
// it on one line. What does not print (control characters, ANSI escapes,
// bidirectional overrides, zero-width characters, line separators, invalid
// UTF-8) becomes a Go escape such as \n, \x1b or \u202e; so does the sign that
// would make a workflow command of it. The rest stays.
func visible(s string) string { return inert(escapeUnless(s, unicode.IsPrint)) }

// visibleASCII is visible for terminals that show nothing but ASCII.
func visibleASCII(s string) string {
	return inert(escapeUnless(s, func(r rune) bool { return r < utf8.RuneSelf && unicode.IsPrint(r) }))
}

// commandStart is where a line of a log could begin with ::command::.
var commandStart = regexp.MustCompile(`(^|\s)::([A-Za-z])`)

// inert breaks the two forms of workflow commands that GitHub's runner obeys in
// whatever a step prints: ::command:: at the start of a line, leading spaces or
// not, and ##[command] anywhere. With ::stop-commands:: a manifest could keep
// its own findings from being shown.
func inert(s string) string {
	if strings.Contains(s, "##[") {
		s = strings.ReplaceAll(s, "##[", `#\x23[`)
	}
	if strings.Contains(s, "::") {
		s = commandStart.ReplaceAllString(s, `${1}\x3a:${2}`)
	}
	return s
}

// lines is visible for a text of several lines, such as a fix: it escapes each
// and keeps the line ends.
func lines(s string) string {
	list := strings.Split(s, "\n")
	for i := range list {
		list[i] = visible(list[i])
	}
	return strings.Join(list, "\n")
}

func escapeUnless(s string, keep func(rune) bool) string {
	clean := true
	for i, r := range s {
		if !keep(r) || r == utf8.RuneError && invalidAt(s, i) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i, r := range s {
		switch {
		case r == utf8.RuneError && invalidAt(s, i):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case keep(r):
			b.WriteRune(r)
		case r == ' ':
			b.WriteString(`\x20`) // strconv takes a space for printable
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// invalidAt tells whether the rune at i stands for a byte that is not UTF-8.
func invalidAt(s string, i int) bool {
	_, size := utf8.DecodeRuneInString(s[i:])
	return size == 1
}

// markdownEscapes leaves plain text where GitHub's Markdown would see markup,
// HTML, mathematics or an address. Escaping more than these makes the source
// unreadable; what means something at the start of a line only is kept away
// from there by the writer.
var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `|`, `\|`, `~`, `\~`, `#`, `\#`,
	`&`, `&amp;`, `<`, `&lt;`, `>`, `&gt;`,
	`$`, `&#36;`,
	`://`, `&#58;//`, `www.`, `www&#46;`,
	`@`, `@&#8203;`, // a zero-width space, so that nobody is notified
)

// markdown escapes text for the inside of a line or table cell of Markdown.
func markdown(s string) string { return markdownEscapes.Replace(visible(s)) }

// markdownCode puts text into a code span that also holds inside a table.
func markdownCode(s string) string {
	s = visible(s)
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.Trim(s, " ") == "" {
		pad = " "
	}
	return fence + pad + strings.ReplaceAll(s, "|", `\|`) + pad + fence
}

// markdownInline keeps the code spans of text that has them, such as a fix, and
// escapes the rest.
func markdownInline(s string) string {
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 {
		return markdown(s) // unbalanced: no spans
	}
	for i, part := range parts {
		if i%2 == 0 {
			parts[i] = markdown(part)
		} else {
			parts[i] = markdownCode(part)
		}
	}
	return strings.Join(parts, "")
}

// htmlText escapes text for HTML, in elements and in quoted attributes.
func htmlText(s string) string { return html.EscapeString(visible(s)) }

var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// workflowData escapes the message of a GitHub workflow command. Lines of ours
// are joined with "\n" after visible has made those of others harmless.
func workflowData(lines ...string) string {
	shown := make([]string, len(lines))
	for i, l := range lines {
		shown[i] = visible(l)
	}
	return commandData.Replace(strings.Join(shown, "\n"))
}

// workflowProperty escapes a property of a GitHub workflow command.
func workflowProperty(s string) string { return commandProperty.Replace(visible(s)) }

var sarifEscapes = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`)

// sarifText escapes text for a SARIF message, where brackets make links
// (SARIF 2.1.0, 3.11.6).
func sarifText(s string) string { return sarifEscapes.Replace(visible(s)) }

// printable is a writer that escapes every character that does not print, line
// ends excepted, and the # of a workflow command. It is for encoders that leave
// such characters raw inside quoted strings: the values stay the same, and
// neither a terminal nor a runner obeys them. Each Write must hold a whole text.
type printable struct {
	w      io.Writer
	escape func(rune) string
}

func (p printable) Write(text []byte) (int, error) {
	from := 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf && text[i] != 0x7f && text[i] != '#' {
			i++ // encoders escape the ASCII control characters themselves
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if !unicode.IsPrint(r) || r == '#' && bytes.HasPrefix(text[i:], []byte("##[")) {
			if _, err := p.w.Write(text[from:i]); err != nil {
				return from, fmt.Errorf("write report: %w", err)
			}
			if _, err := io.WriteString(p.w, p.escape(r)); err != nil {
				return i, fmt.Errorf("write report: %w", err)
			}
			from = i + size
		}
		i += size
	}
	if _, err := p.w.Write(text[from:]); err != nil {
		return from, fmt.Errorf("write report: %w", err)
	}
	return len(text), nil
}

// jsonEscape escapes a character inside a JSON string.
func jsonEscape(r rune) string {
	if hi, lo := utf16.EncodeRune(r); hi != unicode.ReplacementChar {
		return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// yamlEscape escapes a character inside a double-quoted YAML scalar.
func yamlEscape(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
