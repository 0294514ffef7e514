package collect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const template = `{{- range .Values.sdks }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ .name }}
  labels:
    app: sdk
spec:
  containers:
    - name: sdk
      image: {{ .image }}
      env:
        - name: LOG_LEVEL
          value: "true"
        - name: ILP_SECRET
          value: 'mojaloop-sdk' # default
        - name: JWS_SIGN
          value: {{ .sign | quote }}
      args: [a]
{{- end }}
`

const rendered = `---
# Source: sdks/templates/pod.yaml
apiVersion: v1
kind: Pod
metadata:
  name: sdk-1
  labels:
    app: sdk
spec:
  containers:
    - name: sdk
      image: sdk:1
      env:
        - name: LOG_LEVEL
          value: "true"
        - name: ILP_SECRET
          value: mojaloop-sdk
        - name: JWS_SIGN
          value: "true"
      args: [a]
`

func TestHelmOutput(t *testing.T) {
	paths := map[string]string{ // by path, where in the template
		"spec.containers[0].env[1].value":          "17:18-17:32",
		"spec.containers[0].env[2].value":          "19:11-19:16", // computed: the key
		"spec.containers[0].env[2].name":           "18:17-18:25",
		"spec.containers[0].image":                 "12:7-12:12",
		"spec.containers[0].securityContext":       "11:13-11:16", // absent: the container's name
		"spec.containers[0].args[0]":               "20:7-20:11",
		"metadata.labels.app":                      "8:10-8:13",
		"metadata.annotations":                     "5:1-5:9",
		"":                                         "4:7-4:10",
		"spec.serviceAccountName":                  "9:1-9:5",
		"spec.containers[0].env[0].valueFrom.name": "14:17-14:26",
	}
	for _, tc := range []struct{ name, dir, template, want string }{
		{"beside the chart", ".", "sdks/templates/pod.yaml", "sdks/templates/pod.yaml"},
		{"in the chart", ".", "templates/pod.yaml", "templates/pod.yaml"},
		{"below charts", ".", "charts/sdks/templates/pod.yaml", "charts/sdks/templates/pod.yaml"},
		{"beside the file", "deploy", "deploy/sdks/templates/pod.yaml", "deploy/sdks/templates/pod.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inDir(t, map[string]string{
				tc.dir + "/out.yaml": rendered, tc.template: template,
				strings.TrimSuffix(tc.template, "templates/pod.yaml") + "Chart.yaml": "name: sdks\n",
			})
			p := files(t, Options{Paths: []string{tc.dir + "/out.yaml"}}).Objects[0].Positions
			for path, want := range paths {
				if got := at(p, path); got != tc.want+":"+want {
					t.Errorf("%q: got %s, want %s:%s", path, got, tc.want, want)
				}
			}
		})
	}
}

func TestHelmOutputWithoutTemplate(t *testing.T) {
	inDir(t, map[string]string{"out.yaml": rendered})
	fromFile := files(t, Options{Paths: []string{"out.yaml"}}).Objects[0].Positions
	if got, want := at(fromFile, "spec.containers[0].env[1].value"), "out.yaml:17:18-17:30"; got != want {
		t.Errorf("file: got %s, want %s", got, want)
	}
	fromStdin := files(t, Options{Paths: []string{"-"}, Stdin: strings.NewReader(rendered)}).Objects[0].Positions
	if got, want := at(fromStdin, "spec.containers[0].env[1].value"), "<stdin>:17:18-17:30"; got != want {
		t.Errorf("standard input: got %s, want %s", got, want)
	}
}

// The comment is data of whoever wrote the file.
func TestHelmSourceStaysBelow(t *testing.T) {
	inDir(t, map[string]string{"secret.yaml": "kind: Pod\n", "d/out.yaml": strings.Replace(rendered, "sdks/templates/pod.yaml", "../secret.yaml", 1)})
	t.Chdir("d")
	p := files(t, Options{Paths: []string{"out.yaml"}}).Objects[0].Positions
	if got, want := at(p, "metadata.name"), "out.yaml:6:9-6:14"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKustomization(t *testing.T) {
	inDir(t, map[string]string{
		"base/kustomization.yaml": "resources: [pod.yaml, all.yaml]\n",
		"base/pod.yaml":           podNamed("sdk"),
		"base/all.yaml":           "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sdk}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sdk-2}\n",
		"prod/kustomization.yaml": `
namePrefix: prod-
namespace: hub
resources:
- ../base
patches:
- patch: |
    apiVersion: v1
    kind: Pod
    metadata: {name: sdk}
    spec:
      containers:
      - name: sdk
        env:
        - name: ILP_SECRET
          value: patched
configMapGenerator:
- name: config
  literals:
  - KEY=value
buildMetadata: [managedByLabel]
`,
	})
	r := files(t, Options{Kustomize: []string{"prod"}})
	want := []string{
		"ConfigMap hub/prod-config-7fd6ht669b prod/kustomization.yaml:18:9-18:15",
		"Pod hub/prod-sdk base/pod.yaml:4:9-4:12",
		"ServiceAccount hub/prod-sdk base/all.yaml:3:18-3:21",
		"ServiceAccount hub/prod-sdk-2 base/all.yaml:7:18-7:23",
	}
	got := summary(r)
	for i, line := range got {
		if strings.HasPrefix(line, "ConfigMap") { // the suffix is kustomize's
			got[i] = "ConfigMap" + line[strings.LastIndex(line, " "):]
		}
	}
	want[0] = "ConfigMap prod/kustomization.yaml:18:9-18:15"
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	for _, obj := range r.Objects {
		if obj.Ref.Kind != "Pod" {
			continue
		}
		for path, want := range map[string]string{
			"spec.containers[0].image":                   "base/pod.yaml:8:12-8:15",
			"spec.containers[0].env[0].value":            "base/pod.yaml:4:9-4:12", // patched: not there
			"spec.containers[0].securityContext":         "base/pod.yaml:7:11-7:14",
			"spec.serviceAccountName":                    "base/pod.yaml:5:1-5:5",
			"metadata.labels[app.kubernetes.io/managed]": "base/pod.yaml:3:1-3:9",
		} {
			if got := at(obj.Positions, path); got != want {
				t.Errorf("%q: got %s, want %s", path, got, want)
			}
		}
		if got := obj.Object.(interface{ GetAnnotations() map[string]string }).GetAnnotations(); len(got) > 0 {
			t.Errorf("got annotations %v, want none: that of the origin is ours", got)
		}
	}
}

func TestKustomizationErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"none", map[string]string{"k/a.yaml": ""}, "error k: holds no kustomization.yaml"},
		{
			"remote base",
			map[string]string{"k/kustomization.yaml": "resources:\n- github.com/mojaloop/x//deploy?ref=v1\n"},
			`error k/kustomization.yaml:2:3: base "github.com/mojaloop/x//deploy?ref=v1" is remote: allow it with --allow-remote, or keep a copy`,
		},
		{
			"remote file below a base",
			map[string]string{"k/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources:\n- https://user:canary@example.com/a.yaml\n"},
			`error b/kustomization.yaml:2:3: base "https://user:xxxxx@example.com/a.yaml" is remote: allow it with --allow-remote, or keep a copy`,
		},
		{
			"remote file of a generator",
			map[string]string{"k/kustomization.yaml": "configMapGenerator:\n- name: a\n  files: [\"x=https://example.com/a.yaml\"]\n"},
			`error k/kustomization.yaml:3:14: base "https://example.com/a.yaml" is remote: allow it with --allow-remote, or keep a copy`,
		},
		{
			"remote file of a plugin",
			map[string]string{
				"k/kustomization.yaml": "transformers: [t.yaml]\n",
				"k/t.yaml":             "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: t}\npath: https://example.com/p.yaml\n",
			},
			`error k/t.yaml:4:7: base "https://example.com/p.yaml" is remote: allow it with --allow-remote, or keep a copy`,
		},
		{
			"literal",
			map[string]string{"k/kustomization.yaml": "secretGenerator:\n- name: a\n  literals: [canary]\n"},
			"error k/kustomization.yaml: kustomize: loading KV pairs: literal source",
		},
		{
			"type error in a base",
			map[string]string{"k/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [pod.yaml]\n", "b/pod.yaml": fmt.Sprintf(pod, "a", "true")},
			"error b/pod.yaml:11:14: spec.containers[0].env[0].value: want a string, have the boolean true: quote it",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inDir(t, tc.files)
			got := strings.Join(summary(files(t, Options{Kustomize: []string{"k"}})), "\n")
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
