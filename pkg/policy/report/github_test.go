package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/policy"
)

func TestGitHubShowsTheWorst(t *testing.T) {
	t.Parallel()
	r := many(60)
	for i := range r.Findings {
		r.Findings[i].Severity = policy.Severity(i % 3)
	}
	r.Findings[2].Waived = true
	r.Findings[5].Known = true
	got := render(t, "github", r, options())
	for word, want := range map[string]int{"::error ": 10, "::warning ": 10, "::notice ": 10} {
		if n := strings.Count("\n"+got, "\n"+word); n != want {
			t.Errorf("%s: got %d, want %d", word, n, want)
		}
	}
	if want := "::notice title=mojasec::8 more errors, 10 more warnings, 11 more notes: see the sarif or markdown report\n"; !strings.Contains(got, want) {
		t.Errorf("no line %q in:\n%s", want, got)
	}
	if first, _, _ := strings.Cut(got, "::error"); first != "" {
		t.Errorf("starts with %q", first)
	}
}

func TestGitHubRegions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		at   policy.Region
		want string
	}{
		{"one line", policy.Region{File: "a", StartLine: 4, StartColumn: 2, EndLine: 4, EndColumn: 9}, "file=a,line=4,endLine=4,col=2,endColumn=9,title="},
		{"several lines", policy.Region{File: "a", StartLine: 4, StartColumn: 2, EndLine: 6, EndColumn: 9}, "file=a,line=4,endLine=6,title="},
		{"outside the repository", policy.Region{StartLine: 4}, "::error title="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := many(1)
			r.Sources[r.Subjects[0].Ref] = fixed(tt.at)
			if got := render(t, "github", r, options()); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
}

// fixed is a source with one region.
type fixed policy.Region

func (f fixed) Locate(string) (policy.Region, bool) { return policy.Region(f), true }

// GitHub refuses a job summary over 1 MiB.
func TestMarkdownFitsIntoASummary(t *testing.T) {
	t.Parallel()
	r := many(20000)
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Detail = fmt.Sprintf("%d %s", i, strings.Repeat("<", 200))
		f.Fix = f.Detail
		r.Skipped = append(r.Skipped, policy.Skip{Pair: f.Pair, Unknown: []policy.Fact{{Kind: policy.FactSecret, Name: f.Detail}}})
		r.Injected = append(r.Injected, policy.Injection{Change: f.Detail})
		r.Errors = append(r.Errors, policy.InputError{Message: f.Detail})
		if i%2 == 0 {
			f.Waived, f.WaivedBy = true, "w"
		}
	}
	got := render(t, "markdown", r, options())
	if len(got) >= 1<<20 {
		t.Errorf("got %d bytes", len(got))
	}
	if n := strings.Count(got, "more that this page has no room for"); n != 6 {
		t.Errorf("%d parts say that they are cut, want 6", n)
	}
	if strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Error("a folded part is not closed")
	}
	if small := render(t, "markdown", fixture(), options()); strings.Contains(small, "no room") {
		t.Error("a small report says that it is cut")
	}
}
