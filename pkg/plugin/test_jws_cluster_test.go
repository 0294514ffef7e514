package plugin

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/controlplane"
	"github.com/mojasec/mojasec/test/kubelet"
)

// TestJWSThroughARealAPIServer asks pods of a real cluster, whose node is one
// that forwards ports. The API server speaks WebSockets to the command.
func TestJWSThroughARealAPIServer(t *testing.T) {
	controlplane.NeedCluster(t)
	cluster := controlplane.StartForTest(t, controlplane.Options{Nodes: 1})
	cfg, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(cfg)
	ctx := t.Context()

	// What the pods are is made for the fake cluster; here it becomes real.
	keys := generateKeys(t, 2)
	made := newPodCluster(t)
	current := map[string]*jws.PublicKey{"perffsp-1": keys[0].Public()}
	made.addSDK("perffsp-1", keys[0], jws.Keys{}, nil, nil)
	made.addSDK("good", keys[1], jws.Keys(current), current, nil)
	made.addSDK("stale", keys[1], jws.Keys{"perffsp-1": keys[1].Public()}, current, nil)
	made.addSDK("closed", keys[1], jws.Keys{}, current, nil)
	delete(made.listeners, "closed-sdk-0:4000")

	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pod, ok := strings.CutPrefix(r.URL.Path, "/portForward/mojaloop/")
		if !ok {
			http.NotFound(w, r)
			return
		}
		kubelet.Forward(w, r, func(port string) (net.Conn, error) {
			if address := made.listeners[pod+":"+port]; address != "" {
				return net.Dial("tcp", address)
			}
			return nil, errors.New("connection refused")
		}, nil)
	}))
	defer node.Close()
	defer node.CloseClientConnections()
	at, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	status, err := json.Marshal(map[string]any{"status": map[string]any{
		"addresses":       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": port}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Nodes().Patch(ctx, "node-1", types.MergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mojaloop"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ServiceAccounts("mojaloop").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Log(err) // the controller manager was quicker
	}
	for _, list := range made.lists {
		for _, obj := range list {
			obj.(metav1.Object).SetResourceVersion("")
			obj.(metav1.Object).SetUID("")
			switch o := obj.(type) {
			case *corev1.Pod:
				o.Spec.NodeName = "node-1"
				_, err = client.CoreV1().Pods(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
			case *corev1.Secret:
				_, err = client.CoreV1().Secrets(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
			case *corev1.ConfigMap:
				_, err = client.CoreV1().ConfigMaps(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}

	deadline := time.Now().Add(time.Minute)
	var a *jwsAnswer
	var code Code
	for {
		a, _, code = runJWS(t, "dfsp/perffsp-1", "--kubeconfig", cluster.Kubeconfig(), "-n", "mojaloop")
		pending := 0
		for _, v := range a.Verifiers {
			if strings.HasPrefix(v.Reason, "the pod is ") {
				pending++
			}
		}
		if pending == 0 && len(a.Verifiers) == 3 || time.Now().After(deadline) {
			break
		}
	}
	want := map[string]string{"good": keys[0].Fingerprint().Short(), "stale": "not this key", "closed": "not available"}
	for _, v := range a.Verifiers {
		if v.Holds != want[v.DFSP] {
			t.Errorf("%s: got %s (%s), want %s", v.Name, v.Holds, v.Reason, want[v.DFSP])
		}
		delete(want, v.DFSP)
	}
	if code != Findings || len(want) > 0 {
		t.Errorf("got code %d, want %d; not asked: %v", code, Findings, want)
	}

	// Without the right to forward ports it says which right is missing.
	file := t.TempDir() + "/kubeconfig"
	if err := cluster.WriteKubeconfig(file, "eve", "readers"); err != nil {
		t.Fatal(err)
	}
	if out, err := cluster.Kubectl(ctx, "create", "clusterrole", "reader", "--verb=get,list", "--resource=pods,secrets,configmaps,replicationcontrollers").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := cluster.Kubectl(ctx, "create", "clusterrolebinding", "reader", "--clusterrole=reader", "--group=readers").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a, _, code = runJWS(t, "dfsp/perffsp-1", "--kubeconfig", file, "-n", "mojaloop", "--peers", "dfsp/good")
	if code != Incomplete || len(a.Verifiers) != 1 || !strings.Contains(a.Verifiers[0].Hint, "pods/portforward") {
		t.Errorf("without the right: got code %d and %+v", code, a)
		for _, v := range a.Verifiers {
			t.Errorf("%+v", v)
		}
	}
}
