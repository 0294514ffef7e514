package mojaloop_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/test/mojaloop"
)

func startWorker(t *testing.T) *mojaloop.Worker {
	t.Helper()
	if os.Getenv("MOJASEC_INTEROP") == "" {
		t.Skip("this needs Node.js: make test-interop")
	}
	w, err := mojaloop.StartWorker(t.Context(), mojaloop.New)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestWorker(t *testing.T) {
	t.Parallel()
	w := startWorker(t)
	var versions struct{ Node string }
	if err := w.Call(t.Context(), "versions", nil, &versions); err != nil || versions.Node == "" {
		t.Errorf("got version %q, error %v", versions.Node, err)
	}
	if err := w.Call(t.Context(), "none", nil, &versions); err == nil || !strings.Contains(err.Error(), "there is no method none") {
		t.Errorf("got error %v, want one that names the method", err)
	}
	// An error of one call leaves the worker usable.
	if err := w.Call(t.Context(), "versions", nil, &versions); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Call(t.Context(), "versions", nil, &versions); err == nil {
		t.Error("a closed worker answers")
	}
}

func TestWorkerIsInterrupted(t *testing.T) {
	t.Parallel()
	w := startWorker(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Call(ctx, "sleep", map[string]any{"seconds": 3600}, nil); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}
