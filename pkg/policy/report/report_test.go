package report

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

func TestWriteUnknownFormat(t *testing.T) {
	t.Parallel()
	err := Write("pdf", nil, &policy.Report{}, Options{})
	if err == nil || !strings.Contains(err.Error(), `"pdf"`) || !strings.Contains(err.Error(), "table, wide, short") {
		t.Errorf("got %v, want an error with the formats that exist", err)
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteReportsFailureOfTheWriter(t *testing.T) {
	t.Parallel()
	for _, format := range Formats() {
		for name, r := range map[string]*policy.Report{"small": many(1), "large": many(500)} {
			if err := Write(format, brokenPipe{}, r, Options{}); !errors.Is(err, errBroken) {
				t.Errorf("%s, %s report: got %v, want %v", format, name, err, errBroken)
			}
		}
	}
}

// Hard case 38: nothing that a stranger wrote into a manifest acts in an output.
func TestHostileTextNeverActs(t *testing.T) {
	t.Parallel()
	for _, format := range Formats() {
		got := render(t, format, fixture(), options())
		if !utf8.ValidString(got) {
			t.Errorf("%s: not UTF-8", format)
		}
		for i, r := range got {
			if r != '\n' && !unicode.IsPrint(r) && r != '\ufe0f' { // the last is in an emoji of markdown's own
				t.Errorf("%s: has %U at %q", format, r, got[max(0, i-20):min(len(got), i+20)])
				break
			}
		}
		for line := range strings.Lines(got) {
			if format != "github" && runnerObeys(line) {
				t.Errorf("%s: has a workflow command: %q", format, line)
			}
		}
	}
	md := render(t, "markdown", fixture(), options())
	for _, bad := range []string{"](http://x.y)|", "\\|`[a]", " <script>", "\n::"} {
		if strings.Contains(strings.ReplaceAll(md, "\\|`[a](http://x.y)` @root $x$ {0}", ""), bad) {
			t.Errorf("markdown has %q", bad)
		}
	}
}

func TestReportDoesNotChange(t *testing.T) {
	t.Parallel()
	r, want := fixture(), ToAPI(fixture())
	for _, format := range Formats() {
		render(t, format, r, options())
	}
	if diff := cmp.Diff(want, ToAPI(r)); diff != "" {
		t.Errorf("writing changed the report (-want +got):\n%s", diff)
	}
}

func TestContractRoundTrip(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*policy.Report{"full": fixture(), "empty": {}} {
		// What is not UTF-8 cannot be in JSON: the encoder replaces it.
		text, err := json.Marshal(ToAPI(r))
		if err != nil {
			t.Fatal(err)
		}
		var want v1alpha1.Report
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		var fromJSON, fromYAML v1alpha1.Report
		dec := json.NewDecoder(strings.NewReader(render(t, "json", r, options())))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&fromJSON); err != nil {
			t.Fatalf("%s: decode json: %v", name, err)
		}
		if dec.More() {
			t.Errorf("%s: json has more than one document", name)
		}
		if err := yaml.UnmarshalStrict([]byte(render(t, "yaml", r, options())), &fromYAML); err != nil {
			t.Fatalf("%s: decode yaml: %v", name, err)
		}
		if diff := cmp.Diff(want, fromJSON); diff != "" {
			t.Errorf("%s: json (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want, fromYAML); diff != "" {
			t.Errorf("%s: yaml (-want +got):\n%s", name, diff)
		}
	}
}

func TestContractListsAreNeverNull(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal([]byte(render(t, "json", &policy.Report{}, options())), &doc); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"findings", "skipped", "injected", "errors"} {
		if got, ok := doc[list].([]any); !ok || len(got) != 0 {
			t.Errorf("%s: got %v, want an empty list", list, doc[list])
		}
	}
	if strings.Contains(render(t, "json", fixture(), options()), `\u003c`) {
		t.Error("json escapes HTML: <fsp>.pem is unreadable")
	}
}

func TestContractPointsAtTheObjectToChange(t *testing.T) {
	t.Parallel()
	r := fixture()
	f := ToAPI(r).Findings[0]
	if got, want := f.Subject, (v1alpha1.ReportObject{APIVersion: "security.istio.io/v1", Kind: "PeerAuthentication", Namespace: "mojaloop", Name: "default"}); got != want {
		t.Errorf("subject: got %v, want %v", got, want)
	}
	if f.Source == nil || f.Source.File != "mesh/peers.yaml" {
		t.Errorf("source: got %v, want a region of mesh/peers.yaml", f.Source)
	}
	if len(f.Related) != 1 || f.Related[0].Subject.Name != "perffsp-1-sdk" {
		t.Errorf("related: got %v, want the judged object", f.Related)
	}
	r.Findings[0].Related = []policy.Location{{Ref: r.Subjects[0].Ref, Message: "own words"}}
	if got := ToAPI(r).Findings[0].Related; len(got) != 1 || got[0].Message != "own words" {
		t.Errorf("related: got %v, want the judged object once, in the words of the check", got)
	}
}

// A thousand pods with one fault, whether it is in each of them or in one
// object that they share, must not fill a screen.
func TestTableStaysShort(t *testing.T) {
	t.Parallel()
	const lines = 25
	own := many(1000)
	differing := many(1000)
	for i := range differing.Findings {
		differing.Findings[i].Detail += ": " + differing.Subjects[i].Ref.Name
		differing.Findings[i].Fix += " for " + differing.Subjects[i].Ref.Name
	}
	shared := many(1000)
	for i := range shared.Findings {
		shared.Findings[i].At = &peers
	}
	skipped := many(1000)
	for i := range skipped.Findings {
		skipped.Skipped = append(skipped.Skipped, policy.Skip{
			Pair: skipped.Findings[i].Pair, Unknown: []policy.Fact{{Kind: policy.FactSecret, Name: skipped.Subjects[i].Ref.Name}},
		})
	}
	skipped.Findings = nil
	injected := many(1000)
	for i := range injected.Findings {
		injected.Injected = append(injected.Injected, policy.Injection{Check: "mtls-in-mesh", Subject: injected.Subjects[i].Ref, Change: "a label"})
	}
	injected.Findings = nil
	for name, r := range map[string]*policy.Report{
		"own": own, "own and differing": differing, "shared": shared, "skipped": skipped, "injected": injected,
	} {
		limit := lines
		if name == "own and differing" {
			limit = 40 // each with its own sentence and fix
		}
		got := render(t, "table", r, options())
		if n := strings.Count(got, "\n"); n > limit {
			t.Errorf("%s: got %d lines, want at most %d:\n%s", name, n, limit, got)
		}
		if !strings.Contains(got, "-o wide") {
			t.Errorf("%s: does not say how to see the rest:\n%s", name, got)
		}
		wide := render(t, "wide", r, options())
		for _, sub := range []string{"sdk-0000", "sdk-0500", "sdk-0999"} {
			if !strings.Contains(wide, sub) {
				t.Errorf("%s: wide does not have %s", name, sub)
			}
		}
	}
}

func TestTableWraps(t *testing.T) {
	t.Parallel()
	o := options()
	o.Width = 60
	for line := range strings.Lines(render(t, "table", many(3), o)) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > o.Width {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

func TestColourAddsNothingElse(t *testing.T) {
	t.Parallel()
	coloured := options()
	coloured.Colour = true
	for _, format := range []string{"table", "wide"} {
		got := render(t, format, fixture(), coloured)
		for _, code := range []string{bold, faint, red, green, yellow, blue, "0m"} {
			got = strings.ReplaceAll(got, "\x1b["+code, "")
		}
		if want := render(t, format, fixture(), options()); got != want {
			t.Errorf("%s: %s", format, cmp.Diff(want, got))
		}
	}
}

func TestASCII(t *testing.T) {
	t.Parallel()
	o := options()
	o.ASCII = true
	for _, format := range []string{"table", "wide", "short"} {
		if i := strings.IndexFunc(render(t, format, fixture(), o), func(r rune) bool { return r > '~' }); i >= 0 {
			t.Errorf("%s: not ASCII at %d", format, i)
		}
	}
}

func TestSummaryLine(t *testing.T) {
	t.Parallel()
	one := many(1)
	one.Errors = []policy.InputError{{Message: "x"}}
	one.Injected = []policy.Injection{{}}
	tests := []struct {
		name string
		r    *policy.Report
		want string
	}{
		{"nothing", &policy.Report{}, "0 objects: nothing to check"},
		{"singular", one, "1 object: 1 input error, 1 error, 1 injected"},
		{"plural", many(2), "2 objects: 2 errors"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := summary(tt.r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestShortIsForGrep(t *testing.T) {
	t.Parallel()
	r := fixture()
	lines := strings.Split(strings.TrimSuffix(render(t, "short", r, options()), "\n"), "\n")
	// The twelve findings at one PeerAuthentication are one line.
	if want := len(r.Errors) + len(r.Findings) - 11 + len(r.Skipped); len(lines) != want {
		t.Errorf("got %d lines, want %d", len(lines), want)
	}
	words := []string{"error", "warning", "note", shortInput, shortWaived, shortBaseline, shortSkipped, shortIncomplete}
	for _, line := range lines {
		if word, _, _ := strings.Cut(line, " "); !slices.Contains(words, word) {
			t.Errorf("starts with %q: %q", word, line)
		}
	}
}

func TestTableReasons(t *testing.T) {
	t.Parallel()
	r := many(6)
	r.Findings = nil
	for i := range r.Subjects {
		r.Skipped = append(r.Skipped, policy.Skip{
			Pair:     policy.Pair{Check: jwsKeyAge, Subject: int32(i)},
			Unknown:  []policy.Fact{{Kind: policy.FactSecret, Name: r.Subjects[i].Ref.Name}},
			Expected: i < 4,
		})
	}
	got := render(t, "table", r, options())
	want := `? the signing key is young enough  (6 not checked)
    not known: Secret sdk-0004, for Deployment mojaloop/sdk-0004
    not known: Secret sdk-0005, for Deployment mojaloop/sdk-0005
    … and 4 more: -o wide
`
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want in it\n%s", got, want)
	}
}
