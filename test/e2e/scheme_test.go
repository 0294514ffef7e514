package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	istiosecurity "istio.io/api/security/v1beta1"
	istiotype "istio.io/api/type/v1beta1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/test/fixtures"
)

// fieldManager is that of the plugin, in whose place the tests apply.
const fieldManager = client.FieldOwner("kubectl-mojasec")

// apply applies an object server-side as it is.
func (c *cluster) apply(ctx context.Context, o *unstructured.Unstructured) error {
	if err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), fieldManager, client.ForceOwnership); err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// scheme is a payment scheme in a namespace that enforces.
type scheme struct {
	*fixtures.Scheme
	c  *cluster
	t  testing.TB
	ns string
}

// newScheme makes a namespace with a compliant scheme, all but its workloads,
// and returns when the webhook enforces there and knows all of it.
func (c *cluster) newScheme(t testing.TB, labels ...map[string]string) *scheme {
	t.Helper()
	return c.placeScheme(t, fixtures.NewScheme(), labels...)
}

func (c *cluster) placeScheme(t testing.TB, f *fixtures.Scheme, labels ...map[string]string) *scheme {
	t.Helper()
	meshLabels := map[string]string{"istio-injection": "enabled"}
	if len(labels) > 0 {
		meshLabels = labels[0]
	}
	s := &scheme{Scheme: f, c: c, t: t, ns: c.namespace(t, meshLabels).Name}
	for _, o := range []*corev1.Secret{f.JWS1, f.JWS2, f.HubKey} {
		fingerprint, _, _ := strings.Cut(o.Annotations[v1alpha1.AnnotationKeySince], "@")
		o.Annotations[v1alpha1.AnnotationKeySince] = fingerprint + "@" + time.Now().UTC().Format(time.RFC3339)
	}
	// As users do, so that a later apply takes away what it does not have.
	var objs []runtime.Object
	for _, o := range s.Objects() {
		m, _ := o.(metav1.Object)
		switch o.(type) {
		case *corev1.Namespace, *appsv1.Deployment, *corev1.Pod:
		default:
			if m.GetNamespace() == fixtures.Namespace {
				objs = append(objs, o)
			}
		}
	}
	s.kubectl(t, s.yaml(objs...), "apply", "-f", "-").accepted(t)
	for _, name := range []string{fixtures.DFSP1, fixtures.DFSP2, "quoting-service-handler"} {
		c.create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}})
	}
	c.bind(t, s.ns)
	c.setMode(t, s.ns, "enforce")
	s.settle()
	return s
}

// bind lets the webhook read Secrets and ConfigMaps of a namespace, as kubectl
// mojasec install --namespace does.
func (c *cluster) bind(t testing.TB, ns string) {
	t.Helper()
	c.create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mojasec-webhook"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "mojasec-namespace"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "mojasec-system", Name: "mojasec-webhook"}},
	})
}

// setMode labels a namespace; no mode removes the label.
func (c *cluster) setMode(t testing.TB, ns, mode string) {
	t.Helper()
	if err := c.patchMode(t.Context(), ns, mode); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) patchMode(ctx context.Context, ns, mode string) error {
	value := "null"
	if mode != "" {
		value = `"` + mode + `"`
	}
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, v1alpha1.LabelMode, value)
	return c.client.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, client.RawPatch("application/merge-patch+json", []byte(patch)))
}

// settle returns when the webhook refuses what is wrong for its reason, and
// lets in what is right: then it knows the namespace.
func (s *scheme) settle() {
	s.t.Helper()
	bad := s.pod("probe")
	bad.Spec.Containers[0].Env = append(bad.Spec.Containers[0].Env, corev1.EnvVar{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault})
	eventually(s.t, "the webhook to enforce in "+s.ns, func(ctx context.Context) (bool, string) {
		err := s.c.client.Create(ctx, bad.DeepCopy(), client.DryRunAll)
		if err == nil {
			return false, "a default secret is admitted"
		}
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ilp-secret-not-default"), err.Error()
	})
	eventually(s.t, "the webhook to know the scheme in "+s.ns, func(ctx context.Context) (bool, string) {
		for _, d := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
			if err := s.c.client.Create(ctx, s.deployment(d), client.DryRunAll); err != nil && !apierrors.IsAlreadyExists(err) {
				return false, err.Error()
			}
		}
		return true, ""
	})
}

// deployment is a Deployment of the fixtures as it is in this namespace.
func (s *scheme) deployment(d *appsv1.Deployment) *appsv1.Deployment { return fixtures.In(s.ns, d) }

// pod is a bare pod of the first SDK.
func (s *scheme) pod(name string) *corev1.Pod {
	template := s.deployment(s.SDK1).Spec.Template
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name, Labels: maps.Clone(template.Labels), Annotations: maps.Clone(template.Annotations)},
		Spec:       template.Spec,
	}
}

// run creates the workloads and waits until their pods run.
func (s *scheme) run() {
	s.t.Helper()
	for _, d := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
		s.c.create(s.t, s.deployment(d))
	}
	for _, d := range []*appsv1.Deployment{s.SDK1, s.SDK2, s.HubDeployment} {
		s.rollout(d.Name)
	}
	// What-ifs are about workloads: the webhook has seen them when it refuses
	// to leave them without mutual TLS.
	weak := fixtures.In(s.ns, s.PeerAuth)
	weak.Spec.Mtls.Mode = istiosecurity.PeerAuthentication_MutualTLS_DISABLE
	weak.Name, weak.Spec.Selector = "probe", &istiotype.WorkloadSelector{MatchLabels: s.HubDeployment.Spec.Selector.MatchLabels}
	eventually(s.t, "the webhook to know the workloads in "+s.ns, func(ctx context.Context) (bool, string) {
		err := s.c.client.Create(ctx, weak.DeepCopy(), client.DryRunAll)
		return apierrors.IsForbidden(err), fmt.Sprint(err)
	})
}

// rollout waits for a Deployment to be complete.
func (s *scheme) rollout(name string) {
	s.t.Helper()
	eventually(s.t, "Deployment "+name+" to roll out", func(ctx context.Context) (bool, string) {
		var d appsv1.Deployment
		if err := s.c.client.Get(ctx, client.ObjectKey{Namespace: s.ns, Name: name}, &d); err != nil {
			return false, err.Error()
		}
		want := *d.Spec.Replicas
		done := d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == want && d.Status.AvailableReplicas == want && d.Status.Replicas == want
		return done, fmt.Sprintf("%+v", d.Status)
	})
}

// pods lists the pods with labels.
func (s *scheme) pods(labels map[string]string) []corev1.Pod {
	s.t.Helper()
	var list corev1.PodList
	if err := s.c.client.List(s.t.Context(), &list, client.InNamespace(s.ns), client.MatchingLabels(labels)); err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// kubectl runs kubectl in the namespace of the scheme.
func (s *scheme) kubectl(t testing.TB, stdin string, args ...string) answer {
	t.Helper()
	return s.c.kubectl(t, stdin, append([]string{"--namespace", s.ns}, args...)...)
}

// yaml writes objects as kubectl reads them, in the namespace of the scheme.
func (s *scheme) yaml(objs ...runtime.Object) string {
	var b strings.Builder
	for _, o := range objs {
		text, err := yaml.Marshal(fixtures.In(s.ns, o))
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	return b.String()
}

// clear removes all workloads and pods of a namespace at once, and its mode,
// so that nothing is refused any more, and waits until
// they are gone, so that the next scheme is the only one.
func (c *cluster) clear(t testing.TB, ns string) {
	t.Helper()
	err := c.patchMode(context.WithoutCancel(t.Context()), ns, "")
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		t.Errorf("clear %s: %v", ns, err)
	}
	c.clearWorkloads(t, ns)
}

// clearWorkloads is clear in a namespace that stays as it is.
func (c *cluster) clearWorkloads(t testing.TB, ns string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	now := []client.DeleteAllOfOption{client.InNamespace(ns), client.GracePeriodSeconds(0), client.PropagationPolicy(metav1.DeletePropagationBackground)}
	kinds := []client.Object{
		&appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}, &appsv1.ReplicaSet{}, &corev1.ReplicationController{},
		&batchv1.CronJob{}, &batchv1.Job{}, &corev1.Pod{},
	}
	left := ""
	for range 600 {
		left = ""
		for _, kind := range kinds {
			if err := c.client.DeleteAllOf(ctx, kind, now...); err != nil {
				t.Errorf("clear %s: %v", ns, err)
			}
			list := &unstructured.UnstructuredList{}
			gvk, _ := c.client.GroupVersionKindFor(kind)
			list.SetGroupVersionKind(schema.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind + "List"})
			if err := c.client.List(ctx, list, client.InNamespace(ns)); err != nil {
				t.Errorf("clear %s: %v", ns, err)
			}
			for _, o := range list.Items {
				left = o.GetKind() + " " + o.GetName()
				if len(o.GetFinalizers()) > 0 {
					o.SetFinalizers(nil)
					_ = c.client.Update(ctx, &o)
				}
			}
		}
		if left == "" {
			return
		}
	}
	t.Errorf("clear %s: %s is still there", ns, left)
}
