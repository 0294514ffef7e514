package policy

import (
	"fmt"
	"strings"
)

// Action is what admission does with a finding.
type Action string

// The actions. None is for objects in namespaces without a mode label.
const (
	ActionDeny  Action = "deny"
	ActionWarn  Action = "warn"
	ActionAudit Action = "audit"
	ActionNone  Action = "none"
)

// Report is the verdict over a set of subjects. Every (check, subject) pair
// that applied is in exactly one of Passed, Findings (a failed or waived pair
// has one finding per violation) and Skipped.
type Report struct {
	Checks   []Check   // those that ran
	Subjects []Subject // those that were judged, as they were judged
	Passed   []Pair
	Findings []Finding
	Skipped  []Skip
	Injected []Injection
	Errors   []InputError
	// PassedOver counts the objects of kinds that no check reads, by kind.
	PassedOver map[string]int
	// Sources knows where objects stand in their files; nil for a cluster.
	Sources Sources
}

// Pair is a check and a subject, as indices into Report.Checks and
// Report.Subjects.
type Pair struct {
	Check   int32
	Subject int32
}

// Finding is a violation with everything a report says about it.
type Finding struct {
	Pair
	Violation
	Severity Severity
	Action   Action
	Fix      string
	// Waived is set when a live Waiver covers the finding; WaivedBy names it.
	Waived   bool
	WaivedBy string
	// AssumesEnforce is set when the mode of the namespace is unknown and
	// Action is what enforce would do.
	AssumesEnforce bool
	// Known is set when a baseline already had this finding.
	Known bool
}

// Skip is a pair that could not be judged.
type Skip struct {
	Pair
	Unknown []Fact
	// Expected skips are normal for the door and do not make a report
	// incomplete.
	Expected bool
}

// Reason says what was not known, for example
// "not known: Secret mojaloop/perffsp-1-ilp".
func (s Skip) Reason() string {
	names := make([]string, 0, len(s.Unknown))
	for _, f := range s.Unknown {
		names = append(names, f.String()+f.Kind.hint())
	}
	return "not known: " + strings.Join(names, ", ")
}

// Injection is a change the Injector made (or would make) to a subject.
type Injection struct {
	Check   ID
	Subject Ref
	Change  string
}

// InputError is input that could not be read.
type InputError struct {
	File    string
	Line    int // from 1; 0 when unknown
	Column  int // from 1; 0 when unknown
	Message string
}

// Error formats the error as file:line:column: message.
func (e InputError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
			if e.Column > 0 {
				fmt.Fprintf(&b, ":%d", e.Column)
			}
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Check returns the check of a pair.
func (r *Report) Check(p Pair) *Check { return &r.Checks[p.Check] }

// Subject returns the subject of a pair.
func (r *Report) Subject(p Pair) *Subject { return &r.Subjects[p.Subject] }

// Place is the object a finding points at: the one to change.
func (r *Report) Place(f *Finding) Ref {
	if f.At != nil {
		return *f.At
	}
	return r.Subject(f.Pair).Ref
}

// Locate returns the region of the source that a finding points at. It returns
// false when the object did not come from a file.
func (r *Report) Locate(f *Finding) (Region, bool) {
	return r.Sources.Locate(r.Place(f), f.Field)
}

// Summary counts what a report holds.
type Summary struct {
	Subjects, Passed, Errors, Warnings, Notes, Waived, Skipped int
}

// Summary counts subjects, passed pairs, unwaived findings by severity, waived
// findings and skipped pairs. Findings that a baseline knows count as others
// do: a baseline changes the exit code, not the facts.
func (r *Report) Summary() Summary {
	sum := Summary{Subjects: len(r.Subjects), Passed: len(r.Passed), Skipped: len(r.Skipped)}
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Waived:
			sum.Waived++
		case f.Severity == Error:
			sum.Errors++
		case f.Severity == Warning:
			sum.Warnings++
		default:
			sum.Notes++
		}
	}
	return sum
}

// Incomplete tells whether something that should have been read was not.
func (r *Report) Incomplete() bool {
	for i := range r.Skipped {
		if !r.Skipped[i].Expected {
			return true
		}
	}
	return false
}

// FailedAt tells whether an unwaived finding that no baseline knows reaches a
// severity.
func (r *Report) FailedAt(least Severity) bool {
	for i := range r.Findings {
		if f := &r.Findings[i]; !f.Waived && !f.Known && f.Severity >= least {
			return true
		}
	}
	return false
}
