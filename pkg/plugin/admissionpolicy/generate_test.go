package admissionpolicy_test

import (
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/plugin/admissionpolicy"
	"github.com/mojasec/mojasec/pkg/policy"
	expect "github.com/mojasec/mojasec/test/admissionpolicies"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestGenerate has a policy for each check that is marked pod-local, and the
// texts of the check in it.
func TestGenerate(t *testing.T) {
	t.Parallel()
	objs, err := admissionpolicy.Generate(admissionpolicy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]*admissionregistrationv1.ValidatingAdmissionPolicy{}
	for _, obj := range objs {
		m := obj.(metav1.Object)
		if errs := validation.IsDNS1123Subdomain(m.GetName()); len(errs) > 0 {
			t.Errorf("name %q: %v", m.GetName(), errs)
		}
		if p, ok := obj.(*admissionregistrationv1.ValidatingAdmissionPolicy); ok {
			policies[p.Name] = p
		}
	}
	local := 0
	for _, c := range policy.Checks() {
		if !c.PodLocal {
			continue
		}
		local++
		p := policies[string(c.ID)+".mojasec.io"]
		if p == nil {
			t.Errorf("%s has no policy", c.ID)
			continue
		}
		message := p.Spec.Validations[0].Message
		for _, want := range []string{string(c.ID), c.Title, c.Fix} {
			if !strings.Contains(message, want) || strings.Contains(message, "\n") {
				t.Errorf("%s: got message %q, want %q in it, on one line", c.ID, message, want)
			}
		}
	}
	if len(policies) != local || local == 0 {
		t.Errorf("got %d policies, want %d", len(policies), local)
	}
}

// TestActions binds by the mode of the namespace, of the check and of the
// command line: the weakest counts.
func TestActions(t *testing.T) {
	t.Parallel()
	deny, warn, audit := admissionregistrationv1.Deny, admissionregistrationv1.Warn, admissionregistrationv1.Audit
	lowered := v1alpha1.DefaultProfile()
	lowered.Spec.Checks = []v1alpha1.CheckMode{{ID: "ilp-secret-set", Mode: v1alpha1.ModeWarn}}
	type action = admissionregistrationv1.ValidationAction
	tests := []struct {
		name    string
		options admissionpolicy.Options
		labels  map[string]string
		want    action
	}{
		{"enforce", admissionpolicy.Options{}, map[string]string{"mojasec.io/mode": "enforce"}, deny},
		{"misspelt counts as enforce", admissionpolicy.Options{}, map[string]string{"mojasec.io/mode": "enforced"}, deny},
		{"warn", admissionpolicy.Options{}, map[string]string{"mojasec.io/mode": "warn"}, warn},
		{"audit", admissionpolicy.Options{}, map[string]string{"mojasec.io/mode": "audit"}, audit},
		{"no label", admissionpolicy.Options{}, map[string]string{"app": "x"}, ""},
		{"check lowered", admissionpolicy.Options{Profile: lowered}, map[string]string{"mojasec.io/mode": "enforce"}, warn},
		{"check lowered, in an audit namespace", admissionpolicy.Options{Profile: lowered}, map[string]string{"mojasec.io/mode": "audit"}, audit},
		{"limit", admissionpolicy.Options{Limit: policy.ModeWarn}, map[string]string{"mojasec.io/mode": "enforce"}, warn},
		{"lower limit", admissionpolicy.Options{Limit: policy.ModeAudit, Profile: lowered}, map[string]string{"mojasec.io/mode": "enforce"}, audit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			objs, err := admissionpolicy.Generate(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			var got []action
			for _, obj := range objs {
				b, ok := obj.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding)
				if !ok || b.Spec.PolicyName != "ilp-secret-set.mojasec.io" {
					continue
				}
				selector, err := metav1.LabelSelectorAsSelector(b.Spec.MatchResources.NamespaceSelector)
				if err != nil {
					t.Fatal(err)
				}
				if selector.Matches(labels.Set(tt.labels)) {
					got = append(got, b.Spec.ValidationActions...)
				}
			}
			want := []action{tt.want}
			if tt.want == "" {
				want = nil
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestWithoutMesh leaves out what does not apply.
func TestWithoutMesh(t *testing.T) {
	t.Parallel()
	p := v1alpha1.DefaultProfile()
	p.Spec.Mesh = v1alpha1.MeshNone
	objs, err := admissionpolicy.Generate(admissionpolicy.Options{Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objs {
		if name := obj.(metav1.Object).GetName(); strings.HasPrefix(name, "mtls-") {
			t.Errorf("there is %s in a cluster without a mesh", name)
		}
	}
}

// TestNewestEnvironment compiles in the environment of the newest API server
// too; all other tests use that of the oldest.
func TestNewestEnvironment(t *testing.T) {
	t.Parallel()
	newServer(t, admissionpolicy.Options{}, environment.DefaultCompatibilityVersion())
}

// TestHiddenReferences refuses what CEL cannot follow, where the pod could hide
// a bad value, and only there.
func TestHiddenReferences(t *testing.T) {
	t.Parallel()
	fromSecret := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}
	optional := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k", Optional: new(true)}}
	const sign, secret = "JWS_SIGN", "ILP_SECRET"
	tests := []struct {
		name  string
		env   []corev1.EnvVar
		check policy.ID
		bad   bool
	}{
		{"empty and text", []corev1.EnvVar{{Name: "A"}, {Name: sign, Value: "$(A)false"}}, "jws-signing-enabled", true},
		{"two halves", []corev1.EnvVar{{Name: "A", Value: "fal"}, {Name: "B", Value: "se"}, {Name: sign, Value: "$(A)$(B)"}}, "jws-signing-enabled", true},
		{"two steps", []corev1.EnvVar{{Name: "A", Value: "false"}, {Name: "B", Value: "$(A)"}, {Name: sign, Value: "$(B)"}}, "jws-signing-enabled", true},
		{"defined twice", []corev1.EnvVar{{Name: "A", Value: "false"}, {Name: sign, Value: "$(A)"}, {Name: "A", Value: "true"}}, "jws-signing-enabled", true},
		{"optional reference after a literal", []corev1.EnvVar{{Name: sign, Value: "false"}, {Name: sign, ValueFrom: optional}}, "jws-signing-enabled", true},
		{"reference after a literal", []corev1.EnvVar{{Name: sign, Value: "false"}, {Name: sign, ValueFrom: fromSecret}}, "jws-signing-enabled", false},
		{"one step", []corev1.EnvVar{{Name: "A", Value: "true"}, {Name: sign, Value: "$(A)"}}, "jws-signing-enabled", false},
		{"escaped", []corev1.EnvVar{{Name: "A", Value: "x"}, {Name: sign, Value: "$$(A)x"}}, "jws-signing-enabled", false},
		{"unknown name", []corev1.EnvVar{{Name: "A", Value: "x"}, {Name: sign, Value: "$(B)x"}}, "jws-signing-enabled", false},
		{"published in two halves", []corev1.EnvVar{{Name: "A", Value: "mojaloop"}, {Name: secret, Value: "$(A)-sdk"}}, "ilp-secret-not-default", true},
		{"published in one step", []corev1.EnvVar{{Name: "A", Value: "mojaloop-sdk"}, {Name: secret, Value: "$(A)"}}, "ilp-secret-not-default", true},
		{"text around a Secret", []corev1.EnvVar{{Name: "A", ValueFrom: fromSecret}, {Name: secret, Value: "x$(A)"}}, "ilp-secret-not-default", false},
		{"empty in one step", []corev1.EnvVar{{Name: "A"}, {Name: secret, Value: "$(A)"}}, "ilp-secret-set", true},
	}
	s := newServer(t, admissionpolicy.Options{}, oldest)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := fixtures.NewScheme().SDK1
			c := fixtures.Container(d)
			fixtures.SetEnv(d, sign, "")
			if tt.check != "jws-signing-enabled" {
				fixtures.SetEnv(d, secret, "")
			}
			c.Env = append(c.Env, tt.env...)
			got := s.ask(t.Context(), t, request{object: d, namespace: fixtures.NewScheme().Namespace})
			if message, bad := got[tt.check]; bad != tt.bad {
				t.Errorf("got refused: %t (%s), want %t", bad, message, tt.bad)
			}
		})
	}
}

// TestUpdates judges an update that changes what is judged, and lets those pass
// that leave an old violator as it is (TestHardCase13 of the webhook).
func TestUpdates(t *testing.T) {
	t.Parallel()
	s := newServer(t, admissionpolicy.Options{}, oldest)
	pod := func(tweak func(*corev1.Pod)) *corev1.Pod {
		d := fixtures.NewScheme().SDK1
		fixtures.SetEnv(d, "JWS_SIGN", "false")
		p := &corev1.Pod{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, Spec: d.Spec.Template.Spec,
			ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: fixtures.Namespace, Labels: d.Spec.Template.Labels, Annotations: map[string]string{}, Finalizers: []string{"x/y"}},
		}
		tweak(p)
		return p
	}
	tests := []struct {
		name string
		to   func(*corev1.Pod)
		bad  bool
	}{
		{"finalizer removed", func(p *corev1.Pod) { p.Finalizers = nil }, false},
		{"labelled", func(p *corev1.Pod) { p.Labels["x"] = "y" }, false},
		{"unmasked by a label", func(p *corev1.Pod) { delete(p.Labels, "component") }, false},
		{"status", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false},
		{"toleration", func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Key: "x"}} }, false},
		{"image", func(p *corev1.Pod) { p.Spec.Containers[0].Image += "1" }, true},
		{"ephemeral container", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "busybox"}}}
		}, true},
		{"out of ambient", func(p *corev1.Pod) { p.Labels["istio.io/dataplane-mode"] = "none" }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			old := pod(func(*corev1.Pod) {})
			got := s.ask(t.Context(), t, request{object: pod(tt.to), old: old, namespace: fixtures.NewScheme().Namespace})
			if message, bad := got["jws-signing-enabled"]; bad != tt.bad {
				t.Errorf("got refused: %t (%s), want %t", bad, message, tt.bad)
			}
		})
	}
	t.Run("scaled", func(t *testing.T) {
		t.Parallel()
		old := fixtures.NewScheme().SDK1
		fixtures.SetEnv(old, "JWS_SIGN", "false")
		scaled, changed := old.DeepCopy(), old.DeepCopy()
		scaled.Spec.Replicas = new(int32(5))
		fixtures.Annotate(changed, "x", "y")
		if got := s.ask(t.Context(), t, request{object: scaled, old: old, namespace: fixtures.NewScheme().Namespace}); len(got) > 0 {
			t.Errorf("an old violator cannot be scaled: %v", got)
		}
		if got := s.ask(t.Context(), t, request{object: changed, old: old, namespace: fixtures.NewScheme().Namespace}); got["jws-signing-enabled"] == "" {
			t.Error("an old violator can be changed")
		}
	})
}

// TestProxyConfig holds the expression for the annotation proxy.istio.io/config
// against the engine: it may refuse what it cannot read, and nothing else.
func TestProxyConfig(t *testing.T) {
	t.Parallel()
	s := newServer(t, admissionpolicy.Options{}, oldest)
	tests := []struct {
		text   string
		unread bool // harmless, but refused
	}{
		{text: ""},
		{text: "\n"},
		{text: "{}"},
		{text: "concurrency: 2"},
		{text: "# a comment\nconcurrency: 2\n\nholdApplicationUntilProxyStarts: true\n"},
		{text: "concurrency: 2\nproxyMetadata:\n  ISTIO_META_DNS_CAPTURE: \"true\"\n"},
		{text: "tracing:\n  sampling: 10\n"},
		{text: "tracing: {sampling: 10}\nterminationDrainDuration: 5s\n"},
		{text: `{"concurrency": 2, "holdApplicationUntilProxyStarts": true}`},
		{text: `{ "terminationDrainDuration":"30s" }`},
		{text: "interceptionMode: TPROXY\n"},
		{text: "interceptionMode: NONE\n"},
		{text: "concurrency: 2\ninterceptionMode: NONE\n"},
		{text: `{"interceptionMode":"NONE"}`},
		{text: "discoveryAddress: x:15012"},
		{text: "\"discovery\\u0041ddress\": x"},
		{text: "? discoveryAddress\n: x\n"},
		{text: "tracing:\n  a: b\n\rdiscoveryAddress: x\n"},
		{text: "tracing:\n  a: b\u0085discoveryAddress: x\n"},
		{text: "tracing:\n  a: b\u2028discoveryAddress: x\n"},
		{text: "concurrency: 2\n---\ndiscoveryAddress: x\n", unread: true},
		{text: "proxyMetadata: {CA_ADDR: x}\n"},
		{text: "proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: 'true'\n  CA_ADDR: x\n"},
		{text: "proxyMetadata:\n  ISTIO_META_DNS_CAPTURE: 'true'\ndiscoveryAddress: x\n"},
		{text: "tracing: &a {discoveryAddress: x}\n<<: *a\n"},
		{text: " discoveryAddress: x\n"},
		{text: "{concurrency: 2, discoveryAddress: x}"},
		{text: "concurrency: 2, discoveryAddress: x\n"},
		{text: "concurrency: \"2\ndiscoveryAddress: x\"\n", unread: true},
		{text: "{concurrency: 2}", unread: true},
		{text: "tracing:\n  zipkin:\n    address: zipkin.istio-system:9411\n", unread: true},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			scheme := fixtures.NewScheme()
			d := scheme.SDK1
			fixtures.Annotate(d, "proxy.istio.io/config", tt.text)
			engine := expect.Judge(scheme.Inputs(), policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("k")})[d]["mtls-no-bypass"]
			got := s.ask(t.Context(), t, request{object: d, namespace: scheme.Namespace})
			_, refused := got["mtls-no-bypass"]
			if want := engine == expect.Failed || tt.unread; refused != want || engine == expect.Failed && tt.unread {
				t.Errorf("the engine says %s; got refused: %t, want %t", engine, refused, want)
			}
		})
	}
}

// TestBigPods stays within the limits of cost that the API server sets, for
// pods that are far larger than any real one.
func TestBigPods(t *testing.T) {
	t.Parallel()
	scheme := fixtures.NewScheme()
	s := newServer(t, admissionpolicy.Options{}, oldest)
	d := scheme.SDK1
	for i := range 100 {
		c := *fixtures.Container(d).DeepCopy()
		c.Name = fmt.Sprintf("c%d", i)
		for j := range 50 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("E%d", j), Value: strings.Repeat("v", 100)})
		}
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, c)
	}
	fixtures.Annotate(d, "example.org/big", strings.Repeat("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 4000))
	if got := s.ask(t.Context(), t, request{object: d, namespace: scheme.Namespace}); len(got) > 0 {
		t.Errorf("a big pod is refused: %v", got)
	}
}

// BenchmarkPolicies is what all policies together cost the API server for one
// Deployment.
func BenchmarkPolicies(b *testing.B) {
	scheme := fixtures.NewScheme()
	s := newServer(b, admissionpolicy.Options{}, oldest)
	for b.Loop() {
		if got := s.ask(b.Context(), b, request{object: scheme.SDK1, namespace: scheme.Namespace}); len(got) > 0 {
			b.Fatal(got)
		}
	}
}
