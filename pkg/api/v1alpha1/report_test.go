package v1alpha1_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// A Report is printed by cli-runtime's printers.
var _ runtime.Object = (*v1alpha1.Report)(nil)

// contract is the report as consumers know it. Names may be added here, never
// changed.
const contract = `
apiVersion: mojasec.io/v1alpha1
kind: Report
summary: {subjects: 14, passed: 311, errors: 2, warnings: 1, notes: 4, waived: 5, skipped: 3}
findings:
- check: ilp-secret-not-default
  severity: error
  action: deny
  assumesEnforce: true
  title: ILP secret is not a published default
  detail: it equals published default 1
  fix: kubectl mojasec generate ilp-secret dfsp/perffsp-1
  field: spec.template.spec.containers[0].env[3].value
  waived: true
  waivedBy: legacy-bank
  known: true
  subject: {apiVersion: apps/v1, kind: Deployment, namespace: mojaloop, name: perffsp-1-sdk}
  source: {file: deploy.yaml, startLine: 41, startColumn: 18, endLine: 41, endColumn: 40}
  related:
  - subject: {apiVersion: v1, kind: Secret, namespace: mojaloop, name: perffsp-1-ilp}
    field: data
    source: {file: secret.yaml, startLine: 2, startColumn: 1, endLine: 2, endColumn: 5}
    message: the secret
- check: mtls-strict
  severity: warning
  action: none
  title: t
  detail: d
  fix: f
  waived: false
  subject: {apiVersion: v1, kind: Namespace, name: mojaloop}
skipped:
- {check: mtls-strict, reason: not known, expected: false, subject: {apiVersion: v1, kind: Pod, namespace: a, name: b}}
injected:
- {check: mtls-in-mesh, subject: {apiVersion: v1, kind: Pod, namespace: a, name: b}, change: add a label}
errors:
- {file: x.yaml, line: 3, column: 7, message: did not find expected key}
- {message: no input}
passedOver: {Ingress: 2}
`

func TestReportContract(t *testing.T) {
	t.Parallel()
	var report v1alpha1.Report
	if err := yaml.UnmarshalStrict([]byte(contract), &report); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(t, contract), got); diff != "" {
		t.Errorf("report (-contract +got):\n%s", diff)
	}
}

func TestReportListsAreNeverNull(t *testing.T) {
	t.Parallel()
	want := `{"kind":"Report","apiVersion":"mojasec.io/v1alpha1",` +
		`"summary":{"subjects":0,"passed":0,"errors":0,"warnings":0,"notes":0,"waived":0,"skipped":0},` +
		`"findings":[],"skipped":[],"injected":[],"errors":[]}`
	for _, report := range []any{v1alpha1.NewReport(), *v1alpha1.NewReport(), v1alpha1.NewReport().DeepCopyObject()} {
		got, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%T: got  %s\nwant %s", report, got, want)
		}
	}
}
