package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// groupTest is the group of commands that try signatures and connections.
const groupTest = "test"

// formatYAML is a format of answers.
const formatYAML = "yaml"

// NewCmdTest returns the command whose subcommands prove that signatures,
// conditions and connections work. They write nothing to a cluster.
func NewCmdTest(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "test",
		GroupID: groupTest,
		Short:   "Prove that signatures, conditions and connections work",
		Long: `Prove that signatures, conditions and connections work: offline on files, or
against what is running. Nothing is written to a cluster.`,
		Args: onlySubcommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		NewCmdTestJWS(streams),
		NewCmdTestILP(streams),
		NewCmdTestMTLS(streams),
		NewCmdTestTransaction(streams),
	)
	return cmd
}

// kindTestResult is the kind of the documents that the test commands print.
const kindTestResult = "TestResult"

// answerHead opens a document of -o json: what it is, and which test it is the
// result of.
type answerHead struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Test       string `json:"test"`
	// Error is why there is no result.
	Error string `json:"error,omitempty"`
}

func newAnswerHead(test string) answerHead {
	return answerHead{APIVersion: v1alpha1.GroupVersion.String(), Kind: kindTestResult, Test: test}
}

// writeAnswer prints a document as JSON or YAML.
func writeAnswer(w io.Writer, format string, document any) error {
	var err error
	if format == formatYAML {
		var text []byte
		if text, err = yaml.Marshal(document); err == nil {
			_, err = w.Write(text)
		}
	} else {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(document)
	}
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

// orAnswer keeps the promise that -o json and -o yaml print one document in
// every outcome: err is what kept a test from having a result.
func orAnswer(w io.Writer, format, test string, err error) error {
	if err == nil || format != formatJSON && format != formatYAML {
		return err
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return err // Execute answers it
	}
	head := newAnswerHead(test)
	head.Error = err.Error()
	if e := writeAnswer(w, format, head); e != nil {
		return e
	}
	return err
}

// writeUsageAnswer is [orAnswer] for a command line that is wrong.
func writeUsageAnswer(w io.Writer, cmd *cobra.Command, args []string, usage *usageError) error {
	for _, format := range []string{formatJSON, formatYAML} {
		if slices.Contains(outputsOf(args), format) {
			head := newAnswerHead(testName(cmd))
			head.Error = usage.Error()
			return writeAnswer(w, format, head)
		}
	}
	return nil
}

// isTest tells whether a command is below test.
func isTest(cmd *cobra.Command) bool {
	for ; cmd != nil; cmd = cmd.Parent() {
		if cmd.Name() == groupTest && cmd.Parent() == cmd.Root() {
			return true
		}
	}
	return false
}

// testName is what was typed after test, for example "jws verify".
func testName(cmd *cobra.Command) string {
	name := ""
	for ; cmd.HasParent() && cmd.Name() != groupTest; cmd = cmd.Parent() {
		if name != "" {
			name = " " + name
		}
		name = cmd.Name() + name
	}
	return name
}
