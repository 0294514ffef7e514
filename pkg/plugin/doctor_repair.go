package plugin

import (
	"context"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// unblock removes the configurations of a dead webhook.
func (o *DoctorOptions) unblock(ctx context.Context, seen *observation) error {
	steps, err := planUnblock(seen)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		o.say("nothing to remove: there is no webhook configuration of mojasec")
		return nil
	}
	if err := o.agree(ctx, steps); err != nil {
		return err
	}
	for _, s := range steps {
		if o.DryRun != dryRunClient {
			kind := s.object.GroupVersionKind().GroupKind()
			if err := o.remove(ctx, kind, "", s.object.GetName(), o.DryRun == dryRunServer); err != nil {
				return err
			}
		}
		o.done(s)
	}
	o.say("Nothing is guarded now. When the webhook works again:  %s", hintInstall)
	return nil
}

// planUnblock deletes the configurations, unless they are in use. Where it is
// not known whether the webhook is dead, the word of the user counts.
func planUnblock(seen *observation) ([]step, error) {
	if _, err := seen.wanted(isWebhookConfiguration); err != nil {
		return nil, err
	}
	var steps []step
	for _, name := range []string{mutatingName, validatingName} {
		if obj := seen.configuration(name); obj != nil {
			steps = append(steps, step{action: deleted, object: obj, note: "nothing is guarded then"})
		}
	}
	if dead, isKnown := seen.dead(); isKnown && !dead && len(steps) > 0 {
		return nil, refused("the webhook answers: it blocks only what it refuses; to remove it: %s uninstall", displayName)
	}
	return steps, nil
}

// fix repairs what is safe to repair.
func (o *DoctorOptions) fix(ctx context.Context, seen *observation) error {
	steps, err := planFix(seen)
	if err != nil {
		return err
	}
	var rolled []lacking
	if o.Restart {
		if seen.lacking.err != nil {
			return seen.lacking.err
		}
		rolled = seen.lacking.value
	}
	all := slices.Concat(steps, restarts(rolled))
	if len(all) == 0 {
		o.say("nothing to repair that is safe to repair")
		return nil
	}
	if err := o.agree(ctx, all); err != nil {
		return err
	}
	for _, s := range steps {
		if o.DryRun != dryRunClient {
			// These objects are ours, and so are all their fields.
			if _, err := o.apply(ctx, s.object, o.DryRun == dryRunServer, true); err != nil {
				return conflict(s.object, err)
			}
		}
		o.done(s)
	}
	return o.roll(ctx, rolled, o.Now)
}

// planFix binds what is not bound, and puts the configurations right. These are
// written only for a webhook that is up: they would block the cluster.
func planFix(seen *observation) ([]step, error) {
	var steps []step
	if seen.namespaces.err == nil && seen.bindings.err == nil {
		for _, ns := range seen.unbound() {
			steps = append(steps, step{action: created, object: bindingFor(ns), note: "the webhook reads Secrets and ConfigMaps there"})
		}
	}
	configurations, err := seen.wanted(isWebhookConfiguration)
	if err != nil || !seen.installed() {
		return steps, err
	}
	broken := testConfigurations(seen).status == statusFailed || testTrust(seen).status == statusFailed
	switch {
	case !broken:
		return steps, nil
	case seen.serving.err != nil:
		return nil, seen.serving.err
	case seen.serving.value == nil || seen.serving.value.bundle == "":
		return nil, refused("the configurations cannot be repaired: Secret %s has no CA certificate yet; is the webhook up?", seen.installedWith.tlsSecret())
	case seen.endpoints.err != nil:
		return nil, seen.endpoints.err
	case seen.endpoints.value == 0:
		return nil, refused("the configurations are not repaired while the webhook is down: that would block the cluster; see: kubectl describe pods -n %s", systemNamespace)
	}
	for _, want := range configurations {
		if s, ok, err := planConfiguration(want, seen.configuration(want.GetName()), seen.serving.value.bundle); err != nil {
			return nil, err
		} else if ok {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// planConfiguration makes a configuration complete and lets it trust bundle.
func planConfiguration(want, live *unstructured.Unstructured, bundle string) (step, bool, error) {
	obj := withBundles(want, nil, bundle)
	s := step{action: configured, object: obj}
	if live == nil {
		s.action = created
		return s, true, nil
	}
	if contains(live.Object[fieldWebhooks], obj.Object[fieldWebhooks]) {
		return s, false, nil
	}
	if owner := ownerOf(live); owner != nil {
		return s, false, owner.refuse(nameOfObject(live), "sync it there; a caBundle it does not know it must leave alone")
	}
	return s, true, nil
}

// hostOf is the host of a URL, without port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Hostname()
}
