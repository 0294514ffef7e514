package report

import (
	"encoding/xml"
	"testing"

	"github.com/mojasec/mojasec/pkg/policy"
)

type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	junitAttributes
	Suites []struct {
		Name string `xml:"name,attr"`
		junitAttributes
		Cases []junitCase `xml:"testcase"`
	} `xml:"testsuite"`
}

type junitAttributes struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

func readJUnit(t *testing.T, r *policy.Report, o Options) junitSuites {
	t.Helper()
	var doc junitSuites
	if err := xml.Unmarshal([]byte(render(t, "junit", r, o)), &doc); err != nil {
		t.Fatalf("decode junit: %v", err)
	}
	return doc
}

func TestJUnitCountsAddUp(t *testing.T) {
	t.Parallel()
	for _, failOn := range []policy.Severity{policy.Note, policy.Warning, policy.Error} {
		t.Run(failOn.String(), func(t *testing.T) {
			t.Parallel()
			r, o := fixture(), options()
			o.FailOn = failOn
			doc := readJUnit(t, r, o)
			var total junitAttributes
			names := map[[2]string]bool{}
			for _, suite := range doc.Suites {
				var got junitAttributes
				for _, c := range suite.Cases {
					got.Tests++
					outcomes := 0
					if c.Failure != nil {
						got.Failures++
						outcomes++
					}
					if c.Error != nil {
						got.Errors++
						outcomes++
					}
					if c.Skipped != nil {
						got.Skipped++
						outcomes++
					}
					if outcomes > 1 {
						t.Errorf("%s has %d outcomes", c.Name, outcomes)
					}
					if key := [2]string{c.ClassName, c.Name}; names[key] {
						t.Errorf("%s is there twice", key)
					} else {
						names[key] = true
					}
				}
				if got != suite.junitAttributes {
					t.Errorf("suite %s says %+v, has %+v", suite.Name, suite.junitAttributes, got)
				}
				total.Tests += got.Tests
				total.Failures += got.Failures
				total.Errors += got.Errors
				total.Skipped += got.Skipped
			}
			if total != doc.junitAttributes {
				t.Errorf("the document says %+v, has %+v", doc.junitAttributes, total)
			}
			pairs := map[policy.Pair]bool{}
			for _, p := range r.Passed {
				pairs[p] = true
			}
			for i := range r.Findings {
				pairs[r.Findings[i].Pair] = true
			}
			for i := range r.Skipped {
				pairs[r.Skipped[i].Pair] = true
			}
			if want := len(pairs) + len(r.Errors); total.Tests != want {
				t.Errorf("got %d cases, want %d", total.Tests, want)
			}
		})
	}
}

func TestJUnitOutcomes(t *testing.T) {
	t.Parallel()
	pair := policy.Pair{Check: ilpNotDefault}
	finding := func(s policy.Severity, tweak func(*policy.Finding)) policy.Finding {
		f := policy.Finding{Pair: pair, Severity: s, Violation: policy.Violation{Detail: s.String()}}
		tweak(&f)
		return f
	}
	same := func(*policy.Finding) {}
	waived := func(f *policy.Finding) { f.Waived, f.WaivedBy = true, "w" }
	known := func(f *policy.Finding) { f.Known = true }
	tests := []struct {
		name   string
		report policy.Report
		want   string
		output string
	}{
		{"passed", policy.Report{Passed: []policy.Pair{pair}}, "passed", ""},
		{"error", policy.Report{Findings: []policy.Finding{finding(policy.Error, same)}}, "failure", ""},
		{"warning below the bar", policy.Report{Findings: []policy.Finding{finding(policy.Warning, same)}}, "passed", "Deployment mojaloop/sdk-0000: warning: warning"},
		{"in the baseline", policy.Report{Findings: []policy.Finding{finding(policy.Error, known)}}, "passed", "Deployment mojaloop/sdk-0000: error: in the baseline: error"},
		{"waived", policy.Report{Findings: []policy.Finding{finding(policy.Error, waived)}}, "skipped", ""},
		{"waived and not", policy.Report{Findings: []policy.Finding{finding(policy.Error, waived), finding(policy.Error, same)}}, "failure", "Deployment mojaloop/sdk-0000: error: waived by w: error"},
		{"expected skip", policy.Report{Skipped: []policy.Skip{{Pair: pair, Expected: true}}}, "skipped", ""},
		{"unexpected skip", policy.Report{Skipped: []policy.Skip{{Pair: pair}}}, "error", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.report.Checks = fixtureChecks()
			tt.report.Subjects = many(1).Subjects
			doc := readJUnit(t, &tt.report, options())
			if len(doc.Suites) != 1 || len(doc.Suites[0].Cases) != 1 {
				t.Fatalf("got %+v, want one case", doc)
			}
			c := doc.Suites[0].Cases[0]
			got := "passed"
			switch {
			case c.Failure != nil:
				got = "failure"
			case c.Error != nil:
				got = "error"
			case c.Skipped != nil:
				got = "skipped"
			}
			if got != tt.want || c.Output != tt.output {
				t.Errorf("got %s with output %q, want %s with %q", got, c.Output, tt.want, tt.output)
			}
		})
	}
}
