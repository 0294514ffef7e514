package policy

import (
	"path"
	"slices"
	"strings"
)

// Members of a hub service's configuration, as the environment spells them
// after the service's prefix (QUOTE_, ALS_, MLAPI_, CLEDG_, BKAPI_).
const (
	hubJWSSign         = "ENDPOINT_SECURITY__JWS__JWS_SIGN"
	hubJWSValidate     = "ENDPOINT_SECURITY__JWS__JWS_VALIDATE"
	hubJWSSignPut      = "ENDPOINT_SECURITY__JWS__JWS_SIGN_PUT_PARTIES"
	hubSigningKeyPath  = "ENDPOINT_SECURITY__JWS__JWS_SIGNING_KEY_PATH"
	hubVerificationDir = "ENDPOINT_SECURITY__JWS__JWS_VERIFICATION_KEYS_DIRECTORY"
	hubParticipantName = "HUB_PARTICIPANT__NAME"
)

// defaultHubName is HUB_PARTICIPANT.NAME in every default.json upstream.
const defaultHubName = "Hub"

// hubConfigDir is where the charts mount default.json.
const hubConfigDir = "/opt/app/config"

// hubFile returns the configuration a hub service mounts. The Presence is
// Absent when it mounts none: the image's own is not known then either, but
// the defaults are.
func (s *Snapshot) hubFile(w *Workload) (*HubConfig, Ref, Presence, Fact) {
	c := w.Main()
	if c == nil {
		return nil, Ref{}, Absent, Fact{}
	}
	t := w.Resolve(c, path.Join(hubConfigDir, hubConfigKey))
	if t.Kind == VolumeNone {
		return nil, Ref{}, Absent, Fact{}
	}
	_, origin, presence, missing := s.Entry(w.Ref.Namespace, t.Origins)
	if presence != Present {
		if presence == Absent {
			// A file from elsewhere (CSI, emptyDir): cannot be read here.
			missing = Fact{Kind: FactConfigMap, Namespace: w.Ref.Namespace, Name: t.Mount.Name}
		}
		return nil, Ref{}, Unknown, missing
	}
	data, _ := s.data(origin.Source, w.Ref.Namespace, origin.Object)
	if data.Hub == nil || data.Hub.Bad != "" {
		return data.Hub, data.Ref, Unknown, Fact{Kind: FactConfigMap, Namespace: w.Ref.Namespace, Name: origin.Object}
	}
	return data.Hub, data.Ref, Present, Fact{}
}

// hubSetting finds an override of the configuration in the environment: the
// service's prefix and the member.
func (s *Snapshot) hubSetting(w *Workload, member string) Value {
	c := w.Main()
	if c == nil {
		return Value{Presence: Absent}
	}
	if prefix := hubPrefix(w.Component); prefix != "" {
		return s.Value(w, c, prefix+"_"+member)
	}
	for _, set := range slices.Backward(c.Settings) {
		if prefix, ok := strings.CutSuffix(set.Name, "_"+member); ok && !strings.Contains(prefix, "_") {
			return s.Value(w, c, set.Name)
		}
	}
	return Value{Presence: Absent}
}

// hubPrefix is what the environment of a service starts with; "" when it is not
// known.
func hubPrefix(component string) string {
	for prefix, env := range map[string]string{
		"quoting-service": "QUOTE", "account-lookup-service": "ALS", "ml-api-adapter": "MLAPI",
		"central-ledger": "CLEDG", "centralledger": "CLEDG", "bulk-api-adapter": "BKAPI",
	} {
		if strings.HasPrefix(component, prefix) {
			return env
		}
	}
	return ""
}

// hubValue is a boolean of a hub service and where it was read.
type hubValue struct {
	on      bool
	setting *Setting // set when the environment decides
	config  Ref      // set when the ConfigMap decides
	missing Fact
}

// hubSwitch reads a boolean of a hub service: environment over file. Presence
// is Absent when neither sets it.
func (s *Snapshot) hubSwitch(w *Workload, member string) (hubValue, Presence) {
	if v := s.hubSetting(w, member); v.Presence != Absent {
		on, known := v.Switch(false)
		if !known {
			return hubValue{setting: v.Setting, missing: v.Missing}, Unknown
		}
		return hubValue{on: on, setting: v.Setting}, Present
	}
	cfg, ref, presence, missing := s.hubFile(w)
	if presence != Present {
		return hubValue{missing: missing}, presence
	}
	var b *bool
	switch member {
	case hubJWSSign:
		b = cfg.JWSSign
	case hubJWSValidate:
		b = cfg.JWSValidate
	case hubJWSSignPut:
		b = cfg.JWSSignPut
	}
	if b == nil {
		return hubValue{config: ref}, Absent
	}
	return hubValue{on: *b, config: ref}, Present
}

// hubPath reads a path of a hub service.
func (s *Snapshot) hubPath(w *Workload, member, byDefault string) Value {
	if v := s.hubSetting(w, member); v.Presence != Absent {
		return v
	}
	cfg, _, presence, missing := s.hubFile(w)
	if presence == Unknown {
		return Value{Presence: Unknown, Missing: missing}
	}
	text := ""
	if presence == Present {
		text = cfg.SigningKeyPath
		if member == hubVerificationDir {
			text = cfg.VerificationDir
		}
	}
	if text == "" {
		text = byDefault
	}
	return Value{Presence: Present, Text: text, IsText: true}
}

// hubName is the participant name a hub service signs as.
func (s *Snapshot) hubName(w *Workload) Identity {
	if v := s.hubSetting(w, hubParticipantName); v.Presence != Absent {
		if !v.IsText {
			v.Presence, v.Missing = Unknown, v.missing(w, hubParticipantName)
		}
		return Identity{v, w.Main()}
	}
	name := defaultHubName
	switch cfg, _, presence, missing := s.hubFile(w); {
	case presence == Unknown:
		return Identity{Value: Value{Presence: Unknown, Missing: missing}}
	case presence == Present && cfg.ParticipantName != "":
		name = cfg.ParticipantName
	}
	return Identity{Value: Value{Presence: Present, Text: name, IsText: true}}
}
