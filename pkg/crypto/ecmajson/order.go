package ecmajson

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// smallObject is the number of members up to which sorting by insertion is
// faster. Bodies of Mojaloop have few objects with more.
const smallObject = 12

// finish brings the members of an object, stack[bottom:], into the order that
// JavaScript gives them: one per name, array indices first. And it notes their
// order by name.
func (p *parser) finish(bottom int) {
	members := p.stack[bottom:]
	order, duplicates := p.sortByName(members)
	if duplicates {
		members = p.dropDuplicates(members, order)
		p.stack = p.stack[:bottom+len(members)]
		order, _ = p.sortByName(members)
	}
	if p.indicesFirst(members) {
		order, _ = p.sortByName(members)
	}
	for i, j := range order {
		members[i].next = j
	}
}

// sortByName returns the places of the members by name, equal names by place,
// and whether there are any equal names: whatever the algorithm, neighbours of
// the result have been compared with each other.
func (p *parser) sortByName(members []member) (order []uint32, duplicates bool) {
	p.order = p.order[:0]
	for i := range members {
		p.order = append(p.order, u32(i))
	}
	order = p.order
	compare := func(a, b uint32) int {
		c := p.compareNames(&members[a], &members[b])
		if c == 0 && a != b {
			duplicates = true
			return cmp.Compare(a, b)
		}
		return c
	}
	if len(order) > smallObject {
		slices.SortFunc(order, compare)
		return order, duplicates
	}
	for i := 1; i < len(order); i++ {
		for j := i; j > 0 && compare(order[j-1], order[j]) > 0; j-- {
			order[j-1], order[j] = order[j], order[j-1]
		}
	}
	return order, duplicates
}

// dropDuplicates keeps one member per name: the first, with the value of the
// last.
func (p *parser) dropDuplicates(members []member, order []uint32) []member {
	dead := make([]bool, len(members))
	for i := 0; i < len(order); {
		last := i
		for last+1 < len(order) && p.compareNames(&members[order[i]], &members[order[last+1]]) == 0 {
			last++
			dead[order[last]] = true
		}
		members[order[i]].value = members[order[last]].value
		i = last + 1
	}
	kept := members[:0]
	for i, m := range members {
		if !dead[i] {
			kept = append(kept, m)
		}
	}
	return kept
}

// indicesFirst moves the members whose names are array indices to the front, by
// value, and tells whether there are any.
func (p *parser) indicesFirst(members []member) bool {
	found := false
	for i := range members {
		if _, ok := p.arrayIndex(&members[i]); ok {
			found = true
			break
		}
	}
	if found {
		slices.SortStableFunc(members, func(a, b member) int {
			x, isIndex := p.arrayIndex(&a)
			y, other := p.arrayIndex(&b)
			switch {
			case isIndex && other:
				return cmp.Compare(x, y)
			case isIndex:
				return -1
			case other:
				return 1
			default:
				return 0
			}
		})
	}
	return found
}

// maxIndex is the largest array index. V8 orders names up to it by value, and
// takes the larger ones, which ECMAScript calls integer indices, for plain
// names.
const maxIndex = 1<<32 - 2

// arrayIndex is the value of a name such as "0" or "42", not "042".
func (p *parser) arrayIndex(m *member) (uint64, bool) {
	name := p.text[m.from+1 : m.to-1]
	if len(name) == 0 || len(name) > len("4294967294") || !isDigit(name[0]) || name[0] == '0' && len(name) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range name {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n <= maxIndex
}

// compareNames compares as JavaScript compares strings: by UTF-16 code units.
func (p *parser) compareNames(a, b *member) int {
	x, y := p.text[a.from+1:a.to-1], p.text[b.from+1:b.to-1]
	if a.plain && b.plain {
		return bytes.Compare(x, y)
	}
	return compareUnits(x, y)
}

// compareUnits compares canonical texts, without their quotes, by the code units
// they stand for.
func compareUnits(x, y []byte) int {
	a, b := unitReader{text: x}, unitReader{text: y}
	for {
		u, v := a.next(), b.next()
		if c := cmp.Compare(u, v); c != 0 || u == noUnit {
			return c
		}
	}
}

// noUnit is what comes after the last code unit: less than any.
const noUnit = -1

// unitReader reads the UTF-16 code units that a canonical text, without its
// quotes, stands for.
type unitReader struct {
	text []byte
	low  rune // second half of a pair whose first was read
}

func (u *unitReader) next() rune {
	if u.low != 0 {
		low := u.low
		u.low = 0
		return low
	}
	if len(u.text) == 0 {
		return noUnit
	}
	if u.text[0] == '\\' {
		unit, size := canonicalEscape(u.text)
		u.text = u.text[size:]
		return unit
	}
	r, size := utf8.DecodeRune(u.text)
	u.text = u.text[size:]
	if r >= 0x10000 {
		r, u.low = utf16.EncodeRune(r)
	}
	return r
}

// canonicalEscape reads an escape sequence that appendUnit wrote.
func canonicalEscape(text []byte) (unit rune, size int) {
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 't':
		return '\t', 2
	case 'n':
		return '\n', 2
	case 'f':
		return '\f', 2
	case 'r':
		return '\r', 2
	case 'u':
		for _, c := range text[2:6] {
			unit = unit<<4 | hexValue(c)
		}
		return unit, 6
	default:
		return rune(c), 2
	}
}
