package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
)

// KeysListFlags are what was typed.
type KeysListFlags struct{ keysFlags }

// KeysListOptions are what Run needs.
type KeysListOptions struct {
	// Targets are whose keys to list; none stands for all.
	Targets []Target

	*keysOptions
}

const cmdKeysList = "list"

// formatWide is the table with more columns.
const formatWide = "wide"

func keyListFormats() []string {
	return []string{formatTable, formatWide, formatJSON, formatYAML, formatName}
}

// NewCmdKeysList returns the command that lists JWS keys.
func NewCmdKeysList(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &KeysListFlags{newKeysFlags(streams)}
	cmd := &cobra.Command{
		Use:   cmdKeysList + " [TARGET…] [-n NAMESPACE | -A | -f FILE] [flags]",
		Short: "List JWS keys: whose, how old, published, shared, who mounts them",
		Long: `List the JWS keys of a scheme: whose they are, in which Secret, how old, whether
they are published or shared, who mounts them, and whether the peers hold the
public half. A second table has the public keys from which peers verify.

STATUS has a word for all that is worth a look:
  missing       the Secret, or the key in it, does not exist
  external      the SDK gets its keys from the connection manager (PM4ML_ENABLED)
  in-image      the pod signs with a file of its image
  not-read      it could not be read (not-given: it is not in the files)
  not-known     it comes from a volume that nobody can look into
  unusable      the Mojaloop SDK cannot use it
  exposed       the private half stands among the public ones, or in a ConfigMap
  published     the private half is in a public repository
  shared        another participant has it too
  old           it is older than the Profile allows
  unmounted     no pod mounts it
  unused        pods mount it, and none signs with it
  peers-differ  peers hold another public key for this FSP
  not-held      no peer has a public key for this FSP

A ? stands for what could not be read. AGE is how long the key is in use, as its Secret says (mojasec.io/key-since) or
its certificate; 12d+ is at least 12 days, from the last write to the Secret.
A ? stands for what could not be read.

Listing judges nothing: the exit code is 0 whatever the keys are like; verify is
for that. Exit codes: 0 listed; 1 error, or a target without a key; 3 something
could not be read; 64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # the keys of a namespace
  kubectl mojasec keys list -n mojaloop

  # of all namespaces, with places and full fingerprints
  kubectl mojasec keys list -A -o wide

  # two DFSPs and the hub
  kubectl mojasec keys list dfsp/perffsp-{1,2} hub -n mojaloop

  # which keys are published, or shared?
  kubectl mojasec keys list -A -o json | jq -r '.items[] | select(.published or .sharedWith) | .dfsp'

  # before they reach a cluster
  helm template ./chart | kubectl mojasec keys list -f -`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	flags.addTo(cmd, cmd.Flags(), keyListFormats()...)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *KeysListFlags) ToOptions(args []string) (*KeysListOptions, error) {
	targets, err := ParseTargets(args)
	if err != nil {
		return nil, err
	}
	o, err := f.toOptions(keyListFormats()...)
	if err != nil {
		return nil, err
	}
	return &KeysListOptions{Targets: targets, keysOptions: o}, nil
}

// Run lists the keys.
func (o *KeysListOptions) Run(ctx context.Context) error {
	r, err := o.read(ctx)
	if err != nil {
		return o.failed(err)
	}
	missing := r.narrow(o.Targets)
	if err := o.write(r, missing); err != nil {
		return fmt.Errorf("print the keys: %w", err)
	}
	o.sayUnread(r, missing)
	if len(r.ring.Signing)+len(r.ring.Verification)+len(missing)+len(r.errors)+len(r.unread) == 0 {
		o.say("no JWS keys %s", o.where())
	}
	return r.verdict(missing)
}

// failed keeps the promise that -o json and -o yaml print one document in every
// outcome.
func (o *keysOptions) failed(err error) error {
	if o.Output == formatJSON || o.Output == formatYAML {
		return errors.Join(err, writeAnswer(o.Out, o.Output, failedKeyList(err.Error())))
	}
	return err
}

func (o *KeysListOptions) write(r *keysRead, missing []Target) error {
	switch o.Output {
	case formatJSON, formatYAML:
		return writeAnswer(o.Out, o.Output, newKeyList(r, missing, o.where(), false))
	case formatName:
		return writeKeyNames(o.Out, r)
	}
	t := keyTable{wide: o.Output == formatWide, namespaces: o.Namespaces == nil || r.offline, now: o.Now}
	return t.write(o.Out, r)
}

// writeKeyNames prints the objects that hold private halves, each once, as
// kubectl names them.
func writeKeyNames(w io.Writer, r *keysRead) error {
	var names []string
	for i := range r.ring.Signing {
		e := &r.ring.Signing[i]
		name := strings.ToLower(e.Object.Kind) + "/" + visible(e.Object.Name)
		if e.Object.Name == "" || e.Presence != policy.Present || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if _, err := fmt.Fprintln(w, name); err != nil {
			return err
		}
	}
	return nil
}

// writeUsageKeys answers a command line that is wrong, where a KeyList was asked
// for.
func writeUsageKeys(w io.Writer, cmd *cobra.Command, args []string, usage *usageError) error {
	if cmd.Name() != cmdKeysList && cmd.Name() != cmdKeysShow {
		return nil
	}
	for _, format := range []string{formatJSON, formatYAML} {
		if slices.Contains(outputsOf(args), format) {
			return writeAnswer(w, format, failedKeyList(usage.message))
		}
	}
	return nil
}
