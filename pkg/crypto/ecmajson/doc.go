// Package ecmajson writes JSON byte for byte as JavaScript would.
//
// A Mojaloop signature covers the body of a message as the peer's JavaScript
// writes it after it has read it, not as it came over the wire. Two ways of
// writing are in the field: [Value.Ordered] is
//
//	JSON.stringify(JSON.parse(body))
//
// and [Value.Sorted] is the same with safe-stable-stringify, which
// sdk-standard-components uses since 19.19.1. Everything here was measured against
// Node 20 and safe-stable-stringify 2.5.0.
//
// # What survives, and what does not
//
//   - Numbers are IEEE doubles: 1.0 is 1, -0 is 0, 9007199254740993 is
//     9007199254740992, 1e400 is null.
//   - Of a name that stands twice the last value counts, at the place of the
//     first. __proto__ and toJSON are names like any other.
//   - Names that are array indices ("0" to "4294967294", without leading
//     zeros) come first in Ordered, by value. Sorted compares UTF-16 code units
//     and knows no indices: "10" comes before "9", and a character beyond
//     U+FFFF before U+E000.
//   - Strings keep every character but quote, backslash and U+0000 to U+001F;
//     U+007F, U+2028 and "/" are written as they are. Halves of a surrogate pair
//     are joined, a lone one is written \ud83d.
//   - Bytes that are not UTF-8 are U+FFFD, one for each maximal part of a
//     character, as Node makes them when it turns a Buffer into a string.
//
// # What is refused
//
// What JSON.parse refuses, a byte order mark included, is a [SyntaxError].
// JSON.parse reads a million levels of nesting and both writers then run out of
// stack near 4050, less when called from deep inside a server: [MaxDepth] is
// half of that.
//
// # What servers do before
//
// This package is about JavaScript, not about the servers that call it. The
// adapter's parser of request bodies (co-body 6) reads 1 MiB at most, takes no
// body for {}, drops a byte order mark, and answers 400 to a text that is not
// an object or array or that has a name __proto__.
package ecmajson
