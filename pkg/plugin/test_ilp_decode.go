package plugin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
)

// TestILPDecodeFlags are what was typed.
type TestILPDecodeFlags struct {
	Output string

	genericiooptions.IOStreams
}

// TestILPDecodeOptions are what Run needs.
type TestILPDecodeOptions struct {
	// Packet is base64url, or "-" for standard input.
	Packet string
	Output string

	genericiooptions.IOStreams
}

// NewCmdTestILPDecode returns the command that shows what a packet says.
func NewCmdTestILPDecode(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestILPDecodeFlags{Output: formatTable, IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "decode PACKET|-",
		Short: "Show what an ILP packet says",
		Long: `Show what an ILP packet of either version says: the ilpPacket of a quote or a
transfer. It is read strictly: what Mojaloop's SDK would not write is refused, with
the reason. A warning says where a packet contradicts the transaction object in it.`,
		Example: `  # the packet of a transfer
  jq -r .ilpPacket transfer.json | kubectl mojasec test ilp decode -

  # for programs
  kubectl mojasec test ilp decode - -o json < packet.txt`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&flags.Output, "output", "o", flags.Output, "table, json or yaml")
	complete(cmd, "output", formatTable, formatJSON, formatYAML)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *TestILPDecodeFlags) ToOptions(args []string) (*TestILPDecodeOptions, error) {
	formats := []string{formatTable, formatJSON, formatYAML}
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case len(args) == 0:
		return nil, &usageError{message: "which packet? give one, or - for standard input", next: displayName + " test ilp decode -"}
	case len(args) > 1:
		return nil, &usageError{message: fmt.Sprintf("decode takes one packet, got %d arguments", len(args))}
	}
	return &TestILPDecodeOptions{Packet: args[0], Output: f.Output, IOStreams: f.IOStreams}, nil
}

// decodedPacket is the answer: what a packet says.
type decodedPacket struct {
	Version int `json:"version"`
	// Amount is in the smallest unit of the currency; text, because JavaScript
	// cannot count as far.
	Amount    string `json:"amount"`
	Account   string `json:"account"`
	ExpiresAt string `json:"expiresAt,omitempty"`
	Condition string `json:"condition,omitempty"`
	// Transaction is the transaction object; without one, Data is what the packet
	// carries instead, in base64.
	Transaction json.RawMessage `json:"transaction,omitempty"`
	Data        string          `json:"data,omitempty"`
}

// Run prints what the packet says.
func (o *TestILPDecodeOptions) Run(ctx context.Context) error {
	packet, err := o.read(ctx)
	if err != nil {
		return orAnswer(o.Out, o.Output, "ilp decode", err)
	}
	if found, ok := errors.AsType[ilp.Differences](packet.Consistent()); ok {
		for _, d := range found {
			_, _ = fmt.Fprintf(o.ErrOut, "warning: the packet contradicts its transaction object: %s\n", visible(d.String()))
		}
	}
	tx, txErr := packet.Transaction()
	answer := newDecodedPacket(&packet, tx, txErr)
	if o.Output != formatTable {
		return writeAnswer(o.Out, o.Output, answer)
	}
	return printText(o.Out, answer.table(tx, txErr))
}

func (o *TestILPDecodeOptions) read(ctx context.Context) (ilp.Packet, error) {
	text := o.Packet
	if text == stdinName {
		in, err := readILPInput(ctx, fileFlag{name: stdinName}, o.In)
		if err != nil {
			return ilp.Packet{}, err
		}
		text = strings.TrimSpace(string(in.text))
	}
	packet, err := ilp.Decode(text)
	if err != nil && isFile(text) {
		return ilp.Packet{}, fmt.Errorf("decode the packet: %s is a file; type:  %s test ilp decode - < %s", visible(text), displayName, quote(visible(text)))
	}
	if err != nil {
		return ilp.Packet{}, fmt.Errorf("decode the packet: %w", err)
	}
	return packet, nil
}

// isFile tells whether there is a file of a name, which may be anything that was
// typed.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func newDecodedPacket(p *ilp.Packet, tx ilp.Transaction, txErr error) *decodedPacket {
	d := &decodedPacket{Version: int(p.Version), Amount: strconv.FormatUint(p.Amount, 10), Account: p.Account}
	if p.Version == ilp.V4 {
		d.ExpiresAt = p.ExpiresAt.Format(fspiopTime)
		d.Condition = base64.RawURLEncoding.EncodeToString(p.Condition[:])
	}
	if txErr == nil {
		d.Transaction = tx.JSON()
	} else {
		d.Data = base64.StdEncoding.EncodeToString(p.Data)
	}
	return d
}

// fspiopTime is how FSPIOP writes a time in UTC.
const fspiopTime = "2006-01-02T15:04:05.000Z"

// table is the answer for people. What comes from the packet may hold control
// characters; they are made visible.
func (d *decodedPacket) table(tx ilp.Transaction, txErr error) string {
	var b strings.Builder
	tabs := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(tabs, "%s\t%s\n", name, visible(value))
		}
	}
	row("ILP version", strconv.Itoa(d.Version))
	amount := d.Amount
	if a, err := tx.Amount(); txErr == nil && err == nil {
		if tx.IsFX() {
			amount += " (a conversion of " + a.String() + ")"
		} else {
			amount += " (" + a.String() + ")"
		}
	}
	row("Amount", amount)
	row("Account", d.Account)
	row("Condition", d.Condition)
	if txErr != nil {
		row("Expires", d.ExpiresAt)
		row("Data", d.Data)
		_ = tabs.Flush() // into memory
		return b.String() + "\nNo transaction object: " + visible(txErr.Error()) + "\n"
	}
	row("Transaction", tx.ID())
	payer, _ := tx.PayerFSP() // a row that is empty is left out
	payee, _ := tx.PayeeFSP()
	row("Payer", payer)
	row("Payee", payee)
	expires := d.ExpiresAt
	if at, err := tx.Expiration(); err == nil && expires == "" {
		expires = at.Format(fspiopTime)
	}
	row("Expires", expires)
	_ = tabs.Flush() // into memory
	b.WriteString("\n")
	var indented bytes.Buffer
	if json.Indent(&indented, d.Transaction, "", "  ") != nil {
		indented.Write(d.Transaction) // never: it was written by ecmajson
	}
	for line := range strings.Lines(indented.String()) {
		b.WriteString(visibleLine(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

// visibleLine is visible for a line of JSON, whose quotes and backslashes stay.
func visibleLine(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd' // control characters and those that turn the direction
		}
		return r
	}, line)
}

// expired is when the quote of a packet expired; false when it has not, or when
// nothing says when.
func expired(p *ilp.Packet, now time.Time) (time.Time, bool) {
	at := p.ExpiresAt
	if p.Version != ilp.V4 {
		tx, err := p.Transaction()
		if err != nil {
			return time.Time{}, false
		}
		if at, err = tx.Expiration(); err != nil {
			return time.Time{}, false
		}
	}
	return at, now.After(at)
}
