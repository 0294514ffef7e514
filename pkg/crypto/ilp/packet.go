package ilp

import (
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"
	"time"
)

// MaxPacket is the longest packet of FSPIOP, in characters.
const MaxPacket = 32768

// The types of packets that Mojaloop uses: the first byte.
const (
	typePayment = 1  // of ILP version 1
	typePrepare = 12 // of ILP version 4
)

// otherTypes are packets of ILP that no Mojaloop message has.
var otherTypes = map[byte]string{
	2: "liquidity request", 3: "liquidity response", 4: "by-source request", 5: "by-source response", 6: "by-destination request",
	7: "by-destination response", 8: "error", 9: "fulfilment", 10: "forwarded payment", 11: "rejection", 13: "fulfil", 14: "reject",
}

// Destination is the address in every packet of version 4: Mojaloop does not use
// it.
const Destination = "g.mojaloop"

// interledgerTime is how a prepare packet has the time.
const (
	interledgerTime       = "20060102150405.000" // without the point
	interledgerTimeLength = len("20060102150405000")
)

// Packet is what an ILP packet says.
type Packet struct {
	Version Version
	Amount  uint64 // in the smallest unit of the currency
	// Account is the ILP address of the payee; its characters are below U+0100.
	Account string
	// ExpiresAt and Condition are in packets of version 4.
	ExpiresAt time.Time
	Condition [32]byte
	// Data is what the packet carries: with Mojaloop the base64url text of the
	// transaction object, see [Packet.Transaction].
	Data []byte
}

// Decode reads a packet of either version. It takes what [Packet.Encode] writes
// and nothing else: base64url without padding, lengths as short as they can be,
// nothing behind the end. Errors are [Error] with the field "ilpPacket".
func Decode(packet string) (Packet, error) {
	raw, err := decodeBase64(packet)
	if err != nil {
		return Packet{}, err
	}
	r := reader{rest: raw}
	kind := r.take(1, "the type")
	if r.err != nil {
		return Packet{}, r.err
	}
	switch kind[0] {
	case typePayment, typePrepare:
	default:
		if name, ok := otherTypes[kind[0]]; ok {
			return Packet{}, fail("ilpPacket", "is an ILP %s (type %d), want a payment (1) or a prepare (12)", name, kind[0])
		}
		return Packet{}, fail("ilpPacket", "is of unknown type %d, want a payment (1) or a prepare (12)", kind[0])
	}
	content := reader{rest: r.text("the content"), err: r.err}
	r.end("the packet")
	if r.err != nil {
		return Packet{}, r.err
	}
	if kind[0] == typePayment {
		return decodePayment(&content)
	}
	return decodePrepare(&content)
}

func decodePayment(r *reader) (Packet, error) {
	p := Packet{Version: V1, Amount: r.uint64("the amount")}
	p.Account = fromLatin1(r.text("the account"))
	p.Data = r.text("the data")
	extensions := r.take(1, "the byte for extensions")
	if r.err == nil && extensions[0] != 0 {
		return Packet{}, fail("ilpPacket", "the byte for extensions is %d, want 0", extensions[0])
	}
	r.end("the payment")
	if r.err != nil {
		return Packet{}, r.err
	}
	return p, p.check()
}

func decodePrepare(r *reader) (Packet, error) {
	p := Packet{Version: V4, Amount: r.uint64("the amount")}
	expires := string(r.take(interledgerTimeLength, "the expiry"))
	copy(p.Condition[:], r.take(len(p.Condition), "the condition"))
	p.Account = fromLatin1(r.text("the destination"))
	p.Data = r.text("the data")
	r.end("the prepare")
	if r.err != nil {
		return Packet{}, r.err
	}
	var ok bool
	if p.ExpiresAt, ok = parseInterledgerTime(expires); !ok {
		return Packet{}, fail("ilpPacket", "the expiry is %q, want a time such as 20300131120000000", expires)
	}
	return p, p.check()
}

// ilpAddress is what ilp-packet wants of the destination of a prepare.
var ilpAddress = regexp.MustCompile(`^(g|private|example|peer|self|test[1-3]?|local)(\.[a-zA-Z0-9_~-]+)+$`)

// check holds for what is read and for what is written.
func (p *Packet) check() error {
	switch p.Version {
	case V1:
		if len(p.Account) == 0 || len([]rune(p.Account)) > maxAccount {
			return fail("ilpPacket", "the account has %d characters, want 1 to %d", len([]rune(p.Account)), maxAccount)
		}
	case V4:
		if len(p.Account) > maxAccount || !ilpAddress.MatchString(p.Account) {
			return fail("ilpPacket", "the destination %q is no ILP address", clip(p.Account))
		}
		if !timeFits(p.ExpiresAt) {
			return fail("ilpPacket", "the expiry %s is out of range; want a year from 1970 to 9999", p.ExpiresAt.UTC().Format(time.RFC3339))
		}
	default:
		return fail("ilpPacket", "there is no ILP version %d", int(p.Version))
	}
	return nil
}

// Encode writes the packet: base64url without padding. Errors are [Error] with
// the field "ilpPacket".
func (p *Packet) Encode() (string, error) {
	if err := p.check(); err != nil {
		return "", err
	}
	account, err := p.account()
	if err != nil {
		return "", err
	}
	text, err := p.encode(account, len(p.Data), func(dst []byte) []byte { return append(dst, p.Data...) })
	return string(text), err
}

// account is the account as bytes.
func (p *Packet) account() (string, error) {
	account, ok := toLatin1(p.Account)
	if !ok {
		return "", fail("ilpPacket", "the account %q has characters above U+00FF", clip(p.Account))
	}
	return account, nil
}

// encode is Encode of a packet that has been checked, with n bytes of data that
// appendData writes. A packet is made for every quote: the bytes are written
// once, and their text once.
func (p *Packet) encode(account string, n int, appendData func([]byte) []byte) ([]byte, error) {
	kind := byte(typePayment)
	size := 8 + sizeOf(len(account)) + sizeOf(n)
	if p.Version == V4 {
		kind = typePrepare
		size += interledgerTimeLength + len(p.Condition)
	} else {
		size++ // for extensions
	}
	if length := base64.RawURLEncoding.EncodedLen(1 + sizeOf(size)); length > MaxPacket {
		return nil, fail("ilpPacket", "has %d characters, FSPIOP allows %d", length, MaxPacket)
	}
	raw := make([]byte, 0, 1+sizeOf(size))
	raw = append(raw, kind)
	raw = appendLength(raw, size)
	raw = binary.BigEndian.AppendUint64(raw, p.Amount)
	if p.Version == V4 {
		raw = appendInterledgerTime(raw, p.ExpiresAt)
		raw = append(raw, p.Condition[:]...)
	}
	raw = append(appendLength(raw, len(account)), account...)
	raw = appendData(appendLength(raw, n))
	if p.Version != V4 {
		raw = append(raw, 0)
	}
	text := make([]byte, base64.RawURLEncoding.EncodedLen(len(raw)))
	base64.RawURLEncoding.Encode(text, raw)
	return text, nil
}

// Transaction is the transaction object in the packet. Packets that were not
// made by Mojaloop's SDK may hold something else.
func (p *Packet) Transaction() (Transaction, error) {
	text := make([]byte, base64.RawURLEncoding.DecodedLen(len(p.Data)))
	n, err := base64.RawURLEncoding.Strict().Decode(text, p.Data)
	if err != nil || base64.RawURLEncoding.EncodedLen(n) != len(p.Data) {
		return Transaction{}, fail("ilpPacket", "its data is not base64url: it was not made by Mojaloop's SDK")
	}
	return ParseTransaction(text[:n])
}

// decodeBase64 reads base64url. The fulfilment of version 1 covers the packet as
// text, so another spelling of the same bytes is another packet.
func decodeBase64(packet string) ([]byte, error) {
	if packet == "" {
		return nil, fail("ilpPacket", "is empty")
	}
	if len(packet) > MaxPacket {
		return nil, fail("ilpPacket", "has %d characters, FSPIOP allows %d", len(packet), MaxPacket)
	}
	if i := strings.IndexFunc(packet, notBase64); i >= 0 {
		switch c := packet[i]; c {
		case '=':
			return nil, fail("ilpPacket", "has padding (=) at character %d; Mojaloop writes none, and with it the packet is another one", i+1)
		case '+', '/':
			return nil, fail("ilpPacket", "has %q at character %d: that is base64, not base64url", c, i+1)
		case ' ', '\t', '\r', '\n':
			return nil, fail("ilpPacket", "has white space at character %d", i+1)
		default:
			return nil, fail("ilpPacket", "character %d is not of base64url", i+1)
		}
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(packet)
	if err != nil {
		return nil, fail("ilpPacket", "is cut off or changed: its last character cannot be the end of base64url")
	}
	return raw, nil
}

func notBase64(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// timeFits tells whether JavaScript and the packet can both hold a time.
func timeFits(t time.Time) bool {
	return t.UnixMilli() > 0 && t.UTC().Year() <= 9999
}

func appendInterledgerTime(dst []byte, t time.Time) []byte {
	dst = t.UTC().AppendFormat(dst, interledgerTime)
	point := len(dst) - len(".000")
	return append(dst[:point], dst[point+1:]...)
}

// parseInterledgerTime takes what appendInterledgerTime writes.
func parseInterledgerTime(s string) (time.Time, bool) {
	if len(s) != interledgerTimeLength || !isDigits(s) {
		return time.Time{}, false
	}
	point := interledgerTimeLength - len("000")
	t, err := time.Parse(interledgerTime, s[:point]+"."+s[point:])
	return t, err == nil
}

func fromLatin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

func toLatin1(s string) (string, bool) {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
	}
	if ascii {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return "", false
		}
		out = append(out, lowByte(r))
	}
	return string(out), true
}
