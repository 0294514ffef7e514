package controlplane

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKubernetesVersionIsThatOfItsModule(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("kubernetes/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`k8s\.io/kubernetes (v\S+)`).FindSubmatch(data)
	if found == nil {
		t.Fatal("kubernetes/go.mod does not require k8s.io/kubernetes")
	}
	if got := string(found[1]); got != kubernetesVersion {
		t.Errorf("kubernetes/go.mod has %q, the binaries are told %q", got, kubernetesVersion)
	}
	minor := regexp.MustCompile(`^v1\.(\d+)\.`).FindStringSubmatch(kubernetesVersion)
	if !strings.Contains(version, "version.gitMinor="+minor[1]) {
		t.Errorf("flags %q do not have minor version %s", version, minor[1])
	}
}

func TestBuild(t *testing.T) {
	t.Setenv(EnvDir, t.TempDir())
	// Standard library only, so that it builds in no time.
	tiny := module{name: "kwok", programs: []program{{name: "kwok", pkg: "cmd/test2json", ldflags: stripped}}}
	var progress strings.Builder
	b, err := build(t.Context(), &progress, tiny)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.Kwok); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"build kwok (1 of 1)\n", "built kwok in "} {
		if !strings.Contains(progress.String(), want) {
			t.Errorf("got progress %q, want %q in it", progress.String(), want)
		}
	}

	progress.Reset()
	again, err := build(t.Context(), &progress, tiny)
	if err != nil {
		t.Fatal(err)
	}
	if progress.Len() > 0 || again != b {
		t.Errorf("second build: got %+v and progress %q, want the same and silence", again, &progress)
	}

	other := tiny
	other.programs = []program{{name: "kwok", pkg: "cmd/test2json"}}
	if _, missing, err := locate([]module{other}); err != nil || len(missing) != 1 {
		t.Errorf("with other flags: got %d modules to build, %v, want 1", len(missing), err)
	}
}

func TestBuildThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvDir, dir)
	broken := module{name: "kwok", programs: []program{{name: "kwok", pkg: "cmd/no-such-program"}}}
	if _, err := build(t.Context(), io.Discard, broken); err == nil || !strings.Contains(err.Error(), "build kwok") {
		t.Errorf("got error %v, want one that names the program", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || filepath.Base(left[0]) != "build.lock" {
		t.Errorf("got %q left, want the lock only", left)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := tryLock(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(file); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("second lock: got %v, want %v", err, syscall.EWOULDBLOCK)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, file, func() {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("lock that waits: got %v, want %v", err, context.DeadlineExceeded)
	}
	waited := make(chan struct{})
	go func() {
		<-waited
		unlock()
	}()
	unlock2, err := lock(t.Context(), file, func() { close(waited) })
	if err != nil {
		t.Fatal(err)
	}
	unlock2()
}
