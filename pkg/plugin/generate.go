package plugin

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// groupGenerate is the group of commands that write manifests.
const groupGenerate = "generate"

// NewCmdGenerate returns the command whose subcommands print what is to be
// applied or kept: they need no cluster and change nothing.
func NewCmdGenerate(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "generate",
		GroupID: groupGenerate,
		Short:   "Print manifests that protect a scheme",
		Long:    `Print manifests that protect a scheme. Nothing is read from a cluster or written to one.`,
		Args:    onlySubcommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(NewCmdGeneratePolicies(streams))
	return cmd
}
