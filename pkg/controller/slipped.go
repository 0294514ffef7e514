package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Recorder writes Events about objects.
type Recorder interface {
	Event(regarding runtime.Object, eventtype, reason, message string)
}

// Slipped reports workloads in enforced namespaces that broke a rule without
// admission having refused it: a change in the mesh root namespace while the
// webhook was away (that entry has failurePolicy Ignore, so that Istio can
// always be repaired), or one that an API server let through. It writes one
// Event for each workload and check that starts to fail, and never more than
// maxEvents in a round.
//
// What already fails in the first round is counted but not reported: verify and
// status show it.
type Slipped struct {
	// Snapshot returns the current knowledge; nil while there is none.
	Snapshot func() *policy.Snapshot
	Recorder Recorder
	Log      logr.Logger
	// Every is the shortest time between two rounds; zero means ten seconds.
	Every time.Duration
	// Failing, when set, is told how many (workload, check) pairs fail now.
	Failing prometheus.Gauge

	last    *policy.Snapshot
	known   map[pair]bool
	started bool
}

// pair is a workload and a check it fails.
type pair struct {
	subject policy.Ref
	check   policy.ID
}

const (
	maxEvents    = 20
	defaultEvery = 10 * time.Second
	// reasonSlipped is the reason of the Events.
	reasonSlipped = "MojasecRuleBroken"
	// maxMessage is the API's limit for the note of an Event, in bytes.
	maxMessage = 1024
)

// NeedLeaderElection implements controller-runtime's LeaderElectionRunnable:
// Events are written once.
func (s *Slipped) NeedLeaderElection() bool { return true }

// Start implements controller-runtime's Runnable.
func (s *Slipped) Start(ctx context.Context) error {
	every := s.Every
	if every <= 0 {
		every = defaultEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		s.round(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round looks once, if anything has changed since the last time.
func (s *Slipped) round(now time.Time) {
	snap := s.Snapshot()
	if snap == nil || snap == s.last {
		return
	}
	s.last = snap
	found := denied(snap.At(now))
	events := 0
	for _, f := range found.list {
		if !s.started || s.known[f.pair] {
			continue
		}
		s.Log.Info("a rule is broken that admission did not refuse", "check", f.check, "subject", f.subject.String(), "detail", f.detail)
		if events++; events <= maxEvents {
			s.Recorder.Event(reference(f.subject), corev1.EventTypeWarning, reasonSlipped, f.message())
		}
	}
	if events > maxEvents {
		s.Log.Info("more rules are broken than events were written for", "broken", events, "written", maxEvents)
	}
	if s.Failing != nil {
		s.Failing.Set(float64(len(found.pairs)))
	}
	s.known, s.started = found.pairs, true
}

type finding struct {
	pair
	detail, fix string
}

func (f finding) message() string {
	text := fmt.Sprintf("%s: %s; %s", f.check, f.detail, f.fix)
	if len(text) > maxMessage {
		text = text[:maxMessage-3] + "..."
	}
	return text
}

type findings struct {
	list  []finding
	pairs map[pair]bool
}

// denied returns what admission would refuse among the workloads that run.
func denied(snap *policy.Snapshot) findings {
	report := policy.ReviewWorkloads(policy.Checks(), snap, nil)
	out := findings{pairs: map[pair]bool{}}
	for i := range report.Findings {
		f := &report.Findings[i]
		if f.Action != policy.ActionDeny || f.Waived || f.AssumesEnforce {
			continue
		}
		p := pair{report.Subject(f.Pair).Ref, report.Check(f.Pair).ID}
		if !out.pairs[p] {
			out.pairs[p] = true
			out.list = append(out.list, finding{p, f.Detail, f.Fix})
		}
	}
	return out
}

// reference is an object an Event can be about.
func reference(ref policy.Ref) runtime.Object {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: ref.APIVersion, Kind: ref.Kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, UID: types.UID("")},
	}
}
