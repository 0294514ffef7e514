package policy

import (
	"maps"
	"slices"
	"sync"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// lazyIndex is computed from a shard when it is first asked for.
type lazyIndex struct {
	once  sync.Once
	value *index
}

// index says who in a namespace signs with what, and what peers hold.
type index struct {
	// signers are the workloads that sign messages, by DFSP; the hub's under
	// its participant name. As in all lists here, of those that are alike to
	// every rule there are at most two.
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
	heldKeys map[crypto.Fingerprint][]string
	// holders are the objects that hold the keys of peers, and in which
	// entries.
	holders map[Ref]map[string]bool
	// listed are the objects of which all entries are in held.
	listed map[Ref]bool
	// unknownSigners and unknownSecrets are facts without which nobody can
	// say that a key or an ILP secret is not used twice; unknownHolders those
	// without which nobody knows what all peers hold.
	unknownSigners, unknownSecrets, unknownHolders []Fact
	// missing caches withoutKey by *Data: every SDK asks for the same.
	missing sync.Map
}

func newIndex() *index {
	return &index{
		signers: map[string][]signer{}, sdks: map[string][]owner{}, accounts: map[string][]owner{}, byKey: map[crypto.Fingerprint][]signer{},
		byILP: map[crypto.Tag][]owner{}, held: map[string][]heldKey{}, heldKeys: map[crypto.Fingerprint][]string{}, holders: map[Ref]map[string]bool{},
		listed: map[Ref]bool{},
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
	key crypto.Fingerprint // zero when not known
}

// heldKey is a public key that a verifier holds for an FSP.
type heldKey struct {
	key      crypto.KeyFacts
	file     Origin
	data     Ref
	verifier *Workload
}

// indexOf returns the index of a namespace.
func (s *Snapshot) indexOf(sh *shard) *index {
	sh.index.once.Do(func() { sh.index.value = s.quiet().buildIndex(sh) })
	return sh.index.value
}

// quiet returns the same knowledge, about which nobody hears: what is in an
// index is nobody's verdict.
func (s *Snapshot) quiet() *Snapshot {
	if s.note == nil {
		return s
	}
	out := *s
	out.note = nil
	return &out
}

// Prepare computes what reviews would otherwise compute when they first ask for
// it. Whoever shares a Snapshot between reviews calls it before.
func (s *Snapshot) Prepare() { s.whole() }

// alike counts workloads by what tells them apart in a list of an index. Of
// those that are alike two are enough: one may be the subject itself. Else each
// of ten thousand pods of a DFSP would be compared with all others.
type alike map[any]int

func (a alike) enough(what any) bool {
	a[what]++
	return a[what] > 2
}

type (
	alikeSDK struct {
		dfsp, account string
		job           bool
	}
	alikeSigner struct {
		dfsp string
		key  crypto.Fingerprint
	}
	alikeSignature alikeSigner // in signers instead of byKey
	alikeILP       struct {
		dfsp   string
		secret crypto.Tag
	}
)

func (s *Snapshot) buildIndex(sh *shard) *index {
	ix, seen := newIndex(), alike{}
	for _, m := range sh.workloads {
		w := m.Workload
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
		if w.Role != RoleSDK && w.Role != RoleHub {
			continue
		}
		ix.addHeld(s, w)
		if s.signs(w) {
			ix.addSigner(s, who, seen)
		}
		if w.Role != RoleSDK {
			continue
		}
		if !seen.enough(alikeSDK{who.dfsp, w.ServiceAccount, w.Job}) {
			ix.sdks[who.dfsp] = append(ix.sdks[who.dfsp], who)
		}
		for _, c := range w.SDKs() {
			switch v := s.Value(w, c, SettingILPSecret); {
			case v.Presence == Present && !v.Tag.IsZero():
				if seen.enough(alikeILP{who.dfsp, v.Tag}) {
					continue
				}
				ix.byILP[v.Tag] = append(ix.byILP[v.Tag], who)
			case v.Presence == Unknown:
				ix.unknownSecrets = append(ix.unknownSecrets, v.missing(w, SettingILPSecret))
			}
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

func (ix *index) addSigner(s *Snapshot, who owner, seen alike) {
	sg := signer{owner: who}
	for _, k := range s.signingKeys(who.workload) {
		switch {
		case k.hasKey:
			sg.key = k.key.Fingerprint
			if !seen.enough(alikeSigner{who.dfsp, sg.key}) {
				ix.byKey[sg.key] = append(ix.byKey[sg.key], sg)
			}
		case k.presence == Unknown && k.missing != (Fact{}):
			ix.unknownSigners = append(ix.unknownSigners, k.missing)
		}
	}
	if !seen.enough(alikeSignature{who.dfsp, sg.key}) {
		ix.signers[who.dfsp] = append(ix.signers[who.dfsp], sg)
	}
}

func (ix *index) addHeld(s *Snapshot, w *Workload) {
	for _, v := range s.verifiers(w) {
		if v.dir.Presence == Unknown {
			continue
		}
		t := w.Resolve(v.container, directory(v.dir))
		if d, presence, _ := s.wholeObject(w, v.container, &t); presence == Present {
			// The usual case: many verifiers mount one object. Once is enough.
			if ix.listed[d.Ref] {
				continue
			}
			ix.listed[d.Ref] = true
		}
		files, _, presence, missing := s.Files(w, v.container, directory(v.dir))
		if presence == Unknown {
			ix.unknownHolders = append(ix.unknownHolders, missing)
		}
		for _, f := range files {
			ix.addFile(w, &f)
		}
	}
}

// addFile notes a file of a verification directory.
func (ix *index) addFile(w *Workload, f *File) {
	entries := ix.holders[f.Data]
	if entries == nil {
		entries = map[string]bool{}
		ix.holders[f.Data] = entries
	}
	if entries[f.Entry.Key] {
		return // many verifiers mount the same ConfigMap: once is enough
	}
	entries[f.Entry.Key] = true
	fsp, ok := fspOfFile(f.Name)
	key, found := f.Entry.VerificationKey()
	if !ok || !found {
		return
	}
	ix.held[fsp] = append(ix.held[fsp], heldKey{key: key, file: f.Origin, data: f.Data, verifier: w})
	if !slices.Contains(ix.heldKeys[key.Fingerprint], fsp) {
		ix.heldKeys[key.Fingerprint] = append(ix.heldKeys[key.Fingerprint], fsp)
	}
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
	appendAll(ix.heldKeys, o.heldKeys)
	maps.Copy(ix.holders, o.holders)
	ix.unknownSigners = append(ix.unknownSigners, o.unknownSigners...)
	ix.unknownSecrets = append(ix.unknownSecrets, o.unknownSecrets...)
	ix.unknownHolders = append(ix.unknownHolders, o.unknownHolders...)
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
