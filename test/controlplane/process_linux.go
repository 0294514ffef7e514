package controlplane

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// lastingThread runs functions on a thread that lasts as long as the process.
var lastingThread = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// startBound starts cmd so that the kernel kills it when this process dies,
// however it dies. Linux sends that signal when the *thread* that started the
// child ends, and Go ends threads, hence the lasting one. The child gets a
// process group of its own: Ctrl-C in a terminal reaches this process only,
// which then stops its children in order.
func startBound(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	done := make(chan error)
	lastingThread() <- func() { done <- cmd.Start() }
	return <-done
}
