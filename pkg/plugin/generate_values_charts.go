package plugin

import (
	"fmt"
	"slices"
	"strings"
)

// chart is a Helm chart of mojaloop/helm and the values that make it use
// generated Secrets.
type chart struct {
	name string
	// hub tells that it is for the hub, many that one release serves several
	// targets.
	hub, many bool
	values    func(in *chartInput) map[string]any
	comments  func(in *chartInput) []string
}

// chartInput is what goes into values.
type chartInput struct {
	members []chartMember
	// verification is the ConfigMap with the public keys of the peers;
	// publicKeys are those to copy, by FSP.
	verification string
	publicKeys   map[string]string
}

// chartMember is a participant and the entries of its Secrets.
type chartMember struct {
	id                string
	secret, key       string
	ilpSecret, ilpKey string
}

// chartSDK is the chart of the SDK alone.
const chartSDK = "sdk-scheme-adapter"

// charts, the usual one first.
var charts = []chart{
	{name: chartSDK, values: sdkValues, comments: sdkComments},
	{name: "mojaloop-simulator", many: true, values: simulatorValues, comments: simulatorComments},
	{name: "mojaloop", hub: true, values: hubValues(hubServices()), comments: hubComments},
	{name: "quoting-service", hub: true, values: hubValues(hubServices()["quoting-service"]), comments: hubComments},
	{name: "account-lookup-service", hub: true, values: hubValues(hubServices()["account-lookup-service"]), comments: hubComments},
	{name: "ml-api-adapter", hub: true, values: hubValues(hubServices()["ml-api-adapter"]), comments: hubComments},
	{name: "bulk-api-adapter", hub: true, values: hubValues(hubServices()["mojaloop-bulk"].(map[string]any)["bulk-api-adapter"]), comments: hubComments},
}

// chartNames lists the charts for the hub or for DFSPs.
func chartNames(hub bool) []string {
	var out []string
	for _, c := range charts {
		if c.hub == hub {
			out = append(out, c.name)
		}
	}
	return out
}

// strictSettings are the settings of an SDK that signs and verifies everything.
// JavaScript reads them from the environment, where the charts put them.
func strictSettings() map[string]any {
	return map[string]any{
		"JWS_SIGN": true, "JWS_SIGN_PUT_PARTIES": true,
		"VALIDATE_INBOUND_JWS": true, "VALIDATE_INBOUND_PUT_PARTIES_JWS": true,
		"CHECK_ILP": true, "ALLOW_TRANSFER_WITHOUT_QUOTE": false,
		// Helm drops a member whose value is null, with it the published default.
		"ILP_SECRET": nil,
	}
}

// The places where the chart of the SDK mounts keys.
const (
	sdkChartKey  = "/jwsSigningKey.key"
	sdkChartKeys = "/jwsVerificationKeys"
)

func sdkValues(in *chartInput) map[string]any {
	m := &in.members[0]
	env := strictSettings()
	env["DFSP_ID"] = m.id
	env["JWS_SIGNING_KEY_PATH"] = sdkChartKey
	config := map[string]any{
		"simName":             m.id,
		"jwsSigningKeySecret": map[string]any{"name": m.secret, "key": m.key},
	}
	if len(in.publicKeys) > 0 {
		env["JWS_VERIFICATION_KEYS_DIRECTORY"] = sdkChartKeys
		config["jwsVerificationKeys"] = in.publicKeys
	} else {
		// Set, the chart insists on a Secret of its own with copies of the
		// keys. The SDK verifies when it is not set.
		env["VALIDATE_INBOUND_JWS"] = nil
		env["JWS_VERIFICATION_KEYS_DIRECTORY"] = nil
	}
	return map[string]any{"sdk-scheme-adapter-api-svc": map[string]any{"config": config, "env": env}}
}

func sdkComments(in *chartInput) []string {
	m := &in.members[0]
	out := []string{
		fmt.Sprintf("Values of chart %s for %s. It signs with %s of Secret %s.", chartSDK, m.id, m.key, m.secret),
		"",
	}
	if len(in.publicKeys) == 0 {
		out = append(
			out,
			"null removes what the chart sets, so that the SDK's own default (verify) counts and",
			fmt.Sprintf("the webhook mounts ConfigMap %s, in namespaces with", in.verification),
			"mojasec.io/mode: enforce. Without the webhook: --verification-keys DIR.",
			"",
		)
	}
	return append(out, ilpComments(in)...)
}

// ilpComments tell where ILP_SECRET comes from.
func ilpComments(in *chartInput) []string {
	m := &in.members[0]
	name, legend := m.ilpSecret, []string(nil)
	if len(in.members) > 1 {
		name, legend = "NAME", []string{"with the NAME of its Secret:"}
		for _, m := range in.members {
			legend = append(legend, fmt.Sprintf("  %s: %s", m.id, m.ilpSecret))
		}
	}
	return slices.Concat([]string{
		"ILP_SECRET: the chart's default is published, and it cannot read a Secret. With null the",
		"webhook sets it, in namespaces with mojasec.io/mode: enforce. Without the webhook add to",
		"the container, by a post-renderer of Helm:",
		"  env:",
		"  - name: ILP_SECRET",
		fmt.Sprintf("    valueFrom: {secretKeyRef: {name: %s, key: %s}}", name, m.ilpKey),
	}, legend, []string{
		"",
		"VALIDATE_INBOUND_PUT_PARTIES_JWS: for schemes where all peers sign PUT /parties.",
	})
}

func simulatorValues(in *chartInput) map[string]any {
	simulators := map[string]any{}
	for i := range in.members {
		m := &in.members[i]
		env := strictSettings()
		delete(env, "ILP_SECRET") // a simulator cannot remove a default: see below
		simulators[m.id] = map[string]any{"config": map[string]any{"schemeAdapter": map[string]any{
			"env": env,
			"secrets": map[string]any{"jws": map[string]any{
				"privateKeySecret":       map[string]any{"name": m.secret, "key": m.key},
				"publicKeyConfigMapName": in.verification,
			}},
		}}}
	}
	return map[string]any{
		"simulators": simulators,
		"defaults":   map[string]any{"config": map[string]any{"schemeAdapter": map[string]any{"env": map[string]any{"ILP_SECRET": nil}}}},
	}
}

func simulatorComments(in *chartInput) []string {
	var ids []string
	for _, m := range in.members {
		ids = append(ids, m.id)
	}
	return append([]string{
		"Values of chart mojaloop-simulator for " + strings.Join(ids, ", ") + ".",
		"In the chart mojaloop they go below mojaloop-simulator:.",
		"",
	}, ilpComments(in)...)
}

// hubServices are the services of the hub that sign, by the names of their
// charts from the outermost. A nil is where the values of a service go.
func hubServices() map[string]any {
	return map[string]any{
		"quoting-service":        map[string]any{"quoting-service": nil, "quoting-service-handler": nil},
		"account-lookup-service": map[string]any{"account-lookup-service": nil},
		"ml-api-adapter":         map[string]any{"ml-api-adapter-handler-notification": nil},
		"mojaloop-bulk":          map[string]any{"bulk-api-adapter": map[string]any{"bulk-api-adapter-handler-notification": nil}},
	}
}

func hubValues(services any) func(in *chartInput) map[string]any {
	return func(in *chartInput) map[string]any {
		m := &in.members[0]
		var fill func(services any) map[string]any
		fill = func(services any) map[string]any {
			below, ok := services.(map[string]any)
			if !ok {
				return map[string]any{"config": map[string]any{"endpointSecurity": map[string]any{
					"jwsSign":             true,
					"jwsSigningKeySecret": map[string]any{"name": m.secret, "key": m.key},
				}}}
			}
			out := make(map[string]any, len(below))
			for name, s := range below {
				out[name] = fill(s)
			}
			return out
		}
		return fill(services)
	}
}

func hubComments(in *chartInput) []string {
	m := &in.members[0]
	return []string{
		fmt.Sprintf("Values of the hub's charts. All services that sign do so with %s of Secret %s.", m.key, m.secret),
		fmt.Sprintf("They sign as HUB_PARTICIPANT.NAME, which is to be %s: peers look for %s.pem.", m.id, m.id),
	}
}
