package report

import (
	"slices"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// ToAPI returns a report as the contract that -o json and -o yaml print. Lists
// are never nil, and their order is the report's.
//
// The subject of a finding is the object to change, because field and source
// are in it; where another object was judged, that one is the first of related.
func ToAPI(r *policy.Report) *v1alpha1.Report {
	sum := r.Summary()
	out := v1alpha1.NewReport()
	out.Summary = v1alpha1.ReportSummary{
		Subjects: sum.Subjects, Passed: sum.Passed, Errors: sum.Errors, Warnings: sum.Warnings,
		Notes: sum.Notes, Waived: sum.Waived, Skipped: sum.Skipped,
	}
	out.PassedOver = r.PassedOver
	out.Findings = make([]v1alpha1.ReportFinding, 0, len(r.Findings))
	for i := range r.Findings {
		out.Findings = append(out.Findings, apiFinding(r, &r.Findings[i]))
	}
	out.Skipped = make([]v1alpha1.ReportSkip, 0, len(r.Skipped))
	for _, s := range r.Skipped {
		out.Skipped = append(out.Skipped, v1alpha1.ReportSkip{
			Check: string(r.Check(s.Pair).ID), Reason: s.Reason(), Expected: s.Expected,
			Subject: apiObject(r.Subject(s.Pair).Ref),
		})
	}
	out.Injected = make([]v1alpha1.ReportInjection, 0, len(r.Injected))
	for _, in := range r.Injected {
		out.Injected = append(out.Injected, v1alpha1.ReportInjection{
			Check: string(in.Check), Subject: apiObject(in.Subject), Change: in.Change,
		})
	}
	out.Errors = make([]v1alpha1.ReportError, 0, len(r.Errors))
	for _, e := range r.Errors {
		out.Errors = append(out.Errors, v1alpha1.ReportError(e))
	}
	return out
}

func apiFinding(r *policy.Report, f *policy.Finding) v1alpha1.ReportFinding {
	check := r.Check(f.Pair)
	out := v1alpha1.ReportFinding{
		Check: string(check.ID), Severity: v1alpha1.Severity(f.Severity.String()), Action: v1alpha1.Action(f.Action),
		AssumesEnforce: f.AssumesEnforce, Title: check.Title, Detail: f.Detail, Fix: f.Fix, Field: fieldOf(f),
		Waived: f.Waived, WaivedBy: f.WaivedBy, Known: f.Known, Subject: apiObject(r.Place(f)),
	}
	if at, ok := r.Locate(f); ok {
		out.Source = apiSource(at)
	}
	for _, l := range related(r, f) {
		loc := v1alpha1.ReportLocation{Subject: new(apiObject(l.Ref)), Message: l.Message}
		if l.Field != nil {
			loc.Field = l.Field.String()
		}
		if at, ok := r.Sources.Locate(l.Ref, l.Field); ok {
			loc.Source = apiSource(at)
		}
		out.Related = append(out.Related, loc)
	}
	return out
}

func apiObject(ref policy.Ref) v1alpha1.ReportObject { return v1alpha1.ReportObject(ref) }

func apiSource(at policy.Region) *v1alpha1.ReportSource {
	source := v1alpha1.ReportSource(at)
	return &source
}

// related are the places that explain a finding, the judged subject first where
// the finding points at another object.
func related(r *policy.Report, f *policy.Finding) []policy.Location {
	judged := r.Subject(f.Pair).Ref
	if r.Place(f) == judged || slices.ContainsFunc(f.Related, func(l policy.Location) bool { return l.Ref == judged }) {
		return f.Related
	}
	return slices.Concat([]policy.Location{{Ref: judged, Message: "the object that was judged"}}, f.Related)
}

func fieldOf(f *policy.Finding) string {
	if f.Field == nil {
		return ""
	}
	return f.Field.String()
}
