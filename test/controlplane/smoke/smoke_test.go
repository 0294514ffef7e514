// Package smoke_test runs on the control plane what others rely on.
package smoke_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
	"sigs.k8s.io/e2e-framework/klient/wait"
	"sigs.k8s.io/e2e-framework/klient/wait/conditions"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/mojasec/mojasec/test/controlplane"
)

// Each wait of these tests takes a second or two on an idle machine.
const patience = time.Minute

var cluster = controlplane.NewEnvironment(controlplane.Options{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(cluster.Run(m)) }

func podSpec() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
	}
}

func TestDeploymentRollsOut(t *testing.T) {
	replicas := int32(3)
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: podSpec(),
		},
	}
	cluster.Test(t, features.New("deployment").
		Assess("rolls out, then rolls to a new image", func(ctx context.Context, t *testing.T, cfg *envconf.Config) context.Context {
			r := cfg.Client().Resources()
			if err := r.Create(ctx, deployment); err != nil {
				t.Fatal(err)
			}
			available := conditions.New(r).DeploymentConditionMatch(deployment, appsv1.DeploymentAvailable, corev1.ConditionTrue)
			if err := wait.For(available, wait.WithContext(ctx), wait.WithTimeout(patience)); err != nil {
				t.Fatal(err)
			}
			if out, err := cluster.Need(t).Kubectl(ctx, "set", "image", "deployment/web", "web=web:2").CombinedOutput(); err != nil {
				t.Fatalf("kubectl set image: %v\n%s", err, out)
			}
			out, err := cluster.Need(t).Kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=60s").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "successfully rolled out") {
				t.Fatalf("kubectl rollout status: %v\n%s", err, out)
			}
			return ctx
		}).
		Teardown(func(ctx context.Context, t *testing.T, cfg *envconf.Config) context.Context {
			if err := cfg.Client().Resources().Delete(ctx, deployment); err != nil {
				t.Error(err)
			}
			return ctx
		}).Feature())
}

func TestJobCompletes(t *testing.T) {
	template := podSpec()
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once", Namespace: "default"},
		Spec:       batchv1.JobSpec{Template: template},
	}
	cluster.Test(t, features.New("job").
		Assess("completes", func(ctx context.Context, t *testing.T, cfg *envconf.Config) context.Context {
			r := cfg.Client().Resources()
			if err := r.Create(ctx, job); err != nil {
				t.Fatal(err)
			}
			if err := wait.For(conditions.New(r).JobCompleted(job), wait.WithContext(ctx), wait.WithTimeout(patience)); err != nil {
				t.Fatal(err)
			}
			return ctx
		}).
		Teardown(func(ctx context.Context, t *testing.T, cfg *envconf.Config) context.Context {
			background := resources.WithDeletePropagation(string(metav1.DeletePropagationBackground))
			if err := cfg.Client().Resources().Delete(ctx, job, background); err != nil {
				t.Error(err)
			}
			return ctx
		}).Feature())
}

func TestUserHasTheRightsOfItsGroups(t *testing.T) {
	c := cluster.Need(t)
	for _, tt := range []struct {
		name, group string
		forbidden   bool
	}{
		{name: "nobody", group: "strangers", forbidden: true},
		{name: "boss", group: "system:masters"},
	} {
		cfg, err := c.User(tt.name, tt.group)
		if err != nil {
			t.Fatal(err)
		}
		_, err = kubernetes.NewForConfigOrDie(cfg).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
		if got := apierrors.IsForbidden(err); got != tt.forbidden || (!tt.forbidden && err != nil) {
			t.Errorf("%s of group %s lists Secrets: got %v, want forbidden %t", tt.name, tt.group, err, tt.forbidden)
		}
	}
}

func TestDefinitionsAreServed(t *testing.T) {
	c := cluster.Need(t)
	for _, kind := range []string{
		"peerauthentications.security.istio.io", "destinationrules.networking.istio.io",
		"profiles.mojasec.io", "waivers.mojasec.io", "quarantines.mojasec.io", "rotations.mojasec.io",
	} {
		if out, err := c.Kubectl(t.Context(), "get", kind, "--all-namespaces").CombinedOutput(); err != nil {
			t.Errorf("kubectl get %s: %v\n%s", kind, err, out)
		}
	}
}

// TestWebhookBehindTheBalancer registers a webhook by URL, as the tests of the
// real one do. It asks for the API server's client certificate.
func TestWebhookBehindTheBalancer(t *testing.T) {
	plane := cluster.Need(t).ControlPlane
	if plane == nil {
		t.Skip("a webhook on this machine's loopback is out of reach of the cluster of KUBECONFIG")
	}
	callers := make(chan string, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Errorf("decode the review: %v", err)
			return
		}
		callers <- r.TLS.PeerCertificates[0].Subject.CommonName
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "not today"}}
		_ = json.NewEncoder(w).Encode(review)
	}))
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(plane.CA())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
	server.StartTLS()
	defer server.Close()
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer ready.Close()
	balancer, err := controlplane.NewBalancer(controlplane.Backend{Address: server.Listener.Addr().String(), Ready: ready.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = balancer.Close() }()
	if err := balancer.WaitReady(t.Context(), 1); err != nil {
		t.Fatal(err)
	}

	client := kubernetes.NewForConfigOrDie(plane.Config)
	fail, none, url := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, "https://"+balancer.Address()+"/validate"
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "smoke"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "smoke.mojasec.io", FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      &url,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "smoke", Expression: "object.metadata.name == 'smoke'"}},
		}},
	}
	webhooks := client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := webhooks.Create(t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := webhooks.Delete(context.Background(), "smoke", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	// The API server takes up to a second to learn of a configuration; dry run
	// leaves nothing behind until then.
	denied := func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ConfigMaps("default").Create(ctx,
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "smoke"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), `admission webhook "smoke.mojasec.io" denied the request: not today`), nil
	}
	if err := wait.For(denied, wait.WithContext(t.Context()), wait.WithTimeout(patience), wait.WithInterval(100*time.Millisecond)); err != nil {
		t.Fatalf("wait for a denial: %v", err)
	}
	if got, want := <-callers, "kube-apiserver"; got != want {
		t.Errorf("the webhook was called by %q, want %q", got, want)
	}
}
