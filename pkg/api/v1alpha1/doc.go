// Package v1alpha1 has the API kinds of group mojasec.io and the report.
//
// # Kinds of the cluster
//
// A [Profile] says what a scheme looks like and how strict mojasec is with it.
// A [Waiver] excuses named objects from named checks until a date. A
// [Quarantine] isolates a DFSP; a [Rotation] replaces one of its keys. Their
// CustomResourceDefinitions are generated from this package into
// manifests/crds.
//
// # The report
//
// A [Report] is what verify and status answer with -o json. It is not served by
// the API server, but it is as stable as if it were: fields are added, never
// changed.
//
// # Defaults
//
// The API server sets the defaults of a Profile from its CRD; [Profile.Default]
// sets the same ones where there is no API server, for manifests on disk.
//
// +kubebuilder:object:generate=true
// +groupName=mojasec.io
package v1alpha1
