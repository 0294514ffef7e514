package e2e

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// makers returns an object of every kind that makes pods, with the same
// template. They do not share pods: each selects by its own name.
func makers(name string, template *corev1.PodTemplateSpec) []runtime.Object {
	meta := func(kind string) (metav1.ObjectMeta, *metav1.LabelSelector, corev1.PodTemplateSpec) {
		t := *template.DeepCopy()
		own := name + "-" + strings.ToLower(kind)
		metav1.SetMetaDataLabel(&t.ObjectMeta, "maker", own)
		return metav1.ObjectMeta{Namespace: "mojaloop", Name: own, Labels: map[string]string{"made": name}}, &metav1.LabelSelector{MatchLabels: map[string]string{"maker": own}}, t
	}
	kind := func(apiVersion, kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
	}
	one := int32(1)
	var out []runtime.Object

	m, sel, t := meta("Deployment")
	out = append(out, &appsv1.Deployment{TypeMeta: kind("apps/v1", "Deployment"), ObjectMeta: m, Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: sel, Template: t}})
	m, sel, t = meta("StatefulSet")
	out = append(out, &appsv1.StatefulSet{TypeMeta: kind("apps/v1", "StatefulSet"), ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Replicas: &one, Selector: sel, Template: t}})
	m, sel, t = meta("DaemonSet")
	out = append(out, &appsv1.DaemonSet{TypeMeta: kind("apps/v1", "DaemonSet"), ObjectMeta: m, Spec: appsv1.DaemonSetSpec{Selector: sel, Template: t}})
	m, sel, t = meta("ReplicaSet")
	out = append(out, &appsv1.ReplicaSet{TypeMeta: kind("apps/v1", "ReplicaSet"), ObjectMeta: m, Spec: appsv1.ReplicaSetSpec{Replicas: &one, Selector: sel, Template: t}})
	m, sel, t = meta("ReplicationController")
	out = append(out, &corev1.ReplicationController{TypeMeta: kind("v1", "ReplicationController"), ObjectMeta: m, Spec: corev1.ReplicationControllerSpec{Replicas: &one, Selector: sel.MatchLabels, Template: t.DeepCopy()}})
	m, _, t = meta("Job")
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	out = append(out, &batchv1.Job{TypeMeta: kind("batch/v1", "Job"), ObjectMeta: m, Spec: batchv1.JobSpec{Template: t}})
	m, _, t = meta("CronJob")
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	out = append(out, &batchv1.CronJob{TypeMeta: kind("batch/v1", "CronJob"), ObjectMeta: m, Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: t}}}})
	m, _, t = meta("Pod")
	m.Labels, m.Annotations = t.Labels, t.Annotations
	m.Labels["made"] = name
	return append(out, &corev1.Pod{TypeMeta: kind("v1", "Pod"), ObjectMeta: m, Spec: t.Spec})
}

// refused fails the test unless kubectl was refused, each of n objects by the
// webhook and for the checks or words that are wanted.
func (a answer) refused(t testing.TB, n int, want ...string) {
	t.Helper()
	if a.code == 0 {
		t.Errorf("got in; want a refusal for %q\nstdout: %s", want, a.stdout)
		return
	}
	if got := strings.Count(a.stderr, "mojasec.io\" denied the request"); got < n {
		t.Errorf("got %d refusals by mojasec, want %d\n%s", got, n, a.stderr)
	}
	if a.stdout != "" {
		t.Errorf("got %q, want nothing to be done", a.stdout)
	}
	for _, w := range want {
		if got := strings.Count(a.stderr, w); got < n {
			t.Errorf("got %d times %q, want %d\n%s", got, w, n, a.stderr)
		}
	}
}

// accepted fails the test unless kubectl did what it was asked.
func (a answer) accepted(t testing.TB) {
	t.Helper()
	if a.code != 0 {
		t.Errorf("refused; want it accepted\n%s", a.stderr)
	}
}

// warned fails the test unless kubectl printed a warning of a check.
func (a answer) warned(t testing.TB, check string) {
	t.Helper()
	if !strings.Contains(a.stderr, "Warning: "+check) {
		t.Errorf("got %q, want a warning of %s", a.stderr, check)
	}
}

// TestWaysAround attacks a scheme that runs: with pods, with objects that pods
// depend upon, and with commands. Each attack is refused by the real API server
// for its reason; its twin, which differs in the one thing, gets in.
func TestWaysAround(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	t.Run("workloads", func(t *testing.T) { workloadsAround(t, s) })
	t.Run("objects", func(t *testing.T) { objectsAround(t, s) })
	t.Run("commands", func(t *testing.T) { commandsAround(t, s) })
}

// workloadsAround puts each template into every kind that makes pods and applies
// them with kubectl: all are refused, and nothing is left behind.
func workloadsAround(t *testing.T, s *scheme) {
	for _, v := range templateVectors() {
		t.Run(v.name, func(t *testing.T) {
			before := s.yaml(v.objects...)
			if before != "" {
				s.kubectl(t, before, "apply", "-f", "-").accepted(t)
				defer s.kubectl(t, before, "delete", "--wait=false", "-f", "-")
			}
			template := s.SDK1.Spec.Template.DeepCopy()
			v.tweak(template)
			objs := makers("around", template)
			want := v.want
			s.kubectl(t, s.yaml(objs...), "apply", "-f", "-").refused(t, len(objs), want)
			if got := s.kubectl(t, "", "get", "deploy,sts,ds,rs,rc,jobs,cronjobs,pods", "-l", "made=around", "-o", "name"); got.stdout != "" {
				t.Errorf("got %s, want nothing left behind", got.stdout)
				s.kubectl(t, "", "delete", "deploy,sts,ds,rs,rc,jobs,cronjobs,pods", "-l", "made=around", "--wait=false")
			}
		})
	}
	t.Run("the compliant twin", func(t *testing.T) {
		objs := makers("twin", &s.SDK1.Spec.Template)
		a := s.kubectl(t, s.yaml(objs...), "apply", "-f", "-")
		a.accepted(t)
		if got := strings.Count(a.stdout, "created"); got != len(objs) {
			t.Errorf("got %d objects, want %d: %s", got, len(objs), a.stdout)
		}
		s.kubectl(t, "", "delete", "deploy,sts,ds,rs,rc,jobs,cronjobs,pods", "-l", "made=twin", "--wait=false").accepted(t)
	})
}
