package admissionpolicy_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/plugin/admissionpolicy"
	"github.com/mojasec/mojasec/pkg/policy"
	expect "github.com/mojasec/mojasec/test/admissionpolicies"
	"github.com/mojasec/mojasec/test/fixtures"
)

// maker draws pods of which engine and policies can say the same. It is seeded:
// every run draws the same ones.
type maker struct {
	*rand.Rand

	key, public string // a key pair in PEM
}

func (m *maker) one(of ...string) string { return of[m.IntN(len(of))] }

// chance is true once in n times.
func (m *maker) chance(n int) bool { return m.IntN(n) == 0 }

func (m *maker) labels() map[string]string {
	out := map[string]string{"app": "x"}
	set := func(key string, values ...string) {
		if m.chance(4) {
			out[key] = m.one(values...)
		}
	}
	set("app.kubernetes.io/name", "sdk-scheme-adapter", "sdk-scheme-adapter-api-svc", "moja-sim-fsp1-scheme-adapter", "sim-fsp1-backend", "sim-fsp1-cache",
		"quoting-service-handler", "ml-api-adapter-handler-notification", "central-ledger", "centralledger-handler-timeout", "mysql", "shop", "custom")
	set("helm.sh/chart", "sdk-scheme-adapter-1.2.3", "quoting-service-17.0.1", "account-lookup-service-17.0.1", "kafka-28.3.0", "shop-1.0.0", "centralsettlement-x-1.0")
	set("component", "sdk-scheme-adapter", "frontend")
	set("sidecar.istio.io/inject", "true", "false", "", "no")
	set("istio.io/dataplane-mode", "ambient", "none", "")
	set("istio.io/rev", "default", "canary", "stable")
	set("tier", "switch")
	return out
}

func (m *maker) annotations() map[string]string {
	out := map[string]string{}
	if m.chance(3) {
		key := m.one("traffic.sidecar.istio.io/excludeInboundPorts", "traffic.sidecar.istio.io/excludeOutboundPorts", "traffic.sidecar.istio.io/excludeOutboundIPRanges",
			"traffic.sidecar.istio.io/excludeInterfaces", "traffic.sidecar.istio.io/includeInboundPorts", "traffic.sidecar.istio.io/includeOutboundIPRanges",
			"sidecar.istio.io/interceptionMode", "inject.istio.io/templates", "ambient.istio.io/bypass-inbound-capture", "sidecar.istio.io/proxyImage",
			"sidecar.istio.io/userVolume", "status.sidecar.istio.io/port", "example.org/other")
		out[key] = m.one("", " ", "*", " *", "true", "TRUE", "false", "NONE", "REDIRECT", "TPROXY", "sidecar", "grpc", "3306", "3306, 6379,", "4000", "3306,443", "eth0", "0", "15020", "15021, 15090", "15020,4000")
	}
	if m.chance(6) {
		out["sidecar.istio.io/inject"] = m.one("true", "false")
	}
	if m.chance(6) {
		out["ambient.istio.io/redirection"] = "enabled"
	}
	if m.chance(6) {
		out["helm.sh/hook"] = "pre-install"
	}
	if m.chance(8) {
		out["example.org/text"] = m.text()
	}
	return out
}

// text may hold a private key, or look as if it did.
func (m *maker) text() string {
	key := m.key
	switch m.IntN(4) {
	case 0:
		key = strings.ReplaceAll(key, "EC PRIVATE", m.one("PRIVATE", "RSA PRIVATE", "ENCRYPTED PRIVATE", "EC%20PRIVATE", "EC  PRIVATE"))
	case 1:
		key = strings.ReplaceAll(key, "\n", m.one(`\n`, " ", `\\n`, "\r\n"))
	case 2:
		key = key[:len(key)-m.IntN(60)]
	}
	switch m.IntN(6) {
	case 3:
		return m.one(m.public, base64.StdEncoding.EncodeToString([]byte(m.public)))
	case 0:
		return m.one("-----BEGIN PRIVATE KEY-----", "grep -q '-----BEGIN EC PRIVATE KEY-----' /f && echo -----END", "-----BEGIN PRIVATE KEY-----...-----END PRIVATE KEY-----", "LS0tLS1CRUdJTi")
	case 1:
		return base64.StdEncoding.EncodeToString([]byte(m.one("", "x", "yz") + m.key))
	case 2:
		return `{"a":"b","key":"` + strings.ReplaceAll(m.key, "\n", `\n`) + `"}`
	}
	return m.one("", "key: ") + key + m.one("", "\ntrailer")
}

func (m *maker) env() []corev1.EnvVar {
	var out []corev1.EnvVar
	for range m.IntN(5) {
		e := corev1.EnvVar{Name: m.one("JWS_SIGN", "JWS_SIGN", "ILP_SECRET", "ILP_SECRET", "CONNECTOR_ILP_SECRET", "JWS_SIGNING_KEY_PATH", "JWS_VERIFICATION_KEYS_DIRECTORY",
			"DFSP_ID", "QUOTE_ENDPOINT_SECURITY__JWS__JWS_SIGN", "MLAPI_ENDPOINT_SECURITY__JWS__JWS_SIGN", "ALS_ENDPOINT_SECURITY__JWS__JWS_SIGN", "OTHER")}
		switch m.IntN(8) {
		case 0:
			e.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}
		case 1:
			e.ValueFrom = &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}
		default:
			e.Value = m.one("true", "false", "False", "0", "1", "", "x", "mojaloop-sdk", " \"mojaloop-sdk'\u00a0\n", "\"secret\"", "house secret", "f3b1c9f3b1c9aaf3b1c9f3b1c9aaf3b1c9")
		}
		if m.chance(20) {
			e.Name, e.Value, e.ValueFrom = "TEXT", m.text(), nil
		}
		out = append(out, e)
	}
	if len(out) > 0 && m.chance(5) { // a reference to what stands before
		last := out[len(out)-1].Name
		if name := m.one("JWS_SIGN", "ILP_SECRET", "QUOTE_ENDPOINT_SECURITY__JWS__JWS_SIGN"); count(out, name) == 0 && count(out, last) == 1 {
			out = append(out, corev1.EnvVar{Name: name, Value: m.one("$("+last+")", "$("+last+")", "$(NOBODY)", "$$("+last+")")})
		}
	}
	return out
}

func count(env []corev1.EnvVar, name string) int {
	n := 0
	for _, e := range env {
		if e.Name == name {
			n++
		}
	}
	return n
}

func (m *maker) container(name string) corev1.Container {
	c := corev1.Container{
		Name: name,
		Image: m.one("docker.io/mojaloop/sdk-scheme-adapter:v24", "registry:5000/m/sdk-scheme-adapter@sha256:0123", "mojaloop/sdk-scheme-adapter", "quoting-service:v17", "mojaloop/ml-api-adapter:v16",
			"mojaloop/central-ledger:v18", "mojaloop/account-lookup-service", "mojaloop/ml-testing-toolkit", "mojaloop/mojaloop-simulator:v1", "bitnami/mysql:8", "redis", "example.org/web:1", "example.org/web:1", "",
			"example.org:5000/acme/switch:2", "acme/switch@sha256:1", "docker.io/istio/proxyv2:1.27"),
		Env: m.env(),
	}
	switch m.IntN(8) {
	case 0:
		c.Command = []string{"yarn", m.one("start:cmd-evt-handler", "start:dom-evt-handler", "start:api-svc")}
	case 1:
		c.Command, c.Args = []string{"npm"}, []string{"run", "start:cmd-evt-handler"}
	case 2:
		c.Args = []string{"sh", "-c", m.one("JWS_SIGN=false node src", "env X_JWS_SIGN=1 node", "node src", m.text())}
	}
	if m.chance(6) {
		c.EnvFrom = []corev1.EnvFromSource{{Prefix: m.one("", "ILP_", "X_", "ILP_SECRET"), ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}}
	}
	if m.chance(4) {
		c.VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: m.one("/opt/app/config", "/opt/app/config/", "/opt/app", "/opt/app/config/default.json", "/opt/app/conf", "/data")}}
	}
	if m.chance(4) {
		c.SecurityContext = &corev1.SecurityContext{}
		switch m.IntN(5) {
		case 0:
			c.SecurityContext.Privileged = new(m.chance(2))
		case 1:
			c.SecurityContext.RunAsUser = new(int64(m.IntN(2) + 1336))
		case 2:
			c.SecurityContext.RunAsGroup = new(int64(m.IntN(2) + 1336))
		case 3:
			c.SecurityContext.Capabilities = &corev1.Capabilities{Add: []corev1.Capability{corev1.Capability(m.one("NET_ADMIN", "cap_net_admin", "ALL", "SYS_ADMIN", "CHOWN", "NET_RAW"))}}
		}
	}
	return c
}

func (m *maker) pod() corev1.PodTemplateSpec {
	p := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: m.labels(), Annotations: m.annotations()}}
	names := []string{"sdk", "app", "ml-api-adapter-handler-notification", "quoting-service-handler", "istio-proxy", "istio-init", "side", "log"}
	m.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	next := func() string { n := names[0]; names = names[1:]; return n }
	for range 1 + m.IntN(2) {
		p.Spec.Containers = append(p.Spec.Containers, m.container(next()))
	}
	if m.chance(4) {
		c := m.container(next())
		if m.chance(2) {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	p.Spec.HostNetwork = m.chance(12)
	if m.chance(10) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1337 - m.IntN(2)))}
	}
	p.Spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}}}
	return p
}

// object wraps a pod into something that makes it.
func (m *maker) object(p corev1.PodTemplateSpec) runtime.Object {
	om := metav1.ObjectMeta{Name: "x", Namespace: fixtures.Namespace, Annotations: m.annotations()}
	typed := func(apiVersion, kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
	}
	switch m.IntN(8) {
	case 0:
		return &appsv1.Deployment{TypeMeta: typed("apps/v1", "Deployment"), ObjectMeta: om, Spec: appsv1.DeploymentSpec{Template: p}}
	case 1:
		return &appsv1.StatefulSet{TypeMeta: typed("apps/v1", "StatefulSet"), ObjectMeta: om, Spec: appsv1.StatefulSetSpec{Template: p}}
	case 2:
		return &appsv1.DaemonSet{TypeMeta: typed("apps/v1", "DaemonSet"), ObjectMeta: om, Spec: appsv1.DaemonSetSpec{Template: p}}
	case 3:
		return &appsv1.ReplicaSet{TypeMeta: typed("apps/v1", "ReplicaSet"), ObjectMeta: om, Spec: appsv1.ReplicaSetSpec{Template: p}}
	case 4:
		return &corev1.ReplicationController{TypeMeta: typed("v1", "ReplicationController"), ObjectMeta: om, Spec: corev1.ReplicationControllerSpec{Template: &p}}
	case 5:
		return &batchv1.Job{TypeMeta: typed("batch/v1", "Job"), ObjectMeta: om, Spec: batchv1.JobSpec{Template: p}}
	case 6:
		return &batchv1.CronJob{TypeMeta: typed("batch/v1", "CronJob"), ObjectMeta: om, Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: p}}}}
	}
	pod := &corev1.Pod{TypeMeta: typed("v1", "Pod"), ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	pod.Name, pod.Namespace = om.Name, om.Namespace
	pod.Spec.RestartPolicy = corev1.RestartPolicy(m.one("", "Always", "Never"))
	if m.chance(3) {
		pod.Spec.NodeName = "node"
	}
	if m.chance(3) {
		c := m.container("debug")
		c.SecurityContext = nil
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(c)}}
	}
	return pod
}

func (m *maker) namespace() *corev1.Namespace {
	labels := map[string]string{v1alpha1.LabelMode: "enforce"}
	maps.Copy(labels, []map[string]string{
		{},
		{"istio-injection": "enabled"},
		{"istio-injection": "disabled"},
		{"istio.io/rev": "stable"},
		{"istio.io/dataplane-mode": "ambient"},
		{"istio-injection": "true"},
		{"istio-injection": "", "istio.io/rev": "default"},
	}[m.IntN(7)])
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: fixtures.Namespace, Labels: labels}}
}

// profiles are those that the random pods are judged by.
func profiles() map[string]*v1alpha1.Profile {
	out := map[string]*v1alpha1.Profile{}
	add := func(name string, tweak func(*v1alpha1.ProfileSpec)) {
		p := v1alpha1.DefaultProfile()
		tweak(&p.Spec)
		out[name] = p
	}
	add("default", func(*v1alpha1.ProfileSpec) {})
	add("ambient", func(s *v1alpha1.ProfileSpec) { s.Mesh = v1alpha1.MeshAmbient })
	add("own", func(s *v1alpha1.ProfileSpec) {
		s.Mesh, s.Revision, s.DatastorePorts = v1alpha1.MeshSidecar, "stable", []int32{4000}
		s.PublishedSecrets = []string{`"house secret" `}
		s.Recognition = []v1alpha1.RecognitionRule{
			{Role: v1alpha1.RoleSDK, Images: []string{"acme/switch"}},
			{Role: v1alpha1.RoleHub, Labels: map[string]string{"tier": "switch"}, Names: []string{"custom"}},
		}
	})
	return out
}

// TestRandomPods asks engine and policies about hundreds of pods. Secrets and
// ConfigMaps are unknown to both, so both must refuse the same ones.
func TestRandomPods(t *testing.T) {
	t.Parallel()
	const pods = 500
	for name, profile := range profiles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := fixtures.NewKeyPair()
			m := &maker{Rand: rand.New(rand.NewPCG(1, 2)), key: string(pair.Private), public: string(pair.Public)}
			s := newServer(t, admissionpolicy.Options{Profile: profile}, oldest)
			refused, passed := map[policy.ID]int{}, map[policy.ID]int{}
			for i := range pods {
				ns, obj := m.namespace(), m.object(m.pod())
				inputs := []policy.Input{{Object: ns}, {Object: profile}, {Object: obj}}
				verdicts := expect.Judge(inputs, policy.OfflineOptions(fixtures.Now, []byte("a key for tests")))[obj]
				got := s.ask(t.Context(), t, request{object: obj, namespace: ns, untyped: i%2 == 0})
				for id, want := range verdicts {
					message, denied := got[id]
					if denied {
						refused[id]++
					} else {
						passed[id]++
					}
					if (want == expect.Failed) != denied {
						text, err := yaml.Marshal(obj)
						if err != nil {
							t.Fatal(err)
						}
						t.Fatalf("pod %d, namespace %v, %s: the engine says %s; refused: %t %s\n%s", i, ns.Labels, id, want, denied, message, text)
					}
				}
			}
			for _, c := range policy.Checks() {
				if c.PodLocal && (refused[c.ID] < pods/200 || passed[c.ID] < pods/200) {
					t.Errorf("%s: %d refused, %d passed: this test proves little", c.ID, refused[c.ID], passed[c.ID])
				}
			}
			t.Log(fmt.Sprint("refused: ", refused))
		})
	}
}
