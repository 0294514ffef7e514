package controlplane

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	// EnvDir overrides the directory that keeps the built binaries.
	EnvDir = "MOJASEC_CONTROLPLANE_DIR"
	// kubernetesVersion is what the binaries say they are: without it the
	// controller manager refuses to start. It is the version in
	// kubernetes/go.mod, which a test compares.
	kubernetesVersion = "v1.37.2"
	// A cold build of one binary takes minutes; a sign of life each so often.
	stillBuilding = 30 * time.Second
)

// Binaries are the paths of what Build made.
type Binaries struct {
	Etcd, APIServer, ControllerManager, Scheduler, Kubectl, Kwok string
	// Stages is a kwok configuration that makes nodes Ready and pods Running.
	Stages string
	// Pilot is istiod and IstioCharts its manifests; both are empty unless
	// BuildIstio made them.
	Pilot, IstioCharts string
}

// BinDir is the directory with kubectl, for PATH.
func (b Binaries) BinDir() string { return filepath.Dir(b.Kubectl) }

// program is a binary of a module.
type program struct {
	name, pkg, ldflags string
}

// module is a Go module next to this package, whose programs are built into a
// directory of their own, named by everything that decides what comes out.
type module struct {
	name     string // also its directory here
	programs []program
	// inputs are files of our own that decide what comes out, besides go.mod
	// and go.sum.
	inputs []string
	// extra writes files beside the programs, from the module's sources.
	extra func(ctx context.Context, source, dir string) error
}

const (
	stripped = "-s -w"
	version  = stripped +
		" -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion +
		" -X k8s.io/component-base/version.gitMajor=1" +
		" -X k8s.io/component-base/version.gitMinor=37"
)

var (
	kubernetesModule = module{name: "kubernetes", programs: []program{
		{name: "etcd", pkg: "go.etcd.io/etcd/server/v3", ldflags: stripped},
		{name: "kube-apiserver", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", ldflags: version},
		{name: "kube-controller-manager", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", ldflags: version},
		{name: "kube-scheduler", pkg: "k8s.io/kubernetes/cmd/kube-scheduler", ldflags: version},
		{name: "kubectl", pkg: "k8s.io/kubernetes/cmd/kubectl", ldflags: version},
	}}
	kwokModule = module{name: "kwok", programs: []program{
		{name: "kwok", pkg: "sigs.k8s.io/kwok/cmd/kwok", ldflags: stripped},
	}, extra: writeStages}
)

// Build makes the binaries unless they are there, which takes about 12 minutes
// the first time on two cores, and tells progress how far it is. Two builds at
// the same time wait for each other; a build that is interrupted leaves nothing
// that looks complete.
func Build(ctx context.Context, progress io.Writer) (Binaries, error) {
	return build(ctx, progress, kubernetesModule, kwokModule)
}

// BuildIstio makes istiod besides what Build makes: another 10 minutes the
// first time.
func BuildIstio(ctx context.Context, progress io.Writer) (Binaries, error) {
	return build(ctx, progress, kubernetesModule, kwokModule, istioModule)
}

func build(ctx context.Context, progress io.Writer, modules ...module) (Binaries, error) {
	b, missing, err := locate(modules)
	if err != nil || len(missing) == 0 {
		return b, err
	}
	root, err := cacheDir()
	if err != nil {
		return Binaries{}, err
	}
	unlock, err := lock(ctx, filepath.Join(root, "build.lock"), func() {
		fmt.Fprintln(progress, "wait for another build to end")
	})
	if err != nil {
		return Binaries{}, err
	}
	defer unlock()

	// The other build may have made what was missing.
	if b, missing, err = locate(modules); err != nil {
		return Binaries{}, err
	}
	total := 0
	for _, m := range missing {
		total += len(m.programs)
	}
	n := 0
	for _, m := range missing {
		if err := m.build(ctx, progress, &n, total); err != nil {
			return Binaries{}, err
		}
	}
	return b, nil
}

// locate returns where everything is or will be, and the modules that are not
// built.
func locate(modules []module) (Binaries, []module, error) {
	var b Binaries
	var missing []module
	for _, m := range modules {
		_, dir, err := m.dirs()
		if err != nil {
			return Binaries{}, nil, err
		}
		b.set(m.name, dir)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, m)
		} else if err != nil {
			return Binaries{}, nil, err
		}
	}
	return b, missing, nil
}

func (b *Binaries) set(module, dir string) {
	in := func(name string) string { return filepath.Join(dir, name) }
	switch module {
	case kubernetesModule.name:
		b.Etcd, b.APIServer, b.ControllerManager = in("etcd"), in("kube-apiserver"), in("kube-controller-manager")
		b.Scheduler, b.Kubectl = in("kube-scheduler"), in("kubectl")
	case kwokModule.name:
		b.Kwok, b.Stages = in("kwok"), in("stages.yaml")
	case istioModule.name:
		b.Pilot, b.IstioCharts = in("pilot-discovery"), in("charts.yaml")
	}
}

// dirs returns the source of the module and where its programs belong.
func (m module) dirs() (source, dir string, err error) {
	here, err := sourceDir()
	if err != nil {
		return "", "", err
	}
	root, err := cacheDir()
	if err != nil {
		return "", "", err
	}
	source = filepath.Join(here, m.name)
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH, m.programs, m.extra != nil)
	for _, name := range append([]string{"go.mod", "go.sum"}, m.inputs...) {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", "", fmt.Errorf("read what %s is built from: %w", m.name, err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
	}
	return source, filepath.Join(root, fmt.Sprintf("%s-%x", m.name, sum.Sum(nil)[:6])), nil
}

// build makes the programs of the module in a directory beside the final one
// and moves it there when all of it is done.
func (m module) build(ctx context.Context, progress io.Writer, n *int, total int) error {
	source, dir, err := m.dirs()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".building-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for _, p := range m.programs {
		*n++
		fmt.Fprintf(progress, "build %s (%d of %d)\n", p.name, *n, total)
		if err := p.build(ctx, progress, source, tmp); err != nil {
			return err
		}
	}
	if m.extra != nil {
		if err := m.extra(ctx, source, tmp); err != nil {
			return fmt.Errorf("build %s: %w", m.name, err)
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

func (p program) build(ctx context.Context, progress io.Writer, source, dir string) error {
	begin := time.Now()
	ticker := time.NewTicker(stillBuilding)
	defer ticker.Stop()
	done := make(chan error, 1)
	go func() {
		_, err := goCommand(ctx, source, "build", "-trimpath", "-ldflags", p.ldflags, "-o", filepath.Join(dir, p.name), p.pkg)
		done <- err
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("build %s: %w", p.name, err)
			}
			fmt.Fprintf(progress, "built %s in %s\n", p.name, time.Since(begin).Round(time.Second))
			return nil
		case <-ticker.C:
			fmt.Fprintf(progress, "still building %s (%s)\n", p.name, time.Since(begin).Round(time.Second))
		}
	}
}

// goCommand runs the go command in a module and returns its output.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := output(ctx, "go", append([]string{"-C", dir}, args...)...)
	return string(out), err
}

// output runs a program and returns what it prints to stdout, without blanks
// at the end; an error has what it prints to stderr.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	// The user's GOFLAGS and workspace belong to another module.
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	// An interrupt reaches the compilers too, so that nothing builds on.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("run %s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return bytes.TrimSpace(stdout.Bytes()), nil
}

// writeStages copies the behaviour of nodes and pods out of kwok's module.
func writeStages(ctx context.Context, source, dir string) error {
	kwok, err := goCommand(ctx, source, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		return err
	}
	var stages bytes.Buffer
	for _, name := range []string{
		"node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
		"pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml",
	} {
		data, err := os.ReadFile(filepath.Join(kwok, "kustomize", "stage", filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		fmt.Fprintf(&stages, "---\n%s\n", bytes.TrimSpace(data))
	}
	return os.WriteFile(filepath.Join(dir, "stages.yaml"), stages.Bytes(), 0o644)
}

// istioCRDs reads Istio's CustomResourceDefinitions from the module istio.io/api
// in the version the product uses.
func istioCRDs(ctx context.Context) ([]byte, error) {
	here, err := sourceDir()
	if err != nil {
		return nil, err
	}
	api, err := goCommand(ctx, filepath.Join(here, "..", ".."), "list", "-m", "-f", "{{.Dir}}", "istio.io/api")
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(api, "kubernetes", "customresourcedefinitions.gen.yaml"))
}

// sourceDir returns the directory of this package: from the working directory
// upwards, as tests and make run inside the repository.
func sourceDir() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		candidate := filepath.Join(dir, "test", "controlplane")
		if _, err := os.Stat(filepath.Join(candidate, "kubernetes", "go.mod")); err == nil {
			return candidate, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find test/controlplane: %s is not inside a clone of mojasec; change to one", wd)
		}
	}
}

// cacheDir returns the directory that keeps what is built and makes it.
func cacheDir() (string, error) {
	dir := os.Getenv(EnvDir)
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache directory (%s names one): %w", EnvDir, err)
		}
		dir = filepath.Join(cache, "mojasec", "controlplane")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}
