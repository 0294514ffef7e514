package istio

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/controlplane"
)

// early is a name of Istio's configuration that sorts before ours.
const early = "00-" + injector

var (
	enforced       = map[string]string{"mojasec.io/mode": "enforce"}
	enforcedInMesh = map[string]string{"mojasec.io/mode": "enforce", "istio-injection": "enabled"}
)

// variants are pods without keys, secret and mesh label, in the shapes that
// change what an injector does: where the proxy stands, and what is rewritten.
var variants = map[string]func(*corev1.Pod){
	"native": func(*corev1.Pod) {},
	"container": func(p *corev1.Pod) {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, "sidecar.istio.io/nativeSidecar", "false")
	},
	"proxy-first": func(p *corev1.Pod) {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, "sidecar.istio.io/nativeSidecar", "false")
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, "proxy.istio.io/config", "holdApplicationUntilProxyStarts: true")
	},
	"own-settings-of-the-proxy": func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{
			Name: "istio-proxy", Image: "auto", Env: []corev1.EnvVar{{Name: "TERMINATION_DRAIN_DURATION_SECONDS", Value: "7"}},
		})
	},
	"init-and-probe": func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "wait", Image: "docker.io/library/busybox:1"}}
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: intstr.FromInt32(4000)}}}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "cache", Image: "docker.io/library/redis:7"})
	},
}

// TestHardCase24 creates the same pods under both orders of injection, and where
// only our label brings them into the mesh: they end the same, and nothing loops.
func TestHardCase24OrderOfInjection(t *testing.T) {
	var first map[string]string
	t.Run("ours first", func(t *testing.T) {
		first = world.inOrder(t, enforcedInMesh)
	})
	t.Run("doctor is content", func(t *testing.T) { world.expectOrder(t, false) })
	t.Run("only our label", func(t *testing.T) {
		got := world.inOrder(t, enforced)
		for name := range variants {
			if diff := cmp.Diff(first[name], got[name]); diff != "" {
				t.Errorf("%s (-selected by Istio +by our label):\n%s", name, diff)
			}
		}
	})
	t.Run("Istio first", func(t *testing.T) {
		world.replaceInjector(t, early, nil)
		t.Run("doctor warns", func(t *testing.T) { world.expectOrder(t, true) })
		got := world.inOrder(t, enforcedInMesh)
		for name := range variants {
			if diff := cmp.Diff(first[name], got[name]); diff != "" {
				t.Errorf("%s (-ours first +Istio first):\n%s", name, diff)
			}
		}
	})
}

// inOrder creates every variant in a new namespace and returns their end states.
// Each pod is changed once. In either order the API server asks once more, for
// the sake of what Istio or the API server's own plugins added after us: there is
// nothing left to add, and that is the end.
func (c *cluster) inOrder(t *testing.T, labels map[string]string) map[string]string {
	t.Helper()
	s := c.newScheme(t, labels)
	out := map[string]string{}
	for name, tweak := range variants {
		pod := s.pod(name, func(p *corev1.Pod) { bare(&p.Spec) }, tweak)
		before := c.reviews(t)
		if err := c.client.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		eventually(t, "pod "+name+" to run", func(ctx context.Context) (bool, string) {
			err := c.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
			return err == nil && pod.Status.Phase == corev1.PodRunning, fmt.Sprint(err, pod.Status.Phase)
		})
		want := map[string]int{"mutate patched": 1, "mutate allowed": 1, "validate": 1}
		got := since(before, c.reviews(t))
		got["validate"] = got["validate allowed"] + got["validate warned"]
		delete(got, "validate allowed")
		delete(got, "validate warned")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers for pod %s (-want +got):\n%s", name, diff)
		}
		protected(t, pod)
		out[name] = endState(t, pod)
		c.admitAgain(t, pod)
	}
	return out
}

// admitAgain creates a pod as it was admitted: we add nothing to it.
func (c *cluster) admitAgain(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	before := c.reviews(t)
	again := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name + "-again", Labels: pod.Labels, Annotations: pod.Annotations}, Spec: *pod.Spec.DeepCopy()}
	again.Spec.NodeName = ""
	if err := c.client.Create(t.Context(), again, client.DryRunAll); err != nil {
		t.Errorf("admit pod %s as it was admitted: %v", pod.Name, err)
		return
	}
	got := since(before, c.reviews(t))
	if got["mutate patched"] != 0 || got["mutate allowed"] == 0 {
		t.Errorf("got the answers %v for pod %s as it was admitted, want no patch", got, pod.Name)
	}
}

// protected fails the test unless a pod has one proxy, and its keys and its
// secret in the container of the SDK and nowhere else.
func protected(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	for check, ok := range map[string]bool{"mtls-in-mesh": true, "jws-signing-key-mounted": true, "jws-verification-keys-mounted": true, "ilp-secret-set": true} {
		if holds(pod)[check] != ok {
			t.Errorf("pod %s lacks what %s asks for", pod.Name, check)
		}
	}
	proxies := 0
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == "istio-proxy" {
			proxies++
		}
		if c.Name == "sdk" {
			continue
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"ILP_SECRET", "JWS_", "jws", "perffsp-1-ilp", "/opt/app/secrets"} {
			if strings.Contains(string(text), word) {
				t.Errorf("container %s of pod %s has %q: %s", c.Name, pod.Name, word, text)
			}
		}
	}
	if proxies != 1 {
		t.Errorf("got %d containers istio-proxy in pod %s, want 1", proxies, pod.Name)
	}
}

// random is what the API server makes up for each pod.
var random = regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`)

// endState is a pod without what differs between namespaces and without the
// order in which things were added, where that has no meaning.
func endState(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	p := pod.DeepCopy()
	p.Spec.NodeName, p.Status = "", corev1.PodStatus{}
	labels := p.Labels
	delete(labels, "sidecar.istio.io/inject")
	p.ObjectMeta = metav1.ObjectMeta{Name: p.Name, Labels: labels, Annotations: p.Annotations}
	byName := func(a, b corev1.Volume) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(p.Spec.Volumes, byName)
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			slices.SortFunc(list[i].Env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
			slices.SortFunc(list[i].VolumeMounts, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
		}
	}
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return random.ReplaceAllString(strings.ReplaceAll(string(text), pod.Namespace, "NAMESPACE"), "kube-api-access")
}

// replaceInjector puts a changed copy of Istio's configuration, with another
// name, in its place until the test ends.
func (c *cluster) replaceInjector(t *testing.T, name string, change func(*admissionregistrationv1.MutatingWebhookConfiguration)) {
	t.Helper()
	was := &admissionregistrationv1.MutatingWebhookConfiguration{}
	if err := c.client.Get(t.Context(), client.ObjectKey{Name: injector}, was); err != nil {
		t.Fatal(err)
	}
	as := func(name string) *admissionregistrationv1.MutatingWebhookConfiguration {
		o := was.DeepCopy()
		o.ObjectMeta = metav1.ObjectMeta{Name: name, Labels: was.Labels, Annotations: was.Annotations}
		return o
	}
	other := as(name)
	if change != nil {
		change(other)
	}
	if err := c.client.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.client.Create(context.WithoutCancel(t.Context()), as(injector)); err != nil {
			t.Errorf("put %s back: %v", injector, err)
		}
		c.remove(t, other)
	})
	c.remove(t, was)
}

// expectOrder returns when the API server calls Istio's injector before or after
// ours. Then, and only then, a pod that our label alone asks in gets no proxy;
// doctor says so.
func (c *cluster) expectOrder(t *testing.T, istioFirst bool) {
	t.Helper()
	s := c.newScheme(t, enforced)
	eventually(t, "the order of injection", func(ctx context.Context) (bool, string) {
		pod := s.pod("probe")
		if err := c.client.Create(ctx, pod, client.DryRunAll); err != nil {
			return false, err.Error()
		}
		has := controlplane.HasSidecar(pod)
		return has != istioFirst, fmt.Sprintf("a pod with our label has a proxy: %t", has)
	})
	const sentence = early + " sorts before " + ours
	if a := c.plugin(t, "", "doctor"); strings.Contains(a.stdout, sentence) != istioFirst {
		t.Errorf("doctor tells of an injector that sorts before ours: got %t, want %t\n%s%s", !istioFirst, istioFirst, a.stdout, a.stderr)
	}
}
