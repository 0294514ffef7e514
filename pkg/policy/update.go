package policy

import (
	"cmp"
	"maps"
	"reflect"
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
	// Mesh tells whether the cluster has Istio's API; nil leaves what is
	// known. Without it "mesh: auto" of a Profile means no mesh.
	Mesh *bool
}

// bulk is the number of objects from which on sorting a namespace once is
// cheaper than to find the place of each.
const bulk = 512

// Apply returns the Snapshot after an update. Only the namespaces it is about
// are copied, and their index only if something in it may have changed.
func (s *Snapshot) Apply(u Update) *Snapshot {
	out := *s
	d := draft{to: &out}
	d.profile(u)
	d.waivers(u)
	if u.Unread != nil && !maps.Equal(u.Unread, s.unread) {
		d.unread(u.Unread)
	}
	if u.Mesh != nil {
		out.opts.NoMesh = !*u.Mesh
	}
	d.set(u)
	for _, ref := range u.Gone {
		d.gone(ref)
	}
	d.finish()
	return &out
}

// draft is a Snapshot in the making: its shards are those of another one until
// they are touched.
type draft struct {
	to      *Snapshot
	touched map[string]*shard
	// indexed tells that some index is not what it was.
	indexed bool
}

// shard returns the shard of a namespace, to be changed.
func (d *draft) shard(ns string) *shard {
	sh := d.touched[ns]
	if sh == nil {
		sh = d.to.shards[ns].clone(ns)
		if d.touched == nil {
			d.touched = map[string]*shard{}
		}
		d.touched[ns] = sh
	}
	return sh
}

// reindex tells that what the index of a shard is made of has changed.
func (d *draft) reindex(sh *shard) {
	if from := d.to.shards[sh.name]; from == nil || sh.index == from.index {
		sh.index = &lazyIndex{}
	}
	d.indexed = true
}

// set takes in the objects that were created or changed. Pods come last: they
// are counted one by one into what is sorted.
func (d *draft) set(u Update) {
	sorted := len(u.Set)+len(u.Data) < bulk
	for _, obj := range u.Set {
		switch o := obj.(type) {
		case *corev1.Pod, *v1alpha1.Profile, *v1alpha1.Waiver:
		case *corev1.Secret, *corev1.ConfigMap:
			d.data(d.to.reduce(o).(*Data), sorted)
		default:
			d.object(obj, sorted)
		}
	}
	for _, data := range u.Data {
		d.data(data, sorted)
	}
	if !sorted {
		for _, sh := range d.touched {
			sh.sort()
		}
	}
	for _, obj := range u.Set {
		if p, ok := obj.(*corev1.Pod); ok {
			d.pod(p)
		}
	}
}

func (d *draft) object(obj runtime.Object, sorted bool) {
	ns, ok := namespaceOf(obj)
	if !ok {
		return
	}
	sh, reduced := d.shard(ns), d.to.reduce(obj)
	if _, ok := reduced.(*Workload); ok {
		d.reindex(sh)
	}
	if sorted {
		sh.put(reduced)
	} else {
		sh.add(reduced)
	}
}

func (d *draft) data(data *Data, sorted bool) {
	sh := d.shard(data.Ref.Namespace)
	if !sorted {
		d.reindex(sh)
		sh.add(data)
		return
	}
	if old := sh.find(data.Ref); old == nil || !old.sameFacts(data) {
		d.reindex(sh)
	}
	sh.put(data)
}

// pod takes in a pod of the cluster. One like others only counts.
func (d *draft) pod(p *corev1.Pod) {
	ref := RefOf(p)
	template, key := d.to.group(p)
	if from := d.to.shards[ref.Namespace]; from != nil && d.touched[ref.Namespace] == nil && key != nil {
		if old := from.pods.find(ref.Name); old != nil && *old == *key {
			return // its status has changed, or nothing
		}
	}
	sh := d.shard(ref.Namespace)
	if key == nil {
		sh.removePod(ref.Name)
		sh.put(d.to.reduce(p))
		d.reindex(sh)
		return
	}
	alone := sh.remove(ref)
	seen := sh.putPod(ref.Name, key, func() *Workload {
		return newWorkload(key.ref, &p.ObjectMeta, template, nil, &d.to.profile.recogniser, d.to.hasher)
	})
	if alone || seen {
		d.reindex(sh)
	}
}

func (d *draft) gone(ref Ref) {
	ns := ref.Namespace
	switch ref.Kind {
	case "Profile", "Waiver":
		return
	case "Namespace":
		ns = ref.Name
	}
	if d.touched[ns] == nil && d.to.shards[ns] == nil {
		return
	}
	sh := d.shard(ns)
	if ref.Kind == "Pod" && sh.pods.find(ref.Name) != nil {
		if sh.removePod(ref.Name) {
			d.reindex(sh)
		}
		return
	}
	if sh.remove(ref) {
		d.reindex(sh)
	}
}

// profile takes in the Profile, and recognises all workloads anew where its
// rules differ.
func (d *draft) profile(u Update) {
	var p *v1alpha1.Profile
	for _, obj := range u.Set {
		if o, ok := obj.(*v1alpha1.Profile); ok && o.Name == v1alpha1.DefaultProfileName {
			p = o
		}
	}
	for _, ref := range u.Gone {
		if ref.Kind == "Profile" && ref.Name == v1alpha1.DefaultProfileName {
			p = v1alpha1.DefaultProfile()
		}
	}
	if p == nil {
		return
	}
	before := d.to.profile
	d.to.profile = newProfile(p, d.to.opts.PublishedKeys, d.to.hasher)
	if reflect.DeepEqual(before.Recognition, d.to.profile.Recognition) {
		return
	}
	for _, from := range d.to.order {
		sh := d.shard(from.name)
		for i := range sh.workloads {
			sh.workloads[i].Workload = d.to.profile.recogniser.again(sh.workloads[i].Workload)
		}
		d.reindex(sh)
	}
}

// waivers takes in the Waivers.
func (d *draft) waivers(u Update) {
	list, changed := d.to.waiverObjs, false
	remove := func(name string) {
		i := slices.IndexFunc(list, func(w *v1alpha1.Waiver) bool { return w.Name == name })
		if i < 0 {
			return
		}
		if !changed {
			list, changed = slices.Clone(list), true
		}
		list = slices.Delete(list, i, i+1)
	}
	for _, obj := range u.Set {
		if w, ok := obj.(*v1alpha1.Waiver); ok {
			remove(w.Name)
			list, changed = append(slices.Clip(list), w), true
		}
	}
	for _, ref := range u.Gone {
		if ref.Kind == "Waiver" {
			remove(ref.Name)
		}
	}
	if changed {
		d.to.waiverObjs, d.to.waivers = list, newWaivers(list)
	}
}

// unread takes in what cannot be read: there the index holds unknown instead of
// absent, or the reverse.
func (d *draft) unread(scopes map[Scope]string) {
	before := d.to.unread
	d.to.unread = maps.Clone(scopes)
	for _, from := range d.to.order {
		for _, kind := range [...]FactKind{FactSecret, FactConfigMap} {
			was := (&Snapshot{unread: before}).Unread(kind, from.name) != ""
			if is := d.to.Unread(kind, from.name) != ""; was != is {
				d.reindex(d.shard(from.name))
			}
		}
	}
}

// finish puts the touched shards into the Snapshot.
func (d *draft) finish() {
	out := d.to
	if len(d.touched) > 0 {
		out.shards, out.order = maps.Clone(out.shards), slices.Clone(out.order)
		byName := func(a, b *shard) int { return cmp.Compare(a.name, b.name) }
		for name, sh := range d.touched {
			if sh.isEmpty() { // namespaces come and go
				delete(out.shards, name)
				if i, found := slices.BinarySearchFunc(out.order, sh, byName); found {
					out.order = slices.Delete(out.order, i, i+1)
				}
				continue
			}
			out.shards[name] = sh
			out.order = put(out.order, sh, byName)
		}
	}
	if d.indexed {
		out.merged = &lazyIndex{}
	}
	out.mesh = out.newMeshFacts()
}

// find returns the facts of a Secret or ConfigMap; nil when there are none.
func (sh *shard) find(ref Ref) *Data {
	list := sh.configMaps
	if ref.Kind == "Secret" {
		list = sh.secrets
	}
	if i, ok := slices.BinarySearchFunc(list, &Data{Ref: ref}, compareData); ok {
		return list[i]
	}
	return nil
}

// sameFacts tells whether nothing that an index holds differs.
func (d *Data) sameFacts(o *Data) bool {
	return reflect.DeepEqual(d.Entries, o.Entries) && reflect.DeepEqual(d.Hub, o.Hub)
}

// Unread says why facts of a kind in a namespace cannot be read; it is empty
// where they can.
func (s *Snapshot) Unread(kind FactKind, ns string) string {
	if reason, ok := s.unread[Scope{kind, ns}]; ok {
		return reason
	}
	return s.unread[Scope{Kind: kind}]
}

// Tracking returns the same knowledge; it reports each look-up that found
// nothing where all is known, so that the door can look again before it denies:
// Secrets and ConfigMaps that are not there or lack a key, Namespaces, and the
// PeerAuthentications of a namespace of which none sets a mode. What is there
// and out of date is not reported: it is corrected when the watch catches up.
func (s *Snapshot) Tracking(note func(Fact)) *Snapshot {
	out := *s
	out.note = note
	return &out
}

// ReviewWorkloads judges the workloads a Snapshot knows, in some namespaces;
// in all of them where namespaces is nil. It tells what a change of other
// objects does to them. The subjects have no object and no pod: checks that read
// more than a Workload (see [NeedsPod]) have nothing to say. Nothing is injected:
// pods are judged as they run.
func ReviewWorkloads(checks []Check, snap *Snapshot, namespaces []string) Report {
	var subjects []Subject
	for _, sh := range snap.shardsInOrder() {
		if namespaces != nil && !slices.Contains(namespaces, sh.name) {
			continue
		}
		for _, m := range sh.workloads {
			sub := Subject{Ref: m.Ref, Workload: snap.unmasked(m.Workload)}
			sub.keys = snap.signingKeys(sub.Workload)
			subjects = append(subjects, sub)
		}
	}
	return Evaluate(checks, subjects, snap)
}

// NeedsPod tells whether a check reads more of a pod than the facts that a
// Snapshot keeps: whole texts of environment, arguments and annotations, which
// may be long and may hold secrets, and the security of containers. Such a
// verdict depends on the pod and the Profile alone, never on other objects.
func NeedsPod(id ID) bool {
	return id == checkMTLSNoBypass.ID || id == checkPrivateKeyInClear.ID
}
