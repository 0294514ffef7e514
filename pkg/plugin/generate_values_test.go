package plugin

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
)

// values runs generate values and returns what a chart gets: its defaults with
// the values laid over them, as Helm does, null removing a member.
func values(t *testing.T, defaults string, args ...string) map[string]any {
	t.Helper()
	stdout, stderr, code := run(t, append([]string{"generate", "values"}, args...)...)
	if code != Good || stderr != "" {
		t.Fatalf("got code %d, stderr %q", code, stderr)
	}
	return overlay(parse(t, defaults), parse(t, stdout))
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func overlay(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	for k, v := range over {
		below, ok := v.(map[string]any)
		old, _ := out[k].(map[string]any)
		switch {
		case v == nil:
			delete(out, k)
		case ok:
			if old == nil {
				old = map[string]any{}
			}
			out[k] = overlay(old, below)
		default:
			out[k] = v
		}
	}
	return out
}

func at(t *testing.T, tree map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		next, ok := tree[name].(map[string]any)
		if !ok {
			t.Fatalf("no map %q of %v", name, path)
		}
		tree = next
	}
	return tree
}

// secretVolume is the volume of a Secret with one of its entries under another
// name.
func secretVolume(name string, ref map[string]any, file string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: fmt.Sprint(ref["name"]), Items: []corev1.KeyToPath{{Key: fmt.Sprint(ref["key"]), Path: file}},
	}}}
}

func environment(env map[string]any) []corev1.EnvVar {
	var out []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, corev1.EnvVar{Name: name, Value: fmt.Sprint(env[name])})
	}
	return out
}

// sdkChart makes the pod that the chart sdk-scheme-adapter makes of values.
func sdkChart(t *testing.T, v map[string]any) *corev1.Pod {
	config, env := at(t, v, "sdk-scheme-adapter-api-svc", "config"), at(t, v, "sdk-scheme-adapter-api-svc", "env")
	c := corev1.Container{Name: "sdk-scheme-adapter-api-svc", Image: "mojaloop/sdk-scheme-adapter:v24.6.3", Env: environment(env)}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "sdk", Namespace: "mojaloop"}}
	if env["JWS_SIGN"] != nil && env["JWS_SIGN"] != false {
		pod.Spec.Volumes = append(pod.Spec.Volumes, secretVolume("jws-private-key", at(t, config, "jwsSigningKeySecret"), "private.key"))
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "jws-private-key", MountPath: "/jwsSigningKey.key", SubPath: "private.key"})
	}
	if env["VALIDATE_INBOUND_JWS"] != nil && env["VALIDATE_INBOUND_JWS"] != false {
		if len(at(t, config, "jwsVerificationKeys")) == 0 {
			t.Error("the chart fails: VALIDATE_INBOUND_JWS without jwsVerificationKeys")
		}
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "jws-public-keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "sdk-jws-public-keys"}}})
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "jws-public-keys", MountPath: "/jwsVerificationKeys/"})
	}
	pod.Spec.Containers = []corev1.Container{c}
	return pod
}

const sdkChartDefaults = `
sdk-scheme-adapter-api-svc:
  config: {simName: testFsp, jwsSigningKeySecret: null, jwsSigningKey: "", jwsVerificationKeys: {}}
  env:
    VALIDATE_INBOUND_JWS: false
    VALIDATE_INBOUND_PUT_PARTIES_JWS: false
    JWS_SIGN: false
    JWS_SIGN_PUT_PARTIES: false
    JWS_SIGNING_KEY_PATH: secrets/jwsSigningKey.key
    JWS_VERIFICATION_KEYS_DIRECTORY: secrets/jwsVerificationKeys
    DFSP_ID: "{{ .Values.config.simName }}"
    ILP_SECRET: Quaixohyaesahju3thivuiChai5cahng
    CHECK_ILP: true
    PM4ML_ENABLED: false
`

// simulatorChart makes the pod that the chart mojaloop-simulator makes.
func simulatorChart(t *testing.T, v map[string]any, id string) *corev1.Pod {
	adapter := overlay(at(t, v, "defaults", "config", "schemeAdapter"), at(t, v, "simulators", id, "config", "schemeAdapter"))
	env, keys := at(t, adapter, "env"), at(t, adapter, "secrets", "jws")
	c := corev1.Container{Name: "scheme-adapter", Image: "mojaloop/sdk-scheme-adapter:v23.4.0", Env: append(environment(env), corev1.EnvVar{Name: "DFSP_ID", Value: id})}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "sim", Namespace: "mojaloop"}}
	pod.Spec.Volumes = append(
		pod.Spec.Volumes,
		secretVolume("jws-private-key", at(t, keys, "privateKeySecret"), "private.key"),
		corev1.Volume{Name: "jws-public-keys", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: fmt.Sprint(keys["publicKeyConfigMapName"])}}}},
	)
	c.VolumeMounts = append(
		c.VolumeMounts,
		corev1.VolumeMount{Name: "jws-private-key", MountPath: "/jwsSigningKey/"},
		corev1.VolumeMount{Name: "jws-public-keys", MountPath: fmt.Sprint(env["JWS_VERIFICATION_KEYS_DIRECTORY"])},
	)
	pod.Spec.Containers = []corev1.Container{c}
	return pod
}

const simulatorChartDefaults = `
simulators: {}
defaults:
  config:
    schemeAdapter:
      secrets: {jws: {privateKeySecret: {}, publicKeyConfigMapName: {}, privateKey: "", publicKey: ""}}
      env:
        VALIDATE_INBOUND_JWS: false
        JWS_SIGN: false
        JWS_SIGNING_KEY_PATH: /jwsSigningKey/private.key
        JWS_VERIFICATION_KEYS_DIRECTORY: /jwsVerificationKeys
        ILP_SECRET: Quaixohyaesahju3thivuiChai5cahng
        CHECK_ILP: true
`

// hubChart makes the pod that the chart of a hub service makes.
func hubChart(t *testing.T, v map[string]any, service string, path ...string) (*corev1.Pod, *corev1.ConfigMap) {
	security := at(t, v, append(path, "config", "endpointSecurity")...)
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: service, Namespace: "mojaloop"},
		Data: map[string]string{"default.json": fmt.Sprintf(`{"HUB_PARTICIPANT": {"NAME": "Hub"}, "ENDPOINT_SECURITY": {"JWS": {"JWS_SIGN": %v, "JWS_SIGNING_KEY_PATH": "secrets/jwsSigningKey.key"}}}`,
			security["jwsSign"])},
	}
	c := corev1.Container{Name: service, Image: "mojaloop/" + service + ":v17.0.0", VolumeMounts: []corev1.VolumeMount{
		{Name: "config", MountPath: "/opt/app/config"}, {Name: "jws-signing-key", MountPath: "/opt/app/secrets"},
	}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: service, Namespace: "mojaloop"}}
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: service}}}},
		secretVolume("jws-signing-key", at(t, security, "jwsSigningKeySecret"), "jwsSigningKey.key"),
	}
	pod.Spec.Containers = []corev1.Container{c}
	return pod, config
}

// generated returns the objects that commands print.
func generated(t *testing.T, commands ...[]string) []runtime.Object {
	t.Helper()
	var out []runtime.Object
	entries := map[string]string{}
	for _, args := range commands {
		stdout, _, code := run(t, append(args, "-n", "mojaloop", "-o", "yaml")...)
		if code != Good {
			t.Fatalf("%v: got code %d", args, code)
		}
		for doc := range bytes.SplitSeq([]byte(stdout), []byte("\n---\n")) {
			var kind metav1.TypeMeta
			if err := yaml.Unmarshal(doc, &kind); err != nil {
				t.Fatal(err)
			}
			var obj runtime.Object = &corev1.Secret{}
			if kind.Kind == "ConfigMap" {
				obj = &corev1.ConfigMap{}
			}
			if err := yaml.UnmarshalStrict(doc, obj); err != nil {
				t.Fatal(err)
			}
			if c, ok := obj.(*corev1.ConfigMap); ok {
				maps.Copy(entries, c.Data)
				continue
			}
			out = append(out, obj)
		}
	}
	return append(out, &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "mojaloop-jws-verification-keys", Namespace: "mojaloop"}, Data: entries,
	})
}

// TestValues judges the pods that the charts make of the values, beside the
// Secrets that the other commands make: nothing is wrong with keys or secrets.
func TestValues(t *testing.T) {
	t.Parallel()
	objs := generated(
		t, []string{"generate", "jws", "dfsp/bank", "dfsp/perffsp-{1..2}"}, []string{"generate", "jws", "hub"},
		[]string{"generate", "ilp-secret", "dfsp/bank", "dfsp/perffsp-{1..2}"},
	)
	keys := t.TempDir()
	if _, stderr, code := run(t, "generate", "jws", "dfsp/peer", "--out", keys); code != Good {
		t.Fatal(stderr)
	}
	simulators := values(t, simulatorChartDefaults, "dfsp/perffsp-{1..2}", "--chart", "mojaloop-simulator")
	hub := values(t, "{}", "hub")
	quoting, quotingConfig := hubChart(t, hub, "quoting-service", "quoting-service", "quoting-service")
	handler, handlerConfig := hubChart(t, values(t, "{}", "hub", "--chart", "quoting-service"), "quoting-service-handler", "quoting-service-handler")
	copied := sdkChart(t, values(t, sdkChartDefaults, "dfsp/bank", "--verification-keys", filepath.Join(keys, dirVerification)))
	for _, tt := range []struct {
		name string
		pod  *corev1.Pod
		more []runtime.Object
	}{
		{"sdk-scheme-adapter", sdkChart(t, values(t, sdkChartDefaults, "dfsp/bank")), nil},
		{"sdk-scheme-adapter with copies", copied, []runtime.Object{&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sdk-jws-public-keys", Namespace: "mojaloop"}, Data: map[string][]byte{
			"peer.pem": []byte(read(t, filepath.Join(keys, dirVerification, "peer.pem"))),
		}}}},
		{"mojaloop-simulator 1", simulatorChart(t, simulators, "perffsp-1"), nil},
		{"mojaloop-simulator 2", simulatorChart(t, simulators, "perffsp-2"), nil},
		{"hub by the chart mojaloop", quoting, []runtime.Object{quotingConfig}},
		{"hub by the chart of the service", handler, []runtime.Object{handlerConfig}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := slices.Concat(objs, tt.more, []runtime.Object{tt.pod})
			options := policy.OfflineOptions(sealTime, []byte("x"))
			options.Incomplete = []policy.FactKind{policy.FactMesh, policy.FactMeshConfig, policy.FactCA, policy.FactNamespace, policy.FactService}
			snap := policy.NewSnapshot(options, all)
			report := policy.Review(policy.Checks(), []policy.Input{{Object: tt.pod}}, snap, true)
			judged := 0
			for _, pair := range report.Passed {
				if id := string(report.Check(pair).ID); strings.HasPrefix(id, "jws-") || strings.HasPrefix(id, "ilp-") {
					judged++
				}
			}
			if judged < 3 {
				t.Errorf("%d checks of keys and secrets passed: this test proves nothing", judged)
			}
			for _, f := range report.Findings {
				id := string(report.Check(f.Pair).ID)
				// The chart mounts the key as one file.
				if (strings.HasPrefix(id, "jws-") || strings.HasPrefix(id, "ilp-")) && id != "jws-mount-hygiene" {
					t.Errorf("%s: %s", id, f.Detail)
				}
			}
		})
	}
}

// TestValuesTakeNoPrivateKey refuses a directory of private keys.
func TestValuesTakeNoPrivateKey(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"bank.pem": string(newKey(t, jws.P256).MarshalPEM())})
	stdout, _, code := run(t, "generate", "values", "dfsp/bank", "--verification-keys", dir)
	if code != Failed || stdout != "" {
		t.Errorf("got code %d and %d bytes, want a refusal", code, len(stdout))
	}
}

// TestReadPublicKeysOfNothing tells what is wrong with the folder.
func TestReadPublicKeysOfNothing(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"file": ""})
	for path, want := range map[string]string{
		dir + "/nope": "there is no folder",
		dir + "/file": "is a file; want the folder",
		dir:           "has no file that ends in .pem",
	} {
		if _, err := readPublicKeys(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", path, err, want)
		}
	}
}

// TestILPCommentsOfAll name the Secret of each target.
func TestILPCommentsOfAll(t *testing.T) {
	t.Parallel()
	in := &chartInput{members: []chartMember{{id: "red", ilpSecret: "red-ilp", ilpKey: "K"}, {id: "blue", ilpSecret: "mine", ilpKey: "K"}}}
	got := strings.Join(ilpComments(in), "\n")
	for _, want := range []string{"secretKeyRef: {name: NAME, key: K}", "  red: red-ilp\n", "  blue: mine\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q in it", got, want)
		}
	}
}
