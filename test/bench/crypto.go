package main

import (
	"bytes"
	"context"
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// sdkRelease is the SDK that K1 is measured against.
const sdkRelease = "19.19.1"

// Rounds of a second each: the best counts, on all sides, because other programs
// on the machine only ever take away.
const (
	cryptoRounds = 3
	cryptoRound  = time.Second
)

// rates are operations per second on one core, by name.
type rates map[string]float64

// Names of the measures, which crypto.js uses too.
const (
	ilpCondition = "ILP condition"
	ilpV1        = "ILP v1"
	ilpV4        = "ILP v4"
)

var jwsMeasures = []string{"RS256 sign", "RS256 verify", "ES256 sign", "ES256 verify"}

// workload is what every side works on: a transfer of 900 bytes.
type workload struct {
	keys        map[jws.Algorithm]*jws.PrivateKey
	request     jws.Request
	transaction []byte
	secret      []byte
}

func newWorkload() (workload, error) {
	w := workload{keys: map[jws.Algorithm]*jws.PrivateKey{}, secret: []byte(rand.Text() + rand.Text())}
	for _, kind := range []jws.KeyKind{jws.RSA2048, jws.P256} {
		k, err := jws.GenerateKey(kind, rand.Reader)
		if err != nil {
			return w, err
		}
		w.keys[k.Algorithm()] = k
	}
	w.transaction = []byte(`{"transactionId":"85feac2f-39b2-491b-817e-4a03203d4f14","quoteId":"7c23e80c-d078-4077-8263-2c047876fcf6",` +
		`"payee":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"16135551212","fspId":"perffsp-2"}},` +
		`"payer":{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"27713803912","fspId":"perffsp-1"}},` +
		`"amount":{"currency":"USD","amount":"100"},"transactionType":{"scenario":"TRANSFER","initiator":"PAYER","initiatorType":"CONSUMER"},` +
		`"expiration":"2030-01-31T12:00:00.000Z"}`)
	prepared, err := w.prepare()
	if err != nil {
		return w, err
	}
	w.request = jws.Request{
		Method: "POST", URI: "/transfers", Source: "perffsp-1", Destination: "perffsp-2", Date: "Tue, 24 Nov 2026 02:00:00 GMT",
		Body: fmt.Appendf(nil, `{"transferId":"b51ec534-ee48-4575-b6a9-ead2955b8069","payerFsp":"perffsp-1","payeeFsp":"perffsp-2",`+
			`"amount":{"currency":"USD","amount":"100"},"ilpPacket":%q,"condition":%q,"expiration":"2030-01-31T12:00:00.000Z"}`, prepared.Packet, prepared.Condition),
	}
	return w, nil
}

func (w workload) prepare() (ilp.Prepared, error) {
	secret, err := ilp.NewSecret(w.secret)
	if err != nil {
		return ilp.Prepared{}, err
	}
	tx, err := ilp.ParseTransaction(w.transaction)
	if err != nil {
		return ilp.Prepared{}, err
	}
	return secret.Prepare(ilp.V4, tx)
}

// cryptoRows measures signatures and conditions: K1. What another program is
// missing for is left out, with a word on what to install.
func cryptoRows(ctx context.Context) ([]row, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // per core, garbage collection included
	w, err := newWorkload()
	if err != nil {
		return nil, err
	}
	ours, err := w.message()
	if err != nil {
		return nil, err
	}
	primitive, err := primitives()
	if err != nil {
		return nil, err
	}
	openssl, why := opensslRates(ctx, "")
	sdk, whySDK := w.sdkRates(ctx)
	rows := make([]row, 0, len(jwsMeasures)+6)
	for _, m := range jwsMeasures {
		rows = append(rows, row{
			"K1", m + ", messages per second and core", fmt.Sprintf("> %s (SDK); ≥ %s (0.8 × openssl)", count(sdk[m]), count(0.8*openssl[m])),
			fmt.Sprintf("%s: %s the SDK, %s openssl; the signature alone: %s, %s openssl",
				count(ours[m]), times(ours[m], sdk[m]), times(ours[m], openssl[m]), count(primitive[m]), times(primitive[m], openssl[m])),
		})
	}
	for _, m := range []struct{ name, measure, target string }{
		{ilpCondition, "condition of a fulfilment", "20 × the SDK"},
		{ilpV1, "packet, fulfilment and condition, version 1", ""},
		{ilpV4, "packet, fulfilment and condition, version 4", ""},
	} {
		rows = append(rows, row{
			"K1", m.measure + ", per second and core", m.target,
			fmt.Sprintf("%s: %s the SDK (%s)", count(ours[m.name]), times(ours[m.name], sdk[m.name]), count(sdk[m.name])),
		})
	}
	if plain, err := opensslRates(ctx, withoutIFMA); err == nil && runtime.GOARCH == "amd64" {
		// Nine tenths of RS256 are multiplications in crypto/internal/fips140/bigmod,
		// which has no code for these instructions; not every machine has them.
		rows = append(rows, row{
			"K1", "RS256 sign, openssl without AVX-512", "",
			fmt.Sprintf("%s: ours is %s", count(plain["RS256 sign"]), times(primitive["RS256 sign"], plain["RS256 sign"])),
		})
	}
	for _, missing := range []struct {
		what string
		err  error
	}{{"openssl", why}, {"Node SDK", whySDK}} {
		if missing.err != nil {
			rows = append(rows, row{"K1", "not measured: " + missing.what, "", missing.err.Error()})
		}
	}
	return rows, nil
}

// message measures whole messages: from the body to the header, and back.
func (w workload) message() (rates, error) {
	operations := map[string]func() error{}
	for alg, k := range w.keys {
		operations[string(alg)+" sign"] = func() error { _, err := k.Sign(w.request); return err }
		signed, err := k.Sign(w.request)
		if err != nil {
			return nil, err
		}
		received := w.request
		received.Body = signed.Body
		keys := jws.Keys{w.request.Source: k.Public()}
		operations[string(alg)+" verify"] = func() error { _, err := keys.Verify(received, signed.Header); return err }
	}
	secret, err := ilp.NewSecret(w.secret)
	if err != nil {
		return nil, err
	}
	tx, err := ilp.ParseTransaction(w.transaction)
	if err != nil {
		return nil, err
	}
	prepared, err := w.prepare()
	if err != nil {
		return nil, err
	}
	operations[ilpCondition] = func() error { _, err := ilp.Condition(prepared.Fulfilment); return err }
	operations[ilpV1] = func() error { _, err := secret.Prepare(ilp.V1, tx); return err }
	operations[ilpV4] = func() error { _, err := secret.Prepare(ilp.V4, tx); return err }
	return measured(operations)
}

// measured runs each operation. One that fails would be fast, and is an error.
func measured(operations map[string]func() error) (rates, error) {
	r := rates{}
	for name, operation := range operations {
		var failed error
		rate, err := perSecond(func() {
			if err := operation(); err != nil {
				failed = err
			}
		})
		if err := errors.Join(failed, err); err != nil {
			return nil, fmt.Errorf("measure %s: %w", name, err)
		}
		r[name] = rate
	}
	return r, nil
}

// primitives measures what openssl speed does: one signature of one digest.
func primitives() (rates, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("digest"))
	rsaSignature, err := rsaKey.Sign(nil, digest[:], stdcrypto.SHA256)
	if err != nil {
		return nil, err
	}
	ecSignature, err := ecKey.Sign(nil, digest[:], stdcrypto.SHA256)
	if err != nil {
		return nil, err
	}
	return measured(map[string]func() error{
		"RS256 sign":   func() error { _, err := rsaKey.Sign(nil, digest[:], stdcrypto.SHA256); return err },
		"RS256 verify": func() error { return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, stdcrypto.SHA256, digest[:], rsaSignature) },
		"ES256 sign":   func() error { _, err := ecKey.Sign(nil, digest[:], stdcrypto.SHA256); return err },
		"ES256 verify": func() error {
			if !ecdsa.VerifyASN1(&ecKey.PublicKey, digest[:], ecSignature) {
				return errors.New("signature does not verify")
			}
			return nil
		},
	})
}

// perSecond is how often an operation fits into a second of processor time, the
// garbage it leaves included. It is what openssl speed counts too, and what
// other programs on the machine hardly change.
func perSecond(operation func()) (float64, error) {
	best := 0.0
	for range cryptoRounds {
		runtime.GC()
		began, err := processorTime()
		if err != nil {
			return 0, err
		}
		var used time.Duration
		n := 0
		// Batches of which none takes long and whose clock costs nothing.
		for batch := 1; used < cryptoRound; batch = min(2*batch, 1<<14) {
			for range batch {
				operation()
			}
			n += batch
			now, err := processorTime()
			if err != nil {
				return 0, err
			}
			used = now - began
		}
		best = max(best, float64(n)/used.Seconds())
	}
	return best, nil
}

// processorTime is what this process has used so far.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read the time of the process: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// cryptoScript runs the SDK's functions in a loop.
//
//go:embed crypto.js
var cryptoScript string

// sdkRates measures Mojaloop's own code. It is one process that runs all
// loops: starting Node is not what is compared.
func (w workload) sdkRates(ctx context.Context) (rates, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("node is not installed; Mojaloop's SDK runs on Node.js 20: https://nodejs.org/en/download")
	}
	modules, err := mojaloop.Modules(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	type pair struct {
		Private string `json:"private"`
		Public  string `json:"public"`
	}
	keys := map[jws.Algorithm]pair{}
	for alg, k := range w.keys {
		keys[alg] = pair{string(k.MarshalPEM()), string(k.Public().MarshalPEM())}
	}
	input, err := json.Marshal(map[string]any{
		"rounds": cryptoRounds, "milliseconds": cryptoRound.Milliseconds(), "keys": keys, "secret": string(w.secret),
		"sdk":         filepath.Join(modules, "node_modules", "sdk-standard-components-"+sdkRelease),
		"transaction": json.RawMessage(w.transaction),
		"request": map[string]any{
			"method": w.request.Method, "uri": w.request.URI, "body": json.RawMessage(w.request.Body),
			"headers": map[string]string{"fspiop-source": w.request.Source, "fspiop-destination": w.request.Destination, "date": w.request.Date},
		},
	})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, node, "--eval", cryptoScript)
	cmd.Stdin = bytes.NewReader(input) // the keys are for nobody else's eyes, so not in the arguments
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the SDK: %w: %s", err, firstLine(stderr.String()))
	}
	var r rates
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("read the SDK's figures: %w", err)
	}
	return r, nil
}

// withoutIFMA hides AVX-512 from OpenSSL: bits 16 (F) and 21 (IFMA) of the
// second vector of features.
const withoutIFMA = "OPENSSL_ia32cap=:~0x210000"

// opensslRates runs openssl speed.
func opensslRates(ctx context.Context, env string) (rates, error) {
	binary, err := exec.LookPath("openssl")
	if err != nil {
		return nil, errors.New("openssl is not installed: apt-get install openssl")
	}
	best := rates{}
	for range cryptoRounds {
		cmd := exec.CommandContext(ctx, binary, "speed", "-mr", "-seconds", "1", "rsa2048", "ecdsap256")
		cmd.Env = os.Environ()
		if env != "" {
			cmd.Env = append(cmd.Env, env)
		}
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("openssl speed: %w", err)
		}
		r, err := parseSpeed(string(out))
		if err != nil {
			return nil, err
		}
		for name, rate := range r {
			best[name] = max(best[name], rate)
		}
	}
	return best, nil
}

// parseSpeed reads the lines of `openssl speed -mr` with the result:
//
//	+F2:2:2048:4508.163265:74351.546392
//	+F4:3:256:65800.000000:22447.474747
//
// of RSA and of ECDSA; the last two fields are signatures and verifications per
// second. OpenSSL 1.1 has seconds per operation there.
func parseSpeed(out string) (rates, error) {
	r := rates{}
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		alg := map[string]string{"+F2": "RS256", "+F4": "ES256"}[fields[0]]
		if alg == "" || len(fields) < 5 {
			continue
		}
		for i, operation := range []string{"sign", "verify"} {
			rate, err := strconv.ParseFloat(fields[3+i], 64)
			if err != nil || rate <= 0 {
				return nil, fmt.Errorf("read openssl speed: %q", line)
			}
			if rate < 1 {
				rate = 1 / rate
			}
			r[alg+" "+operation] = rate
		}
	}
	if len(r) != len(jwsMeasures) {
		return nil, errors.New("read openssl speed: not all four figures are there")
	}
	return r, nil
}

// count prints a rate; "?" for one that was not measured.
func count(rate float64) string {
	if rate == 0 {
		return "?"
	}
	return strconv.FormatFloat(rate, 'f', 0, 64)
}

// times prints how often b goes into a.
func times(a, b float64) string {
	if b == 0 {
		return "? ×"
	}
	return fmt.Sprintf("%.2f ×", a/b)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
