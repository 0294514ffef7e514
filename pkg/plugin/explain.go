package plugin

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
)

// The formats of explain.
const (
	formatText     = "text"
	formatMarkdown = "markdown"
)

// ExplainFlags are what was typed.
type ExplainFlags struct {
	All    bool
	Output string

	genericiooptions.IOStreams
}

// ExplainOptions are what to print.
type ExplainOptions struct {
	// Checks are those to explain; with List they are only listed.
	Checks   []policy.Check
	List     bool
	Markdown bool

	genericiooptions.IOStreams
}

// NewCmdExplain returns the command that prints the documentation of checks.
func NewCmdExplain(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &ExplainFlags{Output: formatText, IOStreams: streams}
	cmd := &cobra.Command{
		Use:     "explain [CHECK-ID]",
		GroupID: groupCheck,
		Short:   "Explain a check: what must hold, why, and how to mend it",
		Example: `  # all checks
  kubectl mojasec explain

  # one of them
  kubectl mojasec explain ilp-secret-set`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var out []cobra.Completion
			for _, c := range policy.Checks() {
				out = append(out, cobra.CompletionWithDesc(string(c.ID), c.Title))
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return o.Run()
		},
	}
	cmd.Flags().BoolVar(&flags.All, "all", false, "explain all checks")
	cmd.Flags().StringVarP(&flags.Output, "output", "o", flags.Output, "text or markdown")
	complete(cmd, "output", formatText, formatMarkdown)
	return cmd
}

// ToOptions finds the checks that were asked for.
func (f *ExplainFlags) ToOptions(args []string) (*ExplainOptions, error) {
	o := &ExplainOptions{Markdown: f.Output == formatMarkdown, Checks: byCategory(policy.Checks()), IOStreams: f.IOStreams}
	formats := []string{formatText, formatMarkdown}
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case len(args) > 1:
		return nil, &usageError{message: "explain takes one check id", next: displayName + " explain " + quote(args[0])}
	case len(args) == 1 && f.All:
		return nil, &usageError{message: "--all explains every check: give it without a check id", next: displayName + " explain --all"}
	case len(args) == 1:
		ids, err := parseCheckIDs(args)
		if err != nil {
			return nil, err
		}
		o.Checks = slices.DeleteFunc(o.Checks, func(c policy.Check) bool { return !slices.Contains(ids, c.ID) })
	default:
		o.List = !f.All
	}
	return o, nil
}

// Run prints.
func (o *ExplainOptions) Run() error {
	w := bufio.NewWriter(o.Out)
	switch {
	case o.List && o.Markdown:
		writeCheckTable(w, o.Checks)
	case o.List:
		writeCheckList(w, o.Checks)
	case o.Markdown:
		if len(o.Checks) > 1 {
			writeDocsHead(w, o.Checks)
		}
		for i := range o.Checks {
			writeDocsSection(w, &o.Checks[i])
		}
	default:
		for i := range o.Checks {
			if i > 0 {
				emit(w, "\n\n")
			}
			explain(w, &o.Checks[i])
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print explanation: %w", err)
	}
	return nil
}

// parseCheckIDs refuses ids that no check has.
func parseCheckIDs(words []string) ([]policy.ID, error) {
	known := checkIDs()
	ids := make([]policy.ID, 0, len(words))
	for _, word := range words {
		if !slices.Contains(known, word) {
			e := unknown("check", word, known)
			if e.right == "" {
				e.next = displayName + " explain"
			}
			return nil, e
		}
		ids = append(ids, policy.ID(word))
	}
	return ids, nil
}

func checkIDs() []string {
	var ids []string
	for _, c := range policy.Checks() {
		ids = append(ids, string(c.ID))
	}
	return ids
}

// byCategory orders checks as reports do.
func byCategory(checks []policy.Check) []policy.Check {
	var out []policy.Check
	for _, category := range policy.Categories() {
		for _, c := range checks {
			if c.Category == category {
				out = append(out, c)
			}
		}
	}
	return out
}

func emit(w io.Writer, text ...string) {
	for _, t := range text {
		_, _ = io.WriteString(w, t) // the bufio.Writer keeps the error
	}
}

func writeCheckList(w io.Writer, checks []policy.Check) {
	width := 0
	for _, c := range checks {
		width = max(width, len(c.ID))
	}
	var category policy.Category
	for i, c := range checks {
		if c.Category != category {
			if i > 0 {
				emit(w, "\n")
			}
			category = c.Category
			emit(w, string(category), "\n")
		}
		_, _ = fmt.Fprintf(w, "  %-*s  %-7s  %s\n", width, c.ID, c.Severity, c.Title)
	}
	emit(w, "\nOne of them:  ", displayName, " explain ", string(checks[0].ID), "\n")
}

// explain prints one check for a terminal.
func explain(w io.Writer, c *policy.Check) {
	emit(w, string(c.ID), "\n", strings.Repeat("=", len(c.ID)), "\n\n")
	emit(w, "What must hold\n", fill(plain(c.Title), 80, "  "), "\n\n")
	emit(w, plainMarkdown(c.Doc), "\n\n")
	emit(w, "What to do when it does not\n", fill(plain(c.Fix), 80, "  "), "\n\n")
	emit(w, "Category  ", string(c.Category), "\nSeverity  ", c.Severity.String(), ": ", admission(c.Severity), "\n")
	if c.Injected {
		emit(w, "Injected  ", injectedNote, "\n")
	}
}

// injectedNote is said of checks whose Injected is set.
const injectedNote = "where it is absent, admission sets it in namespaces with mojasec.io/mode: enforce"

// admission says what a severity means in a namespace that enforces.
func admission(s policy.Severity) string {
	if s == policy.Error {
		return "admission denies it in namespaces with mojasec.io/mode: enforce"
	}
	return "admission warns of it"
}

func writeDocsHead(w io.Writer, checks []policy.Check) {
	emit(w, "<!-- Generated by make generate; do not edit. -->\n\n# The checks\n\n",
		"`", displayName, " explain ID` prints a section of this page.\n\n")
	writeCheckTable(w, checks)
}

func writeCheckTable(w io.Writer, checks []policy.Check) {
	emit(w, "| check | severity | what must hold |\n|---|---|---|\n")
	for _, c := range checks {
		emit(w, "| [`", string(c.ID), "`](#", string(c.ID), ") | ", c.Severity.String(), " | ", strings.ReplaceAll(c.Title, "|", `\|`), " |\n")
	}
	emit(w, "\n")
}

func writeDocsSection(w io.Writer, c *policy.Check) {
	emit(w, "## ", string(c.ID), "\n\n**", c.Title, ".**\n\n", strings.TrimSpace(c.Doc), "\n\n")
	emit(w, "- Category: ", string(c.Category), "\n- Severity: ", c.Severity.String(), ": ", admission(c.Severity), "\n")
	if c.Injected {
		emit(w, "- Injected: ", injectedNote, "\n")
	}
	emit(w, "- Fix: ", strings.TrimSpace(strings.ReplaceAll(c.Fix, "\n", "\n  ")), "\n\n")
}
