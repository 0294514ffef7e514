package plugin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy/report"
)

const cmdDoctor = "doctor"

// The formats of doctor.
const (
	formatTable = "table"
	formatShort = "short"
	formatJSON  = "json"
)

// DoctorFlags are what was typed.
type DoctorFlags struct {
	Fix     bool
	Unblock bool
	Restart bool
	Output  string
	Colour  string

	writeFlags
	cluster clusterFlags
	build   Build
	genericiooptions.IOStreams
}

// DoctorOptions are what Run needs.
type DoctorOptions struct {
	// Fix repairs what is safe to; with Restart it also rolls the workloads
	// whose pods lack something. Unblock removes a dead webhook.
	Fix, Unblock, Restart bool
	// Version is that of this program.
	Version string
	Output  string
	Report  report.Options
	// Now is the time of the diagnosis.
	Now time.Time

	// noCluster is why there is no cluster to diagnose; nil when there is.
	noCluster error
	writer
}

// NewCmdDoctor returns the command that says what is wrong with an
// installation.
func NewCmdDoctor(streams genericiooptions.IOStreams, build Build) *cobra.Command {
	flags := &DoctorFlags{
		Output: formatTable, Colour: colourAuto, writeFlags: newWriteFlags(5 * time.Minute), cluster: newClusterFlags(),
		build: build, IOStreams: streams,
	}
	cmd := &cobra.Command{
		Use:     cmdDoctor + " [--fix [--restart] | --unblock] [flags]",
		GroupID: groupInstall,
		Short:   "Say what is wrong with the installation, and put it right",
		Long: `Say what is wrong with the installation: the API server, the custom resources, the
webhook and its certificates, its rights, and the namespaces it protects.

--fix repairs what is safe to repair: missing rights in protected namespaces,
webhook configurations that are missing, incomplete, or do not trust the webhook.
With --restart it also rolls the workloads whose pods lack what admission gives.

--unblock removes the configurations of a webhook that is dead and blocks the
cluster. Nothing is guarded then, until it is installed again.

Exit codes: 0 all is well; 1 the cluster cannot be reached; 2 something is wrong;
3 something could not be read; 4 refused; 5 stopped between two restarts;
64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # what is wrong?
  kubectl mojasec doctor

  # in a script
  kubectl mojasec doctor -o json | jq '.checks[] | select(.status == "failed")'

  # repair it
  kubectl mojasec doctor --fix

  # nothing can be deployed, and the webhook does not come up
  kubectl mojasec doctor --unblock`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&flags.Fix, "fix", false, "repair what is safe to repair")
	fs.BoolVar(&flags.Restart, "restart", false, "with --fix: roll the workloads whose pods lack what admission gives")
	fs.BoolVar(&flags.Unblock, "unblock", false, "remove the configurations of a webhook that is dead")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "`FORMAT`: table, short or json")
	fs.StringVar(&flags.Colour, "color", flags.Colour, "`WHEN` to use colours: auto, always or never")
	flags.addWriteFlags(fs)
	flags.cluster.addTo(fs)
	complete(cmd, "output", formatTable, formatShort, formatJSON)
	complete(cmd, "color", colourAuto, colourAlways, colourNever)
	complete(cmd, "dry-run", dryRunNone, dryRunClient, dryRunServer)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *DoctorFlags) ToOptions() (*DoctorOptions, error) {
	formats, colours := []string{formatTable, formatShort, formatJSON}, []string{colourAuto, colourAlways, colourNever}
	here := displayName + " " + cmdDoctor
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case !slices.Contains(colours, f.Colour):
		return nil, unknown("value of --color", f.Colour, colours)
	case f.Fix && f.Unblock:
		return nil, &usageError{message: "--fix repairs the webhook, --unblock removes it: give one"}
	case f.Restart && !f.Fix:
		return nil, &usageError{message: "--restart goes with --fix: give both", next: here + " --fix --restart"}
	}
	if err := f.validateWrite(); err != nil {
		return nil, err
	}
	o := &DoctorOptions{
		Fix: f.Fix, Unblock: f.Unblock, Restart: f.Restart,
		Version: f.build.Version, Output: f.Output, Now: time.Now(),
		writer: writer{writeFlags: f.writeFlags, IOStreams: f.IOStreams},
	}
	forTerminal(&o.Report, f.Out, f.Colour)
	o.cluster, o.noCluster = f.cluster.connect(f.ErrOut)
	return o, nil
}

// Run diagnoses, repairs when asked to, and returns the verdict.
func (o *DoctorOptions) Run(ctx context.Context) error {
	seen := o.observe(ctx)
	if err := ctx.Err(); err != nil {
		seen.version.err = err // what was read before is half the truth
	}
	list := diagnose(seen)
	var repairErr error
	switch {
	case seen.version.err != nil:
	case o.Unblock:
		repairErr = o.unblock(ctx, seen)
	case o.Fix:
		repairErr = o.fix(ctx, seen)
	}
	if repairErr == nil && (o.Fix || o.Unblock) && seen.version.err == nil && o.DryRun == dryRunNone {
		list = diagnose(o.observe(ctx)) // as it is now
	}
	if err := o.write(list); err != nil {
		return errors.Join(err, repairErr)
	}
	if repairErr != nil {
		return repairErr
	}
	return verdictOf(seen, list)
}

// verdictOf is the exit code of a diagnosis.
func verdictOf(seen *observation, list []diagnosis) error {
	switch {
	case errors.Is(seen.version.err, context.Canceled):
		return exit(Interrupted)
	case errors.Is(seen.version.err, context.DeadlineExceeded):
		return exit(TimedOut)
	case seen.version.err != nil:
		return exit(Failed)
	}
	codes := []Code{Good}
	for _, d := range list {
		switch d.Status {
		case statusFailed, statusWarning:
			codes = append(codes, Findings)
		case statusUnknown:
			codes = append(codes, Incomplete)
		case statusPassed, statusSkipped:
		}
	}
	return exit(codes...)
}
