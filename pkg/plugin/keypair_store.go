package plugin

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
)

// participant is who a key pair or an ILP secret belongs to, and where it is
// kept.
type participant struct {
	// FSP is the id as messages spell it.
	FSP string
	// Namespace, Secret and File name the entry with the private half.
	Namespace, Secret, File string
}

// verifyFile is the entry with the public half among the verification keys.
func (p *participant) verifyFile() string { return p.FSP + ".pem" }

// keyRules is what a Profile asks of keys and secrets.
type keyRules struct {
	*v1alpha1.ProfileSpec
	published *crypto.PublishedKeys
}

// newKeyRules prepares a Profile; nil is the built-in one.
func newKeyRules(profile *v1alpha1.Profile) keyRules {
	if profile == nil {
		profile = v1alpha1.DefaultProfile()
	}
	spec := profile.Spec.DeepCopy()
	spec.Default()
	var extra []crypto.PublishedKey
	for _, k := range spec.PublishedKeys {
		// The API server has validated the form.
		if f, err := crypto.ParseFingerprint(k.SPKISHA256); err == nil {
			extra = append(extra, crypto.PublishedKey{Fingerprint: f, Use: k.Use, PublishedIn: k.PublishedIn})
		}
	}
	return keyRules{ProfileSpec: spec, published: crypto.Published().With(extra...)}
}

// minBits is the shortest RSA modulus that is accepted.
func (r *keyRules) minBits() int { return max(int(r.JWS.MinRSABits), crypto.MinRSABits) }

// isPublished says where the private half of a key can be read by everybody.
func (r *keyRules) isPublished(f crypto.Fingerprint) error {
	k, ok := r.published.Lookup(f)
	if !ok {
		return nil
	}
	where := "a public repository"
	if len(k.PublishedIn) > 0 {
		where = k.PublishedIn[0]
	}
	return fmt.Errorf("key %s is published (%s): everybody can sign with it", f.Short(), visible(where))
}

// signing returns the signing key in the entry of a Secret, and why nobody
// should sign with it.
func (r *keyRules) signing(text []byte) (crypto.KeyFacts, error) {
	set, err := crypto.ParseKeys(text)
	key, ok := set.SigningKey()
	switch {
	case !ok && err == nil:
		return key, errors.New("holds a public key or certificate; want the private key")
	case !ok:
		return key, err
	}
	for _, p := range set.Problems {
		if errors.Is(p, crypto.ErrECMarker) {
			return key, p.Err
		}
	}
	if err := key.SDKUsable(r.minBits()); err != nil {
		return key, err
	}
	return key, r.isPublished(key.Fingerprint)
}

// fspOfSecret tells whose Secret one is, by its label, else by the pattern of
// its name; "" when it is nobody's. A name says it in lower case only.
func fspOfSecret(s *unstructured.Unstructured, pattern string) string {
	if fsp := labelledDFSP(s); fsp != "" {
		return fsp
	}
	prefix, suffix, ok := strings.Cut(pattern, "{dfsp}")
	name := s.GetName()
	if !ok || len(name) <= len(prefix)+len(suffix) || !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, suffix) {
		return ""
	}
	return name[len(prefix) : len(name)-len(suffix)]
}

// keyStore is what a namespace has of keys. It holds material and lives no
// longer than the command that read it.
type keyStore struct {
	namespace string
	// secrets by name; complete tells that they are all of the namespace.
	secrets  map[string]*unstructured.Unstructured
	complete bool
	// verification are the peers' public keys.
	verification verificationKeys
}

// verificationKeys is the ConfigMap with the peers' public keys, or the Secret
// of that name where only that exists.
type verificationKeys struct {
	kind            schema.GroupKind
	namespace, name string
	live            *unstructured.Unstructured // nil when there is none
}

// readSecretStore reads the Secrets of a namespace. Who may not list them gets
// those that are named, which is enough to write but not to find a key that two
// DFSPs share.
func (c *cluster) readSecretStore(ctx context.Context, ns string, names []string) (*keyStore, error) {
	store := &keyStore{namespace: ns, secrets: map[string]*unstructured.Unstructured{}, complete: true}
	secrets, err := c.list(ctx, kindOf("", "Secret"), ns, "")
	switch {
	case isForbidden(err):
		store.complete = false
		for _, name := range names {
			secret, err := c.read(ctx, kindOf("", "Secret"), ns, name)
			if err != nil {
				return nil, err
			}
			if secret != nil {
				store.secrets[name] = secret
			}
		}
	case err != nil:
		return nil, err
	}
	for i := range secrets {
		store.secrets[secrets[i].GetName()] = &secrets[i]
	}
	return store, nil
}

// readKeyStore reads what a namespace has of keys: its Secrets, as
// readSecretStore, and the public keys of the peers.
func (c *cluster) readKeyStore(ctx context.Context, ns, verification string, names []string) (*keyStore, error) {
	store, err := c.readSecretStore(ctx, ns, append(slices.Clone(names), verification))
	if err != nil {
		return nil, err
	}
	configMap, err := c.read(ctx, kindOf("", "ConfigMap"), ns, verification)
	if err != nil {
		return nil, err
	}
	secret := store.secrets[verification]
	v := &store.verification
	*v = verificationKeys{kind: kindOf("", "ConfigMap"), namespace: ns, name: verification, live: configMap}
	switch {
	case configMap != nil && secret != nil:
		return nil, refused("namespace %s has both a ConfigMap and a Secret %s: put the peers' keys into one of the two, mount that everywhere, and delete the other", ns, verification)
	case secret != nil:
		v.kind, v.live = kindOf("", "Secret"), secret
	}
	return store, nil
}

// named returns the objects of a kind that have a name, of all namespaces.
func (c *cluster) named(ctx context.Context, kind schema.GroupKind, name string) ([]unstructured.Unstructured, error) {
	client, err := c.client(kind, "")
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return nil, c.explain(fmt.Errorf("list %s %s: %w", resources[kind].Resource, name, err))
	}
	return list.Items, nil
}

// object names the verification keys.
func (v *verificationKeys) object() *unstructured.Unstructured {
	return newObject(v.kind, v.namespace, v.name)
}

// entry returns the text of an entry.
func (v *verificationKeys) entry(name string) ([]byte, bool) {
	return dataOf(v.live, name)
}

// names lists the entries.
func (v *verificationKeys) names() []string { return keysOf(v.live) }

// dataOf returns an entry of a Secret or ConfigMap; nil has none.
func dataOf(obj *unstructured.Unstructured, name string) ([]byte, bool) {
	if obj == nil {
		return nil, false
	}
	if obj.GetKind() != "Secret" {
		if text, ok, err := unstructured.NestedString(obj.Object, "data", name); ok && err == nil {
			return []byte(text), true
		}
	}
	member := "data"
	if obj.GetKind() != "Secret" {
		member = "binaryData"
	}
	text, ok, err := unstructured.NestedString(obj.Object, member, name)
	if !ok || err != nil {
		return nil, false
	}
	// The API server has checked the encoding.
	value, err := base64.StdEncoding.DecodeString(text)
	return value, err == nil
}

// keysOf lists the entries of a Secret or ConfigMap, in order.
func keysOf(obj *unstructured.Unstructured) []string {
	if obj == nil {
		return nil
	}
	var out []string
	for _, member := range []string{"data", "binaryData"} {
		data, _, _ := unstructured.NestedMap(obj.Object, member)
		out = slices.AppendSeq(out, maps.Keys(data))
	}
	slices.Sort(out)
	return out
}

// held is the key that verifiers hold in an entry.
func held(text []byte) (crypto.KeyFacts, bool) {
	set, _ := crypto.ParseKeys(text)
	key, ok := set.VerificationKey()
	return key, ok && !key.Fingerprint.IsZero()
}

// exposed names the entry of the verification keys that has the private half of
// a key, for every peer to read; "" when none has.
func (s *keyStore) exposed(f crypto.Fingerprint) string {
	v := &s.verification
	for _, entry := range v.names() {
		text, _ := v.entry(entry)
		if bytes.Contains(text, []byte("-----BEGIN")) && !bytes.Contains(text, []byte("PRIVATE KEY")) {
			continue // what nearly all are, at a hundredth of the time
		}
		set, _ := crypto.ParseKeys(text)
		if slices.ContainsFunc(set.Keys, func(k crypto.KeyFacts) bool { return k.Private && k.Fingerprint == f }) {
			return visible(entry) + " of " + nameOf(v.kind, v.namespace, v.name)
		}
	}
	return ""
}

// sharers lists who else has a key: FSPs whose Secret or whose entry among the
// verification keys is the same one.
func (s *keyStore) sharers(f crypto.Fingerprint, p *participant, pattern string) []string {
	var out []string
	add := func(fsp string) {
		if !strings.EqualFold(fsp, p.FSP) && !slices.Contains(out, fsp) {
			out = append(out, fsp)
		}
	}
	others := map[string]bool{} // FSPs, in lower case, that have a key of their own
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		secret := s.secrets[name]
		fsp := fspOfSecret(secret, pattern)
		if fsp == "" || name == p.Secret || name == s.verification.name {
			continue
		}
		for _, entry := range keysOf(secret) {
			text, _ := dataOf(secret, entry)
			set, _ := crypto.ParseKeys(text)
			key, ok := set.SigningKey()
			switch {
			case !ok:
			case key.Fingerprint == f:
				add(fsp)
			default:
				others[strings.ToLower(fsp)] = true
			}
		}
	}
	for _, entry := range s.verification.names() {
		fsp, ok := strings.CutSuffix(entry, ".pem")
		text, _ := s.verification.entry(entry)
		// Who signs with another key has only a wrong entry.
		if key, has := held(text); ok && has && key.Fingerprint == f && !others[strings.ToLower(fsp)] {
			add(fsp)
		}
	}
	return out
}

// labelledDFSP is the DFSP that an object says it belongs to; "" for none.
func labelledDFSP(obj *unstructured.Unstructured) string {
	if obj == nil {
		return ""
	}
	return obj.GetLabels()[v1alpha1.LabelDFSP]
}
