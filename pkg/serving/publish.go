package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	admissionregistrationclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
)

// entry is what the entries of both configurations have in common.
type entry struct {
	name     string
	caBundle []byte
}

// stale tells whether a caBundle must be written anew for a state.
type stale func(s state, caBundle []byte) bool

// anyDifference is what the leader goes by.
func anyDifference(s state, caBundle []byte) bool { return !bytes.Equal(caBundle, s.bundle()) }

// onlyIfUntrusted keeps a replica that is not the leader from undoing what the
// leader does: it writes where nothing that is served would be accepted anyway.
func onlyIfUntrusted(now time.Time) stale {
	return func(s state, caBundle []byte) bool {
		return verify(s.leaf.Leaf, parseCertificates(caBundle), now) != nil
	}
}

// publish writes the bundle of a state into every stale entry of our webhook
// configurations, and tells whether it had to. A configuration that does not
// exist calls nobody.
func publish(ctx context.Context, c admissionregistrationclient.AdmissionregistrationV1Interface, s state, old stale) (bool, error) {
	mutating, errMutating := publishTo(ctx, c.MutatingWebhookConfigurations(), MutatingName,
		func(o *admissionregistrationv1.MutatingWebhookConfiguration) (entries []entry) {
			for i := range o.Webhooks {
				entries = append(entries, entry{o.Webhooks[i].Name, o.Webhooks[i].ClientConfig.CABundle})
			}
			return entries
		}, s, old)
	validating, errValidating := publishTo(ctx, c.ValidatingWebhookConfigurations(), ValidatingName,
		func(o *admissionregistrationv1.ValidatingWebhookConfiguration) (entries []entry) {
			for i := range o.Webhooks {
				entries = append(entries, entry{o.Webhooks[i].Name, o.Webhooks[i].ClientConfig.CABundle})
			}
			return entries
		}, s, old)
	return mutating || validating, errors.Join(errMutating, errValidating)
}

// patcher is the part of a typed client that publish needs.
type patcher[T metav1.Object] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, o metav1.PatchOptions, sub ...string) (T, error)
}

func publishTo[T metav1.Object](ctx context.Context, c patcher[T], name string, entries func(T) []entry, s state, old stale) (bool, error) {
	obj, err := c.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read webhook configuration %q: %w", name, err)
	}
	var change []any
	for _, e := range entries(obj) {
		if old(s, e.caBundle) {
			change = append(change, map[string]any{
				"name": e.name, "clientConfig": map[string]any{"caBundle": s.bundle()},
			})
		}
	}
	if change == nil {
		return false, nil
	}
	// The resource version makes it a conflict when somebody was faster: an
	// entry that is gone must not come back, with nothing but a caBundle in it.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": obj.GetResourceVersion()},
		"webhooks": change,
	})
	if err != nil {
		return false, fmt.Errorf("encode a caBundle: %w", err)
	}
	if _, err := c.Patch(ctx, name, types.StrategicMergePatchType, patch, patchOptions); err != nil {
		return false, fmt.Errorf("write the caBundle of webhook configuration %q: %w", name, err)
	}
	return true, nil
}
