package policy

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
)

// Reducer reduces Secrets and ConfigMaps to facts outside of a Snapshot, so
// that whoever reads them from an API server need not keep them. Its facts fit
// Snapshots of the same HashKey.
type Reducer struct{ hasher *crypto.Hasher }

// NewReducer returns a Reducer for Snapshots with a HashKey.
func NewReducer(hashKey []byte) Reducer { return Reducer{crypto.NewHasher(hashKey)} }

// Secret returns the facts of a Secret.
func (r Reducer) Secret(o *corev1.Secret) *Data { return reduceSecret(RefOf(o), o, r.hasher) }

// ConfigMap returns the facts of a ConfigMap.
func (r Reducer) ConfigMap(o *corev1.ConfigMap) *Data { return reduceConfigMap(RefOf(o), o, r.hasher) }

// Scope is a kind of facts in a namespace; in all of them where Namespace is
// empty.
type Scope struct {
	Kind      FactKind
	Namespace string
}

// Update is what happened to a cluster since a Snapshot was taken.
type Update struct {
	// Set are objects that were created or changed.
	Set []runtime.Object
	// Data are facts of Secrets and ConfigMaps that were created or changed.
	Data []*Data
	// Gone are objects that were deleted.
	Gone []Ref
	// Unread replaces the scopes that cannot be read, with the reason; nil
	// leaves them as they are. What is not found in such a scope is unknown,
	// not absent.
	Unread map[Scope]string
}

// Apply returns the Snapshot after an update. Only the namespaces it is about
// are copied.
func (s *Snapshot) Apply(u Update) *Snapshot {
	out := *s
	out.merged = &lazyIndex{}
	out.shards, out.over = maps.Clone(s.shards), nil
	for o := s.over; o != nil; o = o.next {
		if out.shards[o.name] == s.shards[o.name] {
			out.shards[o.name] = o.shard // the newest overlay comes first
		}
	}
	if u.Unread != nil {
		out.unread = maps.Clone(u.Unread)
	}
	touched := map[string]*shard{}
	touch := func(ns string) *shard {
		sh := touched[ns]
		if sh == nil {
			sh = out.shards[ns].clone(ns)
			touched[ns], out.shards[ns] = sh, sh
		}
		return sh
	}
	for _, obj := range u.Set {
		switch o := obj.(type) {
		case *v1alpha1.Profile:
			if o.Name == v1alpha1.DefaultProfileName {
				out.profile = newProfile(o, s.opts.PublishedKeys, s.hasher)
			}
		case *v1alpha1.Waiver:
			out.waiverObjs = withWaiver(out.waiverObjs, o)
		}
		if ns, ok := namespaceOf(obj); ok {
			sh := touch(ns)
			sh.remove(RefOf(obj))
			sh.add(out.reduce(obj))
		}
	}
	for _, d := range u.Data {
		sh := touch(d.Ref.Namespace)
		sh.remove(d.Ref)
		sh.add(d)
	}
	for _, ref := range u.Gone {
		switch ref.Kind {
		case "Profile":
			if ref.Name == v1alpha1.DefaultProfileName {
				out.profile = newProfile(v1alpha1.DefaultProfile(), s.opts.PublishedKeys, s.hasher)
			}
		case "Waiver":
			out.waiverObjs = withoutWaiver(out.waiverObjs, ref.Name)
		case "Namespace":
			touch(ref.Name).remove(ref)
		default:
			touch(ref.Namespace).remove(ref)
		}
	}
	for _, sh := range touched {
		sh.sort()
	}
	out.order = slices.SortedFunc(maps.Values(out.shards), func(a, b *shard) int { return cmp.Compare(a.name, b.name) })
	out.waivers = newWaivers(out.waiverObjs)
	out.mesh = out.newMeshFacts()
	return &out
}

func withWaiver(list []*v1alpha1.Waiver, w *v1alpha1.Waiver) []*v1alpha1.Waiver {
	return append(withoutWaiver(list, w.Name), w)
}

func withoutWaiver(list []*v1alpha1.Waiver, name string) []*v1alpha1.Waiver {
	return slices.DeleteFunc(slices.Clone(list), func(w *v1alpha1.Waiver) bool { return w.Name == name })
}

// Unread says why facts of a kind in a namespace cannot be read; it is empty
// where they can.
func (s *Snapshot) Unread(kind FactKind, ns string) string {
	if reason, ok := s.unread[Scope{kind, ns}]; ok {
		return reason
	}
	return s.unread[Scope{Kind: kind}]
}

// Tracking returns the same knowledge; it reports each look-up of a Secret,
// ConfigMap or Namespace that found nothing where all is known, so that the
// door can look again before it denies.
func (s *Snapshot) Tracking(note func(Fact)) *Snapshot {
	out := *s
	out.note = note
	return &out
}

// ReviewWorkloads judges the workloads a Snapshot knows, in some namespaces;
// in all of them where namespaces is nil. It tells what a change of other
// objects does to them. The subjects have no object and no pod, so checks that
// read more than a Workload have nothing to say; their verdict does not depend
// on other objects.
func ReviewWorkloads(checks []Check, snap *Snapshot, namespaces []string) Report {
	var subjects []Subject
	for _, sh := range snap.shardsInOrder() {
		if namespaces != nil && !slices.Contains(namespaces, sh.name) {
			continue
		}
		for _, w := range sh.workloads {
			subjects = append(subjects, Subject{Ref: w.Ref, Workload: w, keys: snap.signingKeys(w)})
		}
	}
	return Evaluate(checks, subjects, snap)
}
