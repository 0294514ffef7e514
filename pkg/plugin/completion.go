package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// kubectlComplete is what kubectl calls to complete the words after
// "kubectl mojasec": an executable of this name on the PATH.
const kubectlComplete = `#!/bin/sh
# Save as kubectl_complete-mojasec, executable, in a directory of the PATH.
exec kubectl mojasec __complete "$@"
`

var shells = []struct {
	name  string
	write func(*cobra.Command, io.Writer) error
}{
	{"bash", func(c *cobra.Command, w io.Writer) error { return c.GenBashCompletionV2(w, true) }},
	{"zsh", func(c *cobra.Command, w io.Writer) error { return c.GenZshCompletion(w) }},
	{"fish", func(c *cobra.Command, w io.Writer) error { return c.GenFishCompletion(w, true) }},
	{"powershell", func(c *cobra.Command, w io.Writer) error { return c.GenPowerShellCompletionWithDesc(w) }},
	{"kubectl", func(_ *cobra.Command, w io.Writer) error {
		_, err := io.WriteString(w, kubectlComplete)
		return err
	}},
}

// NewCmdCompletion returns the command that prints completion scripts.
func NewCmdCompletion(streams genericiooptions.IOStreams) *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use:     "completion " + strings.Join(names, "|"),
		GroupID: groupOther,
		Short:   "Print a completion script for a shell or for kubectl",
		Long: `Print a script that completes the words of this program: for kubectl itself,
or for a shell in which kubectl-mojasec is called by its own name.`,
		Example: `  # kubectl mojasec <Tab>, in every shell in which kubectl completes
  kubectl mojasec completion kubectl > ~/bin/kubectl_complete-mojasec
  chmod +x ~/bin/kubectl_complete-mojasec

  # kubectl-mojasec <Tab>, in this bash
  source <(kubectl-mojasec completion bash)`,
		ValidArgs: names,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) != 1:
				return &usageError{message: fmt.Sprintf("want one shell, got %d", len(args)), next: cmd.CommandPath() + " kubectl"}
			case !slices.Contains(names, args[0]):
				return unknown("shell", args[0], names)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.Index(names, args[0])
			if err := shells[i].write(cmd.Root(), streams.Out); err != nil {
				return fmt.Errorf("print completion for %s: %w", args[0], err)
			}
			return nil
		},
	}
}

// complete offers fixed words for a flag.
func complete(cmd *cobra.Command, flag string, words ...string) {
	completeWith(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeList offers words for a flag that takes a list with commas.
func completeList(cmd *cobra.Command, flag string, words ...string) {
	completeWith(cmd, flag, func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		done := typed[:strings.LastIndexByte(typed, ',')+1]
		var out []cobra.Completion
		for _, w := range words {
			if !slices.Contains(strings.Split(done, ","), w) {
				out = append(out, done+w)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

func completeWith(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) //nolint:forbidigo // a flag that is not there: found by any test that makes the command
	}
}
