package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestNoFalseAlarmScheme runs a compliant scheme: nothing is refused, and no
// error is told.
func TestNoFalseAlarmScheme(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	a := s.kubectl(t, s.yaml(s.SDK1, s.SDK2, s.HubDeployment, s.PeerAuth, s.DestinationRule, s.Gateway, s.NetworkPolicy), "apply", "--server-side", "--force-conflicts", "-f", "-")
	a.accepted(t)
	for _, c := range policy.Checks() {
		if c.Severity == policy.Error && strings.Contains(a.stderr, string(c.ID)) {
			t.Errorf("got a warning of %s\n%s", c.ID, a.stderr)
		}
	}
	for _, p := range s.pods(nil) {
		if p.Status.Phase != corev1.PodRunning {
			t.Errorf("got pod %s %s", p.Name, p.Status.Phase)
		}
	}
}

// podSecurityPods are the pods with which Kubernetes tests its Pod Security
// admission: every odd thing a pod can have, none of it Mojaloop's.
func podSecurityPods(t testing.TB) map[string]*corev1.Pod {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/pod-security-admission")
	cmd.Dir = "../controlplane/kubernetes"
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("find the module k8s.io/pod-security-admission: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "test", "testdata")
	pods := map[string]*corev1.Pod{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pod := &corev1.Pod{}
		pods[strings.TrimPrefix(path, root)] = pod
		return yaml.Unmarshal(text, pod)
	})
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

// TestNoFalseAlarmPodSecurity judges thousands of pods of others in a namespace
// that enforces: not one is denied or changed.
func TestNoFalseAlarmPodSecurity(t *testing.T) {
	pods := podSecurityPods(t)
	if len(pods) < 4000 {
		t.Fatalf("got %d pods, want those of upstream", len(pods))
	}
	scheme := fixtures.NewScheme()
	snap := policy.NewSnapshot(policy.SnapshotOptions{Now: time.Now(), HashKey: []byte("a key for tests")}, scheme.Objects())
	for path, pod := range pods {
		pod.Namespace = fixtures.Namespace
		before := pod.DeepCopy()
		r := policy.Review(policy.Checks(), []policy.Input{{Object: pod}}, snap, true)
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Action == policy.ActionDeny {
				t.Errorf("%s: denied for %s: %s", path, r.Check(f.Pair).ID, f.Detail)
			}
		}
		if len(r.Injected) > 0 || !equal(before, pod) {
			t.Errorf("%s: changed: %v", path, r.Injected)
		}
	}
	if world.webhook == nil {
		return
	}
	t.Run("through the API server", func(t *testing.T) {
		s := world.newScheme(t)
		seen := map[string]bool{}
		for path, pod := range pods {
			dir := filepath.Dir(path)
			if seen[dir] { // one of each directory; all of them are judged above
				continue
			}
			seen[dir] = true
			pod.APIVersion, pod.Kind = "v1", "Pod"
			a := s.kubectl(t, s.yaml(pod), "create", "--dry-run=server", "-f", "-")
			if strings.Contains(a.stderr, "mojasec") {
				t.Errorf("%s: %s", path, a.stderr)
			}
		}
	})
}

func equal(a, b runtime.Object) bool {
	x, err1 := yaml.Marshal(a)
	y, err2 := yaml.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// charts is unrelated software as its charts make it: privileged agents,
// operators, databases, ingress controllers.
const charts = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-exporter, labels: {app.kubernetes.io/name: prometheus-node-exporter}}
spec:
  selector: {matchLabels: {app: node-exporter}}
  template:
    metadata: {labels: {app: node-exporter}, annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: "true"}}
    spec:
      hostNetwork: true
      hostPID: true
      containers:
      - {name: node-exporter, image: "quay.io/prometheus/node-exporter:v1.9.1", securityContext: {readOnlyRootFilesystem: true}, volumeMounts: [{name: root, mountPath: /host/root, mountPropagation: HostToContainer, readOnly: true}]}
      volumes: [{name: root, hostPath: {path: /}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mysql, labels: {app.kubernetes.io/name: mysql, helm.sh/chart: mysql-12.0.1}}
spec:
  serviceName: mysql
  selector: {matchLabels: {app.kubernetes.io/name: mysql}}
  template:
    metadata: {labels: {app.kubernetes.io/name: mysql}, annotations: {sidecar.istio.io/inject: "false"}}
    spec:
      initContainers: [{name: permissions, image: "docker.io/bitnami/os-shell:12", securityContext: {runAsUser: 0, privileged: true}}]
      containers:
      - {name: mysql, image: "docker.io/bitnami/mysql:9.3", env: [{name: MYSQL_ROOT_PASSWORD, value: secret}, {name: ILP_SECRETARY, value: "1234"}]}
---
apiVersion: v1
kind: Secret
metadata: {name: tls}
stringData: {tls.key: "not a key", secret: "1234", ILP_SECRET: "secret"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {default.json: "{]", JWS_SIGN: "false", mesh: "enableAutoMtls: false"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: backup}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: backup, image: "docker.io/library/alpine:3", command: [sh, -c, "pg_dump | gzip"]}]}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: portal}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [portal.example.org]}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: PERMISSIVE}}
`

// TestNoFalseAlarmCharts installs unrelated software beside a scheme.
func TestNoFalseAlarmCharts(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	ns := world.namespace(t, nil)
	a := world.kubectl(t, charts, "-n", ns.Name, "apply", "-f", "-")
	a.accepted(t)
	if strings.Contains(a.stderr, "Warning") {
		t.Errorf("got %s, want no word of mojasec", a.stderr)
	}
	world.kubectl(t, "", "-n", ns.Name, "delete", "statefulset,daemonset,cronjob,gateway.networking.istio.io,peerauthentication", "--all").accepted(t)
}
