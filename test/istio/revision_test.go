package istio

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/test/controlplane"
)

// TestRevision gives Istio a revision and no default tag, as its charts do with
// a revision: only pods that name it are injected. The Profile names it too, and
// so do the pods that admission brings into the mesh.
func TestRevision(t *testing.T) {
	const revision = "canary"
	config := &corev1.ConfigMap{}
	if err := world.client.Get(t.Context(), client.ObjectKey{Namespace: meshRoot, Name: "istio"}, config); err != nil {
		t.Fatal(err)
	}
	config.ObjectMeta = metav1.ObjectMeta{Namespace: meshRoot, Name: "istio-" + revision}
	if err := world.client.Create(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.remove(t, config) })
	world.replaceInjector(t, injector+"-"+revision, func(o *admissionregistrationv1.MutatingWebhookConfiguration) {
		o.Webhooks = slices.DeleteFunc(o.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool { return !strings.HasPrefix(w.Name, "rev.") })
		for i := range o.Webhooks {
			for _, s := range []*metav1.LabelSelector{o.Webhooks[i].NamespaceSelector, o.Webhooks[i].ObjectSelector} {
				for j := range s.MatchExpressions {
					if e := &s.MatchExpressions[j]; e.Key == "istio.io/rev" && e.Operator == metav1.LabelSelectorOpIn {
						e.Values = []string{revision}
					}
				}
			}
		}
	})

	s := world.newScheme(t, enforced)
	admitted := func(what string, wanted func(*corev1.Pod) bool) {
		t.Helper()
		eventually(t, what, func(ctx context.Context) (bool, string) {
			pod := s.pod("probe")
			if err := world.client.Create(ctx, pod, client.DryRunAll); err != nil {
				return false, err.Error()
			}
			return wanted(pod), fmt.Sprintf("labels %q, proxy: %t", pod.Labels, controlplane.HasSidecar(pod))
		})
	}
	admitted("pods without a revision to get no proxy", func(p *corev1.Pod) bool {
		return p.Labels["sidecar.istio.io/inject"] == "true" && p.Labels["istio.io/rev"] == "" && !controlplane.HasSidecar(p)
	})
	profile := v1alpha1.DefaultProfile()
	profile.Spec.Revision = revision
	if err := world.client.Create(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.remove(t, profile) })
	admitted("pods to get the revision of the Profile, and a proxy", func(p *corev1.Pod) bool {
		return p.Labels["sidecar.istio.io/inject"] == "true" && p.Labels["istio.io/rev"] == revision && controlplane.HasSidecar(p)
	})

	other := s.pod("other")
	other.Labels["istio.io/rev"] = "default"
	err := world.client.Create(t.Context(), other, client.DryRunAll)
	if err == nil || !strings.Contains(err.Error(), "mtls-in-mesh") {
		t.Errorf("got %v for a pod of another revision, want a refusal for mtls-in-mesh", err)
	}
}
