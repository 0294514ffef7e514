package plugin

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/pkg/plugin/forward"
	"github.com/mojasec/mojasec/pkg/plugin/probe"
	"github.com/mojasec/mojasec/pkg/policy"
)

// jwsAnswer is the document of -o json.
type jwsAnswer struct {
	answerHead
	Sources   []*jwsSource   `json:"sources"`
	Verifiers []*jwsVerifier `json:"verifiers"`
	Summary   map[status]int `json:"summary"`
	Unread    []unreadPart   `json:"unread,omitempty"`
	Notes     []string       `json:"notes,omitempty"`
}

// jwsVerifier is who was asked, and the answer.
type jwsVerifier struct {
	// Name is namespace/pod, or a URL.
	Name      string `json:"name"`
	Container string `json:"container,omitempty"`
	DFSP      string `json:"dfsp,omitempty"`
	Component string `json:"component,omitempty"`
	// Source and Key are whose key it was asked about.
	Source string `json:"source"`
	Key    string `json:"key"`
	// Answer is one of holds, holds-another, holds-none, does-not-verify,
	// not-available; "" for one that was not asked.
	Answer string `json:"answer,omitempty"`
	// Mounted is the fingerprint of the key that is mounted for the source, in
	// the object MountedFrom.
	Mounted     string `json:"mounted,omitempty"`
	MountedFrom string `json:"mountedFrom,omitempty"`
	Status      status `json:"status"`
	// Holds says in a word what it has in memory, Reason what is wrong.
	Holds  string `json:"holds"`
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`

	restart, file, target string
	presence              policy.Presence
	external              bool
}

func (v *jwsVerifier) notAvailable(reason, hint string) {
	v.Status, v.Holds, v.Reason, v.Hint = statusUnknown, "not available", visible(reason), hint
}

func (v *jwsVerifier) skip(reason string) {
	v.Status, v.Holds, v.Reason = statusSkipped, "not asked", reason
}

func (v *jwsVerifier) fail(holds, reason, hint string) {
	v.Status, v.Holds, v.Reason, v.Hint = statusFailed, holds, visible(reason), hint
}

// probeJob is one verifier to ask.
type probeJob struct {
	verifier *jwsVerifier
	source   *jwsSource
	// pod is nil for an endpoint, which has a client instead.
	pod                        *corev1.Pod
	client                     *http.Client
	url, resource, destination string
}

// ask asks those of whom nothing is known yet, several at a time.
func (o *TestJWSOptions) ask(ctx context.Context, jobs []*probeJob) {
	slots := make(chan struct{}, parallelProbes)
	var wg sync.WaitGroup
	for _, j := range jobs {
		if j.verifier.Status != "" {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			o.askOne(ctx, j)
		})
	}
	wg.Wait()
}

func (o *TestJWSOptions) askOne(ctx context.Context, j *probeJob) {
	within, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if j.client == nil {
		pod, err := forward.NewPod(o.config, j.pod.Namespace, j.pod.Name)
		if err != nil {
			j.verifier.notAvailable(err.Error(), "")
			return
		}
		defer func() { _ = pod.Close() }()
		transport := pod.Transport()
		transport.TLSClientConfig = o.podTLS()
		j.client = &http.Client{Transport: transport}
	}
	result, err := probe.Request{
		Client: j.client, URL: j.url, Resource: j.resource, Key: j.source.key, Source: j.source.FSP, Destination: j.destination,
	}.Send(within, time.Now())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		result.Detail = fmt.Sprintf("no answer within %s", probeTimeout)
	case err != nil:
		result.Detail = err.Error()
	}
	j.verifier.judge(result)
	j.client.CloseIdleConnections()
}

// judge compares what a verifier holds with what is mounted in it.
func (v *jwsVerifier) judge(r probe.Result) {
	v.Answer = r.Answer.String()
	current := v.Key[:8]
	switch r.Answer {
	case probe.Holds:
		v.Status, v.Holds = statusPassed, current
		switch {
		case v.Mounted != "" && v.Mounted != v.Key:
			v.fail(current, fmt.Sprintf("%s has another key, %s: the pod will not verify any more when it restarts", v.MountedFrom, v.Mounted[:8]),
				"write the current public key into it: "+displayName+" generate jws "+v.target+" --replace=public --apply")
		case v.MountedFrom == "" && v.presence == policy.Absent && v.file != "" && !v.external:
			v.fail(current, fmt.Sprintf("%s is not mounted any more: the pod will not verify when it restarts", v.file),
				"write the public key: "+displayName+" generate jws "+v.target+" --apply")
		}
	case probe.HoldsAnother:
		v.differs("not this key", r)
	case probe.HoldsNone:
		v.differs("no key of it", r)
	case probe.DoesNotVerify:
		v.fail("anything", "it accepts a signature that is wrong: it does not verify", "set VALIDATE_INBOUND_JWS=true and restart it")
	case probe.NotAvailable:
		hint := ""
		if strings.Contains(r.Detail, "pods/portforward") {
			hint = `ask for a role with {apiGroups: [""], resources: ["pods/portforward"], verbs: [get, create]}`
		}
		v.notAvailable(r.Detail, hint)
	}
}

// differs says why a verifier does not hold the current key.
func (v *jwsVerifier) differs(holds string, r probe.Result) {
	write := "write the public key: " + displayName + " generate jws " + targetDFSP + v.Source + " --replace=public --apply"
	switch {
	case v.Mounted == v.Key:
		v.fail(holds, fmt.Sprintf("%s has the current key, but the pod has not read it", v.MountedFrom), v.restart)
	case v.Mounted != "":
		v.fail(holds, fmt.Sprintf("%s has another key, %s", v.MountedFrom, v.Mounted[:8]), write)
	case v.external:
		v.fail(holds, "it gets its keys from the connection manager", "let the connection manager hand out the current key")
	case v.MountedFrom != "":
		v.fail(holds, fmt.Sprintf("%s of %s holds no key that could be read", v.file, v.MountedFrom), write)
	case v.file != "" && v.presence == policy.Absent:
		v.fail(holds, "no "+v.file+" is mounted in it", write)
	default:
		v.fail(holds, r.Detail, "hand the current public key to its operator: "+displayName+" keys export-public "+v.target)
	}
}

// podTLS is for pods with a TLS server of their own. The API server leads to the
// pod; its certificate is for the name that peers use, and only its CA is
// checked, where one was named.
func (o *TestJWSOptions) podTLS() *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // see above
	}
	if o.Certificate != nil {
		c.Certificates = []tls.Certificate{*o.Certificate}
	}
	if o.Roots != nil {
		c.VerifyConnection = func(state tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, cert := range state.PeerCertificates[1:] {
				between.AddCert(cert)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: o.Roots, Intermediates: between, CurrentTime: o.Now})
			return err
		}
	}
	return c
}

// endpointClient is for the endpoint of --url, whose name is checked.
func (o *TestJWSOptions) endpointClient() *http.Client {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}
	if o.Certificate != nil {
		c.Certificates = []tls.Certificate{*o.Certificate}
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c}}
}

func (a *jwsAnswer) count() {
	for s := range marks {
		a.Summary[s] = 0
	}
	for _, v := range a.Verifiers {
		a.Summary[v.Status]++
	}
}

// verdict is the exit code of an answer.
func (a *jwsAnswer) verdict() error {
	codes := []Code{Good}
	for _, s := range a.Sources {
		if s.Problem != "" {
			codes = append(codes, Incomplete)
		}
	}
	if len(a.Unread) > 0 || a.Summary[statusUnknown] > 0 || a.Summary[statusPassed]+a.Summary[statusFailed] == 0 {
		codes = append(codes, Incomplete)
	}
	if a.Summary[statusFailed] > 0 {
		codes = append(codes, Findings)
	}
	return exit(codes...)
}

func (o *TestJWSOptions) write(a *jwsAnswer) error {
	if o.Output != formatTable {
		return writeAnswer(o.Out, o.Output, a)
	}
	w := bufio.NewWriter(o.Out)
	for i, s := range a.Sources {
		if i > 0 {
			emit(w, "\n")
		}
		o.writeSource(w, a, s)
	}
	if len(a.Verifiers) > 0 {
		emit(w, "\n", tally(a.Summary), "\n")
	}
	for _, line := range unreadLines(a.Unread) {
		emit(w, line, "\n")
	}
	for _, note := range a.Notes {
		emit(w, "note: ", note, "\n")
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

func (o *TestJWSOptions) writeSource(w io.Writer, a *jwsAnswer, s *jwsSource) {
	if s.Problem != "" {
		emit(w, o.mark(statusUnknown), " ", visible(s.FSP), ": ", s.Problem, "\n")
		o.writeHint(w, s.Hint)
		return
	}
	emit(w, visible(s.FSP), " signs with key ", s.Key[:8], " (", s.Algorithm, ") from ", visible(s.From), "\n\n")
	rows := [][]string{{" ", "VERIFIER", "OF", "HOLDS", "MOUNTED"}}
	var list []*jwsVerifier
	for _, v := range a.Verifiers {
		if v.Source != s.FSP || v.Key != s.Key {
			continue
		}
		mounted := "-"
		if v.Mounted != "" {
			mounted = v.Mounted[:8]
		}
		of := v.DFSP
		if of == "" {
			of = v.Component
		}
		if of == "" {
			of = "-"
		}
		list = append(list, v)
		rows = append(rows, []string{o.mark(v.Status), v.Name, of, v.Holds, mounted})
	}
	if len(list) == 0 {
		emit(w, "nobody verifies its messages ", o.where(), "\n")
		return
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row[1:] {
			widths[i+1] = max(widths[i+1], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		var line strings.Builder
		line.WriteString(row[0])
		for k, cell := range row[1:] {
			line.WriteString(" " + cell + strings.Repeat(" ", widths[k+1]-utf8.RuneCountInString(cell)+1))
		}
		emit(w, strings.TrimRight(line.String(), " "), "\n")
		if i > 0 && list[i-1].Reason != "" {
			emit(w, "    ", list[i-1].Reason, "\n")
			o.writeHint(w, list[i-1].Hint)
		}
	}
}

func (o *TestJWSOptions) writeHint(w io.Writer, hint string) {
	if hint == "" {
		return
	}
	arrow := "→"
	if o.Report.ASCII {
		arrow = "->"
	}
	emit(w, "    ", arrow, " ", hint, "\n")
}

// mark is the sign of a status.
func (o *TestJWSOptions) mark(s status) string {
	sign := marks[s][0]
	if o.Report.ASCII {
		sign = marks[s][1]
	}
	if o.Report.Colour {
		sign = "\x1b[" + markColours[s] + "m" + sign + "\x1b[0m"
	}
	return sign
}
