package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mojasec/mojasec/test/fixtures"
)

// server is a webhook process under load.
type server struct {
	url string // https://host:port
	pid int
}

// loadResult is what a load cost.
type loadResult struct {
	p50, p99 time.Duration
	perCall  time.Duration // CPU of the server process, user and system
	rate     float64       // calls per second
}

// load sends n copies of a review of a good pod over some connections. A refusal
// is an error: the figures of wrong answers are worth nothing.
func (s server) load(ctx context.Context, path string, body []byte, connections, n int) (loadResult, error) {
	var (
		mu    sync.Mutex
		all   []time.Duration
		wrong int
		other []byte // an answer that is wrong
		first error
		wg    sync.WaitGroup
	)
	want := []byte(`"allowed":true`)
	cpu, err := cpuTime(s.pid)
	if err != nil {
		return loadResult{}, err
	}
	began := time.Now()
	for range connections {
		wg.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			took := make([]time.Duration, 0, n/connections)
			bad := 0
			var example []byte
			var failed error
			for range n / connections {
				t := time.Now()
				answer, err := post(ctx, client, s.url+path, body)
				if err != nil {
					failed = err
					break
				}
				took = append(took, time.Since(t))
				if !bytes.Contains(answer, want) {
					bad++
					example = answer
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all, wrong = append(all, took...), wrong+bad
			if example != nil {
				other = example
			}
			if failed != nil {
				first = failed
			}
		})
	}
	wg.Wait()
	wall := time.Since(began)
	after, err := cpuTime(s.pid)
	if err != nil {
		return loadResult{}, err
	}
	if first != nil || len(all) == 0 {
		return loadResult{}, fmt.Errorf("load %s: %w", path, first)
	}
	if wrong > 0 {
		return loadResult{}, fmt.Errorf("load %s: %d of %d answers refuse, such as %s", path, wrong, len(all), other)
	}
	slices.Sort(all)
	return loadResult{
		p50: all[len(all)/2], p99: all[len(all)*99/100],
		perCall: (after - cpu) / time.Duration(len(all)), rate: float64(len(all)) / wall.Seconds(),
	}, nil
}

// newClient returns a client with one HTTP/2 connection, as an API server has.
func newClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		// The load is local and the certificate that of the benchmark.
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true, MaxConnsPerHost: 1,
	}}
}

func post(ctx context.Context, client *http.Client, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("POST %s: %s: %s", url, resp.Status, answer)
	}
	return answer, nil
}

// podReview is the review that creates a pod.
func podReview(pod *corev1.Pod) ([]byte, error) {
	raw, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	return json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:       types.UID("6f2b1a5e-0000-4000-8000-000000000001"),
			Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Namespace: pod.Namespace, Name: pod.Name, Operation: admissionv1.Create,
			Object: kruntime.RawExtension{Raw: raw},
		},
	})
}

// sdkPod is a pod of the SDK as it arrives from a ReplicaSet: complete, or with
// nothing that is injected.
func sdkPod(bare bool) *corev1.Pod {
	s := fixtures.NewScheme()
	t := s.SDK1.Spec.Template
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: t.ObjectMeta, Spec: t.Spec}
	pod.Namespace, pod.Name = fixtures.Namespace, "perffsp-1-sdk-0"
	if bare {
		c := &pod.Spec.Containers[0]
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool {
			return e.Name == "ILP_SECRET" || strings.HasPrefix(e.Name, "JWS_SIGNING_KEY_PATH") || e.Name == "JWS_VERIFICATION_KEYS_DIRECTORY"
		})
		c.VolumeMounts, pod.Spec.Volumes = nil, nil
	}
	return pod
}

// clockTick is the unit of /proc/PID/stat on Linux.
const clockTick = 10 * time.Millisecond

// cpuTime is the user and system time a process has used.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may hold spaces.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const utime, stime = 11, 12 // counted after the name
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat: has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// residentMemory is the resident set of a process in bytes.
func residentMemory(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status: has no VmRSS", pid)
}
