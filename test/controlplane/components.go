package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1" // of Service default/kubernetes
	podRange     = "10.244.0.0/16"
	// webhookClient is the common name of the certificate that the API server
	// shows to webhooks that ask for one; ControlPlane.CA signed it.
	webhookClient = "kube-apiserver"
)

// auditPolicy records who did what, without contents; the audit annotations of
// webhooks are in these records.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: Metadata
`

const admissionConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: MutatingAdmissionWebhook
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: WebhookAdmissionConfiguration
      kubeConfigFile: %[1]s
  - name: ValidatingAdmissionWebhook
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: WebhookAdmissionConfiguration
      kubeConfigFile: %[1]s
`

// component is a program of the control plane and the URL that tells when it
// is ready.
type component struct {
	command Command
	ready   string
}

// ports are free when they are picked; another program may take one before its
// component does, which start notices.
type ports struct{ etcd, etcdPeer, apiServer, controllerManager, scheduler, kwok int }

func (c *ControlPlane) etcd(p ports) component {
	client, peer := loopback("http", p.etcd), loopback("http", p.etcdPeer)
	return component{
		command: Command{Name: "etcd", Path: c.binaries.Etcd, Args: []string{
			"--data-dir=" + c.path("etcd"),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
			"--unsafe-no-fsync", // the data do not outlive the process
			"--log-level=warn",
		}},
		ready: client + "/readyz",
	}
}

func (c *ControlPlane) apiServer(p ports) component {
	args := []string{
		"--etcd-servers=" + loopback("http", p.etcd),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + strconv.Itoa(p.apiServer),
		"--cert-dir=" + c.path("run"),
		"--tls-cert-file=" + c.path("pki", "apiserver.crt"), "--tls-private-key-file=" + c.path("pki", "apiserver.key"),
		"--client-ca-file=" + c.path("pki", "ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.path("pki", "sa.pub"),
		"--service-account-signing-key-file=" + c.path("pki", "sa.key"),
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", // besides the defaults, as kubeadm has it
		"--admission-control-config-file=" + c.path("admission.yaml"),
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none", // nobody connects through Service kubernetes
	}
	if c.options.Audit {
		args = append(args, "--audit-policy-file="+c.path("audit-policy.yaml"), "--audit-log-path="+c.AuditLog())
	}
	return component{
		command: Command{Name: "kube-apiserver", Path: c.binaries.APIServer, Args: append(args, c.options.APIServerFlags...)},
		ready:   loopback("https", p.apiServer) + "/readyz",
	}
}

// clients are the components that talk to the API server.
func (c *ControlPlane) clients(p ports) []component {
	return []component{
		{
			command: Command{Name: "kube-controller-manager", Path: c.binaries.ControllerManager, Args: []string{
				"--kubeconfig=" + c.path("kube-controller-manager.kubeconfig"),
				"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(p.controllerManager), "--cert-dir=" + c.path("run"),
				"--leader-elect=false",
				"--use-service-account-credentials=true",
				"--service-account-private-key-file=" + c.path("pki", "sa.key"),
				"--root-ca-file=" + c.path("pki", "ca.crt"),
				"--cluster-signing-cert-file=" + c.path("pki", "ca.crt"), "--cluster-signing-key-file=" + c.path("pki", "ca.key"),
				"--kube-api-qps=500", "--kube-api-burst=1000", // as far as two cores go
			}},
			ready: loopback("https", p.controllerManager) + "/healthz",
		},
		{
			command: Command{Name: "kube-scheduler", Path: c.binaries.Scheduler, Args: []string{
				"--kubeconfig=" + c.path("kube-scheduler.kubeconfig"),
				"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(p.scheduler), "--cert-dir=" + c.path("run"),
				"--leader-elect=false",
				"--kube-api-qps=500", "--kube-api-burst=1000",
			}},
			ready: loopback("https", p.scheduler) + "/healthz",
		},
		{
			command: Command{Name: "kwok", Path: c.binaries.Kwok, Args: []string{
				"--kubeconfig=" + c.path("kwok.kubeconfig"),
				"--config=" + c.binaries.Stages,
				"--manage-all-nodes", "--node-lease-duration-seconds=40",
				"--cidr=" + podRange,
				"--server-address=127.0.0.1:" + strconv.Itoa(p.kwok),
			}},
			ready: loopback("http", p.kwok) + "/healthz",
		},
	}
}

// writeFiles writes what the components read. The ports must be known.
func (c *ControlPlane) writeFiles() error {
	if err := c.authority.writePKI(c.path("pki"), serviceIP); err != nil {
		return err
	}
	if err := c.writeWebhookKubeconfig(c.path("webhooks.kubeconfig")); err != nil {
		return err
	}
	admission := fmt.Sprintf(admissionConfiguration, c.path("webhooks.kubeconfig"))
	if err := os.WriteFile(c.path("admission.yaml"), []byte(admission), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	if err := c.WriteKubeconfig(c.Kubeconfig(), admin.name, admin.groups...); err != nil {
		return err
	}
	for file, u := range map[string]user{
		"kube-controller-manager": {name: "system:kube-controller-manager"},
		"kube-scheduler":          {name: "system:kube-scheduler"},
		"kwok":                    {name: "kwok", groups: admin.groups},
	} {
		if err := c.WriteKubeconfig(c.path(file+".kubeconfig"), u.name, u.groups...); err != nil {
			return err
		}
	}
	return nil
}

func (c *ControlPlane) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func loopback(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }
