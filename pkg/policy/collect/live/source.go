package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Limits of one request.
const (
	listTimeout = 30 * time.Second
	// streamSilence is how long a streamed list may pause before it ends.
	streamSilence = 30 * time.Second
	// watchTime is when the API server ends a watch; up to twice as long, so
	// that not all end together.
	watchTime = 5 * time.Minute
	// shortWatch is the life of a watch below which the next one waits.
	shortWatch = time.Second
	// maxFailures of a watch in a row lead to reading everything again: it may
	// be an event that cannot be read.
	maxFailures = 10
)

// sourceID is what a source reads.
type sourceID struct {
	kind      *kind
	namespace string // empty for the whole cluster
	name      string // empty for all
}

// source follows the objects of a kind, in the cluster or in one namespace. It
// differs from client-go's Reflector in that it holds no list: an object is
// reduced and handed on as it arrives, and what stays is a number for each.
type source struct {
	sourceID
	c      *Collector
	ctx    context.Context // of the Collector: outlives that of the source
	cancel context.CancelFunc

	version string // of the kind, as served
	rv      string // resourceVersion up to which everything was handed on
	seen    map[string]mark
	round   uint32 // of reading everything
}

// mark is what a source remembers of an object.
type mark struct {
	digest uint64
	round  uint32
}

// eventKind is what a source tells the updater.
type eventKind int

const (
	itemSet     eventKind = iota
	itemGone              // deleted, or counts as not there
	allRead               // everything that exists was handed on
	kindAbsent            // the API server does not know the kind
	watching              // the watch is up
	watchFailed           // reading does not work, with the error
	stopped               // the source has ended; it took its items back
)

type event struct {
	kind   eventKind
	source *source
	item   item
	err    error
}

var errReplaced = errors.New("the connections were replaced")

// tell hands an event to the updater. It blocks while that is busy, so that
// what waits to be worked on stays small.
func (s *source) tell(e event) {
	e.source = s
	select {
	case s.c.events <- e:
	case <-s.ctx.Done():
	}
}

// run follows until its context ends, and then takes back what it told.
func (s *source) run(ctx context.Context) {
	pause := s.backoff()
	for ctx.Err() == nil {
		read, err := s.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if read {
			pause = s.backoff()
		}
		switch {
		case err == nil || errors.Is(err, errReplaced):
			continue // the watch was too old, or is to be another one
		case apierrors.IsNotFound(err) && s.kind.presence != builtIn:
			s.round++
			s.sweep()
			s.version = s.kind.versions[0]
			s.tell(event{kind: kindAbsent})
			wait := pause.Step()
			pauseFor(ctx, max(wait, s.c.pace.retryMax)) // a CRD that may never come
		default:
			s.tell(event{kind: watchFailed, err: err})
			pauseFor(ctx, pause.Step())
		}
	}
	s.round++
	s.sweep()
	s.tell(event{kind: stopped})
}

func (s *source) backoff() wait.Backoff {
	return wait.Backoff{Duration: s.c.pace.retry, Factor: 2, Jitter: 0.2, Steps: 10, Cap: s.c.pace.retryMax}
}

func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// follow reads everything and then the changes, until it must read everything
// again: at once (no error), or after a pause. read tells that it got as far as
// having read everything.
func (s *source) follow(ctx context.Context) (read bool, err error) {
	var w *stream
	if s.c.listsOnly.Load() {
		err = s.list(ctx)
	} else if w, err = s.stream(ctx); w == nil && err == nil {
		err = s.list(ctx)
	}
	if err != nil {
		return false, err
	}
	pause, failures := s.backoff(), 0
	for ctx.Err() == nil {
		began := s.c.opts.Now()
		if w == nil {
			if w, err = s.open(ctx, metav1.ListOptions{ResourceVersion: s.rv}); err == nil {
				s.tell(event{kind: watching})
			}
		}
		if err == nil {
			err = s.consume(w, nil)
		}
		w = nil
		lived := s.c.opts.Now().Sub(began)
		switch {
		case err == nil || errors.Is(err, errReplaced):
			if lived < shortWatch && !errors.Is(err, errReplaced) {
				pauseFor(ctx, pause.Step())
			}
		case apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge):
			return true, nil
		case apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return true, err
		default:
			if failures++; failures > maxFailures {
				return true, err
			}
			s.tell(event{kind: watchFailed, err: err})
			pauseFor(ctx, pause.Step())
		}
		if lived > 10*time.Second {
			pause, failures = s.backoff(), 0
		}
		err = nil
	}
	return true, nil
}

// list reads everything in pages.
func (s *source) list(ctx context.Context) error {
	s.round++
	next, rv := "", ""
	for {
		page, err := s.page(ctx, metav1.ListOptions{Limit: s.kind.pageSize, Continue: next})
		if err != nil {
			return err
		}
		rv, next = page.ResourceVersion, page.Continue
		if next == "" {
			break
		}
	}
	s.complete(rv)
	return nil
}

// page reads a page at the first version of the kind that is served.
func (s *source) page(ctx context.Context, opts metav1.ListOptions) (metav1.ListMeta, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var page metav1.ListMeta
	err := s.atServedVersion(func(version string) (err error) {
		page, err = readPage(ctx, s.kind, s.request(s.c.clients(s.kind), version, opts), s.c.codecs, func(obj runtime.Object) error {
			s.set(obj)
			return nil
		})
		return err
	})
	return page, err
}

// atServedVersion calls do with the version that worked before, and with the
// others when that is not served.
func (s *source) atServedVersion(do func(version string) error) error {
	err := do(s.version)
	if !apierrors.IsNotFound(err) {
		return err
	}
	for _, v := range s.kind.versions {
		if v == s.version {
			continue
		}
		if other := do(v); !apierrors.IsNotFound(other) {
			s.version = v
			return other
		}
	}
	return err
}

// stream reads everything from the watch itself, and returns that. Without an
// error and a stream the API server does not do it.
func (s *source) stream(ctx context.Context) (*stream, error) {
	yes := true
	s.round++
	w, err := s.open(ctx, metav1.ListOptions{SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) {
		if !apierrors.IsForbidden(err) {
			s.c.listsOnly.Store(true)
		}
		return nil, nil // a list says better what is wrong
	}
	if err != nil {
		return nil, err
	}
	silence := time.NewTimer(streamSilence)
	defer silence.Stop()
	err = s.consume(w, silence)
	switch {
	case errors.Is(err, errRead):
		s.tell(event{kind: watching})
		return w, nil
	case errors.Is(err, errSilent):
		s.c.listsOnly.Store(true)
		return nil, nil
	case err == nil:
		err = fmt.Errorf("stream %s: the stream ended early", s.kind.groupResource())
	}
	return nil, err
}

// stream is an open watch.
type stream struct {
	watch.Interface
	retired <-chan struct{}
	over    *time.Timer // when the API server should have ended it
}

// open starts a watch.
func (s *source) open(ctx context.Context, opts metav1.ListOptions) (*stream, error) {
	life := wait.Jitter(watchTime, 1)
	seconds := int64(life.Seconds())
	opts.Watch, opts.AllowWatchBookmarks, opts.TimeoutSeconds = true, true, &seconds
	c := s.c.clients(s.kind)
	var w watch.Interface
	err := s.atServedVersion(func(version string) (err error) {
		w, err = s.request(c, version, opts).Watch(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &stream{Interface: w, retired: c.retired, over: time.NewTimer(life + time.Minute)}, nil
}

func (s *source) request(c *clients, version string, opts metav1.ListOptions) *rest.Request {
	if s.name != "" {
		opts.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, s.name).String()
	}
	return c.get(s.kind, version, s.namespace).SpecificallyVersionedParams(&opts, s.c.codecs.parameters, optionsVersion)
}

var (
	errRead   = errors.New("everything was read")
	errSilent = errors.New("nothing came")
)

// consume hands on what a watch brings. With silence it returns errRead when
// everything was read and leaves the watch open; else it closes it.
func (s *source) consume(w *stream, silence *time.Timer) (err error) {
	var silent <-chan time.Time
	if silence != nil {
		silent = silence.C
	}
	initial := silence != nil
	defer func() {
		if !errors.Is(err, errRead) {
			w.Stop()
			w.over.Stop()
		}
	}()
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return nil
			}
			if initial {
				silence.Reset(streamSilence)
			}
			done, err := s.take(e, initial)
			if err != nil {
				return err
			}
			if done {
				return errRead
			}
		case <-silent:
			return errSilent
		case <-w.over.C:
			return fmt.Errorf("watch %s: nothing came for too long", s.kind.groupResource())
		case <-w.retired:
			return errReplaced
		}
	}
}

// take hands on one event of a watch. It returns true when that was the last of
// a streamed list.
func (s *source) take(e watch.Event, initial bool) (bool, error) {
	if e.Type == watch.Error {
		return false, apierrors.FromObject(e.Object)
	}
	m, err := meta.Accessor(e.Object)
	if err != nil {
		return false, fmt.Errorf("watch %s: %w", s.kind.groupResource(), err)
	}
	rv := m.GetResourceVersion()
	if hook := s.c.opts.Hooks.Event; hook != nil && !initial && e.Type != watch.Bookmark {
		hook(s.kind.name)
	}
	switch e.Type {
	case watch.Added, watch.Modified:
		s.set(e.Object)
	case watch.Deleted:
		s.gone(m.GetNamespace(), m.GetName())
	case watch.Bookmark:
		if initial && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
			s.complete(rv)
			return true, nil
		}
	default:
	}
	if !initial { // the first come in no order
		s.rv = rv
	}
	return false, nil
}

// set hands on an object, unless it says what it said before.
func (s *source) set(obj runtime.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	ns, name := m.GetNamespace(), m.GetName()
	if s.namespace != "" && ns != s.namespace || s.name != "" && name != s.name {
		return
	}
	it, ok := s.c.reduction.reduce(s.kind, s.version, obj)
	if !ok {
		s.gone(ns, name)
		return
	}
	key := ns + "/" + name
	old, known := s.seen[key]
	s.seen[key] = mark{digest: it.digest, round: s.round}
	if !known || it.digest == 0 || old.digest != it.digest {
		s.tell(event{kind: itemSet, item: it})
	}
}

func (s *source) gone(ns, name string) {
	key := ns + "/" + name
	if _, known := s.seen[key]; known {
		delete(s.seen, key)
		s.tell(event{kind: itemGone, item: item{ref: s.ref(ns, name)}})
	}
}

func (s *source) ref(ns, name string) policy.Ref {
	apiVersion := s.version
	if s.kind.group != "" {
		apiVersion = s.kind.group + "/" + s.version
	}
	return policy.Ref{APIVersion: apiVersion, Kind: s.kind.name, Namespace: ns, Name: name}
}

// complete ends a round of reading everything.
func (s *source) complete(rv string) {
	s.sweep()
	s.rv = rv
	s.tell(event{kind: allRead})
}

// sweep takes back what was not seen in this round.
func (s *source) sweep() {
	for key, m := range s.seen {
		if m.round != s.round {
			ns, name, _ := strings.Cut(key, "/")
			s.gone(ns, name)
		}
	}
}
