package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
)

// EnvCluster names the variable that, set to anything, makes tests that need a
// cluster run instead of being skipped: on the cluster of KUBECONFIG when that is
// set too, else on a control plane that they build when it is not built. Without
// it KUBECONFIG is not looked at: go test must not reach for whatever cluster a
// shell points to.
const EnvCluster = "MOJASEC_CLUSTER"

// errNotAsked is why tests are skipped.
var errNotAsked = errors.New("needs a cluster: run make test-cluster")

// Cluster is what tests run against.
type Cluster struct {
	// Config and Kubeconfig are those of a cluster administrator.
	Config     *rest.Config
	Kubeconfig string
	// KubectlPath is the kubectl to use.
	KubectlPath string
	// ControlPlane is nil on a cluster of the user's own.
	ControlPlane *ControlPlane
}

// User returns a configuration for a user with these groups: through a client
// certificate, or by impersonation on a cluster of the user's own.
func (c *Cluster) User(name string, groups ...string) (*rest.Config, error) {
	if c.ControlPlane != nil {
		return c.ControlPlane.User(name, groups...)
	}
	cfg := rest.CopyConfig(c.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: append(groups, "system:authenticated")}
	return cfg, nil
}

// Kubectl returns a command that talks to this cluster as the administrator.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.KubectlPath, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	return cmd
}

// Environment is an environment of the e2e-framework on a [Cluster].
type Environment struct {
	env.Environment
	options Options

	life    sync.Mutex // held while the cluster starts and while it stops
	mu      sync.Mutex // guards what follows
	cluster *Cluster
	skip    error
	cancel  context.CancelFunc
}

// NewEnvironment returns an environment for a TestMain:
//
//	var cluster = controlplane.NewEnvironment(controlplane.Options{Nodes: 3})
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Run(m)) }
//
//	func TestX(t *testing.T) { cluster.Test(t, features.New(…)…) }
//
// Its first setup starts a control plane, or takes the cluster of KUBECONFIG
// (see [EnvCluster]); its last act, also after a failure or an interrupt, is to
// stop it. When EnvCluster is not set, every test that uses the environment is
// skipped.
func NewEnvironment(o Options) *Environment {
	e := &Environment{Environment: env.New(), options: o}
	e.Setup(e.start)
	e.BeforeEachTest(func(ctx context.Context, _ *envconf.Config, t *testing.T) (context.Context, error) {
		t.Helper()
		e.Need(t)
		return ctx, nil
	})
	return e
}

// Run runs the tests of a TestMain and returns the exit code.
func (e *Environment) Run(m *testing.M) int {
	// Registered last, so that it comes after the finishers of the tests.
	e.Finish(func(ctx context.Context, _ *envconf.Config) (context.Context, error) { return ctx, e.stop() })
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	go func() {
		if s, ok := <-interrupts; ok {
			fmt.Fprintf(os.Stderr, "%s: stop the control plane\n", s)
			_ = e.stop()
			os.Exit(130)
		}
	}()
	return e.Environment.Run(m)
}

// Available reports whether there is a cluster; setups of tests return early
// when there is none.
func (e *Environment) Available() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cluster != nil
}

// Cluster returns the cluster, nil when there is none: setups use it.
func (e *Environment) Cluster() *Cluster {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cluster
}

// Need returns the cluster and skips the test when there is none.
func (e *Environment) Need(t testing.TB) *Cluster {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cluster == nil {
		t.Skip(e.skip)
	}
	return e.cluster
}

func (e *Environment) start(ctx context.Context, cfg *envconf.Config) (context.Context, error) {
	e.life.Lock()
	defer e.life.Unlock()
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	e.cancel = cancel
	e.mu.Unlock()
	cluster, err := e.find(starting)
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.Is(err, errNotAsked) {
		e.skip = err
		return ctx, nil
	}
	if err != nil {
		return ctx, err
	}
	e.cluster = cluster
	cfg.WithKubeconfigFile(cluster.Kubeconfig)
	return ctx, nil
}

func (e *Environment) find(ctx context.Context) (*Cluster, error) {
	if os.Getenv(EnvCluster) == "" {
		return nil, errNotAsked
	}
	if file := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); file != "" {
		return ownCluster(file)
	}
	o := e.options
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	c, err := Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Cluster{Config: c.Config, Kubeconfig: c.Kubeconfig(), KubectlPath: c.Binaries().Kubectl, ControlPlane: c}, nil
}

// stop ends a start that is under way, or the control plane.
func (e *Environment) stop() error {
	e.mu.Lock()
	if e.cancel != nil {
		e.cancel()
	}
	e.mu.Unlock()
	e.life.Lock()
	defer e.life.Unlock()
	e.mu.Lock()
	cluster := e.cluster
	e.cluster = nil
	e.mu.Unlock()
	if cluster == nil || cluster.ControlPlane == nil {
		return nil
	}
	return cluster.ControlPlane.Stop()
}

// ownCluster is the current context of the user's kubeconfig.
func ownCluster(file string) (*Cluster, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("read KUBECONFIG: %w", err)
	}
	cfg.QPS, cfg.Burst = clientQPS, clientBurst
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, fmt.Errorf("find kubectl for the cluster of KUBECONFIG: %w", err)
	}
	return &Cluster{Config: cfg, Kubeconfig: file, KubectlPath: kubectl}, nil
}

// StartForTest starts a control plane that ends with the test. The test is
// skipped when EnvCluster is not set.
func StartForTest(t testing.TB, o Options) *ControlPlane {
	t.Helper()
	NeedCluster(t)
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// NeedCluster skips a test when EnvCluster is not set.
func NeedCluster(t testing.TB) {
	t.Helper()
	if os.Getenv(EnvCluster) == "" {
		t.Skip(errNotAsked)
	}
}
