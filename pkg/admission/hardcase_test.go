package admission_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// violator is a pod with the secret everybody knows.
func violator(s *fixtures.Scheme) *corev1.Pod {
	p := sdkPod(s)
	badILP(&p.Spec)
	return p
}

func violatingDeployment(s *fixtures.Scheme) *appsv1.Deployment {
	d := s.SDK1.DeepCopy()
	badILP(&d.Spec.Template.Spec)
	return d
}

func TestHardCase11GenerateName(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	p := violator(s)
	p.Name, p.GenerateName = "", "perffsp-1-sdk-7c6fdc9d8b-"
	wantRefused(t, open(t, c).ask("/validate", create(t, p)), "Pod mojaloop/perffsp-1-sdk-7c6fdc9d8b-*")
}

// TestHardCase12EmptyNamespace: the namespace of the request counts, also when
// the object names none or another one.
func TestHardCase12EmptyNamespace(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	for _, ns := range []string{"", "kube-system"} {
		good, bad := sdkPod(s), violator(s)
		good.Namespace, bad.Namespace = ns, ns
		req := create(t, good)
		req.Namespace = fixtures.Namespace
		wantAllowed(t, d.ask("/validate", req))
		req = create(t, bad)
		req.Namespace = fixtures.Namespace
		wantRefused(t, d.ask("/validate", req), "Pod mojaloop/")
		bare := bareSDK(s)
		bare.Namespace = ns
		req = create(t, bare)
		req.Namespace = fixtures.Namespace
		if r := d.ask("/mutate", req); len(r.Patch) == 0 {
			t.Errorf("namespace %q: nothing injected", ns)
		}
	}
}

// bareSDK is a pod with nothing but an identity.
func bareSDK(s *fixtures.Scheme) *corev1.Pod {
	p := sdkPod(s)
	c := &p.Spec.Containers[0]
	p.Spec.Volumes, c.VolumeMounts, c.Env = nil, nil, c.Env[:1]
	return p
}

// TestHardCase13UpdateOfViolator: what was wrong before warns; what is not about
// it passes without a word; what is newly wrong is refused.
func TestHardCase13UpdateOfViolator(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	pod := func(tweak func(p *corev1.Pod)) *admissionv1.AdmissionRequest {
		was := violator(s)
		now := was.DeepCopy()
		tweak(now)
		return update(t, now, was)
	}
	deployment := func(tweak func(d *appsv1.Deployment)) *admissionv1.AdmissionRequest {
		was := violatingDeployment(s)
		now := was.DeepCopy()
		tweak(now)
		return update(t, now, was)
	}
	job := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: metav1.ObjectMeta{Name: "once", Namespace: fixtures.Namespace, Finalizers: []string{"batch.kubernetes.io/job-tracking"}},
		Spec: batchv1.JobSpec{Template: violatingDeployment(s).Spec.Template},
	}
	tracked := job.DeepCopy()
	tracked.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"1"}}
	tracked.Finalizers, tracked.Spec.Suspend = nil, new(true)
	tests := []struct {
		name    string
		req     *admissionv1.AdmissionRequest
		warns   string
		refused string
	}{
		{"finalizer", pod(func(p *corev1.Pod) { p.Finalizers = []string{"a/b"} }), "", ""},
		{"status", sub("status", pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })), "", ""},
		{"scheduling", pod(func(p *corev1.Pod) {
			p.Spec.NodeName, p.Spec.Tolerations = "n", []corev1.Toleration{{Key: "x"}}
		}), "", ""},
		{"owner", pod(func(p *corev1.Pod) { p.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} }), "", ""},
		{"label", pod(func(p *corev1.Pod) { p.Labels["team"] = "b" }), "ilp-secret-not-default", ""},
		{"harmless annotation", pod(func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }), "ilp-secret-not-default", ""},
		{"bad annotation", pod(func(p *corev1.Pod) {
			p.Annotations = map[string]string{"traffic.sidecar.istio.io/excludeInboundPorts": "4000"}
		}), "", "mtls-no-bypass"},
		{"bad label by way of status", sub("status", pod(func(p *corev1.Pod) { p.Labels["sidecar.istio.io/inject"] = "false" })), "", "mtls-in-mesh"},
		{"image", pod(func(p *corev1.Pod) { p.Spec.Containers[0].Image += "0" }), "ilp-secret-not-default", ""},
		{"on its way out", pod(func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Annotations = &metav1.Time{Time: fixtures.Now}, map[string]string{"a": "b"}
		}), "", ""},
		{"scale", deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(7)) }), "", ""},
		{"status of a Deployment", deployment(func(d *appsv1.Deployment) { d.Status.Replicas, d.Finalizers = 7, []string{"a/b"} }), "", ""},
		{"label of a Deployment", deployment(func(d *appsv1.Deployment) { d.Labels = map[string]string{"team": "b"} }), "ilp-secret-not-default", ""},
		{"image of a Deployment", deployment(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image += "0" }), "ilp-secret-not-default", ""},
		{"another thing wrong", deployment(func(d *appsv1.Deployment) { d.Spec.Template.Spec.HostNetwork = true }), "ilp-secret-not-default", "mtls-in-mesh"},
		{"the same wrong in another container", deployment(func(d *appsv1.Deployment) {
			spec := &d.Spec.Template.Spec
			second := *spec.Containers[0].DeepCopy()
			second.Name = "second"
			spec.Containers = append(spec.Containers, second)
		}), "ilp-secret-not-default", "ilp-secret-not-default"},
		{"another wrong value", deployment(func(d *appsv1.Deployment) {
			env := d.Spec.Template.Spec.Containers[0].Env
			env[len(env)-1].Value = " " + fixtures.PublishedILPDefault
		}), "", "ilp-secret-not-default"},
		{"repaired", deployment(func(d *appsv1.Deployment) { d.Spec.Template = s.SDK1.Spec.Template }), "", ""},
		{"Job tracking", update(t, tracked, job), "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, _ := scheme(func(n *fixtures.Scheme) { *n = *s })
			r := open(t, c).ask("/validate", test.req)
			if test.refused != "" {
				wantRefused(t, r, test.refused)
			} else {
				wantAllowed(t, r)
			}
			if test.warns != "" {
				wantWarning(t, r, test.warns)
			} else if test.refused == "" && len(r.Warnings) > 0 {
				t.Errorf("got warnings %q, want none", r.Warnings)
			}
		})
	}
}

// TestHardCase15HiddenWorkload: taking off what a workload was recognised by
// does not take it out of sight.
func TestHardCase15HiddenWorkload(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	was := s.SDK1
	for name, tweak := range map[string]func(d *appsv1.Deployment){
		"labels": func(d *appsv1.Deployment) { d.Labels, d.Spec.Template.Labels = nil, map[string]string{"app": "web"} },
		"image":  func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "example.org/web:1" },
		"labels and image": func(d *appsv1.Deployment) {
			d.Spec.Template.Labels, d.Spec.Template.Spec.Containers[0].Image = map[string]string{"app": "web"}, "example.org/web:1"
		},
	} {
		now := was.DeepCopy()
		tweak(now)
		now.Spec.Template.Spec.HostNetwork = true
		if r := d.ask("/validate", update(t, now, was)); r.Allowed {
			t.Errorf("%s taken off: allowed", name)
		}
	}
}

// TestHardCase16Delete: a DELETE has an old object only, and may have no name.
func TestHardCase16Delete(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	for _, obj := range []runtime.Object{sdkPod(s), s.SDK1, s.NetworkPolicy, s.Gateway} {
		for _, name := range []bool{true, false} {
			req := remove(t, obj)
			if !name {
				req.Name = ""
			}
			wantAllowed(t, d.ask("/validate", req))
		}
	}
	req := remove(t, s.PeerAuth)
	req.Name = ""
	wantRefused(t, d.ask("/validate", req), "PeerAuthentication", "mtls-strict", "Deployment mojaloop/perffsp-1-sdk")
	req.OldObject.Raw = nil
	if code, _ := d.status("/validate", req); code != http.StatusBadRequest {
		t.Errorf("DELETE without object: got status %d, want 400", code)
	}
}

// TestHardCase17EphemeralContainers: what kubectl debug adds is judged.
func TestHardCase17EphemeralContainers(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	was := sdkPod(s)
	add := func(e corev1.EphemeralContainerCommon) *admissionv1.AdmissionRequest {
		now := was.DeepCopy()
		now.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: e}}
		return sub("ephemeralcontainers", update(t, now, was))
	}
	wantAllowed(t, d.ask("/validate", add(corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox"})))
	wantRefused(t, d.ask("/validate", add(corev1.EphemeralContainerCommon{
		Name: "debug", Image: "busybox", Env: []corev1.EnvVar{{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault}},
	})), "ilp-secret-not-default", "ephemeralContainers[0]")
}

// TestHardCase18Resize: more memory passes, for violators too.
func TestHardCase18Resize(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	for _, was := range []*corev1.Pod{sdkPod(s), violator(s)} {
		now := was.DeepCopy()
		now.Spec.Containers[0].Resources.Requests = corev1.ResourceList{}
		now.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: "NotRequired"}}
		wantAllowed(t, d.ask("/validate", sub("resize", update(t, now, was))))
	}
}

// TestHardCase19Sidecars: init containers and native sidecars keep their order
// and fields.
func TestHardCase19Sidecars(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	always := corev1.ContainerRestartPolicyAlways
	p := bareSDK(s)
	sidecar := p.Spec.Containers[0]
	sidecar.Name, sidecar.RestartPolicy = "sdk-sidecar", &always
	p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "busybox"}, sidecar, {Name: "last", Image: "busybox"}}
	got := patch(t, p, open(t, c).ask("/mutate", create(t, p)))
	want := []string{"first", "sdk-sidecar", "last"}
	for i, name := range want {
		if i >= len(got.Spec.InitContainers) || got.Spec.InitContainers[i].Name != name {
			t.Fatalf("init container %d is not %q", i, name)
		}
	}
	if r := got.Spec.InitContainers[1].RestartPolicy; r == nil || *r != always || len(got.Spec.InitContainers[1].VolumeMounts) == 0 {
		t.Errorf("native sidecar: restartPolicy %v, %d mounts", r, len(got.Spec.InitContainers[1].VolumeMounts))
	}
	if n := len(got.Spec.InitContainers[0].Env) + len(got.Spec.InitContainers[2].VolumeMounts); n > 0 {
		t.Error("other init containers were changed")
	}
}

// TestHardCase20AbsentParents: the lists and maps that get a member may be
// absent, null or empty.
func TestHardCase20AbsentParents(t *testing.T) {
	t.Parallel()
	c, _ := scheme(func(s *fixtures.Scheme) { delete(s.Namespace.Labels, "istio-injection") })
	d := open(t, c)
	for _, list := range []string{"", `,"env":null,"volumeMounts":null`, `,"env":[],"volumeMounts":[]`} {
		for _, top := range []string{"", `,"volumes":null`, `,"volumes":[]`} {
			for _, meta := range []string{"", `,"annotations":null`, `,"annotations":{}`} {
				text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"%s,"labels":{"dfsp":"perffsp-1"}},"spec":{"containers":[{"name":"sdk","image":"mojaloop/sdk-scheme-adapter:v24"%s}]%s}}`, meta, list, top)
				p := &corev1.Pod{}
				if err := json.Unmarshal([]byte(text), p); err != nil {
					t.Fatal(err)
				}
				p.Namespace = fixtures.Namespace
				req := create(t, p)
				req.Object.Raw = []byte(text)
				r := d.ask("/mutate", req)
				out := &corev1.Pod{}
				if err := json.Unmarshal(patchText(t, []byte(text), r), out); err != nil {
					t.Fatal(err)
				}
				container := out.Spec.Containers[0]
				if len(out.Spec.Volumes) != 2 || len(container.VolumeMounts) != 2 || len(container.Env) != 3 || out.Labels["sidecar.istio.io/inject"] != "true" {
					t.Errorf("%s: patched to %+v", text, out.Spec)
				}
			}
		}
	}
}

// TestHardCase21EscapedKeys: keys with "/" and "~" stand in JSON pointers, and a
// pod without labels gets a map.
func TestHardCase21EscapedKeys(t *testing.T) {
	t.Parallel()
	c, s := scheme(func(s *fixtures.Scheme) { delete(s.Namespace.Labels, "istio-injection") })
	d := open(t, c)
	p := sdkPod(s)
	p.Labels["odd~/key"] = "x"
	r := d.ask("/mutate", create(t, p))
	if !bytes.Contains(r.Patch, []byte(`"/metadata/labels/sidecar.istio.io~1inject"`)) {
		t.Errorf("patch %s", r.Patch)
	}
	got := patch(t, p, r)
	if got.Labels["sidecar.istio.io/inject"] != "true" || got.Labels["odd~/key"] != "x" {
		t.Errorf("labels %v", got.Labels)
	}
	p.Labels = nil
	if got := patch(t, p, d.ask("/mutate", create(t, p))); got.Labels["sidecar.istio.io/inject"] != "true" {
		t.Errorf("labels %v", got.Labels)
	}
}

// TestHardCase22NewerFields: a patch leaves what it does not know as it is.
func TestHardCase22NewerFields(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	before := string(text(t, bareSDK(s)))
	before = strings.Replace(before, `"spec":{`, `"spec":{"newIn2030":{"b":[1.50,{"z":null}],"big":12345678901234567890},`, 1)
	before = strings.Replace(before, `"name":"sdk",`, `"name":"sdk","alsoNew":"\u00e9",`, 1)
	req := create(t, bareSDK(s))
	req.Object.Raw = []byte(before)
	r := open(t, c).ask("/mutate", req)
	if len(r.Patch) == 0 {
		t.Fatal("nothing injected")
	}
	if bytes.Contains(r.Patch, []byte(`"op":"replace"`)) || bytes.Contains(r.Patch, []byte(`"op":"remove"`)) {
		t.Errorf("patch %s", r.Patch)
	}
	after := string(patchText(t, []byte(before), r))
	for _, want := range []string{`"newIn2030":{"b":[1.50,{"z":null}],"big":12345678901234567890}`, `"alsoNew":"\u00e9"`} {
		if !strings.Contains(after, want) {
			t.Errorf("lost %s in %s", want, after)
		}
	}
}

// TestHardCase23SecondMutation: injecting twice is injecting once, and a volume
// of the same name with other content stays.
func TestHardCase23SecondMutation(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	p := bareSDK(s)
	p.Spec.Volumes = []corev1.Volume{{Name: "mojasec-jws-keys", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	once := patch(t, p, d.ask("/mutate", create(t, p)))
	if diff := cmp.Diff(p.Spec.Volumes[0], once.Spec.Volumes[0]); diff != "" {
		t.Errorf("the volume of the user (-before +after):\n%s", diff)
	}
	if r := d.ask("/mutate", create(t, once)); len(r.Patch) > 0 {
		t.Errorf("second mutation: %s", r.Patch)
	}
	wantAllowed(t, d.ask("/validate", create(t, once)))
}

// TestHardCase24IstioFirst: keys never get into the proxy, and the order of
// injectors changes nothing for the rest.
func TestHardCase24IstioFirst(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	proxy := corev1.Container{Name: "istio-proxy", Image: "docker.io/istio/proxyv2:1.31.4"}
	first := bareSDK(s)
	first.Spec.Containers = append([]corev1.Container{proxy}, first.Spec.Containers...)
	got := patch(t, first, d.ask("/mutate", create(t, first)))
	if p := got.Spec.Containers[0]; len(p.VolumeMounts) > 0 || len(p.Env) > 0 {
		t.Errorf("the proxy got %v and %v", p.VolumeMounts, p.Env)
	}
	second := bareSDK(s)
	second = patch(t, second, d.ask("/mutate", create(t, second)))
	second.Spec.Containers = append([]corev1.Container{proxy}, second.Spec.Containers...)
	if diff := cmp.Diff(second.Spec, got.Spec); diff != "" {
		t.Errorf("(-mojasec first +Istio first):\n%s", diff)
	}
}

// TestHardCase26OnlyPodsAreMutated: a pod maker is never changed, so that no
// GitOps tool finds drift and no controller loops.
func TestHardCase26OnlyPodsAreMutated(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	bare := s.SDK1.DeepCopy()
	bare.Spec.Template.Spec = bareSDK(s).Spec
	for _, req := range []*admissionv1.AdmissionRequest{create(t, bare), create(t, s.ILP1), sub("eviction", create(t, bareSDK(s))), update(t, bareSDK(s), bareSDK(s)), remove(t, bareSDK(s))} {
		for _, path := range []string{"/mutate", "/mutate/quarantine"} {
			if r := d.ask(path, req); !r.Allowed || len(r.Patch) > 0 {
				t.Errorf("%s of %s at %s: patch %s", req.Operation, req.Kind.Kind, path, r.Patch)
			}
		}
	}
	// It is judged as its pods will be.
	wantAllowed(t, d.ask("/validate", create(t, bare)))
}

// TestHardCase28OwnerReferences: an owner excuses nothing, nor does being
// deleted, nor who asks (33).
func TestHardCase28OwnerReferences(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	p := violator(s)
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "perffsp-1-sdk-7c6fdc9d8b", UID: "1", Controller: new(true)}}
	p.DeletionTimestamp = &metav1.Time{Time: fixtures.Now}
	p.Annotations = map[string]string{"mojasec.io/mode": "audit", "mojasec.io/skip": "true"}
	for _, user := range []string{"alice", "system:admin", "system:serviceaccount:kube-system:replicaset-controller", self} {
		wantRefused(t, d.ask("/validate", as(user, create(t, p))), "ilp-secret-not-default")
	}
}

// TestHardCase33DeletionTimestamp: a pod on its way out that changes in what
// matters is judged.
func TestHardCase33DeletionTimestamp(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	was := sdkPod(s)
	was.DeletionTimestamp = &metav1.Time{Time: fixtures.Now}
	finalizer, label, debug := was.DeepCopy(), was.DeepCopy(), was.DeepCopy()
	finalizer.Finalizers = []string{"a/b"}
	label.Labels["team"] = "b"
	debug.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debug", Image: "busybox", Env: []corev1.EnvVar{{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault}},
	}}}
	wantAllowed(t, d.ask("/validate", update(t, was, finalizer)))
	wantAllowed(t, d.ask("/validate", update(t, label, was)))
	wantRefused(t, d.ask("/validate", sub("ephemeralcontainers", update(t, debug, was))), "ilp-secret-not-default")
}

// TestHardCase34FailedLookup: what cannot be read is an error, not absent; what
// exists after all is not refused for being absent.
func TestHardCase34FailedLookup(t *testing.T) {
	t.Parallel()
	without := func(s *fixtures.Scheme) { s.Without = []string{"Secret/perffsp-1-ilp"} }
	c, s := scheme(without)
	d := open(t, c)
	req := create(t, sdkPod(s))
	wantRefused(t, d.ask("/validate", req), "perffsp-1-ilp")
	if len(c.reads) == 0 {
		t.Error("refused for an absent Secret without looking again")
	}
	c.broken = errors.New("read Secret mojaloop/perffsp-1-ilp: the server is currently unable to handle the request")
	if code, answer := d.status("/validate", req); code != http.StatusInternalServerError || !strings.Contains(answer, "could not check") {
		t.Errorf("got %d %q, want 500 could not check", code, answer)
	}
	wantAllowed(t, d.ask("/validate/warn", req))
	c.broken, c.hidden = nil, []runtime.Object{s.ILP1}
	wantAllowed(t, d.ask("/validate", req))
	bare := bareSDK(s)
	if got := patch(t, bare, d.ask("/mutate", create(t, bare))); !strings.Contains(string(text(t, got)), "perffsp-1-ilp") {
		t.Error("a Secret younger than what is known was not injected")
	}

	// Nobody gave the right to read the Secrets of the namespace.
	c, s = scheme(without)
	c.snap = c.snap.Apply(policy.Update{Unread: map[policy.Scope]string{
		{Kind: policy.FactSecret, Namespace: fixtures.Namespace}: `secrets is forbidden: cannot list resource "secrets"`,
	}})
	d = open(t, c)
	code, answer := d.status("/validate", create(t, sdkPod(s)))
	if code != http.StatusInternalServerError || !strings.Contains(answer, "kubectl mojasec install --namespace mojaloop") {
		t.Errorf("got %d %q, want 500 with the command that gives the right", code, answer)
	}
	r := d.ask("/validate/warn", create(t, sdkPod(s)))
	wantAllowed(t, r)
	wantWarning(t, r, "could not check")
	// What is wrong for certain is refused all the same.
	wantRefused(t, d.ask("/validate", create(t, violator(s))), "ilp-secret-not-default")
}

// TestHardCase34FreshNamespace: a namespace that was labelled a moment ago is
// protected from then on.
func TestHardCase34FreshNamespace(t *testing.T) {
	t.Parallel()
	for _, known := range []map[string]string{nil, {"mojasec.io/mode": "warn", "istio-injection": "enabled"}} {
		c, s := scheme()
		fresh := s.Namespace
		if known == nil {
			c.snap = c.snap.Apply(policy.Update{Gone: []policy.Ref{policy.RefOf(fresh)}})
		} else {
			c.apply(relabelled(fresh, known))
		}
		c.hidden = []runtime.Object{fresh}
		d := open(t, c)
		wantRefused(t, d.ask("/validate", create(t, violator(s))), "ilp-secret-not-default")
		if r := d.ask("/mutate", create(t, bareSDK(s))); len(r.Patch) == 0 {
			t.Error("nothing injected")
		}
		c.broken = errors.New("timeout")
		if code, _ := d.status("/validate", create(t, sdkPod(s))); code != http.StatusInternalServerError {
			t.Errorf("got status %d, want 500", code)
		}
	}
}

// TestHardCase36Waivers: a Waiver in the cluster counts once it is known, is
// named in the audit log, and does nothing but what it says.
func TestHardCase36Waivers(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	w := &v1alpha1.Waiver{
		TypeMeta: metav1.TypeMeta{APIVersion: "mojasec.io/v1alpha1", Kind: "Waiver"}, ObjectMeta: metav1.ObjectMeta{Name: "test-scheme"},
		Spec: v1alpha1.WaiverSpec{
			Checks: []string{"ilp-secret-not-default"}, Reason: "no money moves here", Owner: "security@example.org",
			Match:     v1alpha1.WaiverMatch{Namespaces: []string{fixtures.Namespace}},
			ExpiresAt: metav1.NewTime(fixtures.Now.AddDate(0, 1, 0)),
		},
	}
	req := create(t, violator(s))
	wantAllowed(t, d.ask("/validate", create(t, w)))
	wantRefused(t, d.ask("/validate", req), "ilp-secret-not-default")
	c.apply(w)
	r := d.ask("/validate", req)
	wantAllowed(t, r)
	if got := r.AuditAnnotations["waived-ilp-secret-not-default"]; !strings.Contains(got, "test-scheme") {
		t.Errorf("audit annotations %v do not name the Waiver", r.AuditAnnotations)
	}
	expired := w.DeepCopy()
	expired.Spec.ExpiresAt = metav1.NewTime(fixtures.Now.AddDate(0, -1, 0))
	r = d.ask("/validate", create(t, expired))
	wantAllowed(t, r)
	wantWarning(t, r, "waiver-valid")
	wantAllowed(t, d.ask("/validate", remove(t, w)))
	c.apply(expired)
	wantRefused(t, d.ask("/validate", req), "ilp-secret-not-default")
}

// TestHardCase37EnvFrom: a secret comes in by env or envFrom, in main, init and
// ephemeral containers.
func TestHardCase37EnvFrom(t *testing.T) {
	t.Parallel()
	bad := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: fixtures.Namespace},
		Data: map[string][]byte{"ILP_SECRET": []byte(fixtures.PublishedILPDefault)},
	}
	sources := map[string]func(c *corev1.Container){
		"env": func(c *corev1.Container) {
			c.Env = []corev1.EnvVar{{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault}}
		},
		"envFrom": func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
		},
	}
	for source, set := range sources {
		for _, kind := range []string{"containers", "initContainers", "ephemeralContainers"} {
			t.Run(source+" in "+kind, func(t *testing.T) {
				t.Parallel()
				c, s := scheme()
				c.apply(bad)
				p := sdkPod(s)
				extra := corev1.Container{Name: "extra", Image: "mojaloop/sdk-scheme-adapter:v24"}
				set(&extra)
				switch kind {
				case "containers":
					p.Spec.Containers = append(p.Spec.Containers, extra)
				case "initContainers":
					p.Spec.InitContainers = append(p.Spec.InitContainers, extra)
				default:
					p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon(extra)})
				}
				wantRefused(t, open(t, c).ask("/validate", create(t, p)), "ilp-secret-not-default", kind)
			})
		}
	}
}

// TestHardCase38Escaped: text from a pod reaches messages without control
// characters and without end.
func TestHardCase38Escaped(t *testing.T) {
	t.Parallel()
	c, s := scheme()
	d := open(t, c)
	p := violator(s)
	evil := "\x1b[31m\u202e\u2028\r\n::error::x\x00" + strings.Repeat("A", 10_000)
	p.Name = "a" + evil
	p.Spec.Containers[0].Name = evil
	p.Annotations = map[string]string{"traffic.sidecar.istio.io/excludeInboundPorts": evil}
	for _, path := range []string{"/validate", "/validate/warn"} {
		r := d.ask(path, create(t, p))
		texts := append([]string{message(r)}, r.Warnings...)
		for _, v := range r.AuditAnnotations {
			texts = append(texts, v)
		}
		if len(r.Warnings) > 10 {
			t.Errorf("%d warnings", len(r.Warnings))
		}
		for i, said := range texts {
			for _, c := range said {
				if c != '\n' && unicode.IsControl(c) || c == '\u202e' || c == '\u2028' || c == '\n' && i > 0 {
					t.Errorf("%s: %q in %q", path, c, said)
					break
				}
			}
			if i > 0 && i <= len(r.Warnings) && len(said) > 256 || len(said) > 16<<10 {
				t.Errorf("%s: a text of %d bytes", path, len(said))
			}
		}
	}
}

// TestQuarantineMarker: in every mode the pods of a quarantined DFSP get its
// marker, and none gets in without.
func TestQuarantineMarker(t *testing.T) {
	t.Parallel()
	for _, labels := range []map[string]string{
		{"mojasec.io/mode": "enforce", "istio-injection": "enabled", "mojasec.io/quarantine": "incident-7"},
		{"mojasec.io/mode": "warn", "istio-injection": "enabled", "mojasec.io/quarantine": "incident-7"},
		{"istio-injection": "enabled", "mojasec.io/quarantine": "incident-7"},
	} {
		c, s := scheme()
		c.apply(relabelled(s.Namespace, labels), quarantine())
		d := open(t, c)
		p := bareSDK(s)
		r := d.ask("/mutate/quarantine", create(t, p))
		got := patch(t, p, r)
		if got.Labels["mojasec.io/quarantine"] != "incident-7" || len(got.Spec.Volumes) > 0 {
			t.Errorf("%v: patch %s, want the marker alone", labels, r.Patch)
		}
		wantRefused(t, d.ask("/validate", create(t, sdkPod(s))), "quarantine-held")
		marked := sdkPod(s)
		marked.Labels["mojasec.io/quarantine"] = "incident-7"
		wantAllowed(t, d.ask("/validate", create(t, marked)))
		wantRefused(t, d.ask("/validate", update(t, sdkPod(s), marked)), "quarantine-held")
		waiver := &v1alpha1.Waiver{ObjectMeta: metav1.ObjectMeta{Name: "way-out"}, Spec: v1alpha1.WaiverSpec{
			Checks: []string{"quarantine-held"}, Reason: "let it go", Owner: "alice", ExpiresAt: metav1.NewTime(fixtures.Now.AddDate(0, 1, 0)),
			Match: v1alpha1.WaiverMatch{Namespaces: []string{fixtures.Namespace}},
		}}
		c.apply(waiver)
		wantRefused(t, d.ask("/validate", create(t, sdkPod(s))), "quarantine-held")
		if r := d.ask("/mutate/quarantine", create(t, podOf(&s.SDK2.Spec.Template, "other"))); len(r.Patch) > 0 {
			t.Errorf("another DFSP: patch %s", r.Patch)
		}
	}
}

// TestUnknownKinds: what no rule is about passes, and the audit log says so.
func TestUnknownKinds(t *testing.T) {
	t.Parallel()
	c, _ := scheme()
	d := open(t, c)
	for _, kind := range []string{"Widget", "Lease", "PodExecOptions"} {
		u := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "example.org/v1", Kind: kind}, ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: fixtures.Namespace}}
		for _, req := range []*admissionv1.AdmissionRequest{create(t, u), update(t, u, u), remove(t, u)} {
			r := d.ask("/validate", req)
			wantAllowed(t, r)
			if !strings.Contains(r.AuditAnnotations["not-judged"], kind) {
				t.Errorf("audit annotations %v", r.AuditAnnotations)
			}
		}
	}
}
