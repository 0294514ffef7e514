package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"net/url"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// ReadOptions says what to read once.
type ReadOptions struct {
	// HashKey keys the hashes by which equal secrets are found: random when
	// empty.
	HashKey []byte
	// Now is the time of the Snapshot.
	Now time.Time
	// Namespaces limits what stands in a namespace to these, and to the mesh
	// root namespace; nil reads all. What is elsewhere is then unknown where a
	// rule asks for it.
	Namespaces []string
	// KeysOnly reads the Profile, the labels of namespaces where that is allowed,
	// what makes pods, Secrets and ConfigMaps, and takes the rest for unknown.
	KeysOnly bool
	// Parallel is how many lists are read at a time; 8 when 0.
	Parallel int
}

const defaultParallel = 8

// Reading is what was read of a cluster at one time.
type Reading struct {
	// Snapshot has all of it. What could not be read is unknown there.
	Snapshot *policy.Snapshot
	// Objects are those that were read but for Secrets and ConfigMaps, of which
	// only Data is left.
	Objects []runtime.Object
	Data    []*policy.Data
	// Unread are the lists and objects that could not be read.
	Unread []Unread
	// NoNamespaces are those of ReadOptions.Namespaces that do not exist.
	NoNamespaces []string
	// Lists is how many lists were read, pages not counted.
	Lists int
}

// Unread is something that could not be read.
type Unread struct {
	// Kind is for example "Secret"; Group and Resource are its names in RBAC.
	Kind, Group, Resource string
	// Namespace is empty for the whole cluster; Name is set for one object that
	// could not be understood.
	Namespace, Name string
	Err             error
}

// String names what was not read, for example "secrets in mojaloop".
func (u Unread) String() string {
	text := u.Resource
	if u.Group != "" {
		text += "." + u.Group
	}
	if u.Name != "" {
		text += " " + u.Name
	}
	if u.Namespace != "" {
		text += " in " + u.Namespace
	}
	return text
}

// Read reads a cluster once: each kind with one list in pages, several kinds at
// a time. Secrets and ConfigMaps are reduced to facts as each page arrives.
//
// What the API server refuses is in the Unread of the Reading. The error is for
// a server that cannot be reached, does not know the user, or is not asked
// because ctx has ended.
func Read(ctx context.Context, cfg *rest.Config, o ReadOptions) (*Reading, error) {
	if len(o.HashKey) == 0 {
		o.HashKey = make([]byte, 32)
		_, _ = rand.Read(o.HashKey) // never fails: see its documentation
	}
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // the API server says itself when it has enough
	r := reader{
		ReadOptions: o, codecs: newCodecs(),
		reduction: reduction{reducer: policy.NewReducer(o.HashKey), seed: maphash.MakeSeed()},
	}
	var err error
	if r.clients, err = newClients(cfg, r.codecs, allKinds()); err != nil {
		return nil, fmt.Errorf("read the cluster: %w", err)
	}
	defer r.clients.conns.closeAll()
	// The Profile says where the mesh is configured.
	profiles := r.run(ctx, []*job{{kind: clusterKinds[0]}})
	root := rootOf(profiles)
	jobs := slices.Concat(profiles, r.run(ctx, r.jobs(root)))
	for _, j := range jobs {
		if isFatal(j.err) {
			return nil, fmt.Errorf("list %s: %w", j.unread().String(), j.err)
		}
	}
	return r.reading(jobs, root), nil
}

// isFatal tells whether no other request will fare better: the API server
// cannot be reached, does not know the user, or is not to be asked any more.
func isFatal(err error) bool {
	_, unreachable := errors.AsType[*url.Error](err)
	return unreachable || apierrors.IsUnauthorized(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// rootOf is the mesh root namespace of the Profile.
func rootOf(jobs []*job) string {
	profile := v1alpha1.DefaultProfile()
	for _, j := range jobs {
		for _, obj := range j.objects {
			if p, ok := obj.(*v1alpha1.Profile); ok && p.Name == v1alpha1.DefaultProfileName {
				profile = p
			}
		}
	}
	spec := profile.Spec.DeepCopy()
	spec.Default()
	return spec.MeshRootNamespace
}

// reader reads a cluster once.
type reader struct {
	ReadOptions
	clients   *clients
	codecs    codecs
	reduction reduction
}

// job is a list to read, or the object with a name, and what came of it.
type job struct {
	kind            *kind
	namespace, name string

	objects []runtime.Object
	data    []*policy.Data
	broken  []Unread
	absent  bool // the API server does not know the kind, or there is no object of that name
	err     error
}

func (j *job) unread() Unread {
	return Unread{Kind: j.kind.name, Group: j.kind.group, Resource: j.kind.resource, Namespace: j.namespace, Name: j.name, Err: j.err}
}

// jobs are the lists to read beside the Profile.
func (r *reader) jobs(root string) []*job {
	var out []*job
	for _, k := range allKinds() {
		switch {
		case k == clusterKinds[0], r.KeysOnly && !k.aboutKeys():
		case k == kindNamespace && r.Namespaces != nil:
			for _, ns := range r.Namespaces {
				out = append(out, &job{kind: k, name: ns})
			}
		case r.Namespaces == nil || k.isGlobal():
			out = append(out, &job{kind: k})
		default:
			for _, ns := range r.Namespaces {
				out = append(out, &job{kind: k, namespace: ns})
			}
			if (k.presence == optional || k == kindConfigMap) && !r.KeysOnly && !slices.Contains(r.Namespaces, root) {
				out = append(out, &job{kind: k, namespace: root})
			}
		}
	}
	return out
}

// aboutKeys tells whether rules about keys read the kind. Of a namespace the mode
// counts: in some of them admission mounts keys.
func (k *kind) aboutKeys() bool { return k.secretive() || k == kindNamespace }

// isGlobal tells whether objects of the kind belong to no namespace.
func (k *kind) isGlobal() bool {
	return k == kindNamespace || k.name == "Profile" || k.name == "Waiver"
}

// run does jobs, several at a time.
func (r *reader) run(ctx context.Context, jobs []*job) []*job {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	places := make(chan struct{}, r.Parallel)
	var wg sync.WaitGroup
	for _, j := range jobs {
		wg.Go(func() {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				j.err = ctx.Err()
				return
			}
			defer func() { <-places }()
			if j.err = r.do(ctx, j); isFatal(j.err) {
				cancel()
			}
		})
	}
	wg.Wait()
	// The first cause counts, not that the others were given up.
	slices.SortStableFunc(jobs, func(a, b *job) int { return givenUp(a.err) - givenUp(b.err) })
	return jobs
}

func givenUp(err error) int {
	if errors.Is(err, context.Canceled) {
		return 1
	}
	return 0
}

// do reads one list, at the first version of the kind that is served.
func (r *reader) do(ctx context.Context, j *job) error {
	var err error
	for _, version := range j.kind.versions {
		if err = r.readAll(ctx, j, version); !apierrors.IsNotFound(err) {
			return err
		}
	}
	switch {
	case j.name != "": // the object is not there, which is an answer
		j.absent = true
		return nil
	case j.kind.presence == builtIn:
		return err
	}
	j.absent = true
	return nil
}

// maxRestarts bounds how often a list begins again that the API server has
// forgotten between two pages.
const maxRestarts = 3

// readAll reads all pages.
func (r *reader) readAll(ctx context.Context, j *job, version string) error {
	if j.name != "" {
		obj := j.kind.object()
		if err := r.clients.get(j.kind, version, j.namespace).Name(j.name).Do(ctx).Into(obj); err != nil {
			return err
		}
		return j.take(r.reduction, version, obj)
	}
	next, restarts := "", 0
	for {
		opts := metav1.ListOptions{Limit: j.kind.pageSize, Continue: next}
		req := r.clients.get(j.kind, version, j.namespace).SpecificallyVersionedParams(&opts, r.codecs.parameters, optionsVersion)
		page, err := readPage(ctx, j.kind, req, r.codecs, func(obj runtime.Object) error { return j.take(r.reduction, version, obj) })
		switch {
		case apierrors.IsResourceExpired(err) && next != "" && restarts < maxRestarts:
			j.objects, j.data, j.broken, next = nil, nil, nil, ""
			restarts++
			continue
		case err != nil:
			return err
		}
		if next = page.Continue; next == "" {
			return nil
		}
	}
}

// take keeps what is to be kept of an object.
func (j *job) take(r reduction, version string, obj runtime.Object) error {
	it, ok := r.reduce(j.kind, version, obj)
	switch {
	case !ok:
	case it.data != nil:
		j.data = append(j.data, it.data)
	case it.object != nil:
		j.objects = append(j.objects, it.object)
	default:
		u := j.unread()
		u.Namespace, u.Name, u.Err = it.ref.Namespace, it.ref.Name, it.problem
		j.broken = append(j.broken, u)
	}
	return nil
}

// reading puts together what was read.
func (r *reader) reading(jobs []*job, root string) *Reading {
	out := &Reading{Lists: len(jobs)}
	unread := map[policy.Scope]string{}
	mesh, meshKnown := false, !r.KeysOnly
	for _, j := range jobs {
		out.Objects = append(out.Objects, j.objects...)
		out.Data = append(out.Data, j.data...)
		if j.kind.presence == optional {
			mesh, meshKnown = mesh || !j.absent, meshKnown && j.err == nil
		}
		if j.kind == kindNamespace && j.name != "" && j.absent {
			out.NoNamespaces = append(out.NoNamespaces, j.name)
		}
		failed := j.broken
		if j.err != nil {
			failed = append(slices.Clip(failed), j.unread())
		}
		for _, u := range failed {
			if !r.KeysOnly || j.kind != kindNamespace { // people who look after one namespace may not
				out.Unread = append(out.Unread, u)
			}
			ns := u.Namespace
			if j.kind.presence == optional && ns == root {
				ns = "" // it counts for the whole mesh
			}
			for _, fact := range j.kind.facts {
				unread[policy.Scope{Kind: fact, Namespace: ns}] = u.reason()
			}
			if j.kind == kindConfigMap && (ns == root || ns == "") {
				unread[policy.Scope{Kind: policy.FactMeshConfig}] = u.reason()
			}
		}
	}
	update := policy.Update{Set: out.Objects, Data: out.Data, Unread: unread}
	if meshKnown {
		update.Mesh = &mesh
	}
	out.Snapshot = policy.NewSnapshot(policy.SnapshotOptions{
		Now: r.Now, HashKey: r.HashKey, TrustWaivers: true, Incomplete: r.incomplete(),
	}, nil).Apply(update)
	return out
}

// incomplete lists the facts that were not asked for.
func (r *reader) incomplete() []policy.FactKind {
	out := []policy.FactKind{policy.FactCA, policy.FactSecretReaders}
	switch {
	case r.KeysOnly:
		for _, k := range allKinds() {
			if !k.aboutKeys() {
				out = append(out, k.facts...)
			}
		}
		out = append(out, policy.FactMeshConfig)
		if r.Namespaces != nil {
			out = append(out, policy.FactNamespace)
		}
	case r.Namespaces != nil:
		out = append(out, policy.FactService, policy.FactNamespace)
	}
	return out
}

// reason says what could not be read and why.
func (u Unread) reason() string {
	if apierrors.IsForbidden(u.Err) {
		return "may not list " + u.String()
	}
	return fmt.Sprintf("%s: %v", u.String(), u.Err)
}
