package serving_test

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mojasec/mojasec/manifests"
	"github.com/mojasec/mojasec/pkg/serving"
)

func TestNamesAreThoseOfTheManifests(t *testing.T) {
	t.Parallel()
	objects := render(t, manifests.SelfManaged)
	found := map[string]bool{}
	for _, o := range objects {
		found[o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName()] = true
	}
	for _, want := range []string{
		"Namespace /" + serving.Namespace,
		"Service " + serving.Namespace + "/" + serving.ServiceName,
		"MutatingWebhookConfiguration /" + serving.MutatingName,
		"ValidatingWebhookConfiguration /" + serving.ValidatingName,
	} {
		if !found[want] {
			t.Errorf("the manifests have no %s", want)
		}
	}
}

// The overlay and the function say the same in two ways.
func TestConfigureURLEqualsOverlay(t *testing.T) {
	t.Parallel()
	got := configurations(render(t, manifests.SelfManaged))
	if err := serving.Configure(got, serving.Target{URL: "https://127.0.0.1:9443/"}); err != nil {
		t.Fatal(err)
	}
	want := configurations(render(t, manifests.URL))
	if len(want) != 2 {
		t.Fatalf("got %d configurations, want 2", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("overlay (-) and Configure (+):\n%s", diff)
	}
	if err := serving.Configure(got, serving.Target{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(configurations(render(t, manifests.SelfManaged)), got); diff != "" {
		t.Errorf("base (-) and Configure back (+):\n%s", diff)
	}
}

func TestConfigureBundle(t *testing.T) {
	t.Parallel()
	objects := render(t, manifests.SelfManaged)
	if err := serving.Configure(objects, serving.Target{CABundle: []byte("pem")}); err != nil {
		t.Fatal(err)
	}
	// Once there, it stays.
	if err := serving.Configure(objects, serving.Target{URL: "https://localhost:1"}); err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, o := range configurations(objects) {
		list, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
		for _, e := range list {
			entries++
			got, _, _ := unstructured.NestedString(e.(map[string]any), "clientConfig", "caBundle")
			if want := base64.StdEncoding.EncodeToString([]byte("pem")); got != want {
				t.Errorf("got caBundle %q, want %q", got, want)
			}
		}
	}
	if entries < 10 {
		t.Errorf("got %d entries, want those of both configurations", entries)
	}
}

func TestConfigureRefusesURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://127.0.0.1:9443", "https://127.0.0.1:9443/validate", "127.0.0.1:9443", "https://", "https://x?y"} {
		if err := serving.Configure(nil, serving.Target{URL: url}); err == nil {
			t.Errorf("%q: got no error", url)
		}
	}
}

func render(t *testing.T, o manifests.Overlay) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Render(manifests.Options{Overlay: o})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func configurations(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		if serving.IsConfiguration(o) {
			out = append(out, o)
		}
	}
	return out
}
