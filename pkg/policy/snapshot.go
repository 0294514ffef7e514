package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
)

// Snapshot is what is known: immutable, indexed, sharded by namespace. It
// holds facts about Secrets, never their values.
//
// A Snapshot is safe for concurrent use. [Snapshot.At], [Snapshot.Apply],
// [Snapshot.With] and [Snapshot.Without] return new ones that share what did not
// change.
type Snapshot struct {
	now     time.Time
	opts    SnapshotOptions
	hasher  *crypto.Hasher
	profile *profile
	// waivers are those that count, by check; waiverObjs are their objects.
	waivers    waivers
	waiverObjs []*v1alpha1.Waiver
	shards     map[string]*shard
	order      []*shard // shards by namespace
	mesh       meshFacts
	// merged is the index of all namespaces.
	merged *lazyIndex
	// ids are the checks that exist.
	ids map[ID]bool
	// unread are the scopes that cannot be read, with the reason.
	unread map[Scope]string
	// note hears of what was looked up and is absent; nil for nobody.
	note func(Fact)
}

// SnapshotOptions says how much of the truth the objects are.
type SnapshotOptions struct {
	// Now is the time of the verdict: waivers and ages are judged at it.
	Now time.Time
	// HashKey is random per process. It keys the hashes by which equal secrets
	// of different DFSPs are found.
	HashKey []byte
	// Incomplete lists the kinds of facts that may exist beyond the given
	// objects: what is missing of them is unknown, not absent.
	Incomplete []FactKind
	// Expected lists the kinds of facts whose absence is normal for the door:
	// checks skipped for them alone do not make a report incomplete.
	Expected []FactKind
	// Waivers replaces the Waiver objects: offline a pull request must not
	// waive itself. Nil takes those among the objects.
	Waivers []*v1alpha1.Waiver
	// TrustWaivers makes Waiver objects among the objects count.
	TrustWaivers bool
	// PublishedKeys defaults to the list in the program.
	PublishedKeys *crypto.PublishedKeys
	// NoMesh says that the cluster does not have Istio's API.
	NoMesh bool
}

// OfflineOptions are the options of a door that has manifests only: their
// NetworkPolicies, Istio objects and Profile are the whole truth, while
// Secrets, ConfigMaps, namespaces and everything about a running cluster may
// exist beyond them.
func OfflineOptions(now time.Time, hashKey []byte) SnapshotOptions {
	return SnapshotOptions{
		Now: now, HashKey: hashKey,
		Incomplete: []FactKind{
			FactSecret, FactConfigMap, FactNamespace, FactService, FactMesh, FactMeshConfig,
			FactCA, FactKeyAge, FactSetting, FactQuarantine, FactSecretReaders,
		},
		Expected: []FactKind{
			FactSecret, FactMeshConfig, FactCA, FactKeyAge, FactQuarantine, FactSecretReaders,
		},
	}
}

// NewSnapshot reduces objects to a Snapshot. Objects of kinds it does not know
// are passed over; of two with the same name the later one counts.
func NewSnapshot(opts SnapshotOptions, objs []runtime.Object) *Snapshot {
	if opts.PublishedKeys == nil {
		opts.PublishedKeys = crypto.Published()
	}
	s := &Snapshot{now: opts.Now, opts: opts, hasher: crypto.NewHasher(opts.HashKey), shards: map[string]*shard{}, merged: &lazyIndex{}, ids: map[ID]bool{}}
	for _, c := range catalogue {
		s.ids[c.ID] = true
	}
	s.profile = newProfile(profileOf(objs), opts.PublishedKeys, s.hasher)
	waiverObjs := opts.Waivers
	for _, obj := range objs {
		if w, ok := obj.(*v1alpha1.Waiver); ok && opts.TrustWaivers {
			waiverObjs = append(slices.Clip(waiverObjs), w)
		}
		if ns, ok := namespaceOf(obj); ok {
			sh := s.shards[ns]
			if sh == nil {
				sh = newShard(ns)
				s.shards[ns] = sh
			}
			sh.add(s.reduce(obj))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.shards)) {
		s.shards[name].sort()
		s.order = append(s.order, s.shards[name])
	}
	s.waiverObjs = waiverObjs
	s.waivers = newWaivers(waiverObjs)
	s.mesh = s.newMeshFacts()
	return s
}

func profileOf(objs []runtime.Object) *v1alpha1.Profile {
	for _, obj := range slices.Backward(objs) {
		if p, ok := obj.(*v1alpha1.Profile); ok && p.Name == v1alpha1.DefaultProfileName {
			return p
		}
	}
	return v1alpha1.DefaultProfile()
}

// namespaceOf returns the shard an object belongs to.
func namespaceOf(obj runtime.Object) (string, bool) {
	switch o := obj.(type) {
	case *corev1.Namespace:
		return o.Name, true
	case metav1.Object:
		return o.GetNamespace(), true
	}
	return "", false
}

// At returns the same knowledge, judged at another time.
func (s *Snapshot) At(now time.Time) *Snapshot {
	out := *s
	out.now = now
	return &out
}

// Now is the time of the verdict.
func (s *Snapshot) Now() time.Time { return s.now }

// With returns the Snapshot as it would be with obj created or replaced. Only
// the namespace of obj is copied. A Waiver counts, a Profile recognises anew.
func (s *Snapshot) With(obj runtime.Object) *Snapshot {
	return s.Apply(Update{Set: []runtime.Object{obj}})
}

// Without returns the Snapshot as it would be with an object deleted.
func (s *Snapshot) Without(ref Ref) *Snapshot { return s.Apply(Update{Gone: []Ref{ref}}) }

// shard returns the shard of a namespace; nil when nothing in it is known.
func (s *Snapshot) shard(ns string) *shard { return s.shards[ns] }

// shardsInOrder returns every shard, ordered by namespace.
func (s *Snapshot) shardsInOrder() []*shard { return s.order }

// reduce turns an object into what a shard keeps of it.
func (s *Snapshot) reduce(obj runtime.Object) any {
	switch o := obj.(type) {
	case *corev1.Secret:
		return reduceSecret(RefOf(o), o, s.hasher)
	case *corev1.ConfigMap:
		return reduceConfigMap(RefOf(o), o, s.hasher)
	}
	if m, ok := podOf(obj); ok {
		return newWorkload(RefOf(obj), m.meta, m.pod, m.path, &s.profile.recogniser, s.hasher)
	}
	return obj
}

// isCheck tells whether a check exists.
func (s *Snapshot) isCheck(id ID) bool { return s.ids[id] }

// incomplete tells whether facts of a kind may exist beyond what was given.
func (s *Snapshot) incomplete(kind FactKind) bool {
	return slices.Contains(s.opts.Incomplete, kind) || s.unread[Scope{Kind: kind}] != ""
}

// lookedUp tells whoever tracks this Snapshot that a verdict met the absence of
// something.
func (s *Snapshot) lookedUp(fact Fact) {
	if s.note != nil {
		s.note(fact)
	}
}

// absence is the presence of something that was not found.
func (s *Snapshot) absence(fact Fact) Presence {
	if s.incomplete(fact.Kind) || len(s.unread) > 0 && s.Unread(fact.Kind, fact.Namespace) != "" {
		return Unknown
	}
	s.lookedUp(fact)
	return Absent
}

// Secret returns the facts of a Secret.
func (s *Snapshot) Secret(ns, name string) (*Data, Presence) { return s.data(FromSecret, ns, name) }

// ConfigMap returns the facts of a ConfigMap.
func (s *Snapshot) ConfigMap(ns, name string) (*Data, Presence) {
	return s.data(FromConfigMap, ns, name)
}

func (s *Snapshot) data(source SettingSource, ns, name string) (*Data, Presence) {
	if source != FromSecret && source != FromConfigMap {
		return nil, Absent
	}
	if sh := s.shard(ns); sh != nil {
		list := sh.configMaps
		if source == FromSecret {
			list = sh.secrets
		}
		if i, ok := slices.BinarySearchFunc(list, name, func(d *Data, n string) int { return cmp.Compare(d.Ref.Name, n) }); ok {
			return list[i], Present
		}
	}
	return nil, s.absence(source.fact(ns, name))
}

// Namespace returns the labels of a namespace.
func (s *Snapshot) Namespace(name string) (labels map[string]string, presence Presence) {
	if sh := s.shard(name); sh != nil && sh.namespace != nil {
		return sh.namespace.Labels, Present
	}
	return nil, s.absence(Fact{Kind: FactNamespace, Name: name})
}

// workloads returns the workloads of a namespace, ordered by name.
func (s *Snapshot) workloads(ns string) []member {
	if sh := s.shard(ns); sh != nil {
		return sh.workloads
	}
	return nil
}
