package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// TestValues judges files of Helm values as the charts of Mojaloop have them.
func TestValues(t *testing.T) {
	key := string(fixtures.NewKeyPair().Private)
	tests := []struct {
		name string
		tree map[string]any
		want []string // "check field"
	}{
		{name: "nothing of ours", tree: map[string]any{"replicaCount": 3, "image": map[string]any{"tag": "v1"}}},
		{
			name: "published default, deep",
			tree: map[string]any{"simulators": []any{map[string]any{"config": map[string]any{"schemeAdapter": map[string]any{"env": map[string]any{"ILP_SECRET": fixtures.PublishedILPDefault}}}}}},
			want: []string{"ilp-secret-not-default simulators[0].config.schemeAdapter.env.ILP_SECRET"},
		},
		{
			name: "a secret of one's own",
			tree: map[string]any{"env": map[string]any{"ILP_SECRET": fixtures.RandomSecret(), "JWS_SIGN": true}},
		},
		{
			name: "signing off, as a boolean and as text",
			tree: map[string]any{"a": map[string]any{"JWS_SIGN": false}, "b": map[string]any{"JWS_SIGN": "False"}, "c": map[string]any{"JWS_SIGN": "true"}},
			want: []string{"jws-signing-enabled a.JWS_SIGN", "jws-signing-enabled b.JWS_SIGN"},
		},
		{
			name: "a list of name and value",
			tree: map[string]any{"env": []any{map[string]any{"name": "AUDIT_LOG_ENABLED", "value": "true"}}},
			want: []string{"dead-setting env[0].value"},
		},
		{
			name: "private key",
			tree: map[string]any{"config": map[string]any{"jwsSigningKey": key}},
			want: []string{"private-key-in-clear config.jwsSigningKey"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := policy.Review(policy.Checks(), []policy.Input{policy.ValuesInput("values.yaml", tt.tree)}, snapshot(nil), true)
			var got []string
			for _, f := range r.Findings {
				got = append(got, string(r.Check(f.Pair).ID)+" "+f.Field.String())
				if strings.Contains(f.Detail, fixtures.PublishedILPDefault) || strings.Contains(f.Detail, key[40:60]) {
					t.Errorf("the detail repeats the value: %s", f.Detail)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(r.Skipped) > 0 {
				t.Errorf("skipped: %s", render(&r))
			}
		})
	}
}
