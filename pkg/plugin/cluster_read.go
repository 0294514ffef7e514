package plugin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// isForbidden tells whether a right is missing.
func isForbidden(err error) bool {
	_, ok := errors.AsType[*forbiddenError](err)
	return ok
}

// typedKinds are the kinds the rule engine reads to tell what a pod lacks.
var typedKinds = []struct {
	kind schema.GroupKind
	new  func() runtime.Object
}{
	{kindOf("", "Secret"), func() runtime.Object { return &corev1.Secret{} }},
	{kindOf("", "ConfigMap"), func() runtime.Object { return &corev1.ConfigMap{} }},
	{kindOf("", "Pod"), func() runtime.Object { return &corev1.Pod{} }},
	{kindOf("apps", kindDeployment), func() runtime.Object { return &appsv1.Deployment{} }},
	{kindOf("apps", "StatefulSet"), func() runtime.Object { return &appsv1.StatefulSet{} }},
	{kindOf("apps", "DaemonSet"), func() runtime.Object { return &appsv1.DaemonSet{} }},
	{kindOf("apps", "ReplicaSet"), func() runtime.Object { return &appsv1.ReplicaSet{} }},
}

// readNamespace reads what tells whether the pods of a namespace lack anything.
func (c *cluster) readNamespace(ctx context.Context, ns string) ([]runtime.Object, error) {
	var out []runtime.Object
	for _, k := range typedKinds {
		objs, err := c.list(ctx, k.kind, ns, "")
		if err != nil {
			return nil, err
		}
		for i := range objs {
			obj := k.new()
			if err := fromTree(&objs[i], obj); err != nil {
				return nil, err
			}
			out = append(out, obj)
		}
	}
	return out, nil
}

// readProfile returns the Profile that counts, and nil without one.
func (c *cluster) readProfile(ctx context.Context) (*v1alpha1.Profile, error) {
	tree, err := c.read(ctx, kindOf(groupMojasec, v1alpha1.KindProfile), "", v1alpha1.DefaultProfileName)
	if err != nil || tree == nil {
		return nil, err
	}
	profile := &v1alpha1.Profile{}
	return profile, fromTree(tree, profile)
}

func fromTree(tree *unstructured.Unstructured, obj runtime.Object) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(tree.Object, obj); err != nil {
		return fmt.Errorf("read %s: %w", nameOfObject(tree), err)
	}
	return nil
}

// podSnapshot is what is known when only [cluster.readNamespace] has read:
// enough to inject, not to judge.
func podSnapshot(now time.Time, objs []runtime.Object) *policy.Snapshot {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return policy.NewSnapshot(policy.SnapshotOptions{
		Now: now, HashKey: key,
		Incomplete: []policy.FactKind{
			policy.FactService, policy.FactMesh, policy.FactMeshConfig, policy.FactCA, policy.FactKeyAge,
			policy.FactSetting, policy.FactQuarantine, policy.FactSecretReaders,
		},
	}, objs)
}

// lacking is a workload with running pods that lack what admission would give
// them.
type lacking struct {
	kind     schema.GroupKind
	ns, name string
	// pods is how many of its pods lack something, changes what.
	pods    int
	changes []string
	// manual says how to replace the pods where they cannot be rolled; "" where
	// they can.
	manual string
}

// object names the workload.
func (l *lacking) object() *unstructured.Unstructured { return newObject(l.kind, l.ns, l.name) }

// findLacking finds the workloads of a namespace that have running pods into
// which the Injector would put something: it sets what is absent, so it has
// nothing to add to a pod that admission has seen.
func findLacking(objs []runtime.Object, snap *policy.Snapshot) []lacking {
	makers := map[string]metav1.Object{} // by UID
	for _, obj := range objs {
		if m, ok := obj.(metav1.Object); ok {
			makers[string(m.GetUID())] = m
		}
	}
	var out []lacking
	for _, obj := range objs {
		pod, ok := obj.(*corev1.Pod)
		if !ok || pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		template := &corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
		_, changes := policy.Injector{}.Inject(template, pod.Namespace, snap)
		if len(changes) == 0 {
			continue
		}
		found := makerOf(pod, makers)
		i := slices.IndexFunc(out, func(l lacking) bool { return l.kind == found.kind && l.name == found.name })
		if i < 0 {
			i, out = len(out), append(out, found)
		}
		out[i].pods++
		for _, c := range changes {
			if !slices.Contains(out[i].changes, c.Text) {
				out[i].changes = append(out[i].changes, c.Text)
			}
		}
	}
	return out
}

// makerOf follows the controllers of a pod up to the one to restart.
func makerOf(pod *corev1.Pod, makers map[string]metav1.Object) lacking {
	found := lacking{kind: kindOf("", "Pod"), ns: pod.Namespace, name: pod.Name}
	var top metav1.Object = pod
	for {
		owner := metav1.GetControllerOf(top)
		if owner == nil {
			break
		}
		group := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group
		found.kind, found.name = kindOf(group, owner.Kind), owner.Name
		next, ok := makers[string(owner.UID)]
		if !ok {
			break
		}
		top = next
	}
	found.manual = notRollable(found, top)
	return found
}

// notRollable says how to replace the pods of a workload that a restart does
// not replace; "" when it does.
func notRollable(l lacking, obj metav1.Object) string {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		if o.Spec.Paused {
			return fmt.Sprintf("it is paused: kubectl rollout resume deployment/%s -n %s", l.name, l.ns)
		}
		return ""
	case *appsv1.StatefulSet:
		if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
			return "its pods are replaced when they are deleted: delete them one by one"
		}
		if u := o.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil && *u.Partition > 0 {
			return fmt.Sprintf("its update has partition %d: set it to 0, or delete the pods one by one", *u.Partition)
		}
		return ""
	case *appsv1.DaemonSet:
		if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
			return "its pods are replaced when they are deleted: delete them one by one"
		}
		return ""
	case *corev1.Pod:
		if l.kind.Kind == "Pod" {
			return "it has no controller: delete it and create it again"
		}
	}
	switch l.kind.Kind {
	case "ReplicaSet", "ReplicationController":
		return "delete its pods one by one"
	case "Job", "CronJob":
		return "wait until it has ended, or delete it and create it again"
	case "Rollout":
		return fmt.Sprintf("kubectl argo rollouts restart %s -n %s", l.name, l.ns)
	}
	return "restart it with the tool that made it"
}

// typedNamespace keeps what the rule engine reads of a namespace.
func typedNamespace(tree *unstructured.Unstructured) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: kindNamespace},
		ObjectMeta: metav1.ObjectMeta{Name: tree.GetName(), Labels: tree.GetLabels()},
	}
}
