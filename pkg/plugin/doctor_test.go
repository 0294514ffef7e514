package plugin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

var doctorNow = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// servingPair makes a CA bundle, in base64, and a leaf that it signed.
func servingPair(t *testing.T, until time.Time) (bundle string, leaf *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(c, parent *x509.Certificate) *x509.Certificate {
		raw, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	from := doctorNow.AddDate(-1, 0, 0)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: from, NotAfter: doctorNow.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca = sign(ca, ca)
	leaf = sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until,
		DNSNames: []string{"mojasec-webhook.mojasec-system.svc"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	return base64.StdEncoding.EncodeToString(text), leaf
}

// manifestsOnce renders the manifests. Nobody changes them.
var manifestsOnce = sync.OnceValues((&manifestOptions{Version: "v1.4.0"}).render)

// healthy is what doctor sees where all is well.
func healthy(t *testing.T) *observation {
	t.Helper()
	bundle, leaf := servingPair(t, doctorNow.AddDate(0, 2, 0))
	seen := &observation{
		now: doctorNow, plugin: "v1.4.0", live: map[string]*unstructured.Unstructured{}, unread: map[string]error{},
		serving: known[*certificates]{value: &certificates{leaf: leaf, bundle: bundle}},
	}
	seen.version.value = &version.Info{Major: "1", Minor: "37", GitVersion: "v1.37.2"}
	seen.endpoints.value = 2
	seen.probe.value = answer{called: true, answered: true}
	want, err := manifestsOnce()
	if err != nil {
		t.Fatal(err)
	}
	seen.want = want
	for _, want := range seen.want {
		obj := want.DeepCopy()
		if isWebhookConfiguration(obj.GetKind()) {
			obj = withBundles(obj, nil, bundle)
		}
		if obj.GetKind() == kindCRD {
			obj.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}
		}
		seen.live[nameOfObject(obj)] = obj
	}
	for _, name := range []string{"default", "istio-system", systemNamespace} {
		seen.namespaces.value = append(seen.namespaces.value, *newObject(kindOf("", kindNamespace), "", name))
	}
	seen.namespaces.value = append(seen.namespaces.value, *labelFor("mojaloop", "enforce"))
	seen.bindings.value = []unstructured.Unstructured{*bindingFor("mojaloop")}
	seen.mojaloop.value = map[string]string{"mojaloop": "Deployment perffsp-1-sdk"}
	return seen
}

func forbiddenTo(verb, plural, group string) error {
	return (&cluster{}).explain(apierrors.NewForbidden(schema.GroupResource{Group: group, Resource: plural}, "",
		errors.New(`User "eve" cannot `+verb+` resource "`+plural+`" in API group "`+group+`" at the cluster scope`)))
}

// TestDiagnose breaks one thing at a time: the tests that are to notice are
// named, and no other one does.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	configuration := func(seen *observation, name string) *unstructured.Unstructured { return seen.configuration(name) }
	tests := []struct {
		name   string
		damage func(*testing.T, *observation)
		// want are the tests that are not passed, with their status.
		want map[string]status
		code Code
		// says is in a reason or a hint of the first of them.
		says string
	}{
		{name: "nothing", damage: func(*testing.T, *observation) {}, want: map[string]status{}},
		{
			name:   "unreachable",
			damage: func(_ *testing.T, s *observation) { s.version.err = errors.New("connection refused") },
			want:   map[string]status{"api-server": statusFailed}, code: Failed, says: "connection refused",
		},
		{
			name:   "slow",
			damage: func(_ *testing.T, s *observation) { s.version.err = context.DeadlineExceeded },
			want:   map[string]status{"api-server": statusFailed}, code: TimedOut,
		},
		{
			name: "old Kubernetes",
			damage: func(_ *testing.T, s *observation) {
				s.version.value.Minor, s.version.value.GitVersion = "29+", "v1.29.9"
			},
			want: map[string]status{"api-version": statusFailed}, code: Findings, says: "v1.29.9",
		},
		{
			name: "old definition",
			damage: func(t *testing.T, s *observation) {
				crd := s.live["customresourcedefinition.apiextensions.k8s.io/waivers.mojasec.io"]
				if err := unstructured.SetNestedField(crd.Object, "Waver", "spec", "names", "kind"); err != nil {
					t.Fatal(err)
				}
			},
			want: map[string]status{"definitions": statusFailed}, code: Findings, says: "waivers.mojasec.io is of another version",
		},
		{
			name: "rights taken away",
			damage: func(_ *testing.T, s *observation) {
				s.live["clusterrole.rbac.authorization.k8s.io/mojasec-namespace"].Object["rules"] = []any{}
			},
			want: map[string]status{"objects": statusFailed}, code: Findings, says: "grants other rights",
		},
		{
			name: "entry removed",
			damage: func(_ *testing.T, s *observation) {
				obj := configuration(s, validatingName)
				obj.Object[fieldWebhooks] = obj.Object[fieldWebhooks].([]any)[1:]
			},
			want: map[string]status{"configurations": statusFailed}, code: Findings, says: "lacks the entry",
		},
		{
			name: "entry made harmless",
			damage: func(_ *testing.T, s *observation) {
				_ = eachWebhook(configuration(s, mutatingName), func(e map[string]any) error { e["failurePolicy"] = "Ignore"; return nil })
			},
			want: map[string]status{"configurations": statusFailed}, code: Findings, says: "another failurePolicy",
		},
		{
			name: "configuration gone, webhook down",
			damage: func(_ *testing.T, s *observation) {
				delete(s.live, "mutatingwebhookconfiguration.admissionregistration.k8s.io/00-mojasec.io")
				s.endpoints.value = 0
			},
			want: map[string]status{"configurations": statusFailed, "ready": statusFailed}, code: Findings, says: hintInstall,
		},
		{
			name:   "two versions behind",
			damage: func(_ *testing.T, s *observation) { s.plugin = "v1.6.0" },
			want:   map[string]status{"version-skew": statusWarning}, code: Findings, says: "the webhook is v1.4.0, the plugin is v1.6.0",
		},
		{
			name:   "not a release",
			damage: func(_ *testing.T, s *observation) { s.plugin = "dev" },
			want:   map[string]status{"version-skew": statusSkipped},
		},
		{
			name: "injector first",
			damage: func(t *testing.T, s *observation) {
				s.mutating.value = append(s.mutating.value, *fromYAML(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: 00-early}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io}]}`))
			},
			want: map[string]status{"injector-order": statusWarning}, code: Findings, says: "00-early",
		},
		{
			name: "injector second",
			damage: func(t *testing.T, s *observation) {
				s.mutating.value = append(s.mutating.value, *fromYAML(t, `{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector}}`))
			},
			want: map[string]status{},
		},
		{
			name: "dead webhook",
			damage: func(_ *testing.T, s *observation) {
				s.endpoints.value = 0
				s.probe.value = answer{called: true, reason: `failed calling webhook "policies.mojasec.io": no endpoints available`}
			},
			want: map[string]status{"ready": statusFailed, "answers": statusFailed, "not-blocked": statusFailed}, code: Findings,
		},
		{
			name: "dead webhook, and no right to try a call",
			damage: func(_ *testing.T, s *observation) {
				s.endpoints.value, s.probe.err = 0, forbiddenTo("create", "profiles", groupMojasec)
			},
			want: map[string]status{"ready": statusFailed, "answers": statusUnknown, "not-blocked": statusFailed}, code: Findings,
		},
		{
			name: "certificate about to end",
			damage: func(t *testing.T, s *observation) {
				_, s.serving.value.leaf = resign(t, s, doctorNow.Add(24*time.Hour))
			},
			want: map[string]status{"certificate": statusWarning}, code: Findings, says: "2026-11-02",
		},
		{
			name:   "certificate ended",
			damage: func(t *testing.T, s *observation) { _, s.serving.value.leaf = resign(t, s, doctorNow.Add(-time.Hour)) },
			want:   map[string]status{"certificate": statusFailed, "trust": statusFailed}, code: Findings, says: "it ended at",
		},
		{
			name: "trust in another CA",
			damage: func(t *testing.T, s *observation) {
				bundle, _ := servingPair(t, doctorNow.AddDate(1, 0, 0))
				name := "validatingwebhookconfiguration.admissionregistration.k8s.io/mojasec.io"
				s.live[name] = withBundles(s.live[name], nil, bundle)
			},
			want: map[string]status{"trust": statusFailed}, code: Findings, says: hintFix,
		},
		{
			name: "mode that is none",
			damage: func(_ *testing.T, s *observation) {
				s.namespaces.value = append(s.namespaces.value, *labelFor("hub", "enforced"))
			},
			want: map[string]status{"modes": statusFailed}, code: Findings, says: "mojasec.io/mode: enforced",
		},
		{
			name:   "protected, not bound",
			damage: func(_ *testing.T, s *observation) { s.bindings.value = nil },
			want:   map[string]status{"rights": statusFailed}, code: Findings, says: "namespace mojaloop",
		},
		{
			name:   "protected, and bound by another name",
			damage: func(_ *testing.T, s *observation) { s.bindings.value, s.granted = nil, []string{"mojaloop"} },
			want:   map[string]status{},
		},
		{
			name: "bound for somebody else",
			damage: func(_ *testing.T, s *observation) {
				s.bindings.value[0].Object["subjects"] = []any{map[string]any{"kind": "ServiceAccount", "name": "default", "namespace": systemNamespace}}
			},
			want: map[string]status{"rights": statusFailed}, code: Findings,
		},
		{
			name:   "nobody labelled it",
			damage: func(_ *testing.T, s *observation) { s.mojaloop.value["default"] = "Deployment quoting-service" },
			want:   map[string]status{"labelled": statusWarning}, code: Findings, says: "kubectl mojasec install --namespace default",
		},
		{
			name: "old pods",
			damage: func(_ *testing.T, s *observation) {
				s.lacking.value = []lacking{{kind: kindOf("apps", kindDeployment), ns: "mojaloop", name: "x", pods: 2, changes: []string{"env ILP_SECRET"}}}
			},
			want: map[string]status{"pods": statusWarning}, code: Findings, says: "2 pods without env ILP_SECRET",
		},
		{
			name:   "forbidden",
			damage: func(_ *testing.T, s *observation) { s.bindings.err = forbiddenTo("list", "rolebindings", groupRBAC) },
			want:   map[string]status{"rights": statusUnknown}, code: Incomplete, says: "verbs: [list]",
		},
		{
			name: "not installed",
			damage: func(_ *testing.T, s *observation) {
				s.live, s.bindings.value, s.namespaces.value, s.mojaloop.value = nil, nil, nil, nil
				s.serving.value, s.endpoints.value, s.probe.value = nil, 0, answer{}
			},
			want: map[string]status{
				"definitions": statusFailed, "objects": statusFailed, "configurations": statusSkipped, "version-skew": statusSkipped,
				"ready": statusSkipped, "answers": statusSkipped, "certificate": statusSkipped, "trust": statusSkipped,
			},
			code: Findings, says: hintInstall,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := healthy(t)
			tt.damage(t, seen)
			list := diagnose(seen)
			got, said := map[string]status{}, ""
			for _, d := range list {
				if d.Status == statusPassed {
					if len(d.Reasons) > 0 || d.Hint != "" {
						t.Errorf("%s passed, but says %q", d.ID, d.Reasons)
					}
					continue
				}
				got[d.ID] = d.Status
				said += strings.Join(d.Reasons, "\n") + "\n" + d.Hint + "\n"
				if len(d.Reasons) == 0 {
					t.Errorf("%s is %s without a reason", d.ID, d.Status)
				}
				if d.Hint == "" && (d.Status == statusFailed || d.Status == statusWarning) {
					t.Errorf("%s is %s without a hint", d.ID, d.Status)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("tests that did not pass (-want +got):\n%s\n%s", diff, said)
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("got %q, want %q in it", said, tt.says)
			}
			if code := CodeOf(verdictOf(seen, list)); code != tt.code {
				t.Errorf("got code %d, want %d", code, tt.code)
			}
		})
	}
}

// resign gives an observation a new pair of certificates.
func resign(t *testing.T, seen *observation, until time.Time) (string, *x509.Certificate) {
	t.Helper()
	bundle, leaf := servingPair(t, until)
	seen.serving.value.bundle = bundle
	for name, obj := range seen.live {
		if isWebhookConfiguration(obj.GetKind()) {
			seen.live[name] = withBundles(obj, nil, bundle)
		}
	}
	return bundle, leaf
}

// TestHintsExist tries every command of ours that doctor tells people to type.
func TestHintsExist(t *testing.T) {
	t.Parallel()
	for _, hint := range []string{hintInstall, hintFix, hintUnblock, displayName + " install --namespace a,b --mode warn", displayName + " doctor --fix --restart"} {
		if err := exists(strings.Fields(strings.TrimPrefix(hint, displayName+" "))); err != nil {
			t.Errorf("%s: %v", hint, err)
		}
	}
}

func TestPlanFix(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(*testing.T, *observation)
		want   []string
		code   Code
	}{
		{"nothing", func(*testing.T, *observation) {}, nil, Good},
		{"binding", func(_ *testing.T, s *observation) { s.bindings.value = nil }, []string{"create rolebinding.rbac.authorization.k8s.io/mojasec-webhook in mojaloop"}, Good},
		{"trust", func(_ *testing.T, s *observation) {
			name := "mutatingwebhookconfiguration.admissionregistration.k8s.io/00-mojasec.io"
			s.live[name] = withBundles(s.live[name], nil, "")
		}, []string{"configure mutatingwebhookconfiguration.admissionregistration.k8s.io/00-mojasec.io"}, Good},
		{"missing", func(_ *testing.T, s *observation) {
			delete(s.live, "validatingwebhookconfiguration.admissionregistration.k8s.io/mojasec.io")
		}, []string{"create validatingwebhookconfiguration.admissionregistration.k8s.io/mojasec.io"}, Good},
		{"missing, and the webhook is down", func(_ *testing.T, s *observation) {
			delete(s.live, "validatingwebhookconfiguration.admissionregistration.k8s.io/mojasec.io")
			s.endpoints.value = 0
		}, nil, Refused},
		{"owned by Argo CD", func(_ *testing.T, s *observation) {
			name := "mutatingwebhookconfiguration.admissionregistration.k8s.io/00-mojasec.io"
			s.live[name] = withBundles(s.live[name], nil, "")
			s.live[name].SetLabels(map[string]string{"argocd.argoproj.io/instance": "mojasec"})
		}, nil, Refused},
		{"unprivileged", func(_ *testing.T, s *observation) {
			s.unread["mutatingwebhookconfiguration.admissionregistration.k8s.io/00-mojasec.io"] = forbiddenTo("get", "x", "y")
		}, nil, Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := healthy(t)
			tt.damage(t, seen)
			steps, err := planFix(seen)
			if CodeOf(err) != tt.code {
				t.Errorf("got %v with code %d, want code %d", err, CodeOf(err), tt.code)
			}
			var got []string
			for _, s := range steps {
				got = append(got, planned[s.action]+" "+nameOfObject(s.object))
				for name, bundle := range bundlesOf(s.object) {
					if bundle != seen.serving.value.bundle {
						t.Errorf("%s: the entry %s would not trust the webhook", nameOfObject(s.object), name)
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" && err == nil {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestHardCase03Plan: what blocks the cluster goes, and only that.
func TestHardCase03Plan(t *testing.T) {
	t.Parallel()
	seen := healthy(t)
	if _, err := planUnblock(seen); CodeOf(err) != Refused {
		t.Errorf("a webhook that answers: got %v, want a refusal", err)
	}
	seen.probe.value, seen.endpoints.value = answer{called: true, reason: "no endpoints"}, 0
	for _, known := range []string{"dead", "not known"} {
		steps, err := planUnblock(seen)
		if err != nil || len(steps) != 2 {
			t.Fatalf("%s: got %d steps and %v, want 2", known, len(steps), err)
		}
		for _, s := range steps {
			if s.action != deleted || !isWebhookConfiguration(s.object.GetKind()) {
				t.Errorf("%s: got %s of %s, want webhook configurations deleted", known, s.action, nameOfObject(s.object))
			}
		}
		seen.probe.err, seen.endpoints.err = errors.New("forbidden"), errors.New("forbidden")
	}
}

func TestAnswerOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		err     error
		want    answer
		wantErr bool
	}{
		{name: "allowed", want: answer{called: true, answered: true}},
		{name: "denied", err: &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: `admission webhook "policies.mojasec.io" denied the request: no`}}, want: answer{called: true, answered: true}},
		{name: "no answer", err: apierrors.NewInternalError(errors.New(`failed calling webhook "policies.mojasec.io": connection refused`)), want: answer{called: true, reason: `Internal error occurred: failed calling webhook "policies.mojasec.io": connection refused`}},
		{name: "no such kind", err: apierrors.NewNotFound(schema.GroupResource{Group: groupMojasec, Resource: "profiles"}, ""), want: answer{}},
		{name: "no right to ask", err: forbiddenTo("create", "profiles", groupMojasec), wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := answerOf(tt.err)
			if (err != nil) != tt.wantErr {
				t.Errorf("got error %v, want one: %v", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindLacking(t *testing.T) {
	t.Parallel()
	const bare, injected = "bare", "injected"
	pod := func(name, kind string, owner metav1.Object, how string) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "mojaloop", Name: name, Labels: map[string]string{"component": "sdk-scheme-adapter", "dfsp": "perffsp-1"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sdk", Image: "mojaloop/sdk-scheme-adapter:v24.0.0"}}},
		}
		if how == injected {
			p.Labels["sidecar.istio.io/inject"] = "true"
		}
		if owner != nil {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: &yes}}
		}
		return p
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "mojaloop", Name: "sdk", UID: "d"}}
	yes := true
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "mojaloop", Name: "sdk-1", UID: "r", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "apps/v1", Kind: kindDeployment, Name: "sdk", UID: "d", Controller: &yes},
	}}}
	manual := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "mojaloop", Name: "manual", UID: "s"}}
	manual.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	ended := pod("ended", "", nil, bare)
	ended.Status.Phase = corev1.PodSucceeded

	objs := []runtime.Object{
		deployment, set, manual,
		pod("a", "ReplicaSet", set, bare), pod("b", "ReplicaSet", set, bare), pod("c", "ReplicaSet", set, injected),
		pod("d", "StatefulSet", manual, bare), pod("lonely", "", nil, bare), pod("good", "", nil, injected), ended,
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mojaloop", Labels: map[string]string{"mojasec.io/mode": "enforce"}}}
	found := findLacking(objs, podSnapshot(doctorNow, append([]runtime.Object{ns}, objs...)))
	type row struct {
		Name   string
		Pods   int
		Manual bool
	}
	var got []row
	for _, l := range found {
		got = append(got, row{nameOf(l.kind, l.ns, l.name), l.pods, l.manual != ""})
		if len(l.changes) == 0 {
			t.Errorf("%s: no change is named", l.name)
		}
	}
	want := []row{{"deployment.apps/sdk in mojaloop", 2, false}, {"statefulset.apps/manual in mojaloop", 1, true}, {"pod/lonely in mojaloop", 1, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if steps := restarts(found); len(steps) != 1 {
		t.Errorf("got %d restarts, want 1: the others cannot be rolled", len(steps))
	}
}

func TestWriteDiagnosis(t *testing.T) {
	t.Parallel()
	seen := healthy(t)
	seen.bindings.value = nil
	for _, format := range []string{formatTable, formatShort, formatJSON} {
		var out bytes.Buffer
		o := &DoctorOptions{Output: format, writer: writer{IOStreams: genericiooptions.IOStreams{Out: &out}}}
		if err := o.write(diagnose(seen)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"namespace mojaloop has a mode", hintFix} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: got %q, want %q in it", format, &out, want)
			}
		}
		if format == formatJSON && !json.Valid(out.Bytes()) {
			t.Errorf("got %s, want JSON", &out)
		}
		if got := strings.Contains(out.String(), "√ Kubernetes is 1.30 or later\n"); got != (format == formatTable) {
			t.Errorf("%s: shows what is well: %v", format, got)
		}
	}
}
