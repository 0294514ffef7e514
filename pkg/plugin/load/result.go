package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Duration is a time in JSON as milliseconds, to the microsecond.
type Duration time.Duration

// MarshalJSON writes milliseconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", d.Milliseconds()), nil
}

// Milliseconds is the time as a number.
func (d Duration) Milliseconds() float64 { return float64(d) / float64(time.Millisecond) }

// Latency is counted from the time a message was due to the end of the answer.
type Latency struct {
	P50  Duration `json:"p50Ms"`
	P90  Duration `json:"p90Ms"`
	P99  Duration `json:"p99Ms"`
	P999 Duration `json:"p999Ms"`
	Max  Duration `json:"maxMs"`
}

// Outcome is one way messages ended, and how many did.
type Outcome struct {
	// Status is that of HTTP; 0 when there was no answer.
	Status int `json:"status,omitempty"`
	// Code is the FSPIOP error code, such as 3105.
	Code string `json:"code,omitempty"`
	// Reason is the description that came with the code, or why there was no
	// answer, for the first such message.
	Reason string `json:"reason,omitempty"`
	Failed bool   `json:"failed"`
	Count  int64  `json:"count"`
}

// Name is short: 202, 400/3105, timeout.
func (o Outcome) Name() string {
	switch {
	case o.Status == 0:
		return o.Code
	case o.Code != "":
		return fmt.Sprintf("%d/%s", o.Status, o.Code)
	}
	return fmt.Sprint(o.Status)
}

// Result is what came of a load.
type Result struct {
	// Rate was asked for; Achieved is what was sent, per second.
	Rate     float64 `json:"rate"`
	Achieved float64 `json:"achievedRate"`
	// Due are the messages of the measured time, Sent those that were sent.
	Due  int64 `json:"due"`
	Sent int64 `json:"sent"`
	// Failed were answered with an error, or not at all.
	Failed      int64    `json:"failed"`
	Interrupted bool     `json:"interrupted,omitempty"`
	Elapsed     Duration `json:"elapsedMs"`
	Latency     Latency  `json:"latency"`
	// CPU is what this process used per message: making, signing, sending.
	CPU      Duration  `json:"cpuPerMessageMs"`
	Outcomes []Outcome `json:"outcomes"`
	// WarmUp is what was sent before.
	WarmUp struct {
		Sent   int64 `json:"sent"`
		Failed int64 `json:"failed"`
	} `json:"warmUp"`
}

// Held tells whether every message that was due was sent.
func (r *Result) Held() bool { return r.Sent >= r.Due }

// Progress is what happened in the last interval, and all failures so far.
type Progress struct {
	// Elapsed is negative while the load warms up.
	Elapsed  time.Duration
	WarmUp   bool
	Rate     float64 // answers per second
	P50, P99 time.Duration
	Failed   int64
	// Failures has the outcomes that failed, most frequent first.
	Failures []Outcome
}

// answer is how one message ended.
type answer struct {
	status    int
	body      []byte
	err       error
	abandoned bool // the load was stopped meanwhile
}

// outcome names the way a message ended.
func (a answer) outcome() Outcome {
	if a.err != nil {
		code, reason := transportError(a.err)
		return Outcome{Status: a.status, Code: code, Reason: reason, Failed: true}
	}
	if a.status >= http.StatusOK && a.status < http.StatusMultipleChoices {
		return Outcome{Status: a.status}
	}
	var body struct {
		ErrorInformation struct{ ErrorCode, ErrorDescription string }
	}
	_ = json.Unmarshal(a.body, &body) // what is not JSON has no code
	return Outcome{
		Status: a.status, Code: body.ErrorInformation.ErrorCode, Failed: true,
		Reason: clip(body.ErrorInformation.ErrorDescription, 200),
	}
}

// transportError names why there was no answer.
func transportError(err error) (code, reason string) {
	var (
		netErr   net.Error
		alert    tls.AlertError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		dns      *net.DNSError
	)
	switch {
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		code = "timeout"
	case errors.As(err, &alert), errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &hostname):
		code = "tls"
	case errors.Is(err, syscall.ECONNREFUSED):
		code = "connection-refused"
	case errors.As(err, &dns):
		code = "no-such-host"
	default:
		code = "connection-lost"
	}
	return code, clip(err.Error(), 200)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// The range of latencies that is told apart, to three digits.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(2 * time.Minute)
	digits   = 3
)

// recorder counts answers.
type recorder struct {
	mu       sync.Mutex
	all      *hdrhistogram.Histogram // nanoseconds
	now      *hdrhistogram.Histogram // of the current interval
	outcomes map[string]*Outcome
	failed   int64
	warmUp   struct{ sent, failed int64 }
}

func newRecorder() *recorder {
	return &recorder{
		all: hdrhistogram.New(shortest, longest, digits), now: hdrhistogram.New(shortest, longest, digits),
		outcomes: map[string]*Outcome{},
	}
}

// add counts one answer. What fails in the warm-up is an outcome, too.
func (r *recorder) add(a answer, took time.Duration, warmUp bool) {
	o := a.outcome()
	value := min(max(int64(took), shortest), longest)
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.now.RecordValue(value) // is in range
	if warmUp {
		r.warmUp.sent++
		if !o.Failed {
			return
		}
		r.warmUp.failed++
	} else {
		_ = r.all.RecordValue(value)
	}
	if o.Failed {
		r.failed++
	}
	have := r.outcomes[o.Name()]
	if have == nil {
		have = &o
		r.outcomes[o.Name()] = have
	}
	have.Count++
}

// interval returns what happened since it was called last.
func (r *recorder) interval(length time.Duration) Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Progress{
		Rate: float64(r.now.TotalCount()) / length.Seconds(), Failed: r.failed,
		P50: time.Duration(r.now.ValueAtQuantile(50)), P99: time.Duration(r.now.ValueAtQuantile(99)),
	}
	r.now.Reset()
	for _, o := range r.sorted() {
		if o.Failed {
			p.Failures = append(p.Failures, o)
		}
	}
	return p
}

// sorted lists the outcomes, most frequent first.
func (r *recorder) sorted() []Outcome {
	out := make([]Outcome, 0, len(r.outcomes))
	for _, o := range r.outcomes {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name(), b.Name()))
	})
	return out
}

func (r *recorder) result() *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := func(q float64) Duration { return Duration(r.all.ValueAtQuantile(q)) }
	result := &Result{
		Failed:   r.failed,
		Outcomes: r.sorted(),
	}
	if r.all.TotalCount() > 0 {
		result.Latency = Latency{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: Duration(r.all.Max())}
	}
	result.WarmUp.Sent, result.WarmUp.Failed = r.warmUp.sent, r.warmUp.failed
	return result
}
