package policy

import (
	"slices"
)

// Evaluate judges subjects by checks. It is the only caller of [Check.Run].
// The report is in the order of subjects, then of checks; it does not depend on
// anything but its arguments, and changes none of them.
func Evaluate(checks []Check, subjects []Subject, snap *Snapshot) Report {
	r := Report{Checks: checks, Subjects: subjects, Passed: make([]Pair, 0, len(checks)*len(subjects)/2)}
	for i := range subjects {
		sub := &subjects[i]
		for j := range checks {
			r.add(Pair{Check: int32(j), Subject: int32(i)}, &checks[j], sub, checks[j].Run(sub, snap), snap)
		}
	}
	return r
}

// add files the result of one pair.
func (r *Report) add(pair Pair, check *Check, sub *Subject, res Result, snap *Snapshot) {
	switch {
	case !res.Applies:
	case len(res.Violations) > 0:
		for _, v := range res.Violations {
			r.Findings = append(r.Findings, newFinding(pair, check, sub, v, snap))
		}
	case len(res.Unknown) > 0:
		r.Skipped = append(r.Skipped, Skip{Pair: pair, Unknown: res.Unknown, Expected: snap.expects(res.Unknown)})
	default:
		r.Passed = append(r.Passed, pair)
	}
}

// expects tells whether all of the facts are normally not known here.
func (s *Snapshot) expects(facts []Fact) bool {
	return !slices.ContainsFunc(facts, func(f Fact) bool { return !slices.Contains(s.opts.Expected, f.Kind) })
}

func newFinding(pair Pair, check *Check, sub *Subject, v Violation, snap *Snapshot) Finding {
	f := Finding{Pair: pair, Violation: v, Severity: check.Severity, Fix: check.Fix}
	if v.Severity != nil {
		f.Severity = *v.Severity
	}
	if v.Fix != "" {
		f.Fix = v.Fix
	}
	if slices.Contains(sub.Injectable, check.ID) {
		f.Fix = "label the namespace " + LabelMode + ": enforce and mojasec injects it, or: " + f.Fix
	}
	if check.ID != checkQuarantineHeld.ID { // what a quarantine holds only its release lets go
		f.WaivedBy, f.Waived = snap.waivedBy(check.ID, sub)
	}
	f.Action, f.AssumesEnforce = snap.action(check.ID, sub, f.Severity)
	return f
}

// action is what admission does with a finding of a severity.
func (s *Snapshot) action(id ID, sub *Subject, severity Severity) (action Action, assumed bool) {
	if id == checkQuarantineHeld.ID {
		return ActionDeny, false // a quarantine stands in every mode
	}
	mode, presence := s.modeOf(sub)
	if presence != Present {
		mode, assumed = ModeEnforce, true
	}
	switch weaker(mode, s.profile.mode(id)) {
	case ModeEnforce:
		if severity == Error {
			return ActionDeny, assumed
		}
		return ActionWarn, assumed
	case ModeWarn:
		return ActionWarn, assumed
	case ModeAudit:
		return ActionAudit, assumed
	case ModeNone:
	}
	return ActionNone, assumed
}

// modeOf is the mode of the namespace a subject is in. Objects of the cluster
// are always enforced.
func (s *Snapshot) modeOf(sub *Subject) (Mode, Presence) {
	switch {
	case sub.Ref.Kind == "Namespace":
		return s.Mode(sub.Ref.Name)
	case sub.Ref.Namespace == "":
		return ModeEnforce, Present
	}
	return s.Mode(sub.Ref.Namespace)
}
