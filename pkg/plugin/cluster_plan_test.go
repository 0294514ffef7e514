package plugin

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// fromYAML reads an object from YAML.
func fromYAML(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, metadata, tool string
	}{
		{"people", `{name: x, labels: {app.kubernetes.io/managed-by: Helm}}`, ""},
		{"helm", `{name: x, annotations: {meta.helm.sh/release-name: hub}}`, "Helm"},
		{"argo by annotation", `{name: x, annotations: {argocd.argoproj.io/tracking-id: "hub:/Namespace:/x"}}`, "Argo CD"},
		{"argo by label", `{name: x, labels: {argocd.argoproj.io/instance: hub}}`, "Argo CD"},
		{"argo by what it wrote", `{name: x, managedFields: [{manager: argocd-controller, operation: Apply}]}`, "Argo CD"},
		{"flux kustomization", `{name: x, labels: {kustomize.toolkit.fluxcd.io/name: hub}}`, "Flux"},
		{"flux helm release", `{name: x, labels: {helm.toolkit.fluxcd.io/name: hub}}`, "Flux"},
		{"cert-manager", `{name: x, annotations: {cert-manager.io/certificate-name: tls}}`, "cert-manager"},
		{"external secrets", `{name: x, labels: {reconcile.external-secrets.io/managed: "true"}}`, "External Secrets"},
		{"us", `{name: x, managedFields: [{manager: kubectl-mojasec, operation: Apply}, {manager: kubectl-client-side-apply, operation: Update}]}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if owner := ownerOf(fromYAML(t, "{apiVersion: v1, kind: Namespace, metadata: "+tt.metadata+"}")); owner != nil {
				got = owner.tool
				if err := owner.refuse("namespace/x", "change it there"); CodeOf(err) != Refused || !strings.Contains(err.Error(), "change it there") {
					t.Errorf("got %v with code %d, want a refusal that says what to do", err, CodeOf(err))
				}
			}
			if got != tt.tool {
				t.Errorf("got %q, want %q", got, tt.tool)
			}
		})
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, got, want string
		ok              bool
	}{
		{"equal", `{a: 1, b: [x]}`, `{a: 1, b: [x]}`, true},
		{"more than asked", `{a: 1, b: {c: x, d: y}}`, `{b: {c: x}}`, true},
		{"less than asked", `{a: 1}`, `{a: 1, b: x}`, false},
		{"another value", `{a: {b: x}}`, `{a: {b: y}}`, false},
		{"longer list", `{a: [x, y]}`, `{a: [x]}`, false},
		{"other order", `{a: [x, y]}`, `{a: [y, x]}`, false},
		{"empty is absent", `{}`, `{a: {}, b: []}`, true},
		{"a map is no list", `{a: [x]}`, `{a: {b: x}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got, want any
			if err := errors.Join(yaml.Unmarshal([]byte(tt.got), &got), yaml.Unmarshal([]byte(tt.want), &want)); err != nil {
				t.Fatal(err)
			}
			if ok := contains(got, want); ok != tt.ok {
				t.Errorf("got %v, want %v", ok, tt.ok)
			}
		})
	}
}

func TestActionOf(t *testing.T) {
	t.Parallel()
	live := fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: x, resourceVersion: "1", generation: 1}, spec: {type: ClusterIP}}`)
	same := fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: x, resourceVersion: "2", managedFields: [{manager: y}]}, spec: {type: ClusterIP}}`)
	other := fromYAML(t, `{apiVersion: v1, kind: Service, metadata: {name: x, resourceVersion: "1", generation: 1}, spec: {type: NodePort}}`)
	tests := []struct {
		name          string
		live, applied *unstructured.Unstructured
		want          action
	}{
		{"absent", nil, same, created},
		{"only bookkeeping", live, same, unchanged},
		{"a field", live, other, configured},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := actionOf(tt.live, tt.applied); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	secrets := schema.GroupResource{Resource: "secrets"}
	tests := []struct {
		name, message, want string
	}{
		{
			"in a namespace", `User "eve" cannot list resource "secrets" in API group "" in the namespace "mojaloop"`,
			`read: eve may not list secrets in mojaloop; ask for a role with {apiGroups: [""], resources: ["secrets"], verbs: [list]}`,
		},
		{
			"in the cluster", `User "eve" cannot get resource "profiles" in API group "mojasec.io" at the cluster scope`,
			`read: eve may not get profiles; ask for a role with {apiGroups: ["mojasec.io"], resources: ["profiles"], verbs: [get]}`,
		},
		{"by admission", `admission webhook "enforce.mojasec.io" denied the request: no`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := (&cluster{}).explain(apierrors.NewForbidden(secrets, "x", errors.New(tt.message)))
			if got, want := isForbidden(err), tt.want != ""; got != want {
				t.Fatalf("got %v for forbidden, want %v", got, want)
			}
			if got := "read: " + err.Error(); tt.want != "" && got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	status := &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Reason: metav1.StatusReasonConflict, Code: 409,
		Details: &metav1.StatusDetails{Kind: "deployments", Name: "x", Causes: []metav1.StatusCause{{
			Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.replicas", Message: `conflict with "kubectl"`,
		}}},
	}}
	obj := newObject(kindOf("apps", kindDeployment), "mojaloop", "x")
	err := conflict(obj, status)
	if CodeOf(err) != Refused || !strings.Contains(err.Error(), "deployment.apps/x in mojaloop: somebody else set .spec.replicas") || !strings.Contains(err.Error(), "--force-conflicts") {
		t.Errorf("got code %d and %q, want a refusal that names the field and the flag", CodeOf(err), err)
	}
	plain := errors.New("no conflict")
	if got := conflict(obj, plain); !errors.Is(got, plain) || CodeOf(got) != Failed {
		t.Errorf("got %v, want the error as it was", got)
	}
}

func TestRollout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, object string
		ok, failed   bool
	}{
		{"not seen", `{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, updatedReplicas: 1, availableReplicas: 1, replicas: 1}}`, false, false},
		{"done", `{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 2}}`, true, false},
		{"one by default", `{kind: Deployment, metadata: {generation: 1}, status: {observedGeneration: 1}}`, false, false},
		{"an old pod is left", `{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 3}}`, false, false},
		{"not available", `{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, updatedReplicas: 2, availableReplicas: 1, replicas: 2}}`, false, false},
		{"given up", `{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}`, false, true},
		{"scaled to nothing", `{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 0}, status: {observedGeneration: 2}}`, true, false},
		{"stateful, half", `{kind: StatefulSet, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, updatedReplicas: 1, availableReplicas: 2, replicas: 2, currentRevision: a, updateRevision: b}}`, false, false},
		{"stateful, done", `{kind: StatefulSet, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, availableReplicas: 2, replicas: 2, currentRevision: b, updateRevision: b}}`, true, false},
		{"daemons, half", `{kind: DaemonSet, metadata: {generation: 2}, status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 2, numberAvailable: 3}}`, false, false},
		{"daemons, done", `{kind: DaemonSet, metadata: {generation: 2}, status: {observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}}`, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok, state, failed := rollout(fromYAML(t, strings.Replace(tt.object, "{kind", "{apiVersion: apps/v1, kind", 1)))
			if ok != tt.ok || failed != tt.failed {
				t.Errorf("got %v, failed %v, want %v, failed %v", ok, failed, tt.ok, tt.failed)
			}
			if !ok && state == "" {
				t.Error("got no state to show")
			}
		})
	}
}

// TestRender builds each way to install: every kind is known to this program,
// and the order is one in which the objects can be applied.
func TestRender(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    manifestOptions
	}{
		{"self-managed", manifestOptions{}},
		{"cert-manager", manifestOptions{CertManager: true}},
		{"url", manifestOptions{URL: "https://127.0.0.1:9443"}},
		{"all else", manifestOptions{Image: "example.org/x@sha256:" + strings.Repeat("0", 64), Version: "v1.2.3", Replicas: 3, MeshRoot: "mesh"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			objs, err := tt.o.render()
			if err != nil {
				t.Fatal(err)
			}
			configurations := 0
			seen := map[string]bool{}
			for i, obj := range objs {
				if _, ok := resources[obj.GroupVersionKind().GroupKind()]; !ok {
					t.Errorf("%s: the kind is not in the table of resources", nameOfObject(obj))
				}
				if got, want := resources[obj.GroupVersionKind().GroupKind()].namespaced, obj.GetNamespace() != ""; got != want {
					t.Errorf("%s: got namespaced %v, want %v", nameOfObject(obj), got, want)
				}
				if ns := obj.GetNamespace(); ns == systemNamespace && !seen[nameOf(kindOf("", kindNamespace), "", ns)] {
					t.Errorf("%s comes before its namespace", nameOfObject(obj))
				}
				seen[nameOfObject(obj)] = true
				if isWebhookConfiguration(obj.GetKind()) {
					configurations++
					if i < len(objs)-2 {
						t.Errorf("%s is not among the last: it would block the cluster", nameOfObject(obj))
					}
				}
			}
			if configurations != 2 {
				t.Errorf("got %d webhook configurations, want 2", configurations)
			}
		})
	}
}

func TestRemember(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		said     manifestOptions
		recorded string
		want     manifestOptions
	}{
		{"nothing said", manifestOptions{}, "--url=https://127.0.0.1:1 --mesh-root=mesh --replicas=3", manifestOptions{URL: "https://127.0.0.1:1", MeshRoot: "mesh", Replicas: 3}},
		{"said again", manifestOptions{Replicas: 5}, "--cert-manager --replicas=3", manifestOptions{CertManager: true, Replicas: 5}},
		{"from one kind of certificates to another", manifestOptions{URL: "https://a:1"}, "--cert-manager", manifestOptions{URL: "https://a:1"}},
		{"and back", manifestOptions{CertManager: true}, "--url=https://a:1", manifestOptions{CertManager: true}},
		{"of a later version", manifestOptions{}, "--shiny --replicas=x", manifestOptions{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.said
			got.remember(tt.recorded)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again := manifestOptions{}
			again.remember(got.flags())
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("its own flags (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNextMode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		have, want, got string
		code            Code
	}{
		{"", "", "warn", Good},
		{"", "enforce", "enforce", Good},
		{"audit", "", "audit", Good},
		{"audit", "warn", "warn", Good},
		{"warn", "enforce", "enforce", Good},
		{"enforce", "enforce", "enforce", Good},
		{"enforce", "", "enforce", Good},
		{"enforce", "warn", "", Refused},
		{"warn", "audit", "", Refused},
		{"enfroce", "", "", Refused},
		{"enfroce", "audit", "audit", Good},
	}
	for _, tt := range tests {
		t.Run(tt.have+" to "+tt.want, func(t *testing.T) {
			t.Parallel()
			ns := newObject(kindOf("", kindNamespace), "", "mojaloop")
			if tt.have != "" {
				ns = labelFor("mojaloop", tt.have)
			}
			got, err := nextMode("mojaloop", ns, tt.want)
			if got != tt.got || CodeOf(err) != tt.code {
				t.Errorf("got %q with code %d, want %q with %d", got, CodeOf(err), tt.got, tt.code)
			}
		})
	}
	if _, err := nextMode("nowhere", nil, ""); CodeOf(err) != Refused || !strings.Contains(err.Error(), "kubectl create namespace nowhere") {
		t.Errorf("without a namespace: got %v, want a refusal with the command to type", err)
	}
}

func TestPlanUninstall(t *testing.T) {
	t.Parallel()
	have := func(t *testing.T) *installation {
		objs, err := (&manifestOptions{}).render()
		if err != nil {
			t.Fatal(err)
		}
		return &installation{
			objects:  objs,
			bindings: []unstructured.Unstructured{*bindingFor("mojaloop")},
			labelled: []unstructured.Unstructured{*labelFor("mojaloop", "enforce")},
		}
	}
	quarantine := func(t *testing.T, phase string) unstructured.Unstructured {
		return *fromYAML(t, `{apiVersion: mojasec.io/v1alpha1, kind: Quarantine, metadata: {name: q, namespace: mojasec-system}, spec: {dfsp: perffsp-1}, status: {phase: `+phase+`}}`)
	}

	t.Run("configurations first, namespace last", func(t *testing.T) {
		t.Parallel()
		steps, err := (&UninstallOptions{CRDs: true, Labels: true}).plan(have(t))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range steps {
			if got, want := isWebhookConfiguration(s.object.GetKind()), i < 2; got != want {
				t.Errorf("step %d, %s: got a configuration %v, want %v", i, nameOfObject(s.object), got, want)
			}
		}
		if last := steps[len(steps)-1].object; last.GetKind() != kindNamespace || last.GetName() != systemNamespace {
			t.Errorf("got %s last, want the namespace", nameOfObject(last))
		}
	})
	t.Run("what stays", func(t *testing.T) {
		t.Parallel()
		steps, err := (&UninstallOptions{}).plan(have(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.object.GetKind() == kindCRD || s.action == unlabelled {
				t.Errorf("got %s %s, want it to stay", nameOfObject(s.object), s.action)
			}
		}
	})
	t.Run("quarantine in force", func(t *testing.T) {
		t.Parallel()
		h := have(t)
		h.custom = []unstructured.Unstructured{quarantine(t, "Standing")}
		if _, err := (&UninstallOptions{}).plan(h); CodeOf(err) != Refused || !strings.Contains(err.Error(), "perffsp-1") {
			t.Errorf("got %v, want a refusal that names the DFSP", err)
		}
		if _, err := (&UninstallOptions{IgnoreQuarantines: true}).plan(h); err != nil {
			t.Errorf("ignored: got %v", err)
		}
	})
	t.Run("objects in the namespace keep it", func(t *testing.T) {
		t.Parallel()
		h := have(t)
		h.custom = []unstructured.Unstructured{quarantine(t, "Released")}
		steps, err := (&UninstallOptions{}).plan(h)
		if err != nil {
			t.Fatal(err)
		}
		if last := steps[len(steps)-1].object; last.GetKind() == kindNamespace {
			t.Errorf("got %s deleted, want it kept with the Quarantine in it", nameOfObject(last))
		}
	})
	t.Run("owned by Helm", func(t *testing.T) {
		t.Parallel()
		h := have(t)
		h.objects[5].SetAnnotations(map[string]string{"meta.helm.sh/release-name": "mojasec"})
		if _, err := (&UninstallOptions{}).plan(h); CodeOf(err) != Refused {
			t.Errorf("got %v, want a refusal", err)
		}
	})
}

func TestWithBundles(t *testing.T) {
	t.Parallel()
	objs, err := (&manifestOptions{}).render()
	if err != nil {
		t.Fatal(err)
	}
	last := objs[len(objs)-1]
	var first string
	for name := range bundlesOf(last) {
		first = max(first, name)
	}
	got := bundlesOf(withBundles(last, map[string]string{first: "bGl2ZQ=="}, "bmV3"))
	for name, bundle := range got {
		want := "bmV3"
		if name == first {
			want = "bGl2ZQ=="
		}
		if bundle != want {
			t.Errorf("%s: got bundle %q, want %q", name, bundle, want)
		}
	}
	for name, bundle := range bundlesOf(withBundles(last, nil, "")) {
		if bundle != "" {
			t.Errorf("%s: got bundle %q, want none", name, bundle)
		}
	}
}
