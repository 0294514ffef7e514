package plugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy/report"
)

// TestMTLSFlags are what was typed.
type TestMTLSFlags struct {
	URL           string
	Cert, Key, CA string
	ServerName    string
	MinTLS        string
	Timeout       time.Duration
	Output        string
	Colour        string

	genericiooptions.IOStreams
}

// TestMTLSOptions are what Run needs.
type TestMTLSOptions struct {
	// URL is what is asked for after each handshake.
	URL *url.URL
	// Address is host:port of it.
	Address string
	// ServerName is the name to find in the certificate.
	ServerName string
	// Certificate is what this side shows; nil without one.
	Certificate *tls.Certificate
	// Roots are trusted; nil are those of the system. RootsFrom says which.
	Roots     *x509.CertPool
	RootsFrom string
	// MinVersion is the oldest TLS version that the server may speak.
	MinVersion uint16
	Timeout    time.Duration
	Output     string
	Report     report.Options
	Now        time.Time

	genericiooptions.IOStreams
}

// tlsVersions are the versions of --min-tls.
var tlsVersions = []struct {
	name    string
	version uint16
}{{"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}

// NewCmdTestMTLS returns the command that tries a TLS endpoint.
func NewCmdTestMTLS(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestMTLSFlags{MinTLS: tlsVersions[0].name, Timeout: 30 * time.Second, Output: formatTable, Colour: colourAuto, IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "mtls --url https://HOST[:PORT] [--cert FILE --key FILE] [--ca FILE] [flags]",
		Short: "Prove that an endpoint insists on mutual TLS",
		Long: `Prove that an endpoint insists on mutual TLS: its certificates (chain, names, days
left), the TLS versions it speaks, and that it refuses who shows no certificate,
or one of a stranger that bears the right names.

With TLS 1.3 a server refuses a client only after the handshake. So each attempt
sends a request (GET of the URL) and waits for an answer.

A connection through kubectl port-forward enters a pod behind its sidecar: it
proves nothing about mutual TLS in the mesh (STRICT). Name the endpoint as its
peers do, from where they are; for the mesh see kubectl mojasec verify.

Exit codes: 0 all is well, warnings included; 1 no TLS connection, or a file
cannot be read; 2 a client without a good certificate was accepted, or another
test failed; 3 a test has no clear result; 64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # as a peer that has a certificate
  kubectl mojasec test mtls --url https://hub.example:443 --cert client.crt --key client.key --ca hub-ca.crt

  # as a stranger
  kubectl mojasec test mtls --url https://hub.example --ca hub-ca.crt

  # when do the certificates end?
  kubectl mojasec test mtls --url https://hub.example -o json | jq '.chain[] | {subject, daysLeft}'`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if err != nil {
				if _, ok := errors.AsType[*usageError](err); ok {
					return err
				}
				return orAnswer(streams.Out, flags.Output, testName(cmd), err)
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.URL, "url", "", "https `URL` of the endpoint")
	fs.StringVar(&flags.Cert, "cert", "", "`FILE` with the client certificate, and those between it and its CA (PEM)")
	fs.StringVar(&flags.Key, "key", "", "`FILE` with its private key (PEM)")
	fs.StringVar(&flags.CA, "ca", "", "`FILE` with the CA of the server (PEM; default those of this system)")
	fs.StringVar(&flags.ServerName, "server-name", "", "`NAME` to ask for and to find in the certificate (default that of the URL)")
	fs.StringVar(&flags.MinTLS, "min-tls", flags.MinTLS, "oldest TLS `VERSION` that the server may speak: 1.2 or 1.3")
	fs.DurationVar(&flags.Timeout, "timeout", flags.Timeout, "give up after this `TIME`")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "`FORMAT`: table, json or yaml")
	fs.StringVar(&flags.Colour, "color", flags.Colour, "`WHEN` to use colours: auto, always or never")
	complete(cmd, "output", formatTable, formatJSON, formatYAML)
	complete(cmd, "color", colourAuto, colourAlways, colourNever)
	complete(cmd, "min-tls", "1.2", "1.3")
	completeWith(cmd, "url", cobra.NoFileCompletions)
	return cmd
}

// ToOptions makes sense of what was typed and reads the files.
func (f *TestMTLSFlags) ToOptions() (*TestMTLSOptions, error) {
	formats, colours := []string{formatTable, formatJSON, formatYAML}, []string{colourAuto, colourAlways, colourNever}
	here := displayName + " test mtls"
	var minVersion uint16
	var names []string
	for _, v := range tlsVersions {
		names = append(names, v.name)
		if v.name == f.MinTLS {
			minVersion = v.version
		}
	}
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case !slices.Contains(colours, f.Colour):
		return nil, unknown("value of --color", f.Colour, colours)
	case minVersion == 0:
		return nil, unknown("TLS version", f.MinTLS, names)
	case f.URL == "":
		return nil, &usageError{message: "which endpoint? name it with --url", next: here + " --url https://HOST:PORT"}
	case f.Cert == "" && f.Key != "":
		return nil, &usageError{message: "--key goes with --cert: give both"}
	case f.Cert != "" && f.Key == "":
		return nil, &usageError{message: "--cert goes with --key: give both"}
	case f.Timeout <= 0:
		return nil, &usageError{message: fmt.Sprintf("--timeout %s: want a time from now on, for example 30s", f.Timeout)}
	}
	o := &TestMTLSOptions{MinVersion: minVersion, Timeout: f.Timeout, Output: f.Output, Now: time.Now(), IOStreams: f.IOStreams}
	if err := o.parseURL(f.URL); err != nil {
		return nil, err
	}
	o.ServerName = f.ServerName
	if o.ServerName == "" {
		o.ServerName = o.URL.Hostname()
	}
	if f.Cert != "" {
		pair, err := readKeyPair(fileFlag{"--cert", f.Cert}, fileFlag{"--key", f.Key}, f.ErrOut)
		if err != nil {
			return nil, err
		}
		o.Certificate = pair
	}
	o.RootsFrom = "this system trusts"
	if f.CA != "" {
		roots, err := readRoots(f.CA)
		if err != nil {
			return nil, err
		}
		o.Roots, o.RootsFrom = roots, visible(f.CA)+" has"
	}
	forTerminal(&o.Report, f.Out, f.Colour)
	return o, nil
}

func (o *TestMTLSOptions) parseURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return &usageError{message: fmt.Sprintf("--url %q: no URL", shownURL(text))}
	case u.Scheme != "https":
		return &usageError{message: fmt.Sprintf("--url %q: want https://HOST:PORT; there is no TLS in %q", shownURL(text), visible(u.Scheme))}
	case u.Hostname() == "":
		return &usageError{message: fmt.Sprintf("--url %q: which host?", shownURL(text))}
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	u.User = nil // a password has no business in an answer
	o.URL, o.Address = u, net.JoinHostPort(u.Hostname(), port)
	return nil
}

// readKeyPair reads a certificate with its private key. No error has any of it.
func readKeyPair(certFile, keyFile fileFlag, warnings io.Writer) (*tls.Certificate, error) {
	certs, err := certFile.read()
	if err != nil {
		return nil, fmt.Errorf("read the client certificate: %w", err)
	}
	key, err := keyFile.readPrivate(warnings)
	if err != nil {
		return nil, fmt.Errorf("read the key of the client certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certs, key)
	if err != nil {
		return nil, fmt.Errorf("use %s with %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// readRoots reads the CA certificates of the file of --ca.
func readRoots(name string) (*x509.CertPool, error) {
	file := fileFlag{"--ca", name}
	text, err := file.read()
	if err != nil {
		return nil, fmt.Errorf("read the CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the CA: %s holds no certificate in PEM", file)
	}
	return roots, nil
}

// Run tries the endpoint and returns the verdict.
func (o *TestMTLSOptions) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, context.DeadlineExceeded)
	defer cancel()
	seen := o.observe(ctx)
	err := context.Cause(ctx)
	// Connections have the same deadline, and may see it a moment earlier.
	if end, ok := ctx.Deadline(); ok && err == nil && !time.Now().Before(end) {
		err = context.DeadlineExceeded
	}
	if err != nil && seen.main.reached {
		err = fmt.Errorf("test %s: the tests after the first connection did not end in time: %w", o.Address, err)
	} else if err != nil {
		err = fmt.Errorf("connect to %s: %w", o.Address, err)
	}
	if err != nil {
		return orAnswer(o.Out, o.Output, "mtls", err)
	}
	answer := o.judge(seen)
	if err := o.write(answer); err != nil {
		return err
	}
	if !seen.main.reached {
		return exit(Failed)
	}
	codes := []Code{Good}
	for _, d := range answer.Checks {
		switch d.Status {
		case statusFailed:
			codes = append(codes, Findings)
		case statusUnknown:
			codes = append(codes, Incomplete)
		case statusPassed, statusWarning, statusSkipped:
		}
	}
	return exit(codes...)
}
