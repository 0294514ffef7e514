package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
)

// TestStrangersBlockNobody: whoever has a namespace that nobody protects can run
// there what he likes, but it keeps no DFSP's pods from starting.
func TestStrangersBlockNobody(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	for name, tweak := range map[string]func(*corev1.PodTemplateSpec){
		"claims a DFSP":         func(*corev1.PodTemplateSpec) {},
		"signs as somebody":     both(literal("DFSP_ID", "ghost"), labelled("dfsp", "ghost")),
		"holds a key of a peer": func(p *corev1.PodTemplateSpec) { literal("DFSP_ID", "ghost")(p); p.Labels["dfsp"] = "ghost" },
	} {
		t.Run(name, func(t *testing.T) {
			ns := world.namespace(t, map[string]string{"istio-injection": "enabled"})
			template := s.SDK1.Spec.Template.DeepCopy()
			tweak(template)
			keys := fixtures.In(ns.Name, s.VerificationKeys)
			keys.Data[fixtures.DFSP1+".pem"] = string(fixtures.NewKeyPair().Public)
			jws := fixtures.In(ns.Name, s.JWS1)
			jws.Data["jwsSigningKey.pem"] = fixtures.NewKeyPair().Private
			world.create(t, keys, jws, fixtures.In(ns.Name, s.ILP1))
			world.bind(t, ns.Name) // the worst case: the webhook can read it
			world.create(t, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "stranger", Labels: template.Labels},
				Spec:       *podSpec(template, "default"),
			})
			eventually(t, "the stranger to run", func(ctx context.Context) (bool, string) {
				var p corev1.Pod
				err := world.client.Get(ctx, client.ObjectKey{Namespace: ns.Name, Name: "stranger"}, &p)
				return err == nil && p.Status.Phase == corev1.PodRunning, fmt.Sprint(err, p.Status.Phase)
			})
			for range 20 { // it may take the webhook a moment to see it
				if err := world.client.Create(t.Context(), s.pod("restarted"), client.DryRunAll); err != nil {
					t.Fatalf("a compliant pod is refused: %v", err)
				}
				s.kubectl(t, "", "set", "env", "deployment/"+s.SDK1.Name, "LOG_LEVEL=info", "--dry-run=server").accepted(t)
			}
		})
	}
}

func podSpec(t *corev1.PodTemplateSpec, account string) *corev1.PodSpec {
	spec := t.Spec.DeepCopy()
	spec.ServiceAccountName = account
	return spec
}
