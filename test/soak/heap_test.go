package soak

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/test/fixtures"
	"github.com/mojasec/mojasec/test/webhook"
)

// planted are the secrets to be searched for, by where they were put.
type planted map[string]string

// text makes a secret of 60 bytes: a multiple of three, so that its base64 form
// is the same wherever in a value it stands.
func (p planted) text(where string) string {
	s := fmt.Sprintf("planted-%03d-", len(p))
	s += fixtures.RandomSecret()[:60-len(s)]
	p[where] = s
	return s
}

// large makes a secret of n times 60 bytes. A quarter of it in one place is
// searched for: Go does not clear the end of a slot that a shorter object gets, up
// to an eighth of it, so a few bytes of what was there before are in every dump.
func (p planted) large(where string, n int) string {
	s := p.text(where)
	p[where] = strings.Repeat(s, max(1, n/4))
	return strings.Repeat(s, n)
}

// key makes a private key. What of it is searched for is the middle of its PEM.
func (p planted) key(where string) []byte {
	pem := fixtures.NewKeyPair().Private
	p[where] = strings.Split(string(pem), "\n")[1]
	return pem
}

// found lists the secrets that are in a memory, in any form.
func (p planted) found(memory []byte) (out []string) {
	for where, text := range p {
		encoded := base64.StdEncoding.EncodeToString([]byte(text))
		for form, s := range map[string]string{"plain": text, "base64": strings.TrimRight(encoded, "=")[:len(encoded)-4], "hex": hex.EncodeToString([]byte(text))} {
			if bytes.Contains(memory, []byte(s)) {
				out = append(out, where+" ("+form+")")
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestHeapHoldsNoSecret plants secrets wherever a webhook gets to see them: in a
// namespace it follows, in pods it keeps, and in reviews that it admits or
// refuses. Some time later, in which the cluster went on, none of them is in the
// live memory of the process.
func TestHeapHoldsNoSecret(t *testing.T) {
	const ns = "soak-heap"
	dump, control := filepath.Join(t.TempDir(), "heap"), filepath.Join(t.TempDir(), "control")
	kept := planted{}
	if err := os.WriteFile(control, []byte(kept.text("kept on purpose")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MOJASEC_SOAK_DUMP", dump)
	t.Setenv("MOJASEC_SOAK_KEEP", control)
	t.Setenv("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "1") // 30 by default: for so long a timer holds a connection that was closed
	r := world.replicas(t, world.faulty, 1)[0]

	secrets := planted{}
	world.namespace(t, ns)
	world.create(t, followedSecrets(ns, secrets)...)
	world.setMode(t, ns, "enforce")
	reviewedSecrets(t, ns, secrets)

	// The cluster goes on. What came last over a connection is there until that
	// is replaced: a minute at most, and some time to close.
	//
	// Go does not clear memory that it gives back to itself, so that now and then
	// one value outlives its buffer in a slot that something else got. A leak
	// shows as many: all that came over a connection, all that was reviewed.
	const within, settled, stale = 3 * time.Minute, 90 * time.Second, 2
	began := time.Now()
	var memory []byte
	for {
		goOn(t, 2*time.Second)
		memory = heapOf(t, r, dump)
		left := secrets.found(memory)
		t.Logf("after %s: %d MB of live memory, %d of %d secrets in it: %q", time.Since(began).Round(time.Second), len(memory)>>20, len(left), len(secrets), left[:min(3, len(left))])
		if len(left) == 0 || time.Since(began) > settled && len(left) <= stale {
			break
		}
		if time.Since(began) > within {
			t.Fatalf("%s after they were seen last, these are in memory: %q", within, left)
		}
	}
	if len(kept.found(memory)) == 0 {
		t.Error("what is kept on purpose was not found: the search is blind")
	}
	for _, name := range []string{ns, "watched-secret-7"} {
		if !bytes.Contains(memory, []byte(name)) {
			t.Errorf("the dump does not have %q: the process does not know what was planted", name)
		}
	}
	log, err := os.ReadFile(r.Log())
	if err != nil {
		t.Fatal(err)
	}
	if left := secrets.found(log); len(left) > 0 {
		t.Errorf("the log has %q", left)
	}
}

// followedSecrets are what is in a namespace when the webhook begins to follow
// it.
func followedSecrets(ns string, secrets planted) (objs []client.Object) {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	for i := range 20 {
		s := &corev1.Secret{ObjectMeta: meta(fmt.Sprintf("watched-secret-%d", i)), Data: map[string][]byte{
			"ILP_SECRET":        []byte(secrets.text(fmt.Sprintf("ILP secret %d", i))),
			"jwsSigningKey.pem": secrets.key(fmt.Sprintf("signing key %d", i)),
			"large":             []byte(secrets.large(fmt.Sprintf("large secret %d", i), 200)),
		}}
		s.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"data":"` + secrets.text(fmt.Sprintf("annotation of a Secret %d", i)) + `"}`}
		objs = append(objs, s)
	}
	objs = append(objs, &corev1.ConfigMap{ObjectMeta: meta("watched-config"), Data: map[string]string{
		"ILP_SECRET": secrets.text("ILP secret in a ConfigMap"), "key.pem": string(secrets.key("key in a ConfigMap")),
		"default.json": `{"ILP_SECRET":"` + secrets.text("ILP secret in the JSON of a ConfigMap") + `"}`,
	}})
	for i, name := range []string{"bare", "counted-1"} {
		p := fixtures.In(ns, sdkPod(name))
		if i == 1 {
			p.GenerateName = "counted-"
		}
		p.Spec.SchedulerName, p.Spec.ServiceAccountName = "nobody", "default"
		box := &p.Spec.Containers[0]
		p.Labels["dfsp"], box.Env[0].Value = "heap", "heap"
		box.Env[1].Value = "false" // nobody is to hold its key: other pods go on
		box.Env = slices.DeleteFunc(box.Env, func(e corev1.EnvVar) bool { return e.Name == "ILP_SECRET" })
		box.Env = append(box.Env,
			corev1.EnvVar{Name: "ILP_SECRET", Value: secrets.text("ILP secret in a pod, " + name)},
			corev1.EnvVar{Name: "JWS_KEY", Value: string(secrets.key("key in a pod, " + name))},
			corev1.EnvVar{Name: "DB_PASSWORD", Value: secrets.text("password in a pod, " + name)},
		)
		box.Command, box.Args = []string{"node", "server.js"}, []string{"--ilpSecret=" + secrets.text("secret in arguments, "+name)}
		p.Annotations = map[string]string{"example.org/token": secrets.text("annotation of a pod, " + name)}
		objs = append(objs, p)
	}
	return objs
}

// reviewedSecrets sends secrets through the API server: some are admitted, some
// refused.
func reviewedSecrets(t *testing.T, ns string, secrets planted) {
	t.Helper()
	for i := range 20 {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("reviewed-%d", i)}, Data: map[string][]byte{
			"value": []byte(secrets.large(fmt.Sprintf("reviewed Secret %d", i), 1+20*i)),
		}}
		if err := world.client.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		key := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("refused-%d", i)}, Data: map[string]string{
			"key.pem": string(secrets.key(fmt.Sprintf("key in a refused ConfigMap %d", i))),
		}}
		if err := world.client.Create(t.Context(), key); !refusedBy(err, "private-key-in-clear") {
			t.Errorf("a ConfigMap with a private key: got %v, want a refusal", err)
		} else if left := secrets.found([]byte(err.Error())); len(left) > 0 {
			t.Errorf("the refusal has %q", left)
		}
		pod := sdkPod(fmt.Sprintf("refused-%d", i))
		pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env,
			corev1.EnvVar{Name: "KEY", Value: string(secrets.key(fmt.Sprintf("key in a refused pod %d", i)))},
			corev1.EnvVar{Name: "ILP_SECRET", Value: secrets.text(fmt.Sprintf("literal in a refused pod %d", i))},
		)
		if err := world.client.Create(t.Context(), pod); !refusedBy(err, "private-key-in-clear") {
			t.Errorf("a pod with a private key: got %v, want a refusal", err)
		} else if left := secrets.found([]byte(err.Error())); len(left) > 0 {
			t.Errorf("the refusal has %q", left)
		}
	}
}

// goOn is a cluster at work: pods come.
func goOn(t *testing.T, d time.Duration) {
	t.Helper()
	good := sdkPod("go-on")
	for began := time.Now(); time.Since(began) < d; {
		if err := world.client.Create(t.Context(), good.DeepCopy(), client.DryRunAll); err != nil {
			t.Fatalf("a good pod: %v", err)
		}
		pause(t, 20*time.Millisecond)
	}
}

// heapOf has a process collect its garbage and write what is left.
func heapOf(t *testing.T, r *webhook.Replica, dump string) []byte {
	t.Helper()
	if err := os.Remove(dump); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := r.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	var memory []byte
	world.eventually(t, "a dump", func(context.Context) (bool, string) {
		var err error
		memory, err = os.ReadFile(dump)
		return err == nil, fmt.Sprint(err)
	})
	return memory
}
