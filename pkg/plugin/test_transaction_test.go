package plugin

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// verifyingPeer is a server that verifies as an adapter does.
type verifyingPeer struct {
	*httptest.Server

	key       string // file with the key whose signatures it accepts
	publicKey string // file with its public half, in a directory of its own
}

func newVerifyingPeer(t *testing.T) *verifyingPeer {
	t.Helper()
	key, err := jws.GenerateKey(jws.P256, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{"perffsp-1.key": string(key.MarshalPEM()), "keys/perffsp-1.pem": string(key.Public().MarshalPEM())})
	p := &verifyingPeer{key: filepath.Join(dir, "perffsp-1.key"), publicKey: filepath.Join(dir, "keys")}
	keys := jws.Keys{"perffsp-1": key.Public()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = keys.Verify(jws.Request{
				Method: r.Method, URI: r.URL.Path, Source: r.Header.Get("FSPIOP-Source"), Destination: r.Header.Get("FSPIOP-Destination"),
				Date: r.Header.Get("Date"), Body: body,
			}, r.Header.Get("FSPIOP-Signature"))
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errorInformation":{"errorCode":"3105","errorDescription":"Invalid signature"}}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(p.Close)
	return p
}

// transaction is the command with what every run needs; args may say it again.
func transaction(url string, args ...string) []string {
	return append([]string{
		"test", "transaction", "--url", url, "--source", "perffsp-1", "--destination", "perffsp-2", "--rate", "100", "--for", "200ms", "--warm-up", "0s",
	}, args...)
}

func TestTransactionCodes(t *testing.T) {
	t.Parallel()
	peer := newVerifyingPeer(t)
	other := newVerifyingPeer(t)
	files := write(t, map[string]string{"broken.key": "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "empty": ""})
	file := func(name string) string { return filepath.Join(files, name) }
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	const elsewhere = "http://hub.example.org"
	for _, tt := range []struct {
		name string
		args []string
		want Code
		says string // on stdout or stderr
	}{
		{name: "signed", args: transaction(peer.URL, "--key", peer.key), want: Good, says: "20"},
		{name: "signed ahead", args: transaction(peer.URL, "--key", peer.key, "--sign-ahead"), want: Good, says: "making 20 messages"},
		{name: "all kinds", args: transaction(peer.URL, "--key", peer.key, "--messages", "quotes,transfers,callbacks"), want: Good},
		{name: "ILP 4", args: transaction(peer.URL, "--key", peer.key, "--messages", "transfers", "--ilp-version", "4"), want: Good},
		{name: "another key", args: transaction(peer.URL, "--key", other.key), want: Findings, says: "3105"},
		{name: "unsigned", args: transaction(peer.URL, "--layers", "none"), want: Findings, says: "3105"},
		{name: "layers", args: transaction(peer.URL, "--key", peer.key, "--layers", "jws,ilp", "--url", "jws="+peer.URL), want: Findings, says: "ilp"},
		{name: "nobody there", args: transaction("http://127.0.0.1:1", "--key", peer.key), want: Findings, says: "connection-refused"},
		{name: "callbacks that never come", args: transaction(peer.URL, "--key", peer.key, "--messages", "payments", "--callback-listen", "127.0.0.1:0", "--for", "20ms", "--callback-wait", "100ms"), want: Findings, says: "missing"},
		{name: "address that is taken", args: transaction(peer.URL, "--key", peer.key, "--callback-listen", taken.Addr().String()), want: Failed, says: "listen for callbacks"},
		{name: "other machine", args: transaction(elsewhere, "--key", peer.key), want: Refused, says: "--yes"},
		{name: "one of two on another machine", args: transaction(peer.URL, "--url", elsewhere, "--key", peer.key), want: Refused, says: "hub.example.org"},
		{name: "no such key", args: transaction(peer.URL, "--key", file("nowhere")), want: Failed, says: "nowhere"},
		{name: "broken key", args: transaction(peer.URL, "--key", file("broken.key")), want: Failed, says: "broken.key"},
		{name: "empty secret", args: transaction(peer.URL, "--key", peer.key, "--ilp-secret-file", file("empty")), want: Failed, says: "ILP secret"},
		{name: "no verification keys", args: transaction(peer.URL, "--key", peer.key, "--keys", files, "--callback-listen", "127.0.0.1:0"), want: Failed, says: "<fsp>.pem"},
		{name: "no such process", args: transaction(peer.URL, "--key", peer.key, "--peer-pid", "999999999"), want: Failed, says: "999999999"},
		{name: "no URL", args: []string{"test", "transaction"}, want: Usage, says: "--url"},
		{name: "no source", args: []string{"test", "transaction", "--url", peer.URL}, want: Usage, says: "--source"},
		{name: "no key", args: transaction(peer.URL), want: Usage, says: "--key"},
		{name: "URL that is none", args: transaction("perffsp-2", "--key", peer.key), want: Usage, says: "perffsp-2"},
		{name: "URL of a layer that is not wanted", args: transaction("mtls="+peer.URL, "--key", peer.key), want: Usage, says: "--layers"},
		{name: "unknown layer", args: transaction(peer.URL, "--layers", "jsw"), want: Usage, says: "jws"},
		{name: "layer without a peer", args: transaction("none="+peer.URL, "--layers", "none,jws", "--key", peer.key), want: Usage, says: "--url jws=http://"},
		{name: "layer without its key", args: transaction(peer.URL, "--layers", "jws"), want: Usage, says: "--key"},
		{name: "layer without its certificate", args: transaction("https://127.0.0.1:1", "--layers", "mtls"), want: Usage, says: "--cert"},
		{name: "plain URL for TLS", args: transaction(peer.URL, "--layers", "mtls", "--cert", "a", "--key-tls", "b"), want: Usage, says: "https"},
		{name: "half a certificate", args: transaction(peer.URL, "--key", peer.key, "--cert", "a"), want: Usage, says: "--key-tls"},
		{name: "unknown kind", args: transaction(peer.URL, "--key", peer.key, "--messages", "quote"), want: Usage, says: "quotes"},
		{name: "payments without callbacks", args: transaction(peer.URL, "--key", peer.key, "--messages", "payments"), want: Usage, says: "--callback-listen"},
		{name: "rate", args: transaction(peer.URL, "--key", peer.key, "--rate", "0"), want: Usage, says: "--rate"},
		{name: "party", args: transaction(peer.URL, "--key", peer.key, "--payer", "me"), want: Usage, says: "--payer"},
		{name: "amount", args: transaction(peer.URL, "--key", peer.key, "--amount", "1.005"), want: Usage, says: "--amount"},
		{name: "ILP version", args: transaction(peer.URL, "--key", peer.key, "--ilp-version", "2"), want: Usage, says: "--ilp-version"},
		{name: "argument", args: transaction(peer.URL, "nonsense"), want: Usage, says: "nonsense"},
	} {
		for _, format := range []string{"table", "json", "yaml"} {
			t.Run(tt.name+"/"+format, func(t *testing.T) {
				t.Parallel()
				stdout, stderr, code := run(t, append(slices.Clone(tt.args), "-o", format)...)
				if code != tt.want {
					t.Errorf("got code %d, want %d\nstdout: %s\nstderr: %s", code, tt.want, stdout, stderr)
				}
				if !strings.Contains(stdout+stderr, tt.says) {
					t.Errorf("got stdout %q, stderr %q; want them to say %q", stdout, stderr, tt.says)
				}
				if format != "table" {
					checkTransactionDocument(t, stdout, format, tt.want)
				}
			})
		}
	}
}

// checkTransactionDocument wants one document that agrees with the exit code.
func checkTransactionDocument(t *testing.T, text, format string, want Code) {
	t.Helper()
	if format == "yaml" {
		converted, err := yaml.YAMLToJSONStrict([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		text = string(converted)
	}
	var document struct {
		Kind, Test, Error string
		Passed            bool
		Layers            []struct{ Sent, Failed int64 }
	}
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&document); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if dec.More() {
		t.Errorf("there is more than one document: %s", text)
	}
	if document.Kind != kindTestResult || document.Test != "transaction" {
		t.Errorf("got kind %q, test %q; want %q, %q", document.Kind, document.Test, kindTestResult, "transaction")
	}
	if document.Passed != (want == Good) || (document.Error == "") != (want == Good || want == Findings) {
		t.Errorf("got passed %v, error %q with exit code %d", document.Passed, document.Error, want)
	}
}

func TestTransactionInterrupted(t *testing.T) {
	t.Parallel()
	peer := newVerifyingPeer(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	var stdout, stderr bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr}
	err := Execute(ctx, transaction(peer.URL, "--key", peer.key, "--for", "1h", "-o", "json"), streams, Build{})
	if got := CodeOf(err); got != Interrupted {
		t.Errorf("got code %d, want %d (%v)", got, Interrupted, err)
	}
	var document struct {
		Interrupted bool
		Layers      []struct{ Sent, Failed int64 }
	}
	if err := json.Unmarshal(stdout.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if l := document.Layers; !document.Interrupted || len(l) != 1 || l[0].Sent == 0 || l[0].Failed != 0 {
		t.Errorf("got %s; want the result so far", &stdout)
	}
}

// TestTransactionShowsNoKey looks for keys and secrets in whatever comes out.
func TestTransactionShowsNoKey(t *testing.T) {
	t.Parallel()
	c := &canaries{forms: map[string]string{}}
	peer := newVerifyingPeer(t)
	key := c.key(t, "signing key")
	files := write(t, map[string]string{
		"signing.key": key, "broken.key": strings.Replace(key, "EC PRIVATE", "PRIVATE", 2), "twice.key": key + key + c.sing("behind the key"),
		"secret": c.sing("ILP secret"), "empty": "",
	})
	file := func(name string) string { return filepath.Join(files, name) }
	for _, args := range [][]string{
		transaction(peer.URL, "--key", file("signing.key"), "--messages", "transfers", "--ilp-secret-file", file("secret")),
		transaction(peer.URL, "--key", file("signing.key"), "--messages", "callbacks", "--ilp-secret-file", file("secret"), "--sign-ahead"),
		transaction(peer.URL, "--key", file("broken.key")),
		transaction(peer.URL, "--key", file("twice.key")),
		transaction(peer.URL, "--key", file("secret")),
		transaction(peer.URL, "--key", file("signing.key"), "--cert", file("signing.key"), "--key-tls", file("signing.key")),
		transaction("https://127.0.0.1:1", "--key", file("signing.key"), "--ca", file("signing.key")),
		transaction("http://hub.example.org", "--key", file("signing.key")),
	} {
		for _, format := range []string{"table", "json", "yaml"} {
			stdout, stderr, code := run(t, append(slices.Clone(args), "-o", format)...)
			if code == Good {
				t.Errorf("%q: got code 0 though the peer holds another key", args)
			}
			c.look(t, fmt.Sprintf("stdout of %q", args), []byte(stdout))
			c.look(t, fmt.Sprintf("stderr of %q", args), []byte(stderr))
		}
	}
}

// TestTransactionPayments makes payments with a payee that is this test.
func TestTransactionPayments(t *testing.T) {
	t.Parallel()
	peer := newVerifyingPeer(t)
	text, err := os.ReadFile(peer.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jws.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ilp.GenerateSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	// It signs with the key of perffsp-1, for it is one there is a file of.
	callback := func(path, body string) {
		signed, err := key.Sign(jws.Request{Method: http.MethodPut, URI: path, Source: "perffsp-1", Destination: "perffsp-1", Body: []byte(body)})
		if err != nil {
			t.Error(err)
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+address+path, bytes.NewReader(signed.Body))
		if err != nil {
			t.Error(err)
			return
		}
		for name, value := range map[string]string{
			"FSPIOP-Source": "perffsp-1", "FSPIOP-Destination": "perffsp-1", "FSPIOP-URI": path, "FSPIOP-HTTP-Method": http.MethodPut, "FSPIOP-Signature": signed.Header,
		} {
			r.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		_ = response.Body.Close()
	}
	var fulfilments sync.Map // by condition
	payee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var ask struct{ QuoteID, TransferID, Condition string }
		if err := json.Unmarshal(body, &ask); err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/quotes" {
			tx, err := ilp.ParseTransaction(body)
			if err != nil {
				t.Error(err)
			}
			made, err := secret.Prepare(ilp.V1, tx)
			if err != nil {
				t.Error(err)
			}
			fulfilments.Store(made.Condition, made.Fulfilment)
			callback("/quotes/"+ask.QuoteID, fmt.Sprintf(`{"ilpPacket":%q,"condition":%q,"transferAmount":{"amount":"1","currency":"USD"}}`, made.Packet, made.Condition))
		} else {
			fulfilment, _ := fulfilments.Load(ask.Condition)
			callback("/transfers/"+ask.TransferID, fmt.Sprintf(`{"fulfilment":%q,"transferState":"COMMITTED"}`, fulfilment))
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(payee.Close)
	stdout, stderr, code := run(t, transaction(payee.URL, "--key", peer.key, "--messages", "payments", "--callback-listen", address,
		"--keys", peer.publicKey, "--connections", "1", "--rate", "20", "--for", "500ms")...)
	if code != Good || !strings.Contains(stdout, "Callbacks: 10 received, 0 failed, 0 missing; 5 payments fulfilled; signatures verified") {
		t.Errorf("got code %d, stdout %s, stderr %s; want 5 payments", code, stdout, stderr)
	}
}
