package controlplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envChild makes the test binary be another program.
const envChild = "MOJASEC_TEST_CHILD"

func TestMain(m *testing.M) {
	switch child := os.Getenv(envChild); child {
	case "":
		os.Exit(m.Run())
	case "fail":
		fmt.Fprintln(os.Stderr, "first line\nport 1 is taken")
		os.Exit(3)
	case "serve":
		serve(os.Args[1])
	case "parent":
		parent(os.Args[1])
	case "controlplane":
		parentOfControlPlane()
	default:
		fmt.Fprintf(os.Stderr, "%s=%q is unknown\n", envChild, child)
		os.Exit(2)
	}
}

// serve answers 200 on address until SIGTERM.
func serve(address string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println(server.ListenAndServe())
}

// parent starts a child, tells its process id, and waits to be killed.
func parent(logDir string) {
	p, err := NewProcesses(logDir).Start(child("sleeper", "serve", "127.0.0.1:0"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("%d\nready\n", p.PID())
	select {}
}

// parentOfControlPlane does the same with a control plane.
func parentOfControlPlane() {
	c, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, p := range c.processes.all {
		fmt.Println(p.PID())
	}
	fmt.Printf("dir %s\nready\n", c.Dir())
	select {}
}

func child(name, what string, args ...string) Command {
	return Command{Name: name, Path: os.Args[0], Args: args, Env: []string{envChild + "=" + what}}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", free[0])
}

func TestProcessThatEndsByItself(t *testing.T) {
	t.Parallel()
	s := NewProcesses(t.TempDir())
	p, err := s.Start(child("broken", "fail"))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens there: the end of the process is what ends the wait.
	err = p.WaitReady(t.Context(), "http://"+freeAddress(t))
	if _, ok := errors.AsType[*EndedError](err); !ok {
		t.Fatalf("WaitReady: got %v, want an EndedError", err)
	}
	for _, want := range []string{"broken ended (exit status 3)", p.Log(), "port 1 is taken"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %q, want it to contain %q", err, want)
		}
	}
	if got := s.Err(); got == nil {
		t.Error("Err: got nil, want the process that ended")
	}
	if err := s.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestProcessStopsAndDies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(*Process) error
	}{
		{name: "stop", end: (*Process).Stop},
		{name: "kill", end: func(p *Process) error { p.Kill(); return nil }},
		{name: "stop twice", end: func(p *Process) error { return errors.Join(p.Stop(), p.Stop()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			s := NewProcesses(t.TempDir())
			p, err := s.Start(child("server", "serve", address))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.WaitReady(t.Context(), "http://"+address); err != nil {
				t.Fatal(err)
			}
			if err := tt.end(p); err != nil {
				t.Errorf("got error %v", err)
			}
			select {
			case <-p.Done():
			default:
				t.Error("the process still runs")
			}
			if err := p.Err(); err != nil {
				t.Errorf("Err after it was asked to end: got %v, want nil", err)
			}
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				t.Errorf("%s still takes connections", address)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			if _, err := s.Start(child("late", "serve", address)); err == nil {
				t.Error("Start after Stop: got no error")
			}
		})
	}
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := NewProcesses(t.TempDir())
	defer func() { _ = s.Stop() }()
	p, err := s.Start(child("server", "serve", freeAddress(t)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.WaitReady(ctx, "http://"+freeAddress(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestNoProcessOutlivesAKilledParent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, child string
		processes   int
	}{
		{name: "one process", child: "parent", processes: 1},
		{name: "a control plane", child: "controlplane", processes: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.child == "controlplane" {
				NeedCluster(t)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], t.TempDir())
			cmd.Env = append(os.Environ(), envChild+"="+tt.child)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var pids []int
			var dir string
			for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
				var pid int
				if _, err := fmt.Sscan(lines.Text(), &pid); err == nil {
					pids = append(pids, pid)
				} else if _, err := fmt.Sscanf(lines.Text(), "dir %s", &dir); err != nil {
					t.Errorf("the parent says %q", lines.Text())
				}
			}
			sweep()
			if _, err := os.Stat(dir); dir != "" && err != nil {
				t.Errorf("a sweep removed the data of a control plane that runs: %v", err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // tells that it was killed
			if len(pids) != tt.processes {
				t.Fatalf("got %d process ids, want %d", len(pids), tt.processes)
			}
			for _, pid := range pids {
				eventually(t, fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
			}
			if dir == "" {
				return
			}
			eventually(t, "a sweep removes "+dir, func() bool {
				sweep()
				_, err := os.Stat(dir)
				return err != nil
			})
		})
	}
}

// gone says that no process has the id, or a dead one that nobody waits for:
// in a container the orphans' new parent may be a program that waits for none.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}
