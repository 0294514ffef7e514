package plugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy/report"
)

// TestJWSFlags are what was typed.
type TestJWSFlags struct {
	AllDFSPs    bool
	Peers       []string
	URL         string
	Key         string
	Source      string
	Destination string
	Resource    string
	Port        int
	Cert        string
	KeyTLS      string
	CA          string
	Colour      string

	keysFlags
}

// TestJWSOptions are what Run needs.
type TestJWSOptions struct {
	// Targets are whose keys are tried; AllDFSPs are all that sign. None with a
	// Key and a Source of their own.
	Targets  []Target
	AllDFSPs bool
	// Peers are who is asked; nil are all others.
	Peers []Target
	// URL is the one endpoint to ask in place of pods.
	URL string
	// Key is that of a file; nil is the one in the cluster.
	Key                           *jws.PrivateKey
	Source, Destination, Resource string
	// Port is where pods take messages; 0 is what their settings say.
	Port int
	// Certificate and Roots are for verifiers with a TLS server of their own.
	Certificate *tls.Certificate
	Roots       *x509.CertPool
	Report      report.Options

	*keysOptions
}

// NewCmdTestJWS returns the command that asks verifiers which key they hold.
func NewCmdTestJWS(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestJWSFlags{keysFlags: newKeysFlags(streams), Colour: colourAuto}
	cmd := &cobra.Command{
		Use:   "jws dfsp/ID|hub|deploy/NAME… [flags]",
		Short: "Prove which keys running verifiers hold; sign and verify messages",
		Long: `Prove that what running pods hold in memory is what the Secrets say. A Mojaloop
adapter reads the public keys of its peers when it starts, and does not always
see that a mounted Secret has changed.

Each pod that verifies gets a message in the name of the target, signed with its
current private key, which is read from its Secret into the memory of this
program. The message is a quote request without content: a pod that holds the key
refuses it for what is missing (FSPIOP error 3102), another one for its signature
(3105). One more message, with a signature that is wrong, tells pods that verify
from those that accept anything. Nothing else comes of it but lines in their logs.

Pods are reached through the API server, which needs the right to create
pods/portforward. With --url one endpoint is asked, also outside the cluster.

What the pods of the target itself sign with cannot be asked: it shows in the
messages that they send. The command says which of them started before the key
was changed.

Exit codes: 0 every verifier holds the current key; 1 no key, or no cluster;
2 one holds another key, none, or does not verify; 3 one could not be asked;
64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # does everybody hold the current key of perffsp-1?
  kubectl mojasec test jws dfsp/perffsp-1 -n mojaloop

  # of all DFSPs, in all namespaces
  kubectl mojasec test jws --all-dfsps -A

  # does one peer?
  kubectl mojasec test jws dfsp/perffsp-1 --peers dfsp/perffsp-2

  # an endpoint outside of the cluster, with a key from a file
  kubectl mojasec test jws dfsp/perffsp-1 --key perffsp-1.key --url https://bank.example:4000 \
    --cert client.crt --key-tls client.key --ca bank-ca.crt`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{targetDFSP, targetHub, targetDeployment}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && len(nearest(args[0], []string{"sign", "verify"})) > 0 {
				return unknownCommand(cmd, args[0])
			}
			o, err := flags.ToOptions(args)
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
	fs.BoolVar(&flags.AllDFSPs, "all-dfsps", false, "try the keys of all DFSPs that sign")
	fs.StringSliceVar(&flags.Peers, "peers", nil, "ask these `TARGETS` only (default all others that verify)")
	fs.StringVar(&flags.URL, "url", "", "ask the one endpoint at this `URL`")
	fs.StringVar(&flags.Key, "key", "", "`FILE` with the private key (default: the one in the cluster)")
	fs.StringVar(&flags.Source, "source", "", "FSP `ID` that the key belongs to (default that of the target)")
	fs.StringVar(&flags.Destination, "destination", "", "with --url: FSP `ID` of the endpoint")
	fs.StringVar(&flags.Resource, "resource", "", "FSPIOP `RESOURCE` to post to (default quotes; of hub services their own)")
	fs.IntVar(&flags.Port, "port", 0, "`PORT` on which pods take messages (default what their settings say)")
	fs.StringVar(&flags.Cert, "cert", "", "client certificate `FILE` for verifiers with mutual TLS of their own (PEM)")
	fs.StringVar(&flags.KeyTLS, "key-tls", "", "`FILE` with its private key (PEM)")
	fs.StringVar(&flags.CA, "ca", "", "`FILE` with the CA of these verifiers (PEM)")
	fs.StringVar(&flags.Colour, "color", flags.Colour, "`WHEN` to use colours: auto, always or never")
	flags.addTo(cmd, fs, formatTable, formatJSON, formatYAML)
	fs.Lookup("filename").Hidden = true
	complete(cmd, "color", colourAuto, colourAlways, colourNever)
	cmd.AddCommand(NewCmdTestJWSSign(streams), NewCmdTestJWSVerify(streams))
	return cmd
}

// ToOptions makes sense of what was typed and reads the files.
func (f *TestJWSFlags) ToOptions(args []string) (*TestJWSOptions, error) {
	here := displayName + " test jws"
	colours := []string{colourAuto, colourAlways, colourNever}
	targets, err := ParseTargets(args)
	if err != nil {
		return nil, err
	}
	peers, err := ParseTargets(slices.DeleteFunc(f.Peers, func(p string) bool { return p == "all" }))
	if err != nil {
		return nil, err
	}
	alone := f.URL != "" && f.Key != "" && f.Source != ""
	switch {
	case !slices.Contains(colours, f.Colour):
		return nil, unknown("value of --color", f.Colour, colours)
	case len(f.Filenames) > 0:
		return nil, &usageError{message: "-f: what pods hold cannot be read from manifests"}
	case f.AllDFSPs && len(targets) > 0:
		return nil, &usageError{message: "--all-dfsps and targets: want one of them"}
	case !f.AllDFSPs && len(targets) == 0 && !alone:
		return nil, &usageError{message: "whose key? name a target, " + targetForms, next: here + " dfsp/ID"}
	case f.Key == "-":
		return nil, &usageError{message: "--key -: a private key is read from a file only"}
	case f.Key != "" && (f.AllDFSPs || len(targets) > 1):
		return nil, &usageError{message: "--key has the key of one target: name one"}
	case f.Key != "" && f.Source == "" && (len(targets) != 1 || targets[0].Kind != TargetDFSP):
		return nil, &usageError{message: "whose key is in the file of --key? name the FSP with --source"}
	case f.Source != "" && f.Key == "":
		return nil, &usageError{message: "--source goes with --key: give both"}
	case f.URL != "" && len(peers) > 0:
		return nil, &usageError{message: "--url asks one endpoint, --peers names others: want one of them"}
	case f.Destination != "" && f.URL == "":
		return nil, &usageError{message: "--destination goes with --url: pods are known by their settings"}
	case f.URL != "" && !isAbsoluteURL(f.URL):
		return nil, &usageError{message: fmt.Sprintf("--url %q: want http://HOST:PORT or https://HOST:PORT", shownURL(f.URL))}
	case f.Port < 0 || f.Port > 65535:
		return nil, &usageError{message: fmt.Sprintf("--port %d: want 1 to 65535", f.Port)}
	case (f.Cert == "") != (f.KeyTLS == ""):
		return nil, &usageError{message: "--cert and --key-tls go together: a certificate and its private key"}
	}
	keys, err := f.toOptions(formatTable, formatJSON, formatYAML)
	if err != nil {
		return nil, err
	}
	o := &TestJWSOptions{
		Targets: targets, AllDFSPs: f.AllDFSPs, Peers: peers, URL: f.URL, Source: f.Source, Destination: f.Destination,
		Resource: f.Resource, Port: f.Port, keysOptions: keys,
	}
	if o.Source == "" && f.Key != "" {
		o.Source = targets[0].Name
	}
	if f.Key != "" {
		if o.Key, err = readSigningKey(f.Key, f.ErrOut); err != nil {
			return nil, err
		}
	}
	if f.Cert != "" {
		if o.Certificate, err = readKeyPair(fileFlag{"--cert", f.Cert}, fileFlag{"--key-tls", f.KeyTLS}, f.ErrOut); err != nil {
			return nil, err
		}
	}
	if f.CA != "" {
		if o.Roots, err = readRoots(f.CA); err != nil {
			return nil, err
		}
	}
	forTerminal(&o.Report, f.Out, f.Colour)
	return o, nil
}

// Run asks and returns the verdict.
func (o *TestJWSOptions) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	answer, err := o.test(ctx)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return orAnswer(o.Out, o.Output, "jws", readable(err))
	}
	if err := o.write(answer); err != nil {
		return err
	}
	return answer.verdict()
}

// test finds out whose keys are tried and who is asked, and asks.
func (o *TestJWSOptions) test(ctx context.Context) (*jwsAnswer, error) {
	answer := &jwsAnswer{answerHead: newAnswerHead("jws"), Sources: []*jwsSource{}, Verifiers: []*jwsVerifier{}, Summary: map[status]int{}}
	var read *keysRead
	var pods []*corev1.Pod
	if o.Key == nil || o.URL == "" {
		var err error
		if read, err = o.read(ctx); err != nil {
			return nil, err
		}
		answer.Unread = read.unread
		if pods, err = o.livePods(ctx); err != nil {
			return nil, err
		}
	}
	if err := o.findSources(ctx, answer, read); err != nil {
		return nil, err
	}
	var jobs []*probeJob
	for _, source := range answer.Sources {
		switch {
		case source.key == nil:
		case o.URL != "":
			jobs = append(jobs, o.endpointJob(source))
		default:
			jobs = append(jobs, o.podJobs(source, pods, read.snap)...)
		}
	}
	o.ask(ctx, jobs)
	for _, j := range jobs {
		answer.Verifiers = append(answer.Verifiers, j.verifier)
	}
	if read != nil && o.Key == nil {
		o.noteSigners(answer, pods, read.snap)
	}
	answer.count()
	return answer, nil
}

// endpointJob asks the endpoint of --url.
func (o *TestJWSOptions) endpointJob(source *jwsSource) *probeJob {
	v := &jwsVerifier{Name: shownURL(o.URL), Source: source.FSP, Key: source.Key, DFSP: o.Destination, target: source.target()}
	return &probeJob{
		verifier: v, source: source, url: o.URL, resource: o.Resource, destination: o.Destination,
		client: o.endpointClient(),
	}
}

const (
	// probeTimeout bounds the two messages to one verifier.
	probeTimeout = 15 * time.Second
	// parallelProbes is how many verifiers are asked at a time.
	parallelProbes = 8
)
