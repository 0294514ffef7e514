package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// TestKeyPlaces reads where a workload takes its key and its ILP secret from.
func TestKeyPlaces(t *testing.T) {
	t.Parallel()
	const (
		sdk = "mojaloop/sdk-scheme-adapter:v24"
		hub = "mojaloop/quoting-service:v17"
	)
	for _, tt := range []struct {
		name, image, env, mounts, volumes string
		signing, ilp                      string
	}{
		{
			name: "nothing: the Injector decides", image: sdk, env: "{name: DFSP_ID, value: bank}",
			signing: "bank sdk", ilp: "bank sdk",
		},
		{
			name: "a Secret", image: sdk, env: `{name: DFSP_ID, value: bank}, {name: JWS_SIGNING_KEY_PATH, value: /keys/private.key}, {name: ILP_SECRET, valueFrom: {secretKeyRef: {name: s, key: k}}}`,
			mounts: "{name: v, mountPath: /keys}", volumes: "{name: v, secret: {secretName: bank-keys}}",
			signing: "bank sdk bank-keys/private.key", ilp: "bank sdk s/k",
		},
		{
			name: "an item of a Secret", image: sdk, env: `{name: DFSP_ID, value: bank}, {name: JWS_SIGNING_KEY_PATH, value: /jwsSigningKey.key}`,
			mounts: "{name: v, mountPath: /jwsSigningKey.key, subPath: private.key}", volumes: "{name: v, secret: {secretName: bank-keys, items: [{key: k.pem, path: private.key}]}}",
			signing: "bank sdk bank-keys/k.pem", ilp: "bank sdk",
		},
		{
			name: "the image, and a literal", image: sdk, env: `{name: DFSP_ID, value: bank}, {name: JWS_SIGNING_KEY_PATH, value: secrets/jwsSigningKey.key}, {name: ILP_SECRET, value: x}`,
			signing: `bank sdk elsewhere: the image (/opt/app/modules/api-svc/secrets/jwsSigningKey.key)`, ilp: "bank sdk elsewhere: the pod template",
		},
		{
			name: "ConfigMaps", image: sdk, env: `{name: DFSP_ID, value: bank}, {name: JWS_SIGNING_KEY_PATH, value: /keys/k}, {name: ILP_SECRET, valueFrom: {configMapKeyRef: {name: c, key: k}}}`,
			mounts: "{name: v, mountPath: /keys}", volumes: "{name: v, configMap: {name: c}}",
			signing: "bank sdk elsewhere: a ConfigMap", ilp: "bank sdk elsewhere: ConfigMap c",
		},
		{
			name: "an emptyDir", image: sdk, env: `{name: DFSP_ID, value: bank}, {name: JWS_SIGNING_KEY_PATH, value: /keys/k}`,
			mounts: "{name: v, mountPath: /keys}", volumes: "{name: v, emptyDir: {}}",
			signing: "bank sdk elsewhere: an emptyDir", ilp: "bank sdk",
		},
		{
			name: "the connection manager", image: sdk, env: `{name: DFSP_ID, value: bank}, {name: PM4ML_ENABLED, value: "true"}`,
			signing: "bank sdk external", ilp: "bank sdk",
		},
		{
			name: "the hub", image: hub, env: "{name: QUOTE_HUB_PARTICIPANT__NAME, value: Switch}",
			mounts: "{name: jws-signing-key, mountPath: /opt/app/secrets}", volumes: "{name: jws-signing-key, secret: {secretName: hub-keys, items: [{key: tls.key, path: jwsSigningKey.key}]}}",
			signing: "Switch hub hub-keys/tls.key",
		},
		{name: "a hub service that does not sign", image: hub},
		{name: "something else", image: "nginx:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &appsv1.Deployment{}
			text := fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: x, namespace: mojaloop}
spec: {template: {spec: {containers: [{name: c, image: %q, env: [%s], volumeMounts: [%s]}], volumes: [%s]}}}`, tt.image, tt.env, tt.mounts, tt.volumes)
			if err := yaml.UnmarshalStrict([]byte(text), d); err != nil {
				t.Fatal(err)
			}
			snap := NewSnapshot(OfflineOptions(time.Unix(0, 0), []byte("x")), []runtime.Object{d})
			show := func(places []KeyPlace) string {
				var out []string
				for _, p := range places {
					line := p.DFSP + " " + string(p.Role)
					switch {
					case p.Secret != "":
						line += " " + p.Secret + "/" + p.Key
					case p.Elsewhere != "":
						line += " elsewhere: " + p.Elsewhere
					case p.External:
						line += " external"
					}
					if p.Workload.Name != "x" || p.Container != "c" {
						t.Errorf("got %v, container %q, want x and c", p.Workload, p.Container)
					}
					out = append(out, line)
				}
				return strings.Join(out, "; ")
			}
			if diff := cmp.Diff(tt.signing, show(SigningKeyPlaces(d, snap))); diff != "" {
				t.Errorf("signing keys (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.ilp, show(ILPSecretPlaces(d, snap))); diff != "" {
				t.Errorf("ILP secrets (-want +got):\n%s", diff)
			}
		})
	}
}
