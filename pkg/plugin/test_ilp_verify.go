package plugin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/policy/report"
)

// TestILPVerifyFlags are what was typed.
type TestILPVerifyFlags struct {
	Fulfilment string
	Condition  string
	Packet     string
	Transfer   string
	SecretFile string
	Exact      bool
	Output     string

	genericiooptions.IOStreams
}

// TestILPVerifyOptions are what Run needs. What is empty is not verified.
type TestILPVerifyOptions struct {
	Fulfilment, Condition string
	// Packet is base64url.
	Packet string
	// Transfer and SecretFile are files to read; one of them may be "-".
	Transfer, SecretFile string
	Exact                bool
	Output               string
	Now                  time.Time

	genericiooptions.IOStreams
}

// NewCmdTestILPVerify returns the command that verifies what belongs together.
func NewCmdTestILPVerify(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestILPVerifyFlags{Output: formatTable, IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "verify [--fulfilment F] [--condition C] [--packet P] [--transfer FILE] [--secret-file FILE]",
		Short: "Verify that fulfilment, condition, packet, transfer and secret belong together",
		Long: `Verify what was given:

  --fulfilment and a condition    the fulfilment meets the condition
  --packet                        the packet says the same as the transaction object
                                  in it and, in version 4, has the condition
  --transfer                      the transfer is what its packet says: FSPs, amount,
                                  currency, condition
  --secret-file                   the packet and the condition were made with the secret

The condition is that of --condition, of the transfer, or of a packet of version 4.
A transfer is the body of POST /transfers or POST /fxTransfers, or of POST /transfers
in ISO 20022.

The exit code is 2 when something does not belong together and 1 when something
cannot be read.`,
		Example: `  # has the payee fulfilled?
  kubectl mojasec test ilp verify --fulfilment "$FULFILMENT" --condition "$CONDITION"

  # is the transfer what was quoted?
  kubectl mojasec test ilp verify --transfer transfer.json

  # was it quoted with the secret that is in use now?
  kubectl mojasec test ilp verify --transfer transfer.json --secret-file ilp-secret.txt`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions(time.Now())
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.Fulfilment, "fulfilment", "", "`FULFILMENT` of the payee: 43 characters of base64url")
	fs.StringVar(&flags.Condition, "condition", "", "`CONDITION` of the quote: 43 characters of base64url")
	fs.StringVar(&flags.Packet, "packet", "", "`PACKET` of the quote (default that of the transfer)")
	fs.StringVar(&flags.Transfer, "transfer", "", "`FILE` with the transfer; - is standard input")
	fs.StringVar(&flags.SecretFile, "secret-file", "", "`FILE` with the secret of the payee; - is standard input")
	fs.BoolVar(&flags.Exact, "exact", false, "take a line end at the end of --secret-file for a part of the secret")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "table, json or yaml")
	complete(cmd, "output", formatTable, formatJSON, formatYAML)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *TestILPVerifyFlags) ToOptions(now time.Time) (*TestILPVerifyOptions, error) {
	formats := []string{formatTable, formatJSON, formatYAML}
	const example = displayName + " test ilp verify --transfer transfer.json"
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case f.Packet == "" && f.Transfer == "" && f.SecretFile != "":
		return nil, &usageError{message: "a secret proves nothing by itself: give --packet and --condition, or --transfer", next: example + " --secret-file " + quote(f.SecretFile)}
	case f.Packet == "" && f.Transfer == "" && f.Fulfilment == "" && f.Condition == "":
		return nil, &usageError{message: "verify what? give --fulfilment and --condition, --packet, or --transfer", next: example}
	case f.Packet == "" && f.Transfer == "" && f.Condition == "":
		return nil, &usageError{message: "which condition is the fulfilment to meet? give --condition, --transfer or --packet"}
	case f.Packet == "" && f.Transfer == "" && f.Fulfilment == "":
		return nil, &usageError{message: "what is to meet the condition? give --fulfilment, --transfer or --packet"}
	}
	if err := oneStdin(f.Transfer, f.SecretFile); err != nil {
		return nil, err
	}
	return &TestILPVerifyOptions{
		Fulfilment: f.Fulfilment, Condition: f.Condition, Packet: f.Packet, Transfer: f.Transfer, SecretFile: f.SecretFile,
		Exact: f.Exact, Output: f.Output, Now: now, IOStreams: f.IOStreams,
	}, nil
}

// ilpCheck is one thing that was verified.
type ilpCheck struct {
	// Name is "fulfilment", "condition", "packet", "transfer" or "secret".
	Name string `json:"name"`
	// Title is true when the check passed.
	Title  string `json:"title"`
	Passed bool   `json:"passed"`
	// Detail says what a failure means; Differences say where it is.
	Detail      string           `json:"detail,omitempty"`
	Differences []ilp.Difference `json:"differences,omitempty"`
}

// ilpVerdict is the answer.
type ilpVerdict struct {
	answerHead
	Verified bool       `json:"verified"`
	Checks   []ilpCheck `json:"checks"`
}

// ilpEvidence is what the command line and the files say.
type ilpEvidence struct {
	condition string
	transfer  *ilp.Transfer
	packet    *ilp.Packet
	text      string // of the packet
	secret    *ilp.Secret
}

// Run prints the verdict.
func (o *TestILPVerifyOptions) Run(ctx context.Context) error {
	verdict := &ilpVerdict{answerHead: newAnswerHead("ilp verify"), Verified: true}
	e, err := o.gather(ctx)
	if err == nil {
		err = o.verify(verdict, e)
	}
	if err != nil {
		return orAnswer(o.Out, o.Output, verdict.Test, err)
	}
	if e.packet != nil {
		if at, ok := expired(e.packet, o.Now); ok {
			_, _ = fmt.Fprintf(o.ErrOut, "note: the quote expired at %s; a payee with REJECT_TRANSFERS_ON_EXPIRED_QUOTES=true refuses its transfer\n", at.Format(fspiopTime))
		}
	}
	if o.Output == formatTable {
		err = printText(o.Out, o.table(verdict))
	} else {
		err = writeAnswer(o.Out, o.Output, verdict)
	}
	if err == nil && !verdict.Verified {
		return exit(Findings)
	}
	return err
}

// gather reads what was given.
func (o *TestILPVerifyOptions) gather(ctx context.Context) (*ilpEvidence, error) {
	e := &ilpEvidence{condition: o.Condition, text: o.Packet}
	if o.Condition != "" {
		if err := ilp.CheckCondition(o.Condition); err != nil {
			return nil, err
		}
	}
	from := ilpInput{name: "--packet"}
	if o.Transfer != "" {
		in, err := readILPInput(ctx, fileFlag{"--transfer", o.Transfer}, o.In)
		if err != nil {
			return nil, err
		}
		t, err := ilp.ParseTransfer(in.text)
		if err != nil {
			return nil, in.explain(err)
		}
		if e.text == "" {
			e.text, from = t.Packet, in
		}
		if e.text == "" {
			return nil, fmt.Errorf("%s: an fxTransfer carries no packet: give that of the fxQuote with --packet", in.name)
		}
		if e.condition == "" {
			e.condition = t.Condition
		}
		e.transfer = &t
	}
	if e.text != "" {
		p, err := ilp.Decode(strings.TrimSpace(e.text))
		if err != nil && o.Packet != "" && isFile(o.Packet) {
			return nil, fmt.Errorf(`--packet wants the packet itself, and %s is a file; type:  --packet "$(cat %[1]s)"`, quote(visible(o.Packet)))
		}
		if err != nil {
			return nil, from.explain(err)
		}
		e.packet = &p
		if e.condition == "" && p.Version == ilp.V4 {
			e.condition = base64.RawURLEncoding.EncodeToString(p.Condition[:])
		}
	}
	if e.condition == "" && (o.Fulfilment != "" || o.SecretFile != "") {
		return nil, &usageError{message: "which condition? neither the transfer nor a packet of version 1 has one: give --condition"}
	}
	if o.SecretFile != "" {
		secret, err := readILPSecret(ctx, o.SecretFile, o.Exact, o.In, o.ErrOut)
		if err != nil {
			return nil, err
		}
		e.secret = &secret
	}
	return e, nil
}

// verify does every check for which there is evidence.
func (o *TestILPVerifyOptions) verify(v *ilpVerdict, e *ilpEvidence) error {
	if o.Fulfilment != "" {
		if err := v.add("fulfilment", "the fulfilment meets the condition", "", ilp.Verify(o.Fulfilment, e.condition)); err != nil {
			return err
		}
	}
	if e.transfer != nil {
		t := *e.transfer
		if t.Condition != "" && t.Condition != e.condition {
			v.differ("condition", "the transfer has the condition", ilp.Difference{Field: "condition", Got: t.Condition, Want: e.condition})
		}
		t.Condition = e.condition
		if err := v.add("transfer", "the transfer is what its packet says", "", e.packet.Validate(t)); err != nil {
			return err
		}
	} else if e.packet != nil {
		if err := v.add("packet", "the packet says the same as the transaction object in it", "", e.packet.Consistent()); err != nil {
			return err
		}
		if own := base64.RawURLEncoding.EncodeToString(e.packet.Condition[:]); e.packet.Version == ilp.V4 && o.Condition != "" && own != o.Condition {
			v.differ("condition", "the packet has the condition", ilp.Difference{Field: "packet.condition", Got: own, Want: o.Condition})
		}
	}
	if e.secret != nil {
		fulfilment, err := e.secret.Fulfil(strings.TrimSpace(e.text))
		if err == nil {
			err = ilp.Verify(fulfilment, e.condition)
		}
		const detail = "the payee used another secret, or packet or condition were changed"
		if err := v.add("secret", "packet and condition were made with the secret", detail, err); err != nil {
			return err
		}
	}
	return nil
}

// add notes a check, with the detail if it failed; an error that is no mismatch
// is returned.
func (v *ilpVerdict) add(name, title, detail string, err error) error {
	c := ilpCheck{Name: name, Title: title, Passed: err == nil}
	if found, ok := errors.AsType[ilp.Differences](err); ok {
		c.Differences = found
	} else if err != nil && !errors.Is(err, ilp.ErrMismatch) {
		return fmt.Errorf("verify: %w", err)
	}
	if err != nil {
		c.Detail = detail
	}
	v.Checks = append(v.Checks, c)
	v.Verified = v.Verified && c.Passed
	return nil
}

func (v *ilpVerdict) differ(name, title string, d ilp.Difference) {
	v.Checks = append(v.Checks, ilpCheck{Name: name, Title: title, Differences: []ilp.Difference{d}})
	v.Verified = false
}

// table is the verdict for people.
func (o *TestILPVerifyOptions) table(v *ilpVerdict) string {
	var terminal report.Options
	forTerminal(&terminal, o.Out, colourNever)
	var b strings.Builder
	for _, c := range v.Checks {
		mark := marks[statusFailed]
		if c.Passed {
			mark = marks[statusPassed]
		}
		sign := mark[0]
		if terminal.ASCII {
			sign = mark[1]
		}
		_, _ = fmt.Fprintf(&b, "%s %s\n", sign, c.Title)
		if c.Detail != "" {
			_, _ = fmt.Fprintf(&b, "    %s\n", c.Detail)
		}
		for _, d := range c.Differences {
			_, _ = fmt.Fprintf(&b, "    %s\n", visible(d.String()))
		}
	}
	return b.String()
}
