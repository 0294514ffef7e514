package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// TestJWSVerifyFlags are what was typed.
type TestJWSVerifyFlags struct {
	Keys    string
	Headers string
	Body    string
	Method  string
	URI     string
	Output  string

	genericiooptions.IOStreams
}

// TestJWSVerifyOptions are what Run needs.
type TestJWSVerifyOptions struct {
	// Keys is a directory of <fsp>.pem files. Headers and Body are files, "-" is
	// standard input; Body is "" when it stands with the headers.
	Keys, Headers, Body string
	// Method and URI are those of the request line; "" when only the headers are
	// at hand.
	Method, URI string
	Output      string

	genericiooptions.IOStreams
}

// NewCmdTestJWSVerify returns the command that verifies a message.
func NewCmdTestJWSVerify(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestJWSVerifyFlags{Output: formatTable, IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "verify --keys DIR --headers FILE|- [--body FILE|-] [flags]",
		Short: "Verify the signature of a message, and say why it fails",
		Long: `Verify the signature of a message as Mojaloop does, and say which peers accept it,
or why nobody does.

--headers takes what is at hand: a JSON object of headers, as they stand in logs;
header lines; a whole HTTP request with its body; or what sign prints. The body
must be the bytes as received: an editor that adds a line break does no harm, one
that changes a number does.

--keys is a directory of <fsp>.pem files, as verifiers mount it; kubectl mojasec
keys export-public writes one.

Peers with an older SDK refuse some signatures that newer ones accept, and the
other way round: the answer says so.

Exit codes: 0 the signature is good, if only for some peers; 1 something cannot be
read; 2 it does not verify; 64 usage; 130 interrupted.`,
		Example: `  # headers from a log, body from a file
  kubectl mojasec test jws verify --keys verification-keys --headers headers.json --body body.json

  # a request as it was on the wire
  kubectl mojasec test jws verify --keys verification-keys --headers request.http

  # in a script
  kubectl mojasec test jws verify --keys verification-keys --headers request.http -o json | jq .rule`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.Keys, "keys", "", "`DIR` with the public keys: <fsp>.pem")
	fs.StringVar(&flags.Headers, "headers", "", "`FILE` with the headers; - is standard input")
	fs.StringVar(&flags.Body, "body", "", "`FILE` with the body as received; - is standard input (default: with the headers)")
	fs.StringVar(&flags.Method, "method", "", "HTTP `METHOD` of the request (default that of the headers)")
	fs.StringVar(&flags.URI, "uri", "", "`URI` of the request (default that of the headers)")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "`FORMAT`: table, json or yaml")
	complete(cmd, "output", formatTable, formatJSON, formatYAML)
	completeWith(cmd, "keys", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *TestJWSVerifyFlags) ToOptions() (*TestJWSVerifyOptions, error) {
	formats := []string{formatTable, formatJSON, formatYAML}
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case f.Keys == "":
		return nil, &usageError{message: "whose keys? name the directory of public keys with --keys"}
	case f.Headers == "":
		return nil, &usageError{message: "which message? name the file of its headers with --headers; - is standard input"}
	case f.Headers == "-" && f.Body == "-":
		return nil, &usageError{message: "--headers - and --body -: standard input is one of them only"}
	}
	return &TestJWSVerifyOptions{
		Keys: f.Keys, Headers: f.Headers, Body: f.Body, Method: f.Method, URI: f.URI, Output: f.Output, IOStreams: f.IOStreams,
	}, nil
}

// verifyAnswer is the document of -o json.
type verifyAnswer struct {
	answerHead
	// Verified tells that at least one generation of peers accepts the message.
	Verified bool   `json:"verified"`
	Source   string `json:"source,omitempty"`
	// Key is the fingerprint of the public key of the source.
	Key string `json:"key,omitempty"`
	// Form says which text of the body is signed, Accepts in words who accepts
	// that.
	Form          string `json:"form,omitempty"`
	Accepts       string `json:"accepts,omitempty"`
	AcceptedByNew bool   `json:"acceptedByNew"`
	AcceptedByOld bool   `json:"acceptedByOld"`
	// Rule is what the message breaks, Code the FSPIOP error with which
	// Mojaloop answers it, Detail the reason.
	Rule   string `json:"rule,omitempty"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
	// StricterThanSDK tells that Mojaloop would not refuse the message.
	StricterThanSDK bool     `json:"stricterThanSDK,omitempty"`
	Notes           []string `json:"notes,omitempty"`
}

// Run verifies and returns the verdict.
func (o *TestJWSVerifyOptions) Run(ctx context.Context) error {
	answer, err := o.verify(ctx)
	if err != nil {
		return orAnswer(o.Out, o.Output, "jws verify", err)
	}
	if o.Output == formatTable {
		_, err = io.WriteString(o.Out, answer.text())
	} else {
		err = writeAnswer(o.Out, o.Output, answer)
	}
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	if !answer.Verified {
		return exit(Findings)
	}
	return nil
}

// verify reads the message and the key of its source.
func (o *TestJWSVerifyOptions) verify(ctx context.Context) (*verifyAnswer, error) {
	text, err := readInput(ctx, fileFlag{"--headers", o.Headers}, o.In)
	if err != nil {
		return nil, fmt.Errorf("read the headers: %w", err)
	}
	m, err := parseMessage(text)
	if err != nil {
		return nil, fmt.Errorf("read the headers: %s: %w", visible(o.Headers), err)
	}
	switch {
	case o.Body != "":
		if m.body, err = readInput(ctx, fileFlag{"--body", o.Body}, o.In); err != nil {
			return nil, fmt.Errorf("read the body: %w", err)
		}
	case m.body == nil:
		return nil, errors.New("read the body: it does not stand with the headers; name its file with --body")
	}
	if o.Method != "" {
		m.method = o.Method
	}
	if o.URI != "" {
		m.uri = o.URI
	}
	keys, err := readVerificationKeys(o.Keys)
	if err != nil {
		return nil, err
	}
	return verifyMessage(m, keys), nil
}

// verifyMessage says what a verifier with these keys would do.
func verifyMessage(m *message, keys *peerKeys) *verifyAnswer {
	a := &verifyAnswer{answerHead: newAnswerHead("jws verify")}
	request, signature, err := jws.Received(m.headers, m.body)
	a.Source = visible(request.Source)
	if err == nil {
		request.Method, request.URI = m.method, m.uri
		for _, given := range []struct{ what, value, flag string }{{"method", m.method, "--method"}, {"URI", m.uri, "--uri"}} {
			if given.value == "" {
				a.Notes = append(a.Notes, fmt.Sprintf("the %s is that of the headers: give that of the request with %s to compare them", given.what, given.flag))
			}
		}
		var form jws.Form
		if broken, ok := keys.broken[request.Source]; ok {
			err = &jws.Error{Rule: jws.KeyMissing, Detail: broken}
		} else {
			if key := keys.good[request.Source]; key != nil {
				a.Key = key.Fingerprint().String()
			}
			form, err = keys.good.Verify(request, signature)
		}
		if err == nil {
			a.Form, a.Accepts = form.String(), form.Accepts()
			a.AcceptedByNew, a.AcceptedByOld = form.AcceptedByNew(), form.AcceptedByOld()
			a.Verified = a.AcceptedByNew || a.AcceptedByOld
			return a
		}
	}
	a.Detail = visible(err.Error())
	if refused, ok := errors.AsType[*jws.Error](err); ok {
		a.Rule, a.Code, a.Detail, a.StricterThanSDK = string(refused.Rule), refused.Code(), visible(refused.Detail), refused.StricterThanSDK
	}
	return a
}

// text is the answer for people.
func (a *verifyAnswer) text() string {
	var b strings.Builder
	key := ""
	if a.Key != "" {
		const short = 8
		key = " with key " + a.Key[:short]
	}
	switch {
	case a.AcceptedByNew && a.AcceptedByOld:
		fmt.Fprintf(&b, "the signature of %s verifies%s: %s\n", a.Source, key, a.Accepts)
	case a.Form != "":
		fmt.Fprintf(&b, "the signature of %s verifies%s, but %s\n", a.Source, key, a.Accepts)
	default:
		fmt.Fprintf(&b, "the signature does not verify: %s\n  rule         %s\n", a.Detail, a.Rule)
		if a.StricterThanSDK {
			b.WriteString("  FSPIOP code  none: Mojaloop's SDK does not see this\n")
		} else {
			fmt.Fprintf(&b, "  FSPIOP code  %s\n", a.Code)
		}
	}
	for _, note := range a.Notes {
		b.WriteString("note: " + note + "\n")
	}
	return b.String()
}

// peerKeys are what a directory holds. A file that is no key is a fault only
// of who signs with it, as in the SDK.
type peerKeys struct {
	good   jws.Keys
	broken map[string]string
}

// verificationDir returns the folder with the public keys: DIR of generate jws
// --out DIR stands for the one in it.
func verificationDir(dir string) string {
	inner := filepath.Join(dir, dirVerification)
	if files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.pem")); err != nil || len(files) > 0 {
		return dir
	}
	if info, err := os.Stat(inner); err != nil || !info.IsDir() {
		return dir
	}
	return inner
}

// readVerificationKeys reads the <fsp>.pem files of the directory of --keys.
func readVerificationKeys(dir string) (*peerKeys, error) {
	dir = verificationDir(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the public keys: %w", fileFlag{"--keys", dir}.explain(err))
	}
	keys := &peerKeys{good: jws.Keys{}, broken: map[string]string{}}
	for _, e := range entries {
		fsp, ok := strings.CutSuffix(e.Name(), ".pem")
		if !ok || fsp == "" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(path) //nolint:gosec // named by the user
		if err != nil {
			return nil, fmt.Errorf("read the public keys: %w", err)
		}
		key, err := jws.ParsePublicKey(text)
		if err != nil {
			keys.broken[fsp] = fmt.Sprintf("%s is of no use: %v", visible(path), err)
			continue
		}
		keys.good[fsp] = key
	}
	if len(keys.good)+len(keys.broken) == 0 {
		return nil, fmt.Errorf("read the public keys: %s has no file <fsp>.pem", visible(dir))
	}
	return keys, nil
}
