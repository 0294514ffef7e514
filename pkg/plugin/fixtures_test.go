package plugin

import (
	"os"
	"path/filepath"
	"testing"
)

// The smallest manifests for each outcome.
const (
	// unrelated is software no check is about.
	unrelated = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: nginx:1.29
`
	// sdk lacks all that admission injects. Nothing is known of its mesh.
	sdk = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: perffsp-1-sdk
  namespace: mojaloop
spec:
  selector: {matchLabels: {dfsp: perffsp-1}}
  template:
    metadata:
      labels:
        component: sdk-scheme-adapter
        dfsp: perffsp-1
    spec:
      containers:
      - name: sdk-scheme-adapter
        image: mojaloop/sdk-scheme-adapter:v24.0.0
        env:
        # who it is
        - name: DFSP_ID
          value: perffsp-1
`
	// published is an SDK with a secret everybody knows.
	published = sdk + `        - name: ILP_SECRET
          value: Quaixohyaesahju3thivuiChai5cahng
`
	// broken is not YAML.
	broken = "kind: [\n"
	// waiver covers what is wrong with published, but no other object.
	waiver = `apiVersion: mojasec.io/v1alpha1
kind: Waiver
metadata:
  name: test-scheme
spec:
  checks: [ilp-secret-not-default]
  match: {namespaces: [mojaloop], names: [perffsp-1-sdk]}
  reason: a test scheme without money
  owner: security@example.org
  expiresAt: "2999-01-01T00:00:00Z"
`
)

// write writes files into a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
