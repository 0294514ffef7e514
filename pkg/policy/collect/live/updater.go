package live

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// maxBatch is how many changes wait for the next Snapshot at most.
const maxBatch = 1000

// updater makes Snapshots of what the sources tell. One goroutine owns it.
type updater struct {
	c    *Collector
	wg   sync.WaitGroup
	base *policy.Snapshot
	// pending are the changes that base does not have, by reference without
	// version; those without object and data are deletions.
	pending map[policy.Ref]item
	// unread are the scopes that cannot be read; nil when base has them.
	unread map[policy.Scope]string
	// published are the scopes base has.
	published map[policy.Scope]string
	sources   map[sourceID]*state

	// broken are the objects that exist and do not fit their type.
	broken map[policy.Ref]error

	namespaces map[string]bool // those that exist; true: opted in
	profile    *v1alpha1.Profile
	hasMesh    bool // what base knows of it
	// global tells that each cluster-wide kind was read once, started that the
	// namespaces of that moment were tried too.
	global, started bool
	health          *health

	nextPublish time.Time
	// sensitive activity, and when connections were replaced last.
	touched, dirtySince, replaced time.Time
	old                           *clients // to be closed
}

// state is what the updater knows of a source.
type state struct {
	source *source
	// read: everything was handed on once. tried: that, or it failed.
	read, tried bool
	absent      bool // its kind is
	ending      bool
	problem     error
	since       time.Time // of the problem
}

func newUpdater(c *Collector) *updater {
	now := c.opts.Now()
	return &updater{
		c: c, pending: map[policy.Ref]item{}, sources: map[sourceID]*state{}, namespaces: map[string]bool{}, broken: map[policy.Ref]error{},
		base: policy.NewSnapshot(policy.SnapshotOptions{
			Now: now, HashKey: c.opts.HashKey, TrustWaivers: true,
			Incomplete: []policy.FactKind{policy.FactCA, policy.FactSecretReaders},
		}, nil),
		profile: v1alpha1.DefaultProfile(), hasMesh: true, replaced: now,
	}
}

// run returns when ctx has ended and all sources with it.
func (u *updater) run(ctx context.Context) {
	for _, k := range clusterKinds {
		u.start(ctx, sourceID{kind: k})
	}
	u.report()
	u.c.health.Store(u.health)
	tick := time.NewTicker(u.c.pace.tick)
	defer tick.Stop()
	defer u.wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-u.c.events:
			u.handle(ctx, e)
			u.drain(ctx)
		case <-tick.C:
			u.look()
		}
		if !u.waitToPublish(ctx) {
			return
		}
		u.publish()
		u.c.health.Store(u.health) // after the Snapshot it speaks of
	}
}

// drain takes what has arrived meanwhile: the busier, the larger the steps.
func (u *updater) drain(ctx context.Context) {
	for len(u.pending) < maxBatch {
		select {
		case e := <-u.c.events:
			u.handle(ctx, e)
		default:
			return
		}
	}
}

// waitToPublish gathers changes while the last Snapshot is very young. A change
// after a quiet time does not wait.
func (u *updater) waitToPublish(ctx context.Context) bool {
	if !u.global {
		return true // nothing is published yet
	}
	wait := u.nextPublish.Sub(u.c.opts.Now())
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(min(wait, time.Second))
	defer timer.Stop()
	for len(u.pending) < maxBatch {
		select {
		case <-ctx.Done():
			return false
		case e := <-u.c.events:
			u.handle(ctx, e)
		case <-timer.C:
			return true
		}
	}
	return true
}

func (u *updater) start(ctx context.Context, id sourceID) {
	own, cancel := context.WithCancel(ctx)
	s := &source{sourceID: id, c: u.c, ctx: ctx, cancel: cancel, version: id.kind.versions[0], seen: map[string]mark{}}
	u.sources[id] = &state{source: s}
	u.wg.Go(func() { s.run(own) })
}

func (u *updater) handle(ctx context.Context, e event) {
	st := u.sources[e.source.sourceID]
	switch e.kind {
	case itemSet, itemGone:
		u.change(ctx, e)
		return
	case allRead, kindAbsent, watching:
		u.works(st, e.kind)
	case watchFailed:
		u.fails(st, e.err)
	case stopped:
		delete(u.sources, e.source.sourceID)
	}
	u.adjust(ctx)
	u.report()
}

// change notes a change of an object.
func (u *updater) change(ctx context.Context, e event) {
	key := e.item.ref
	key.APIVersion = ""
	u.pending[key] = e.item
	u.c.lookup.forget(key)
	if was := u.broken[key]; was != nil || e.item.problem != nil {
		delete(u.broken, key)
		if e.item.problem != nil {
			u.broken[key] = e.item.problem
		}
		u.report()
	}
	if e.source.kind.secretive() {
		u.touch()
	}
	switch e.source.kind.name {
	case "Namespace":
		name := e.item.ref.Name
		before, existed := u.namespaces[name]
		if e.kind == itemGone {
			delete(u.namespaces, name)
		} else {
			u.namespaces[name] = optedIn(e.item.object)
		}
		after, exists := u.namespaces[name]
		if before == after && existed == exists {
			return
		}
	case v1alpha1.KindProfile:
		if e.item.ref.Name != v1alpha1.DefaultProfileName {
			return
		}
		u.profile = v1alpha1.DefaultProfile()
		if p, ok := e.item.object.(*v1alpha1.Profile); ok && e.kind == itemSet {
			u.profile = p.DeepCopy()
			u.profile.Spec.Default()
		}
	default:
		return
	}
	u.adjust(ctx)
	u.report()
}

// touch notes that something sensitive came over a connection.
func (u *updater) touch() {
	u.touched = u.c.opts.Now()
	if u.dirtySince.IsZero() {
		u.dirtySince = u.touched
	}
}

// optedIn tells whether a namespace carries a label of mojasec. Any value
// counts: a typing error must not switch protection off.
func optedIn(obj runtime.Object) bool {
	m, ok := obj.(interface{ GetLabels() map[string]string })
	if !ok {
		return false
	}
	_, mode := m.GetLabels()[v1alpha1.LabelMode]
	_, quarantine := m.GetLabels()[v1alpha1.LabelQuarantine]
	return mode || quarantine
}

func (u *updater) works(st *state, how eventKind) {
	if how == kindAbsent && st.source.kind.presence == ours && !st.read {
		u.fails(st, fmt.Errorf("%s does not exist: run %q", st.source.kind.groupResource(), "kubectl mojasec install"))
		return
	}
	st.absent = how == kindAbsent
	st.read = st.read || how != watching
	st.tried = true
	// Who may list but not watch has a problem still.
	if st.problem != nil && how != allRead {
		st.problem, st.since = nil, time.Time{}
		u.tellProblem(st)
	}
}

func (u *updater) fails(st *state, err error) {
	known := st.problem != nil && st.problem.Error() == err.Error()
	if st.problem == nil {
		st.since = u.c.opts.Now()
	}
	st.problem, st.tried = err, true
	if !known {
		u.tellProblem(st)
	}
}

func (u *updater) tellProblem(st *state) {
	if hook := u.c.opts.Hooks.Problem; hook != nil {
		hook(st.source.kind.name, st.source.namespace, st.problem)
	}
}

// adjust starts and ends sources as namespaces opt in and out, and as the
// Profile names another mesh.
func (u *updater) adjust(ctx context.Context) {
	want := map[sourceID]bool{}
	for _, k := range clusterKinds {
		want[sourceID{kind: k}] = true
	}
	for ns, in := range u.namespaces {
		if in {
			for _, k := range namespaceKinds {
				want[sourceID{kind: k, namespace: ns}] = true
			}
		}
	}
	root := u.profile.Spec.MeshRootNamespace
	if in, exists := u.namespaces[root]; exists && !in {
		want[sourceID{kind: kindConfigMap, namespace: root, name: "istio"}] = true
		if rev := u.profile.Spec.Revision; rev != "" && rev != "default" {
			want[sourceID{kind: kindConfigMap, namespace: root, name: "istio-" + rev}] = true
		}
	}
	for id, st := range u.sources {
		if !want[id] && !st.ending {
			st.ending = true
			st.source.cancel()
		}
	}
	for id := range want {
		if u.sources[id] == nil && !u.overlaps(id) {
			u.start(ctx, id)
		}
	}
}

// overlaps tells that a source which is still to end reads some of the same:
// what it takes back must not be taken from its successor.
func (u *updater) overlaps(id sourceID) bool {
	for other, st := range u.sources {
		if st.ending && other.kind == id.kind && other.namespace == id.namespace && (other.name == id.name || other.name == "" || id.name == "") {
			return true
		}
	}
	return false
}

// look does what is due with time.
func (u *updater) look() {
	now := u.c.opts.Now()
	u.report()
	if u.c.sawSecrets.Swap(false) {
		u.touch()
	}
	p := u.c.pace
	if u.old != nil && now.Sub(u.replaced) >= p.grace {
		u.old.conns.closeAll()
		u.old = nil
	}
	due := !u.dirtySince.IsZero() && (now.Sub(u.touched) >= p.quiet || now.Sub(u.dirtySince) >= p.dirty)
	if !due || u.old != nil || now.Sub(u.replaced) < p.spare {
		return
	}
	u.replaced, u.dirtySince = now, time.Time{}
	if old, err := u.c.replaceConnections(); err == nil {
		u.old = old
	}
}

// report works out what cannot be read now.
func (u *updater) report() {
	h := &health{}
	unread := map[policy.Scope]string{}
	global, settled := true, true
	now := u.c.opts.Now()
	for id, st := range u.sources {
		if id.namespace != "" {
			settled = settled && (st.tried || st.ending)
			if st.problem != nil {
				h.note(st, now.Sub(st.since) > u.c.pace.stale)
			}
			continue
		}
		global = global && st.read
		forbidden := isForbidden(st.problem)
		switch {
		case forbidden || st.problem != nil && !st.read:
			h.notRead = append(h.notRead, u.describe(st))
		case !st.read:
			h.notRead = append(h.notRead, st.source.kind.groupResource()+" (still being read)")
		}
		old := st.problem != nil && now.Sub(st.since) > u.c.pace.stale
		if st.problem != nil {
			h.note(st, old)
		}
		if forbidden || old {
			for _, fact := range st.source.kind.facts {
				unread[policy.Scope{Kind: fact}] = u.describe(st)
			}
		}
	}
	u.unreadNamespaces(unread)
	u.unreadObjects(unread)
	u.global = u.global || global
	u.started = u.started || u.global && settled
	if u.global && !u.started {
		h.notRead = append(h.notRead, "Secrets and ConfigMaps of some namespaces (still being read)")
	}
	slices.Sort(h.notRead)
	slices.Sort(h.stale)
	u.health = h
	if !maps.Equal(unread, u.lastUnread()) {
		u.unread = unread
	}
}

// lastUnread are the scopes base has, or will have.
func (u *updater) lastUnread() map[policy.Scope]string {
	if u.unread != nil {
		return u.unread
	}
	return u.published
}

// unreadNamespaces adds the namespaces whose Secrets and ConfigMaps are not
// known. Where a namespace itself is not known nothing in it is looked up.
func (u *updater) unreadNamespaces(unread map[policy.Scope]string) {
	root := u.profile.Spec.MeshRootNamespace
	for ns, in := range u.namespaces {
		for _, k := range namespaceKinds {
			reason := ""
			switch {
			case in:
				reason = u.unreadReason(sourceID{kind: k, namespace: ns})
			case ns == root && k == kindConfigMap:
				// Of the others nothing is known, but nobody asks for them: no
				// Mojaloop workload belongs there.
				for id := range u.sources {
					if id.namespace == ns && id.kind == k && id.name != "" {
						reason = cmp.Or(reason, u.unreadReason(id))
					}
				}
			default:
				reason = fmt.Sprintf("%s of namespace %q are not read: it has no label %s", k.name+"s", ns, v1alpha1.LabelMode)
			}
			if reason == "" {
				continue
			}
			unread[policy.Scope{Kind: k.facts[0], Namespace: ns}] = reason
			if ns == root && k == kindConfigMap {
				unread[policy.Scope{Kind: policy.FactMeshConfig}] = reason
			}
		}
	}
}

// unreadObjects adds the namespaces with objects that cannot be understood; for
// the mesh root namespace, which counts everywhere, all.
func (u *updater) unreadObjects(unread map[policy.Scope]string) {
	for _, k := range clusterKinds {
		for ref, err := range u.broken {
			if ref.Kind != k.name {
				continue
			}
			ns := ref.Namespace
			if ns == u.profile.Spec.MeshRootNamespace {
				ns = ""
			}
			for _, fact := range k.facts {
				unread[policy.Scope{Kind: fact, Namespace: ns}] = fmt.Sprintf("%s %s/%s cannot be understood: %v", ref.Kind, ref.Namespace, ref.Name, err)
			}
		}
	}
}

// unreadReason says why a source of a namespace does not know; empty when it
// does.
func (u *updater) unreadReason(id sourceID) string {
	st := u.sources[id]
	switch {
	case st == nil || st.ending || !st.tried:
		return fmt.Sprintf("%ss of namespace %q are still being read", id.kind.name, id.namespace)
	case isForbidden(st.problem), st.problem != nil && !st.read, st.problem != nil && u.c.opts.Now().Sub(st.since) > u.c.pace.stale:
		return u.describe(st)
	}
	return ""
}

// describe says what cannot be read and what to do.
func (u *updater) describe(st *state) string {
	k := st.source.kind
	switch {
	case apierrors.IsForbidden(st.problem) && st.source.namespace != "":
		return forbiddenIn(k, st.source.namespace, u.profile.Spec.MeshRootNamespace)
	case apierrors.IsForbidden(st.problem):
		return fmt.Sprintf("may not list and watch %s, as ClusterRole mojasec-webhook allows: run %q", k.groupResource(), "kubectl mojasec install")
	case st.source.namespace != "":
		return fmt.Sprintf("%ss of namespace %q cannot be read: %v", k.name, st.source.namespace, st.problem)
	}
	return fmt.Sprintf("%s: %v", k.groupResource(), st.problem)
}

func forbiddenIn(k *kind, ns, root string) string {
	command := "kubectl mojasec install --namespace " + ns
	if ns == root {
		command = "kubectl mojasec install"
	}
	return fmt.Sprintf("may not read %ss of namespace %q: run %q", k.name, ns, command)
}

// isForbidden: an expired token is no reason to take anything for absent either.
func isForbidden(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

// meshChange tells whether the cluster has Istio's API, when that is known and
// base does not know it.
func (u *updater) meshChange() *bool {
	has := false
	for id, st := range u.sources {
		if id.kind.presence == optional && id.namespace == "" {
			if !st.read {
				return nil
			}
			has = has || !st.absent
		}
	}
	if has == u.hasMesh {
		return nil
	}
	return &has
}

// publish makes the next Snapshot when something has changed.
func (u *updater) publish() {
	first := u.global && u.c.snap.Load() == nil
	if len(u.pending) == 0 && u.unread == nil && u.meshChange() == nil && !first {
		return
	}
	began := u.c.opts.Now()
	changes := len(u.pending)
	up := policy.Update{Unread: u.unread, Mesh: u.meshChange()}
	for _, it := range u.pending {
		switch {
		case it.object != nil:
			up.Set = append(up.Set, it.object)
		case it.data != nil:
			up.Data = append(up.Data, it.data)
		default:
			up.Gone = append(up.Gone, it.ref)
		}
	}
	if u.unread != nil {
		u.published, u.unread = u.unread, nil
	}
	if up.Mesh != nil {
		u.hasMesh = *up.Mesh
	}
	clear(u.pending)
	u.base = u.base.Apply(up).At(began)
	if !u.global {
		return
	}
	u.base.Prepare()
	u.c.snap.Store(u.base)
	done := u.c.opts.Now()
	// In a very large cluster, not more than half of a processor.
	u.nextPublish = done.Add(max(u.c.pace.publish, done.Sub(began)))
	if hook := u.c.opts.Hooks.Published; hook != nil {
		hook(changes, done.Sub(began))
	}
}
