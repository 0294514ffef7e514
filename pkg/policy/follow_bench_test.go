package policy_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// city is a namespace of a large cluster: 200 DFSPs with their Secrets and
// Deployments, 10 000 pods of them, and 1000 more Secrets. The Scheme is that of
// the namespace.
func city() (*fixtures.Scheme, []kruntime.Object) {
	const dfsps, pods, secrets = 200, 10_000, 1000
	s := fixtures.NewScheme()
	objs := slices.Concat(fixtures.Neighbours(s, dfsps), s.Objects())
	var all []kruntime.Object
	for _, o := range objs {
		if m, ok := o.(metav1.Object); ok && m.GetNamespace() != "" && m.GetNamespace() != "istio-system" {
			m.SetNamespace(fixtures.Namespace)
		}
		all = append(all, o)
		if d, ok := o.(*appsv1.Deployment); ok {
			all = append(all, replicas(d, "aaa", pods/(dfsps+3)+1)...)
		}
	}
	for i := range secrets {
		all = append(all, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("other-%d", i), Namespace: fixtures.Namespace},
			Data:       map[string][]byte{"password": []byte(fixtures.RandomSecret()), "username": []byte("service")},
		})
	}
	return s, all
}

// follow is a Snapshot that was told all of a city, as a cluster tells it.
func follow(objs []kruntime.Object) *policy.Snapshot {
	opts := options(fixtures.Fixture{})
	opts.TrustWaivers = true
	snap := policy.NewSnapshot(opts, nil).Apply(policy.Update{Set: objs})
	snap.Prepare()
	return snap
}

// BenchmarkApply tells a Snapshot of 10 000 pods in one namespace of one more
// pod, and makes it ready for reviews.
func BenchmarkApply(b *testing.B) {
	s, objs := city()
	snap := follow(objs)
	known := replicas(s.SDK1, "aaa", 4000)
	fresh := s.SDK1.DeepCopy()
	bench := func(name string, next func(i int) policy.Update) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			snap := snap
			for i := 0; b.Loop(); i++ {
				snap = snap.Apply(next(i))
				snap.Prepare()
			}
		})
	}
	set := func(objs ...kruntime.Object) policy.Update { return policy.Update{Set: objs} }
	bench("one more pod", func(i int) policy.Update {
		p := known[0].(*corev1.Pod)
		p.Name = fmt.Sprintf("%s%d", p.GenerateName, i)
		return set(p)
	})
	bench("batch of 20 pods", func(i int) policy.Update { return policy.Update{Set: known[i*20%3000 : i*20%3000+20]} })
	bench("pod of a new kind", func(i int) policy.Update {
		fresh.Spec.Template.Labels["version"] = fmt.Sprint(i)
		return set(replicas(fresh, "bbb", 1)...)
	})
	bench("secret", func(int) policy.Update {
		o := s.ILP1.DeepCopy()
		o.Data["ILP_SECRET"] = []byte(fixtures.RandomSecret())
		return set(o)
	})
	bench("policy", func(int) policy.Update { return set(s.PeerAuth) })
}

// BenchmarkReviewFollowed judges a pod in a namespace of 10 000, alone and with
// 1000 Waivers: H9.
func BenchmarkReviewFollowed(b *testing.B) {
	s, objs := city()
	p := replicas(s.SDK1, "aaa", 1)[0]
	checks := policy.Checks()
	for _, n := range []int{1, 1000} {
		var waivers []kruntime.Object
		for i := range n {
			waivers = append(waivers, &v1alpha1.Waiver{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("w-%d", i)}, Spec: v1alpha1.WaiverSpec{
				Checks: []string{"jws-signing-enabled"}, Match: v1alpha1.WaiverMatch{Names: []string{fmt.Sprintf("workload-%d", i)}},
				Reason: "replaced soon", Owner: "team", ExpiresAt: metav1.NewTime(fixtures.Now.Add(time.Hour)),
			}})
		}
		snap := follow(objs).Apply(policy.Update{Set: waivers})
		bad := p.DeepCopyObject().(*corev1.Pod)
		bad.Spec.Containers[0].Env = append(bad.Spec.Containers[0].Env, corev1.EnvVar{Name: "JWS_SIGN", Value: "false"})
		for name, subject := range map[string]*corev1.Pod{"good": p.(*corev1.Pod), "bad": bad} {
			b.Run(fmt.Sprintf("%s pod, %d Waivers", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r := policy.Review(checks, []policy.Input{{Object: subject}}, snap, false)
					if r.FailedAt(policy.Error) == (name == "good") {
						b.Fatal(render(&r))
					}
				}
			})
		}
	}
}

// BenchmarkWhatIf asks what a change does to all workloads of a namespace of
// 10 000 pods.
func BenchmarkWhatIf(b *testing.B) {
	s, objs := city()
	snap, checks := follow(objs), policy.Checks()
	relaxed := s.PeerAuth.DeepCopy()
	relaxed.Spec.Mtls.Mode = 2 // PERMISSIVE
	b.ReportAllocs()
	for b.Loop() {
		r := policy.ReviewWorkloads(checks, snap.With(relaxed), []string{fixtures.Namespace})
		if !r.FailedAt(policy.Error) {
			b.Fatal("nothing failed")
		}
	}
}

// BenchmarkMemory measures what a Snapshot of 10 000 pods and 1000 Secrets
// keeps: H5.
func BenchmarkMemory(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		snap := func() *policy.Snapshot {
			_, objs := city()
			return follow(objs)
		}()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		runtime.KeepAlive(snap)
	}
}
