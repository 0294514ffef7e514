//go:build tools

// Package istio pins the version of Istio for the test control plane. It is a
// module of its own so that what Istio requires stays out of the product's
// go.mod.
package istio

import (
	_ "istio.io/istio/operator/pkg/helm"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
