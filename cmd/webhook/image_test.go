package main

import (
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/manifests"
)

func deployment(t *testing.T, overlay manifests.Overlay) *appsv1.Deployment {
	t.Helper()
	objects, err := manifests.Render(manifests.Options{Overlay: overlay})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		d := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	t.Fatal("there is no Deployment")
	return nil
}

// The arguments in the manifests are flags of this program, and stopping takes
// no longer than the pod is given.
func TestManifestsFitTheProgram(t *testing.T) {
	t.Parallel()
	for _, overlay := range []manifests.Overlay{manifests.SelfManaged, manifests.CertManager} {
		pod := deployment(t, overlay).Spec.Template.Spec
		cmd := newCommand(io.Discard, io.Discard)
		if err := cmd.ParseFlags(pod.Containers[0].Args); err != nil {
			t.Errorf("%s: %v", overlay, err)
		}
		all := endTimeout
		for _, name := range []string{"drain-delay", "shutdown-grace"} {
			d, err := cmd.Flags().GetDuration(name)
			if err != nil {
				t.Fatal(err)
			}
			all += d
		}
		if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; all > grace {
			t.Errorf("%s: stopping takes up to %s, the pod is given %s", overlay, all, grace)
		}
	}
}

// There is no Docker where this runs: the file is read, and what it builds is
// built.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(strings.ReplaceAll(string(data), "\\\n", ""), "\nFROM ")
	last := strings.Split(strings.TrimSpace(stages[len(stages)-1]), "\n")
	pod := deployment(t, manifests.SelfManaged).Spec.Template.Spec
	for _, want := range []string{
		"scratch",
		"COPY --from=binaries /out/webhook /out/kubectl-mojasec /",
		"USER 65532:65532",
		`ENTRYPOINT ["` + pod.Containers[0].Command[0] + `"]`,
	} {
		found := false
		for _, line := range last {
			found = found || line == want
		}
		if !found {
			t.Errorf("the last stage is %q, want a line %q", last, want)
		}
	}
	if *pod.SecurityContext.RunAsUser != 65532 {
		t.Errorf("the pod runs as %d, the image as 65532", *pod.SecurityContext.RunAsUser)
	}
}

func TestBinaryIsStatic(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links a program")
	}
	file := filepath.Join(t.TempDir(), "webhook")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v1.2.3", "-o", file, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = binary.Close() }()
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("got a program header %s: it is linked dynamically", p.Type)
		}
	}
	out, err := exec.CommandContext(t.Context(), file, "--version").Output()
	if err != nil || string(out) != "webhook v1.2.3\n" {
		t.Errorf("got %q (%v), want the version", out, err)
	}
}
