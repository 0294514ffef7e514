package istio

import (
	"context"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/pkg/envconf"

	"github.com/mojasec/mojasec/test/controlplane"
)

// envIstio names the variable that asks for these tests, besides that of the
// control plane.
const envIstio = "MOJASEC_ISTIO"

var (
	environment = controlplane.NewEnvironment(controlplane.Options{Nodes: 1, Istio: true})
	// world is what the tests share: it is ready before the first of them.
	world *cluster
)

func TestMain(m *testing.M) {
	if os.Getenv(controlplane.EnvCluster) == "" || os.Getenv(envIstio) == "" {
		fmt.Println("skip test/istio: it needs a control plane with Istio; run make test-istio")
		return
	}
	if err := os.Unsetenv(clientcmd.RecommendedConfigPathEnvVar); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	environment.Setup(func(ctx context.Context, _ *envconf.Config) (_ context.Context, err error) {
		world, err = newCluster(ctx, environment.Cluster())
		return ctx, err
	})
	environment.Finish(func(ctx context.Context, _ *envconf.Config) (context.Context, error) {
		if world == nil {
			return ctx, nil
		}
		return ctx, world.stop()
	})
	os.Exit(environment.Run(m))
}
