// Package kubelet plays the part of a node that port-forwarding needs. The nodes
// of a test control plane run no containers; with this one the ports of a pod
// are those of any process.
package kubelet

import (
	"fmt"
	"io"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// protocol is the only one there is for port-forwarding.
const protocol = "portforward.k8s.io"

// Forward serves a request for port-forwarding until its connection ends. dial
// connects to a port of the pod; what goes wrong with it is told to the other
// side as a kubelet does. opened, when not nil, gets the connection.
func Forward(w http.ResponseWriter, r *http.Request, dial func(port string) (net.Conn, error), opened func(io.Closer)) {
	if r.Method != http.MethodPost {
		http.Error(w, "this node knows no WebSockets", http.StatusBadRequest)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{protocol}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream)
	tunnel := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		select {
		case streams <- s:
		case <-r.Context().Done():
		}
		return nil
	})
	if tunnel == nil {
		return // it has answered
	}
	defer func() { _ = tunnel.Close() }()
	if opened != nil {
		opened(tunnel)
	}
	complaints := map[string]httpstream.Stream{}
	for {
		select {
		case <-tunnel.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				complaints[id] = s
				continue
			}
			go join(s, complaints[id], dial)
		}
	}
}

// join copies between a stream and the port it asks for.
func join(data, complaints httpstream.Stream, dial func(port string) (net.Conn, error)) {
	defer func() { _ = complaints.Close() }()
	defer func() { _ = data.Close() }()
	port := data.Headers().Get(corev1.PortHeader)
	conn, err := dial(port)
	if err != nil {
		_, _ = fmt.Fprintf(complaints, "an error occurred forwarding %s: %v", port, err)
		return
	}
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = io.Copy(conn, data)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(data, conn)
}
