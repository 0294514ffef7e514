//go:build soak

package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/mojasec/mojasec/pkg/admission"
	"github.com/mojasec/mojasec/pkg/policy"
)

// What test/soak needs and the product must not have. SIGUSR1 writes all live
// memory into the file that envDump names; it is complete when it has that name.
// The text of the file that envKeep names is kept in memory, so that whoever
// searches a dump knows that the search works. A review that looks for an object
// called panicPrefix... panics.
const (
	envDump     = "MOJASEC_SOAK_DUMP"
	envKeep     = "MOJASEC_SOAK_KEEP"
	panicPrefix = "soak-panic"
)

var kept []byte

func withFaults(k admission.Knowledge) admission.Knowledge {
	if file := os.Getenv(envKeep); file != "" {
		kept, _ = os.ReadFile(file)
	}
	if file := os.Getenv(envDump); file != "" {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGUSR1)
		go func() {
			for range asked {
				dump(file)
			}
		}()
	}
	return faulty{k}
}

func dump(file string) {
	for range 4 { // pools give back what they hold after two
		runtime.GC()
	}
	f, err := os.Create(file + ".new")
	if err != nil {
		return
	}
	debug.WriteHeapDump(f.Fd())
	if f.Close() == nil {
		_ = os.Rename(file+".new", file)
	}
	runtime.KeepAlive(kept)
}

type faulty struct{ admission.Knowledge }

// Reread implements admission.Knowledge.
func (f faulty) Reread(ctx context.Context, snap *policy.Snapshot, absent []policy.Fact) (*policy.Snapshot, bool, error) {
	for _, fact := range absent {
		if strings.HasPrefix(fact.Name, panicPrefix) {
			panic("asked to, by the name " + fact.Name)
		}
	}
	return f.Knowledge.Reread(ctx, snap, absent)
}
