package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/plugin"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// transactionTest is what the command prints.
type transactionTest struct {
	Passed      bool
	Interrupted bool
	Layers      []struct {
		Layer        string
		RateHeld     bool
		Due, Sent    int64
		Failed       int64
		AchievedRate float64
		Latency      struct{ P50Ms, P99Ms float64 }
		Outcomes     []struct {
			Status int
			Code   string
			Count  int64
			Failed bool
		}
		PeerCPUPerMessageMs float64
		Difference          *struct{ To string }
	}
	Callbacks *struct {
		Received, Failed, Missing, Paid int64
		SignaturesVerified              bool
		Outcomes                        []struct{ Code, Reason string }
	}
}

// testTransaction runs the command and reads what it prints.
func testTransaction(ctx context.Context, t *testing.T, args ...string) (transactionTest, plugin.Code) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"test", "transaction", "-o", "json", "--source", mojaloop.Payer, "--destination", mojaloop.Payee}, args...)
	err := plugin.Execute(ctx, args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr}, plugin.Build{})
	t.Logf("stderr: %s %s", &stderr, plugin.Message(err))
	var answer transactionTest
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		t.Fatalf("%v in %s", err, &stdout)
	}
	return answer, plugin.CodeOf(err)
}

// freeAddress is host:port that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// startScheme starts what adapters need, until the test ends.
func startScheme(t *testing.T) *mojaloop.Scheme {
	t.Helper()
	needInterop(t)
	s, err := mojaloop.StartScheme(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestTransaction sends loads to real adapters. They take their time to start, so
// the tests share them.
func TestTransaction(t *testing.T) {
	s := startScheme(t)
	callbacks := freeAddress(t)
	inbound := map[string]string{}
	var group errgroup.Group
	var mu sync.Mutex
	for name, l := range map[string]struct {
		mojaloop.Layer
		peer string
	}{
		"none": {}, "mtls": {Layer: mojaloop.Layer{MTLS: true}}, "jws": {Layer: mojaloop.Layer{JWS: true}}, "ilp": {Layer: mojaloop.Layer{ILP: true}},
		"all": {Layer: mojaloop.Layer{MTLS: true, JWS: true, ILP: true}}, "payee": {mojaloop.Layer{JWS: true, ILP: true}, callbacks},
	} {
		group.Go(func() error {
			adapters, err := s.StartAdapters(t.Context(), 1, l.Layer, l.peer)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			inbound[name] = adapters[0].Inbound
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Run("layers", func(t *testing.T) { transactionLayers(t, s, inbound) })
	t.Run("refused", func(t *testing.T) { transactionRefused(t, s, inbound["jws"]) })
	t.Run("payments", func(t *testing.T) { transactionPayments(t, s, inbound["payee"], callbacks) })
	t.Run("interrupted", func(t *testing.T) { transactionInterrupted(t, s, inbound["jws"]) })
}

// transactionLayers sends the same load through each layer to an adapter that has
// on what the layer has.
func transactionLayers(t *testing.T, s *mojaloop.Scheme, inbound map[string]string) {
	args := []string{
		"--layers", "none,mtls,jws,ilp,all", "--messages", "callbacks", "--rate", "60", "--for", "2s", "--warm-up", "1s",
		"--key", s.PayerKey, "--cert", s.Client.Certificate, "--key-tls", s.Client.Key, "--ca", s.Client.CA,
	}
	for _, name := range []string{"none", "mtls", "jws", "ilp", "all"} {
		args = append(args, "--url", name+"="+inbound[name])
	}
	got, code := testTransaction(t.Context(), t, args...)
	if code != plugin.Good || !got.Passed || len(got.Layers) != 5 {
		t.Fatalf("got code %d, %+v; want all five layers passed", code, got)
	}
	for i, l := range got.Layers {
		if l.Sent != 120 || l.Failed != 0 || !l.RateHeld {
			t.Errorf("%s: got %d sent, %d failed, rate held %v; want 120, 0, true", l.Layer, l.Sent, l.Failed, l.RateHeld)
		}
		if (l.Difference != nil) != (i > 0) || i > 0 && l.Difference.To != "none" {
			t.Errorf("%s: got difference %+v, want one to none for all but the first", l.Layer, l.Difference)
		}
	}
}

// transactionRefused: an adapter that verifies refuses what is not signed, and
// what is signed with another key; the command says so.
func transactionRefused(t *testing.T, s *mojaloop.Scheme, url string) {
	for _, tt := range []struct {
		name string
		args []string
	}{
		{name: "unsigned", args: []string{"--layers", "none"}},
		{name: "another key", args: []string{"--key", s.PayeeKey}},
	} {
		got, code := testTransaction(t.Context(), t, append(tt.args, "--url", url, "--rate", "40", "--for", "1s", "--warm-up", "0s")...)
		if code != plugin.Findings || got.Passed || len(got.Layers) != 1 {
			t.Fatalf("%s: got code %d, %+v; want exit code 2", tt.name, code, got)
		}
		l := got.Layers[0]
		if l.Failed != 40 || len(l.Outcomes) != 1 || l.Outcomes[0].Status != 400 || l.Outcomes[0].Code != "3105" {
			t.Errorf("%s: got %d failed with %+v, want all 40 with 400/3105", tt.name, l.Failed, l.Outcomes)
		}
	}
}

// transactionPayments makes whole payments: the adapter answers quotes with
// signed callbacks, checks conditions, and its fulfilments are verified.
func transactionPayments(t *testing.T, s *mojaloop.Scheme, url, callbacks string) {
	args := []string{
		"--url", url, "--messages", "payments", "--callback-listen", callbacks,
		"--key", s.PayerKey, "--rate", "30", "--for", "3s", "--warm-up", "1s",
	}
	got, code := testTransaction(t.Context(), t, append(args, "--keys", s.Keys)...)
	c := got.Callbacks
	if code != plugin.Good || !got.Passed || c == nil {
		t.Fatalf("got code %d, %+v; want it passed", code, got)
	}
	// Half of the messages are quotes, half are transfers.
	if c.Failed != 0 || c.Missing != 0 || !c.SignaturesVerified || c.Paid < 30 || c.Received < 2*c.Paid {
		t.Errorf("got callbacks %+v; want more than 30 paid, none failed or missing", c)
	}

	// What the payee signs is verified with its key and no other.
	keys := t.TempDir()
	wrong, err := os.ReadFile(filepath.Join(s.Keys, mojaloop.Payer+".pem"))
	if err == nil {
		err = os.WriteFile(filepath.Join(keys, mojaloop.Payee+".pem"), wrong, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, code = testTransaction(t.Context(), t, append(args, "--keys", keys)...)
	if c := got.Callbacks; code != plugin.Findings || c == nil || c.Paid != 0 || c.Failed == 0 || c.Outcomes[0].Code != "3105" {
		t.Errorf("got code %d, callbacks %+v; want all refused with 3105", code, got.Callbacks)
	}
}

// transactionInterrupted: Ctrl-C gives the result so far.
func transactionInterrupted(t *testing.T, s *mojaloop.Scheme, url string) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(1500*time.Millisecond, cancel)
	got, code := testTransaction(ctx, t, "--url", url, "--key", s.PayerKey, "--rate", "50", "--for", "1h", "--warm-up", "0s")
	if code != plugin.Interrupted || !got.Interrupted || len(got.Layers) != 1 {
		t.Fatalf("got code %d, %+v; want 130 and the result so far", code, got)
	}
	if l := got.Layers[0]; l.Sent == 0 || l.Failed != 0 || !l.RateHeld {
		t.Errorf("got %+v; want some sent, none failed, the rate held", l)
	}
}
