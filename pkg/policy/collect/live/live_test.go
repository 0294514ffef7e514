package live

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// quick is the pace of tests.
var quick = pace{
	publish: time.Millisecond, retry: 5 * time.Millisecond, retryMax: 20 * time.Millisecond, stale: 50 * time.Millisecond,
	quiet: time.Hour, dirty: time.Hour, spare: time.Hour, tick: 5 * time.Millisecond, remember: 2 * time.Second,
}

// follow runs a Collector until the test ends.
func follow(t *testing.T, s *apiServer, tune func(*Collector)) *Collector {
	t.Helper()
	c, err := New(s.config(), Options{HashKey: []byte("a key for the tests")})
	if err != nil {
		t.Fatal(err)
	}
	c.pace = quick
	if tune != nil {
		tune(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return c
}

// eventually polls until a condition holds; it returns what was said last.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), 2*time.Millisecond, 60*time.Second, true, func(context.Context) (done bool, err error) {
		done, last = ok()
		return done, nil
	})
	if err != nil {
		t.Fatalf("%s: not within 10 s; last: %s", what, last)
	}
}

func ready(t *testing.T, c *Collector) {
	t.Helper()
	eventually(t, "ready", func() (bool, string) {
		err := c.Ready()
		return err == nil && c.Snapshot() != nil, errorText(err)
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func namespace(name string, labels ...string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for i := 0; i+1 < len(labels); i += 2 {
		metav1.SetMetaDataLabel(&ns.ObjectMeta, labels[i], labels[i+1])
	}
	return ns
}

func secret(ns, name, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Data: map[string][]byte{"ILP_SECRET": []byte(value)}}
}

// secretIs polls until a Secret is as known as wanted.
func secretIs(t *testing.T, c *Collector, ns, name string, want policy.Presence) {
	t.Helper()
	eventually(t, "Secret "+ns+"/"+name, func() (bool, string) {
		snap := c.Snapshot()
		if snap == nil {
			return false, "no Snapshot"
		}
		_, got := snap.Secret(ns, name)
		return got == want, snap.Unread(policy.FactSecret, ns)
	})
}

// verdicts of all objects of a scheme, as text.
func verdicts(inputs []policy.Input, snap *policy.Snapshot) []string {
	r := policy.Review(policy.Checks(), inputs, snap.At(fixtures.Now), true)
	var out []string
	for i := range r.Findings {
		f := &r.Findings[i]
		out = append(out, string(r.Check(f.Pair).ID)+" "+r.Place(f).String()+" "+f.Field.String()+" "+f.Detail)
	}
	for i := range r.Skipped {
		out = append(out, "skipped "+string(r.Check(r.Skipped[i].Pair).ID)+" "+r.Subject(r.Skipped[i].Pair).Ref.String()+" "+r.Skipped[i].Reason())
	}
	slices.Sort(out)
	return out
}

// TestFollow sees that what was read is what would be known had it been given,
// that a change arrives, and that it arrives after each way a watch can end.
func TestFollow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		tune  func(*apiServer)
		upset func(*apiServer)
	}{
		{name: "streamed", upset: func(*apiServer) {}},
		{name: "in lists", tune: func(s *apiServer) { s.listsOnly = true }, upset: func(*apiServer) {}},
		{name: "older versions of Istio's kinds", tune: func(s *apiServer) {
			s.versions[istioSecurity], s.versions[istioNetworking] = []string{"v1beta1"}, []string{"v1alpha3"}
		}, upset: func(*apiServer) {}},
		{name: "watches end", upset: (*apiServer).drop},
		{name: "watches end, too old to go on", upset: func(s *apiServer) {
			s.with(func(s *apiServer) { s.compacted = s.rv + 1000 })
			s.drop()
		}},
		{name: "connections break", upset: func(s *apiServer) { s.CloseClientConnections() }},
		{name: "away for a while", upset: func(s *apiServer) {
			s.with(func(s *apiServer) { s.down = true })
			s.CloseClientConnections()
			before := s.count("watch pods")
			eventually(s.t, "a watch is tried", func() (bool, string) { return s.count("watch pods") > before+1, "" })
			s.with(func(s *apiServer) { s.down = false })
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := newAPIServer(t)
			if tt.tune != nil {
				server.with(tt.tune)
			}
			scheme := fixtures.NewScheme()
			server.put(scheme.Objects()...)
			c := follow(t, server, nil)
			ready(t, c)

			opts := policy.SnapshotOptions{Now: fixtures.Now, HashKey: c.opts.HashKey, TrustWaivers: true, Incomplete: []policy.FactKind{policy.FactCA, policy.FactSecretReaders}}
			same := func(what string) {
				t.Helper()
				want := verdicts(scheme.Inputs(), policy.NewSnapshot(opts, scheme.Objects()))
				eventually(t, what, func() (bool, string) {
					diff := cmp.Diff(want, verdicts(scheme.Inputs(), c.Snapshot()))
					return diff == "", diff
				})
			}
			same("as it is")
			tt.upset(server)
			scheme.PeerAuth.Spec.Mtls.Mode = 2 // PERMISSIVE
			scheme.ILP1.Data["ILP_SECRET"] = []byte(fixtures.PublishedILPDefault)
			delete(scheme.Namespace.Labels, "istio-injection")
			server.put(scheme.PeerAuth, scheme.ILP1, scheme.Namespace)
			same("after a change")
			tt.upset(server)
			server.remove(scheme.PeerAuth)
			server.remove(scheme.JWS2)
			scheme.PeerAuth, scheme.JWS2 = nil, nil
			// A scheme cannot lack them, so ask the Snapshot.
			eventually(t, "after a deletion", func() (bool, string) {
				_, presence := c.Snapshot().Secret(fixtures.Namespace, fixtures.DFSP2+"-jws-keys")
				return presence == policy.Absent, c.Snapshot().Unread(policy.FactSecret, fixtures.Namespace)
			})
		})
	}
}

// TestHardCase9NotReadable: a kind that may not be listed is never empty.
func TestHardCase9NotReadable(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.put(namespace("a", v1alpha1.LabelMode, "enforce"))
	server.forbidden["list deployments.apps"] = true
	server.forbidden["watch deployments.apps"] = true
	c := follow(t, server, nil)
	says := func(words ...string) {
		t.Helper()
		eventually(t, "not ready", func() (bool, string) {
			text := errorText(c.Ready())
			missing := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
			return !missing, text
		})
	}
	says("deployments.apps", "list and watch", "ClusterRole mojasec-webhook", "kubectl mojasec install")
	eventually(t, "the rest was read", func() (bool, string) {
		text := errorText(c.Ready())
		return !strings.Contains(text, "still being read"), text
	})
	if c.Snapshot() != nil {
		t.Fatal("there is a Snapshot although Deployments are not known")
	}
	server.with(func(s *apiServer) { delete(s.forbidden, "list deployments.apps") })
	before := server.count("watch deployments.apps")
	eventually(t, "a watch is tried again", func() (bool, string) { return server.count("watch deployments.apps") > before+4, "" })
	says("deployments.apps", "list and watch") // listing is not enough
	server.with(func(s *apiServer) { clear(s.forbidden) })
	ready(t, c)

	t.Run("taken away later", func(t *testing.T) {
		server.with(func(s *apiServer) { s.forbidden["* services"] = true })
		server.drop()
		says("services")
		if got := c.Snapshot().Unread(policy.FactService, "a"); !strings.Contains(got, "services") {
			t.Errorf("Unread(Service): got %q, want the reason", got)
		}
		server.with(func(s *apiServer) { clear(s.forbidden) })
		ready(t, c)
		eventually(t, "read again", func() (bool, string) {
			got := c.Snapshot().Unread(policy.FactService, "a")
			return got == "", got
		})
	})
}

// TestKindsAppear: without Istio its objects are known not to exist; when it is
// installed they are read within seconds.
func TestKindsAppear(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.versions[istioNetworking], server.versions[istioSecurity] = nil, nil
	scheme := fixtures.NewScheme()
	scheme.PeerAuth.Spec.Mtls.Mode = 2
	server.put(scheme.Objects()...)
	c := follow(t, server, nil)
	ready(t, c)
	strict := func() string {
		return strings.Join(verdicts([]policy.Input{{Object: scheme.SDK1}}, c.Snapshot()), "\n")
	}
	if got := strict(); strings.Contains(got, scheme.PeerAuth.Name) {
		t.Errorf("PeerAuthentication is known before its kind is:\n%s", got)
	}
	server.with(func(s *apiServer) { clear(s.versions) })
	eventually(t, "Istio's objects are read", func() (bool, string) {
		got := strict()
		return strings.Contains(got, scheme.PeerAuth.Name), got
	})
	server.with(func(s *apiServer) { s.versions[istioSecurity] = nil })
	server.drop()
	eventually(t, "they are gone with their kind", func() (bool, string) {
		got := strict()
		return !strings.Contains(got, scheme.PeerAuth.Name), got
	})
	if err := c.Ready(); err != nil {
		t.Errorf("Ready: %v, want nil", err)
	}
}

// TestOwnKindsMustExist: without the CRDs the installation is incomplete.
func TestOwnKindsMustExist(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.versions[v1alpha1.GroupVersion.Group] = nil
	c := follow(t, server, nil)
	eventually(t, "not ready", func() (bool, string) {
		text := errorText(c.Ready())
		return strings.Contains(text, "profiles.mojasec.io does not exist") && strings.Contains(text, "kubectl mojasec install"), text
	})
	server.with(func(s *apiServer) { clear(s.versions) })
	ready(t, c)
}

// TestNamespaces opt in and out, and are bound or not.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.put(
		namespace("bound", v1alpha1.LabelMode, "enforce"), secret("bound", "s", "one"),
		namespace("unbound", v1alpha1.LabelMode, "warn"), secret("unbound", "s", "two"),
		namespace("out"), secret("out", "s", "three"),
		namespace("isolated", v1alpha1.LabelQuarantine, "perffsp-1"), secret("isolated", "s", "four"),
	)
	server.forbidden["* secrets/unbound"] = true
	c := follow(t, server, nil)
	ready(t, c) // a namespace that is not bound does not stop the others
	secretIs(t, c, "bound", "s", policy.Present)
	secretIs(t, c, "bound", "other", policy.Absent)
	secretIs(t, c, "isolated", "s", policy.Present)
	secretIs(t, c, "unbound", "s", policy.Unknown)
	secretIs(t, c, "out", "s", policy.Unknown)
	if got, want := c.Snapshot().Unread(policy.FactSecret, "unbound"), "kubectl mojasec install --namespace unbound"; !strings.Contains(got, want) {
		t.Errorf("Unread: got %q, want it to say %q", got, want)
	}
	if n := server.count("list secrets") + server.count("watch secrets"); n == 0 {
		t.Error("nothing was read: this test proves nothing")
	}

	server.with(func(s *apiServer) { clear(s.forbidden) })
	secretIs(t, c, "unbound", "s", policy.Present)
	secretIs(t, c, "unbound", "other", policy.Absent)

	server.put(namespace("out", v1alpha1.LabelMode, "audit"))
	secretIs(t, c, "out", "s", policy.Present)
	server.put(namespace("out"))
	secretIs(t, c, "out", "s", policy.Unknown)
	server.put(secret("out", "late", "five"), namespace("out", v1alpha1.LabelMode, "enforce"))
	secretIs(t, c, "out", "late", policy.Present)

	server.remove(namespace("bound"))
	eventually(t, "the namespace is gone", func() (bool, string) {
		_, presence := c.Snapshot().Namespace("bound")
		return presence == policy.Absent, ""
	})
}

// TestMeshConfig is read by name, in the namespace and for the revision that
// the Profile names.
func TestMeshConfig(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	config := func(ns, name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Data: map[string]string{"mesh": "enableAutoMtls: false"}}
	}
	server.put(namespace("istio-system"), config("istio-system", "istio"), config("istio-system", "other"), namespace("mesh"), config("mesh", "istio-canary"))
	c := follow(t, server, nil)
	ready(t, c)
	is := func(ns, name string, want policy.Presence) {
		t.Helper()
		eventually(t, "ConfigMap "+ns+"/"+name, func() (bool, string) {
			_, got := c.Snapshot().ConfigMap(ns, name)
			return got == want, c.Snapshot().Unread(policy.FactConfigMap, ns)
		})
	}
	is("istio-system", "istio", policy.Present)
	is("istio-system", "other", policy.Absent) // not read: nobody asks for it
	is("mesh", "istio-canary", policy.Unknown)

	p := v1alpha1.DefaultProfile()
	p.Spec.MeshRootNamespace, p.Spec.Revision = "mesh", "canary"
	server.put(p)
	is("mesh", "istio-canary", policy.Present)
	is("istio-system", "istio", policy.Unknown)

	server.with(func(s *apiServer) { s.forbidden["* configmaps/mesh"] = true })
	server.drop()
	eventually(t, "the mesh config may not be read", func() (bool, string) {
		got := c.Snapshot().Unread(policy.FactMeshConfig, "")
		return strings.Contains(got, "kubectl mojasec install"), got
	})
	if err := c.Ready(); err != nil {
		t.Errorf("Ready: %v, want nil: a cluster may have no mesh", err)
	}
	server.with(func(s *apiServer) { clear(s.forbidden) })
	eventually(t, "it may be read", func() (bool, string) {
		got := c.Snapshot().Unread(policy.FactMeshConfig, "")
		return got == "", got
	})

	// The namespace opts in: all of it is read now, by another source.
	server.put(namespace("mesh", v1alpha1.LabelMode, "warn"), config("mesh", "other"))
	is("mesh", "other", policy.Present)
	is("mesh", "istio-canary", policy.Present)
	server.put(namespace("mesh"))
	is("mesh", "other", policy.Absent)
	is("mesh", "istio-canary", policy.Present)
}

// TestStale: what cannot be watched any more is not absent, and the process
// stays ready.
func TestStale(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.put(namespace("a", v1alpha1.LabelMode, "enforce"), secret("a", "s", "one"))
	c := follow(t, server, nil)
	ready(t, c)
	secretIs(t, c, "a", "other", policy.Absent)
	server.with(func(s *apiServer) { s.down = true })
	server.CloseClientConnections()
	secretIs(t, c, "a", "other", policy.Unknown)
	secretIs(t, c, "a", "s", policy.Present)
	if err := c.Ready(); err != nil {
		t.Errorf("Ready: %v, want nil", err)
	}
	eventually(t, "stale", func() (bool, string) {
		text := strings.Join(c.Stale(), "\n")
		return strings.Contains(text, "secrets in namespace a since ") && strings.Contains(text, "pods since "), text
	})
	if _, _, err := c.Reread(t.Context(), c.Snapshot(), []policy.Fact{{Kind: policy.FactSecret, Namespace: "a", Name: "other"}}); err == nil {
		t.Error("Reread: got no error while the API server is away")
	}
	server.with(func(s *apiServer) { s.down = false })
	secretIs(t, c, "a", "other", policy.Absent)
	eventually(t, "not stale", func() (bool, string) { return len(c.Stale()) == 0, strings.Join(c.Stale(), "\n") })
}

// TestItemsThatDoNotCount: pods that have ended, ReplicaSets of Deployments,
// and changes of status.
func TestItemsThatDoNotCount(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "mojaloop/sdk-scheme-adapter:v24.0.0"}}}}
	server.put(namespace("a"), pod)
	published := make(chan int, 100)
	c := follow(t, server, func(c *Collector) {
		c.opts.Hooks.Published = func(changes int, _ time.Duration) { published <- changes }
	})
	ready(t, c)
	pods := func() int {
		r := policy.ReviewWorkloads(policy.Checks(), c.Snapshot(), []string{"a"})
		return r.Summary().Subjects
	}
	if got := pods(); got != 1 {
		t.Fatalf("subjects: got %d, want 1", got)
	}
	for len(published) > 0 {
		<-published
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.PodIP = "10.0.0.1"
	pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	server.put(pod, namespace("b")) // the namespace arrives after the pod was looked at, or before: both are one change at most
	eventually(t, "namespace b", func() (bool, string) {
		_, presence := c.Snapshot().Namespace("b")
		return presence == policy.Present, ""
	})
	pod.Status.Phase = corev1.PodSucceeded
	server.put(pod)
	eventually(t, "the pod has ended", func() (bool, string) { return pods() == 0, "" })
	total := 0
	for len(published) > 0 {
		total += <-published
	}
	if total != 2 { // the namespace, the end of the pod
		t.Errorf("changes: got %d, want 2", total)
	}
}

// TestReread asks for what is absent, once.
func TestReread(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.put(namespace("a", v1alpha1.LabelMode, "enforce"))
	c := follow(t, server, nil)
	ready(t, c)
	secretIs(t, c, "a", "s", policy.Absent)
	before := c.Snapshot() // it does not know what comes now
	server.put(secret("a", "s", "one"))
	fact := func(kind policy.FactKind, ns, name string) policy.Fact {
		return policy.Fact{Kind: kind, Namespace: ns, Name: name}
	}

	after, found, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactSecret, "a", "s"), fact(policy.FactSecret, "a", "s")})
	if err != nil || !found {
		t.Fatalf("Reread: got %t, %v; want it found", found, err)
	}
	if _, presence := after.Secret("a", "s"); presence != policy.Present {
		t.Errorf("after: got presence %d, want Present", presence)
	}
	if _, presence := before.Secret("a", "s"); presence != policy.Absent {
		t.Errorf("before: got presence %d, want it unchanged", presence)
	}

	t.Run("what is not there is remembered", func(t *testing.T) {
		n := server.count("get secrets")
		for range 50 {
			if _, found, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactSecret, "a", "none")}); found || err != nil {
				t.Fatalf("Reread: got %t, %v; want nothing", found, err)
			}
		}
		if got := server.count("get secrets") - n; got != 1 {
			t.Errorf("requests: got %d, want 1", got)
		}
	})
	t.Run("namespace", func(t *testing.T) {
		server.put(namespace("late"))
		after, found, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactNamespace, "", "late")})
		if err != nil || !found {
			t.Fatalf("Reread: got %t, %v; want it found", found, err)
		}
		if _, presence := after.Namespace("late"); presence != policy.Present {
			t.Errorf("got presence %d, want Present", presence)
		}
	})
	t.Run("PeerAuthentications of a namespace", func(t *testing.T) {
		scheme := fixtures.NewScheme()
		server.put(scheme.PeerAuth)
		_, found, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactPeerAuthentication, scheme.PeerAuth.Namespace, "")})
		if err != nil || !found {
			t.Errorf("Reread: got %t, %v; want it found", found, err)
		}
	})
	t.Run("a name that is none", func(t *testing.T) {
		if _, found, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactSecret, "a", "../../b/secrets/s")}); found || err != nil {
			t.Errorf("Reread: got %t, %v; want nothing", found, err)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		server.with(func(s *apiServer) { s.forbidden["get configmaps/a"] = true })
		_, found, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactConfigMap, "a", "x")})
		if found || err == nil || !strings.Contains(err.Error(), "kubectl mojasec install --namespace a") {
			t.Errorf("Reread: got %t, %v; want an error that names the command", found, err)
		}
	})
	t.Run("too many", func(t *testing.T) {
		var many []policy.Fact
		for _, r := range "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz" {
			many = append(many, fact(policy.FactSecret, "b", string(r)+string(rune('a'+len(many)%26))+string(rune('a'+len(many)/26))))
		}
		began := time.Now()
		_, _, err := c.Reread(t.Context(), before, many)
		if err == nil || !strings.Contains(err.Error(), "too many") {
			t.Errorf("Reread of %d: got %v, want an error", len(many), err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		// Others still get theirs.
		if _, _, err := c.Reread(t.Context(), before, []policy.Fact{fact(policy.FactSecret, "c", "x")}); err != nil {
			t.Errorf("Reread in another namespace: %v", err)
		}
	})
}

// TestRunOnce: a second Run would tell everything twice.
func TestRunOnce(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	c := follow(t, server, nil)
	ready(t, c)
	if err := c.Run(t.Context()); err == nil {
		t.Error("the second Run: got no error")
	}
	if errors.Is(c.Ready(), context.Canceled) {
		t.Error("the first Run has ended")
	}
}

// TestObjectsOfLaterVersions: one object that this version cannot read makes
// its namespace unknown, and stops nothing else.
func TestObjectsOfLaterVersions(t *testing.T) {
	t.Parallel()
	for _, listsOnly := range []bool{true, false} {
		t.Run(fmt.Sprintf("in lists: %t", listsOnly), func(t *testing.T) {
			t.Parallel()
			server := newAPIServer(t)
			server.listsOnly = listsOnly
			scheme := fixtures.NewScheme()
			server.put(scheme.Objects()...)
			policyIn := func(ns string, spec string) {
				server.putText(kindPeerAuthentication, ns, "later", spec)
			}
			policyIn("a", `{"mtls":{"mode":"QUANTUM"}}`)
			c := follow(t, server, nil)
			ready(t, c)
			unread := func(ns string, want string) {
				t.Helper()
				eventually(t, "PeerAuthentications of "+ns, func() (bool, string) {
					got := c.Snapshot().Unread(policy.FactPeerAuthentication, ns)
					return strings.Contains(got, want) && (want != "" || got == ""), got
				})
			}
			unread("a", "PeerAuthentication a/later cannot be understood")
			unread(fixtures.Namespace, "")
			policyIn("a", `{"mtls":{"mode":"STRICT"}}`)
			unread("a", "")
			policyIn("istio-system", `{"mtls":{"mode":"QUANTUM"}}`)
			unread(fixtures.Namespace, "istio-system/later")
			if err := c.Ready(); err != nil {
				t.Errorf("Ready: %v, want nil", err)
			}
		})
	}
}

// TestRereadIsNotOlderThanTheWatch: what was answered before a change must not
// come back after it.
func TestRereadIsNotOlderThanTheWatch(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	server.put(namespace("a"))
	c := follow(t, server, nil)
	ready(t, c)
	facts := []policy.Fact{{Kind: policy.FactNamespace, Name: "a"}}
	if _, _, err := c.Reread(t.Context(), c.Snapshot(), facts); err != nil {
		t.Fatal(err)
	}
	server.put(namespace("a", v1alpha1.LabelMode, "enforce"))
	eventually(t, "the label arrives", func() (bool, string) {
		mode, _ := c.Snapshot().Mode("a")
		return mode == policy.ModeEnforce, string(mode)
	})
	after, _, err := c.Reread(t.Context(), c.Snapshot(), facts)
	if err != nil {
		t.Fatal(err)
	}
	if mode, _ := after.Mode("a"); mode != policy.ModeEnforce {
		t.Errorf("mode: got %q, want enforce", mode)
	}
}

// TestConverges makes many changes while watches and connections break, and
// sees that the Snapshot ends where the cluster does.
func TestConverges(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t)
	c := follow(t, server, nil)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 600 {
		ns := fmt.Sprintf("ns-%d", random.IntN(3))
		name := fmt.Sprintf("s-%d", random.IntN(6))
		switch random.IntN(12) {
		case 0:
			server.put(namespace(ns))
		case 1, 2:
			server.put(namespace(ns, v1alpha1.LabelMode, "enforce"))
		case 3, 4:
			server.remove(secret(ns, name, ""))
		case 5:
			server.drop()
		case 6:
			server.with(func(s *apiServer) { s.compacted = s.rv - 5 })
		case 7:
			if i%5 == 0 {
				server.CloseClientConnections()
			}
		default:
			server.put(secret(ns, name, strings.Repeat("x", 1+random.IntN(200))))
		}
		if i%100 == 0 {
			ready(t, c) // not all of it at the end
		}
	}
	for i := range 3 {
		server.put(namespace(fmt.Sprintf("ns-%d", i), v1alpha1.LabelMode, "enforce"))
	}
	ready(t, c)
	eventually(t, "the same Secrets", func() (bool, string) {
		for i := range 3 {
			for j := range 6 {
				ns, name := fmt.Sprintf("ns-%d", i), fmt.Sprintf("s-%d", j)
				server.mu.Lock()
				text := server.objects["secrets"][ns+"/"+name]
				server.mu.Unlock()
				data, got := c.Snapshot().Secret(ns, name)
				switch {
				case text == nil && got == policy.Absent:
				case text != nil && got == policy.Present && strings.Contains(string(text), `"resourceVersion":"`+data.Meta.ResourceVersion+`"`):
				default:
					return false, fmt.Sprintf("%s/%s: presence %d, on the server %q, unread %q", ns, name, got, text, c.Snapshot().Unread(policy.FactSecret, ns))
				}
			}
		}
		return true, ""
	})
}
