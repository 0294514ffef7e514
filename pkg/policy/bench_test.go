package policy_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// pod is a pod of a Deployment as the webhook would see it.
func pod(s *fixtures.Scheme) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   s.Namespace.TypeMeta,
		ObjectMeta: s.SDK1.Spec.Template.ObjectMeta,
		Spec:       s.SDK1.Spec.Template.Spec,
	}
}

func benchmarkReview(b *testing.B, objs []runtime.Object, subject runtime.Object) {
	snap := policy.NewSnapshot(options(fixtures.Fixture{}), objs)
	checks := policy.Checks()
	b.ReportAllocs()
	for b.Loop() {
		r := policy.Review(checks, []policy.Input{{Object: subject}}, snap, true)
		if r.FailedAt(policy.Warning) {
			b.Fatal(render(&r))
		}
	}
}

// BenchmarkReview judges one good pod by all checks: H8.
func BenchmarkReview(b *testing.B) {
	s := fixtures.NewScheme()
	p := pod(s)
	p.Kind, p.APIVersion, p.Name, p.Namespace = "Pod", "v1", "perffsp-1-sdk-0", fixtures.Namespace
	benchmarkReview(b, s.Objects(), p)
}

// BenchmarkReviewDFSPs judges the same pod beside many DFSPs, each in a
// namespace of its own: H9.
func BenchmarkReviewDFSPs(b *testing.B) {
	for _, n := range []int{1, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := fixtures.NewScheme()
			objs := append(s.Objects(), fixtures.Neighbours(s, n)...)
			p := pod(s)
			p.Kind, p.APIVersion, p.Name, p.Namespace = "Pod", "v1", "perffsp-1-sdk-0", fixtures.Namespace
			benchmarkReview(b, objs, p)
		})
	}
}
