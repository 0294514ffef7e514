package plugin

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// NewCmdTestILP returns the command whose subcommands make, read and verify ILP
// packets, conditions and fulfilments.
func NewCmdTestILP(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ilp",
		Short: "Make, read and verify ILP packets, conditions and fulfilments",
		Long: `Make, read and verify ILP packets, conditions and fulfilments as Mojaloop's SDK
does. Nothing is read from a cluster or written to one.`,
		Args: onlySubcommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(NewCmdTestILPGenerate(streams), NewCmdTestILPDecode(streams), NewCmdTestILPVerify(streams))
	return cmd
}

// printText prints an answer for people.
func printText(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}
