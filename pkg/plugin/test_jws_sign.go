package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// formatCurl prints a command line.
const formatCurl = "curl"

// TestJWSSignFlags are what was typed.
type TestJWSSignFlags struct {
	Key         string
	Source      string
	Destination string
	Date        string
	NoDate      bool
	Method      string
	URI         string
	Body        string
	Output      string

	genericiooptions.IOStreams
}

// TestJWSSignOptions are what Run needs.
type TestJWSSignOptions struct {
	// Key and Body are files; a Body of "-" is standard input.
	Key, Body string
	// Request lacks its body.
	Request jws.Request
	// Output is "json", "yaml" or "curl". With the first two there is a document
	// in every outcome; empty is JSON for people, who read of failures on stderr.
	Output string

	genericiooptions.IOStreams
}

// NewCmdTestJWSSign returns the command that signs a message.
func NewCmdTestJWSSign(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestJWSSignFlags{Method: http.MethodPost, IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "sign --key FILE --source ID --uri URI --body FILE|- [flags]",
		Short: "Sign a message as Mojaloop does",
		Long: `Sign a message as Mojaloop does and print it: the headers to send, and the body.

Send the body that is printed, not the one of the file. It is the same JSON as
peers write it when they check the signature, and the only text of it that peers
of every version accept.

The private key is read from a file only. No part of it is printed.`,
		Example: `  # sign a quote request
  kubectl mojasec test jws sign --key perffsp-1.key --source perffsp-1 --destination perffsp-2 --uri /quotes --body quote.json

  # and send it
  kubectl mojasec test jws sign --key perffsp-1.key --source perffsp-1 --destination perffsp-2 \
    --uri http://127.0.0.1:4000/quotes --body quote.json -o curl | sh

  # what is signed can be verified
  kubectl mojasec test jws sign --key perffsp-1.key --source perffsp-1 --uri /quotes --body quote.json |
    kubectl mojasec test jws verify --keys verification-keys --headers -`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if err != nil {
				return err
			}
			return orAnswer(streams.Out, o.Output, testName(cmd), o.Run(cmd.Context()))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.Key, "key", "", "`FILE` with the private key of the source (PEM)")
	fs.StringVar(&flags.Source, "source", "", "FSP `ID` that sends (FSPIOP-Source)")
	fs.StringVar(&flags.Destination, "destination", "", "FSP `ID` that the message is for (FSPIOP-Destination; default none)")
	fs.StringVar(&flags.Date, "date", "", "`DATE` of the message, as in HTTP (default now)")
	fs.BoolVar(&flags.NoDate, "no-date", false, "send and sign no Date")
	fs.StringVar(&flags.Method, "method", flags.Method, "HTTP `METHOD`")
	fs.StringVar(&flags.URI, "uri", "", "`URI` of the message: a path such as /quotes, or the whole URL")
	fs.StringVar(&flags.Body, "body", "", "`FILE` with the body (JSON); - is standard input")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "`FORMAT`: json, yaml or curl (a command line that sends it; default json)")
	complete(cmd, "output", formatJSON, formatYAML, formatCurl)
	complete(cmd, "method", http.MethodPost, http.MethodPut, http.MethodPatch)
	completeWith(cmd, "body", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveFilterFileExt))
	for _, name := range []string{"source", "destination", "date", "uri"} {
		completeWith(cmd, name, cobra.NoFileCompletions)
	}
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *TestJWSSignFlags) ToOptions() (*TestJWSSignOptions, error) {
	formats := []string{formatJSON, formatYAML, formatCurl}
	switch {
	case f.Output != "" && !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case f.Key == "":
		return nil, &usageError{message: "which key? name the file with --key"}
	case f.Source == "":
		return nil, &usageError{message: "who sends? name the FSP with --source"}
	case f.URI == "":
		return nil, &usageError{message: "where to? name the path or URL with --uri, for example --uri /quotes"}
	case f.Body == "":
		return nil, &usageError{message: "which body? name the file with --body; - is standard input"}
	case f.Date != "" && f.NoDate:
		return nil, &usageError{message: "--date and --no-date: want one of them"}
	case f.Key == "-":
		return nil, &usageError{message: "--key -: a private key is read from a file only"}
	case f.Output == formatCurl && !isAbsoluteURL(f.URI):
		return nil, &usageError{message: fmt.Sprintf("-o curl: want the whole URL, got --uri %s", shownURL(f.URI))}
	case f.Output == formatCurl && resourceOf(f.URI) == "":
		return nil, &usageError{message: fmt.Sprintf("-o curl: --uri %s has no FSPIOP resource, such as /quotes or /transfers/ID: its content type is not known", shownURL(f.URI))}
	}
	date := f.Date
	switch {
	case f.NoDate:
	case date == "":
		date = time.Now().UTC().Format(http.TimeFormat)
	default:
		if _, err := http.ParseTime(date); err != nil {
			e := &usageError{message: fmt.Sprintf("--date %q: want a date as in HTTP, for example %q", visible(date), http.TimeFormat)}
			return nil, e
		}
	}
	return &TestJWSSignOptions{
		Key: f.Key, Body: f.Body, Output: f.Output, IOStreams: f.IOStreams,
		Request: jws.Request{Method: f.Method, URI: f.URI, Source: f.Source, Destination: f.Destination, Date: date},
	}, nil
}

func isAbsoluteURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// signedMessage is what is printed: the document of the two halves of a message
// that verify reads again.
type signedMessage struct {
	Headers orderedHeaders `json:"headers"`
	Body    string         `json:"body"`
}

// orderedHeaders are headers in the order in which they are printed.
type orderedHeaders []header

type header struct{ name, value string }

// MarshalJSON writes an object whose members keep their order.
func (h orderedHeaders) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, one := range h {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(one.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(one.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// Run signs and prints.
func (o *TestJWSSignOptions) Run(ctx context.Context) error {
	key, err := readSigningKey(o.Key, o.ErrOut)
	if err != nil {
		return err
	}
	r := o.Request
	if resourceOf(r.URI) == "" {
		_, _ = fmt.Fprintf(o.ErrOut, "warning: --uri %s has no FSPIOP resource, such as /quotes or /transfers/ID: peers hardly take it\n", shownURL(r.URI))
	}
	if r.Body, err = readInput(ctx, fileFlag{"--body", o.Body}, o.In); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	signed, err := key.Sign(r)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	m := signedMessage{Headers: headersOf(r, signed), Body: string(signed.Body)}
	if o.Output == formatCurl {
		if _, err := io.WriteString(o.Out, curl(r, m)); err != nil {
			return fmt.Errorf("print the command line: %w", err)
		}
		return nil
	}
	return writeAnswer(o.Out, o.Output, m)
}

// headersOf are the headers that the signature is about.
func headersOf(r jws.Request, signed jws.Signed) orderedHeaders {
	h := orderedHeaders{{jws.HeaderSource, r.Source}}
	if r.Destination != "" {
		h = append(h, header{jws.HeaderDestination, r.Destination})
	}
	if r.Date != "" {
		h = append(h, header{jws.HeaderDate, r.Date})
	}
	return append(h, header{jws.HeaderURI, signed.URI}, header{jws.HeaderMethod, signed.Method}, header{jws.HeaderSignature, signed.Header})
}

// resourceOf returns the FSPIOP resource of a URI, such as quotes. It is "" where
// the SDK finds none, and where it signs another text by an oddity: "/" of a path
// that ends in a slash, "//" and what follows of a URL.
func resourceOf(uri string) string {
	path, _ := jws.Resource(uri)
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if _, ok := jws.Resource("/" + name); !ok || name == "" {
		return ""
	}
	return name
}

// curl is a command line that sends a message as it was signed.
func curl(r jws.Request, m signedMessage) string {
	var b strings.Builder
	b.WriteString("curl --include --request " + quote(strings.ToUpper(r.Method)))
	contentType := fmt.Sprintf("application/vnd.interoperability.%s+json;version=1.0", resourceOf(r.URI))
	b.WriteString(" \\\n  --header 'Accept:'") // what curl would send, */*, is malformed to Mojaloop
	for _, h := range append(orderedHeaders{{"Content-Type", contentType}}, m.Headers...) {
		b.WriteString(" \\\n  --header " + quote(h.name+": "+h.value))
	}
	b.WriteString(" \\\n  --data-raw " + quote(m.Body) + " \\\n  " + quote(r.URI) + "\n")
	return b.String()
}

// readSigningKey reads the private key of --key. No error has any of it.
func readSigningKey(name string, warnings io.Writer) (*jws.PrivateKey, error) {
	file := fileFlag{"--key", name}
	text, err := file.readPrivate(warnings)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	key, err := jws.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %s: %w", file, err)
	}
	return key, nil
}

// maxInput is the longest message that is read, in bytes: more than any FSPIOP
// server takes.
const maxInput = 16 << 20

// readInput reads a file, or standard input for "-".
func readInput(ctx context.Context, file fileFlag, stdin io.Reader) ([]byte, error) {
	if file.name != stdinName {
		f, err := file.open()
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		text, err := readLimited(f)
		return text, file.explain(err)
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // a read of a terminal takes no context
		text, err := readLimited(stdin)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = errors.New("longer than 16 MiB")
	}
	return text, err
}
