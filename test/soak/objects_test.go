package soak

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

// mostResident is the project's target for 10 000 pods and 1000 Secrets, in MB.
const mostResident = 96

// TestHardCase32ManyObjects fills a protected namespace: the memory of the
// webhook stays within its target, and while 200 pods a second come and go its
// answers stay right.
func TestHardCase32ManyObjects(t *testing.T) {
	const ns = "soak-many"
	r := world.replicas(t, world.product, 1)[0]
	world.namespace(t, ns)
	var objs []client.Object
	for i := range size.configMaps {
		objs = append(objs, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("config-%d", i)},
			Data:       map[string]string{"application.yaml": strings.Repeat("setting: some value of it\n", 150), "log": "info"},
		})
	}
	for i := range size.secrets {
		objs = append(objs, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("secret-%d", i)},
			Data:       map[string][]byte{"password": []byte(fixtures.RandomSecret()), "username": []byte("service"), "note": []byte(strings.Repeat("a secret ", 100))},
		})
	}
	for i := range size.pods {
		objs = append(objs, manyPod(ns, i))
	}
	world.create(t, objs...)
	world.setMode(t, ns, "enforce")

	url, good := "https://"+r.Serve, complete(t)
	settled(t, r)
	if wrong, err := mix(t.Context(), url, []request{good}, 8, 5000); wrong > 0 {
		t.Fatal(err)
	}
	most := resident(t, r)
	p50, p99 := latency(t, url, good, 3000)
	t.Logf("%d ConfigMaps, %d Secrets, %d pods: %.1f MB resident, p50 %s, p99 %s", size.configMaps, size.secrets, size.pods, most, p50, p99)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	events := make(chan error, 1)
	var n atomic.Int64
	go func() { events <- churn(ctx, ns, &n) }()
	began := time.Now()
	for time.Since(began) < size.churn {
		p50, p99 = latency(t, url, good, 3000)
		most = max(most, resident(t, r))
	}
	rate := float64(n.Load()) / time.Since(began).Seconds()
	stop()
	if err := <-events; err != nil {
		t.Fatal(err)
	}
	t.Logf("at %.0f pod events a second: most %.1f MB resident, p50 %s, p99 %s (target 0.45 and 1.3 ms)", rate, most, p50, p99)
	if most > mostResident {
		t.Errorf("%.1f MB resident, want at most %d", most, mostResident)
	}
	logMemory(t, r)
}

// settled waits until a process has taken in what there is: it uses no
// processor any more.
func settled(t *testing.T, r *webhook.Replica) {
	t.Helper()
	used := func() float64 { return metrics(t, r)["process_cpu_seconds_total"] }
	last, quiet := used(), 0
	world.eventually(t, "the webhook to come to rest", func(context.Context) (bool, string) {
		now := used()
		if quiet++; now-last > 0.02 {
			quiet = 0
		}
		last = now
		return quiet >= 20, fmt.Sprintf("%.2f s of processor used", now)
	})
}

func logMemory(t *testing.T, r *webhook.Replica) {
	t.Helper()
	m := metrics(t, r)
	mb := func(name string) float64 { return m["go_memstats_"+name] / 1e6 }
	t.Logf("heap in use %.1f MB, idle %.1f, given back %.1f, next collection at %.1f, stacks %.1f, of the runtime %.1f, of the system %.1f",
		mb("heap_inuse_bytes"), mb("heap_idle_bytes"), mb("heap_released_bytes"), mb("next_gc_bytes"), mb("stack_inuse_bytes"), mb("gc_sys_bytes"), mb("sys_bytes"))
}

// manyPod is a pod of one of 200 ReplicaSets; every tenth has a name of its own,
// as those of operators do.
func manyPod(ns string, i int) *corev1.Pod {
	of := i % 200
	p := sdkPod("")
	p.Namespace, p.GenerateName = ns, fmt.Sprintf("many-%d-sdk-7f9c-", of)
	p.Name = fmt.Sprintf("%s%06d", p.GenerateName, i)
	if i%10 == 0 {
		p.GenerateName = ""
	}
	p.Labels = map[string]string{"app.kubernetes.io/name": "worker", "app.kubernetes.io/instance": fmt.Sprintf("many-%d", of), "pod-template-hash": "7f9c"}
	p.Spec.ServiceAccountName = "default"
	p.Spec.SchedulerName = "nobody" // it stays pending: nothing else is measured
	box := &p.Spec.Containers[0]
	box.Image = fmt.Sprintf("registry.example/worker-%d:v1", of)
	p.Spec.Volumes[0].Secret.SecretName = fmt.Sprintf("secret-%d", i%size.secrets)
	box.VolumeMounts, p.Spec.Volumes = box.VolumeMounts[:1], p.Spec.Volumes[:1]
	box.Env = nil
	for j := range 12 {
		box.Env = append(box.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", j), Value: fmt.Sprintf("the value of setting %d", j)})
	}
	return p
}

// churn makes 200 events a second until it is told to stop: a pod goes and
// another comes.
func churn(ctx context.Context, ns string, events *atomic.Int64) error {
	const workers, pairsPerSecond = 4, 100
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			tick := time.NewTicker(time.Second * workers / pairsPerSecond)
			defer tick.Stop()
			for i := w; ; i += workers {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				err := errors.Join(
					world.client.Delete(ctx, manyPod(ns, i), client.GracePeriodSeconds(0)),
					world.client.Create(ctx, manyPod(ns, size.pods+i)),
				)
				if err != nil && ctx.Err() == nil {
					return err
				}
				events.Add(2)
			}
		})
	}
	return group.Wait()
}
