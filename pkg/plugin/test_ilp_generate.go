package plugin

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
)

// TestILPGenerateFlags are what was typed.
type TestILPGenerateFlags struct {
	SecretFile  string
	Exact       bool
	Transaction string
	Version     string
	Output      string

	genericiooptions.IOStreams
}

// TestILPGenerateOptions are what Run needs.
type TestILPGenerateOptions struct {
	// SecretFile and Transaction are files to read; one of them may be "-".
	SecretFile, Transaction string
	// Exact takes a line end at the end of SecretFile for a part of the secret.
	Exact   bool
	Version ilp.Version
	// Output is "json" or "yaml": then there is a document in every outcome, too.
	// Empty is JSON for people, who read of failures on stderr.
	Output string

	genericiooptions.IOStreams
}

// NewCmdTestILPGenerate returns the command that answers a quote.
func NewCmdTestILPGenerate(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestILPGenerateFlags{Version: ilp.V1.String(), IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "generate --secret-file FILE --transaction FILE",
		Short: "Make the packet, condition and fulfilment of a transaction",
		Long: `Make what a payee's SDK makes to answer a quote: the packet, the condition, and
the fulfilment that proves later that the payee agreed. It is the same, byte for
byte, as that of Mojaloop's SDK with the same secret.

The transaction is the transaction object of FSPIOP in JSON:

  {
    "transactionId": "85feac2f-39b2-491b-817e-4a03203d4f14",
    "quoteId": "7c23e80c-d078-4077-8263-2c047876fcf6",
    "payee": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "16135551212", "fspId": "perffsp-2"}},
    "payer": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "27713803912", "fspId": "perffsp-1"}},
    "amount": {"currency": "USD", "amount": "100"},
    "transactionType": {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"},
    "expiration": "2030-01-31T12:00:00.000Z"
  }

or {"conversionRequestId": …, "conversionTerms": {…}} for a currency conversion.
Version 1 needs no expiration and version 4 no payee.

The secret is that of ILP_SECRET. It is read from a file, so that no list of
processes shows it; one line end at the end of the file does not count.`,
		Example: `  # as the SDK with ILP_VERSION=1, the default
  kubectl mojasec test ilp generate --secret-file ilp-secret.txt --transaction transaction.json

  # ILP version 4, as schemes with ISO 20022 messages use it
  kubectl mojasec test ilp generate --secret-file ilp-secret.txt --transaction - --ilp-version 4 < transaction.json`,
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
	fs.StringVar(&flags.SecretFile, "secret-file", "", "`FILE` with the secret of the payee; - is standard input")
	fs.BoolVar(&flags.Exact, "exact", false, "take a line end at the end of --secret-file for a part of the secret")
	fs.StringVar(&flags.Transaction, "transaction", "", "`FILE` with the transaction object; - is standard input")
	fs.StringVar(&flags.Version, "ilp-version", flags.Version, "`VERSION` of ILP that the scheme uses: 1 or 4")
	fs.StringVarP(&flags.Output, "output", "o", "", "json or yaml (default json)")
	complete(cmd, "ilp-version", ilp.V1.String(), ilp.V4.String())
	complete(cmd, "output", formatJSON, formatYAML)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *TestILPGenerateFlags) ToOptions() (*TestILPGenerateOptions, error) {
	const example = displayName + " test ilp generate --secret-file ilp-secret.txt --transaction transaction.json"
	switch formats := []string{formatJSON, formatYAML}; {
	case f.SecretFile == "":
		return nil, &usageError{message: "whose secret? name a file with --secret-file", next: example}
	case f.Transaction == "":
		return nil, &usageError{message: "which transaction? name a file with --transaction", next: example}
	case f.Output != "" && !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	}
	if err := oneStdin(f.SecretFile, f.Transaction); err != nil {
		return nil, err
	}
	version, err := ilp.ParseVersion(f.Version)
	if err != nil {
		return nil, unknown("ILP version", f.Version, []string{ilp.V1.String(), ilp.V4.String()})
	}
	return &TestILPGenerateOptions{
		SecretFile: f.SecretFile, Exact: f.Exact, Transaction: f.Transaction, Version: version, Output: f.Output, IOStreams: f.IOStreams,
	}, nil
}

// Run prints the answer to a quote.
func (o *TestILPGenerateOptions) Run(ctx context.Context) error {
	prepared, err := o.prepare(ctx)
	if err != nil {
		return orAnswer(o.Out, o.Output, "ilp generate", err)
	}
	return writeAnswer(o.Out, o.Output, prepared)
}

func (o *TestILPGenerateOptions) prepare(ctx context.Context) (ilp.Prepared, error) {
	in, err := readILPInput(ctx, fileFlag{"--transaction", o.Transaction}, o.In)
	if err != nil {
		return ilp.Prepared{}, err
	}
	tx, err := ilp.ParseTransaction(in.text)
	if err != nil {
		return ilp.Prepared{}, in.explain(err)
	}
	secret, err := readILPSecret(ctx, o.SecretFile, o.Exact, o.In, o.ErrOut)
	if err != nil {
		return ilp.Prepared{}, err
	}
	prepared, err := secret.Prepare(o.Version, tx)
	return prepared, in.explain(err)
}
