package serving

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
)

// client reads and watches objects of one kind, as typed clients do.
type client[T metav1.Object] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// follow calls see with every state of one object until ctx ends, exists false
// while there is none; fail with what keeps it from looking. It reads the
// object anew at least once per period, so that nothing is missed for longer.
//
// An informer does the same with a cache, a queue and two goroutines.
func follow[T metav1.Object](
	ctx context.Context, c client[T], name string, period time.Duration, see func(obj T, exists bool), fail func(error),
) {
	backoff := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 7, Cap: 5 * time.Second}
	delay := backoff
	for ctx.Err() == nil {
		err := followOnce(ctx, c, name, period, see)
		pause := 20 * time.Millisecond // a server may end watches as soon as they begin
		if err == nil {
			delay = backoff
		} else {
			if ctx.Err() == nil {
				fail(fmt.Errorf("watch %q: %w", name, err))
			}
			pause = delay.Step()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// followOnce watches before it reads, so that no change falls between.
func followOnce[T metav1.Object](ctx context.Context, c client[T], name string, period time.Duration, see func(obj T, exists bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := c.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		return err
	}
	defer w.Stop()
	over := time.After(period)
	obj, err := read(ctx, c, name)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	see(obj, err == nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case event, ok := <-w.ResultChan():
			switch {
			case !ok:
				return nil
			case event.Type == watch.Error:
				return apierrors.FromObject(event.Object)
			}
			if obj, ok := objectOf[T](event.Object, name); ok {
				see(obj, event.Type != watch.Deleted)
			}
		}
	}
}

// readTimeout is how long an API server may take to answer.
const readTimeout = 10 * time.Second

func read[T metav1.Object](ctx context.Context, c client[T], name string) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return c.Get(ctx, name, metav1.GetOptions{})
}

// objectOf returns an object of an event; false for those of other names, which
// a server that knows no field selector sends.
func objectOf[T metav1.Object](obj runtime.Object, name string) (T, bool) {
	typed, ok := obj.(T)
	return typed, ok && typed.GetName() == name
}
