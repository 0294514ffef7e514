package live_test

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// unstructuredOf drops the empty members that a typed object has and that an
// API server does not take.
func unstructuredOf(tree map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: tree}
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "status")
	return u
}
