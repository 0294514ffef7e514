package serving

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Target is where API servers find a webhook: behind its Service, or at a URL.
type Target struct {
	// URL is the address without path, for example https://127.0.0.1:9443. The
	// Service of the manifests is called where it is empty.
	URL string
	// CABundle is PEM. Where it is empty the caBundle stays as it is: the leader
	// or cert-manager writes it.
	CABundle []byte
}

// Configure makes the webhook configurations among some objects call a target.
// The path of each entry stays.
func Configure(objects []*unstructured.Unstructured, t Target) error {
	base := strings.TrimSuffix(t.URL, "/")
	if base != "" {
		if u, err := url.Parse(base); err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			return fmt.Errorf("webhook URL %q: an API server calls https://HOST:PORT, without a path", t.URL)
		}
	}
	for _, obj := range objects {
		if !IsConfiguration(obj) {
			continue
		}
		entries, _, err := unstructured.NestedSlice(obj.Object, "webhooks")
		if err != nil {
			return fmt.Errorf("%s %q: %w", obj.GetKind(), obj.GetName(), err)
		}
		for _, e := range entries {
			if err := configureEntry(e, base, t.CABundle); err != nil {
				return fmt.Errorf("%s %q: %w", obj.GetKind(), obj.GetName(), err)
			}
		}
		if err := unstructured.SetNestedSlice(obj.Object, entries, "webhooks"); err != nil {
			return fmt.Errorf("%s %q: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return nil
}

// IsConfiguration tells whether an object is a webhook configuration.
func IsConfiguration(obj *unstructured.Unstructured) bool {
	gvk := obj.GroupVersionKind()
	return gvk.Group == "admissionregistration.k8s.io" &&
		(gvk.Kind == "MutatingWebhookConfiguration" || gvk.Kind == "ValidatingWebhookConfiguration")
}

func configureEntry(e any, base string, caBundle []byte) error {
	tree, ok := e.(map[string]any)
	if !ok {
		return fmt.Errorf("an entry of webhooks is a %T, not an object", e)
	}
	config, _, err := unstructured.NestedMap(tree, "clientConfig")
	if err != nil {
		return err
	}
	path, err := pathOf(config)
	if err != nil {
		return fmt.Errorf("entry %q: %w", tree["name"], err)
	}
	next := map[string]any{}
	if base != "" {
		next["url"] = base + path
	} else {
		next["service"] = map[string]any{
			"namespace": Namespace, "name": ServiceName, "path": path, "port": int64(443),
		}
	}
	if len(caBundle) > 0 {
		next["caBundle"] = base64.StdEncoding.EncodeToString(caBundle)
	} else if before, ok := config["caBundle"]; ok {
		next["caBundle"] = before
	}
	tree["clientConfig"] = next
	return nil
}

func pathOf(config map[string]any) (string, error) {
	if address, ok := config["url"].(string); ok {
		u, err := url.Parse(address)
		if err != nil {
			return "", fmt.Errorf("clientConfig.url: %w", err)
		}
		return u.Path, nil
	}
	path, _, err := unstructured.NestedString(config, "service", "path")
	return path, err
}
