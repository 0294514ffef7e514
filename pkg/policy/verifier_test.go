package policy_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
)

func TestVerifiersOf(t *testing.T) {
	t.Parallel()
	sdk := func(env ...corev1.EnvVar) *corev1.Pod {
		return &corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: "mojaloop"},
			Spec: corev1.PodSpec{
				Volumes: []corev1.Volume{{Name: "peers", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "peers"}}}},
				Containers: []corev1.Container{{
					Name: "sdk", Image: "mojaloop/sdk-scheme-adapter:v24.0.0", Env: append([]corev1.EnvVar{{Name: "DFSP_ID", Value: "two"}}, env...),
					VolumeMounts: []corev1.VolumeMount{{Name: "peers", MountPath: "/opt/app/modules/api-svc/secrets/jwsVerificationKeys"}},
				}},
			},
		}
	}
	hub := func(image, validate string) *corev1.Pod {
		p := sdk()
		p.Spec.Containers[0].Image = image
		p.Spec.Containers[0].Name = "service"
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "QUOTE_ENDPOINT_SECURITY__JWS__JWS_VALIDATE", Value: validate}}
		p.Spec.Containers[0].VolumeMounts[0].MountPath = "/opt/app/secrets/jwsVerificationKeys"
		return p
	}
	// A public key nobody has the private half of.
	const public = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE23AOF+G/0XdNmFKO71Ti2F+EFQB9\nq398PMqdkI3qFstTWs2RNj4gwVLHSi5ywh2l6veB2EIkvqG5YVZ7RqdLQA==\n-----END PUBLIC KEY-----\n"
	peers := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "peers", Namespace: "mojaloop"},
		Data: map[string][]byte{"one.pem": []byte(public)},
	}
	tests := []struct {
		name string
		pod  *corev1.Pod
		objs []runtime.Object
		fsp  string
		// none is for pods that verify nothing.
		none            bool
		verifies, known bool
		external        bool
		presence        policy.Presence
		hasKey          bool
	}{
		{name: "default", pod: sdk(), objs: []runtime.Object{peers}, fsp: "one", verifies: true, known: true, presence: policy.Present, hasKey: true},
		{name: "no key of the source", pod: sdk(), objs: []runtime.Object{peers}, fsp: "three", verifies: true, known: true, presence: policy.Absent},
		{name: "Secret not read", pod: sdk(), fsp: "one", verifies: true, known: true, presence: policy.Unknown},
		{
			name: "switched off", pod: sdk(corev1.EnvVar{Name: "VALIDATE_INBOUND_JWS", Value: "0"}), objs: []runtime.Object{peers}, fsp: "one",
			known: true, presence: policy.Present, hasKey: true,
		},
		{
			name: "switch elsewhere", pod: sdk(corev1.EnvVar{Name: "VALIDATE_INBOUND_JWS", ValueFrom: &corev1.EnvVarSource{
				ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}, Key: "y"},
			}}), objs: []runtime.Object{peers}, fsp: "one", presence: policy.Present, hasKey: true,
		},
		{
			name: "keys from elsewhere", pod: sdk(corev1.EnvVar{Name: "PM4ML_ENABLED", Value: "true"}), objs: []runtime.Object{peers}, fsp: "one",
			verifies: true, known: true, external: true, presence: policy.Unknown,
		},
		{name: "quoting service that verifies", pod: hub("mojaloop/quoting-service:v17", "true"), objs: []runtime.Object{peers}, fsp: "one", verifies: true, known: true, presence: policy.Present, hasKey: true},
		{name: "quoting service that does not", pod: hub("mojaloop/quoting-service:v17", "false"), fsp: "one", none: true},
		{name: "ledger", pod: hub("mojaloop/central-ledger:v19", "true"), fsp: "one", none: true},
		{name: "stranger", pod: hub("nginx", "true"), fsp: "one", none: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			options := policy.OfflineOptions(time.Unix(0, 0), []byte("x"))
			snap := policy.NewSnapshot(options, append(tt.objs, tt.pod))
			w := snap.Pod("mojaloop", "pod")
			if w == nil {
				t.Fatal("the pod is not in the snapshot")
			}
			got := snap.VerifiersOf(w, tt.fsp)
			if tt.none {
				if len(got) != 0 {
					t.Errorf("got %+v, want none", got)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("got %d verifiers, want 1", len(got))
			}
			v := got[0]
			if v.Verifies != tt.verifies || v.Known != tt.known || v.External != tt.external || v.Presence != tt.presence || v.HasKey != tt.hasKey {
				t.Errorf("got verifies %v, known %v, external %v, presence %v, key %v; want %v %v %v %v %v",
					v.Verifies, v.Known, v.External, v.Presence, v.HasKey, tt.verifies, tt.known, tt.external, tt.presence, tt.hasKey)
			}
			if tt.hasKey && v.Data.Name != "peers" {
				t.Errorf("got %v, want Secret peers", v.Data)
			}
		})
	}
}
