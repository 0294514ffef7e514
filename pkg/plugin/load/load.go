package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultTimeout is how long a message may take, as a hub's own clients wait.
	DefaultTimeout = 30 * time.Second
	// late is how far behind its time a message may be sent at the end of a load.
	// What is not sent by then was not sent at all: the rate was not held.
	late = time.Second
	// grace is how long an interrupted load waits for answers.
	grace = 2 * time.Second
	// answerLimit bounds what is read of an answer. FSPIOP errors take some 300
	// bytes.
	answerLimit = 64 << 10
)

// Message is one HTTP request of a load.
type Message struct {
	Method string
	// Path is what follows the base URL of a peer, such as /quotes.
	Path   string
	Header http.Header
	Body   []byte
}

// Maker makes the messages of a load. It is called by several goroutines at once.
type Maker interface {
	// Make makes message n, counted from 0, that is sent at a time.
	Make(n int64, now time.Time) (Message, error)
}

// Options say what to send, where, and how fast.
type Options struct {
	// URLs are the peers. Messages go to them in turn. What a URL has as its path
	// stands before that of each message.
	URLs []*url.URL
	// Rate is in messages per second.
	Rate float64
	// For is the time that is measured. WarmUp comes before it: the rate rises
	// from 0, because compilers and caches of the peers start cold. Of what is
	// sent then only failures count.
	For, WarmUp time.Duration
	// Connections are how many messages can be under way at once.
	Connections int
	// Timeout is the limit for one message; 0 is [DefaultTimeout].
	Timeout time.Duration
	// TLS is for https URLs.
	TLS *tls.Config
	// Maker makes the messages.
	Maker Maker
	// Progress is called every Every, if it is set.
	Progress func(Progress)
	Every    time.Duration
}

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case len(o.URLs) == 0:
		return errors.New("no URL to send messages to")
	case !(o.Rate > 0) || math.IsInf(o.Rate, 0):
		return fmt.Errorf("rate %v: want messages per second, more than 0", o.Rate)
	case o.For <= 0:
		return fmt.Errorf("time %s: want more than 0", o.For)
	case o.WarmUp < 0:
		return fmt.Errorf("warm-up %s: want 0 or more", o.WarmUp)
	case o.Connections < 1:
		return fmt.Errorf("%d connections: want 1 or more", o.Connections)
	case o.Maker == nil:
		return errors.New("nobody makes messages")
	}
	return nil
}

// run is a load under way.
type run struct {
	Options

	client *http.Client
	rec    *recorder
	began  time.Time
	next   atomic.Int64
	sent   atomic.Int64 // messages of the measured time
	last   atomic.Int64 // when the last one was sent: nanoseconds from the start
	// stopped is when the load was interrupted; nil while it is not.
	stopped atomic.Pointer[time.Time]
}

// Run sends the load and returns what came of it. When ctx is cancelled it stops
// sending and returns the result so far, with the error of ctx. Another error is
// that of a message that could not be made.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("send a load: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	transport := o.transport()
	defer transport.CloseIdleConnections()
	r := &run{
		Options: o, rec: newRecorder(),
		client: &http.Client{
			Transport: transport, Timeout: o.Timeout,
			// A redirect would send a signed message somewhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Messages under way outlive an interrupted load, for a while.
	sending, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	defer context.AfterFunc(ctx, func() {
		now := time.Now()
		r.stopped.Store(&now)
		time.AfterFunc(grace, abandon)
	})()

	cpu := processCPU()
	r.began = time.Now()
	stopProgress := r.startProgress()
	var workers sync.WaitGroup
	var broken atomic.Pointer[error]
	for range o.Connections {
		workers.Go(func() {
			if err := r.work(ctx, sending); err != nil {
				broken.CompareAndSwap(nil, &err)
				cancel()
			}
		})
	}
	workers.Wait()
	stopProgress()
	interrupted := ctx.Err()
	result := r.result(time.Now(), interrupted != nil)
	if after := processCPU(); after > 0 && result.Sent+result.WarmUp.Sent > 0 {
		result.CPU = Duration((after - cpu) / time.Duration(result.Sent+result.WarmUp.Sent))
	}
	if err := broken.Load(); err != nil {
		return result, fmt.Errorf("make a message: %w", *err)
	}
	return result, interrupted
}

// transport keeps a connection per worker and peer.
func (o *Options) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
		TLSClientConfig: o.TLS, TLSHandshakeTimeout: o.Timeout,
		MaxIdleConnsPerHost: o.Connections, MaxConnsPerHost: o.Connections,
		// Node closes a connection that was idle for 5 s. What is sent at that
		// moment is lost, so this side closes it before.
		IdleConnTimeout: 3 * time.Second, DisableCompression: true,
	}
}

// due is when message n is to be sent, counted from the start. In the warm-up the
// rate rises evenly, so the number of messages is that of a triangle.
func (o *Options) due(n int64) time.Duration {
	warm := o.warmUpMessages()
	if n < warm {
		return time.Duration(math.Sqrt(2*float64(n)/o.Rate*o.WarmUp.Seconds()) * float64(time.Second))
	}
	return o.WarmUp + time.Duration(float64(n-warm)/o.Rate*float64(time.Second))
}

// warmUpMessages is how many messages are sent before those that are measured.
func (o *Options) warmUpMessages() int64 {
	return int64(math.Ceil(o.Rate * o.WarmUp.Seconds() / 2))
}

// messages is how many are due in the measured time.
func (o *Options) messages() int64 { return int64(math.Ceil(o.Rate * o.For.Seconds())) }

// work sends messages, one after the other, until all are sent or ctx ends.
func (r *run) work(ctx, sending context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	warm := r.warmUpMessages()
	last := warm + r.messages()
	end := r.began.Add(r.WarmUp + r.For + late)
	for {
		n := r.next.Add(1) - 1
		if n >= last {
			return nil
		}
		due := r.began.Add(r.due(n))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
		} else if ctx.Err() != nil || time.Now().After(end) {
			return nil
		}
		message, err := r.Maker.Make(n, time.Now())
		if err != nil {
			return err
		}
		if n >= warm {
			r.sent.Add(1)
			r.last.Store(int64(time.Since(r.began)))
		}
		answer := r.send(sending, r.URLs[int(n%int64(len(r.URLs)))], message)
		if answer.abandoned {
			continue
		}
		r.rec.add(answer, time.Since(due), n < warm)
	}
}

// send sends one message.
func (r *run) send(ctx context.Context, base *url.URL, m Message) answer {
	to := *base
	to.Path, to.RawPath = joinPath(base.Path, m.Path), ""
	request := (&http.Request{
		Method: m.Method, URL: &to, Host: base.Host, Header: m.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(m.Body)), ContentLength: int64(len(m.Body)),
		// A kept connection that the peer closes meanwhile is not the peer's
		// failure; with GetBody net/http sends again on a new one.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Body)), nil },
	}).WithContext(ctx)
	response, err := r.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return answer{abandoned: true}
		}
		return answer{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		if ctx.Err() != nil {
			return answer{abandoned: true}
		}
		return answer{status: response.StatusCode, err: err}
	}
	return answer{status: response.StatusCode, body: body}
}

// joinPath puts the path of a base URL before that of a message.
func joinPath(base, path string) string {
	for len(base) > 0 && base[len(base)-1] == '/' {
		base = base[:len(base)-1]
	}
	return base + path
}

// startProgress calls Progress until the returned function is called.
func (r *run) startProgress() (stop func()) {
	if r.Progress == nil || r.Every <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(r.Every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				p := r.rec.interval(r.Every)
				p.Elapsed = now.Sub(r.began) - r.WarmUp
				p.WarmUp = p.Elapsed < 0
				r.Progress(p)
			}
		}
	})
	return func() { close(done); group.Wait() }
}

// result sums up.
func (r *run) result(now time.Time, interrupted bool) *Result {
	result := r.rec.result()
	result.Rate = r.Rate
	result.Sent = r.sent.Load()
	result.Due = r.messages()
	result.Elapsed = Duration(max(0, now.Sub(r.began)-r.WarmUp))
	// The answer to the last message takes its time, which is not the sender's.
	took := max(r.For, time.Duration(r.last.Load())-r.WarmUp)
	if interrupted {
		if at := r.stopped.Load(); at != nil {
			now = *at
		}
		took = max(0, min(r.For, now.Sub(r.began)-r.WarmUp))
		result.Due = min(result.Due, int64(r.Rate*took.Seconds()))
		if result.Sent >= int64(r.Rate*(took-late).Seconds()) {
			result.Due = min(result.Due, result.Sent)
		}
	}
	if took > 0 {
		result.Achieved = float64(result.Sent) / took.Seconds()
	}
	result.Interrupted = interrupted
	return result
}
