package policy

import (
	"maps"
	"slices"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// What rules in other languages need to judge a pod by itself, see
// [Check.PodLocal]: the tables that recognition and the checks read.

// Component is a Mojaloop component by its name: that of its image repository,
// of its label app.kubernetes.io/name, or of its chart.
type Component struct {
	Name string
	// Prefix tells that every name which starts so counts, unless it is the
	// whole name of another component.
	Prefix bool
	Role   Role
	// Signs tells that it signs FSPIOP messages when its settings say so.
	Signs bool
	// SignSetting is the environment variable by which a hub service that
	// signs is told to; empty for others.
	SignSetting string
}

// Components returns the components that are recognised by name, whole names
// before prefixes, each in the order of names.
func Components() []Component {
	var out []Component
	for _, name := range slices.Sorted(maps.Keys(components)) {
		c := Component{Name: name, Role: components[name].role, Signs: components[name].signs}
		if prefix := hubPrefix(name); c.Role == RoleHub && c.Signs && prefix != "" {
			c.SignSetting = prefix + "_" + hubJWSSign
		}
		out = append(out, c)
	}
	for _, p := range componentPrefixes {
		out = append(out, Component{Name: p.prefix, Prefix: true, Role: p.role, Signs: p.signs})
	}
	return out
}

// NamePattern gives a role to the values of app.kubernetes.io/name that a
// regular expression (RE2) matches.
type NamePattern struct {
	Pattern string
	Role    Role
}

// NamePatterns returns the patterns that count where no component has the name.
func NamePatterns() []NamePattern {
	return []NamePattern{
		{simSDK.String(), RoleSDK}, {simBackend.String(), RoleBackend}, {simCache.String(), RoleDatastore},
	}
}

// HubConfigPath is the file that configures a hub service.
const HubConfigPath = hubConfigDir + "/" + hubConfigKey

// ILPSecretSettings are the environment variables that hold an ILP secret in
// Mojaloop's programs.
func ILPSecretSettings() []string { return slices.Clone(ilpSecretSettings[:]) }

var ilpSecretSettings = [...]string{SettingILPSecret, "CONNECTOR_ILP_SECRET", "FSPIOP_ILP_SECRET"}

// ProxyPorts returns the ports of the proxy itself, which may be left out of the
// capture on the way in.
func ProxyPorts() []int32 { return slices.Clone(proxyPorts) }

// HarmlessProxyConfig returns the members of the annotation
// proxy.istio.io/config, and the proxy's environment variables in its
// proxyMetadata, that mtls-no-bypass accepts.
func HarmlessProxyConfig() (members, metadata []string) {
	return slices.Sorted(maps.Keys(harmlessProxyConfig)), slices.Sorted(maps.Keys(harmlessProxyMetadata))
}

// IstioContainers returns the names and the image repositories (last element)
// of Istio's own containers.
func IstioContainers() (names, images []string) {
	return slices.Clone(istioContainers), slices.Clone(istioImages)
}

// CheckMode is the mode of a check in a Profile: enforce unless it says less.
func CheckMode(p *v1alpha1.Profile, id ID) Mode {
	for _, c := range p.Spec.Checks {
		if m := Mode(c.Mode); ID(c.ID) == id && (m == ModeAudit || m == ModeWarn) {
			return m
		}
	}
	return ModeEnforce
}

// Weaker returns the weaker of two modes.
func Weaker(a, b Mode) Mode { return weaker(a, b) }

// The labels and the container by which pods and namespaces take part in the
// mesh.
const (
	LabelInject        = labelInject
	LabelDataplaneMode = labelDataplaneMode
	LabelRevision      = labelRevision
	LabelInjection     = labelInjection
	ProxyContainer     = proxyContainer
)
