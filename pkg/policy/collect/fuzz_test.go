package collect

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/policy"
)

// FuzzFiles feeds standard input: whatever it is, every object, value and error
// has a place in it.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{
		podNamed("a"), rendered, template, fmt.Sprintf(pod, "a", "no"),
		"apiVersion: v1\nkind: List\nitems:\n- &x {apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: Yw==}}\n- *x\n",
		`{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"a"}}]}{"a":"b"}`,
		"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {portLevelMtls: {80: {mode: STRICT}}}\n",
		"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {generateName: a}\nspec: {template: {spec: {containers: []}}}\n",
		"apiVersion: mojasec.io/v1alpha1\nkind: Waiver\nmetadata: {name: a}\nspec: {expiresAt: 2026-01-01T00:00:00Z}\n",
		"config:\n  ILP_SECRET: x\n  <<: {a: b}\n", "\ufeff---\r\n# Source: a/b\r\nkind: é\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := 1 + bytes.Count(data, []byte{'\n'}) + bytes.Count(data, []byte{'\r'})
		r, err := Files(t.Context(), Options{Paths: []string{"-"}, Stdin: bytes.NewReader(data)})
		if err != nil {
			t.Fatal(err)
		}
		inside := func(p policy.Positions) {
			for _, path := range []string{"", "metadata.name", "spec.containers[0].env[0].value", "spec.nonsense[1]", "data[b]", "config.ILP_SECRET"} {
				at, ok := p.Locate(path)
				if !ok || at.StartLine < 1 || at.StartColumn < 1 || at.EndLine > lines || at.EndLine < at.StartLine ||
					at.EndLine == at.StartLine && at.EndColumn < at.StartColumn {
					t.Errorf("%q: region %+v is not in a text of %d lines", path, at, lines)
				}
			}
		}
		for _, obj := range r.Objects {
			if obj.Ref != policy.RefOf(obj.Object) || obj.Ref.Name == "" {
				t.Errorf("reference %v of %v", obj.Ref, policy.RefOf(obj.Object))
			}
			inside(obj.Positions)
		}
		for _, v := range r.Values {
			inside(v.Positions)
		}
		for _, e := range r.Errors {
			if e.Line > lines || e.Message == "" || strings.ContainsAny(e.Message, "\r\n") {
				t.Errorf("error %+v in a text of %d lines", e, lines)
			}
		}
	})
}
