package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// annotationRestartedAt is what kubectl rollout restart sets.
const annotationRestartedAt = "kubectl.kubernetes.io/restartedAt"

// stale finds the workloads whose pods lack what admission gives, in those
// namespaces of a plan that enforce: elsewhere admission gives nothing.
func (o *InstallOptions) stale(ctx context.Context, steps []step) ([]lacking, error) {
	var out []lacking
	for _, s := range steps {
		mode := s.object.GetLabels()[v1alpha1.LabelMode]
		if s.object.GetKind() != kindNamespace || mode != string(v1alpha1.ModeEnforce) {
			continue
		}
		found, err := o.lackingIn(ctx, s.object.GetName(), o.Now)
		if isForbidden(err) && !o.Restart {
			o.say("not known whether pods in %s lack anything: %v", s.object.GetName(), err)
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// lackingIn reads a namespace and finds the workloads whose pods lack
// something.
func (c *cluster) lackingIn(ctx context.Context, ns string, now time.Time) ([]lacking, error) {
	objs, err := c.readNamespace(ctx, ns)
	if err != nil {
		return nil, err
	}
	tree, err := c.read(ctx, kindOf("", kindNamespace), "", ns)
	if err != nil || tree == nil {
		return nil, err
	}
	namespace := typedNamespace(tree)
	known := append([]runtime.Object{namespace}, objs...)
	profile, err := c.readProfile(ctx)
	if err != nil {
		return nil, err
	}
	if profile != nil {
		known = append(known, profile)
	}
	return findLacking(objs, podSnapshot(now, known)), nil
}

// restarts are the steps that roll what can be rolled.
func restarts(stale []lacking) []step {
	var out []step
	for _, l := range stale {
		if l.manual == "" {
			out = append(out, step{action: restarted, object: l.object(), note: fmt.Sprintf("%s without %s", podsOf(l.pods), l.changes[0])})
		}
	}
	return out
}

func podsOf(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

// sayStale lists the workloads that a restart would put right, and the command.
func (w *writer) sayStale(stale []lacking, command string) {
	if len(stale) == 0 {
		return
	}
	w.say("Running pods that lack what admission gives:")
	for _, l := range stale {
		w.say("  %s: %s", nameOf(l.kind, l.ns, l.name), podsOf(l.pods))
		for _, c := range l.changes {
			w.say("    %s", visible(c))
		}
		if l.manual != "" {
			w.say("    by hand: %s", l.manual)
		}
	}
	if slices.ContainsFunc(stale, func(l lacking) bool { return l.manual == "" }) {
		w.say("Roll them, one workload at a time:  %s", command)
	}
}

// roll restarts workloads one at a time. It stops at the first that does not
// come up again; running it again goes on from there, as the others lack
// nothing any more.
func (w *writer) roll(ctx context.Context, stale []lacking, now time.Time) error {
	for _, l := range stale {
		if l.manual != "" {
			w.say("left as it is: %s: %s", nameOf(l.kind, l.ns, l.name), l.manual)
		}
	}
	stamp := map[string]any{annotationRestartedAt: now.Format(time.RFC3339)}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": stamp}}}})
	if err != nil {
		return fmt.Errorf("encode the restart: %w", err)
	}
	refusals := 0
	for _, s := range restarts(stale) {
		kind, ns, name := s.object.GroupVersionKind().GroupKind(), s.object.GetNamespace(), s.object.GetName()
		reason, err := w.tryPod(ctx, kind, ns, name)
		if err != nil {
			return err
		}
		if reason != "" {
			refusals++
			w.say("not restarted: %s: its new pods would be refused:\n%s", nameOf(kind, ns, name), indented(reason))
			continue
		}
		if w.DryRun != dryRunClient {
			if err := w.patch(ctx, kind, ns, name, patch, w.DryRun == dryRunServer); err != nil {
				return &ExitError{Code: Stopped, Err: fmt.Errorf("%w; those before it were restarted, run this again to go on", err)}
			}
		}
		if w.DryRun == dryRunNone {
			if err := w.awaitRollout(ctx, kind, ns, name); err != nil {
				return err
			}
		}
		w.done(s)
	}
	if refusals > 0 {
		return refused("not restarted, because admission refuses their pods: %d of %d workloads; mend them first", refusals, len(restarts(stale)))
	}
	return nil
}

// indented shows a text of several lines below a line.
func indented(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, "    "+visible(strings.TrimRight(line, "\n")))
	}
	return strings.Join(out, "\n")
}

// tryPod makes the API server judge a pod of a workload, without creating it:
// a rollout whose pods are refused would hang. It returns why the pod would be
// refused; "" when it would not, or when this user may not try.
func (c *cluster) tryPod(ctx context.Context, kind schema.GroupKind, ns, name string) (string, error) {
	live, err := c.read(ctx, kind, ns, name)
	if err != nil || live == nil {
		return "", err
	}
	template, _, err := unstructured.NestedMap(live.Object, "spec", "template")
	if err != nil {
		return "", fmt.Errorf("read the pod template of %s: %w", nameOf(kind, ns, name), err)
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetGroupVersionKind(kindOf("", "Pod").WithVersion("v1"))
	pod.SetNamespace(ns)
	pod.SetName("")
	pod.SetGenerateName(name + "-")
	_, err = c.create(ctx, pod, true)
	if isForbidden(err) {
		return "", nil
	}
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return status.ErrStatus.Message, nil
	}
	return "", err
}

// awaitRollout waits until all pods of a workload are new and available.
func (w *writer) awaitRollout(ctx context.Context, kind schema.GroupKind, ns, name string) error {
	return w.await(ctx, nameOf(kind, ns, name), func(ctx context.Context) (bool, string, error) {
		obj, err := w.read(ctx, kind, ns, name)
		if err != nil {
			return false, "", err
		}
		if obj == nil {
			return false, "it does not exist", nil
		}
		ok, state, failed := rollout(obj)
		if failed {
			return false, "", &ExitError{Code: Stopped, Err: fmt.Errorf(
				"%s does not come up: %s; see why: kubectl describe %s/%s -n %s", nameOf(kind, ns, name), state, resources[kind].Resource, name, ns)}
		}
		return ok, state, nil
	})
}

// rollout tells whether all pods of a Deployment, StatefulSet or DaemonSet are
// new and available, and else how far it is. failed means that its controller
// gave up.
func rollout(obj *unstructured.Unstructured) (ok bool, state string, failed bool) {
	number := func(path ...string) int64 {
		n, found, err := unstructured.NestedInt64(obj.Object, path...)
		if err != nil || !found {
			return 0
		}
		return n
	}
	if number("status", "observedGeneration") < obj.GetGeneration() {
		state = "its controller has not seen the change yet"
		if message := conditionMessage(obj, "ReplicaSetCreateError"); message != "" {
			state = message
		}
		return false, state, false
	}
	want, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	if !found {
		want = 1
	}
	updated, available, all := number("status", "updatedReplicas"), number("status", "availableReplicas"), number("status", "replicas")
	switch obj.GetKind() {
	case kindDeployment:
		if reason := conditionReason(obj, "Progressing"); reason == "ProgressDeadlineExceeded" {
			return false, fmt.Sprintf("%d of %d pods are new and available", min(updated, available), want), true
		}
	case "StatefulSet":
		if revision, _, _ := unstructured.NestedString(obj.Object, "status", "updateRevision"); revision != "" {
			current, _, _ := unstructured.NestedString(obj.Object, "status", "currentRevision")
			if current == revision {
				updated = all
			}
		}
	case "DaemonSet":
		want, all = number("status", "desiredNumberScheduled"), number("status", "desiredNumberScheduled")
		updated, available = number("status", "updatedNumberScheduled"), number("status", "numberAvailable")
	}
	if updated >= want && available >= want && all <= want {
		return true, "", false
	}
	return false, fmt.Sprintf("%d of %d pods are new, %d available", min(updated, want), want, available), false
}

// conditionMessage is the message of a condition with a reason; "" without one.
func conditionMessage(obj *unstructured.Unstructured, reason string) string {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["reason"] == reason {
			message, _ := c["message"].(string)
			return visible(message)
		}
	}
	return ""
}

// conditionReason is the reason of a condition; "" without one.
func conditionReason(obj *unstructured.Unstructured, name string) string {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == name {
			reason, _ := c["reason"].(string)
			return reason
		}
	}
	return ""
}
