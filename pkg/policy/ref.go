package policy

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Ref names an API object.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// String is how reports name an object, for example
// "Deployment mojaloop/perffsp-1-sdk".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Compare orders references by namespace, kind, name and version.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Namespace, o.Namespace),
		cmp.Compare(r.Kind, o.Kind),
		cmp.Compare(r.Name, o.Name),
		cmp.Compare(r.APIVersion, o.APIVersion),
	)
}

// RefOf returns the reference of a typed object whose TypeMeta is set. An
// object that is still to be named by the API server shows as "prefix*".
func RefOf(obj runtime.Object) Ref {
	var ref Ref
	ref.APIVersion, ref.Kind = obj.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	if m, ok := obj.(metav1.Object); ok {
		ref.Namespace, ref.Name = m.GetNamespace(), m.GetName()
		if ref.Name == "" && m.GetGenerateName() != "" {
			ref.Name = m.GetGenerateName() + "*"
		}
	}
	return ref
}
