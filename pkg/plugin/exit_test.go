package plugin

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestWorst(t *testing.T) {
	tests := []struct {
		codes []Code
		want  Code
	}{
		{nil, Good},
		{[]Code{Good, Incomplete}, Incomplete},
		{[]Code{Incomplete, Findings}, Findings},
		{[]Code{Findings, Stopped}, Stopped},
		{[]Code{Stopped, Refused}, Refused},
		{[]Code{Refused, Failed}, Failed},
		{[]Code{Failed, Usage}, Usage},
		{[]Code{Usage, TimedOut}, TimedOut},
		{[]Code{TimedOut, Interrupted}, Interrupted},
	}
	for _, tt := range tests {
		if got := worst(tt.codes...); got != tt.want {
			t.Errorf("worst(%v): got %d, want %d", tt.codes, got, tt.want)
		}
	}
}

func TestCodeOf(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		want    Code
		message string
	}{
		{name: "nothing", want: Good},
		{name: "any error", err: errors.New("disk full"), want: Failed, message: "disk full"},
		{name: "a verdict", err: exit(Good, Findings), want: Findings},
		{name: "a reason", err: &ExitError{Refused, errors.New("owned by Helm")}, want: Refused, message: "owned by Helm"},
		{name: "usage", err: fmt.Errorf("wrapped: %w", unknown("check", "x", nil)), want: Usage, message: `wrapped: unknown check "x"`},
		{name: "a signal", err: fmt.Errorf("read: %w", context.Canceled), want: Interrupted, message: "read: context canceled"},
		{name: "a deadline", err: fmt.Errorf("read: %w", context.DeadlineExceeded), want: TimedOut, message: "read: context deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := CodeOf(tt.err); got != tt.want {
				t.Errorf("got code %d, want %d", got, tt.want)
			}
			want := tt.message
			if tt.err != nil && want == "" && tt.want != Findings {
				want = tt.err.Error()
			}
			if got := Message(tt.err); got != want {
				t.Errorf("got message %q, want %q", got, want)
			}
		})
	}
}
