package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/serving"
	"github.com/mojasec/mojasec/test/webhook"
)

// TestHardCase04CAExpires lives through the end of a CA whose certificate would
// be valid for longer: no call fails.
func TestHardCase04CAExpires(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	s := world.newScheme(t)
	ctx := context.WithoutCancel(t.Context())
	replace := func(flags ...string) {
		world.webhook.Flags = flags
		if err := world.webhook.RollingRestart(ctx); err != nil {
			t.Fatal(err)
		}
		if err := world.webhook.Rotate(ctx, world.client); err != nil {
			t.Fatal(err)
		}
	}
	usual := world.webhook.Flags
	t.Cleanup(func() { replace(usual...) })
	const life = 15 * time.Second
	replace("--ca-life", life.String(), "--certificate-life", "1h", "--ca-settle", "1s", "--ca-drain", "1s")
	good, bad := s.pod("load-good"), s.pod("load-bad")
	bad.Spec.HostNetwork = true
	load := webhook.StartLoad(ctx, world.client, good, bad, "mtls-in-mesh", 20)
	select { // the life of the CA is what is waited for
	case <-time.After(life + 5*time.Second):
	case <-t.Context().Done():
	}
	calls, _, failed := load.Stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d calls failed, the first: %s", len(failed), calls, failed[0])
	}
}

// TestHardCase05BundlesDiverge puts another CA into the webhook configurations, as
// a Helm release from before a rotation does, and takes the Secret away: all
// comes right by itself, and two replicas agree.
func TestHardCase05BundlesDiverge(t *testing.T) {
	if world.webhook == nil {
		t.Skip("needs the webhook's own processes")
	}
	s := world.newScheme(t)
	works := func(context.Context) (bool, string) {
		a := s.kubectl(t, s.yaml(s.pod("good")), "create", "--dry-run=server", "-f", "-")
		return a.code == 0, a.stderr
	}
	t.Run("another CA in the configurations", func(t *testing.T) {
		other, _ := selfSigned(t)
		config := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := world.client.Get(t.Context(), client.ObjectKey{Name: "mojasec.io"}, config); err != nil {
			t.Fatal(err)
		}
		var patch []string
		for i := range config.Webhooks {
			patch = append(patch, fmt.Sprintf(`{"op":"replace","path":"/webhooks/%d/clientConfig/caBundle","value":%q}`, i, base64.StdEncoding.EncodeToString(other)))
		}
		if err := world.client.Patch(t.Context(), config, client.RawPatch("application/json-patch+json", []byte("["+strings.Join(patch, ",")+"]"))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the bundle to be put right", func(ctx context.Context) (bool, string) {
			if err := world.client.Get(ctx, client.ObjectKeyFromObject(config), config); err != nil {
				return false, err.Error()
			}
			for i := range config.Webhooks {
				if bytes.Equal(config.Webhooks[i].ClientConfig.CABundle, other) {
					return false, config.Webhooks[i].Name + " has the other CA"
				}
			}
			return true, ""
		})
		eventually(t, "calls to be answered", works)
	})
	t.Run("no Secret", func(t *testing.T) {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: serving.Namespace, Name: serving.SecretName}}
		if err := world.client.Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the Secret to be made again", func(ctx context.Context) (bool, string) {
			err := world.client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
			return err == nil, fmt.Sprint(err)
		})
		eventually(t, "calls to be answered", works)
	})
}

// TestHardCase30NothingWritten reads in the audit log what the webhook has written
// while all tests before this one ran: nothing that grows with the requests.
func TestHardCase30NothingWritten(t *testing.T) {
	if world.ControlPlane == nil {
		t.Skip("needs the audit log of its own control plane")
	}
	file, err := os.Open(world.ControlPlane.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	may := map[string][]string{
		"leases":                          {"create", "update"},
		"secrets":                         {"create", "update"},
		"subjectaccessreviews":            {"create"},
		"mutatingwebhookconfigurations":   {"patch"},
		"validatingwebhookconfigurations": {"patch"},
		"events":                          {"create", "patch"},
	}
	writes := 0
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var e struct {
			User      struct{ Username string }
			Verb      string
			ObjectRef struct{ Resource, Namespace, Name string }
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.User.Username != "system:serviceaccount:mojasec-system:mojasec-webhook" {
			continue
		}
		writes++
		if !slices.Contains(may[e.ObjectRef.Resource], e.Verb) {
			t.Errorf("the webhook did %s %s %s/%s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Namespace, e.ObjectRef.Name)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if writes == 0 {
		t.Error("the audit log has nothing of the webhook: this test proves nothing")
	}
}
