package forward_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/plugin/forward"
	"github.com/mojasec/mojasec/test/kubelet"
)

// node plays API server and kubelet: the ports of its one pod are those of
// this machine.
type node struct {
	*httptest.Server
	mu      sync.Mutex
	tunnels []io.Closer
	// refuse answers in place of the upgrade.
	refuse http.HandlerFunc
}

const podPath = "/api/v1/namespaces/mojaloop/pods/perffsp-2-sdk-0/portforward"

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{}
	n.Server = httptest.NewTLSServer(n)
	t.Cleanup(func() {
		n.hangUp()
		n.Close()
	})
	return n
}

func (n *node) config() *rest.Config {
	return &rest.Config{Host: n.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case n.refuse != nil:
		n.refuse(w, r)
		return
	case r.URL.Path != podPath:
		http.NotFound(w, r)
		return
	}
	kubelet.Forward(w, r, func(port string) (net.Conn, error) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return nil, errors.New("connection refused")
		}
		return conn, nil
	}, func(tunnel io.Closer) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.tunnels = append(n.tunnels, tunnel)
	})
}

func (n *node) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, tunnel := range n.tunnels {
		_ = tunnel.Close()
	}
	n.tunnels = nil
}

func newPod(t *testing.T, n *node) *forward.Pod {
	t.Helper()
	pod, err := forward.NewPod(n.config(), "mojaloop", "perffsp-2-sdk-0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pod.Close(); err != nil {
			t.Error(err)
		}
	})
	return pod
}

// echo is what listens in the pod.
func echo(t *testing.T) (port string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Method, r.Host, len(body))
	}))
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return port
}

func post(ctx context.Context, client *http.Client, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func TestRequestsReachThePod(t *testing.T) {
	t.Parallel()
	client := newPod(t, newNode(t)).Client()
	port := echo(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			size := i * 10_000 // more than a frame, more than a window
			got, err := post(t.Context(), client, "http://perffsp-2-sdk-0:"+port+"/quotes", strings.Repeat("x", size))
			want := fmt.Sprintf("POST perffsp-2-sdk-0:%s %d", port, size)
			if err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
}

func TestRefusedPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	pod := newPod(t, newNode(t))
	_, err = post(t.Context(), pod.Client(), "http://pod:"+port, "x")
	if want := "an error occurred forwarding " + port + ": connection refused"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
	// The tunnel still serves other ports.
	if _, err := post(t.Context(), pod.Client(), "http://pod:"+echo(t), "x"); err != nil {
		t.Error(err)
	}
}

func TestBrokenTunnelIsMadeAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	pod := newPod(t, n)
	url := "http://pod:" + echo(t)
	if _, err := post(t.Context(), pod.Client(), url, "x"); err != nil {
		t.Fatal(err)
	}
	n.hangUp()
	var err error
	for range 100 { // until the end has arrived here
		if _, err = post(t.Context(), pod.Client(), url, "x"); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("after the tunnel broke: %v", err)
	}
}

func TestRefusedForwarding(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.refuse = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
			"message":"pods \"perffsp-2-sdk-0\" is forbidden: User \"eve\" cannot create resource \"pods/portforward\" in API group \"\" in the namespace \"mojaloop\""}`)
	}
	_, err := post(t.Context(), newPod(t, n).Client(), "http://pod:4000", "x")
	for _, want := range []string{"forward to pod mojaloop/perffsp-2-sdk-0", `cannot create resource "pods/portforward"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func TestContextEndsDialing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	hang := make(chan struct{})
	n.refuse = func(http.ResponseWriter, *http.Request) { <-hang }
	pod := newPod(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pod.DialContext(ctx, "tcp", "pod:4000"); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if err := pod.Close(); err != nil { // does not wait for what hangs
		t.Error(err)
	}
	close(hang)
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts nothing
	_, port, _ := net.SplitHostPort(l.Addr().String())
	conn, err := newPod(t, newNode(t)).DialContext(t.Context(), "tcp", "pod:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, want := conn.RemoteAddr().String(), "mojaloop/perffsp-2-sdk-0:"+port; got != want {
		t.Errorf("got address %q, want %q", got, want)
	}
	if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got error %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

func TestWrongAddresses(t *testing.T) {
	t.Parallel()
	pod := newPod(t, newNode(t))
	for _, a := range []struct{ network, address string }{
		{"udp", "pod:4000"}, {"unix", "/x"}, {"tcp", "pod"}, {"tcp", "pod:http"}, {"tcp", "pod:0"}, {"tcp", "pod:70000"},
	} {
		if _, err := pod.DialContext(t.Context(), a.network, a.address); err == nil {
			t.Errorf("%s %s: got no error", a.network, a.address)
		}
	}
}

func TestClosedPod(t *testing.T) {
	t.Parallel()
	pod := newPod(t, newNode(t))
	if err := pod.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pod.DialContext(t.Context(), "tcp", "pod:4000"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got error %v, want %v", err, net.ErrClosed)
	}
}

// TestNothingIsLeft is not parallel: it counts goroutines.
func TestNothingIsLeft(t *testing.T) { //nolint:paralleltest // see above
	n := newNode(t)
	port := echo(t)
	pod := newPod(t, n)
	before := runtime.NumGoroutine()
	for range 10 {
		conn, err := pod.DialContext(t.Context(), "tcp", "pod:"+port)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "half a request")
		_ = conn.Close()
	}
	_ = pod.Close()
	n.hangUp()
	n.CloseClientConnections()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+2 {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("got %d goroutines, before %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}
