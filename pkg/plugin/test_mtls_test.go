package plugin

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	// above are the certificates up to the root, without it.
	above [][]byte
}

func newTestKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newAuthority makes a root, or with a parent an intermediate.
func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	a := &authority{key: newTestKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	signer, issuer := crypto.Signer(a.key), template
	if parent != nil {
		signer, issuer = parent.key, parent.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, a.key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if parent != nil {
		a.above = append([][]byte{der}, parent.above...)
	}
	return a
}

// issue makes a certificate that tweak may change.
func (a *authority) issue(t *testing.T, name string, tweak func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	return a.issueFor(t, name, newTestKey(t), tweak)
}

func (a *authority) issueFor(t *testing.T, name string, key crypto.Signer, tweak func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().AddDate(0, 0, -30), NotAfter: time.Now().AddDate(0, 0, 90),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if tweak != nil {
		tweak(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: append([][]byte{der}, a.above...), PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// files writes a certificate with its key, and the CA of a server.
func files(t *testing.T, cert *tls.Certificate, ca *authority) (certFile, keyFile, caFile string) {
	t.Helper()
	dir := t.TempDir()
	save := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if cert != nil {
		var chain bytes.Buffer
		for _, der := range cert.Certificate {
			_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der})
		}
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		certFile = save("client.crt", chain.String())
		keyFile = save("client.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	}
	return certFile, keyFile, save("ca.crt", ca.pem())
}

// serveTLS runs a server with a configuration.
func serveTLS(t *testing.T, config *tls.Config, handler http.HandlerFunc) (url string) {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = config
	server.EnableHTTP2 = false
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// runMTLS runs the command and returns its document.
func runMTLS(t *testing.T, args ...string) (*mtlsAnswer, Code) {
	t.Helper()
	stdout, stderr, code := run(t, append([]string{"test", "mtls", "-o", "json"}, args...)...)
	a := &mtlsAnswer{}
	if err := json.Unmarshal([]byte(stdout), a); err != nil {
		t.Fatalf("%v in %q (stderr %q)", err, stdout, stderr)
	}
	return a, code
}

func (a *mtlsAnswer) check(t *testing.T, id string) diagnosis {
	t.Helper()
	for _, d := range a.Checks {
		if d.ID == id {
			return d
		}
	}
	t.Fatalf("there is no check %q", id)
	return diagnosis{}
}

func TestMTLS(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Hub CA", nil)
	middle := newAuthority(t, "Hub Issuing CA", root)
	clients := newAuthority(t, "Client CA", nil)
	good := root.issue(t, "hub.example", nil)
	client := clients.issue(t, "perffsp-1", nil)
	mutual := func(cert tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool()}
	}
	tweaked := func(c *tls.Config, tweak func(*tls.Config)) *tls.Config {
		tweak(c)
		return c
	}
	ending := func(days int) tls.Certificate {
		return root.issue(t, "hub.example", func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, days).Add(time.Hour) })
	}
	weakKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := root.issueFor(t, "hub.example", weakKey, nil)
	selfSigned := func() tls.Certificate {
		a := &authority{key: newTestKey(t), cert: &x509.Certificate{Subject: pkix.Name{CommonName: "hub.example"}}}
		key := a.key
		return a.issueFor(t, "hub.example", key, func(c *x509.Certificate) { c.Issuer = c.Subject })
	}()
	incomplete := middle.issue(t, "hub.example", nil)
	incomplete.Certificate = incomplete.Certificate[:1]

	tests := []struct {
		name    string
		config  *tls.Config
		handler http.HandlerFunc
		args    []string
		// without shows no certificate of ours.
		without bool
		want    Code
		// checks that are not passed, with what they say.
		not map[string]string
	}{
		{name: "mutual", config: mutual(good), want: Good},
		{
			name: "mutual, TLS 1.2", config: tweaked(mutual(good), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), want: Good,
		},
		{
			name: "TLS 1.2 where 1.3 is asked for", config: mutual(good), args: []string{"--min-tls", "1.3"}, want: Findings,
			not: map[string]string{"old-versions-refused": "the server speaks TLS 1.2"},
		},
		{
			name: "mutual, from outside", config: mutual(good), without: true, want: Good,
			not: map[string]string{"own-certificate-accepted": "no --cert", "own-certificate-valid": "no --cert"},
		},
		{
			name: "one-way", config: &tls.Config{Certificates: []tls.Certificate{good}}, want: Findings,
			not: map[string]string{
				"certificate-required": "without a certificate the request got HTTP 200", "own-certificate-accepted": "does not ask",
				"stranger-refused": "does not ask",
			},
		},
		{
			name: "one-way, TLS 1.2", config: &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, without: true, want: Findings,
			not: map[string]string{
				"certificate-required": "its TLS is one-way", "own-certificate-accepted": "", "own-certificate-valid": "", "stranger-refused": "",
			},
		},
		{
			name: "asks but does not insist", config: tweaked(mutual(good), func(c *tls.Config) { c.ClientAuth = tls.VerifyClientCertIfGiven }), want: Findings,
			not: map[string]string{"certificate-required": "does not insist"},
		},
		{
			name: "takes any certificate", config: tweaked(mutual(good), func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), want: Findings,
			not: map[string]string{"stranger-refused": "with a certificate that no CA of the server signed the request got HTTP 200"},
		},
		{
			name: "takes any certificate, from outside", without: true, want: Findings,
			config: tweaked(mutual(good), func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }),
			not:    map[string]string{"stranger-refused": "HTTP 200", "own-certificate-accepted": "", "own-certificate-valid": ""},
		},
		{
			name: "old versions", config: tweaked(mutual(good), func(c *tls.Config) {
				c.MinVersion = tls.VersionTLS10
				for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
					c.CipherSuites = append(c.CipherSuites, s.ID)
				}
			}), want: Findings,
			not: map[string]string{"old-versions-refused": "the server speaks TLS 1.0 and TLS 1.1"},
		},
		{
			name: "expired", config: mutual(ending(-3)), want: Findings,
			not: map[string]string{"certificates-valid": "CN=hub.example has expired on "},
		},
		{
			name: "ends in three days", config: mutual(ending(3)), want: Findings,
			not: map[string]string{"certificates-valid": "CN=hub.example expires in 3 days, on "},
		},
		{
			name: "ends in twenty days", config: mutual(ending(20)), want: Good,
			not: map[string]string{"certificates-valid": "CN=hub.example expires in 20 days, on "},
		},
		{
			name: "not valid yet", want: Findings,
			config: mutual(root.issue(t, "hub.example", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })),
			not:    map[string]string{"certificates-valid": "is not valid before"},
		},
		{
			name: "wrong name", config: mutual(good), args: []string{"--server-name", "bank.example"}, want: Findings,
			not: map[string]string{"name-matches": `asked for "bank.example", the certificate is for hub.example, 127.0.0.1`},
		},
		{
			name: "no names", want: Findings,
			config: mutual(root.issue(t, "hub.example", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil })),
			not:    map[string]string{"name-matches": "has no names, only the subject CN=hub.example"},
		},
		{name: "the other name", config: mutual(good), args: []string{"--server-name", "hub.example"}, want: Good},
		{
			name: "self-signed", config: mutual(selfSigned), want: Findings,
			not: map[string]string{"chain-trusted": "CN=hub.example is self-signed"},
		},
		{name: "chain of three", config: mutual(middle.issue(t, "hub.example", nil)), want: Good},
		{
			name: "incomplete chain", config: mutual(incomplete), want: Findings,
			not: map[string]string{"chain-trusted": "the chain ends with CN=hub.example: that of its issuer, CN=Hub Issuing CA, is neither sent nor what"},
		},
		{
			name: "other CA", config: mutual(func() tls.Certificate {
				other := newAuthority(t, "Other CA", nil)
				c := other.issue(t, "hub.example", nil)
				c.Certificate = append(c.Certificate, other.cert.Raw)
				return c
			}()), want: Findings,
			not: map[string]string{"chain-trusted": "the chain ends with the CA CN=Other CA, which is not what"},
		},
		{
			name: "CA of the same name", config: mutual(newAuthority(t, "Hub CA", nil).issue(t, "hub.example", nil)), want: Findings,
			not: map[string]string{"chain-trusted": "the chain ends with CN=hub.example"},
		},
		{
			name: "certificate for clients", want: Findings,
			config: mutual(root.issue(t, "hub.example", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
			not:    map[string]string{"chain-trusted": "incompatible key usage"},
		},
		{
			name: "weak key", config: mutual(weak), want: Findings,
			not: map[string]string{"keys-strong": "the key of CN=hub.example has 1024 bits"},
		},
		{
			name: "CA that does not know us", want: Findings,
			config: tweaked(mutual(good), func(c *tls.Config) { c.ClientCAs = root.pool() }),
			not:    map[string]string{"own-certificate-accepted": "the server refused: "},
		},
		{
			name: "refused in HTTP as nginx does", want: Good,
			config: tweaked(mutual(good), func(c *tls.Config) { c.ClientAuth = tls.VerifyClientCertIfGiven }),
			handler: func(w http.ResponseWriter, r *http.Request) {
				if len(r.TLS.PeerCertificates) == 0 {
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, "<center>No required SSL certificate was sent</center>")
				}
			},
		},
		{
			name: "refused in HTTP with 403", want: Good,
			config: tweaked(mutual(good), func(c *tls.Config) { c.ClientAuth = tls.VerifyClientCertIfGiven }),
			handler: func(w http.ResponseWriter, r *http.Request) {
				if len(r.TLS.PeerCertificates) == 0 {
					w.WriteHeader(http.StatusForbidden)
				}
			},
		},
		{
			name: "403 for everybody, from outside", without: true, want: Incomplete,
			config:  &tls.Config{Certificates: []tls.Certificate{good}},
			handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
			not: map[string]string{
				"certificate-required": "which may have another reason", "own-certificate-accepted": "", "own-certificate-valid": "", "stranger-refused": "",
			},
		},
		{
			name: "403 for everybody", want: Findings,
			config:  &tls.Config{Certificates: []tls.Certificate{good}},
			handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
			not: map[string]string{
				"certificate-required": "HTTP 403", "own-certificate-accepted": "", "stranger-refused": "",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := serveTLS(t, tt.config, tt.handler)
			certFile, keyFile, caFile := files(t, &client, root)
			args := append([]string{"--url", url, "--ca", caFile}, tt.args...)
			if !tt.without {
				args = append(args, "--cert", certFile, "--key", keyFile)
			}
			a, code := runMTLS(t, args...)
			if code != tt.want {
				t.Errorf("got code %d, want %d: %+v", code, tt.want, a.Checks)
			}
			if len(a.Checks) != len(mtlsTests) {
				t.Errorf("got %d checks, want %d", len(a.Checks), len(mtlsTests))
			}
			for _, d := range a.Checks {
				want, not := tt.not[d.ID]
				reasons := strings.Join(d.Reasons, "; ")
				if (d.Status != statusPassed) != not || !strings.Contains(reasons, want) {
					t.Errorf("%s: got %s (%s), want it to pass: %v, with %q", d.ID, d.Status, reasons, !not, want)
				}
			}
			if len(a.Notes) != 1 || a.Notes[0] != behindSidecar {
				t.Errorf("got notes %q, want the one on port-forward", a.Notes)
			}
		})
	}
}

func TestMTLSDescribesTheServer(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Hub CA", nil)
	cert := newAuthority(t, "Hub Issuing CA", root).issue(t, "hub.example", func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, 47).Add(time.Hour) })
	clients := newAuthority(t, "Client CA", nil)
	url := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool()}, nil)
	_, _, caFile := files(t, nil, root)
	a, _ := runMTLS(t, "--url", url, "--ca", caFile)
	if a.Kind != kindTestResult || a.Test != "mtls" || a.Version != "TLS 1.3" || a.Cipher == "" || !a.AsksForCertificate {
		t.Errorf("got %+v, want a TestResult of mtls with TLS 1.3", a)
	}
	if len(a.AcceptedIssuers) != 1 || a.AcceptedIssuers[0] != "CN=Client CA" {
		t.Errorf("got accepted issuers %q, want CN=Client CA", a.AcceptedIssuers)
	}
	if len(a.Chain) != 2 || a.Chain[0].DaysLeft != 47 || a.Chain[0].Subject != "CN=hub.example" || a.Chain[0].Issuer != "CN=Hub Issuing CA" || !a.Chain[1].IsCA {
		t.Errorf("got chain %+v, want hub.example with 47 days, and its issuer", a.Chain)
	}
	stdout, _, code := run(t, "test", "mtls", "--url", url, "--ca", caFile, "--color=never")
	for _, want := range []string{"speaks TLS 1.3, ", "SUBJECT ", "CN=hub.example ", "√ a client without a certificate is refused", "8 passed, 2 skipped", "note: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got table\n%s\nwant %q in it", stdout, want)
		}
	}
	if code != Good {
		t.Errorf("got code %d, want %d", code, Good)
	}
	stdout, _, _ = run(t, "test", "mtls", "--url", url, "--ca", caFile, "-o", "yaml")
	if err := yaml.UnmarshalStrict([]byte(stdout), &mtlsAnswer{}); err != nil {
		t.Error(err)
	}
}

func TestMTLSWithoutTLS(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct{ name, url, want string }{
		{"plain HTTP", strings.Replace(plain.URL, "http:", "https:", 1), "does not look like a TLS handshake"},
		{"nobody", "https://" + closed.Addr().String(), "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, code := runMTLS(t, "--url", tt.url)
			d := a.check(t, "connected")
			if code != Failed || d.Status != statusFailed || !strings.Contains(strings.Join(d.Reasons, " "), tt.want) {
				t.Errorf("got code %d and %+v, want %d and %q", code, d, Failed, tt.want)
			}
		})
	}
}

func TestMTLSTimeout(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a, code := runMTLS(t, "--url", "https://"+silent.Addr().String(), "--timeout", "50ms")
	if code != TimedOut || a.Error == "" {
		t.Errorf("got code %d and error %q, want %d", code, a.Error, TimedOut)
	}
}

// TestMTLSClosedWithoutAlert covers servers that end the connection of who has
// no certificate without saying why.
func TestMTLSClosedWithoutAlert(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Hub CA", nil)
	clients := newAuthority(t, "Client CA", nil)
	cert := root.issue(t, "hub.example", nil)
	client := clients.issue(t, "perffsp-1", nil)
	url := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert},
		func(w http.ResponseWriter, r *http.Request) {
			if len(r.TLS.PeerCertificates) == 1 && r.TLS.PeerCertificates[0].CheckSignatureFrom(clients.cert) == nil {
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*tls.Conn).NetConn().Close()
			}
		})
	certFile, keyFile, caFile := files(t, &client, root)
	a, code := runMTLS(t, "--url", url, "--ca", caFile, "--cert", certFile, "--key", keyFile)
	if code != Good {
		t.Errorf("with a certificate: got code %d, want %d: %+v", code, Good, a.Checks)
	}
	a, code = runMTLS(t, "--url", url, "--ca", caFile)
	if d := a.check(t, "certificate-required"); code != Incomplete || d.Status != statusUnknown || !strings.Contains(d.Hint, "--cert") {
		t.Errorf("without one: got code %d and %+v, want %d and unknown", code, d, Incomplete)
	}
}

func TestMTLSInput(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Hub CA", nil)
	one, two := root.issue(t, "one", nil), root.issue(t, "two", nil)
	cert1, key1, ca := files(t, &one, root)
	_, key2, _ := files(t, &two, root)
	open := filepath.Join(t.TempDir(), "open.key")
	text, err := os.ReadFile(key1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, text, 0o644); err != nil {
		t.Fatal(err)
	}
	const url = "https://127.0.0.1:1"
	tests := []struct {
		name string
		args []string
		want Code
		says string
	}{
		{"no URL", nil, Usage, "--url https://HOST:PORT"},
		{"plain URL", []string{"--url", "http://user:secret@a:1"}, Usage, `there is no TLS in "http"`},
		{"no host", []string{"--url", "https:///x"}, Usage, "which host?"},
		{"no certificate", []string{"--url", url, "--key", key1}, Usage, "--key goes with --cert"},
		{"no key", []string{"--url", url, "--cert", cert1}, Usage, "--cert goes with --key"},
		{"unknown version", []string{"--url", url, "--min-tls", "1.1"}, Usage, `unknown TLS version "1.1"`},
		{"timeout", []string{"--url", url, "--timeout", "0s"}, Usage, "--timeout 0s"},
		{"no such file", []string{"--url", url, "--cert", cert1, "--key", "nowhere"}, Failed, "nowhere"},
		{"key of another", []string{"--url", url, "--cert", cert1, "--key", key2}, Failed, "private key does not match public key"},
		{"key for a certificate", []string{"--url", url, "--cert", key1, "--key", key1}, Failed, "failed to find"},
		{"CA without certificate", []string{"--url", url, "--ca", key1}, Failed, "holds no certificate in PEM"},
		{"key that others may read", []string{"--url", url, "--cert", cert1, "--key", open, "--ca", ca}, Failed, "chmod 600 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, format := range []string{formatJSON, formatTable} {
				stdout, stderr, code := run(t, append([]string{"test", "mtls", "-o", format}, tt.args...)...)
				if code != tt.want || !strings.Contains(stderr, tt.says) {
					t.Errorf("%s: got code %d and stderr %q, want %d and %q", format, code, stderr, tt.want, tt.says)
				}
				if strings.Contains(stdout+stderr, "secret") || strings.Contains(stdout+stderr, "PRIVATE") {
					t.Errorf("%s: a secret came out: %q %q", format, stdout, stderr)
				}
				if format == formatJSON && !json.Valid([]byte(stdout)) {
					t.Errorf("got stdout %q, want a document", stdout)
				}
			}
		})
	}
}

// TestMTLSShowsNoControlCharacters covers a server that puts escape sequences
// into its certificate.
func TestMTLSShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "CA", nil)
	cert := root.issue(t, "hub.example", func(c *x509.Certificate) { c.Subject.CommonName = "\x1b[31mhub" })
	url := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}}, nil)
	for _, format := range []string{formatTable, formatYAML, formatJSON} {
		stdout, stderr, _ := run(t, "test", "mtls", "--url", url, "-o", format)
		if strings.Contains(stdout+stderr, "\x1b") || !strings.Contains(stdout, "hub") {
			t.Errorf("%s: got %q", format, stdout+fmt.Sprint(stderr))
		}
	}
}
