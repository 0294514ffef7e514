package policy

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	istionetworkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// istio-known-fields: every field below spec of an Istio object exists in
// Istio's API, judged on the tree as it was written.
var checkIstioKnownFields = Check{
	ID: "istio-known-fields", Category: CategoryMTLS, Severity: Error,
	Title: "Istio objects use fields that exist",
	Fix:   "remove the field or correct its name; `kubectl explain KIND.spec --recursive` lists those that exist",
	Doc: `A misspelt field in an Istio object protects nobody. The API server refuses it or, with older
clients and lenient validation, drops it without a word. The check compares the object as it was
written with Istio's own API definition. The best known case is ` + "`minProtocolVersion`" + ` on a
DestinationRule: it exists on Gateway servers only; between workloads it is
` + "`meshConfig.meshMTLS.minProtocolVersion`" + `.`,
	Run: func(sub *Subject, _ *Snapshot) Result {
		message := istioSpec(sub.Object)
		if message == nil || sub.Raw == nil {
			return notApplicable
		}
		spec, ok := sub.Raw["spec"].(map[string]any)
		if !ok {
			return passed()
		}
		var found []Violation
		unknownFields(message, spec, field.NewPath("spec"), &found)
		return failedOrPassed(found)
	},
}

// istioSpec describes the spec of an Istio object; nil for others.
func istioSpec(obj runtime.Object) protoreflect.MessageDescriptor {
	switch o := obj.(type) {
	case *securityv1.PeerAuthentication:
		return o.Spec.ProtoReflect().Descriptor()
	case *securityv1.AuthorizationPolicy:
		return o.Spec.ProtoReflect().Descriptor()
	case *istionetworkingv1.DestinationRule:
		return o.Spec.ProtoReflect().Descriptor()
	case *istionetworkingv1.Gateway:
		return o.Spec.ProtoReflect().Descriptor()
	case *istionetworkingv1.VirtualService:
		return o.Spec.ProtoReflect().Descriptor()
	case *istionetworkingv1alpha3.EnvoyFilter:
		return o.Spec.ProtoReflect().Descriptor()
	}
	return nil
}

func unknownFields(message protoreflect.MessageDescriptor, tree map[string]any, at *field.Path, found *[]Violation) {
	// google.protobuf.Struct, Duration and wrappers have a JSON form of their own.
	if message.FullName().Parent() == "google.protobuf" {
		return
	}
	for _, name := range sortedKeys(tree) {
		f := message.Fields().ByJSONName(name)
		if f == nil {
			f = message.Fields().ByTextName(name)
		}
		if f == nil {
			*found = append(*found, Violation{Field: at.Child(name), Detail: fmt.Sprintf("%s has no field %q%s", message.Name(), name, hint(message, name))})
			continue
		}
		descend(f, tree[name], at.Child(name), found)
	}
}

func descend(f protoreflect.FieldDescriptor, value any, at *field.Path, found *[]Violation) {
	switch {
	case f.IsMap():
		values, ok := value.(map[string]any)
		if !ok || f.MapValue().Message() == nil {
			return
		}
		for _, key := range sortedKeys(values) {
			if member, ok := values[key].(map[string]any); ok {
				unknownFields(f.MapValue().Message(), member, at.Key(key), found)
			}
		}
	case f.Message() == nil:
	case f.IsList():
		items, ok := value.([]any)
		if !ok {
			return
		}
		for i, item := range items {
			if member, ok := item.(map[string]any); ok {
				unknownFields(f.Message(), member, at.Index(i), found)
			}
		}
	default:
		if member, ok := value.(map[string]any); ok {
			unknownFields(f.Message(), member, at, found)
		}
	}
}

// hint names the right place of fields that are often put in a wrong one.
func hint(message protoreflect.MessageDescriptor, name string) string {
	if name == "minProtocolVersion" || name == "maxProtocolVersion" || name == "cipherSuites" {
		if message.Name() == "ClientTLSSettings" {
			return "; it exists on Gateway servers, and for the mesh as meshConfig.meshMTLS." + name
		}
	}
	return ""
}
