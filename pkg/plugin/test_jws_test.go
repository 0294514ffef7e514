package plugin

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/kubelet"
)

// podCluster is an API server with a few objects, and the node of its pods.
type podCluster struct {
	*httptest.Server
	t *testing.T
	// lists are by path.
	lists map[string][]runtime.Object
	// listeners are where the ports of pods are, by "pod:port".
	listeners map[string]string
	// forbidden are pods that may not be forwarded to.
	forbidden map[string]bool
}

func newPodCluster(t *testing.T) *podCluster {
	t.Helper()
	c := &podCluster{t: t, lists: map[string][]runtime.Object{"/api/v1/namespaces": {namespaceNamed("mojaloop")}}, listeners: map[string]string{}, forbidden: map[string]bool{}}
	c.Server = httptest.NewUnstartedServer(c)
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.StartTLS()
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

func (c *podCluster) add(obj runtime.Object) {
	m := obj.(metav1.Object)
	var resource, kind string
	switch obj.(type) {
	case *corev1.Pod:
		resource, kind = "pods", "Pod"
	case *corev1.Secret:
		resource, kind = "secrets", "Secret"
	case *corev1.ConfigMap:
		resource, kind = "configmaps", "ConfigMap"
	default:
		c.t.Fatalf("%T is not served", obj)
	}
	obj.GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	m.SetResourceVersion("1")
	path := "/api/v1/namespaces/" + m.GetNamespace() + "/" + resource
	c.lists[path] = append(c.lists[path], obj)
}

func (c *podCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if pod, ok := strings.CutSuffix(r.URL.Path, "/portforward"); ok {
		c.forward(w, r, filepath.Base(pod))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			c.t.Error(err)
		}
	}
	for _, obj := range c.lists[filepath.Dir(r.URL.Path)] {
		if obj.(metav1.Object).GetName() == filepath.Base(r.URL.Path) {
			write(obj)
			return
		}
	}
	kinds := map[string]string{
		"pods": "PodList", "secrets": "SecretList", "configmaps": "ConfigMapList", "replicationcontrollers": "ReplicationControllerList",
		"deployments": "DeploymentList", "statefulsets": "StatefulSetList", "daemonsets": "DaemonSetList", "replicasets": "ReplicaSetList",
		"jobs": "JobList", "cronjobs": "CronJobList",
	}
	if kind := kinds[filepath.Base(r.URL.Path)]; kind != "" {
		version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/"), "/namespaces/")
		write(map[string]any{"kind": kind, "apiVersion": version, "metadata": map[string]string{"resourceVersion": "1"}, "items": append([]runtime.Object{}, c.lists[r.URL.Path]...)})
		return
	}
	w.WriteHeader(http.StatusNotFound)
	write(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
}

func (c *podCluster) forward(w http.ResponseWriter, r *http.Request, pod string) {
	if c.forbidden[pod] {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
			"message":"pods %q is forbidden: User \"eve\" cannot create resource \"pods/portforward\" in API group \"\" in the namespace \"mojaloop\""}`, pod)
		return
	}
	kubelet.Forward(w, r, func(port string) (net.Conn, error) {
		address := c.listeners[pod+":"+port]
		if address == "" {
			return nil, errors.New("connection refused")
		}
		return net.Dial("tcp", address)
	}, nil)
}

// flags leads a command line to the cluster.
func (c *podCluster) flags() []string {
	return []string{"--server", c.URL, "--insecure-skip-tls-verify", "-n", "mojaloop"}
}

// fakeSDK answers as an adapter that holds some keys.
type fakeSDK struct {
	mu   sync.Mutex
	keys jws.Keys
	off  bool
	// sources are who sent something.
	sources []string
}

func (s *fakeSDK) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	received, signature, err := jws.Received(map[string][]string(r.Header), body)
	if err == nil {
		s.sources = append(s.sources, received.Source)
		received.Method, received.URI = r.Method, r.URL.Path
		_, err = s.keys.Verify(received, signature)
	}
	w.WriteHeader(http.StatusBadRequest)
	if err != nil && !s.off {
		_, _ = io.WriteString(w, `{"errorInformation":{"errorCode":"3105","errorDescription":"Invalid signature"}}`)
		return
	}
	_, _ = io.WriteString(w, `{"errorInformation":{"errorCode":"3102","errorDescription":"Missing element"}}`)
}

// addSDK adds a DFSP with one pod that holds keys, in memory and mounted.
func (c *podCluster) addSDK(dfsp string, own *jws.PrivateKey, inMemory jws.Keys, mounted map[string]*jws.PublicKey, tweak func(*corev1.Pod)) *fakeSDK {
	sdk := &fakeSDK{keys: inMemory}
	server := httptest.NewServer(sdk)
	c.t.Cleanup(server.Close)
	name := dfsp + "-sdk-0"
	c.listeners[name+":4000"] = server.Listener.Addr().String()
	files := map[string]string{}
	for fsp, key := range mounted {
		files[fsp+".pem"] = string(key.MarshalPEM())
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "mojaloop", UID: types.UID("u-" + dfsp), Labels: map[string]string{"dfsp": dfsp, "component": "sdk-scheme-adapter"}},
		Spec: corev1.PodSpec{
			NodeName: "node-1",
			Volumes: []corev1.Volume{
				{Name: "key", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: dfsp + "-jws-keys"}}},
				{Name: "peers", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: dfsp + "-peers"}}}},
			},
			Containers: []corev1.Container{{
				Name: "sdk", Image: "mojaloop/sdk-scheme-adapter:v24.0.0",
				Env: []corev1.EnvVar{
					{Name: "DFSP_ID", Value: dfsp},
					{Name: "JWS_SIGNING_KEY_PATH", Value: "/secrets/jwsSigningKey.pem"},
					{Name: "JWS_VERIFICATION_KEYS_DIRECTORY", Value: "/peers"},
				},
				VolumeMounts: []corev1.VolumeMount{{Name: "key", MountPath: "/secrets"}, {Name: "peers", MountPath: "/peers"}},
			}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if tweak != nil {
		tweak(pod)
	}
	c.add(pod)
	c.add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: dfsp + "-peers", Namespace: "mojaloop"}, Data: files})
	if own != nil {
		c.add(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: dfsp + "-jws-keys", Namespace: "mojaloop", CreationTimestamp: metav1.NewTime(time.Now())},
			Data:       map[string][]byte{"jwsSigningKey.pem": own.MarshalPEM()},
		})
	}
	return sdk
}

func generateKeys(t *testing.T, n int) []*jws.PrivateKey {
	t.Helper()
	var out []*jws.PrivateKey
	for range n {
		key, err := jws.GenerateKey(jws.P256, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, key)
	}
	return out
}

func runJWS(t *testing.T, args ...string) (*jwsAnswer, string, Code) {
	t.Helper()
	stdout, stderr, code := run(t, append([]string{"test", "jws", "-o", "json"}, args...)...)
	a := &jwsAnswer{}
	if err := json.Unmarshal([]byte(stdout), a); err != nil {
		t.Fatalf("%v in %q (stderr %q)", err, stdout, stderr)
	}
	return a, stderr, code
}

func TestJWSOfPods(t *testing.T) {
	t.Parallel()
	keys := generateKeys(t, 3)
	own, before, other := keys[0], keys[1], keys[2]
	current := map[string]*jws.PublicKey{"perffsp-1": own.Public()}
	old := map[string]*jws.PublicKey{"perffsp-1": before.Public()}

	c := newPodCluster(t)
	signer := c.addSDK("perffsp-1", own, jws.Keys{}, nil, nil)
	c.addSDK("good", other, jws.Keys(current), current, nil)
	c.addSDK("stale", other, jws.Keys(old), current, nil)
	c.addSDK("wrong", other, jws.Keys(old), old, nil)
	c.addSDK("none", other, jws.Keys{}, nil, nil)
	c.addSDK("ahead", other, jws.Keys(current), old, nil)
	c.addSDK("blind", other, jws.Keys{}, current, nil).off = true
	c.addSDK("off", other, jws.Keys{}, current, func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "VALIDATE_INBOUND_JWS", Value: "false"})
	})
	c.addSDK("pending", other, jws.Keys{}, current, func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending })
	c.addSDK("ended", other, jws.Keys{}, current, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	c.addSDK("closed", other, jws.Keys{}, current, nil)
	delete(c.listeners, "closed-sdk-0:4000")
	c.addSDK("forbidden", other, jws.Keys(current), current, nil)
	c.forbidden["forbidden-sdk-0"] = true
	c.addSDK("tls", other, jws.Keys(current), current, func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "INBOUND_MUTUAL_TLS_ENABLED", Value: "true"})
	})
	c.addSDK("port", other, jws.Keys(current), current, func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "INBOUND_LISTEN_PORT", Value: "4711"})
	})
	c.listeners["port-sdk-0:4711"] = c.listeners["port-sdk-0:4000"]
	delete(c.listeners, "port-sdk-0:4000")

	a, stderr, code := runJWS(t, append([]string{"dfsp/perffsp-1"}, c.flags()...)...)
	if code != Findings {
		t.Errorf("got code %d, want %d (%s)", code, Findings, stderr)
	}
	if len(a.Sources) != 1 || a.Sources[0].Key != own.Fingerprint().String() || a.Sources[0].From != "Secret mojaloop/perffsp-1-jws-keys, jwsSigningKey.pem" {
		t.Errorf("got sources %+v, want perffsp-1 with its key", a.Sources)
	}
	want := map[string]struct {
		status         status
		holds          string
		reason, hinted string
	}{
		"ahead":     {statusFailed, own.Fingerprint().Short(), "ConfigMap mojaloop/ahead-peers has another key, " + before.Fingerprint().Short(), "generate jws dfsp/perffsp-1"},
		"blind":     {statusFailed, "anything", "accepts a signature that is wrong", "VALIDATE_INBOUND_JWS=true"},
		"closed":    {statusUnknown, "not available", "connection refused", ""},
		"forbidden": {statusUnknown, "not available", "cannot create resource", "ask for a role"},
		"good":      {statusPassed, own.Fingerprint().Short(), "", ""},
		"none":      {statusFailed, "not this key", "no perffsp-1.pem is mounted in it", "generate jws"},
		"off":       {statusSkipped, "not asked", "VALIDATE_INBOUND_JWS is off", ""},
		"pending":   {statusUnknown, "not available", "the pod is Pending", "wait"},
		"port":      {statusPassed, own.Fingerprint().Short(), "", ""},
		"stale":     {statusFailed, "not this key", "ConfigMap mojaloop/stale-peers has the current key, but the pod has not read it", "kubectl delete pod stale-sdk-0 -n mojaloop"},
		"tls":       {statusUnknown, "not available", "mutual TLS of its own", "--cert FILE"},
		"wrong":     {statusFailed, "not this key", "ConfigMap mojaloop/wrong-peers has another key, " + before.Fingerprint().Short(), "generate jws"},
	}
	for _, v := range a.Verifiers {
		w, ok := want[v.DFSP]
		if !ok {
			t.Errorf("%s was asked", v.Name)
			continue
		}
		delete(want, v.DFSP)
		if v.Status != w.status || v.Holds != w.holds || !strings.Contains(v.Reason, w.reason) || !strings.Contains(v.Hint, w.hinted) || (w.reason == "") != (v.Reason == "") {
			t.Errorf("%s: got %s, holds %q, reason %q, hint %q; want %+v", v.DFSP, v.Status, v.Holds, v.Reason, v.Hint, w)
		}
	}
	for dfsp := range want {
		t.Errorf("%s is not in the answer", dfsp)
	}
	if len(signer.sources) > 0 {
		t.Error("the DFSP's own pod was asked")
	}

	stdout, _, code := run(t, append([]string{"test", "jws", "dfsp/perffsp-1", "--color=never", "--peers", "dfsp/good,dfsp/stale"}, c.flags()...)...)
	for _, line := range []string{
		"perffsp-1 signs with key " + own.Fingerprint().Short() + " (ES256) from Secret mojaloop/perffsp-1-jws-keys, jwsSigningKey.pem\n",
		"√ mojaloop/good-sdk-0   good",
		"× mojaloop/stale-sdk-0  stale",
		"    → kubectl delete pod stale-sdk-0 -n mojaloop\n",
		"1 failed, 1 passed\n",
		"note: what the pods of a source sign with",
	} {
		if !strings.Contains(stdout, line) {
			t.Errorf("got\n%s\nwant %q in it", stdout, line)
		}
	}
	if code != Findings {
		t.Errorf("got code %d, want %d", code, Findings)
	}
	for peers, want := range map[string]Code{"dfsp/good": Good, "dfsp/good,dfsp/closed": Incomplete, "dfsp/off": Incomplete, "dfsp/nobody": Incomplete, "all": Findings} {
		if _, _, code := runJWS(t, append([]string{"dfsp/perffsp-1", "--peers", peers}, c.flags()...)...); code != want {
			t.Errorf("--peers %s: got code %d, want %d", peers, code, want)
		}
	}
}

func TestJWSSources(t *testing.T) {
	t.Parallel()
	keys := generateKeys(t, 2)
	c := newPodCluster(t)
	both := map[string]*jws.PublicKey{"one": keys[0].Public(), "two": keys[1].Public()}
	c.addSDK("one", keys[0], jws.Keys(both), both, nil)
	c.addSDK("two", keys[1], jws.Keys(both), both, nil)
	c.addSDK("external", nil, jws.Keys(both), both, func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "PM4ML_ENABLED", Value: "true"})
	})
	c.addSDK("lost", nil, jws.Keys(both), both, nil)

	a, _, code := runJWS(t, append([]string{"dfsp/{one,two}"}, c.flags()...)...)
	if code != Good || len(a.Sources) != 2 || a.Summary[statusPassed] != 6 {
		t.Errorf("two targets: got code %d and %+v, want two sources and six who hold their keys", code, a)
	}
	for target, want := range map[string]string{
		"dfsp/external": "its key comes from the connection manager",
		"dfsp/lost":     "there is no such Secret",
		"dfsp/nobody":   "nobody signs as dfsp/nobody in namespace mojaloop",
		"hub":           "nobody signs as hub",
	} {
		a, _, code := runJWS(t, append([]string{target}, c.flags()...)...)
		if code != Incomplete || len(a.Sources) != 1 || !strings.Contains(a.Sources[0].Problem, want) {
			t.Errorf("%s: got code %d and %+v, want %d and %q", target, code, a.Sources, Incomplete, want)
		}
	}
	if a, _, code := runJWS(t, append([]string{"--all-dfsps"}, c.flags()...)...); code != Incomplete || len(a.Sources) != 4 {
		t.Errorf("all: got code %d and %d sources, want %d and 4", code, len(a.Sources), Incomplete)
	}
}

// TestJWSOfTheHub covers services of the hub that verify: they have ports and
// resources of their own.
func TestJWSOfTheHub(t *testing.T) {
	t.Parallel()
	keys := generateKeys(t, 2)
	current := map[string]*jws.PublicKey{"one": keys[0].Public()}
	c := newPodCluster(t)
	c.addSDK("one", keys[0], jws.Keys{}, nil, nil)
	hub := func(validate string) func(p *corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Labels = map[string]string{"app.kubernetes.io/name": "quoting-service", "pod-template-hash": "5d9"}
			controller := true
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "quoting-service-5d9", UID: "x", Controller: &controller}}
			s := &p.Spec.Containers[0]
			s.Name, s.Image, s.Ports = "quoting-service", "mojaloop/quoting-service:v17.0.0", []corev1.ContainerPort{{ContainerPort: 3099}}
			s.Env = []corev1.EnvVar{
				{Name: "QUOTE_ENDPOINT_SECURITY__JWS__JWS_VALIDATE", Value: validate},
				{Name: "QUOTE_ENDPOINT_SECURITY__JWS__JWS_VERIFICATION_KEYS_DIRECTORY", Value: "/peers"},
			}
		}
	}
	c.addSDK("stale", nil, jws.Keys{"one": keys[1].Public()}, current, hub("true"))
	c.addSDK("off", nil, jws.Keys{}, current, hub("false"))
	c.listeners["stale-sdk-0:3099"] = c.listeners["stale-sdk-0:4000"]
	for _, peers := range []string{"all", "hub", "deploy/quoting-service"} {
		a, _, code := runJWS(t, append([]string{"dfsp/one", "--peers", peers}, c.flags()...)...)
		if code != Findings || len(a.Verifiers) != 1 {
			t.Fatalf("--peers %s: got code %d and %+v, want one service that holds another key", peers, code, a)
		}
		v := a.Verifiers[0]
		if v.Component != "quoting-service" || v.Answer != "holds-another" || v.Hint != "kubectl rollout restart deployment/quoting-service -n mojaloop" {
			t.Errorf("--peers %s: got %+v, want the restart of the Deployment", peers, v)
		}
	}
}

// TestCommandsToType tries what the commands and the documentation of testing
// tell people to type.
func TestCommandsToType(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{
		displayName + " generate jws dfsp/one --replace=public --apply", displayName + " generate jws hub --apply", displayName + " keys list -A",
		displayName + " keys show dfsp/one", displayName + " keys export-public dfsp/one", displayName + " verify --only private-key-in-clear",
	}
	text := strings.ReplaceAll(string(page), "\\\n", "")
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if strings.HasPrefix(line, displayName+" ") {
			lines = append(lines, line)
		}
	}
	if len(lines) < 10 {
		t.Errorf("got %d commands of docs/testing.md: this test proves nothing", len(lines))
	}
	for _, line := range lines {
		if err := exists(strings.Fields(strings.TrimPrefix(line, displayName))); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestJWSSigners covers pods that started before their key was changed.
func TestJWSSigners(t *testing.T) {
	t.Parallel()
	key := generateKeys(t, 1)[0]
	mounted := map[string]*jws.PublicKey{"one": key.Public()}
	c := newPodCluster(t)
	c.addSDK("one", key, jws.Keys{}, nil, func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "sdk", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().Add(-time.Hour))}},
		}}
	})
	secret := c.lists["/api/v1/namespaces/mojaloop/secrets"][0].(*corev1.Secret)
	secret.Annotations = map[string]string{policy.AnnotationKeySince: key.Fingerprint().String() + "@" + time.Now().UTC().Format(time.RFC3339)}
	c.addSDK("two", nil, jws.Keys(mounted), mounted, nil)
	a, _, code := runJWS(t, append([]string{"dfsp/one"}, c.flags()...)...)
	if code != Good || len(a.Notes) == 0 {
		t.Fatalf("got code %d and notes %q", code, a.Notes)
	}
	if len(a.Notes) != 2 || !strings.Contains(a.Notes[0], "one-sdk-0 started before this key came into use") {
		t.Errorf("got notes %q, want that one-sdk-0 signs with the key before", a.Notes)
	}
}

func TestJWSOfAnEndpoint(t *testing.T) {
	t.Parallel()
	keys := generateKeys(t, 2)
	dir := t.TempDir()
	file := filepath.Join(dir, "one.key")
	if err := os.WriteFile(file, keys[0].MarshalPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		keys jws.Keys
		want Code
		says string
	}{
		"holds":   {jws.Keys{"one": keys[0].Public()}, Good, keys[0].Fingerprint().Short()},
		"another": {jws.Keys{"one": keys[1].Public()}, Findings, "not this key"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(&fakeSDK{keys: tt.keys})
			defer server.Close()
			for _, args := range [][]string{{"dfsp/one", "--key", file}, {"--source", "one", "--key", file}} {
				a, stderr, code := runJWS(t, append(args, "--url", server.URL)...)
				if code != tt.want || len(a.Verifiers) != 1 || a.Verifiers[0].Holds != tt.says || stderr != "" {
					t.Errorf("got code %d and %+v, want %d and %q (%s)", code, a, tt.want, tt.says, stderr)
				}
			}
		})
	}
	if _, _, code := runJWS(t, "dfsp/one", "--key", file, "--url", "http://127.0.0.1:1"); code != Incomplete {
		t.Errorf("nobody there: got code %d, want %d", code, Incomplete)
	}
	// The key of the cluster, an endpoint outside.
	c := newPodCluster(t)
	c.addSDK("one", keys[0], jws.Keys{}, nil, nil)
	server := httptest.NewServer(&fakeSDK{keys: jws.Keys{"one": keys[0].Public()}})
	defer server.Close()
	if a, _, code := runJWS(t, append([]string{"dfsp/one", "--url", server.URL}, c.flags()...)...); code != Good {
		t.Errorf("key of the cluster: got code %d and %+v", code, a)
	}
}

func TestJWSUsage(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                                      "whose key? name a target",
		"perffsp-1":                             "type:  kubectl mojasec test jws dfsp/perffsp-1",
		"sing":                                  "did you mean sign?",
		"dfsp/a --bogus":                        "unknown flag --bogus",
		"dfsp/a --all-dfsps":                    "--all-dfsps and targets",
		"dfsp/{a,b} --key x":                    "--key has the key of one target",
		"hub --key x":                           "name the FSP with --source",
		"dfsp/a --source b":                     "--source goes with --key",
		"dfsp/a --url nowhere":                  "want http://HOST:PORT",
		"dfsp/a --url http://a:1 --peers hub":   "want one of them",
		"dfsp/a --destination b":                "--destination goes with --url",
		"dfsp/a --port 70000":                   "--port 70000",
		"dfsp/a --cert x":                       "--cert and --key-tls go together",
		"dfsp/a -o table -n A":                  "no name of a namespace",
		"dfsp/a -f x":                           "cannot be read from manifests",
		"dfsp/a --key -":                        "from a file only",
		"dfsp/a --peers x":                      `target "x"`,
		"sign":                                  "which key?",
		"sign --key k":                          "who sends?",
		"sign --key k --source a":               "where to?",
		"sign --key k --source a --uri /quotes": "which body?",
		"sign --key - --source a --uri /q --body -":                    "from a file only",
		"sign --key k --source a --uri /q --body - -o curl":            "want the whole URL",
		"sign --key k --source a --uri /q --body - --date yesterday":   "want a date as in HTTP",
		"sign --key k --source a --uri /q --body - --date x --no-date": "want one of them",
		"sign --key k --source a --uri /q --body - -o xml":             `unknown format "xml"`,
		"verify":                               "whose keys?",
		"verify --keys d":                      "which message?",
		"verify --keys d --headers - --body -": "standard input is one of them only",
		"verify --keys d --headers - -o xml":   `unknown format "xml"`,
		"verify x":                             "takes no argument",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := run(t, append([]string{"test", "jws"}, strings.Fields(line)...)...)
			if code != Usage || !strings.Contains(stderr, want) {
				t.Errorf("got code %d and %q, want %d and %q", code, stderr, Usage, want)
			}
			stdout, _, _ := run(t, append(append([]string{"test", "jws"}, strings.Fields(line)...), "-o", "json")...)
			if !json.Valid([]byte(stdout)) || !strings.Contains(stdout, `"error"`) {
				t.Errorf("-o json: got %q, want one document", stdout)
			}
		})
	}
}
