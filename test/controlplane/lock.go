package controlplane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// lock takes the file's lock, which the kernel releases when its holder dies.
// It calls waiting once when another process has it.
func lock(ctx context.Context, file string, waiting func()) (unlock func(), err error) {
	ticker := time.NewTicker(10 * pollEvery)
	defer ticker.Stop()
	for told := false; ; {
		unlock, err := tryLock(file)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return unlock, err
		}
		if !told {
			waiting()
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// tryLock fails with EWOULDBLOCK when another holds the lock. It uses no
// os.File: the garbage collector closes those that nobody refers to any more,
// and with them the lock.
func tryLock(file string) (unlock func(), err error) {
	fd, err := syscall.Open(file, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return sync.OnceFunc(func() { _ = syscall.Close(fd) }), nil
}
