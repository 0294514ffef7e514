package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Problems that [ParseKeys] finds, for errors.Is. None holds a part of the
// input.
var (
	ErrNoPEM        = errors.New("no PEM block and not DER")
	ErrEncrypted    = errors.New("private key is encrypted; the SDK cannot read it; decrypt it with `openssl pkey -in KEY -out PLAIN -traditional`")
	ErrUnknownBlock = errors.New("not a key or certificate that the SDK reads")
	ErrTrailing     = errors.New("data after the end")
	ErrMalformed    = errors.New("malformed")
	// ErrUnclosed is an ErrMalformed. OpenSSL reads nothing after such a block.
	ErrUnclosed             = fmt.Errorf("%w: no END line of the same type", ErrMalformed)
	ErrUnsupportedAlgorithm = errors.New("algorithm is not RSA, EC P-256, P-384, P-521 or Ed25519")
	ErrTooManyBlocks        = fmt.Errorf("more than %d PEM blocks; the rest is not read", maxBlocks)
	// ErrECMarker: the SDK picks ES256 when "BEGIN EC " is anywhere in the
	// text, so a second key or a comment makes it fail with an RSA key.
	ErrECMarker = errors.New("the text has `BEGIN EC `, so the SDK signs ES256, which the RSA key cannot")
)

// maxBlocks bounds how many PEM blocks of one value are parsed. The usual
// bundles of certificate authorities have about 150.
const maxBlocks = 256

// Problem is what is wrong with one PEM block, or with all of the input.
type Problem struct {
	// Block is the index of the block, or [NoBlock].
	Block int
	// Label is the type in the BEGIN line; empty when it is not fit to print.
	Label string
	// Err wraps one of the errors of this package.
	Err error
}

func (p Problem) Error() string {
	switch {
	case p.Block == NoBlock:
		return p.Err.Error()
	case p.Label == "":
		return fmt.Sprintf("PEM block %d: %s", p.Block+1, p.Err)
	}
	return fmt.Sprintf("PEM block %d (%s): %s", p.Block+1, p.Label, p.Err)
}

func (p Problem) Unwrap() error { return p.Err }

// KeySet is what a value holds: keys and certificates in their order.
type KeySet struct {
	// Keys has one entry for each block that says it is a key or certificate.
	// Those that could not be read are [Unknown] or [Encrypted], and a Problem
	// with the same Block says why.
	Keys []KeyFacts
	// Problems has what was wrong, in the order of the input.
	Problems []Problem
}

// SigningKey returns the key that the SDK signs with: the first private key
// that OpenSSL reads. It is unreadable where the SDK fails instead of looking
// further: on an encrypted key or a block without end before it.
func (s KeySet) SigningKey() (KeyFacts, bool) {
	return s.first(func(k KeyFacts) bool { return k.Private && k.Algorithm != Unknown })
}

// VerificationKey returns the key that the SDK verifies with: the first SPKI,
// else the first PKCS#1 public key, else the first certificate, else the
// public half of a private key. It may be unreadable: the SDK does not look for
// a second one of the same structure.
func (s KeySet) VerificationKey() (KeyFacts, bool) {
	for _, enc := range []Encoding{SPKI, PKCS1, X509} {
		if k, ok := s.first(func(k KeyFacts) bool { return !k.Private && k.Encoding == enc }); ok {
			return k, true
		}
	}
	return s.SigningKey()
}

// first finds a key, unreadable when a block without end stands before it.
func (s KeySet) first(match func(KeyFacts) bool) (KeyFacts, bool) {
	i := slices.IndexFunc(s.Keys, match)
	if i < 0 {
		return KeyFacts{}, false
	}
	k := s.Keys[i]
	for _, p := range s.Problems {
		if p.Block < k.Block && errors.Is(p, ErrUnclosed) {
			return KeyFacts{Private: k.Private, Algorithm: Unknown, Block: p.Block}, true
		}
	}
	return k, true
}

// ParseKeys reads all keys and certificates of a PEM or DER value: PKCS#1,
// PKCS#8, SEC1, SPKI and X.509. A byte order mark, CRLF and text around the
// blocks are passed over as OpenSSL does; EC PARAMETERS are skipped. The error
// is not nil when no key could be read, and is then the first of Problems;
// lesser problems are in the KeySet only.
func ParseKeys(data []byte) (KeySet, error) {
	var p keyParser
	if bytes.Contains(data, []byte("-----BEGIN")) {
		p.pem(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	} else {
		p.der(data)
	}
	if !slices.ContainsFunc(p.set.Keys, KeyFacts.readable) {
		return p.set, p.set.Problems[0]
	}
	return p.set, nil
}

type keyParser struct {
	set   KeySet
	block int
	label string
}

func (p *keyParser) problem(err error) {
	p.set.Problems = append(p.set.Problems, Problem{Block: p.block, Label: p.label, Err: err})
}

func (p *keyParser) add(k KeyFacts) {
	k.Block = p.block
	p.set.Keys = append(p.set.Keys, k)
}

// der reads the whole input as one DER value.
func (p *keyParser) der(data []byte) {
	p.block = NoBlock
	k, trailing, err := parseDER(data)
	switch {
	case errors.Is(err, ErrMalformed):
		p.problem(ErrNoPEM)
		return
	case err != nil:
		p.problem(err)
	}
	if len(bytes.TrimSpace(trailing)) > 0 {
		p.problem(ErrTrailing)
	}
	p.add(k)
}

// pem reads all PEM blocks of the input.
func (p *keyParser) pem(text []byte) {
	rest := text
	for ; ; p.block++ {
		block, next, ok := nextBlock(rest)
		if !ok {
			break
		}
		if p.block == maxBlocks {
			p.tooMany(rest)
			return
		}
		rest = next
		p.one(block)
	}
	if p.block == 0 {
		p.block, p.label = NoBlock, ""
		p.problem(fmt.Errorf("%w: line breaks of the PEM are escaped, missing or indented; want BEGIN and END at the start of a line of their own", ErrMalformed))
		return
	}
	p.block--
	if len(p.set.Keys) == 0 && len(p.set.Problems) == 0 {
		p.problem(ErrUnknownBlock) // parameters without their key
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		p.problem(ErrTrailing)
	}
	k, ok := p.set.SigningKey()
	if ok && k.Algorithm == RSA && bytes.Contains(text, []byte("BEGIN EC ")) {
		p.block, p.label = NoBlock, ""
		p.problem(ErrECMarker)
	}
}

// tooMany gives up, but never passes over a private key in silence.
func (p *keyParser) tooMany(rest []byte) {
	p.label = ""
	p.problem(ErrTooManyBlocks)
	if bytes.Contains(rest, []byte("PRIVATE KEY-----")) {
		p.add(KeyFacts{Private: true, Algorithm: Unknown})
	}
}

// one reads one PEM block.
func (p *keyParser) one(block pemBlock) {
	p.label = ""
	if plainLabel(block.label) {
		p.label = block.label
	}
	if block.label == "EC PARAMETERS" { // openssl ecparam writes it before the key
		return
	}
	k, trailing, err := parseBlock(block)
	switch {
	case err != nil:
		p.problem(err)
	case len(trailing) > 0:
		p.problem(fmt.Errorf("%w of the DER", ErrTrailing))
	}
	if _, known := kinds[block.label]; known || k.Private {
		p.add(k)
	}
}

// parseBlock reads a block by its label. What cannot be read still says what
// the label announced.
func parseBlock(block pemBlock) (k KeyFacts, trailing []byte, err error) {
	kind, known := kinds[block.label]
	unread := KeyFacts{Private: saysPrivate(block.label), Algorithm: Unknown, Encoding: kind.encoding}
	der, err := block.decode()
	switch {
	case errors.Is(err, ErrEncrypted) && unread.Private:
		unread.Algorithm = Encrypted
		return unread, nil, err
	case !known && !errors.Is(err, ErrUnclosed):
		return unread, nil, ErrUnknownBlock
	case err != nil:
		return unread, nil, err
	}
	der, trailing, err = cutDER(der)
	if err != nil {
		return unread, nil, err
	}
	k, err = kind.parse(der)
	if errors.Is(err, ErrMalformed) {
		return unread, nil, err
	}
	return k, trailing, err
}

// kind is a PEM type that the SDK reads.
type kind struct {
	encoding Encoding
	parse    func([]byte) (KeyFacts, error)
}

// kinds by label. OpenSSL reads a PKCS#8 key under the two older labels too,
// but nothing else under a label it does not belong to.
var kinds = map[string]kind{
	"RSA PRIVATE KEY":  {PKCS1, orPKCS8(parsePKCS1Private)},
	"EC PRIVATE KEY":   {SEC1, orPKCS8(parseSEC1)},
	"PRIVATE KEY":      {PKCS8, parsePKCS8},
	"PUBLIC KEY":       {SPKI, parseSPKI},
	"RSA PUBLIC KEY":   {PKCS1, parsePKCS1Public},
	"CERTIFICATE":      {X509, parseCertificate},
	"X509 CERTIFICATE": {X509, parseCertificate},
}

func orPKCS8(parse func([]byte) (KeyFacts, error)) func([]byte) (KeyFacts, error) {
	return func(der []byte) (KeyFacts, error) {
		k, err := parse(der)
		if errors.Is(err, ErrMalformed) {
			return parsePKCS8(der)
		}
		return k, err
	}
}
