//go:build !linux

package load

import (
	"errors"
	"time"
)

// ProcessCPU is known on Linux only.
func ProcessCPU(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of other processes is known on Linux only")
}
