package plugin

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/mojasec/mojasec/pkg/plugin/load"
)

// transactionReport is the document that the command prints.
type transactionReport struct {
	answerHead

	Run         string   `json:"run"`
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Messages    []string `json:"messages"`
	// Algorithm and Key are of the key that signs.
	Algorithm   string `json:"algorithm,omitempty"`
	Key         string `json:"key,omitempty"`
	SignedAhead bool   `json:"signedAhead,omitempty"`
	// Passed tells that no message failed and every rate was held.
	Passed      bool                `json:"passed"`
	Interrupted bool                `json:"interrupted,omitempty"`
	Layers      []*layerResult      `json:"layers"`
	Callbacks   *load.AnswersResult `json:"callbacks,omitempty"`
}

// layerResult is what came of one layer.
type layerResult struct {
	// Layer is empty where layers are not compared.
	Layer string   `json:"layer,omitempty"`
	URLs  []string `json:"urls"`
	Held  bool     `json:"rateHeld"`

	*load.Result

	// PeerCPU is the CPU time of the peers per message.
	PeerCPU *load.Duration `json:"peerCPUPerMessageMs,omitempty"`
	// Difference is to the first layer.
	Difference *layerDifference `json:"difference,omitempty"`
}

// layerDifference is what a layer costs more than another.
type layerDifference struct {
	To      string         `json:"to"`
	P50     load.Duration  `json:"p50Ms"`
	P99     load.Duration  `json:"p99Ms"`
	CPU     load.Duration  `json:"cpuPerMessageMs"`
	PeerCPU *load.Duration `json:"peerCPUPerMessageMs,omitempty"`
}

func (o *TestTransactionOptions) newReport() *transactionReport {
	r := &transactionReport{
		answerHead: newAnswerHead("transaction"), Run: fmt.Sprintf("%07x", o.Messages.Run),
		Source: o.Messages.Source, Destination: o.Messages.Destination, SignedAhead: o.SignAhead, Layers: []*layerResult{},
	}
	for _, k := range o.Messages.Kinds {
		r.Messages = append(r.Messages, string(k))
	}
	if o.Messages.Key != nil {
		r.Algorithm, r.Key = string(o.Messages.Key.Algorithm()), o.Messages.Key.Fingerprint().String()
	}
	return r
}

// add notes the result of a layer, and how it differs from the first.
func (r *transactionReport) add(run layerRun, result *layerResult) {
	result.Layer, result.Held = run.name, result.Result.Held()
	for _, u := range run.urls {
		result.URLs = append(result.URLs, shownURL(u.String()))
	}
	if len(r.Layers) > 0 {
		first := r.Layers[0]
		d := &layerDifference{
			To:  first.Layer,
			P50: result.Latency.P50 - first.Latency.P50, P99: result.Latency.P99 - first.Latency.P99, CPU: result.CPU - first.CPU,
		}
		if result.PeerCPU != nil && first.PeerCPU != nil {
			cpu := *result.PeerCPU - *first.PeerCPU
			d.PeerCPU = &cpu
		}
		result.Difference = d
	}
	r.Layers = append(r.Layers, result)
}

// judge tells whether all is well.
func (r *transactionReport) judge() bool {
	r.Passed = len(r.Layers) > 0
	for _, l := range r.Layers {
		r.Passed = r.Passed && l.Failed == 0 && l.Held
	}
	if c := r.Callbacks; c != nil {
		r.Passed = r.Passed && c.Failed == 0 && c.Missing == 0
	}
	return r.Passed
}

func (r *transactionReport) print(w io.Writer, format string) error {
	if format != formatTable {
		return writeAnswer(w, format, r)
	}
	if _, err := io.WriteString(w, r.table()); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

func (r *transactionReport) table() string {
	var b strings.Builder
	if len(r.Layers) == 0 {
		return ""
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	compares, peers := len(r.Layers) > 1, r.Layers[0].PeerCPU != nil
	row := func(cells ...string) {
		if !compares {
			cells = cells[1:]
		}
		if !peers {
			cells = cells[:len(cells)-1]
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	row("LAYER", "SENT", "FAILED", "RATE", "P50", "P90", "P99", "MAX", "CPU/MESSAGE", "PEER CPU/MESSAGE")
	for _, l := range r.Layers {
		peer := ""
		if l.PeerCPU != nil {
			peer = ms(*l.PeerCPU)
		}
		row(l.Layer, fmt.Sprint(l.Sent), fmt.Sprint(l.Failed), fmt.Sprintf("%.1f/s", l.Achieved),
			ms(l.Latency.P50), ms(l.Latency.P90), ms(l.Latency.P99), ms(l.Latency.Max), ms(l.CPU), peer)
	}
	_ = w.Flush() // to memory
	r.writeDifferences(&b)
	r.writeFailures(&b)
	r.writeCallbacks(&b)
	r.writeVerdict(&b)
	return b.String()
}

func ms(d load.Duration) string { return fmt.Sprintf("%.2f ms", d.Milliseconds()) }

// writeDifferences prints what each layer costs.
func (r *transactionReport) writeDifferences(b *strings.Builder) {
	if len(r.Layers) < 2 {
		return
	}
	fmt.Fprintf(b, "\nDifference to %s:\n", r.Layers[0].Layer)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	peers := r.Layers[0].PeerCPU != nil
	fmt.Fprint(w, "LAYER\tP50\tP99\tCPU/MESSAGE")
	if peers {
		fmt.Fprint(w, "\tPEER CPU/MESSAGE")
	}
	fmt.Fprintln(w)
	signed := func(d load.Duration) string { return fmt.Sprintf("%+.2f ms", d.Milliseconds()) }
	for _, l := range r.Layers[1:] {
		d := l.Difference
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", l.Layer, signed(d.P50), signed(d.P99), signed(d.CPU))
		if d.PeerCPU != nil {
			fmt.Fprintf(w, "\t%s", signed(*d.PeerCPU))
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // to memory
}

// writeFailures prints how messages failed.
func (r *transactionReport) writeFailures(b *strings.Builder) {
	for _, l := range r.Layers {
		for _, o := range l.Outcomes {
			if o.Failed {
				fmt.Fprintln(b, "\n"+failureLine(l.Layer, o))
			}
		}
	}
}

func failureLine(layer string, o load.Outcome) string {
	line := fmt.Sprintf("failed with %s: %d", o.Name(), o.Count)
	if layer != "" {
		line = layer + ": " + line
	}
	if o.Reason != "" {
		line += " (" + visible(o.Reason) + ")"
	}
	return line
}

func (r *transactionReport) writeCallbacks(b *strings.Builder) {
	c := r.Callbacks
	if c == nil {
		return
	}
	verified := "signatures not verified (--keys)"
	if c.Verified {
		verified = "signatures verified"
	}
	fmt.Fprintf(b, "\nCallbacks: %d received, %d failed, %d missing; %d payments fulfilled; %s; p50 %s, p99 %s\n",
		c.Received, c.Failed, c.Missing, c.Paid, verified, ms(c.Latency.P50), ms(c.Latency.P99))
	for _, o := range c.Outcomes {
		if o.Failed {
			fmt.Fprintln(b, failureLine("callback", o))
		}
	}
}

func (r *transactionReport) writeVerdict(b *strings.Builder) {
	for _, l := range r.Layers {
		if l.Held {
			continue
		}
		name := ""
		if l.Layer != "" {
			name = l.Layer + ": "
		}
		fmt.Fprintf(b, "\n%sthe rate was not held: %d of %d messages were sent in time; try a lower --rate, more peers, or --sign-ahead\n", name, l.Sent, l.Due)
	}
	if r.Interrupted {
		fmt.Fprintln(b, "\ninterrupted: this is the result so far")
	}
}

// liveLine shows how a load goes.
type liveLine struct {
	w        io.Writer
	prefix   string
	every    time.Duration
	terminal *os.File // nil elsewhere
	width    int      // of the line that is shown
}

// newLiveLine writes one line that changes on a terminal, and a line every five
// seconds elsewhere.
func newLiveLine(w io.Writer, layer string) *liveLine {
	l := &liveLine{w: w, every: 5 * time.Second}
	if layer != "" {
		l.prefix = layer + ": "
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		l.terminal, l.every = f, time.Second
	}
	return l
}

// show prints one interval.
func (l *liveLine) show(p load.Progress) {
	when := fmt.Sprintf("%.0fs", p.Elapsed.Seconds())
	if p.WarmUp {
		when = "warming up"
	}
	parts := []string{fmt.Sprintf("%s%s  %.0f/s  p50 %.1f ms  p99 %.1f ms  failed %d", l.prefix, when, p.Rate,
		load.Duration(p.P50).Milliseconds(), load.Duration(p.P99).Milliseconds(), p.Failed)}
	for _, o := range p.Failures[:min(3, len(p.Failures))] {
		parts = append(parts, fmt.Sprintf("%s: %d", visible(o.Name()), o.Count))
	}
	line := strings.Join(parts, "  ")
	if l.terminal == nil {
		_, _ = fmt.Fprintln(l.w, line)
		return
	}
	// A line that wraps could not be written over.
	if columns, _, err := term.GetSize(int(l.terminal.Fd())); err == nil && len(line) >= columns && columns > 0 {
		line = line[:columns-1]
	}
	pad := max(0, l.width-len(line))
	l.width = len(line)
	_, _ = fmt.Fprint(l.w, "\r"+line+strings.Repeat(" ", pad))
}

// end leaves the line.
func (l *liveLine) end() {
	if l.terminal != nil && l.width > 0 {
		_, _ = fmt.Fprintln(l.w)
	}
}
