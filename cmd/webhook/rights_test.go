package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/manifests"
	"github.com/mojasec/mojasec/pkg/policy/collect/live"
	"github.com/mojasec/mojasec/pkg/serving"
)

// right is a verb on a resource, "group/resource"; "name" limits it to one
// object. A right of the manifests that nothing here uses is one too many.
type right struct{ verb, resource, name string }

func (r right) String() string { return strings.TrimSpace(r.verb + " " + r.resource + " " + r.name) }

func rights(verbs, resource, name string) []right {
	var out []right
	for verb := range strings.FieldsSeq(verbs) {
		out = append(out, right{verb, resource, name})
	}
	return out
}

// What the code calls, by where the right must be. Add a line with each new
// call, and the right to manifests/base.
var (
	// everywhere is ClusterRole mojasec-webhook.
	everywhere = slices.Concat(
		followed(false),
		// pkg/admission: Authorizer
		rights("create", "authorization.k8s.io/subjectaccessreviews", ""),
		// pkg/serving: publish, and follow with a field selector
		rights("get list watch patch", "admissionregistration.k8s.io/mutatingwebhookconfigurations", serving.MutatingName),
		rights("get list watch patch", "admissionregistration.k8s.io/validatingwebhookconfigurations", serving.ValidatingName),
	)
	// protected is ClusterRole mojasec-namespace, bound per namespace.
	protected = slices.Concat(
		followed(true),
		// pkg/controller: Slipped
		rights("create patch", "/events", ""),
	)
	// own is Role mojasec-webhook of the namespace of the webhook.
	own = slices.Concat(
		// leader.go: the lock
		rights("create", "coordination.k8s.io/leases", ""),
		rights("get update", "coordination.k8s.io/leases", leaseName),
		// pkg/serving: seed, restore, step, and follow
		rights("create", "/secrets", ""),
		rights("get list watch update", "/secrets", serving.SecretName),
	)
	// meshRoot is Role mojasec-webhook of the mesh root namespace.
	meshRoot = rights("get list watch", "/configmaps", "")
)

// followed are the kinds of pkg/policy/collect/live.
func followed(namespaced bool) []right {
	var out []right
	for _, r := range live.Resources() {
		if r.Namespaced == namespaced {
			out = append(out, rights("get list watch", r.Group+"/"+r.Resource, "")...)
		}
	}
	return out
}

func TestRightsAreThoseTheCodeUses(t *testing.T) {
	t.Parallel()
	all, err := manifests.Render(manifests.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		role string
		want []right
	}{
		{"ClusterRole /mojasec-webhook", everywhere},
		{"ClusterRole /mojasec-namespace", protected},
		{"Role mojasec-system/mojasec-webhook", own},
		{"Role istio-system/mojasec-webhook", meshRoot},
	}
	roles := map[string][]rbacv1.PolicyRule{}
	for _, o := range all {
		if o.GetKind() == "Role" || o.GetKind() == "ClusterRole" {
			roles[fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())] = rulesOf(t, o)
		}
	}
	// These are for people: nothing of ours is bound to them.
	delete(roles, "ClusterRole /mojasec-unenforce")
	delete(roles, "ClusterRole /mojasec-responder")
	if len(roles) != len(tests) {
		t.Errorf("got %d roles, want %d: every role has a table", len(roles), len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(lines(tt.want), lines(granted(t, roles[tt.role]))); diff != "" {
				t.Errorf("what the code uses (-) and what it may (+):\n%s", diff)
			}
		})
	}
}

func rulesOf(t *testing.T, o *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var role rbacv1.ClusterRole
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &role, true); err != nil {
		t.Fatal(err)
	}
	return role.Rules
}

func granted(t *testing.T, rules []rbacv1.PolicyRule) []right {
	t.Helper()
	var out []right
	for _, rule := range rules {
		if slices.Contains(slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups), "*") || len(rule.NonResourceURLs) > 0 {
			t.Errorf("got rule %v, want neither * nor URLs", rule)
		}
		names := rule.ResourceNames
		if names == nil {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					out = append(out, rights(strings.Join(rule.Verbs, " "), group+"/"+resource, name)...)
				}
			}
		}
	}
	return out
}

func lines(rights []right) []string {
	var out []string
	for _, r := range rights {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}
