package plugin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// maxAttempts is how often a write is tried again when others write the same
// object.
const maxAttempts = 20

// carryOutKeys shows a plan, asks, and carries it out. What is done stays done
// when a later step fails: typing the command again does the rest.
func (w *writer) carryOutKeys(ctx context.Context, steps []keyStep) error {
	plain := make([]step, 0, len(steps))
	for _, s := range steps {
		plain = append(plain, s.step)
	}
	if w.DryRun == dryRunNone {
		if err := w.rehearse(ctx, steps); err != nil {
			return err
		}
	}
	if len(pending(plain)) > 0 {
		if err := w.agree(ctx, plain); err != nil {
			return err
		}
	}
	for i, s := range steps {
		switch {
		case ctx.Err() != nil && i == 0:
			return interrupted("nothing was changed")
		case ctx.Err() != nil:
			return interrupted("what is listed was done; for the rest type the command again")
		}
		if s.write != nil && w.DryRun != dryRunClient {
			if err := s.write(ctx, w); err != nil {
				return err
			}
		}
		w.done(s.step)
	}
	return nil
}

// rehearse makes the API server judge the public halves before a private one is
// written: a pod that signs with a key that no peer can be given is worse off
// than before.
func (w *writer) rehearse(ctx context.Context, steps []keyStep) error {
	if !slices.ContainsFunc(steps, func(s keyStep) bool { return !s.public && s.write != nil }) {
		return nil
	}
	dry := *w
	dry.DryRun = dryRunServer
	for _, s := range steps {
		if !s.public || s.write == nil {
			continue
		}
		// Where an admission webhook knows no dry run, the API server refuses to
		// ask it.
		if err := s.write(ctx, &dry); err != nil && !apierrors.IsBadRequest(err) {
			return err
		}
	}
	return nil
}

// meanwhile is the error for an object that somebody else changed after the
// plan was made.
func meanwhile(what string) error {
	return &ExitError{Code: Stopped, Err: fmt.Errorf("%s was changed by somebody else meanwhile, and nothing of that was overwritten; look at it, then type the command again", what)}
}

// createNew creates an object that must not exist yet.
func (w *writer) createNew(ctx context.Context, obj *unstructured.Unstructured) error {
	_, err := w.create(ctx, obj, w.DryRun == dryRunServer)
	if apierrors.IsAlreadyExists(err) {
		return meanwhile(nameOfObject(obj))
	}
	return err
}

// mergeSecret puts the entries, labels and annotations of a Secret into the one
// that was read, if nobody changed that since. What `kubectl apply` copied into an
// annotation goes: it has the old key in clear.
func (w *writer) mergeSecret(ctx context.Context, live, obj *unstructured.Unstructured) error {
	annotations := toAny(obj.GetAnnotations())
	if _, has := live.GetAnnotations()[corev1.LastAppliedConfigAnnotation]; has {
		annotations[corev1.LastAppliedConfigAnnotation] = nil
	}
	metadata := map[string]any{
		"uid": string(live.GetUID()), "resourceVersion": live.GetResourceVersion(),
		"labels": obj.GetLabels(), "annotations": annotations,
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "data": obj.Object["data"]})
	if err != nil {
		return fmt.Errorf("encode the change of %s: %w", nameOfObject(obj), err)
	}
	err = w.patch(ctx, kindOf("", "Secret"), obj.GetNamespace(), obj.GetName(), patch, w.DryRun == dryRunServer)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return meanwhile(nameOfObject(live))
	}
	return err
}

// entryChange gives an entry of the verification keys a value.
type entryChange struct {
	name  string
	value []byte
	// old is what was read; nil for nothing.
	old []byte
}

// publish writes entries of the verification keys. Others write the same object:
// each entry is compared and swapped on its own, so that two people who add
// different DFSPs do not disturb each other, and who comes second to the same
// DFSP is told. Where nobody wrote, the API server has the word.
func (w *writer) publish(ctx context.Context, v *verificationKeys, changes []entryChange) error {
	now := *v
	var last error
	for range maxAttempts {
		if now.live == nil {
			if last = w.createVerification(ctx, &now, changes); !apierrors.IsAlreadyExists(last) {
				return last
			}
		} else {
			last = w.jsonPatch(ctx, now.kind, now.namespace, now.name, now.operations(changes), w.DryRun == dryRunServer)
			if !apierrors.IsInvalid(last) && !apierrors.IsNotFound(last) {
				return last
			}
		}
		// Somebody wrote between reading and writing: look whether that is
		// about the same entries.
		live, err := w.read(ctx, now.kind, now.namespace, now.name)
		if err != nil {
			return err
		}
		same := live != nil && now.live != nil && live.GetResourceVersion() == now.live.GetResourceVersion()
		now.live = live
		var left []entryChange
		for _, c := range changes {
			have, _ := now.entry(c.name)
			switch {
			case bytes.Equal(have, c.value): // it came to the same
			case bytes.Equal(have, c.old):
				left = append(left, c)
			default:
				return meanwhile(visible(c.name) + " of " + nameOf(now.kind, now.namespace, now.name))
			}
		}
		if changes = left; len(changes) == 0 {
			return nil
		}
		if same {
			break
		}
	}
	return last
}

func (w *writer) createVerification(ctx context.Context, v *verificationKeys, changes []entryChange) error {
	entries := map[string][]byte{}
	for _, c := range changes {
		entries[c.name] = c.value
	}
	_, err := w.create(ctx, verificationObject(v.namespace, v.name, entries), w.DryRun == dryRunServer)
	return err
}

// operation is one of JSON Patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"` // null tests for absence
}

// operations are the JSON Patch that makes the changes, if each entry is still
// what was read.
func (v *verificationKeys) operations(changes []entryChange) []operation {
	secret := v.kind == kindOf("", "Secret")
	encode := func(value []byte) any {
		switch {
		case value == nil:
			return nil
		case secret:
			return base64.StdEncoding.EncodeToString(value)
		}
		return string(value)
	}
	var ops []operation
	if data, ok, _ := unstructured.NestedMap(v.live.Object, "data"); !ok || data == nil {
		ops = append(ops, operation{"test", "/data", nil}, operation{"add", "/data", map[string]any{}})
	}
	for _, c := range changes {
		name := strings.NewReplacer("~", "~0", "/", "~1").Replace(c.name)
		path := "/data/" + name
		if binary, ok, _ := unstructured.NestedString(v.live.Object, "binaryData", c.name); ok && !secret {
			// A name stands in one of the two only.
			ops = append(ops, operation{"test", "/binaryData/" + name, binary}, operation{"remove", "/binaryData/" + name, nil}, operation{"add", path, encode(c.value)})
			continue
		}
		ops = append(ops, operation{"test", path, encode(c.old)}, operation{"add", path, encode(c.value)})
	}
	return ops
}

// jsonPatch applies a JSON Patch to an object.
func (c *cluster) jsonPatch(ctx context.Context, kind schema.GroupKind, ns, name string, ops []operation, dryRun bool) error {
	client, err := c.client(kind, ns)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return fmt.Errorf("encode the change of %s: %w", nameOf(kind, ns, name), err)
	}
	o := metav1.PatchOptions{FieldManager: fieldManager}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	if _, err := client.Patch(ctx, name, types.JSONPatchType, patch, o); err != nil {
		return c.explain(fmt.Errorf("change %s: %w", nameOf(kind, ns, name), err))
	}
	return nil
}

// readable gives an error of a missing right the exit code for what could not be
// read.
func readable(err error) error {
	if _, coded := errors.AsType[*ExitError](err); !coded && isForbidden(err) {
		return &ExitError{Code: Incomplete, Err: err}
	}
	return err
}
