// Package forward opens connections to the ports of pods through the API
// server, as kubectl port-forward does, but without a port on this machine that
// others could use.
//
// Such a connection enters a pod behind its sidecar. It shows what a process
// answers, and nothing about the mutual TLS of a mesh.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// maxErrorText is how much of a node's error message is read, in bytes.
const maxErrorText = 4 << 10

// Pod opens connections to the ports of one pod. They share one connection to
// the API server, which is made when it is first needed, and again when it has
// broken. It can be used by several goroutines.
type Pod struct {
	name   string // namespace/name
	dialer httpstream.Dialer

	dialing sync.Mutex // held while the connection to the API server is made

	mu      sync.Mutex
	tunnel  httpstream.Connection
	request int
	closed  bool
}

// NewPod returns the way to a pod. It asks the cluster nothing yet.
func NewPod(cfg *rest.Config, namespace, name string) (*Pod, error) {
	address, err := podURL(cfg, namespace, name)
	if err != nil {
		return nil, fmt.Errorf("forward to pod %s/%s: %w", namespace, name, err)
	}
	roundTripper, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("forward to pod %s/%s: %w", namespace, name, err)
	}
	overSPDY := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: roundTripper}, http.MethodPost, address)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(address, cfg)
	if err != nil {
		return nil, fmt.Errorf("forward to pod %s/%s: %w", namespace, name, err)
	}
	// Proxies in front of an API server may know one and not the other.
	dialer := portforward.NewFallbackDialerForStreaming(overWebSocket, overSPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	return &Pod{name: namespace + "/" + name, dialer: dialer}, nil
}

func podURL(cfg *rest.Config, namespace, name string) (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(cfg) // without the path of a group
	if err != nil {
		return nil, err
	}
	return base.JoinPath("api", "v1", "namespaces", namespace, "pods", name, "portforward"), nil
}

// Client returns an HTTP client whose connections lead to the pod, whatever
// host a URL names: its port is that of the pod.
func (p *Pod) Client() *http.Client {
	return &http.Client{Transport: p.Transport()}
}

// Transport returns what [Pod.Client] uses, for callers that add TLS to it.
func (p *Pod) Transport() *http.Transport {
	return &http.Transport{DialContext: p.DialContext, DisableCompression: true}
}

// DialContext connects to a port of the pod. Of the address only the port
// counts; network has to be a TCP network.
func (p *Pod) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := p.dial(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("forward to pod %s: %w", p.name, err)
	}
	return conn, nil
}

func (p *Pod) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, &net.AddrError{Err: "no port of a pod", Addr: address}
	}
	type result struct {
		conn *conn
		err  error
	}
	done := make(chan result, 1)
	go func() { // neither dialing nor the creation of a stream takes a context
		c, err := p.open(strconv.FormatUint(number, 10))
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// errLost is a connection to the API server that ended while it was used.
var errLost = errors.New("the API server ended the connection")

// open makes a connection, and once more when that to the API server turns out
// to have ended.
func (p *Pod) open(port string) (*conn, error) {
	c, err := p.openOnce(port)
	if errors.Is(err, errLost) {
		c, err = p.openOnce(port)
	}
	return c, err
}

// openOnce makes the two streams that are one connection: one for data, one on
// which the node says what went wrong.
func (p *Pod) openOnce(port string) (*conn, error) {
	tunnel, id, err := p.connected()
	switch {
	case err != nil:
		return nil, err
	case tunnel == nil:
		return nil, errLost
	}
	headers := http.Header{}
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(id))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	complaints, err := createStream(tunnel, headers)
	if err != nil {
		return nil, err
	}
	_ = complaints.Close() // this side has nothing to say on it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := createStream(tunnel, headers)
	if err != nil {
		tunnel.RemoveStreams(complaints)
		return nil, err
	}
	return newConn(tunnel, data, complaints, address{pod: p.name, port: port}), nil
}

// createStream does not wait for the other side of a connection that ended.
func createStream(tunnel httpstream.Connection, headers http.Header) (httpstream.Stream, error) {
	headers = headers.Clone()
	type result struct {
		stream httpstream.Stream
		err    error
	}
	done := make(chan result, 1)
	go func() {
		s, err := tunnel.CreateStream(headers)
		done <- result{s, err}
	}()
	select {
	case r := <-done:
		return r.stream, r.err
	case <-tunnel.CloseChan():
		return nil, errLost
	}
}

// connected returns the connection to the API server and a number for a
// request on it.
func (p *Pod) connected() (httpstream.Connection, int, error) {
	p.dialing.Lock()
	defer p.dialing.Unlock()
	if tunnel, id, err := p.current(nil); tunnel != nil || err != nil {
		return tunnel, id, err
	}
	tunnel, protocol, err := p.dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, 0, err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		_ = tunnel.Close()
		return nil, 0, fmt.Errorf("the API server speaks %q, want %q", protocol, portforward.PortForwardProtocolV1Name)
	}
	return p.current(tunnel)
}

// current takes a new connection to the API server, if any, and returns the one
// that works; nil when there is none.
func (p *Pod) current(made httpstream.Connection) (httpstream.Connection, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed && made != nil:
		_ = made.Close()
		return nil, 0, net.ErrClosed
	case p.closed:
		return nil, 0, net.ErrClosed
	case made != nil:
		p.tunnel = made
	case p.tunnel == nil:
		return nil, 0, nil
	}
	select {
	case <-p.tunnel.CloseChan():
		p.tunnel = nil
		return nil, 0, nil
	default:
	}
	p.request++
	return p.tunnel, p.request, nil
}

// Close ends all connections to the pod.
func (p *Pod) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.tunnel == nil {
		return nil
	}
	err := p.tunnel.Close()
	p.tunnel = nil
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("close the forwarding to pod %s: %w", p.name, err)
	}
	return nil
}
