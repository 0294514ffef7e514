package v1alpha1

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Severity is how much a finding weighs: the three levels of SARIF.
type Severity string

// The severities, the lightest first.
const (
	SeverityNote    Severity = "note"
	SeverityWarning Severity = "warning"
	SeverityError   Severity = "error"
)

// Action is what admission does with a finding.
type Action string

// The actions. ActionNone is for objects in namespaces without a mode.
const (
	ActionDeny  Action = "deny"
	ActionWarn  Action = "warn"
	ActionAudit Action = "audit"
	ActionNone  Action = "none"
)

// Report is the verdict over a set of objects, as -o json and -o yaml print it.
// The lists are never null in JSON, whoever made the Report.
//
// +kubebuilder:object:root=true
type Report struct {
	metav1.TypeMeta `json:",inline"`

	Summary  ReportSummary     `json:"summary"`
	Findings []ReportFinding   `json:"findings"`
	Skipped  []ReportSkip      `json:"skipped"`
	Injected []ReportInjection `json:"injected"`
	// Errors is input that could not be read. The rest was judged all the same.
	Errors []ReportError `json:"errors"`
	// PassedOver counts the objects of kinds that no check reads, by kind.
	PassedOver map[string]int `json:"passedOver,omitempty"`
}

// NewReport returns an empty Report that says what it is.
func NewReport() *Report {
	return &Report{TypeMeta: metav1.TypeMeta{APIVersion: GroupVersion.String(), Kind: KindReport}}
}

// MarshalJSON encodes the report; lists without elements become [].
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report // without this method
	r.Findings = orEmpty(r.Findings)
	r.Skipped = orEmpty(r.Skipped)
	r.Injected = orEmpty(r.Injected)
	r.Errors = orEmpty(r.Errors)
	out, err := json.Marshal(plain(r))
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return out, nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// ReportSummary counts. Passed and Skipped are (check, subject) pairs; Errors,
// Warnings and Notes are findings that no Waiver covers; Waived are those that
// one covers.
type ReportSummary struct {
	Subjects int `json:"subjects"`
	Passed   int `json:"passed"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Notes    int `json:"notes"`
	Waived   int `json:"waived"`
	Skipped  int `json:"skipped"`
}

// ReportFinding is one way in which an object breaks a rule.
type ReportFinding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Action   Action   `json:"action"`
	// AssumesEnforce is set when the mode of the namespace is not known, and
	// Action is what enforce would do.
	AssumesEnforce bool   `json:"assumesEnforce,omitempty"`
	Title          string `json:"title"`
	Detail         string `json:"detail"`
	Fix            string `json:"fix"`
	// Field is the path in Subject, for example
	// spec.template.spec.containers[0].env[3].value. Where a value is absent it
	// is the path at which it should stand.
	Field  string `json:"field,omitempty"`
	Waived bool   `json:"waived"`
	// WaivedBy names the Waiver.
	WaivedBy string `json:"waivedBy,omitempty"`
	// Known is set when the baseline had this finding already.
	Known   bool             `json:"known,omitempty"`
	Subject ReportObject     `json:"subject"`
	Source  *ReportSource    `json:"source,omitempty"`
	Related []ReportLocation `json:"related,omitempty"`
}

// ReportObject names an API object.
type ReportObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// ReportSource is a region of a file. Lines and columns count from 1, columns
// in Unicode characters; EndColumn is the one after the last character.
type ReportSource struct {
	File        string `json:"file"`
	StartLine   int    `json:"startLine"`
	StartColumn int    `json:"startColumn"`
	EndLine     int    `json:"endLine"`
	EndColumn   int    `json:"endColumn"`
}

// ReportLocation is another place that explains a finding.
type ReportLocation struct {
	Subject *ReportObject `json:"subject,omitempty"`
	Field   string        `json:"field,omitempty"`
	Source  *ReportSource `json:"source,omitempty"`
	Message string        `json:"message,omitempty"`
}

// ReportSkip is a check that could not be decided for an object.
type ReportSkip struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
	// Expected skips are normal for the input at hand and do not make the
	// report incomplete.
	Expected bool         `json:"expected"`
	Subject  ReportObject `json:"subject"`
}

// ReportInjection is what admission would add to an object before judging it.
type ReportInjection struct {
	Check   string       `json:"check"`
	Subject ReportObject `json:"subject"`
	Change  string       `json:"change"`
}

// ReportError is input that could not be read. Line and Column count from 1 and
// are left out when unknown.
type ReportError struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}
