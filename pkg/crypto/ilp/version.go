package ilp

import (
	"fmt"
	"strconv"
)

// Version is the version of ILP that a scheme uses: the setting ILP_VERSION of
// the SDK.
type Version int

// The versions.
const (
	V1 Version = 1
	V4 Version = 4
)

// ParseVersion reads "1" or "4".
func ParseVersion(s string) (Version, error) {
	switch s {
	case "1":
		return V1, nil
	case "4":
		return V4, nil
	}
	return 0, fmt.Errorf("ILP version %q: want 1 or 4", s)
}

// String is "1" or "4".
func (v Version) String() string { return strconv.Itoa(int(v)) }
