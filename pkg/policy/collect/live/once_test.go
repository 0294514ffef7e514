package live

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

var onceKey = []byte("0123456789abcdef0123456789abcdef")

func readOnce(t *testing.T, s *apiServer, o ReadOptions) *Reading {
	t.Helper()
	o.HashKey, o.Now = onceKey, fixtures.Now
	r, err := Read(t.Context(), s.config(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReadKnowsWhatIsThere compares what is known of a cluster that was read
// with what is known of the same objects when they are given.
func TestReadKnowsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	objs := fixtures.NewScheme().Objects()
	s.put(objs...)
	given := policy.NewSnapshot(policy.SnapshotOptions{
		Now: fixtures.Now, HashKey: onceKey, TrustWaivers: true, Incomplete: []policy.FactKind{policy.FactCA, policy.FactSecretReaders},
	}, objs)
	for _, tt := range []struct {
		name string
		o    ReadOptions
		// keys tells that only what is about keys is read.
		keys bool
	}{
		{"all", ReadOptions{}, false},
		{"one list at a time", ReadOptions{Parallel: 1}, false},
		{"the namespace", ReadOptions{Namespaces: []string{fixtures.Namespace}}, false},
		{"keys", ReadOptions{KeysOnly: true}, true},
		{"keys of the namespace", ReadOptions{KeysOnly: true, Namespaces: []string{fixtures.Namespace}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := readOnce(t, s, tt.o)
			if len(r.Unread) > 0 {
				t.Errorf("got unread %v, want nothing", r.Unread)
			}
			if kinds := len(allKinds()); tt.o.Namespaces == nil && r.Lists > kinds {
				t.Errorf("got %d lists, want at most one for each of %d kinds", r.Lists, kinds)
			}
			ignore := cmpopts.IgnoreFields(policy.SigningEntry{}, "Since", "AtLeast", "Old")
			if diff := cmp.Diff(given.Keyring(), r.Snapshot.Keyring(), ignore); diff != "" {
				t.Errorf("keys (-given +read):\n%s", diff)
			}
			if len(r.Snapshot.Keyring().Signing) < 3 {
				t.Errorf("got %d signing keys, want those of the hub and two DFSPs", len(r.Snapshot.Keyring().Signing))
			}
			if tt.keys {
				return
			}
			got := policy.ReviewWorkloads(policy.Checks(), r.Snapshot, []string{fixtures.Namespace})
			want := policy.ReviewWorkloads(policy.Checks(), given, []string{fixtures.Namespace})
			if got, want := got.Summary(), want.Summary(); got.Errors != want.Errors || got.Passed < want.Passed-5 {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestReadSaysWhatItMayNot forbids one thing at a time.
func TestReadSaysWhatItMayNot(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.put(fixtures.NewScheme().Objects()...)
	s.with(func(s *apiServer) {
		s.forbidden["* secrets/"] = true // of the cluster
		s.forbidden["* secrets/other"] = true
	})
	r := readOnce(t, s, ReadOptions{})
	if len(r.Unread) != 1 || r.Unread[0].String() != "secrets" {
		t.Fatalf("got unread %v, want secrets", r.Unread)
	}
	if _, presence := r.Snapshot.Secret(fixtures.Namespace, "perffsp-1-jws-keys"); presence != policy.Unknown {
		t.Errorf("got presence %v of a Secret that may not be read, want Unknown", presence)
	}
	for _, e := range r.Snapshot.Keyring().Signing {
		if e.Presence != policy.Unknown {
			t.Errorf("got presence %v of the key of %s, want Unknown", e.Presence, e.DFSP)
		}
	}
	r = readOnce(t, s, ReadOptions{KeysOnly: true, Namespaces: []string{fixtures.Namespace, "other"}})
	if len(r.Unread) != 1 || r.Unread[0].String() != "secrets in other" {
		t.Fatalf("got unread %v, want secrets in other", r.Unread)
	}
	if _, presence := r.Snapshot.Secret(fixtures.Namespace, "perffsp-1-jws-keys"); presence != policy.Present {
		t.Errorf("got presence %v of a Secret that may be read, want Present", presence)
	}
	if _, presence := r.Snapshot.Secret("other", "anything"); presence != policy.Unknown {
		t.Errorf("got presence %v in a namespace that may not be read, want Unknown", presence)
	}
}

// TestReadNoNamespace tells a namespace that does not exist from one that is
// empty, and from one that may not be read.
func TestReadNoNamespace(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.put(fixtures.NewScheme().Objects()...)
	for _, keys := range []bool{true, false} {
		r := readOnce(t, s, ReadOptions{KeysOnly: keys, Namespaces: []string{fixtures.Namespace, "nope"}})
		if diff := cmp.Diff([]string{"nope"}, r.NoNamespaces); diff != "" {
			t.Errorf("namespaces that do not exist (-want +got):\n%s", diff)
		}
	}
	s.with(func(s *apiServer) { s.forbidden["* namespaces/"] = true })
	if r := readOnce(t, s, ReadOptions{KeysOnly: true, Namespaces: []string{"nope"}}); len(r.NoNamespaces) > 0 {
		t.Errorf("got %q, and it may not be known", r.NoNamespaces)
	}
}

func TestReadPages(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	const pods = 1201
	for i := range pods {
		s.put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprintf("p-%04d", i), UID: "u", GenerateName: "p-"}})
	}
	r := readOnce(t, s, ReadOptions{KeysOnly: true})
	if len(r.Objects) != pods {
		t.Errorf("got %d objects, want %d", len(r.Objects), pods)
	}
	if got := s.count("list pods"); got != 3 {
		t.Errorf("got %d pages of pods, want 3", got)
	}
}

// TestReadWithoutMojasec: its kinds, and Istio's, need not be installed.
func TestReadWithoutMojasec(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.with(func(s *apiServer) {
		for _, group := range []string{"mojasec.io", istioSecurity, istioNetworking} {
			s.versions[group] = []string{"none"}
		}
	})
	s.put(fixtures.NewScheme().SDK1, fixtures.NewScheme().JWS1)
	if r := readOnce(t, s, ReadOptions{}); len(r.Unread) > 0 || len(r.Snapshot.Keyring().Signing) == 0 {
		t.Errorf("got unread %v and keys %v, want no more than the key of one DFSP", r.Unread, r.Snapshot.Keyring().Signing)
	}
}

func TestReadFailsWhole(t *testing.T) {
	t.Parallel()
	if _, err := Read(t.Context(), &rest.Config{Host: "https://127.0.0.1:1"}, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got error %v, want one that names the address", err)
	}
	s := newAPIServer(t)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.status(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "who are you")
	})
	if _, err := Read(t.Context(), s.config(), ReadOptions{}); err == nil || !strings.Contains(err.Error(), "who are you") {
		t.Errorf("got error %v, want that of the API server", err)
	}
}

// TestReadKeepsNoSecret looks for private keys in all that comes back.
func TestReadKeepsNoSecret(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	scheme := fixtures.NewScheme()
	s.put(scheme.Objects()...)
	r := readOnce(t, s, ReadOptions{})
	if len(r.Data) == 0 {
		t.Fatal("no data was read: this test proves nothing")
	}
	text := fmt.Sprintf("%+v %#v", r, r.Data)
	for _, d := range r.Data {
		text += fmt.Sprintf("%+v %#v", d, d)
	}
	for _, secret := range []*corev1.Secret{scheme.JWS1, scheme.JWS2, scheme.ILP1, scheme.HubKey} {
		for _, value := range secret.Data {
			for line := range strings.Lines(string(value)) {
				if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && len(line) > 10 && strings.Contains(text, line) {
					t.Errorf("a line of %s came back", secret.Name)
				}
			}
		}
	}
}
