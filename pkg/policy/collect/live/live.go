package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Options says how to follow a cluster. The zero value is good.
type Options struct {
	// HashKey keys the hashes by which equal secrets are found: random when
	// empty.
	HashKey []byte
	// Now is the clock; the system's when nil.
	Now   func() time.Time
	Hooks Hooks
}

// Hooks are told what happens, for logs and metrics. They are called from
// several goroutines and must return at once. Each may be nil.
type Hooks struct {
	// Event is a change that was read; kind is for example "Pod".
	Event func(kind string)
	// Published is a new Snapshot, with the number of objects that differ from
	// the one before and the time it took to make it.
	Published func(changes int, took time.Duration)
	// Problem is something that cannot be read, or that can be again (err is
	// nil). namespace is empty for the whole cluster. It is called once for a
	// problem, not for each attempt.
	Problem func(kind, namespace string, err error)
}

// pace is how fast things happen. Tests are in a hurry.
type pace struct {
	// publish is the least time between two Snapshots.
	publish time.Duration
	// retry and retryMax are the first and the longest pause after a failure.
	retry, retryMax time.Duration
	// stale is how long a watch may be broken before absent is unknown.
	stale time.Duration
	// quiet is how long nothing sensitive must have happened before its
	// connections are replaced; dirty is after which time it is done anyway,
	// and spare the least time between two.
	// The old ones are closed after a time of grace, for what is in flight.
	quiet, dirty, spare, grace time.Duration
	// tick is how often it is looked at all of these.
	tick time.Duration
	// remember is for how long a look-up is not repeated.
	remember time.Duration
}

var defaultPace = pace{
	publish: 20 * time.Millisecond,
	retry:   200 * time.Millisecond, retryMax: 3 * time.Second,
	stale: time.Minute,
	quiet: 5 * time.Second, dirty: time.Minute, spare: 30 * time.Second, grace: 5 * time.Second,
	tick:     time.Second,
	remember: 2 * time.Second,
}

// Collector follows a cluster. Make it with [New]; its methods are safe for
// concurrent use.
type Collector struct {
	opts      Options
	pace      pace
	cfg       *rest.Config
	codecs    codecs
	reduction reduction
	lookup    *lookup

	plain *clients
	// sensitive reads Secrets, ConfigMaps and pods, see replaceConnections.
	sensitive atomic.Pointer[clients]
	// sawSecrets is set by look-ups: those connections are to be replaced too.
	sawSecrets atomic.Bool
	// listsOnly is set when the API server cannot stream lists.
	listsOnly atomic.Bool

	running atomic.Bool
	events  chan event
	snap    atomic.Pointer[policy.Snapshot]
	health  atomic.Pointer[health]
}

// New returns a Collector that reads with a configuration. It does not call the
// API server yet.
func New(cfg *rest.Config, o Options) (*Collector, error) {
	if len(o.HashKey) == 0 {
		o.HashKey = make([]byte, 32)
		_, _ = rand.Read(o.HashKey) // never fails: see its documentation
	}
	if o.Now == nil {
		o.Now = clock.RealClock{}.Now
	}
	cfg = rest.CopyConfig(cfg)
	cfg.DisableCompression = true // both ends are near, and it costs them time
	cfg.QPS = -1                  // the API server has its own limits, and knows better
	c := &Collector{
		opts: o, pace: defaultPace, cfg: cfg, codecs: newCodecs(),
		reduction: reduction{reducer: policy.NewReducer(o.HashKey), seed: maphash.MakeSeed()},
		events:    make(chan event, 256),
	}
	c.lookup = newLookup(c)
	c.health.Store(&health{notRead: []string{"the cluster (not started)"}})
	var err error
	if c.plain, err = newClients(cfg, c.codecs, kindsThat(func(k *kind) bool { return !k.secretive() })); err != nil {
		return nil, fmt.Errorf("follow the cluster: %w", err)
	}
	sensitive, err := newClients(cfg, c.codecs, kindsThat((*kind).secretive))
	if err != nil {
		return nil, fmt.Errorf("follow the cluster: %w", err)
	}
	c.sensitive.Store(sensitive)
	return c, nil
}

// Run follows the cluster until ctx ends. It can be called once.
func (c *Collector) Run(ctx context.Context) error {
	if c.running.Swap(true) {
		return errors.New("follow the cluster: it is being followed already")
	}
	newUpdater(c).run(ctx)
	return nil
}

// Snapshot returns what is known now; nil until each cluster-wide kind was read
// once. Its time is that of its making: judge with [policy.Snapshot.At].
func (c *Collector) Snapshot() *policy.Snapshot { return c.snap.Load() }

// Ready returns nil when all that must be known is: each cluster-wide kind was
// read and may still be read, and the namespaces that had opted in at the start
// were each tried. Otherwise the error says what is missing and what to do.
func (c *Collector) Ready() error { return c.health.Load().err() }

// Stale names the kinds whose watch is broken, with the reason. What they say
// in the Snapshot may be old.
func (c *Collector) Stale() []string { return c.health.Load().stale }

// clients returns the connections for a kind.
func (c *Collector) clients(k *kind) *clients {
	if k.secretive() {
		return c.sensitive.Load()
	}
	return c.plain
}

// replaceConnections makes the sources of what may hold secrets go on over new
// connections. What a connection received last stays in the buffers of TLS and
// HTTP/2 for as long as it lives, which is for weeks: nobody should find a key
// in a memory dump that was read last month.
func (c *Collector) replaceConnections() (*clients, error) {
	next, err := newClients(c.cfg, c.codecs, kindsThat((*kind).secretive))
	if err != nil {
		return nil, err
	}
	old := c.sensitive.Swap(next)
	close(old.retired)
	return old, nil
}
