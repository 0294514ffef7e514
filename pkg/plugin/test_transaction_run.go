package plugin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mojasec/mojasec/pkg/plugin/load"
)

// Run sends the load of each layer and prints the result.
func (o *TestTransactionOptions) Run(ctx context.Context) error {
	if err := o.agree(ctx); err != nil {
		return orAnswer(o.Out, o.Output, "transaction", err)
	}
	var seed [4]byte
	_, _ = rand.Read(seed[:]) // never fails
	o.Messages.Run = uint32(seed[0]&0xf)<<24 | uint32(seed[1])<<16 | uint32(seed[2])<<8 | uint32(seed[3])
	report := o.newReport()

	answers, stop, err := o.listen(ctx)
	if err != nil {
		return o.finish(report, err)
	}
	defer stop()
	for i, run := range o.Layers {
		// Layers must not share ids: a peer may remember them.
		o.Messages.Run += uint32(i)
		result, err := o.send(ctx, run, answers)
		if result != nil {
			report.add(run, result)
		}
		if err != nil {
			return o.finish(report, err)
		}
	}
	if answers != nil {
		o.awaitAnswers(ctx, answers)
		result := answers.Result()
		report.Callbacks = &result
	}
	return o.finish(report, ctx.Err())
}

// agree asks before messages leave this machine.
func (o *TestTransactionOptions) agree(ctx context.Context) error {
	if o.Yes || len(o.Hosts) == 0 {
		return nil
	}
	hosts := make([]string, 0, len(o.Hosts))
	for _, h := range o.Hosts {
		hosts = append(hosts, visible(h))
	}
	_, _ = fmt.Fprintf(o.ErrOut, "This sends messages that look like real payments from %s to %s, to %s.\n",
		visible(o.Messages.Source), visible(o.Messages.Destination), strings.Join(hosts, ", "))
	in, ok := o.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return refused("nothing was sent: there is no terminal to ask on; agree with --yes if this is a system for tests")
	}
	yes, err := ask(ctx, in, o.ErrOut, "Is it a system for tests?")
	switch {
	case ctx.Err() != nil:
		return interrupted("nothing was sent")
	case err != nil:
		return err
	case !yes:
		return refused("nothing was sent")
	}
	return nil
}

// listen takes callbacks, if they are wanted.
func (o *TestTransactionOptions) listen(ctx context.Context) (*load.Answers, func(), error) {
	if o.CallbackListen == "" {
		return nil, func() {}, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.CallbackListen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen for callbacks: %w", err)
	}
	answers := load.NewAnswers(o.Keys, time.Now)
	server := &http.Server{Handler: answers, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends by Close
	_, _ = fmt.Fprintf(o.ErrOut, "taking callbacks on http://%s\n", listener.Addr())
	return answers, func() { _ = server.Close() }, nil
}

// awaitAnswers waits until every callback has come, or none comes any more.
func (o *TestTransactionOptions) awaitAnswers(ctx context.Context, answers *load.Answers) {
	ctx, cancel := context.WithTimeout(ctx, o.CallbackWait)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for answers.Waiting() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// send sends the load of one layer.
func (o *TestTransactionOptions) send(ctx context.Context, run layerRun, answers *load.Answers) (*layerResult, error) {
	messages := o.Messages
	messages.FreshILP = run.ilp
	messages.Answers = answers
	if !run.jws {
		messages.Key = nil
	}
	if err := messages.Prepare(time.Now()); err != nil {
		return nil, err
	}
	options := o.Load
	options.URLs, options.Maker = run.urls, &messages
	if o.SignAhead {
		_, _ = fmt.Fprintf(o.ErrOut, "making %d messages …\n", options.Messages())
		var err error
		if options.Maker, err = load.Ahead(ctx, options.Maker, options.Messages(), time.Now()); err != nil {
			return nil, err
		}
	}
	live := newLiveLine(o.ErrOut, run.name)
	options.Progress, options.Every = live.show, live.every
	before, err := peerCPU(run.pids)
	if err != nil {
		return nil, err
	}
	result, err := load.Run(ctx, options)
	live.end()
	if result == nil {
		return nil, err
	}
	after, cpuErr := peerCPU(run.pids)
	if cpuErr != nil {
		// A peer that ended is worth knowing, and the load was not in vain.
		return &layerResult{Result: result}, errors.Join(err, cpuErr)
	}
	done := &layerResult{Result: result}
	if all := result.Sent + result.WarmUp.Sent; len(run.pids) > 0 && all > 0 {
		cpu := load.Duration((after - before) / time.Duration(all))
		done.PeerCPU = &cpu
	}
	return done, err
}

// peerCPU is what all peers have used together.
func peerCPU(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		cpu, err := load.ProcessCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

// finish prints what there is, and says how the command ends.
func (o *TestTransactionOptions) finish(report *transactionReport, err error) error {
	codes := []Code{Good}
	if !report.judge() {
		codes = append(codes, Findings)
	}
	interrupted := errors.Is(err, context.Canceled)
	switch {
	case interrupted:
		report.Interrupted = true
		codes = append(codes, Interrupted)
	case err != nil:
		report.Error = err.Error()
		codes = append(codes, Failed)
	}
	if printErr := report.print(o.Out, o.Output); printErr != nil {
		return printErr
	}
	if err != nil && !interrupted {
		return &ExitError{Code: worst(codes...), Err: err}
	}
	return exit(codes...)
}
