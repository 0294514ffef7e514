package policy

import (
	"cmp"
	"slices"

	istiosecurity "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// Labels and names by which pods and namespaces take part in the mesh.
const (
	labelInject        = "sidecar.istio.io/inject"
	labelDataplaneMode = "istio.io/dataplane-mode"
	labelRevision      = "istio.io/rev"
	labelInjection     = "istio-injection"

	annotationRedirected = "ambient.istio.io/redirection"

	proxyContainer = "istio-proxy"

	meshSidecar = v1alpha1.MeshSidecar
	meshAmbient = v1alpha1.MeshAmbient
)

// MeshConfig is what rules read of Istio's mesh config.
type MeshConfig struct {
	EnableAutoMTLS *bool `json:"enableAutoMtls"`
	MeshMTLS       struct {
		MinProtocolVersion string `json:"minProtocolVersion"`
	} `json:"meshMTLS"`
	RootNamespace string `json:"rootNamespace"`
	// Bad says that the text is no mesh config; the rest is then unknown.
	Bad bool `json:"-"`
}

// ParseMeshConfig reads the key "mesh" of ConfigMap istio.
func ParseMeshConfig(text []byte) *MeshConfig {
	cfg := &MeshConfig{}
	if err := yaml.Unmarshal(text, cfg); err != nil {
		return &MeshConfig{Bad: true}
	}
	return cfg
}

// meshFacts is what is known of the mesh as a whole.
type meshFacts struct {
	// known is false when nothing in the input tells of a mesh.
	known bool
	// config is nil when the mesh config is not known.
	config    *MeshConfig
	configRef Ref
	// bad says that there is a mesh config, at configRef, that cannot be read.
	bad  bool
	root string
}

func (s *Snapshot) newMeshFacts() meshFacts {
	m := meshFacts{known: !s.incomplete(FactMesh), root: s.profile.MeshRootNamespace}
	for i := 0; i < len(s.order) && !m.known; i++ {
		m.known = s.order[i].namespace != nil || s.order[i].hasIstio()
	}
	d, presence := s.quiet().ConfigMap(m.root, s.meshConfigName())
	switch {
	case presence != Present || d.Mesh == nil:
	case d.Mesh.Bad:
		m.known, m.configRef, m.bad = true, d.Ref, true
	default:
		m.config, m.configRef = d.Mesh, d.Ref
		m.known = true
		if d.Mesh.RootNamespace != "" {
			m.root = d.Mesh.RootNamespace
		}
	}
	return m
}

// meshConfigName is the ConfigMap of the mesh config: each revision reads its
// own.
func (s *Snapshot) meshConfigName() string {
	if rev := s.profile.Revision; rev != "" && rev != "default" {
		return "istio-" + rev
	}
	return "istio"
}

// meshKind is the mesh of the Profile: none where it leaves that open and the
// cluster does not have Istio's API.
func (s *Snapshot) meshKind() v1alpha1.Mesh {
	if s.opts.NoMesh && s.profile.Mesh == v1alpha1.MeshAuto {
		return v1alpha1.MeshNone
	}
	return s.profile.Mesh
}

// noMesh tells that rules about a mesh do not apply.
func (s *Snapshot) noMesh() bool { return s.meshKind() == v1alpha1.MeshNone }

func (sh *shard) hasIstio() bool {
	return len(sh.peerAuthentications)+len(sh.authorizationPolicies)+len(sh.destinationRules)+
		len(sh.gateways)+len(sh.virtualServices)+len(sh.envoyFilters) > 0
}

// mtlsMode is an effective mode of mutual TLS.
type mtlsMode = istiosecurity.PeerAuthentication_MutualTLS_Mode

const (
	mtlsUnset      = istiosecurity.PeerAuthentication_MutualTLS_UNSET
	mtlsStrict     = istiosecurity.PeerAuthentication_MutualTLS_STRICT
	mtlsPermissive = istiosecurity.PeerAuthentication_MutualTLS_PERMISSIVE
)

// mtls is the effective mode of a workload and where it comes from.
type mtls struct {
	mode mtlsMode
	from *securityv1.PeerAuthentication // nil: nothing sets it, so Istio's default
	// ports that differ from mode, by port.
	ports []portMTLS
	// missing is a policy that may exist and cannot be read.
	missing Fact
}

type portMTLS struct {
	port  uint32
	mode  mtlsMode
	from  Ref
	field *field.Path
}

// effectiveMTLS resolves PeerAuthentications as istiod does: mesh-wide, then
// namespace, then workload, then port; unset inherits; of several at one level
// the oldest counts, of equally old ones the weakest; with none at all the mode is PERMISSIVE.
func (s *Snapshot) effectiveMTLS(ns string, labels map[string]string) mtls {
	out := mtls{mode: mtlsPermissive}
	levels := [2]*securityv1.PeerAuthentication{s.oldestPolicy(s.mesh.root, nil)}
	out.inherit(levels[0])
	if ns != s.mesh.root { // which has no level of its own between
		levels[1] = s.oldestPolicy(ns, nil)
		out.inherit(levels[1])
	}
	workload := s.oldestPolicy(ns, labels)
	out.inherit(workload)
	if out.mode != mtlsStrict {
		out.missing = s.noPolicy(ns, levels)
	}
	if workload == nil {
		return out
	}
	for port, m := range workload.Spec.PortLevelMtls {
		if m.GetMode() != mtlsUnset && m.GetMode() != out.mode {
			out.ports = append(out.ports, portMTLS{
				port: port, mode: m.GetMode(), from: RefOf(workload),
				field: field.NewPath("spec", "portLevelMtls").Key(itoa(port)).Child("mode"),
			})
		}
	}
	slices.SortFunc(out.ports, func(a, b portMTLS) int { return cmp.Compare(a.port, b.port) })
	return out
}

// noPolicy looks up what could have set another mode: the policies of the mesh
// and of a namespace where there are none, and the config that says where those
// of the mesh are. It returns the first that cannot be read.
func (s *Snapshot) noPolicy(ns string, levels [2]*securityv1.PeerAuthentication) (missing Fact) {
	for i, at := range [...]string{s.mesh.root, ns} {
		fact := Fact{Kind: FactPeerAuthentication, Namespace: at}
		if levels[i] == nil && s.absence(fact) == Unknown && missing == (Fact{}) {
			missing = fact
		}
	}
	if s.mesh.config == nil && !s.mesh.bad {
		s.absence(Fact{Kind: FactConfigMap, Namespace: s.mesh.root, Name: s.meshConfigName()})
	}
	return missing
}

func (m *mtls) inherit(p *securityv1.PeerAuthentication) {
	if p == nil || p.Spec.Mtls.GetMode() == mtlsUnset {
		return
	}
	m.mode, m.from = p.Spec.Mtls.GetMode(), p
}

// oldestPolicy returns the PeerAuthentication of a namespace that counts:
// without labels the one for the namespace, with labels the one for the
// workload. A selector in the root namespace selects nothing (istiod ignores
// it).
func (s *Snapshot) oldestPolicy(ns string, labels map[string]string) *securityv1.PeerAuthentication {
	sh := s.shard(ns)
	if sh == nil || (labels != nil && ns == s.mesh.root) {
		return nil
	}
	var oldest *securityv1.PeerAuthentication
	for _, p := range sh.peerAuthentications {
		match := p.Spec.Selector.GetMatchLabels()
		if (len(match) == 0) != (labels == nil) || !isSubset(match, labels) {
			continue
		}
		switch {
		case oldest == nil || p.CreationTimestamp.Before(&oldest.CreationTimestamp),
			p.CreationTimestamp.Equal(&oldest.CreationTimestamp) && weakness(p) > weakness(oldest):
			oldest = p
		}
	}
	return oldest
}

// weakness ranks the weakest mode of a policy, ports included. Files carry no
// creation time, so which of several counts is open: the weakest is assumed.
func weakness(p *securityv1.PeerAuthentication) int {
	rank := map[mtlsMode]int{mtlsStrict: 0, mtlsUnset: 1, mtlsPermissive: 2, istiosecurity.PeerAuthentication_MutualTLS_DISABLE: 3}
	weakest := rank[p.Spec.Mtls.GetMode()]
	for _, m := range p.Spec.PortLevelMtls {
		if m.GetMode() != mtlsUnset {
			weakest = max(weakest, rank[m.GetMode()])
		}
	}
	return weakest
}

// meshState tells whether a pod will be in the mesh.
type meshState int

const (
	meshUnknown meshState = iota
	meshIn
	meshOut
	meshNone // the Profile or the cluster says there is no mesh
)

// enrolment is whether a pod will be in the mesh, how, and if not why.
type enrolment struct {
	state meshState
	mesh  v1alpha1.Mesh // sidecar or ambient
	// why a pod stays out, as a sentence.
	why string
	// member and key lead to what keeps it out, below the pod template.
	member, key string
	// silent: nothing says that it should stay out; it was not asked in.
	silent  bool
	missing Fact
}

// field is what keeps a pod out of the mesh; nil when that is its namespace.
func (e *enrolment) field(w *Workload) *field.Path {
	switch {
	case e.member == "":
		return nil
	case e.key == "":
		return w.PodPath.Child("spec", e.member)
	}
	return w.PodPath.Child("metadata", e.member).Key(e.key)
}

// enrolment decides how a pod takes part in the mesh.
func (s *Snapshot) enrolment(w *Workload) enrolment {
	e := enrolment{mesh: s.meshKind()}
	if e.mesh == v1alpha1.MeshNone {
		e.state = meshNone
		return e
	}
	labels, presence := s.Namespace(w.Ref.Namespace)
	if e.mesh == v1alpha1.MeshAuto {
		e.mesh = autoMesh(w, labels, presence)
	}
	switch {
	case w.Mesh.HostNetwork:
		e.state, e.why, e.member = meshOut, "the pod is on the host network, where no proxy sees its traffic", "hostNetwork"
		return e
	case (w.Mesh.HasProxy || w.Mesh.Redirected) && !optsOut(w, e.mesh):
		e.state = meshIn
		return e
	case e.mesh == meshAmbient:
		return s.ambientEnrolment(w, e, labels, presence)
	}
	return s.sidecarEnrolment(w, e, labels, presence)
}

// optsOut tells whether a pod itself asks to stay out of a kind of mesh. Such a
// pod gets no proxy, whatever its containers and annotations look like.
func optsOut(w *Workload, mesh v1alpha1.Mesh) bool {
	if mesh == meshAmbient && !w.Mesh.HasProxy {
		return w.Mesh.DataplaneMode != "" && w.Mesh.DataplaneMode != "ambient"
	}
	return w.Mesh.Inject != "" && w.Mesh.Inject != "true"
}

// autoMesh reads the kind of mesh from labels: ambient where the namespace asks
// for it and the pod has no label that asks for a sidecar, else sidecars. The
// label of a pod alone proves no ambient mesh; it counts where the labels of its
// namespace are not known.
func autoMesh(w *Workload, labels map[string]string, presence Presence) v1alpha1.Mesh {
	if labels[labelDataplaneMode] == "ambient" && w.Labels[labelInject] != "true" ||
		presence == Unknown && w.Mesh.DataplaneMode == "ambient" {
		return meshAmbient
	}
	return meshSidecar
}

func (s *Snapshot) ambientEnrolment(w *Workload, e enrolment, labels map[string]string, presence Presence) enrolment {
	switch w.Mesh.DataplaneMode {
	case "ambient":
		e.state = meshIn
	case "":
		switch {
		case presence == Unknown:
			e.state, e.missing = meshUnknown, Fact{Kind: FactNamespace, Name: w.Ref.Namespace}
		case labels[labelDataplaneMode] == "ambient":
			e.state = meshIn
		default:
			e.state, e.silent = meshOut, true
			e.why = "neither the pod nor its namespace has the label " + labelDataplaneMode + ": ambient"
			e.member, e.key = "labels", labelDataplaneMode
		}
	default:
		e.state = meshOut
		e.why = "its label " + labelDataplaneMode + ": " + w.Mesh.DataplaneMode + " keeps it out of the mesh"
		e.member, e.key = "labels", labelDataplaneMode
	}
	return e
}

// hasRevision tells whether a revision of Istio is the one that is known to
// inject: that of the Profile, else the default.
func (s *Snapshot) hasRevision(rev string) bool {
	return rev == s.profile.Revision || rev == "default" && s.profile.Revision == ""
}

// sidecarEnrolment follows the selectors of Istio's injection webhook: a pod
// reaches it through its namespace, or through its own labels; an annotation
// alone does not. What reaches it may still opt out.
func (s *Snapshot) sidecarEnrolment(w *Workload, e enrolment, labels map[string]string, presence Presence) enrolment {
	e.member, e.key = "labels", labelInject
	_, labelled := w.Labels[labelInject]
	if !labelled && w.Mesh.Inject != "" {
		e.member = "annotations"
	}
	rev := w.Mesh.Revision
	injection, said := labels[labelInjection]
	switch {
	case said && injection != "enabled": // whatever it is, Istio's webhook never sees the pods
		e.state = meshOut
		e.why = "the label " + labelInjection + ": " + injection + " of its namespace keeps it out of the mesh"
		if injection != "disabled" {
			e.why += " (only enabled lets it in)"
		}
		e.member = ""
	case optsOut(w, meshSidecar):
		e.state = meshOut
		e.why = labelInject + ": " + w.Mesh.Inject + " keeps it out of the mesh"
	case said:
		e.state = meshIn
	case labels[labelRevision] != "": // and Istio does not look at the pod's own
		e.state = meshIn
		if !s.hasRevision(labels[labelRevision]) {
			// During an upgrade there are two, and the Profile names one.
			e.state, e.missing = meshUnknown, Fact{Kind: FactMesh, Name: "revision " + labels[labelRevision]}
		}
	case rev != "" && s.hasRevision(rev):
		e.state = meshIn
	case rev != "" && s.profile.Revision == "":
		e.state, e.missing = meshUnknown, Fact{Kind: FactMesh, Name: "revision " + rev}
	case rev == "" && w.Labels[labelInject] == "true":
		e.state = meshIn
	case presence == Unknown && !s.mesh.known:
		e.state, e.missing = meshUnknown, Fact{Kind: FactMesh}
	case presence == Unknown:
		e.state, e.missing = meshUnknown, Fact{Kind: FactNamespace, Name: w.Ref.Namespace}
		e.silent = w.Mesh.Inject == "" && rev == ""
	case rev != "":
		e.state, e.key = meshOut, labelRevision
		e.member = "labels"
		e.why = "its label " + labelRevision + ": " + rev + " names another revision than the Profile (" + s.profile.Revision + ")"
	case w.Mesh.DataplaneMode == "ambient":
		e.state, e.member, e.key = meshOut, "labels", labelDataplaneMode
		e.why = "its label " + labelDataplaneMode + ": ambient counts only where the namespace or the Profile says ambient"
	case w.Mesh.Inject == "true":
		e.state = meshOut
		e.why = "the annotation " + labelInject + ": true counts only where the namespace injects; make it a label"
	default:
		e.state, e.silent = meshOut, true
		e.why = "neither the pod nor its namespace asks for a sidecar"
	}
	return e
}
