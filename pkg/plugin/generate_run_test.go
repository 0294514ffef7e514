package plugin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
)

// memoryCluster is a cluster in memory, which takes merge and JSON patches as the
// API server does. What it does not do, such as two writers at a time, is tried
// on a real one.
func memoryCluster(objs ...runtime.Object) *fake.FakeDynamicClient {
	kinds := map[schema.GroupVersionResource]string{}
	for kind, r := range resources {
		kinds[r.GroupVersionResource] = kind.Kind + "List"
	}
	objs = append(objs, newObject(kindOf("", kindNamespace), "", "mojaloop"))
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objs...)
	client.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return isDryRun(action), &unstructured.Unstructured{}, nil
	})
	return client
}

// isDryRun tells whether a call is to change nothing.
func isDryRun(action clienttesting.Action) bool {
	switch a := action.(type) {
	case clienttesting.CreateActionImpl:
		return len(a.CreateOptions.DryRun) > 0
	case clienttesting.PatchActionImpl:
		return len(a.PatchOptions.DryRun) > 0
	}
	return false
}

// generateJWS runs the command against a cluster in memory.
func generateJWS(t *testing.T, client *fake.FakeDynamicClient, replace replacement, targets ...string) (stdout string, err error) {
	t.Helper()
	parsed, err := ParseTargets(targets)
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	o := &GenerateJWSOptions{Kind: jws.P256, secretOptions: inMemory(client, replace, parsed, &out, &errOut)}
	material := canariesOf(t, client)
	err = o.Run(t.Context())
	material = append(material, canariesOf(t, client)...)
	lookFor(t, material, out.String(), errOut.String(), fmt.Sprint(err))
	return out.String(), err
}

// generateILP is generateJWS for ILP secrets.
func generateILP(t *testing.T, client *fake.FakeDynamicClient, replace replacement, targets ...string) (stdout string, err error) {
	t.Helper()
	parsed, err := ParseTargets(targets)
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	o := &GenerateILPSecretOptions{inMemory(client, replace, parsed, &out, &errOut)}
	material := canariesOf(t, client)
	err = o.Run(t.Context())
	material = append(material, canariesOf(t, client)...)
	lookFor(t, material, out.String(), errOut.String(), fmt.Sprint(err))
	return out.String(), err
}

func inMemory(client *fake.FakeDynamicClient, replace replacement, targets []Target, out, errOut *bytes.Buffer) *secretOptions {
	return &secretOptions{
		Targets: targets, Namespace: "mojaloop", Apply: true, Replace: replace, Now: time.Unix(0, 0), Command: "TYPE",
		writer: writer{
			cluster:    &cluster{objects: client},
			writeFlags: writeFlags{DryRun: dryRunNone, Yes: true, Timeout: time.Minute},
			IOStreams:  genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: errOut},
		},
	}
}

// canariesOf returns what no output may hold: the lines of all Secrets, as they
// are and in base64.
func canariesOf(t *testing.T, client *fake.FakeDynamicClient) []string {
	t.Helper()
	list, err := client.Tracker().List(resources[kindOf("", "Secret")].GroupVersionResource, kindOf("", "Secret").WithVersion("v1"), "mojaloop")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = meta.EachListItem(list, func(obj runtime.Object) error {
		secret, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("got %T", obj)
		}
		if secret.GetName() == "mojaloop-jws-verification-keys" {
			return nil
		}
		for _, entry := range keysOf(secret) {
			value, _ := dataOf(secret, entry)
			for line := range strings.Lines(string(value)) {
				if line = strings.TrimSpace(line); len(line) > 6 && !strings.HasPrefix(line, "-----") {
					out = append(out, line, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(line)), "="))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func lookFor(t *testing.T, material []string, outputs ...string) {
	t.Helper()
	for _, text := range outputs {
		for _, m := range material {
			if strings.Contains(text, m) {
				t.Errorf("an output holds a secret:\n%s", text)
				return
			}
		}
	}
}

// TestCanariesOfSecrets proves that the tests of this file would notice.
func TestCanariesOfSecrets(t *testing.T) {
	t.Parallel()
	key := newKey(t, jws.P256)
	p := &participant{FSP: "red", Namespace: "mojaloop", Secret: "red-jws-keys", File: "k"}
	found := canariesOf(t, memoryCluster(participantSecret(p, key.MarshalPEM())))
	if len(found) < 4 || !strings.Contains(string(key.MarshalPEM()), found[0]) {
		t.Errorf("got %d canaries, want the lines of the key", len(found))
	}
}

// pairs reads the keys of a cluster and checks that nobody holds a public half
// whose private half is nowhere. It returns the FSPs that are complete.
func pairs(t *testing.T, client *fake.FakeDynamicClient, fsps ...string) (complete []string) {
	t.Helper()
	c := &cluster{objects: client}
	configMap, err := c.read(t.Context(), kindOf("", "ConfigMap"), "mojaloop", "mojaloop-jws-verification-keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, fsp := range fsps {
		secret, err := c.read(t.Context(), kindOf("", "Secret"), "mojaloop", fsp+"-jws-keys")
		if err != nil {
			t.Fatal(err)
		}
		public, has := dataOf(configMap, fsp+".pem")
		private, signs := dataOf(secret, "jwsSigningKey.pem")
		switch {
		case has && !signs:
			t.Errorf("%s: peers hold a key that nobody has", fsp)
		case has:
			key, err := jws.ParsePrivateKey(private)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(key.Public().MarshalPEM(), public) {
				t.Errorf("%s: the halves do not belong together", fsp)
			}
			complete = append(complete, fsp)
		}
	}
	return complete
}

// TestGenerateStopsAnywhere fails each call to the API server in turn, before
// and after it was carried out. Typing the command again completes what was
// begun, and no key that was written is lost.
func TestGenerateStopsAnywhere(t *testing.T) {
	t.Parallel()
	fsps := []string{"red", "blue"}
	failed := 0
	for n := 1; ; n++ {
		for _, carriedOut := range []bool{false, true} {
			client := memoryCluster()
			calls := 0
			var before map[string]any
			client.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if calls++; calls != n {
					return false, nil, nil
				}
				failed++
				if carriedOut && !isDryRun(action) {
					_, _, _ = clienttesting.ObjectReaction(client.Tracker())(action)
				}
				return true, nil, errors.New("connection lost")
			})
			_, err := generateJWS(t, client, replaceNothing, "dfsp/red", "dfsp/blue")
			if n > calls {
				if failed < 10 {
					t.Errorf("%d calls failed: this test proves little", failed)
				}
				return
			}
			before = secretsOf(t, client)
			if err == nil && len(pairs(t, client, fsps...)) != 2 {
				t.Errorf("call %d: no error, but not all is there", n)
			}
			if _, err := generateJWS(t, client, replaceNothing, "dfsp/red", "dfsp/blue"); err != nil {
				t.Errorf("call %d: typed again: %v", n, err)
			}
			if got := pairs(t, client, fsps...); len(got) != 2 {
				t.Errorf("call %d: typed again, got %v", n, got)
			}
			after := secretsOf(t, client)
			for name, data := range before {
				if fmt.Sprint(after[name]) != fmt.Sprint(data) {
					t.Errorf("call %d: %s was written and then replaced", n, name)
				}
			}
			stdout, err := generateJWS(t, client, replaceNothing, "dfsp/red", "dfsp/blue")
			if err != nil || strings.Contains(stdout, "created") || strings.Contains(stdout, "configured") {
				t.Errorf("call %d: a third time: %v\n%s", n, err, stdout)
			}
		}
	}
}

// secretsOf returns the data of all Secrets.
func secretsOf(t *testing.T, client *fake.FakeDynamicClient) map[string]any {
	t.Helper()
	secrets, err := (&cluster{objects: client}).list(t.Context(), kindOf("", "Secret"), "mojaloop", "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, s := range secrets {
		out[s.GetName()] = s.Object["data"]
	}
	return out
}

// TestGenerateBesideOthers lets somebody else write between reading and writing.
func TestGenerateBesideOthers(t *testing.T) {
	t.Parallel()
	other := string(newKey(t, jws.P256).Public().MarshalPEM())
	configMaps := resources[kindOf("", "ConfigMap")].GroupVersionResource
	secrets := resources[kindOf("", "Secret")].GroupVersionResource
	existing := func(entry string) *unstructured.Unstructured {
		return verificationObject("mojaloop", "mojaloop-jws-verification-keys", map[string][]byte{entry: []byte(other)})
	}
	conflict := apierrors.NewConflict(secrets.GroupResource(), "red-jws-keys", errors.New("changed"))
	for _, tt := range []struct {
		name    string
		objs    []runtime.Object
		verb    string
		on      string
		replace replacement
		// meanwhile is what the other one does; the call then fails with err,
		// unless that is nil.
		meanwhile func(t *testing.T, client *fake.FakeDynamicClient) error
		want      Code
	}{
		{
			name: "makes the ConfigMap, for another DFSP", verb: "create", on: "configmaps",
			meanwhile: func(_ *testing.T, client *fake.FakeDynamicClient) error {
				return client.Tracker().Create(configMaps, existing("blue.pem"), "mojaloop")
			},
			want: Good,
		},
		{
			name: "makes the ConfigMap, for the same DFSP", verb: "create", on: "configmaps",
			meanwhile: func(_ *testing.T, client *fake.FakeDynamicClient) error {
				return client.Tracker().Create(configMaps, existing("red.pem"), "mojaloop")
			},
			want: Stopped,
		},
		{
			name: "adds the same DFSP", objs: []runtime.Object{existing("blue.pem")}, verb: "patch", on: "configmaps",
			meanwhile: func(_ *testing.T, client *fake.FakeDynamicClient) error {
				if err := client.Tracker().Update(configMaps, existing("red.pem"), "mojaloop"); err != nil {
					return err
				}
				return apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "x", nil) // a test of JSON Patch that fails
			},
			want: Stopped,
		},
		{
			name: "is admission, which refuses it every time", objs: []runtime.Object{existing("blue.pem")}, verb: "patch", on: "configmaps",
			meanwhile: func(*testing.T, *fake.FakeDynamicClient) error {
				return apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "x", nil)
			},
			want: Failed,
		},
		{
			name: "deletes the ConfigMap", objs: []runtime.Object{existing("blue.pem")}, verb: "patch", on: "configmaps",
			meanwhile: func(_ *testing.T, client *fake.FakeDynamicClient) error {
				if err := client.Tracker().Delete(configMaps, "mojaloop", "mojaloop-jws-verification-keys"); err != nil {
					return nil //nolint:nilerr // once is enough
				}
				return apierrors.NewNotFound(configMaps.GroupResource(), "mojaloop-jws-verification-keys")
			},
			want: Good,
		},
		{
			name: "makes the Secret", verb: "create", on: "secrets",
			meanwhile: func(t *testing.T, client *fake.FakeDynamicClient) error {
				obj := participantSecret(&participant{FSP: "red", Namespace: "mojaloop", Secret: "red-jws-keys", File: "jwsSigningKey.pem"}, newKey(t, jws.P256).MarshalPEM())
				return client.Tracker().Create(secrets, obj, "mojaloop")
			},
			want: Stopped,
		},
		{
			name: "changes the Secret", verb: "patch", on: "secrets", replace: replacePair,
			objs:      []runtime.Object{participantSecret(&participant{FSP: "red", Namespace: "mojaloop", Secret: "red-jws-keys", File: "jwsSigningKey.pem"}, []byte("old"))},
			meanwhile: func(*testing.T, *fake.FakeDynamicClient) error { return conflict },
			want:      Stopped,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := memoryCluster(tt.objs...)
			met := false
			client.PrependReactor(tt.verb, tt.on, func(clienttesting.Action) (bool, runtime.Object, error) {
				met = true
				if err := tt.meanwhile(t, client); err != nil && !apierrors.IsAlreadyExists(err) {
					return true, nil, err
				}
				return false, nil, nil
			})
			_, err := generateJWS(t, client, tt.replace, "dfsp/red")
			if got := CodeOf(err); got != tt.want {
				t.Errorf("got code %d (%v), want %d", got, err, tt.want)
			}
			if !met {
				t.Error("nobody wrote meanwhile: this test proves nothing")
			}
			if tt.want == Good && len(pairs(t, client, "red")) != 1 {
				t.Error("the pair is not there")
			}
		})
	}
}

// TestVerificationSecret adds to the Secret of that name where only that exists.
func TestVerificationSecret(t *testing.T) {
	t.Parallel()
	secret := newObject(kindOf("", "Secret"), "mojaloop", "mojaloop-jws-verification-keys")
	secret.Object["data"] = map[string]any{"blue.pem": base64.StdEncoding.EncodeToString(newKey(t, jws.P256).Public().MarshalPEM())}
	client := memoryCluster(secret)
	stdout, err := generateJWS(t, client, replaceNothing, "dfsp/red")
	if err != nil || !strings.Contains(stdout, "secret/mojaloop-jws-verification-keys in mojaloop configured: add red.pem") {
		t.Fatalf("got %q, %v", stdout, err)
	}
	live, err := (&cluster{objects: client}).read(t.Context(), kindOf("", "Secret"), "mojaloop", secret.GetName())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{"blue.pem", "red.pem"} {
		text, _ := dataOf(live, entry)
		if _, err := jws.ParsePublicKey(text); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
	}
	both := memoryCluster(secret, verificationObject("mojaloop", secret.GetName(), nil))
	if _, err := generateJWS(t, both, replaceNothing, "dfsp/red"); CodeOf(err) != Refused || !strings.Contains(err.Error(), "both a ConfigMap and a Secret") {
		t.Errorf("both: got %v, want a refusal", err)
	}
}

// TestGenerateILPSecret decides on what there can be.
func TestGenerateILPSecret(t *testing.T) {
	t.Parallel()
	const strong = "8f3c1e0d7b6a594837261504fedcba98f0e1d2c3b4a5968778695a4b3c2d1e0f"
	secret := func(fsp, value string) *unstructured.Unstructured {
		return participantSecret(&participant{FSP: fsp, Namespace: "mojaloop", Secret: fsp + "-ilp", File: "ILP_SECRET"}, []byte(value))
	}
	profile := newObject(kindOf(groupMojasec, "Profile"), "", "default")
	profile.Object["spec"] = map[string]any{"publishedSecrets": []any{strong}}
	owned := secret("red", "mojaloop-sdk")
	owned.SetLabels(map[string]string{"reconcile.external-secrets.io/managed": "true"})
	for _, tt := range []struct {
		name    string
		objs    []runtime.Object
		replace replacement
		want    string // of stdout
		refused string
	}{
		{"none", nil, replaceNothing, "secret/red-ilp in mojaloop created: new ILP secret in ILP_SECRET\n", ""},
		{"fit", []runtime.Object{secret("red", strong)}, replaceNothing, "secret/red-ilp in mojaloop unchanged\n", ""},
		{"fit, to be replaced", []runtime.Object{secret("red", strong)}, replacePair, "secret/red-ilp in mojaloop configured: new ILP secret in ILP_SECRET\n", ""},
		{"published", []runtime.Object{secret("red", "  Quaixohyaesahju3thivuiChai5cahng\n")}, replaceNothing, "", "is published: everybody can compute its fulfilments; to replace it: TYPE dfsp/red -n mojaloop --apply --replace"},
		{"published, to be replaced", []runtime.Object{secret("red", "mojaloop-sdk")}, replacePair, "secret/red-ilp in mojaloop configured: new ILP secret in ILP_SECRET\n", ""},
		{"published by the Profile", []runtime.Object{secret("red", strong), profile}, replaceNothing, "", "is published"},
		{"empty", []runtime.Object{secret("red", "")}, replaceNothing, "", "is empty"},
		{"short", []runtime.Object{secret("red", strong[:20])}, replaceNothing, "", "has 20 characters; want at least 32"},
		{"repeats itself", []runtime.Object{secret("red", strings.Repeat("abcdefgh", 8))}, replaceNothing, "", "repeats itself"},
		{"of another", []runtime.Object{secret("red", strong), secret("blue", strong+"\n")}, replaceNothing, "", "is also that of blue"},
		{"owned", []runtime.Object{owned}, replacePair, "", "is kept by External Secrets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := memoryCluster(tt.objs...)
			stdout, err := generateILP(t, client, tt.replace, "dfsp/red")
			if tt.refused != "" {
				if CodeOf(err) != Refused || !strings.Contains(fmt.Sprint(err), tt.refused) {
					t.Errorf("got %v, want a refusal that says %q", err, tt.refused)
				}
				return
			}
			if err != nil || stdout != tt.want {
				t.Fatalf("got %q, %v, want %q", stdout, err, tt.want)
			}
			live, err := (&cluster{objects: client}).read(t.Context(), kindOf("", "Secret"), "mojaloop", "red-ilp")
			if err != nil {
				t.Fatal(err)
			}
			value, _ := dataOf(live, "ILP_SECRET")
			rules := newKeyRules(nil)
			if err := rules.unfitSecret(&keyStore{}, &participant{FSP: "red"}, value); err != nil || len(value) != 64 {
				t.Errorf("got a secret of %d characters that %v", len(value), err)
			}
		})
	}
}

// TestParticipants finds the Secrets that the pods of a cluster read.
func TestParticipants(t *testing.T) {
	t.Parallel()
	deployment := func(name, template string) *unstructured.Unstructured {
		return fromYAML(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: `+name+`, namespace: mojaloop}, spec: {template: {spec: `+template+`}}}`)
	}
	const image = `image: "mojaloop/sdk-scheme-adapter:v24"`
	plain := deployment("plain", `{containers: [{name: c, `+image+`, env: [{name: DFSP_ID, value: plain}]}]}`)
	chart := deployment("chart", `{volumes: [{name: v, secret: {secretName: sim-red}}], containers: [{name: c, `+image+`, volumeMounts: [{name: v, mountPath: /k}], env: [{name: DFSP_ID, value: red}, {name: JWS_SIGNING_KEY_PATH, value: /k/private.key}]}]}`)
	second := deployment("second", `{volumes: [{name: v, secret: {secretName: other-red}}], containers: [{name: c, `+image+`, volumeMounts: [{name: v, mountPath: /k}], env: [{name: DFSP_ID, value: red}, {name: JWS_SIGNING_KEY_PATH, value: /k/private.key}]}]}`)
	external := deployment("external", `{containers: [{name: c, `+image+`, env: [{name: DFSP_ID, value: ext}, {name: PM4ML_ENABLED, value: "true"}]}]}`)
	nameless := deployment("nameless", `{containers: [{name: c, `+image+`}]}`)
	hub := deployment("quoting-service", `{volumes: [{name: jws-signing-key, secret: {secretName: switch, items: [{key: tls.key, path: jwsSigningKey.key}]}}], containers: [{name: quoting-service, image: "mojaloop/quoting-service:v17", volumeMounts: [{name: jws-signing-key, mountPath: /opt/app/secrets}], env: [{name: QUOTE_HUB_PARTICIPANT__NAME, value: Switch}]}]}`)
	for _, tt := range []struct {
		name    string
		objs    []runtime.Object
		targets []string
		tweak   func(o *secretOptions)
		want    string
		refused string
		code    Code
	}{
		{name: "by the Profile", targets: []string{"dfsp/Red", "hub"}, want: "Red red-jws-keys/jwsSigningKey.pem, Hub hub-jws-keys/jwsSigningKey.key"},
		{name: "by the pods", objs: []runtime.Object{plain, chart, hub}, targets: []string{"dfsp/plain", "dfsp/red", "hub"}, want: "plain plain-jws-keys/jwsSigningKey.pem, red sim-red/private.key, Switch switch/tls.key"},
		{name: "a Deployment and its DFSP are one", objs: []runtime.Object{chart}, targets: []string{"deploy/chart", "dfsp/red"}, want: "red sim-red/private.key"},
		{name: "a Deployment of the hub", objs: []runtime.Object{hub}, targets: []string{"deploy/quoting-service"}, want: "Switch switch/tls.key"},
		{name: "all DFSPs", objs: []runtime.Object{plain, chart, hub, external, nameless}, tweak: func(o *secretOptions) { o.AllDFSPs = true }, want: "plain plain-jws-keys/jwsSigningKey.pem, red sim-red/private.key"},
		{name: "no DFSP at all", tweak: func(o *secretOptions) { o.AllDFSPs = true }, refused: "no SDK that tells its DFSP runs in namespace mojaloop", code: Refused},
		{name: "a name", objs: []runtime.Object{chart}, targets: []string{"dfsp/red"}, tweak: func(o *secretOptions) { o.SecretName = "mine" }, want: "red mine/jwsSigningKey.pem"},
		{name: "two Secrets", objs: []runtime.Object{chart, second}, targets: []string{"dfsp/red"}, refused: "the workloads read different Secrets", code: Refused},
		{name: "one of two Secrets", objs: []runtime.Object{chart, second}, targets: []string{"dfsp/red"}, tweak: func(o *secretOptions) { o.SecretName = "other-red" }, want: "red other-red/private.key"},
		{name: "keys from elsewhere", objs: []runtime.Object{external}, targets: []string{"dfsp/ext"}, refused: "PM4ML_ENABLED", code: Refused},
		{name: "no such Deployment", targets: []string{"deploy/x"}, refused: "there is no such Deployment", code: Refused},
		{name: "a Deployment that does not say who it is", objs: []runtime.Object{nameless}, targets: []string{"deploy/nameless"}, refused: "set DFSP_ID", code: Refused},
		{name: "no name of a Secret", targets: []string{"dfsp/Big_Bank"}, refused: "--secret-name", code: Usage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			targets, err := ParseTargets(tt.targets)
			if err != nil {
				t.Fatal(err)
			}
			var out, errOut bytes.Buffer
			o := inMemory(memoryCluster(tt.objs...), replaceNothing, targets, &out, &errOut)
			if tt.tweak != nil {
				tt.tweak(o)
			}
			rules := newKeyRules(nil)
			what := &purpose{noun: "signing key", pattern: rules.JWS.SecretName, file: rules.JWS.KeyFile, hubFile: hubKeyFile, places: policy.SigningKeyPlaces}
			who, err := o.participants(t.Context(), what, "")
			if tt.refused != "" {
				if CodeOf(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.refused) {
					t.Errorf("got %v (code %d), want code %d and %q", err, CodeOf(err), tt.code, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range who.entries {
				got = append(got, e.FSP+" "+e.Secret+"/"+e.File)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
