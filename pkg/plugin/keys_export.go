package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
)

// KeysExportPublicFlags are what was typed.
type KeysExportPublicFlags struct {
	AllDFSPs bool
	Out      string
	Replace  bool

	keysFlags
}

// KeysExportPublicOptions are what Run needs.
type KeysExportPublicOptions struct {
	// Targets are whose keys to export; none stands for all.
	Targets []Target
	// Dir is where the files go; "" is for stdout.
	Dir string
	// Replace lets files be replaced.
	Replace bool

	*keysOptions
}

// formatPEM is the key as the SDK reads it.
const formatPEM = "pem"

func keyExportFormats() []string { return []string{formatPEM, formatYAML, formatJSON} }

// NewCmdKeysExportPublic returns the command that exports public halves.
func NewCmdKeysExportPublic(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &KeysExportPublicFlags{keysFlags: newKeysFlags(streams)}
	flags.Output = formatPEM
	cmd := &cobra.Command{
		Use:   "export-public (TARGET… | --all-dfsps) [-o pem|yaml|json | --out DIR] [flags]",
		Short: "Export public halves, for peers outside of the cluster",
		Long: `Export the public halves of JWS keys as FSP.pem, for peers outside of the cluster.

The key is the one that the DFSP signs with. For a DFSP whose private half is not
here it is the one that peers hold. When peers hold another key than the DFSP
signs with, that is said, and the exit code is 2.

-o pem prints PEM, -o yaml or json a ConfigMap mojaloop-jws-verification-keys to
be applied in another cluster, --out writes DIR/FSP.pem.

Exit codes: 0 done; 1 error, or a target without a key; 2 peers hold another key;
3 something could not be read; 4 a file exists already; 64 usage; 124 timeout;
130 interrupted.`,
		Example: `  # one key
  kubectl mojasec keys export-public dfsp/perffsp-1 -n mojaloop

  # of all DFSPs and the hub, one file each
  kubectl mojasec keys export-public --all-dfsps hub -n mojaloop --out public-keys

  # into another cluster
  kubectl mojasec keys export-public dfsp/perffsp-{1..8} -n mojaloop -o yaml > peers.yaml`,
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
	fs.SortFlags = false
	fs.BoolVar(&flags.AllDFSPs, "all-dfsps", false, "of every DFSP that has a key")
	fs.StringVar(&flags.Out, "out", "", "write FSP.pem to this `DIR`")
	fs.BoolVar(&flags.Replace, "replace", false, "with --out: replace files that exist")
	flags.addTo(cmd, fs, keyExportFormats()...)
	_ = fs.MarkHidden("filename") // files have public halves already
	completeWith(cmd, "out", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *KeysExportPublicFlags) ToOptions(args []string) (*KeysExportPublicOptions, error) {
	if err := (fileFlag{"--out", f.Out}).checkNew(); err != nil {
		return nil, &usageError{message: err.Error()}
	}
	targets, err := ParseTargets(args)
	switch {
	case err != nil:
		return nil, err
	case len(args) == 0 && !f.AllDFSPs:
		return nil, &usageError{message: "whose keys? name " + targetForms + ", or --all-dfsps", next: displayName + " keys export-public --all-dfsps"}
	case len(f.Filenames) > 0:
		return nil, &usageError{message: "export-public reads a cluster: from a file, take the public half with openssl pkey -in KEY -pubout"}
	case f.Out != "" && f.Output != formatPEM:
		return nil, &usageError{message: "--out writes PEM files: leave out -o " + f.Output}
	case f.Replace && f.Out == "":
		return nil, &usageError{message: "--replace is for the files of --out"}
	}
	o := &KeysExportPublicOptions{Targets: targets, Dir: f.Out, Replace: f.Replace}
	if o.keysOptions, err = f.toOptions(keyExportFormats()...); err != nil {
		return nil, err
	}
	if f.AllDFSPs {
		o.Targets = append(o.Targets, Target{Kind: TargetDFSP}) // every name
	}
	return o, nil
}

// exported is the public half of a participant.
type exported struct {
	fsp string
	key *jws.PublicKey
}

// Run exports the keys.
func (o *KeysExportPublicOptions) Run(ctx context.Context) error {
	r, err := o.read(ctx)
	if err != nil {
		return err
	}
	fsps, missing := o.participants(r)
	var keys []exported
	var problems []error
	codes := []Code{}
	for _, fsp := range fsps {
		key, differ, err := o.publicOf(ctx, r, fsp)
		right, lacks := errors.AsType[*forbiddenError](err)
		switch {
		case lacks:
			part := unreadPart{What: "key of " + visible(fsp)}
			part.Reason, part.Role = right.parts()
			r.unread = append(r.unread, part)
			continue
		case err != nil:
			problems = append(problems, err)
			continue
		}
		keys = append(keys, exported{fsp, key})
		for _, d := range differ {
			codes = append(codes, Findings)
			o.say("%s", d)
		}
	}
	if err := o.export(ctx, keys); err != nil {
		return err
	}
	o.sayUnread(r, missing)
	for _, p := range problems {
		codes = append(codes, Failed)
		o.say("error: %v", p)
	}
	if verdict, ok := errors.AsType[*ExitError](r.verdict(missing)); ok {
		codes = append(codes, verdict.Code)
	}
	return exit(codes...)
}

// participants lists the FSPs that are to be exported, in order, and the targets
// that have no key.
func (o *KeysExportPublicOptions) participants(r *keysRead) (fsps []string, missing []Target) {
	add := func(fsp string) {
		if fspID.MatchString(fsp) && !slices.Contains(fsps, fsp) {
			fsps = append(fsps, fsp)
		}
	}
	for _, t := range o.Targets {
		before := len(fsps)
		everybody := t == Target{Kind: TargetDFSP}
		for i := range r.ring.Signing {
			if e := &r.ring.Signing[i]; e.HasKey && (everybody && !e.Hub && e.Signed() || !everybody && t.ofKey(e)) {
				add(e.DFSP)
			}
		}
		hub := func(fsp string) bool {
			return slices.ContainsFunc(r.ring.Signing, func(e policy.SigningEntry) bool { return e.Hub && e.DFSP == fsp })
		}
		for i := range r.ring.Verification {
			if v := &r.ring.Verification[i]; everybody && !hub(v.FSP) || !everybody && t.ofPeerKey(r, v) {
				add(v.FSP)
			}
		}
		if len(fsps) == before && !everybody && !slices.Contains(fsps, t.Name) {
			missing = append(missing, t)
		}
	}
	slices.Sort(fsps)
	return fsps, missing
}

// publicOf returns the public half of the key that an FSP signs with; where that
// is not here, the one that peers hold. differ says which peers hold another
// one.
func (o *KeysExportPublicOptions) publicOf(ctx context.Context, r *keysRead, fsp string) (key *jws.PublicKey, differ []string, err error) {
	var own *policy.SigningEntry
	for i := range r.ring.Signing {
		e := &r.ring.Signing[i]
		if e.DFSP != fsp || !e.HasKey {
			continue
		}
		switch {
		case own == nil || e.Signed() && !own.Signed():
			own = e
		case e.Signed() == own.Signed() && e.Key.Fingerprint != own.Key.Fingerprint:
			return nil, nil, fmt.Errorf("%s has two keys, %s in %s and %s in %s: keep one of them", fsp, own.Key.Fingerprint.Short(), own.Object, e.Key.Fingerprint.Short(), e.Object)
		}
	}
	var held []*policy.VerificationEntry
	for i := range r.ring.Verification {
		if v := &r.ring.Verification[i]; v.FSP == fsp && v.HasKey {
			held = append(held, v)
		}
	}
	if own == nil {
		return o.heldKey(ctx, fsp, held)
	}
	text, err := o.entry(ctx, own.Object, own.Entry)
	if err != nil {
		return nil, nil, err
	}
	defer clear(text)
	private, err := jws.ParsePrivateKey(text)
	if err != nil {
		return nil, nil, fmt.Errorf("key of %s in %s: %w", fsp, own.Object, err)
	}
	key = private.Public()
	for _, v := range held {
		if v.Key.Fingerprint != key.Fingerprint() {
			differ = append(differ, fmt.Sprintf("%s signs with key %s, and peers hold %s in %s (%s): give them this one", fsp, key.Fingerprint().Short(), v.Key.Fingerprint.Short(), v.Object, v.Entry))
		}
	}
	return key, differ, nil
}

// heldKey returns what peers hold for an FSP whose private half is elsewhere.
func (o *KeysExportPublicOptions) heldKey(ctx context.Context, fsp string, held []*policy.VerificationEntry) (*jws.PublicKey, []string, error) {
	if len(held) == 0 {
		return nil, nil, fmt.Errorf("%s has no key that can be read", fsp)
	}
	text, err := o.entry(ctx, held[0].Object, held[0].Entry)
	if err != nil {
		return nil, nil, err
	}
	key, err := jws.ParsePublicKey(text)
	if err != nil {
		return nil, nil, fmt.Errorf("key of %s in %s: %w", fsp, held[0].Object, err)
	}
	var differ []string
	for _, v := range held[1:] {
		if v.Key.Fingerprint != key.Fingerprint() {
			differ = append(differ, fmt.Sprintf("peers hold two keys for %s, %s in %s and %s in %s: this is the first one", fsp, key.Fingerprint().Short(), held[0].Object, v.Key.Fingerprint.Short(), v.Object))
		}
	}
	return key, differ, nil
}

// entry reads one entry of a Secret or ConfigMap.
func (o *KeysExportPublicOptions) entry(ctx context.Context, ref policy.Ref, name string) ([]byte, error) {
	obj, err := o.cluster.read(ctx, kindOf("", ref.Kind), ref.Namespace, ref.Name)
	if err != nil {
		return nil, err
	}
	text, ok := dataOf(obj, name)
	if !ok {
		return nil, fmt.Errorf("%s has no %s any more: somebody changed it meanwhile", ref, name)
	}
	return text, nil
}

// export prints or writes the keys.
func (o *KeysExportPublicOptions) export(ctx context.Context, keys []exported) error {
	switch {
	case len(keys) == 0:
		return nil
	case o.Dir != "":
		return o.writeFiles(ctx, keys)
	case o.Output == formatPEM:
		for _, k := range keys {
			if len(keys) > 1 { // readers of PEM pass over what is between blocks
				_, _ = fmt.Fprintf(o.Out, "# %s.pem, SHA-256 %s\n", k.fsp, k.key.Fingerprint())
			}
			if _, err := o.Out.Write(k.key.MarshalPEM()); err != nil {
				return fmt.Errorf("print the keys: %w", err)
			}
		}
		return nil
	}
	entries := map[string][]byte{}
	for _, k := range keys {
		entries[k.fsp+".pem"] = k.key.MarshalPEM()
	}
	ns := ""
	if o.Namespaces != nil {
		ns = o.Namespaces[0]
	}
	return printObjects(o.Out, []*unstructured.Unstructured{verificationObject(ns, defaultVerification, entries)}, o.Output)
}

// defaultVerification is the ConfigMap where peers look by default.
const defaultVerification = "mojaloop-jws-verification-keys"

// publicFile is the mode of a file that anybody may read.
const publicFile = 0o644

// writeFiles writes one file for each key.
func (o *KeysExportPublicOptions) writeFiles(ctx context.Context, keys []exported) error {
	files := make([]newFile, 0, len(keys))
	for _, k := range keys {
		files = append(files, newFile{k.fsp + ".pem", k.key.MarshalPEM()})
	}
	_, statErr := os.Stat(o.Dir)
	if err := writeFileSet(ctx, o.Dir, files, o.Replace); err != nil {
		return err
	}
	if errors.Is(statErr, os.ErrNotExist) { // ours: it holds nothing private
		if err := os.Chmod(o.Dir, 0o755); err != nil { //nolint:gosec // public keys
			return fmt.Errorf("let others read %s: %w", visible(o.Dir), err)
		}
	}
	for _, f := range files {
		path := filepath.Join(o.Dir, f.name)
		if err := os.Chmod(path, publicFile); err != nil {
			return fmt.Errorf("let others read %s: %w", visible(path), err)
		}
		_, _ = fmt.Fprintln(o.Out, visible(strings.TrimSpace(path)))
	}
	return nil
}
