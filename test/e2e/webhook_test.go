package e2e

import (
	"context"
	"io"
	"os"
	"os/exec"

	"github.com/mojasec/mojasec/test/webhook"
)

// installWebhook builds mojasec and installs it.
func (c *cluster) installWebhook(ctx context.Context) (*webhook.Webhook, error) {
	w, err := webhook.New(ctx, c.Cluster, c.ControlPlane.Processes(), c.dir)
	if err != nil {
		return nil, err
	}
	w.Flags = []string{"--ca-settle", "2s", "--ca-drain", "2s"} // they hurry with certificates
	return w, c.install(ctx, w)
}

// install starts two replicas with the rights of their ServiceAccount, and does
// what a user does: kubectl mojasec install.
func (c *cluster) install(ctx context.Context, w *webhook.Webhook) error {
	if err := w.Rights(ctx); err != nil {
		return err
	}
	for range 2 {
		if _, err := w.Start(ctx); err != nil {
			return err
		}
	}
	return w.Install(ctx, io.Discard)
}

// mojasec is a command of the plugin.
func (c *cluster) mojasec(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.webhook.Plugin, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "NO_COLOR=1")
	return cmd
}
