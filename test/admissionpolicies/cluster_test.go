package admissionpolicies_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/plugin/admissionpolicy"
	"github.com/mojasec/mojasec/pkg/policy"
	expect "github.com/mojasec/mojasec/test/admissionpolicies"
	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
)

// api is an API server with the generated policies, and what it warned of.
type api struct {
	dynamic.Interface
	*kubernetes.Clientset

	mu       sync.Mutex
	warnings []string
	made     []string // names of namespaces
}

// HandleWarningHeader implements [rest.WarningHandler].
func (a *api) HandleWarningHeader(_ int, _, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.warnings = append(a.warnings, text)
}

// newAPI applies the policies and waits until every one of them works.
func newAPI(t *testing.T) *api {
	t.Helper()
	c := cluster.Need(t)
	a := &api{}
	cfg := rest.CopyConfig(c.Config)
	cfg.QPS, cfg.Burst, cfg.WarningHandler = 500, 500, a
	var err error
	if a.Interface, err = dynamic.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	if a.Clientset, err = kubernetes.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	objs, err := admissionpolicy.Generate(admissionpolicy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := admissionpolicy.WriteYAML(&text, objs, "a test"); err != nil {
		t.Fatal(err)
	}
	if err := controlplane.Apply(t.Context(), c.Config, text.Bytes()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.clean(t) })
	a.waitForPolicies(t)
	return a
}

// clean leaves the cluster as it was.
func (a *api) clean(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	list := metav1.ListOptions{LabelSelector: admissionpolicy.LabelComponent + "=" + admissionpolicy.Component}
	registration := a.AdmissionregistrationV1()
	if err := registration.ValidatingAdmissionPolicies().DeleteCollection(ctx, metav1.DeleteOptions{}, list); err != nil {
		t.Error(err)
	}
	if err := registration.ValidatingAdmissionPolicyBindings().DeleteCollection(ctx, metav1.DeleteOptions{}, list); err != nil {
		t.Error(err)
	}
	for _, name := range a.made {
		if err := a.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// waitForPolicies waits until a Deployment that breaks every check is warned of
// by every policy: the API server learns of them one by one.
func (a *api) waitForPolicies(t *testing.T) {
	t.Helper()
	ns := a.namespace(t, map[string]string{v1alpha1.LabelMode: "warn"})
	var missing []policy.ID
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		got, err := a.warned(ctx, t, broken(), ns)
		missing = nil
		for _, c := range expect.PodLocal() {
			if !got[c.ID] {
				missing = append(missing, c.ID)
			}
		}
		return len(missing) == 0, err
	})
	if err != nil {
		t.Fatalf("no policy speaks of %v: %v", missing, err)
	}
}

// broken is a Deployment that breaks every pod-local check.
func broken() *appsv1.Deployment {
	d := fixtures.NewScheme().SDK1
	d.Spec.Template.Spec.HostNetwork = true
	fixtures.SetEnv(d, "JWS_SIGN", "false")
	fixtures.SetEnv(d, "ILP_SECRET", "")
	fixtures.SetEnv(d, "FSPIOP_ILP_SECRET", fixtures.PublishedILPDefault)
	fixtures.SetEnv(d, "KEY", string(fixtures.NewKeyPair().Private))
	fixtures.Annotate(d, "traffic.sidecar.istio.io/excludeInboundPorts", "4000")
	return d
}

// namespace makes a namespace with these labels.
func (a *api) namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "policies-", Labels: labels}}
	made, err := a.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a.made = append(a.made, made.Name)
	return made.Name
}

// warned creates an object, for show, in a namespace that warns, and returns
// the checks that were warned of.
func (a *api) warned(ctx context.Context, t *testing.T, obj runtime.Object, ns string) (map[policy.ID]bool, error) {
	t.Helper()
	a.mu.Lock()
	a.warnings = nil
	a.mu.Unlock()
	err := a.dryRun(ctx, t, obj, ns)
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[policy.ID]bool{}
	for _, w := range a.warnings {
		for _, c := range expect.PodLocal() {
			if strings.Contains(w, "'"+string(c.ID)+".mojasec.io'") {
				out[c.ID] = true
			}
		}
		if strings.Contains(w, "failed to") || strings.Contains(w, "fails to") {
			return nil, fmt.Errorf("a policy cannot be evaluated: %s", w)
		}
	}
	return out, err
}

func (a *api) dryRun(ctx context.Context, t *testing.T, obj runtime.Object, ns string) error {
	t.Helper()
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(tree)}
	u.SetNamespace(ns)
	gvr, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
	_, err = a.Resource(gvr).Namespace(ns).Create(ctx, u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// TestFixtures compares engine and API server on every fixture that has no
// Profile of its own, by what is warned of: a denial names one policy only.
func TestFixtures(t *testing.T) {
	a := newAPI(t)
	namespaces := map[string]string{}
	refused := map[policy.ID]int{}
	for _, f := range fixtures.All() {
		t.Run(f.Check+"/"+f.Name, func(t *testing.T) {
			s := fixtures.NewScheme()
			if f.Tweak != nil {
				f.Tweak(s)
			}
			// A namespace that a fixture does not give is there all the same.
			labels := map[string]map[string]string{s.Namespace.Name: s.Namespace.Labels}
			for _, o := range s.Objects() {
				switch o := o.(type) {
				case *v1alpha1.Profile:
					t.Skip("has a Profile: compared offline")
				case *corev1.Namespace:
					labels[o.Name] = o.Labels
				}
			}
			for obj, of := range expect.Judge(s.Inputs(), expect.Options(&f)) {
				m := obj.(metav1.Object)
				if hasEphemeralContainers(obj) {
					continue // nothing is created with some: TestHardCase13And17
				}
				own := maps.Clone(labels[m.GetNamespace()])
				if own == nil {
					own = map[string]string{}
				}
				own[v1alpha1.LabelMode] = "warn"
				key := fmt.Sprint(own)
				if namespaces[key] == "" {
					namespaces[key] = a.namespace(t, own)
				}
				if d, ok := obj.(*appsv1.Deployment); ok { // with labels that the fixture changed
					d.Spec.Selector = &metav1.LabelSelector{MatchLabels: d.Spec.Template.Labels}
				}
				got, err := a.warned(t.Context(), t, obj, namespaces[key])
				if err != nil {
					t.Errorf("%s: %v", m.GetName(), err)
				}
				for id, want := range of {
					bad := want == expect.Failed && expect.Unseen[f.Check+"/"+f.Name+"/"+string(id)] == ""
					if got[id] {
						refused[id]++
					}
					if got[id] != bad {
						t.Errorf("%s: got refused by %s: %t, want %t", m.GetName(), id, got[id], bad)
					}
				}
			}
		})
	}
	for _, c := range expect.PodLocal() {
		if refused[c.ID] == 0 {
			t.Errorf("nothing is refused for %s", c.ID)
		}
	}
}

func hasEphemeralContainers(obj runtime.Object) bool {
	switch o := obj.(type) {
	case *corev1.Pod:
		return len(o.Spec.EphemeralContainers) > 0
	case *appsv1.Deployment:
		return len(o.Spec.Template.Spec.EphemeralContainers) > 0
	}
	return false
}

// TestModes does what the mode of the namespace says.
func TestModes(t *testing.T) {
	a := newAPI(t)
	tests := []struct {
		mode           string
		refused, warns bool
	}{{"enforce", true, false}, {"enforec", true, false}, {"warn", false, true}, {"audit", false, false}, {"", false, false}}
	for _, tt := range tests {
		t.Run("mode "+tt.mode, func(t *testing.T) {
			labels := map[string]string{}
			if tt.mode != "" {
				labels[v1alpha1.LabelMode] = tt.mode
			}
			got, err := a.warned(t.Context(), t, broken(), a.namespace(t, labels))
			if (err != nil) != tt.refused || (len(got) > 0) != tt.warns {
				t.Errorf("got error %v and warnings of %v, want refused: %t, warned: %t", err, slices.Collect(maps.Keys(got)), tt.refused, tt.warns)
			}
		})
	}
}

// TestKinds refuses a broken pod wherever it stands, and says what to do.
func TestKinds(t *testing.T) {
	a := newAPI(t)
	ns := a.namespace(t, map[string]string{v1alpha1.LabelMode: "enforce", "istio-injection": "enabled"})
	for _, bad := range []bool{true, false} {
		d := fixtures.NewScheme().SDK1
		if bad {
			fixtures.SetEnv(d, "ILP_SECRET", " '"+fixtures.PublishedILPDefault+"'")
		}
		for _, obj := range makers(d) {
			kind := obj.GetObjectKind().GroupVersionKind().Kind
			t.Run(fmt.Sprintf("%s, bad: %t", kind, bad), func(t *testing.T) {
				err := a.dryRun(t.Context(), t, obj, ns)
				switch {
				case !bad && err != nil:
					t.Error(err)
				case bad && err == nil:
					t.Error("is not refused")
				case bad && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "ilp-secret-not-default: container sdk") || !strings.Contains(err.Error(), "To mend it: ")):
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// makers are objects of all kinds that make the pods of a Deployment.
func makers(d *appsv1.Deployment) []runtime.Object {
	om := metav1.ObjectMeta{Name: "x"}
	once := *d.Spec.Template.DeepCopy()
	once.Spec.RestartPolicy = corev1.RestartPolicyNever
	typed := func(apiVersion, kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
	}
	pod := &corev1.Pod{TypeMeta: typed("v1", "Pod"), ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
	pod.GenerateName = "x-"
	pod.Spec.ServiceAccountName = ""
	return []runtime.Object{
		pod, d,
		&appsv1.StatefulSet{TypeMeta: typed("apps/v1", "StatefulSet"), ObjectMeta: om, Spec: appsv1.StatefulSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}},
		&appsv1.DaemonSet{TypeMeta: typed("apps/v1", "DaemonSet"), ObjectMeta: om, Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}},
		&appsv1.ReplicaSet{TypeMeta: typed("apps/v1", "ReplicaSet"), ObjectMeta: om, Spec: appsv1.ReplicaSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}},
		&corev1.ReplicationController{TypeMeta: typed("v1", "ReplicationController"), ObjectMeta: om, Spec: corev1.ReplicationControllerSpec{Selector: d.Spec.Selector.MatchLabels, Template: &d.Spec.Template}},
		&batchv1.Job{TypeMeta: typed("batch/v1", "Job"), ObjectMeta: om, Spec: batchv1.JobSpec{Template: once}},
		&batchv1.CronJob{TypeMeta: typed("batch/v1", "CronJob"), ObjectMeta: om, Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: once}}}},
	}
}

// TestHardCase13And17 lets updates of an old violator pass that leave it as it
// is, and judges ephemeral containers.
func TestHardCase13And17(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	name := a.namespace(t, map[string]string{"istio-injection": "enabled"})
	d := broken()
	d.Namespace = name
	d.Spec.Replicas = new(int32(0))
	old, err := a.AppsV1().Deployments(name).Create(ctx, d, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := makers(fixtures.NewScheme().SDK1)[0].(*corev1.Pod)
	pod.Namespace = name
	good, err := a.CoreV1().Pods(name).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil && strings.Contains(err.Error(), "serviceaccount") { // the control plane makes it in a moment
		err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			made, err := a.CoreV1().Pods(name).Create(ctx, pod, metav1.CreateOptions{})
			good = made
			return err == nil, nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"enforce"}}}`, v1alpha1.LabelMode)
	if _, err := a.CoreV1().Namespaces().Patch(ctx, name, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server reads the labels of namespaces from a cache.
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return a.dryRun(ctx, t, broken(), name) != nil, nil
	})
	if err != nil {
		t.Fatal("a violator is not refused")
	}
	deployments := a.AppsV1().Deployments(name)
	for what, patch := range map[string]string{"scale": `{"spec":{"replicas":1}}`, "label": `{"metadata":{"labels":{"x":"y"}}}`} {
		if _, err := deployments.Patch(ctx, old.Name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Errorf("%s an old violator: %v", what, err)
		}
	}
	if _, err := deployments.Patch(ctx, old.Name, "application/merge-patch+json", []byte(`{"spec":{"template":{"metadata":{"annotations":{"x":"y"}}}}}`), metav1.PatchOptions{}); err == nil {
		t.Error("the template of an old violator can be changed")
	}
	pods := a.CoreV1().Pods(name)
	attach := func(value string) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			p, err := pods.Get(ctx, good.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: "debug", Image: "busybox", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
				Env: []corev1.EnvVar{{Name: "FSPIOP_ILP_SECRET", Value: value}},
			}}}
			_, err = pods.UpdateEphemeralContainers(ctx, p.Name, p, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		})
	}
	if err := attach(fixtures.RandomSecret()); err != nil {
		t.Errorf("a harmless ephemeral container: %v", err)
	}
	if err := attach(fixtures.PublishedILPDefault); err == nil || !strings.Contains(err.Error(), "ilp-secret-not-default: container debug") {
		t.Errorf("an ephemeral container with a published secret: got %v", err)
	}
}
