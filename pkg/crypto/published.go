package crypto

import (
	_ "embed" // the list of published keys
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// PublishedKey is a key whose private half stands in a public place.
type PublishedKey struct {
	Fingerprint Fingerprint `json:"spkiSha256"`
	// Bits is the length of the RSA modulus; 0 when not known.
	Bits int `json:"bits"`
	// Use is "jws" or "tls-or-other".
	Use string `json:"use"`
	// PublishedIn are paths that start with the name of the repository.
	PublishedIn []string `json:"publishedIn"`
}

// PublishedKeys is an immutable set of published keys. The zero set is empty.
type PublishedKeys struct {
	keys map[Fingerprint]PublishedKey
}

// Lookup finds a key in the set. The zero fingerprint, that of a key which
// could not be read, is in no set.
func (p *PublishedKeys) Lookup(f Fingerprint) (PublishedKey, bool) {
	k, ok := p.keys[f]
	k.PublishedIn = slices.Clone(k.PublishedIn)
	return k, ok
}

// Len is the number of keys in the set.
func (p *PublishedKeys) Len() int { return len(p.keys) }

// With returns a set that has more keys. Of a key that it has already only the
// places are added. Keys with a zero fingerprint are left out.
func (p *PublishedKeys) With(extra ...PublishedKey) *PublishedKeys {
	keys := make(map[Fingerprint]PublishedKey, len(p.keys)+len(extra))
	maps.Copy(keys, p.keys)
	for _, k := range extra {
		if k.Fingerprint.IsZero() {
			continue
		}
		if known, ok := keys[k.Fingerprint]; ok {
			k.Bits, k.Use = known.Bits, known.Use
			k.PublishedIn = slices.Concat(known.PublishedIn, k.PublishedIn)
		}
		k.PublishedIn = slices.Compact(slices.Sorted(slices.Values(k.PublishedIn)))
		keys[k.Fingerprint] = k
	}
	return &PublishedKeys{keys: keys}
}

// publishedList holds every private key found in the public repositories of
// the Mojaloop Foundation, by fingerprint only.
//
//go:embed data/published-keys.json
var publishedList []byte

// publishedVersion is the version of the list's format.
const publishedVersion = 1

type publishedFile struct {
	Version int            `json:"version"`
	Keys    []PublishedKey `json:"keys"`
}

// Published returns the list in the program. It is parsed at the first call.
func Published() *PublishedKeys { return published() }

var published = sync.OnceValue(func() *PublishedKeys {
	set, err := parsePublished(publishedList)
	if err != nil {
		// A test reads the list, so no build that passed gets here. An empty
		// set in its place would let every published key in.
		panic("embedded list of published keys: " + err.Error()) //nolint:forbidigo // cannot happen in a tested build
	}
	return set
})

func parsePublished(data []byte) (*PublishedKeys, error) {
	var file publishedFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("parse list: %w", err)
	}
	if file.Version != publishedVersion {
		return nil, fmt.Errorf("version %d: want %d", file.Version, publishedVersion)
	}
	return new(PublishedKeys).With(file.Keys...), nil
}
