package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
)

// place is a finding together with those that say the same of the same object
// about other subjects: one PeerAuthentication to change, a thousand pods.
type place struct {
	*policy.Finding
	ref policy.Ref // the object to change
	// affected are the judged subjects where the object to change is another.
	affected []policy.Ref
}

// sameObject is what findings share that become one place.
type sameObject struct {
	check                   int32
	ref                     policy.Ref
	field, detail, waivedBy string
	severity                policy.Severity
	action                  policy.Action
	known                   bool
}

// places returns the findings in the order in which readers want them: those
// that count before the waived, the severe before the light, the new before the
// known, and else as in the report.
func places(r *policy.Report) []place {
	out := make([]place, 0, len(r.Findings))
	merged := map[sameObject]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		judged := r.Subject(f.Pair).Ref
		if f.At == nil || *f.At == judged {
			out = append(out, place{Finding: f, ref: judged})
			continue
		}
		key := sameObject{
			check: f.Check, ref: *f.At, field: fieldOf(f), detail: without(f.Detail, judged), waivedBy: f.WaivedBy,
			severity: f.Severity, action: f.Action, known: f.Known,
		}
		at, seen := merged[key]
		if !seen {
			at = len(out)
			merged[key] = at
			out = append(out, place{Finding: f, ref: *f.At})
		}
		out[at].affected = append(out[at].affected, judged)
	}
	slices.SortStableFunc(out, func(a, b place) int {
		return cmp.Or(boolCompare(a.Waived, b.Waived), cmp.Compare(b.Severity, a.Severity), boolCompare(a.Known, b.Known))
	})
	return out
}

// sentence is the detail of a place, for all of its subjects.
func (p *place) sentence(r *policy.Report) string {
	if len(p.affected) > 1 {
		return without(p.Detail, r.Subject(p.Pair).Ref)
	}
	return p.Detail
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// without is a sentence that no longer says which object it is about, so that
// it can be compared with, and stand for, the same sentence about others.
func without(detail string, ref policy.Ref) string {
	return strings.ReplaceAll(detail, ref.String(), "each of them")
}

// outcome is all that a report says of one check.
type outcome struct {
	*policy.Check
	passed, failed, waived, skipped int // pairs
	places                          []place
	reasons                         []reason
}

// reason is why some subjects could not be judged.
type reason struct {
	text     string
	expected bool
	subjects []policy.Ref
}

// outcomes sorts a report by check, in the order of Report.Checks. Checks that
// applied to nothing are among them.
func outcomes(r *policy.Report) []outcome {
	out := make([]outcome, len(r.Checks))
	for i := range out {
		out[i].Check = &r.Checks[i]
	}
	for _, p := range r.Passed {
		out[p.Check].passed++
	}
	failed := map[policy.Pair]bool{} // false: all waived
	for i := range r.Findings {
		f := &r.Findings[i]
		failed[f.Pair] = failed[f.Pair] || !f.Waived
	}
	for pair, counts := range failed {
		if counts {
			out[pair.Check].failed++
		} else {
			out[pair.Check].waived++
		}
	}
	for _, p := range places(r) {
		o := &out[p.Check]
		o.places = append(o.places, p)
	}
	for i, s := range reasons(r) {
		out[i].reasons = s
		for _, why := range s {
			out[i].skipped += len(why.subjects)
		}
	}
	return out
}

// reasons groups the skips of each check, the unexpected first.
func reasons(r *policy.Report) map[int32][]reason {
	type key struct {
		check    int32
		text     string
		expected bool
	}
	at := map[key]int{}
	out := map[int32][]reason{}
	for i := range r.Skipped {
		s := &r.Skipped[i]
		k := key{s.Check, s.Reason(), s.Expected}
		n, seen := at[k]
		if !seen {
			n = len(out[s.Check])
			at[k] = n
			out[s.Check] = append(out[s.Check], reason{text: k.text, expected: s.Expected})
		}
		group := &out[s.Check][n]
		group.subjects = append(group.subjects, r.Subject(s.Pair).Ref)
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b reason) int { return boolCompare(a.expected, b.expected) })
	}
	return out
}

// worst is the severity of the heaviest finding that no Waiver covers.
func (o *outcome) worst() (policy.Severity, bool) {
	if len(o.places) == 0 || o.places[0].Waived {
		return 0, false
	}
	return o.places[0].Severity, true
}

// plural is a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// counts is a list of numbers without the zeros, for example "2 failed, 12 passed".
type counts []string

func (c *counts) add(n int, text string) {
	if n > 0 {
		*c = append(*c, fmt.Sprintf("%d %s", n, text))
	}
}

func (c *counts) addPlural(n int, noun string) {
	if n > 0 {
		*c = append(*c, plural(n, noun))
	}
}

func (c counts) String() string { return strings.Join(c, ", ") }

// tally counts what a check found, for example "2 failed, 12 passed".
func (o *outcome) tally() string {
	var c counts
	c.add(o.failed, "failed")
	c.add(o.waived, "waived")
	c.add(o.skipped, "not checked")
	c.add(o.passed, "passed")
	return c.String()
}

// summary is a report in one line, for example
// "14 objects: 2 errors, 1 warning, 311 passed, 3 not checked, 2 injected".
func summary(r *policy.Report) string {
	sum := r.Summary()
	known := 0
	for i := range r.Findings {
		if r.Findings[i].Known && !r.Findings[i].Waived {
			known++
		}
	}
	var c counts
	c.addPlural(len(r.Errors), "input error")
	c.addPlural(sum.Errors, "error")
	c.addPlural(sum.Warnings, "warning")
	c.addPlural(sum.Notes, "note")
	c.add(known, "of them in the baseline")
	c.add(sum.Waived, "waived")
	c.add(sum.Passed, "passed")
	c.add(sum.Skipped, "not checked")
	c.add(len(r.Injected), "injected")
	if len(c) == 0 {
		c = counts{"nothing to check"}
	}
	return plural(sum.Subjects, "object") + ": " + c.String()
}

// lineOf is where a region starts, as editors and terminals understand it.
func lineOf(at policy.Region) string {
	switch {
	case at.StartLine < 1:
		return at.File
	case at.StartColumn < 1:
		return fmt.Sprintf("%s:%d", at.File, at.StartLine)
	}
	return fmt.Sprintf("%s:%d:%d", at.File, at.StartLine, at.StartColumn)
}

// actionNote says what admission does with a finding where that is less than
// its severity asks for. Namespaces without a mode, and those whose mode is not
// known, are told of once, in modeNotes.
func actionNote(f *policy.Finding) string {
	switch {
	case f.Action == policy.ActionWarn && f.Severity == policy.Error:
		return "warns only"
	case f.Action == policy.ActionAudit:
		return "audits only"
	}
	return ""
}

// modeNotes says in which namespaces Action does not follow a label.
func modeNotes(r *policy.Report) []string {
	assumed, none := map[string]bool{}, map[string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		ref := r.Subject(f.Pair).Ref
		ns := ref.Namespace
		if ref.Kind == "Namespace" {
			ns = ref.Name
		}
		switch {
		case ns == "":
		case f.AssumesEnforce:
			assumed[ns] = true
		case f.Action == policy.ActionNone:
			none[ns] = true
		}
	}
	var out []string
	if len(assumed) > 0 {
		out = append(out, "assumes enforce: the labels of "+namespaces(assumed)+" are not known")
	}
	if len(none) > 0 {
		out = append(out, "not enforced: "+namespaces(none)+" without label "+policy.LabelMode)
	}
	return out
}

func namespaces(set map[string]bool) string {
	const shown = 5
	names := make([]string, 0, len(set))
	for ns := range set {
		names = append(names, ns)
	}
	slices.Sort(names)
	noun := "namespace "
	if len(names) > 1 {
		noun = "namespaces "
	}
	if more := len(names) - shown; more > 0 {
		return noun + strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return noun + strings.Join(names, ", ")
}

// passedOver says which objects no check reads.
func passedOver(r *policy.Report) string {
	total := 0
	kinds := make([]string, 0, len(r.PassedOver))
	for kind, n := range r.PassedOver {
		total += n
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	if total == 0 {
		return ""
	}
	slices.Sort(kinds)
	return "passed over " + plural(total, "object") + " that no check reads: " + strings.Join(kinds, ", ")
}
