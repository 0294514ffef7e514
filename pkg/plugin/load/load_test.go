package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// numbered makes messages that say which they are.
type numbered struct{}

func (numbered) Make(n int64, _ time.Time) (Message, error) {
	return Message{Method: http.MethodPost, Path: "/quotes", Header: http.Header{"X-Number": {fmt.Sprint(n)}}, Body: []byte("{}")}, nil
}

// peer is a server that notes what it got.
type peer struct {
	*httptest.Server

	mu      sync.Mutex
	numbers []string
	paths   []string
}

func newPeer(t *testing.T, answer http.HandlerFunc) *peer {
	t.Helper()
	p := &peer{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.numbers = append(p.numbers, r.Header.Get("X-Number"))
		p.paths = append(p.paths, r.URL.Path)
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *peer) url(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

// blocked makes a handler that answers when the test or the client ends.
func blocked(t *testing.T) http.HandlerFunc {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that the client went
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	first, second := newPeer(t, accept), newPeer(t, accept)
	below := second.url(t)
	below.Path = "/fspiop/"
	var progress []Progress
	got, err := Run(t.Context(), Options{
		URLs: []*url.URL{first.url(t), below}, Rate: 200, For: time.Second, WarmUp: 500 * time.Millisecond, Connections: 8, Maker: numbered{},
		Progress: func(p Progress) { progress = append(progress, p) }, Every: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent != 200 || got.Due != 200 || got.Failed != 0 || !got.Held() || got.WarmUp.Sent != 50 || got.WarmUp.Failed != 0 {
		t.Errorf("got %+v, want 200 of 200 sent after 50, none failed", got)
	}
	if want := []Outcome{{Status: 202, Count: 200}}; !cmp.Equal(got.Outcomes, want) {
		t.Errorf("outcomes (-want +got):\n%s", cmp.Diff(want, got.Outcomes))
	}
	if l := got.Latency; l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.Max {
		t.Errorf("got latency %+v, want it to rise from above 0", l)
	}
	if got.CPU <= 0 && runtime.GOOS == "linux" {
		t.Error("got no CPU time per message")
	}
	if got.Achieved < 150 || got.Achieved > 200.5 {
		t.Errorf("got %.1f messages per second, want 200", got.Achieved)
	}
	all := slices.Concat(first.numbers, second.numbers)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 250 || len(first.numbers) != 125 {
		t.Errorf("got %d different messages, %d of them at the first peer; want 250 and 125", n, len(first.numbers))
	}
	if first.paths[0] != "/quotes" || second.paths[0] != "/fspiop/quotes" {
		t.Errorf("got paths %q and %q, want /quotes behind the path of each URL", first.paths[0], second.paths[0])
	}
	if len(progress) == 0 || !progress[0].WarmUp {
		t.Errorf("got progress %+v, want it to begin with the warm-up", progress)
	}
}

// A peer that stalls delays what was due meanwhile, though nobody sent it.
func TestLatencyCountsFromTheTimeAMessageWasDue(t *testing.T) {
	t.Parallel()
	const stall = 500 * time.Millisecond
	var once sync.Once
	p := newPeer(t, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			timer := time.NewTimer(stall)
			defer timer.Stop()
			<-timer.C
		})
		accept(w, r)
	})
	got, err := Run(t.Context(), Options{URLs: []*url.URL{p.url(t)}, Rate: 100, For: time.Second, Connections: 1, Maker: numbered{}})
	if err != nil {
		t.Fatal(err)
	}
	// Of 100 messages 50 were due during the stall: a tenth waited 400 ms and more.
	if got.Sent != 100 || time.Duration(got.Latency.P90) < stall*7/10 {
		t.Errorf("got %d sent, p90 %.0f ms; want 100 and most of %s", got.Sent, got.Latency.P90.Milliseconds(), stall)
	}
}

func TestRateThatIsNotHeld(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(100 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		accept(w, r)
	}
	p := newPeer(t, slow)
	got, err := Run(t.Context(), Options{URLs: []*url.URL{p.url(t)}, Rate: 100, For: 500 * time.Millisecond, Connections: 1, Maker: numbered{}})
	if err != nil {
		t.Fatal(err)
	}
	// One connection makes 10 per second, for half a second and one more.
	if got.Held() || got.Due != 50 || got.Sent == 0 || got.Sent > 16 || got.Achieved > 11 {
		t.Errorf("got %d of %d sent, %.1f per second, held %v; want at most 16 of 50, 10 per second", got.Sent, got.Due, got.Achieved, got.Held())
	}
}

func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(*testing.T) http.HandlerFunc
	}{
		{name: "a peer that answers", answer: func(*testing.T) http.HandlerFunc { return accept }},
		{name: "a peer that hangs", answer: blocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, tt.answer(t))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			began := time.Now()
			got, err := Run(ctx, Options{URLs: []*url.URL{p.url(t)}, Rate: 1000, For: time.Hour, Connections: 4, Maker: numbered{}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
			if !got.Interrupted || got.Sent == 0 || got.Failed != 0 || time.Duration(got.Latency.Max) > 10*time.Second {
				t.Errorf("got %+v, want it interrupted, some sent, none failed", got)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s to end", took)
			}
		})
	}
}

// broken makes a few messages.
type broken struct{ numbered }

func (b broken) Make(n int64, now time.Time) (Message, error) {
	if n == 5 {
		return Message{}, errors.New("no more paper")
	}
	return b.numbered.Make(n, now)
}

func TestRunEndsWhenNoMessageCanBeMade(t *testing.T) {
	t.Parallel()
	p := newPeer(t, accept)
	got, err := Run(t.Context(), Options{URLs: []*url.URL{p.url(t)}, Rate: 100, For: time.Hour, Connections: 1, Maker: broken{}})
	if err == nil || !strings.Contains(err.Error(), "no more paper") || got.Sent != 5 {
		t.Errorf("got %+v, error %v; want 5 sent and why not more", got, err)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	untrusted := httptest.NewUnstartedServer(http.HandlerFunc(accept))
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for _, tt := range []struct {
		name   string
		url    string // instead of answer
		answer http.HandlerFunc
		want   Outcome
		named  string
	}{
		{name: "accepted", answer: accept, want: Outcome{Status: 202}, named: "202"},
		{name: "done", answer: answer(200, ""), want: Outcome{Status: 200}, named: "200"},
		{
			name: "FSPIOP error", answer: answer(400, `{"errorInformation":{"errorCode":"3105","errorDescription":"Invalid signature"}}`),
			want: Outcome{Status: 400, Code: "3105", Reason: "Invalid signature", Failed: true}, named: "400/3105",
		},
		{name: "error of a gateway", answer: answer(503, "<html>"), want: Outcome{Status: 503, Failed: true}, named: "503"},
		{
			name: "redirect", answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
			want: Outcome{Status: 302, Failed: true}, named: "302",
		},
		{
			name: "lost", answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			want: Outcome{Code: "connection-lost", Failed: true}, named: "connection-lost",
		},
		{name: "refused", url: refusing, want: Outcome{Code: "connection-refused", Failed: true}, named: "connection-refused"},
		{name: "timeout", answer: blocked(t), want: Outcome{Code: "timeout", Failed: true}, named: "timeout"},
		{name: "untrusted certificate", url: untrusted.URL, want: Outcome{Code: "tls", Failed: true}, named: "tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.url == "" {
				tt.url = newPeer(t, tt.answer).URL
			}
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			limit := 20 * time.Second
			if tt.named == "timeout" {
				limit = 300 * time.Millisecond
			}
			got, err := Run(t.Context(), Options{
				URLs: []*url.URL{u}, Rate: 10, For: 200 * time.Millisecond, Connections: 1, Timeout: limit,
				TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Maker: numbered{},
			})
			if err != nil || len(got.Outcomes) != 1 {
				t.Fatalf("got %+v, error %v; want one outcome", got, err)
			}
			o := got.Outcomes[0]
			if want := got.Sent; o.Count != want || (got.Failed == want) != tt.want.Failed {
				t.Errorf("got %d of %d, %d failed; failed want %v", o.Count, want, got.Failed, tt.want.Failed)
			}
			if o.Name() != tt.named {
				t.Errorf("got name %q, want %q", o.Name(), tt.named)
			}
			o.Count = 0
			if tt.want.Status == 0 {
				if o.Reason == "" {
					t.Error("got no reason")
				}
				o.Reason = ""
			}
			if o != tt.want {
				t.Errorf("got %+v, want %+v", o, tt.want)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	o := Options{Rate: 1000, For: time.Minute, WarmUp: 10 * time.Second}
	if got := o.Messages(); got != 65000 {
		t.Errorf("got %d messages, want 5000 to warm up and 60000", got)
	}
	for n, want := range map[int64]time.Duration{0: 0, 1250: 5 * time.Second, 5000: 10 * time.Second, 6000: 11 * time.Second, 65000: 70 * time.Second} {
		if got := o.due(n); got < want-time.Millisecond || got > want+time.Millisecond {
			t.Errorf("message %d: got %s, want %s", n, got, want)
		}
	}
	for n := range int64(65000) {
		if o.due(n) > o.due(n+1) {
			t.Fatalf("message %d is due after the next one", n)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() Options {
		return Options{URLs: []*url.URL{{Scheme: "http", Host: "127.0.0.1"}}, Rate: 1, For: time.Second, Connections: 1, Maker: numbered{}}
	}
	if o := good(); o.Validate() != nil {
		t.Fatalf("got %v for good options", o.Validate())
	}
	for name, spoil := range map[string]func(*Options){
		"no URL":         func(o *Options) { o.URLs = nil },
		"no rate":        func(o *Options) { o.Rate = 0 },
		"no time":        func(o *Options) { o.For = 0 },
		"warm-up":        func(o *Options) { o.WarmUp = -1 },
		"no connections": func(o *Options) { o.Connections = 0 },
		"no messages":    func(o *Options) { o.Maker = nil },
	} {
		o := good()
		spoil(&o)
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestAhead(t *testing.T) {
	t.Parallel()
	made, err := Ahead(t.Context(), numbered{}, 100, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(100) {
		m, err := made.Make(n, time.Time{})
		if want := fmt.Sprint(n); err != nil || m.Header.Get("X-Number") != want {
			t.Fatalf("got %v, error %v; want message %s", m, err, want)
		}
	}
	if _, err := made.Make(100, time.Time{}); err == nil {
		t.Error("got a message that was not made")
	}
	if _, err := Ahead(t.Context(), broken{}, 100, time.Time{}); err == nil {
		t.Error("got no error from a maker that fails")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Ahead(ctx, numbered{}, 100, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestDurationIsMilliseconds(t *testing.T) {
	t.Parallel()
	text, err := Duration(1234567 * time.Nanosecond).MarshalJSON()
	if err != nil || string(text) != "1.235" {
		t.Errorf("got %s, error %v; want 1.235", text, err)
	}
}
