package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// UninstallFlags are what was typed.
type UninstallFlags struct {
	CRDs              bool
	Labels            bool
	IgnoreQuarantines bool

	writeFlags
	cluster clusterFlags
	genericiooptions.IOStreams
}

// UninstallOptions are what Run needs.
type UninstallOptions struct {
	// CRDs removes the custom resource definitions too, and with them every
	// Profile, Waiver, Quarantine and Rotation.
	CRDs bool
	// Labels removes the mode labels of namespaces.
	Labels bool
	// IgnoreQuarantines goes on while a DFSP is isolated.
	IgnoreQuarantines bool

	writer
}

// NewCmdUninstall returns the command that removes the webhook.
func NewCmdUninstall(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &UninstallFlags{writeFlags: newWriteFlags(5 * time.Minute), cluster: newClusterFlags(), IOStreams: streams}
	cmd := &cobra.Command{
		Use:     "uninstall [flags]",
		GroupID: groupInstall,
		Short:   "Remove the webhook, its rights and its processes",
		Long: `Remove the webhook: first its configurations, so that nothing waits for a webhook
that is on its way out, then its rights and processes.

Custom resources and their definitions stay, unless --crds is given; the mode
labels of namespaces stay, unless --labels is given. Both do nothing without the
webhook.

The plan is shown first. Without a terminal nothing is done without --yes.

Exit codes: 0 done; 1 error; 4 refused; 64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # look first
  kubectl mojasec uninstall --dry-run

  # leave nothing behind
  kubectl mojasec uninstall --crds --labels`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&flags.CRDs, "crds", false, "remove the custom resource definitions, and every object of theirs")
	fs.BoolVar(&flags.Labels, "labels", false, "remove the mode labels of namespaces")
	fs.BoolVar(&flags.IgnoreQuarantines, "ignore-quarantines", false, "go on while a DFSP is in quarantine, though nothing isolates it at admission then")
	flags.addWriteFlags(fs)
	flags.cluster.addTo(fs)
	complete(cmd, "dry-run", dryRunNone, dryRunClient, dryRunServer)
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *UninstallFlags) ToOptions() (*UninstallOptions, error) {
	if err := f.validateWrite(); err != nil {
		return nil, err
	}
	o := &UninstallOptions{
		CRDs: f.CRDs, Labels: f.Labels, IgnoreQuarantines: f.IgnoreQuarantines,
		writer: writer{writeFlags: f.writeFlags, IOStreams: f.IOStreams},
	}
	var err error
	o.cluster, err = f.cluster.connect(f.ErrOut)
	return o, err
}

// installation is what there is of mojasec in a cluster.
type installation struct {
	// objects are those of the manifests that exist, in the order in which
	// they are applied.
	objects []*unstructured.Unstructured
	// bindings let the webhook read namespaces; labelled are the namespaces
	// with a mode.
	bindings, labelled []unstructured.Unstructured
	// custom are the objects of our kinds.
	custom []unstructured.Unstructured
}

// Run removes, or prints what it would remove.
func (o *UninstallOptions) Run(ctx context.Context) error {
	if _, err := o.version(ctx); err != nil {
		return err
	}
	have, err := o.observe(ctx)
	if err != nil {
		return err
	}
	steps, err := o.plan(have)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		o.say("nothing to remove: the webhook is not installed")
		o.sayKept(have)
		return nil
	}
	if err := o.agree(ctx, steps); err != nil {
		return err
	}
	for i, s := range steps {
		if err := o.removeStep(ctx, s); err != nil {
			return err
		}
		o.done(s)
		last := i+1 == len(steps) || !isWebhookConfiguration(steps[i+1].object.GetKind())
		if isWebhookConfiguration(s.object.GetKind()) && last {
			// What comes next must not be judged by what it removes.
			if err := o.awaitGone(ctx, steps[:i+1]); err != nil {
				return err
			}
		}
	}
	if err := o.awaitGone(ctx, steps); err != nil {
		return err
	}
	o.sayKept(have)
	return nil
}

// sayKept says what stays.
func (o *UninstallOptions) sayKept(have *installation) {
	crds := slices.ContainsFunc(have.objects, func(obj *unstructured.Unstructured) bool { return obj.GetKind() == kindCRD })
	if crds && !o.CRDs {
		o.say("kept: the custom resource definitions, with %d objects; remove them with --crds", len(have.custom))
	}
	if n := len(have.labelled); n > 0 && !o.Labels {
		o.say("kept: the mode labels of %d namespaces; remove them with --labels", n)
	}
}

// observe reads what is installed.
func (o *UninstallOptions) observe(ctx context.Context) (*installation, error) {
	have := &installation{}
	var m manifestOptions
	if err := m.recall(ctx, o.cluster); err != nil {
		return nil, err
	}
	// What another overlay has besides may be left from an earlier installation.
	for _, overlay := range []manifestOptions{{MeshRoot: m.MeshRoot}, {MeshRoot: m.MeshRoot, CertManager: true}} {
		objs, err := overlay.render()
		if err != nil {
			return nil, err
		}
		objs = append(objs, newObject(kindOf("", "Secret"), systemNamespace, tlsSecretName), newObject(kindOf("coordination.k8s.io", "Lease"), systemNamespace, webhookName))
		for _, obj := range objs {
			if slices.ContainsFunc(have.objects, func(other *unstructured.Unstructured) bool { return nameOfObject(other) == nameOfObject(obj) }) {
				continue
			}
			live, err := o.read(ctx, obj.GroupVersionKind().GroupKind(), obj.GetNamespace(), obj.GetName())
			if err != nil {
				return nil, err
			}
			if live != nil {
				have.objects = append(have.objects, live)
			}
		}
	}
	for _, kind := range []string{v1alpha1.KindProfile, v1alpha1.KindWaiver, v1alpha1.KindQuarantine, v1alpha1.KindRotation} {
		objs, err := o.list(ctx, kindOf(groupMojasec, kind), "", "")
		if err != nil {
			return nil, err
		}
		have.custom = append(have.custom, objs...)
	}
	bindings, err := o.list(ctx, kindOf(groupRBAC, kindRoleBinding), "", "")
	if err != nil {
		return nil, err
	}
	have.bindings = slices.DeleteFunc(bindings, func(b unstructured.Unstructured) bool { return !isNamespaceBinding(&b) })
	have.labelled, err = o.list(ctx, kindOf("", kindNamespace), "", v1alpha1.LabelMode)
	return have, err
}

// isNamespaceBinding tells whether a RoleBinding lets the webhook read a
// namespace.
func isNamespaceBinding(b *unstructured.Unstructured) bool {
	role, _, _ := unstructured.NestedString(b.Object, "roleRef", "name")
	return b.GetName() == webhookName && role == namespaceRole
}

// plan orders what is to go: the configurations first, the namespace last.
func (o *UninstallOptions) plan(have *installation) ([]step, error) {
	if names := inForce(have.custom); len(names) > 0 && !o.IgnoreQuarantines {
		return nil, refused("in quarantine: %s: without the webhook nothing keeps their pods isolated; release them first, or give --ignore-quarantines", strings.Join(names, ", "))
	}
	var first, rest, crds, last []step
	var kept []string
	for _, live := range slices.Backward(have.objects) {
		if owner := ownerOf(live); owner != nil {
			if live.GetKind() == "Secret" { // cert-manager makes it, from a Certificate that goes too
				continue
			}
			return nil, owner.refuse(nameOfObject(live), "remove it there")
		}
		s := step{action: deleted, object: live}
		switch kind := live.GetKind(); {
		case isWebhookConfiguration(kind):
			first = append(first, s)
		case kind == kindCRD && !o.CRDs:
		case kind == kindCRD:
			s.note = lost(live, have.custom)
			crds = append(crds, s)
		case kind == kindNamespace:
			if kept = inNamespace(have.custom, live.GetName()); len(kept) > 0 && !o.CRDs {
				continue // it would take them with it
			}
			s.note = "with everything in it"
			last = append(last, s)
		default:
			rest = append(rest, s)
		}
	}
	var inNamespaces []step
	for i := range have.bindings {
		inNamespaces = append(inNamespaces, step{action: deleted, object: &have.bindings[i]})
	}
	for i := range have.labelled {
		if !o.Labels {
			break
		}
		ns := &have.labelled[i]
		if owner := ownerOf(ns); owner != nil {
			return nil, owner.refuse(nameOfObject(ns), "remove the label mojasec.io/mode there, or leave out --labels: without the webhook it does nothing")
		}
		inNamespaces = append(inNamespaces, step{action: unlabelled, object: ns, note: "mojasec.io/mode=" + ns.GetLabels()[v1alpha1.LabelMode]})
	}
	return slices.Concat(first, inNamespaces, rest, crds, last), nil
}

// inForce names the quarantines that isolate somebody now.
func inForce(custom []unstructured.Unstructured) []string {
	var out []string
	for i := range custom {
		if custom[i].GetKind() == v1alpha1.KindQuarantine && custom[i].GetDeletionTimestamp() == nil {
			phase, _, _ := unstructured.NestedString(custom[i].Object, "status", "phase")
			if phase == string(v1alpha1.QuarantineReleased) {
				continue
			}
			dfsp, _, _ := unstructured.NestedString(custom[i].Object, "spec", "dfsp")
			out = append(out, visible(dfsp)+" in "+custom[i].GetNamespace())
		}
	}
	return out
}

// lost says how many objects go with a definition.
func lost(crd *unstructured.Unstructured, custom []unstructured.Unstructured) string {
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	n := 0
	for i := range custom {
		if custom[i].GetKind() == kind {
			n++
		}
	}
	switch n {
	case 0:
		return "there is no " + kind
	case 1:
		return "with 1 " + kind
	}
	return fmt.Sprintf("with %d objects of kind %s", n, kind)
}

func inNamespace(custom []unstructured.Unstructured, ns string) []string {
	var out []string
	for i := range custom {
		if custom[i].GetNamespace() == ns {
			out = append(out, nameOfObject(&custom[i]))
		}
	}
	return out
}

// removeLabel takes the mode off a namespace.
var removeLabel = []byte(`{"metadata":{"labels":{"` + v1alpha1.LabelMode + `":null}}}`)

func (o *UninstallOptions) removeStep(ctx context.Context, s step) error {
	if o.DryRun == dryRunClient {
		return nil
	}
	kind, ns, name := s.object.GroupVersionKind().GroupKind(), s.object.GetNamespace(), s.object.GetName()
	dry := o.DryRun == dryRunServer
	if s.action == unlabelled {
		return o.patch(ctx, kind, ns, name, removeLabel, dry)
	}
	return o.remove(ctx, kind, ns, name, dry)
}

// awaitGone waits until what was deleted is gone.
func (o *UninstallOptions) awaitGone(ctx context.Context, steps []step) error {
	if o.DryRun != dryRunNone {
		return nil
	}
	for _, s := range steps {
		if s.action != deleted {
			continue
		}
		err := o.await(ctx, nameOfObject(s.object), func(ctx context.Context) (bool, string, error) {
			live, err := o.read(ctx, s.object.GroupVersionKind().GroupKind(), s.object.GetNamespace(), s.object.GetName())
			return live == nil || live.GetUID() != s.object.GetUID(), "not gone yet", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
