// Command charts prints what Istio's charts install, for an istiod that runs
// outside the cluster: its webhooks are at https://localhost:15017, which
// whoever applies the output replaces by the real address. The definitions of
// Istio's kinds are left out.
package main

import (
	"fmt"
	"os"
	"strings"

	"istio.io/istio/operator/pkg/helm"
	"istio.io/istio/operator/pkg/values"
)

const (
	namespace = "istio-system"
	settings  = `
spec:
  values:
    base:
      validationURL: https://localhost:15017/validate
    istiodRemote:
      injectionURL: https://localhost:15017/inject
    defaultRevision: default
    autoscaleEnabled: false
`
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

func run() error {
	settings, err := values.MapFromYaml([]byte(settings))
	if err != nil {
		return err
	}
	fmt.Printf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n", namespace)
	for _, chart := range []struct{ release, path string }{
		{release: "istio-base", path: "base"},
		{release: "istiod", path: "istio-control/istio-discovery"},
	} {
		manifests, _, err := helm.Render(chart.release, namespace, chart.path, settings, nil)
		if err != nil {
			return fmt.Errorf("render chart %s: %w", chart.path, err)
		}
		for _, m := range manifests {
			if m.GetKind() != "CustomResourceDefinition" {
				fmt.Printf("---\n%s\n", strings.TrimSpace(m.Content))
			}
		}
	}
	return nil
}
