package policy

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// Data is what a Snapshot keeps of a Secret or ConfigMap: facts, never values.
// The exception is text that is no secret and that rules need as it stands
// (identifiers, switches and paths), see [Entry.Text].
type Data struct {
	Ref  Ref
	Type corev1.SecretType // Secrets only
	// Meta has name, UID, resourceVersion, labels, owner references and
	// those annotations that rules read; no managed fields.
	Meta    metav1.ObjectMeta
	Entries []Entry // sorted by Key
	// Hub is set for the ConfigMap of a hub service (key default.json).
	Hub *HubConfig
	// Mesh is set for the ConfigMap of the mesh config (istio, key mesh).
	Mesh *MeshConfig
	// private are the fingerprints of the private keys in it.
	private []crypto.Fingerprint
	// written is when its data was last changed, as far as managedFields tell;
	// zero when they do not.
	written time.Time
}

// Entry is one key of a Secret or ConfigMap.
type Entry struct {
	Key string
	// KeySet are the keys and certificates in the value.
	crypto.KeySet
	// Problem says why a value that should hold a key holds none; nil else.
	Problem error
	// Hidden are keys found inside other text, such as a PEM in JSON.
	Hidden []crypto.KeyFacts
	// Secret and Tag describe the value as a shared secret.
	Secret crypto.SecretFacts
	Tag    crypto.Tag
	// Embedded lists the numbers of published ILP secrets that stand in the
	// value as a setting of its own (a JSON member, a line NAME=VALUE).
	Embedded []int
	// Text is the value where IsText is true: it is no secret.
	Text   string
	IsText bool

	member string // of the object, when that is not "data"
}

// Entry returns the entry with a key.
func (d *Data) Entry(key string) (*Entry, bool) {
	i, ok := slices.BinarySearchFunc(d.Entries, key, func(e Entry, k string) int { return strings.Compare(e.Key, k) })
	if !ok {
		return nil, false
	}
	return &d.Entries[i], true
}

// keptAnnotations are the annotations rules read. Others may hold anything,
// the last applied configuration with all its data included.
func keptAnnotation(key string) bool {
	for _, prefix := range []string{"mojasec.io/", "cert-manager.io/", "meta.helm.sh/", "secret.reloader.stakater.com/", "argocd.argoproj.io/"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func reducedMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	out := metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		Labels: m.Labels, OwnerReferences: m.OwnerReferences, CreationTimestamp: m.CreationTimestamp,
	}
	for k, v := range m.Annotations {
		if keptAnnotation(k) {
			metav1.SetMetaDataAnnotation(&out, k, v)
		}
	}
	return out
}

// dataWritten returns the last time at which somebody who owns data wrote.
func dataWritten(fields []metav1.ManagedFieldsEntry) time.Time {
	var last time.Time
	for i := range fields {
		f := &fields[i]
		if f.Time != nil && f.FieldsV1 != nil && f.Time.After(last) && bytes.Contains(f.FieldsV1.GetRawBytes(), []byte(`"f:data"`)) {
			last = f.Time.Time
		}
	}
	return last
}

// reduceSecret keeps the facts of a Secret.
func reduceSecret(ref Ref, s *corev1.Secret, h *crypto.Hasher) *Data {
	d := &Data{Ref: ref, Type: s.Type, Meta: reducedMeta(&s.ObjectMeta), written: dataWritten(s.ManagedFields)}
	for key, value := range s.Data {
		if _, shadowed := s.StringData[key]; !shadowed {
			d.Entries = append(d.Entries, reduceEntry(key, value, true, h))
		}
	}
	for key, value := range s.StringData {
		e := reduceEntry(key, []byte(value), true, h)
		e.member = "stringData"
		d.Entries = append(d.Entries, e)
	}
	d.sort()
	return d
}

// reduceConfigMap keeps the facts of a ConfigMap.
func reduceConfigMap(ref Ref, c *corev1.ConfigMap, h *crypto.Hasher) *Data {
	d := &Data{Ref: ref, Meta: reducedMeta(&c.ObjectMeta)}
	for key, value := range c.Data {
		d.Entries = append(d.Entries, reduceEntry(key, []byte(value), false, h))
		if key == hubConfigKey {
			d.Hub = parseHubConfig([]byte(value))
		}
		if (c.Name == "istio" || strings.HasPrefix(c.Name, "istio-")) && key == "mesh" {
			d.Mesh = ParseMeshConfig([]byte(value))
		}
	}
	for key, value := range c.BinaryData {
		e := reduceEntry(key, value, false, h)
		e.member = "binaryData"
		d.Entries = append(d.Entries, e)
	}
	d.sort()
	return d
}

func (d *Data) sort() {
	for i := range d.Entries {
		if k, ok := d.Entries[i].SigningKey(); ok && !k.Fingerprint.IsZero() {
			d.private = append(d.private, k.Fingerprint)
		}
	}
	slices.SortFunc(d.Entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
}

func reduceEntry(key string, value []byte, secret bool, h *crypto.Hasher) Entry {
	e := Entry{Key: key}
	if looksLikeKeyFile(key, value) {
		set, err := crypto.ParseKeys(value)
		e.KeySet, e.Problem = set, err
	}
	for _, k := range crypto.ScanPEM(value) {
		same := func(o crypto.KeyFacts) bool { return o.Private == k.Private && o.Fingerprint == k.Fingerprint }
		if !slices.ContainsFunc(e.Keys, same) {
			e.Hidden = append(e.Hidden, k)
		}
	}
	// A shared secret is short: longer values are documents.
	if len(value) <= maxSharedSecret {
		e.Secret = crypto.DescribeSecret(value)
		e.Tag = h.Sum(crypto.TrimSecret(value))
	}
	if e.Secret.Published == 0 {
		e.Embedded = embeddedDefaults(value)
	}
	if text := string(bytes.TrimSpace(value)); e.Secret.Published == 0 && isPlainText(key, text, secret) {
		e.Text, e.IsText = text, true
	}
	return e
}

// maxSharedSecret is the longest value, in bytes, that is looked at as a shared
// secret.
const maxSharedSecret = 1024

func looksLikeKeyFile(key string, value []byte) bool {
	if bytes.Contains(value, []byte("-----BEGIN")) && bytes.HasPrefix(bytes.TrimSpace(value), []byte("-----BEGIN")) {
		return true
	}
	lower := strings.ToLower(key)
	for _, suffix := range []string{".pem", ".key", ".crt", ".cer", ".der"} {
		if strings.HasSuffix(lower, suffix) {
			return true
		}
	}
	return false
}

var (
	identifierKey = regexp.MustCompile(`(?i)(^|[_.-])(d?fsp[_-]?id|dfsp|fsp|switch[_-]?id|hub[_-]?name|participant([_-]+name)?)$`)
	identifier    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`) // FSPIOP: FspId has at most 32 characters
	pathKey       = regexp.MustCompile(`(?i)(path|dir|directory|file)$`)
	plainPath     = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,255}$`)
)

// isPlainText tells whether a value may be kept as it stands. Of Secrets only
// switches and identifiers under a key that says so; of ConfigMaps paths too.
func isPlainText(key, text string, secret bool) bool {
	switch {
	case isSwitch(text):
		return true
	case identifierKey.MatchString(key) && identifier.MatchString(text):
		return true
	case secret:
		return false
	}
	return pathKey.MatchString(key) && plainPath.MatchString(text)
}

func isSwitch(text string) bool {
	_, ok := parseSwitch(text)
	return ok
}

// parseSwitch reads a boolean as Mojaloop's components do: true, false, 1 or
// 0 in any case.
func parseSwitch(text string) (value, ok bool) {
	switch {
	case text == "1" || strings.EqualFold(text, "true"):
		return true, true
	case text == "0" || strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// embeddedSecret finds settings named like an ILP secret inside a document:
// JSON members and lines NAME=VALUE or NAME: VALUE. The Testing Toolkit keeps
// its secret in user_config.json this way.
var embeddedSecret = regexp.MustCompile(`(?i)ILP_?SECRET\\?"?\s*[:=]\s*\\?["']?([^"'\\\s,}]{1,256})`)

func embeddedDefaults(value []byte) []int {
	if !containsFold(value, "ilp") {
		return nil
	}
	var found []int
	for _, m := range embeddedSecret.FindAllSubmatch(value, 64) {
		if n, ok := crypto.PublishedILPSecret(string(m[1])); ok && !slices.Contains(found, n) {
			found = append(found, n)
		}
	}
	return found
}

func containsFold(b []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(b); i++ {
		if strings.EqualFold(string(b[i:i+len(lower)]), lower) {
			return true
		}
	}
	return false
}

// hubConfigKey is the file every hub service reads at /opt/app/config.
const hubConfigKey = "default.json"

// HubConfig is what rules read of a hub service's default.json. A nil pointer
// is a setting that the file does not have.
type HubConfig struct {
	JWSSign          *bool
	JWSValidate      *bool
	JWSSignPut       *bool
	SigningKeyPath   string
	VerificationDir  string
	ParticipantName  string // HUB_PARTICIPANT.NAME
	SwitchID         string // SWITCH_ID
	HubName          string // HUB_NAME
	FSPIOPSourceSign string // FSPIOP_SOURCE_TO_SIGN of older versions
	// Bad says why the file could not be read; the rest is then unknown.
	Bad string
}

// looseBool reads true, "true", 1 and the like from JSON.
type looseBool struct{ value *bool }

func (b *looseBool) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	if v, ok := parseSwitch(text); ok {
		b.value = &v
	}
	return nil
}

func parseHubConfig(data []byte) *HubConfig {
	var file struct {
		EndpointSecurity struct {
			JWS struct {
				Sign       looseBool `json:"JWS_SIGN"`
				Validate   looseBool `json:"JWS_VALIDATE"`
				SignPut    looseBool `json:"JWS_SIGN_PUT_PARTIES"`
				KeyPath    string    `json:"JWS_SIGNING_KEY_PATH"`
				Directory  string    `json:"JWS_VERIFICATION_KEYS_DIRECTORY"`
				SourceSign string    `json:"FSPIOP_SOURCE_TO_SIGN"`
			} `json:"JWS"`
		} `json:"ENDPOINT_SECURITY"`
		HubParticipant struct {
			Name string `json:"NAME"`
		} `json:"HUB_PARTICIPANT"`
		SwitchID string `json:"SWITCH_ID"`
		HubName  string `json:"HUB_NAME"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return &HubConfig{Bad: "default.json is not the JSON a hub service reads"}
	}
	jws := file.EndpointSecurity.JWS
	return &HubConfig{
		JWSSign: jws.Sign.value, JWSValidate: jws.Validate.value, JWSSignPut: jws.SignPut.value,
		SigningKeyPath: jws.KeyPath, VerificationDir: jws.Directory, FSPIOPSourceSign: jws.SourceSign,
		ParticipantName: file.HubParticipant.Name, SwitchID: file.SwitchID, HubName: file.HubName,
	}
}
