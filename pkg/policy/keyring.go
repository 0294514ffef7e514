package policy

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
)

// Keyring is what a Snapshot knows of the JWS keys of a scheme.
type Keyring struct {
	// Signing are the private halves, and the places where one should be.
	Signing []SigningEntry
	// Verification are the public halves that verifiers hold.
	Verification []VerificationEntry
}

// SigningEntry is where a DFSP or the hub has its signing key.
type SigningEntry struct {
	// DFSP is who signs with it; for a key that nobody signs with, whom its
	// Secret is named or labelled for. "" when that cannot be told.
	DFSP string
	// Hub tells that services of the switch sign with it.
	Hub       bool
	Namespace string
	// Object and Entry name the Secret (or ConfigMap) and the key in it; both
	// are empty where Elsewhere says that it comes from somewhere else.
	Object    Ref
	Entry     string
	Elsewhere string
	// Injected tells that the manifest mounts nothing, and admission mounts this
	// into its pods.
	Injected bool
	// External tells that the SDK gets its keys over a websocket.
	External bool
	// Presence tells whether the entry exists; Missing what is not known.
	Presence Presence
	Missing  Fact

	KeyState
	// Since is when the key came into use; zero when that is not known. With
	// AtLeast it may be older.
	Since   time.Time
	AtLeast bool
	// Old tells that it is older than the Profile allows.
	Old bool
	// SharedWith are the others who sign with it, or for whom verifiers hold it.
	SharedWith []string
	Users      []KeyUser
	// Holders are the entries of Verification for the same FSP, as indices.
	Holders []int
}

// Signed tells that somebody signs with the key.
func (e *SigningEntry) Signed() bool {
	return slices.ContainsFunc(e.Users, func(u KeyUser) bool { return u.Signs })
}

// KeyState is what is known of one key.
type KeyState struct {
	// Key are the facts where HasKey is true: a key with a fingerprint.
	Key    crypto.KeyFacts
	HasKey bool
	// Problem says why the SDK cannot use it; nil when it can.
	Problem error
	// PublishedIn are the public places of its private half, where Published
	// is true.
	Published   bool
	PublishedIn []string
	// Exposed tells that its private half stands in a ConfigMap, or among the
	// public keys that verifiers mount.
	Exposed bool
}

// KeyUser is a container that sees a key.
type KeyUser struct {
	Workload  Ref
	Container string
	// Path is where it sees it: a file, for verification keys the directory.
	Path string
	// Signs tells that this is the key it signs with.
	Signs bool
	// Pods is for how many pods of one name it stands; 0 for a single object.
	Pods int
}

// Match tells how a verification key compares with what the FSP signs with.
type Match string

// The ways they compare.
const (
	// MatchUnknown: what the FSP signs with could not be read.
	MatchUnknown Match = "unknown"
	// MatchCurrent: it is the public half of the signing key.
	MatchCurrent Match = "current"
	// MatchOther: the FSP signs with another key.
	MatchOther Match = "other"
	// MatchUnused: the private half is here, and nobody signs with it.
	MatchUnused Match = "unused"
	// MatchExternal: the private half is not here.
	MatchExternal Match = "external"
)

// VerificationEntry is a public key that verifiers hold for an FSP.
type VerificationEntry struct {
	FSP    string
	Object Ref
	Entry  string
	KeyState
	Match Match
	// SharedWith are the other FSPs for whom verifiers hold the same key, or who
	// sign with it.
	SharedWith []string
	// Users are the verifiers that see the object.
	Users []KeyUser
}

// Keyring returns what is known of the JWS keys, in the order of namespaces,
// names and entries.
func (s *Snapshot) Keyring() Keyring {
	b := keyringBuilder{s: s.quiet(), verifiers: map[Ref][]KeyUser{}, index: map[signingID]int{}, exposed: map[crypto.Fingerprint]bool{}}
	for _, sh := range b.s.shardsInOrder() {
		for _, m := range sh.workloads {
			b.workload(m)
		}
	}
	for _, sh := range b.s.shardsInOrder() {
		for _, d := range sh.secrets {
			b.secret(d)
		}
	}
	b.fileNames()
	for _, sh := range b.s.shardsInOrder() {
		for _, d := range slices.Concat(sh.configMaps, sh.secrets) {
			b.verification(d)
		}
	}
	b.compare()
	return b.ring
}

// signingID is what makes two containers use one entry.
type signingID struct {
	dfsp, namespace, entry, elsewhere string
	object                            Ref
	hub                               bool
}

type keyringBuilder struct {
	s    *Snapshot
	ring Keyring
	// index has the place of a SigningEntry in ring.
	index map[signingID]int
	// mounts are the containers that see something of a Secret with a private
	// key, verifiers those that verify with an object.
	mounts    []keyMount
	verifiers map[Ref][]KeyUser
	// names says for whom verifiers take the entries of an object: a volume may
	// give them other names.
	names map[Ref]map[string]string
	// exposed are the keys whose private half stands where others read it.
	exposed map[crypto.Fingerprint]bool
}

// workload notes what one workload signs, verifies and mounts.
func (b *keyringBuilder) workload(m member) {
	w := b.s.unmasked(m.Workload)
	b.mounted(w, m)
	if w.Role != RoleSDK && w.Role != RoleHub {
		return
	}
	for _, v := range b.s.verifiers(w) {
		b.verifier(w, m, v)
	}
	if !w.Signs || w.Role == RoleHub && !declaresSigningKey(w) && !b.s.signs(w) {
		return
	}
	base := SigningEntry{Hub: w.Role == RoleHub, Namespace: w.Ref.Namespace}
	if id := b.s.DFSP(w); id.Presence == Present && id.IsText {
		base.DFSP = id.Text
	}
	if w.Role == RoleSDK {
		for _, c := range w.SDKs() {
			if b.s.usesExternalKeys(w, c) {
				e := base
				e.External, e.Elsewhere = true, "the connection manager"
				b.add(e, KeyUser{Workload: w.Ref, Container: c.Name, Signs: true, Pods: int(m.pods)})
			}
		}
	}
	for _, k := range b.s.signingKeys(w) {
		if w != m.Workload && k.target.Kind == VolumeNone && k.path.Setting == nil {
			continue // no SDK but by what it mounts: there it is told
		}
		e, at := base, k.target.Path
		if b.injected(&e, w, &k) {
			at = path.Join(b.s.profile.JWS.MountPath, b.s.profile.JWS.KeyFile)
		} else {
			e.place(b.s, &k)
		}
		b.add(e, KeyUser{Workload: w.Ref, Container: k.container.Name, Path: at, Signs: true, Pods: int(m.pods)})
	}
}

// injected says where the pods of a manifest that mounts no key get it from
// admission. Running pods have what they have.
func (b *keyringBuilder) injected(e *SigningEntry, w *Workload, k *keyAt) bool {
	p := &b.s.profile.JWS
	in := injection{snap: b.s, w: w}
	if w.Role != RoleSDK || w.Job || w.Ref.Kind == "Pod" || k.target.Kind != VolumeNone || !in.free(k.container, SettingSigningKeyPath, p.MountPath, defaultSigningKey) {
		return false
	}
	name, ok := forDFSP(p.SecretName, e.DFSP)
	if e.DFSP == "" || !ok {
		return false
	}
	d, presence := b.s.Secret(w.Ref.Namespace, name)
	mode, known := b.s.Mode(w.Ref.Namespace)
	if known == Present && mode != ModeEnforce || known != Present && presence == Absent {
		return false
	}
	e.Injected, e.Presence, e.Missing = true, presence, FromSecret.fact(w.Ref.Namespace, name)
	e.Object, e.Entry = Ref{APIVersion: "v1", Kind: "Secret", Namespace: w.Ref.Namespace, Name: name}, p.KeyFile
	if presence != Present {
		return true
	}
	entry, has := d.Entry(p.KeyFile)
	if !has {
		e.Presence = Absent
		return true
	}
	key, isPrivate := entry.SigningKey()
	e.KeyState = b.s.keyState(key, isPrivate && !key.Fingerprint.IsZero(), usablePrivate(entry, b.s))
	if e.HasKey {
		e.age(b.s, d)
	}
	return true
}

// place says where a container reads its signing key from.
func (e *SigningEntry) place(s *Snapshot, k *keyAt) {
	e.Presence, e.Missing = k.presence, k.missing
	switch {
	case k.path.Presence == Unknown || k.path.Presence == Present && !k.path.IsText:
		e.Elsewhere, e.Presence = "a path that is not known", Unknown
	case k.origin != nil && k.origin.Source != FromElsewhere:
		e.fromObject(k.origin, k)
	case len(k.target.Origins) == 1 && k.target.Origins[0].Source != FromElsewhere && k.target.Origins[0].Key != "":
		e.fromObject(&k.target.Origins[0], k) // named, and not there
	case k.target.Kind == VolumeNone:
		e.Elsewhere, e.Presence = "the image", Unknown
	default:
		e.Elsewhere, e.Presence = article(k.target.Kind)+" "+string(k.target.Kind), Unknown
	}
	if k.entry == nil {
		return
	}
	e.KeyState = s.keyState(k.key, k.hasKey, usablePrivate(k.entry, s))
	if d, presence := s.data(k.origin.Source, e.Namespace, k.origin.Object); presence == Present && k.hasKey {
		e.age(s, d)
	}
}

func (e *SigningEntry) fromObject(o *Origin, k *keyAt) {
	kind := "Secret"
	if o.Source == FromConfigMap {
		kind = "ConfigMap"
	}
	e.Object, e.Entry = Ref{APIVersion: "v1", Kind: kind, Namespace: e.Namespace, Name: o.Object}, o.Key
	if k.data != (Ref{}) {
		e.Object = k.data
	}
}

func (e *SigningEntry) age(s *Snapshot, d *Data) {
	since, exact, ok := keyAge(d, e.Key.Fingerprint)
	if !ok {
		return
	}
	e.Since, e.AtLeast = since, !exact
	e.Old = s.now.Sub(since) > s.profile.JWS.MaxKeyAge.Duration
}

// keyState says what is known of a key.
func (s *Snapshot) keyState(key crypto.KeyFacts, hasKey bool, problem error) KeyState {
	st := KeyState{Key: key, HasKey: hasKey, Problem: problem}
	if p, ok := s.profile.published.Lookup(key.Fingerprint); ok {
		st.Published, st.PublishedIn = true, p.PublishedIn
	}
	return st
}

// add notes a user of an entry.
func (b *keyringBuilder) add(e SigningEntry, u KeyUser) {
	id := signingID{e.DFSP, e.Namespace, e.Entry, e.Elsewhere, e.Object, e.Hub}
	i, ok := b.index[id]
	if !ok {
		i = len(b.ring.Signing)
		b.index[id] = i
		b.ring.Signing = append(b.ring.Signing, e)
	}
	b.ring.Signing[i].Users = append(b.ring.Signing[i].Users, u)
}

// secret notes the signing keys in a Secret that no workload signs with.
func (b *keyringBuilder) secret(d *Data) {
	if len(d.private) == 0 || b.s.isVerificationData(d) {
		return
	}
	for i := range d.Entries {
		entry := &d.Entries[i]
		key, ok := entry.SigningKey()
		if !ok || key.Fingerprint.IsZero() || b.isSigned(d.Ref, entry.Key) {
			continue
		}
		dfsp, isJWS := b.s.orphanOf(d, entry, key.Fingerprint)
		if !isJWS {
			continue
		}
		e := SigningEntry{DFSP: dfsp, Namespace: d.Ref.Namespace, Object: d.Ref, Entry: entry.Key, Presence: Present}
		e.KeyState = b.s.keyState(key, true, usablePrivate(entry, b.s))
		e.age(b.s, d)
		b.ring.Signing = append(b.ring.Signing, e)
	}
}

func (b *keyringBuilder) isSigned(object Ref, entry string) bool {
	return slices.ContainsFunc(b.ring.Signing, func(e SigningEntry) bool {
		return e.Entry == entry && e.Object.Name == object.Name && e.Object.Namespace == object.Namespace && e.Object.Kind == object.Kind
	})
}

// jwsSecretSuffixes end the names that Mojaloop's charts give to Secrets with a
// signing key.
var jwsSecretSuffixes = []string{"-jws-priv-key", "-jws-signing-key", "switch-jws"}

// orphanOf tells whether a private key that nobody signs with is one for JWS: by
// the name or label of its Secret, or because verifiers hold its public half.
func (s *Snapshot) orphanOf(d *Data, e *Entry, key crypto.Fingerprint) (dfsp string, isJWS bool) {
	label := d.Meta.Labels[v1alpha1.LabelDFSP]
	fsps := s.whole().heldKeys[key]
	switch {
	case label != "":
		return label, true
	case s.isSigningKey(d, e.Key):
		// Whom verifiers take the key for counts less: it may be the wrong one.
		prefix, suffix, _ := strings.Cut(s.profile.JWS.SecretName, "{dfsp}")
		return s.spelling(d.Ref.Name[len(prefix) : len(d.Ref.Name)-len(suffix)]), true
	case len(fsps) == 1:
		return fsps[0], true
	case len(fsps) > 0:
		return "", true
	}
	return "", slices.ContainsFunc(jwsSecretSuffixes, func(end string) bool { return strings.HasSuffix(d.Ref.Name, end) })
}

// spelling is how verifiers spell the id in the name of a Secret, which is in
// lower case.
func (s *Snapshot) spelling(name string) string {
	held := s.whole().held
	if _, ok := held[name]; ok {
		return name
	}
	found := ""
	for fsp := range held {
		if !strings.EqualFold(fsp, name) {
			continue
		}
		if found != "" {
			return name // two of them: it may be either
		}
		found = fsp
	}
	return cmp.Or(found, name)
}

// verification notes the public keys in an object.
func (b *keyringBuilder) verification(d *Data) {
	if !b.s.isVerificationData(d) {
		return
	}
	users := joined(b.verifiers[d.Ref]) // once: there are as many verifiers as entries
	for i := range d.Entries {
		entry := &d.Entries[i]
		if !b.s.isHeld(d, entry.Key) {
			continue
		}
		fsp, ok := b.names[d.Ref][entry.Key]
		if !ok {
			fsp, ok = fspOfFile(entry.Key)
		}
		if !ok {
			continue
		}
		key, hasKey := entry.VerificationKey()
		v := VerificationEntry{
			FSP: fsp, Object: d.Ref, Entry: entry.Key, Users: users,
			KeyState: b.s.keyState(key, hasKey && !key.Fingerprint.IsZero(), usablePublic(entry, b.s)),
		}
		for j := range entry.Keys {
			if k := &entry.Keys[j]; k.Private {
				v.Exposed, b.exposed[k.Fingerprint] = true, true
			}
		}
		b.ring.Verification = append(b.ring.Verification, v)
	}
}

// fileNames reads from the index for whom verifiers take which entry.
func (b *keyringBuilder) fileNames() {
	b.names = map[Ref]map[string]string{}
	for fsp, list := range b.s.whole().held {
		for i := range list {
			if b.names[list[i].data] == nil {
				b.names[list[i].data] = map[string]string{}
			}
			b.names[list[i].data][list[i].file.Key] = fsp
		}
	}
}
