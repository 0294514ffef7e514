package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Messages is how many messages a load makes, the warm-up included.
func (o *Options) Messages() int64 { return o.warmUpMessages() + o.messages() }

// Ahead makes messages before a load: n of them, each as if it were sent at now.
// It uses all processors. A message takes some 4 KB.
func Ahead(ctx context.Context, m Maker, n int64, now time.Time) (Maker, error) {
	made := make(ahead, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < n && ctx.Err() == nil && failed.Load() == nil; i = next.Add(1) - 1 {
				var err error
				if made[i], err = m.Make(i, now); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return made, ctx.Err()
}

// ahead are messages that are made.
type ahead []Message

// Make returns message n.
func (a ahead) Make(n int64, _ time.Time) (Message, error) {
	if n >= int64(len(a)) {
		return Message{}, fmt.Errorf("only %d messages were made", len(a))
	}
	return a[n], nil
}
