package yamltree

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: sdk
  creationTimestamp: null
  labels: &labels
    app: sdk
    tier: null
  annotations: {"a/b": "c"}
spec:
  replicas: 2.0
  selector:
    matchLabels: *labels
  strategy:
    rollingUpdate: {maxSurge: 25%, maxUnavailable: 1}
  template:
    metadata:
      labels:
        <<: *labels
        tier: front
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: sdk
          image: sdk:1.2.3
          env:
            - name: A
              value: "yes"
            - name: B
              valueFrom:
                secretKeyRef: {name: s, key: k, optional: no}
          resources:
            limits: {cpu: 1, memory: 1Gi}
            requests: {cpu: 0.5}
          ports:
            - containerPort: 4000
          livenessProbe:
            httpGet: {path: /, port: http}
          unknownField: 1
      volumes:
        - name: keys
          projected:
            defaultMode: 0400
            sources:
              - secret: {name: keys}
`

// TestDecodeAgreesWithConverter compares with the conversion that Kubernetes'
// own clients use.
func TestDecodeAgreesWithConverter(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		new        func() any
	}{
		{"Deployment", deployment, func() any { return &appsv1.Deployment{} }},
		{"Secret", "kind: Secret\ndata: {a: QUI=, b: \"\"}\nstringData: {c: d}\nimmutable: true\n", func() any { return &corev1.Secret{} }},
		{"ConfigMap", "kind: ConfigMap\ndata:\n  a: |\n    b\nbinaryData:\n  c: |\n    QUJD\n    REVG\n", func() any { return &corev1.ConfigMap{} }},
		{
			"PeerAuthentication", "kind: PeerAuthentication\nspec: {mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}, nonsense: 1}\n",
			func() any { return &securityv1.PeerAuthentication{} },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := parseOne(t, tc.text)
			got, want := tc.new(), tc.new()
			if errs := doc.Decode(doc.Root, got); len(errs) > 0 {
				t.Fatalf("decode: %v", errs)
			}
			tree := doc.Value(doc.Root).(map[string]any)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(tree, want); err != nil {
				t.Fatal(err)
			}
			gotTree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(got)
			if err != nil {
				t.Fatal(err)
			}
			wantTree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantTree, gotTree); diff != "" {
				t.Errorf("object (-converter +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	pod := func() any { return &corev1.Pod{} }
	env := "spec:\n  containers:\n  - env:\n    - name: A\n      value: %s\n"
	for _, tc := range []struct {
		name, text string
		new        func() any
		want       string
	}{
		{"boolean", fmt.Sprintf(env, "true"), pod, "5:14 spec.containers[0].env[0].value: want a string, have the boolean true: quote it"},
		{"boolean of YAML 1.1", fmt.Sprintf(env, "No"), pod, "5:14 spec.containers[0].env[0].value: want a string, have the boolean No: quote it"},
		{"number is not told", fmt.Sprintf(env, "1234"), pod, "5:14 spec.containers[0].env[0].value: want a string, have a number: quote it"},
		{"mapping", fmt.Sprintf(env, "{a: b}"), pod, "5:14 spec.containers[0].env[0].value: want a string, have a mapping"},
		{"map value", "metadata:\n  labels:\n    a/b: 1\n", pod, "3:10 metadata.labels[a/b]: want a string, have a number: quote it"},
		{"list", "spec:\n  containers: {}\n", pod, "2:15 spec.containers: want a list, have a mapping"},
		{"no mapping", "spec: x\n", pod, "1:7 spec: want a mapping, have a string"},
		{"quoted number", "spec:\n  terminationGracePeriodSeconds: \"30\"\n", pod, "2:34 spec.terminationGracePeriodSeconds: want a whole number, have a string"},
		{"fraction", "spec: {terminationGracePeriodSeconds: 1.5}", pod, "1:39 spec.terminationGracePeriodSeconds: want a whole number of at most 64 bits"},
		{"overflow", "spec: {priority: 3000000000}", pod, "1:18 spec.priority: is too large, or negative where that cannot be"},
		{"quoted boolean", "spec: {hostNetwork: 'true'}", pod, "1:21 spec.hostNetwork: want true or false, have a string"},
		{"quantity", "spec: {containers: [{resources: {limits: {cpu: 1 core}}}]}", pod, "1:48 spec.containers[0].resources.limits[cpu]: want a quantity such as 500m or 1Gi, have a string"},
		{"time", "metadata: {creationTimestamp: yesterday}", pod, "1:31 metadata.creationTimestamp: want a time such as 2026-01-31T12:00:00Z, have a string"},
		{"port", "spec: {containers: [{livenessProbe: {httpGet: {port: true}}}]}", pod, "1:54 spec.containers[0].livenessProbe.httpGet.port: want a number or a string, have the boolean true"},
		{"through an alias", "x: &x 1\nmetadata: {name: *x}\n", pod, "2:18 metadata.name: want a string, have a number: quote it"},
		{
			"several", "metadata: {name: 1, namespace: on}\n", pod,
			"1:18 metadata.name: want a string, have a number: quote it\n1:32 metadata.namespace: want a string, have the boolean on: quote it",
		},
		{"base64", "data: {a: '%%'}", func() any { return &corev1.Secret{} }, "1:11 data[a]: is not base64: text in clear belongs into stringData"},
		{
			"Istio enum", "spec:\n  portLevelMtls:\n    8080: {mode: STRICT}\n    8081: {mode: STRCT}\n", func() any { return &securityv1.PeerAuthentication{} },
			`4:18 spec.portLevelMtls.8081.mode: "STRCT" is none of the values this field can have`,
		},
		{
			"Istio type", "spec:\n  selector: []\n  mtls: {mode: STRICT}\n", func() any { return &securityv1.PeerAuthentication{} },
			"2:13 spec.selector: has a value of the wrong type, have a list",
		},
		{
			"Istio in a list", "spec:\n  rules:\n  - from:\n    - source: {principals: [a, 1]}\n", func() any { return &securityv1.AuthorizationPolicy{} },
			"4:32 spec.rules[0].from[0].source.principals[1]: has a value of the wrong type, have a number",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := parseOne(t, tc.text)
			var got []string
			for _, err := range doc.Decode(doc.Root, tc.new()) {
				p := doc.src.Position(err.Offset)
				got = append(got, fmt.Sprintf("%d:%d %v", p.Line, p.Column, err))
			}
			if diff := cmp.Diff(strings.Split(tc.want, "\n"), got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeBoundsErrors(t *testing.T) {
	doc := parseOne(t, "metadata: {labels: {"+numbered(50)+"}}")
	if got := len(doc.Decode(doc.Root, &corev1.Pod{})); got != maxErrors {
		t.Errorf("got %d errors, want %d", got, maxErrors)
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: %d, ", i, i)
	}
	return b.String()
}

func TestValue(t *testing.T) {
	doc := parseOne(t, "a: [yes, 'yes', 0o17, 017, 1_000, 0b11, 1e3, 1.5, 1.0, ~, 2024-01-02, 1.2.3, 18446744073709551615, !!str 1, !!binary YQ==, !!float 2, +1, .5, -]\n")
	want := map[string]any{"a": []any{
		true, "yes", int64(15), int64(15), int64(1000), int64(3), int64(1000), 1.5, int64(1), nil, "2024-01-02", "1.2.3",
		float64(18446744073709551615), "1", "a", int64(2), int64(1), .5, "-",
	}}
	if diff := cmp.Diff(want, doc.Value(doc.Root)); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
}

func TestChild(t *testing.T) {
	doc := parseOne(t, "a: &x {kind: Pod}\nb: {<<: *x}\nc: *x\n")
	for _, name := range []string{"a", "b", "c"} {
		if kind, ok := Text(Child(Child(doc.Root, name), "kind")); !ok || kind != "Pod" {
			t.Errorf("%s.kind: got %q, want Pod", name, kind)
		}
	}
	if Child(Child(doc.Root, "x"), "kind") != nil {
		t.Error("x.kind found, want nil")
	}
}
