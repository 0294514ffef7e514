package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/klient/wait"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/plugin/probe"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// verifier starts an adapter of the payee that verifies with the keys in dir.
func verifier(t *testing.T, s *mojaloop.Scheme, dir string, validate bool) *mojaloop.Adapter {
	t.Helper()
	a, err := mojaloop.StartAdapter(t.Context(), mojaloop.AdapterOptions{
		DFSPID: mojaloop.Payee, SigningKey: s.PayeeKey, VerificationKeys: dir, Sign: true, Validate: validate, ValidatePutParties: true,
		Peer: s.Peer.Address(), Backend: s.Backend.Address(), Redis: s.Redis.URL, Quiet: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(a.Err(), a.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

func readPrivateKey(t *testing.T, file string) *jws.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jws.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publish renames a complete file into place, as the adapter's watcher wants it:
// of a file that is written in place it may read a half.
func publish(t *testing.T, dir, fsp string, text []byte) {
	t.Helper()
	file := filepath.Join(dir, fsp+".pem")
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// TestAdapterProbe asks a running adapter which key it holds, while the file of
// the key comes, changes and goes.
func TestAdapterProbe(t *testing.T) {
	s := startScheme(t)
	first, second := readPrivateKey(t, s.PayerKey), readPrivateKey(t, s.PayeeKey)
	dir := t.TempDir()
	publish(t, dir, mojaloop.Payer, first.Public().MarshalPEM())
	a := verifier(t, s, dir, true)

	ask := func(t *testing.T, a *mojaloop.Adapter, key *jws.PrivateKey) probe.Result {
		t.Helper()
		got, err := probe.Probe(t.Context(), http.DefaultClient, a.Inbound, key, mojaloop.Payer, mojaloop.Payee, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := func(key *jws.PrivateKey, answer probe.Answer, code string) {
		t.Helper()
		if got := ask(t, a, key); got.Answer != answer || got.Code != code {
			t.Errorf("got %s, %s (%s), want %s, %s", got.Answer, got.Code, got.Detail, answer, code)
		}
	}
	// become waits until the adapter has seen the change of a file.
	become := func(what string, key *jws.PrivateKey, answer probe.Answer) {
		t.Helper()
		var got probe.Result
		err := wait.For(func(context.Context) (bool, error) {
			got = ask(t, a, key)
			return got.Answer == answer, nil
		}, wait.WithTimeout(10*time.Second), wait.WithInterval(20*time.Millisecond), wait.WithContext(t.Context()), wait.WithImmediate())
		if err != nil {
			t.Fatalf("%s: got %s (%s), want %s", what, got.Answer, got.Detail, answer)
		}
	}

	want(first, probe.Holds, "3102")
	want(second, probe.HoldsAnother, "3105")

	publish(t, dir, mojaloop.Payer, second.Public().MarshalPEM())
	become("another key", second, probe.Holds)
	want(first, probe.HoldsAnother, "3105")

	if err := os.Remove(filepath.Join(dir, mojaloop.Payer+".pem")); err != nil {
		t.Fatal(err)
	}
	// This version answers 3105 and does not say that it has none.
	become("no key", second, probe.HoldsAnother)
	want(first, probe.HoldsAnother, "3105")

	publish(t, dir, mojaloop.Payer, first.Public().MarshalPEM())
	become("the first key again", first, probe.Holds)
	want(second, probe.HoldsAnother, "3105")

	t.Run("does not verify", func(t *testing.T) {
		open := verifier(t, s, dir, false)
		if got := ask(t, open, first); got.Answer != probe.DoesNotVerify {
			t.Errorf("got %s (%s), want %s", got.Answer, got.Detail, probe.DoesNotVerify)
		}
	})
}

// behindSignature are the codes of an adapter that is content with the
// signature, and then finds that the body is no quote.
var behindSignature = []string{"3100", "3101", "3102", "3103"}

// beforeSignature are messages that the adapter refuses before it looks at the
// signature, for another reason than we have: its parser of bodies takes
// objects and lists only.
var beforeSignature = []string{"body null"}

// TestAdapterVerifies sends messages, good ones and others that were tampered
// with, to a running adapter. It answers with the code that we expect, or
// accepts what we say that it accepts.
func TestAdapterVerifies(t *testing.T) {
	s := startScheme(t)
	f := newForger(t).withAliases()
	dir := t.TempDir()
	for fsp, text := range f.public {
		publish(t, dir, fsp, []byte(text))
	}
	a := verifier(t, s, dir, true)
	keys, judge := f.privateKeys(t), f.keys(t)
	r := requests{newBodies(seed(t))}

	good := make([]jws.Request, 300)
	for i := range good {
		good[i] = r.next(rsaFSP, true)
		if i%10 == 0 {
			good[i] = r.next(ecFSP, true)
		}
	}
	var messages []message
	for i, request := range good {
		key := keys[rsaFSP]
		if i%10 == 0 {
			key = keys[ecFSP]
		}
		signed, err := key.Sign(request)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, sentMessage(fmt.Sprintf("message %d", i), request, signed))
	}
	for i, m := range messages[1:6] {
		for _, tamper := range tamperings(t, f) {
			if changed := tamper.apply(m, messages[i]); changed != nil {
				changed.name = tamper.name
				messages = append(messages, *changed)
			}
		}
	}

	accepted, refused := 0, 0
	for _, m := range messages {
		got := post(t, a.Inbound, m)
		want := ""
		r, signature, err := m.received()
		var form jws.Form
		if err == nil {
			form, err = judge.Verify(r, signature)
		}
		var refusal *jws.Error
		switch {
		case errors.As(err, &refusal):
			want = refusal.Code()
		case !form.AcceptedByOld() || judge[r.Source].Algorithm() != jws.RS256:
			want = "3105"
		}
		switch {
		case want == "" && slices.Contains(behindSignature, got):
			accepted++
		case want == got, slices.Contains(beforeSignature, m.name) && got == "3101":
			refused++
		default:
			t.Errorf("%s: got %s, want %q (%v)\n%s", m.name, got, want, err, m)
		}
	}
	if accepted < 50 || refused < 100 {
		t.Errorf("got %d accepted and %d refused", accepted, refused)
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
}

// post sends a message as a quote and returns the code of the answer.
func post(t *testing.T, base string, m message) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/quotes", bytes.NewReader(m.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range m.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/vnd.interoperability.quotes+json;version=1.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		ErrorInformation struct{ ErrorCode string }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Sprintf("%d %.200s", resp.StatusCode, text)
	}
	return answer.ErrorInformation.ErrorCode
}
