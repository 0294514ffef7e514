package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
)

// workflowCommands is the number of annotations of each level that GitHub shows
// for a step; it drops the rest without a word.
const workflowCommands = 10

// github writes workflow commands, which GitHub shows as annotations.
type github struct {
	*printer
	o     Options
	shown map[policy.Severity]int
	cut   map[policy.Severity]int
}

// writeGitHub annotates the worst findings, and says in one line more what was
// not annotated. Waived findings and those of the baseline need no annotation.
func writeGitHub(w io.Writer, r *policy.Report, o Options) error {
	g := &github{printer: newPrinter(w), o: o, shown: map[policy.Severity]int{}, cut: map[policy.Severity]int{}}
	for _, e := range r.Errors {
		at := policy.Region{File: o.path(e.File), StartLine: e.Line, StartColumn: e.Column}
		g.annotate(policy.Error, at, "mojasec: unreadable input", e.Message)
	}
	for _, p := range places(r) {
		if p.Waived || p.Known {
			continue
		}
		at, ok := o.region(r, p.Finding)
		if !ok {
			at = policy.Region{}
		}
		check := r.Check(p.Pair)
		text := p.ref.String() + ": " + p.Detail
		if n := len(p.affected); n > 1 {
			text += " (also affects " + plural(n-1, "other object") + ")"
		}
		body := append([]string{text}, strings.Split("Fix: "+p.Fix, "\n")...)
		if p.Fix == "" {
			body = body[:1]
		}
		g.annotate(p.Severity, at, string(check.ID)+": "+check.Title, body...)
	}
	g.rollUp(r)
	g.print(visible(summary(r)), "\n")
	return g.flush()
}

// annotationLimit leaves room for the roll-up, which is a notice itself.
func annotationLimit(s policy.Severity) int {
	if s == policy.Note {
		return workflowCommands - 1
	}
	return workflowCommands
}

func command(s policy.Severity) string {
	if s == policy.Note {
		return "notice"
	}
	return s.String()
}

func (g *github) annotate(s policy.Severity, at policy.Region, title string, body ...string) {
	if g.shown[s] == annotationLimit(s) {
		g.cut[s]++
		return
	}
	g.shown[s]++
	g.print("::", command(s), " ")
	if at.File != "" {
		g.print("file=", workflowProperty(at.File), ",")
		if at.StartLine > 0 {
			g.printf("line=%d,", at.StartLine)
		}
		if at.EndLine > 0 {
			g.printf("endLine=%d,", at.EndLine)
		}
		// GitHub refuses columns on a region of several lines.
		if at.StartColumn > 0 && (at.EndLine == 0 || at.EndLine == at.StartLine) {
			g.printf("col=%d,", at.StartColumn)
			if at.EndColumn > 0 {
				g.printf("endColumn=%d,", at.EndColumn)
			}
		}
	}
	g.print("title=", workflowProperty(title), "::", workflowData(body...), "\n")
}

// rollUp says what the annotations do not: findings over the limit, and checks
// that could not be decided.
func (g *github) rollUp(r *policy.Report) {
	var cut, all counts
	cut.addPlural(g.cut[policy.Error], "more error")
	cut.addPlural(g.cut[policy.Warning], "more warning")
	cut.addPlural(g.cut[policy.Note], "more note")
	if len(cut) > 0 {
		all = append(all, cut.String()+": see the sarif or markdown report")
	}
	undecided := 0
	for i := range r.Skipped {
		if !r.Skipped[i].Expected {
			undecided++
		}
	}
	if undecided > 0 {
		all = append(all, fmt.Sprintf("%s could not be decided", plural(undecided, "check")))
	}
	if len(all) > 0 {
		g.print("::notice title=mojasec::", workflowData(strings.Join(all, "; ")), "\n")
	}
}
