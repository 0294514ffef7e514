package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDemoInREADME runs make demo: what it shows is in the README.
func TestDemoInREADME(t *testing.T) {
	if world.webhook == nil {
		t.Skip("the demo starts a control plane of its own")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "<!-- demo -->\n```console\n$ make demo\n")
	want, _, closed := strings.Cut(rest, "```\n<!-- /demo -->")
	if !ok || !closed {
		t.Fatal("README.md has no transcript of make demo between <!-- demo --> and <!-- /demo -->")
	}
	const name = "demo-test"
	demo := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "../../hack/demo", args...)
		cmd.Env = append(os.Environ(), "DEMO="+name)
		return cmd
	}
	t.Cleanup(func() {
		if out, err := demo(context.WithoutCancel(t.Context()), "--down").CombinedOutput(); err != nil {
			t.Errorf("stop the demo: %v\n%s", err, out)
		}
	})
	var out, progress bytes.Buffer
	cmd := demo(t.Context())
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &progress)
	}
	got := strings.TrimLeft(strings.ReplaceAll(out.String(), "bin/"+name, "bin/demo"), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the README shows another demo (-README +hack/demo); UPDATE=1 writes it anew:\n%s", diff)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile("../../README.md", bytes.Replace(readme, []byte(want), []byte(got), 1), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
