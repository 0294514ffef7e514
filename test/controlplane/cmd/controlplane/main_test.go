package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/test/controlplane"
)

// envMain makes the test binary be the program, which starts itself again.
const envMain = "MOJASEC_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

func controlPlane(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), envMain+"=1")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	controlplane.NeedCluster(t)
	name := fmt.Sprintf("test-%d", os.Getpid())
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig with a blank")
	up := []string{"up", "--detach", "--nodes=2", "--name=" + name, "--kubeconfig=" + kubeconfig}
	t.Cleanup(func() { _, _, _ = controlPlane(t, "down", "--name="+name) })

	stdout, stderr, err := controlPlane(t, up...)
	if err != nil {
		t.Fatalf("up: %v\n%s", err, stderr)
	}
	if !strings.Contains(stderr, "down --name "+name) {
		t.Errorf("up says %q, want how to stop it", stderr)
	}
	script := exec.Command("sh", "-ec", stdout+"\nkubectl get nodes --no-headers")
	script.Stderr = os.Stderr
	nodes, err := script.Output()
	if err != nil {
		t.Fatalf("use what up prints:\n%s\n%v", stdout, err)
	}
	if got := strings.Count(string(nodes), " Ready "); got != 2 {
		t.Errorf("got %d ready nodes, want 2:\n%s", got, nodes)
	}
	if info, err := os.Stat(kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig: got %v, %v, want a file for its owner only", info, err)
	}

	if _, stderr, err := controlPlane(t, up...); err == nil || !strings.Contains(stderr, "runs already") {
		t.Errorf("up again: got %v and %q, want a refusal", err, stderr)
	}
	if _, stderr, err := controlPlane(t, "down", "--name="+name); err != nil || stderr != "" {
		t.Errorf("down: got %v and %q, want silence", err, stderr)
	}
	if _, err := os.Stat(kubeconfig); err == nil {
		t.Error("the kubeconfig is still there after down")
	}
	if _, stderr, err := controlPlane(t, "down", "--name="+name); err != nil || !strings.Contains(stderr, "does not run") {
		t.Errorf("down again: got %v and %q, want %q", err, stderr, "does not run")
	}
}

func TestUpRefusesBadNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "../x", "Upper"} {
		if _, stderr, err := controlPlane(t, "up", "--name="+name); err == nil || !strings.Contains(stderr, "lower-case") {
			t.Errorf("name %q: got %v and %q, want a refusal", name, err, stderr)
		}
	}
}
