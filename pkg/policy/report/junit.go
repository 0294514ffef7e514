package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
)

// JUnit has no standard; these are the elements and attributes that Jenkins and
// GitLab read.

type junitCase struct {
	XMLName   xml.Name     `xml:"testcase"`
	Name      string       `xml:"name,attr"`
	ClassName string       `xml:"classname,attr"`
	File      string       `xml:"file,attr,omitempty"`
	Line      int          `xml:"line,attr,omitempty"`
	Time      string       `xml:"time,attr"` // Jenkins wants one; nothing was measured
	Failure   *junitDetail `xml:"failure"`
	Error     *junitDetail `xml:"error"`
	Skipped   *junitDetail `xml:"skipped"`
	Output    string       `xml:"system-out,omitempty"`
}

type junitDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// junitCounts are the attributes of a suite.
type junitCounts struct{ tests, failures, errors, skipped int }

func (c *junitCounts) add(o junitCounts) {
	c.tests += o.tests
	c.failures += o.failures
	c.errors += o.errors
	c.skipped += o.skipped
}

func (c junitCounts) String() string {
	return fmt.Sprintf(`tests="%d" failures="%d" errors="%d" skipped="%d" time="0"`, c.tests, c.failures, c.errors, c.skipped)
}

// verdict is what a report says of one pair of check and subject.
type verdict struct {
	policy.Pair
	findings []*policy.Finding
	skip     *policy.Skip
}

// writeJUnit writes a suite for each check with a test case for each object it
// applied to, passed ones included, and a suite for input that could not be
// read. Findings below FailOn, and those of the baseline, do not fail a case.
func writeJUnit(w io.Writer, r *policy.Report, o Options) error {
	p := newPrinter(w)
	list := verdicts(r)
	var total junitCounts
	bySuite := make([]junitCounts, len(r.Checks))
	for i := range list {
		c := list[i].counts(o)
		bySuite[list[i].Check].add(c)
		total.add(c)
	}
	input := junitCounts{tests: len(r.Errors), errors: len(r.Errors)}
	total.add(input)

	p.print(xml.Header)
	p.printf("<testsuites name=\"mojasec\" %s>\n", total)
	enc := xml.NewEncoder(p)
	encode := func(c junitCase) {
		p.print("    ")
		if p.err == nil {
			p.err = enc.Encode(c)
		}
		p.print("\n")
	}
	if len(r.Errors) > 0 {
		p.printf("  <testsuite name=\"input\" %s>\n", input)
		for _, e := range r.Errors {
			encode(inputCase(e, o))
		}
		p.print("  </testsuite>\n")
	}
	for i := 0; i < len(list); {
		check := list[i].Check
		p.printf("  <testsuite name=\"%s\" %s>\n", htmlText(string(r.Checks[check].ID)), bySuite[check])
		for ; i < len(list) && list[i].Check == check; i++ {
			encode(list[i].testCase(r, o))
		}
		p.print("  </testsuite>\n")
	}
	p.print("</testsuites>\n")
	return p.flush()
}

// verdicts brings what a report knows of each pair together, by check and then
// by subject.
func verdicts(r *policy.Report) []verdict {
	list := make([]verdict, 0, len(r.Passed)+len(r.Findings)+len(r.Skipped))
	for _, pair := range r.Passed {
		list = append(list, verdict{Pair: pair})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		list = append(list, verdict{Pair: f.Pair, findings: []*policy.Finding{f}})
	}
	for i := range r.Skipped {
		list = append(list, verdict{Pair: r.Skipped[i].Pair, skip: &r.Skipped[i]})
	}
	slices.SortStableFunc(list, func(a, b verdict) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Subject, b.Subject))
	})
	merged := list[:0]
	for _, v := range list {
		if last := len(merged) - 1; last >= 0 && merged[last].Pair == v.Pair {
			merged[last].findings = append(merged[last].findings, v.findings...)
			continue
		}
		merged = append(merged, v)
	}
	return merged
}

// split sorts the findings of a pair: those that fail the case, those that a
// Waiver covers, and the rest, which is only told.
func (v *verdict) split(o Options) (failing, waived, told []*policy.Finding) {
	for _, f := range v.findings {
		switch {
		case f.Waived:
			waived = append(waived, f)
		case f.Severity >= o.FailOn && !f.Known:
			failing = append(failing, f)
		default:
			told = append(told, f)
		}
	}
	return failing, waived, told
}

// counts must agree with testCase: one element of a kind is one count.
func (v *verdict) counts(o Options) junitCounts {
	c := junitCounts{tests: 1}
	failing, waived, told := v.split(o)
	switch {
	case len(failing) > 0:
		c.failures = 1
	case v.skip != nil && !v.skip.Expected:
		c.errors = 1
	case v.skip != nil || len(waived) > 0 && len(told) == 0:
		c.skipped = 1
	}
	return c
}

func (v *verdict) testCase(r *policy.Report, o Options) junitCase {
	check, sub := r.Check(v.Pair), r.Subject(v.Pair)
	out := junitCase{
		Name: visible(sub.Ref.String()), Time: "0",
		ClassName: visible(fmt.Sprintf("mojasec.%s.%s", check.Category, check.ID)),
	}
	if len(v.findings) > 0 {
		if at, ok := o.region(r, v.findings[0]); ok {
			out.File, out.Line = visible(at.File), at.StartLine
		}
	}
	failing, waived, told := v.split(o)
	switch {
	case len(failing) > 0:
		out.Failure = v.detail(r, o, failing, failing[0].Severity.String())
	case v.skip != nil && !v.skip.Expected:
		out.Error = &junitDetail{Message: visible(v.skip.Reason()), Type: "incomplete"}
	case v.skip != nil:
		out.Skipped = &junitDetail{Message: visible(v.skip.Reason())}
	case len(waived) > 0 && len(told) == 0:
		out.Skipped = &junitDetail{Message: visible("waived by " + waived[0].WaivedBy + ": " + waived[0].Detail)}
	}
	if out.Skipped == nil {
		out.Output = strings.TrimSuffix(findingLines(r, o, slices.Concat(told, waived)), "\n")
	}
	return out
}

// detail is a failure: the first finding as its message, all as its text.
func (v *verdict) detail(r *policy.Report, o Options, list []*policy.Finding, kind string) *junitDetail {
	message := visible(list[0].Detail)
	if more := len(list) - 1; more > 0 {
		message += fmt.Sprintf(" (and %s)", plural(more, "other finding"))
	}
	var text strings.Builder
	text.WriteString(findingLines(r, o, list))
	fixes := map[string]bool{}
	for _, f := range list {
		if f.Fix != "" && !fixes[f.Fix] {
			fixes[f.Fix] = true
			text.WriteString("fix: " + lines(f.Fix) + "\n")
		}
	}
	text.WriteString("see: kubectl mojasec explain " + string(r.Check(v.Pair).ID))
	return &junitDetail{Message: message, Type: kind, Text: text.String()}
}

// findingLines tells findings, a line for each, behind the place to change.
func findingLines(r *policy.Report, o Options, list []*policy.Finding) string {
	var b strings.Builder
	for _, f := range list {
		where := r.Place(f).String()
		if at, ok := o.region(r, f); ok {
			where = lineOf(at)
		}
		note := ""
		switch {
		case f.Waived:
			note = "waived by " + f.WaivedBy + ": "
		case f.Known:
			note = "in the baseline: "
		}
		b.WriteString(visible(where+": "+f.Severity.String()+": "+note+f.Detail) + "\n")
	}
	return b.String()
}

func inputCase(e policy.InputError, o Options) junitCase {
	c := junitCase{
		Name: visible(cmp.Or(e.File, "input")), ClassName: "mojasec.input", Time: "0",
		File: visible(o.path(e.File)), Line: e.Line,
		Error: &junitDetail{Message: visible(e.Message), Type: "input", Text: visible(e.Error())},
	}
	if e.Line > 0 {
		c.Name += fmt.Sprintf(":%d", e.Line) // a file can have several
	}
	return c
}
