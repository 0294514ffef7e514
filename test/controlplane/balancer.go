package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// readyEvery is how often a backend is asked whether it is ready, as a
	// kubelet does with periodSeconds: 1.
	readyEvery   = time.Second
	readyTimeout = time.Second
	dialTimeout  = time.Second
)

// Backend is a server behind a [Balancer].
type Backend struct {
	// Address is host:port of the server, Ready the URL that answers 200 when
	// it takes connections: http://127.0.0.1:8081/readyz.
	Address, Ready string
}

// Balancer stands in front of several servers on 127.0.0.1 and does what a
// Service does: a new connection goes to the next backend that is ready; a
// connection that cannot be made is reset, not retried; an open connection
// stays with its backend, ready or not, until one of both ends it.
type Balancer struct {
	listener net.Listener
	probes   *http.Client
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	group    sync.WaitGroup

	mu       sync.Mutex
	backends []*backend
	next     int
	open     map[net.Conn]struct{}
	closed   bool
}

type backend struct {
	Backend
	ready  bool // guarded by Balancer.mu
	cancel context.CancelFunc
}

// NewBalancer listens on a free port of 127.0.0.1. The caller calls Close.
func NewBalancer(backends ...Backend) (*Balancer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the balancer: %w", err)
	}
	b := &Balancer{
		listener: listener,
		probes:   &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: readyTimeout},
		open:     map[net.Conn]struct{}{},
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	for _, backend := range backends {
		b.Add(backend)
	}
	b.group.Go(b.accept)
	return b, nil
}

// Address returns the host:port to connect to.
func (b *Balancer) Address() string { return b.listener.Addr().String() }

// Add puts a server behind the balancer. It gets connections once it is ready.
func (b *Balancer) Add(server Backend) {
	ctx, cancel := context.WithCancel(b.ctx)
	added := &backend{Backend: server, cancel: cancel}
	b.mu.Lock()
	b.backends = append(b.backends, added)
	b.mu.Unlock()
	b.group.Go(func() { b.watch(ctx, added) })
}

// Remove takes the server of that address away. Its open connections stay.
func (b *Balancer) Remove(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends = slices.DeleteFunc(b.backends, func(x *backend) bool {
		if x.Address != address {
			return false
		}
		x.cancel()
		return true
	})
}

// Ready returns the addresses of the servers that get connections now.
func (b *Balancer) Ready() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready []string
	for _, x := range b.backends {
		if x.ready {
			ready = append(ready, x.Address)
		}
	}
	return ready
}

// WaitReady returns when n servers are ready.
func (b *Balancer) WaitReady(ctx context.Context, n int) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		ready := b.Ready()
		if len(ready) >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d ready backends: %w; ready now: %q", n, context.Cause(ctx), ready)
		case <-ticker.C:
		}
	}
}

// Close stops listening and ends all connections.
func (b *Balancer) Close() error {
	b.cancel()
	err := b.listener.Close()
	b.mu.Lock()
	b.closed = true
	for conn := range b.open {
		reset(conn)
	}
	b.mu.Unlock()
	b.group.Wait()
	return err
}

// watch asks one server again and again whether it is ready.
func (b *Balancer) watch(ctx context.Context, x *backend) {
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	for {
		err := probe(ctx, b.probes, x.Ready)
		b.mu.Lock()
		x.ready = err == nil && ctx.Err() == nil
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (b *Balancer) accept() {
	for {
		client, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a client that went away before it was accepted
		}
		b.group.Go(func() { b.serve(client) })
	}
}

// serve joins one connection with one to a backend.
func (b *Balancer) serve(client net.Conn) {
	if !b.track(client) {
		return
	}
	defer b.untrack(client)
	address, ok := b.pick()
	if !ok {
		reset(client)
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(b.ctx, "tcp", address)
	if err != nil {
		reset(client)
		return
	}
	if !b.track(server) {
		return
	}
	defer b.untrack(server)

	var group sync.WaitGroup
	group.Go(func() { forward(server, client) })
	group.Go(func() { forward(client, server) })
	group.Wait()
}

// pick returns the next ready backend.
func (b *Balancer) pick() (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.backends {
		b.next = (b.next + 1) % len(b.backends)
		if x := b.backends[b.next]; x.ready {
			return x.Address, true
		}
	}
	return "", false
}

// track remembers a connection for Close; false means that it came too late
// and is closed.
func (b *Balancer) track(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		reset(conn)
		return false
	}
	b.open[conn] = struct{}{}
	return true
}

func (b *Balancer) untrack(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, conn)
	_ = conn.Close()
}

// forward copies what from sends until it says that there is no more, which is
// passed on; an error in the middle ends both connections.
func forward(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		reset(to)
		reset(from)
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// reset ends a connection with a TCP reset, so that the other side sees an
// error instead of an orderly end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
