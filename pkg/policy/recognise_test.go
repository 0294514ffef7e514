package policy_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestRecognise tells pods apart as they look in real deployments, and those
// that try to look like something else.
func TestRecognise(t *testing.T) {
	env := func(names ...string) []corev1.EnvVar {
		var out []corev1.EnvVar
		for _, n := range names {
			out = append(out, corev1.EnvVar{Name: n, Value: "x"})
		}
		return out
	}
	tests := []struct {
		name      string
		labels    map[string]string
		container corev1.Container
		role      policy.Role
		signs     bool
		dfsp      string
	}{
		{name: "SDK by image", container: corev1.Container{Image: "docker.io/mojaloop/sdk-scheme-adapter:v24.19.6"}, role: policy.RoleSDK, signs: true},
		{name: "SDK in a registry with a port, by digest", container: corev1.Container{Image: "registry.local:5000/mirror/mojaloop/sdk-scheme-adapter@sha256:0123"}, role: policy.RoleSDK, signs: true},
		{name: "SDK by chart label", labels: map[string]string{"app.kubernetes.io/name": "sdk-scheme-adapter-api-svc"}, container: corev1.Container{Image: "mirror/adapter:1"}, role: policy.RoleSDK, signs: true},
		{name: "SDK of the simulator chart with a release prefix", labels: map[string]string{"app.kubernetes.io/name": "dfsp-sim-fsp201-scheme-adapter"}, container: corev1.Container{Image: "mirror/adapter:1"}, role: policy.RoleSDK, signs: true, dfsp: "fsp201"},
		{name: "SDK by component label", labels: map[string]string{"component": "sdk-scheme-adapter", "dfsp": "perffsp-1"}, container: corev1.Container{Image: "mirror/adapter:1"}, role: policy.RoleSDK, signs: true, dfsp: "perffsp-1"},
		{name: "hides, but reads a signing key", container: corev1.Container{Image: "example.org/web:1", Env: env("JWS_SIGNING_KEY_PATH")}, role: policy.RoleSDK, signs: true},
		{name: "hides, but verifies", container: corev1.Container{Image: "example.org/web:1", Env: env("JWS_VERIFICATION_KEYS_DIRECTORY")}, role: policy.RoleSDK, signs: true},
		{name: "hides, but has an ILP secret", container: corev1.Container{Image: "example.org/web:1", Env: env("ILP_SECRET")}, role: policy.RoleSDK, signs: true},
		{name: "hides behind the name of a hub service", container: corev1.Container{Image: "example.org/central-ledger:1", Env: env("JWS_SIGNING_KEY_PATH")}, role: policy.RoleSDK, signs: true},
		{name: "hides behind the label of a database", labels: map[string]string{"app.kubernetes.io/name": "mysql"}, container: corev1.Container{Image: "example.org/web:1", Env: env("JWS_SIGNING_KEY_PATH")}, role: policy.RoleSDK, signs: true},
		{name: "hides behind the image of a database", labels: map[string]string{"component": "sdk-scheme-adapter"}, container: corev1.Container{Image: "redis:7", Env: env("DFSP_ID")}, role: policy.RoleSDK, signs: true},
		{name: "event handler of the SDK", container: corev1.Container{Image: "mojaloop/sdk-scheme-adapter:v24", Command: []string{"yarn", "start:cmd-evt-handler"}}, role: policy.RoleBackend},
		{name: "quoting service", container: corev1.Container{Name: "quoting-service", Image: "mojaloop/quoting-service:v17"}, role: policy.RoleHub, signs: true},
		{name: "notification handler by container name", container: corev1.Container{Name: "ml-api-adapter-handler-notification", Image: "mojaloop/ml-api-adapter:v16"}, role: policy.RoleHub, signs: true},
		{name: "API service of the same image", container: corev1.Container{Name: "ml-api-adapter-service", Image: "mojaloop/ml-api-adapter:v16"}, role: policy.RoleHub},
		{name: "central ledger with an ILP secret stays the hub", container: corev1.Container{Image: "mojaloop/central-ledger:v18", Env: env("ILP_SECRET")}, role: policy.RoleHub},
		{name: "handler of the central ledger's chart", labels: map[string]string{"app.kubernetes.io/name": "centralledger-handler-timeout"}, container: corev1.Container{Image: "mirror/ledger:1"}, role: policy.RoleHub},
		{name: "simulator backend", labels: map[string]string{"app.kubernetes.io/name": "sim-fsp201-backend"}, container: corev1.Container{Image: "mojaloop/mojaloop-simulator:v15"}, role: policy.RoleBackend, dfsp: "fsp201"},
		{name: "testing toolkit", container: corev1.Container{Image: "mojaloop/ml-testing-toolkit:v18"}, role: policy.RoleToolkit},
		{name: "database", container: corev1.Container{Image: "docker.io/bitnami/mysql:8"}, role: policy.RoleDatastore},
		{name: "unrelated", labels: map[string]string{"app": "shop", "component": "frontend"}, container: corev1.Container{Image: "example.org/shop:1", Env: env("LOG_LEVEL")}, role: policy.RoleOther},
	}
	snap := snapshot(nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.container.Name == "" {
				tt.container.Name = "main"
			}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", Labels: tt.labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{tt.container}}}
			w := snap.Subject(policy.Input{Object: pod}).Workload
			if w.Role != tt.role || w.Signs != tt.signs || w.LabelDFSP != tt.dfsp {
				t.Errorf("got role %q, signs %t, DFSP %q; want %q, %t, %q", w.Role, w.Signs, w.LabelDFSP, tt.role, tt.signs, tt.dfsp)
			}
		})
	}
}

// TestRecogniseByKey unmasks a pod that mounts a DFSP's signing key under a
// name of its own.
func TestRecogniseByKey(t *testing.T) {
	s := fixtures.NewScheme()
	snap := snapshot(objects(s.Inputs()))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: fixtures.Namespace},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "web", Image: "example.org/web:1", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}},
			Volumes:    []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: fixtures.DFSP1 + "-jws-keys"}}}},
		},
	}
	if got := snap.Subject(policy.Input{Object: pod}).Workload.Role; got != policy.RoleSDK {
		t.Errorf("a pod with the signing key of %s is %q, want %q", fixtures.DFSP1, got, policy.RoleSDK)
	}
	pod.Spec.Volumes[0].Secret.SecretName = fixtures.DFSP1 + "-ilp"
	if got := snap.Subject(policy.Input{Object: pod}).Workload.Role; got != policy.RoleOther {
		t.Errorf("a pod with another Secret is %q, want %q", got, policy.RoleOther)
	}
}
