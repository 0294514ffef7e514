package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mojasec/mojasec/pkg/controller"
	"github.com/mojasec/mojasec/pkg/policy/collect/live"
	"github.com/mojasec/mojasec/pkg/serving"
)

// serve runs the webhook until stop ends.
func serve(stop context.Context, f *flags, log *slog.Logger) error {
	klog.SetSlogLogger(log)
	ctrl.SetLogger(logr.FromSlogHandler(log.Handler()))
	log.Info("start", "version", version, "memoryLimit", limitMemory("/sys/fs/cgroup"))

	cfg, err := restConfig(f.kubeconfig)
	if err != nil {
		return err
	}
	cluster, err := live.New(cfg, live.Options{Hooks: logProblems(log)})
	if err != nil {
		return fmt.Errorf("follow the cluster: %w", err)
	}
	certs, err := newCertificates(f, cfg, log)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	handler, err := newHandler(cfg, f, cluster, registry, log)
	if err != nil {
		return err
	}
	registry.MustRegister(controller.NewPosture(cluster.Snapshot, time.Now))
	slipped, err := newSlipped(cfg, cluster, registry, log)
	if err != nil {
		return err
	}
	leading := []task{slipped}
	if certs.leader != nil {
		leading = append(leading, certs.leader)
	}
	tasks := []task{cluster.Run, certs.run}
	if f.leaderElect {
		elector, err := newElector(cfg, f.leaseDuration, log, leading...)
		if err != nil {
			return err
		}
		tasks = append(tasks, elector)
	} else {
		tasks = append(tasks, leading...)
	}

	var draining atomic.Bool
	servers, err := listen(f, handler, certs, registry, log, func() error {
		if draining.Load() {
			return errors.New("draining: this replica is about to stop")
		}
		return errors.Join(certs.ready(), cluster.Ready())
	})
	if err != nil {
		return err
	}
	return runUntil(stop, f, log, servers, tasks, &draining)
}

// restConfig says how to reach the API server.
func restConfig(kubeconfig string) (*rest.Config, error) {
	var cfg *rest.Config
	var err error
	if kubeconfig == "" {
		cfg, err = rest.InClusterConfig()
	} else {
		cfg, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("this is no pod of a cluster: name a file with --kubeconfig")
	} else if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	cfg.UserAgent = serving.FieldManager + "/" + version
	// Client-side limits only add delay: the API server has fairness.
	cfg.QPS = -1
	return cfg, nil
}

// logProblems tells what cannot be read, and when it can be again.
func logProblems(log *slog.Logger) live.Hooks {
	return live.Hooks{Problem: func(kind, namespace string, err error) {
		if err == nil {
			log.Info("can be read again", "kind", kind, "namespace", namespace)
			return
		}
		log.Error("cannot be read", "kind", kind, "namespace", namespace, "error", err)
	}}
}

// servers are the listeners of the process.
type servers struct{ webhook, health, metrics *boundServer }

// boundServer is a server with its listener.
type boundServer struct {
	*http.Server
	listener net.Listener
	name     string
}

// Limits of a connection. API servers keep idle connections for 90 seconds: we
// must not be the first to close one, or a call is lost.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 3 * time.Minute
)

func listen(
	f *flags, handler http.Handler, certs certificates, registry *prometheus.Registry, log *slog.Logger, ready func() error,
) (servers, error) {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: certs.get,
		NextProtos:     []string{"h2", "http/1.1"},
	}
	if f.clientCA != "" {
		authorities, err := os.ReadFile(f.clientCA)
		if err != nil {
			return servers{}, fmt.Errorf("read --client-ca: %w", err)
		}
		if err := serving.RequireCaller(config, authorities, f.clientNames); err != nil {
			return servers{}, fmt.Errorf("--client-ca %q: %w", f.clientCA, err)
		}
	}
	var out servers
	for _, s := range []struct {
		name, address string
		handler       http.Handler
		tls           *tls.Config
		to            **boundServer
	}{
		{"webhook", f.webhookAddress, aging(connectionAge, handler), config, &out.webhook},
		{"health", f.healthAddress, healthHandler(ready), nil, &out.health},
		{"metrics", f.metricsAddress, metricsHandler(registry), nil, &out.metrics},
	} {
		if s.address == "" {
			continue
		}
		l, err := net.Listen("tcp", s.address)
		if err != nil {
			return servers{}, fmt.Errorf("listen on --%s-address: %w", s.name, err)
		}
		log.Info("listen", "what", s.name, "address", l.Addr().String())
		*s.to = &boundServer{name: s.name, listener: l, Server: &http.Server{
			Handler: s.handler, TLSConfig: s.tls, ConnContext: remembersBirth,
			ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
			WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			// Handshakes that fail are somebody else's mistakes, and many.
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}}
	}
	return out, nil
}

// run serves until the server is shut down.
func (s *boundServer) run(context.Context) error {
	if s == nil {
		return nil
	}
	var err error
	if s.TLSConfig != nil {
		err = s.ServeTLS(s.listener, "", "")
	} else {
		err = s.Serve(s.listener)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.name, err)
	}
	return nil
}

// endTimeout is how long the tasks may take to end after the last call.
const endTimeout = 5 * time.Second

// runUntil serves until stop ends or something fails, and then ends in an order
// in which no call is lost: not ready, no new calls, no calls in flight, and
// only then what the answers rest upon.
func runUntil(stop context.Context, f *flags, log *slog.Logger, s servers, tasks []task, draining *atomic.Bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// running ends with the first task that fails, too. Then what is known
	// grows stale, and no answer is better than an old one.
	group, running := errgroup.WithContext(ctx)
	for _, t := range append(tasks, s.webhook.run, s.health.run, s.metrics.run) {
		group.Go(func() error { return t(running) })
	}
	select {
	case <-stop.Done():
	case <-running.Done():
	}
	draining.Store(true)
	log.Info("stop", "drainDelay", f.drainDelay.String(), "error", context.Cause(running))
	select {
	case <-time.After(f.drainDelay):
	case <-running.Done():
	}
	grace, cancelGrace := context.WithTimeout(context.Background(), f.shutdownGrace)
	defer cancelGrace()
	if err := s.webhook.Shutdown(grace); err != nil {
		log.Warn("calls in flight were cut off", "after", f.shutdownGrace.String())
	}
	cancel()
	for _, other := range []*boundServer{s.health, s.metrics} {
		if other != nil {
			_ = other.Close()
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	select {
	case err := <-ended:
		log.Info("stopped")
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	case <-time.After(endTimeout):
		return fmt.Errorf("some tasks did not end within %s", endTimeout)
	}
}
