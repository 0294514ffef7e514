package plugin

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect"
	"github.com/mojasec/mojasec/pkg/policy/report"
)

const cmdVerify = "verify"

// stdin is the name of standard input among files.
const stdin = "-"

// VerifyFlags are what was typed.
type VerifyFlags struct {
	Filenames       []string
	Kustomize       []string
	Recursive       bool
	Namespace       string
	NoInject        bool
	FailOn          string
	Only            []string
	Skip            []string
	Waivers         []string
	Baseline        string
	Strict          bool
	AllowIncomplete bool
	AllowRemote     bool
	Outputs         []string
	Colour          string
	Timeout         time.Duration
	Fix             bool
	DryRun          bool

	build Build
	genericiooptions.IOStreams
}

// VerifyOptions are what Run needs.
type VerifyOptions struct {
	Collect collect.Options
	Checks  []policy.Check
	// Inject judges pods as admission would make them.
	Inject bool
	FailOn policy.Severity
	// Waivers are the files whose Waivers count.
	Waivers []string
	// Baseline is an earlier report: its findings do not fail. May be "".
	Baseline string
	// Strict makes every check count that could not be decided,
	// AllowIncomplete none.
	Strict, AllowIncomplete bool
	Outputs                 []output
	Report                  report.Options
	// Timeout ends Run; 0 is none.
	Timeout time.Duration
	// Fix writes what admission would inject into the files; with DryRun it
	// prints the difference instead.
	Fix, DryRun bool
	// Now is the time of the verdict.
	Now time.Time
	// HashKey is random: see policy.SnapshotOptions.
	HashKey []byte

	genericiooptions.IOStreams
}

// NewCmdVerify returns the command that judges manifests.
func NewCmdVerify(streams genericiooptions.IOStreams, build Build) *cobra.Command {
	flags := &VerifyFlags{
		Recursive: true, FailOn: policy.Error.String(), Colour: colourAuto, build: build, IOStreams: streams,
	}
	cmd := &cobra.Command{
		Use:     cmdVerify + " -f FILE|DIR|- [-k DIR] [flags]",
		GroupID: groupCheck,
		Short:   "Judge manifests as admission would, on the exact line",
		Long: `Judge manifests by the same rules as admission, before they reach a cluster.

Pods are judged as admission would make them: what it would inject is listed and
not held against them. Secrets and ConfigMaps that the manifests refer to but do
not contain are not known, and checks that need them are skipped.

Exit codes: 0 good; 1 input that could not be read; 2 findings at or above
--fail-on; 3 something that should have been known was not; 4 --fix left a file
alone; 64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # a directory
  kubectl mojasec verify -f deploy/

  # a chart, rendered
  helm template ./chart | kubectl mojasec verify -f -

  # an overlay
  kubectl mojasec verify -k overlays/production

  # a pull request: people read the log, the code host reads SARIF
  kubectl mojasec verify -f deploy/ -o table -o sarif=mojasec.sarif

  # fail on new findings only
  kubectl mojasec verify -f deploy/ -o json > baseline.json
  kubectl mojasec verify -f deploy/ --baseline baseline.json

  # write what admission would inject into the files
  kubectl mojasec verify -f deploy/ --fix`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	flags.addTo(cmd)
	return cmd
}

func (f *VerifyFlags) addTo(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVarP(&f.Filenames, "filename", "f", nil, "manifest, Helm values or directory; - is standard input; a further `FILE` needs a further -f")
	fs.StringArrayVarP(&f.Kustomize, "kustomize", "k", nil, "`DIR` with a kustomization; a further one needs a further -k")
	fs.BoolVarP(&f.Recursive, "recursive", "R", f.Recursive, "read the directories below those of -f")
	fs.StringVarP(&f.Namespace, "namespace", "n", "", "`NAMESPACE` of objects that name none (default \"default\")")
	fs.BoolVar(&f.AllowRemote, "allow-remote", false, "let kustomizations load bases from the network")
	fs.StringVar(&f.FailOn, "fail-on", f.FailOn, "least `SEVERITY` that fails: error, warning or note")
	fs.StringSliceVar(&f.Only, "only", nil, "run these checks only: `ID,ID`")
	fs.StringSliceVar(&f.Skip, "skip", nil, "do not run these checks: `ID,ID`")
	fs.BoolVar(&f.NoInject, "no-inject", false, "judge pods as they are written, not as admission would make them")
	fs.StringArrayVar(&f.Waivers, "waivers", nil, "`FILE` of Waivers that count; those among the manifests do not")
	fs.StringVar(&f.Baseline, "baseline", "", "earlier report `FILE` of -o json: fail only on findings that are not in it")
	fs.BoolVar(&f.Strict, "strict", false, "exit 3 for every check that could not be decided")
	fs.BoolVar(&f.AllowIncomplete, "allow-incomplete", false, "do not exit 3 for checks that could not be decided")
	fs.StringArrayVarP(&f.Outputs, "output", "o", nil, outputUsage())
	fs.StringVar(&f.Colour, "color", f.Colour, "`WHEN` to use colours: auto, always or never")
	fs.DurationVar(&f.Timeout, "timeout", 0, "give up after this `TIME`, for example 30s (default never)")
	fs.BoolVar(&f.Fix, "fix", false, "write what admission would inject into the files of -f")
	fs.BoolVar(&f.DryRun, "dry-run", false, "with --fix: print the difference, write nothing")

	complete(cmd, "fail-on", policy.Error.String(), policy.Warning.String(), policy.Note.String())
	complete(cmd, "color", colourAuto, colourAlways, colourNever)
	complete(cmd, "output", outputFormats()...)
	completeList(cmd, "only", checkIDs()...)
	completeList(cmd, "skip", checkIDs()...)
	for _, name := range []string{"filename", "waivers"} {
		completeWith(cmd, name, cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt))
	}
	completeWith(cmd, "baseline", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveFilterFileExt))
	completeWith(cmd, "kustomize", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
}

func outputUsage() string {
	var expressions []string
	for _, e := range expressionFormats {
		expressions = append(expressions, e.name)
	}
	return "`FORMAT` or FORMAT=FILE, several with several -o: " + strings.Join(append(report.Formats(), formatName), " ") +
		";\nor, with an expression after the =: " + strings.Join(expressions, " ") + "\n(default table)"
}

// ToOptions makes sense of what was typed.
func (f *VerifyFlags) ToOptions(args []string) (*VerifyOptions, error) {
	o := &VerifyOptions{
		Collect: collect.Options{
			Paths: f.Filenames, Kustomize: f.Kustomize, Stdin: f.In, Namespace: f.Namespace, AllowRemote: f.AllowRemote,
		},
		Inject: !f.NoInject, Waivers: f.Waivers, Baseline: f.Baseline, Strict: f.Strict,
		AllowIncomplete: f.AllowIncomplete, Timeout: f.Timeout, Fix: f.Fix, DryRun: f.DryRun,
		Now: time.Now(), HashKey: make([]byte, 32), IOStreams: f.IOStreams,
	}
	if err := f.validate(args); err != nil {
		return nil, err
	}
	var err error
	if o.FailOn, err = policy.ParseSeverity(f.FailOn); err != nil {
		return nil, unknown("severity", f.FailOn, []string{policy.Error.String(), policy.Warning.String(), policy.Note.String()})
	}
	if o.Checks, err = selectChecks(f.Only, f.Skip); err != nil {
		return nil, err
	}
	if o.Outputs, err = f.outputs(); err != nil {
		return nil, err
	}
	if !f.Recursive {
		o.Collect.Paths = flat(o.Collect.Paths)
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	o.Report = report.Options{
		ToolVersion: f.build.Version, DocsURL: docsURL, FailOn: o.FailOn, Path: newRepository(wd).path,
	}
	forTerminal(&o.Report, f.Out, f.Colour)
	if _, err := rand.Read(o.HashKey); err != nil {
		return nil, fmt.Errorf("make a random key: %w", err)
	}
	return o, nil
}

// validate refuses combinations that make no sense.
func (f *VerifyFlags) validate(args []string) error {
	here := displayName + " " + cmdVerify
	colours := []string{colourAuto, colourAlways, colourNever}
	stdins := 0
	for flag, names := range map[string][]string{"-f": f.Filenames, "-k": f.Kustomize, "--waivers": f.Waivers, "--baseline": {f.Baseline}} {
		for _, name := range names {
			if err := (fileFlag{flag, name}).check(); err != nil {
				return &usageError{message: err.Error()}
			}
		}
	}
	for _, name := range slices.Concat(f.Filenames, f.Waivers) {
		if name == stdin {
			stdins++
		}
	}
	switch {
	case len(args) > 0:
		return &usageError{message: fmt.Sprintf("verify takes files after -f, got %q", args[0]), next: f.withFiles(here, args)}
	case len(f.Filenames)+len(f.Kustomize) == 0:
		return &usageError{message: "nothing to verify: name manifests with -f, or a kustomization with -k", next: here + " -f ."}
	case slices.Contains(f.Filenames, ""):
		return &usageError{message: "-f: the name of the file is empty"}
	case stdins > 1:
		return &usageError{message: "standard input can be read once: give - once"}
	case f.Strict && f.AllowIncomplete:
		return &usageError{message: "--strict and --allow-incomplete contradict each other: give one"}
	case f.DryRun && !f.Fix:
		return &usageError{message: "--dry-run shows what --fix would write: give both", next: f.withFiles(here, nil) + " --fix --dry-run"}
	case f.Fix && f.NoInject:
		return &usageError{message: "--fix writes what would be injected, --no-inject injects nothing: give one"}
	case f.Fix && slices.Contains(f.Filenames, stdin):
		return &usageError{message: "--fix cannot write to standard input: name the files with -f"}
	case f.Fix && len(f.Kustomize) > 0:
		return &usageError{message: "--fix does not know which layer of a kustomization to change: name the files with -f"}
	case !slices.Contains(colours, f.Colour):
		return unknown("value of --color", f.Colour, colours)
	case f.Timeout < 0:
		return &usageError{message: fmt.Sprintf("--timeout %s: want a time from now on, for example 30s", f.Timeout)}
	}
	return nil
}

// withFiles is a command with the files that were typed, and more.
func (f *VerifyFlags) withFiles(command string, more []string) string {
	words := []string{command}
	for _, name := range slices.Concat(f.Filenames, more) {
		words = append(words, "-f", quote(name))
	}
	return strings.Join(words, " ")
}

// outputs reads -o. The answer of --fix --dry-run is the difference.
func (f *VerifyFlags) outputs() ([]output, error) {
	if f.DryRun && len(f.Outputs) == 0 {
		return nil, nil
	}
	outs, err := parseOutputs(f.Outputs)
	if err != nil {
		return nil, err
	}
	if f.DryRun && slices.ContainsFunc(outs, func(o output) bool { return o.file == "" }) {
		return nil, &usageError{message: "--dry-run prints the difference to stdout: send reports to files with -o FORMAT=FILE"}
	}
	return outs, nil
}

// selectChecks applies --only and --skip.
func selectChecks(only, skip []string) ([]policy.Check, error) {
	wanted, err := parseCheckIDs(only)
	if err != nil {
		return nil, err
	}
	unwanted, err := parseCheckIDs(skip)
	if err != nil {
		return nil, err
	}
	checks := slices.DeleteFunc(policy.Checks(), func(c policy.Check) bool {
		return len(wanted) > 0 && !slices.Contains(wanted, c.ID) || slices.Contains(unwanted, c.ID)
	})
	if len(checks) == 0 {
		return nil, &usageError{message: "--only and --skip leave no check to run"}
	}
	return checks, nil
}
