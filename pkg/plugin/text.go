package plugin

import (
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// plainMarkdown renders the Markdown of a check for a terminal: paragraphs are
// filled, lists and code keep their lines, marks that only printers need go.
func plainMarkdown(md string) string {
	var out []string
	var paragraph, table []string
	flush := func() {
		out = append(out, alignTable(table)...)
		table = nil
		if len(paragraph) > 0 {
			out = append(out, fill(plain(strings.Join(paragraph, " ")), 80, ""))
			paragraph = nil
		}
	}
	code := false
	for line := range strings.Lines(strings.TrimSpace(md)) {
		line = strings.TrimRight(line, "\n ")
		switch {
		case strings.HasPrefix(line, "```"):
			flush()
			code = !code
		case code:
			out = append(out, "    "+line)
		case line == "":
			flush()
			out = append(out, "")
		case strings.HasPrefix(line, "#"):
			flush()
			out = append(out, strings.TrimLeft(line, "# "))
		case strings.HasPrefix(line, "|"):
			table = append(table, line)
		case strings.HasPrefix(line, "    "):
			flush()
			out = append(out, line)
		case strings.HasPrefix(line, "- "), strings.HasPrefix(line, "* "):
			flush()
			paragraph = []string{line}
		default:
			paragraph = append(paragraph, strings.TrimSpace(line))
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// alignTable renders the lines of a Markdown table in columns.
func alignTable(lines []string) []string {
	var b strings.Builder
	tabs := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, line := range lines {
		if strings.Trim(line, "|-: ") == "" {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = plain(strings.TrimSpace(cells[i]))
		}
		_, _ = tabs.Write([]byte("  " + strings.Join(cells, "\t") + "\n"))
	}
	_ = tabs.Flush() // into memory
	var out []string
	for line := range strings.Lines(b.String()) {
		out = append(out, strings.TrimRight(line, " \n"))
	}
	return out
}

var (
	markdownLink = regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`)
	markdownMark = strings.NewReplacer("**", "", "`", "")
)

// plain removes the marks of inline Markdown.
func plain(text string) string {
	return markdownMark.Replace(markdownLink.ReplaceAllString(text, "$1 ($2)"))
}

// fill breaks text into lines of at most width characters, each after indent.
// Lines after the first of a list item are indented below its text.
func fill(text string, width int, indent string) string {
	var b strings.Builder
	hang := indent
	if strings.HasPrefix(text, "- ") || strings.HasPrefix(text, "* ") {
		hang += "  "
	}
	column := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+n > width:
			b.WriteString("\n" + hang)
			column = len(hang)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
