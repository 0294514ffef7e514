// Package controller has what the webhook process does beside answering
// reviews: it tells monitoring where the scheme stands, and, as the leader of
// its replicas, reports what reached the cluster without being judged.
package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Posture exports what the Snapshot says of signing keys: mojasec_key_age_seconds
// and mojasec_published_key, each with the labels dfsp and namespace. The values
// are computed when they are scraped, so they are never older than the Snapshot.
// Of several keys of a DFSP in a namespace the oldest counts, and one published
// key makes mojasec_published_key 1. A key whose age is not known has no age.
type Posture struct {
	snapshot func() *policy.Snapshot
	now      func() time.Time

	age, published *prometheus.Desc
}

// NewPosture returns a collector; snapshot may return nil while nothing has
// been read yet.
func NewPosture(snapshot func() *policy.Snapshot, now func() time.Time) *Posture {
	labels := []string{"dfsp", "namespace"}
	return &Posture{
		snapshot: snapshot, now: now,
		age: prometheus.NewDesc("mojasec_key_age_seconds",
			"Age of the oldest JWS signing key in use, in seconds.", labels, nil),
		published: prometheus.NewDesc("mojasec_published_key",
			"1 when a JWS signing key in use has its private half in a public repository, else 0.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (p *Posture) Describe(out chan<- *prometheus.Desc) {
	out <- p.age
	out <- p.published
}

// Collect implements prometheus.Collector.
func (p *Posture) Collect(out chan<- prometheus.Metric) {
	snap := p.snapshot()
	if snap == nil {
		return
	}
	keys := snap.SigningKeys() // ordered by DFSP and namespace
	for len(keys) > 0 {
		of := keys[0]
		var oldest time.Time
		var published float64
		n := 0
		for ; n < len(keys) && keys[n].DFSP == of.DFSP && keys[n].Namespace == of.Namespace; n++ {
			if since := keys[n].Since; !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
				oldest = since
			}
			if keys[n].Published {
				published = 1
			}
		}
		keys = keys[n:]
		if !oldest.IsZero() {
			out <- prometheus.MustNewConstMetric(p.age, prometheus.GaugeValue, p.now().Sub(oldest).Seconds(), of.DFSP, of.Namespace)
		}
		out <- prometheus.MustNewConstMetric(p.published, prometheus.GaugeValue, published, of.DFSP, of.Namespace)
	}
}
