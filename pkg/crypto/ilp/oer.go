package ilp

import (
	"encoding/binary"
	"math/bits"
)

// The octet encoding rules, as far as packets use them: unsigned integers of
// fixed length, big-endian, and strings of bytes behind their length. A length
// below 128 is one byte; a longer one is the number of its bytes with the high
// bit set, and these bytes, no more than it takes.

// appendLength appends the length of a string.
func appendLength(dst []byte, n int) []byte {
	if n >= 0x80 {
		size := lengthBytes(n)
		dst = append(dst, lowByte(0x80|size))
		for i := size - 1; i > 0; i-- {
			dst = append(dst, lowByte(n>>(8*i)))
		}
	}
	return append(dst, lowByte(n))
}

func lowByte[T int | rune](n T) byte { return byte(n & 0xff) }

// lengthBytes is how many bytes a length of 128 or more takes.
func lengthBytes(n int) int { return (bits.Len(uint(n)) + 7) / 8 }

// sizeOf is how many bytes a string of n bytes takes with its length.
func sizeOf(n int) int {
	if n < 0x80 {
		return 1 + n
	}
	return 1 + lengthBytes(n) + n
}

// reader takes values from the front of rest. The first error stays, and every
// read after it returns nothing.
type reader struct {
	rest []byte
	err  error
}

// take returns the next n bytes; what names them in an error.
func (r *reader) take(n int, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.rest) {
		r.err = fail("ilpPacket", "is cut off: %s needs %d bytes, %d are left", what, n, len(r.rest))
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) uint64(what string) uint64 {
	if b := r.take(8, what); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// text returns a string of bytes without its length.
func (r *reader) text(what string) []byte {
	first := r.take(1, "the length of "+what)
	if r.err != nil {
		return nil
	}
	n := int(first[0])
	if n < 0x80 {
		return r.take(n, what)
	}
	size := n & 0x7f
	const most = 3 // a packet has at most MaxPacket characters
	if size == 0 || size > most {
		r.err = fail("ilpPacket", "the length of %s takes %d bytes, want 1 to %d", what, size, most)
		return nil
	}
	n = 0
	for _, b := range r.take(size, "the length of "+what) {
		n = n<<8 | int(b)
	}
	if r.err == nil && (n < 0x80 || lengthBytes(n) != size) {
		r.err = fail("ilpPacket", "the length of %s is %d in %d bytes; a length is as short as it can be", what, n, 1+size)
		return nil
	}
	return r.take(n, what)
}

// end wants nothing to be left.
func (r *reader) end(what string) {
	if r.err == nil && len(r.rest) > 0 {
		r.err = fail("ilpPacket", "%d bytes too many after %s", len(r.rest), what)
	}
}
