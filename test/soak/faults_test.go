package soak

import (
	"context"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/serving"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestHardCase29FailurePolicies lets reviews fail in every way on the real API
// server: what comes through an entry with Fail is refused, the same through an
// entry with Ignore is admitted. Only an HTTP status that is no 200 does that.
func TestHardCase29FailurePolicies(t *testing.T) {
	const unread = "soak-unread"
	world.replicas(t, world.faulty, 1)
	world.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unread, Labels: map[string]string{"istio-injection": "enabled"}}})
	world.create(t, fixtures.In(unread, fixtures.NewScheme().PeerAuth))
	t.Cleanup(func() { world.setMode(t, unread, "") })
	world.setMode(t, unread, "enforce") // without the RoleBinding

	panics := sdkPod("panics")
	panics.Spec.Volumes[0].Secret.SecretName = "soak-panic"
	// Every < takes one byte on its way to the API server and six from there.
	oversized := sdkPod("oversized")
	oversized.Spec.Containers[0].Env = append(oversized.Spec.Containers[0].Env, corev1.EnvVar{Name: "PAD", Value: strings.Repeat("<", 1<<20+1<<18)})
	unreadable := fixtures.In(unread, sdkPod("unreadable"))
	unreadable.Spec.ServiceAccountName = "default"
	unreadable.Labels["dfsp"], unreadable.Spec.Containers[0].Env[0].Value = "unread", "unread"
	cases := []struct {
		name, says string
		pod        *corev1.Pod
	}{
		{"a panic", "internal error", panics},
		{"an oversized body", "413", oversized},
		{"an unreadable cache", "could not check", unreadable},
	}
	good := sdkPod("good")
	try := func(p *corev1.Pod) error { return world.client.Create(t.Context(), p.DeepCopy(), client.DryRunAll) }
	for _, c := range cases {
		t.Run(c.name+" through Fail", func(t *testing.T) {
			err := try(c.pod)
			if err == nil || !strings.Contains(err.Error(), "failed calling webhook") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want the call to fail with %q", err, c.says)
			}
			if err := try(good); err != nil {
				t.Errorf("a good pod after that: %v", err)
			}
		})
	}
	setFailurePolicy(t, admissionregistrationv1.Ignore)
	t.Cleanup(func() { setFailurePolicy(t, admissionregistrationv1.Fail) })
	bad := sdkPod("bad")
	bad.Spec.HostNetwork = true
	for _, c := range cases {
		t.Run(c.name+" through Ignore", func(t *testing.T) {
			// The API server takes the other policy when it takes it.
			world.eventually(t, "it to be admitted", func(context.Context) (bool, string) {
				err := try(c.pod)
				return err == nil, fmt.Sprint(err)
			})
			if err := try(bad); !refusedBy(err, "mtls-in-mesh") {
				t.Errorf("got %v, want a verdict to count in spite of Ignore", err)
			}
		})
	}
	if n := metrics(t, world.hook.Replicas()[0])["mojasec_admission_panics_total"]; n == 0 {
		t.Error("no review panicked: this test proves nothing")
	}
}

// setFailurePolicy changes that of the entries for namespaces that enforce.
func setFailurePolicy(t *testing.T, policy admissionregistrationv1.FailurePolicyType) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	change := func(name string, p **admissionregistrationv1.FailurePolicyType) {
		if strings.HasPrefix(name, "enforce") || name == "pods.mojasec.io" {
			*p = &policy
		}
	}
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{}
	if err := world.client.Get(ctx, client.ObjectKey{Name: serving.MutatingName}, mutating); err != nil {
		t.Fatal(err)
	}
	for i := range mutating.Webhooks {
		change(mutating.Webhooks[i].Name, &mutating.Webhooks[i].FailurePolicy)
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := world.client.Get(ctx, client.ObjectKey{Name: serving.ValidatingName}, validating); err != nil {
		t.Fatal(err)
	}
	for i := range validating.Webhooks {
		change(validating.Webhooks[i].Name, &validating.Webhooks[i].FailurePolicy)
	}
	for _, o := range []client.Object{mutating, validating} {
		if err := world.client.Update(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
}
