//go:build !linux

package controlplane

import (
	"os/exec"
	"syscall"
)

// startBound starts cmd in a process group of its own, so that Ctrl-C reaches
// this process only. Systems other than Linux cannot bind a child's life to its
// parent's: a SIGKILL of this process leaves the child running.
func startBound(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Start()
}
