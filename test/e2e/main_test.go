package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"sigs.k8s.io/e2e-framework/pkg/envconf"

	"github.com/mojasec/mojasec/test/controlplane"
)

var (
	environment = controlplane.NewEnvironment(controlplane.Options{Nodes: 3, Audit: true})
	// world is what the tests share: it is ready before the first of them.
	world *cluster
)

func TestMain(m *testing.M) {
	if os.Getenv(controlplane.EnvCluster) == "" {
		fmt.Println("skip test/e2e: it needs a control plane; run make test-cluster")
		return
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
