package admission

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/policy"
)

// The paths of the webhook.
const (
	PathMutate             = "/mutate"
	PathMutateQuarantine   = "/mutate/quarantine"
	PathValidate           = "/validate"
	PathValidateWarn       = "/validate/warn"
	PathValidateNamespaces = "/validate/namespaces"
	PathValidateConnect    = "/validate/connect"
)

// Defaults of Options.
const (
	// defaultMaxInFlight bounds memory: 32 bodies of 7 MiB and what is decoded
	// from them. A review takes far below a millisecond, so more would only
	// wait for a processor.
	defaultMaxInFlight = 32
	// defaultQueueTimeout is how long a request waits for its turn before it
	// is told to come again.
	defaultQueueTimeout = time.Second
	// defaultTimeout is what a review may take, look-ups included: API servers
	// give up after the 5 s of the webhook configuration.
	defaultTimeout = 4 * time.Second
	// defaultBodyTimeout is plenty for 7 MiB: API servers send them in one go.
	defaultBodyTimeout = 2 * time.Second
)

// Knowledge is what is known of the cluster.
type Knowledge interface {
	// Snapshot returns what is known now; nil before everything was read once.
	Snapshot() *policy.Snapshot
	// Reread looks for objects that snap does not have, and returns snap with
	// those that exist. An error says that it could not be found out.
	Reread(ctx context.Context, snap *policy.Snapshot, absent []policy.Fact) (*policy.Snapshot, bool, error)
}

// Options is what a handler needs.
type Options struct {
	Knowledge  Knowledge
	Authorizer Authorizer
	// Self is the user name of the webhook's own ServiceAccount.
	Self string
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Log gets refusals and errors. The zero value logs nothing.
	Log logr.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// MaxInFlight is how many reviews run at once; 32 when 0.
	MaxInFlight int
	// QueueTimeout is how long a request waits for its turn; 1 s when 0.
	QueueTimeout time.Duration
	// Timeout is what a review may take in all; 4 s when 0.
	Timeout time.Duration
	// BodyTimeout is how long the body of a request may take to arrive once it
	// has its turn; 2 s when 0.
	BodyTimeout time.Duration
}

// handler has what all endpoints share.
type handler struct {
	Options
	metrics *metrics
	checks  []policy.Check
	// injectable are the checks that the Injector satisfies.
	injectable []policy.Check
	slots      chan struct{}
}

// endpoint is what one path does with a review that could be read.
type endpoint struct {
	name   string
	handle func(ctx context.Context, req *request) (admission.Response, error)
	// lenient endpoints never refuse, whatever happens.
	lenient bool
}

// NewHandler returns the handler for all paths of the webhook.
func NewHandler(o Options) (http.Handler, error) {
	if o.Knowledge == nil || o.Authorizer == nil {
		return nil, errors.New("make admission handler: knowledge and authorizer are required")
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxInFlight = cmp.Or(o.MaxInFlight, defaultMaxInFlight)
	o.QueueTimeout = cmp.Or(o.QueueTimeout, defaultQueueTimeout)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.BodyTimeout = cmp.Or(o.BodyTimeout, defaultBodyTimeout)
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	h := &handler{Options: o, metrics: m, checks: policy.Checks(), slots: make(chan struct{}, o.MaxInFlight)}
	for _, c := range h.checks {
		if c.Injected {
			h.injectable = append(h.injectable, c)
		}
	}
	mux := http.NewServeMux()
	for path, e := range map[string]endpoint{
		PathMutate:             {name: "mutate", handle: h.mutate},
		PathMutateQuarantine:   {name: "mutate-quarantine", handle: h.mutateQuarantine},
		PathValidate:           {name: "validate", handle: h.validate},
		PathValidateWarn:       {name: "validate-warn", handle: h.validateWarn, lenient: true},
		PathValidateNamespaces: {name: "validate-namespaces", handle: h.validateNamespace},
		PathValidateConnect:    {name: "validate-connect", handle: h.validateConnect},
	} {
		mux.Handle(path, h.serve(e))
	}
	return mux, nil
}

// snapshot returns what is known, at the time of this request.
func (h *handler) snapshot() (*policy.Snapshot, error) {
	snap := h.Knowledge.Snapshot()
	if snap == nil {
		return nil, couldNotCheck("the cluster has not been read yet; the pods of Deployment mojasec-webhook in mojasec-system say why: `kubectl mojasec doctor`")
	}
	return snap.At(h.Now()), nil
}
