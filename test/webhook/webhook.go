// Package webhook runs mojasec's webhook as real processes beside a control
// plane of package controlplane: several replicas behind a balancer, with the
// rights that the manifests give them, installed as a user installs it. Tests,
// the demo and the benchmark use it.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/manifests"
	"github.com/mojasec/mojasec/test/controlplane"
)

// tokenLife is how long the token of the processes is valid.
const tokenLife = 12 * time.Hour

// Webhook is a set of replicas behind a balancer.
type Webhook struct {
	// Balancer is what API servers call.
	Balancer *controlplane.Balancer
	// Binary and Plugin are the programs under test.
	Binary, Plugin string
	// Kubeconfig is that of the webhook's ServiceAccount.
	Kubeconfig string
	// Flags are given to replicas that are started from now on.
	Flags []string

	cluster   *controlplane.Cluster
	processes *controlplane.Processes
	replicas  []*Replica
	started   int
}

// Replica is one process.
type Replica struct {
	*controlplane.Process
	// Addresses of its listeners, host:port.
	Serve, Health, Metrics string
}

// Build makes the programs in a directory.
func Build(ctx context.Context, dir string) (webhook, plugin string, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/mojasec/mojasec").Output()
	if err != nil {
		return "", "", fmt.Errorf("find the module: %w", err)
	}
	webhook, plugin = filepath.Join(dir, "webhook"), filepath.Join(dir, "kubectl-mojasec")
	for bin, pkg := range map[string]string{webhook: "./cmd/webhook", plugin: "./cmd/kubectl-mojasec"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-C", strings.TrimSpace(string(root)), "-trimpath", "-ldflags", "-s -w", "-o", bin, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return webhook, plugin, nil
}

// New builds the programs and prepares a cluster for replicas, see
// [Webhook.Rights]. The caller calls Close.
func New(ctx context.Context, cluster *controlplane.Cluster, processes *controlplane.Processes, dir string) (*Webhook, error) {
	w := &Webhook{cluster: cluster, processes: processes, Kubeconfig: filepath.Join(dir, "webhook.kubeconfig")}
	var err error
	if w.Binary, w.Plugin, err = Build(ctx, dir); err != nil {
		return nil, err
	}
	if err := w.Rights(ctx); err != nil {
		return nil, err
	}
	if w.Balancer, err = controlplane.NewBalancer(); err != nil {
		return nil, err
	}
	return w, nil
}

// fieldManager is that of the plugin, in whose place Rights applies.
const fieldManager = client.FieldOwner("kubectl-mojasec")

// Rights gives the webhook its namespace, kinds and rights, as install does, but
// no webhook configurations: processes need rights before they can answer, and
// install waits for their answer. A mesh without a root namespace gets none.
func (w *Webhook) Rights(ctx context.Context) error {
	objs, err := manifests.Render(manifests.Options{Overlay: manifests.URL})
	if err != nil {
		return err
	}
	c, err := client.New(w.cluster.Config, client.Options{})
	if err != nil {
		return err
	}
	for _, o := range objs {
		if o.GroupVersionKind().Group == "admissionregistration.k8s.io" {
			continue
		}
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), fieldManager, client.ForceOwnership)
		if apierrors.IsNotFound(err) {
			continue // the mesh has no root namespace: install leaves this out too
		}
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return ServiceAccountKubeconfig(ctx, w.cluster, manifests.Namespace, "mojasec-webhook", w.Kubeconfig)
}

// ServiceAccountKubeconfig writes a kubeconfig with a token of a ServiceAccount.
func ServiceAccountKubeconfig(ctx context.Context, cluster *controlplane.Cluster, namespace, name, file string) error {
	c, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		return err
	}
	token, err := c.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLife / time.Second))},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make a token of %s/%s: %w", namespace, name, err)
	}
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["c"] = &clientcmdapi.Cluster{Server: cluster.Config.Host, CertificateAuthorityData: cluster.Config.CAData}
	cfg.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	cfg.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	cfg.CurrentContext = "c"
	return clientcmd.WriteToFile(*cfg, file)
}

// Start runs one more replica and returns when the balancer sends it
// connections.
func (w *Webhook) Start(ctx context.Context, flags ...string) (*Replica, error) {
	r, err := w.Run(flags...)
	if err != nil {
		return nil, err
	}
	if err := r.WaitReady(ctx, r.Ready()); err != nil {
		return nil, err
	}
	w.Add(r)
	return r, w.Balancer.WaitReady(ctx, len(w.replicas))
}

// Run starts a replica that need not become ready and that nobody calls.
func (w *Webhook) Run(flags ...string) (*Replica, error) {
	return w.RunAs(w.Kubeconfig, slices.Concat([]string{"--serving-host", "127.0.0.1", "--drain-delay", "2s"}, w.Flags, flags)...)
}

// RunAs is Run with the rights of a kubeconfig and these flags only.
func (w *Webhook) RunAs(kubeconfig string, flags ...string) (*Replica, error) {
	addresses, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	r := &Replica{Serve: addresses[0], Health: addresses[1], Metrics: addresses[2]}
	args := append([]string{
		"--kubeconfig", kubeconfig, "--webhook-address", r.Serve, "--health-address", r.Health, "--metrics-address", r.Metrics,
	}, flags...)
	r.Process, err = w.processes.Start(controlplane.Command{Name: "webhook-" + strconv.Itoa(w.started), Path: w.Binary, Args: args})
	w.started++
	return r, err
}

// Ready is the URL that answers 200 when the replica can answer reviews.
func (r *Replica) Ready() string { return "http://" + r.Health + "/readyz" }

// Add puts a replica behind the balancer.
func (w *Webhook) Add(r *Replica) {
	w.replicas = append(w.replicas, r)
	w.Balancer.Add(controlplane.Backend{Address: r.Serve, Ready: r.Ready()})
}

// Drop takes a replica away from the balancer. Its open connections stay.
func (w *Webhook) Drop(r *Replica) {
	w.Balancer.Remove(r.Serve)
	w.replicas = slices.DeleteFunc(w.replicas, func(o *Replica) bool { return o == r })
}

// Replicas are those behind the balancer.
func (w *Webhook) Replicas() []*Replica { return slices.Clone(w.replicas) }

// Install does what a user does: kubectl mojasec install, with more flags. Its
// output goes to out.
func (w *Webhook) Install(ctx context.Context, out io.Writer, flags ...string) error {
	args := append([]string{"install", "--yes", "--url", "https://" + w.Balancer.Address()}, flags...)
	cmd := exec.CommandContext(ctx, w.Plugin, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.Kubeconfig)
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(out, &errs)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install: %w\n%s", err, &errs)
	}
	return nil
}

// Stop ends all replicas and leaves the balancer without one.
func (w *Webhook) Stop() error {
	var errs []error
	for _, r := range w.Replicas() {
		w.Drop(r)
		errs = append(errs, r.Stop())
	}
	return errors.Join(errs...)
}

// Close ends everything.
func (w *Webhook) Close() error { return errors.Join(w.Stop(), w.Balancer.Close()) }

// freeAddresses finds different free ports on loopback.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // held until all are found, so that none is found twice
		out = append(out, l.Addr().String())
	}
	return out, nil
}
