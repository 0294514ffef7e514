// Package interop_test compares what we compute with what Mojaloop's own
// JavaScript computes, in both directions. It runs with `make test-interop`.
package interop_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopWorkers()
	os.Exit(code)
}

// needInterop skips unless make test-interop runs the tests.
func needInterop(t testing.TB) {
	t.Helper()
	if os.Getenv("MOJASEC_INTEROP") == "" {
		t.Skip("this needs Node.js: make test-interop")
	}
}

// seedOfRun is where generated messages of this run begin.
var seedOfRun = sync.OnceValues(func() (uint64, error) {
	text := os.Getenv("MOJASEC_SEED")
	if text == "" {
		return rand.Uint64(), nil
	}
	return strconv.ParseUint(text, 10, 64)
})

// seed is for the test's generators. A test that fails says how to repeat it.
func seed(t testing.TB) uint64 {
	t.Helper()
	needInterop(t)
	n, err := seedOfRun()
	if err != nil {
		t.Fatalf("MOJASEC_SEED: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: MOJASEC_SEED=%d make test-interop", n)
		}
	})
	return n
}

// workers are the Node processes of a run, one for each release.
var workers struct {
	sync.Mutex
	running map[mojaloop.Release]*mojaloop.Worker
}

// node is the worker of a release.
func node(t testing.TB, release mojaloop.Release) *mojaloop.Worker {
	t.Helper()
	needInterop(t)
	workers.Lock()
	defer workers.Unlock()
	if w := workers.running[release]; w != nil {
		return w
	}
	w, err := mojaloop.StartWorker(context.Background(), release)
	if err != nil {
		t.Fatal(err)
	}
	if workers.running == nil {
		workers.running = map[mojaloop.Release]*mojaloop.Worker{}
	}
	workers.running[release] = w
	return w
}

func stopWorkers() {
	workers.Lock()
	defer workers.Unlock()
	for release, w := range workers.running {
		if err := w.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "worker of %s: %v\n", release, err)
		}
	}
}

// batch is how many messages go in one call.
const batch = 1000

// call calls a method of a release for many inputs, in batches. It returns one
// answer for each.
func call[In, Out any](t testing.TB, release mojaloop.Release, method string, inputs []In, in func(part []In) any) []Out {
	t.Helper()
	w := node(t, release)
	answers := make([]Out, 0, len(inputs))
	for len(inputs) > 0 {
		part := inputs[:min(batch, len(inputs))]
		inputs = inputs[len(part):]
		var out []Out
		if err := w.Call(t.Context(), method, in(part), &out); err != nil {
			t.Fatal(err)
		}
		if len(out) != len(part) {
			t.Fatalf("%s of %s: got %d answers to %d inputs", method, release, len(out), len(part))
		}
		answers = append(answers, out...)
	}
	return answers
}

// stringify is what Node makes of texts.
func stringify(t testing.TB, texts [][]byte) []forms {
	t.Helper()
	return call[[]byte, forms](t, mojaloop.New, "stringify", texts, func(part [][]byte) any {
		return map[string]any{"texts": part}
	})
}

// sdkMessage is a message on its way to or from the SDK. The URI and the values
// of headers are bytes as on the wire.
type sdkMessage struct {
	Method  string            `json:"method,omitempty"`
	URI     []byte            `json:"uri,omitempty"`
	Headers map[string][]byte `json:"headers"`
	Body    []byte            `json:"body"`
	// Axios passes the request as axios has it.
	Axios bool   `json:"axios,omitempty"`
	Error string `json:"error,omitempty"`
}

// toSign is a request for the SDK to sign.
func toSign(r jws.Request) sdkMessage {
	return sdkMessage{Method: r.Method, URI: []byte(r.URI), Headers: bytesOf(headersOf(r)), Body: r.Body}
}

// sdkSign has the SDK sign requests.
func sdkSign(t testing.TB, release mojaloop.Release, key []byte, requests []sdkMessage) []sdkMessage {
	t.Helper()
	return call[sdkMessage, sdkMessage](t, release, "sign", requests, func(part []sdkMessage) any {
		return map[string]any{"key": string(key), "messages": part}
	})
}

// sdkVerify has the SDK verify messages: "" or why it refuses. keys are PEM by
// FSP id.
func sdkVerify(t testing.TB, release mojaloop.Release, keys map[string]string, messages []message) []string {
	t.Helper()
	return call[message, string](t, release, "verify", messages, func(part []message) any {
		list := make([]sdkMessage, 0, len(part))
		for _, m := range part {
			headers := make(map[string][]byte, len(m.headers))
			for name, value := range m.headers {
				headers[name] = []byte(value)
			}
			list = append(list, sdkMessage{Headers: headers, Body: m.body})
		}
		return map[string]any{"keys": keys, "messages": list}
	})
}
