package policy

import (
	"maps"
	"slices"
	"sync"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// DefaultDFSP is the identity of an SDK that does not say who it is.
const DefaultDFSP = "mojaloop"

// lazyIndex is computed from a shard when it is first asked for.
type lazyIndex struct {
	once  sync.Once
	value *index
}

// index says who in a namespace signs with what, and what peers hold.
type index struct {
	// signers are the workloads that sign messages, by DFSP; the hub's under
	// its participant name.
	signers map[string][]signer
	// sdks are the SDKs, by DFSP.
	sdks map[string][]owner
	// accounts are those who run under a ServiceAccount, by its name: one
	// owner for each DFSP. Not merged: an account belongs to its namespace.
	accounts map[string][]owner
	// byKey are the DFSPs that sign with a key.
	byKey map[crypto.Fingerprint][]signer
	// byILP are the DFSPs that use an ILP secret.
	byILP map[crypto.Tag][]owner
	// held are the public keys that verifiers here hold, by FSP name.
	held map[string][]heldKey
	// heldKeys are the same, by key.
	heldKeys map[crypto.Fingerprint]bool
	// holders are the objects that hold the keys of peers.
	holders map[Ref]bool
	// missing caches withoutKey by *Data: every SDK asks for the same.
	missing sync.Map
}

func newIndex() *index {
	return &index{
		signers: map[string][]signer{}, sdks: map[string][]owner{}, accounts: map[string][]owner{}, byKey: map[crypto.Fingerprint][]signer{},
		byILP: map[crypto.Tag][]owner{}, held: map[string][]heldKey{}, heldKeys: map[crypto.Fingerprint]bool{}, holders: map[Ref]bool{},
	}
}

// owner is a workload and the DFSP it acts for.
type owner struct {
	dfsp     string
	workload *Workload
}

// signer is a workload that signs, and the key it signs with.
type signer struct {
	owner
	key    crypto.Fingerprint // zero when not known
	secret Ref                // where the key is
}

// heldKey is a public key that a verifier holds for an FSP.
type heldKey struct {
	fsp      string
	key      crypto.KeyFacts
	file     Origin
	data     Ref
	verifier *Workload
}

// indexOf returns the index of a namespace.
func (s *Snapshot) indexOf(sh *shard) *index {
	sh.index.once.Do(func() { sh.index.value = s.buildIndex(sh) })
	return sh.index.value
}

func (s *Snapshot) buildIndex(sh *shard) *index {
	ix := newIndex()
	for _, w := range sh.workloads {
		if !w.Role.Mojaloop() {
			continue
		}
		who := owner{workload: w}
		id := s.DFSP(w)
		if id.Presence == Present {
			who.dfsp = id.Text
		}
		if id.Presence != Unknown {
			ix.addAccount(who)
		}
		c := w.SDK()
		if c == nil && w.Role != RoleHub {
			continue
		}
		ix.addHeld(s, w)
		if s.signs(w) {
			sg := signer{owner: who}
			if k := s.signingKey(w); k.hasKey {
				sg.key, sg.secret = k.key.Fingerprint, k.data
				ix.byKey[sg.key] = append(ix.byKey[sg.key], sg)
			}
			ix.signers[who.dfsp] = append(ix.signers[who.dfsp], sg)
		}
		if c == nil {
			continue
		}
		ix.sdks[who.dfsp] = append(ix.sdks[who.dfsp], who)
		if v := s.Value(w, c, SettingILPSecret); v.Presence == Present && !v.Tag.IsZero() {
			ix.byILP[v.Tag] = append(ix.byILP[v.Tag], who)
		}
	}
	return ix
}

// addAccount notes who runs under a ServiceAccount, once for each DFSP.
func (ix *index) addAccount(who owner) {
	list := ix.accounts[who.workload.ServiceAccount]
	if !slices.ContainsFunc(list, func(o owner) bool {
		return o.dfsp == who.dfsp && (o.workload.Role == RoleHub) == (who.workload.Role == RoleHub)
	}) {
		ix.accounts[who.workload.ServiceAccount] = append(list, who)
	}
}

func (ix *index) addHeld(s *Snapshot, w *Workload) {
	c, dir, verifies := s.verifier(w)
	if !verifies || dir.Presence == Unknown {
		return
	}
	files, _, presence, _ := s.Files(w, c, directory(dir))
	if presence != Present {
		return
	}
	for _, f := range files {
		ix.holders[f.Data] = true
		fsp, ok := fspOfFile(f.Name)
		key, found := f.Entry.VerificationKey()
		if !ok || !found {
			continue
		}
		k := heldKey{fsp: fsp, key: key, file: f.Origin, data: f.Data, verifier: w}
		ix.heldKeys[k.key.Fingerprint] = true
		// Many verifiers mount the same ConfigMap: one entry each is enough.
		if !slices.ContainsFunc(ix.held[fsp], func(h heldKey) bool { return h.data == k.data && h.file == k.file }) {
			ix.held[fsp] = append(ix.held[fsp], k)
		}
	}
}

// Identity is the DFSP a workload acts for.
type Identity struct {
	Value
	// Container is where DFSP_ID is set; nil when labels tell.
	Container *Container
}

// DFSP returns the identity of a workload: DFSP_ID of the SDK, else its
// labels; for a hub service the hub's participant name. An SDK that sets
// nothing has no identity here, though it will call itself "mojaloop".
func (s *Snapshot) DFSP(w *Workload) Identity {
	if w.Role == RoleHub {
		return s.hubName(w)
	}
	for i := range w.Containers {
		c := &w.Containers[i]
		if !c.SDK {
			continue
		}
		v := s.Value(w, c, SettingDFSPID)
		if v.Presence == Present && v.IsText && v.Text != "" {
			return Identity{v, c}
		}
		if v.Presence != Absent && w.LabelDFSP == "" {
			v.Presence = Unknown
			if v.Missing == (Fact{}) {
				v.Missing = Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: SettingDFSPID}
			}
			return Identity{v, c}
		}
	}
	if w.LabelDFSP != "" {
		return Identity{Value: Value{Presence: Present, Text: w.LabelDFSP, IsText: true}}
	}
	return Identity{Value: Value{Presence: Absent}}
}

// usesExternalKeys tells SDKs that get their keys over a websocket from the
// connection manager (PM4ML_ENABLED): what they mount is a placeholder.
func (s *Snapshot) usesExternalKeys(w *Workload) bool {
	c := w.SDK()
	if c == nil {
		return false
	}
	on, known := s.Value(w, c, SettingPM4ML).Switch(false)
	return on && known
}

// signs tells whether a workload signs messages by its settings. What is not
// known counts as signing for an SDK (its default) and as not for the hub.
func (s *Snapshot) signs(w *Workload) bool {
	if !w.Signs {
		return false
	}
	if c := w.SDK(); c != nil {
		on, known := s.Value(w, c, SettingJWSSign).Switch(true)
		return on || !known
	}
	sign, presence := s.hubSwitch(w, hubJWSSign)
	return presence == Present && sign.on
}

// keyAt is where a signing key is read from.
type keyAt struct {
	container *Container
	path      Value // of the setting that names the path
	target    Target
	entry     *Entry // nil when absent or unknown
	key       crypto.KeyFacts
	hasKey    bool // entry holds a private key whose fingerprint is known
	origin    *Origin
	data      Ref
	presence  Presence
	missing   Fact
}

// defaultSigningKey is where the SDK and the hub's services look for their key
// when nothing names a path; relative to their working directory.
const (
	defaultSigningKey      = "secrets/jwsSigningKey.key"
	defaultVerificationDir = "secrets/jwsVerificationKeys"
)

// signingKey follows the path of the signing key to what is mounted there.
func (s *Snapshot) signingKey(w *Workload) keyAt {
	k := keyAt{container: w.SDK()}
	text := defaultSigningKey
	if k.container != nil {
		k.path = s.Value(w, k.container, SettingSigningKeyPath)
	} else {
		k.container = w.Main()
		k.path = s.hubPath(w, hubSigningKeyPath, defaultSigningKey)
	}
	if k.container == nil {
		return k
	}
	switch {
	case k.path.Presence == Unknown || (k.path.Presence == Present && !k.path.IsText):
		k.missing = k.path.Missing
		if k.missing == (Fact{}) {
			k.missing = Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: SettingSigningKeyPath}
		}
		return k
	case k.path.Presence == Present && k.path.Text != "":
		text = k.path.Text
	}
	k.target = w.Resolve(k.container, text)
	k.entry, k.origin, k.presence, k.missing = s.Entry(w.Ref.Namespace, k.target.Origins)
	if k.entry != nil {
		k.key, k.hasKey = k.entry.SigningKey()
		k.hasKey = k.hasKey && !k.key.Fingerprint.IsZero()
	}
	if k.origin != nil {
		if d, p := s.data(k.origin.Source, w.Ref.Namespace, k.origin.Object); p == Present {
			k.data = d.Ref
		}
	}
	return k
}

// verifier returns the container of a workload that verifies signatures and the
// setting that names the directory of its keys. It is false for workloads that
// do not verify, or with keys that do not come from a directory.
func (s *Snapshot) verifier(w *Workload) (*Container, Value, bool) {
	switch w.Role {
	case RoleSDK:
		if s.usesExternalKeys(w) {
			return nil, Value{}, false
		}
		c := w.SDK()
		return c, s.Value(w, c, SettingVerificationDir), true
	case RoleHub:
		v, presence := s.hubSwitch(w, hubJWSValidate)
		c := w.Main()
		if c == nil || w.Job || presence != Present || !v.on {
			return nil, Value{}, false
		}
		return c, s.hubPath(w, hubVerificationDir, defaultVerificationDir), true
	default:
		return nil, Value{}, false
	}
}

// directory is the path that a setting names; the default when it names none.
func directory(v Value) string {
	if v.Presence == Present && v.IsText && v.Text != "" {
		return v.Text
	}
	return defaultVerificationDir
}

// fspOfFile returns the FSP that a file of the verification directory is for:
// the SDK takes the base name of every *.pem.
func fspOfFile(name string) (string, bool) {
	const ext = ".pem"
	if len(name) <= len(ext) || name[len(name)-len(ext):] != ext {
		return "", false
	}
	return name[:len(name)-len(ext)], true
}

// whole returns the index of all namespaces, merged when first asked for.
func (s *Snapshot) whole() *index {
	s.merged.once.Do(func() {
		all := newIndex()
		for _, sh := range s.shardsInOrder() {
			all.merge(s.indexOf(sh))
		}
		s.merged.value = all
	})
	return s.merged.value
}

// merge adds the index of another namespace.
func (ix *index) merge(o *index) {
	appendAll(ix.signers, o.signers)
	appendAll(ix.sdks, o.sdks)
	appendAll(ix.byKey, o.byKey)
	appendAll(ix.byILP, o.byILP)
	appendAll(ix.held, o.held)
	maps.Copy(ix.heldKeys, o.heldKeys)
	maps.Copy(ix.holders, o.holders)
}

func appendAll[K comparable, V any](to, from map[K][]V) {
	for k, v := range from {
		to[k] = append(to[k], v...)
	}
}

// withoutKey lists the signers that have no <fsp>.pem in an object, sorted.
func (s *Snapshot) withoutKey(d *Data) []string {
	ix := s.whole()
	if list, ok := ix.missing.Load(d); ok {
		names, _ := list.([]string)
		return names
	}
	var names []string
	for fsp := range ix.signers {
		if _, ok := d.Entry(fsp + ".pem"); fsp != "" && !ok {
			names = append(names, fsp)
		}
	}
	slices.Sort(names)
	ix.missing.Store(d, names)
	return names
}
