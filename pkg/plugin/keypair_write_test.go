package plugin

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// inMemoryJWS are options for a cluster in memory, with what they print.
func inMemoryJWS(t *testing.T, client *fake.FakeDynamicClient, replace replacement, targets ...string) (o *GenerateJWSOptions, stdout, stderr *bytes.Buffer) {
	t.Helper()
	parsed, err := ParseTargets(targets)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &GenerateJWSOptions{Kind: jws.P256, secretOptions: inMemory(client, replace, parsed, stdout, stderr)}, stdout, stderr
}

// redPair is a signing Secret of DFSP red, and what its peers hold.
func redPair(t *testing.T) (secret, configMap *unstructured.Unstructured) {
	t.Helper()
	key := newKey(t, jws.P256)
	secret = participantSecret(&participant{FSP: "red", Namespace: "mojaloop", Secret: "red-jws-keys", File: "jwsSigningKey.pem"}, key.MarshalPEM())
	configMap = verificationObject("mojaloop", "mojaloop-jws-verification-keys", map[string][]byte{"red.pem": key.Public().MarshalPEM()})
	return secret, configMap
}

// TestReplaceBinaryData replaces a public half that is in binaryData, where
// `kubectl create configmap --from-file` puts what is no UTF-8.
func TestReplaceBinaryData(t *testing.T) {
	t.Parallel()
	secret, configMap := redPair(t)
	text, _ := dataOf(configMap, "red.pem")
	configMap.Object["data"] = map[string]any{"blue.pem": string(newKey(t, jws.P256).Public().MarshalPEM())}
	configMap.Object["binaryData"] = map[string]any{"red.pem": base64.StdEncoding.EncodeToString(text)}
	client := memoryCluster(secret, configMap)
	o, _, _ := inMemoryJWS(t, client, replacePair, "dfsp/red")
	if err := o.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	live, err := o.read(t.Context(), kindOf("", "ConfigMap"), "mojaloop", configMap.GetName())
	if err != nil {
		t.Fatal(err)
	}
	if binary, _, _ := unstructured.NestedMap(live.Object, "binaryData"); len(binary) > 0 {
		t.Error("the old public half is still there")
	}
	if got := pairs(t, client, "red"); len(got) != 1 {
		t.Errorf("got %v, want the pair of red", got)
	}
}

// TestRehearsal refuses what peers cannot be given before the private half is
// written, with the words of the API server and few calls.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want Code
	}{
		{"refused", apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "x", nil), Failed},
		{"forbidden", apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("no")), Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := memoryCluster(func() []runtime.Object { s, c := redPair(t); return []runtime.Object{s, c} }()...)
			before, calls := secretsOf(t, client), 0
			client.PrependReactor("patch", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
				calls++
				return true, nil, tt.err
			})
			o, _, _ := inMemoryJWS(t, client, replacePair, "dfsp/red")
			err := o.Run(t.Context())
			if CodeOf(err) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %v (code %d), want %v", err, CodeOf(err), tt.err)
			}
			if calls != 1 {
				t.Errorf("tried %d times, want once", calls)
			}
			if after := secretsOf(t, client); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("the private half was replaced all the same")
			}
		})
	}
}

// TestMergeSecretForgets removes the copy that `kubectl apply` made of the old
// key.
func TestMergeSecretForgets(t *testing.T) {
	t.Parallel()
	secret, configMap := redPair(t)
	secret.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: "the old key", "other": "kept"})
	client := memoryCluster(secret, configMap)
	o, _, _ := inMemoryJWS(t, client, replacePair, "dfsp/red")
	if err := o.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	live, err := o.read(t.Context(), kindOf("", "Secret"), "mojaloop", "red-jws-keys")
	if err != nil {
		t.Fatal(err)
	}
	if text, has := live.GetAnnotations()[corev1.LastAppliedConfigAnnotation]; has || live.GetAnnotations()["other"] != "kept" {
		t.Errorf("got last-applied-configuration %q and other %q, want none and kept", text, live.GetAnnotations()["other"])
	}
}

// TestElsewhere names peers elsewhere once, with one command, and only after
// something was written.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	older := newKey(t, jws.P256).Public().MarshalPEM()
	client := memoryCluster(
		verificationObject("east", "mojaloop-jws-verification-keys", map[string][]byte{"red.pem": older}),
		verificationObject("west", "mojaloop-jws-verification-keys", map[string][]byte{"other.pem": older}),
	)
	o, _, stderr := inMemoryJWS(t, client, replaceNothing, "dfsp/red", "dfsp/blue")
	o.Kind = jws.RSA2048
	if err := o.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "peers in east and west do not hold the keys of red and 1 more:  TYPE dfsp/red dfsp/blue -n mojaloop --verifiers-in east,west --apply --replace=public\n"
	if got := stderr.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	o, _, stderr = inMemoryJWS(t, client, replaceNothing, "dfsp/red", "dfsp/blue")
	o.Kind = jws.RSA2048
	if err := o.Run(t.Context()); err != nil || stderr.String() != "" {
		t.Errorf("typed again: got %q, %v, want nothing", stderr, err)
	}
}

// TestNotesWithoutAPlan prints what a plan would have said where none is shown.
func TestNotesWithoutAPlan(t *testing.T) {
	t.Parallel()
	for _, dryRun := range []string{dryRunNone, dryRunClient, dryRunServer} {
		secret, configMap := redPair(t)
		text, _ := dataOf(configMap, "red.pem")
		old, _ := held(text)
		o, stdout, _ := inMemoryJWS(t, memoryCluster(secret, configMap), replacePair, "dfsp/red")
		o.DryRun = dryRun
		if err := o.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{", instead of " + old.Fingerprint.Short() + "; pods sign with the old one until they restart\n", ": replace red.pem (" + old.Fingerprint.Short() + ")\n"} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("--dry-run=%s: got %q, want %q in it", dryRun, stdout, want)
			}
		}
	}
}

// TestGenerateInterrupted ends at a signal: at once, with nothing written that
// was not there before it.
func TestGenerateInterrupted(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name  string
		tweak func(o *GenerateJWSOptions)
	}{
		{"to the cluster", func(*GenerateJWSOptions) {}},
		{"manifests", func(o *GenerateJWSOptions) { o.Apply, o.Output = false, "yaml" }},
		{"files", func(o *GenerateJWSOptions) { o.Apply, o.Dir = false, t.TempDir()+"/keys" }},
	} {
		client := memoryCluster()
		o, stdout, _ := inMemoryJWS(t, client, replaceNothing, "dfsp/red")
		o.Kind = jws.RSA4096
		tt.tweak(o)
		err := o.Run(over)
		if CodeOf(err) != Interrupted {
			t.Errorf("%s: got %v (code %d), want code %d", tt.name, err, CodeOf(err), Interrupted)
		}
		if stdout.Len() > 0 || len(secretsOf(t, client)) > 0 || len(filesBelow(t, o.Dir)) > 0 && o.Dir != "" {
			t.Errorf("%s: something was written", tt.name)
		}
	}
}

// TestInterruptedBetweenWrites does not begin the next write.
func TestInterruptedBetweenWrites(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	client := memoryCluster()
	client.PrependReactor("create", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		cancel()
		return false, nil, nil
	})
	o, _, _ := inMemoryJWS(t, client, replaceNothing, "dfsp/red", "dfsp/blue")
	err := o.Run(ctx)
	if CodeOf(err) != Interrupted || !strings.Contains(err.Error(), "for the rest type the command again") {
		t.Errorf("got %v (code %d), want code %d", err, CodeOf(err), Interrupted)
	}
	if got := secretsOf(t, client); len(got) != 1 {
		t.Errorf("got %d Secrets, want 1", len(got))
	}
}

// TestGenerateILPSecretReadsSecretsOnly needs no right on ConfigMaps.
func TestGenerateILPSecretReadsSecretsOnly(t *testing.T) {
	t.Parallel()
	client := memoryCluster()
	client.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New(`User "x" cannot list resource "configmaps" in API group "" in the namespace "mojaloop"`))
	})
	if stdout, err := generateILP(t, client, replaceNothing, "dfsp/red"); err != nil || !strings.Contains(stdout, "created") {
		t.Errorf("got %q, %v, want it done", stdout, err)
	}
}

// TestSuggestionsKeepFlags repeats what was typed.
func TestSuggestionsKeepFlags(t *testing.T) {
	t.Parallel()
	flags := GenerateJWSFlags{Algorithm: "p-256", secretFlags: newSecretFlags(genericiooptions.NewTestIOStreamsDiscard())}
	flags.Out = t.TempDir()
	o, err := flags.ToOptions([]string{"dfsp/red"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.again(&participant{Namespace: "mojaloop"}, "dfsp/red"), displayName+" generate jws --algorithm p-256 dfsp/red -n mojaloop --apply"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
