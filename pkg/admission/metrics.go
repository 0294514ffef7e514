package admission

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mojasec/mojasec/pkg/policy"
)

// metrics of the webhook. Every label has a small set of values: paths,
// operations, decisions, checks.
type metrics struct {
	requests *prometheus.CounterVec   // endpoint, operation, decision
	duration *prometheus.HistogramVec // endpoint
	findings *prometheus.CounterVec   // check, mode
	inFlight prometheus.Gauge
	last     prometheus.Gauge
	panics   prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mojasec_admission_requests_total", Help: "Reviews by endpoint, operation and decision.",
		}, []string{"endpoint", "operation", "decision"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mojasec_admission_duration_seconds", Help: "Time from the head of a review to its answer.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mojasec_findings_total", Help: "Findings at admission by check and what was done: deny, warn, audit or waived. Dry runs do not count.",
		}, []string{"check", "mode"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mojasec_admission_in_flight", Help: "Reviews under way, those waiting for their turn included.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mojasec_last_admission_timestamp_seconds", Help: "When the last review was answered with a verdict, in seconds since 1970.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mojasec_admission_panics_total", Help: "Reviews that ended in a panic, answered with HTTP 500.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.findings, m.inFlight, m.last, m.panics} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of admission: %w", err)
		}
	}
	return m, nil
}

// outcome is how one request ended, as metrics show it.
type outcome struct{ endpoint, operation, decision string }

func (o *outcome) decide(resp *admission.Response) {
	switch {
	case !resp.Allowed:
		o.decision = "denied"
	case len(resp.Patch) > 0:
		o.decision = "patched"
	case len(resp.Warnings) > 0:
		o.decision = "warned"
	default:
		o.decision = "allowed"
	}
}

func (m *metrics) observe(o outcome, took time.Duration, now time.Time) {
	m.requests.WithLabelValues(o.endpoint, o.operation, o.decision).Inc()
	m.duration.WithLabelValues(o.endpoint).Observe(took.Seconds())
	switch o.decision {
	case "denied", "patched", "warned", "allowed":
		m.last.Set(float64(now.UnixMilli()) / 1000)
	}
}

// finding counts what was done with a finding.
func (m *metrics) finding(id policy.ID, mode string) {
	m.findings.WithLabelValues(string(id), mode).Inc()
}

func operationLabel(op admissionv1.Operation) string {
	switch op {
	case admissionv1.Create:
		return "create"
	case admissionv1.Update:
		return "update"
	case admissionv1.Delete:
		return "delete"
	case admissionv1.Connect:
		return "connect"
	}
	return "other"
}

func decisionOfStatus(code int) string {
	switch code {
	case http.StatusTooManyRequests:
		return "shed"
	case http.StatusInternalServerError:
		return "error"
	}
	return "bad-request"
}
