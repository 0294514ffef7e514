package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
)

// bare takes out of a template what the Injector puts in.
func bare(p *corev1.PodTemplateSpec) *corev1.PodTemplateSpec {
	p = p.DeepCopy()
	c := sdkContainer(p)
	for _, name := range []string{"JWS_SIGNING_KEY_PATH", "JWS_VERIFICATION_KEYS_DIRECTORY", "ILP_SECRET"} {
		unsetEnv(p, name)
	}
	c.VolumeMounts, p.Spec.Volumes = nil, nil
	return p
}

// complete says what of the injection a pod lacks; nothing when it has all.
func lacks(p *corev1.Pod) []string {
	var out []string
	env, mounts := map[string]bool{}, map[string]bool{}
	for _, e := range p.Spec.Containers[0].Env {
		env[e.Name] = true
	}
	for _, m := range p.Spec.Containers[0].VolumeMounts {
		mounts[m.MountPath] = true
	}
	for _, name := range []string{"JWS_SIGNING_KEY_PATH", "JWS_VERIFICATION_KEYS_DIRECTORY", "ILP_SECRET"} {
		if !env[name] {
			out = append(out, name)
		}
	}
	for _, path := range []string{"/opt/app/secrets", "/opt/app/secrets/jwsVerificationKeys"} {
		if !mounts[path] {
			out = append(out, path)
		}
	}
	return out
}

// TestInjection rolls out every kind that makes pods with a bare template. The
// pods are complete and run, and no owner is changed.
func TestInjection(t *testing.T) {
	s := world.newScheme(t)
	objs := makers("bare", bare(&s.SDK1.Spec.Template))
	s.kubectl(t, s.yaml(objs...), "apply", "-f", "-").accepted(t)
	s.kubectl(t, "", "create", "job", "--from=cronjob/bare-cronjob", "bare-from-cronjob").accepted(t)

	for _, o := range objs {
		m, _ := o.(client.Object)
		kind := o.GetObjectKind().GroupVersionKind().Kind
		if kind == "CronJob" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			var pods []corev1.Pod
			eventually(t, "a pod of "+m.GetName(), func(context.Context) (bool, string) {
				pods = s.pods(map[string]string{"maker": m.GetName()})
				return len(pods) > 0 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool {
					return p.Status.Phase != corev1.PodRunning && p.Status.Phase != corev1.PodSucceeded
				}), s.kubectl(t, "", "get", "events,pods").stdout
			})
			for _, p := range pods {
				if l := lacks(&p); len(l) > 0 {
					t.Errorf("got pod %s without %q", p.Name, l)
				}
			}
		})
	}
	t.Run("CronJob", func(t *testing.T) {
		eventually(t, "the pod of the CronJob's Job", func(context.Context) (bool, string) {
			pods := s.pods(map[string]string{"job-name": "bare-from-cronjob"})
			if len(pods) == 0 {
				return false, s.kubectl(t, "", "get", "events").stdout
			}
			return len(lacks(&pods[0])) == 0, fmt.Sprintf("lacks %q", lacks(&pods[0]))
		})
	})
	t.Run("HardCase25 a GitOps tool sees no drift", func(t *testing.T) {
		a := s.kubectl(t, s.yaml(objs[:7]...), "diff", "-f", "-")
		if a.code != 0 {
			t.Errorf("got exit status %d, want no difference\n%s%s", a.code, a.stdout, a.stderr)
		}
	})
	t.Run("HardCase26 owners are never mutated", func(t *testing.T) {
		out := s.kubectl(t, "", "get", "deploy,rs,sts,ds,rc,jobs,cronjobs", "-o", "json").stdout
		if strings.Contains(out, "mojasec-jws") || strings.Contains(out, "ILP_SECRET") {
			t.Error("an owner carries what belongs into its pods")
		}
	})
	t.Run("rollout", func(t *testing.T) {
		s.kubectl(t, "", "rollout", "restart", "deployment/bare-deployment").accepted(t)
		s.kubectl(t, "", "rollout", "status", "deployment/bare-deployment", "--timeout=30s").accepted(t)
		for _, p := range s.pods(map[string]string{"maker": "bare-deployment"}) {
			if l := lacks(&p); len(l) > 0 {
				t.Errorf("got pod %s without %q", p.Name, l)
			}
		}
	})
}

// TestHardCase19Native leaves the order and the fields of init containers as
// they are.
func TestHardCase19NativeSidecars(t *testing.T) {
	s := world.newScheme(t)
	pod := s.pod("native")
	template := bare(&corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec})
	template.Spec.InitContainers = []corev1.Container{
		{Name: "wait", Image: "docker.io/library/busybox:1"},
		{Name: "proxy", Image: "example.org/proxy:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
		{Name: "last", Image: "docker.io/library/busybox:1", Command: []string{"true"}},
	}
	pod.Spec = template.Spec
	got := s.admit(t, pod)
	names := func(list []corev1.Container) (out []string) {
		for _, c := range list {
			out = append(out, c.Name+" "+c.Image)
		}
		return out
	}
	if diff := cmp.Diff(names(template.Spec.InitContainers), names(got.Spec.InitContainers)); diff != "" {
		t.Errorf("init containers (-applied +admitted):\n%s", diff)
	}
	if got.Spec.InitContainers[1].RestartPolicy == nil || len(lacks(got)) > 0 {
		t.Errorf("got restart policy %v, lacks %q", got.Spec.InitContainers[1].RestartPolicy, lacks(got))
	}
}

// admit asks the API server what would become of a pod.
func (s *scheme) admit(t testing.TB, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	out := pod.DeepCopy()
	if err := s.c.client.Create(t.Context(), out, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestHardCase20BarePod completes a pod that has neither volumes nor mounts nor
// environment, whose identity is a label.
func TestHardCase20BarePod(t *testing.T) {
	s := world.newScheme(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "bare", Labels: map[string]string{"component": "sdk-scheme-adapter", "dfsp": fixtures.DFSP1}},
		Spec: corev1.PodSpec{
			ServiceAccountName: fixtures.DFSP1, AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{Name: "sdk", Image: "mojaloop/sdk-scheme-adapter:v24", Env: []corev1.EnvVar{{Name: "DFSP_ID", Value: fixtures.DFSP1}}}},
		},
	}
	if got := s.admit(t, pod); len(lacks(got)) > 0 {
		t.Errorf("got a pod without %q", lacks(got))
	}
}

// TestHardCase21EscapedKeys sets a label whose key has a slash, in a namespace
// where only the pods ask for the mesh.
func TestHardCase21EscapedKeys(t *testing.T) {
	s := world.newScheme(t, map[string]string{"team": "x"})
	pod := s.pod("labelled")
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "example.org/y-1z", "a/b~c")
	got := s.admit(t, pod)
	if got.Labels["sidecar.istio.io/inject"] != "true" {
		t.Errorf("got labels %q, want the pod in the mesh", got.Labels)
	}
	if got.Annotations["example.org/y-1z"] != "a/b~c" {
		t.Errorf("got annotations %q, want them as they were", got.Annotations)
	}
}

// TestHardCase23SecondMutation admits what was admitted once more: nothing
// changes. A volume of the user with our name stays what it is.
func TestHardCase23SecondMutation(t *testing.T) {
	s := world.newScheme(t)
	pod := s.pod("twice")
	pod.Spec = bare(&corev1.PodTemplateSpec{Spec: pod.Spec}).Spec
	once := s.admit(t, pod)
	again := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "twice", Labels: once.Labels, Annotations: once.Annotations}, Spec: *once.Spec.DeepCopy()}
	if diff := cmp.Diff(once.Spec, s.admit(t, again).Spec); diff != "" {
		t.Errorf("the second admission changes the pod (-once +twice):\n%s", diff)
	}
	taken := s.pod("taken")
	taken.Spec = bare(&corev1.PodTemplateSpec{Spec: taken.Spec}).Spec
	taken.Spec.Volumes = []corev1.Volume{{Name: "mojasec-jws-keys", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}}
	got := s.admit(t, taken)
	if diff := cmp.Diff(taken.Spec.Volumes[0], got.Spec.Volumes[0]); diff != "" {
		t.Errorf("the user's volume (-applied +admitted):\n%s", diff)
	}
	if len(lacks(got)) > 0 {
		t.Errorf("got a pod without %q", lacks(got))
	}
}

// TestHardCase11GenerateName names a pod that has only a prefix when it is sent.
func TestHardCase11GenerateName(t *testing.T) {
	s := world.newScheme(t)
	pod := s.pod("")
	pod.GenerateName = "nameless-"
	pod.Labels["sidecar.istio.io/inject"] = "false"
	s.kubectl(t, s.yaml(pod), "create", "-f", "-").refused(t, 1, "/nameless-")
	delete(pod.Labels, "sidecar.istio.io/inject")
	s.kubectl(t, s.yaml(pod), "create", "-f", "-").accepted(t)
}

// TestHardCase12NamespaceOfTheRequest posts a pod that does not name its
// namespace.
func TestHardCase12NamespaceOfTheRequest(t *testing.T) {
	s := world.newScheme(t)
	pod := s.pod("nowhere")
	pod.Namespace = ""
	pod.Spec = bare(&corev1.PodTemplateSpec{Spec: pod.Spec}).Spec
	post := func(name string, tweak func(*corev1.Pod)) answer {
		p := pod.DeepCopy()
		p.Name = name
		tweak(p)
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return s.kubectl(t, string(body), "create", "--raw", "/api/v1/namespaces/"+s.ns+"/pods", "-f", "-")
	}
	good := post("good", func(*corev1.Pod) {})
	good.accepted(t)
	var got corev1.Pod
	if err := json.Unmarshal([]byte(good.stdout), &got); err != nil || len(lacks(&got)) > 0 {
		t.Errorf("got %v, a pod without %q", err, lacks(&got))
	}
	bad := post("bad", func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	if bad.code == 0 || !strings.Contains(bad.stderr, "mtls-in-mesh") {
		t.Errorf("got %q, want a refusal for mtls-in-mesh", bad.stderr+bad.stdout)
	}
}

// TestHardCase13OldViolators labels a namespace in which violators run: they can
// be finished, labelled and scaled, but not be changed for the worse.
func TestHardCase13OldViolators(t *testing.T) {
	s := world.newScheme(t)
	s.c.setMode(t, s.ns, "")
	bad := s.SDK1.Spec.Template.DeepCopy()
	bad.Labels["sidecar.istio.io/inject"] = "false"
	objs := makers("old", bad)
	s.kubectl(t, s.yaml(objs...), "apply", "-f", "-").accepted(t)
	pod := func() (p corev1.Pod) {
		if err := s.c.client.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: "old-pod"}, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	eventually(t, "the old pod to run", func(context.Context) (bool, string) {
		return pod().Status.Phase == corev1.PodRunning, string(pod().Status.Phase)
	})
	s.c.setMode(t, s.ns, "enforce")
	s.settleOld()

	for _, args := range [][]string{
		{"label", "pod", "old-pod", "colour=blue"},
		{"annotate", "pod", "old-pod", "note=x"},
		{"patch", "pod", "old-pod", "--type=merge", "-p", `{"metadata":{"finalizers":["example.org/hold"]}}`},
		{"patch", "pod", "old-pod", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`},
		{"patch", "pod", "old-pod", "--subresource=status", "--type=merge", "-p", `{"status":{"message":"x"}}`},
		{"label", "deployment", "old-deployment", "colour=blue"},
		{"scale", "deployment", "old-deployment", "--replicas=0"},
		{"patch", "deployment", "old-deployment", "-p", `{"spec":{"revisionHistoryLimit":3}}`},
		{"rollout", "pause", "deployment/old-deployment"},
		{"patch", "job", "old-job", "-p", `{"spec":{"ttlSecondsAfterFinished":600}}`},
		{"patch", "cronjob", "old-cronjob", "-p", `{"spec":{"suspend":true}}`},
		{"scale", "statefulset", "old-statefulset", "--replicas=0"},
		{"delete", "pod", "old-pod", "--wait=false"},
	} {
		t.Run(strings.Join(args[:3], " "), func(t *testing.T) { s.kubectl(t, "", args...).accepted(t) })
	}
	t.Run("HardCase14 a grandfathered object is warned about", func(t *testing.T) {
		a := s.kubectl(t, "", "annotate", "deployment", "old-deployment", "note=x")
		a.accepted(t)
		if !strings.Contains(a.stderr, "mtls-in-mesh") {
			t.Errorf("got %q, want a warning of mtls-in-mesh", a.stderr)
		}
	})
	t.Run("worse is refused", func(t *testing.T) {
		s.kubectl(t, "", "set", "env", "deployment/old-deployment", "ILP_SECRET=mojaloop-sdk").refused(t, 1, "ilp-secret-not-default")
	})
	t.Run("a job of a violator ends", func(t *testing.T) {
		eventually(t, "the old job to be complete", func(context.Context) (bool, string) {
			out := s.kubectl(t, "", "get", "job", "old-job", "-o", "jsonpath={.status}").stdout
			return strings.Contains(out, `"succeeded":1`) && strings.Contains(out, "Complete"), out
		})
	})
}

// settleOld is settle in a namespace whose workloads break the rules already.
func (s *scheme) settleOld() {
	s.t.Helper()
	pod := s.pod("probe")
	pod.Labels["sidecar.istio.io/inject"] = "false"
	eventually(s.t, "the webhook to enforce in "+s.ns, func(ctx context.Context) (bool, string) {
		err := s.c.client.Create(ctx, pod.DeepCopy(), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "mtls-in-mesh"), fmt.Sprint(err)
	})
}

// TestHardCase14SameVerdict gives a Deployment and its pod the same reasons.
func TestHardCase14SameVerdict(t *testing.T) {
	s := world.newScheme(t)
	template := s.SDK1.Spec.Template.DeepCopy()
	literal("JWS_SIGN", "false")(template)
	template.Labels["sidecar.istio.io/inject"] = "false"
	objs := makers("same", template)
	ids := func(o runtime.Object) []string {
		a := s.kubectl(t, s.yaml(o), "apply", "-f", "-")
		var out []string
		for _, id := range checkIDs() {
			if strings.Contains(a.stderr, id+":") {
				out = append(out, id)
			}
		}
		return out
	}
	want := ids(objs[len(objs)-1])
	if !slices.Contains(want, "jws-signing-enabled") || !slices.Contains(want, "mtls-in-mesh") {
		t.Fatalf("got %q for the pod", want)
	}
	for _, o := range objs[:len(objs)-1] {
		if diff := cmp.Diff(want, ids(o)); diff != "" {
			t.Errorf("%s (-pod +owner):\n%s", o.GetObjectKind().GroupVersionKind().Kind, diff)
		}
	}
}

// TestHardCase15LabelsThatMatched takes away the labels by which an SDK was
// known, together with what makes it safe.
func TestHardCase15LabelsThatMatched(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	d := s.deployment(s.SDK1)
	d.Spec.Template.Labels = maps.Clone(d.Spec.Selector.MatchLabels)
	sdkContainer(&d.Spec.Template).Image = "mirror.example.org/tools/adapter:1"
	literal("JWS_SIGN", "false")(&d.Spec.Template)
	s.kubectl(t, s.yaml(d), "apply", "-f", "-").refused(t, 1, "jws-signing-enabled")
	var live appsv1.Deployment
	if err := s.c.client.Get(t.Context(), client.ObjectKeyFromObject(d), &live); err != nil {
		t.Fatal(err)
	}
	if got := sdkContainer(&live.Spec.Template).Image; got == "mirror.example.org/tools/adapter:1" {
		t.Error("the disguised template got in")
	}
}

// TestHardCase16Delete deletes one by one and all at once: what runs may go, what
// protects it may not.
func TestHardCase16Delete(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	collection := func(path string) answer {
		return s.c.kubectl(t, "", "delete", "--raw", path)
	}
	got := collection("/apis/security.istio.io/v1/namespaces/" + s.ns + "/peerauthentications")
	if got.code == 0 || !strings.Contains(got.stderr, "mtls-strict") {
		t.Errorf("got %q, want a refusal for mtls-strict", got.stderr+got.stdout)
	}
	collection("/api/v1/namespaces/" + s.ns + "/pods").accepted(t)
	s.rollout(s.SDK1.Name)
	collection("/apis/apps/v1/namespaces/" + s.ns + "/deployments?propagationPolicy=Foreground").accepted(t)
	eventually(t, "all pods to go", func(context.Context) (bool, string) {
		out := s.kubectl(t, "", "get", "deploy,rs,pods", "-o", "name").stdout
		return out == "", out
	})
	// Nothing is left that needs protection, so the policy may go too.
	eventually(t, "the policy to be deleted", func(context.Context) (bool, string) {
		a := s.kubectl(t, "", "delete", "peerauthentication", "default")
		return a.code == 0, a.stderr
	})
}

// TestHardCase17Ephemeral adds containers to running pods.
func TestHardCase17EphemeralContainers(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	pod := s.pods(s.SDK1.Spec.Selector.MatchLabels)[0].Name
	s.kubectl(t, "", "debug", pod, "--image=busybox", "--container=good").accepted(t)
	a := s.kubectl(t, "", "debug", pod, "--image=busybox", "--container=bad", "--env=FSPIOP_ILP_SECRET="+fixtures.PublishedILPDefault)
	if a.code == 0 || !strings.Contains(a.stderr, "ilp-secret-not-default") {
		t.Errorf("got %q, want a refusal for ilp-secret-not-default", a.stderr)
	}
}

// TestHardCase18Resize changes the resources of a running pod.
func TestHardCase18Resize(t *testing.T) {
	s := world.newScheme(t)
	pod := s.pod("resized")
	pod.Spec.NodeSelector = map[string]string{"nowhere": ""} // kwok's nodes do not support it
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: quantity("100m")}
	s.kubectl(t, s.yaml(pod), "apply", "-f", "-").accepted(t)
	s.kubectl(t, "", "patch", "pod", "resized", "--subresource=resize", "-p",
		`{"spec":{"containers":[{"name":"sdk","resources":{"requests":{"cpu":"50m"}}}]}}`).accepted(t)
}
