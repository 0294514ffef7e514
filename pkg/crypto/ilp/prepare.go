package ilp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// Prepared is the payee's answer to a quote, in the names that the SDK uses. The
// fulfilment is kept until the transfer comes.
type Prepared struct {
	Fulfilment string `json:"fulfilment"`
	Condition  string `json:"condition"`
	Packet     string `json:"ilpPacket"`
}

// Prepare makes packet, fulfilment and condition of a transaction object, as
// getResponseIlp of the SDK. Errors are [Error] and name the field.
func (s Secret) Prepare(v Version, tx Transaction) (Prepared, error) {
	if s.material == nil {
		return Prepared{}, fail("secret", "is empty")
	}
	units, err := tx.Units()
	if err != nil {
		return Prepared{}, err
	}
	p := Packet{Version: v, Amount: units}
	var preimage [32]byte
	switch v {
	case V1:
		if p.Account, err = tx.Account(); err != nil {
			return Prepared{}, err
		}
	case V4:
		p.Account = Destination
		if p.ExpiresAt, err = tx.Expiration(); err != nil {
			return Prepared{}, err
		}
		preimage = s.sumObject(tx)
		p.Condition = sha256.Sum256(preimage[:])
	default:
		return Prepared{}, fail("ilpVersion", "there is no ILP version %d", int(v))
	}
	account, err := p.account()
	if err != nil {
		return Prepared{}, err
	}
	text, err := p.encode(account, base64.RawURLEncoding.EncodedLen(len(tx.json)), func(dst []byte) []byte {
		return base64.RawURLEncoding.AppendEncode(dst, tx.json)
	})
	if err != nil {
		return Prepared{}, err
	}
	if v == V1 {
		preimage = s.sum(text)
		p.Condition = sha256.Sum256(preimage[:])
	}
	return Prepared{Fulfilment: encode32(preimage), Condition: encode32(p.Condition), Packet: string(text)}, nil
}

// Fulfil makes the fulfilment of a packet that this secret's owner may have
// made, as calculateFulfil of the SDK: with [Condition] it proves whether the
// condition that came with the packet is its own.
func (s Secret) Fulfil(packet string) (string, error) {
	if s.material == nil {
		return "", fail("secret", "is empty")
	}
	p, err := Decode(packet)
	if err != nil {
		return "", err
	}
	if p.Version == V1 {
		return encode32(s.sum([]byte(packet))), nil
	}
	tx, err := p.Transaction()
	if err != nil {
		return "", err
	}
	return encode32(s.sumObject(tx)), nil
}

// sumObject is the fulfilment of version 4. Here the base64 is the standard one,
// with padding.
func (s Secret) sumObject(tx Transaction) [32]byte {
	text := make([]byte, base64.StdEncoding.EncodedLen(len(tx.json)))
	base64.StdEncoding.Encode(text, tx.json)
	return s.sum(text)
}

// Condition is the condition that a fulfilment meets.
func Condition(fulfilment string) (string, error) {
	preimage, err := decode32("fulfilment", fulfilment)
	if err != nil {
		return "", err
	}
	return encode32(sha256.Sum256(preimage[:])), nil
}

// Verify returns nil when the fulfilment meets the condition, [ErrMismatch] when
// it does not, and an [Error] when one of them is none: 32 bytes, 43 characters
// of base64url. Time does not depend on where they differ.
func Verify(fulfilment, condition string) error {
	preimage, err := decode32("fulfilment", fulfilment)
	if err != nil {
		return err
	}
	want, err := decode32("condition", condition)
	if err != nil {
		return err
	}
	if got := sha256.Sum256(preimage[:]); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return ErrMismatch
	}
	return nil
}

// CheckCondition wants a condition to be 32 bytes in 43 characters of base64url.
func CheckCondition(condition string) error {
	_, err := decode32("condition", condition)
	return err
}
