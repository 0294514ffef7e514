package plugin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"y\n": true, " YES \n": true, "n\n": false, "\n": false, "": false, "y": true, "yesterday\n": false} {
		var out bytes.Buffer
		got, err := ask(t.Context(), strings.NewReader(text), &out, "Go on?")
		if err != nil || got != want || out.String() != "Go on? [y/N] " {
			t.Errorf("%q: got %t, %v and %q, want %t", text, got, err, out.String(), want)
		}
	}
}

// TestAskInterrupted ends at a signal while nobody answers.
func TestAskInterrupted(t *testing.T) {
	t.Parallel()
	in, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer answers.Close() // ends the reader on the side
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if yes, err := ask(ctx, in, new(bytes.Buffer), "Go on?"); yes || !errors.Is(err, context.Canceled) {
		t.Errorf("got %t, %v, want %v", yes, err, context.Canceled)
	}
}

// TestOnTerminal tells a terminal, here the near end of one, from a file.
func TestOnTerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if onTerminal(file) || onTerminal(new(bytes.Buffer)) {
		t.Error("took a file for a terminal")
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer tty.Close()
	if !onTerminal(tty) {
		t.Error("took a terminal for a file")
	}
}
