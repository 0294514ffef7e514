package plugin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// replacement says what a command may replace.
type replacement string

// The values of --replace.
const (
	replaceNothing replacement = "none"
	replacePublic  replacement = "public" // what the peers hold, by the half of the key there is
	replacePair    replacement = "pair"   // both halves, by new ones
)

func replacements() []string {
	return []string{string(replaceNothing), string(replacePublic), string(replacePair)}
}

// pairRequest asks for the key pair of a participant.
type pairRequest struct {
	participant
	// New returns the key to write where there is none, or where the one there
	// is gives way. Nil is for a participant whose private half stays elsewhere.
	New func() (*jws.PrivateKey, error)
	// Want is the key that is to be there in the end; nil accepts any fit one.
	Want *jws.PublicKey
	// Command is what was typed, without the target.
	Command string
}

// pairPlanner decides what to write. It reads no cluster and writes none.
type pairPlanner struct {
	rules   keyRules
	replace replacement
	now     time.Time
	// stores by namespace: those of the participants and of the verifiers.
	stores map[string]*keyStore
	// verifiers are the namespaces where the public halves go.
	verifiers []string
}

// keyStep is a change of a plan that holds material.
type keyStep struct {
	step
	// write carries it out; nil where nothing is to be done.
	write func(ctx context.Context, w *writer) error
	// public tells that it is about public halves; else it is about the private
	// one of fsp, whose key is then this one.
	public bool
	fsp    string
	key    crypto.Fingerprint
}

// decided is what comes of a request.
type decided struct {
	pairRequest
	// secret writes the private half; nil when it stays as it is.
	secret *unstructured.Unstructured
	live   *unstructured.Unstructured
	public *jws.PublicKey
	note   string
}

// plan decides on all requests before anything is written: it refuses all, with
// every reason, or none.
func (p *pairPlanner) plan(requests []pairRequest) ([]keyStep, error) {
	var all []decided
	var refusals []error
	names := map[string]string{} // of Secrets in the plan
	for _, r := range requests {
		place := r.Namespace + "/" + r.Secret
		if other, taken := names[place]; taken && r.New != nil {
			refusals = append(refusals, fmt.Errorf("%s and %s would share secret/%s in %s: give one of them another with --secret-name", other, r.FSP, r.Secret, r.Namespace))
			continue
		}
		names[place] = r.FSP
		d, err := p.decide(r)
		if CodeOf(err) == Interrupted {
			return nil, err
		}
		if err != nil {
			refusals = append(refusals, err)
			continue
		}
		all = append(all, d)
	}
	refusals = append(refusals, p.distinct(all)...)
	if len(refusals) > 0 {
		return nil, &ExitError{Code: Refused, Err: errors.Join(refusals...)}
	}
	steps := make([]keyStep, 0, len(all)+1)
	for i := range all {
		if all[i].New != nil {
			steps = append(steps, all[i].step())
		}
	}
	// The private halves come first: should the rest fail, typing the command
	// again adds the public half of the key that is there.
	for _, ns := range p.verifiers {
		s, err := p.publish(p.stores[ns], all)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// distinct finds one key that two requests end up with.
func (p *pairPlanner) distinct(all []decided) []error {
	var out []error
	seen := map[crypto.Fingerprint]string{}
	for _, d := range all {
		f := d.public.Fingerprint()
		if other, ok := seen[f]; ok {
			out = append(out, fmt.Errorf("%s and %s would have one key, %s: each could sign as the other", other, d.FSP, f.Short()))
		}
		seen[f] = d.FSP
	}
	return out
}

// decide looks at the private half.
func (p *pairPlanner) decide(r pairRequest) (decided, error) {
	d := decided{pairRequest: r}
	if r.New == nil {
		d.public = r.Want
		if others := p.sharers(d.public.Fingerprint(), &r.participant); len(others) > 0 {
			return d, fmt.Errorf("%s: this key, %s, is that of %s already", r.FSP, d.public.Fingerprint().Short(), visible(strings.Join(others, ", ")))
		}
		if err := p.exposed(d.public.Fingerprint()); err != nil {
			return d, fmt.Errorf("%s: %w; make a new pair where it signs, and import the public half", r.FSP, err)
		}
		return d, p.mayPublish(&d)
	}
	store := p.stores[r.Namespace]
	d.live = store.secrets[r.Secret]
	what := nameOf(kindOf("", "Secret"), r.Namespace, r.Secret)
	if fsp := labelledDFSP(d.live); fsp != "" && fsp != r.FSP {
		return d, fmt.Errorf("%s belongs to %s, by its label; name another with --secret-name", what, visible(fsp))
	}
	text, has := dataOf(d.live, r.File)
	if has && p.replace != replacePair {
		unfit := p.unfit(&r, text)
		if unfit == nil {
			key, err := jws.ParsePrivateKey(text)
			if err == nil {
				d.public, d.note = key.Public(), "keeps its key"
				return d, p.mayPublish(&d)
			}
			unfit = err
		}
		if err := writable(d.live); err != nil {
			return d, fmt.Errorf("%s: %s: %w; %w", what, visible(r.File), unfit, err)
		}
		return d, fmt.Errorf("%s: %s: %w; %s", what, visible(r.File), unfit, p.howToReplace(&r))
	}
	if err := writable(d.live); err != nil {
		return d, err
	}
	key, err := r.New()
	if err != nil {
		return d, err
	}
	if err := selfTest(key, r.FSP); err != nil {
		return d, fmt.Errorf("test the new key of %s: %w", r.FSP, err)
	}
	d.public = key.Public()
	f := d.public.Fingerprint()
	if err := errors.Join(p.rules.isPublished(f), p.exposed(f)); err != nil {
		return d, fmt.Errorf("%s: %w", r.FSP, err)
	}
	if others := p.sharers(f, &r.participant); len(others) > 0 {
		return d, fmt.Errorf("%s: %s has this key, %s, already", r.FSP, visible(strings.Join(others, ", ")), f.Short())
	}
	d.secret = signingSecret(&r.participant, key, p.now)
	d.note = fmt.Sprintf("new %s key %s in %s", key.Algorithm(), f.Short(), r.File)
	if has {
		set, _ := crypto.ParseKeys(text)
		if old, ok := set.SigningKey(); ok && !old.Fingerprint.IsZero() {
			d.note += ", instead of " + old.Fingerprint.Short()
		}
		d.note += "; pods sign with the old one until they restart"
	}
	return d, p.mayPublish(&d)
}

// unfit says why the key that is there cannot stay.
func (p *pairPlanner) unfit(r *pairRequest, text []byte) error {
	key, err := p.rules.signing(text)
	if err != nil {
		return err
	}
	if err := p.exposed(key.Fingerprint); err != nil {
		return err
	}
	if others := p.sharers(key.Fingerprint, &r.participant); len(others) > 0 {
		return fmt.Errorf("key %s is also that of %s: each can sign as the other", key.Fingerprint.Short(), visible(strings.Join(others, ", ")))
	}
	if r.Want != nil && r.Want.Fingerprint() != key.Fingerprint {
		return fmt.Errorf("holds another key, %s", key.Fingerprint.Short())
	}
	return nil
}

// exposed says where every peer can read the private half of a key.
func (p *pairPlanner) exposed(f crypto.Fingerprint) error {
	for _, ns := range slices.Sorted(maps.Keys(p.stores)) {
		if where := p.stores[ns].exposed(f); where != "" {
			return fmt.Errorf("key %s is exposed: its private half is in %s, and every peer can sign with it", f.Short(), where)
		}
	}
	return nil
}

// howToReplace is the command that replaces a key, and what it costs.
func (p *pairPlanner) howToReplace(r *pairRequest) string {
	return fmt.Sprintf("to replace it: %s --replace (until all peers hold the new public half and the pods of %s have restarted, its messages fail with FSPIOP error 3105)", r.Command, r.FSP)
}

// sharers lists who else has a key in any namespace that was read.
func (p *pairPlanner) sharers(f crypto.Fingerprint, who *participant) []string {
	var out []string
	for _, store := range p.stores {
		self := *who
		if store.namespace != who.Namespace {
			self.Secret = ""
		}
		out = append(out, store.sharers(f, &self, p.rules.JWS.SecretName)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// writable refuses to write into a Secret that another tool keeps, or that
// nobody can change.
func writable(live *unstructured.Unstructured) error {
	if live == nil {
		return nil
	}
	what := nameOfObject(live)
	if owner := ownerOf(live); owner != nil {
		change := "make the new one there"
		if owner.tool == toolSealedSecrets {
			change = "seal the new one, with -o yaml --seal-cert FILE, and put that there"
		}
		return owner.refuse(what, change)
	}
	if immutable, _, _ := unstructured.NestedBool(live.Object, "immutable"); immutable {
		return fmt.Errorf("%s is immutable: delete it, then type the command again", what)
	}
	return nil
}

// mayPublish looks at what the peers hold.
func (p *pairPlanner) mayPublish(d *decided) error {
	for _, ns := range p.verifiers {
		v := &p.stores[ns].verification
		text, ok := v.entry(d.verifyFile())
		if !ok {
			continue
		}
		what := nameOf(v.kind, v.namespace, v.name)
		key, has := held(text)
		replaced := d.secret != nil && d.live != nil && p.replace == replacePair
		switch {
		case has && key.Fingerprint == d.public.Fingerprint() && key.SDKUsable(p.rules.minBits()) == nil:
			continue
		case p.replace == replacePair, replaced, p.replace == replacePublic && d.secret == nil:
			continue
		case d.secret != nil && has && p.exposed(key.Fingerprint) != nil:
			return fmt.Errorf("%w; to replace both halves: %s --replace", p.exposed(key.Fingerprint), d.Command)
		case d.secret != nil:
			return fmt.Errorf("%s: peers hold key %s for %s, but %s has none: put the private half back with `%s keys import`, or replace both halves: %s --replace",
				what, shortOf(key), d.FSP, nameOf(kindOf("", "Secret"), d.Namespace, d.Secret), displayName, d.Command)
		default:
			return fmt.Errorf("%s: peers hold key %s for %s, which has key %s: to give them the right one: %s --replace=%s",
				what, shortOf(key), d.FSP, d.public.Fingerprint().Short(), d.Command, replacePublic)
		}
	}
	return nil
}

// shortOf names a key that may not be readable.
func shortOf(k crypto.KeyFacts) string {
	if k.Fingerprint.IsZero() {
		return "(unreadable)"
	}
	return k.Fingerprint.Short()
}

// step is the change of the Secret.
func (d *decided) step() keyStep {
	s := keyStep{
		step: step{action: unchanged, object: newObject(kindOf("", "Secret"), d.Namespace, d.Secret), note: d.note},
		fsp:  d.FSP, key: d.public.Fingerprint(),
	}
	switch {
	case d.secret == nil:
	case d.live == nil:
		s.action, s.object = created, d.secret
		s.write = func(ctx context.Context, w *writer) error { return w.createNew(ctx, d.secret) }
	default:
		s.action = configured
		s.write = func(ctx context.Context, w *writer) error { return w.mergeSecret(ctx, d.live, d.secret) }
	}
	return s
}

// publish is the change of the verification keys of a namespace.
func (p *pairPlanner) publish(store *keyStore, all []decided) (keyStep, error) {
	v := &store.verification
	s := keyStep{step: step{action: unchanged, object: v.object()}, public: true}
	var changes []entryChange
	var added, replaced, notes []string
	for i := range all {
		d := &all[i]
		c := entryChange{name: d.verifyFile(), value: d.public.MarshalPEM()}
		old, has := v.entry(c.name)
		key, readable := held(old)
		switch {
		case has && readable && key.Fingerprint == d.public.Fingerprint() && key.SDKUsable(p.rules.minBits()) == nil:
			continue
		case has:
			c.old = old
			replaced = append(replaced, c.name)
			notes = append(notes, fmt.Sprintf("%s (%s)", c.name, strings.Trim(shortOf(key), "()")))
		default:
			added = append(added, c.name)
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return s, nil
	}
	if v.live != nil {
		if owner := ownerOf(v.live); owner != nil {
			return s, owner.refuse(nameOfObject(v.live), fmt.Sprintf("add %s there, from the output of `%s keys export-public` or of this command with -o yaml", strings.Join(slices.Concat(added, replaced), ", "), displayName))
		}
		if immutable, _, _ := unstructured.NestedBool(v.live.Object, "immutable"); immutable {
			return s, refused("%s is immutable: nobody can add a key to it; make it again without immutable: true", nameOfObject(v.live))
		}
	}
	var parts []string
	if len(added) > 0 {
		parts = append(parts, "add "+strings.Join(added, ", "))
	}
	if len(replaced) > 0 {
		parts = append(parts, "replace "+strings.Join(notes, ", "))
	}
	s.action, s.note = configured, strings.Join(parts, "; ")
	if v.live == nil {
		s.action = created
	}
	s.write = func(ctx context.Context, w *writer) error { return w.publish(ctx, v, changes) }
	return s, nil
}

// signingSecret is the Secret with a private half.
func signingSecret(p *participant, key *jws.PrivateKey, now time.Time) *unstructured.Unstructured {
	obj := participantSecret(p, key.MarshalPEM())
	obj.SetAnnotations(map[string]string{
		v1alpha1.AnnotationKeySince: key.Fingerprint().String() + "@" + now.UTC().Format(time.RFC3339),
	})
	return obj
}

// participantSecret is a Secret of a participant with one entry.
func participantSecret(p *participant, value []byte) *unstructured.Unstructured {
	obj := newObject(kindOf("", "Secret"), p.Namespace, p.Secret)
	labels := map[string]string{labelManager: fieldManager}
	if len(validation.IsValidLabelValue(p.FSP)) == 0 {
		labels[v1alpha1.LabelDFSP] = p.FSP
	}
	obj.SetLabels(labels)
	obj.Object["type"] = "Opaque"
	obj.Object["data"] = map[string]any{p.File: base64.StdEncoding.EncodeToString(value)}
	return obj
}

// verificationObject is the verification keys of a namespace as a manifest.
func verificationObject(ns, name string, entries map[string][]byte) *unstructured.Unstructured {
	obj := newObject(kindOf("", "ConfigMap"), ns, name)
	obj.SetLabels(map[string]string{labelManager: fieldManager})
	data := make(map[string]any, len(entries))
	for k, v := range entries {
		data[k] = string(v)
	}
	obj.Object["data"] = data
	return obj
}

// selfTest signs with a key as it will be written, and verifies with its public
// half as peers will read it.
func selfTest(key *jws.PrivateKey, fsp string) error {
	private, err := jws.ParsePrivateKey(key.MarshalPEM())
	if err != nil {
		return fmt.Errorf("read the private half: %w", err)
	}
	public, err := jws.ParsePublicKey(key.Public().MarshalPEM())
	if err != nil {
		return fmt.Errorf("read the public half: %w", err)
	}
	request := jws.Request{Method: "POST", URI: "/quotes", Source: fsp, Destination: fsp, Date: "Thu, 01 Jan 1970 00:00:00 GMT", Body: []byte(`{"probe":1}`)}
	signed, err := private.Sign(request)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	request.Body = signed.Body
	if _, err := public.Verify(request, signed.Header); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}
