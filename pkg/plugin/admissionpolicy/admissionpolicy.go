// Package admissionpolicy writes the checks that a pod by itself can break as
// ValidatingAdmissionPolicies, in CEL, for clusters that cannot run the webhook.
//
// The rules are those of [policy.Checks] that are marked PodLocal, one policy
// each, and three bindings for the three modes of a namespace. Identifiers,
// messages and tables come from packages policy and crypto; only the conditions
// are written here a second time, and a test holds them against the Go engine.
//
// CEL has no recursion, no base64, no YAML and no other object than the one that
// is judged and its Namespace. What follows from that is listed in [Blind].
package admissionpolicy

import (
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// Labels of all objects, by which they can be found and removed.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelComponent = "app.kubernetes.io/component"
	LabelPartOf    = "app.kubernetes.io/part-of"

	// Component is the value of LabelComponent.
	Component = "admission-policies"
)

// Options say what to generate.
type Options struct {
	// Profile adds published secrets, datastore ports, recognition rules, the
	// mesh and the modes of checks; nil is the default Profile.
	Profile *v1alpha1.Profile
	// Limit is the strictest that bindings do: with warn nothing is denied.
	// Empty is enforce.
	Limit policy.Mode
}

// Generate returns the policies, each followed by its bindings, in the order of
// the catalogue.
func Generate(o Options) ([]runtime.Object, error) {
	profile := v1alpha1.DefaultProfile()
	if o.Profile != nil {
		profile = o.Profile.DeepCopy()
		profile.Default()
	}
	limit := o.Limit
	if limit == policy.ModeNone {
		limit = policy.ModeEnforce
	}
	var out []runtime.Object
	for _, check := range policy.Checks() {
		if !check.PodLocal {
			continue
		}
		write, ok := rules[check.ID]
		if !ok {
			return nil, fmt.Errorf("check %s is marked pod-local, but has no rule in CEL", check.ID)
		}
		if check.Category == policy.CategoryMTLS && profile.Spec.Mesh == v1alpha1.MeshNone {
			continue // not applicable, as in the engine
		}
		out = append(out, newPolicy(&check, write(newSettings(&profile.Spec))))
		for _, mode := range []policy.Mode{policy.ModeEnforce, policy.ModeWarn, policy.ModeAudit} {
			action := policy.Weaker(policy.Weaker(mode, limit), policy.CheckMode(profile, check.ID))
			out = append(out, newBinding(check.ID, mode, action))
		}
	}
	return out, nil
}

// policyName is the name of the policy of a check.
func policyName(id policy.ID) string { return string(id) + ".mojasec.io" }

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: map[string]string{
		LabelName: "mojasec", LabelPartOf: "mojasec", LabelComponent: Component,
	}}
}

// rule is a check in CEL.
type rule struct {
	variables []admissionregistrationv1.Variable
	// broken is a list of phrases: what breaks the check, and where. Empty
	// when nothing does.
	broken string
	// metadata tells that the annotations of pod makers are judged too.
	metadata bool
}

func newPolicy(check *policy.Check, r rule) *admissionregistrationv1.ValidatingAdmissionPolicy {
	const broken = "broken"
	rest := fmt.Sprintf("Must hold: %s. To mend it: %s", check.Title, check.Fix)
	return &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: meta(policyName(check.ID)),
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    new(admissionregistrationv1.Fail),
			MatchConstraints: podMakers(),
			MatchConditions:  []admissionregistrationv1.MatchCondition{{Name: "changes-what-is-judged", Expression: changes(r.metadata)}},
			Variables:        append(slices.Clip(r.variables), admissionregistrationv1.Variable{Name: broken, Expression: r.broken}),
			Validations: []admissionregistrationv1.Validation{{
				Expression:        "size(variables." + broken + ") == 0",
				Message:           string(check.ID) + ": " + rest,
				MessageExpression: str(string(check.ID)+": ") + " + variables." + broken + `.join("; ") + ` + str(". "+rest),
			}},
		},
	}
}

// podMakers matches pods and everything that makes pods.
func podMakers() *admissionregistrationv1.MatchResources {
	rule := func(group string, resources ...string) admissionregistrationv1.NamedRuleWithOperations {
		return admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources,
				Scope: new(admissionregistrationv1.NamespacedScope),
			},
		}}
	}
	return &admissionregistrationv1.MatchResources{
		MatchPolicy: new(admissionregistrationv1.Equivalent),
		ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{
			rule("", "pods", "pods/ephemeralcontainers", "replicationcontrollers"),
			rule("apps", "deployments", "statefulsets", "daemonsets", "replicasets"),
			rule("batch", "jobs", "cronjobs"),
		},
	}
}

var actions = map[policy.Mode]admissionregistrationv1.ValidationAction{
	policy.ModeEnforce: admissionregistrationv1.Deny,
	policy.ModeWarn:    admissionregistrationv1.Warn,
	policy.ModeAudit:   admissionregistrationv1.Audit,
}

// newBinding binds the policy of a check to the namespaces of a mode.
func newBinding(id policy.ID, mode, action policy.Mode) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{policy.LabelMode: string(mode)}}
	if mode == policy.ModeEnforce {
		// A value that is no mode counts as enforce: a typing error must not
		// switch protection off.
		selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: policy.LabelMode, Operator: metav1.LabelSelectorOpExists},
			{Key: policy.LabelMode, Operator: metav1.LabelSelectorOpNotIn, Values: []string{string(policy.ModeAudit), string(policy.ModeWarn)}},
		}}
	}
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: meta(string(id) + "." + string(mode) + ".mojasec.io"),
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        policyName(id),
			ValidationActions: []admissionregistrationv1.ValidationAction{actions[action]},
			MatchResources:    &admissionregistrationv1.MatchResources{NamespaceSelector: selector},
		},
	}
}
