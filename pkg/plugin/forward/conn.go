package forward

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"k8s.io/streaming/pkg/httpstream"
)

// conn is a connection to a port of a pod. A pipe stands between its user and
// the stream, because streams know no deadlines.
type conn struct {
	net.Conn // the user's end of the pipe
	remote   address
	hangUp   func()

	mu  sync.Mutex
	err error // what the node says is wrong
}

// address is the end of a connection.
type address struct{ pod, port string }

// Network returns "tcp".
func (address) Network() string { return "tcp" }

// String returns namespace/pod:port.
func (a address) String() string { return a.pod + ":" + a.port }

func newConn(tunnel httpstream.Connection, data, complaints httpstream.Stream, remote address) *conn {
	near, far := net.Pipe()
	c := &conn{Conn: near, remote: remote}
	c.hangUp = sync.OnceFunc(func() {
		_ = data.Reset() // unsent data would keep the other stream from ending
		_ = complaints.Reset()
		tunnel.RemoveStreams(data, complaints)
		_ = near.Close()
	})
	complained := make(chan struct{})
	go func() {
		defer close(complained)
		text, err := io.ReadAll(io.LimitReader(complaints, maxErrorText))
		if len(text) > 0 {
			c.fail(errors.New(strings.TrimSpace(string(text))))
		} else if err != nil {
			c.fail(err)
		}
	}()
	go func() { // pod → user
		_, err := io.Copy(far, data)
		_ = data.Reset()
		<-complained // the reason comes on the other stream
		if err != nil {
			c.fail(err)
		}
		_ = far.Close()
		tunnel.RemoveStreams(data, complaints)
	}()
	go func() { // user → pod
		_, _ = io.Copy(data, far)
		_ = data.Close()
	}()
	return c
}

// fail keeps the first reason why the connection is of no use.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Read returns what the node says is wrong in place of the end of the data.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.reason(err)
}

// Write returns what the node says is wrong when nobody reads any more.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.reason(err)
}

func (c *conn) reason(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		if why := c.failed(); why != nil {
			return &net.OpError{Op: "read", Net: "tcp", Addr: c.remote, Err: why}
		}
	}
	return err
}

// Close ends the connection.
func (c *conn) Close() error {
	c.hangUp()
	return nil
}

// RemoteAddr names the pod and its port.
func (c *conn) RemoteAddr() net.Addr { return c.remote }
