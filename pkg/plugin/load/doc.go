// Package load sends FSPIOP messages at a steady rate and measures what comes of
// it.
//
// The load is open: message n is due at a time that depends on the rate only, and
// its latency counts from then. A peer that stalls for a second therefore shows a
// second of latency for all messages that were due meanwhile; a generator that
// waits for answers before it goes on would have shown one slow message.
package load
