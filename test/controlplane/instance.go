package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// downTimeout is above what an orderly stop of all processes can take.
const downTimeout = 3 * time.Minute

// State is what others need to know about a running instance.
type State struct {
	PID        int    `json:"pid"`
	Kubeconfig string `json:"kubeconfig"`
	BinDir     string `json:"binDir"`
	Server     string `json:"server"`
	Logs       string `json:"logs"`
}

// Instance is a control plane with a name, so that [Down] finds it. The lock on
// its file tells that its process lives, whatever process has its id.
type Instance struct {
	name, dir string
	state     State
	unlock    func()
}

// instanceName keeps names inside the directory of instances.
var instanceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func newInstance(name string) (*Instance, error) {
	if !instanceName.MatchString(name) {
		return nil, fmt.Errorf("name %q: use lower-case letters, digits and hyphens", name)
	}
	root, err := cacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "instances", name)
	return &Instance{name: name, dir: dir}, os.MkdirAll(dir, 0o700)
}

func (i *Instance) file(name string) string { return filepath.Join(i.dir, name) }

// Claim makes this process the one that runs the instance of that name.
func Claim(name string) (*Instance, error) {
	i, err := newInstance(name)
	if err != nil {
		return nil, err
	}
	i.unlock, err = tryLock(i.file("lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("control plane %q runs already: stop it with down, or choose another --name", name)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Remove(i.file("state.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	pid := []byte(fmt.Sprint(os.Getpid()))
	return i, os.WriteFile(i.file("pid"), pid, 0o600)
}

// Publish tells others that the instance is ready.
func (i *Instance) Publish(s State) error {
	s.PID = os.Getpid()
	for _, path := range []*string{&s.Kubeconfig, &s.Logs} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	i.state = s
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := i.file("state.json.tmp")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, i.file("state.json"))
}

// State returns what was published.
func (i *Instance) State() State { return i.state }

// Release gives the name free.
func (i *Instance) Release() {
	_ = os.Remove(i.file("state.json"))
	_ = os.Remove(i.file("pid"))
	i.unlock()
}

// Detach runs this program again with args, in a session of its own, and
// returns when that process has published the instance.
func Detach(ctx context.Context, name string, args []string) (State, error) {
	i, err := newInstance(name)
	if err != nil {
		return State{}, err
	}
	// Claimed for a moment, to fail before anything is started.
	claimed, err := Claim(name)
	if err != nil {
		return State{}, err
	}
	claimed.Release()
	self, err := os.Executable()
	if err != nil {
		return State{}, err
	}
	_ = os.Remove(i.file("worker.log"))
	log, err := os.OpenFile(i.file("worker.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return State{}, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return State{}, fmt.Errorf("start the control plane: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return State{}, fmt.Errorf("start the control plane: %w\n%s", err, tail(log.Name()))
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			return State{}, errors.Join(context.Cause(ctx), <-ended)
		case <-ticker.C:
			if s, err := i.read(); err == nil && s.PID == cmd.Process.Pid {
				return s, nil
			}
		}
	}
}

func (i *Instance) read() (State, error) {
	data, err := os.ReadFile(i.file("state.json"))
	if err != nil {
		return State{}, err
	}
	var s State
	return s, json.Unmarshal(data, &s)
}

// Down stops the instance of that name and returns when it is gone. It says
// whether there was one.
func Down(ctx context.Context, name string) (bool, error) {
	i, err := newInstance(name)
	if err != nil {
		return false, err
	}
	unlock, err := tryLock(i.file("lock"))
	if err == nil { // nobody holds it: nothing runs
		unlock()
		return false, nil
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return false, err
	}
	data, err := os.ReadFile(i.file("pid"))
	if err != nil {
		return false, fmt.Errorf("stop control plane %q: %w", name, err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil || pid <= 1 {
		return false, fmt.Errorf("stop control plane %q: %s has no process id", name, i.file("pid"))
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return false, fmt.Errorf("stop control plane %q, process %d: %w", name, pid, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, downTimeout, fmt.Errorf("process %d still runs after %s", pid, downTimeout))
	defer cancel()
	unlock, err = lock(ctx, i.file("lock"), func() {})
	if err != nil {
		return true, fmt.Errorf("stop control plane %q: %w", name, err)
	}
	unlock()
	return true, nil
}
