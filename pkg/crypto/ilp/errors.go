package ilp

import (
	"errors"
	"fmt"
	"strings"
)

// ErrMismatch is what [Verify] and [Packet.Validate] return, possibly wrapped,
// for input that is well-formed and does not belong together.
var ErrMismatch = errors.New("they do not belong together")

// Error is input that cannot be used. It does not match [ErrMismatch].
type Error struct {
	// Field names what is wrong: "fulfilment", "condition", "ilpPacket",
	// "secret", or a path in a document such as "amount.currency".
	Field string
	// Detail says why, with the value where it is no secret.
	Detail string
}

// Error is "field: detail".
func (e *Error) Error() string { return e.Field + ": " + e.Detail }

func fail(field, format string, args ...any) error {
	return &Error{Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Difference is a field in which a transfer departs from its packet, or a packet
// from the transaction object in it.
type Difference struct {
	// Field is the path in the transfer, or "packet.amount", "packet.account" and
	// so on for what the packet itself contradicts.
	Field string `json:"field"`
	Got   string `json:"got"`
	Want  string `json:"want"`
	// Note says what to know about it; mostly empty.
	Note string `json:"note,omitempty"`
}

// String is the difference as a sentence.
func (d Difference) String() string {
	s := fmt.Sprintf("%s: got %q, want %q", d.Field, d.Got, d.Want)
	if d.Note != "" {
		s += " (" + d.Note + ")"
	}
	return s
}

// Differences is the error of [Packet.Validate]. It matches [ErrMismatch].
type Differences []Difference

// Error lists the differences.
func (d Differences) Error() string {
	lines := make([]string, 0, len(d))
	for _, one := range d {
		lines = append(lines, one.String())
	}
	return strings.Join(lines, "; ")
}

// Is tells that differences are a mismatch.
func (Differences) Is(target error) bool { return target == ErrMismatch }
