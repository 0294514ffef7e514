package mojaloop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mojasec/mojasec/test/controlplane"
)

// readyWithin is how long a program may take to serve. Node compiles an
// adapter's 500 modules in 2 s, in 20 s on a machine that does much else.
const readyWithin = time.Minute

// Redis is a redis-server on a free port, which keeps nothing on disk.
type Redis struct {
	// URL is what an adapter's CACHE_URL takes.
	URL string

	processes *controlplane.Processes
	process   *controlplane.Process
	dir       string
}

// StartRedis starts redis-server and waits until it answers. Where the program
// is missing, root installs Debian's package; others are told what to type.
func StartRedis(ctx context.Context) (*Redis, error) {
	path, err := redisServer(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mojasec-redis-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	port := strconv.Itoa(ports[0])
	r := &Redis{URL: "redis://127.0.0.1:" + port, processes: controlplane.NewProcesses(dir), dir: dir}
	r.process, err = r.processes.Start(controlplane.Command{
		Name: "redis", Path: path, Dir: dir,
		Args: []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir},
	})
	if err == nil {
		err = waitFor(ctx, r.process, "redis", func(ctx context.Context) error { return ping(ctx, "127.0.0.1:"+port) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start redis: %w", err), r.Close())
	}
	return r, nil
}

// Close stops the server.
func (r *Redis) Close() error { return errors.Join(r.processes.Stop(), os.RemoveAll(r.dir)) }

// PID returns the process id.
func (r *Redis) PID() int { return r.process.PID() }

// redisServer finds the program.
func redisServer(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path, nil
	}
	const install = "apt-get install -y --no-install-recommends redis-server"
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("redis-server is not installed; type:  sudo %s", install)
	}
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, apt, args...)
		// RUNLEVEL keeps the package from starting a server of its own.
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		return cmd.CombinedOutput()
	}
	installIt := []string{"install", "-y", "--no-install-recommends", "redis-server"}
	if _, err := run(installIt...); err == nil {
		return exec.LookPath("redis-server")
	}
	// A fresh image has no list of packages.
	_, _ = run("update")
	if out, err := run(installIt...); err != nil {
		return "", fmt.Errorf("install redis-server: %w: %s; type:  apt-get update && %s", err, lastLine(out), install)
	}
	return exec.LookPath("redis-server")
}

func lastLine(text []byte) []byte {
	text = bytes.TrimSpace(text)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}

// ping sends what redis-cli ping does.
func ping(ctx context.Context, address string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG"))
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if string(answer) != "+PONG" {
		return fmt.Errorf("redis answers %q to PING", answer)
	}
	return nil
}

// waitFor returns when ready does not fail any more. It fails at once when the
// process ends.
func waitFor(ctx context.Context, p *controlplane.Process, what string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w; log %s)", what, context.Cause(ctx), last, p.Log())
		case <-p.Done():
			if err := p.Err(); err != nil {
				return err
			}
			return fmt.Errorf("wait for %s: it was stopped", what)
		case <-ticker.C:
		}
	}
}

// freePorts returns ports that nobody listens on. They are open together, so
// that they differ.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// write writes a file that only this user reads.
func write(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
