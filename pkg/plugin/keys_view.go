package plugin

import (
	"fmt"
	"slices"
	"time"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/policy"
)

// KindKeyList is the kind of the document that keys list and keys show print.
const KindKeyList = "KeyList"

// KeyList is the answer of keys list and keys show in -o json. It holds no key.
// Fields are added, never changed.
type KeyList struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Items are the private halves, VerificationKeys the public halves that
	// verifiers hold.
	Items            []KeyItem          `json:"items"`
	VerificationKeys []VerificationItem `json:"verificationKeys"`
	// Unread is what could not be read, Errors what went wrong.
	Unread []unreadPart `json:"unread,omitempty"`
	Errors []keyError   `json:"errors,omitempty"`
}

type keyError struct {
	Message string `json:"message"`
}

// KeyFactsItem is what both halves of a key pair tell.
type KeyFactsItem struct {
	Fingerprint string `json:"fingerprint,omitempty"`
	Algorithm   string `json:"algorithm,omitempty"`
	Bits        int    `json:"bits,omitempty"`
	Encoding    string `json:"encoding,omitempty"`
	// Unusable says why the SDK cannot use the key.
	Unusable    string   `json:"unusable,omitempty"`
	Published   bool     `json:"published"`
	PublishedIn []string `json:"publishedIn,omitempty"`
	// Exposed tells that the private half stands where others read it.
	Exposed bool `json:"exposed,omitempty"`
}

// KeyItem is a signing key, or the place where one should be.
type KeyItem struct {
	DFSP      string     `json:"dfsp,omitempty"`
	Hub       bool       `json:"hub,omitempty"`
	Namespace string     `json:"namespace"`
	Source    *keySource `json:"source,omitempty"`
	// From says where the key comes from when that is no Secret or ConfigMap.
	From string `json:"from,omitempty"`
	// Injected tells that admission mounts it.
	Injected bool `json:"injected,omitempty"`
	// State is present, missing, unknown or external.
	State string `json:"state"`
	KeyFactsItem
	Since *time.Time `json:"since,omitempty"`
	// SinceAtLeast tells that the key may be older.
	SinceAtLeast bool     `json:"sinceAtLeast,omitempty"`
	TooOld       bool     `json:"tooOld,omitempty"`
	SharedWith   []string `json:"sharedWith,omitempty"`
	// Status has a word for all that is wrong; "ok" alone when nothing is.
	Status []string      `json:"status"`
	Users  []keyUserItem `json:"users"`
	// Peers are empty also where PeersUnread tells that they could not be read.
	Peers       []keyPeerItem `json:"peers"`
	PeersUnread bool          `json:"peersUnread,omitempty"`
	// Checks is what the checks say, in keys show.
	Checks []keyFinding `json:"checks,omitempty"`
}

type keySource struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Entry string `json:"entry,omitempty"`
}

type keyUserItem struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Container string `json:"container"`
	Path      string `json:"path,omitempty"`
	Signs     bool   `json:"signs"`
	Pods      int    `json:"pods,omitempty"`
}

// keyPeerItem is an object from which peers verify.
type keyPeerItem struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Entry     string `json:"entry"`
	Match     string `json:"match"`
	// Fingerprint is that of the key they hold.
	Fingerprint string `json:"fingerprint,omitempty"`
	Verifiers   int    `json:"verifiers"`
}

type keyFinding struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Waived   bool   `json:"waived,omitempty"`
	Detail   string `json:"detail"`
	Fix      string `json:"fix,omitempty"`
}

// VerificationItem is a public key that verifiers hold for an FSP.
type VerificationItem struct {
	FSP       string    `json:"fsp"`
	Namespace string    `json:"namespace"`
	Source    keySource `json:"source"`
	KeyFactsItem
	// Match is current, other, unused, external or unknown.
	Match      string   `json:"match"`
	SharedWith []string `json:"sharedWith,omitempty"`
	Status     []string `json:"status"`
	// Verifiers is how many workloads see the key; Users are they, in keys show:
	// a scheme has as many verifiers as it has keys.
	Verifiers int           `json:"verifiers"`
	Users     []keyUserItem `json:"users,omitempty"`
}

// newKeyList is the document for what was found; details names the verifiers.
func newKeyList(r *keysRead, missing []Target, where string, details bool) *KeyList {
	list := &KeyList{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: KindKeyList,
		Items: []KeyItem{}, VerificationKeys: []VerificationItem{}, Unread: r.unread,
	}
	for i := range r.ring.Signing {
		list.Items = append(list.Items, newKeyItem(&r.ring.Signing[i], r))
	}
	for i := range r.ring.Verification {
		list.VerificationKeys = append(list.VerificationKeys, newVerificationItem(&r.ring.Verification[i], details))
	}
	for _, e := range r.errors {
		list.Errors = append(list.Errors, keyError{e})
	}
	for _, t := range missing {
		list.Errors = append(list.Errors, keyError{r.missingText("of "+t.String(), where) + r.didYouMean(t)})
	}
	return list
}

// failedKeyList is the document for a command that could not answer.
func failedKeyList(message string) *KeyList {
	return &KeyList{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: KindKeyList,
		Items: []KeyItem{}, VerificationKeys: []VerificationItem{}, Errors: []keyError{{message}},
	}
}

func newKeyFacts(s *policy.KeyState) KeyFactsItem {
	out := KeyFactsItem{Published: s.Published, PublishedIn: s.PublishedIn, Exposed: s.Exposed}
	if s.HasKey {
		out.Fingerprint, out.Algorithm, out.Bits, out.Encoding = s.Key.Fingerprint.String(), string(s.Key.Algorithm), s.Key.Bits, string(s.Key.Encoding)
	}
	if s.Problem != nil {
		out.Unusable = s.Problem.Error()
	}
	return out
}

// The states of a signing key.
const (
	keyPresent  = "present"
	keyMissing  = "missing"
	keyUnknown  = "unknown"
	keyExternal = "external"
)

func newKeyItem(e *policy.SigningEntry, r *keysRead) KeyItem {
	item := KeyItem{
		DFSP: e.DFSP, Hub: e.Hub, Namespace: e.Namespace, From: e.Elsewhere, Injected: e.Injected, KeyFactsItem: newKeyFacts(&e.KeyState),
		SinceAtLeast: e.AtLeast, TooOld: e.Old, SharedWith: e.SharedWith, Users: newKeyUsers(e.Users), Peers: []keyPeerItem{}, PeersUnread: r.peersUnread(e),
		State: stateOfKey(e), Status: statusOfKey(e, r),
	}
	if e.Object.Name != "" {
		item.Source = &keySource{Kind: e.Object.Kind, Name: e.Object.Name, Entry: e.Entry}
	}
	if !e.Since.IsZero() {
		since := e.Since.UTC()
		item.Since = &since
	}
	for _, i := range e.Holders {
		v := &r.ring.Verification[i]
		p := keyPeerItem{
			Kind: v.Object.Kind, Namespace: v.Object.Namespace, Name: v.Object.Name, Entry: v.Entry,
			Match: string(matchOf(e, v)), Verifiers: len(v.Users),
		}
		if v.HasKey {
			p.Fingerprint = v.Key.Fingerprint.String()
		}
		item.Peers = append(item.Peers, p)
	}
	return item
}

// matchOf compares one signing key with what is held for its FSP, which may
// have several.
func matchOf(e *policy.SigningEntry, v *policy.VerificationEntry) policy.Match {
	switch {
	case !e.HasKey:
		return policy.MatchUnknown
	case v.HasKey && v.Key.Fingerprint == e.Key.Fingerprint && e.Signed():
		return policy.MatchCurrent
	case v.HasKey && v.Key.Fingerprint == e.Key.Fingerprint:
		return policy.MatchUnused
	}
	return policy.MatchOther
}

func newKeyUsers(users []policy.KeyUser) []keyUserItem {
	out := make([]keyUserItem, 0, len(users))
	for _, u := range users {
		out = append(out, keyUserItem{
			Kind: u.Workload.Kind, Namespace: u.Workload.Namespace, Name: u.Workload.Name,
			Container: u.Container, Path: u.Path, Signs: u.Signs, Pods: u.Pods,
		})
	}
	return out
}

func newVerificationItem(v *policy.VerificationEntry, details bool) VerificationItem {
	item := VerificationItem{
		FSP: v.FSP, Namespace: v.Object.Namespace, Source: keySource{Kind: v.Object.Kind, Name: v.Object.Name, Entry: v.Entry},
		KeyFactsItem: newKeyFacts(&v.KeyState), Match: string(v.Match), SharedWith: v.SharedWith, Status: statusOfPeerKey(v), Verifiers: len(v.Users),
	}
	if details {
		item.Users = newKeyUsers(v.Users)
	}
	return item
}

// signsWithAnother tells whether the DFSP of a key that nobody signs with has
// one that it signs with, or may have one: what peers hold is then compared with
// that one.
func (r *keysRead) signsWithAnother(e *policy.SigningEntry) bool {
	return e.DFSP == "" || slices.ContainsFunc(r.ring.Signing, func(o policy.SigningEntry) bool {
		return o.DFSP == e.DFSP && (o.External || o.Signed() && o.Presence != policy.Absent)
	})
}

// peersUnread tells that nothing is known of who holds the public half, because
// the objects of verifiers could not be read.
func (r *keysRead) peersUnread(e *policy.SigningEntry) bool {
	return len(e.Holders) == 0 && r.dataUnread(policy.FactConfigMap)
}

func stateOfKey(e *policy.SigningEntry) string {
	switch {
	case e.External:
		return keyExternal
	case e.Presence == policy.Present:
		return keyPresent
	case e.Presence == policy.Absent:
		return keyMissing
	}
	return keyUnknown
}

// statusOK is the status of a key with which nothing is wrong.
const statusOK = "ok"

// statusOfKey has a word for each thing that a person would want to know.
func statusOfKey(e *policy.SigningEntry, r *keysRead) []string {
	var out []string
	add := func(when bool, word string) {
		if when {
			out = append(out, word)
		}
	}
	add(e.External, "external")
	if !e.External {
		add(e.Presence == policy.Absent, "missing")
		add(e.Elsewhere == "the image", "in-image")
		add(e.Presence == policy.Unknown && e.Elsewhere == "" && r.offline, "not-given")
		add(e.Presence == policy.Unknown && e.Elsewhere == "" && !r.offline, "not-read")
		add(e.Presence == policy.Unknown && e.Elsewhere != "" && e.Elsewhere != "the image", "not-known")
	}
	add(e.Problem != nil, "unusable")
	add(e.Exposed, "exposed")
	add(e.Published, "published")
	add(len(e.SharedWith) > 0, "shared")
	add(e.Old, "old")
	add(e.HasKey && len(e.Users) == 0, "unmounted")
	add(e.HasKey && len(e.Users) > 0 && !e.Signed(), "unused")
	if e.HasKey && (e.Signed() || !r.signsWithAnother(e)) {
		differs := slices.ContainsFunc(e.Holders, func(i int) bool { return matchOf(e, &r.ring.Verification[i]) == policy.MatchOther })
		add(differs, "peers-differ")
		// Files without any public half say nothing of who holds one.
		add(len(e.Holders) == 0 && e.DFSP != "" && (r.held || !r.offline) && !r.peersUnread(e), "not-held")
	}
	if out == nil {
		out = []string{statusOK}
	}
	return out
}

func statusOfPeerKey(v *policy.VerificationEntry) []string {
	var out []string
	if v.Exposed {
		out = append(out, "exposed")
	}
	if v.Problem != nil {
		out = append(out, "unusable")
	}
	if v.Published {
		out = append(out, "published")
	}
	if len(v.SharedWith) > 0 {
		out = append(out, "shared")
	}
	if v.Match == policy.MatchOther {
		out = append(out, "differs")
	}
	if out == nil {
		out = []string{statusOK}
	}
	return out
}

// algorithmOf is how tables name a kind of key.
func algorithmOf(k crypto.KeyFacts) string {
	if k.Algorithm == crypto.RSA {
		return fmt.Sprintf("RSA %d", k.Bits)
	}
	return string(k.Algorithm)
}
