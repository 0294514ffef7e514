package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mojasec/mojasec/pkg/policy"
)

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	projectURI  = "https://github.com/mojasec/mojasec"
	// sarifRoot stands for the root of the repository. GitHub resolves it.
	sarifRoot = "%SRCROOT%"

	// sarifResults is the number of results that GitHub keeps of a run.
	sarifResults = 5000
	// sarifDescription is the length in characters that GitHub allows a full
	// description.
	sarifDescription = 1024
	// sarifNotifications and sarifRelated keep repetitions readable.
	sarifNotifications = 100
	sarifRelated       = 10
)

// sarif writes a log of one run. Results are encoded one at a time: a log of
// thousands of them is never in memory as a whole.
type sarif struct {
	*printer
	enc *json.Encoder
	r   *policy.Report
	o   Options
	// waived and known tell that results must say whether they are so: SARIF
	// wants that of all of them or of none.
	waived, known bool
	seen          map[string]int // results so far, by fingerprint
}

func writeSARIF(w io.Writer, r *policy.Report, o Options) error {
	s := &sarif{printer: newPrinter(w), r: r, o: o, seen: map[string]int{}}
	s.enc = json.NewEncoder(printable{s.printer, jsonEscape})
	s.enc.SetEscapeHTML(false)
	list := places(r)
	for _, p := range list {
		s.waived = s.waived || p.Waived
		s.known = s.known || p.Known
	}
	cut := max(0, len(list)-sarifResults)

	s.print(`{"$schema":"`, sarifSchema, `","version":"2.1.0","runs":[{"tool":{"driver":`)
	s.encode(s.driver())
	s.print(`},"columnKind":"unicodeCodePoints","originalUriBaseIds":{"`, sarifRoot,
		`":{"description":{"text":"The root of the repository."}}},"invocations":[`)
	s.encode(s.invocation(cut))
	s.print(`],"results":[`)
	for i := range list[:len(list)-cut] {
		if i > 0 {
			s.print(",")
		}
		s.encode(s.result(&list[i]))
	}
	s.print("]}]}\n")
	return s.flush()
}

func (s *sarif) encode(v any) {
	if s.err == nil {
		s.err = s.enc.Encode(v)
	}
}

func (s *sarif) driver() sarifDriver {
	d := sarifDriver{
		Name: "mojasec", Organization: "The mojasec authors", InformationURI: projectURI,
		Version: s.o.ToolVersion, Rules: make([]sarifRule, 0, len(s.r.Checks)),
	}
	for i := range s.r.Checks {
		d.Rules = append(d.Rules, s.rule(&s.r.Checks[i]))
	}
	return d
}

func (s *sarif) rule(c *policy.Check) sarifRule {
	full := c.Doc
	if full == "" {
		full = c.Title
	}
	explain := "kubectl mojasec explain " + string(c.ID)
	return sarifRule{
		ID: string(c.ID), Name: camel(string(c.ID)),
		ShortDescription: sarifMessage{Text: visible(c.Title)},
		FullDescription:  sarifMessage{Text: truncate(visible(strings.Join(strings.Fields(full), " ")), sarifDescription)},
		Help: sarifMessage{
			Text:     full + "\n\nFix: " + c.Fix + "\n\nMore: " + explain,
			Markdown: full + "\n\n**Fix:** " + c.Fix + "\n\nMore: `" + explain + "`",
		},
		HelpURI:              s.o.docs(c.ID),
		DefaultConfiguration: sarifConfiguration{Level: c.Severity.String()},
		Properties: sarifRuleBag{
			Tags:             []string{"security", "kubernetes", "mojaloop", strings.ToLower(string(c.Category))},
			Precision:        "high",
			SecuritySeverity: securitySeverity(c.Severity),
		},
	}
}

// securitySeverity is the score from which GitHub names an alert high (over
// 7.0), medium (over 4.0) or low.
func securitySeverity(s policy.Severity) string {
	switch s {
	case policy.Error:
		return "8.5"
	case policy.Warning:
		return "5.5"
	case policy.Note:
	}
	return "2.0"
}

// camel is a kebab-case id as SARIF wants rule names: IlpSecretSet.
func camel(id string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(id, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// truncate cuts text to a number of characters.
func truncate(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// invocation says what could not be read, could not be judged, or is left out.
func (s *sarif) invocation(cut int) sarifInvocation {
	var list []sarifNotification
	for _, e := range s.r.Errors {
		n := sarifNotification{Level: "error", Message: sarifMessage{Text: sarifText(e.Message)}}
		if file := s.o.path(e.File); file != "" {
			at := &sarifPhysicalLocation{ArtifactLocation: artifact(file)}
			if e.Line > 0 {
				at.Region = &sarifRegion{StartLine: e.Line, StartColumn: max(e.Column, 0)}
			}
			n.Locations = []sarifLocation{{PhysicalLocation: at}}
		}
		list = append(list, n)
	}
	byCheck := reasons(s.r)
	for i := range s.r.Checks {
		index := int32(i)
		for _, why := range byCheck[index] {
			if why.expected {
				continue
			}
			list = append(list, sarifNotification{
				Level:          "warning",
				Message:        sarifMessage{Text: sarifText("not checked for " + plural(len(why.subjects), "object") + ": " + why.text)},
				AssociatedRule: &sarifRuleRef{ID: string(s.r.Checks[i].ID), Index: index},
			})
		}
	}
	if more := len(list) - sarifNotifications; more > 0 {
		list = append(list[:sarifNotifications], sarifNotification{
			Level: "warning", Message: sarifMessage{Text: "and " + plural(more, "notification") + " like these"},
		})
	}
	if cut > 0 {
		list = append(list, sarifNotification{Level: "warning", Message: sarifMessage{
			Text: fmt.Sprintf("%s left out, the lightest: a run holds %d", plural(cut, "result"), sarifResults),
		}})
	}
	return sarifInvocation{ExecutionSuccessful: len(s.r.Errors) == 0, ToolExecutionNotifications: list}
}

func (s *sarif) result(p *place) sarifResult {
	check := s.r.Check(p.Pair)
	field := fieldOf(p.Finding)
	mark := fingerprint(s.r, p.Finding, field)
	s.seen[mark]++
	res := sarifResult{
		RuleID: string(check.ID), RuleIndex: p.Check, Level: p.Severity.String(),
		Locations:           []sarifLocation{s.location(p)},
		Fingerprints:        sarifFingerprint{mark},
		PartialFingerprints: sarifPartial{mark[:16] + ":" + strconv.Itoa(s.seen[mark])},
		Fixes:               s.fixes(p.Finding),
		Properties: sarifResultBag{
			Action: string(p.Action), AssumesEnforce: p.AssumesEnforce,
			Field: visible(field), Fix: lines(p.Fix),
		},
	}
	res.Message.Text, res.RelatedLocations = s.message(p)
	if n := len(p.affected); n > 1 {
		res.OccurrenceCount = n
	}
	if s.waived {
		res.Suppressions = []sarifSuppression{}
		if p.Waived {
			res.Suppressions = []sarifSuppression{{
				Kind: "external", Status: "accepted", Justification: visible("Waiver " + p.WaivedBy),
			}}
		}
	}
	if s.known {
		res.BaselineState = "new"
		if p.Known {
			res.BaselineState = "unchanged"
		}
	}
	return res
}

// location is the object to change and, when it came from a file, the node.
func (s *sarif) location(p *place) sarifLocation {
	out := sarifLocation{LogicalLocations: logical(p.ref)}
	if at, ok := s.o.region(s.r, p.Finding); ok {
		out.PhysicalLocation = physical(at)
	}
	return out
}

// message is what a result says, with links to the places that explain it.
func (s *sarif) message(p *place) (string, []sarifLocation) {
	var b strings.Builder
	b.WriteString(sarifText(p.ref.String()) + ": " + sarifText(p.sentence(s.r)))
	var locations []sarifLocation
	add := func(lead string, l policy.Location) {
		loc := sarifLocation{ID: len(locations) + 1, LogicalLocations: logical(l.Ref)}
		text := sarifText(l.Ref.String())
		loc.Message = &sarifMessage{Text: text}
		if l.Message != "" {
			loc.Message.Text = sarifText(l.Message)
		}
		if at, ok := s.r.Sources.Locate(l.Ref, l.Field); ok {
			if at, ok = s.o.inRepository(at); ok {
				loc.PhysicalLocation = physical(at)
				text = fmt.Sprintf("[%s](%d)", text, loc.ID)
			}
		}
		locations = append(locations, loc)
		b.WriteString(lead + text)
		if l.Message != "" {
			b.WriteString(" (" + loc.Message.Text + ")")
		}
	}
	if len(p.affected) > 0 {
		lead := ". Affects "
		for _, ref := range p.affected[:min(len(p.affected), sarifRelated)] {
			add(lead, policy.Location{Ref: ref})
			lead = ", "
		}
		if more := len(p.affected) - sarifRelated; more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
	}
	lead := ". See "
	for _, l := range p.Related[:min(len(p.Related), sarifRelated)] {
		add(lead, l)
		lead = ", "
	}
	return b.String(), locations
}

// fixes are the known edits of a finding, one change for each file.
func (s *sarif) fixes(f *policy.Finding) []sarifFix {
	if s.o.Fixes == nil {
		return nil
	}
	var changes []sarifArtifactChange
	at := map[string]int{}
	for _, rep := range s.o.Fixes(f) {
		region, ok := s.o.inRepository(rep.Region)
		if !ok {
			continue
		}
		n, seen := at[region.File]
		if !seen {
			n = len(changes)
			at[region.File] = n
			changes = append(changes, sarifArtifactChange{ArtifactLocation: artifact(region.File)})
		}
		changes[n].Replacements = append(changes[n].Replacements, sarifReplacement{
			DeletedRegion: sarifRegionOf(region), InsertedContent: &sarifMessage{Text: rep.Text},
		})
	}
	if len(changes) == 0 {
		return nil
	}
	return []sarifFix{{Description: sarifMessage{Text: sarifText(f.Fix)}, ArtifactChanges: changes}}
}

func logical(ref policy.Ref) []sarifLogicalLocation {
	return []sarifLogicalLocation{{
		Name: visible(ref.Name), FullyQualifiedName: visible(slashed(ref)), Kind: "resource",
	}}
}

func physical(at policy.Region) *sarifPhysicalLocation {
	region := sarifRegionOf(at)
	return &sarifPhysicalLocation{ArtifactLocation: artifact(at.File), Region: &region}
}

func sarifRegionOf(at policy.Region) sarifRegion {
	return sarifRegion{StartLine: at.StartLine, StartColumn: at.StartColumn, EndLine: at.EndLine, EndColumn: at.EndColumn}
}

// artifact is the address of a file: relative to the root of the repository,
// or absolute when the path is.
func artifact(file string) sarifArtifactLocation {
	if strings.HasPrefix(file, "/") {
		return sarifArtifactLocation{URI: (&url.URL{Scheme: "file", Path: file}).String()}
	}
	return sarifArtifactLocation{URI: (&url.URL{Path: file}).String(), URIBaseID: sarifRoot}
}
