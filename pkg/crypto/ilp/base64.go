package ilp

// Fulfilments and conditions are 32 bytes in base64url without padding. Every
// transfer has them checked, so this is written for that one length.

// length32 is the length of 32 bytes in base64url.
const length32 = 43

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// invalid marks what is no character of base64url; its high bits stay set when
// values are combined by OR.
const invalid = 0xff

// values are the six bits of each character.
var values = func() (v [256]byte) {
	for i := range v {
		v[i] = invalid
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = byte(i)
	}
	return v
}()

// encode32 writes 32 bytes.
func encode32(b [32]byte) string {
	var text [length32]byte
	for i, o := 0, 0; i < 30; i, o = i+3, o+4 {
		n := uint32(b[i])<<16 | uint32(b[i+1])<<8 | uint32(b[i+2])
		text[o], text[o+1], text[o+2], text[o+3] = alphabet[n>>18&63], alphabet[n>>12&63], alphabet[n>>6&63], alphabet[n&63]
	}
	n := uint32(b[30])<<10 | uint32(b[31])<<2
	text[40], text[41], text[42] = alphabet[n>>12&63], alphabet[n>>6&63], alphabet[n&63]
	return string(text[:])
}

// decode32 reads what encode32 writes and nothing else. The error repeats
// nothing of the text: it may be a fulfilment.
func decode32(field, text string) (out [32]byte, err error) {
	if len(text) != length32 {
		return out, fail(field, "has %d characters, want %d of base64url without padding", len(text), length32)
	}
	var seen byte
	for i, o := 0, 0; o < 30; i, o = i+4, o+3 {
		four := text[i : i+4]
		a, b, c, d := values[four[0]], values[four[1]], values[four[2]], values[four[3]]
		seen |= a | b | c | d
		out[o], out[o+1], out[o+2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
	}
	a, b, c := values[text[40]], values[text[41]], values[text[42]]
	seen |= a | b | c
	out[30], out[31] = a<<2|b>>4, b<<4|c>>2
	// 43 characters are 258 bits: the last two of them are 0.
	if seen == invalid || c&3 != 0 {
		return [32]byte{}, fail(field, "is not the base64url of 32 bytes")
	}
	return out, nil
}
