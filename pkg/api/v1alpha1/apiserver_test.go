package v1alpha1_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/manifests"
)

// resource is a CRD as the API server holds it: it sets defaults and validates
// with the API server's own code, without a server.
type resource struct {
	crd        *apiextensionsv1.CustomResourceDefinition
	structural *schema.Structural
	schema     validation.SchemaValidator
	cel        *cel.Validator
}

// resources loads the embedded CRDs, by kind. A CRD that the API server would
// refuse fails the test.
func resources(t *testing.T) map[string]*resource {
	t.Helper()
	files, err := fs.Glob(manifests.CRDs, "crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*resource{}
	for _, file := range files {
		data, err := manifests.CRDs.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := newResource(t, data)
		out[r.crd.Spec.Names.Kind] = r
	}
	return out
}

func newResource(t *testing.T, data []byte) *resource {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	r := &resource{crd: &apiextensionsv1.CustomResourceDefinition{}}
	if err := yaml.UnmarshalStrict(data, r.crd); err != nil {
		t.Fatal(err)
	}
	scheme.Default(r.crd)
	r.crd.Status.StoredVersions = []string{r.crd.Spec.Versions[0].Name}
	var internal apiextensions.CustomResourceDefinition
	if err := scheme.Convert(r.crd, &internal, nil); err != nil {
		t.Fatal(err)
	}
	if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), &internal); len(errs) > 0 {
		t.Fatalf("CRD %s: %v", r.crd.Name, errs.ToAggregate())
	}
	served, err := apiextensions.GetSchemaForVersion(&internal, r.crd.Spec.Versions[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if r.structural, err = schema.NewStructural(served.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	if r.schema, _, err = validation.NewSchemaValidator(served.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	r.cel = cel.NewValidator(r.structural, true, celconfig.PerCallLimit)
	return r
}

// create answers as a strict API server does to kubectl create: with the
// defaulted object and the messages of its errors.
func (r *resource) create(ctx context.Context, obj map[string]any) (map[string]any, []string) {
	return r.update(ctx, obj, nil)
}

// update does the same for a change of old to obj.
func (r *resource) update(ctx context.Context, obj, old map[string]any) (map[string]any, []string) {
	obj = runtime.DeepCopyJSON(obj)
	unknown := pruning.PruneWithOptions(obj, r.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	messages := make([]string, 0, len(unknown))
	for _, path := range unknown {
		messages = append(messages, "unknown field "+path)
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, r.structural)
	defaulting.Default(obj, r.structural)

	var errs field.ErrorList
	var previous any // an untyped nil means create
	if old == nil {
		errs = validation.ValidateCustomResource(nil, obj, r.schema)
	} else {
		previous = old
		errs = validation.ValidateCustomResourceUpdate(nil, obj, old, r.schema)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, r.structural, obj)...)
	if len(errs) == 0 && r.cel != nil { // rules run on objects of the right shape only
		errs, _ = r.cel.Validate(ctx, nil, r.structural, obj, previous, celconfig.RuntimeCELCostBudget)
	}
	for _, err := range errs {
		messages = append(messages, err.Error())
	}
	slices.Sort(messages)
	return obj, messages
}

// object parses a YAML object.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var obj map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &obj); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return obj
}

// set returns a copy of obj with the value at a dotted path replaced, or
// removed when value is nil.
func set(obj map[string]any, path string, value any) map[string]any {
	obj = runtime.DeepCopyJSON(obj)
	at, keys := obj, strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		next, ok := at[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	last := keys[len(keys)-1]
	if value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
	return obj
}
