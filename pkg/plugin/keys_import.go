package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
)

// KeysImportFlags are what was typed.
type KeysImportFlags struct {
	Private, Public string
	FSPID           string
	VerifiersIn     []string

	secretFlags
}

// KeysImportOptions are what Run needs.
type KeysImportOptions struct {
	// Private and Public are the files to read; one of them may be "".
	Private, Public string
	// HubName is what the hub calls itself; "" is for what its pods say.
	HubName string
	// VerifiersIn are further namespaces where the public half goes.
	VerifiersIn []string

	*secretOptions
}

// maxKeyFile is the longest file that is read as a key, in bytes.
const maxKeyFile = 1 << 20

// NewCmdKeysImport returns the command that takes over a key pair.
func NewCmdKeysImport(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &KeysImportFlags{secretFlags: newSecretFlags(streams)}
	cmd := &cobra.Command{
		Use:   "import TARGET (--private FILE|- | --public FILE) (--apply | -o yaml) [flags]",
		Short: "Take over a key pair, or the public half of a DFSP elsewhere",
		Long: `Take over a JWS key pair that was made elsewhere. The private half goes into the
Secret that the pods of the DFSP mount, the public half to the peers, as with
generate jws: the plan is shown first, what is there is replaced with --replace
only, and typing it twice changes nothing.

Before anything is written, the key must be one that the Mojaloop SDK can use, the
halves must belong together, and it must be neither published nor the key of
another participant.

With --public alone the peers get the key of a DFSP that signs outside of this
cluster: PEM or a certificate.

The private half is read from a file or from standard input, never from an
argument or a variable.

Exit codes: 0 done; 1 error; 3 something could not be read; 4 refused; 5 somebody
else wrote at the same time; 64 usage; 130 interrupted.`,
		Example: `  # a pair
  kubectl mojasec keys import dfsp/bank --private bank.key --public bank.pem -n mojaloop --apply

  # from a vault, without a file
  vault kv get -field=key jws/bank | kubectl mojasec keys import dfsp/bank --private - -n mojaloop --apply --yes

  # the public half of a DFSP that runs elsewhere
  kubectl mojasec keys import dfsp/otherbank --public otherbank.pem -n mojaloop --apply`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return readable(o.Run(cmd.Context()))
		},
	}
	flags.addTo(cmd)
	return cmd
}

func (f *KeysImportFlags) addTo(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.Private, "private", "", "`FILE` with the private half in PEM; - is standard input")
	fs.StringVar(&f.Public, "public", "", "`FILE` with the public half in PEM, or a certificate")
	fs.StringVarP(&f.Namespace, "namespace", "n", "", "`NAMESPACE` of the DFSP (default: that of the context)")
	fs.BoolVar(&f.Apply, "apply", false, "write the keys to the cluster, after a look at the plan")
	fs.StringVarP(&f.Output, "output", "o", "", "print manifests with the keys as yaml or json, and change nothing")
	fs.StringVar(&f.SealCert, "seal-cert", "", "with -o: seal the Secret for the Sealed Secrets controller with this certificate `FILE`")
	fs.StringVar(&f.SealScope, "seal-scope", f.SealScope, "`SCOPE` of the sealed Secret: "+orList(sealScopes()))
	fs.StringVar(&f.SecretName, "secret-name", "", "`NAME` of the Secret (default: the one that the pods mount, else that of the Profile)")
	fs.StringVar(&f.Profile, "profile", "", "with -o: `FILE` with the Profile to go by (default the built-in values)")
	fs.StringVar(&f.Replace, "replace", f.Replace, "replace `WHAT` is there: pair, or public for what the peers hold")
	fs.Lookup("replace").NoOptDefVal = string(replacePair)
	fs.StringVar(&f.FSPID, "fsp-id", "", "`ID` by which the hub signs (default: what its pods say, else "+defaultHubName+")")
	fs.StringSliceVar(&f.VerifiersIn, "verifiers-in", nil, "give the public half to the peers in this `NAMESPACE` too; with --apply")
	f.addWriteFlags(fs)
	f.cluster.addTo(fs)
	complete(cmd, "output", "yaml", "json")
	complete(cmd, "dry-run", dryRunNone, dryRunClient, dryRunServer)
	complete(cmd, "seal-scope", sealScopes()...)
	complete(cmd, "replace", replacements()...)
	for _, name := range []string{"private", "public", "seal-cert"} {
		completeWith(cmd, name, cobra.FixedCompletions([]string{"pem", "key", "crt"}, cobra.ShellCompDirectiveFilterFileExt))
	}
}

// ToOptions makes sense of what was typed.
func (f *KeysImportFlags) ToOptions(args []string) (*KeysImportOptions, error) {
	here := displayName + " keys import"
	switch {
	case len(args) != 1:
		return nil, &usageError{message: fmt.Sprintf("a key belongs to one target: want %s, got %d", targetForms, len(args)), next: here + " dfsp/ID --private FILE --apply"}
	case f.Private == "" && f.Public == "":
		return nil, &usageError{message: "which key? --private FILE, --public FILE, or both", next: strings.Join([]string{here, quote(visible(args[0])), "--private FILE --apply"}, " ")}
	case f.Private == stdin && f.Public == stdin:
		return nil, &usageError{message: "standard input can be read once: give - once"}
	case f.Private == stdin && f.Apply && !f.Yes && f.DryRun == dryRunNone:
		return nil, &usageError{message: "standard input is the key, so nobody can be asked there: agree with --yes, or look first with --dry-run=server"}
	case f.Apply == (f.Output != ""):
		return nil, &usageError{message: "what is to be done with it? --apply writes to the cluster, -o yaml prints manifests, the private half included", next: strings.Join(append(append([]string{here}, quoteAll(args)...), f.files()+" --apply"), " ")}
	case !slices.Contains(replacements(), f.Replace):
		return nil, unknown("value of --replace", f.Replace, replacements())
	case f.Replace != string(replaceNothing) && !f.Apply:
		return nil, &usageError{message: "--replace is for --apply: -o replaces nothing"}
	case len(f.VerifiersIn) > 0 && !f.Apply:
		return nil, &usageError{message: "--verifiers-in is for --apply"}
	case f.FSPID != "" && (!fspID.MatchString(f.FSPID) || len(f.FSPID) > maxFSPID):
		return nil, &usageError{message: fmt.Sprintf("--fsp-id %q: want at most %d letters, digits, -, _ and .", visible(f.FSPID), maxFSPID)}
	case f.FSPID != "" && args[0] != targetHub:
		return nil, &usageError{message: "--fsp-id is the name of the hub: a DFSP has its id in the target"}
	}
	for _, ns := range f.VerifiersIn {
		if len(validation.IsDNS1123Label(ns)) > 0 {
			return nil, &usageError{message: fmt.Sprintf("--verifiers-in %q is no name of a namespace", visible(ns))}
		}
	}
	o, err := f.toOptions(args, "keys import "+f.files())
	switch {
	case err != nil:
		return nil, err
	case len(o.Targets) != 1:
		return nil, &usageError{message: fmt.Sprintf("a key belongs to one target, and %s is %d", args[0], len(o.Targets))}
	}
	o.More = verifiersFlag(f.VerifiersIn)
	if f.FSPID != "" {
		o.More = append(o.More, "--fsp-id", f.FSPID)
	}
	return &KeysImportOptions{Private: f.Private, Public: f.Public, HubName: f.FSPID, VerifiersIn: f.VerifiersIn, secretOptions: o}, nil
}

// files are the flags that name the key.
func (f *KeysImportFlags) files() string {
	var words []string
	if f.Private != "" {
		words = append(words, "--private", quote(visible(f.Private)))
	}
	if f.Public != "" {
		words = append(words, "--public", quote(visible(f.Public)))
	}
	return strings.Join(words, " ")
}

// Run reads the key, and writes or prints it.
func (o *KeysImportOptions) Run(ctx context.Context) error {
	rules, err := o.readRules(ctx)
	if err != nil {
		return err
	}
	private, public, err := o.readPair(&rules)
	if err != nil {
		return err
	}
	what := &purpose{noun: "signing key", pattern: rules.JWS.SecretName, file: rules.JWS.KeyFile, hubFile: hubKeyFile, places: policy.SigningKeyPlaces}
	who, err := o.participants(ctx, what, o.HubName)
	if err != nil {
		return err
	}
	e := &who.entries[0]
	if !o.Apply {
		return o.printPair(rules, &e.participant, private, public)
	}
	request := pairRequest{participant: e.participant, Want: public, Command: o.again(&e.participant, e.target)}
	if private == nil {
		if err := o.signsElsewhere(ctx, &e.participant, public); err != nil {
			return err
		}
	} else {
		request.New = func() (*jws.PrivateKey, error) { return private, nil }
	}
	steps, err := o.planPairs(ctx, rules, []pairRequest{request}, o.VerifiersIn)
	if err != nil {
		return err
	}
	if err := o.carryOutKeys(ctx, steps); err != nil {
		return err
	}
	if o.DryRun == dryRunNone {
		o.sayRestart(who, steps)
	}
	return nil
}

// signsElsewhere refuses a public half when the participant signs here with
// another key: peers would refuse all its messages.
func (o *KeysImportOptions) signsElsewhere(ctx context.Context, p *participant, public *jws.PublicKey) error {
	secret, err := o.read(ctx, kindOf("", "Secret"), p.Namespace, p.Secret)
	if err != nil {
		return err
	}
	text, _ := dataOf(secret, p.File)
	set, _ := crypto.ParseKeys(text)
	key, ok := set.SigningKey()
	if !ok || key.Fingerprint.IsZero() || key.Fingerprint == public.Fingerprint() || o.Replace == replacePublic {
		return nil
	}
	return refused("%s signs with key %s, in %s: its peers would refuse all it signs; import its pair with --private, or insist with --replace=%s",
		p.FSP, key.Fingerprint.Short(), nameOf(kindOf("", "Secret"), p.Namespace, p.Secret), replacePublic)
}

// readPair reads the halves and looks whether they are fit and belong together.
func (o *KeysImportOptions) readPair(rules *keyRules) (private *jws.PrivateKey, public *jws.PublicKey, err error) {
	if o.Private != "" {
		if private, err = o.readPrivate(rules); err != nil {
			return nil, nil, err
		}
		public = private.Public()
	}
	if o.Public != "" {
		given, err := o.readPublic(rules)
		switch {
		case err != nil:
			return nil, nil, err
		case private != nil && given.Fingerprint() != public.Fingerprint():
			return nil, nil, fmt.Errorf("the halves do not belong together: %s is key %s, the public half in %s is key %s; take the right one: openssl pkey -in %s -pubout",
				fileName(o.Private), public.Fingerprint().Short(), fileName(o.Public), given.Fingerprint().Short(), quote(fileName(o.Private)))
		}
		public = given
	}
	return private, public, nil
}

func (o *KeysImportOptions) readPrivate(rules *keyRules) (*jws.PrivateKey, error) {
	text, open, err := o.readKeyFile(fileFlag{"--private", o.Private})
	if err != nil {
		return nil, fmt.Errorf("read the private half: %w", err)
	}
	defer clear(text)
	facts, err := rules.signing(text)
	if open && facts.Private {
		o.say("others can read %s: chmod 600 %s", fileName(o.Private), quote(o.Private))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", fileName(o.Private), err, o.conversion(facts))
	}
	key, err := jws.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileName(o.Private), err)
	}
	return key, nil
}

// conversion is the command that makes a key fit that only is written in the
// wrong way.
func (o *KeysImportOptions) conversion(k crypto.KeyFacts) string {
	file := quote(fileName(o.Private))
	switch {
	case k.Algorithm == crypto.P256 && k.Encoding == crypto.PKCS8:
		return fmt.Sprintf("; convert it: openssl ec -in %s -out sec1.key", file)
	case k.Block == crypto.NoBlock && k.Algorithm == crypto.P256:
		return fmt.Sprintf("; convert it: openssl ec -inform DER -in %s -out sec1.key", file)
	case k.Block == crypto.NoBlock && k.Algorithm == crypto.RSA:
		return fmt.Sprintf("; convert it: openssl rsa -inform DER -in %s -out pkcs1.key", file)
	}
	return ""
}

func (o *KeysImportOptions) readPublic(rules *keyRules) (*jws.PublicKey, error) {
	text, _, err := o.readKeyFile(fileFlag{"--public", o.Public})
	if err != nil {
		return nil, fmt.Errorf("read the public half: %w", err)
	}
	set, err := crypto.ParseKeys(text)
	key, ok := set.VerificationKey()
	switch {
	case !ok && err != nil:
		return nil, fmt.Errorf("%s: %w", fileName(o.Public), err)
	case slices.ContainsFunc(set.Keys, func(k crypto.KeyFacts) bool { return k.Private }):
		return nil, fmt.Errorf("%s holds a private key: give the public half; openssl pkey -in %s -pubout", fileName(o.Public), quote(fileName(o.Public)))
	}
	if err := errors.Join(key.SDKUsable(rules.minBits()), rules.isPublished(key.Fingerprint)); err != nil {
		return nil, fmt.Errorf("%s: %w", fileName(o.Public), err)
	}
	public, err := jws.ParsePublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileName(o.Public), err)
	}
	return public, nil
}

// fileName names a file of keys in messages.
func fileName(name string) string {
	if name == stdin {
		return "standard input"
	}
	return visible(name)
}

// readKeyFile reads a file, or standard input. open tells that others than its
// owner can read the file.
func (o *KeysImportOptions) readKeyFile(file fileFlag) (text []byte, open bool, err error) {
	from, name := o.In, file.name
	if name != stdin {
		f, err := file.open()
		if err != nil {
			return nil, false, err
		}
		defer func() { _ = f.Close() }() // it was only read
		if info, err := f.Stat(); err == nil {
			open = info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0
		}
		from = f
	}
	text, err = io.ReadAll(io.LimitReader(from, maxKeyFile+1))
	switch {
	case err != nil && name != stdin:
		return nil, open, file.explain(err)
	case err != nil:
		return nil, open, err
	case len(text) > maxKeyFile:
		return nil, open, fmt.Errorf("%s is longer than %d bytes: no key is", fileName(name), maxKeyFile)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, open, fmt.Errorf("%s is empty", fileName(name))
	}
	return text, open, nil
}

// printPair prints manifests.
func (o *KeysImportOptions) printPair(rules keyRules, p *participant, private *jws.PrivateKey, public *jws.PublicKey) error {
	var secrets []*unstructured.Unstructured
	if private != nil {
		if err := selfTest(private, p.FSP); err != nil {
			return fmt.Errorf("test the key of %s: %w", p.FSP, err)
		}
		secrets = append(secrets, signingSecret(p, private, o.Now))
	}
	entries := map[string][]byte{p.verifyFile(): public.MarshalPEM()}
	return o.print(secrets, []*unstructured.Unstructured{verificationObject(o.Namespace, rules.JWS.VerificationConfigMap, entries)})
}
