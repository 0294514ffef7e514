package policy_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// bareCities are cities whose pods nobody named by a prefix: none of them can
// stand for another. In the one they belong to 200 DFSPs, as in a real one, in
// the others all to one DFSP, or each to one of its own that nobody knows.
func bareCities() map[string][]kruntime.Object {
	out := map[string][]kruntime.Object{}
	for name, change := range map[string]func(s *fixtures.Scheme, i int, p *corev1.Pod) *corev1.Pod{
		"200 DFSPs": func(_ *fixtures.Scheme, _ int, p *corev1.Pod) *corev1.Pod { return p },
		"one DFSP":  func(s *fixtures.Scheme, _ int, _ *corev1.Pod) *corev1.Pod { return podOf(s, fixtures.DFSP1) },
		"10 000 DFSPs": func(s *fixtures.Scheme, i int, _ *corev1.Pod) *corev1.Pod {
			return podOf(s, fmt.Sprintf("claimed-%d", i))
		},
		"stolen key": func(s *fixtures.Scheme, i int, _ *corev1.Pod) *corev1.Pod {
			p := podOf(s, fmt.Sprintf("claimed-%d", i))
			p.Spec.Volumes = podOf(s, fixtures.DFSP1).Spec.Volumes
			return p
		},
	} {
		s, objs := city()
		for i, o := range objs {
			if p, ok := o.(*corev1.Pod); ok {
				p = change(s, i, p)
				p.Name, p.GenerateName = fmt.Sprintf("bare-%d", i), ""
				objs[i] = p
			}
		}
		out[name] = objs
	}
	return out
}

// podOf is a pod of the SDK of a DFSP.
func podOf(s *fixtures.Scheme, dfsp string) *corev1.Pod {
	t := s.SDK1.Spec.Template.DeepCopy()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: fixtures.Namespace, Labels: t.Labels}, Spec: t.Spec}
	p.Labels["dfsp"] = dfsp
	rename := func(text *string) { *text = strings.ReplaceAll(*text, fixtures.DFSP1, dfsp) }
	for i := range p.Spec.Containers[0].Env {
		e := &p.Spec.Containers[0].Env[i]
		rename(&e.Value)
		if e.ValueFrom != nil {
			rename(&e.ValueFrom.SecretKeyRef.Name)
		}
	}
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil {
			rename(&v.Secret.SecretName)
		}
	}
	return p
}

// BenchmarkBarePods is what 10 000 pods cost that cannot be counted as one.
func BenchmarkBarePods(b *testing.B) {
	checks := policy.Checks()
	for name, objs := range bareCities() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		snap := follow(objs)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.Run("one more pod, "+name, func(b *testing.B) {
			s := snap
			for i := 0; b.Loop(); i++ {
				extra := podOf(fixtures.NewScheme(), fixtures.DFSP1)
				extra.Name = fmt.Sprintf("more-%d", i)
				s = s.Apply(policy.Update{Set: []kruntime.Object{extra}})
				s.Prepare()
			}
			b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/1e6, "MB")
		})
		b.Run("review of all, "+name, func(b *testing.B) {
			findings := 0
			for b.Loop() {
				r := policy.ReviewWorkloads(checks, snap, nil)
				findings = len(r.Findings)
			}
			b.ReportMetric(float64(findings), "findings")
		})
	}
}
