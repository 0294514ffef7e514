package live

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Limits of looking again.
const (
	// rereadTime leaves an admission request (5 s) time for the rest.
	rereadTime = 2 * time.Second
	// rereadRate is for the whole process, per second; namespaceRate for one
	// namespace, so that who asks for a thousand names that do not exist does
	// not stop the others.
	rereadRate, namespaceRate = 20, 10
	// maxFacts are looked up for one request at most.
	maxFacts = 64
	// maxRemembered bounds the memory of answers.
	maxRemembered = 1024
)

// lookup asks the API server for single objects.
type lookup struct {
	c      *Collector
	flight singleflight.Group
	all    *rate.Limiter

	mu      sync.Mutex
	answers map[policy.Fact]answer
	// flying are the facts that are being asked for; true: changed meanwhile.
	flying     map[policy.Fact]bool
	namespaces map[string]*rate.Limiter
}

// answer is what the API server said; both lists are empty when the object is
// absent.
type answer struct {
	objects []runtime.Object
	data    []*policy.Data
	at      time.Time
}

func newLookup(c *Collector) *lookup {
	return &lookup{
		c: c, all: rate.NewLimiter(rereadRate, rereadRate),
		answers: map[policy.Fact]answer{}, flying: map[policy.Fact]bool{}, namespaces: map[string]*rate.Limiter{},
	}
}

// Reread asks the API server for objects that snap says are absent, each by its
// name. It returns snap with what it found, and whether that was anything. An
// error means that something could not be read in time: it is not known to be
// absent then. Facts of kinds that are followed as a whole are not asked for.
func (c *Collector) Reread(ctx context.Context, snap *policy.Snapshot, absent []policy.Fact) (*policy.Snapshot, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, rereadTime)
	defer cancel()
	var facts []policy.Fact
	for _, fact := range absent {
		if !slices.Contains(facts, fact) {
			facts = append(facts, fact)
		}
		if len(facts) > maxFacts {
			return snap, false, fmt.Errorf("read %s and others: too many look-ups at a time", facts[0])
		}
	}
	answers := make([]answer, len(facts))
	group, ctx := errgroup.WithContext(ctx)
	for i, fact := range facts {
		group.Go(func() (err error) {
			if answers[i], err = c.lookup.ask(ctx, fact); err != nil {
				return fmt.Errorf("read %s: %w", fact, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return snap, false, err
	}
	var up policy.Update
	for _, a := range answers {
		up.Set = append(up.Set, a.objects...)
		up.Data = append(up.Data, a.data...)
	}
	if len(up.Set)+len(up.Data) == 0 {
		return snap, false, nil
	}
	return snap.Apply(up), true, nil
}

// ask answers from memory, or joins who asks the same, or asks.
func (l *lookup) ask(ctx context.Context, fact policy.Fact) (answer, error) {
	if a, ok := l.remembered(fact); ok {
		return a, nil
	}
	result := l.flight.DoChan(fmt.Sprintf("%q/%q/%q", fact.Kind, fact.Namespace, fact.Name), func() (any, error) {
		// Others wait for it: it must not end when the first who asked goes.
		deadline, _ := ctx.Deadline()
		ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		l.begin(fact)
		a, err := l.read(ctx, fact)
		l.end(fact, a, err)
		return a, err
	})
	select {
	case r := <-result:
		a, _ := r.Val.(answer)
		return a, r.Err
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

func (l *lookup) remembered(fact policy.Fact) (answer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.answers[fact]
	return a, ok && l.c.opts.Now().Sub(a.at) < l.c.pace.remember
}

func (l *lookup) begin(fact policy.Fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying[fact] = false
}

// end remembers an answer, unless it may be older than what is known by now.
func (l *lookup) end(fact policy.Fact, a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := l.flying[fact]
	delete(l.flying, fact)
	if err != nil || changed {
		return
	}
	a.at = l.c.opts.Now()
	if len(l.answers) >= maxRemembered {
		clear(l.answers)
	}
	l.answers[fact] = a
}

// forget is told of every change of an object: what was answered about it must
// not come before what was told since.
func (l *lookup) forget(ref policy.Ref) {
	var fact policy.Fact
	switch ref.Kind {
	case "Secret", "ConfigMap", "Namespace":
		fact = policy.Fact{Kind: policy.FactKind(ref.Kind), Namespace: ref.Namespace, Name: ref.Name}
	case "PeerAuthentication":
		fact = policy.Fact{Kind: policy.FactPeerAuthentication, Namespace: ref.Namespace}
	default:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answers, fact)
	if _, ok := l.flying[fact]; ok {
		l.flying[fact] = true
	}
}

// wait takes a turn of the namespace and of the process.
func (l *lookup) wait(ctx context.Context, ns string) error {
	l.mu.Lock()
	if len(l.namespaces) >= maxRemembered {
		clear(l.namespaces)
	}
	own := l.namespaces[ns]
	if own == nil {
		own = rate.NewLimiter(namespaceRate, namespaceRate)
		l.namespaces[ns] = own
	}
	l.mu.Unlock()
	for _, limiter := range []*rate.Limiter{own, l.all} {
		if err := limiter.Wait(ctx); err != nil {
			return fmt.Errorf("too many look-ups at a time: %w", err)
		}
	}
	return nil
}

func (l *lookup) read(ctx context.Context, fact policy.Fact) (answer, error) {
	switch fact.Kind {
	case policy.FactSecret:
		return l.get(ctx, kindSecret, fact.Namespace, fact.Namespace, fact.Name)
	case policy.FactConfigMap:
		return l.get(ctx, kindConfigMap, fact.Namespace, fact.Namespace, fact.Name)
	case policy.FactNamespace:
		return l.get(ctx, kindNamespace, fact.Name, "", fact.Name)
	case policy.FactPeerAuthentication:
		return l.listAll(ctx, kindPeerAuthentication, fact.Namespace)
	default:
		return answer{}, nil
	}
}

// get reads one object. turn is the namespace whose rate it counts against.
func (l *lookup) get(ctx context.Context, k *kind, turn, ns, name string) (answer, error) {
	if name == "" || len(content.IsPathSegmentName(name)) > 0 {
		return answer{}, nil // there can be no such object
	}
	if err := l.wait(ctx, turn); err != nil {
		return answer{}, err
	}
	obj := k.object()
	err := l.c.clients(k).get(k, k.versions[0], ns).Name(name).Do(ctx).Into(obj)
	if k.sensitive {
		l.c.sawSecrets.Store(true)
	}
	switch {
	case apierrors.IsNotFound(err):
		return answer{}, nil
	case isForbidden(err) && ns != "":
		return answer{}, fmt.Errorf("%s", forbiddenIn(k, ns, ""))
	case err != nil:
		return answer{}, err
	}
	var a answer
	a.add(l.c.reduction, k, k.versions[0], obj)
	return a, nil
}

// listAll reads the objects of a kind in a namespace.
func (l *lookup) listAll(ctx context.Context, k *kind, ns string) (answer, error) {
	if err := l.wait(ctx, ns); err != nil {
		return answer{}, err
	}
	var a answer
	for _, version := range k.versions {
		_, err := readPage(ctx, k, l.c.clients(k).get(k, version, ns), l.c.codecs, func(obj runtime.Object) error {
			if broken, ok := obj.(*unreadable); ok {
				return broken.err
			}
			a.add(l.c.reduction, k, version, obj)
			return nil
		})
		if !apierrors.IsNotFound(err) {
			return a, err
		}
	}
	return a, nil
}

func (a *answer) add(r reduction, k *kind, version string, obj runtime.Object) {
	switch it, ok := r.reduce(k, version, obj); {
	case !ok:
	case it.data != nil:
		a.data = append(a.data, it.data)
	default:
		a.objects = append(a.objects, it.object)
	}
}
