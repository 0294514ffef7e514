//go:build tools

// Package kwok pins the version of kwok, which plays the nodes of the test
// control plane. It is a module of its own so that what kwok requires stays
// out of the product's go.mod.
package kwok

import _ "sigs.k8s.io/kwok/cmd/kwok"
