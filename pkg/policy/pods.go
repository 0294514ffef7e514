package policy

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// Pods of one ReplicaSet differ in their names only. A Snapshot that follows a
// cluster keeps them once, as a Workload called "generateName*", and counts
// them: a pod that comes or goes then changes a number and nothing that rules
// read.

// podKey says which pods are the same to all rules.
type podKey struct {
	ref      Ref        // with the name "generateName*"
	template crypto.Tag // of all that a Workload is made of
}

// covers tells whether a pod has the name of those that a key stands for.
func (k *podKey) covers(ref Ref) bool {
	return ref.Kind == k.ref.Kind && ref.Namespace == k.ref.Namespace && strings.HasPrefix(ref.Name, strings.TrimSuffix(k.ref.Name, "*"))
}

// member is a workload of a shard, with the number of pods that it stands for; 0
// for a workload that stands for itself.
type member struct {
	*Workload
	pods int32
}

// compareMembers orders workloads by name, and pods of one name by template.
func compareMembers(a, b member) int {
	if c := compareIdentity(a.Ref, b.Ref); c != 0 || a.key() == nil && b.key() == nil {
		return c
	}
	var at, bt crypto.Tag
	if k := a.key(); k != nil {
		at = k.template
	}
	if k := b.key(); k != nil {
		bt = k.template
	}
	return bytes.Compare(at[:], bt[:])
}

func (m member) key() *podKey { return m.Workload.pods }

// apiAccess is how the API server calls the volume of the ServiceAccount token,
// with five random letters after it.
const apiAccess = "kube-api-access-"

// group reduces a pod of a cluster to what rules read, without its name. It
// returns no key for a pod that has no others like it: one that nobody named by
// a prefix.
func (s *Snapshot) group(p *corev1.Pod) (*corev1.PodTemplateSpec, *podKey) {
	if p.UID == "" || p.GenerateName == "" || !strings.HasPrefix(p.Name, p.GenerateName) {
		return nil, nil
	}
	t := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: p.Labels},
		Spec: corev1.PodSpec{
			ServiceAccountName: p.Spec.ServiceAccountName, HostNetwork: p.Spec.HostNetwork, RestartPolicy: p.Spec.RestartPolicy,
			SecurityContext: p.Spec.SecurityContext,
			Volumes:         p.Spec.Volumes, Containers: bare(p.Spec.Containers), InitContainers: bare(p.Spec.InitContainers),
		},
	}
	for _, c := range p.Spec.EphemeralContainers {
		kept := bare([]corev1.Container{corev1.Container(c.EphemeralContainerCommon)})
		t.Spec.EphemeralContainers = append(t.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon(kept[0])})
	}
	for _, key := range [...]string{labelInject, annotationRedirected, annotationHook} {
		if v, ok := p.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&t.ObjectMeta, key, v)
		}
	}
	if _, ok := t.Annotations[annotationRedirected]; ok && p.Spec.NodeName != "" {
		t.Spec.NodeName = "a node"
	}
	if i := slices.IndexFunc(t.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, apiAccess) }); i >= 0 {
		name := t.Spec.Volumes[i].Name
		t.Spec.Volumes = slices.Clone(t.Spec.Volumes)
		t.Spec.Volumes[i].Name = apiAccess
		renameMounts(t.Spec.Containers, name)
		renameMounts(t.Spec.InitContainers, name)
	}
	data, err := t.Marshal()
	if err != nil {
		return nil, nil
	}
	ref := RefOf(p)
	ref.Name = p.GenerateName + "*"
	return t, &podKey{ref: ref, template: s.hasher.Sum(data)}
}

// bare keeps the members of containers that a Workload is made of.
func bare(list []corev1.Container) []corev1.Container {
	if len(list) == 0 {
		return nil
	}
	out := make([]corev1.Container, len(list))
	for i := range list {
		c := &list[i]
		out[i] = corev1.Container{
			Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, WorkingDir: c.WorkingDir,
			Env: c.Env, EnvFrom: c.EnvFrom, VolumeMounts: c.VolumeMounts, RestartPolicy: c.RestartPolicy,
			SecurityContext: c.SecurityContext,
		}
	}
	return out
}

// renameMounts takes the random letters off the name of the token's volume. The
// containers are copies; their mounts are not.
func renameMounts(list []corev1.Container, volume string) {
	for i := range list {
		for j := range list[i].VolumeMounts {
			if list[i].VolumeMounts[j].Name == volume {
				list[i].VolumeMounts = slices.Clone(list[i].VolumeMounts)
				list[i].VolumeMounts[j].Name = apiAccess
				break
			}
		}
	}
}

// podNames says which key each pod of a namespace has. It is immutable; its
// buckets are shared between versions.
type podNames struct{ buckets [][]podName }

type podName struct {
	name string
	key  *podKey
}

// podBuckets bounds what is copied when one pod comes or goes.
const podBuckets = 64

func bucketOf(name string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return int(h % podBuckets)
}

func searchPod(bucket []podName, name string) (int, bool) {
	return slices.BinarySearchFunc(bucket, name, func(p podName, n string) int { return cmp.Compare(p.name, n) })
}

// find returns the key of a pod; nil when it is not known.
func (p podNames) find(name string) *podKey {
	if p.buckets == nil {
		return nil
	}
	b := p.buckets[bucketOf(name)]
	if i, ok := searchPod(b, name); ok {
		return b[i].key
	}
	return nil
}

// with returns the names with another key for one; nil takes the name out.
func (p podNames) with(name string, key *podKey) podNames {
	out := podNames{make([][]podName, podBuckets)}
	copy(out.buckets, p.buckets)
	n := bucketOf(name)
	old := out.buckets[n]
	i, found := searchPod(old, name)
	switch {
	case key == nil && !found:
		return p
	case key == nil:
		out.buckets[n] = slices.Delete(slices.Clone(old), i, i+1)
	case found:
		out.buckets[n] = slices.Clone(old)
		out.buckets[n][i].key = key
	default:
		out.buckets[n] = slices.Insert(slices.Clip(old), i, podName{name, key})
	}
	return out
}
