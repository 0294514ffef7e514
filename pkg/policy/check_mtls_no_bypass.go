package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	istionetworking "istio.io/api/networking/v1alpha3"
	istionetworkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// mtls-no-bypass: nothing in the pod takes its traffic out of the proxy.
// Accepted: an absent annotation, "*", outbound exclusions of the Profile's
// datastore ports, and inbound exclusions of the proxy's own ports, which Istio
// writes on pods itself where its network plugin captures the traffic.
var checkMTLSNoBypass = Check{
	ID: "mtls-no-bypass", Category: CategoryMTLS, Severity: Error, PodLocal: true,
	Title: "no traffic goes around the mesh proxy",
	Fix:   "remove the annotation or setting; datastore ports belong into the Profile (spec.datastorePorts)",
	Doc: `A pod can be in the mesh and still speak plain text: annotations exclude ports and address ranges
from the proxy, an interception mode of NONE captures nothing, a process that runs as the proxy's
user (1337) is not captured, and a container with NET_ADMIN can remove the capture. This check reads

- ` + "`traffic.sidecar.istio.io/excludeInboundPorts`, `excludeOutboundPorts`, `excludeOutboundIPRanges`, `excludeInterfaces`" + `
- ` + "`status.sidecar.istio.io/port`" + `: Istio does not capture it on the way in
- ` + "`traffic.sidecar.istio.io/includeInboundPorts`, `includeOutboundIPRanges`" + ` (an empty list captures nothing; absent or ` + "`*`" + ` is fine)
- ` + "`sidecar.istio.io/interceptionMode`, `userVolume`, `userVolumeMount`, `inject.istio.io/templates`, `ambient.istio.io/bypass-inbound-capture`" + `
- ` + "`proxy.istio.io/config`" + `: members that only tune the proxy (such as ` + "`concurrency`, `tracing`" + `) are fine, all others a fault
- label ` + "`security.istio.io/tlsMode`" + `, by which callers choose between mutual TLS and plain text
- Istio's own containers with another command or arguments that capture nothing
- containers that pass for the proxy, run as user or group 1337, are privileged or have NET_ADMIN
- EnvoyFilters that replace the transport socket or the filter chain of a protected workload

Outbound exclusions of the Profile's ` + "`datastorePorts`" + ` are accepted: databases and brokers often speak
before the mesh does. So are inbound exclusions of the proxy's own ports (15020, 15021, 15090), which Istio
writes on pods itself where its CNI plugin is in use.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if f, ok := sub.Object.(*istionetworkingv1alpha3.EnvoyFilter); ok {
			return envoyFilterBypass(sub, f, snap)
		}
		if sub.Pod == nil || !sub.Workload.Role.Mojaloop() || snap.noMesh() {
			return notApplicable
		}
		found := annotationBypass(sub, snap)
		if mode := sub.Pod.Labels[labelTLSMode]; mode != "" && mode != "istio" {
			found = append(found, Violation{
				Field:  sub.Workload.PodPath.Child("metadata", "labels").Key(labelTLSMode),
				Detail: fmt.Sprintf("label %s: %q tells callers to speak plain text to the pod; want no label", labelTLSMode, mode),
			})
		}
		return failedOrPassed(append(found, containerBypass(sub)...))
	},
}

// labelTLSMode is what callers with auto mTLS go by. Istio writes "istio" on the
// pods it injects, unless the pod says something else.
const labelTLSMode = "security.istio.io/tlsMode"

const trafficPrefix = "traffic.sidecar.istio.io/"

// proxyPorts are those on which the proxy itself answers: its status, its health,
// its statistics. Istio never captures them.
var proxyPorts = []int32{15020, 15021, 15090}

// annotationBypass judges the annotations of the pod, in the order of names.
func annotationBypass(sub *Subject, snap *Snapshot) []Violation {
	if len(sub.Pod.Annotations) == 0 {
		return nil
	}
	var found []Violation
	for _, key := range sortedKeys(sub.Pod.Annotations) {
		value := sub.Pod.Annotations[key]
		if why := bypass(key, strings.TrimSpace(value), snap.profile.DatastorePorts); why != "" {
			detail := fmt.Sprintf("annotation %s: %q %s", key, value, why)
			if isStructured(key) {
				detail = fmt.Sprintf("annotation %s %s", key, why)
			}
			found = append(found, Violation{
				Field:  sub.Workload.PodPath.Child("metadata", "annotations").Key(key),
				Detail: detail,
			})
		}
	}
	return found
}

// isStructured tells whether the value of an annotation is a document, which
// may hold credentials and is not quoted.
func isStructured(key string) bool {
	switch key {
	case "proxy.istio.io/config", "sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount":
		return true
	}
	return false
}

// bypass says how an annotation takes traffic out of the proxy; "" when it does
// not.
func bypass(key, value string, datastore []int32) string {
	if name, ok := strings.CutPrefix(key, trafficPrefix); ok {
		return trafficBypass(name, value, datastore)
	}
	switch key {
	case "sidecar.istio.io/interceptionMode":
		if value != "" && value != "REDIRECT" && value != "TPROXY" {
			return "captures no traffic; want REDIRECT or TPROXY"
		}
	case "status.sidecar.istio.io/port":
		if value != "0" && len(portsBeyond(value, proxyPorts)) > 0 {
			return "lets this port in without mutual TLS; want 15020 or no annotation"
		}
	case "inject.istio.io/templates":
		if value != "" && value != "sidecar" {
			return "replaces what Istio injects; want sidecar"
		}
	case "ambient.istio.io/bypass-inbound-capture":
		if strings.EqualFold(value, "true") {
			return "lets inbound traffic in around ztunnel"
		}
	case "sidecar.istio.io/proxyImage", "sidecar.istio.io/bootstrapOverride":
		if value != "" {
			return "replaces the proxy or its configuration"
		}
	case "sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount":
		if value != "" {
			return "puts files of the pod's choice into the proxy; want none"
		}
	case "proxy.istio.io/config":
		return proxyConfigBypass(value)
	}
	return ""
}

func trafficBypass(name, value string, datastore []int32) string {
	switch name {
	case "excludeInboundPorts":
		if len(portsBeyond(value, proxyPorts)) > 0 {
			return "lets these ports in without mutual TLS; want none"
		}
	case "excludeOutboundPorts":
		if other := portsBeyond(value, datastore); len(other) > 0 {
			return fmt.Sprintf("sends port %s past the proxy; only datastore ports (%s) may be excluded", strings.Join(other, ", "), joinPorts(datastore))
		}
	case "excludeOutboundIPRanges":
		if value != "" {
			return "sends traffic to these addresses past the proxy; want none"
		}
	case "excludeInterfaces":
		if value != "" {
			return "leaves these interfaces to nobody; want none"
		}
	case "includeInboundPorts":
		if value != "*" {
			return "captures only these ports on the way in; want * or no annotation"
		}
	case "includeOutboundIPRanges":
		if value != "*" {
			return "captures only these addresses on the way out; want * or no annotation"
		}
	}
	return ""
}

// portsBeyond returns the entries of a port list that are not allowed.
func portsBeyond(list string, allowed []int32) []string {
	var out []string
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		n, err := strconv.ParseInt(entry, 10, 32)
		if err != nil || !slices.Contains(allowed, int32(n)) {
			out = append(out, entry)
		}
	}
	return out
}

func joinPorts(ports []int32) string {
	texts := make([]string, 0, len(ports))
	for _, p := range ports {
		texts = append(texts, itoa(p))
	}
	return strings.Join(texts, ", ")
}

// harmlessProxyConfig are the members of a ProxyConfig that change neither what
// is captured nor whom the proxy trusts. All others are reported: with
// discoveryAddress, for example, another control plane gives the orders.
var harmlessProxyConfig = map[string]bool{
	"concurrency": true, "drainDuration": true, "extraStatTags": true, "fileFlushInterval": true,
	"fileFlushMinSizeKb": true, "gatewayTopology": true, "holdApplicationUntilProxyStarts": true,
	"image": true, "parentShutdownDuration": true, "proxyHeaders": true, "proxyStatsMatcher": true,
	"readinessProbe": true, "statNameLength": true, "statusPort": true,
	"terminationDrainDuration": true, "tracing": true,
}

// harmlessProxyMetadata are the proxy's environment variables of that kind.
var harmlessProxyMetadata = map[string]bool{
	"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": true, "ISTIO_META_DNS_AUTO_ALLOCATE": true,
	"ISTIO_META_DNS_CAPTURE": true, "MINIMUM_DRAIN_DURATION": true,
}

// proxyConfigBypass judges the pod's own ProxyConfig. It names members, never
// their values.
func proxyConfigBypass(value string) string {
	cfg := map[string]any{}
	if err := yaml.Unmarshal([]byte(value), &cfg); err != nil {
		return "cannot be read as YAML"
	}
	for _, key := range sortedKeys(cfg) {
		switch {
		case harmlessProxyConfig[key]:
		case key == "interceptionMode":
			if mode := cfg[key]; mode != "REDIRECT" && mode != "TPROXY" {
				return "sets another interceptionMode than REDIRECT or TPROXY, which captures no traffic"
			}
		case key == "proxyMetadata":
			metadata, _ := cfg[key].(map[string]any)
			for _, name := range sortedKeys(metadata) {
				if !harmlessProxyMetadata[name] {
					return fmt.Sprintf("sets %q in proxyMetadata, which may change what is captured or trusted", name)
				}
			}
		default:
			return fmt.Sprintf("sets %q, which may change what is captured or whom the proxy trusts", key)
		}
	}
	return ""
}

// proxyUser is the user and group of the proxy, whose own traffic is not
// captured.
const proxyUser = 1337

func containerBypass(sub *Subject) []Violation {
	var found []Violation
	spec := &sub.Pod.Spec
	if sc := spec.SecurityContext; sc != nil {
		podPath := sub.Workload.PodPath.Child("spec", "securityContext")
		if isProxyID(sc.RunAsUser) {
			found = append(found, Violation{Field: podPath.Child("runAsUser"), Detail: "the pod runs as user 1337, the proxy's own: its traffic is not captured"})
		}
		if isProxyID(sc.RunAsGroup) {
			found = append(found, Violation{Field: podPath.Child("runAsGroup"), Detail: "the pod runs as group 1337, the proxy's own: its traffic is not captured"})
		}
	}
	for i := range sub.Workload.Containers {
		c := &sub.Workload.Containers[i]
		image, sc := containerSecurity(spec, c)
		istio := isIstioContainer(c.Name, image)
		if c.Name == proxyContainer && !istio {
			found = append(found, Violation{Field: c.Path(sub.Workload).Child("image"), Detail: fmt.Sprintf("container %s runs image %q: Istio takes it for its proxy; want image auto, or another name", c.Name, image)})
		}
		if why, member := misuse(spec, c); istio && why != "" {
			found = append(found, Violation{Field: c.Path(sub.Workload).Child(member), Detail: fmt.Sprintf("container %s %s", c.Name, why)})
		}
		if sc == nil {
			continue
		}
		at := c.Path(sub.Workload).Child("securityContext")
		switch {
		case isTrue(sc.Privileged):
			found = append(found, Violation{Field: at.Child("privileged"), Detail: fmt.Sprintf("container %s is privileged: it can take its traffic out of the proxy", c.Name)})
		case istio && !addsMoreThanNetwork(sc): // runs as the proxy and sets up the capture: its work
		case isProxyID(sc.RunAsUser):
			found = append(found, Violation{Field: at.Child("runAsUser"), Detail: fmt.Sprintf("container %s runs as user 1337, the proxy's own: its traffic is not captured", c.Name)})
		case isProxyID(sc.RunAsGroup):
			found = append(found, Violation{Field: at.Child("runAsGroup"), Detail: fmt.Sprintf("container %s runs as group 1337, the proxy's own: its traffic is not captured", c.Name)})
		case sc.Capabilities != nil && slices.ContainsFunc(sc.Capabilities.Add, isNetworkCapability):
			found = append(found, Violation{Field: at.Child("capabilities", "add"), Detail: fmt.Sprintf("container %s has NET_ADMIN: it can take its traffic out of the proxy", c.Name)})
		}
	}
	return found
}

// misuse says what one of Istio's own containers does instead of its work, and
// in which member it says so; "" when it does its work.
func misuse(spec *corev1.PodSpec, c *Container) (why, member string) {
	var own *corev1.Container
	switch c.Kind {
	case MainContainer:
		own = &spec.Containers[c.Index]
	case InitContainer, NativeSidecar:
		own = &spec.InitContainers[c.Index]
	case EphemeralContainer:
		common := corev1.Container(spec.EphemeralContainers[c.Index].EphemeralContainerCommon)
		own = &common
	}
	switch c.Name {
	case proxyContainer:
		if len(own.Command) > 0 {
			return "has a command of its own: Istio's proxy does not run; want none", "command"
		}
		if !startsProxy(own) {
			return "has other arguments than Istio's proxy: it does not run; want none", "args"
		}
	case "istio-init", "istio-validation":
		if len(own.Command) > 0 {
			return "has a command of its own: no traffic is captured; want none", "command"
		}
		if len(own.Args) > 0 && own.Args[0] != "istio-iptables" || capturesNothing(own.Args) {
			return "has arguments with which not all traffic is captured; want none", "args"
		}
	}
	return "", ""
}

// startsProxy tells whether the command line is that of Istio's proxy: that of
// its image, with the arguments that Istio gives it or none so far.
func startsProxy(c *corev1.Container) bool {
	return len(c.Command) == 0 && (len(c.Args) == 0 || c.Args[0] == "proxy") && isIstioContainer(c.Name, c.Image)
}

// capturesNothing tells whether the arguments of istio-iptables leave out all
// inbound ports, all outbound addresses, or the redirection itself.
func capturesNothing(args []string) bool {
	for i, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok && i+1 < len(args) {
			value = args[i+1]
		}
		switch name {
		case "-i", "--istio-service-cidr", "-b", "--istio-inbound-ports":
			if strings.TrimSpace(value) == "" {
				return true
			}
		case "-m", "--istio-inbound-interception-mode":
			if value != "REDIRECT" && value != "TPROXY" {
				return true
			}
		}
	}
	return false
}

func isProxyID(id *int64) bool { return id != nil && *id == proxyUser }

// addsMoreThanNetwork tells whether a container asks for capabilities that
// Istio's own do not need.
func addsMoreThanNetwork(sc *corev1.SecurityContext) bool {
	return sc.Capabilities != nil && slices.ContainsFunc(sc.Capabilities.Add, func(c corev1.Capability) bool {
		name := strings.TrimPrefix(strings.ToUpper(string(c)), "CAP_")
		return name == "ALL" || name == "SYS_ADMIN"
	})
}

func isNetworkCapability(c corev1.Capability) bool {
	name := strings.TrimPrefix(strings.ToUpper(string(c)), "CAP_")
	return name == "NET_ADMIN" || name == "ALL" || name == "SYS_ADMIN"
}

// Istio's own containers: what they are called and what they run.
var (
	istioContainers = []string{proxyContainer, "istio-init", "istio-validation", "enable-core-dump"}
	istioImages     = []string{"auto", "proxyv2", "proxyv2-distroless", "proxyv2-rhel8", "proxyv2-rhel9", "istio-proxyv2-rhel8", "istio-proxyv2-rhel9"}
)

// isIstioContainer tells Istio's own containers from those that borrow their
// names.
func isIstioContainer(name, image string) bool {
	return slices.Contains(istioContainers, name) && slices.Contains(istioImages, repositoryName(image))
}

func containerSecurity(spec *corev1.PodSpec, c *Container) (image string, sc *corev1.SecurityContext) {
	switch c.Kind {
	case MainContainer:
		return spec.Containers[c.Index].Image, spec.Containers[c.Index].SecurityContext
	case InitContainer, NativeSidecar:
		return spec.InitContainers[c.Index].Image, spec.InitContainers[c.Index].SecurityContext
	case EphemeralContainer:
		return spec.EphemeralContainers[c.Index].Image, spec.EphemeralContainers[c.Index].SecurityContext
	}
	return "", nil
}

// envoyFilterBypass reports an EnvoyFilter that can take mutual TLS away from a
// protected workload.
func envoyFilterBypass(sub *Subject, f *istionetworkingv1alpha3.EnvoyFilter, snap *Snapshot) Result {
	match := f.Spec.WorkloadSelector.GetLabels()
	protected := snap.selectsMojaloop(sub.Ref.Namespace, match)
	if sub.Ref.Namespace == snap.mesh.root { // applies in every namespace
		for _, sh := range snap.shardsInOrder() {
			protected = protected || snap.selectsMojaloop(sh.name, match)
		}
	}
	if !protected && (len(match) == 0 || mojaloopByLabels(match, snap)) {
		// Its workloads are not known: the namespace decides.
		mode, presence := snap.Mode(sub.Ref.Namespace)
		protected = presence != Present || mode != ModeNone || sub.Ref.Namespace == snap.mesh.root
	}
	if !protected || snap.noMesh() {
		return notApplicable
	}
	var found []Violation
	for i, p := range f.Spec.ConfigPatches {
		if why := patchBypass(p); why != "" {
			found = append(found, Violation{Field: field.NewPath("spec", "configPatches").Index(i), Detail: fmt.Sprintf("the patch of %s %s", p.GetApplyTo(), why)})
		}
	}
	return failedOrPassed(found)
}

func patchBypass(p *istionetworking.EnvoyFilter_EnvoyConfigObjectPatch) string {
	op := p.GetPatch().GetOperation()
	whole := op != istionetworking.EnvoyFilter_Patch_MERGE
	switch p.GetApplyTo() {
	case istionetworking.EnvoyFilter_LISTENER, istionetworking.EnvoyFilter_FILTER_CHAIN, istionetworking.EnvoyFilter_CLUSTER:
		if whole {
			return "replaces the filter chain: traffic may pass without mutual TLS"
		}
	default:
	}
	if hasMember(p.GetPatch().GetValue().AsMap(), "transport_socket", "transportSocket", "transport_socket_matches", "filter_chains", "filterChains", "default_filter_chain", "defaultFilterChain") {
		return "replaces the transport socket: traffic may pass without mutual TLS"
	}
	return ""
}

// hasMember looks for a member anywhere in a tree.
func hasMember(tree any, names ...string) bool {
	switch t := tree.(type) {
	case map[string]any:
		for k, v := range t {
			if slices.Contains(names, k) || hasMember(v, names...) {
				return true
			}
		}
	case []any:
		for _, v := range t {
			if hasMember(v, names...) {
				return true
			}
		}
	}
	return false
}
