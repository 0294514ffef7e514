// Package live_test follows a real cluster with pkg/policy/collect/live.
package live_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	securityapi "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/live"
	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
)

var cluster = controlplane.NewEnvironment(controlplane.Options{})

func TestMain(m *testing.M) { os.Exit(cluster.Run(m)) }

// follow runs a Collector as some user until the test ends.
func follow(t *testing.T, cfg *rest.Config) *live.Collector {
	t.Helper()
	c, err := live.New(cfg, live.Options{HashKey: []byte("a key for the tests")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 90*time.Second, true, func(context.Context) (done bool, err error) {
		done, last = ok()
		return done, nil
	})
	if err != nil {
		t.Fatalf("%s: not within 30 s; last: %s", what, last)
	}
}

func ready(t *testing.T, c *live.Collector) {
	t.Helper()
	eventually(t, "ready", func() (bool, string) {
		if err := c.Ready(); err != nil {
			return false, err.Error()
		}
		return c.Snapshot() != nil, ""
	})
}

func secretIs(t *testing.T, c *live.Collector, ns, name string, want policy.Presence) {
	t.Helper()
	eventually(t, "Secret "+ns+"/"+name, func() (bool, string) {
		_, got := c.Snapshot().Secret(ns, name)
		return got == want, c.Snapshot().Unread(policy.FactSecret, ns)
	})
}

// clients of the administrator.
func clients(t *testing.T) (*kubernetes.Clientset, *dynamic.DynamicClient) {
	t.Helper()
	cluster.Need(t)
	cfg := rest.CopyConfig(cluster.Cluster().Config)
	cfg.QPS = -1
	return kubernetes.NewForConfigOrDie(cfg), dynamic.NewForConfigOrDie(cfg)
}

// namespace creates a namespace that is deleted in the end.
func namespace(t *testing.T, client kubernetes.Interface, prefix string, labels map[string]string) string {
	t.Helper()
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}) })
	return ns.Name
}

func enforce() map[string]string { return map[string]string{v1alpha1.LabelMode: "enforce"} }

func create(t *testing.T, client dynamic.Interface, gvr schema.GroupVersionResource, obj runtime.Object) {
	t.Helper()
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		t.Fatal(err)
	}
	u := unstructuredOf(tree)
	if _, err := client.Resource(gvr).Namespace(u.GetNamespace()).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestFollowsCluster sees a scheme in a real cluster as it sees it in files.
func TestFollowsCluster(t *testing.T) {
	client, tree := clients(t)
	c := follow(t, cluster.Cluster().Config)
	ready(t, c)
	ns := namespace(t, client, "scheme-", enforce())
	s := fixtures.NewScheme()
	secret := s.ILP1.DeepCopy()
	secret.Namespace = ns
	if _, err := client.CoreV1().Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	secretIs(t, c, ns, secret.Name, policy.Present)
	secretIs(t, c, ns, "other", policy.Absent)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "sdk"}, Spec: s.SDK1.Spec.Template.Spec}
	pod.Labels = s.SDK1.Spec.Template.Labels
	if pod.Spec.ServiceAccountName != "" {
		pod.Spec.ServiceAccountName = "default"
	}
	if _, err := client.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	findings := func() string {
		r := policy.ReviewWorkloads(policy.Checks(), c.Snapshot(), []string{ns})
		var out []string
		for i := range r.Findings {
			out = append(out, string(r.Check(r.Findings[i].Pair).ID))
		}
		return strings.Join(out, " ")
	}
	eventually(t, "the pod is judged", func() (bool, string) {
		got := findings()
		return strings.Contains(got, "mtls-strict"), got
	})
	strict := &securityv1.PeerAuthentication{
		TypeMeta:   metav1.TypeMeta{APIVersion: "security.istio.io/v1", Kind: "PeerAuthentication"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"},
	}
	strict.Spec.Mtls = &securityapi.PeerAuthentication_MutualTLS{Mode: securityapi.PeerAuthentication_MutualTLS_STRICT}
	create(t, tree, schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"}, strict)
	eventually(t, "it is strict", func() (bool, string) {
		got := findings()
		return !strings.Contains(got, "mtls-strict"), got
	})

	before := c.Snapshot()
	late := secret.DeepCopy()
	late.Name = "late"
	if _, err := client.CoreV1().Secrets(ns).Create(t.Context(), late, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	after, found, err := c.Reread(t.Context(), before, []policy.Fact{{Kind: policy.FactSecret, Namespace: ns, Name: "late"}})
	if err != nil || !found {
		t.Fatalf("Reread: got %t, %v; want it found", found, err)
	}
	if _, presence := after.Secret(ns, "late"); presence != policy.Present {
		t.Errorf("presence: got %d, want Present", presence)
	}
}

// TestRights follows a cluster as a user with no more rights than it says it
// needs, which it gets one after the other.
func TestRights(t *testing.T) {
	client, _ := clients(t)
	user := "reader-" + strings.ToLower(t.Name())
	cfg, err := cluster.Cluster().User(user)
	if err != nil {
		t.Fatal(err)
	}
	subject := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	verbs := []string{"get", "list", "watch"}
	var all, namespaced []rbacv1.PolicyRule
	for _, r := range live.Resources() {
		rule := rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, Verbs: verbs}
		switch {
		case r.Namespaced:
			namespaced = append(namespaced, rule)
		case r.Resource != "statefulsets":
			all = append(all, rule)
		}
	}
	ns := namespace(t, client, "rights-", enforce())
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: all}
	role, err = client.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user}, Subjects: subject}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.RbacV1().ClusterRoleBindings().Delete(context.Background(), user, metav1.DeleteOptions{})
		_ = client.RbacV1().ClusterRoles().Delete(context.Background(), user, metav1.DeleteOptions{})
	})

	c := follow(t, cfg)
	eventually(t, "statefulsets are missing, and nothing else", func() (bool, string) {
		err := c.Ready()
		if err == nil {
			return false, "ready"
		}
		return strings.Contains(err.Error(), "may not list and watch statefulsets.apps") && !strings.Contains(err.Error(), "; "), err.Error()
	})
	if c.Snapshot() != nil {
		t.Error("there is a Snapshot")
	}
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"statefulsets"}, Verbs: verbs})
	if _, err := client.RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	ready(t, c)
	secretIs(t, c, ns, "none", policy.Unknown)
	if got, want := c.Snapshot().Unread(policy.FactSecret, ns), "kubectl mojasec install --namespace "+ns; !strings.Contains(got, want) {
		t.Errorf("Unread: got %q, want %q in it", got, want)
	}
	if _, _, err := c.Reread(t.Context(), c.Snapshot(), []policy.Fact{{Kind: policy.FactSecret, Namespace: ns, Name: "none"}}); err == nil {
		t.Error("Reread: got no error without the right")
	}

	if _, err := client.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: namespaced}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bind := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "r"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "r"}, Subjects: subject}
	if _, err := client.RbacV1().RoleBindings(ns).Create(t.Context(), bind, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bound := time.Now()
	secretIs(t, c, ns, "none", policy.Absent)
	if took := time.Since(bound); took > 20*time.Second {
		t.Errorf("it took %s after the binding, want a few seconds", took)
	}
}

// TestCRDsComeLate: Istio is installed after us.
func TestCRDsComeLate(t *testing.T) {
	client, tree := clients(t)
	gvr := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	const name = "peerauthentications.security.istio.io"
	u, err := tree.Resource(gvr).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Skipf("the cluster has no Istio kinds to take away: %v", err)
	}
	if cluster.Cluster().ControlPlane == nil {
		t.Skip("this is somebody's cluster: its CRDs stay")
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, crd); err != nil {
		t.Fatal(err)
	}
	if err := tree.Resource(gvr).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kind is gone", func() (bool, string) {
		_, err := tree.Resource(gvr).Get(t.Context(), name, metav1.GetOptions{})
		return err != nil, ""
	})
	c := follow(t, cluster.Cluster().Config)
	ready(t, c)

	crd.ObjectMeta = metav1.ObjectMeta{Name: crd.Name, Labels: crd.Labels, Annotations: crd.Annotations}
	crd.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
	crd.TypeMeta = metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}
	create(t, tree, gvr, crd)
	ns := namespace(t, client, "late-", nil)
	object := &securityv1.PeerAuthentication{
		TypeMeta:   metav1.TypeMeta{APIVersion: "security.istio.io/v1", Kind: "PeerAuthentication"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"},
	}
	object.Spec.Mtls = &securityapi.PeerAuthentication_MutualTLS{Mode: securityapi.PeerAuthentication_MutualTLS_STRICT}
	tree2, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	pas := schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "peerauthentications"}
	eventually(t, "the kind is back", func() (bool, string) {
		_, err := tree.Resource(pas).Namespace(ns).Create(t.Context(), unstructuredOf(tree2), metav1.CreateOptions{})
		if err != nil {
			return false, err.Error()
		}
		return true, ""
	})
	back := time.Now()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "sdk"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "sdk", Image: "mojaloop/sdk-scheme-adapter:v24.0.0"}}}}
	if _, err := client.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the PeerAuthentication counts", func() (bool, string) {
		r := policy.ReviewWorkloads(policy.Checks(), c.Snapshot(), []string{ns})
		var failed []string
		for i := range r.Findings {
			failed = append(failed, string(r.Check(r.Findings[i].Pair).ID))
		}
		got := strings.Join(failed, " ")
		return got != "" && !strings.Contains(got, "mtls-strict"), got
	})
	if took := time.Since(back); took > 10*time.Second {
		t.Errorf("it took %s after the kind was back, want seconds", took)
	}
}
