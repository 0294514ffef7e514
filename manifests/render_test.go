package manifests_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/manifests"
)

func render(t *testing.T, o manifests.Options) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifests.Render(o)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// decode finds an object and decodes it strictly: a misspelt field fails.
func decode[T any](t *testing.T, objects []*unstructured.Unstructured, kind, name string) T {
	t.Helper()
	var out T
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &out, true); err != nil {
				t.Fatalf("%s %s: %v", kind, name, err)
			}
			return out
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return out
}

func ids(objects []*unstructured.Unstructured) []string {
	var out []string
	for _, o := range objects {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()), "/"))
	}
	return out
}

func TestRender(t *testing.T) {
	t.Parallel()
	base := []string{
		"Namespace /mojasec-system",
		"CustomResourceDefinition /profiles.mojasec.io",
		"CustomResourceDefinition /quarantines.mojasec.io",
		"CustomResourceDefinition /rotations.mojasec.io",
		"CustomResourceDefinition /waivers.mojasec.io",
		"ServiceAccount mojasec-system/mojasec-webhook",
		"Role istio-system/mojasec-webhook",
		"Role mojasec-system/mojasec-webhook",
		"ClusterRole /mojasec-namespace",
		"ClusterRole /mojasec-responder",
		"ClusterRole /mojasec-unenforce",
		"ClusterRole /mojasec-webhook",
		"RoleBinding istio-system/mojasec-webhook",
		"RoleBinding mojasec-system/mojasec-webhook",
		"ClusterRoleBinding /mojasec-webhook",
		"Service mojasec-system/mojasec-webhook",
		"Deployment mojasec-system/mojasec-webhook",
		"PodDisruptionBudget mojasec-system/mojasec-webhook",
		"NetworkPolicy mojasec-system/mojasec-webhook",
		"MutatingWebhookConfiguration /00-mojasec.io",
		"ValidatingWebhookConfiguration /mojasec.io",
	}
	without := func(kinds ...string) []string {
		return slices.DeleteFunc(slices.Clone(base), func(id string) bool {
			kind, _, _ := strings.Cut(id, " ")
			return slices.Contains(kinds, kind)
		})
	}
	tests := []struct {
		overlay manifests.Overlay
		want    []string
	}{
		{"", base},
		{manifests.SelfManaged, base},
		{manifests.URL, without("Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy")},
		{manifests.CertManager, slices.Insert(slices.Clone(base), len(base)-3,
			"Certificate mojasec-system/mojasec-ca", "Certificate mojasec-system/mojasec-webhook",
			"Issuer mojasec-system/mojasec-ca", "Issuer mojasec-system/mojasec-selfsigned")},
	}
	for _, tt := range tests {
		t.Run(string(tt.overlay), func(t *testing.T) {
			t.Parallel()
			objects := render(t, manifests.Options{Overlay: tt.overlay, Version: "v1.2.3", ManagedBy: "tester"})
			if diff := cmp.Diff(tt.want, ids(objects)); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			for _, o := range objects {
				want := map[string]string{
					"app.kubernetes.io/name": "mojasec", "app.kubernetes.io/part-of": "mojasec",
					"app.kubernetes.io/version": "v1.2.3", "app.kubernetes.io/managed-by": "tester",
				}
				for k, v := range want {
					if got := o.GetLabels()[k]; got != v {
						t.Errorf("%s %s: got label %s %q, want %q", o.GetKind(), o.GetName(), k, got, v)
					}
				}
			}
		})
	}
}

func TestRenderOptions(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"":                            manifests.DefaultImage + ":latest",
		"example.org/m":               "example.org/m:latest",
		"example.org:5000/m":          "example.org:5000/m:latest",
		"example.org:5000/m:v1":       "example.org:5000/m:v1",
		"example.org/m@sha256:abc":    "example.org/m@sha256:abc",
		"example.org/m:v1@sha256:abc": "example.org/m@sha256:abc",
	} {
		d := decode[appsv1.Deployment](t, render(t, manifests.Options{Image: image}), "Deployment", "mojasec-webhook")
		if got := d.Spec.Template.Spec.Containers[0].Image; got != want {
			t.Errorf("image %q: got %q, want %q", image, got, want)
		}
	}
	objects := render(t, manifests.Options{MeshRoot: "mesh"})
	if got := ids(objects); !slices.Contains(got, "Role mesh/mojasec-webhook") {
		t.Errorf("got %q, want the Role of the mesh root in mesh", got)
	}
	for _, o := range objects {
		data, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if o.GetKind() != "CustomResourceDefinition" && strings.Contains(string(data), `"istio-system"`) {
			t.Errorf("%s %s still names istio-system", o.GetKind(), o.GetName())
		}
	}
}

// A selector of the Deployment that changes with a version could never be
// upgraded.
func TestVersionIsInNoSelector(t *testing.T) {
	t.Parallel()
	objects := render(t, manifests.Options{Version: "v1", ManagedBy: "tester"})
	d := decode[appsv1.Deployment](t, objects, "Deployment", "mojasec-webhook")
	s := decode[corev1.Service](t, objects, "Service", "mojasec-webhook")
	want := map[string]string{"app.kubernetes.io/name": "mojasec", "app.kubernetes.io/component": "webhook"}
	if diff := cmp.Diff(want, d.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("Deployment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.Spec.Selector); diff != "" {
		t.Errorf("Service (-want +got):\n%s", diff)
	}
	if !labels.SelectorFromSet(want).Matches(labels.Set(d.Spec.Template.Labels)) {
		t.Errorf("got pod labels %v, want %v among them", d.Spec.Template.Labels, want)
	}
}

func TestPodIsRestricted(t *testing.T) {
	t.Parallel()
	for _, overlay := range []manifests.Overlay{manifests.SelfManaged, manifests.CertManager} {
		d := decode[appsv1.Deployment](t, render(t, manifests.Options{Overlay: overlay}), "Deployment", "mojasec-webhook")
		pod := d.Spec.Template.Spec
		if *d.Spec.Replicas != 2 || pod.HostNetwork || len(pod.InitContainers) > 0 || len(pod.Containers) != 1 {
			t.Errorf("%s: got replicas, hostNetwork or containers that are not those of a small server", overlay)
		}
		if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: got pod security context %v", overlay, s)
		}
		c := pod.Containers[0]
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !*s.RunAsNonRoot || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: got security context %v", overlay, s)
		}
		if c.ReadinessProbe == nil || c.LivenessProbe == nil || c.Resources.Limits.Memory().IsZero() || c.Lifecycle != nil {
			t.Errorf("%s: got a container without probes or memory limit, or with a hook", overlay)
		}
	}
}

// entry is what the two kinds of webhook have in common.
type entry struct {
	Name              string
	ClientConfig      admissionregistrationv1.WebhookClientConfig
	Rules             []admissionregistrationv1.RuleWithOperations
	FailurePolicy     *admissionregistrationv1.FailurePolicyType
	MatchPolicy       *admissionregistrationv1.MatchPolicyType
	NamespaceSelector *metav1.LabelSelector
	ObjectSelector    *metav1.LabelSelector
	SideEffects       *admissionregistrationv1.SideEffectClass
	TimeoutSeconds    *int32
	Reviews           []string
	Conditions        []admissionregistrationv1.MatchCondition
}

func (e entry) path() string  { return *e.ClientConfig.Service.Path }
func (e entry) short() string { return strings.TrimSuffix(e.Name, ".mojasec.io") }

// entries returns all entries: those that mutate, and those that validate.
func entries(t *testing.T) (mutating, validating []entry) {
	t.Helper()
	objects := render(t, manifests.Options{})
	m := decode[admissionregistrationv1.MutatingWebhookConfiguration](t, objects, "MutatingWebhookConfiguration", "00-mojasec.io")
	for _, w := range m.Webhooks {
		if w.ReinvocationPolicy == nil || *w.ReinvocationPolicy != admissionregistrationv1.IfNeededReinvocationPolicy {
			t.Errorf("%s: got reinvocationPolicy %v, want IfNeeded", w.Name, w.ReinvocationPolicy)
		}
		mutating = append(mutating, entry{
			w.Name, w.ClientConfig, w.Rules, w.FailurePolicy, w.MatchPolicy, w.NamespaceSelector, w.ObjectSelector,
			w.SideEffects, w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions,
		})
	}
	v := decode[admissionregistrationv1.ValidatingWebhookConfiguration](t, objects, "ValidatingWebhookConfiguration", "mojasec.io")
	for _, w := range v.Webhooks {
		validating = append(validating, entry{
			w.Name, w.ClientConfig, w.Rules, w.FailurePolicy, w.MatchPolicy, w.NamespaceSelector, w.ObjectSelector,
			w.SideEffects, w.TimeoutSeconds, w.AdmissionReviewVersions, w.MatchConditions,
		})
	}
	return mutating, validating
}

// What the API server would default is there: a GitOps tool sees no drift.
func TestHardCase25EverythingIsDefaulted(t *testing.T) {
	t.Parallel()
	mutating, validating := entries(t)
	for _, e := range slices.Concat(mutating, validating) {
		s := e.ClientConfig.Service
		switch {
		case s == nil || s.Port == nil || *s.Port != 443 || s.Path == nil || e.ClientConfig.URL != nil || e.ClientConfig.CABundle != nil:
			t.Errorf("%s: got clientConfig %v", e.Name, e.ClientConfig)
		case e.FailurePolicy == nil || e.MatchPolicy == nil || e.SideEffects == nil || e.NamespaceSelector == nil || e.ObjectSelector == nil:
			t.Errorf("%s: a field is left to the API server", e.Name)
		case *e.MatchPolicy != admissionregistrationv1.Equivalent:
			t.Errorf("%s: got matchPolicy %q, want Equivalent", e.Name, *e.MatchPolicy)
		case e.TimeoutSeconds == nil || *e.TimeoutSeconds != 5:
			t.Errorf("%s: got timeoutSeconds %v, want 5", e.Name, e.TimeoutSeconds)
		case !slices.Equal(e.Reviews, []string{"v1"}):
			t.Errorf("%s: got admissionReviewVersions %q, want v1", e.Name, e.Reviews)
		}
		for _, r := range e.Rules {
			if r.Scope == nil || len(r.Operations) == 0 || len(r.Resources) == 0 {
				t.Errorf("%s: rule %v leaves something to the API server", e.Name, r)
			}
		}
	}
}

// request is what selects entries.
type request struct {
	group, resource, operation string
	// name and labels of the namespace; no name for cluster-scoped objects.
	namespace string
	labels    map[string]string
}

// matches tells whether the rules and the selector of an entry match; match
// conditions are another test's.
func (e entry) matches(t *testing.T, r request) bool {
	t.Helper()
	scope := admissionregistrationv1.NamespacedScope
	if r.namespace == "" || r.resource == "namespaces" || strings.HasPrefix(r.resource, "namespaces/") {
		scope = admissionregistrationv1.ClusterScope
	}
	ok := slices.ContainsFunc(e.Rules, func(rule admissionregistrationv1.RuleWithOperations) bool {
		return slices.Contains(rule.APIGroups, r.group) && slices.Contains(rule.Resources, r.resource) &&
			slices.Contains(rule.Operations, admissionregistrationv1.OperationType(r.operation)) &&
			(*rule.Scope == admissionregistrationv1.AllScopes || *rule.Scope == scope)
	})
	if !ok || r.namespace == "" {
		return ok
	}
	set := labels.Set{"kubernetes.io/metadata.name": r.namespace}
	maps.Copy(set, r.labels)
	selector, err := metav1.LabelSelectorAsSelector(e.NamespaceSelector)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(set)
}

func TestWhatIsSentWhere(t *testing.T) {
	t.Parallel()
	mutating, validating := entries(t)
	enforce := map[string]string{"mojasec.io/mode": "enforce"}
	warn := map[string]string{"mojasec.io/mode": "warn"}
	audit := map[string]string{"mojasec.io/mode": "audit"}
	quarantine := map[string]string{"mojasec.io/quarantine": "q"}
	enforceQuarantine := map[string]string{"mojasec.io/mode": "enforce", "mojasec.io/quarantine": "q"}
	warnQuarantine := map[string]string{"mojasec.io/mode": "warn", "mojasec.io/quarantine": "q"}
	pod := func(op, ns string, l map[string]string) request { return request{"", "pods", op, ns, l} }
	tests := []struct {
		name             string
		request          request
		mutate, validate string // "entry path policy", one or more
	}{
		{"pod", pod("CREATE", "a", enforce), "pods /mutate Fail", "enforce /validate Fail"},
		{"pod, a mode that is none", pod("CREATE", "a", map[string]string{"mojasec.io/mode": "Enforced"}), "pods /mutate Fail", "enforce /validate Fail"},
		{"pod, no mode", pod("CREATE", "a", nil), "", ""},
		{"pod, warn", pod("CREATE", "a", warn), "", "warn /validate/warn Ignore"},
		{"pod, audit", pod("UPDATE", "a", audit), "", "warn /validate/warn Ignore"},
		{"pod, quarantine", pod("CREATE", "a", quarantine), "quarantine /mutate/quarantine Fail", "quarantine /validate Fail"},
		{"pod, enforce and quarantine: once", pod("CREATE", "a", enforceQuarantine), "pods /mutate Fail", "enforce /validate Fail"},
		{
			"pod, warn and quarantine", pod("CREATE", "a", warnQuarantine), "quarantine /mutate/quarantine Fail",
			"warn /validate/warn Ignore, quarantine /validate Fail",
		},
		{"pod deleted", pod("DELETE", "a", enforce), "", ""},
		{"ephemeral container", request{"", "pods/ephemeralcontainers", "UPDATE", "a", enforce}, "", "enforce /validate Fail"},
		{"resize", request{"", "pods/resize", "UPDATE", "a", enforce}, "", "enforce /validate Fail"},
		{"pod status", request{"", "pods/status", "UPDATE", "a", enforce}, "", "enforce-pod-status /validate Fail"},
		{"binding", request{"", "pods/binding", "CREATE", "a", enforce}, "", "enforce-binding /validate Fail"},
		{"binding, quarantine", request{"", "bindings", "CREATE", "a", quarantine}, "", "quarantine-binding /validate Fail"},
		{"pod status, quarantine", request{"", "pods/status", "UPDATE", "a", quarantine}, "", "quarantine-pod-status /validate Fail"},
		{"pod status, both: once", request{"", "pods/status", "UPDATE", "a", enforceQuarantine}, "", "enforce-pod-status /validate Fail"},
		{"pod status, warn", request{"", "pods/status", "UPDATE", "a", warn}, "", ""},
		{"deployment", request{"apps", "deployments", "CREATE", "a", enforce}, "", "enforce /validate Fail"},
		{"cron job", request{"batch", "cronjobs", "UPDATE", "a", enforce}, "", "enforce /validate Fail"},
		{"rollout", request{"argoproj.io", "rollouts", "UPDATE", "a", enforce}, "", "enforce /validate Fail"},
		{"secret deleted", request{"", "secrets", "DELETE", "a", enforce}, "", "enforce /validate Fail"},
		{"peer authentication deleted", request{"security.istio.io", "peerauthentications", "DELETE", "a", enforce}, "", "enforce /validate Fail"},
		{"network policy of Cilium", request{"cilium.io", "ciliumnetworkpolicies", "CREATE", "a", enforce}, "", "enforce /validate Fail"},
		{"network policy of the cluster", request{"policy.networking.k8s.io", "clusternetworkpolicies", "CREATE", "", nil}, "", "cluster-networks /validate Ignore"},
		{"autoscaler", request{"autoscaling", "horizontalpodautoscalers", "UPDATE", "a", enforce}, "", ""},
		{"autoscaler, quarantine", request{"autoscaling", "horizontalpodautoscalers", "UPDATE", "a", enforceQuarantine}, "", "quarantine-autoscalers /validate Fail"},
		{"profile", request{"mojasec.io", "profiles", "DELETE", "", nil}, "", "policies /validate Fail"},
		{"waiver", request{"mojasec.io", "waivers", "CREATE", "", nil}, "", "policies /validate Fail"},
		{"quarantine, once", request{"mojasec.io", "quarantines", "DELETE", "a", enforceQuarantine}, "", "policies /validate Fail"},
		{"status of a quarantine", request{"mojasec.io", "quarantines/status", "UPDATE", "a", nil}, "", "policies /validate Fail"},
		{"rotation, warn", request{"mojasec.io", "rotations", "CREATE", "a", warn}, "", "policies /validate Fail"},
		{"namespace", request{"", "namespaces", "UPDATE", "a", nil}, "", "namespaces /validate/namespaces Fail"},
		{"status of a namespace", request{"", "namespaces/status", "UPDATE", "a", enforce}, "", "namespaces /validate/namespaces Fail"},
		{"finalizers of a namespace", request{"", "namespaces/finalize", "UPDATE", "a", nil}, "", "namespaces /validate/namespaces Fail"},
		{"namespace deleted", request{"", "namespaces", "DELETE", "a", enforce}, "", "namespaces /validate/namespaces Fail"},
		{"exec", request{"", "pods/exec", "CONNECT", "a", enforce}, "", ""},
		{"exec, quarantine", request{"", "pods/exec", "CONNECT", "a", enforceQuarantine}, "", "connect /validate/connect Fail"},
		{"proxy to a service, quarantine", request{"", "services/proxy", "CONNECT", "a", quarantine}, "", "connect /validate/connect Fail"},
		{"mesh root: policy", request{"security.istio.io", "peerauthentications", "CREATE", "istio-system", nil}, "", "mesh-root /validate Ignore"},
		{"mesh root: policy, though labelled", request{"security.istio.io", "peerauthentications", "CREATE", "istio-system", enforceQuarantine}, "", "mesh-root /validate Ignore"},
		{"mesh root: config", request{"", "configmaps", "UPDATE", "istio-system", nil}, "", "mesh-config /validate Ignore"},
		{"TestHardCase1: a node", request{"", "nodes", "UPDATE", "", nil}, "", ""},
		{"TestHardCase1: a CSR", request{"certificates.k8s.io", "certificatesigningrequests", "CREATE", "", nil}, "", ""},
		{"TestHardCase1: a lease", request{"coordination.k8s.io", "leases", "UPDATE", "kube-node-lease", enforce}, "", ""},
	}
	// What must start again after everything was down, however it is labelled.
	for _, ns := range []string{"kube-system", "kube-public", "kube-node-lease", "mojasec-system", "istio-system"} {
		for _, r := range []request{
			{"", "pods", "CREATE", ns, enforceQuarantine},
			{"", "pods/status", "UPDATE", ns, enforceQuarantine},
			{"", "secrets", "UPDATE", ns, warnQuarantine},
			{"apps", "deployments", "UPDATE", ns, warn},
			{"", "pods/exec", "CONNECT", ns, quarantine},
		} {
			tests = append(tests, struct {
				name             string
				request          request
				mutate, validate string
			}{"TestHardCase1and2: " + r.operation + " " + r.resource + " in " + ns, r, "", ""})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hits := func(list []entry) string {
				var out []string
				for _, e := range list {
					if e.matches(t, tt.request) {
						out = append(out, fmt.Sprintf("%s %s %s", e.short(), e.path(), *e.FailurePolicy))
					}
				}
				return strings.Join(out, ", ")
			}
			if got := hits(mutating); got != tt.mutate {
				t.Errorf("mutate: got %q, want %q", got, tt.mutate)
			}
			if got := hits(validating); got != tt.validate {
				t.Errorf("validate: got %q, want %q", got, tt.validate)
			}
		})
	}
}

func TestMatchConditions(t *testing.T) {
	t.Parallel()
	_, validating := entries(t)
	programs := map[string]cel.Program{}
	for _, e := range validating {
		for _, c := range e.Conditions {
			programs[e.short()+"/"+c.Name] = compile(t, c.Expression)
		}
	}
	object := func(labels map[string]any, data map[string]any) any {
		meta := map[string]any{"name": "x"}
		if labels != nil {
			meta["labels"] = labels
		}
		out := map[string]any{"metadata": meta}
		if data != nil {
			out["data"] = data
		}
		return out
	}
	annotated := func(annotations map[string]any) any {
		return map[string]any{"metadata": map[string]any{"name": "x", "annotations": annotations}}
	}
	type m = map[string]any
	const ns, status, mesh = "namespaces/protection-changes", "enforce-pod-status/metadata-changes", "mesh-config/mesh-config"
	tests := []struct {
		name, condition   string
		operation         string
		object            string
		newObject, before any
		want              bool
	}{
		{"other label", ns, "UPDATE", "x", object(m{"a": "b"}, nil), object(m{"a": "c"}, nil), false},
		{"no labels", ns, "UPDATE", "x", object(nil, nil), object(nil, nil), false},
		{"mode set", ns, "UPDATE", "x", object(m{"mojasec.io/mode": "enforce"}, nil), object(nil, nil), false},
		{"mode kept", ns, "UPDATE", "x", object(m{"mojasec.io/mode": "warn", "a": "b"}, nil), object(m{"mojasec.io/mode": "warn"}, nil), false},
		{"mode lowered", ns, "UPDATE", "x", object(m{"mojasec.io/mode": "warn"}, nil), object(m{"mojasec.io/mode": "enforce"}, nil), true},
		{"mode removed", ns, "UPDATE", "x", object(m{"a": "b"}, nil), object(m{"mojasec.io/mode": "enforce"}, nil), true},
		{"all labels removed", ns, "UPDATE", "x", object(nil, nil), object(m{"mojasec.io/mode": "enforce"}, nil), true},
		{"empty quarantine removed", ns, "UPDATE", "x", object(nil, nil), object(m{"mojasec.io/quarantine": ""}, nil), true},
		{"quarantine removed", ns, "UPDATE", "x", object(m{"mojasec.io/mode": "enforce"}, nil), object(m{"mojasec.io/mode": "enforce", "mojasec.io/quarantine": "q"}, nil), true},
		{"deleted, protected", ns, "DELETE", "x", nil, object(m{"mojasec.io/mode": "audit"}, nil), true},
		{"deleted, not protected", ns, "DELETE", "x", nil, object(m{"a": "b"}, nil), false},
		{"deleted, no labels", ns, "DELETE", "x", nil, object(nil, nil), false},

		{"status only", status, "UPDATE", "x", object(m{"a": "b"}, nil), object(m{"a": "b"}, nil), false},
		{"status without metadata maps", status, "UPDATE", "x", object(nil, nil), object(nil, nil), false},
		{"label removed", status, "UPDATE", "x", object(nil, nil), object(m{"a": "b"}, nil), true},
		{"label changed", status, "UPDATE", "x", object(m{"a": "c"}, nil), object(m{"a": "b"}, nil), true},
		{"annotation added", status, "UPDATE", "x", annotated(m{"a": "b"}), object(nil, nil), true},

		{"mesh config", mesh, "UPDATE", "istio", object(nil, m{"mesh": ""}), object(nil, m{"mesh": ""}), true},
		{"mesh config deleted", mesh, "DELETE", "istio", nil, object(nil, m{"mesh": ""}), true},
		{"mesh config of a revision", mesh, "CREATE", "istio-canary", object(nil, m{"mesh": ""}), nil, true},
		{"mesh config of a revision emptied", mesh, "UPDATE", "istio-canary", object(nil, m{"x": ""}), object(nil, m{"mesh": ""}), true},
		{"mesh config of a revision deleted", mesh, "DELETE", "istio-canary", nil, object(nil, m{"mesh": ""}), true},
		{"lock of istiod", mesh, "UPDATE", "istio-leader", object(nil, nil), object(nil, nil), false},
		{"CA of istiod", mesh, "UPDATE", "istio-ca-root-cert", object(nil, m{"root-cert.pem": ""}), object(nil, m{"root-cert.pem": ""}), false},
		{"other", mesh, "UPDATE", "mesh", object(nil, m{"mesh": ""}), object(nil, m{"mesh": ""}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program := programs[tt.condition]
			if program == nil {
				t.Fatalf("there is no condition %q", tt.condition)
			}
			got, _, err := program.Eval(map[string]any{
				"object": tt.newObject, "oldObject": tt.before,
				"request": map[string]any{"operation": tt.operation, "name": tt.object},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Value() != tt.want {
				t.Errorf("got %v, want %t", got.Value(), tt.want)
			}
		})
	}
}

// compile makes what an API server makes of a match condition, as far as ours
// use it.
func compile(t *testing.T, expression string) cel.Program {
	t.Helper()
	env, err := cel.NewEnv(cel.OptionalTypes(),
		cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType),
		cel.Variable("request", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", expression, issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	return program
}
