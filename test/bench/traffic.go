package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mojasec/mojasec/test/mojaloop"
)

const (
	// trafficRate is the rate of K2 and K3, in messages per second.
	trafficRate = 1000
	// trafficPeers is how many adapters share it.
	trafficPeers = 2
	// searchFor is how long each rate is tried in the search for the highest.
	searchFor = 10 * time.Second
)

// traffic is a scheme of real adapters, and the plugin that sends to them.
type traffic struct {
	scheme  *mojaloop.Scheme
	plugin  string
	measure time.Duration
	common  []string
}

// transactionTest is what the plugin prints.
type transactionTest struct {
	Layers    []layerFigures
	Callbacks *struct{ Paid, Failed, Missing int64 }
	Error     string
}

// layerFigures are the figures of one layer, times in milliseconds.
type layerFigures struct {
	Layer               string
	RateHeld            bool
	Due, Sent, Failed   int64
	AchievedRate        float64
	Latency             struct{ P50Ms, P99Ms float64 }
	CPUPerMessageMs     float64
	PeerCPUPerMessageMs float64
	WarmUp              struct{ Failed int64 }
	Difference          *struct{ P50Ms, P99Ms, CPUPerMessageMs, PeerCPUPerMessageMs float64 }
	Outcomes            []struct {
		Status       int
		Code, Reason string
		Count        int64
		Failed       bool
	}
}

// good tells that the layer was sent at its rate without a failure.
func (l layerFigures) good() bool { return l.Failed == 0 && l.RateHeld }

// trafficRows measures K2 and K3.
func trafficRows(ctx context.Context, plugin string, measure time.Duration) ([]row, error) {
	missing := missingPrograms()
	if missing == "" {
		if _, err := mojaloop.Modules(ctx, os.Stderr); err != nil {
			missing = err.Error()
		}
	}
	if missing != "" {
		return []row{{"K2", "signed FSPIOP load", held(measure), "not measured: " + missing}}, nil
	}
	scheme, err := mojaloop.StartScheme(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = scheme.Close() }()
	t := &traffic{scheme: scheme, plugin: plugin, measure: measure, common: []string{
		"test", "transaction", "-o", "json", "--destination", mojaloop.Payee,
		"--cert", scheme.Client.Certificate, "--key-tls", scheme.Client.Key, "--ca", scheme.Client.CA,
	}}
	rows, err := t.layers(ctx)
	if err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context) ([]row, error){t.thin, t.highest} {
		more, err := part(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// missingPrograms says what to type to get the peers.
func missingPrograms() string {
	if _, err := exec.LookPath("node"); err != nil {
		return "node is missing; install Node.js 20"
	}
	if _, err := exec.LookPath("redis-server"); err != nil && os.Geteuid() != 0 {
		return "redis-server is missing; type: sudo apt-get install redis-server"
	}
	return ""
}

// run runs the plugin. Failed messages are figures, not errors.
func (t *traffic) run(ctx context.Context, args ...string) (transactionTest, error) {
	cmd := exec.CommandContext(ctx, t.plugin, slices.Concat(t.common, args)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, io.MultiWriter(&stderr, os.Stderr)
	err := cmd.Run()
	var answer transactionTest
	if jsonErr := json.Unmarshal(stdout.Bytes(), &answer); jsonErr != nil || answer.Error != "" {
		return answer, fmt.Errorf("test transaction: %w", errors.Join(err, jsonErr, errors.New(strings.TrimSpace(stderr.String()))))
	}
	return answer, nil
}

// layers measures K3, and with it K2: its layer jws.
func (t *traffic) layers(ctx context.Context) ([]row, error) {
	args := append(t.payer(), "--layers", "none,mtls,jws,ilp,all", "--messages", "callbacks",
		"--rate", strconv.Itoa(trafficRate), "--for", t.measure.String(), "--warm-up", "10s")
	for _, l := range []struct {
		name string
		mojaloop.Layer
	}{
		{"none", mojaloop.Layer{}},
		{"mtls", mojaloop.Layer{MTLS: true}},
		{"jws", mojaloop.Layer{JWS: true}},
		{"ilp", mojaloop.Layer{ILP: true}},
		{"all", mojaloop.Layer{MTLS: true, JWS: true, ILP: true}},
	} {
		adapters, err := t.scheme.StartAdapters(ctx, trafficPeers, l.Layer, "")
		if err != nil {
			return nil, err
		}
		for _, a := range adapters {
			args = append(args, "--url", l.name+"="+a.Inbound, "--peer-pid", l.name+"="+strconv.Itoa(a.PID()))
		}
	}
	fmt.Fprintf(os.Stderr, "K2, K3: %d messages per second for %s through each of five layers\n", trafficRate, t.measure)
	redis, err := cpuTime(t.scheme.Redis.PID())
	if err != nil {
		return nil, err
	}
	got, err := t.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	after, err := cpuTime(t.scheme.Redis.PID())
	if err != nil {
		return nil, err
	}
	rows := trafficLayers(got, t.measure, "")
	var sent int64
	for _, l := range got.Layers {
		sent += l.Sent
	}
	if sent > 0 {
		rows = append(rows, row{"K3", "Redis, CPU per message", "-", fmt.Sprintf("%.2f ms", (after-redis).Seconds()*1e3/float64(sent))})
	}
	if slices.ContainsFunc(got.Layers, func(l layerFigures) bool { return !l.good() }) {
		// An RSA signature takes this machine most of a millisecond: what is left
		// for the peers may not be enough.
		ahead, err := t.run(ctx, append(args, "--sign-ahead")...)
		if err != nil {
			return nil, err
		}
		rows = append(rows, trafficLayers(ahead, t.measure, ", signed before the load")...)
	}
	return rows, t.scheme.CloseAdapters()
}

// trafficLayers are the rows of all layers.
func trafficLayers(got transactionTest, measure time.Duration, how string) []row {
	var rows []row
	for _, l := range got.Layers {
		if l.Layer == "jws" {
			rows = append(rows, row{"K2", fmt.Sprintf("PUT /quotes/{id}, /transfers/{id}, RS256, %d adapters verify%s", trafficPeers, how), held(measure), l.String()})
		}
		target := "-"
		if l.Layer == "all" {
			target = held(measure)
		}
		rows = append(rows, row{"K3", "the same load, " + l.Layer + how, target, l.String()})
	}
	for _, l := range got.Layers {
		if d := l.Difference; d != nil {
			rows = append(rows, row{"K3", l.Layer + " costs more than none" + how, "-", fmt.Sprintf(
				"p50 %+.2f ms, p99 %+.2f ms, CPU %+.2f ms sender %+.2f ms peer", d.P50Ms, d.P99Ms, d.CPUPerMessageMs, d.PeerCPUPerMessageMs)})
		}
	}
	return rows
}

// held is the target of a load.
func held(d time.Duration) string { return fmt.Sprintf("%d/s for %s, 0 failed", trafficRate, d) }

// String is the figures in one line.
func (l layerFigures) String() string {
	text := fmt.Sprintf("%.0f/s, %d of %d failed, p50 %.2f ms, p99 %.1f ms, CPU %.2f ms sender + %.2f ms peer (%.1f processors)",
		l.AchievedRate, l.Failed, l.Sent, l.Latency.P50Ms, l.Latency.P99Ms, l.CPUPerMessageMs, l.PeerCPUPerMessageMs,
		l.AchievedRate*(l.CPUPerMessageMs+l.PeerCPUPerMessageMs)/1e3)
	if !l.RateHeld {
		text += fmt.Sprintf(", NOT HELD (%d due)", l.Due)
	}
	parts := []string{text}
	for _, o := range l.Outcomes {
		if o.Failed {
			parts = append(parts, fmt.Sprintf("%d × %d %s %s", o.Count, o.Status, o.Code, o.Reason))
		}
	}
	return strings.Join(parts, ", ")
}

// thin measures what verifying costs by itself: the SDK's own validator in a bare
// server. Releases up to 17 know RS256 only.
func (t *traffic) thin(ctx context.Context) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		release, algorithm string
		signer             []string
	}{
		{"17.4.0", "RS256", t.payer()},
		{"19.19.1", "RS256", t.payer()},
		{"19.19.1", "ES256", []string{"--source", mojaloop.PayerEC, "--key", t.scheme.PayerECKey}},
	} {
		v, err := mojaloop.StartVerifier(ctx, c.release, t.scheme.Keys)
		if err != nil {
			return nil, err
		}
		args := append([]string{
			"--url", v.URL, "--peer-pid", strconv.Itoa(v.PID()), "--messages", "callbacks",
			"--rate", strconv.Itoa(trafficRate), "--for", t.measure.String(), "--warm-up", "10s",
		}, c.signer...)
		what := fmt.Sprintf("the same with %s, to the validator of sdk-standard-components %s in a bare server", c.algorithm, c.release)
		got, err := t.run(ctx, args...)
		if err == nil && !got.Layers[0].good() {
			what += ", signed before the load"
			got, err = t.run(ctx, append(args, "--sign-ahead")...)
		}
		if err := errors.Join(err, v.Close()); err != nil {
			return nil, err
		}
		rows = append(rows, row{"K2", what, held(t.measure), got.Layers[0].String()})
	}
	return rows, nil
}

// payer is who signs with RS256.
func (t *traffic) payer() []string {
	return []string{"--source", mojaloop.Payer, "--key", t.scheme.PayerKey}
}

// highest searches the highest rate without a failure of what costs an adapter
// more than verifying: quotes, for which it asks the bank, makes a packet and
// sends a signed callback; and whole payments.
func (t *traffic) highest(ctx context.Context) ([]row, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	callbacks := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	var rows []row
	for _, kind := range []struct{ name, what, peer string }{
		{"quotes", "POST /quotes", ""},
		{"payments", "whole payments: POST /quotes, POST /transfers, callbacks verified", callbacks},
	} {
		adapters, err := t.scheme.StartAdapters(ctx, trafficPeers, mojaloop.Layer{JWS: true, ILP: true}, kind.peer)
		if err != nil {
			return nil, err
		}
		args := append(t.payer(), "--messages", kind.name, "--for", searchFor.String(), "--warm-up", "5s")
		if kind.peer != "" {
			args = append(args, "--callback-listen", kind.peer, "--keys", t.scheme.Keys)
		}
		for _, a := range adapters {
			args = append(args, "--url", a.Inbound, "--peer-pid", strconv.Itoa(a.PID()))
		}
		best, next, err := t.search(ctx, args)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{"K2", kind.what + ", highest rate with 0 failed", "-", best}, row{"K2", "  the next rate", "-", next})
		if err := t.scheme.CloseAdapters(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// search raises the rate until messages fail, are late or are not answered.
func (t *traffic) search(ctx context.Context, args []string) (best, next string, err error) {
	best = "none"
	for rate := 200; rate <= trafficRate; rate += 100 {
		before, err := machineCPU()
		if err != nil {
			return "", "", err
		}
		got, err := t.run(ctx, append(args, "--rate", strconv.Itoa(rate))...)
		if err != nil {
			return "", "", err
		}
		after, err := machineCPU()
		if err != nil {
			return "", "", err
		}
		l := got.Layers[0]
		text := fmt.Sprintf("%s, %.0f %% of all processors busy", l, 100*after.busyShare(before))
		ok := l.good() && l.Latency.P99Ms < 1000
		if c := got.Callbacks; c != nil {
			text += fmt.Sprintf(", %d paid, %d callbacks failed, %d missing", c.Paid, c.Failed, c.Missing)
			ok = ok && c.Failed == 0 && c.Missing == 0
		}
		if !ok {
			return best, text, nil
		}
		best = text
	}
	return best, "not tried", nil
}

// machine is the time of all processors, in ticks.
type machine struct{ busy, all int64 }

// busyShare is the part of the time since before that processors were not idle.
func (m machine) busyShare(before machine) float64 {
	if m.all == before.all {
		return 0
	}
	return float64(m.busy-before.busy) / float64(m.all-before.all)
}

// machineCPU reads the first line of /proc/stat.
func machineCPU() (machine, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var m machine
	const idle, ioWait = 3, 4
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return machine{}, err
		}
		m.all += n
		if i != idle && i != ioWait {
			m.busy += n
		}
	}
	return m, nil
}
