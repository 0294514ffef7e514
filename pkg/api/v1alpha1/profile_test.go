package v1alpha1_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

type fields = map[string]any

func list(values ...any) []any { return values }

func sorted(values []string) []string { return slices.Sorted(slices.Values(values)) }

func TestDefaultsAreThoseOfTheCRD(t *testing.T) {
	t.Parallel()
	profiles := resources(t)[v1alpha1.KindProfile]
	tests := []struct {
		name string
		spec string
	}{
		{"no spec", ""},
		{"empty spec", "spec: {}"},
		{"empty groups", "spec: {jws: {}, ilp: {}}"},
		{"nulls", "spec: {mesh: null, datastorePorts: null, jws: null, ilp: {key: null}}"},
		{"no datastore ports", "spec: {datastorePorts: []}"},
		{"a published key", "spec: {publishedKeys: [{spkiSha256: \"0000000000000000000000000000000000000000000000000000000000000000\", publishedIn: [a]}]}"},
		{"everything set", profileYAML[len("\napiVersion: mojasec.io/v1alpha1\nkind: Profile\nmetadata: {name: default}\n"):]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			obj := object(t, "apiVersion: mojasec.io/v1alpha1\nkind: Profile\nmetadata: {name: default}\n"+tt.spec)
			served, messages := profiles.create(t.Context(), obj)
			if len(messages) > 0 {
				t.Fatalf("refused: %q", messages)
			}
			want, got := decode(t, served), decode(t, obj)
			got.Default()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Default (-API server +Go):\n%s", diff)
			}
		})
	}
}

func decode(t *testing.T, obj fields) *v1alpha1.Profile {
	t.Helper()
	p := &v1alpha1.Profile{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaultProfileIsAccepted(t *testing.T) {
	t.Parallel()
	want := v1alpha1.DefaultProfile()
	obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		t.Fatal(err)
	}
	served, messages := resources(t)[v1alpha1.KindProfile].create(t.Context(), obj)
	if len(messages) > 0 {
		t.Fatalf("refused: %q", messages)
	}
	if diff := cmp.Diff(want, decode(t, served)); diff != "" {
		t.Errorf("after a round trip (-want +got):\n%s", diff)
	}
}

// An empty list of ports allows none; it must not become the default on its way
// through an API server.
func TestEmptyPortsSurvive(t *testing.T) {
	t.Parallel()
	p := v1alpha1.DefaultProfile()
	p.Spec.DatastorePorts = []int32{}
	obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(p)
	if err != nil {
		t.Fatal(err)
	}
	served, _ := resources(t)[v1alpha1.KindProfile].create(t.Context(), obj)
	got := decode(t, served)
	got.Default()
	if got.Spec.DatastorePorts == nil || len(got.Spec.DatastorePorts) > 0 {
		t.Errorf("got ports %v, want an empty list", got.Spec.DatastorePorts)
	}
}

func TestDefaultKeepsWhatIsSet(t *testing.T) {
	t.Parallel()
	p := v1alpha1.DefaultProfile()
	p.Spec.Mesh = v1alpha1.MeshNone
	p.Spec.JWS.MinRSABits = 4096
	want := p.DeepCopy()
	p.Default()
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("Default changed what was set (-want +got):\n%s", diff)
	}
}

func TestAddToScheme(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for kind := range resources(t) {
		for _, k := range []string{kind, kind + "List"} {
			if _, err := scheme.New(v1alpha1.GroupVersion.WithKind(k)); err != nil {
				t.Error(err)
			}
		}
	}
	if scheme.Recognizes(v1alpha1.GroupVersion.WithKind(v1alpha1.KindReport)) {
		t.Error("Report is in the scheme, but no API server serves it")
	}
}
