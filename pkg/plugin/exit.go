package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Code is an exit code of the program, the same in every format.
type Code int

// The exit codes.
const (
	Good        Code = 0
	Failed      Code = 1   // tool or input error
	Findings    Code = 2   // findings at or above --fail-on
	Incomplete  Code = 3   // something that should have been read was not
	Refused     Code = 4   // not done because it is not safe
	Stopped     Code = 5   // stopped safely, can be resumed
	Usage       Code = 64  // unknown flag, command, check id or format
	TimedOut    Code = 124 // --timeout
	Interrupted Code = 130 // by a signal
)

// precedence orders the codes: of several that apply the first one counts.
var precedence = []Code{Interrupted, TimedOut, Usage, Failed, Refused, Stopped, Findings, Incomplete, Good}

// worst returns the code that counts when all of codes apply.
func worst(codes ...Code) Code {
	for _, c := range precedence {
		if slices.Contains(codes, c) {
			return c
		}
	}
	return Good
}

// ExitError ends the program with a code. Err is nil when everything there is
// to say has been said.
type ExitError struct {
	Code Code
	Err  error
}

// Error returns the message of Err.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// exit returns the error for a set of codes; nil when all are good.
func exit(codes ...Code) error {
	if code := worst(codes...); code != Good {
		return &ExitError{Code: code}
	}
	return nil
}

// CodeOf returns the exit code of an error that [Execute] returned.
func CodeOf(err error) Code {
	if err == nil {
		return Good
	}
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return Usage
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Failed
}

// Message returns what is left to say about an error: "" when the command has
// said it all.
func Message(err error) string {
	if e, ok := errors.AsType[*ExitError](err); err == nil || ok && e.Err == nil {
		return ""
	}
	return err.Error()
}
