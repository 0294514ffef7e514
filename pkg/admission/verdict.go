package admission

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/policy"
)

// verdict gathers what there is to say of a request.
type verdict struct {
	ref      policy.Ref
	denials  []denial
	warnings []string
	audit    map[string]string
	// unread says what could not be read though the verdict needs it.
	unread string
	// counts are what was done with findings, for the metrics.
	counts []count
}

// denial is one reason to refuse.
type denial struct {
	check policy.ID // empty for guards
	text  string
	field string
}

type count struct {
	check policy.ID
	mode  string
}

func (v *verdict) warn(text string) { v.warnings = append(v.warnings, warning(text)) }

// note adds a line to the audit annotation of a key.
func (v *verdict) note(key, text string) {
	if v.audit == nil {
		v.audit = map[string]string{}
	}
	if old := v.audit[key]; old != "" {
		text = old + "; " + text
	}
	v.audit[key] = clean(text, maxAudit)
}

func (v *verdict) count(id policy.ID, mode string) { v.counts = append(v.counts, count{id, mode}) }

// take files the findings and skips of a report. old has the findings that were
// there before the change: they warn. wide is set for objects of the mesh root
// namespace: it has no mode, and what stands there counts where there is one.
func (v *verdict) take(r *policy.Report, old known, snap *policy.Snapshot, wide, lenient bool) {
	for i := range r.Findings {
		f := &r.Findings[i]
		check := r.Check(f.Pair)
		if wide && refusesWide(check, f, snap) {
			f.Action = policy.ActionDeny
		}
		switch text := sentence(r, f); {
		case f.Waived:
			v.note("waived-"+string(check.ID), "waived by Waiver "+f.WaivedBy+": "+f.Detail)
			v.count(check.ID, "waived")
		case f.Action == policy.ActionDeny && old.has(r, f):
			v.warn(text + " (it was so before)")
			v.note("grandfathered-"+string(check.ID), f.Detail)
			v.count(check.ID, "warn")
		case f.Action == policy.ActionDeny && !lenient:
			v.denials = append(v.denials, denial{check.ID, text + fixOf(f.Fix), fieldOf(f)})
			v.count(check.ID, "deny")
		case f.Action == policy.ActionDeny || f.Action == policy.ActionWarn:
			v.warn(text)
			v.count(check.ID, "warn")
		case f.Action == policy.ActionAudit:
			v.note(string(check.ID), f.Detail)
			v.count(check.ID, "audit")
		}
	}
	for i := range r.Skipped {
		v.skip(r, &r.Skipped[i], snap)
	}
}

// refusesWide tells whether a finding in the mesh root namespace refuses.
// Whether mTLS is strict shows in the workloads: a namespace may be stricter
// than the mesh.
func refusesWide(check *policy.Check, f *policy.Finding, snap *policy.Snapshot) bool {
	return f.Action == policy.ActionNone && f.Severity == policy.Error && check.ID != "mtls-strict" &&
		snap.CheckMode(check.ID) == policy.ModeEnforce
}

// skip files a check that could not be made. It stands in the way of a verdict
// only where it might deny, and where something of the subject's own namespace
// cannot be read that should be.
func (v *verdict) skip(r *policy.Report, s *policy.Skip, snap *policy.Snapshot) {
	check := r.Check(s.Pair)
	v.note("skipped-"+string(check.ID), s.Reason())
	ns := r.Subject(s.Pair).Ref.Namespace
	if v.unread != "" || check.Severity != policy.Error || snap.CheckMode(check.ID) != policy.ModeEnforce {
		return
	}
	for _, f := range s.Unknown {
		if f.Namespace != ns && (f.Kind != policy.FactNamespace || f.Name != ns) {
			continue
		}
		if reason := snap.Unread(f.Kind, f.Namespace); reason != "" {
			v.unread = fmt.Sprintf("%s needs %s: %s", check.ID, f, reason)
			if !strings.Contains(reason, "kubectl mojasec") {
				v.unread += "; run `kubectl mojasec install --namespace " + ns + "`"
			}
			return
		}
	}
}

// sentence says a finding in one line, without its fix.
func sentence(r *policy.Report, f *policy.Finding) string {
	check := r.Check(f.Pair)
	text := fmt.Sprintf("%s: %q does not hold", check.ID, check.Title)
	if f.Detail != "" {
		text += ": " + f.Detail
	}
	if at := fieldOf(f); at != "" {
		text += " (" + at + ")"
	}
	if slices.Contains(r.Subject(f.Pair).Injectable, check.ID) {
		text += "; in mode enforce it would be injected"
	}
	return text
}

func fieldOf(f *policy.Finding) string {
	if f.Field == nil {
		return ""
	}
	return f.Field.String()
}

func fixOf(fix string) string {
	if fix == "" {
		return ""
	}
	return "; fix: " + fix
}

// known are the findings an object had before a change.
type known map[string]bool

func (k known) has(r *policy.Report, f *policy.Finding) bool { return k != nil && k[findingKey(r, f)] }

func findingKey(r *policy.Report, f *policy.Finding) string {
	return string(r.Check(f.Pair).ID) + "\x00" + fieldOf(f) + "\x00" + f.Detail
}

// denied lists the checks that refuse.
func (v *verdict) denied(all []policy.Check) []policy.Check {
	return slices.DeleteFunc(slices.Clone(all), func(c policy.Check) bool {
		return !slices.ContainsFunc(v.denials, func(d denial) bool { return d.check == c.ID })
	})
}

// response words a verdict.
func (v *verdict) response(req *request) admission.Response {
	resp := admission.Allowed("")
	if len(v.denials) > 0 {
		resp = v.refusal(req)
	}
	slices.Sort(v.warnings)
	warnings := slices.Compact(v.warnings)
	if len(warnings) > maxWarnings {
		more := len(warnings) - (maxWarnings - 1)
		warnings = append(warnings[:maxWarnings-1:maxWarnings-1], fmt.Sprintf("and %d more warnings: `kubectl mojasec verify -f FILE` shows all", more))
	}
	resp.Warnings = warnings
	resp.AuditAnnotations = v.audit
	return resp
}

// refusal says no, to a person: the object, then a line for each reason.
func (v *verdict) refusal(req *request) admission.Response {
	var b strings.Builder
	noun := "rules do"
	if len(v.denials) == 1 {
		noun = "rule does"
	}
	fmt.Fprintf(&b, "mojasec refuses %s %s: %d %s not hold", operationNoun(req), clean(v.ref.String(), maxLine), len(v.denials), noun)
	var causes []metav1.StatusCause
	for i, d := range v.denials {
		line := clean(d.text, maxLine)
		if i < maxFindings {
			b.WriteString("\n  " + line)
		}
		if i < 4*maxFindings {
			causes = append(causes, metav1.StatusCause{Type: metav1.CauseType(cmp.Or(string(d.check), "guard")), Message: line, Field: clean(d.field, maxLine)})
		}
	}
	if more := len(v.denials) - maxFindings; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more: `kubectl mojasec verify -f FILE` shows all", more)
	}
	return refused(req, b.String(), causes)
}

// refused is the answer "no" with a message that is clean already.
func refused(req *request, message string, causes []metav1.StatusCause) admission.Response {
	resp := admission.Denied(message)
	resp.Result.Status = metav1.StatusFailure
	resp.Result.Code = http.StatusForbidden
	resp.Result.Details = &metav1.StatusDetails{Name: req.Name, Group: req.Kind.Group, Kind: req.Kind.Kind, Causes: causes}
	return resp
}

func operationNoun(req *request) string {
	switch op := operationLabel(req.Operation); op {
	case "create", "update", "delete":
		return "to " + op
	case "connect":
		return "to connect to"
	}
	return "this request for"
}

// report counts the findings, unless nothing will come of the request.
func (h *handler) report(req *request, v *verdict) {
	if req.dryRun() {
		return
	}
	for _, c := range v.counts {
		h.metrics.finding(c.check, c.mode)
	}
}
