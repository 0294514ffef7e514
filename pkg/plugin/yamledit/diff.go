package yamledit

import (
	"fmt"
	"strings"
)

// Diff returns the edits as a unified diff without context, for
// git apply --unidiff-zero. Nothing of the file itself is in it, as that may be
// secret: a line that only grows is shown as what it grows by.
func (f *File) Diff(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "--- a/%s\n+++ b/%s\n", name, name)
	grown := 0
	for _, ins := range joined(f.sorted()) {
		line := f.src.Position(ins.at).Line
		if ins.inLine {
			added := strings.Split(strings.ReplaceAll(ins.text, "\r\n", "\n"), "\n")
			fmt.Fprintf(&b, "@@ -%d +%s @@\n-…\n+…%s…\n", line, span(line+grown, len(added)), strings.Join(added, "\n+"))
			grown += len(added) - 1
			continue
		}
		text := strings.Trim(strings.ReplaceAll(ins.text, "\r\n", "\n"), "\n")
		if f.src.Position(ins.at).Column > 1 { // the last line of the file has no end
			line++
		}
		added := strings.Split(text, "\n")
		fmt.Fprintf(&b, "@@ -%d,0 +%s @@\n+%s\n", line-1, span(line+grown, len(added)), strings.Join(added, "\n+"))
		grown += len(added)
	}
	return b.String()
}

// joined makes one insertion of those of whole lines at one offset.
func joined(insertions []insertion) []insertion {
	var out []insertion
	for _, ins := range insertions {
		if last := len(out) - 1; last >= 0 && out[last].at == ins.at && !ins.inLine && !out[last].inLine {
			out[last].text += ins.text
			continue
		}
		out = append(out, ins)
	}
	return out
}

// span is a range of lines as diff writes it.
func span(from, n int) string {
	if n == 1 {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d,%d", from, n)
}
