package plugin

import (
	"errors"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/plugin/load"
)

// TestTransactionFlags are what was typed.
type TestTransactionFlags struct {
	URLs        []string
	Rate        float64
	For, WarmUp time.Duration
	Connections int
	Timeout     time.Duration

	Messages            []string
	Source, Destination string
	Payer, Payee        string
	Amount, Currency    string
	ResourceVersion     string

	Key        string
	SignAhead  bool
	ILPSecret  string
	ILPVersion string

	Cert, KeyTLS, CA string

	Layers   []string
	PeerPIDs []string

	CallbackListen   string
	CallbackWait     time.Duration
	VerificationKeys string

	Yes    bool
	Output string

	genericiooptions.IOStreams
}

// TestTransactionOptions are what Run needs.
type TestTransactionOptions struct {
	// Layers are sent one after the other.
	Layers []layerRun
	// Load has what all have in common.
	Load load.Options
	// Messages are those of a layer with JWS and ILP.
	Messages  load.FSPIOP
	SignAhead bool
	// CallbackListen is the address to take callbacks on; "" is none.
	CallbackListen string
	// CallbackWait is how long to wait for callbacks after the last message.
	CallbackWait time.Duration
	// Keys verify callbacks; nil does not.
	Keys jws.Keys
	// Hosts are those outside of this machine.
	Hosts []string

	Yes    bool
	Output string

	genericiooptions.IOStreams
}

// layer is what of the three protections a load has.
type layer struct {
	name           string
	mtls, jws, ilp bool
}

// layers in the order in which they are compared.
var layers = []layer{
	{name: "none"},
	{name: "mtls", mtls: true},
	{name: "jws", jws: true},
	{name: "ilp", ilp: true},
	{name: "all", mtls: true, jws: true, ilp: true},
}

func layerNames() []string {
	var names []string
	for _, l := range layers {
		names = append(names, l.name)
	}
	return names
}

// layerRun is the load of one layer.
type layerRun struct {
	layer

	urls []*url.URL
	pids []int
}

// NewCmdTestTransaction returns the command that sends signed traffic.
func NewCmdTestTransaction(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &TestTransactionFlags{
		Rate: 100, For: 30 * time.Second, WarmUp: 5 * time.Second, Connections: 64, Timeout: load.DefaultTimeout,
		Messages: []string{string(load.Quotes)}, Payer: "MSISDN/15550100", Payee: "MSISDN/15550101", Amount: "1", Currency: "USD",
		ResourceVersion: "1.0", ILPVersion: "1", CallbackWait: 10 * time.Second, Output: formatTable, IOStreams: streams,
	}
	cmd := &cobra.Command{
		Use:   "transaction --url URL --key FILE --source ID --destination ID [flags]",
		Short: "Send signed FSPIOP traffic at a steady rate, and measure",
		Long: `Send signed FSPIOP messages to a running adapter or hub at a steady rate, and
print how many failed, with which code, and how long the answers took. Latency
counts from the time a message was due: a peer that stalls shows all messages it
held up.

What is sent (--messages, in turn where several are given):

  quotes     POST /quotes: agrees on terms, reserves nothing (the default)
  callbacks  PUT /quotes/{id} and PUT /transfers/{id}: what a payee answers;
             whoever waits for none verifies the signature and drops them
  transfers  POST /transfers without a quote: a hub reserves money for it
  payments   POST /quotes, then POST /transfers with what the callback says;
             needs --callback-listen, and the peer must send callbacks there

THE MESSAGES LOOK REAL. Send them to systems for tests only. Every id begins with
` + load.IDPrefix + `, and every message says "mojasec-test" in its extension list. Unless
every URL is on this machine, --yes is needed.

--layers sends the same load once per layer and prints what each costs:

  none  plain HTTP, unsigned         mtls  mutual TLS (--cert, --key-tls, --ca)
  jws   signed                       ilp   a packet and condition per message
  all   mtls, jws and ilp

A peer that verifies refuses what is not signed, and a port speaks either TLS or
not: name one peer per layer, as in --url none=http://… --url jws=http://…. A URL
without a name is for the layers that have none.

Exit codes: 0 done; 1 error; 2 a message failed, or the rate was not held;
4 refused; 64 usage; 130 interrupted, with the result so far.`,
		Example: `  # 1000 signed quotes per second for a minute, to an adapter
  kubectl mojasec test transaction --url http://127.0.0.1:4000 --rate 1000 --for 60s \
    --key perffsp-1.key --source perffsp-1 --destination perffsp-2

  # several replicas in turn, and the result as JSON
  kubectl mojasec test transaction --url http://10.0.0.1:4000 --url http://10.0.0.2:4000 --yes \
    --key perffsp-1.key --source perffsp-1 --destination perffsp-2 -o json

  # what signatures cost
  kubectl mojasec test transaction --layers none,jws --messages callbacks --rate 500 \
    --url none=http://127.0.0.1:4000 --url jws=http://127.0.0.1:4100 \
    --key perffsp-1.key --source perffsp-1 --destination perffsp-2`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if _, isUsage := errors.AsType[*usageError](err); isUsage {
				return err
			}
			if err != nil {
				return orAnswer(streams.Out, flags.Output, testName(cmd), err)
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&flags.URLs, "url", nil, "base `URL` of a peer, or LAYER=URL; several are used in turn")
	fs.Float64Var(&flags.Rate, "rate", flags.Rate, "messages per second")
	fs.DurationVar(&flags.For, "for", flags.For, "how long to measure")
	fs.DurationVar(&flags.WarmUp, "warm-up", flags.WarmUp, "how long the rate rises before; failures count then, too")
	fs.IntVar(&flags.Connections, "connections", flags.Connections, "`NUMBER` of messages that may be under way at once")
	fs.DurationVar(&flags.Timeout, "timeout", flags.Timeout, "how long one message may take")
	fs.StringSliceVar(&flags.Messages, "messages", flags.Messages, "`KINDS` of messages: "+orList(kindNames()))
	fs.StringVar(&flags.Source, "source", "", "FSP `ID` that sends")
	fs.StringVar(&flags.Destination, "destination", "", "FSP `ID` that the messages are for")
	fs.StringVar(&flags.Key, "key", "", "`FILE` with the private key of the source (PEM)")
	fs.BoolVar(&flags.SignAhead, "sign-ahead", false, "make and sign all messages before the first is sent: an RSA signature takes 0.7 ms")
	fs.StringVar(&flags.Payer, "payer", flags.Payer, "`TYPE/ID` of the party that pays")
	fs.StringVar(&flags.Payee, "payee", flags.Payee, "`TYPE/ID` of the party that is paid")
	fs.StringVar(&flags.Amount, "amount", flags.Amount, "amount of every payment")
	fs.StringVar(&flags.Currency, "currency", flags.Currency, "`CURRENCY` of every payment")
	fs.StringVar(&flags.ResourceVersion, "resource-version", flags.ResourceVersion, "`VERSION` of the FSPIOP resources")
	fs.StringVar(&flags.ILPSecret, "ilp-secret-file", "", "`FILE` with the secret that makes packets (default a random one)")
	fs.StringVar(&flags.ILPVersion, "ilp-version", flags.ILPVersion, "1 or 4")
	fs.StringVar(&flags.Cert, "cert", "", "`FILE` with the client certificate for https URLs (PEM)")
	fs.StringVar(&flags.KeyTLS, "key-tls", "", "`FILE` with its private key (PEM)")
	fs.StringVar(&flags.CA, "ca", "", "`FILE` with the CA of the peer (PEM; default the system's)")
	fs.StringSliceVar(&flags.Layers, "layers", nil, "`LAYERS` to compare: "+orList(layerNames()))
	fs.StringArrayVar(&flags.PeerPIDs, "peer-pid", nil, "process `ID` of a peer on this machine, or LAYER=ID, to print its CPU time (Linux)")
	fs.StringVar(&flags.CallbackListen, "callback-listen", "", "`ADDRESS` such as 127.0.0.1:4500 to take callbacks on")
	fs.DurationVar(&flags.CallbackWait, "callback-wait", flags.CallbackWait, "how long to wait for callbacks after the last message")
	fs.StringVar(&flags.VerificationKeys, "keys", "", "`DIRECTORY` of <fsp>.pem files to verify callbacks with")
	fs.BoolVarP(&flags.Yes, "yes", "y", false, "send to other machines without asking")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "table, json or yaml")
	complete(cmd, "messages", kindNames()...)
	complete(cmd, "layers", layerNames()...)
	complete(cmd, "ilp-version", "1", "4")
	complete(cmd, "output", formatTable, formatJSON, formatYAML)
	completeWith(cmd, "keys", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	return cmd
}

func kindNames() []string {
	var names []string
	for _, k := range load.Kinds() {
		names = append(names, string(k))
	}
	return names
}
