//go:build !soak

package main

import "github.com/mojasec/mojasec/pkg/admission"

// withFaults is where the program that test/soak builds, with the tag soak, adds
// its faults. Here there are none.
func withFaults(k admission.Knowledge) admission.Knowledge { return k }
