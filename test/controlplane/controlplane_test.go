package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func TestTwoAtATimeLeaveNothing(t *testing.T) {
	t.Parallel()
	NeedCluster(t)
	type started struct {
		c   *ControlPlane
		err error
	}
	both := make(chan started)
	for range 2 {
		go func() {
			c, err := Start(t.Context(), Options{Nodes: 1})
			both <- started{c, err}
		}()
	}
	var planes []*ControlPlane
	for range 2 {
		s := <-both
		if s.err != nil {
			t.Error(s.err)
			continue
		}
		t.Cleanup(func() { _ = s.c.Stop() })
		planes = append(planes, s.c)
	}
	if len(planes) != 2 {
		t.FailNow()
	}
	uids := map[string]bool{}
	for _, c := range planes {
		namespace, err := kubernetes.NewForConfigOrDie(c.Config).CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		uids[string(namespace.UID)] = true
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	}
	if len(uids) != 2 {
		t.Error("both clients talk to the same cluster")
	}
	for _, c := range planes {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		for _, p := range c.processes.all {
			if !gone(p.PID()) {
				t.Errorf("%s still runs", p.Name())
			}
			for _, address := range addresses(p.cmd.Args) {
				if l, err := net.Listen("tcp", address); err != nil {
					t.Errorf("%s is not free again: %v", address, err)
				} else {
					_ = l.Close()
				}
			}
		}
		if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", c.Dir(), err)
		}
	}
}

// addresses finds where a component listens in its flags.
func addresses(args []string) []string {
	var found []string
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--listen-client-urls", "--listen-peer-urls":
			found = append(found, strings.TrimPrefix(value, "http://"))
		case "--server-address":
			found = append(found, value)
		case "--secure-port":
			found = append(found, "127.0.0.1:"+value)
		}
	}
	return found
}

func TestStartTellsWhichProcessDied(t *testing.T) {
	t.Parallel()
	NeedCluster(t)
	c, err := Start(t.Context(), Options{APIServerFlags: []string{"--no-such-flag"}})
	if err == nil {
		_ = c.Stop()
		t.Fatal("got no error")
	}
	for _, want := range []string{"start the control plane: kube-apiserver ended (exit status 1)", "unknown flag: --no-such-flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %q, want it to contain %q", err, want)
		}
	}
}

func TestStartThatIsInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	NeedCluster(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		c, err := Start(ctx, Options{Dir: dir})
		if err == nil {
			err = errors.Join(errors.New("it started"), c.Stop())
		}
		ended <- err
	}()
	eventually(t, "etcd has its data", func() bool { _, err := os.Stat(filepath.Join(dir, "etcd", "member")); return err == nil })
	stop := errors.New("enough")
	cancel(stop)
	if err := <-ended; !errors.Is(err, stop) {
		t.Errorf("got error %v, want %v", err, stop)
	}
}

func TestFreePorts(t *testing.T) {
	t.Parallel()
	found, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range found {
		if seen[port] {
			t.Errorf("port %d comes twice", port)
		}
		seen[port] = true
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			t.Errorf("port %d is not free: %v", port, err)
		} else {
			_ = l.Close()
		}
	}
}

func TestInstanceNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "../other", "a/b", "A", "-a", "a-"} {
		if _, err := newInstance(name); err == nil {
			t.Errorf("name %q: got no error", name)
		}
	}
}
