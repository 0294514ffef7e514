package mojaloop

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Release is a release of @mojaloop/sdk-standard-components.
type Release string

// The releases: New sorts the names of a body before it signs and verifies, Old
// does not. An adapter 18.0.2 uses Old.
const (
	New Release = "19.19.1"
	Old Release = "17.4.0"
)

// Releases returns all releases.
func Releases() []Release { return []Release{New, Old} }

// Worker is a Node process that calls functions of sdk-standard-components. It
// ends when the process that started it ends. Its methods may be called from
// several goroutines; one call is served at a time.
type Worker struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
	calls  int
	closed bool
}

//go:embed worker.js
var worker string

// StartWorker starts a worker. The packages come from [Modules].
func StartWorker(ctx context.Context, release Release) (*Worker, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("node is not installed; Mojaloop's code runs on Node.js 20")
	}
	modules, err := Modules(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	w := &Worker{cmd: exec.Command(node, "-e", worker, modules, string(release))}
	// The SDK reads times without a zone in that of the process. Its loggers and
	// configuration must not depend on who runs the tests.
	w.cmd.Env = []string{"TZ=UTC", "PATH=" + os.Getenv("PATH")}
	w.cmd.Dir = modules
	w.cmd.Stderr = &w.stderr
	w.cmd.WaitDelay = 5 * time.Second
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.stdout = bufio.NewReaderSize(stdout, 1<<20)
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	return w, nil
}

// Call calls a method with in, as JSON, and stores what it returns in out. The
// methods are those of worker.js; []byte is base64 both ways.
func (w *Worker) Call(ctx context.Context, method string, in, out any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("call %s: the worker is closed", method)
	}
	w.calls++
	request, err := json.Marshal(map[string]any{"id": w.calls, "method": method, "in": in})
	if err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	// Only the end of the process ends a call.
	defer context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() })()
	if _, err := w.stdin.Write(append(request, '\n')); err != nil {
		return w.died(ctx, method, err)
	}
	line, err := w.stdout.ReadBytes('\n')
	if err != nil {
		return w.died(ctx, method, err)
	}
	var answer struct {
		ID    int
		Out   json.RawMessage
		Error string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return fmt.Errorf("call %s: read the answer: %w: %s", method, err, tail(line))
	}
	switch {
	case answer.ID != w.calls:
		return fmt.Errorf("call %s: got an answer to call %d, want one to %d", method, answer.ID, w.calls)
	case answer.Error != "":
		return fmt.Errorf("call %s: %s", method, answer.Error)
	}
	if err := json.Unmarshal(answer.Out, out); err != nil {
		return fmt.Errorf("call %s: read the answer: %w", method, err)
	}
	return nil
}

// died is the error of a process that has gone, with what it said last.
func (w *Worker) died(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	_ = w.close()
	return fmt.Errorf("call %s: %w: node says: %s", method, err, tail(w.stderr.Bytes()))
}

// Close ends the process.
func (w *Worker) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.close()
}

func (w *Worker) close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	return errors.Join(w.stdin.Close(), w.cmd.Wait())
}
