package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/mojasec/mojasec/pkg/admission"
	"github.com/mojasec/mojasec/pkg/controller"
	"github.com/mojasec/mojasec/pkg/policy/collect/live"
	"github.com/mojasec/mojasec/pkg/serving"
)

// newHandler returns what answers API servers.
func newHandler(cfg *rest.Config, f *flags, cluster *live.Collector, registry *prometheus.Registry, log *slog.Logger) (http.Handler, error) {
	client, err := authorizationclient.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for access reviews: %w", err)
	}
	return admission.NewHandler(admission.Options{
		Knowledge:  withFaults(cluster),
		Authorizer: admission.NewAuthorizer(client.SubjectAccessReviews(), time.Now),
		Self:       f.selfUser,
		Registerer: registry,
		Log:        logr.FromSlogHandler(log.Handler()),
	})
}

// newSlipped returns the leader's report of what reached the cluster without
// being judged.
func newSlipped(cfg *rest.Config, cluster *live.Collector, registry *prometheus.Registry, log *slog.Logger) (task, error) {
	client, err := coreclient.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for events: %w", err)
	}
	failing := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mojasec_broken_rules", Help: "Pairs of a workload in an enforced namespace and a check it fails, as the leader sees them.",
	})
	if err := registry.Register(failing); err != nil {
		return nil, err
	}
	events := record.NewBroadcaster()
	events.StartRecordingToSink(&coreclient.EventSinkImpl{Interface: client.Events("")})
	slipped := &controller.Slipped{
		Snapshot: cluster.Snapshot,
		// An Event names its object by reference: no kind need be registered.
		Recorder: events.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: serving.FieldManager}),
		Log:      logr.FromSlogHandler(log.Handler()),
		Failing:  failing,
	}
	return slipped.Start, nil
}
