package admissionpolicy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// inMesh is mtls-in-mesh. Of what the pod's namespace says it reads the labels,
// which the API server hands to a policy.
func (s *settings) inMesh() rule {
	mesh := str(string(s.Mesh))
	if s.Mesh == v1alpha1.MeshAuto {
		mesh = fmt.Sprintf(`%s == "ambient" && %s != "true" ? "ambient" : "sidecar"`,
			member("variables.namespaceLabels", policy.LabelDataplaneMode), member("variables.labels", policy.LabelInject))
	}
	proxy := str(proxyContainer) + " && " + isIstio("c") + ` && size(c.?command.orValue([])) == 0 && (size(c.?args.orValue([])) == 0 || c.args[0] == "proxy")`
	vars := append(pod(), s.recognition()...)
	vars = append(vars,
		variable("namespaceLabels", "dyn(namespaceObject.metadata).?labels.orValue({})"),
		variable("inject", fmt.Sprintf(`%[1]s != "" ? %[1]s : %[2]s`, member("variables.labels", policy.LabelInject), member("variables.annotations", policy.LabelInject))),
		variable("dataplane", member("variables.labels", policy.LabelDataplaneMode)),
		variable("revision", member("variables.labels", policy.LabelRevision)),
		variable("mesh", mesh),
		// Before a pod has a node, its proxy and its redirection are claims.
		variable("placed", `request.kind.kind == "Pod" && variables.spec.?nodeName.orValue("") != ""`),
		variable("hasProxy", fmt.Sprintf(`variables.placed && (variables.main
  + variables.spec.?initContainers.orValue([]).filter(c, c.?restartPolicy.orValue("") == "Always")).exists(c, c.name == %s)`, proxy)),
		variable("redirected", `variables.placed && `+member("variables.annotations", "ambient.istio.io/redirection")+` == "enabled"`),
		variable("optsOut", `variables.mesh == "ambient" && !variables.hasProxy ? !(variables.dataplane in ["", "ambient"]) : !(variables.inject in ["", "true"])`),
		variable("outside", s.outside()),
	)
	return rule{variables: vars, broken: mojaloop + ` && variables.outside != "" ? ["the pod will be outside the mesh: " + variables.outside] : []`}
}

// outside is why the pod stays outside the mesh, "" when it does not, or when
// that cannot be told.
func (s *settings) outside() string {
	revision := str(s.Revision)
	ours := `variables.revision == "default"`
	if s.Revision != "" {
		ours = "variables.revision == " + revision
	}
	ns := func(label string) string { return member("variables.namespaceLabels", label) }
	steps := []struct{ when, why string }{
		{`variables.spec.?hostNetwork.orValue(false)`, str("it is on the host network")},
		{`(variables.hasProxy || variables.redirected) && !variables.optsOut`, `""`},
		{`variables.mesh == "ambient" && !(variables.dataplane in ["", "ambient"])`, str(policy.LabelDataplaneMode+": ") + " + variables.dataplane"},
		{fmt.Sprintf(`variables.mesh == "ambient" && variables.dataplane == "" && %s != "ambient"`, ns(policy.LabelDataplaneMode)), str("neither the pod nor its namespace has the label " + policy.LabelDataplaneMode + ": ambient")},
		{`variables.mesh == "ambient"`, `""`},
		{fmt.Sprintf(`%s in variables.namespaceLabels && %s != "enabled"`, str(policy.LabelInjection), ns(policy.LabelInjection)), str("its namespace has the label "+policy.LabelInjection+": ") + " + " + ns(policy.LabelInjection)},
		{"variables.optsOut", str(policy.LabelInject+": ") + " + variables.inject"},
		{fmt.Sprintf(`%s == "enabled" || %s != ""`, ns(policy.LabelInjection), ns(policy.LabelRevision)), `""`},
		{ours, `""`},
	}
	if s.Revision == "" {
		// Which revisions there are is not known here.
		steps = append(steps, struct{ when, why string }{`variables.revision != ""`, `""`})
	}
	steps = append(steps,
		struct{ when, why string }{`variables.revision == "" && ` + member("variables.labels", policy.LabelInject) + ` == "true"`, `""`},
		struct{ when, why string }{`variables.revision != ""`, str(policy.LabelRevision+": ") + ` + variables.revision + ` + str(" names another revision than the Profile: "+s.Revision)},
	)
	var b strings.Builder
	for _, step := range steps {
		b.WriteString(step.when + " ? " + step.why + "\n: ")
	}
	return b.String() + str("neither the pod nor its namespace asks for a sidecar")
}

// noBypass is mtls-no-bypass, for the pod itself.
func (s *settings) noBypass() rule {
	return rule{
		variables: append(pod(), s.recognition()...),
		broken: "!(" + mojaloop + `) ? []
  : variables.annotations.filter(k, ` + s.bypassAnnotation() + `).map(k, "annotation " + k)
  + [` + member("variables.labels", "security.istio.io/tlsMode") + `].filter(m, !(m in ["", "istio"])).map(m, "label security.istio.io/tlsMode")
  + ["runAsUser", "runAsGroup"].filter(k, variables.spec.?securityContext[?k].orValue(0) == 1337).map(k, "securityContext." + k + " of the pod is 1337, the proxy's")
  + variables.containers.filter(c, ` + bypassContainer() + `).map(c, "container " + c.name)`,
	}
}

// bypassAnnotation tells whether the annotation k takes traffic out of the
// proxy.
func (s *settings) bypassAnnotation() string {
	datastore, proxy := portTexts(s.DatastorePorts), portTexts(policy.ProxyPorts())
	const value = "variables.annotations[k].trim()"
	const traffic = "traffic.sidecar.istio.io/"
	conditions := []struct {
		keys []string
		bad  string
	}{
		{[]string{
			traffic + "excludeOutboundIPRanges", traffic + "excludeInterfaces",
			"sidecar.istio.io/proxyImage", "sidecar.istio.io/bootstrapOverride", "sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount",
		}, value + ` != ""`},
		{[]string{traffic + "excludeOutboundPorts"}, value + `.split(",").exists(p, !(p.trim() in ` + strs(datastore) + `))`},
		{[]string{traffic + "excludeInboundPorts"}, value + `.split(",").exists(p, !(p.trim() in ` + strs(proxy) + `))`},
		{[]string{"status.sidecar.istio.io/port"}, value + ` != "0" && ` + value + `.split(",").exists(p, !(p.trim() in ` + strs(proxy) + `))`},
		{[]string{traffic + "includeInboundPorts", traffic + "includeOutboundIPRanges"}, value + ` != "*"`},
		{[]string{"sidecar.istio.io/interceptionMode"}, `!(` + value + ` in ["", "REDIRECT", "TPROXY"])`},
		{[]string{"inject.istio.io/templates"}, `!(` + value + ` in ["", "sidecar"])`},
		{[]string{"ambient.istio.io/bypass-inbound-capture"}, value + `.lowerAscii() == "true"`},
		{[]string{"proxy.istio.io/config"}, `!` + value + `.matches(` + pattern(plainProxyConfig()) + `)`},
	}
	out := make([]string, 0, len(conditions))
	for _, c := range conditions {
		out = append(out, "k in "+strs(c.keys)+" && "+c.bad)
	}
	return strings.Join(out, "\n    || ")
}

// portTexts are ports as they stand in a list, in which an entry may be empty.
func portTexts(ports []int32) []string {
	out := []string{""}
	for _, p := range ports {
		out = append(out, strconv.Itoa(int(p)))
	}
	return out
}

// plainProxyConfig matches the texts of a ProxyConfig that set nothing but what
// is harmless, as far as a regular expression can tell: block style with simple
// values, or flat JSON. It matches no text that sets anything else.
func plainProxyConfig() string {
	members, metadata := policy.HarmlessProxyConfig()
	const scalar = `(?:[A-Za-z0-9_./][A-Za-z0-9_./-]*|\x22[A-Za-z0-9_./ -]*\x22|'[A-Za-z0-9_./ -]*')`
	const end = `[ ]*(?:\n|$)`
	harmless, variables := "(?:"+strings.Join(members, "|")+")", "(?:"+strings.Join(metadata, "|")+")"
	flow := func(key string) string {
		pair := `[ ]*` + key + `:[ ]+` + scalar + `[ ]*`
		return `\{(?:` + pair + `(?:,` + pair + `)*)?\}`
	}
	word := `[A-Za-z0-9_]+`
	lines := []string{
		harmless + `:[ ]+(?:` + scalar + `|` + flow(word) + `)` + end,
		harmless + `:` + end + `(?:[ ]+(?:` + word + `:)?(?:[ ]+` + scalar + `)?` + end + `)+`,
		`interceptionMode:[ ]+(?:REDIRECT|TPROXY)` + end,
		`proxyMetadata:[ ]+` + flow(variables) + end,
		`proxyMetadata:` + end + `(?:[ ]+` + variables + `:[ ]+` + scalar + end + `)+`,
		`(?:#[ -~]*)?\n`,
	}
	pair := `\s*\x22` + harmless + `\x22\s*:\s*(?:[0-9.]+|true|false|\x22[A-Za-z0-9_./ -]*\x22)\s*`
	return `^(?:(?:` + strings.Join(lines, "|") + `)*|\{(?:` + pair + `(?:,` + pair + `)*|\s*)\})$`
}

// bypassContainer tells whether the container c passes for the proxy or can
// take its traffic out of it.
func bypassContainer() string {
	istio := isIstio("c")
	capabilities := func(names ...string) string {
		for _, n := range slices.Clone(names) {
			names = append(names, "CAP_"+n)
		}
		return `c.?securityContext.?capabilities.?add.orValue([]).exists(a, a.upperAscii() in ` + strs(names) + `)`
	}
	return fmt.Sprintf(`c.name == %s && !%[2]s
    || %[2]s && c.name in ["istio-proxy", "istio-init", "istio-validation"] && (size(c.?command.orValue([])) > 0
      || size(c.?args.orValue([])) > 0 && (c.args[0] != (c.name == "istio-proxy" ? "proxy" : "istio-iptables") || c.name != "istio-proxy" && %[5]s))
    || c.?securityContext.?privileged.orValue(false)
    || !(%[2]s && !%[3]s) && (c.?securityContext.?runAsUser.orValue(0) == 1337 || c.?securityContext.?runAsGroup.orValue(0) == 1337 || %[4]s)`,
		str(proxyContainer), istio, capabilities("ALL", "SYS_ADMIN"), capabilities("NET_ADMIN", "ALL", "SYS_ADMIN"), capturesNothing())
}

// capturesNothing tells whether the arguments of container c, which sets up the
// capture, leave out all inbound ports, all outbound addresses, or the
// redirection itself.
func capturesNothing() string {
	const mode = `\n(?:-m|--istio-inbound-interception-mode)[\n=]`
	return fmt.Sprintf(`["\n" + c.args.join("\n") + "\n\n"].exists(a, a.matches(%s) || a.matches(%s) && !a.matches(%s))`,
		pattern(`\n(?:-i|--istio-service-cidr|-b|--istio-inbound-ports)[\n=]\s*\n`), pattern(mode), pattern(mode+`(?:REDIRECT|TPROXY)\n`))
}
