package admissionpolicy_test

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/mojasec/mojasec/pkg/plugin/admissionpolicy"
	"github.com/mojasec/mojasec/pkg/policy"
)

// oldest is the first version of Kubernetes that the policies are for.
var oldest = version.MajorMinor(1, 30)

// server evaluates generated policies with the API server's own code, without a
// server. It asks every policy about every object: which are matched is tested
// on a real one.
type server struct {
	ids        []policy.ID
	validators []validating.Validator
}

// newServer generates and compiles. Of an expression that does not compile it
// fails the test.
func newServer(t testing.TB, o admissionpolicy.Options, v *version.Version) *server {
	t.Helper()
	objs, err := admissionpolicy.Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	for _, obj := range objs {
		p, ok := obj.(*admissionregistrationv1.ValidatingAdmissionPolicy)
		if !ok {
			continue
		}
		s.ids = append(s.ids, policy.ID(strings.TrimSuffix(p.Name, ".mojasec.io")))
		s.validators = append(s.validators, compile(t, p, v))
	}
	return s
}

// compile does what the API server does with a policy.
func compile(t testing.TB, p *admissionregistrationv1.ValidatingAdmissionPolicy, v *version.Version) validating.Validator {
	t.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(v))
	if err != nil {
		t.Fatal(err)
	}
	decls := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	for _, variable := range p.Spec.Variables {
		r := compiler.CompileAndStoreVariable(&validating.Variable{Name: variable.Name, Expression: variable.Expression}, decls, environment.NewExpressions)
		if r.Error != nil {
			t.Fatalf("policy %s, variable %s: %v\n%s", p.Name, variable.Name, r.Error, variable.Expression)
		}
	}
	condition := func(list ...cel.ExpressionAccessor) cel.ConditionEvaluator {
		c := compiler.CompileCondition(list, decls, environment.NewExpressions)
		for _, err := range c.CompilationErrors() {
			t.Fatalf("policy %s: %v", p.Name, err)
		}
		return c
	}
	var matches, validations, messages []cel.ExpressionAccessor
	for i := range p.Spec.MatchConditions {
		matches = append(matches, (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i]))
	}
	for _, val := range p.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: val.Expression, Message: val.Message})
		messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: val.MessageExpression})
	}
	matcher := matchconditions.NewMatcher(condition(matches...), p.Spec.FailurePolicy, "policy", "validate", p.Name)
	return validating.NewValidator(condition(validations...), matcher, condition(), condition(messages...), p.Spec.FailurePolicy, nil)
}

// request is what the API server asks a policy about.
type request struct {
	object, old runtime.Object
	namespace   *corev1.Namespace
	subresource string
	// untyped hands the object over as API servers before 1.36 do.
	untyped bool
}

// ask returns the messages of the policies that refuse a request.
func (s *server) ask(ctx context.Context, t testing.TB, r request) map[policy.ID]string {
	t.Helper()
	gvk := r.object.GetObjectKind().GroupVersionKind()
	gvr, _ := meta.UnsafeGuessKindToResource(gvk)
	m, err := meta.Accessor(r.object)
	if err != nil {
		t.Fatal(err)
	}
	op := admission.Create
	if r.old != nil {
		op = admission.Update
	}
	attributes := admission.NewAttributesRecord(r.object, r.old, gvk, m.GetNamespace(), m.GetName(), gvr, r.subresource, op, nil, false, nil)
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: gvk}
	versioned.VersionedObject.Set(r.form(t, r.object))
	if r.old != nil {
		versioned.VersionedOldObject.Set(r.form(t, r.old))
	}
	out := map[policy.ID]string{}
	for i, v := range s.validators {
		result := v.Validate(ctx, gvr, versioned, nil, r.namespace, celconfig.RuntimeCELCostBudget, nil)
		for _, d := range result.Decisions {
			if d.Evaluation == validating.EvalError {
				t.Errorf("policy %s cannot be evaluated: %s", s.ids[i], d.Message)
			}
			if d.Action == validating.ActionDeny {
				out[s.ids[i]] = d.Message
			}
		}
	}
	return out
}

func (r *request) form(t testing.TB, obj runtime.Object) runtime.Object {
	t.Helper()
	if !r.untyped {
		return obj
	}
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: tree}
}
