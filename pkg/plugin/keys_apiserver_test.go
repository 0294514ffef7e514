package plugin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
)

// cannedAPI serves objects as an API server does, for commands that read. It
// refuses writes.
type cannedAPI struct {
	// objects by the path of their collection, for example
	// "/api/v1/namespaces/mojaloop/secrets".
	objects map[string][]json.RawMessage
	// forbidden are plural names of kinds that nobody may read.
	forbidden []string
}

// serveObjects starts a server and returns the flags that lead to it.
func serveObjects(t *testing.T, objs []runtime.Object, forbidden ...string) []string {
	t.Helper()
	api := &cannedAPI{objects: map[string][]json.RawMessage{}, forbidden: forbidden}
	for _, obj := range objs {
		ref := policy.RefOf(obj)
		text, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range collections(ref) {
			api.objects[path] = append(api.objects[path], text)
		}
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	empty := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(empty, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--kubeconfig", empty, "--server", server.URL}
}

// collections are the paths under which a kind is listed.
func collections(ref policy.Ref) []string {
	root := "/apis/"
	if !strings.Contains(ref.APIVersion, "/") {
		root = "/api/"
	}
	plural := strings.ToLower(ref.Kind) + "s"
	if stem, ok := strings.CutSuffix(strings.ToLower(ref.Kind), "y"); ok {
		plural = stem + "ies"
	}
	all := root + ref.APIVersion + "/" + plural
	if ref.Namespace == "" {
		return []string{all}
	}
	return []string{all, root + ref.APIVersion + "/namespaces/" + ref.Namespace + "/" + plural}
}

// ServeHTTP implements http.Handler.
func (a *cannedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(r.URL.Path, "/")
	for _, plural := range a.forbidden {
		if !slices.Contains(parts, plural) {
			continue
		}
		a.status(w, http.StatusForbidden, metav1.StatusReasonForbidden,
			fmt.Sprintf(`%s is forbidden: User "eve" cannot list resource "%s" in API group "" in the namespace "mojaloop"`, plural, plural))
		return
	}
	if r.Method != http.MethodGet {
		a.status(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "this server does not write")
		return
	}
	if items, ok := a.objects[r.URL.Path]; ok || !isName(parts) {
		if items == nil {
			items = []json.RawMessage{}
		}
		version, kind := kindServed(parts)
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": version, "kind": kind + "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
		return
	}
	for _, item := range a.objects[strings.Join(parts[:len(parts)-1], "/")] {
		var meta metav1.PartialObjectMetadata
		if json.Unmarshal(item, &meta) == nil && meta.Name == parts[len(parts)-1] {
			_, _ = w.Write(item)
			return
		}
	}
	a.status(w, http.StatusNotFound, metav1.StatusReasonNotFound, "not found")
}

// isName tells whether a path leads to one object: the collection is the last
// part otherwise.
func isName(parts []string) bool {
	last := parts[len(parts)-1]
	return !slices.ContainsFunc(knownPlurals(), func(plural string) bool { return plural == last })
}

// moreKinds are read by the rule engine only.
var moreKinds = map[string]string{"replicationcontrollers": "ReplicationController", "jobs": "Job", "cronjobs": "CronJob"}

func knownPlurals() []string {
	out := slices.Collect(maps.Keys(moreKinds))
	for _, r := range resources {
		out = append(out, r.Resource)
	}
	return out
}

// kindServed is the version and kind of the collection at a path.
func kindServed(parts []string) (version, kind string) {
	version = parts[2]
	if parts[1] == "apis" {
		version += "/" + parts[3]
	}
	plural := parts[len(parts)-1]
	for k, r := range resources {
		if r.Resource == plural {
			kind = k.Kind
		}
	}
	return version, cmp.Or(kind, moreKinds[plural])
}

func (a *cannedAPI) status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}
