package plugin

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

func TestFix(t *testing.T) {
	dir := write(t, map[string]string{"sdk.yaml": sdk, "web.yaml": unrelated})
	file := filepath.Join(dir, "sdk.yaml")

	diff, stderr, code := run(t, "verify", "-f", dir, "--fix", "--dry-run")
	if code != Incomplete || !strings.Contains(diff, "+        - name: ILP_SECRET\n") {
		t.Errorf("dry run: got code %d and %s%s", code, diff, stderr)
	}
	if d := cmp.Diff(sdk, read(t, file)); d != "" {
		t.Errorf("the dry run wrote (-want +got):\n%s", d)
	}

	stdout, stderr, _ := run(t, "verify", "-f", dir, "--fix", "-o", "json")
	if want := "fixed: " + file + ": 7 added\n"; !strings.HasPrefix(stderr, want) {
		t.Errorf("got stderr %q, want %q", stderr, want)
	}
	var r v1alpha1.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Injected) > 0 {
		t.Errorf("got injected %v, want none after the fix", r.Injected)
	}
	fixed := read(t, file)
	for line := range strings.Lines(sdk) {
		if !strings.Contains(fixed, line) {
			t.Errorf("line %q is gone", line)
		}
	}
	if read(t, filepath.Join(dir, "web.yaml")) != unrelated {
		t.Error("a file was changed in which nothing is to fix")
	}

	if _, stderr, _ = run(t, "verify", "-f", dir, "--fix", "-o", "json"); strings.Contains(stderr, "fixed") {
		t.Errorf("the second time: got %q, want nothing fixed", stderr)
	}
}

func TestFixRefuses(t *testing.T) {
	text := strings.Replace(sdk, "env:", "env: &env", 1) + "      - name: other\n        image: busybox\n        env: *env\n"
	dir := write(t, map[string]string{"sdk.yaml": text})
	_, stderr, code := run(t, "verify", "-f", dir, "--fix", "-o", "short")
	if code != Refused {
		t.Errorf("got code %d, want %d", code, Refused)
	}
	for _, want := range []string{"left alone: ", "too unusual to edit", "add by hand: ", "env ILP_SECRET from Secret perffsp-1-ilp"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("got %q, want %q in it", stderr, want)
		}
	}
	if diff := cmp.Diff(text, read(t, filepath.Join(dir, "sdk.yaml"))); diff != "" {
		t.Errorf("the file changed (-want +got):\n%s", diff)
	}
}
