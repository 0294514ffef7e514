package plugin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/manifests"
)

// The names of what is installed.
const (
	systemNamespace = manifests.Namespace
	webhookName     = "mojasec-webhook"
	namespaceRole   = "mojasec-namespace"
	mutatingName    = "00-mojasec.io"
	validatingName  = "mojasec.io"
	tlsSecretName   = "mojasec-webhook-tls" //nolint:gosec // the name of a Secret

	certManagerSecretName = "mojasec-webhook-cert" //nolint:gosec // the name of a Secret

	labelVersion  = "app.kubernetes.io/version"
	labelPartOf   = "app.kubernetes.io/part-of"
	labelName     = "app.kubernetes.io/name"
	labelManager  = "app.kubernetes.io/managed-by"
	partOfMojasec = "mojasec"
)

// Kinds and fields.
const (
	kindNamespace   = "Namespace"
	kindRoleBinding = "RoleBinding"
	kindDeployment  = "Deployment"
	kindCRD         = "CustomResourceDefinition"
	kindMutating    = "MutatingWebhookConfiguration"
	kindValidating  = "ValidatingWebhookConfiguration"

	groupAPIExtensions = "apiextensions.k8s.io"

	fieldWebhooks     = "webhooks"
	fieldClientConfig = "clientConfig"
	fieldCABundle     = "caBundle"
)

// The oldest Kubernetes that is supported.
const minMajor, minMinor = 1, 30

// manifestOptions say how the manifests differ from the defaults.
type manifestOptions struct {
	// Image replaces the image; "" is that of Version.
	Image string
	// Version becomes the tag of the image and the version label; "" keeps the
	// ones of the manifests.
	Version string
	// Replicas of the webhook; 0 keeps them.
	Replicas int
	// CertManager leaves certificates to cert-manager.
	CertManager bool
	// URL is where a webhook outside of the cluster answers; "" is none.
	URL string
	// MeshRoot is the root namespace of the mesh; "" is istio-system.
	MeshRoot string
}

// annotationInstalled on the ServiceAccount of the webhook has the flags with
// which it was installed, so that installing again, doctor and uninstall mean
// the same objects.
const annotationInstalled = "mojasec.io/installed-with"

// flags are the flags that differ from the defaults and stay: neither image nor
// version, which an update changes.
func (o *manifestOptions) flags() string {
	var words []string
	if o.CertManager {
		words = append(words, "--cert-manager")
	}
	if o.URL != "" {
		words = append(words, "--url="+o.URL)
	}
	if o.MeshRoot != "" {
		words = append(words, "--mesh-root="+o.MeshRoot)
	}
	if o.Replicas > 0 {
		words = append(words, "--replicas="+strconv.Itoa(o.Replicas))
	}
	return strings.Join(words, " ")
}

// remember fills what is not said from the flags of an earlier installation.
// Words it does not know are of a later version; they are passed over.
func (o *manifestOptions) remember(flags string) {
	said := *o
	for word := range strings.FieldsSeq(flags) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "--cert-manager":
			o.CertManager = o.CertManager || said.URL == ""
		case "--url":
			if !said.CertManager {
				o.URL = cmp.Or(said.URL, value)
			}
		case "--mesh-root":
			o.MeshRoot = cmp.Or(said.MeshRoot, value)
		case "--replicas":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				o.Replicas = cmp.Or(said.Replicas, n)
			}
		}
	}
}

// recall remembers how mojasec was installed in a cluster.
func (o *manifestOptions) recall(ctx context.Context, c *cluster) error {
	account, err := c.read(ctx, kindOf("", "ServiceAccount"), systemNamespace, webhookName)
	if err != nil || account == nil {
		return err
	}
	o.remember(account.GetAnnotations()[annotationInstalled])
	return nil
}

// tlsSecret is the Secret with the serving certificate and the CA certificates
// that callers are to trust.
func (o *manifestOptions) tlsSecret() string {
	if o.CertManager {
		return certManagerSecretName
	}
	return tlsSecretName
}

// render builds the manifests, in the order in which they are applied.
func (o *manifestOptions) render() ([]*unstructured.Unstructured, error) {
	m := manifests.Options{Image: o.Image, Version: o.Version, ManagedBy: fieldManager, MeshRoot: o.MeshRoot}
	switch {
	case o.CertManager:
		m.Overlay = manifests.CertManager
	case o.URL != "":
		m.Overlay = manifests.URL
	}
	if m.Image == "" && o.Version != "" {
		m.Image = manifests.DefaultImage + ":" + o.Version
	}
	objs, err := manifests.Render(m)
	if err != nil {
		return nil, err
	}
	for i := range objs {
		if objs[i], err = asRead(objs[i]); err != nil {
			return nil, err
		}
		if err := o.adapt(objs[i]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(objs, func(a, b *unstructured.Unstructured) int {
		return cmp.Compare(rankOf(a.GetKind()), rankOf(b.GetKind()))
	})
	return objs, nil
}

// asRead gives an object the types of numbers that objects from an API server
// have.
func asRead(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", nameOfObject(obj), err)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("decode %s: %w", nameOfObject(obj), err)
	}
	return out, nil
}

// applyOrder are the kinds in the order in which they are applied. Webhook
// configurations come last: a cluster is never blocked by a webhook that is not
// there yet.
var applyOrder = []string{
	kindNamespace, kindCRD, "PriorityClass", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", kindRoleBinding,
	"ConfigMap", "Secret", "Service", "NetworkPolicy", "PodDisruptionBudget", "Issuer", "Certificate", kindDeployment,
	"", // any other
	kindMutating, kindValidating,
}

func rankOf(kind string) int {
	if i := slices.Index(applyOrder, kind); i >= 0 {
		return i
	}
	return slices.Index(applyOrder, "")
}

// isWebhookConfiguration tells apart what makes API calls depend on us.
func isWebhookConfiguration(kind string) bool { return kind == kindMutating || kind == kindValidating }

// adapt applies to an object what kustomize cannot.
func (o *manifestOptions) adapt(obj *unstructured.Unstructured) error {
	switch kind := obj.GetKind(); {
	case kind == kindDeployment && obj.GetName() == webhookName && o.Replicas > 0:
		if err := unstructured.SetNestedField(obj.Object, int64(o.Replicas), "spec", "replicas"); err != nil {
			return fmt.Errorf("set the replicas: %w", err)
		}
	case kind == "ServiceAccount" && obj.GetName() == webhookName && o.flags() != "":
		annotations := obj.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[annotationInstalled] = o.flags()
		obj.SetAnnotations(annotations)
	case isWebhookConfiguration(kind) && o.URL != "":
		return eachWebhook(obj, func(entry map[string]any) error { return pointTo(entry, o.URL) })
	}
	return nil
}

// eachWebhook visits the entries of a webhook configuration.
func eachWebhook(obj *unstructured.Unstructured, visit func(entry map[string]any) error) error {
	entries, ok := obj.Object[fieldWebhooks].([]any)
	if !ok {
		return nil
	}
	for _, e := range entries {
		if e, ok := e.(map[string]any); ok {
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// pointTo makes an entry call the same path of a URL.
func pointTo(entry map[string]any, base string) error {
	client, _ := entry[fieldClientConfig].(map[string]any)
	where := pathOf(client)
	if where == "" {
		return fmt.Errorf("webhook %v has no path", entry["name"])
	}
	target := map[string]any{"url": strings.TrimSuffix(base, "/") + where}
	if bundle, ok := client[fieldCABundle]; ok {
		target[fieldCABundle] = bundle
	}
	entry[fieldClientConfig] = target
	return nil
}

// pathOf returns the URL path that an entry calls.
func pathOf(client map[string]any) string {
	if service, ok := client["service"].(map[string]any); ok {
		where, _ := service["path"].(string)
		return where
	}
	text, _ := client["url"].(string)
	if u, err := url.Parse(text); err == nil {
		return u.Path
	}
	return ""
}

// bundlesOf returns the CA bundle of each entry of a webhook configuration, in
// base64, by the name of the entry.
func bundlesOf(obj *unstructured.Unstructured) map[string]string {
	out := map[string]string{}
	if obj == nil {
		return out
	}
	_ = eachWebhook(obj, func(entry map[string]any) error { // the visitor has no error
		client, _ := entry[fieldClientConfig].(map[string]any)
		name, _ := entry["name"].(string)
		out[name], _ = client[fieldCABundle].(string)
		return nil
	})
	return out
}

// withBundles returns a copy of a configuration whose entries trust what the
// live ones trust, else bundle (in base64; "" for nothing).
func withBundles(obj *unstructured.Unstructured, live map[string]string, bundle string) *unstructured.Unstructured {
	out := obj.DeepCopy()
	_ = eachWebhook(out, func(entry map[string]any) error { // the visitor has no error
		name, _ := entry["name"].(string)
		client, ok := entry[fieldClientConfig].(map[string]any)
		switch trusted := cmp.Or(live[name], bundle); {
		case !ok:
		case trusted != "":
			client[fieldCABundle] = trusted
		default:
			delete(client, fieldCABundle)
		}
		return nil
	})
	return out
}

// printObjects prints manifests.
func printObjects(w io.Writer, objs []*unstructured.Unstructured, format string) error {
	var text []byte
	var err error
	switch format {
	case "name":
		var names strings.Builder
		for _, obj := range objs {
			names.WriteString(nameOf(obj.GroupVersionKind().GroupKind(), "", obj.GetName()) + "\n")
		}
		text = []byte(names.String())
	case "json":
		items := make([]any, 0, len(objs))
		for _, obj := range objs {
			items = append(items, obj.Object)
		}
		list := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "List", "items": items}}
		text, err = list.MarshalJSON()
	default:
		for i, obj := range objs {
			if i > 0 {
				text = append(text, "---\n"...)
			}
			var one []byte
			if one, err = yaml.Marshal(obj.Object); err != nil {
				break
			}
			text = append(text, one...)
		}
	}
	if err != nil {
		return fmt.Errorf("encode the manifests: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("print the manifests: %w", err)
	}
	return nil
}

// newObject makes an object of a kind of the table.
func newObject(kind schema.GroupKind, ns, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind.WithVersion(resources[kind].Version))
	obj.SetNamespace(ns)
	obj.SetName(name)
	return obj
}
