package plugin

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
)

// secretFlags are the flags of the commands that make keys and secrets: whose,
// and where they go.
type secretFlags struct {
	Namespace  string
	AllDFSPs   bool
	SecretName string
	Profile    string
	Apply      bool
	Output     string
	Out        string
	SealCert   string
	SealScope  string
	Replace    string

	writeFlags
	cluster clusterFlags
	genericiooptions.IOStreams
}

// secretOptions are what their Run needs.
type secretOptions struct {
	Targets []Target
	// AllDFSPs stands for the DFSPs that have an SDK in the namespace.
	AllDFSPs bool
	// Namespace may be "" where nothing is read from a cluster or written to one.
	Namespace  string
	SecretName string
	// Profile is the file to go by where there is no cluster; may be "".
	Profile string
	// One of these is set: Apply writes to the cluster, Output prints manifests,
	// Dir is where files go.
	Apply       bool
	Output, Dir string
	Replace     replacement
	// Sealer turns the Secrets of Output into SealedSecrets; may be nil.
	Sealer *sealer
	Now    time.Time
	// Command is what to type again, without the target and what comes after it.
	Command string
	// More are further flags to type again.
	More []string

	writer // its cluster is nil where none is needed
}

func newSecretFlags(streams genericiooptions.IOStreams) secretFlags {
	return secretFlags{
		SealScope: sealStrict, Replace: string(replaceNothing),
		writeFlags: newWriteFlags(time.Minute), cluster: newClusterFlags(), IOStreams: streams,
	}
}

// addTo adds the flags. what is the noun for what is made.
func (f *secretFlags) addTo(cmd *cobra.Command, what string) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&f.Namespace, "namespace", "n", "", "`NAMESPACE` of the DFSPs (default: that of the context)")
	fs.BoolVar(&f.AllDFSPs, "all-dfsps", false, "for every DFSP that has an SDK in the namespace")
	fs.BoolVar(&f.Apply, "apply", false, "write the "+what+" to the cluster, after a look at the plan")
	fs.StringVarP(&f.Output, "output", "o", "", "print manifests with the "+what+" in this `FORMAT`, yaml or json, and change nothing")
	fs.StringVar(&f.Out, "out", "", "write the "+what+" to files that only you can read, below this `DIR`")
	fs.StringVar(&f.SealCert, "seal-cert", "", "with -o: seal the Secrets for the Sealed Secrets controller with this certificate `FILE`; - is standard input")
	fs.StringVar(&f.SealScope, "seal-scope", f.SealScope, "`SCOPE` of the sealed Secrets: "+orList(sealScopes()))
	fs.StringVar(&f.SecretName, "secret-name", "", "`NAME` of the Secret (default: the one that the pods mount, else that of the Profile)")
	fs.StringVar(&f.Profile, "profile", "", "with -o or --out: `FILE` with the Profile to go by (default the built-in values)")
	f.addWriteFlags(fs)
	fs.Lookup("timeout").Hidden = true // nothing is waited for
	f.cluster.addTo(fs)
	complete(cmd, "output", "yaml", "json")
	complete(cmd, "seal-scope", sealScopes()...)
	complete(cmd, "dry-run", dryRunNone, dryRunClient, dryRunServer)
	completeWith(cmd, "out", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	completeWith(cmd, "seal-cert", cobra.FixedCompletions([]string{"pem", "crt", "cert"}, cobra.ShellCompDirectiveFilterFileExt))
	completeWith(cmd, "profile", cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt))
}

// validate finds contradictions. command is what was typed, without flags.
func (f *secretFlags) validate(args []string, command string) error {
	here := strings.Join(append([]string{displayName, command}, quoteAll(args)...), " ")
	if err := (fileFlag{"--out", f.Out}).checkNew(); err != nil {
		return &usageError{message: err.Error()}
	}
	ways := 0
	for _, given := range []bool{f.Apply, f.Output != "", f.Out != ""} {
		if given {
			ways++
		}
	}
	formats := []string{"yaml", "json"}
	switch {
	case len(args) == 0 && !f.AllDFSPs:
		return &usageError{message: "for whom? name " + targetForms + ", or --all-dfsps", next: displayName + " " + command + " dfsp/ID --apply"}
	case len(args) > 0 && f.AllDFSPs:
		return &usageError{message: fmt.Sprintf("--all-dfsps and %q: want one of them", visible(args[0]))}
	case ways == 0:
		return &usageError{message: "what is to be done with them? --apply writes to the cluster, -o yaml prints manifests, private halves included, --out DIR writes files", next: here + " --apply"}
	case ways > 1:
		return &usageError{message: "--apply, -o and --out: want one of them; do one after the other"}
	case f.Output != "" && !slices.Contains(formats, f.Output):
		return unknown("format", f.Output, formats)
	case f.DryRun != dryRunNone && !f.Apply:
		return &usageError{message: "--dry-run is for --apply: nothing else changes a cluster", next: here + " --apply --dry-run=" + f.DryRun}
	case f.Profile != "" && f.Apply:
		return &usageError{message: "--profile is for -o and --out: --apply goes by the Profile of the cluster"}
	case f.SealCert != "" && f.Output == "":
		return &usageError{message: "--seal-cert seals the Secrets of -o yaml", next: here + " --seal-cert " + quote(f.SealCert) + " -o yaml"}
	case f.SealCert == stdin && f.Profile == stdin:
		return &usageError{message: "standard input can be read once: give - once"}
	case !slices.Contains(sealScopes(), f.SealScope):
		return unknown("scope", f.SealScope, sealScopes())
	case f.SealCert != "" && f.SealScope != sealCluster && f.Namespace == "":
		return &usageError{message: "a sealed Secret opens in one namespace only (--seal-scope=" + f.SealScope + "): name it with -n", next: here + " --seal-cert " + quote(f.SealCert) + " -o yaml -n NAMESPACE"}
	case f.SecretName != "" && len(validation.IsDNS1123Subdomain(f.SecretName)) > 0:
		return &usageError{message: fmt.Sprintf("--secret-name %q is no name that a Secret can have", visible(f.SecretName))}
	case f.Namespace != "" && len(validation.IsDNS1123Label(f.Namespace)) > 0:
		return &usageError{message: fmt.Sprintf("--namespace %q is no name of a namespace", visible(f.Namespace))}
	}
	return f.validateWrite()
}

func quoteAll(args []string) []string {
	out := make([]string, 0, len(args))
	for _, a := range args {
		out = append(out, quote(visible(a)))
	}
	return out
}

// toOptions makes sense of what was typed.
func (f *secretFlags) toOptions(args []string, command string) (*secretOptions, error) {
	if err := f.validate(args, command); err != nil {
		return nil, err
	}
	targets, err := ParseTargets(args)
	if err != nil {
		return nil, err
	}
	if f.SecretName != "" && len(targets) != 1 {
		return nil, &usageError{message: fmt.Sprintf("--secret-name is for one target, got %d", len(targets))}
	}
	o := &secretOptions{
		Targets: targets, AllDFSPs: f.AllDFSPs, Namespace: f.Namespace, SecretName: f.SecretName, Profile: f.Profile,
		Apply: f.Apply, Output: f.Output, Dir: f.Out, Replace: replacement(f.Replace), Now: time.Now(),
		Command: displayName + " " + command,
		writer:  writer{writeFlags: f.writeFlags, IOStreams: f.IOStreams},
	}
	if f.SealCert != "" {
		if o.Sealer, err = newSealer(f.SealCert, f.SealScope, f.In, o.Now); err != nil {
			return nil, err
		}
	}
	byPods := f.AllDFSPs || slices.ContainsFunc(targets, func(t Target) bool { return t.Kind == TargetDeployment })
	if !f.Apply && !byPods {
		return o, nil
	}
	if o.Namespace == "" {
		if o.Namespace, err = f.cluster.namespace(); err != nil {
			return nil, err
		}
	}
	o.cluster, err = f.cluster.connect(f.ErrOut)
	return o, err
}

// again is the command to type for one participant.
func (o *secretOptions) again(p *participant, target string) string {
	words := []string{o.Command, target}
	if p.Namespace != "" {
		words = append(words, "-n", p.Namespace)
	}
	if o.SecretName != "" {
		words = append(words, "--secret-name", o.SecretName)
	}
	words = append(words, o.More...)
	return strings.Join(append(words, "--apply"), " ")
}

// readRules reads the Profile: that of the cluster, or of a file.
func (o *secretOptions) readRules(ctx context.Context) (keyRules, error) {
	if o.cluster == nil || o.Profile != "" {
		if o.Profile == "" {
			return newKeyRules(nil), nil
		}
		profile, err := readProfileFile(ctx, o.Profile, o.In)
		return newKeyRules(profile), err
	}
	profile, err := o.readProfile(ctx)
	if isForbidden(err) {
		o.say("the Profile cannot be read (%v): going by the built-in values", err)
		return newKeyRules(nil), nil
	}
	return newKeyRules(profile), err
}

// needNamespace refuses a namespace that does not exist.
func (o *secretOptions) needNamespace(ctx context.Context, ns string) error {
	live, err := o.read(ctx, kindOf("", kindNamespace), "", ns)
	switch {
	case isForbidden(err): // writing will tell
		return nil
	case err != nil:
		return err
	case live == nil:
		return refused("there is no namespace %q; create it first: kubectl create namespace %s", ns, quote(ns))
	}
	return nil
}

// print prints Secrets, sealed where asked, and what goes with them.
func (o *secretOptions) print(secrets, others []*unstructured.Unstructured) error {
	plain := len(secrets) > 0 && o.Sealer == nil
	var why []string
	for _, obj := range others {
		entries, _, _ := unstructured.NestedMap(obj.Object, "data")
		why = append(why, fmt.Sprintf("the %s has %s only, and the entries of others would go", obj.GetKind(), strings.Join(slices.Sorted(maps.Keys(entries)), ", ")))
	}
	if plain {
		why = append(why, "an annotation would have the secrets in clear")
	}
	if len(why) > 0 {
		// Who applies on the server's side owns what that manager had before, too:
		// a second run would remove the entries of the first.
		o.say("do not `kubectl apply` this as it is: %s; type:  kubectl apply --server-side --field-manager mojasec-%s -f FILE", strings.Join(why, "; "), strings.ToLower(rand.Text()[:8]))
	}
	if plain && onTerminal(o.Out) {
		o.say("these are secrets, and the terminal keeps what it shows: clear it, and next time write them to a file: (umask 077; … > FILE)")
	}
	out := make([]*unstructured.Unstructured, 0, len(secrets)+len(others))
	for _, s := range secrets {
		if o.Sealer != nil {
			var err error
			if s, err = o.Sealer.seal(s); err != nil {
				return err
			}
		}
		out = append(out, s)
	}
	return printObjects(o.Out, append(out, others...), o.Output)
}

// onTerminal tells whether a person sees what is written.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeFiles writes files with secrets, and lists them.
func (o *secretOptions) writeFiles(ctx context.Context, files []newFile) error {
	warnings := inspect(o.Dir, files)
	if err := writeFileSet(ctx, o.Dir, files, o.Replace == replacePair); err != nil {
		return err
	}
	for _, w := range warnings {
		o.say("%s", w)
	}
	for _, f := range files {
		_, _ = fmt.Fprintf(o.Out, "%s\n", visible(filepath.Join(o.Dir, f.name)))
	}
	return nil
}

// sayRestart tells which workloads read a changed Secret when they start only.
// A pod that mounts none has the one of the Profile by injection, so it counts
// when that is replaced.
func (o *secretOptions) sayRestart(who *resolved, steps []keyStep) {
	changed := map[string]action{}
	for _, s := range steps {
		if s.object.GetKind() == "Secret" && s.action != unchanged {
			changed[s.object.GetName()] = s.action
		}
	}
	reads := func(p *policy.KeyPlace, e *entry) bool {
		if p.Secret != "" {
			return p.Secret == e.Secret && changed[e.Secret] != ""
		}
		return p.Elsewhere == "" && !p.External && p.DFSP == e.FSP && changed[e.Secret] == configured
	}
	var names []string
	for i := range who.places {
		p := &who.places[i]
		name := strings.ToLower(p.Workload.Kind) + "/" + p.Workload.Name
		if slices.ContainsFunc(who.entries, func(e entry) bool { return reads(p, &e) }) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		o.say("pods read this when they start:  kubectl rollout restart %s -n %s", strings.Join(names, " "), o.Namespace)
	}
}
