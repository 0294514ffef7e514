package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mojasec/mojasec/pkg/policy"
)

// stack is findings of one check that say the same of several objects.
type stack struct {
	place
	places []place
}

// stacks groups the findings of a check by what they say.
func (t *table) stacks(o *outcome) []stack {
	type key struct {
		severity              policy.Severity
		detail, waivedBy, fix string
		known                 bool
		own                   int // findings that stand alone have a number
	}
	at := map[key]int{}
	var out []stack
	for i, p := range o.places {
		k := key{p.Severity, without(p.Detail, p.ref), p.WaivedBy, p.Fix, p.Known, 0}
		if p.Waived {
			k.fix = ""
		}
		if len(p.affected) > 0 || t.wide && len(p.Related) > 0 {
			k.own = i + 1
		}
		n, seen := at[k]
		if !seen {
			n = len(out)
			at[k] = n
			out = append(out, stack{place: p})
		}
		out[n].places = append(out[n].places, p)
	}
	return out
}

// sameFix tells whether one fix mends all that counts; waived findings need
// none.
func sameFix(groups []stack) bool {
	for i := range groups {
		if !groups[i].Waived && groups[i].Fix != groups[0].Fix {
			return false
		}
	}
	return true
}

func (t *table) stack(o *outcome, g stack, limit int) {
	shown := g.places[:min(len(g.places), limit)]
	rows := make([][]string, 0, len(shown))
	for _, p := range shown {
		rows = append(rows, t.row(p))
	}
	t.rows(rows, "    ")
	t.andMore(len(g.places)-len(shown), "    ")

	detail := g.sentence(t.r)
	if len(g.places) > 1 {
		detail = without(detail, g.ref)
	}
	lead := ""
	switch worst, ok := o.worst(); {
	case g.Waived:
		lead = "waived by " + g.WaivedBy + ": "
	case g.Known:
		lead = "in the baseline: "
	case ok && g.Severity != worst:
		lead = g.Severity.String() + ": "
	}
	t.paragraph("        ", lead+detail)
	if n := len(g.affected); n > 1 || n == 1 && !strings.Contains(detail, g.affected[0].String()) {
		t.paragraph("        ", "affects "+t.list(g.affected))
	}
	if len(g.places) == 1 {
		t.related(g.Finding)
	}
}

// row is the line of a finding, as columns.
func (t *table) row(p place) []string {
	cells := []string{p.ref.String(), ""}
	if at, ok := t.r.Locate(p.Finding); ok {
		cells[1] = lineOf(at)
	}
	if !t.wide {
		if note := actionNote(p.Finding); note != "" {
			cells = append(cells, "["+note+"]")
		}
		return cells
	}
	action := string(p.Action)
	if p.AssumesEnforce {
		action += " (assumed)"
	}
	dfsp := ""
	if w := t.r.Subject(p.Pair).Workload; w != nil && w.LabelDFSP != "" {
		dfsp = "dfsp/" + w.LabelDFSP
	}
	return append(cells, p.Severity.String(), action, dfsp, fieldOf(p.Finding))
}

// rows prints lines with their columns under each other. Empty cells of the
// wide table show as a dash, so that columns can be counted.
func (t *table) rows(rows [][]string, indent string) {
	const widest = 60 // a long name does not push the others off the screen
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" && t.wide {
				cell = "-"
			}
			row[i] = t.text(cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(widest, utf8.RuneCountInString(row[i])))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if widths[i] == 0 {
				continue
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell))+2))
		}
		t.print(indent, strings.TrimRight(line.String(), " "), "\n")
	}
}

// list names objects in a sentence.
func (t *table) list(refs []policy.Ref) string {
	names := make([]string, 0, min(len(refs), t.limit.names))
	for _, ref := range refs[:min(len(refs), t.limit.names)] {
		names = append(names, ref.String())
	}
	out := strings.Join(names, ", ")
	if more := len(refs) - len(names); more > 0 {
		out += fmt.Sprintf(" and %d more (-o wide)", more)
	}
	return out
}

func (t *table) related(f *policy.Finding) {
	for _, l := range f.Related[:min(len(f.Related), t.limit.relating)] {
		text := "see also " + l.Ref.String()
		if at, ok := t.r.Sources.Locate(l.Ref, l.Field); ok {
			text += " " + lineOf(at)
		}
		if l.Message != "" {
			text += ": " + l.Message
		}
		t.paragraph("        ", text)
	}
	t.andMore(len(f.Related)-t.limit.relating, "        ")
}

// fix prints what to do. A fix of several lines is text to copy: its lines are
// kept as they are.
func (t *table) fix(fix, indent string) {
	if fix == "" {
		return
	}
	lines := strings.Split(strings.TrimRight(fix, "\n"), "\n")
	lead := indent + t.glyph.fix + " "
	if len(lines) == 1 {
		t.paragraph(lead, fix)
		return
	}
	t.print(lead, t.text(lines[0]), "\n")
	for _, line := range lines[1:] {
		t.print(strings.Repeat(" ", utf8.RuneCountInString(lead)), t.text(line), "\n")
	}
}

// reasons says why objects were not checked. Of those that nobody needs to do
// anything about, one stands for all.
func (t *table) reasons(list []reason) {
	hidden := 0
	for i, why := range list {
		if i >= t.limit.reasons || i > 0 && why.expected && !t.wide {
			hidden += len(why.subjects)
			continue
		}
		t.paragraph("    ", why.text+", for "+t.list(why.subjects))
	}
	t.andMore(hidden, "    ")
}
