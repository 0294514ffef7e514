package istio

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
)

// foretold are the checks whose verdict on a file is compared with the pod that
// comes of it.
var foretold = []string{"mtls-in-mesh", "mtls-no-bypass", "jws-signing-key-mounted", "jws-verification-keys-mounted", "ilp-secret-set"}

// deployments are what people write, each with one thing that decides about the
// pod that comes of it.
var deployments = []struct {
	name  string
	tweak func(*corev1.PodTemplateSpec)
	// hub is set for a Deployment of the hub, which brings its keys with it.
	hub bool
}{
	{name: "bare", tweak: func(p *corev1.PodTemplateSpec) { bare(&p.Spec) }},
	{name: "compliant"},
	{name: "hub", hub: true},
	{name: "label-true", tweak: labelled("sidecar.istio.io/inject", "true")},
	{name: "label-false", tweak: labelled("sidecar.istio.io/inject", "false")},
	{name: "annotation-false", tweak: annotated("sidecar.istio.io/inject", "false")},
	{name: "annotation-true", tweak: annotated("sidecar.istio.io/inject", "true")},
	{name: "label-over-annotation", tweak: both(labelled("sidecar.istio.io/inject", "true"), annotated("sidecar.istio.io/inject", "false"))},
	{name: "label-false-over-annotation", tweak: both(labelled("sidecar.istio.io/inject", "false"), annotated("sidecar.istio.io/inject", "true"))},
	{name: "revision-of-istio", tweak: labelled("istio.io/rev", "default")},
	{name: "host-network", tweak: func(p *corev1.PodTemplateSpec) { p.Spec.HostNetwork = true }},
	{name: "ambient-label", tweak: labelled("istio.io/dataplane-mode", "ambient")},
	{name: "ambient-none", tweak: labelled("istio.io/dataplane-mode", "none")},
	{name: "native-sidecar", tweak: func(p *corev1.PodTemplateSpec) {
		p.Spec.InitContainers = []corev1.Container{{Name: "agent", Image: "example.org/agent:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
	}},
	{name: "proxy-as-container", tweak: annotated("sidecar.istio.io/nativeSidecar", "false")},
	{name: "bypass-inbound", tweak: annotated("traffic.sidecar.istio.io/excludeInboundPorts", "4000")},
	{name: "bypass-outbound", tweak: annotated("traffic.sidecar.istio.io/excludeOutboundPorts", "4000")},
	{name: "bypass-ranges", tweak: annotated("traffic.sidecar.istio.io/excludeOutboundIPRanges", "10.0.0.0/8")},
	{name: "bypass-include-none", tweak: annotated("traffic.sidecar.istio.io/includeInboundPorts", "")},
	{name: "bypass-no-interception", tweak: annotated("sidecar.istio.io/interceptionMode", "NONE")},
	{name: "bypass-proxy-config", tweak: annotated("proxy.istio.io/config", "interceptionMode: NONE")},
	{name: "bypass-status-port", tweak: annotated("status.sidecar.istio.io/port", "4000")},
	{name: "datastore-ports", tweak: annotated("traffic.sidecar.istio.io/excludeOutboundPorts", "3306,9092")},
}

func labelled(key, value string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { metav1.SetMetaDataLabel(&p.ObjectMeta, key, value) }
}

func annotated(key, value string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { metav1.SetMetaDataAnnotation(&p.ObjectMeta, key, value) }
}

func both(a, b func(*corev1.PodTemplateSpec)) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) { a(p); b(p) }
}

// TestForetold compares what verify says about files with what the real Istio
// and the real webhook make of them, in namespaces with every kind of label.
func TestForetold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		labels map[string]string
		// ambient tells that the namespace is in the ambient mesh, in which
		// the node enrols pods. There is no such node here: Istio's rule for it
		// stands in.
		ambient bool
		// plugin tells that Istio's network plugin captures the traffic.
		plugin bool
		// unknown tells that verify cannot know whether a pod will be in the
		// mesh, and says so.
		unknown bool
		// in and out are the least numbers of pods in and of Deployments kept
		// out of the mesh: a table with one answer proves nothing.
		in, out int
	}{
		{name: "enforce, injected by Istio", labels: enforcedInMesh, in: 10, out: 4},
		{name: "enforce, injected by our label", labels: enforced, in: 9, out: 4},
		{name: "enforce, Istio's network plugin", labels: enforcedInMesh, plugin: true, in: 10, out: 4},
		{name: "no mode, injected by Istio", labels: map[string]string{"istio-injection": "enabled"}, in: 10, out: 4},
		{name: "no mode, Istio's network plugin", labels: map[string]string{"istio-injection": "enabled"}, plugin: true, in: 10, out: 4},
		{name: "no mode, not injected", labels: map[string]string{}, in: 2, out: 10},
		{name: "enforce, revision of Istio", labels: map[string]string{"mojasec.io/mode": "enforce", "istio.io/rev": "default"}, in: 10, out: 4},
		{name: "no mode, revision of Istio", labels: map[string]string{"istio.io/rev": "default"}, in: 10, out: 4},
		{name: "enforce, revision of nobody", labels: map[string]string{"mojasec.io/mode": "enforce", "istio.io/rev": "nobody"}, unknown: true, out: 15},
		{name: "enforce, kept out", labels: map[string]string{"mojasec.io/mode": "enforce", "istio-injection": "disabled"}, out: 15},
		{name: "enforce, a label that Istio does not know", labels: map[string]string{"mojasec.io/mode": "enforce", "istio-injection": "true"}, out: 15},
		{name: "no mode, a label that Istio does not know", labels: map[string]string{"istio-injection": "true", "istio.io/rev": "default"}, out: 15},
		{name: "enforce, ambient", labels: map[string]string{"mojasec.io/mode": "enforce", "istio.io/dataplane-mode": "ambient"}, ambient: true, in: 10, out: 2},
		{name: "no mode, ambient", labels: map[string]string{"istio.io/dataplane-mode": "ambient"}, ambient: true, in: 10, out: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.plugin {
				world.useNetworkPlugin(t)
			}
			s := world.newScheme(t, tt.labels)
			f := &foretelling{s: s, ambient: tt.ambient, enforce: tt.labels["mojasec.io/mode"] == "enforce"}
			objs := f.deployments()
			f.verify(t, objs)
			if slices.Contains(f.skipped["compliant"], foretold[0]) != tt.unknown || len(f.skipped) > 0 != tt.unknown {
				t.Errorf("verify skips %v; want skips: %t", f.skipped, tt.unknown)
			}
			f.plain = world.capture(t)
			for i := range deployments {
				t.Run(deployments[i].name, func(t *testing.T) { f.compare(t, objs[i], deployments[i].hub) })
			}
			if f.in < tt.in || f.out < tt.out {
				t.Errorf("got %d pods in and %d Deployments out of the mesh, want at least %d and %d: this proves little", f.in, f.out, tt.in, tt.out)
			}
		})
	}
}

// foretelling is one namespace with what verify says about each Deployment.
type foretelling struct {
	s                *scheme
	ambient, enforce bool
	// findings are the checks that fail, skipped those without a verdict, by
	// Deployment.
	findings, skipped map[string][]string
	// plain is how a pod is captured that says nothing about it.
	plain   []string
	in, out int
}

// deployments are those of the table in this namespace. They share no pods.
func (f *foretelling) deployments() []*appsv1.Deployment {
	var out []*appsv1.Deployment
	for i := range deployments {
		from := f.s.SDK1
		if deployments[i].hub {
			from = f.s.HubDeployment
		}
		d := fixtures.In(f.s.ns, from)
		d.Name, d.Spec.Replicas = deployments[i].name, new(int32(1))
		metav1.AddLabelToSelector(d.Spec.Selector, "case", d.Name)
		metav1.SetMetaDataLabel(&d.Spec.Template.ObjectMeta, "case", d.Name)
		if deployments[i].tweak != nil {
			deployments[i].tweak(&d.Spec.Template)
		}
		out = append(out, d)
	}
	return out
}

// verify judges the Deployments as files, with the files of their namespace and
// of the mesh beside them.
func (f *foretelling) verify(t *testing.T, objs []*appsv1.Deployment) {
	t.Helper()
	files := f.s.rest()
	for _, o := range objs {
		files = append(files, o)
	}
	text := world.meshObjects(t) + "---\n" + world.must(t, "", "get", "namespace", f.s.ns, "-o", "yaml") + f.s.yaml(t, files...)
	a := world.plugin(t, text, "verify", "-f", "-", "-o", "json", "--only", strings.Join(foretold, ","))
	type about struct {
		Check   string
		Subject struct{ Kind, Name string }
	}
	var report struct {
		Findings, Skipped []about
		Errors            []json.RawMessage
	}
	if err := json.Unmarshal([]byte(a.stdout), &report); err != nil || len(report.Errors) > 0 {
		t.Fatalf("verify: %v, %s %s", err, report.Errors, a.stderr)
	}
	f.findings, f.skipped = map[string][]string{}, map[string][]string{}
	for _, skipped := range report.Skipped {
		f.skipped[skipped.Subject.Name] = append(f.skipped[skipped.Subject.Name], skipped.Check)
	}
	for _, found := range report.Findings {
		if list := f.findings[found.Subject.Name]; found.Subject.Kind == "Deployment" && !slices.Contains(list, found.Check) {
			f.findings[found.Subject.Name] = append(list, found.Check)
		}
	}
}

// compare creates a Deployment and compares what was said of it with what
// becomes of it.
func (f *foretelling) compare(t *testing.T, d *appsv1.Deployment, hub bool) {
	said := f.findings[d.Name]
	err := world.client.Create(t.Context(), d)
	if f.enforce && len(said) > 0 {
		f.out++
		if err == nil {
			t.Fatalf("got in; verify said %q", said)
		}
		for _, check := range said {
			if !strings.Contains(err.Error(), check+":") {
				t.Errorf("got the refusal %q, which does not name %s", err, check)
			}
		}
		return
	}
	if err != nil {
		t.Fatalf("refused; verify said %q: %v", said, err)
	}
	pod := f.podOf(t, d)
	has := map[string]bool{"mtls-in-mesh": f.inMesh(pod)}
	switch {
	case hub: // brings its own keys and has no ILP secret
	default:
		for _, check := range foretold[2:] {
			has[check] = holds(pod)[check]
		}
	}
	if controlplane.HasSidecar(pod) {
		has["mtls-no-bypass"] = slices.Equal(captureOf(pod), f.plain)
	}
	if has["mtls-in-mesh"] {
		f.in++
	} else {
		f.out++
	}
	for check, ok := range has {
		if slices.Contains(f.skipped[d.Name], check) {
			continue
		}
		if fails := slices.Contains(said, check); fails == ok {
			t.Errorf("verify said that %s fails: %t; it holds for the pod: %t", check, fails, ok)
		}
	}
}

// podOf returns the pod of a Deployment when it runs, and deletes both, so that
// the next is alone.
func (f *foretelling) podOf(t *testing.T, d *appsv1.Deployment) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	eventually(t, "the pod of "+d.Name+" to run", func(ctx context.Context) (bool, string) {
		var pods corev1.PodList
		if err := world.client.List(ctx, &pods, client.InNamespace(f.s.ns), client.MatchingLabels{"case": d.Name}); err != nil || len(pods.Items) == 0 {
			var events corev1.EventList
			_ = world.client.List(ctx, &events, client.InNamespace(f.s.ns))
			last := fmt.Sprint("no pod ", err)
			for i := range events.Items {
				last = events.Items[i].Message
			}
			return false, last
		}
		pod = &pods.Items[0]
		return pod.Status.Phase == corev1.PodRunning, string(pod.Status.Phase)
	})
	world.remove(t, d)
	return pod
}

// inMesh tells whether Istio has a pod in the mesh: by its proxy or, where the
// mesh is ambient, by the rule of its node agent.
func (f *foretelling) inMesh(pod *corev1.Pod) bool {
	return controlplane.HasSidecar(pod) || f.ambient && pod.Labels["istio.io/dataplane-mode"] != "none" && !pod.Spec.HostNetwork
}

// capture returns how a pod is captured that says nothing about it.
func (c *cluster) capture(t *testing.T) []string {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "plain", Labels: map[string]string{"sidecar.istio.io/inject": "true"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sdk", Image: "example.org/app:1"}}},
	}
	if err := c.client.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	args := captureOf(pod)
	if len(args) == 0 {
		t.Fatalf("the traffic of an injected pod is not captured")
	}
	return args
}

// captureOf returns the rules by which Istio captures the traffic of a pod,
// none when it does not. Datastore ports may be left out of them. With Istio's
// network plugin a container checks the rules instead of making them.
func captureOf(pod *corev1.Pod) []string {
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.Name == "istio-init" || c.Name == "istio-validation" {
			args := slices.Clone(c.Args)
			if o := slices.Index(args, "-o"); o >= 0 && args[o+1] == "3306,9092" {
				args = slices.Delete(args, o, o+2)
			}
			return args
		}
	}
	return nil
}

// useNetworkPlugin configures Istio for its CNI plugin until the test ends: the
// injector then leaves the capture to the node and writes on the pod what the
// plugin needs to know.
func (c *cluster) useNetworkPlugin(t *testing.T) {
	t.Helper()
	key := client.ObjectKey{Namespace: meshRoot, Name: injector}
	var was corev1.ConfigMap
	if err := c.client.Get(t.Context(), key, &was); err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, values, container string) {
		patch, err := json.Marshal(map[string]any{"data": map[string]string{"values": values}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.client.Patch(ctx, was.DeepCopy(), client.RawPatch("application/merge-patch+json", patch)); err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "probe", Labels: map[string]string{"sidecar.istio.io/inject": "true"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.org/app:1"}}},
		}
		for {
			probe := pod.DeepCopy()
			if err := c.client.Create(ctx, probe, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(probe.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == container }) {
				return
			}
		}
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(was.Data["values"]), &values); err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedField(values, true, "pilot", "cni", "enabled"); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	set(ctx, string(text), "istio-validation")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		set(ctx, was.Data["values"], "istio-init")
	})
}
