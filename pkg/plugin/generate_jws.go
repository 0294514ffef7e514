package plugin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
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

// The folders of --out.
const (
	dirSigning      = "signing-keys"
	dirVerification = "verification-keys"
)

// hubKeyFile is the name under which the hub's services look for their key.
const hubKeyFile = "jwsSigningKey.key"

// GenerateJWSFlags are what was typed.
type GenerateJWSFlags struct {
	Algorithm   string
	FSPID       string
	VerifiersIn []string

	secretFlags
}

// GenerateJWSOptions are what Run needs.
type GenerateJWSOptions struct {
	// Kind of the new keys.
	Kind jws.KeyKind
	// HubName is what the hub calls itself; "" is for what its pods say.
	HubName string
	// VerifiersIn are further namespaces where the public halves go.
	VerifiersIn []string

	*secretOptions
}

// NewCmdGenerateJWS returns the command that makes signing keys.
func NewCmdGenerateJWS(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &GenerateJWSFlags{secretFlags: newSecretFlags(streams)}
	cmd := &cobra.Command{
		Use:   "jws TARGET… (--apply | -o yaml | --out DIR) [flags]",
		Short: "Make JWS signing keys and give the public halves to the peers",
		Long: `Make a JWS key pair for each target: dfsp/ID, hub or deploy/NAME. dfsp/bank-{1..8}
stands for eight of them.

With --apply, the private half goes into the Secret that the pods of the DFSP
mount (DFSP-jws-keys, where they mount none), and the public half into the
ConfigMap mojaloop-jws-verification-keys as DFSP.pem, beside those of the others.
The plan is shown first; without a terminal nothing is done without --yes.

A key that is there and fit stays, so typing it twice changes nothing; a public
half that peers lack is added. A key that the SDK cannot use, that is published
or that two DFSPs share is refused (exit code 4), and replaced with --replace: its
messages fail until all peers have the new public half and the pods have
restarted. --replace=public gives the peers the right half of the key there is.

-o yaml prints the same as manifests, private keys included: they are for a
safe place, or for --seal-cert. --out writes DIR/signing-keys/DFSP.pem and
DIR/verification-keys/DFSP.pem, all of them or none, for you alone to read.

Every key is tried out before it is written, and is no published one.

Exit codes: 0 done; 1 error; 3 something could not be read; 4 refused; 5 somebody
else wrote at the same time; 64 usage; 130 interrupted.`,
		Example: `  # eight DFSPs, after a look at the plan
  kubectl mojasec generate jws dfsp/perffsp-{1..8} -n mojaloop --apply

  # the hub
  kubectl mojasec generate jws hub -n mojaloop --apply

  # the Secret that a Deployment mounts, and peers in another namespace
  kubectl mojasec generate jws deploy/bank-sdk -n bank --verifiers-in mojaloop --apply

  # for GitOps
  kubeseal --fetch-cert > seal.pem
  kubectl mojasec generate jws dfsp/bank -n mojaloop --seal-cert seal.pem -o yaml > bank.yaml

  # files, for a DFSP outside of the cluster
  kubectl mojasec generate jws dfsp/bank --out bank-keys`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return readable(o.Run(cmd.Context()))
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&flags.Algorithm, "algorithm", "", "`KIND` of the new keys: "+orList(keyKinds())+" (default rsa-2048, or what the Profile asks)")
	flags.addTo(cmd, "keys")
	fs.StringVar(&flags.Replace, "replace", flags.Replace, "`WHAT` to replace: pair for both halves, public for what the peers hold")
	fs.Lookup("replace").NoOptDefVal = string(replacePair)
	fs.StringVar(&flags.FSPID, "fsp-id", "", "`ID` by which the hub signs (default: what its pods say, else "+defaultHubName+")")
	fs.StringSliceVar(&flags.VerifiersIn, "verifiers-in", nil, "give the public halves to the peers in this `NAMESPACE` too; with --apply")
	complete(cmd, "algorithm", keyKinds()...)
	complete(cmd, "replace", replacements()...)
	return cmd
}

func keyKinds() []string {
	out := make([]string, 0, 4)
	for _, k := range jws.KeyKinds() {
		out = append(out, string(k))
	}
	return out
}

// ToOptions makes sense of what was typed.
func (f *GenerateJWSFlags) ToOptions(args []string) (*GenerateJWSOptions, error) {
	o := &GenerateJWSOptions{HubName: f.FSPID, VerifiersIn: f.VerifiersIn}
	if f.Algorithm != "" {
		var err error
		if o.Kind, err = jws.ParseKeyKind(f.Algorithm); err != nil {
			return nil, unknown("algorithm", f.Algorithm, keyKinds())
		}
	}
	switch {
	case !slices.Contains(replacements(), f.Replace):
		return nil, unknown("value of --replace", f.Replace, replacements())
	case f.Replace != string(replaceNothing) && f.Output != "":
		return nil, &usageError{message: "--replace is for --apply and --out: -o replaces nothing"}
	case f.Replace == string(replacePublic) && f.Out != "":
		return nil, &usageError{message: "--replace=public is for --apply: files are replaced in pairs"}
	case len(f.VerifiersIn) > 0 && !f.Apply:
		return nil, &usageError{message: "--verifiers-in is for --apply"}
	case f.FSPID != "" && (!fspID.MatchString(f.FSPID) || len(f.FSPID) > maxFSPID):
		return nil, &usageError{message: fmt.Sprintf("--fsp-id %q: want at most %d letters, digits, -, _ and .", visible(f.FSPID), maxFSPID)}
	case f.FSPID != "" && !slices.Contains(args, targetHub):
		return nil, &usageError{message: "--fsp-id is the name of the hub: a DFSP has its id in the target"}
	}
	for _, ns := range f.VerifiersIn {
		if len(validation.IsDNS1123Label(ns)) > 0 {
			return nil, &usageError{message: fmt.Sprintf("--verifiers-in %q is no name of a namespace", visible(ns))}
		}
	}
	var err error
	if o.secretOptions, err = f.toOptions(args, "generate jws"); err != nil {
		return nil, err
	}
	if f.FSPID != "" {
		o.Command += " --fsp-id " + f.FSPID
	}
	if o.Kind != "" {
		o.Command += " --algorithm " + string(o.Kind)
	}
	o.More = verifiersFlag(f.VerifiersIn)
	return o, nil
}

// verifiersFlag is --verifiers-in as it was typed; nothing for no namespaces.
func verifiersFlag(namespaces []string) []string {
	if len(namespaces) == 0 {
		return nil
	}
	return []string{"--verifiers-in", strings.Join(namespaces, ",")}
}

// Run makes the keys, and writes or prints them.
func (o *GenerateJWSOptions) Run(ctx context.Context) error {
	rules, err := o.readRules(ctx)
	if err != nil {
		return err
	}
	if o.Kind == "" {
		o.Kind = kindFor(rules.minBits())
	}
	if bits := bitsOf(o.Kind); bits > 0 && bits < rules.minBits() {
		return refused("the Profile asks for RSA keys of at least %d bits; %s has %d", rules.minBits(), o.Kind, bits)
	}
	what := &purpose{noun: "signing key", pattern: rules.JWS.SecretName, file: rules.JWS.KeyFile, hubFile: hubKeyFile, places: policy.SigningKeyPlaces}
	who, err := o.participants(ctx, what, o.HubName)
	if err != nil {
		return err
	}
	if o.Kind == jws.P256 {
		// Its validator has a list of one algorithm.
		o.say("peers with sdk-standard-components 17 or older refuse the signatures of a P-256 key (ES256)")
	}
	switch {
	case o.Apply:
		return o.applyKeys(ctx, rules, who)
	case o.Dir != "":
		return o.writeKeys(ctx, rules, who.entries)
	}
	return o.printKeys(ctx, rules, who.entries)
}

// kindFor is the kind of key that satisfies a Profile, that every peer takes and
// that costs least at 1000 messages a second: signing with 3072 bits takes three
// to six times as long as with 2048, depending on the processor.
func kindFor(minBits int) jws.KeyKind {
	for _, kind := range jws.KeyKinds() {
		if bitsOf(kind) >= minBits {
			return kind
		}
	}
	return jws.P256
}

// bitsOf is the length of the RSA modulus; 0 for other kinds.
func bitsOf(kind jws.KeyKind) int {
	return map[jws.KeyKind]int{jws.RSA2048: 2048, jws.RSA3072: 3072, jws.RSA4096: 4096}[kind]
}

// generate makes a key, which takes up to many seconds and cannot be told to
// stop: at a signal the command ends without it.
func (o *GenerateJWSOptions) generate(ctx context.Context) (*jws.PrivateKey, error) {
	type made struct {
		key *jws.PrivateKey
		err error
	}
	done := make(chan made, 1)
	go func() {
		key, err := jws.GenerateKey(o.Kind, rand.Reader)
		done <- made{key, err}
	}()
	var m made
	select {
	case m = <-done:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil, interrupted("nothing was written")
	}
	return m.key, m.err
}

// applyKeys writes to the cluster.
func (o *GenerateJWSOptions) applyKeys(ctx context.Context, rules keyRules, who *resolved) error {
	requests := make([]pairRequest, 0, len(who.entries))
	for i := range who.entries {
		e := &who.entries[i]
		requests = append(requests, pairRequest{participant: e.participant, New: func() (*jws.PrivateKey, error) { return o.generate(ctx) }, Command: o.again(&e.participant, e.target)})
	}
	steps, err := o.planPairs(ctx, rules, requests, o.VerifiersIn)
	if err != nil {
		return err
	}
	if err := o.carryOutKeys(ctx, steps); err != nil {
		return err
	}
	if o.DryRun == dryRunNone {
		o.sayRestart(who, steps)
		o.sayElsewhere(ctx, rules, who.entries, steps)
	}
	return nil
}

// sayElsewhere names the namespaces whose peers lack a key that was written, or
// hold an older one. It is a courtesy: who may not read them is not bothered.
func (o *GenerateJWSOptions) sayElsewhere(ctx context.Context, rules keyRules, entries []entry, steps []keyStep) {
	keys := map[string]crypto.Fingerprint{} // by FSP
	wrote := false
	for _, s := range steps {
		wrote = wrote || s.write != nil
		if !s.public {
			keys[s.fsp] = s.key
		}
	}
	if !wrote {
		return
	}
	all, err := o.named(ctx, kindOf("", "ConfigMap"), rules.JWS.VerificationConfigMap)
	if err != nil {
		return
	}
	var namespaces, fsps, targets []string
	older := false
	for i := range all {
		ns := all[i].GetNamespace()
		if ns == o.Namespace || slices.Contains(o.VerifiersIn, ns) {
			continue
		}
		for _, e := range entries {
			text, has := dataOf(&all[i], e.verifyFile())
			key, _ := held(text)
			if has && key.Fingerprint == keys[e.FSP] {
				continue
			}
			older = older || has
			if !slices.Contains(namespaces, ns) {
				namespaces = append(namespaces, ns)
			}
			if !slices.Contains(fsps, e.FSP) {
				fsps, targets = append(fsps, e.FSP), append(targets, e.target)
			}
		}
	}
	if len(namespaces) == 0 {
		return
	}
	words := append(append([]string{o.Command}, targets...), "-n", o.Namespace)
	if o.SecretName != "" {
		words = append(words, "--secret-name", o.SecretName)
	}
	words = append(words, "--verifiers-in", strings.Join(slices.Concat(o.VerifiersIn, namespaces), ","), "--apply")
	if older {
		words = append(words, "--replace="+string(replacePublic))
	}
	whose := "the key of " + fsps[0]
	if len(fsps) > 1 {
		whose = fmt.Sprintf("the keys of %s and %d more", fsps[0], len(fsps)-1)
	}
	o.say("peers in %s do not hold %s:  %s", andList(namespaces), whose, strings.Join(words, " "))
}

// andList joins words as a sentence does: a, b and c.
func andList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// planPairs reads what there is and plans key pairs. Public halves go where the
// private ones are, and into more namespaces.
func (o *secretOptions) planPairs(ctx context.Context, rules keyRules, requests []pairRequest, more []string) ([]keyStep, error) {
	p := pairPlanner{rules: rules, replace: cmp.Or(o.Replace, replaceNothing), now: o.Now, stores: map[string]*keyStore{}}
	names := map[string][]string{}
	for _, r := range requests {
		names[r.Namespace] = append(names[r.Namespace], r.Secret)
		if !slices.Contains(p.verifiers, r.Namespace) {
			p.verifiers = append(p.verifiers, r.Namespace)
		}
	}
	for _, ns := range more {
		if !slices.Contains(p.verifiers, ns) {
			p.verifiers = append(p.verifiers, ns)
		}
	}
	for _, ns := range p.verifiers {
		if err := o.needNamespace(ctx, ns); err != nil {
			return nil, err
		}
		store, err := o.readKeyStore(ctx, ns, rules.JWS.VerificationConfigMap, names[ns])
		if err != nil {
			return nil, err
		}
		if !store.complete {
			o.say("Secrets in %s cannot be listed: whether two DFSPs share a key there is not known", ns)
		}
		p.stores[ns] = store
	}
	return p.plan(requests)
}

// freshPair is a new pair that exists nowhere yet.
type freshPair struct {
	participant
	key *jws.PrivateKey
}

// freshPairs makes pairs where there is no cluster to compare them with.
func (o *GenerateJWSOptions) freshPairs(ctx context.Context, rules keyRules, entries []entry) ([]freshPair, error) {
	var out []freshPair
	secrets := map[string]string{}
	for _, e := range entries {
		if other, taken := secrets[e.Secret]; taken {
			return nil, refused("%s and %s would share secret/%s: give one of them another with --secret-name", other, e.FSP, e.Secret)
		}
		secrets[e.Secret] = e.FSP
		key, err := o.generate(ctx)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(selfTest(key, e.FSP), rules.isPublished(key.Fingerprint())); err != nil {
			return nil, fmt.Errorf("test the new key of %s: %w", e.FSP, err)
		}
		if slices.ContainsFunc(out, func(p freshPair) bool { return p.key.Fingerprint() == key.Fingerprint() }) {
			return nil, fmt.Errorf("two new keys are the same, %s: the source of randomness is broken", key.Fingerprint().Short())
		}
		out = append(out, freshPair{e.participant, key})
	}
	return out, nil
}

// printKeys prints manifests.
func (o *GenerateJWSOptions) printKeys(ctx context.Context, rules keyRules, entries []entry) error {
	pairs, err := o.freshPairs(ctx, rules, entries)
	if err != nil {
		return err
	}
	secrets := make([]*unstructured.Unstructured, 0, len(pairs))
	public := map[string][]byte{}
	for _, p := range pairs {
		secrets = append(secrets, signingSecret(&p.participant, p.key, o.Now))
		public[p.verifyFile()] = p.key.Public().MarshalPEM()
	}
	return o.print(secrets, []*unstructured.Unstructured{verificationObject(o.Namespace, rules.JWS.VerificationConfigMap, public)})
}

// writeKeys writes files.
func (o *GenerateJWSOptions) writeKeys(ctx context.Context, rules keyRules, entries []entry) error {
	pairs, err := o.freshPairs(ctx, rules, entries)
	if err != nil {
		return err
	}
	var files []newFile
	for _, p := range pairs {
		files = append(
			files,
			newFile{filepath.Join(dirSigning, p.verifyFile()), p.key.MarshalPEM()},
			newFile{filepath.Join(dirVerification, p.verifyFile()), p.key.Public().MarshalPEM()},
		)
	}
	return o.writeFiles(ctx, files)
}
