// Package manifests has the YAML that mojasec installs, embedded.
package manifests

import "embed"

// CRDs has one CustomResourceDefinition per file, in directory crds. They are
// generated from pkg/api/v1alpha1.
//
//go:embed crds/*.yaml
var CRDs embed.FS
