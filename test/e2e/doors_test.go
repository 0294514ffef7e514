package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/klient/wait"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// unservable are fixtures that no API server would ever hold, with the reason.
var unservable = map[string]string{
	"istio-known-fields/min version on a DestinationRule":      "the API server drops the unknown field before it asks",
	"ilp-secret-not-default/default in an ephemeral container": "a pod is not created with ephemeral containers: TestHardCase17 adds them",
	"jws-signing-key-mounted/SDK added to a running pod":       "a pod is not created with ephemeral containers: TestHardCase17 adds them",
}

// TestDoorsAgree applies every fixture to a real cluster: the API server's
// answer is the verdict of Evaluate.
func TestDoorsAgree(t *testing.T) {
	d := newDoors(t)
	judged := 0
	for _, f := range fixtures.All() {
		name := f.Check + "/" + f.Name
		t.Run(name, func(t *testing.T) {
			if reason := unservable[name]; reason != "" {
				t.Skip(reason)
			}
			if f.Check == "quarantine-held" {
				t.Skip("an open Quarantine is not deleted again, as this test would have to")
			}
			judged += d.check(t, f)
		})
	}
	if judged < 200 {
		t.Errorf("got %d answers: this test proves nothing", judged)
	}
}

// doors is a namespace that holds one fixture after the other.
type doors struct {
	ns   string
	keys fixtures.Keys
	// held is what the cluster holds, as it was applied.
	held map[string]*unstructured.Unstructured
}

func newDoors(t *testing.T) *doors {
	t.Helper()
	d := &doors{ns: world.namespace(t, nil).Name, keys: fixtures.NewKeys(), held: map[string]*unstructured.Unstructured{}}
	world.bind(t, d.ns)
	// All tests share the mesh's own objects.
	mesh := fixtures.NewScheme().MeshConfig
	d.held[key(mesh)] = tree(t, mesh)
	t.Cleanup(func() {
		for k, o := range d.held {
			if k != "Namespace /istio-system" {
				d.remove(t, o)
			}
		}
		d.apply(t, map[string]*unstructured.Unstructured{key(mesh): tree(t, mesh)})
	})
	return d
}

func tree(t testing.TB, o runtime.Object) *unstructured.Unstructured {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &u.Object); err != nil {
		t.Fatal(err)
	}
	delete(u.Object, "status")
	dropNulls(u.Object)
	u.SetCreationTimestamp(metav1.Time{})
	return u
}

// dropNulls takes out the members that Go's encoding wrote for nil.
func dropNulls(m map[string]any) {
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	for _, v := range m {
		switch v := v.(type) {
		case map[string]any:
			dropNulls(v)
		case []any:
			for _, item := range v {
				if member, ok := item.(map[string]any); ok {
					dropNulls(member)
				}
			}
		}
	}
}

func key(o runtime.Object) string {
	m, _ := o.(metav1.Object)
	return fmt.Sprintf("%s %s/%s", o.GetObjectKind().GroupVersionKind().Kind, m.GetNamespace(), m.GetName())
}

// check judges the objects of a fixture that differ or fail, and returns how
// many.
func (d *doors) check(t *testing.T, f fixtures.Fixture) int {
	s := fixtures.NewSchemeWith(d.keys)
	if f.Tweak != nil {
		f.Tweak(s)
	}
	now := time.Now()
	var all []runtime.Object
	mode := ""
	for _, in := range s.Inputs() {
		o := fixtures.In(d.ns, in.Object)
		if ns, ok := o.(*corev1.Namespace); ok && ns.Name == d.ns {
			mode = ns.Labels["mojasec.io/mode"]
		}
		if w, ok := o.(*appsv1.Deployment); ok {
			servable(w)
		}
		all = append(all, o)
	}
	all = withNamespaces(all)
	failing := denied(all, all, now)
	sdk := key(fixtures.In(d.ns, s.SDK1))
	var held, judged []runtime.Object
	for _, o := range all {
		k := key(o)
		if _, fails := failing[k]; (fails || k == sdk) && !slices.Contains([]string{"Namespace", "Profile", "Waiver"}, o.GetObjectKind().GroupVersionKind().Kind) {
			judged = append(judged, o)
		} else {
			held = append(held, o)
		}
	}
	d.hold(t, held, mode)
	for _, o := range judged {
		want := denied([]runtime.Object{o}, append(slices.Clone(held), o), now)[key(o)]
		d.ask(t, o, want)
	}
	return len(judged)
}

// withNamespaces adds the namespaces that were not given: in a cluster they
// exist.
func withNamespaces(objs []runtime.Object) []runtime.Object {
	given := map[string]bool{"": true}
	for _, o := range objs {
		if ns, ok := o.(*corev1.Namespace); ok {
			given[ns.Name] = true
		}
	}
	for _, o := range objs {
		m, _ := o.(metav1.Object)
		if ns := m.GetNamespace(); !given[ns] {
			given[ns] = true
			objs = append(objs, &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: ns}})
		}
	}
	return objs
}

// servable makes the selector of a Deployment fit its template, and keeps it
// from making pods.
func servable(w *appsv1.Deployment) {
	w.Spec.Replicas = new(int32(0))
	maps.DeleteFunc(w.Spec.Selector.MatchLabels, func(k, v string) bool { return w.Spec.Template.Labels[k] != v })
	if len(w.Spec.Selector.MatchLabels) == 0 {
		metav1.SetMetaDataLabel(&w.Spec.Template.ObjectMeta, "maker", w.Name)
		w.Spec.Selector.MatchLabels = map[string]string{"maker": w.Name}
	}
}

// denied returns the checks for which Evaluate denies each of some objects, in
// a cluster with others.
func denied(objs, cluster []runtime.Object, now time.Time) map[string][]string {
	snap := policy.NewSnapshot(policy.SnapshotOptions{Now: now, HashKey: []byte("a key for tests"), TrustWaivers: true}, cluster)
	inputs := make([]policy.Input, 0, len(objs))
	for _, o := range objs {
		inputs = append(inputs, policy.Input{Object: o})
	}
	r := policy.Review(policy.Checks(), inputs, snap, true)
	out := map[string][]string{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Action != policy.ActionDeny || f.Waived {
			continue
		}
		k := key(r.Subject(f.Pair).Object)
		if id := string(r.Check(f.Pair).ID); !slices.Contains(out[k], id) {
			out[k] = append(out[k], id)
		}
	}
	return out
}

// hold makes the cluster hold some objects and nothing else of a fixture, while
// nobody enforces; then the mode is set.
func (d *doors) hold(t *testing.T, objs []runtime.Object, mode string) {
	t.Helper()
	world.setMode(t, d.ns, "")
	want := map[string]*unstructured.Unstructured{}
	for _, o := range objs {
		u := tree(t, o)
		if u.GetKind() == "Namespace" && u.GetName() == d.ns {
			d.relabel(t, u)
			continue
		}
		want[key(o)] = u
	}
	for k, o := range d.held {
		if n, ok := want[k]; !ok || (o.GetKind() == "Deployment" && !cmp.Equal(n.Object, o.Object)) {
			if o.GetKind() == "Namespace" {
				continue
			}
			d.remove(t, o)
			delete(d.held, k)
		}
	}
	maps.DeleteFunc(want, func(k string, o *unstructured.Unstructured) bool {
		return d.held[k] != nil && cmp.Equal(d.held[k].Object, o.Object)
	})
	d.apply(t, want)
	for _, o := range objs {
		if p, ok := o.(*securityv1.PeerAuthentication); ok {
			// Which of several counts is a matter of age, which is not ours to set.
			var live securityv1.PeerAuthentication
			if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(p), &live); err != nil {
				t.Fatal(err)
			}
			p.CreationTimestamp = live.CreationTimestamp
		}
	}
	if mode != "" {
		world.setMode(t, d.ns, mode)
	}
}

// relabel gives the namespace the labels of a fixture, without the mode.
func (d *doors) relabel(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	var ns corev1.Namespace
	if err := world.client.Get(t.Context(), client.ObjectKey{Name: d.ns}, &ns); err != nil {
		t.Fatal(err)
	}
	ns.Labels = maps.Clone(u.GetLabels())
	delete(ns.Labels, "mojasec.io/mode")
	if err := world.client.Update(t.Context(), &ns); err != nil {
		t.Fatal(err)
	}
}

// apply applies namespaces first.
func (d *doors) apply(t *testing.T, objs map[string]*unstructured.Unstructured) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	rank := func(k string) int {
		if objs[k].GetKind() == "Namespace" {
			return 0
		}
		return 1
	}
	for _, k := range slices.SortedFunc(maps.Keys(objs), func(a, b string) int { return rank(a) - rank(b) }) {
		var err error
		patiently(ctx, func(ctx context.Context) bool {
			err = world.apply(ctx, objs[k])
			return !apierrors.IsForbidden(err)
		})
		if apierrors.IsInvalid(err) || meta.IsNoMatchError(err) {
			t.Skipf("this API server does not hold it: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		d.held[k] = objs[k]
	}
}

// remove deletes an object.
func (d *doors) remove(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	var err error
	patiently(context.WithoutCancel(t.Context()), func(ctx context.Context) bool {
		err = client.IgnoreNotFound(world.client.Delete(ctx, o))
		return !apierrors.IsForbidden(err)
	})
	if err != nil && !meta.IsNoMatchError(err) {
		t.Errorf("delete %s: %v", key(o), err)
	}
}

// patiently repeats what the webhook refuses as long as it still knows what was
// there before.
func patiently(ctx context.Context, done func(ctx context.Context) bool) {
	_ = wait.For(func(ctx context.Context) (bool, error) { return done(ctx), nil },
		wait.WithTimeout(5*time.Second), wait.WithInterval(interval), wait.WithImmediate(), wait.WithContext(ctx))
}

// ask applies an object by dry run until the answer is the one that is wanted:
// the webhook needs a moment to see what was changed before.
func (d *doors) ask(t *testing.T, o runtime.Object, want []string) {
	t.Helper()
	var err error
	var got []string
	_ = wait.For(func(ctx context.Context) (bool, error) {
		err = world.client.Create(ctx, tree(t, o), client.DryRunAll)
		got = nil
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "denied the request") {
			for _, id := range checkIDs() {
				if strings.Contains(err.Error(), id+":") {
					got = append(got, id)
				}
			}
		}
		return (err == nil || got != nil) && cmp.Equal(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))), nil
	}, wait.WithTimeout(5*time.Second), wait.WithInterval(20*time.Millisecond), wait.WithImmediate(), wait.WithContext(t.Context()))
	switch {
	case apierrors.IsInvalid(err), meta.IsNoMatchError(err):
		t.Skipf("this API server does not hold it: %v", err)
	case err != nil && got == nil:
		t.Errorf("%s: got %v, want %q", key(o), err, want)
	default:
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Errorf("%s (-Evaluate +API server):\n%s%v", key(o), diff, err)
		}
	}
}
