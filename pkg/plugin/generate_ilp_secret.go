package plugin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/policy"
)

// dirILP is the folder of --out.
const dirILP = "ilp-secrets"

// minSecretBits is what the check ilp-secret-strong asks.
const minSecretBits = 128

// GenerateILPSecretFlags are what was typed.
type GenerateILPSecretFlags struct {
	Renew bool

	secretFlags
}

// GenerateILPSecretOptions are what Run needs.
type GenerateILPSecretOptions struct {
	*secretOptions
}

// NewCmdGenerateILPSecret returns the command that makes ILP secrets.
func NewCmdGenerateILPSecret(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &GenerateILPSecretFlags{secretFlags: newSecretFlags(streams)}
	cmd := &cobra.Command{
		Use:   "ilp-secret TARGET… (--apply | -o yaml | --out DIR) [flags]",
		Short: "Make the ILP secrets of DFSPs",
		Long: `Make a random ILP secret, 64 hexadecimal digits, for each target: dfsp/ID or
deploy/NAME. The payee's SDK derives the fulfilments of its transfers from it;
peers and the hub need nothing. dfsp/bank-{1..8} stands for eight of them.

With --apply it goes into the Secret that the pods take ILP_SECRET from
(DFSP-ilp, where they take it from none). The plan is shown first; without a
terminal nothing is done without --yes.

A secret that is there and fit stays, so typing it twice changes nothing. One that
is published, weak or shared is refused (exit code 4), and replaced with --replace:
transfers whose quote was made under the old secret fail, unless their
fulfilments are in a cache that outlives the pods (CACHE_URL).

-o yaml prints the same as manifests, secrets included: they are for a safe place,
or for --seal-cert. --out writes DIR/ilp-secrets/DFSP, all of them or none, for
you alone to read.

Exit codes: 0 done; 1 error; 3 something could not be read; 4 refused; 5 somebody
else wrote at the same time; 64 usage; 130 interrupted.`,
		Example: `  # eight DFSPs, after a look at the plan
  kubectl mojasec generate ilp-secret dfsp/perffsp-{1..8} -n mojaloop --apply

  # every DFSP that has an SDK in the namespace
  kubectl mojasec generate ilp-secret --all-dfsps -n mojaloop --apply

  # for GitOps
  kubeseal --fetch-cert > seal.pem
  kubectl mojasec generate ilp-secret dfsp/bank -n mojaloop --seal-cert seal.pem -o yaml > bank.yaml`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return readable(o.Run(cmd.Context()))
		},
	}
	flags.addTo(cmd, "secrets")
	cmd.Flags().BoolVar(&flags.Renew, "replace", false, "replace a secret that is there by a new one")
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *GenerateILPSecretFlags) ToOptions(args []string) (*GenerateILPSecretOptions, error) {
	if f.Renew {
		if f.Replace = string(replacePair); f.Output != "" {
			return nil, &usageError{message: "--replace is for --apply and --out: -o replaces nothing"}
		}
	}
	o, err := f.toOptions(args, "generate ilp-secret")
	if err != nil {
		return nil, err
	}
	return &GenerateILPSecretOptions{o}, nil
}

// Run makes the secrets, and writes or prints them.
func (o *GenerateILPSecretOptions) Run(ctx context.Context) error {
	rules, err := o.readRules(ctx)
	if err != nil {
		return err
	}
	what := &purpose{noun: "ILP secret", pattern: rules.ILP.SecretName, file: rules.ILP.Key, places: policy.ILPSecretPlaces}
	who, err := o.participants(ctx, what, "")
	if err != nil {
		return err
	}
	if o.Apply {
		return o.applySecrets(ctx, rules, who)
	}
	secrets := make([]*unstructured.Unstructured, 0, len(who.entries))
	files := make([]newFile, 0, len(who.entries))
	names := map[string]string{}
	for i := range who.entries {
		e := &who.entries[i]
		if other, taken := names[e.Secret]; taken {
			return refused("%s and %s would share secret/%s: give one of them another with --secret-name", other, e.FSP, e.Secret)
		}
		names[e.Secret] = e.FSP
		value, err := newILPSecret()
		if err != nil {
			return err
		}
		secrets = append(secrets, participantSecret(&e.participant, value))
		files = append(files, newFile{filepath.Join(dirILP, e.FSP), value})
	}
	if o.Dir == "" {
		return o.print(secrets, nil)
	}
	return o.writeFiles(ctx, files)
}

func newILPSecret() ([]byte, error) {
	secret, err := ilp.GenerateSecret(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an ILP secret: %w", err)
	}
	return secret.Bytes(), nil
}

// applySecrets writes to the cluster.
func (o *GenerateILPSecretOptions) applySecrets(ctx context.Context, rules keyRules, who *resolved) error {
	if err := o.needNamespace(ctx, o.Namespace); err != nil {
		return err
	}
	names := make([]string, 0, len(who.entries))
	for _, e := range who.entries {
		names = append(names, e.Secret)
	}
	store, err := o.readSecretStore(ctx, o.Namespace, names)
	if err != nil {
		return err
	}
	if !store.complete {
		o.say("Secrets in %s cannot be listed: whether two DFSPs share a secret there is not known", o.Namespace)
	}
	steps, err := o.planSecrets(rules, store, who.entries)
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

// planSecrets decides on all participants before anything is written.
func (o *GenerateILPSecretOptions) planSecrets(rules keyRules, store *keyStore, entries []entry) ([]keyStep, error) {
	var steps []keyStep
	var refusals []error
	names := map[string]string{}
	for i := range entries {
		e := &entries[i]
		if other, taken := names[e.Secret]; taken {
			refusals = append(refusals, fmt.Errorf("%s and %s would share secret/%s in %s: give one of them another with --secret-name", other, e.FSP, e.Secret, e.Namespace))
			continue
		}
		names[e.Secret] = e.FSP
		s, err := o.planSecret(rules, store, e)
		if err != nil {
			refusals = append(refusals, err)
			continue
		}
		steps = append(steps, s)
	}
	if len(refusals) > 0 {
		return nil, &ExitError{Code: Refused, Err: errors.Join(refusals...)}
	}
	return steps, nil
}

func (o *GenerateILPSecretOptions) planSecret(rules keyRules, store *keyStore, e *entry) (keyStep, error) {
	what := newObject(kindOf("", "Secret"), e.Namespace, e.Secret)
	s := keyStep{step: step{action: unchanged, object: what}}
	live := store.secrets[e.Secret]
	if fsp := labelledDFSP(live); fsp != "" && fsp != e.FSP {
		return s, fmt.Errorf("%s belongs to %s, by its label; name another with --secret-name", nameOfObject(what), visible(fsp))
	}
	value, has := dataOf(live, e.File)
	if has && o.Replace != replacePair {
		if err := rules.unfitSecret(store, &e.participant, value); err != nil {
			return s, fmt.Errorf("%s: %s %w; to replace it: %s --replace (transfers whose quote was made under the old one fail, unless their fulfilments are in a cache that outlives the pods)",
				nameOfObject(what), visible(e.File), err, o.again(&e.participant, e.target))
		}
		return s, nil
	}
	if err := writable(live); err != nil {
		return s, err
	}
	fresh, err := newILPSecret()
	if err != nil {
		return s, err
	}
	obj := participantSecret(&e.participant, fresh)
	s.note = "new ILP secret in " + e.File
	if live == nil {
		s.action, s.object = created, obj
		s.write = func(ctx context.Context, w *writer) error { return w.createNew(ctx, obj) }
		return s, nil
	}
	s.action = configured
	s.write = func(ctx context.Context, w *writer) error { return w.mergeSecret(ctx, live, obj) }
	return s, nil
}

// unfitSecret says why the secret that is there cannot stay, as the checks of
// ILP secrets would. It never shows the value.
func (r *keyRules) unfitSecret(store *keyStore, p *participant, value []byte) error {
	facts := crypto.DescribeSecret(value)
	trimmed := crypto.TrimSecret(value)
	published := facts.Published > 0 || slices.ContainsFunc(r.PublishedSecrets, func(s string) bool {
		return bytes.Equal(crypto.TrimSecret([]byte(s)), trimmed)
	})
	switch {
	case facts.Length == 0:
		return errors.New("is empty")
	case published:
		return errors.New("is published: everybody can compute its fulfilments")
	case facts.Length < int(r.ILP.MinLength):
		return fmt.Errorf("has %d characters; want at least %d", facts.Length, r.ILP.MinLength)
	case facts.Repetitive:
		return errors.New("repeats itself")
	case facts.Bits < minSecretBits:
		return fmt.Errorf("has at most %d bits by the characters it uses; want %d", facts.Bits, minSecretBits)
	}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(store.secrets)) {
		fsp := fspOfSecret(store.secrets[name], r.ILP.SecretName)
		if fsp == "" || strings.EqualFold(fsp, p.FSP) {
			continue
		}
		for _, entry := range keysOf(store.secrets[name]) {
			other, _ := dataOf(store.secrets[name], entry)
			if subtle.ConstantTimeCompare(crypto.TrimSecret(other), trimmed) == 1 && !slices.Contains(others, fsp) {
				others = append(others, fsp)
			}
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("is also that of %s", visible(strings.Join(others, ", ")))
	}
	return nil
}
