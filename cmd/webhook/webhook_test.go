package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		code int
		out  string // in stdout or stderr
	}{
		{"version", []string{"--version"}, exitGood, "webhook dev"},
		{"help", []string{"--help"}, exitGood, "--drain-delay"},
		{"unknown flag", []string{"--nope"}, exitUsage, "unknown flag: --nope"},
		{"argument", []string{"serve"}, exitUsage, `unexpected argument "serve"`},
		{"duration", []string{"--drain-delay", "10"}, exitUsage, "--drain-delay"},
		{"address", []string{"--webhook-address", "9443"}, exitUsage, `--webhook-address "9443": use HOST:PORT`},
		{"level", []string{"--log-level", "loud"}, exitUsage, `--log-level "loud": use debug, info, warn or error`},
		{"name without CA", []string{"--client-name", "x"}, exitUsage, "without --client-ca"},
		{"host with files", []string{"--cert-dir", "x", "--serving-host", "y"}, exitUsage, "--serving-host means nothing with --cert-dir"},
		{"no settling time", []string{"--ca-settle", "0s"}, exitUsage, "--ca-settle 0s"},
		{"no such kubeconfig", []string{"--kubeconfig", "testdata/none"}, exitFailed, "find the API server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if code := run(tt.args, &out, &out); code != tt.code {
				t.Errorf("got exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("got %q, want %q in it", out.String(), tt.out)
			}
		})
	}
}

// setup is a process with a handler of a test in place of that of admission.
type setup struct {
	flags    *flags
	servers  servers
	draining atomic.Bool
	pool     *x509.CertPool
	ca       *authority
}

func newSetup(t *testing.T, handler http.Handler, tweak func(*flags)) *setup {
	t.Helper()
	s := &setup{ca: newCA(t), flags: &flags{
		webhookAddress: "127.0.0.1:0", healthAddress: "127.0.0.1:0", metricsAddress: "127.0.0.1:0",
		drainDelay: 300 * time.Millisecond, shutdownGrace: 10 * time.Second,
	}}
	if tweak != nil {
		tweak(s.flags)
	}
	s.pool = x509.NewCertPool()
	s.pool.AddCert(s.ca.cert)
	leaf := s.ca.issue(t, "localhost", x509.ExtKeyUsageServerAuth)
	certs := certificates{
		get:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &leaf, nil },
		ready: func() error { return nil },
	}
	var err error
	s.servers, err = listen(s.flags, handler, certs, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), func() error {
		if s.draining.Load() {
			return errors.New("draining")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the process until stop, with some tasks.
func (s *setup) start(t *testing.T, tasks ...task) (stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- runUntil(ctx, s.flags, slog.New(slog.DiscardHandler), s.servers, tasks, &s.draining)
	}()
	t.Cleanup(stop)
	return stop, done
}

func (s *setup) client(t *testing.T, certs ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: s.pool, ServerName: "localhost", Certificates: certs, MinVersion: tls.VersionTLS13},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func (s *setup) url() string { return "https://" + s.servers.webhook.listener.Addr().String() }

// get returns the status and the body of a URL.
func get(c *http.Client, url string) (int, string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if resp.TLS != nil && resp.ProtoMajor != 2 {
		err = errors.Join(err, fmt.Errorf("got %s, want HTTP/2", resp.Proto))
	}
	return resp.StatusCode, string(body), err
}

func TestHardCase7DrainLosesNoCall(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	var knows atomic.Bool // what the answers rest upon
	knows.Store(true)
	mux := http.NewServeMux()
	mux.HandleFunc("/quick", func(w http.ResponseWriter, _ *http.Request) {
		if !knows.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		if !knows.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s := newSetup(t, mux, nil)
	stop, ended := s.start(t, func(ctx context.Context) error {
		<-ctx.Done()
		knows.Store(false)
		return nil
	})
	readyz := "http://" + s.servers.health.listener.Addr().String() + "/readyz"
	if code, body, err := get(http.DefaultClient, readyz); code != http.StatusOK || err != nil {
		t.Fatalf("got %d %q (%v), want ready", code, body, err)
	}
	client := s.client(t)
	slow := make(chan error, 1)
	go func() {
		code, _, err := get(client, s.url()+"/slow")
		if code != http.StatusOK && err == nil {
			err = fmt.Errorf("status %d", code)
		}
		slow <- err
	}()
	<-entered

	stop()
	eventually(t, "not ready", func() bool {
		code, body, err := get(http.DefaultClient, readyz)
		return err == nil && code == http.StatusServiceUnavailable && strings.Contains(body, "draining")
	})
	// Load balancers look away late: calls still come, over the same
	// connection and over new ones, until the delay is over.
	calls := 0
	for begin := time.Now(); time.Since(begin) < s.flags.drainDelay/2; calls++ {
		for _, c := range []*http.Client{client, s.client(t)} {
			if code, _, err := get(c, s.url()+"/quick"); code != http.StatusOK || err != nil {
				t.Fatalf("while draining: got %d (%v)", code, err)
			}
		}
	}
	eventually(t, "no new connection", func() bool {
		conn, err := net.Dial("tcp", s.servers.webhook.listener.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a good end", err)
	}
	if knows.Load() {
		t.Error("the tasks did not end")
	}
}

func TestTaskThatFailsEndsTheProcess(t *testing.T) {
	t.Parallel()
	s := newSetup(t, http.NotFoundHandler(), func(f *flags) { f.drainDelay = time.Hour })
	_, ended := s.start(t, func(context.Context) error { return errors.New("broken") })
	select {
	case err := <-ended:
		if err == nil || err.Error() != "broken" {
			t.Errorf("got %v, want broken", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it goes on")
	}
}

func TestHardCase39ClientCertificate(t *testing.T) {
	t.Parallel()
	ca, other := newCA(t), newCA(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	good := ca.issue(t, "kube-apiserver", x509.ExtKeyUsageClientAuth)
	tests := []struct {
		name  string
		names []string
		certs []tls.Certificate
		ok    bool
	}{
		{"good", []string{"kube-apiserver"}, []tls.Certificate{good}, true},
		{"any name", nil, []tls.Certificate{good}, true},
		{"one of two names", []string{"a", "kube-apiserver"}, []tls.Certificate{good}, true},
		{"other name", []string{"a"}, []tls.Certificate{good}, false},
		{"none", nil, nil, false},
		{"other CA", nil, []tls.Certificate{other.issue(t, "kube-apiserver", x509.ExtKeyUsageClientAuth)}, false},
		{"certificate of a server", nil, []tls.Certificate{ca.issue(t, "kube-apiserver", x509.ExtKeyUsageServerAuth)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
			s := newSetup(t, ok, func(f *flags) { f.clientCA, f.clientNames = file, tt.names })
			stop, ended := s.start(t)
			for range 2 { // the second handshake may resume the first
				code, _, err := get(s.client(t, tt.certs...), s.url())
				if got := code == http.StatusOK && err == nil; got != tt.ok {
					t.Errorf("got %d (%v), want ok %t", code, err, tt.ok)
				}
			}
			s.flags.drainDelay = 0
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := filesOf(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for an empty directory", err)
	}
	ca := newCA(t)
	write := func() tls.Certificate {
		leaf := ca.issue(t, "localhost", x509.ExtKeyUsageServerAuth)
		key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, block := range map[string]*pem.Block{
			"tls.crt": {Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: key},
		} {
			if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return leaf
	}
	first := write()
	c, err := filesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ready(); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { _ = c.run(ctx) })
	defer wg.Wait()
	defer cancel()
	serves := func(want tls.Certificate) func() bool {
		return func() bool {
			got, err := c.get(nil)
			return err == nil && bytes.Equal(got.Certificate[0], want.Certificate[0])
		}
	}
	eventually(t, "the first", serves(first))
	eventually(t, "the second", serves(write()))
}

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMEMLIMIT", "")
	for _, tt := range []struct {
		file, content string
		want          int64
	}{
		{"memory.max", "1000000000\n", 900000000},
		{"memory.max", "max\n", 0},
		{"memory/memory.limit_in_bytes", "2000000000", 1800000000},
		{"memory/memory.limit_in_bytes", "9223372036854771712", 0},
		{"other", "1", 0},
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, tt.file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, tt.file), []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := limitMemory(root); got != tt.want {
			t.Errorf("%s %q: got %d, want %d", tt.file, tt.content, got, tt.want)
		}
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	if got := limitMemory(t.TempDir()); got != 0 {
		t.Errorf("got %d, want GOMEMLIMIT to win", got)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return cond(), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// authority is a CA of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return &authority{create(t, template, template, key, key), key}
}

func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := create(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func create(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
