package load

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// bodyLimit bounds a callback. The largest field, the ILP packet, has 32 KB.
const bodyLimit = 256 << 10

// Answers takes the callbacks of payments: it verifies the signature of each, the
// ILP packet of a quote, and the fulfilment of a transfer against its condition.
type Answers struct {
	keys jws.Keys // nil: signatures are not verified
	now  func() time.Time

	mu      sync.Mutex
	pending map[string]*payment
	ready   []quoted
	rec     *recorder
	paid    int64
}

// payment is one that is under way.
type payment struct {
	quoted
	asked time.Time // when the message was sent that the next callback answers
	// waiting tells that this callback has not come.
	waiting bool
}

// quoted is what the callback of a quote says.
type quoted struct{ id, packet, condition, amount string }

// NewAnswers returns a handler for callbacks. Without keys signatures are not
// verified.
func NewAnswers(keys jws.Keys, now func() time.Time) *Answers {
	return &Answers{keys: keys, now: now, pending: map[string]*payment{}, rec: newRecorder()}
}

// AnswersResult is what came back.
type AnswersResult struct {
	// Received callbacks, Failed ones (errors, bad signatures, wrong
	// fulfilments), and Missing ones that never came.
	Received int64 `json:"received"`
	Failed   int64 `json:"failed"`
	Missing  int64 `json:"missing"`
	// Paid payments have a fulfilment that fits its condition.
	Paid int64 `json:"paid"`
	// Verified tells whether signatures were.
	Verified bool `json:"signaturesVerified"`
	// Latency is from a request to its callback.
	Latency  Latency   `json:"latency"`
	Outcomes []Outcome `json:"outcomes"`
}

// Result sums up.
func (a *Answers) Result() AnswersResult {
	r := a.rec.result()
	waiting := a.Waiting()
	a.mu.Lock()
	defer a.mu.Unlock()
	result := AnswersResult{Failed: r.Failed, Missing: int64(waiting), Paid: a.paid, Verified: a.keys != nil, Latency: r.Latency, Outcomes: r.Outcomes}
	for _, o := range r.Outcomes {
		result.Received += o.Count
	}
	return result
}

// Waiting is how many callbacks are still to come.
func (a *Answers) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, p := range a.pending {
		if p.waiting {
			n++
		}
	}
	return n
}

// expect notes that a quote was asked for.
func (a *Answers) expect(id string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending[id] = &payment{quoted: quoted{id: id}, asked: now, waiting: true}
}

// nextQuote returns a quote that is to be paid.
func (a *Answers) nextQuote() (quoted, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ready) == 0 {
		return quoted{}, false
	}
	q := a.ready[0]
	a.ready = a.ready[1:]
	return q, true
}

// transferring notes that a quote is being paid.
func (a *Answers) transferring(id string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.pending[id]; p != nil {
		p.asked, p.waiting = now, true
	}
}

// callback is one that came.
type callback struct {
	resource, id string
	isError      bool
}

// parseCallback reads the path of a callback: …/quotes/ID, …/quotes/ID/error.
func parseCallback(path string) (callback, bool) {
	path, isError := strings.CutSuffix(strings.TrimSuffix(path, "/"), "/error")
	rest, id, ok := cutLast(path)
	if !ok {
		return callback{}, false
	}
	_, resource, ok := cutLast(rest)
	return callback{resource: resource, id: id, isError: isError}, ok && (resource == "quotes" || resource == "transfers")
}

// cutLast splits a path before its last slash.
func cutLast(path string) (before, after string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// ServeHTTP takes a callback. What nobody waits for, such as callbacks of another
// load, is accepted and not counted.
func (a *Answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, ok := parseCallback(r.URL.Path)
	if r.Method != http.MethodPut || !ok {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	status := http.StatusOK
	if outcome, waited := a.take(r, body, c); waited && outcome.Code == codeSignature {
		status = http.StatusBadRequest
	}
	w.WriteHeader(status)
}

// codeSignature is the FSPIOP code of a wrong signature.
const codeSignature = "3105"

// take judges a callback and counts it, if it was waited for.
func (a *Answers) take(r *http.Request, body []byte, c callback) (o Outcome, waited bool) {
	a.mu.Lock()
	p := a.pending[c.id]
	if p == nil || !p.waiting {
		a.mu.Unlock()
		return Outcome{}, false
	}
	took := a.now().Sub(p.asked)
	p.waiting = false // a second one is not ours
	a.mu.Unlock()

	o = a.judge(r, body, c, p)
	a.rec.addOutcome(o, took)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case o.Failed:
		delete(a.pending, c.id)
	case c.resource == "quotes":
		a.ready = append(a.ready, p.quoted)
	default:
		delete(a.pending, c.id)
		a.paid++
	}
	return o, true
}

// judge says whether a callback is what it should be.
func (a *Answers) judge(r *http.Request, body []byte, c callback, p *payment) Outcome {
	name := "PUT /" + c.resource
	failed := func(code, reason string) Outcome {
		return Outcome{Code: code, Reason: clip(name+": "+reason, 200), Failed: true}
	}
	if a.keys != nil {
		_, err := a.keys.Verify(jws.Request{
			Method: r.Method, URI: r.URL.Path, Source: r.Header.Get("FSPIOP-Source"),
			Destination: r.Header.Get("FSPIOP-Destination"), Date: r.Header.Get("Date"), Body: body,
		}, r.Header.Get("FSPIOP-Signature"))
		if err != nil {
			return failed(codeSignature, err.Error())
		}
	}
	if c.isError {
		o := answer{status: http.StatusBadRequest, body: body}.outcome()
		return failed(o.Code, o.Reason)
	}
	var said struct {
		ILPPacket, Condition, Fulfilment, TransferState string
		TransferAmount                                  struct{ Amount, Currency string }
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return failed("not-json", err.Error())
	}
	if c.resource == "quotes" {
		if _, err := ilp.Decode(said.ILPPacket); err != nil {
			return failed("ilp-packet", err.Error())
		}
		p.packet, p.condition = said.ILPPacket, said.Condition
		p.amount = fmt.Sprintf(`{"amount":%q,"currency":%q}`, said.TransferAmount.Amount, said.TransferAmount.Currency)
		return Outcome{Code: name}
	}
	if err := ilp.Verify(said.Fulfilment, p.condition); err != nil {
		return failed("ilp-fulfilment", err.Error())
	}
	return Outcome{Code: name}
}

// addOutcome counts a callback.
func (r *recorder) addOutcome(o Outcome, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.all.RecordValue(min(max(int64(took), shortest), longest))
	if o.Failed {
		r.failed++
	}
	have := r.outcomes[o.Name()]
	if have == nil {
		have = &o
		r.outcomes[o.Name()] = have
	}
	have.Count++
}
