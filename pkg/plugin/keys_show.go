package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
)

// KeysShowFlags are what was typed.
type KeysShowFlags struct{ keysFlags }

// KeysShowOptions are what Run needs.
type KeysShowOptions struct {
	// Targets are whose keys to show, Secrets where they are.
	Targets []Target
	Secrets []string

	*keysOptions
}

func keyShowFormats() []string { return []string{formatText, formatJSON, formatYAML} }

const cmdKeysShow = "show"

// targetSecret is how a Secret is typed.
const targetSecret = "secret/"

// NewCmdKeysShow returns the command that shows a JWS key in detail.
func NewCmdKeysShow(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &KeysShowFlags{newKeysFlags(streams)}
	flags.Output = formatText
	cmd := &cobra.Command{
		Use:   cmdKeysShow + " TARGET|secret/NAME… [-n NAMESPACE | -A | -f FILE] [flags]",
		Short: "Show a JWS key: who mounts it, which peers hold it, what the checks say",
		Long: `Show all that is known of the JWS keys of dfsp/ID, hub, deploy/NAME or
secret/NAME: the fingerprint (SHA-256 of the public half), how it is written, since
when, who mounts it and where, which peers hold the public half, where it is
published, and what the checks say about it. Never the key.

Exit codes: 0 shown; 1 error, or there is no such key; 3 something could not be
read; 64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # one DFSP
  kubectl mojasec keys show dfsp/perffsp-1 -n mojaloop

  # by its Secret
  kubectl mojasec keys show secret/perffsp-1-jws-keys -n mojaloop

  # what verify would say about it
  kubectl mojasec keys show dfsp/perffsp-1 -n mojaloop -o json | jq '.items[].checks'`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	flags.addTo(cmd, cmd.Flags(), keyShowFormats()...)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *KeysShowFlags) ToOptions(args []string) (*KeysShowOptions, error) {
	if len(args) == 0 {
		return nil, &usageError{message: "which key? name " + targetForms + ", or secret/NAME", next: displayName + " keys show dfsp/ID"}
	}
	out := &KeysShowOptions{}
	var rest []string
	for _, arg := range args {
		name, ok := strings.CutPrefix(arg, targetSecret)
		switch {
		case !ok:
			rest = append(rest, arg)
		case len(validation.IsDNS1123Subdomain(name)) > 0:
			return nil, &usageError{message: fmt.Sprintf("target %q: that is no name of a Secret", visible(arg))}
		default:
			out.Secrets = append(out.Secrets, name)
		}
	}
	var err error
	if out.Targets, err = ParseTargets(rest); err != nil {
		return nil, err
	}
	out.keysOptions, err = f.toOptions(keyShowFormats()...)
	return out, err
}

// Run shows the keys.
func (o *KeysShowOptions) Run(ctx context.Context) error {
	r, err := o.read(ctx)
	if err != nil {
		return o.failed(err)
	}
	findings := judgeKeys(r)
	missing, unknown := o.choose(r)
	list := newKeyList(r, missing, o.where(), true)
	for _, name := range unknown {
		list.Errors = append(list.Errors, keyError{r.missingText("in "+targetSecret+name, o.where())})
	}
	for i := range list.Items {
		list.Items[i].Checks = findings.about(&r.ring.Signing[i])
	}
	if o.Output == formatText {
		err = writeKeyDetails(o.Out, list, r, o.Now)
	} else {
		err = writeAnswer(o.Out, o.Output, list)
	}
	if err != nil {
		return fmt.Errorf("print the keys: %w", err)
	}
	o.sayUnread(r, missing)
	for _, name := range unknown {
		o.say("error: %s", r.missingText("in "+targetSecret+name, o.where()))
		missing = append(missing, Target{})
	}
	return r.verdict(missing)
}

// choose keeps the keys that were asked for, and returns those that do not
// exist.
func (o *KeysShowOptions) choose(r *keysRead) (missing []Target, unknown []string) {
	signing, verification := map[int]bool{}, map[int]bool{}
	for _, t := range o.Targets {
		found := false
		for i := range r.ring.Signing {
			if t.ofKey(&r.ring.Signing[i]) {
				found, signing[i] = true, true
			}
		}
		for i := range r.ring.Verification {
			// A DFSP outside of the cluster has a public half here only.
			if v := &r.ring.Verification[i]; t.ofPeerKey(r, v) {
				found, verification[i] = true, true
			}
		}
		if !found {
			missing = append(missing, t)
		}
	}
	for _, name := range o.Secrets {
		found := false
		for i := range r.ring.Signing {
			if e := &r.ring.Signing[i]; e.Object.Kind == "Secret" && e.Object.Name == name {
				found, signing[i] = true, true
				for _, h := range e.Holders {
					verification[h] = true
				}
			}
		}
		if !found {
			unknown = append(unknown, name)
		}
	}
	r.keep(signing, verification)
	return missing, unknown
}

// keyFindings is what the checks about keys say.
type keyFindings struct{ reports []policy.Report }

// judgeKeys runs the checks about keys over the workloads and over the objects
// that hold keys. Pods are judged as they are.
func judgeKeys(r *keysRead) keyFindings {
	checks := slices.DeleteFunc(policy.Checks(), func(c policy.Check) bool {
		return c.Category != policy.CategoryJWS && c.Category != policy.CategoryKeys
	})
	if r.offline {
		return keyFindings{[]policy.Report{policy.Review(checks, r.inputs, r.snap, true)}}
	}
	// The Snapshot has the facts of Secrets and ConfigMaps: objects with a name
	// are enough.
	var inputs []policy.Input
	seen := map[policy.Ref]bool{}
	add := func(ref policy.Ref) {
		if ref.Name == "" || seen[ref] {
			return
		}
		seen[ref] = true
		meta := metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name}
		if ref.Kind == "Secret" {
			inputs = append(inputs, policy.Input{Object: &corev1.Secret{ObjectMeta: meta}})
		} else {
			inputs = append(inputs, policy.Input{Object: &corev1.ConfigMap{ObjectMeta: meta}})
		}
	}
	for i := range r.ring.Signing {
		if e := &r.ring.Signing[i]; e.Presence == policy.Present {
			add(e.Object)
		}
	}
	for i := range r.ring.Verification {
		add(r.ring.Verification[i].Object)
	}
	return keyFindings{[]policy.Report{policy.ReviewWorkloads(checks, r.snap, nil), policy.Review(checks, inputs, r.snap, false)}}
}

// about returns the findings about one key: at its object, at who signs with it,
// at what peers hold for it.
func (f keyFindings) about(e *policy.SigningEntry) []keyFinding {
	var out []keyFinding
	for i := range f.reports {
		r := &f.reports[i]
		for j := range r.Findings {
			found := &r.Findings[j]
			subject := r.Subject(found.Pair)
			signs := slices.ContainsFunc(e.Users, func(u policy.KeyUser) bool { return u.Signs && u.Workload == subject.Ref })
			if !signs && r.Place(found) != e.Object {
				continue
			}
			kf := keyFinding{
				Check: string(r.Check(found.Pair).ID), Severity: found.Severity.String(), Waived: found.Waived,
				Detail: visible(found.Detail), Fix: visible(found.Fix),
			}
			if !slices.Contains(out, kf) {
				out = append(out, kf)
			}
		}
	}
	return out
}
