package controlplane

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// pollEvery is short: what is waited for here takes seconds at most.
	pollEvery = 50 * time.Millisecond
	// stopGrace is how long Stop waits after SIGTERM. The API server and a
	// draining webhook take a few seconds under load.
	stopGrace = 20 * time.Second
	// tailLines is how much of a log an error repeats, tailBytes how much of
	// it is looked at.
	tailLines, tailBytes = 15, 16 << 10
)

// Command says what to run.
type Command struct {
	Name string // in messages, and of the log file: NAME.log
	Path string
	Args []string
	Env  []string // added to this process's environment
	Dir  string   // working directory, this process's when empty
}

// Process is a running program. It is killed when this process dies.
type Process struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{}
	err       error // valid after done
	stopping  sync.Once
	asked     chan struct{} // closed by Stop and Kill
}

// EndedError says that a process ended by itself, with the end of its log.
type EndedError struct {
	Name, State string // State is like "exit status 1"
	Log, Tail   string // Log is the file, Tail its last lines
}

// Error is several lines when the process left a log.
func (e *EndedError) Error() string {
	message := fmt.Sprintf("%s ended (%s)", e.Name, e.State)
	if e.Tail == "" {
		return message + " and wrote nothing to " + e.Log
	}
	return message + "; the end of " + e.Log + ":\n  " + strings.ReplaceAll(e.Tail, "\n", "\n  ")
}

// start runs c with its output appended to a file in logDir.
func start(c Command, logDir string) (*Process, error) {
	log := filepath.Join(logDir, c.Name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	defer func() { _ = out.Close() }()

	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir = append(os.Environ(), c.Env...), c.Dir
	cmd.Stdout, cmd.Stderr = out, out
	if err := startBound(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	p := &Process{name: c.Name, log: log, cmd: cmd, done: make(chan struct{}), asked: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Name returns the name of the command.
func (p *Process) Name() string { return p.name }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log returns the file with the output of the process, stdout and stderr.
func (p *Process) Log() string { return p.log }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is nil while the process runs and after Stop or Kill; else an
// [*EndedError].
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	select {
	case <-p.asked:
		return nil
	default:
		return &EndedError{Name: p.name, State: p.cmd.ProcessState.String(), Log: p.log, Tail: tail(p.log)}
	}
}

// WaitReady returns when a GET of url answers 200. It fails at once when the
// process ends. A certificate is not verified: the question is whether the
// process answers, not who it is.
func (p *Process) WaitReady(ctx context.Context, url string) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := p.Err(); err != nil {
			return err
		}
		last := probe(ctx, client, url)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to be ready: %w (last: %w; log %s)", p.name, context.Cause(ctx), last, p.log)
		case <-p.done:
			if p.Err() == nil {
				return fmt.Errorf("wait for %s to be ready: it was stopped", p.name)
			}
		case <-ticker.C:
		}
	}
}

// probe returns nil when url answers 200.
func probe(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, response.Status, bytes.TrimSpace(body))
	}
	return nil
}

// Stop sends SIGTERM, after 20 seconds SIGKILL, and returns when the process
// has ended. The error says that it had to be killed. Stopping twice is fine.
func (p *Process) Stop() error {
	p.stopping.Do(func() { close(p.asked) })
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	p.Kill()
	return fmt.Errorf("stop %s: it did not end within %s of SIGTERM and was killed (log %s)", p.name, stopGrace, p.log)
}

// Kill sends SIGKILL and returns when the process has ended.
func (p *Process) Kill() {
	p.stopping.Do(func() { close(p.asked) })
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Signal sends a signal, for example SIGSTOP to make the process hang.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Processes runs programs with logs in one directory and stops them in
// reverse order. Its methods may be called concurrently.
type Processes struct {
	dir string

	mu      sync.Mutex
	all     []*Process
	stopped bool
}

// NewProcesses returns a set whose logs go to dir, which must exist.
func NewProcesses(dir string) *Processes { return &Processes{dir: dir} }

// Start runs a program. Use [Process.WaitReady] to wait until it serves.
func (s *Processes) Start(c Command) (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, fmt.Errorf("start %s: everything was stopped already", c.Name)
	}
	p, err := start(c, s.dir)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, p)
	return p, nil
}

// Err tells which process ended by itself, nil when none did.
func (s *Processes) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.all {
		errs = append(errs, p.Err())
	}
	return errors.Join(errs...)
}

// Stop stops all, the last one first, and returns when all have ended.
func (s *Processes) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	var errs []error
	for _, p := range slices.Backward(s.all) {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

// tail returns the last lines of a file, "" when there is nothing to show.
func tail(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = f.Seek(-tailBytes, io.SeekEnd)
	}
	data, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
