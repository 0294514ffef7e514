package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare is the part of the container's memory that Go may use before it
// collects garbage at any price; the rest is for stacks of C and the kernel.
const memoryShare = 0.9

// limitMemory sets the soft memory limit from the container's, unless
// GOMEMLIMIT does. It returns the limit, or zero when there is none.
func limitMemory(root string) int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	for _, file := range []string{"memory.max", "memory/memory.limit_in_bytes"} { // cgroup v2, v1
		data, err := os.ReadFile(root + "/" + file) //nolint:gosec // a constant path below /sys/fs/cgroup
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		// v1 says "no limit" with a number near the largest one.
		if err != nil || n <= 0 || n > 1<<50 {
			continue
		}
		limit := int64(float64(n) * memoryShare)
		debug.SetMemoryLimit(limit)
		return limit
	}
	return 0
}
