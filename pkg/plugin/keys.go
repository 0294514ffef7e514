package plugin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect"
	"github.com/mojasec/mojasec/pkg/policy/collect/live"
)

const cmdKeys = "keys"

// groupKeys is the group of commands about key material.
const groupKeys = "keys"

// NewCmdKeys returns the command whose subcommands look after JWS keys.
func NewCmdKeys(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     cmdKeys,
		GroupID: groupKeys,
		Short:   "List, show, import and export JWS keys",
		Long: `List, show, import and export JWS keys. Private keys are read where they are and
never printed: answers name them by the SHA-256 fingerprint of their public half.`,
		Args: onlySubcommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		NewCmdKeysList(streams),
		NewCmdKeysShow(streams),
		NewCmdKeysImport(streams),
		NewCmdKeysExportPublic(streams),
	)
	return cmd
}

// keysFlags say where keys are looked for.
type keysFlags struct {
	Namespace     string
	AllNamespaces bool
	Filenames     []string
	Output        string
	Timeout       time.Duration

	cluster clusterFlags
	genericiooptions.IOStreams
}

// keysOptions are where keys are looked for, and how the answer is written.
type keysOptions struct {
	// Namespaces are where to look; nil is everywhere. Files replaces the
	// cluster where it is not empty.
	Namespaces []string
	Files      []string
	Output     string
	Timeout    time.Duration
	Now        time.Time
	// HashKey is random: see policy.SnapshotOptions.
	HashKey []byte

	// noCluster is why there is no cluster to ask; nil when there is one, or
	// none is needed.
	noCluster error
	*cluster
	genericiooptions.IOStreams
}

func newKeysFlags(streams genericiooptions.IOStreams) keysFlags {
	return keysFlags{Output: formatTable, Timeout: time.Minute, cluster: newClusterFlags(), IOStreams: streams}
}

func (f *keysFlags) addTo(cmd *cobra.Command, fs *pflag.FlagSet, formats ...string) {
	fs.SortFlags = false
	fs.StringVarP(&f.Namespace, "namespace", "n", "", "look in this `NAMESPACE` (default: that of the context)")
	fs.BoolVarP(&f.AllNamespaces, "all-namespaces", "A", false, "look in all namespaces")
	fs.StringArrayVarP(&f.Filenames, "filename", "f", nil, "look into these manifests instead of a cluster; - is standard input; a further `FILE` needs a further -f")
	fs.StringVarP(&f.Output, "output", "o", f.Output, "`FORMAT`: "+orList(formats))
	fs.DurationVar(&f.Timeout, "timeout", f.Timeout, "give up after this `TIME`")
	f.cluster.addTo(fs)
	complete(cmd, "output", formats...)
	completeWith(cmd, "filename", cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt))
}

// toOptions makes sense of what was typed.
func (f *keysFlags) toOptions(formats ...string) (*keysOptions, error) {
	switch {
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case f.AllNamespaces && f.Namespace != "":
		return nil, &usageError{message: "-n and -A: want one of them"}
	case f.AllNamespaces && len(f.Filenames) > 0:
		return nil, &usageError{message: "-A is for a cluster: of files all namespaces are read"}
	case slices.Contains(f.Filenames, ""):
		return nil, &usageError{message: "-f: the name of the file is empty"}
	case f.Namespace != "" && len(validation.IsDNS1123Label(f.Namespace)) > 0:
		return nil, &usageError{message: fmt.Sprintf("--namespace %q is no name of a namespace", visible(f.Namespace))}
	case f.Timeout <= 0:
		return nil, &usageError{message: fmt.Sprintf("--timeout %s: want a time from now on, for example 30s", f.Timeout)}
	}
	o := &keysOptions{Files: f.Filenames, Output: f.Output, Timeout: f.Timeout, Now: time.Now(), HashKey: make([]byte, 32), IOStreams: f.IOStreams}
	if _, err := rand.Read(o.HashKey); err != nil {
		return nil, fmt.Errorf("make a random key: %w", err)
	}
	if len(o.Files) > 0 {
		o.Namespaces = []string{f.Namespace} // of objects that name none
		return o, nil
	}
	if !f.AllNamespaces {
		ns := f.Namespace
		if ns == "" {
			var err error
			if ns, err = f.cluster.namespace(); err != nil {
				o.noCluster = err
				return o, nil
			}
		}
		o.Namespaces = []string{ns}
	}
	o.cluster, o.noCluster = f.cluster.connect(f.ErrOut)
	return o, nil
}

// keysRead is what was found.
type keysRead struct {
	ring policy.Keyring
	snap *policy.Snapshot
	// inputs are the objects of files, to be judged for details.
	inputs []policy.Input
	// unread is what could not be read of a cluster, errors what of files. blind
	// tells that what was not read may hold or mount keys.
	unread []unreadPart
	errors []string
	blind  bool
	// namespaces are where was looked; nil is everywhere.
	namespaces []string
	// ids are all participants that were seen, held tells that a public half was
	// seen: the ring may have been narrowed since.
	ids  []string
	held bool
	// offline tells that the objects came from files: what is not among them may
	// exist all the same.
	offline bool
}

// read looks into the cluster or the files.
func (o *keysOptions) read(ctx context.Context) (*keysRead, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if len(o.Files) > 0 {
		return o.readFilesInTime(ctx)
	}
	if o.noCluster != nil {
		return nil, o.noCluster
	}
	reading, err := o.snapshot(ctx, live.ReadOptions{HashKey: o.HashKey, Now: o.Now, Namespaces: o.Namespaces, KeysOnly: true})
	if err != nil {
		return nil, o.inTime(ctx, err)
	}
	if len(reading.NoNamespaces) > 0 {
		return nil, fmt.Errorf("look for keys: there is no namespace %q; look everywhere with -A", reading.NoNamespaces[0])
	}
	out := &keysRead{snap: reading.Snapshot, ring: reading.Snapshot.Keyring(), unread: o.unreadParts(reading.Unread), namespaces: o.Namespaces}
	out.blind = slices.ContainsFunc(reading.Unread, func(u live.Unread) bool { return u.Kind != "Profile" })
	out.know()
	return out, nil
}

// readFilesInTime does not wait for standard input any longer than it may.
func (o *keysOptions) readFilesInTime(ctx context.Context) (*keysRead, error) {
	type answer struct {
		read *keysRead
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		r, err := o.readFiles(ctx)
		answers <- answer{r, err}
	}()
	select {
	case a := <-answers:
		return a.read, o.inTime(ctx, a.err)
	case <-ctx.Done():
		return nil, o.inTime(ctx, ctx.Err())
	}
}

// inTime says what to do when --timeout, or that for a single request, was too
// short.
func (o *keysOptions) inTime(ctx context.Context, err error) error {
	switch {
	case !errors.Is(err, context.DeadlineExceeded):
		return err
	case ctx.Err() == nil && o.cluster != nil && o.config.Timeout > 0:
		return &ExitError{Code: TimedOut, Err: fmt.Errorf("the API server did not answer a request within %s; wait longer with --request-timeout", o.config.Timeout)}
	}
	return &ExitError{Code: TimedOut, Err: fmt.Errorf("not everything was read within %s; wait longer with --timeout", o.Timeout)}
}

// know notes who was seen, before some are chosen.
func (r *keysRead) know() {
	add := func(id string) {
		if id != "" && !slices.Contains(r.ids, id) {
			r.ids = append(r.ids, id)
		}
	}
	for i := range r.ring.Signing {
		add(r.ring.Signing[i].DFSP)
	}
	for i := range r.ring.Verification {
		add(r.ring.Verification[i].FSP)
	}
	r.held = len(r.ring.Verification) > 0
}

// dataUnread tells whether objects of a kind could not be read somewhere.
func (r *keysRead) dataUnread(kind policy.FactKind) bool {
	return r.snap.Unread(kind, "") != "" || slices.ContainsFunc(r.namespaces, func(ns string) bool { return r.snap.Unread(kind, ns) != "" })
}

// missingText says that there is no key, or that this cannot be known.
func (r *keysRead) missingText(what, where string) string {
	if r.blind {
		return fmt.Sprintf("it is not known whether there is a JWS key %s %s: not everything could be read", what, where)
	}
	return fmt.Sprintf("no JWS key %s %s", what, where)
}

// didYouMean names the DFSPs whose id is much like that of a target.
func (r *keysRead) didYouMean(t Target) string {
	if t.Kind != TargetDFSP {
		return ""
	}
	near := nearest(t.Name, r.ids)
	if same := slices.IndexFunc(r.ids, func(id string) bool { return strings.EqualFold(id, t.Name) }); same >= 0 {
		return fmt.Sprintf("; ids are case-sensitive: did you mean %s%s?", targetDFSP, visible(r.ids[same]))
	}
	if len(near) == 0 || slices.Contains(near, t.Name) {
		return ""
	}
	for i := range near {
		near[i] = targetDFSP + visible(near[i])
	}
	return "; did you mean " + orList(near) + "?"
}

func (o *keysOptions) readFiles(ctx context.Context) (*keysRead, error) {
	for _, name := range o.Files {
		if err := (fileFlag{"-f", name}).check(); err != nil {
			return nil, fmt.Errorf("read the files: %w", err)
		}
	}
	in, err := collect.Files(ctx, collect.Options{Paths: o.Files, Stdin: o.In, Namespace: o.Namespaces[0]})
	if err != nil {
		return nil, err
	}
	out := &keysRead{offline: true}
	objs := make([]runtime.Object, 0, len(in.Objects))
	for _, obj := range in.Objects {
		objs = append(objs, obj.Object)
		out.inputs = append(out.inputs, policy.Input{Object: obj.Object, Raw: obj.Raw})
	}
	for _, e := range in.Errors {
		out.errors = append(out.errors, visible(e.Error()))
	}
	out.snap = policy.NewSnapshot(policy.OfflineOptions(o.Now, o.HashKey), objs)
	out.ring = out.snap.Keyring()
	out.know()
	return out, nil
}

// narrow keeps the keys of some targets; all where there are none. It returns
// the targets that have no key.
func (r *keysRead) narrow(targets []Target) (missing []Target) {
	if len(targets) == 0 {
		return nil
	}
	signing, verification := map[int]bool{}, map[int]bool{}
	for _, t := range targets {
		found := false
		for i := range r.ring.Signing {
			if t.ofKey(&r.ring.Signing[i]) {
				found, signing[i] = true, true
			}
		}
		for i := range r.ring.Verification {
			if t.ofPeerKey(r, &r.ring.Verification[i]) {
				found, verification[i] = true, true
			}
		}
		if !found {
			missing = append(missing, t)
		}
	}
	r.keep(signing, verification)
	return missing
}

// keep drops the other entries, and mends the indices.
func (r *keysRead) keep(signing, verification map[int]bool) {
	at := map[int]int{}
	var kept policy.Keyring
	for i := range r.ring.Verification {
		if verification[i] {
			at[i] = len(kept.Verification)
			kept.Verification = append(kept.Verification, r.ring.Verification[i])
		}
	}
	for i := range r.ring.Signing {
		if !signing[i] {
			continue
		}
		e := r.ring.Signing[i]
		var holders []int
		for _, h := range e.Holders {
			if j, ok := at[h]; ok {
				holders = append(holders, j)
			}
		}
		e.Holders = holders
		kept.Signing = append(kept.Signing, e)
	}
	r.ring = kept
}

// ofKey tells whether a signing key is that of a target.
func (t Target) ofKey(e *policy.SigningEntry) bool {
	switch t.Kind {
	case TargetDFSP:
		return !e.Hub && e.DFSP == t.Name
	case TargetHub:
		return e.Hub
	case TargetDeployment:
		return slices.ContainsFunc(e.Users, func(u policy.KeyUser) bool { return u.Workload.Kind == kindDeployment && u.Workload.Name == t.Name })
	}
	return false
}

// ofPeerKey tells whether a verification key is for a target.
func (t Target) ofPeerKey(r *keysRead, v *policy.VerificationEntry) bool {
	if t.Kind == TargetDFSP {
		return v.FSP == t.Name
	}
	return slices.ContainsFunc(r.ring.Signing, func(e policy.SigningEntry) bool { return e.DFSP == v.FSP && t.ofKey(&e) })
}

// verdict is what reading as such amounts to.
func (r *keysRead) verdict(missing []Target) error {
	codes := []Code{Good}
	// What could not be read may have the keys that are missing.
	if len(r.errors) > 0 || len(missing) > 0 && !r.blind {
		codes = append(codes, Failed)
	}
	if len(r.unread) > 0 {
		codes = append(codes, Incomplete)
	}
	return exit(codes...)
}

// say prints to stderr.
func (o *keysOptions) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.ErrOut, format+"\n", args...)
}

// sayUnread says what the answer lacks.
func (o *keysOptions) sayUnread(r *keysRead, missing []Target) {
	for _, e := range r.errors {
		o.say("error: %s", e)
	}
	for _, t := range missing {
		o.say("error: %s%s", r.missingText("of "+t.String(), o.where()), r.didYouMean(t))
	}
	for _, line := range unreadLines(r.unread) {
		o.say("%s", line)
	}
}

// where says where was looked.
func (o *keysOptions) where() string {
	switch {
	case len(o.Files) > 0:
		return "in the files"
	case o.Namespaces == nil:
		return "in any namespace"
	}
	return "in namespace " + cmp.Or(o.Namespaces[0], "default")
}
