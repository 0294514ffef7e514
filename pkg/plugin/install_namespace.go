package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// protect binds rights in namespaces, labels them, and rolls what needs it.
func (o *InstallOptions) protect(ctx context.Context) error {
	if o.Output != "" {
		return printObjects(o.Out, o.protection(), o.Output)
	}
	if _, err := o.version(ctx); err != nil {
		return err
	}
	var steps []step
	for _, ns := range o.Namespaces {
		more, err := o.planNamespace(ctx, ns)
		if err != nil {
			return err
		}
		steps = append(steps, more...)
	}
	stale, err := o.stale(ctx, steps)
	if err != nil {
		return err
	}
	all := steps
	if o.Restart {
		all = slices.Concat(steps, restarts(stale))
	}
	if len(pending(all)) > 0 {
		if err := o.agree(ctx, all); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := o.protectStep(ctx, s); err != nil {
			return err
		}
	}
	if !o.Restart {
		o.sayStale(stale, displayName+" install --namespace "+strings.Join(o.Namespaces, ",")+" --restart")
		return nil
	}
	return o.roll(ctx, stale, o.Now)
}

// protection is what protects the namespaces, as manifests.
func (o *InstallOptions) protection() []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, ns := range o.Namespaces {
		mode := o.Mode
		if mode == "" {
			mode = string(v1alpha1.ModeWarn)
		}
		out = append(out, bindingFor(ns), labelFor(ns, mode))
	}
	return out
}

// bindingFor lets the webhook read the Secrets and ConfigMaps of a namespace.
func bindingFor(ns string) *unstructured.Unstructured {
	obj := newObject(kindOf(groupRBAC, kindRoleBinding), ns, webhookName)
	obj.SetLabels(map[string]string{labelName: partOfMojasec, labelPartOf: partOfMojasec, labelManager: fieldManager})
	obj.Object["roleRef"] = map[string]any{"apiGroup": groupRBAC, "kind": "ClusterRole", "name": namespaceRole}
	obj.Object["subjects"] = []any{map[string]any{"kind": "ServiceAccount", "name": webhookName, "namespace": systemNamespace}}
	return obj
}

// labelFor is a namespace with its mode.
func labelFor(ns, mode string) *unstructured.Unstructured {
	obj := newObject(kindOf("", kindNamespace), "", ns)
	obj.SetLabels(map[string]string{v1alpha1.LabelMode: mode})
	return obj
}

// planNamespace plans the protection of one namespace: the right to read before
// the label, because the webhook refuses what it cannot check.
func (o *InstallOptions) planNamespace(ctx context.Context, ns string) ([]step, error) {
	live, err := o.read(ctx, kindOf("", kindNamespace), "", ns)
	if err != nil {
		return nil, err
	}
	mode, err := nextMode(ns, live, o.Mode)
	if err != nil {
		return nil, err
	}
	role, err := o.read(ctx, kindOf(groupRBAC, "ClusterRole"), "", namespaceRole)
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, refused("the webhook is not installed: there is no ClusterRole %s; install it first: %s install", namespaceRole, displayName)
	}
	binding, err := o.planOne(ctx, bindingFor(ns))
	if err != nil {
		return nil, err
	}
	binding.note = "the webhook reads Secrets and ConfigMaps there"
	label := step{action: unchanged, object: labelFor(ns, mode), note: "mojasec.io/mode=" + mode}
	if live.GetLabels()[v1alpha1.LabelMode] != mode {
		label.action = labelled
		if owner := ownerOf(live); owner != nil {
			return nil, owner.refuse("namespace/"+ns, fmt.Sprintf("set the label mojasec.io/mode: %s there, then run this again", mode))
		}
	}
	return []step{binding, label}, nil
}

// nextMode is the mode a namespace is to have: the one asked for unless that
// is weaker, else the one it has, else warn.
func nextMode(ns string, live *unstructured.Unstructured, want string) (string, error) {
	if live == nil {
		return "", refused("there is no namespace %q; create it first: kubectl create namespace %s", ns, quote(ns))
	}
	have, labelled := live.GetLabels()[v1alpha1.LabelMode]
	known := slices.Contains(modeOrder, have)
	switch {
	case labelled && !known && want == "":
		return "", refused("namespace %q has the label mojasec.io/mode: %s, which is no mode; say which it is to be: --mode %s", ns, visible(have), strings.Join(modeOrder, "|"))
	case want == "" && known:
		return have, nil
	case want == "":
		return string(v1alpha1.ModeWarn), nil
	case known && slices.Index(modeOrder, want) < slices.Index(modeOrder, have):
		return "", refused("namespace %q is in mode %s, and install does not lower it; whoever has the right to (verb unenforce on profiles of mojasec.io) types: kubectl label namespace %s mojasec.io/mode=%s --overwrite",
			ns, have, ns, want)
	}
	return want, nil
}

// protectStep carries out one step. After a binding it waits until the
// authorizer knows it.
func (o *InstallOptions) protectStep(ctx context.Context, s step) error {
	dry := o.DryRun != dryRunNone
	if s.action != unchanged && !dry {
		// The label is one field, and its new value was agreed to.
		if _, err := o.apply(ctx, s.object, false, o.ForceConflicts || s.action == labelled); err != nil {
			return conflict(s.object, err)
		}
	}
	o.done(s)
	if s.object.GetKind() != kindRoleBinding || s.action == unchanged || dry {
		return nil
	}
	ns := s.object.GetNamespace()
	return o.await(ctx, "the right of the webhook to read Secrets in "+ns, func(ctx context.Context) (bool, string, error) {
		ok, err := o.mayRead(ctx, ns)
		if isForbidden(err) { // may not ask: the binding is written, and that has to do
			return true, "", nil
		}
		return ok, "not granted yet", err
	})
}

// mayRead asks whether the webhook may list the Secrets of a namespace.
func (c *cluster) mayRead(ctx context.Context, ns string) (bool, error) {
	review := newObject(kindOf("authorization.k8s.io", "SubjectAccessReview"), "", "")
	review.Object["spec"] = map[string]any{
		"user":   "system:serviceaccount:" + systemNamespace + ":" + webhookName,
		"groups": []any{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
		"resourceAttributes": map[string]any{
			"namespace": ns, "verb": "list", "group": "", "resource": "secrets",
		},
	}
	answer, err := c.create(ctx, review, false)
	if err != nil {
		return false, err
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}
