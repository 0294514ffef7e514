// Package report writes the verdict of the rule engine in the formats that
// people and machines read.
//
// # One report, many observers
//
// Every writer observes the same [policy.Report] and decides nothing: two
// formats of one report never disagree. A new format is one file and one line
// in the registry below.
//
// # Hostile input
//
// Whatever comes from a manifest (names, paths, values that a sentence quotes)
// is data of a stranger. Each medium has one escaping function in escape.go,
// and no text reaches an output without passing through it: control characters,
// ANSI sequences and bidirectional overrides come out visible, never in effect.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Writer writes a report in one format.
type Writer func(w io.Writer, r *policy.Report, o Options) error

// Options are what a report depends on besides the verdict. The zero value is
// right for output that goes to a pipe.
type Options struct {
	// Colour adds ANSI colours to table and wide. No meaning is in them alone.
	Colour bool
	// ASCII keeps table, wide and short to ASCII, for terminals without UTF-8.
	ASCII bool
	// Width wraps table and wide at a number of columns; 0 never wraps.
	Width int
	// ToolVersion is the version of mojasec, for example "1.4.0".
	ToolVersion string
	// DocsURL is the page that documents the checks: DocsURL#ID is one of
	// them. Empty leaves links out.
	DocsURL string
	// FailOn is the severity from which junit counts a finding as a failure.
	FailOn policy.Severity
	// Path maps the file of a region to the path that the readers of a report
	// know: relative to the root of the repository, with slashes. It returns ""
	// for what is no file there, for example standard input. Nil keeps files as
	// they are. Formats for people (table, wide, short) and the contract (json,
	// yaml) show files as they were given.
	Path func(file string) string
	// Fixes returns the edits that mend a finding, where they are known. Nil
	// knows none. Only sarif carries them.
	Fixes func(*policy.Finding) []Replacement
}

// Replacement is an edit of a file: Text takes the place of Region.
type Replacement struct {
	Region policy.Region
	Text   string
}

// formats is the registry, in the order in which usage texts list it.
var formats = []struct {
	name  string
	write Writer
}{
	{"table", writeTable},
	{"wide", writeWide},
	{"short", writeShort},
	{"json", writeJSON},
	{"yaml", writeYAML},
	{"sarif", writeSARIF},
	{"junit", writeJUnit},
	{"github", writeGitHub},
	{"markdown", writeMarkdown},
}

// Formats lists the names of the formats that [Write] knows.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// Write writes a report in a format. It returns an error for a format that is
// not in [Formats], and when w does.
func Write(format string, w io.Writer, r *policy.Report, o Options) error {
	for _, f := range formats {
		if f.name != format {
			continue
		}
		if err := f.write(w, r, o); err != nil {
			return fmt.Errorf("write %s report: %w", format, err)
		}
		return nil
	}
	return fmt.Errorf("format %q: want one of %s", format, strings.Join(Formats(), ", "))
}

// path is the file of a region as readers of the repository know it.
func (o Options) path(file string) string {
	if o.Path == nil {
		return file
	}
	return o.Path(file)
}

// region locates a finding in a file of the repository.
func (o Options) region(r *policy.Report, f *policy.Finding) (policy.Region, bool) {
	at, ok := r.Locate(f)
	if !ok {
		return at, false
	}
	return o.inRepository(at)
}

// inRepository maps the file of a region. It also brings what is not known of
// the region to the least that readers accept: every number is at least 1, and
// the end is not before the start.
func (o Options) inRepository(at policy.Region) (policy.Region, bool) {
	at.File = o.path(at.File)
	at.StartLine = max(at.StartLine, 1)
	at.StartColumn = max(at.StartColumn, 1)
	if at.EndLine < at.StartLine {
		at.EndLine, at.EndColumn = at.StartLine, at.StartColumn
	}
	if at.EndLine == at.StartLine {
		at.EndColumn = max(at.EndColumn, at.StartColumn)
	}
	at.EndColumn = max(at.EndColumn, 1)
	return at, at.File != ""
}

// docs is the address of a check's documentation, or "".
func (o Options) docs(id policy.ID) string {
	if o.DocsURL == "" {
		return ""
	}
	return o.DocsURL + "#" + string(id)
}
