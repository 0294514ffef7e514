package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// factChecks are the checks for which the facts of a workload are enough.
func factChecks() []policy.Check {
	return slices.DeleteFunc(policy.Checks(), func(c policy.Check) bool { return policy.NeedsPod(c.ID) })
}

// TestFactsAgree judges every fixture by its objects and by the facts that a
// Snapshot keeps of them: the answers are the same.
func TestFactsAgree(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures.All() {
		t.Run(f.Check+"/"+f.Name, func(t *testing.T) {
			t.Parallel()
			inputs := scheme(f).Inputs()
			snap := policy.NewSnapshot(options(f), objects(inputs))
			inputs = slices.DeleteFunc(inputs, func(in policy.Input) bool { sub := snap.Subject(in); return sub.Workload == nil })
			byObjects := policy.Review(factChecks(), inputs, snap, false)
			byFacts := policy.ReviewWorkloads(factChecks(), snap, nil)
			if diff := cmp.Diff(answers(&byObjects), answers(&byFacts)); diff != "" {
				t.Errorf("by objects and by facts (-objects +facts):\n%s", diff)
			}
		})
	}
}

// answers are what a report says of each pair, sorted.
func answers(r *policy.Report) []string {
	out := findings(*r)
	for _, p := range r.Passed {
		out = append(out, "passed "+string(r.Check(p).ID)+" "+r.Subject(p).Ref.String())
	}
	slices.Sort(out)
	return out
}

// replicas are n pods of a Deployment as a cluster has them.
func replicas(d *appsv1.Deployment, hash string, n int) []runtime.Object {
	out := make([]runtime.Object, 0, n)
	for i := range n {
		p := &corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
		p.GenerateName = d.Name + "-" + hash + "-"
		p.Name, p.Namespace = fmt.Sprintf("%s%05d", p.GenerateName, i), d.Namespace
		p.UID = types.UID(p.Namespace + "/" + p.Name)
		p.Labels["pod-template-hash"] = hash
		access := fmt.Sprintf("kube-api-access-%05d", i)
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: access, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}})
		for j := range p.Spec.Containers {
			c := &p.Spec.Containers[j]
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: access, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"})
		}
		p.Spec.NodeName = fmt.Sprintf("node-%d", i%7)
		out = append(out, p)
	}
	return out
}

// TestPodsAreCounted follows pods that come, change and go: those that repeat
// each other are one workload, there as long as one of them is.
func TestPodsAreCounted(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	snap := snapshot(s.Objects())
	pods := replicas(s.SDK1, "aaa", 3)
	names := func(snap *policy.Snapshot) []string {
		var out []string
		for _, w := range snap.Workloads(fixtures.Namespace) {
			if w.Ref.Kind == "Pod" {
				out = append(out, w.Ref.Name)
			}
		}
		return out
	}
	expect := func(what string, snap *policy.Snapshot, want ...string) {
		t.Helper()
		if got := names(snap); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	three := snap.Apply(policy.Update{Set: pods})
	expect("three pods", three, "perffsp-1-sdk-aaa-*")
	expect("before them", snap)
	if got := three.Pod(fixtures.Namespace, "perffsp-1-sdk-aaa-00001"); got == nil || got.Role != policy.RoleSDK {
		t.Errorf("the pod is not found by its name: %v", got)
	}
	if got := three.Pod(fixtures.Namespace, "perffsp-1-sdk-aaa-00009"); got != nil {
		t.Errorf("a pod that is not there is found: %v", got.Ref)
	}
	two := three.Apply(policy.Update{Gone: []policy.Ref{policy.RefOf(pods[0])}})
	again := two.Apply(policy.Update{Gone: []policy.Ref{policy.RefOf(pods[0])}})
	expect("one is gone twice", again, "perffsp-1-sdk-aaa-*")
	none := again.Apply(policy.Update{Gone: []policy.Ref{policy.RefOf(pods[1]), policy.RefOf(pods[2])}})
	expect("all are gone", none)

	changed := pods[1].DeepCopyObject().(*corev1.Pod)
	changed.Spec.Containers[0].Env = append(changed.Spec.Containers[0].Env, corev1.EnvVar{Name: "JWS_SIGN", Value: "false"})
	mixed := three.Apply(policy.Update{Set: []runtime.Object{changed}})
	expect("one differs", mixed, "perffsp-1-sdk-aaa-*", "perffsp-1-sdk-aaa-*")
	got := policy.ReviewWorkloads(factChecks(), mixed, nil)
	if !slices.ContainsFunc(got.Findings, func(f policy.Finding) bool { return got.Check(f.Pair).ID == "jws-signing-enabled" }) {
		t.Error("the pod that does not sign is not found")
	}
	expect("the one that differs is gone", mixed.Apply(policy.Update{Gone: []policy.Ref{policy.RefOf(changed)}}), "perffsp-1-sdk-aaa-*")
	expect("it is as before", mixed.Apply(policy.Update{Set: pods[1:2]}), "perffsp-1-sdk-aaa-*")

	alone := pods[0].DeepCopyObject().(*corev1.Pod)
	alone.GenerateName, alone.Name = "", "by-hand"
	expect("a pod with a name of its own", three.Apply(policy.Update{Set: []runtime.Object{alone}}), "by-hand", "perffsp-1-sdk-aaa-*")
	grouped := alone.DeepCopy()
	grouped.GenerateName = "by-"
	expect("a pod that stood alone", three.Apply(policy.Update{Set: []runtime.Object{alone}}).Apply(policy.Update{Set: []runtime.Object{grouped}}), "by-*", "perffsp-1-sdk-aaa-*")
	expect("and back", three.Apply(policy.Update{Set: []runtime.Object{grouped}}).Apply(policy.Update{Set: []runtime.Object{alone}}), "by-hand", "perffsp-1-sdk-aaa-*")
	for what, snap := range map[string]*policy.Snapshot{"three pods": three, "all are gone": none} {
		if got := failures(snap, policy.Input{Object: s.SDK1}, policy.Input{Object: pods[0]}); len(got) > 0 {
			t.Errorf("%s: the good Deployment and its pod fail %q", what, got)
		}
	}
}

// TestManyPodsAtOnce takes in more than a handful of objects at a time.
func TestManyPodsAtOnce(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	all := slices.Concat(s.Objects(), replicas(s.SDK1, "aaa", 700), replicas(s.SDK2, "bbb", 700))
	empty := policy.NewSnapshot(options(fixtures.Fixture{}), nil)
	atOnce, oneByOne := empty.Apply(policy.Update{Set: all}), empty
	for _, o := range all {
		oneByOne = oneByOne.Apply(policy.Update{Set: []runtime.Object{o}})
	}
	a, b := policy.ReviewWorkloads(factChecks(), atOnce, nil), policy.ReviewWorkloads(factChecks(), oneByOne, nil)
	if diff := cmp.Diff(answers(&a), answers(&b)); diff != "" {
		t.Errorf("-at once +one by one:\n%s", diff)
	}
	if want := 5; len(a.Subjects) != want {
		t.Errorf("got %d workloads, want %d: three Deployments and two kinds of pods", len(a.Subjects), want)
	}
}

// TestManySecretsAtOnce replaces more Secrets than a handful in a namespace of
// which much is computed already.
func TestManySecretsAtOnce(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	snap := snapshot(s.Objects())
	snap.Prepare()
	r := policy.NewReducer(options(fixtures.Fixture{}).HashKey)
	var u policy.Update
	for i := range 600 {
		u.Data = append(u.Data, r.Secret(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("other-%d", i), Namespace: fixtures.Namespace}}))
	}
	s.ILP2.Data = s.ILP1.Data
	u.Data = append(u.Data, r.Secret(s.ILP2))
	if got := failures(snap.Apply(u), policy.Input{Object: s.SDK1}); !slices.Equal(got, []string{"ilp-secret-unique"}) {
		t.Errorf("failed: got %q, want ilp-secret-unique", got)
	}
}

// TestTracking sees that a verdict names what it did not find, and only that.
func TestTracking(t *testing.T) {
	t.Parallel()
	secret := func(name string) policy.Fact {
		return policy.Fact{Kind: policy.FactSecret, Namespace: fixtures.Namespace, Name: name}
	}
	configMap := policy.Fact{Kind: policy.FactConfigMap, Namespace: fixtures.Namespace, Name: "mojaloop-jws-verification-keys"}
	tests := []struct {
		name  string
		tweak func(s *fixtures.Scheme)
		want  []policy.Fact
	}{
		{"nothing is missing", func(*fixtures.Scheme) {}, nil},
		{"secret of another", func(s *fixtures.Scheme) { s.Without = []string{"Secret/perffsp-2-ilp"} }, nil},
		{"secret", func(s *fixtures.Scheme) { s.Without = []string{"Secret/perffsp-1-ilp"} }, []policy.Fact{secret("perffsp-1-ilp")}},
		{"key of a secret", func(s *fixtures.Scheme) { delete(s.ILP1.Data, "ILP_SECRET") }, []policy.Fact{secret("perffsp-1-ilp")}},
		{"signing key", func(s *fixtures.Scheme) { delete(s.JWS1.Data, "jwsSigningKey.pem") }, []policy.Fact{secret("perffsp-1-jws-keys")}},
		{"key of a peer", func(s *fixtures.Scheme) { delete(s.VerificationKeys.Data, "perffsp-2.pem") }, []policy.Fact{configMap}},
		{"config map", func(s *fixtures.Scheme) { s.Without = []string{"ConfigMap/mojaloop-jws-verification-keys"} }, []policy.Fact{configMap}},
		{"policy", func(s *fixtures.Scheme) { s.Without = []string{"PeerAuthentication/default"} }, []policy.Fact{
			{Kind: policy.FactPeerAuthentication, Namespace: "istio-system"}, {Kind: policy.FactPeerAuthentication, Namespace: fixtures.Namespace},
		}},
		{"policy and mesh config", func(s *fixtures.Scheme) {
			s.Without = []string{"PeerAuthentication/default", "ConfigMap/istio"}
		}, []policy.Fact{
			{Kind: policy.FactConfigMap, Namespace: "istio-system", Name: "istio"},
			{Kind: policy.FactPeerAuthentication, Namespace: "istio-system"},
			{Kind: policy.FactPeerAuthentication, Namespace: fixtures.Namespace},
		}},
		{"namespace", func(s *fixtures.Scheme) { s.Without = []string{"Namespace/" + fixtures.Namespace} }, []policy.Fact{
			{Kind: policy.FactNamespace, Name: fixtures.Namespace},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fixtures.NewScheme()
			tt.tweak(s)
			var got []policy.Fact
			snap := snapshot(s.Objects()).Tracking(func(f policy.Fact) {
				if !slices.Contains(got, f) {
					got = append(got, f)
				}
			})
			policy.Review(policy.Checks(), []policy.Input{{Object: s.SDK1}}, snap, true)
			slices.SortFunc(got, func(a, b policy.Fact) int { return strings.Compare(a.String(), b.String()) })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("noted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnread sees that what cannot be read is unknown, also to what was computed
// before, and known again afterwards.
func TestUnread(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	s.Without = []string{"Secret/perffsp-1-ilp", "PeerAuthentication/default", "Secret/perffsp-2-jws-keys"}
	snap := snapshot(s.Objects())
	skips := func(snap *policy.Snapshot) map[string]int {
		r := policy.Review(policy.Checks(), []policy.Input{{Object: s.SDK1}}, snap, true)
		return count(&r).skipped
	}
	if got := skips(snap); got["ilp-secret-not-default"]+got["mtls-strict"]+got["jws-key-unique"] > 0 {
		t.Fatalf("got %v: all is known at first", got)
	}
	closed := snap.Apply(policy.Update{Unread: map[policy.Scope]string{
		{Kind: policy.FactSecret, Namespace: fixtures.Namespace}: "forbidden",
		{Kind: policy.FactPeerAuthentication}:                    "forbidden",
	}})
	got := skips(closed)
	for _, id := range []string{"ilp-secret-not-default", "mtls-strict", "jws-key-unique"} {
		if got[id] == 0 {
			t.Errorf("%s is not skipped, though its facts cannot be read: %v", id, got)
		}
	}
	if diff := cmp.Diff(skips(snap), skips(closed.Apply(policy.Update{Unread: map[policy.Scope]string{}}))); diff != "" {
		t.Errorf("all can be read again (-before +after):\n%s", diff)
	}
}

// TestWhatIf sees that Profiles, Waivers and Quarantines count in a what-if, and
// no longer when it is taken back.
func TestWhatIf(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	fixtures.Container(s.SDK1).Image = "registry.example.org/bank/connector:v3"
	delete(s.SDK1.Spec.Template.Labels, "component")
	delete(s.SDK1.Spec.Template.Labels, "app.kubernetes.io/name")
	for _, name := range []string{"JWS_SIGNING_KEY_PATH", "JWS_VERIFICATION_KEYS_DIRECTORY", "ILP_SECRET"} {
		fixtures.SetEnv(s.SDK1, name, "")
	}
	fixtures.Container(s.SDK1).VolumeMounts = nil
	snap := snapshot(s.Objects())
	profile := v1alpha1.DefaultProfile()
	profile.Spec.Recognition = []v1alpha1.RecognitionRule{{Role: v1alpha1.RoleSDK, Images: []string{"bank/connector"}}}
	failed := func(snap *policy.Snapshot) []string {
		r := policy.ReviewWorkloads(factChecks(), snap, nil)
		var out []string
		for _, f := range r.Findings {
			if id := string(r.Check(f.Pair).ID); !f.Waived && r.Subject(f.Pair).Ref.Name == s.SDK1.Name && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
		slices.Sort(out)
		return out
	}
	if got := failed(snap); len(got) > 0 {
		t.Fatalf("failed: got %q, want nothing of a workload that is not known", got)
	}
	with := snap.With(profile)
	want := []string{"dfsp-isolated", "ilp-secret-set", "jws-signing-key-mounted", "jws-verification-keys-mounted"}
	if got := failed(with); !slices.Equal(got, want) {
		t.Errorf("the Profile knows the image: got %q, want %q", got, want)
	}
	if got := failed(with.Without(policy.RefOf(profile))); len(got) > 0 {
		t.Errorf("the Profile is gone: got %q, want nothing", got)
	}
	waiver := &v1alpha1.Waiver{ObjectMeta: metav1.ObjectMeta{Name: "pilot"}, Spec: v1alpha1.WaiverSpec{
		Checks: want, Match: v1alpha1.WaiverMatch{Namespaces: []string{fixtures.Namespace}}, Reason: "pilot of the new connector", Owner: "team",
		ExpiresAt: metav1.NewTime(fixtures.Now.AddDate(0, 0, 1)),
	}}
	waived := with.With(waiver)
	if got := failed(waived); len(got) > 0 {
		t.Errorf("waived: got %q, want nothing", got)
	}
	if got := failed(waived.Without(policy.RefOf(waiver))); !slices.Equal(got, want) {
		t.Errorf("the Waiver is gone: got %q, want %q", got, want)
	}
	quarantine := &v1alpha1.Quarantine{
		ObjectMeta: metav1.ObjectMeta{Name: "incident", Namespace: fixtures.Namespace},
		Spec:       v1alpha1.QuarantineSpec{DFSP: fixtures.DFSP1},
	}
	held := snap.With(quarantine)
	if got := failed(held); !slices.Equal(got, []string{"quarantine-held"}) {
		t.Errorf("quarantined: got %q, want quarantine-held", got)
	}
	if got := failed(held.Without(policy.RefOf(quarantine))); len(got) > 0 {
		t.Errorf("the Quarantine is gone: got %q, want nothing", got)
	}
	marked, changes := policy.Injector{}.InjectMarker(&s.SDK1.Spec.Template, fixtures.Namespace, held)
	if got := marked.Labels["mojasec.io/quarantine"]; got != "incident" || len(changes) != 1 {
		t.Errorf("marker: got %q with %d changes, want incident with 1", got, len(changes))
	}
	if _, changes := (policy.Injector{}).InjectMarker(&s.HubDeployment.Spec.Template, fixtures.Namespace, held); len(changes) != 0 {
		t.Errorf("the hub's pod got the marker of a DFSP: %v", changes)
	}
}

// TestMarkerInEveryMode sees that a quarantine stands where nothing else is
// injected.
func TestMarkerInEveryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"enforce", "warn", "audit", ""} {
		s := fixtures.NewScheme()
		s.Namespace.Labels["mojasec.io/mode"] = mode
		if mode == "" {
			delete(s.Namespace.Labels, "mojasec.io/mode")
		}
		s.More = append(s.More, &v1alpha1.Quarantine{
			ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("long", 20), Namespace: fixtures.Namespace},
			Spec:       v1alpha1.QuarantineSpec{DFSP: fixtures.DFSP1},
		})
		r := policy.Review(policy.Checks(), []policy.Input{{Object: s.SDK1}}, snapshot(s.Objects()), true)
		if len(r.Injected) != 1 || r.Injected[0].Check != "quarantine-held" || !strings.Contains(r.Injected[0].Change, fixtures.DFSP1) {
			t.Errorf("mode %q: injected %v, want the marker alone", mode, r.Injected)
		}
	}
}

// TestNoMesh sees that rules about a mesh do not apply to a cluster without
// Istio's API, unless the Profile says that there is one.
func TestNoMesh(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	s.Without = []string{"PeerAuthentication/default", "DestinationRule/quoting-service", "Gateway/interop", "ConfigMap/istio"}
	no, yes := false, true
	profile := v1alpha1.DefaultProfile()
	profile.Spec.Mesh = v1alpha1.MeshSidecar
	snap := snapshot(s.Objects())
	without := snap.Apply(policy.Update{Mesh: &no})
	tests := []struct {
		name string
		snap *policy.Snapshot
		want []string
	}{
		{"with Istio", snap, []string{"mtls-strict"}},
		{"without", without, []string{"sdk-mutual-tls"}},
		{"the Profile wants sidecars", without.With(profile), []string{"mtls-strict"}},
		{"Istio was installed", without.Apply(policy.Update{Mesh: &yes}), []string{"mtls-strict"}},
	}
	for _, tt := range tests {
		if got := failures(tt.snap, policy.Input{Object: s.SDK1}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: failed %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestFieldOfPod follows a variable to the field of the pod that it takes.
func TestFieldOfPod(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path string
		want string // "" for what the object does not tell
	}{
		{"metadata.labels['dfsp']", fixtures.DFSP1},
		{"metadata.namespace", fixtures.Namespace},
		{"spec.serviceAccountName", fixtures.DFSP1},
		{"metadata.labels['added-later']", ""},
		{"metadata.name", ""}, // of a pod that is still to be made
		{"status.podIP", ""},
	}
	for _, tt := range tests {
		s := fixtures.NewScheme()
		fixtures.SetEnv(s.SDK1, "DFSP_ID", "")
		c := fixtures.Container(s.SDK1)
		c.Env = append(c.Env, corev1.EnvVar{Name: "DFSP_ID", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: tt.path}}})
		snap := snapshot(s.Objects())
		sub := snap.Subject(policy.Input{Object: s.SDK1})
		v := snap.Value(sub.Workload, sub.Workload.SDKs()[0], "DFSP_ID")
		if known := v.Presence == policy.Present; known != (tt.want != "") || v.Text != tt.want {
			t.Errorf("%s: got %q (presence %d), want %q", tt.path, v.Text, v.Presence, tt.want)
		}
	}
}

// TestFollowedSnapshotHoldsNoSecret plants secrets in what a Snapshot is told
// later, and walks all memory it reaches.
func TestFollowedSnapshotHoldsNoSecret(t *testing.T) {
	t.Parallel()
	const a, b, c = "canary-H7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE", "canary-I7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE", "canary-J7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE"
	s := fixtures.NewScheme()
	opts := options(fixtures.Fixture{})
	r := policy.NewReducer(opts.HashKey)
	s.ILP1.Data["ILP_SECRET"] = []byte(a)
	s.HubConfig.Data["ILP_SECRET"] = b
	fixtures.SetEnv(s.SDK2, "ILP_SECRET", c)
	fixtures.Container(s.SDK2).Args = []string{"--secret", c, "ILP_SECRET=" + c}
	fixtures.SetEnv(s.SDK2, "ANYTHING", c)
	snap := policy.NewSnapshot(opts, nil).Apply(policy.Update{
		Set:  slices.Concat(s.Objects(), replicas(s.SDK2, "aaa", 2)),
		Data: []*policy.Data{r.Secret(s.ILP1), r.ConfigMap(s.HubConfig)},
	})
	snap.Prepare()
	w := walker{seen: map[uintptr]bool{}}
	w.walk(reflect.ValueOf(snap))
	memory := w.text.String()
	if !strings.Contains(memory, "perffsp-2-sdk-aaa-") {
		t.Fatal("the walk did not reach the names of pods: this test proves nothing")
	}
	for _, canary := range []string{a, b, c} {
		if strings.Contains(memory, canary) {
			t.Errorf("the Snapshot holds %.8s…", canary)
		}
	}
	if d := r.Secret(s.ILP1); d.Entries[0].Tag != policy.NewReducer(opts.HashKey).Secret(s.ILP1).Entries[0].Tag {
		t.Error("two Reducers of one key differ")
	}
}
