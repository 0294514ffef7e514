package controlplane

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Clients of tests are not to wait for each other.
const clientQPS, clientBurst = 1000, 2000

// admin is who holds every right: group system:masters is cluster-admin.
var admin = user{name: "admin", groups: []string{"system:masters"}}

type user struct {
	name   string
	groups []string
}

// User returns a configuration for a user with these groups, through a client
// certificate. The user has the rights that RBAC gives; group system:masters
// has all.
func (c *ControlPlane) User(name string, groups ...string) (*rest.Config, error) {
	pair, err := c.authority.client(name, groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: c.url,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.authority.pem, CertData: pair.certificate, KeyData: pair.key,
		},
		QPS: clientQPS, Burst: clientBurst,
	}, nil
}

// WriteKubeconfig writes a kubeconfig for a user with these groups to a file
// that only its owner can read.
func (c *ControlPlane) WriteKubeconfig(file, name string, groups ...string) error {
	pair, err := c.authority.client(name, groups...)
	if err != nil {
		return err
	}
	const cluster = "mojasec"
	config := clientcmdapi.NewConfig()
	config.Clusters[cluster] = &clientcmdapi.Cluster{Server: c.url, CertificateAuthorityData: c.authority.pem}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}
	config.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: name}
	config.CurrentContext = cluster
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("write the kubeconfig of %q: %w", name, err)
	}
	return nil
}

// writeWebhookKubeconfig writes the file from which the API server takes the
// certificate that it shows to webhooks, whatever their address.
func (c *ControlPlane) writeWebhookKubeconfig(file string) error {
	pair, err := c.authority.client(webhookClient)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.AuthInfos["*"] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}
	return clientcmd.WriteToFile(*config, file)
}
