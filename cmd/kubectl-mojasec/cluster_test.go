package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mojasec/mojasec/test/controlplane"
)

// TestClusterScripts runs the scripts of test/script/cluster on a control plane,
// each with the real kubectl, plugin and webhook.
func TestClusterScripts(t *testing.T) {
	controlplane.NeedCluster(t)
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "../webhook")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the webhook: %v\n%s", err, out)
	}
	scripts, err := filepath.Glob("../../test/script/cluster/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no script (%v): this test proves nothing", err)
	}
	for _, script := range scripts {
		// A control plane of its own: webhook configurations are for all of it.
		cluster := controlplane.StartForTest(t, controlplane.Options{Nodes: 1})
		testscript.Run(t, testscript.Params{
			Files:               []string{script},
			RequireExplicitExec: true,
			Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
			Setup: func(e *testscript.Env) error {
				ports, err := freePorts(2)
				if err != nil {
					return err
				}
				e.Setenv("KUBECONFIG", cluster.Kubeconfig())
				e.Setenv(envKubectl, cluster.Binaries().Kubectl)
				e.Setenv("PATH", e.Getenv("PATH")+string(os.PathListSeparator)+dir)
				e.Setenv("PORT", ports[0])
				e.Setenv("HEALTH", ports[1])
				return nil
			},
		})
	}
}

// freePorts returns ports of the loopback interface on which nobody listens.
func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return out, nil
}
