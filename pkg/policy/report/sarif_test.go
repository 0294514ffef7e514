package report

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/policy"
)

// sarifLog is what a reader of SARIF sees.
type sarifLog struct {
	Schema  string `json:"$schema"`
	Version string
	Runs    []struct {
		Tool        struct{ Driver sarifDriver }
		Invocations []sarifInvocation
		Results     *[]sarifResult
	}
}

func readSARIF(t testing.TB, r *policy.Report, o Options) (text string, log sarifLog) {
	t.Helper()
	text = render(t, "sarif", r, o)
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatalf("decode sarif: %v", err)
	}
	if len(log.Runs) != 1 || log.Runs[0].Results == nil {
		t.Fatal("no run with a list of results")
	}
	return text, log
}

func TestSARIFAgainstTheStandard(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	doc, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	withFixes := options()
	withFixes.Fixes = func(*policy.Finding) []Replacement {
		return []Replacement{{Region: policy.Region{File: "a.yaml", StartLine: 3, StartColumn: 1, EndLine: 3, EndColumn: 1}, Text: "x: y\n"}}
	}
	absolute := options()
	absolute.Path = func(string) string { return "/srv/a b.yaml" }
	tests := []struct {
		name    string
		report  *policy.Report
		options Options
	}{
		{"everything", fixture(), options()},
		{"without options", fixture(), Options{}},
		{"with fixes", fixture(), withFixes},
		{"absolute paths", fixture(), absolute},
		{"nothing", &policy.Report{}, options()},
		{"too many", many(sarifResults + 7), options()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, _ := readSARIF(t, tt.report, tt.options)
			instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(instance); err != nil {
				t.Error(err)
			}
			broken := strings.Replace(text, `"version":"2.1.0"`, `"version":"2.0.0"`, 1)
			if instance, err = jsonschema.UnmarshalJSON(strings.NewReader(broken)); err != nil || schema.Validate(instance) == nil {
				t.Error("the schema accepts another version: this test proves nothing")
			}
		})
	}
}

func TestSARIFRules(t *testing.T) {
	t.Parallel()
	_, log := readSARIF(t, fixture(), options())
	run := log.Runs[0]
	for i, rule := range run.Tool.Driver.Rules {
		check := fixtureChecks()[i]
		if rule.ID != string(check.ID) || rule.ShortDescription.Text == "" || rule.FullDescription.Text == "" ||
			rule.Help.Text == "" || rule.Help.Markdown == "" || rule.HelpURI != "https://mojasec.example/checks#"+rule.ID ||
			rule.DefaultConfiguration.Level != check.Severity.String() || len(rule.Properties.Tags) == 0 ||
			rule.Properties.Precision == "" || rule.Properties.SecuritySeverity == "" {
			t.Errorf("incomplete rule: %+v", rule)
		}
		if n := utf8.RuneCountInString(rule.FullDescription.Text); n > sarifDescription {
			t.Errorf("%s: full description of %d characters", rule.ID, n)
		}
	}
	for _, res := range *run.Results {
		if got := run.Tool.Driver.Rules[res.RuleIndex].ID; got != res.RuleID {
			t.Errorf("rule %d is %s, want %s", res.RuleIndex, got, res.RuleID)
		}
	}
	if got, want := run.Tool.Driver.Rules[ilpNotDefault].Name, "IlpSecretNotDefault"; got != want {
		t.Errorf("name: got %q, want %q", got, want)
	}
}

func TestSARIFRegions(t *testing.T) {
	t.Parallel()
	r := fixture()
	// A position of which only the file and line are known.
	vague := policy.Ref{Kind: "Deployment", Namespace: "a", Name: "vague"}
	r.Subjects = append(r.Subjects, policy.Subject{Ref: vague})
	r.Sources[vague] = vagueFile{}
	r.Findings = append(r.Findings, policy.Finding{Pair: policy.Pair{Check: dfspIdentity, Subject: int32(len(r.Subjects) - 1)}, Severity: policy.Error})
	_, log := readSARIF(t, r, options())
	fromFile := 0
	for _, res := range *log.Runs[0].Results {
		at := res.Locations[0].PhysicalLocation
		if at == nil {
			if got, want := res.Locations[0].LogicalLocations[0].FullyQualifiedName, "hub/Deployment/quoting-service"; got != want {
				t.Errorf("without a file: got %q, want %q", got, want)
			}
			continue
		}
		fromFile++
		if reg := at.Region; reg.StartLine < 1 || reg.StartColumn < 1 || reg.EndLine < reg.StartLine || reg.EndLine == reg.StartLine && reg.EndColumn < reg.StartColumn {
			t.Errorf("%s: region %+v", res.RuleID, *reg)
		}
		if at.ArtifactLocation.URIBaseID != sarifRoot || strings.ContainsAny(at.ArtifactLocation.URI, " \n\\") {
			t.Errorf("artifact %+v", at.ArtifactLocation)
		}
	}
	if fromFile == 0 {
		t.Error("no result has a file")
	}
}

type vagueFile struct{}

func (vagueFile) Locate(string) (policy.Region, bool) {
	return policy.Region{File: "x.yaml", StartLine: 4}, true
}

func TestSARIFArtifact(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file string
		want sarifArtifactLocation
	}{
		{"deploy/a.yaml", sarifArtifactLocation{URI: "deploy/a.yaml", URIBaseID: sarifRoot}},
		{"a b#c?d%.yaml", sarifArtifactLocation{URI: "a%20b%23c%3Fd%25.yaml", URIBaseID: sarifRoot}},
		{"c:/d.yaml", sarifArtifactLocation{URI: "./c:/d.yaml", URIBaseID: sarifRoot}},
		{"zürich.yaml", sarifArtifactLocation{URI: "z%C3%BCrich.yaml", URIBaseID: sarifRoot}},
		{"/srv/a b.yaml", sarifArtifactLocation{URI: "file:///srv/a%20b.yaml"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			if got := artifact(tt.file); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSARIFOutsideTheRepository(t *testing.T) {
	t.Parallel()
	o := options()
	o.Path = func(file string) string { return map[string]string{"deploy.yaml": "charts/deploy.yaml"}[file] }
	r := many(1)
	r.Findings[0].Related = []policy.Location{{Ref: peers}}
	r.Sources[peers] = file{"<stdin>", 1}
	_, log := readSARIF(t, r, o)
	res := (*log.Runs[0].Results)[0]
	if got, want := res.Locations[0].PhysicalLocation.ArtifactLocation.URI, "charts/deploy.yaml"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if at := res.RelatedLocations[0].PhysicalLocation; at != nil || strings.Contains(res.Message.Text, "](1)") {
		t.Errorf("standard input is linked: %v, %q", at, res.Message.Text)
	}
}

func TestSARIFLinks(t *testing.T) {
	t.Parallel()
	_, log := readSARIF(t, fixture(), options())
	link := regexp.MustCompile(`\]\((\d+)\)`)
	linked := 0
	for _, res := range *log.Runs[0].Results {
		ids := map[string]bool{}
		for _, l := range res.RelatedLocations {
			if l.PhysicalLocation != nil {
				ids[string(rune('0'+l.ID%10))] = true
			}
		}
		for _, m := range link.FindAllStringSubmatch(res.Message.Text, -1) {
			linked++
			if !ids[m[1][len(m[1])-1:]] {
				t.Errorf("link to %s leads nowhere: %q", m[1], res.Message.Text)
			}
		}
	}
	if linked == 0 {
		t.Error("no message links a related place")
	}
}

func TestSARIFKeepsTheWorst(t *testing.T) {
	t.Parallel()
	r := many(sarifResults + 7)
	for i := range r.Findings {
		if i < 10 {
			r.Findings[i].Severity = policy.Note
		}
	}
	r.Findings[sarifResults].Waived = true
	_, log := readSARIF(t, r, options())
	results := *log.Runs[0].Results
	if len(results) != sarifResults {
		t.Fatalf("got %d results, want %d", len(results), sarifResults)
	}
	notes := 0
	for i, res := range results {
		if res.Level == "note" {
			notes++
		} else if notes > 0 {
			t.Fatalf("result %d is %s, behind a note", i, res.Level)
		}
		if len(res.Suppressions) > 0 {
			t.Errorf("result %d is a waived one", i)
		}
	}
	if notes != 4 {
		t.Errorf("got %d notes, want 4", notes)
	}
	list := log.Runs[0].Invocations[0].ToolExecutionNotifications
	if got, want := list[len(list)-1].Message.Text, "7 results left out, the lightest: a run holds 5000"; got != want {
		t.Errorf("notification: got %q, want %q", got, want)
	}
}

func TestSARIFNotifications(t *testing.T) {
	t.Parallel()
	r := many(3)
	for i := range 150 {
		r.Errors = append(r.Errors, policy.InputError{File: "x.yaml", Line: i + 1, Message: "bad"})
	}
	_, log := readSARIF(t, r, options())
	in := log.Runs[0].Invocations[0]
	if in.ExecutionSuccessful {
		t.Error("the execution is successful in spite of input errors")
	}
	if got, want := len(in.ToolExecutionNotifications), sarifNotifications+1; got != want {
		t.Fatalf("got %d notifications, want %d", got, want)
	}
	if got, want := in.ToolExecutionNotifications[sarifNotifications].Message.Text, "and 50 notifications like these"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, log = readSARIF(t, many(1), options())
	if in := log.Runs[0].Invocations[0]; !in.ExecutionSuccessful || in.ToolExecutionNotifications != nil {
		t.Errorf("got %+v, want a quiet success", in)
	}
}

// A baseline and a suppression are said of all results or of none.
func TestSARIFSaysItOfAll(t *testing.T) {
	t.Parallel()
	text := render(t, "sarif", many(2), options())
	if strings.Contains(text, "suppressions") || strings.Contains(text, "baselineState") {
		t.Error("a report without waivers and baseline speaks of them")
	}
	_, log := readSARIF(t, fixture(), options())
	waived := 0
	for _, res := range *log.Runs[0].Results {
		if res.Suppressions == nil || res.BaselineState == "" {
			t.Errorf("%s: got %v and %q", res.RuleID, res.Suppressions, res.BaselineState)
		}
		for _, s := range res.Suppressions {
			waived++
			if want := (sarifSuppression{"external", "accepted", "Waiver perffsp-3-migration"}); s != want {
				t.Errorf("got %v, want %v", s, want)
			}
		}
	}
	if waived != 1 {
		t.Errorf("got %d suppressions, want 1", waived)
	}
}

func TestSARIFFixes(t *testing.T) {
	t.Parallel()
	o := options()
	region := policy.Region{File: "a.yaml", StartLine: 3, StartColumn: 1, EndLine: 3, EndColumn: 1}
	o.Fixes = func(*policy.Finding) []Replacement {
		other := region
		other.File = "b.yaml"
		return []Replacement{{region, "x: y\n"}, {other, "z"}, {region, ""}}
	}
	_, log := readSARIF(t, many(1), o)
	fixes := (*log.Runs[0].Results)[0].Fixes
	if len(fixes) != 1 || len(fixes[0].ArtifactChanges) != 2 || len(fixes[0].ArtifactChanges[0].Replacements) != 2 {
		t.Fatalf("got %+v, want one fix of two files", fixes)
	}
	if got, want := fixes[0].ArtifactChanges[0].Replacements[0].InsertedContent.Text, "x: y\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, log = readSARIF(t, many(1), options())
	if fixes := (*log.Runs[0].Results)[0].Fixes; fixes != nil {
		t.Errorf("got %v, want no fix without an edit", fixes)
	}
}

// marks are the fingerprints that GitHub goes by.
func marks(t *testing.T, r *policy.Report) []string {
	t.Helper()
	_, log := readSARIF(t, r, options())
	var out []string
	seen := map[string]bool{}
	for _, res := range *log.Runs[0].Results {
		mark := res.PartialFingerprints.PrimaryLocationLineHash
		if mark == "" || seen[mark] {
			t.Errorf("fingerprint %q is empty or not the only one", mark)
		}
		seen[mark] = true
		out = append(out, mark)
	}
	return out
}

func TestFingerprintsSurviveMovedLines(t *testing.T) {
	t.Parallel()
	want := marks(t, fixture())
	moved := fixture()
	for ref, at := range moved.Sources {
		f, ok := at.(file)
		if !ok {
			t.Fatalf("source of %s is a %T", ref, at)
		}
		moved.Sources[ref] = file{f.name, f.line + 10}
	}
	if diff := cmp.Diff(want, marks(t, moved)); diff != "" {
		t.Errorf("ten lines inserted above (-want +got):\n%s", diff)
	}
	reworded := fixture()
	for i := range reworded.Findings {
		reworded.Findings[i].Fix += "!"
		reworded.Findings[i].Detail += "!"
	}
	if diff := cmp.Diff(want, marks(t, reworded)); diff != "" {
		t.Errorf("other words (-want +got):\n%s", diff)
	}
}

func TestFingerprintGoesByName(t *testing.T) {
	t.Parallel()
	finding := func(tweak func(*policy.Report)) string {
		r := many(1)
		tweak(r)
		return Fingerprint(r, &r.Findings[0])
	}
	want := finding(func(*policy.Report) {})
	same := map[string]func(*policy.Report){
		"env inserted above": func(r *policy.Report) {
			r.Subjects[0].Pod = sdkPod("NEW", "DFSP_ID", "ILP_SECRET")
			r.Findings[0].Field = podPath.Child("containers").Index(0).Child("env").Index(2).Child("value")
		},
		"container inserted above": func(r *policy.Report) {
			pod := &r.Subjects[0].Pod.Spec
			pod.Containers = append([]corev1.Container{{Name: "proxy"}}, pod.Containers...)
			r.Findings[0].Field = podPath.Child("containers").Index(1).Child("env").Index(1).Child("value")
		},
		"other API version": func(r *policy.Report) { r.Subjects[0].Ref.APIVersion = "apps/v2" },
	}
	for name, tweak := range same {
		if got := finding(tweak); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	other := map[string]func(*policy.Report){
		"other check":     func(r *policy.Report) { r.Findings[0].Check = ilpFromSecret },
		"other object":    func(r *policy.Report) { r.Subjects[0].Ref.Name = "x" },
		"other namespace": func(r *policy.Report) { r.Subjects[0].Ref.Namespace = "x" },
		"other variable":  func(r *policy.Report) { r.Subjects[0].Pod = sdkPod("DFSP_ID", "CACHE_URL") },
		"other place":     func(r *policy.Report) { r.Findings[0].At = &peers },
		"no field":        func(r *policy.Report) { r.Findings[0].Field = nil },
	}
	for name, tweak := range other {
		if got := finding(tweak); got == want {
			t.Errorf("%s: the fingerprint is the same", name)
		}
	}
}

func TestNamedPath(t *testing.T) {
	t.Parallel()
	pod := sdkPod("DFSP_ID").Spec
	pod.Volumes = []corev1.Volume{{Name: "jws"}}
	pod.InitContainers = []corev1.Container{{Name: "init", VolumeMounts: []corev1.VolumeMount{{MountPath: "/keys"}}}}
	pod.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}}}
	pod.Containers[0].EnvFrom = []corev1.EnvFromSource{
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}},
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}},
		{},
	}
	tests := []struct{ in, want string }{
		{"", ""},
		{"metadata.name", "metadata.name"},
		{"spec.containers[0].env[0].value", "spec.containers[sdk].env[DFSP_ID].value"},
		{"spec.containers[0].env[9]", "spec.containers[sdk].env[9]"},
		{"spec.containers[7].env[0]", "spec.containers[7].env[0]"},
		{"spec.containers[0].envFrom[0]", "spec.containers[sdk].envFrom[Secret s]"},
		{"spec.containers[0].envFrom[1]", "spec.containers[sdk].envFrom[ConfigMap c]"},
		{"spec.containers[0].envFrom[2]", "spec.containers[sdk].envFrom[2]"},
		{"spec.initContainers[0].volumeMounts[0]", "spec.initContainers[init].volumeMounts[/keys]"},
		{"spec.ephemeralContainers[0]", "spec.ephemeralContainers[debug]"},
		{"spec.volumes[0].secret", "spec.volumes[jws].secret"},
		{"metadata.annotations[a/b].x", "metadata.annotations[a/b].x"},
		{"metadata.annotations[broken", "metadata.annotations[broken"},
		{"spec.containers[-1]", "spec.containers[-1]"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			if got := namedPath(tt.in, &pod); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Objects that share one thing to change are one result.
func TestSARIFMergesSharedPlaces(t *testing.T) {
	t.Parallel()
	r := many(30)
	for i := range r.Findings {
		r.Findings[i].At = &peers
		r.Findings[i].Field = field.NewPath("spec", "mtls", "mode")
		r.Findings[i].Detail = "the mode of " + r.Subjects[i].Ref.String() + " is PERMISSIVE"
	}
	r.Findings[29].Waived, r.Findings[29].WaivedBy = true, "w"
	_, log := readSARIF(t, r, options())
	results := *log.Runs[0].Results
	if len(results) != 2 {
		t.Fatalf("got %d results, want one that counts and one that is waived", len(results))
	}
	if got := results[0].OccurrenceCount; got != 29 {
		t.Errorf("occurrences: got %d, want 29", got)
	}
	if got := results[0].Message.Text; !strings.HasSuffix(got, "and 19 more") || !strings.Contains(got, "the mode of each of them is PERMISSIVE") {
		t.Errorf("message: %q", got)
	}
}

func BenchmarkSARIF(b *testing.B) {
	for _, n := range []int{1000, sarifResults} {
		r := many(n)
		b.Run(plural(n, "result"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := writeSARIF(io.Discard, r, options()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTable(b *testing.B) {
	r := many(sarifResults)
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := writeTable(&out, r, options()); err != nil {
			b.Fatal(err)
		}
	}
}
