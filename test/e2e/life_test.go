package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

// metric adds up a metric over all its labels and all replicas.
func (c *cluster) metric(t testing.TB, name string) (sum float64) {
	t.Helper()
	for _, r := range c.webhook.Replicas() {
		for line := range strings.SplitSeq(get(t, "http://"+r.Metrics+"/metrics"), "\n") {
			if rest, ok := strings.CutPrefix(line, name); ok && (strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, " ")) {
				v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
				if err != nil {
					t.Fatal(err)
				}
				sum += v
			}
		}
	}
	return sum
}

func get(t testing.TB, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// unrelated is software that mojasec has no opinion about.
func unrelated(ns string) []client.Object {
	labels := map[string]string{"app": "web"}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "docker.io/library/nginx:1.29"}}}
	return []client.Object{
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e2e-web"}, Spec: spec},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e2e-web"}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e2e-web"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e2e-web"}},
	}
}

// clusterObjects are what a cluster needs to come back to life.
func clusterObjects(t testing.TB) []client.Object {
	t.Helper()
	out := []client.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "e2e-node"}},
		&certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "e2e-csr"},
			Spec: certificatesv1.CertificateSigningRequestSpec{
				Request: signingRequest(t), SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
			},
		},
	}
	for _, ns := range []string{"kube-system", "mojasec-system", "istio-system"} {
		out = append(out, unrelated(ns)...)
	}
	for _, o := range out {
		if pod, ok := o.(*corev1.Pod); ok && pod.Namespace == "mojasec-system" {
			// What our own namespace asks of pods.
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
			pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
		}
	}
	return out
}

// TestHardCase01NeverMatched creates what a cluster needs to start again: the
// webhook is not asked. 02: neither is it about its own pods.
func TestHardCase01NeverMatched(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	before := world.metric(t, "mojasec_admission_requests_total")
	ns := world.namespace(t, nil)
	for _, o := range append(clusterObjects(t), unrelated(ns.Name)...) {
		if err := world.client.Create(t.Context(), o); err != nil {
			t.Errorf("create %T %s/%s: %v", o, o.GetNamespace(), o.GetName(), err)
			continue
		}
		o.SetLabels(map[string]string{"colour": "blue"})
		if err := world.client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"colour":"blue"}}}`))); err != nil {
			t.Errorf("label %T %s/%s: %v", o, o.GetNamespace(), o.GetName(), err)
		}
		world.remove(t, o)
	}
	if got := world.metric(t, "mojasec_admission_requests_total"); got != before {
		t.Errorf("got %v requests, want none: the webhook is asked about what it must not be", got-before)
	}
}

// TestHardCase10 and 01, 02 with the webhook down: the cluster comes back to
// life, namespaces that enforce refuse, those that warn or audit do not.
func TestHardCase10WebhookDown(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	s := world.newScheme(t)
	quiet := map[string]*corev1.Namespace{}
	for _, mode := range []string{"warn", "audit"} {
		quiet[mode] = world.namespace(t, map[string]string{"istio-injection": "enabled"})
		world.bind(t, quiet[mode].Name)
		world.setMode(t, quiet[mode].Name, mode)
	}
	bad := func(ns, name string) *corev1.Pod {
		pod := s.pod(name)
		pod.Namespace, pod.Spec.ServiceAccountName, pod.Spec.HostNetwork = ns, "default", true
		return pod
	}
	t.Run("up, warn tells and audit does not", func(t *testing.T) {
		for mode, ns := range quiet {
			eventually(t, mode+" to answer", func(context.Context) (bool, string) {
				a := world.kubectl(t, s.yaml(bad(ns.Name, "bad")), "create", "--dry-run=server", "-f", "-")
				if a.code != 0 {
					t.Fatalf("refused in mode %s: %s", mode, a.stderr)
				}
				return strings.Contains(a.stderr, "mtls-in-mesh") == (mode == "warn"), a.stderr
			})
		}
	})
	if err := world.webhook.Stop(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for range 2 {
			if _, err := world.webhook.Start(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}()
	t.Run("HardCase01 and 02, down", func(t *testing.T) {
		for _, o := range clusterObjects(t) {
			if err := world.client.Create(t.Context(), o); err != nil {
				t.Errorf("create %T %s/%s: %v", o, o.GetNamespace(), o.GetName(), err)
				continue
			}
			world.remove(t, o)
		}
	})
	t.Run("down, warn and audit let pass", func(t *testing.T) {
		for mode, ns := range quiet {
			if a := world.kubectl(t, s.yaml(bad(ns.Name, "down")), "create", "-f", "-"); a.code != 0 {
				t.Errorf("refused in mode %s: %s", mode, a.stderr)
			}
		}
	})
	t.Run("down, enforce refuses", func(t *testing.T) {
		a := s.kubectl(t, s.yaml(s.pod("good")), "create", "-f", "-")
		if a.code == 0 || !strings.Contains(a.stderr, "failed calling webhook") {
			t.Errorf("got %q, want the call to fail", a.stderr+a.stdout)
		}
	})
	t.Run("down, a namespace without a mode goes on", func(t *testing.T) {
		ns := world.namespace(t, nil)
		world.kubectl(t, "", "-n", ns.Name, "run", "web", "--image=docker.io/library/nginx:1.29").accepted(t)
	})
}

// TestHardCase09NotReady runs a webhook that may read nothing: it is not ready,
// says what is missing, and answers "allowed" to nothing.
func TestHardCase09NotReady(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	ns := world.namespace(t, nil)
	world.create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "nobody"}})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := webhook.ServiceAccountKubeconfig(t.Context(), world.Cluster, ns.Name, "nobody", kubeconfig); err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t)
	r, err := world.webhook.RunAs(kubeconfig, "--cert-dir", writeCert(t, cert, key))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Kill()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	eventually(t, "the webhook to listen", func(context.Context) (bool, string) {
		response, err := http.Get("http://" + r.Health + "/healthz") //nolint:noctx // loopback
		if err != nil {
			return false, fmt.Sprintf("%v, process: %v", err, r.Err())
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK, response.Status
	})
	for _, path := range []string{"/validate", "/mutate", "/validate/namespaces", "/validate/connect"} {
		body := fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","namespace":%q,"resource":{"group":"","version":"v1","resource":"pods"},"kind":{"group":"","version":"v1","kind":"Pod"},"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"mojaloop/sdk-scheme-adapter:v1"}]}}}}`, ns.Name)
		response, err := client.Post("https://"+r.Serve+path, "application/json", bytes.NewBufferString(body)) //nolint:noctx // loopback
		if err != nil {
			continue // no answer is no "allowed"
		}
		answer, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			t.Errorf("%s answers %s %s, want an error", path, response.Status, answer)
		}
	}
	response, err := http.Get("http://" + r.Health + "/readyz?verbose") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		t.Error("it says that it is ready")
	}
}

// TestKillOneReplica ends one of two processes at once: calls in flight on it may
// fail, four seconds later none does, and none is answered wrong.
func TestKillOneReplica(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	s := world.newScheme(t)
	bad := s.pod("bad")
	bad.Spec.HostNetwork = true
	victim := world.webhook.Replicas()[0]
	victim.Kill()
	killed := time.Now()
	for time.Since(killed) < 8*time.Second {
		err := s.c.client.Create(t.Context(), bad.DeepCopy(), client.DryRunAll)
		if err == nil {
			t.Fatal("a bad pod is admitted")
		}
		if late := time.Since(killed) > 4*time.Second; late && !strings.Contains(err.Error(), "mtls-in-mesh") {
			t.Fatalf("%s after the kill: %v", time.Since(killed), err)
		}
	}
	world.webhook.Drop(victim)
	if _, err := world.webhook.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestUnrelatedAreNeverTouched compares what is stored in a namespace without a
// mode with what was applied there: nothing of mojasec is in it.
func TestUnrelatedAreNeverTouched(t *testing.T) {
	ns := world.namespace(t, nil)
	s := &scheme{Scheme: fixtures.NewScheme(), c: world, t: t, ns: ns.Name}
	pod := s.pod("free")
	pod.Spec = bare(&corev1.PodTemplateSpec{Spec: pod.Spec}).Spec
	pod.Spec.ServiceAccountName = ""
	pod.Spec.HostNetwork = true
	a := s.kubectl(t, s.yaml(pod), "apply", "-f", "-")
	a.accepted(t)
	out := s.kubectl(t, "", "get", "pod", "free", "-o", "json").stdout
	if strings.Contains(a.stderr, "Warning") || strings.Contains(out, "mojasec-jws") || strings.Contains(out, "ILP_SECRET\"") {
		t.Errorf("got %s%s, want it as it was applied", a.stderr, out)
	}
}
