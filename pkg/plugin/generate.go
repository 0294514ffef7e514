package plugin

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// groupGenerate is the group of commands that write manifests.
const groupGenerate = "generate"

// NewCmdGenerate returns the command whose subcommands make what protects a
// scheme: keys, secrets, chart values, policies.
func NewCmdGenerate(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "generate",
		GroupID: groupGenerate,
		Short:   "Make keys, secrets and manifests that protect a scheme",
		Long: `Make keys, secrets and manifests that protect a scheme. Nothing is written to a
cluster, unless --apply is given.`,
		Args: onlySubcommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		NewCmdGenerateJWS(streams),
		NewCmdGenerateILPSecret(streams),
		NewCmdGenerateValues(streams),
		NewCmdGeneratePolicies(streams),
	)
	return cmd
}
