package ecmajson

import (
	"math"
	"strconv"
)

// exactDigits is how many significant decimal digits every double keeps: a
// decimal of no more is the shortest one for its double.
const exactDigits = 15

// number reads a number. JSON's grammar is narrower than strconv's: no "+", no
// leading zeros, a digit on either side of the point.
func (p *parser) number(i int) (node, int, error) {
	start := i
	if p.src[i] == '-' {
		i++
	}
	first := i
	i = p.digits(i)
	switch {
	case i == first:
		return node{}, i, p.unexpected(i, "a digit")
	case p.src[first] == '0' && i > first+1:
		return node{}, first + 1, p.unexpected(first+1, "no digit after a leading zero")
	}
	integer := i
	if i < len(p.src) && p.src[i] == '.' {
		i = p.digits(i + 1)
		if i == integer+1 {
			return node{}, i, p.unexpected(i, "a digit after the point")
		}
	}
	mantissa := i
	if i < len(p.src) && (p.src[i] == 'e' || p.src[i] == 'E') {
		i++
		if i < len(p.src) && (p.src[i] == '+' || p.src[i] == '-') {
			i++
		}
		digits := i
		i = p.digits(i)
		if i == digits {
			return node{}, i, p.unexpected(i, "a digit of the exponent")
		}
	}

	// Most numbers are short and already what JavaScript writes: whole ones
	// other than -0, and fractions that do not end in 0 and are not below 0.1.
	short := i == mantissa && i-first <= exactDigits
	whole := integer == mantissa && (p.src[first] != '0' || first == start)
	if short && (whole || integer < mantissa && p.src[i-1] != '0' && (p.src[first] != '0' || p.src[integer+1] != '0')) {
		return node{kind: kindNumber, from: u32(start), to: u32(i)}, i, nil
	}
	// An error of ParseFloat here means out of range, and f is an infinity then.
	f, _ := strconv.ParseFloat(string(p.src[start:i]), 64)
	if math.IsInf(f, 0) {
		return node{kind: kindInfinity}, i, nil
	}
	from := len(p.text)
	p.text = appendNumber(p.text, f)
	return node{kind: kindNumber, from: u32(from), to: u32(len(p.text))}, i, nil
}

func (p *parser) digits(i int) int {
	for i < len(p.src) && isDigit(p.src[i]) {
		i++
	}
	return i
}

// appendNumber is Number::toString of ECMAScript for a finite number: decimal
// notation from 1e-6 to below 1e21, else an exponent without leading zeros.
func appendNumber(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0') // -0 too
	}
	if f < 0 {
		dst, f = append(dst, '-'), -f
	}
	// The shortest digits that give f back, as d.ddde±xx.
	var scratch [32]byte
	text := strconv.AppendFloat(scratch[:0], f, 'e', -1, 64)
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	exponent, _ := strconv.Atoi(string(text[e+1:])) // what AppendFloat wrote
	digits := append(text[:1], text[min(2, e):e]...)
	point := exponent + 1 // of the digits, those before the decimal point

	switch k := len(digits); {
	case k <= point && point <= 21:
		dst = append(dst, digits...)
		return appendZeros(dst, point-k)
	case 0 < point && point <= 21:
		dst = append(append(dst, digits[:point]...), '.')
		return append(dst, digits[point:]...)
	case -6 < point && point <= 0:
		dst = appendZeros(append(dst, "0."...), -point)
		return append(dst, digits...)
	default:
		dst = append(dst, digits[0])
		if k > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		dst = append(dst, 'e')
		if exponent > 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, int64(exponent), 10)
	}
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}
