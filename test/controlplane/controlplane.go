package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// startTimeout is many times what a start takes on two busy cores.
	startTimeout = 2 * time.Minute
	// startAttempts is for the case that another program takes a port between
	// the moment it is picked and the moment it is used.
	startAttempts = 3
	dirPrefix     = "mojasec-controlplane-"
	ownerFile     = "owner.lock"
)

// Options of Start. The zero value is a control plane with one node.
type Options struct {
	// Nodes is the number of nodes, 1 when it is 0.
	Nodes int
	// Istio runs istiod with its injector and its validation too.
	Istio bool
	// Audit writes AuditLog.
	Audit bool
	// APIServerFlags are added to those of kube-apiserver.
	APIServerFlags []string
	// Dir keeps data, logs and keys. When it is empty it is a temporary
	// directory, which Stop removes.
	Dir string
	// Progress is told about builds that take long; nil is silence.
	Progress io.Writer
}

// ControlPlane is a running Kubernetes.
type ControlPlane struct {
	// Config is that of a cluster administrator.
	Config *rest.Config

	options   Options
	binaries  Binaries
	authority *authority
	dir, url  string
	removeDir bool
	unlock    func()
	processes *Processes
	istio     *istio // nil without Istio
}

// Start builds what is not built, runs a control plane and returns when the
// API server is ready, the nodes take pods, and the definitions of Istio's and
// our own kinds are served. The caller calls Stop.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	buildAll := Build
	if o.Istio {
		buildAll = BuildIstio
	}
	binaries, err := buildAll(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	crds, err := definitions(ctx)
	if err != nil {
		return nil, err
	}
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the control plane is not ready after %s", startTimeout))
	defer cancel()
	sweep()
	for attempt := 1; ; attempt++ {
		c := &ControlPlane{options: o, binaries: binaries, authority: authority}
		err := c.start(ctx, crds)
		if err == nil {
			return c, nil
		}
		err = errors.Join(err, c.Stop())
		if !strings.Contains(err.Error(), "address already in use") || attempt == startAttempts {
			return nil, fmt.Errorf("start the control plane: %w", err)
		}
	}
}

func (c *ControlPlane) start(ctx context.Context, crds [][]byte) error {
	if err := c.makeDir(); err != nil {
		return err
	}
	free, err := freePorts(6)
	if err != nil {
		return err
	}
	p := ports{free[0], free[1], free[2], free[3], free[4], free[5]}
	c.url = loopback("https", p.apiServer)
	if c.Config, err = c.User(admin.name, admin.groups...); err != nil {
		return err
	}
	if err := c.writeFiles(); err != nil {
		return err
	}
	c.processes = NewProcesses(c.path("logs"))
	// The API server waits for etcd by itself; the others would give up.
	if err := c.run(ctx, c.etcd(p), c.apiServer(p)); err != nil {
		return err
	}
	if err := c.run(ctx, c.clients(p)...); err != nil {
		return err
	}
	if err := applyCRDs(ctx, c.Config, crds...); err != nil {
		return c.blame(err)
	}
	if err := addNodes(ctx, c.Config, c.options.Nodes); err != nil {
		return c.blame(err)
	}
	if c.options.Istio {
		return c.startIstio(ctx)
	}
	return nil
}

// run starts components together and waits until all of them are ready.
func (c *ControlPlane) run(ctx context.Context, components ...component) error {
	running := make([]*Process, 0, len(components))
	for _, component := range components {
		p, err := c.processes.Start(component.command)
		if err != nil {
			return err
		}
		running = append(running, p)
	}
	for i, p := range running {
		if err := p.WaitReady(ctx, components[i].ready); err != nil {
			return c.blame(err)
		}
	}
	return nil
}

// blame adds which process died to an error that follows from it.
func (c *ControlPlane) blame(err error) error {
	died := c.processes.Err()
	if died == nil || errors.Is(err, died) || strings.Contains(err.Error(), died.Error()) {
		return err
	}
	return errors.Join(died, err)
}

// Kubeconfig returns the file of the administrator's kubeconfig.
func (c *ControlPlane) Kubeconfig() string { return c.path("kubeconfig") }

// Dir returns the directory with data, logs and keys.
func (c *ControlPlane) Dir() string { return c.dir }

// AuditLog returns the file with an audit event in JSON a line, when Audit is
// on.
func (c *ControlPlane) AuditLog() string { return c.path("logs", "audit.log") }

// CA returns the PEM of the authority of this cluster. It also signed the
// certificate, of common name kube-apiserver, that the API server shows to
// webhooks that ask for one.
func (c *ControlPlane) CA() []byte { return c.authority.pem }

// Binaries returns the programs this runs, kubectl among them.
func (c *ControlPlane) Binaries() Binaries { return c.binaries }

// Processes returns the set this runs in. What is started in it, a webhook for
// example, is stopped before the control plane is.
func (c *ControlPlane) Processes() *Processes { return c.processes }

// Kubectl returns a command that talks to this cluster as the administrator.
func (c *ControlPlane) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.binaries.Kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	return cmd
}

// Err tells which process ended by itself, nil when all run.
func (c *ControlPlane) Err() error { return c.processes.Err() }

// Stop ends all processes, the last one first, and removes the temporary
// directory. It is safe to call twice.
func (c *ControlPlane) Stop() error {
	var errs []error
	if c.processes != nil {
		errs = append(errs, c.processes.Stop())
	}
	if c.removeDir {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	if c.unlock != nil {
		c.unlock()
		c.unlock = nil
	}
	return errors.Join(errs...)
}

func (c *ControlPlane) makeDir() (err error) {
	c.dir = c.options.Dir
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", dirPrefix); err != nil {
			return err
		}
		c.removeDir = true
		// Locked before it has its name: a sweep by another process must not
		// see it unlocked.
		unnamed := c.path(ownerFile + ".new")
		if c.unlock, err = tryLock(unnamed); err != nil {
			return err
		}
		if err := os.Rename(unnamed, c.path(ownerFile)); err != nil {
			return err
		}
	}
	for _, sub := range []string{"pki", "run", "logs"} {
		if err := os.MkdirAll(c.path(sub), 0o700); err != nil {
			return err
		}
	}
	// etcd is to begin empty also after a first attempt in the same Dir.
	return os.RemoveAll(c.path("etcd"))
}

// sweep removes the data of control planes whose process was killed: nobody
// holds the lock of their directory. Errors are left to the next time.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		file := filepath.Join(dir, ownerFile)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if unlock, err := tryLock(file); err == nil {
			_ = os.RemoveAll(dir)
			unlock()
		}
	}
}

// definitions returns the YAML of Istio's and our own
// CustomResourceDefinitions.
func definitions(ctx context.Context) ([][]byte, error) {
	istio, err := istioCRDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read Istio's definitions: %w", err)
	}
	here, err := sourceDir()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(here, "..", "..", "manifests", "crds", "*.yaml"))
	if err != nil {
		return nil, err
	}
	all := [][]byte{istio}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// freePorts returns n different ports that nobody listens on.
func freePorts(n int) ([]int, error) {
	found := make([]int, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // at the end: else the same port could come twice
		found = append(found, l.Addr().(*net.TCPAddr).Port)
	}
	return found, nil
}
