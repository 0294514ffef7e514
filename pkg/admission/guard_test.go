package admission_test

import (
	"errors"
	"maps"
	"net/http"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/test/fixtures"
)

const mayUnenforce = "alice unenforce profiles /default"

func connect(resource, subresource, name string) *admissionv1.AdmissionRequest {
	return &admissionv1.AdmissionRequest{
		UID: "1", Operation: admissionv1.Connect, Namespace: fixtures.Namespace, Name: name,
		Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "PodExecOptions"},
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: resource}, SubResource: subresource,
		UserInfo: alice,
	}
}

var alice = authenticationv1.UserInfo{Username: "alice"}

func quarantine(tweaks ...func(q *v1alpha1.Quarantine)) *v1alpha1.Quarantine {
	q := &v1alpha1.Quarantine{
		TypeMeta:   metav1.TypeMeta{APIVersion: "mojasec.io/v1alpha1", Kind: "Quarantine"},
		ObjectMeta: metav1.ObjectMeta{Name: "incident-7", Namespace: fixtures.Namespace},
		Spec:       v1alpha1.QuarantineSpec{DFSP: fixtures.DFSP1, Mode: v1alpha1.QuarantineIsolate, Reason: "its key is public", OpenedBy: "alice"},
	}
	for _, tweak := range tweaks {
		tweak(q)
	}
	return q
}

// relabelled is a namespace with other labels.
func relabelled(ns *corev1.Namespace, labels map[string]string) *corev1.Namespace {
	out := ns.DeepCopy()
	out.Labels = labels
	return out
}

func TestNamespaceGuard(t *testing.T) {
	t.Parallel()
	ns := fixtures.NewScheme().Namespace
	with := func(change map[string]string, without ...string) *corev1.Namespace {
		labels := maps.Clone(ns.Labels)
		maps.Copy(labels, change)
		for _, k := range without {
			delete(labels, k)
		}
		return relabelled(ns, labels)
	}
	terminating := ns.DeepCopy()
	terminating.DeletionTimestamp = &metav1.Time{Time: fixtures.Now}
	tests := []struct {
		name     string
		req      *admissionv1.AdmissionRequest
		weakens  bool
		refusing string
	}{
		{"lower to warn", update(t, with(map[string]string{"mojasec.io/mode": "warn"}), ns), true, `from "enforce" to "warn"`},
		{"lower to audit", update(t, with(map[string]string{"mojasec.io/mode": "audit"}), ns), true, `from "enforce" to "audit"`},
		{"remove the label", update(t, with(nil, "mojasec.io/mode"), ns), true, "take the label mojasec.io/mode"},
		{"through status", sub("status", update(t, with(nil, "mojasec.io/mode"), ns)), true, "take the label"},
		{"through finalize", sub("finalize", update(t, with(nil, "mojasec.io/mode"), ns)), true, "take the label"},
		{"delete", remove(t, ns), true, "delete a protected namespace"},
		{"delete, only oldObject and no name", func() *admissionv1.AdmissionRequest { r := remove(t, ns); r.Name = ""; return r }(), true, "delete"},
		{"delete again", remove(t, terminating), false, ""},
		{"a typing error enforces", update(t, with(map[string]string{"mojasec.io/mode": "Enforced"}), ns), false, ""},
		{"a typing error enforces, so warn is lower", update(t, with(map[string]string{"mojasec.io/mode": "warn"}), with(map[string]string{"mojasec.io/mode": "Enforced"})), true, `from "Enforced" to "warn"`},
		{"raise", update(t, ns, with(map[string]string{"mojasec.io/mode": "warn"})), false, ""},
		{"another label", update(t, with(map[string]string{"team": "b"}), ns), false, ""},
		{"delete an unprotected one", remove(t, relabelled(ns, nil)), false, ""},
		{"finalizer", sub("finalize", update(t, ns, ns)), false, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scheme()
			d := open(t, c)
			r := d.ask("/validate/namespaces", test.req)
			if !test.weakens {
				wantAllowed(t, r)
				if len(c.asked) > 0 {
					t.Errorf("asked for rights: %q", c.asked)
				}
				return
			}
			wantRefused(t, r, test.refusing, "unenforce")
			c.may[mayUnenforce] = true
			wantAllowed(t, d.ask("/validate/namespaces", test.req))
			c.denied = errors.New("no authorizer")
			if code, _ := d.status("/validate/namespaces", test.req); code != http.StatusInternalServerError {
				t.Errorf("without authorizer: got status %d, want 500", code)
			}
			c.denied = nil
			c.apply(quarantine())
			wantRefused(t, d.ask("/validate/namespaces", test.req), "quarantined")
		})
	}
}

func TestQuarantineLabelOfNamespace(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	marked := s.Namespace.DeepCopy()
	marked.Labels["mojasec.io/quarantine"] = "incident-7"
	off := update(t, s.Namespace, marked)
	wantRefused(t, d.ask("/validate/namespaces", off), "mojasec.io/quarantine")
	c.may["alice respond quarantines mojaloop/"] = true
	wantAllowed(t, d.ask("/validate/namespaces", off))
	c.apply(quarantine())
	wantRefused(t, d.ask("/validate/namespaces", off), "quarantined")
	c.apply(quarantine(func(q *v1alpha1.Quarantine) { q.Status.Phase = v1alpha1.QuarantineReleased }))
	wantAllowed(t, d.ask("/validate/namespaces", off))
}

func TestProfileGuard(t *testing.T) {
	t.Parallel()
	profile := func(tweaks ...func(p *v1alpha1.Profile)) *v1alpha1.Profile {
		p := v1alpha1.DefaultProfile()
		for _, tweak := range tweaks {
			tweak(p)
		}
		return p
	}
	strict := profile(func(p *v1alpha1.Profile) { p.Spec.ILP.MinLength = 64 })
	waived := func(mode v1alpha1.Mode) *v1alpha1.Profile {
		return profile(func(p *v1alpha1.Profile) {
			p.Spec.Checks = []v1alpha1.CheckMode{{ID: "ilp-secret-strong", Mode: mode}}
		})
	}
	tests := []struct {
		name    string
		req     *admissionv1.AdmissionRequest
		weakens bool
	}{
		{"create with the defaults", create(t, profile()), false},
		{"create stricter", create(t, strict), false},
		{"delete a stricter one", remove(t, strict), true},
		{"delete a weaker one", remove(t, waived(v1alpha1.ModeAudit)), false},
		{"check to warn", update(t, waived(v1alpha1.ModeWarn), profile()), true},
		{"check from warn to audit", update(t, waived(v1alpha1.ModeAudit), waived(v1alpha1.ModeWarn)), true},
		{"check from audit to warn", update(t, waived(v1alpha1.ModeWarn), waived(v1alpha1.ModeAudit)), false},
		{"check back to enforce", update(t, profile(), waived(v1alpha1.ModeAudit)), false},
		{"no mesh", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.Mesh = v1alpha1.MeshNone })), true},
		{"another mesh", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.Mesh = v1alpha1.MeshAmbient })), true},
		{"the mesh that is meant", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.Mesh = v1alpha1.MeshSidecar })), false},
		{"another revision", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.Revision = "nowhere" })), true},
		{"shorter secrets", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.ILP.MinLength = 16 })), true},
		{"older keys", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.JWS.MaxKeyAge.Duration = 1e6 * time.Hour })), true},
		{"another datastore port", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.DatastorePorts = append(p.Spec.DatastorePorts, 4000) })), true},
		{"no datastore ports", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.DatastorePorts = []int32{} })), false},
		{"external keys", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.JWS.ExternalKeys = []string{"perffsp-1"} })), true},
		{"public gateway", create(t, profile(func(p *v1alpha1.Profile) {
			p.Spec.PublicGateways = []v1alpha1.GatewayRef{{Namespace: "mojaloop", Name: "interop"}}
		})), true},
		{"recognition", create(t, profile(func(p *v1alpha1.Profile) {
			p.Spec.Recognition = []v1alpha1.RecognitionRule{{Role: v1alpha1.RoleDatastore, Images: []string{"mojaloop/sdk-scheme-adapter"}}}
		})), true},
		{"mesh root", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.MeshRootNamespace = "mojaloop" })), true},
		{"other Secrets", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.JWS.SecretName = "{dfsp}-keys" })), true},
		{"a published secret more", create(t, profile(func(p *v1alpha1.Profile) { p.Spec.PublishedSecrets = []string{"hunter2"} })), false},
		{"a published secret less", update(t, profile(), profile(func(p *v1alpha1.Profile) { p.Spec.PublishedSecrets = []string{"hunter2"} })), true},
		{"one that nobody reads", create(t, profile(func(p *v1alpha1.Profile) { p.Name, p.Spec.Mesh = "other", v1alpha1.MeshNone })), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scheme()
			d := open(t, c)
			r := d.ask("/validate", test.req)
			if !test.weakens {
				wantAllowed(t, r)
				return
			}
			wantRefused(t, r, "unenforce")
			c.may[mayUnenforce] = true
			wantAllowed(t, d.ask("/validate", test.req))
		})
	}
}

// TestProfileNamesWhatLeaked: a key that is in use can be listed as published.
// That refuses nothing; it says who uses it.
func TestProfileNamesWhatLeaked(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	p := v1alpha1.DefaultProfile()
	p.Spec.PublishedSecrets = []string{string(s.ILP1.Data["ILP_SECRET"])}
	r := open(t, c).ask("/validate", create(t, p))
	wantAllowed(t, r)
	wantWarning(t, r, "Deployment mojaloop/perffsp-1-sdk")
}

func TestQuarantineGuard(t *testing.T) {
	t.Parallel()
	const approve, breakglass = "approve quarantines mojaloop/incident-7", "breakglass quarantines mojaloop/incident-7"
	release := func(by, approved string) func(q *v1alpha1.Quarantine) {
		return func(q *v1alpha1.Quarantine) {
			q.Spec.Release = &v1alpha1.QuarantineRelease{RequestedBy: by, Reason: "new keys", ApprovedBy: approved}
		}
	}
	glass := func(user string, d time.Duration) func(q *v1alpha1.Quarantine) {
		return func(q *v1alpha1.Quarantine) {
			q.Spec.Breakglass = &v1alpha1.Breakglass{User: user, Reason: "payments stand still", Until: metav1.NewTime(fixtures.Now.Add(d))}
		}
	}
	released := func(q *v1alpha1.Quarantine) { q.Status.Phase = v1alpha1.QuarantineReleased }
	mode := func(m v1alpha1.QuarantineMode) func(q *v1alpha1.Quarantine) {
		return func(q *v1alpha1.Quarantine) { q.Spec.Mode = m }
	}
	status := func(tweak func(q *v1alpha1.Quarantine)) *admissionv1.AdmissionRequest {
		return sub("status", update(t, quarantine(tweak), quarantine()))
	}
	tests := []struct {
		name string
		req  *admissionv1.AdmissionRequest
		may  string
		want string // of the refusal; empty when it is allowed
	}{
		{"open", create(t, quarantine()), "", ""},
		{"open as somebody else", as("bob", create(t, quarantine())), "", "spec.openedBy"},
		{"open with a release", create(t, quarantine(release("alice", ""))), "", "comes later"},
		{"another DFSP", update(t, quarantine(func(q *v1alpha1.Quarantine) { q.Spec.DFSP = "perffsp-2" }), quarantine()), "", "spec.dfsp"},
		{"another opener", as("bob", update(t, quarantine(func(q *v1alpha1.Quarantine) { q.Spec.OpenedBy = "bob" }), quarantine())), "", "record"},
		{"raise", update(t, quarantine(mode(v1alpha1.QuarantineLockdown)), quarantine()), "", ""},
		{"lower", update(t, quarantine(mode(v1alpha1.QuarantineObserve)), quarantine()), "", "raised"},
		{"exclude again", update(t, quarantine(), quarantine(func(q *v1alpha1.Quarantine) { q.Spec.Include = []v1alpha1.WorkloadRef{{Kind: "Deployment", Name: "x"}} })), "", "taken back"},
		{"ask for the release", as("bob", update(t, quarantine(release("bob", "")), quarantine())), "", ""},
		{"ask in another name", as("bob", update(t, quarantine(release("carol", "")), quarantine())), "", "requestedBy"},
		{"withdraw", as("bob", update(t, quarantine(), quarantine(release("bob", "")))), "", "record"},
		{"approve", as("carol", update(t, quarantine(release("bob", "carol")), quarantine(release("bob", "")))), "carol " + approve, ""},
		{"approve without the right", as("carol", update(t, quarantine(release("bob", "carol")), quarantine(release("bob", "")))), "", "verb `approve`"},
		{"approve one's own", as("bob", update(t, quarantine(release("bob", "bob")), quarantine(release("bob", "")))), "bob " + approve, "somebody else"},
		{"ask and approve at once", as("bob", update(t, quarantine(release("bob", "bob")), quarantine())), "bob " + approve, "somebody else"},
		{"opener approves", update(t, quarantine(release("bob", "alice")), quarantine(release("bob", ""))), "alice " + approve, "somebody else"},
		{"approve for another", as("carol", update(t, quarantine(release("bob", "dave")), quarantine(release("bob", "")))), "carol " + approve, "approvedBy"},
		{"change the approval", as("dave", update(t, quarantine(release("bob", "dave")), quarantine(release("bob", "carol")))), "dave " + approve, "record"},
		{"break the glass", as("bob", update(t, quarantine(glass("bob", time.Hour)), quarantine())), "bob " + breakglass, ""},
		{"break it without the right", as("bob", update(t, quarantine(glass("bob", time.Hour)), quarantine())), "", "verb `breakglass`"},
		{"break it for another", as("bob", update(t, quarantine(glass("carol", time.Hour)), quarantine())), "bob " + breakglass, "for himself"},
		{"break it for long", as("bob", update(t, quarantine(glass("bob", 61*time.Minute)), quarantine())), "bob " + breakglass, "more than an hour"},
		{"unrecord it", as("bob", update(t, quarantine(), quarantine(glass("bob", time.Hour)))), "bob " + breakglass, "cannot be removed"},
		{"delete", remove(t, quarantine()), "", "release it first"},
		{"delete with the verb alone", remove(t, quarantine()), "*", "release it first"},
		{"delete with the glass broken", as("bob", remove(t, quarantine(glass("bob", time.Minute)))), "bob " + breakglass, ""},
		{"delete with another's glass", as("carol", remove(t, quarantine(glass("bob", time.Minute)))), "carol " + breakglass, "release it first"},
		{"delete after the hour", as("bob", remove(t, quarantine(glass("bob", -time.Minute)))), "bob " + breakglass, "release it first"},
		{"delete after the release", remove(t, quarantine(released)), "", ""},
		{"phase", status(released), "*", "written by mojasec alone"},
		{"phase by the webhook", as(self, status(released)), "", ""},
		{"layers", status(func(q *v1alpha1.Quarantine) {
			q.Status.Layers = []v1alpha1.LayerStatus{{Name: v1alpha1.LayerKeys, State: v1alpha1.LayerLifted}}
		}), "*", "written by mojasec alone"},
		{"evidence", status(func(q *v1alpha1.Quarantine) { q.Status.Evidence = &v1alpha1.EvidenceRef{SHA256: "aa"} }), "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scheme()
			c.may[test.may] = true
			r := open(t, c).ask("/validate", test.req)
			if test.want == "" {
				wantAllowed(t, r)
				return
			}
			wantRefused(t, r, test.want)
		})
	}
}

func TestConnectGuard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		req     *admissionv1.AdmissionRequest
		reaches bool
	}{
		{"exec", connect("pods", "exec", "perffsp-1-sdk-0"), true},
		{"attach", connect("pods", "attach", "perffsp-1-sdk-0"), true},
		{"port-forward", connect("pods", "portforward", "perffsp-1-sdk-0"), true},
		{"proxy with scheme and port", connect("pods", "proxy", "http:perffsp-1-sdk-0:4000"), true},
		{"proxy with port", connect("pods", "proxy", "perffsp-1-sdk-0:4000"), true},
		{"a pod nobody knows", connect("pods", "exec", "perffsp-1-sdk-new"), true},
		{"a name that is none", connect("pods", "proxy", "a:b:c:d"), true},
		{"Service", connect("services", "proxy", "https:perffsp-1:http"), true},
		{"Service nobody knows", connect("services", "proxy", "other"), true},
		{"another DFSP", connect("pods", "exec", "perffsp-2-sdk-0"), false},
		{"Service of another DFSP", connect("services", "proxy", "perffsp-2:80"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, s := scheme()
			c.apply(sdkPod(s), podOf(&s.SDK2.Spec.Template, "perffsp-2-sdk-0"))
			d := open(t, c)
			wantAllowed(t, d.ask("/validate/connect", test.req))
			c.apply(quarantine())
			r := d.ask("/validate/connect", test.req)
			if !test.reaches {
				wantAllowed(t, r)
				return
			}
			wantRefused(t, r, "quarantined", "respond", "incident-7")
			c.may["alice respond quarantines mojaloop/incident-7"] = true
			wantAllowed(t, d.ask("/validate/connect", test.req))
			c.apply(quarantine(func(q *v1alpha1.Quarantine) { q.Status.Phase = v1alpha1.QuarantineReleased }))
			clear(c.may)
			wantAllowed(t, d.ask("/validate/connect", test.req))
		})
	}
}

// TestArtefactGuard: what isolates a DFSP stays, whatever it is.
func TestArtefactGuard(t *testing.T) {
	t.Parallel()
	artefact := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: "isolate", Namespace: fixtures.Namespace, Labels: map[string]string{"mojasec.io/quarantine": "incident-7"}},
	}
	unlabelled, open1, cilium := artefact.DeepCopy(), artefact.DeepCopy(), artefact.DeepCopy()
	unlabelled.Labels = nil
	open1.Spec.PodSelector.MatchLabels = map[string]string{"nobody": "here"}
	cilium.APIVersion, cilium.Kind = "cilium.io/v2", "CiliumNetworkPolicy"
	phase := func(p v1alpha1.QuarantinePhase) func(q *v1alpha1.Quarantine) {
		return func(q *v1alpha1.Quarantine) { q.Status.Phase = p }
	}
	tests := []struct {
		name  string
		req   *admissionv1.AdmissionRequest
		phase v1alpha1.QuarantinePhase
		may   string
		want  bool
	}{
		{"delete", remove(t, artefact), v1alpha1.QuarantineStanding, "*", false},
		{"delete, no name", func() *admissionv1.AdmissionRequest { r := remove(t, artefact); r.Name = ""; return r }(), v1alpha1.QuarantineStanding, "*", false},
		{"unlabel", update(t, unlabelled, artefact), v1alpha1.QuarantineStanding, "*", false},
		{"open", update(t, open1, artefact), v1alpha1.QuarantineStanding, "*", false},
		{"kind without a rule", remove(t, cilium), v1alpha1.QuarantineStanding, "*", false},
		{"nothing", update(t, artefact, artefact), v1alpha1.QuarantineStanding, "", true},
		{"by the webhook", as(self, remove(t, artefact)), v1alpha1.QuarantineStanding, "", true},
		{"while it is released", remove(t, artefact), v1alpha1.QuarantineReleasing, "", true},
		{"after it was released", remove(t, artefact), v1alpha1.QuarantineReleased, "", true},
		{"changed by a responder while it is applied", update(t, open1, artefact), v1alpha1.QuarantineApplying, "alice respond quarantines mojaloop/incident-7", true},
		{"deleted by a responder while it is applied", remove(t, artefact), v1alpha1.QuarantineApplying, "*", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scheme()
			c.may[test.may] = true
			c.apply(quarantine(phase(test.phase)))
			r := open(t, c).ask("/validate", test.req)
			if test.want {
				wantAllowed(t, r)
				return
			}
			wantRefused(t, r, "kubectl mojasec release dfsp/perffsp-1")
		})
	}
}

// TestLockdown: nobody but a responder changes, debugs or scales the workloads
// of a DFSP in lockdown.
func TestLockdown(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	image := s.SDK1.DeepCopy()
	image.Spec.Template.Spec.Containers[0].Image = "docker.io/mojaloop/sdk-scheme-adapter:v24.19.7"
	scaled := s.SDK1.DeepCopy()
	scaled.Spec.Replicas = new(int32(9))
	p := sdkPod(s)
	p.Labels["mojasec.io/quarantine"] = "incident-7"
	debugged := p.DeepCopy()
	debugged.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox"}}}
	relabelled, marked := p.DeepCopy(), p.DeepCopy()
	delete(relabelled.Labels, "dfsp")
	unmarked := p.DeepCopy()
	delete(unmarked.Labels, "mojasec.io/quarantine")
	hpa := &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}, ObjectMeta: metav1.ObjectMeta{Name: "sdk", Namespace: fixtures.Namespace},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "perffsp-1-sdk"}, MaxReplicas: 9},
	}
	other := hpa.DeepCopy()
	other.Spec.ScaleTargetRef.Name = "perffsp-2-sdk"
	tests := []struct {
		name              string
		req               *admissionv1.AdmissionRequest
		isolate, lockdown bool // whether it is allowed
	}{
		{"image", update(t, image, s.SDK1), true, false},
		{"replicas", update(t, scaled, s.SDK1), true, true},
		{"debug", sub("ephemeralcontainers", update(t, debugged, p)), false, false},
		{"labels of a pod", update(t, relabelled, p), false, false},
		{"the mark on a pod", update(t, marked, unmarked), true, true},
		{"autoscaler", create(t, hpa), true, false},
		{"autoscaler of another", create(t, other), true, true},
	}
	for _, test := range tests {
		for mode, want := range map[v1alpha1.QuarantineMode]bool{v1alpha1.QuarantineIsolate: test.isolate, v1alpha1.QuarantineLockdown: test.lockdown} {
			t.Run(test.name+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				c, _ := scheme(func(n *fixtures.Scheme) { *n = *s })
				c.apply(quarantine(func(q *v1alpha1.Quarantine) { q.Spec.Mode = mode }))
				d := open(t, c)
				r := d.ask("/validate", test.req)
				if want {
					wantAllowed(t, r)
					return
				}
				wantRefused(t, r, "quarantined", "respond")
				c.may["alice respond quarantines mojaloop/incident-7"] = true
				wantAllowed(t, d.ask("/validate", test.req))
			})
		}
	}
}

func TestRotationGuard(t *testing.T) {
	t.Parallel()
	rotation := func(phase v1alpha1.RotationPhase) *v1alpha1.Rotation {
		return &v1alpha1.Rotation{
			TypeMeta: metav1.TypeMeta{APIVersion: "mojasec.io/v1alpha1", Kind: "Rotation"}, ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: fixtures.Namespace},
			Spec: v1alpha1.RotationSpec{Kind: v1alpha1.RotateJWS, DFSP: fixtures.DFSP1, RequestedBy: "alice"}, Status: v1alpha1.RotationStatus{Phase: phase},
		}
	}
	c, _ := scheme()
	d := open(t, c)
	wantAllowed(t, d.ask("/validate", create(t, rotation(""))))
	wantRefused(t, d.ask("/validate", as("bob", create(t, rotation("")))), "requestedBy")
	for _, phase := range []v1alpha1.RotationPhase{v1alpha1.RotationRunning, v1alpha1.RotationRollingBack, v1alpha1.RotationStopped} {
		wantRefused(t, d.ask("/validate", remove(t, rotation(phase))), string(phase))
	}
	for _, phase := range []v1alpha1.RotationPhase{"", v1alpha1.RotationCompleted, v1alpha1.RotationRolledBack} {
		wantAllowed(t, d.ask("/validate", remove(t, rotation(phase))))
	}
}
