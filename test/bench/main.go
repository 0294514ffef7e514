// Command bench measures what the targets of the project are about and prints
// each figure with its target, the machine and the version. It is a benchmark,
// not a test: it fails only when something cannot be measured.
//
// Usage: go run ./test/bench -binary bin/kubectl-mojasec
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == floorArg {
		if err := serveFloor(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	binary := flag.String("binary", "bin/kubectl-mojasec", "the plugin to measure")
	runs := flag.Int("runs", 10, "measured runs of each command, after one to warm up")
	part := flag.String("part", "all", "what to measure: plugin, webhook, crypto, traffic or all")
	traffic := flag.Duration("traffic-for", time.Minute, "how long each load of traffic is measured")
	flag.Parse()
	if err := run(context.Background(), *binary, *runs, *part, *traffic); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is one line of the result.
type row struct{ id, measure, target, value string }

func run(ctx context.Context, binary string, runs int, part string, trafficFor time.Duration) error {
	if !slices.Contains([]string{"all", "plugin", "webhook", "crypto", "traffic"}, part) {
		return fmt.Errorf("-part %q: want plugin, webhook, crypto, traffic or all", part)
	}
	wanted := func(name string) bool { return part == "all" || part == name }
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mojasec-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	version, err := exec.CommandContext(ctx, binary, "version", "--client").Output()
	if err != nil {
		return fmt.Errorf("run %s (make build makes it): %w", binary, err)
	}
	fmt.Printf("%s, %d CPUs, %s/%s\n%s\n", cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(version)))

	var rows []row
	if part != "traffic" && part != "crypto" {
		rows = append(rows, engine())
	}
	if wanted("plugin") {
		more, err := commands(ctx, binary, dir, runs)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	if wanted("crypto") {
		more, err := cryptoRows(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	if wanted("traffic") {
		more, err := trafficRows(ctx, binary, trafficFor)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	if wanted("webhook") {
		more, err := webhooks(ctx, dir)
		if err != nil {
			return err
		}
		size, err := binarySize(dir)
		if err != nil {
			return err
		}
		rows = append(append(rows, more...), size)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tMEASURE\tTARGET\tMEASURED")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.id, r.measure, r.target, r.value)
	}
	return w.Flush()
}

// engine measures one review of a good pod, without any door: H8.
func engine() row {
	s := fixtures.NewScheme()
	inputs := s.Inputs()
	objs := make([]kruntime.Object, 0, len(inputs))
	for _, in := range inputs {
		objs = append(objs, in.Object)
	}
	pod := &corev1.Pod{ObjectMeta: s.SDK1.Spec.Template.ObjectMeta, Spec: s.SDK1.Spec.Template.Spec}
	pod.APIVersion, pod.Kind, pod.Namespace, pod.Name = "v1", "Pod", fixtures.Namespace, "perffsp-1-sdk-0"
	snap := policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("bench")}, objs)
	checks := policy.Checks()
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			policy.Review(checks, []policy.Input{{Object: pod}}, snap, true)
		}
	})
	return row{
		"H8", "engine only, one pod, all checks", "20 µs, 60 allocs, 8192 B",
		fmt.Sprintf("%.1f µs, %d allocs, %d B", float64(result.NsPerOp())/1e3, result.AllocsPerOp(), result.AllocedBytesPerOp()),
	}
}

// commands measures whole processes: C1, C2, C3 and the start of version.
func commands(ctx context.Context, binary, dir string, runs int) ([]row, error) {
	files := map[int]string{}
	for _, n := range []int{1, 1000, 10000} {
		files[n] = filepath.Join(dir, fmt.Sprintf("pods-%d.yaml", n))
		if err := writePods(files[n], n); err != nil {
			return nil, err
		}
	}
	measure := func(args ...string) (sample, error) { return median(ctx, runs, binary, args...) }
	start, err := measure("version", "--client")
	if err != nil {
		return nil, err
	}
	one, err := measure("verify", "-f", files[1], "-o", "table="+filepath.Join(dir, "out"))
	if err != nil {
		return nil, err
	}
	thousand, err := measure("verify", "-f", files[1000], "-o", "sarif="+filepath.Join(dir, "out.sarif"))
	if err != nil {
		return nil, err
	}
	tenThousand, err := measure("verify", "-f", files[10000], "-o", "sarif="+filepath.Join(dir, "out.sarif"))
	if err != nil {
		return nil, err
	}
	return []row{
		{"H13", "start of version, wall", "25 ms", ms(start.wall)},
		{"C1", "verify -f of one manifest, wall", "30 ms", ms(one.wall)},
		{"C2", "1000 pods, each with a finding, to SARIF: wall / peak memory", "250 ms / 80 MiB, then 120 ms", fmt.Sprintf("%s / %d MiB (CPU %s)", ms(thousand.wall), thousand.memory>>20, ms(thousand.cpu))},
		{"C3", "10 000 pods against 1000, wall", "11 ×", fmt.Sprintf("%.1f × (%s)", float64(tenThousand.wall)/float64(thousand.wall), ms(tenThousand.wall))},
	}, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3) }

// sample is what one process cost.
type sample struct {
	wall, cpu time.Duration
	memory    int64 // peak resident bytes
}

// median runs a command and returns the median of each figure.
func median(ctx context.Context, runs int, binary string, args ...string) (sample, error) {
	var all []sample
	for i := range runs + 1 {
		cmd := exec.CommandContext(ctx, binary, args...)
		began := time.Now()
		err := cmd.Run()
		s := sample{wall: time.Since(began)}
		var exit *exec.ExitError
		// 2 and 3 are verdicts: findings, incomplete.
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 3 || exit.ExitCode() == 1) {
			return s, fmt.Errorf("%s %s: %w", filepath.Base(binary), strings.Join(args, " "), err)
		}
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return s, errors.New("no resource usage on this system")
		}
		s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		s.memory = usage.Maxrss << 10 // Linux counts in KiB
		if i > 0 {
			all = append(all, s)
		}
	}
	pick := func(key func(sample) int64) int64 {
		slices.SortFunc(all, func(a, b sample) int { return int(key(a) - key(b)) })
		return key(all[len(all)/2])
	}
	return sample{
		wall:   time.Duration(pick(func(s sample) int64 { return int64(s.wall) })),
		cpu:    time.Duration(pick(func(s sample) int64 { return int64(s.cpu) })),
		memory: pick(func(s sample) int64 { return s.memory }),
	}, nil
}

// writePods writes n SDK pods of as many DFSPs; each has one fault.
func writePods(file string, n int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	s := fixtures.NewScheme()
	fixtures.SetEnv(s.SDK1, "JWS_SIGN", "false")
	pod := &corev1.Pod{ObjectMeta: s.SDK1.Spec.Template.ObjectMeta, Spec: s.SDK1.Spec.Template.Spec}
	pod.APIVersion, pod.Kind, pod.Namespace, pod.Name = "v1", "Pod", fixtures.Namespace, "POD"
	text, err := yaml.Marshal(pod)
	if err != nil {
		return err
	}
	for i := range n {
		dfsp := fmt.Sprintf("perffsp-%d", i+1)
		doc := strings.NewReplacer("POD", dfsp+"-sdk-0", fixtures.DFSP1, dfsp).Replace(string(text))
		if _, err := fmt.Fprintf(f, "---\n%s", doc); err != nil {
			return err
		}
	}
	return f.Close()
}

// cpuModel names the processor.
func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
