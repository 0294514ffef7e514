package mojaloop

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/mojasec/mojasec/test/controlplane"
)

// verifier is the program of a [Verifier].
//
//go:embed verifier.js
var verifier string

// Verifier is a server that verifies signatures with Mojaloop's own validator,
// and does nothing else.
type Verifier struct {
	// URL takes messages.
	URL string

	dir       string
	processes *controlplane.Processes
	process   *controlplane.Process
}

// StartVerifier starts a verifier with the validator of a release of
// sdk-standard-components, such as 19.19.1, and a directory of <fsp>.pem files.
func StartVerifier(ctx context.Context, release, keys string) (*Verifier, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("node is not installed; Mojaloop's validator runs on Node.js 20")
	}
	modules, err := Modules(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mojasec-verifier-")
	if err != nil {
		return nil, err
	}
	v := &Verifier{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), dir: dir, processes: controlplane.NewProcesses(dir)}
	script, err := write(dir, "verifier.js", verifier)
	if err == nil {
		v.process, err = v.processes.Start(controlplane.Command{
			Name: "verifier", Path: node, Dir: dir, Env: []string{"NODE_ENV=production"},
			Args: []string{script, filepath.Join(modules, "node_modules"), release, strconv.Itoa(ports[0]), keys},
		})
	}
	if err == nil {
		err = waitFor(ctx, v.process, "the verifier", func(ctx context.Context) error { return connects(ctx, ports...) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a verifier: %w", err), v.Close())
	}
	return v, nil
}

// PID returns the process id.
func (v *Verifier) PID() int { return v.process.PID() }

// Close stops the verifier.
func (v *Verifier) Close() error { return errors.Join(v.processes.Stop(), os.RemoveAll(v.dir)) }
