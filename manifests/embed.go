// Package manifests has the YAML that mojasec installs, embedded, and renders
// it: what a program applies is what "kubectl apply -k" applies.
package manifests

import "embed"

// CRDs has one CustomResourceDefinition per file, in directory crds. They are
// generated from pkg/api/v1alpha1.
//
//go:embed crds/mojasec.io_*.yaml
var CRDs embed.FS

// Files has the kustomize base, the overlays and the CRDs.
//
//go:embed base crds overlays
var Files embed.FS
