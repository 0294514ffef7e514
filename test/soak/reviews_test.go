package soak

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

// TestHardCase31ManyReviews sends reviews of all sorts, hostile ones among them,
// to one process: no answer is wrong, and neither memory nor goroutines nor open
// files grow.
func TestHardCase31ManyReviews(t *testing.T) {
	r := world.replicas(t, world.product, 1)[0]
	url, requests := "https://"+r.Serve, mixed(t)
	for _, one := range requests { // each by itself first: a better message
		if wrong, err := mix(t.Context(), url, []request{one}, 1, 1); wrong > 0 {
			t.Fatal(err)
		}
	}
	const connections, rounds = 8, 10
	stopSlow, slow := slowLane(t, url)
	var seen []sampled
	began := time.Now()
	for range rounds {
		var wrong int64
		var first error
		seen = append(seen, watched(t, r, func() { wrong, first = mix(t.Context(), url, requests, connections, size.reviews/rounds) }))
		if wrong > 0 {
			t.Fatalf("%d answers are wrong, the first: %v", wrong, first)
		}
	}
	took := time.Since(began)
	stopSlow()
	for _, err := range slow() {
		t.Error(err)
	}
	for i, s := range seen {
		t.Logf("after %d %%: %s", (i+1)*100/rounds, s)
	}
	t.Logf("%d reviews, %.0f per second", size.reviews, float64(size.reviews)/took.Seconds())
	// The first three tenths warm up: pools, caches and the heap's own target.
	warm, end := highest(seen[1:3]), highest(seen[rounds-3:])
	// A heap swings between what lives and twice that, and Go gives memory back
	// over minutes: a tenth and 4 MB are noise. In a million reviews that is
	// less than ten bytes a review.
	if most := warm.resident*1.1 + 4; end.resident > most {
		t.Errorf("%.1f MB resident at the end, want at most %.1f: it was %.1f when warm", end.resident, most, warm.resident)
	}
	if most := warm.live*1.1 + 2; end.live > most {
		t.Errorf("%.1f MB live at the end, want at most %.1f", end.live, most)
	}
	// Some are in the middle of something in either sample.
	if end.goroutines > warm.goroutines+connections*2 {
		t.Errorf("%v goroutines at the end, %v when warm", end.goroutines, warm.goroutines)
	}
	if end.files > warm.files+connections {
		t.Errorf("%v open files at the end, %v when warm", end.files, warm.files)
	}
	for name, n := range metrics(t, r) {
		if strings.HasPrefix(name, "mojasec_admission_requests_total") && (strings.Contains(name, `"error"`) || strings.Contains(name, `"panic"`)) && n > 0 {
			t.Errorf("%s is %v, want 0", name, n)
		}
	}
}

// watched looks at a process again and again while something runs, and returns
// the most it saw. What is live is half of what the next collection waits for.
func watched(t *testing.T, r *webhook.Replica, run func()) sampled {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); run() }()
	var all []sampled
	for {
		m := metrics(t, r)
		all = append(all, sampled{resident(t, r), m["go_memstats_next_gc_bytes"] / 2 / 1e6, m["go_goroutines"], m["process_open_fds"]})
		select {
		case <-done:
			return highest(all)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func highest(all []sampled) (most sampled) {
	for _, s := range all {
		most = sampled{max(most.resident, s.resident), max(most.live, s.live), max(most.goroutines, s.goroutines), max(most.files, s.files)}
	}
	return most
}

// slowLane makes five reviews a second that the webhook cannot answer without
// asking the API server: for rights, or for a Secret that is not there, each of
// another name.
func slowLane(t *testing.T, url string) (stop func(), wrong func() []error) {
	t.Helper()
	absent := sdkPod("pod-" + stamp)
	absent.Spec.Volumes[0].Secret.SecretName = "absent-" + stamp
	protected := fixtures.NewScheme().Namespace
	open := protected.DeepCopy()
	open.Labels = map[string]string{}
	lower := review(t, admissionv1.Update, "namespaces", open, protected)
	requests := []request{
		{"a pod whose Secret is absent", "/validate", review(t, admissionv1.Create, "pods", absent, nil), http.StatusOK, `"allowed":false`},
		{"a mode taken away", "/validate/namespaces", lower, http.StatusOK, `"allowed":false`},
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan []error, 1)
	go func() {
		client := caller()
		defer client.CloseIdleConnections()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		var errs []error
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				failed <- errs
				return
			case <-tick.C:
			}
			r := &requests[i%len(requests)]
			a, err := post(ctx, client, url+r.path, bytes.NewReader(bytes.ReplaceAll(r.body, []byte(stamp), fmt.Appendf(nil, "slow-%d", i))))
			if err := r.check(a, err); err != nil && ctx.Err() == nil && len(errs) < 10 {
				errs = append(errs, err)
			}
		}
	}()
	return cancel, func() []error { return <-failed }
}

// TestHardCase08Overload sends much more than two processors can do: each is
// answered inside five seconds, with the right verdict or with 429, and
// afterwards all is as before.
func TestHardCase08Overload(t *testing.T) {
	r := world.replicas(t, world.product, 1)[0]
	url := "https://" + r.Serve
	huge := sdkPod("pod-" + stamp)
	huge.Spec.HostNetwork = true
	for i := range 1000 {
		box := *huge.Spec.Containers[0].DeepCopy()
		box.Name = fmt.Sprintf("box-%d", i)
		box.Env = append(box.Env, corev1.EnvVar{Name: "PAD", Value: strings.Repeat("x", 1500)})
		huge.Spec.Containers = append(huge.Spec.Containers, box)
	}
	body := review(t, admissionv1.Create, "pods", huge, nil)
	const clients, each = 150, 3
	results := make(chan answer, clients*each)
	errs := make(chan error, clients*each)
	for range clients {
		go func() {
			client := caller()
			defer client.CloseIdleConnections()
			for range each {
				a, err := post(t.Context(), client, url+"/validate?timeout=5s", bytes.NewReader(body))
				results <- a
				errs <- err
			}
		}()
	}
	status := map[int]int{}
	var slowest time.Duration
	for range clients * each {
		a, err := <-results, <-errs
		if err != nil {
			t.Error(err)
			continue
		}
		status[a.status]++
		slowest = max(slowest, a.took)
		switch {
		case a.status == http.StatusOK && !bytes.Contains(a.body, []byte(`"allowed":false`)):
			t.Fatalf("a bad pod is answered with %s", shortened(a.body))
		case bytes.Contains(a.body, []byte("read the review: i/o timeout")):
			// It had its turn, but the sender, on the same processors, did not
			// get to send.
		case a.status != http.StatusOK && a.status != http.StatusTooManyRequests && a.status != http.StatusInternalServerError:
			t.Errorf("got HTTP %d %s, want a verdict, 429 or 500", a.status, shortened(a.body))
		}
	}
	t.Logf("reviews of %.1f MB: %v by status, the slowest after %s", float64(len(body))/1e6, status, slowest)
	if status[http.StatusTooManyRequests] == 0 {
		t.Error("nothing was shed: this is no overload")
	}
	if status[http.StatusOK] == 0 {
		t.Error("nothing was judged")
	}
	// What the process took itself: the senders stand in their own queue.
	m := metrics(t, r)
	const took = `mojasec_admission_duration_seconds_`
	// The senders are on the same processors, and a body takes as long as they need
	// to send it: not every answer can be in time on a machine with one core.
	if in, all := m[took+`bucket{endpoint="validate",le="5"}`], m[took+`count{endpoint="validate"}`]; in < all*3/4 || all < clients*each {
		t.Errorf("%v of %v reviews were answered inside 5 s, want three quarters of %d or more", in, all, clients*each)
	}
	if wrong, err := mix(t.Context(), url, []request{complete(t)}, 1, 100); wrong > 0 {
		t.Errorf("after the overload: %v", err)
	}
}
