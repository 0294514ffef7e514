package plugin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// outcome of an attempt to speak to a TLS server.
type tlsOutcome string

// The outcomes.
const (
	tlsAnswered tlsOutcome = "answered" // a request got an HTTP answer
	tlsRefused  tlsOutcome = "refused"  // an alert, or an answer that asks for a certificate
	tlsClosed   tlsOutcome = "closed"   // the end of the connection without a word
	tlsSilent   tlsOutcome = "silent"   // nothing came in time
	tlsFailed   tlsOutcome = "failed"   // no TLS, or this side gave up
)

// tlsAttempt is what came of one connection.
type tlsAttempt struct {
	outcome tlsOutcome
	// reached tells that the server agreed on a version and showed its
	// certificates; state is set then.
	reached bool
	state   tls.ConnectionState
	// asked tells that the server asked for a certificate; names are the CAs
	// that it wants it from.
	asked bool
	names [][]byte
	// status is that of the HTTP answer.
	status int
	// err is what ended the attempt; nil when answered.
	err error
}

// sentence says how the attempt ended.
func (a *tlsAttempt) sentence() string {
	switch a.outcome {
	case tlsAnswered:
		return fmt.Sprintf("the request got HTTP %d", a.status)
	case tlsRefused:
		if a.status != 0 {
			return fmt.Sprintf("the request got HTTP %d, which asks for a certificate", a.status)
		}
		return "the server refused: " + alertText(a.err)
	case tlsClosed:
		return "the server closed the connection without an alert"
	case tlsSilent:
		return "the server did not answer in time"
	case tlsFailed:
	}
	return a.err.Error()
}

func alertText(err error) string {
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Err != nil {
		err = remote.Err
	}
	return strings.TrimPrefix(err.Error(), "tls: ")
}

const (
	// attemptTimeout bounds one attempt.
	attemptTimeout = 8 * time.Second
	// patience is how long an attempt listens before it sends, so that an
	// alert is not lost: who gets data after closing answers with a reset.
	patience = time.Second
)

// tlsTry is what an attempt shows and speaks. The zero value shows no
// certificate.
type tlsTry struct {
	certificate *tls.Certificate
	// version is the only one to speak; 0 is any from 1.2.
	version uint16
	// listen waits before it sends.
	listen bool
}

// try connects once more, listening first, when the end came without a word.
func (o *TestMTLSOptions) try(ctx context.Context, t tlsTry) tlsAttempt {
	a := o.tryOnce(ctx, t)
	if a.outcome == tlsClosed && a.reached {
		t.listen = true
		return o.tryOnce(ctx, t)
	}
	return a
}

func (o *TestMTLSOptions) tryOnce(ctx context.Context, t tlsTry) tlsAttempt {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	var a tlsAttempt
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return a.ended(err)
	}
	defer func() { _ = raw.Close() }()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	conn := tls.Client(raw, o.config(t, &a))
	if err := conn.HandshakeContext(ctx); err != nil {
		a = a.ended(err)
	} else {
		a.state = conn.ConnectionState()
		a = o.request(conn, t, a)
	}
	if ctx.Err() != nil && a.outcome != tlsAnswered {
		a.outcome = tlsSilent // the connection was closed here
	}
	return a
}

// request asks for the URL: only an answer shows that a TLS 1.3 server has
// accepted the client.
func (o *TestMTLSOptions) request(conn *tls.Conn, t tlsTry, a tlsAttempt) tlsAttempt {
	in := bufio.NewReader(conn)
	if t.listen {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, err := in.Peek(1)
		if timeout, ok := errors.AsType[net.Error](err); err != nil && (!ok || !timeout.Timeout()) {
			return a.ended(err)
		}
		_ = conn.SetReadDeadline(time.Time{})
	}
	_, writeErr := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\nConnection: close\r\n\r\n",
		o.URL.RequestURI(), o.URL.Host, binary)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		if writeErr != nil && errors.Is(err, io.EOF) {
			err = writeErr
		}
		return a.ended(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a.outcome, a.status = tlsAnswered, resp.StatusCode
	const mostOfBody = 4 << 10
	body, _ := io.ReadAll(io.LimitReader(resp.Body, mostOfBody))
	if asksForCertificate(resp.StatusCode, body) {
		a.outcome = tlsRefused
	}
	return a
}

// asksForCertificate knows the answers with which nginx and others refuse a
// client after a handshake that they let pass.
func asksForCertificate(status int, body []byte) bool {
	const nginxBad, nginxNone = 495, 496
	return status == nginxBad || status == nginxNone ||
		status == http.StatusBadRequest && bytes.Contains(body, []byte("SSL certificate"))
}

// config trusts everybody: what the server shows is judged afterwards, so that
// a wrong certificate does not hide what else is wrong.
func (o *TestMTLSOptions) config(t tlsTry, a *tlsAttempt) *tls.Config {
	c := &tls.Config{
		ServerName:         o.ServerName,
		InsecureSkipVerify: true, //nolint:gosec // see above
		MinVersion:         tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			a.reached, a.state = true, state
			return nil
		},
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			a.asked, a.names = true, info.AcceptableCAs
			if t.certificate == nil {
				return &tls.Certificate{}, nil
			}
			return t.certificate, nil
		},
	}
	if t.version != 0 {
		c.MinVersion, c.MaxVersion = t.version, t.version
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			c.CipherSuites = append(c.CipherSuites, suite.ID) // old versions speak old ones only
		}
	}
	return c
}

// ended tells apart how a connection can end.
func (a tlsAttempt) ended(err error) tlsAttempt {
	a.err = err
	remote, isOp := errors.AsType[*net.OpError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isOp && remote.Op == "remote error":
		a.outcome = tlsRefused
	case isNet && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		a.outcome = tlsSilent
	case isClosed(err):
		a.outcome = tlsClosed
	default:
		a.outcome = tlsFailed
	}
	return a
}

// isClosed tells that the other side ended the connection. By its text it is
// found on every system.
func isClosed(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "connection reset") || strings.Contains(text, "broken pipe") || strings.Contains(text, "forcibly closed") ||
		strings.Contains(text, "aborted")
}

// stranger makes a certificate that bears the names of the client and of its
// CA, but is signed by nobody that the server knows: who compares names only
// is taken in.
func (o *TestMTLSOptions) stranger(names [][]byte) (*tls.Certificate, error) {
	subject, _ := pkixName("mojasec test")
	issuer, _ := pkixName("mojasec test CA")
	if len(names) > 0 {
		issuer = names[0]
	}
	template := &x509.Certificate{}
	if o.Certificate != nil {
		template = o.Certificate.Leaf
		subject, issuer = template.RawSubject, template.RawIssuer
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	from, until := o.Now.Add(-time.Hour), o.Now.Add(time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: issuer, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), RawSubject: subject, NotBefore: from, NotAfter: until,
		DNSNames: template.DNSNames, URIs: template.URIs, EmailAddresses: template.EmailAddresses, IPAddresses: template.IPAddresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	ca.Subject = pkix.Name{}
	parsed, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parsed, key.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}, nil
}

// tlsObservation is all that is asked of an endpoint.
type tlsObservation struct {
	// main is the attempt with the certificate of this side, if there is one.
	main tlsAttempt
	// without shows no certificate, stranger one that nobody signed.
	without, stranger tlsAttempt
	strangerErr       error
	// old are the attempts with versions below the least that is allowed.
	old map[uint16]tlsAttempt
}

// observe makes the connections.
func (o *TestMTLSOptions) observe(ctx context.Context) *tlsObservation {
	seen := &tlsObservation{old: map[uint16]tlsAttempt{}}
	seen.main = o.try(ctx, tlsTry{certificate: o.Certificate})
	if !seen.main.reached {
		return seen
	}
	seen.without = seen.main
	if o.Certificate != nil {
		seen.without = o.try(ctx, tlsTry{})
	}
	if seen.main.asked {
		stranger, err := o.stranger(seen.main.names)
		if err != nil {
			seen.strangerErr = err
		} else {
			seen.stranger = o.try(ctx, tlsTry{certificate: stranger})
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		if version < o.MinVersion {
			seen.old[version] = o.try(ctx, tlsTry{certificate: o.Certificate, version: version})
		}
	}
	return seen
}

func pkixName(commonName string) ([]byte, error) {
	return marshalName(pkix.Name{CommonName: commonName})
}
