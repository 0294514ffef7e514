package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	// maxBody holds two objects of the 3 MiB an API server takes, and the rest
	// of a review.
	maxBody = 7 << 20
	// maxPooled is the largest buffer that is kept for the next request.
	maxPooled = 256 << 10
	// answerTime is kept back from the API server's timeout, for the way.
	answerTime = 500 * time.Millisecond
)

// statusError is an answer that is no verdict: an HTTP status, so that the
// failurePolicy of the webhook entry counts.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return &statusError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// couldNotCheck says that a verdict was not possible, and why.
func couldNotCheck(format string, args ...any) error {
	return &statusError{http.StatusInternalServerError, "could not check: " + fmt.Sprintf(format, args...)}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// serve makes an endpoint an http.Handler.
func (h *handler) serve(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		in, out := buffer(), buffer()
		h.metrics.inFlight.Inc()
		outcome := outcome{endpoint: e.name, operation: "none", decision: "error"}
		defer func() {
			if p := recover(); p != nil {
				outcome.decision = "panic"
				h.metrics.panics.Inc()
				h.Log.Error(fmt.Errorf("panic: %v", p), "review", "endpoint", e.name, "stack", string(debug.Stack()))
				http.Error(w, "mojasec: internal error; the log of the webhook has the details", http.StatusInternalServerError)
			} else {
				release(in)
				release(out)
			}
			h.metrics.inFlight.Dec()
			h.metrics.observe(outcome, time.Since(began), h.Now())
		}()
		ctx, cancel := context.WithTimeout(r.Context(), h.budget(r))
		defer cancel()
		if err := h.review(ctx, e, w, r, in, out, &outcome); err != nil {
			h.answerError(w, e, err, &outcome)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
		if _, err := out.WriteTo(w); err != nil {
			h.Log.V(1).Info("answer not taken", "endpoint", e.name, "error", err.Error())
		}
	})
}

// review reads a request, has it judged and writes the answer to out.
func (h *handler) review(ctx context.Context, e endpoint, w http.ResponseWriter, r *http.Request, in, out *bytes.Buffer, o *outcome) error {
	if err := acceptable(r); err != nil {
		return err
	}
	if err := h.enter(ctx); err != nil {
		return err
	}
	defer func() { <-h.slots }()
	// Whoever has a turn and sends nothing takes it from the others.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(h.BodyTimeout)) // not every connection has one
	if err := readBody(r, in); err != nil {
		return err
	}
	_ = deadline.SetReadDeadline(time.Time{})
	req, err := decodeReview(in.Bytes())
	if err != nil {
		return err
	}
	o.operation = operationLabel(req.Operation)
	resp, err := e.handle(ctx, req)
	if err != nil && e.lenient {
		if status, ok := errors.AsType[*statusError](err); !ok || status.code >= http.StatusInternalServerError {
			h.Log.Error(err, "review without verdict", "endpoint", e.name)
			resp, err = admission.Allowed("").WithWarnings(warning("mojasec "+err.Error())), nil
		}
	}
	if err != nil {
		return err
	}
	if e.lenient && !resp.Allowed {
		resp = lenient(resp)
	}
	o.decide(&resp)
	if !resp.Allowed {
		h.Log.Info("refused", "endpoint", e.name, "operation", req.Operation, "kind", req.Kind.Kind,
			"namespace", req.Namespace, "name", req.Name, "user", req.UserInfo.Username, "dryRun", req.dryRun())
	}
	return encodeReview(out, req.UID, &resp)
}

// lenient turns a refusal into a warning.
func lenient(resp admission.Response) admission.Response {
	said := "mojasec would refuse this"
	if resp.Result != nil {
		said = resp.Result.Message
	}
	warnings := append([]string{warning(said)}, resp.Warnings...)
	return admission.Allowed("").WithWarnings(warnings[:min(len(warnings), maxWarnings)]...)
}

// acceptable looks at the head of a request.
func acceptable(r *http.Request) error {
	if r.Method != http.MethodPost {
		return &statusError{http.StatusMethodNotAllowed, fmt.Sprintf("method %s: want POST", r.Method)}
	}
	contentType := r.Header.Get("Content-Type")
	if contentType != "application/json" {
		if t, _, err := mime.ParseMediaType(contentType); err != nil || t != "application/json" {
			return &statusError{http.StatusUnsupportedMediaType, fmt.Sprintf("content type %q: want application/json", contentType)}
		}
	}
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	return nil
}

var errTooLarge = &statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the review is larger than %d bytes", maxBody)}

// enter waits for a turn.
func (h *handler) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(h.QueueTimeout)
	defer wait.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-wait.C:
	case <-ctx.Done():
	}
	return &statusError{http.StatusTooManyRequests, fmt.Sprintf("%d reviews are under way and none ended in time: try again", h.MaxInFlight)}
}

// readBody reads the body of a request, up to maxBody.
func readBody(r *http.Request, in *bytes.Buffer) error {
	if r.ContentLength > 0 {
		in.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := in.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return badRequest("read the review: %v", err)
	case n > maxBody:
		return errTooLarge
	}
	return nil
}

// budget is the time for a review: what the API server gives, less the way.
func (h *handler) budget(r *http.Request) time.Duration {
	if r.URL.RawQuery == "" {
		return h.Timeout
	}
	given, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || given <= answerTime {
		return h.Timeout
	}
	return min(h.Timeout, given-answerTime)
}

func (h *handler) answerError(w http.ResponseWriter, e endpoint, err error, o *outcome) {
	code := http.StatusInternalServerError
	if status, ok := errors.AsType[*statusError](err); ok {
		code = status.code
	}
	o.decision = decisionOfStatus(code)
	h.Log.Info("no verdict", "endpoint", e.name, "status", code, "reason", clean(err.Error(), maxLine))
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, "mojasec: "+clean(err.Error(), maxLine), code)
}

func buffer() *bytes.Buffer {
	b, ok := buffers.Get().(*bytes.Buffer)
	if !ok {
		return new(bytes.Buffer)
	}
	return b
}

func release(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		// The next body may be shorter, and this one a Secret.
		clear(b.Bytes())
		b.Reset()
		buffers.Put(b)
	}
}
