package report

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
)

// GitHub refuses a job summary over 1 MiB as a whole. The budgets of the parts,
// in bytes, stay below that together.
const (
	findingsBudget = 512 << 10
	detailsBudget  = 96 << 10 // each of the folded parts, of which there are four
)

// summaryPage is Markdown for a job summary or a comment.
type summaryPage struct {
	*printer
	r *policy.Report
	o Options
}

// writeMarkdown writes tables of what was found, with the fixes, skips, waivers
// and injections folded below.
func writeMarkdown(w io.Writer, r *policy.Report, o Options) error {
	m := &summaryPage{printer: newPrinter(w), r: r, o: o}
	list := places(r)
	waived, _ := slices.BinarySearchFunc(list, true, func(p place, want bool) int { return boolCompare(p.Waived, want) })

	m.print("## mojasec\n\n", summary(r), "\n\n")
	for _, note := range modeNotes(r) {
		m.print(markdown(note), "\n\n")
	}
	m.inputErrors()
	if waived > 0 {
		m.rows(findingsBudget, "| Severity | Check | Object | Where | Finding |", waived, func(yield func(string) bool) {
			for i := range waived {
				if !yield(m.finding(&list[i])) {
					return
				}
			}
		})
	}
	all := outcomes(r)
	m.fixes(all)
	m.skipped(all)
	m.waived(list[waived:])
	m.injected()
	if over := passedOver(r); over != "" {
		m.print(markdown(over), "\n")
	}
	return m.flush()
}

// rows writes lines under the head of a table as long as the budget lasts, and
// says how many of the total are missing. Without a head it writes a list.
func (m *summaryPage) rows(budget int, head string, total int, entries iter.Seq[string]) {
	if head != "" {
		m.print(head, "\n", strings.Repeat("|---", strings.Count(head, "|")-1), "|\n")
	}
	written := 0
	for line := range entries {
		if budget -= len(line); budget < 0 {
			break
		}
		m.print(line)
		written++
	}
	m.print("\n")
	if more := total - written; more > 0 {
		m.printf("… and %d more that this page has no room for\n\n", more)
	}
}

// folded writes a part that the reader opens.
func (m *summaryPage) folded(title string, part func()) {
	m.print("<details>\n<summary>", htmlText(title), "</summary>\n\n")
	part()
	m.print("</details>\n\n")
}

func (m *summaryPage) inputErrors() {
	if len(m.r.Errors) == 0 {
		return
	}
	m.rows(detailsBudget, "| Input | Cannot be read |", len(m.r.Errors), func(yield func(string) bool) {
		for _, e := range m.r.Errors {
			where := lineOf(policy.Region{File: m.o.path(e.File), StartLine: e.Line, StartColumn: e.Column})
			if !yield("| " + markdownCode(where) + " | " + markdown(e.Message) + " |\n") {
				return
			}
		}
	})
}

// check is the id of a check, linked to its documentation.
func (m *summaryPage) check(id policy.ID) string {
	code := markdownCode(string(id))
	if url := m.o.docs(id); url != "" {
		return "[" + code + "](" + url + ")"
	}
	return code
}

func (m *summaryPage) finding(p *place) string {
	severity := map[policy.Severity]string{policy.Error: "❌ error", policy.Warning: "⚠️ warning", policy.Note: "ℹ️ note"}[p.Severity]
	if note := actionNote(p.Finding); note != "" {
		severity += ", " + note
	}
	if p.Known {
		severity += ", in the baseline"
	}
	cells := []string{severity, m.check(m.r.Check(p.Pair).ID), markdownCode(p.ref.String()), m.where(p.Finding), m.detail(p)}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func (m *summaryPage) where(f *policy.Finding) string {
	if at, ok := m.o.region(m.r, f); ok {
		return markdownCode(lineOf(at))
	}
	return ""
}

// detail is the sentence of a finding and the places that explain it.
func (m *summaryPage) detail(p *place) string {
	parts := []string{markdown(p.sentence(m.r))}
	if len(p.affected) > 1 {
		parts = append(parts, "affects "+names(p.affected))
	}
	for _, l := range p.Related[:min(len(p.Related), 3)] {
		text := "see " + markdownCode(l.Ref.String())
		if at, ok := m.r.Sources.Locate(l.Ref, l.Field); ok {
			if at, ok = m.o.inRepository(at); ok {
				text += " " + markdownCode(lineOf(at))
			}
		}
		if l.Message != "" {
			text += " (" + markdown(l.Message) + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// names lists a few objects.
func names(refs []policy.Ref) string {
	const shown = 3
	list := make([]string, 0, shown)
	for _, ref := range refs[:min(len(refs), shown)] {
		list = append(list, markdownCode(ref.String()))
	}
	out := strings.Join(list, ", ")
	if more := len(refs) - len(list); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// fixes says for each check that failed what to do.
func (m *summaryPage) fixes(all []outcome) {
	type fix struct {
		*policy.Check
		text string
	}
	var list []fix
	seen := map[fix]bool{}
	for i := range all {
		for _, p := range all[i].places {
			f := fix{all[i].Check, p.Fix}
			if !p.Waived && p.Fix != "" && !seen[f] {
				seen[f] = true
				list = append(list, f)
			}
		}
	}
	if len(list) == 0 {
		return
	}
	m.folded("How to fix", func() {
		m.rows(detailsBudget, "", len(list), func(yield func(string) bool) {
			for _, f := range list {
				if !yield("- " + m.check(f.ID) + " (" + markdown(f.Title) + "):" + markdownFix(f.text) + "\n") {
					return
				}
			}
		})
	})
}

// markdownFix is a fix behind the start of a list item: one of several lines is
// text to copy.
func markdownFix(fix string) string {
	fix = strings.TrimRight(fix, "\n")
	if !strings.Contains(fix, "\n") {
		return " " + markdownInline(fix)
	}
	fence := "```"
	for strings.Contains(fix, fence) {
		fence += "`"
	}
	return "\n  " + fence + "\n  " + strings.ReplaceAll(lines(fix), "\n", "\n  ") + "\n  " + fence
}

func (m *summaryPage) skipped(all []outcome) {
	total, reasons := 0, 0
	for i := range all {
		total += all[i].skipped
		reasons += len(all[i].reasons)
	}
	if total == 0 {
		return
	}
	m.folded(fmt.Sprintf("%d not checked", total), func() {
		m.rows(detailsBudget, "| Check | Why | Objects |", reasons, func(yield func(string) bool) {
			for i := range all {
				for _, why := range all[i].reasons {
					text := markdown(why.text)
					if !why.expected {
						text = "⚠️ " + text
					}
					if !yield("| " + m.check(all[i].ID) + " | " + text + " | " + names(why.subjects) + " |\n") {
						return
					}
				}
			}
		})
	})
}

func (m *summaryPage) waived(list []place) {
	if len(list) == 0 {
		return
	}
	m.folded(plural(len(list), "finding")+" waived", func() {
		m.rows(detailsBudget, "| Waiver | Check | Object | Where | Finding |", len(list), func(yield func(string) bool) {
			for i := range list {
				p := &list[i]
				cells := []string{markdownCode(p.WaivedBy), m.check(m.r.Check(p.Pair).ID), markdownCode(p.ref.String()), m.where(p.Finding), m.detail(p)}
				if !yield("| " + strings.Join(cells, " | ") + " |\n") {
					return
				}
			}
		})
	})
}

func (m *summaryPage) injected() {
	total := len(m.r.Injected)
	if total == 0 {
		return
	}
	m.folded(plural(total, "change")+" that enforce would inject", func() {
		m.rows(detailsBudget, "| Object | Check | Change |", total, func(yield func(string) bool) {
			for _, in := range m.r.Injected {
				if !yield("| " + markdownCode(in.Subject.String()) + " | " + m.check(in.Check) + " | " + markdown(in.Change) + " |\n") {
					return
				}
			}
		})
	})
}
