package live

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// The environment of the process whose memory is searched.
const (
	envServer = "MOJASEC_TEST_SERVER"
	envCA     = "MOJASEC_TEST_CA"
	envDump   = "MOJASEC_TEST_DUMP"
	envKeep   = "MOJASEC_TEST_KEEP_CONNECTIONS"
)

// TestHeapHoldsNoSecret plants secrets in a cluster and searches all memory of a
// process that follows it: not only what a Snapshot reaches, but also the
// buffers of decoders and connections.
func TestHeapHoldsNoSecret(t *testing.T) {
	t.Parallel()
	search := func(t *testing.T, keep string) (found []string) {
		server := newAPIServer(t)
		canaries := map[string]string{}
		plant := func(where string) string {
			text := fmt.Sprintf("canary-%d-7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE-%s", len(canaries), strings.Repeat("Q", 20))
			canaries[where] = text
			return text
		}
		server.put(namespace("a", v1alpha1.LabelMode, "enforce"))
		for i := range 40 {
			s := secret("a", fmt.Sprintf("initial-%d", i), plant(fmt.Sprintf("Secret %d at the start", i)))
			s.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: s.Name + " " + plant(fmt.Sprintf("annotation of Secret %d", i))}
			server.put(s)
		}
		server.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "c"}, Data: map[string]string{"ILP_SECRET": plant("ConfigMap")}})
		dump := filepath.Join(t.TempDir(), "heap")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFollowingProcess$", "-test.v")
		cmd.Env = append(os.Environ(), envServer+"="+server.URL, envCA+"="+string(pemOf(server.Certificate())), envDump+"="+dump, envKeep+"="+keep,
			"HTTP2_READ_IDLE_TIMEOUT_SECONDS=1") // 30 by default: for so long a timer holds a connection that was closed
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if lines.Text() == "ready" {
				break
			}
		}
		for i := range 40 {
			server.put(secret("a", fmt.Sprintf("initial-%d", i), plant(fmt.Sprintf("Secret %d, changed", i))))
		}
		server.put(secret("a", "last", plant("last Secret")))
		// The promise is that secrets go, not that they are gone at once: on a
		// busy machine connections take a while to end.
		for began := time.Now(); ; {
			_, _ = io.WriteString(stdin, "dump\n")
			if !lines.Scan() {
				t.Fatalf("the other process: %v\n%s", cmd.Wait(), &stderr)
			}
			found = canariesIn(t, dump, canaries)
			if len(found) == 0 || keep != "" || time.Since(began) > time.Minute {
				break
			}
		}
		_ = stdin.Close()
		rest, _ := io.ReadAll(stdout)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the other process: %v\n%s%s", err, rest, &stderr)
		}
		return found
	}
	t.Run("nothing is found", func(t *testing.T) {
		if found := search(t, ""); len(found) > 0 {
			t.Errorf("the heap holds %q", found)
		}
	})
	t.Run("the search finds what connections keep", func(t *testing.T) {
		if found := search(t, "yes"); len(found) == 0 {
			t.Error("nothing was found with connections kept: the search is blind, or replacing them is not needed")
		}
	})
}

// canariesIn searches a heap dump, which must have the names of the Secrets.
func canariesIn(t *testing.T, dump string, canaries map[string]string) (found []string) {
	t.Helper()
	memory, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(memory, []byte("initial-17")) || !bytes.Contains(memory, []byte("last")) {
		t.Fatal("the dump does not have the names of Secrets: this test proves nothing")
	}
	for where, canary := range canaries {
		encoded := base64.StdEncoding.EncodeToString([]byte(canary))
		for form, text := range map[string]string{"plain": canary, "base64": encoded[:40], "hex": fmt.Sprintf("%x", canary)} {
			if bytes.Contains(memory, []byte(text)) {
				found = append(found, where+" ("+form+")")
			}
		}
	}
	return found
}

// TestFollowingProcess is the process that TestHeapHoldsNoSecret looks into.
func TestFollowingProcess(t *testing.T) {
	if os.Getenv(envServer) == "" {
		t.Skip("runs as a process of TestHeapHoldsNoSecret")
	}
	cfg := &rest.Config{Host: os.Getenv(envServer)}
	cfg.CAData = []byte(os.Getenv(envCA))
	c, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.pace.quiet, c.pace.dirty, c.pace.spare, c.pace.grace, c.pace.tick = 50*time.Millisecond, time.Second, 50*time.Millisecond, 50*time.Millisecond, 10*time.Millisecond
	if os.Getenv(envKeep) != "" {
		c.pace.quiet, c.pace.dirty = time.Hour, time.Hour
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	ready(t, c)
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); { // a line asks for a dump
		secretIs(t, c, "a", "last", policy.Present)
		if os.Getenv(envKeep) == "" {
			replaced(t, c)
		}
		dumpHeap(t, os.Getenv(envDump))
		fmt.Println("dumped")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func dumpHeap(t *testing.T, name string) {
	t.Helper()
	for range 4 { // pools give back what they hold after two
		runtime.GC()
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	debug.WriteHeapDump(f.Fd())
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// replaced returns when the connections that brought Secrets are gone from
// memory: a timer holds them for a while after they are closed.
func replaced(t *testing.T, c *Collector) {
	t.Helper()
	var held atomic.Int64
	for range 2 { // the last change may have come just before the first time
		before := c.sensitive.Load()
		before.conns.mu.Lock()
		for conn := range before.conns.open {
			held.Add(1)
			runtime.AddCleanup(conn.(*connection), func(n *atomic.Int64) { n.Add(-1) }, &held)
		}
		before.conns.mu.Unlock()
		c.sawSecrets.Store(true)
		eventually(t, "other connections", func() (bool, string) { return c.sensitive.Load() != before, "" })
	}
	if held.Load() == 0 {
		t.Fatal("no connections were open: this test proves nothing")
	}
	eventually(t, "the old ones are gone", func() (bool, string) {
		runtime.GC()
		return held.Load() == 0, fmt.Sprint(held.Load())
	})
}
