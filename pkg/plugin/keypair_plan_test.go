package plugin

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

func newKey(t *testing.T, kind jws.KeyKind) *jws.PrivateKey {
	t.Helper()
	key, err := jws.GenerateKey(kind, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// world is what a namespace has, for tests: Secrets by name with one entry, and
// the verification keys.
type world struct {
	secrets map[string]string // name → text of jwsSigningKey.pem
	public  map[string]string // entry → text; nil for no ConfigMap
	tweak   func(name string, obj *unstructured.Unstructured)
}

func (w *world) store() *keyStore {
	s := &keyStore{namespace: "mojaloop", secrets: map[string]*unstructured.Unstructured{}, complete: true}
	for name, text := range w.secrets {
		obj := newObject(kindOf("", "Secret"), "mojaloop", name)
		obj.Object["data"] = map[string]any{"jwsSigningKey.pem": base64.StdEncoding.EncodeToString([]byte(text))}
		if w.tweak != nil {
			w.tweak(name, obj)
		}
		s.secrets[name] = obj
	}
	s.verification = verificationKeys{kind: kindOf("", "ConfigMap"), namespace: "mojaloop", name: "mojaloop-jws-verification-keys"}
	if w.public != nil {
		entries := map[string][]byte{}
		for name, text := range w.public {
			entries[name] = []byte(text)
		}
		s.verification.live = verificationObject("mojaloop", s.verification.name, entries)
		if w.tweak != nil {
			w.tweak(s.verification.name, s.verification.live)
		}
	}
	return s
}

// TestPlanPairs decides on what there can be. The answer is the plan, a line for
// each step, or the refusal.
func TestPlanPairs(t *testing.T) {
	t.Parallel()
	own, other, fresh, leaked := newKey(t, jws.P256), newKey(t, jws.P256), newKey(t, jws.P256), newKey(t, jws.P256)
	private := func(k *jws.PrivateKey) string { return string(k.MarshalPEM()) }
	public := func(k *jws.PrivateKey) string { return string(k.Public().MarshalPEM()) }
	profile := v1alpha1.DefaultProfile()
	profile.Spec.PublishedKeys = []v1alpha1.PublishedKey{{SPKISHA256: leaked.Fingerprint().String(), PublishedIn: []string{"example.org/keys"}}}

	const (
		secret    = "secret/bank-jws-keys in mojaloop"
		configMap = "configmap/mojaloop-jws-verification-keys in mojaloop"
	)
	short := fresh.Fingerprint().Short()
	newPair := "created " + secret + ": new ES256 key " + short + " in jwsSigningKey.pem"
	replaced := func(old *jws.PrivateKey) string {
		return "configured " + secret + ": new ES256 key " + short + " in jwsSigningKey.pem, instead of " + old.Fingerprint().Short() + "; pods sign with the old one until they restart"
	}
	swapped := func(old *jws.PrivateKey) string {
		return "configured " + configMap + ": replace bank.pem (" + old.Fingerprint().Short() + ")"
	}
	kept := "unchanged " + secret + ": keeps its key"
	for _, tt := range []struct {
		name    string
		world   world
		replace replacement
		want    []string
		refused string
	}{
		{
			name: "nothing there",
			want: []string{newPair, "created " + configMap + ": add bank.pem"},
		},
		{
			name:  "beside others",
			world: world{public: map[string]string{"other.pem": public(other)}},
			want:  []string{newPair, "configured " + configMap + ": add bank.pem"},
		},
		{
			name:  "all there",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(own)}},
			want:  []string{kept, "unchanged " + configMap},
		},
		{
			name:  "the public half is missing",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"other.pem": public(other)}},
			want:  []string{kept, "configured " + configMap + ": add bank.pem"},
		},
		{
			name:    "all there, to be replaced",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(own)}},
			replace: replacePair,
			want:    []string{replaced(own), swapped(own)},
		},
		{
			name:    "peers hold another",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(other)}},
			refused: "peers hold key " + other.Fingerprint().Short() + " for bank, which has key " + own.Fingerprint().Short() + ": to give them the right one: TYPE --replace=public",
		},
		{
			name:    "peers hold another, and are given the right one",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(other)}},
			replace: replacePublic,
			want:    []string{kept, swapped(other)},
		},
		{
			name:    "peers hold one whose private half is lost",
			world:   world{public: map[string]string{"bank.pem": public(other)}},
			refused: "peers hold key " + other.Fingerprint().Short() + " for bank, but " + secret + " has none",
		},
		{
			name:    "public alone does not replace one whose private half is lost",
			world:   world{public: map[string]string{"bank.pem": public(other)}},
			replace: replacePublic,
			refused: "but " + secret + " has none",
		},
		{
			name:    "peers hold one whose private half is lost, to be replaced",
			world:   world{public: map[string]string{"bank.pem": public(other)}},
			replace: replacePair,
			want:    []string{newPair, swapped(other)},
		},
		{
			name:    "published",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(leaked)}},
			refused: "is published (example.org/keys)",
		},
		{
			name:    "published, to be replaced",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(leaked)}, public: map[string]string{"bank.pem": public(leaked)}},
			replace: replacePair,
			want:    []string{replaced(leaked), swapped(leaked)},
		},
		{
			name:    "shared with the Secret of another",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own), "red-jws-keys": private(own)}},
			refused: "is also that of red: each can sign as the other",
		},
		{
			name:    "shared with one whose private half is elsewhere",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(own), "red.pem": public(own)}},
			refused: "is also that of red: each can sign as the other",
		},
		{
			name: "in the wrong entry of another",
			world: world{
				secrets: map[string]string{"bank-jws-keys": private(own), "red-jws-keys": private(other)},
				public:  map[string]string{"bank.pem": public(own), "red.pem": public(own)},
			},
			want: []string{kept, "unchanged " + configMap},
		},
		{
			name:  "a version of the same key",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own), "bank-jws-keys-v1": private(own)}, public: map[string]string{"bank.pem": public(own)}},
			want:  []string{kept, "unchanged " + configMap},
		},
		{
			name:    "no key",
			world:   world{secrets: map[string]string{"bank-jws-keys": "test"}},
			refused: "jwsSigningKey.pem: no PEM block and not DER; to replace it: TYPE --replace (until all peers hold",
		},
		{
			name:    "public instead of private",
			world:   world{secrets: map[string]string{"bank-jws-keys": public(own)}},
			refused: "want the private key",
		},
		{
			name: "no entry of that name",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.Object["data"] = map[string]any{"other": ""}
			}},
			want: []string{"configured " + secret + ": new ES256 key " + short + " in jwsSigningKey.pem", "created " + configMap + ": add bank.pem"},
		},
		{
			name: "of somebody else, by its label",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.SetLabels(map[string]string{v1alpha1.LabelDFSP: "Bank"})
			}},
			refused: "belongs to Bank, by its label",
		},
		{
			name: "owned, and fit",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(own)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "hub"})
			}},
			want: []string{kept, "unchanged " + configMap},
		},
		{
			name: "owned, and unfit",
			world: world{secrets: map[string]string{"bank-jws-keys": private(leaked)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.SetAnnotations(map[string]string{"cert-manager.io/certificate-name": "bank"})
			}},
			refused: `is published (example.org/keys): everybody can sign with it; ` + secret + ` is kept by cert-manager from certificate "bank"`,
		},
		{
			name: "sealed, to be replaced",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				yes := true
				obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "bitnami.com/v1alpha1", Kind: "SealedSecret", Name: "bank", Controller: &yes}})
			}},
			replace: replacePair,
			refused: secret + ` is kept by Sealed Secrets from SealedSecret "bank", which would undo the change; seal the new one, with -o yaml --seal-cert FILE`,
		},
		{
			name: "owned without a controller, to be replaced",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(own)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "bank"}})
			}},
			replace: replacePair,
			want:    []string{replaced(own), swapped(own)},
		},
		{
			name:    "peers hold the private half as well",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": private(own)}},
			refused: "key " + own.Fingerprint().Short() + " is exposed: its private half is in bank.pem of " + configMap + ", and every peer can sign with it; to replace it: TYPE --replace",
		},
		{
			name:    "peers hold the private half as well, in the entry of another",
			world:   world{secrets: map[string]string{"bank-jws-keys": private(own)}, public: map[string]string{"bank.pem": public(own), "red.pem": private(own)}},
			replace: replacePublic,
			refused: "its private half is in red.pem of " + configMap,
		},
		{
			name:    "peers hold the private half alone",
			world:   world{public: map[string]string{"bank.pem": private(own)}},
			refused: "key " + own.Fingerprint().Short() + " is exposed: its private half is in bank.pem of " + configMap + ", and every peer can sign with it; to replace both halves: TYPE --replace",
		},
		{
			name:    "peers hold the private half alone, to be replaced",
			world:   world{public: map[string]string{"bank.pem": private(own)}},
			replace: replacePair,
			want:    []string{newPair, swapped(own)},
		},
		{
			name:    "a key that peers hold the private half of",
			world:   world{public: map[string]string{"red.pem": private(fresh)}},
			refused: "bank: key " + short + " is exposed",
		},
		{
			name: "immutable, to be replaced",
			world: world{secrets: map[string]string{"bank-jws-keys": private(own)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.Object["immutable"] = true
			}},
			replace: replacePair,
			refused: secret + " is immutable",
		},
		{
			name: "verification keys that are owned",
			world: world{public: map[string]string{"other.pem": public(other)}, tweak: func(_ string, obj *unstructured.Unstructured) {
				obj.SetLabels(map[string]string{"argocd.argoproj.io/instance": "hub"})
			}},
			refused: configMap + ` is kept by Argo CD from application "hub", which would undo the change; add bank.pem there`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := pairPlanner{
				rules: newKeyRules(profile), replace: tt.replace, now: time.Unix(0, 0),
				stores: map[string]*keyStore{"mojaloop": tt.world.store()}, verifiers: []string{"mojaloop"},
			}
			steps, err := p.plan([]pairRequest{{
				participant: participant{FSP: "bank", Namespace: "mojaloop", Secret: "bank-jws-keys", File: "jwsSigningKey.pem"},
				New:         func() (*jws.PrivateKey, error) { return fresh, nil }, Command: "TYPE",
			}})
			if tt.refused != "" {
				if err == nil || CodeOf(err) != Refused || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got %v (code %d), want a refusal that says %q", err, CodeOf(err), tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", s.action, nameOfObject(s.object), s.note), ": "))
				if (s.write == nil) != (s.action == unchanged) {
					t.Errorf("%s is %s, but writes: %v", nameOfObject(s.object), s.action, s.write != nil)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanRefusesAllOrNothing plans for several, one of whom cannot have it.
func TestPlanRefusesAllOrNothing(t *testing.T) {
	t.Parallel()
	same := newKey(t, jws.P256)
	request := func(fsp, secret string) pairRequest {
		return pairRequest{
			participant: participant{FSP: fsp, Namespace: "mojaloop", Secret: secret, File: "jwsSigningKey.pem"},
			New:         func() (*jws.PrivateKey, error) { return same, nil }, Command: "TYPE",
		}
	}
	for _, tt := range []struct {
		name     string
		requests []pairRequest
		world    world
		want     []string
	}{
		{
			"every reason",
			[]pairRequest{request("a", "a-jws-keys"), request("b", "b-jws-keys"), request("c", "c-jws-keys")},
			world{secrets: map[string]string{"a-jws-keys": "x", "b-jws-keys": "x"}},
			[]string{"secret/a-jws-keys", "secret/b-jws-keys"},
		},
		{"one Secret for two", []pairRequest{request("Bank", "bank-jws-keys"), request("bank", "bank-jws-keys")}, world{}, []string{"Bank and bank would share secret/bank-jws-keys"}},
		{"one key for two", []pairRequest{request("a", "a-jws-keys"), request("b", "b-jws-keys")}, world{}, []string{"a and b would have one key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := pairPlanner{rules: newKeyRules(nil), stores: map[string]*keyStore{"mojaloop": tt.world.store()}, verifiers: []string{"mojaloop"}}
			steps, err := p.plan(tt.requests)
			if err == nil || CodeOf(err) != Refused || steps != nil {
				t.Fatalf("got %d steps, %v, want a refusal", len(steps), err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
		})
	}
}

// TestSigningSecret reads the Secret as the rule engine does.
func TestSigningSecret(t *testing.T) {
	t.Parallel()
	key := newKey(t, jws.RSA2048)
	now := time.Date(2026, 11, 24, 2, 0, 0, 0, time.FixedZone("x", 3600))
	obj := signingSecret(&participant{FSP: "bank", Namespace: "mojaloop", Secret: "bank-jws-keys", File: "k"}, key, now)
	if got, want := obj.GetAnnotations()[v1alpha1.AnnotationKeySince], key.Fingerprint().String()+"@2026-11-24T01:00:00Z"; got != want {
		t.Errorf("got since %q, want %q", got, want)
	}
	text, _ := dataOf(obj, "k")
	set, err := crypto.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	if facts, _ := set.SigningKey(); facts.Fingerprint != key.Fingerprint() || facts.Encoding != crypto.PKCS1 {
		t.Errorf("got %v, want %v in PKCS#1", facts, key.Fingerprint())
	}
	odd := signingSecret(&participant{FSP: "_x_", Secret: "x", File: "k"}, key, now)
	if got := odd.GetLabels(); got[v1alpha1.LabelDFSP] != "" {
		t.Errorf("got labels %v, want none that the API server refuses", got)
	}
}

// TestOperations writes the JSON Patch for what was read.
func TestOperations(t *testing.T) {
	t.Parallel()
	v := verificationKeys{kind: kindOf("", "ConfigMap"), live: fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`)}
	changes := []entryChange{{name: "a/b~c.pem", value: []byte("new")}}
	want := []operation{
		{"test", "/data", nil},
		{"add", "/data", map[string]any{}},
		{"test", "/data/a~1b~0c.pem", nil},
		{"add", "/data/a~1b~0c.pem", "new"},
	}
	if diff := cmp.Diff(want, v.operations(changes)); diff != "" {
		t.Errorf("ConfigMap without data (-want +got):\n%s", diff)
	}
	v = verificationKeys{kind: kindOf("", "Secret"), live: fromYAML(t, `{apiVersion: v1, kind: Secret, metadata: {name: x}, data: {x.pem: b2xk}}`)}
	changes = []entryChange{{name: "x.pem", value: []byte("new"), old: []byte("old")}}
	want = []operation{{"test", "/data/x.pem", "b2xk"}, {"add", "/data/x.pem", "bmV3"}}
	if diff := cmp.Diff(want, v.operations(changes)); diff != "" {
		t.Errorf("Secret (-want +got):\n%s", diff)
	}
	v = verificationKeys{kind: kindOf("", "ConfigMap"), live: fromYAML(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {y.pem: y}, binaryData: {x.pem: b2xk}}`)}
	want = []operation{{"test", "/binaryData/x.pem", "b2xk"}, {"remove", "/binaryData/x.pem", nil}, {"add", "/data/x.pem", "new"}}
	if diff := cmp.Diff(want, v.operations(changes)); diff != "" {
		t.Errorf("ConfigMap with binary data (-want +got):\n%s", diff)
	}
}
