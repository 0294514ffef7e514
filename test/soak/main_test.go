// Package soak runs the real webhook on a real control plane for long: a million
// reviews, large clusters, certificates that rotate under load, and faults. It
// looks at the process from outside: its memory, its metrics, its answers.
//
// Without MOJASEC_CLUSTER everything is skipped. MOJASEC_SOAK=full takes the
// sizes of the project's targets (make soak); else they are short. The cluster
// is always one of its own: what is measured must not share a process with
// others.
package soak

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/envconf"

	"github.com/mojasec/mojasec/test/controlplane"
)

// sizes is how much of everything there is.
type sizes struct {
	reviews                   int // in one process
	configMaps, secrets, pods int // in protected namespaces
	churn                     time.Duration
	rotations                 int
}

var (
	short = sizes{reviews: 50_000, configMaps: 2000, secrets: 300, pods: 1000, churn: 5 * time.Second, rotations: 3}
	full  = sizes{reviews: 1_000_000, configMaps: 9000, secrets: 1000, pods: 10_000, churn: 60 * time.Second, rotations: 10}
)

// envSize chooses them.
const envSize = "MOJASEC_SOAK"

var (
	size        = short
	environment = controlplane.NewEnvironment(controlplane.Options{Nodes: 1})
	// world is what the tests share: it is ready before the first of them.
	world *cluster
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(controlplane.EnvCluster) == "":
		fmt.Println("skip test/soak: it needs a control plane; run make soak")
		return
	case os.Getenv("KUBECONFIG") != "":
		fmt.Println("skip test/soak: it needs a control plane of its own, unset KUBECONFIG")
		return
	}
	if os.Getenv(envSize) == "full" {
		size = full
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
