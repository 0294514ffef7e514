package report

import (
	"cmp"
	"io"
	"strings"
	"unicode"

	"github.com/mojasec/mojasec/pkg/policy"
)

// The first word of a line of the short format that is not about a severity.
const (
	shortInput      = "input"      // a file that could not be read
	shortWaived     = "waived"     // a finding that a Waiver covers
	shortBaseline   = "baseline"   // a finding that the baseline has
	shortSkipped    = "skipped"    // not checked, as expected
	shortIncomplete = "incomplete" // not checked, and that counts
)

// writeShort writes a line for each finding and skip, made for grep and awk:
// severity, check, namespace/kind/name, file:line:column, text. A column that
// does not apply is a dash. What passed is not there.
func writeShort(w io.Writer, r *policy.Report, o Options) error {
	p := newPrinter(w)
	text := visible
	if o.ASCII {
		text = visibleASCII
	}
	line := func(word, check, object, source, detail string) {
		p.print(word, " ", column(check), " ", text(column(object)), " ", text(cmp.Or(source, "-")), " ", text(detail), "\n")
	}
	for _, e := range r.Errors {
		line(shortInput, "", "", lineOf(policy.Region{File: e.File, StartLine: e.Line, StartColumn: e.Column}), e.Message)
	}
	for _, f := range places(r) {
		word := f.Severity.String()
		detail := f.Detail
		if f.Waived {
			word, detail = shortWaived, "by "+f.WaivedBy+": "+detail
		}
		if f.Known {
			word = shortBaseline
		}
		if n := len(f.affected); n > 1 {
			detail += " (also affects " + plural(n-1, "other object") + ")"
		}
		source := ""
		if at, ok := r.Locate(f.Finding); ok {
			source = lineOf(at)
		}
		line(word, string(r.Check(f.Pair).ID), slashed(f.ref), source, detail)
	}
	for _, s := range r.Skipped {
		word := shortIncomplete
		if s.Expected {
			word = shortSkipped
		}
		line(word, string(r.Check(s.Pair).ID), slashed(r.Subject(s.Pair).Ref), "", s.Reason())
	}
	return p.flush()
}

// column is a value without spaces.
func column(s string) string {
	return cmp.Or(escapeUnless(s, func(r rune) bool { return r != ' ' && unicode.IsPrint(r) }), "-")
}

// slashed names an object in one word, for example
// mojaloop/Deployment/perffsp-1-sdk.
func slashed(ref policy.Ref) string {
	return strings.TrimPrefix(ref.Namespace+"/"+ref.Kind+"/"+ref.Name, "/")
}
