package soak

import (
	"testing"
	"time"

	"github.com/mojasec/mojasec/test/webhook"
)

// perSecond is the load of the tests that go through the API server.
const perSecond = 200

// TestHardCase06And07NoCallFails has all certificates replaced several times and
// both replicas restarted one after the other, while the API server makes 200
// reviews a second: none fails, none is wrong.
func TestHardCase06And07NoCallFails(t *testing.T) {
	world.replicas(t, world.product, 2)
	good, bad := sdkPod("load-good"), sdkPod("load-bad")
	bad.Spec.HostNetwork = true
	load := webhook.StartLoad(t.Context(), world.client, good, bad, "mtls-in-mesh", perSecond)
	for range size.rotations {
		if err := world.hook.Rotate(t.Context(), world.client); err != nil {
			t.Fatal(err)
		}
	}
	report(t, load, "rotations")

	load = webhook.StartLoad(t.Context(), world.client, good, bad, "mtls-in-mesh", perSecond)
	if err := world.hook.RollingRestart(t.Context()); err != nil {
		t.Fatal(err)
	}
	pause(t, 2*time.Second)
	report(t, load, "a rolling restart")
}

// report ends a load and fails the test where a call did not go well.
func report(t *testing.T, load *webhook.Load, during string) {
	t.Helper()
	calls, rate, failed := load.Stop()
	t.Logf("%s: %d calls, %.0f per second, %d failed", during, calls, rate, len(failed))
	for _, f := range failed[:min(len(failed), 5)] {
		t.Error(f)
	}
	if calls < perSecond {
		t.Errorf("%s: got %d calls: no load", during, calls)
	}
}
