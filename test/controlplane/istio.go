package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const (
	istioNamespace = "istio-system"
	istiodUser     = "system:serviceaccount:istio-system:istiod"
	// The webhook configurations that istiod fills with its certificate
	// authority.
	istioInjector         = "istio-sidecar-injector"
	istioValidator        = "istio-validator-" + istioNamespace
	istioDefaultValidator = "istiod-default-validator" // of objects without a revision
	// istiodAddress stands in the rendered charts for the address of istiod.
	istiodAddress = "https://localhost:15017"
)

var istioModule = module{
	name: "istio",
	programs: []program{
		{name: "pilot-discovery", pkg: "istio.io/istio/pilot/cmd/pilot-discovery", ldflags: stripped},
		{name: "charts", pkg: "./charts", ldflags: stripped},
	},
	inputs: []string{"charts/main.go"},
	extra:  renderCharts,
}

// renderCharts writes the output of the program that was just built. The
// program is 80 MB and not needed again.
func renderCharts(ctx context.Context, _, dir string) error {
	program := filepath.Join(dir, "charts")
	out, err := output(ctx, program)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "charts.yaml"), out, 0o644); err != nil {
		return err
	}
	return os.Remove(program)
}

// istio is what a start of istiod needs again at the next one.
type istio struct {
	charts  []byte
	istiod  component
	process *Process
}

// startIstio installs Istio's charts, runs istiod and returns when it injects
// and validates. The Deployment istiod of the chart is there too, on fake
// nodes; the webhooks point to the real process.
func (c *ControlPlane) startIstio(ctx context.Context) error {
	charts, err := os.ReadFile(c.binaries.IstioCharts)
	if err != nil {
		return err
	}
	free, err := freePorts(6)
	if err != nil {
		return err
	}
	webhooks := free[0]
	if err := c.WriteKubeconfig(c.path("istiod.kubeconfig"), istiodUser, "system:serviceaccounts"); err != nil {
		return err
	}
	if err := os.MkdirAll(c.IstioCACerts(), 0o700); err != nil {
		return err
	}
	address := func(i int) string { return "127.0.0.1:" + strconv.Itoa(free[i]) }
	c.istio = &istio{
		charts: bytes.ReplaceAll(charts, []byte(istiodAddress), fmt.Appendf(nil, "https://localhost:%d", webhooks)),
		istiod: component{
			command: Command{
				Name: "istiod", Path: c.binaries.Pilot, Dir: c.path("run"),
				Args: []string{
					"discovery", "--kubeconfig=" + c.path("istiod.kubeconfig"),
					"--httpsAddr=" + address(0), "--httpAddr=" + address(1), "--grpcAddr=" + address(2),
					"--secureGRPCAddr=" + address(3), "--monitoringAddr=" + address(4),
					"--ctrlz_address=127.0.0.1", "--ctrlz_port=" + strconv.Itoa(free[5]),
				},
				Env: []string{
					"POD_NAME=istiod", "POD_NAMESPACE=" + istioNamespace, "SERVICE_ACCOUNT=istiod", "REVISION=default", "CLUSTER_ID=Kubernetes",
					"PILOT_CERT_PROVIDER=istiod", "ISTIOD_CUSTOM_HOST=localhost", "ROOT_CA_DIR=" + c.IstioCACerts(),
					"INJECTION_WEBHOOK_CONFIG_NAME=" + istioInjector, "VALIDATION_WEBHOOK_CONFIG_NAME=" + istioValidator,
				},
			},
			ready: "http://" + address(1) + "/ready",
		},
	}
	return c.runIstio(ctx)
}

// RestartIstio ends istiod, applies its charts again, as an upgrade does, and
// returns when a new istiod injects and validates.
func (c *ControlPlane) RestartIstio(ctx context.Context) error {
	if c.istio == nil {
		return errors.New("restart Istio: the control plane was started without it")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("istio is not ready after %s", startTimeout))
	defer cancel()
	if err := c.istio.process.Stop(); err != nil {
		return err
	}
	return c.runIstio(ctx)
}

func (c *ControlPlane) runIstio(ctx context.Context) (err error) {
	if err := Apply(ctx, c.Config, c.istio.charts); err != nil {
		return c.blame(fmt.Errorf("install Istio: %w", err))
	}
	if c.istio.process, err = c.processes.Start(c.istio.istiod.command); err != nil {
		return err
	}
	if err := c.istio.process.WaitReady(ctx, c.istio.istiod.ready); err != nil {
		return c.blame(err)
	}
	if err := c.waitIstio(ctx); err != nil {
		return c.blame(err)
	}
	return nil
}

// IstioCACerts returns the directory from which istiod takes a certificate
// authority of the user's own, and takes it anew when it changes. It stands for
// the mount of Secret cacerts: ca-cert.pem, ca-key.pem, cert-chain.pem,
// root-cert.pem.
func (c *ControlPlane) IstioCACerts() string { return c.path("cacerts") }

// waitIstio returns when the API server uses istiod: a pod gets its sidecar,
// and the validation has ended its start, in which it admits everything.
func (c *ControlPlane) waitIstio(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	last := "nothing was tried"
	err = wait.PollUntilContextCancel(ctx, 2*pollEvery, true, func(ctx context.Context) (bool, error) {
		for _, name := range []string{istioValidator, istioDefaultValidator} {
			validator, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			for _, w := range validator.Webhooks {
				if len(w.ClientConfig.CABundle) == 0 || *w.FailurePolicy != admissionregistrationv1.Fail {
					last = "istiod has not set up " + w.Name
					return false, nil
				}
			}
		}
		pod, err := client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "probe", Labels: map[string]string{"sidecar.istio.io/inject": "true"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe"}}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			last = err.Error()
			return false, nil
		}
		last = "a pod gets no sidecar"
		return HasSidecar(pod), nil
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("wait for Istio: %s: %w", last, err)
	}
	return nil
}

// HasSidecar says whether Istio injected its proxy, which is a container or,
// on nodes that know those, a native sidecar.
func HasSidecar(pod *corev1.Pod) bool {
	isProxy := func(c corev1.Container) bool { return c.Name == "istio-proxy" }
	return slices.ContainsFunc(pod.Spec.Containers, isProxy) || slices.ContainsFunc(pod.Spec.InitContainers, isProxy)
}
