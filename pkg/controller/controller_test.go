package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	istiosecurity "istio.io/api/security/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

func snapshot(s *fixtures.Scheme) *policy.Snapshot {
	return policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("a key for tests")}, s.Objects())
}

// recorder keeps what was recorded.
type recorder struct{ events []string }

func (r *recorder) Event(regarding runtime.Object, eventtype, reason, message string) {
	r.events = append(r.events, eventtype+" "+reason+" "+policy.RefOf(regarding).String()+" "+message)
}

func TestSlippedReportsWhatStartsToFail(t *testing.T) {
	t.Parallel()
	var rec recorder
	s := fixtures.NewScheme()
	current := snapshot(s)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "failing"})
	loop := &Slipped{Snapshot: func() *policy.Snapshot { return current }, Recorder: &rec, Log: logr.Discard(), Failing: gauge}

	loop.round(fixtures.Now)
	if len(rec.events) > 0 || testutil.ToFloat64(gauge) != 0 {
		t.Fatalf("a compliant scheme: got events %q, want none", rec.events)
	}

	weak := s.PeerAuth.DeepCopy()
	weak.Spec.Mtls = &istiosecurity.PeerAuthentication_MutualTLS{Mode: istiosecurity.PeerAuthentication_MutualTLS_PERMISSIVE}
	current = current.Apply(policy.Update{Set: []runtime.Object{weak}})
	loop.round(fixtures.Now)
	if len(rec.events) == 0 {
		t.Fatal("PERMISSIVE: got no event")
	}
	for _, e := range rec.events {
		if !strings.HasPrefix(e, "Warning MojasecRuleBroken ") || !strings.Contains(e, "mtls-strict") {
			t.Errorf("got %q, want a warning about mtls-strict", e)
		}
	}
	if got := testutil.ToFloat64(gauge); got != float64(len(rec.events)) {
		t.Errorf("gauge is %v, want %d", got, len(rec.events))
	}

	n := len(rec.events)
	current = current.Apply(policy.Update{}) // another Snapshot that says the same
	loop.round(fixtures.Now)
	if len(rec.events) != n {
		t.Errorf("the same again: got %d more events, want none", len(rec.events)-n)
	}

	current = current.Apply(policy.Update{Set: []runtime.Object{s.PeerAuth}})
	loop.round(fixtures.Now)
	current = current.Apply(policy.Update{Set: []runtime.Object{weak}})
	loop.round(fixtures.Now)
	if len(rec.events) != 2*n {
		t.Errorf("mended and broken again: got %d events, want %d", len(rec.events), 2*n)
	}
}

func TestSlippedIsQuietAboutTheFirstRound(t *testing.T) {
	t.Parallel()
	var rec recorder
	s := fixtures.NewScheme()
	s.PeerAuth.Spec.Mtls = nil
	snap := snapshot(s)
	loop := &Slipped{Snapshot: func() *policy.Snapshot { return snap }, Recorder: &rec, Log: logr.Discard()}
	loop.round(fixtures.Now)
	if len(rec.events) > 0 {
		t.Errorf("got events %q, want none", rec.events)
	}
	if len(loop.known) == 0 {
		t.Error("knows of nothing that fails: the test shows nothing")
	}
}

func TestPosture(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	key, since := s.JWS1.Annotations[policy.AnnotationKeySince], fixtures.Now.Add(-48*time.Hour)
	fingerprint, _, _ := strings.Cut(key, "@")
	if fingerprint == "" {
		t.Fatal("the fixture has no key-since")
	}
	s.JWS1.Annotations[policy.AnnotationKeySince] = fingerprint + "@" + since.Format(time.RFC3339)
	snap := snapshot(s)
	p := NewPosture(func() *policy.Snapshot { return snap }, func() time.Time { return fixtures.Now })
	problems, err := testutil.CollectAndLint(p)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(p)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == fixtures.DFSP1 {
				got[f.GetName()] = m.GetGauge().GetValue()
			}
		}
	}
	want := map[string]float64{"mojasec_key_age_seconds": (48 * time.Hour).Seconds(), "mojasec_published_key": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPostureWithoutSnapshot(t *testing.T) {
	t.Parallel()
	p := NewPosture(func() *policy.Snapshot { return nil }, time.Now)
	if n := testutil.CollectAndCount(p); n != 0 {
		t.Errorf("got %d metrics, want none", n)
	}
}
