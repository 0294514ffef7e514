package controlplane

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// echo is a backend that answers each line with its name.
type echo struct {
	Backend
	ready    atomic.Bool
	listener net.Listener
}

func newEcho(t *testing.T, name string, ready bool) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: listener}
	e.ready.Store(ready)
	health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !e.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	e.Backend = Backend{Address: listener.Addr().String(), Ready: health.URL}
	t.Cleanup(func() { health.Close(); _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintln(conn, name)
				}
			}()
		}
	}()
	return e
}

func newTestBalancer(t *testing.T, ready int, backends ...*echo) *Balancer {
	t.Helper()
	b, err := NewBalancer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for _, x := range backends {
		b.Add(x.Backend)
	}
	if err := b.WaitReady(t.Context(), ready); err != nil {
		t.Fatal(err)
	}
	return b
}

func dial(t *testing.T, b *Balancer) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends a line and returns the name of who answers.
func ask(conn net.Conn) (string, error) {
	if _, err := fmt.Fprintln(conn, "who?"); err != nil {
		return "", err
	}
	var name string
	_, err := fmt.Fscanln(conn, &name)
	return name, err
}

// dialAndAsk is for connections that may be reset at any point.
func dialAndAsk(t *testing.T, b *Balancer) (string, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", b.Address(), 10*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return ask(conn)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("after 20 s still not: %s", what)
		case <-ticker.C:
		}
	}
}

func TestBalancerTakesTurnsAmongReadyBackends(t *testing.T) {
	t.Parallel()
	b := newTestBalancer(t, 2, newEcho(t, "a", true), newEcho(t, "b", true), newEcho(t, "c", false))
	got := map[string]int{}
	for range 10 {
		name, err := ask(dial(t, b))
		if err != nil {
			t.Fatal(err)
		}
		got[name]++
	}
	if diff := cmp.Diff(map[string]int{"a": 5, "b": 5}, got); diff != "" {
		t.Errorf("connections per backend (-want +got):\n%s", diff)
	}
}

func TestBalancerKeepsOpenConnections(t *testing.T) {
	t.Parallel()
	a, other := newEcho(t, "a", true), newEcho(t, "b", false)
	b := newTestBalancer(t, 1, a, other)
	open := dial(t, b)
	if got, err := ask(open); err != nil || got != "a" {
		t.Fatalf("first answer: got %q, %v, want %q", got, err, "a")
	}

	a.ready.Store(false)
	other.ready.Store(true)
	eventually(t, "only b gets connections", func() bool { return cmp.Equal(b.Ready(), []string{other.Address}) })
	if got, err := ask(dial(t, b)); err != nil || got != "b" {
		t.Errorf("new connection: got %q, %v, want %q", got, err, "b")
	}
	if got, err := ask(open); err != nil || got != "a" {
		t.Errorf("open connection after a stopped being ready: got %q, %v, want %q", got, err, "a")
	}
	b.Remove(a.Address)
	if got, err := ask(open); err != nil || got != "a" {
		t.Errorf("open connection after a was removed: got %q, %v, want %q", got, err, "a")
	}
}

func TestBalancerResets(t *testing.T) {
	t.Parallel()
	t.Run("no backend is ready", func(t *testing.T) {
		t.Parallel()
		b := newTestBalancer(t, 0, newEcho(t, "a", false))
		if name, err := dialAndAsk(t, b); err == nil {
			t.Errorf("got an answer of %q, want an error", name)
		}
	})
	t.Run("no retry when the chosen backend is gone", func(t *testing.T) {
		t.Parallel()
		gone, healthy := newEcho(t, "gone", true), newEcho(t, "healthy", true)
		b := newTestBalancer(t, 2, gone, healthy)
		if err := gone.listener.Close(); err != nil { // and its /readyz still says yes
			t.Fatal(err)
		}
		failed := 0
		for range 4 {
			if name, err := dialAndAsk(t, b); err != nil {
				failed++
			} else if name != "healthy" {
				t.Errorf("got an answer of %q, want %q", name, "healthy")
			}
		}
		if failed != 2 {
			t.Errorf("got %d failed connections of 4, want 2", failed)
		}
	})
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		b := newTestBalancer(t, 1, newEcho(t, "a", true))
		open := dial(t, b)
		if _, err := ask(open); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if name, err := ask(open); err == nil {
			t.Errorf("open connection: got an answer of %q, want an error", name)
		}
		if conn, err := net.Dial("tcp", b.Address()); err == nil {
			_ = conn.Close()
			t.Error("new connection: got one, want an error")
		}
	})
}

func TestBalancerPassesOnTheEnd(t *testing.T) {
	t.Parallel()
	b := newTestBalancer(t, 1, newEcho(t, "a", true))
	conn := dial(t, b)
	if _, err := fmt.Fprintln(conn, "who?"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn) // ends because the backend saw our end
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if string(got) != "a\n" {
		t.Errorf("got %q, want %q", got, "a\n")
	}
}
