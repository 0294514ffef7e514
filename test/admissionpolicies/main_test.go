package admissionpolicies_test

import (
	"os"
	"testing"

	"github.com/mojasec/mojasec/test/controlplane"
)

// cluster is a control plane of our own, or the cluster of KUBECONFIG.
var cluster = controlplane.NewEnvironment(controlplane.Options{})

func TestMain(m *testing.M) { os.Exit(cluster.Run(m)) }
