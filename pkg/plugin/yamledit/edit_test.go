package yamledit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

var (
	envVar = Member{Path: "spec.containers[0].env", Value: map[string]any{
		"name": "ILP_SECRET", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "fsp-ilp", "key": "ILP_SECRET"}},
	}}
	mount = Member{Path: "spec.containers[0].volumeMounts", Value: map[string]any{
		"name": "keys", "mountPath": "/opt/app/secrets", "readOnly": true,
	}}
	volume = Member{Path: "spec.volumes", Value: map[string]any{
		"name": "keys", "secret": map[string]any{"secretName": "fsp-jws-keys"},
	}}
	label = Member{Path: "metadata.labels", Key: "sidecar.istio.io/inject", Value: "true"}
)

func TestAdd(t *testing.T) {
	tests := []struct {
		name    string
		in      string
		members []Member
		want    string
	}{
		{
			name: "a list of the same indent, with comments",
			in: `metadata:
  name: fsp # who
spec:
  containers:
  - name: sdk
    env:
    # the id
    - name: DFSP_ID
      value: fsp # never changes
    # what follows
    image: sdk
`,
			members: []Member{envVar},
			want: `metadata:
  name: fsp # who
spec:
  containers:
  - name: sdk
    env:
    # the id
    - name: DFSP_ID
      value: fsp # never changes
    - name: ILP_SECRET
      valueFrom:
        secretKeyRef:
          name: fsp-ilp
          key: ILP_SECRET
    # what follows
    image: sdk
`,
		},
		{
			name: "nothing is there yet, dashes are indented",
			in: `metadata:
  name: fsp
spec:
  containers:
    - name: sdk
      image: sdk`,
			members: []Member{volume, mount, envVar, label},
			want: `metadata:
  name: fsp
  labels:
    sidecar.istio.io/inject: "true"
spec:
  containers:
    - name: sdk
      image: sdk
      volumeMounts:
        - name: keys
          mountPath: /opt/app/secrets
          readOnly: true
      env:
        - name: ILP_SECRET
          valueFrom:
            secretKeyRef:
              name: fsp-ilp
              key: ILP_SECRET
  volumes:
    - name: keys
      secret:
        secretName: fsp-jws-keys`,
		},
		{
			name: "keys without a value",
			in: `metadata:
  name: fsp
  labels: # none
spec:
  volumes:
  containers:
  - name: sdk
`,
			members: []Member{label, volume},
			want: `metadata:
  name: fsp
  labels: # none
    sidecar.istio.io/inject: "true"
spec:
  volumes:
  - name: keys
    secret:
      secretName: fsp-jws-keys
  containers:
  - name: sdk
`,
		},
		{
			name: "flow style",
			in: `metadata: {name: fsp, labels: {}}
spec:
  containers:
  - {name: sdk, env: [{name: A, value: "1"}]}
  volumes: [ ]
`,
			members: []Member{envVar, mount, volume, label},
			want: `metadata: {name: fsp, labels: {sidecar.istio.io/inject: "true"}}
spec:
  containers:
  - {name: sdk, env: [{name: A, value: "1"}, {name: ILP_SECRET, valueFrom: {secretKeyRef: {name: fsp-ilp, key: ILP_SECRET}}}], volumeMounts: [{name: keys, mountPath: /opt/app/secrets, readOnly: true}]}
  volumes: [{name: keys, secret: {secretName: fsp-jws-keys}} ]
`,
		},
		{
			name: "JSON",
			in: `{
  "metadata": {"name": "fsp"},
  "spec": {
    "containers": [
      {
        "name": "sdk"
      }
    ]
  }
}
`,
			members: []Member{volume, label},
			want: `{
  "metadata": {"name": "fsp", "labels": {"sidecar.istio.io/inject": "true"}},
  "spec": {
    "containers": [
      {
        "name": "sdk"
      }
    ],
    "volumes": [{"name": "keys", "secret": {"secretName": "fsp-jws-keys"}}]
  }
}
`,
		},
		{
			name:    "lines that end with CR LF",
			in:      "metadata:\r\n  name: fsp\r\nspec: {}\r\n",
			members: []Member{label},
			want:    "metadata:\r\n  name: fsp\r\n  labels:\r\n    sidecar.istio.io/inject: \"true\"\r\nspec: {}\r\n",
		},
		{
			name: "after a block scalar",
			in: `metadata:
  name: fsp
spec:
  containers:
  - name: sdk
    args:
    - |
      a

---
metadata:
  name: other
`,
			members: []Member{envVar},
			want: `metadata:
  name: fsp
spec:
  containers:
  - name: sdk
    args:
    - |
      a
    env:
    - name: ILP_SECRET
      valueFrom:
        secretKeyRef:
          name: fsp-ilp
          key: ILP_SECRET

---
metadata:
  name: other
`,
		},
		{
			name: "an item of a List",
			in: `kind: List
items:
- metadata:
    name: fsp
  spec:
    containers: []
`,
			members: []Member{volume},
			want: `kind: List
items:
- metadata:
    name: fsp
  spec:
    containers: []
    volumes:
    - name: keys
      secret:
        secretName: fsp-jws-keys
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := edit(tt.in, tt.members)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// edit adds members to the object named fsp.
func edit(in string, members []Member) (*File, error) {
	f, err := Parse([]byte(in))
	if err != nil {
		return nil, err
	}
	at := strings.Index(in, "fsp")
	line := strings.Count(in[:at], "\n") + 1
	column := at - strings.LastIndexByte(in[:at], '\n')
	if at > 0 && in[at-1] == '"' {
		column--
	}
	return f, f.Add(yamltree.Position{Line: line, Column: column}, members)
}

func TestAddRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		member   Member
		want     string
	}{
		{
			name:   "an alias",
			in:     "metadata:\n  name: fsp\nx: &e [a]\nspec:\n  containers:\n  - env: *e\n",
			member: envVar, want: "is an alias (line 6)",
		},
		{
			name:   "an anchor that is used elsewhere",
			in:     "metadata:\n  name: fsp\nspec:\n  containers:\n  - &c\n    name: sdk\n  - *c\n",
			member: envVar, want: "too unusual",
		},
		{
			name:   "a merge",
			in:     "metadata:\n  name: fsp\nbase: &b\n  env:\n  - name: A\nspec:\n  containers:\n  - <<: *b\n",
			member: envVar, want: "too unusual",
		},
		{
			name:   "an item that is not there",
			in:     "metadata:\n  name: fsp\nspec:\n  containers: []\n",
			member: envVar, want: "is not there",
		},
		{
			name:   "a single value where the list should be",
			in:     "metadata:\n  name: fsp\nspec:\n  volumes: none\n",
			member: volume, want: "is a single value",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := edit(tt.in, []Member{tt.member})
			if err == nil {
				_, err = f.Bytes()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	const in = `metadata:
  name: fsp
spec:
  containers:
  - name: sdk
    env: [{name: ILP_KEY, value: hidden}]
  volumes:
  - name: a`
	f, err := edit(in, []Member{volume, envVar, label})
	if err != nil {
		t.Fatal(err)
	}
	const want = `--- a/x.yaml
+++ b/x.yaml
@@ -2,0 +3,2 @@
+  labels:
+    sidecar.istio.io/inject: "true"
@@ -6 +8 @@
-…
+…, {name: ILP_SECRET, valueFrom: {secretKeyRef: {name: fsp-ilp, key: ILP_SECRET}}}…
@@ -8,0 +11,3 @@
+  - name: keys
+    secret:
+      secretName: fsp-jws-keys
`
	if diff := cmp.Diff(want, f.Diff("x.yaml")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzAdd edits whatever parses: the result is refused, or it holds what was
// there and what was added. Bytes compares them, so it is the text that is tested
// here: not a byte of it is lost.
func FuzzAdd(f *testing.F) {
	for _, seed := range []string{
		"metadata: {name: fsp}\nspec: {containers: [{name: a}]}\n",
		"metadata:\n  name: fsp\nspec:\n  containers:\n  - name: a\n    env:\n",
		"metadata:\n  name: fsp\nspec:\n  containers:\n  - args:\n    - |+\n      a\n\n# end\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		file, err := Parse([]byte(in))
		if err != nil {
			return
		}
		if len(file.docs) == 0 {
			return
		}
		start, _ := file.docs[0].root.Locate("metadata.name")
		if file.Add(file.src.Position(start), []Member{volume, mount, envVar, label}) != nil {
			return
		}
		got, err := file.Bytes()
		if err != nil {
			return
		}
		rest := got
		for at := range []byte(in) {
			i := bytes.IndexByte(rest, in[at])
			if i < 0 {
				t.Fatalf("%q is not in order in:\n%s", in[at:], got)
			}
			rest = rest[i+1:]
		}
	})
}
