// Package plugin holds the commands of kubectl mojasec.
//
// Each command is read from top to bottom as Flags (what was typed), ToOptions,
// Options (what Run needs; no cobra), Run. Commands decide nothing about
// manifests: they bring objects to the rule engine and its report to the user.
//
// The answer goes to stdout and everything else to stderr. A command returns an
// error; only main ends the process, with the code that [CodeOf] finds in it.
package plugin

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const (
	// binary is the name of the program, which makes it a plugin of kubectl.
	binary = "kubectl-mojasec"
	// displayName is what people type.
	displayName = "kubectl mojasec"
	// docsURL is the page that documents the checks.
	docsURL = "https://github.com/mojasec/mojasec/blob/main/docs/checks.md"
)

// The groups of commands in the usage text.
const (
	groupCheck   = "check"
	groupInstall = "install"
	groupOther   = "other"
)

// NewCmd returns the command tree.
func NewCmd(streams genericiooptions.IOStreams, build Build) *cobra.Command {
	root := &cobra.Command{
		Use:   binary,
		Short: "Keep mTLS, JWS and ILP on in Mojaloop hubs",
		Long: `mojasec keeps the three layers that protect a Mojaloop scheme switched on: mTLS
between services, JWS signatures on FSPIOP messages, ILP conditions and
fulfilments.`,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: displayName},
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              onlySubcommands,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.AddGroup(
		&cobra.Group{ID: groupCheck, Title: "Check manifests:"},
		&cobra.Group{ID: groupGenerate, Title: "Write manifests:"},
		&cobra.Group{ID: groupKeys, Title: "Look after keys:"},
		&cobra.Group{ID: groupTest, Title: "Test signatures and connections:"},
		&cobra.Group{ID: groupInstall, Title: "Install:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	root.AddCommand(
		NewCmdVerify(streams, build),
		NewCmdExplain(streams),
		NewCmdGenerate(streams),
		NewCmdKeys(streams),
		NewCmdTest(streams),
		NewCmdInstall(streams, build),
		NewCmdUninstall(streams),
		NewCmdDoctor(streams, build),
		NewCmdVersion(streams, build),
		NewCmdCompletion(streams),
	)
	root.SetHelpCommand(newCmdHelp())
	root.SetHelpCommandGroupID(groupOther)
	return root
}

// newCmdHelp replaces cobra's own, which answers an unknown topic with success.
func newCmdHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the usage of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), args[0])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// Execute runs the command line args, without the name of the program. Where
// -o json or -o yaml was asked of a command line that is wrong, stdout still
// holds one document.
func Execute(ctx context.Context, args []string, streams genericiooptions.IOStreams, build Build) error {
	root := NewCmd(streams, build)
	root.SetArgs(args)
	root.SetFlagErrorFunc(flagErrors(args))
	cmd, err := root.ExecuteContextC(ctx)
	return hideInError(answerUsage(cmd, args, streams, err), args)
}

// answerUsage completes the error of a command line that is wrong, and prints the
// document that was asked for.
func answerUsage(cmd *cobra.Command, args []string, streams genericiooptions.IOStreams, err error) error {
	if usage, ok := errors.AsType[*usageError](err); ok {
		usage.complete(cmd, args)
		switch {
		case isTest(cmd):
			return errors.Join(err, writeUsageAnswer(streams.Out, cmd, args, usage))
		case cmd.HasParent() && cmd.Parent().Name() == cmdKeys:
			return errors.Join(err, writeUsageKeys(streams.Out, cmd, args, usage))
		case cmd.Name() == cmdVerify:
			return errors.Join(err, writeUsageReport(streams.Out, args, usage))
		case cmd.Name() == cmdDoctor:
			return errors.Join(err, writeUsageDiagnosis(streams.Out, args, usage))
		}
	}
	return err
}
