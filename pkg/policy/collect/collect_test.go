package collect

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/pkg/policy"
)

// inDir writes files, by slashed path, into a new directory and goes there.
func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		name = filepath.FromSlash(name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, opts Options) *Result {
	t.Helper()
	r, err := Files(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// summary lists what was read, one line each: objects with the place of their
// name, values, errors, counts.
func summary(r *Result) []string {
	var out []string
	for _, obj := range r.Objects {
		out = append(out, obj.Ref.String()+" "+at(obj.Positions, "metadata.name"))
	}
	for _, v := range r.Values {
		out = append(out, "values "+v.Ref.Name)
	}
	for _, err := range r.Errors {
		out = append(out, "error "+err.Error())
	}
	for _, kind := range slices.Sorted(maps.Keys(r.PassedOver)) {
		out = append(out, fmt.Sprintf("passed over %d %s", r.PassedOver[kind], kind))
	}
	return out
}

// at formats the region of a path.
func at(p policy.Positions, path string) string {
	r, ok := p.Locate(path)
	if !ok {
		return "nowhere"
	}
	return fmt.Sprintf("%s:%d:%d-%d:%d", filepath.ToSlash(r.File), r.StartLine, r.StartColumn, r.EndLine, r.EndColumn)
}

const pod = `apiVersion: v1
kind: Pod
metadata:
  name: %s
spec:
  containers:
  - name: sdk
    image: sdk
    env:
    - name: ILP_SECRET
      value: %s
`

func podNamed(name string) string { return fmt.Sprintf(pod, name, "x") }

func TestFiles(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		paths []string
		want  []string
	}{
		{
			name:  "one file",
			files: map[string]string{"a.yaml": podNamed("a")},
			paths: []string{"./a.yaml"},
			want:  []string{"Pod default/a a.yaml:4:9-4:10"},
		},
		{
			name:  "a broken document stops no other",
			files: map[string]string{"a.yaml": podNamed("a") + "---\na: b: c\n---\n" + podNamed("b")},
			paths: []string{"a.yaml"},
			want: []string{
				"Pod default/a a.yaml:4:9-4:10", "Pod default/b a.yaml:18:9-18:10",
				`error a.yaml:13:5: ":" is not allowed here: check the indentation, or quote the value`,
			},
		},
		{
			name: "a directory in order, without what is hidden",
			files: map[string]string{
				"d/b.yml": podNamed("b"), "d/a/z.json": `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"z"}}`,
				"d/.git/x.yaml": podNamed("x"), "d/readme.md": "# no", "d/c.yaml": podNamed("c"), "d/package.json": `{"name": "x"}`,
				"d/kustomization.yaml": "resources: [b.yml]\n", "d/list.yaml": "- a\n- b\n", "d/other.yaml": "kind: x\n",
			},
			paths: []string{"d"},
			want: []string{
				"Namespace z d/a/z.json:1:58-1:61", "Pod default/b d/b.yml:4:9-4:10", "Pod default/c d/c.yaml:4:9-4:10",
				"passed over 4 not a manifest",
			},
		},
		{
			name:  "a file is read once",
			files: map[string]string{"d/a.yaml": podNamed("a")},
			paths: []string{"d/a.yaml", "d", "./d/../d/a.yaml"},
			want:  []string{"Pod default/a d/a.yaml:4:9-4:10"},
		},
		{
			name:  "what is named is looked at, whatever it is called",
			files: map[string]string{"a.txt": "- a\n", "b.json": `{"name": "x"}`, "c.yaml": "kind: Pod\n", "d.yaml": "apiVersion: v1\n"},
			paths: []string{"a.txt", "b.json", "c.yaml", "d.yaml"},
			want: []string{
				"values b.json", "error a.txt:1:1: is a list, not a manifest",
				"error c.yaml:1:7: has no apiVersion", "error d.yaml:1:1: has no kind",
			},
		},
		{
			name:  "what cannot be read",
			files: map[string]string{"empty/readme.md": ""},
			paths: []string{"nowhere.yaml", "empty", "https://example.com/a.yaml", "-"},
			want: []string{
				"error nowhere.yaml: no such file or directory", "error empty: holds no .yaml, .yml or .json file",
				"error https://example.com/a.yaml: is a URL: download it first, or pipe it into -f -", "error <stdin>: can be read only once",
			},
		},
		{
			name: "kinds",
			files: map[string]string{"a.yaml": `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
---
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: b, namespace: x}
---
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata: {name: c}
spec: {mtls: {mode: STRICT}, nonsense: 1}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: d}
---
apiVersion: v1
kind: Namespace
metadata: {name: e, namespace: ignored}
---
apiVersion: mojasec.io/v1alpha1
kind: Waiver
metadata: {generateName: f-}
---
# nothing
`},
			paths: []string{"a.yaml"},
			want: []string{
				"Deployment x/b a.yaml:8:18-8:19", "PeerAuthentication default/c a.yaml:12:18-12:19", "Rollout default/d a.yaml:17:18-17:19",
				"Namespace e a.yaml:21:18-21:19", "Waiver f-* a.yaml:25:1-25:9", "passed over 1 networking.k8s.io/v1/Ingress",
			},
		},
		{
			name: "lists",
			files: map[string]string{
				"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Secret\n    metadata: {name: 1}\n- kind: Secret\n",
				"b.json": `{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "p"}}]}`,
				"d.yaml": "apiVersion: v1\nkind: List\nitems:\n- &x\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: first}\n- *x\n",
				"c.yaml": "apiVersion: v1\nkind: List\nitems: {}\n---\napiVersion: v1\nkind: List\nitems:\n",
			},
			paths: []string{"a.yaml", "b.json", "c.yaml", "d.yaml"},
			want: []string{
				"Secret default/a a.yaml:6:20-6:21", "Pod default/p b.json:1:73-1:76",
				"Secret default/first d.yaml:7:20-7:25", "Secret default/first d.yaml:8:3-8:5",
				"error a.yaml:12:22: items[1].items[0].metadata.name: want a string, have a number: quote it",
				"error a.yaml:2:7: items[2]: has no apiVersion", "error c.yaml:3:8: items: want a list, have a mapping",
			},
		},
		{
			name:  "types are those of the API server",
			files: map[string]string{"a.yaml": fmt.Sprintf(pod, "a", "true") + "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: d}\nspec: {template: {spec: {containers: 1}}}\n"},
			paths: []string{"a.yaml"},
			want: []string{
				"error a.yaml:11:14: spec.containers[0].env[0].value: want a string, have the boolean true: quote it",
				"error a.yaml:16:38: spec.template.spec.containers: want a list, have a number",
			},
		},
		{
			name:  "an object needs a name",
			files: map[string]string{"a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {labels: {}}\n"},
			paths: []string{"a.yaml"},
			want:  []string{"error a.yaml:3:11: metadata.name is missing"},
		},
		{
			name: "a chart is not a manifest, its values are judged",
			files: map[string]string{
				"c/Chart.yaml": "apiVersion: v2\nname: c\n", "c/values.yaml": "a: b\n", "c/templates/a.yaml": podNamed("{{ .Release.Name }}"),
				"c/templates/b.yaml": podNamed("b"), "c/charts/sub/Chart.yaml": "name: sub\n", "c/charts/sub/templates/a.yaml": "{{ x }}",
				"c/crds/x.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n",
			},
			paths: []string{"c"},
			want: []string{
				"values c/values.yaml",
				"error c: is a Helm template, not a manifest: render it first: helm template c | kubectl mojasec verify -f -",
				"passed over 1 apiextensions.k8s.io/v1/CustomResourceDefinition", "passed over 2 not a manifest",
			},
		},
		{
			name: "templates",
			files: map[string]string{
				"c/Chart.yaml": "name: c\n", "c/templates/quoted.yaml": fmt.Sprintf(pod, "a", `"{{ .Values.secret }}"`), "c/templates/plain.yaml": podNamed("plain"),
				"broken.yaml": podNamed("a") + "---\n{{- if .Values.x }}\nkind: Pod\n{{- end }}\n---\nkey: {{ .Values.y }}\n",
				"alert.yaml":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: alert}\ndata:\n  a: |\n    {{ $labels.pod }}\n",
			},
			paths: []string{"c/templates/quoted.yaml", "c/templates/plain.yaml", "broken.yaml", "alert.yaml"},
			want: []string{
				"Pod default/plain c/templates/plain.yaml:4:9-4:14", "ConfigMap default/alert alert.yaml:3:18-3:23",
				"error c/templates/quoted.yaml:11:15: is a Helm template, not a manifest: render it first: helm template c | kubectl mojasec verify -f -",
				"error broken.yaml:13:1: is a Helm template, not a manifest: render it first: helm template CHARTDIR | kubectl mojasec verify -f -",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inDir(t, tc.files)
			got := summary(files(t, Options{Paths: tc.paths}))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrderIsThatOfTheInput(t *testing.T) {
	var text strings.Builder
	var want []string
	for i := range 500 { // enough for all workers
		fmt.Fprintf(&text, pod+"---\n", fmt.Sprintf("pod-%03d", i), strings.Repeat("x", 200))
		want = append(want, fmt.Sprintf("pod-%03d", i))
	}
	var got []string
	for _, obj := range files(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text.String())}).Objects {
		got = append(got, obj.Ref.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestNamespace(t *testing.T) {
	text := podNamed("a") + "---\napiVersion: mojasec.io/v1alpha1\nkind: Profile\nmetadata: {name: default, namespace: x}\n"
	r := files(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text), Namespace: "hub"})
	if got := r.Objects[0].Object.(*corev1.Pod).Namespace; got != "hub" || r.Objects[0].Ref.Namespace != "hub" {
		t.Errorf("got namespace %q and reference %v, want hub", got, r.Objects[0].Ref)
	}
	if got := r.Objects[1].Ref; got.Namespace != "" {
		t.Errorf("got reference %v, want a Profile without namespace", got)
	}
}

func TestRaw(t *testing.T) {
	text := "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRICT}, nonsense: 1}\n"
	r := files(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
	want := map[string]any{
		"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"mtls": map[string]any{"mode": "STRICT"}, "nonsense": int64(1)},
	}
	if diff := cmp.Diff(want, r.Objects[0].Raw); diff != "" {
		t.Errorf("raw tree (-want +got):\n%s", diff)
	}
}

func TestSizeLimit(t *testing.T) {
	r := files(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(strings.Repeat("#", 2<<20+1)), MaxFileBytes: 2 << 20})
	if diff := cmp.Diff([]string{"error <stdin>: is larger than 2 MiB"}, summary(r)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestSymlinks(t *testing.T) {
	inDir(t, map[string]string{"d/real/a.yaml": podNamed("a"), "outside/b.yaml": podNamed("b")})
	for link, target := range map[string]string{"d/real/loop": "..", "d/linked": "../outside", "d/broken.yaml": "nowhere"} {
		if err := os.Symlink(target, link); err != nil {
			t.Skip(err)
		}
	}
	want := []string{
		"Pod default/b d/linked/b.yaml:4:9-4:10", "Pod default/a d/real/a.yaml:4:9-4:10",
		"error d/broken.yaml: no such file or directory",
	}
	if diff := cmp.Diff(want, summary(files(t, Options{Paths: []string{"d"}}))); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestUnusableOptions(t *testing.T) {
	if _, err := Files(t.Context(), Options{}); err == nil {
		t.Error("no path: got no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Files(ctx, Options{Paths: []string{"-"}, Stdin: strings.NewReader(podNamed("a"))}); err == nil {
		t.Error("cancelled context: got no error")
	}
}

// TestErrorsTellNoSecret plants a canary where an error could quote it.
func TestErrorsTellNoSecret(t *testing.T) {
	const canary = "c4n4ry"
	for _, text := range []string{
		"a: \"" + canary + "\\q\"", "a: *" + canary, "a: !!int " + canary, "a: @" + canary, "a: [" + canary, "a: b: " + canary, canary, "a: '" + canary,
		`{"a": "` + canary + `" 1}`, fmt.Sprintf(pod, "a", "123456789"), fmt.Sprintf(pod, "a", "["+canary+"]"), "a: {" + canary + ": 1, " + canary + "x: 1, b: .nan",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: '%" + canary + "'}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: {" + canary + ": 1}}\n",
	} {
		r := files(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
		if len(r.Errors) == 0 {
			t.Errorf("%q: got no error", text)
		}
		for _, err := range r.Errors {
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "123456789") {
				t.Errorf("%q: the error tells the secret: %v", text, err)
			}
		}
	}
}

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }
