// Package probe finds out which public key a running verifier holds in memory.
//
// A verifier reads its keys when it starts, and may or may not see that a
// mounted file has changed. What stands in a Secret proves nothing about it;
// its answer to a signed message does.
//
// The message is a POST whose body is {"probe":1}. Mojaloop checks its
// signature before it looks at the body: one that holds the key of the signer
// answers with FSPIOP error 3102 (missing element), any other with 3105
// (invalid signature). No part of Mojaloop keeps, forwards or answers such a
// message otherwise. The verifier writes a line to its log.
//
// A verifier that checks no signatures answers 3102 too. So whoever seems to
// hold the key is asked again, with a signature that cannot be right.
package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// Answer is what a probe proves.
type Answer int

// The answers. NotAvailable proves nothing.
const (
	NotAvailable Answer = iota
	// Holds: the verifier holds the public half of the key.
	Holds
	// HoldsAnother: the verifier does not hold the key. It holds another one of
	// the source, or none: most do not say.
	HoldsAnother
	// HoldsNone: the verifier says that it has no key of the source.
	HoldsNone
	// DoesNotVerify: the verifier accepts a signature that is wrong.
	DoesNotVerify
)

// String names the answer as it stands in JSON.
func (a Answer) String() string {
	switch a {
	case Holds:
		return "holds"
	case HoldsAnother:
		return "holds-another"
	case HoldsNone:
		return "holds-none"
	case DoesNotVerify:
		return "does-not-verify"
	case NotAvailable:
	}
	return "not-available"
}

// MarshalText returns the name.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Result is what a verifier answered.
type Result struct {
	Answer Answer
	// Detail says in a few words what it is based on, for people.
	Detail string
	// Status and Code are the HTTP status and the FSPIOP error code of the
	// first answer; 0 and "" without one.
	Status int
	Code   string
}

// Request is a probe.
type Request struct {
	// Client makes the connection. A redirect is an answer, not followed.
	Client *http.Client
	// URL is where the FSPIOP API of the verifier starts: http://host:4000.
	URL string
	// Resource is what is posted to; "" means quotes, which every SDK serves.
	Resource string
	// Key signs, as Source. Destination is the FSP id of the verifier; it may
	// be empty.
	Key                 *jws.PrivateKey
	Source, Destination string
}

// Probe posts to /quotes of a verifier and says which key it holds.
func Probe(ctx context.Context, client *http.Client, baseURL string, key *jws.PrivateKey, source, destination string, now time.Time) (Result, error) {
	return Request{Client: client, URL: baseURL, Key: key, Source: source, Destination: destination}.Send(ctx, now)
}

// The bodies. The second is signed in the place of the first to make a
// signature that is wrong.
var (
	body      = []byte(`{"probe":1}`)
	otherBody = []byte(`{"probe":2}`)
)

// contentTypes are tried in this order until the verifier knows one. There is no
// Accept header: it is optional, and one more list of versions to fit.
var contentTypes = []string{
	"application/vnd.interoperability.%s+json;version=1.0",
	"application/vnd.interoperability.%s+json;version=1.1",
	"application/vnd.interoperability.%s+json;version=2.0",
	"application/vnd.interoperability.iso20022.%s+json;version=2.0",
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

const invalidSignature = "3105"

// Send probes. A verifier that cannot be reached or answers something else is
// NotAvailable; the error is for a probe that cannot be made, and for a context
// that is done.
func (r Request) Send(ctx context.Context, now time.Time) (Result, error) {
	if r.Resource == "" {
		r.Resource = "quotes"
	}
	if r.Key == nil {
		return Result{}, errors.New("make a probe: there is no key to sign with")
	}
	target, err := url.Parse(r.URL)
	if err != nil {
		return Result{}, fmt.Errorf("make a probe: %w", err)
	}
	target = target.JoinPath(r.Resource)
	var got answer
	used := ""
	for _, contentType := range contentTypes {
		used = fmt.Sprintf(contentType, r.Resource)
		if got, err = r.post(ctx, target, used, body, now); err != nil {
			return unavailable(ctx, err)
		}
		if !got.aboutHeaders() {
			break
		}
	}
	result := Result{Status: got.status, Code: got.code, Detail: got.String()}
	switch {
	case got.code == invalidSignature && strings.Contains(got.description, "not available"):
		result.Answer = HoldsNone
		return result, nil
	case got.code == invalidSignature:
		result.Answer = HoldsAnother
		if r.Key.Algorithm() == jws.ES256 {
			// sdk-standard-components up to 17 knows RS256 alone.
			result.Detail += "; adapters with an old SDK refuse every ES256 signature"
		}
		return result, nil
	case got.code == "" || got.status >= http.StatusInternalServerError || got.aboutHeaders():
		return result, nil
	}
	control, err := r.post(ctx, target, used, otherBody, now)
	switch {
	case err != nil:
		return unavailable(ctx, err)
	case control.code == invalidSignature:
		result.Answer = Holds
	case control.code == got.code:
		result.Answer = DoesNotVerify
		result.Detail = "a wrong signature got the same answer as a right one: " + got.String()
	default:
		result.Detail = fmt.Sprintf("the answers contradict each other: %s; %s", got, control)
	}
	return result, nil
}

// unavailable is the result where there is no answer at all.
func unavailable(ctx context.Context, err error) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // the URL of a forwarded port says nothing
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return Result{Detail: "no answer in time"}, nil
	}
	return Result{Detail: err.Error()}, nil
}

// answer is what came back.
type answer struct {
	status            int
	code, description string
}

// String is the answer for people: what the other side wrote, made printable
// and cut.
func (a answer) String() string {
	if a.code == "" {
		return fmt.Sprintf("HTTP %d without an FSPIOP error code", a.status)
	}
	const most = 160
	description := a.description
	if len(description) > most {
		description = strings.ToValidUTF8(description[:most], "") + "…"
	}
	text := fmt.Sprintf("%q", description)
	return fmt.Sprintf("HTTP %d, FSPIOP %s %s", a.status, a.code, strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`))
}

// aboutHeaders tells that the verifier stopped at the headers: it does not know
// the version of the API, or the syntax of Content-Type.
func (a answer) aboutHeaders() bool {
	return a.code == "3001" || a.code == "3101" || a.status == http.StatusUnsupportedMediaType || a.status == http.StatusNotAcceptable
}

// post sends the body with a signature over the one given.
func (r Request) post(ctx context.Context, target *url.URL, contentType string, signedBody []byte, now time.Time) (answer, error) {
	date := now.UTC().Format(http.TimeFormat)
	path := "/" + r.Resource
	signed, err := r.Key.Sign(jws.Request{
		Method: http.MethodPost, URI: path, Source: r.Source, Destination: r.Destination, Date: date, Body: signedBody,
	})
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(jws.HeaderDate, date)
	req.Header.Set(jws.HeaderSource, r.Source)
	if r.Destination != "" {
		req.Header.Set(jws.HeaderDestination, r.Destination)
	}
	req.Header.Set(jws.HeaderURI, path)
	req.Header.Set(jws.HeaderMethod, http.MethodPost)
	req.Header.Set(jws.HeaderSignature, signed.Header)
	client := *r.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	var fspiop struct {
		ErrorInformation struct {
			ErrorCode        any    `json:"errorCode"` // a number in some versions
			ErrorDescription string `json:"errorDescription"`
		} `json:"errorInformation"`
	}
	got := answer{status: resp.StatusCode}
	if err := json.Unmarshal(text, &fspiop); err == nil && fspiop.ErrorInformation.ErrorCode != nil {
		got.code = fmt.Sprint(fspiop.ErrorInformation.ErrorCode)
		got.description = fspiop.ErrorInformation.ErrorDescription
	}
	return got, nil
}
