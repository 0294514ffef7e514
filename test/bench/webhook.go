package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/manifests"
	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

const (
	loadCalls   = 20000 // of each throughput measurement
	probeCalls  = 5000  // of each latency measurement
	manyPods    = 10000
	manySecrets = 1000
	manyDFSPs   = 200
	manyWaivers = 1000
	connections = 8

	rotations        = 10
	reviewsPerSecond = 200
)

// bench is a webhook on a real control plane, with a scheme in an enforced
// namespace.
type bench struct {
	client client.Client
	scheme *fixtures.Scheme
	hook   *webhook.Webhook
	single *webhook.Replica // that reviews are posted to
	target server           // the same, under load
	floor  server
	good   []byte // review of a complete pod
	bare   []byte // review of a pod that is completed
	bad    []byte // review of a pod that is refused
}

// webhooks measures the webhook process: H1 to H6, H9.
func webhooks(ctx context.Context, dir string) (rows []row, err error) {
	plane, err := controlplane.Start(ctx, controlplane.Options{Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	b := &bench{}
	cluster := &controlplane.Cluster{Config: plane.Config, Kubeconfig: plane.Kubeconfig(), ControlPlane: plane}
	if err := b.connect(ctx, cluster); err != nil {
		return nil, err
	}
	if b.hook, err = webhook.New(ctx, cluster, plane.Processes(), dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.hook.Close()) }()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	start, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	rows = append(rows, start...)
	floor, stopFloor, err := startFloor(ctx)
	if err != nil {
		return nil, err
	}
	defer stopFloor()
	b.floor = floor
	for _, measure := range []func(context.Context) ([]row, error){b.validate, b.inject, b.resident, b.scale, b.memory, b.change} {
		more, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// connect makes the client and the root namespace of the mesh.
func (b *bench) connect(ctx context.Context, cluster *controlplane.Cluster) error {
	var err error
	if b.client, err = webhook.NewClient(cluster.Config); err != nil {
		return err
	}
	return b.client.Create(ctx, fixtures.NewScheme().MeshNamespace)
}

// prepare creates the scheme, with an enforced namespace that the webhook may
// read.
func (b *bench) prepare(ctx context.Context) error {
	b.scheme = fixtures.NewScheme()
	for _, obj := range b.scheme.Objects() {
		o, ok := obj.(client.Object)
		if !ok {
			return fmt.Errorf("fixture %T is no object", obj)
		}
		if err := client.IgnoreAlreadyExists(b.client.Create(ctx, o)); err != nil {
			return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
		}
	}
	if err := b.client.Create(ctx, binding(fixtures.Namespace)); err != nil {
		return err
	}
	var err error
	pod := sdkPod(false)
	if b.good, err = podReview(pod); err != nil {
		return err
	}
	bad := pod.DeepCopy()
	bad.Spec.HostNetwork = true
	if b.bad, err = podReview(bad); err != nil {
		return err
	}
	b.bare, err = podReview(sdkPod(true))
	return err
}

// start measures H6 twice: the first process makes the certificates, the second
// finds them.
func (b *bench) start(ctx context.Context) ([]row, error) {
	var rows []row
	for _, what := range []struct{ measure, target string }{
		{"exec to the first correct denial, certificates made; wrong allowed before", "2 s; 0"},
		{"exec to the first correct denial, certificates there; wrong allowed before", "1 s; 0"},
	} {
		began := time.Now()
		r, err := b.hook.Run("--leader-elect=false")
		if err != nil {
			return nil, err
		}
		b.single, b.target = r, server{url: "https://" + r.Serve, pid: r.PID()}
		wrong := 0
		var last error
		for denied := false; !denied; {
			if time.Since(began) > 30*time.Second {
				return nil, fmt.Errorf("no denial within 30 s: %w", errors.Join(last, r.Err()))
			}
			c := newClient()
			answer, err := post(ctx, c, b.target.url+"/validate", b.bad)
			c.CloseIdleConnections()
			switch {
			case err != nil:
				last = err
				time.Sleep(5 * time.Millisecond)
			case strings.Contains(string(answer), `"allowed":true`):
				wrong++
			default:
				denied = true
			}
		}
		rows = append(rows, row{"H6", what.measure, what.target, fmt.Sprintf("%s; %d", ms(time.Since(began)), wrong)})
		if len(rows) == 1 {
			if err := r.Stop(); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// validate measures H1, H2 and H3, each beside the floor.
func (b *bench) validate(ctx context.Context) ([]row, error) {
	var many, one [2]loadResult
	for i, s := range []server{b.floor, b.target} {
		if _, err := s.load(ctx, "/validate", b.good, connections, probeCalls); err != nil { // to warm up
			return nil, err
		}
		var err error
		if many[i], err = s.load(ctx, "/validate", b.good, connections, loadCalls); err != nil {
			return nil, err
		}
		if one[i], err = s.load(ctx, "/validate", b.good, 1, probeCalls); err != nil {
			return nil, err
		}
	}
	us := func(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }
	return []row{
		{"H1", "validate, CPU per review, 8 connections", "235 µs, then 150", fmt.Sprintf("%s (floor %s)", us(many[1].perCall), us(many[0].perCall))},
		{"H2", "validate, p50 / p99, 1 connection", "0.45 / 1.3 ms, then 0.35 / 0.8", fmt.Sprintf("%s / %s (floor %s / %s)", ms2(one[1].p50), ms2(one[1].p99), ms2(one[0].p50), ms2(one[0].p99))},
		{"H3", "validate, reviews per second, 8 connections", "5000, then 7000", fmt.Sprintf("%.0f (floor %.0f)", many[1].rate, many[0].rate)},
	}, nil
}

func ms2(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1e3) }

// inject measures H4.
func (b *bench) inject(ctx context.Context) ([]row, error) {
	many, err := b.target.load(ctx, "/mutate", b.bare, connections, loadCalls)
	if err != nil {
		return nil, err
	}
	one, err := b.target.load(ctx, "/mutate", b.bare, 1, probeCalls)
	if err != nil {
		return nil, err
	}
	return []row{{
		"H4", "inject, CPU per review / p50 / p99", "350 µs / 0.6 / 2 ms",
		fmt.Sprintf("%d µs / %s / %s", many.perCall.Microseconds(), ms2(one.p50), ms2(one.p99)),
	}}, nil
}

// resident measures the first half of H5.
func (b *bench) resident(ctx context.Context) ([]row, error) {
	if _, err := b.target.load(ctx, "/validate", b.good, connections, 30000); err != nil {
		return nil, err
	}
	rss, err := residentMemory(b.target.pid)
	if err != nil {
		return nil, err
	}
	return []row{{"H5", "resident memory after 30 000 reviews and more", "60 MB", mb(rss)}}, nil
}

func mb(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// scale measures H9: a scheme of one DFSP against one of 200 with 1000 Waivers.
func (b *bench) scale(ctx context.Context) ([]row, error) {
	few, err := b.tail(ctx)
	if err != nil {
		return nil, err
	}
	s := b.scheme
	for i := range manyDFSPs {
		dfsp := fmt.Sprintf("dfsp-%d", i+1)
		sdk := s.SDK1.DeepCopy()
		sdk.ResourceVersion, sdk.UID = "", ""
		if err := rename(sdk, dfsp); err != nil {
			return nil, err
		}
		keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fixtures.Namespace, Name: dfsp + "-jws-keys"}, Data: map[string][]byte{}}
		s.SetKey(keys, dfsp, fixtures.NewKeyPair())
		ilp := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fixtures.Namespace, Name: dfsp + "-ilp"}, StringData: map[string]string{"ILP_SECRET": fixtures.RandomSecret()}}
		for _, o := range []client.Object{sdk, keys, ilp} {
			if err := b.client.Create(ctx, o); err != nil {
				return nil, err
			}
		}
	}
	if err := b.client.Update(ctx, s.VerificationKeys); err != nil {
		return nil, err
	}
	for i := range manyWaivers {
		w := &v1alpha1.Waiver{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bench-%d", i)}, Spec: v1alpha1.WaiverSpec{
			Checks: []string{"mtls-strict"}, Match: v1alpha1.WaiverMatch{Namespaces: []string{fixtures.Namespace}, Names: []string{fmt.Sprintf("nobody-%d", i)}},
			Reason: "one of many, for the benchmark", Owner: "bench", ExpiresAt: metav1.NewTime(time.Now().Add(24 * time.Hour)),
		}}
		if err := b.client.Create(ctx, w); err != nil {
			return nil, err
		}
	}
	if err := b.settled(ctx); err != nil {
		return nil, err
	}
	many, err := b.tail(ctx)
	if err != nil {
		return nil, err
	}
	return []row{{
		"H9", "validate p99, 1000 Waivers and 200 DFSPs against 2 DFSPs", "+20 %",
		fmt.Sprintf("%+.0f %% (%s against %s)", 100*(float64(many)/float64(few)-1), ms2(many), ms2(few)),
	}}, nil
}

// tail is the median p99 of several loads: a single one says more of the machine.
func (b *bench) tail(ctx context.Context) (time.Duration, error) {
	var all []time.Duration
	for range 5 {
		one, err := b.target.load(ctx, "/validate", b.good, 1, probeCalls)
		if err != nil {
			return 0, err
		}
		all = append(all, one.p99)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// memory measures the second half of H5, and latency while pods come and go.
func (b *bench) memory(ctx context.Context) ([]row, error) {
	const ns = "bench-many"
	if err := b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
		return nil, err
	}
	if err := b.client.Create(ctx, binding(ns)); err != nil {
		return nil, err
	}
	for i := range manySecrets {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("secret-%d", i)}, Data: map[string][]byte{"value": []byte(strings.Repeat("secret of the benchmark ", 40))}}
		if err := b.client.Create(ctx, secret); err != nil {
			return nil, err
		}
	}
	var templates []*corev1.Pod
	for i := range manyDFSPs {
		p := sdkPod(false)
		if err := rename(p, fmt.Sprintf("dfsp-%d", i+1)); err != nil {
			return nil, err
		}
		templates = append(templates, p)
	}
	pod := func(i int) *corev1.Pod {
		p := templates[i%manyDFSPs].DeepCopy()
		// Fifty pods of each of 200 ReplicaSets.
		p.GenerateName = fmt.Sprintf("many-%d-sdk-", i%manyDFSPs)
		p.Namespace, p.Name = ns, fmt.Sprintf("%s%d", p.GenerateName, i)
		p.Spec.SchedulerName = "nobody" // it stays pending: nothing else is measured
		p.Spec.ServiceAccountName = "default"
		return p
	}
	if err := parallel(manyPods, func(i int) error { return b.client.Create(ctx, pod(i)) }); err != nil {
		return nil, err
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"mojasec.io/mode":"enforce"}}}`))
	if err := b.client.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, patch); err != nil {
		return nil, err
	}
	if err := b.settled(ctx); err != nil {
		return nil, err
	}
	if _, err := b.target.load(ctx, "/validate", b.good, connections, probeCalls); err != nil {
		return nil, err
	}
	rss, err := residentMemory(b.target.pid)
	if err != nil {
		return nil, err
	}
	rows := []row{{"H5", "resident memory with 10 000 pods and 1000 Secrets", "96 MB", mb(rss)}}

	quiet, err := b.latency(ctx)
	if err != nil {
		return nil, err
	}
	churn, stop := context.WithCancel(ctx)
	events := make(chan int, 1)
	var failed error
	go func() {
		n, err := b.churn(churn, pod)
		failed = err
		events <- n
	}()
	began := time.Now()
	busy, err := b.latency(ctx)
	took := time.Since(began)
	stop()
	n := <-events
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return append(rows, row{
		"H2", "validate, p50 / p99, 1 connection, 10 000 pods", "0.45 / 1.3 ms", quiet,
	}, row{
		"H2", fmt.Sprintf("the same at %.0f pod events per second", float64(n)/took.Seconds()), "0.45 / 1.3 ms", busy,
	}), nil
}

// change measures H11: two replicas, installed, with 200 reviews a second through
// the API server while their certificates are replaced and they are restarted.
func (b *bench) change(ctx context.Context) ([]row, error) {
	if err := b.single.Stop(); err != nil {
		return nil, err
	}
	b.hook.Flags = []string{"--ca-settle", "2s", "--ca-drain", "2s", "--lease-duration", "5s", "--drain-delay", "4s"}
	for range 2 {
		if _, err := b.hook.Start(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.hook.Install(ctx, io.Discard); err != nil {
		return nil, err
	}
	good := sdkPod(false)
	good.Name = "bench-good"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: good.Namespace, Name: good.Spec.ServiceAccountName}}
	if err := b.client.Create(ctx, account); err != nil {
		return nil, err
	}
	bad := good.DeepCopy()
	bad.Spec.HostNetwork = true
	// A call makes two reviews: it is completed and judged.
	const callsPerSecond = reviewsPerSecond / 2
	load := webhook.StartLoad(ctx, b.client, good, bad, "mtls-in-mesh", callsPerSecond)
	began := time.Now()
	for range rotations {
		if err := b.hook.Rotate(ctx, b.client); err != nil {
			_, _, _ = load.Stop()
			return nil, err
		}
	}
	err := b.hook.RollingRestart(ctx)
	took := time.Since(began)
	calls, rate, failed := load.Stop()
	if err != nil {
		return nil, err
	}
	value := fmt.Sprintf("%d of %d (%.0f reviews/s for %.0f s)", len(failed), calls, 2*rate, took.Seconds())
	if len(failed) > 0 {
		value += ", first: " + failed[0]
	}
	return []row{{"H11", fmt.Sprintf("failed calls: %d certificate rotations and a rolling restart at 200 reviews per second", rotations), "0", value}}, nil
}

// latency measures one connection, beside the floor under the same conditions.
func (b *bench) latency(ctx context.Context) (string, error) {
	one, err := b.target.load(ctx, "/validate", b.good, 1, probeCalls)
	if err != nil {
		return "", err
	}
	floor, err := b.floor.load(ctx, "/validate", b.good, 1, probeCalls)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s / %s (floor %s / %s)", ms2(one.p50), ms2(one.p99), ms2(floor.p50), ms2(floor.p99)), nil
}

// churn makes 200 events a second, until it is told to stop: a pod goes and
// another comes. It returns how many there were.
func (b *bench) churn(ctx context.Context, pod func(i int) *corev1.Pod) (int, error) {
	const workers, pairsPerSecond = 4, 100
	var events atomic.Int64
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
				err := errors.Join(b.client.Delete(ctx, pod(i), client.GracePeriodSeconds(0)), b.client.Create(ctx, pod(manyPods+i)))
				if err != nil && ctx.Err() == nil {
					return err
				}
				events.Add(2)
			}
		})
	}
	err := group.Wait()
	return int(events.Load()), err
}

// parallel runs n calls, a few at a time.
func parallel(n int, do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}

// settled waits until the webhook has taken in what was created: a ConfigMap
// with a private key is refused only in a namespace that it follows.
func (b *bench) settled(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	quiet := 0
	var last time.Duration
	for quiet < 10 {
		if time.Now().After(deadline) {
			return errors.New("the webhook is not at rest after a minute")
		}
		used, err := cpuTime(b.target.pid)
		if err != nil {
			return err
		}
		if used-last <= 2*clockTick {
			quiet++
		} else {
			quiet = 0
		}
		last = used
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// rename makes the SDK of the first DFSP that of another.
func rename(o client.Object, dfsp string) error {
	tree, err := kruntime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	renamed, _ := replaceText(tree, fixtures.DFSP1, dfsp).(map[string]any)
	return kruntime.DefaultUnstructuredConverter.FromUnstructured(renamed, o)
}

// replaceText replaces text in all strings of a tree.
func replaceText(v any, from, to string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, from, to)
	case []any:
		for i := range v {
			v[i] = replaceText(v[i], from, to)
		}
	case map[string]any:
		for k := range v {
			v[k] = replaceText(v[k], from, to)
		}
	}
	return v
}

// binarySize measures the webhook's part of H13.
func binarySize(dir string) (row, error) {
	info, err := os.Stat(filepath.Join(dir, "webhook"))
	if err != nil {
		return row{}, err
	}
	return row{"H13", "stripped size of the webhook", "45 MB", mb(info.Size())}, nil
}

// binding gives the webhook the rights in a namespace that kubectl mojasec
// install --namespace gives.
func binding(ns string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mojasec-webhook"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "mojasec-namespace"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: manifests.Namespace, Name: "mojasec-webhook"}},
	}
}
