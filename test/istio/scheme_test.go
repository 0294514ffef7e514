package istio

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
)

// scheme is a payment scheme without workloads in a namespace of its own.
type scheme struct {
	*fixtures.Scheme
	ns string
}

// newScheme makes a namespace with labels and a compliant scheme, all but its
// workloads. With the label of the mode enforce it returns when the webhook
// knows the namespace.
func (c *cluster) newScheme(t testing.TB, labels map[string]string) *scheme {
	t.Helper()
	f := fixtures.NewScheme()
	for _, o := range []*corev1.Secret{f.JWS1, f.JWS2, f.HubKey} {
		fingerprint, _, _ := strings.Cut(o.Annotations[v1alpha1.AnnotationKeySince], "@")
		o.Annotations[v1alpha1.AnnotationKeySince] = fingerprint + "@" + time.Now().UTC().Format(time.RFC3339)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "istio-test-", Labels: maps.Clone(labels)}}
	delete(ns.Labels, v1alpha1.LabelMode)
	if err := c.client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.clear(t, ns) })
	s := &scheme{Scheme: f, ns: ns.Name}
	c.must(t, s.yaml(t, s.rest()...), "apply", "-n", s.ns, "-f", "-")
	for _, name := range []string{fixtures.DFSP1, fixtures.DFSP2, "quoting-service-handler"} {
		if err := c.client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	if labels[v1alpha1.LabelMode] == "enforce" {
		c.enforce(t, s)
	}
	return s
}

// clear takes the mode from a namespace, so that nothing holds it, and deletes
// it with its pods.
func (c *cluster) clear(t testing.TB, ns *corev1.Namespace) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, v1alpha1.LabelMode)
	if err := c.client.Patch(ctx, ns, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Errorf("clear %s: %v", ns.Name, err)
	}
	for _, kind := range []client.Object{&appsv1.Deployment{}, &corev1.Pod{}} {
		if err := c.client.DeleteAllOf(ctx, kind, client.InNamespace(ns.Name), client.GracePeriodSeconds(0), client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			t.Errorf("clear %s: %v", ns.Name, err)
		}
	}
	c.remove(t, ns)
}

// rest are the objects of the scheme's namespace that are no workloads.
func (s *scheme) rest() []runtime.Object {
	return slices.DeleteFunc(s.Objects(), func(o runtime.Object) bool {
		switch o.(type) {
		case *corev1.Namespace, *appsv1.Deployment:
			return true
		}
		m, _ := o.(metav1.Object)
		return m.GetNamespace() != fixtures.Namespace
	})
}

// enforce binds the webhook's rights, sets the mode, and returns when the
// webhook refuses what is wrong for its reason and lets in what is right, or
// holds only its place outside the mesh against it.
func (c *cluster) enforce(t testing.TB, s *scheme) {
	t.Helper()
	err := c.client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "mojasec-webhook"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "mojasec-namespace"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "mojasec-system", Name: "mojasec-webhook"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.must(t, "", "label", "namespace", s.ns, v1alpha1.LabelMode+"=enforce")
	c.settle(t, s)
}

func (c *cluster) settle(t testing.TB, s *scheme) {
	t.Helper()
	bad := s.pod("probe", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault})
	})
	eventually(t, "the webhook to enforce in "+s.ns, func(ctx context.Context) (bool, string) {
		err := c.client.Create(ctx, bad.DeepCopy(), client.DryRunAll)
		if err == nil {
			return false, "a default secret is admitted"
		}
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ilp-secret-not-default"), err.Error()
	})
	eventually(t, "the webhook to know the scheme in "+s.ns, func(ctx context.Context) (bool, string) {
		for _, d := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
			err := c.client.Create(ctx, fixtures.In(s.ns, d), client.DryRunAll)
			switch {
			case err == nil, apierrors.IsAlreadyExists(err):
			case strings.Contains(err.Error(), "1 rule does not hold") && strings.Contains(err.Error(), "mtls-in-mesh:"):
			default:
				return false, err.Error()
			}
		}
		return true, ""
	})
}

// yaml writes objects as kubectl reads them, in the namespace of the scheme.
func (s *scheme) yaml(t testing.TB, objs ...runtime.Object) string {
	t.Helper()
	var b strings.Builder
	for _, o := range objs {
		text, err := yaml.Marshal(fixtures.In(s.ns, o))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	return b.String()
}

// pod is a pod of the first SDK.
func (s *scheme) pod(name string, tweaks ...func(*corev1.Pod)) *corev1.Pod {
	template := fixtures.In(s.ns, s.SDK1).Spec.Template
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name, Labels: template.Labels, Annotations: template.Annotations},
		Spec:       template.Spec,
	}
	for _, tweak := range tweaks {
		tweak(p)
	}
	return p
}

// bare takes out of a pod what admission puts in.
func bare(spec *corev1.PodSpec) {
	c := &spec.Containers[0]
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool {
		return slices.Contains([]string{"JWS_SIGNING_KEY_PATH", "JWS_VERIFICATION_KEYS_DIRECTORY", "ILP_SECRET"}, e.Name)
	})
	c.VolumeMounts, spec.Volumes = nil, nil
}

// meshObjects are the mesh's namespace and config as they are in the cluster,
// for those who read files.
func (c *cluster) meshObjects(t testing.TB) string {
	t.Helper()
	return "---\n" + c.must(t, "", "get", "namespace", meshRoot, "-o", "yaml") +
		"---\n" + c.must(t, "", "get", "configmap", "istio", "-n", meshRoot, "-o", "yaml")
}

// holds says what a pod has of that which the checks ask for.
func holds(p *corev1.Pod) map[string]bool {
	sdk := &p.Spec.Containers[slices.IndexFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == "sdk" })]
	out := map[string]bool{"mtls-in-mesh": controlplane.HasSidecar(p)}
	for _, m := range sdk.VolumeMounts {
		for _, v := range p.Spec.Volumes {
			switch {
			case v.Name != m.Name:
			case m.MountPath == "/opt/app/secrets" && v.Secret != nil && v.Secret.SecretName == fixtures.DFSP1+"-jws-keys":
				out["jws-signing-key-mounted"] = true
			case m.MountPath == "/opt/app/secrets/jwsVerificationKeys" && v.ConfigMap != nil:
				out["jws-verification-keys-mounted"] = true
			}
		}
	}
	for _, e := range sdk.Env {
		if e.Name == "ILP_SECRET" && e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == fixtures.DFSP1+"-ilp" {
			out["ilp-secret-set"] = true
		}
	}
	return out
}
