package policy

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// Workload is a pod or pod maker, resolved as far as its own text allows: who
// it is and where its settings, keys and secrets come from. It holds no secret.
type Workload struct {
	Ref Ref
	// PodPath leads from the object to its pod template; nil for a Pod.
	PodPath *field.Path
	Role    Role
	// Component is the name of the Mojaloop component, for example
	// "quoting-service-handler"; empty when Role is Other.
	Component string
	// Signs tells that this component signs FSPIOP messages when its
	// settings say so.
	Signs bool
	// handler marks an event handler of the SDK's chart.
	handler bool
	// Job is set for Jobs, CronJobs, their pods, and Helm hooks.
	Job bool
	// LabelDFSP is the DFSP that labels name; empty when none does.
	LabelDFSP string
	// LabelKey is the label LabelDFSP was read from.
	LabelKey string

	Labels         map[string]string // of the pod
	ServiceAccount string            // "default" when the pod names none
	Containers     []Container
	Volumes        []corev1.Volume
	Mesh           MeshWish

	// fsGroup tells that the pod's volumes belong to a group of its own.
	fsGroup bool
	// pods is set for pods that repeat each other and are kept as one.
	pods *podKey
}

// is tells whether a workload is, or stands for, the object of a reference.
func (w *Workload) is(ref Ref) bool {
	return w.Ref == ref || w.pods != nil && w.pods.covers(ref)
}

// MeshWish is what a pod itself says of the mesh.
type MeshWish struct {
	HostNetwork bool
	// Inject is the value of sidecar.istio.io/inject, the label before the
	// annotation of the same name.
	Inject string
	// DataplaneMode is the pod's own istio.io/dataplane-mode.
	DataplaneMode string
	// Revision is the pod's own istio.io/rev.
	Revision string
	// HasProxy and Redirected tell that a running pod is in the mesh: a
	// container istio-proxy, the annotation ambient.istio.io/redirection.
	HasProxy, Redirected bool
}

// ContainerKind tells containers apart by the list they stand in.
type ContainerKind int

// The kinds of containers. A native sidecar is an init container that keeps
// running.
const (
	MainContainer ContainerKind = iota
	InitContainer
	NativeSidecar
	EphemeralContainer
)

// Container is a container of a Workload.
type Container struct {
	Name  string
	Kind  ContainerKind
	Index int // in its list
	// SDK marks a container that runs the Mojaloop SDK, by image or because
	// it sets what only the SDK reads.
	SDK bool
	// component is what the image is, when that is known.
	component string
	// image is the repository of the image, without tag and digest; handler
	// tells that the command line starts an event handler of the SDK.
	image   string
	handler bool
	// line are the settings on the command line.
	line []lineSetting
	// nonRoot tells that its process certainly does not run as root.
	nonRoot    bool
	WorkingDir string
	Settings   []Setting
	EnvFrom    []EnvFrom
	Mounts     []corev1.VolumeMount
}

// Path returns the field of the container in the object of w.
func (c *Container) Path(w *Workload) *field.Path {
	list := "containers"
	switch c.Kind {
	case InitContainer, NativeSidecar:
		list = "initContainers"
	case EphemeralContainer:
		list = "ephemeralContainers"
	case MainContainer:
	}
	return w.PodPath.Child("spec", list).Index(c.Index)
}

// SDKs returns the containers that run the SDK as a server: main containers,
// native sidecars and those that are added to a running pod; for a pod without any of those, whatever runs the SDK. It is
// empty for pods that are no SDK.
func (w *Workload) SDKs() []*Container {
	var servers, others []*Container
	for i := range w.Containers {
		switch c := &w.Containers[i]; {
		case !c.SDK:
		case c.Kind != InitContainer:
			servers = append(servers, c)
		default:
			others = append(others, c)
		}
	}
	if len(servers) > 0 {
		return servers
	}
	return others
}

// Main returns the container of a hub service: the one with its image, else the
// one named like its component, else the first.
func (w *Workload) Main() *Container {
	var byImage, byName, first *Container
	for i := range w.Containers {
		c := &w.Containers[i]
		if c.Kind != MainContainer {
			continue
		}
		if known, ok := lookupComponent(c.component); byImage == nil && ok && known.role == RoleHub {
			byImage = c
		}
		if byName == nil && c.Name == w.Component {
			byName = c
		}
		if first == nil {
			first = c
		}
	}
	switch {
	case byImage != nil:
		return byImage
	case byName != nil:
		return byName
	}
	return first
}

// newWorkload reduces a pod template. ref and owner describe the object it
// stands in; podPath leads to it.
func newWorkload(ref Ref, meta *metav1.ObjectMeta, pod *corev1.PodTemplateSpec, podPath *field.Path, r *recogniser, h *crypto.Hasher) *Workload {
	spec := &pod.Spec
	w := &Workload{
		Ref: ref, PodPath: podPath, Labels: pod.Labels, Volumes: spec.Volumes,
		ServiceAccount: spec.ServiceAccountName,
		Mesh: MeshWish{
			HostNetwork:   spec.HostNetwork,
			Inject:        pod.Labels[labelInject],
			DataplaneMode: pod.Labels[labelDataplaneMode],
			Revision:      pod.Labels[labelRevision],
			// The node writes the annotation: before that it is a claim.
			Redirected: ref.Kind == "Pod" && spec.NodeName != "" && pod.Annotations[annotationRedirected] == "enabled",
		},
	}
	if sc := spec.SecurityContext; sc != nil {
		w.fsGroup = sc.FSGroup != nil
	}
	if w.ServiceAccount == "" {
		w.ServiceAccount = "default"
	}
	if w.Mesh.Inject == "" {
		w.Mesh.Inject = pod.Annotations[labelInject]
	}
	w.Containers = make([]Container, 0, len(spec.Containers)+len(spec.InitContainers)+len(spec.EphemeralContainers))
	for i := range spec.Containers {
		w.addContainer(&spec.Containers[i], MainContainer, i, pod, h)
	}
	for i := range spec.InitContainers {
		kind := InitContainer
		if p := spec.InitContainers[i].RestartPolicy; p != nil && *p == corev1.ContainerRestartPolicyAlways {
			kind = NativeSidecar
		}
		w.addContainer(&spec.InitContainers[i], kind, i, pod, h)
	}
	for i := range spec.EphemeralContainers {
		// Same fields by definition of the API (EphemeralContainerCommon).
		c := corev1.Container(spec.EphemeralContainers[i].EphemeralContainerCommon)
		w.addContainer(&c, EphemeralContainer, i, pod, h)
	}
	w.Job = isJob(ref.Kind, meta, spec.RestartPolicy)
	r.recognise(w)
	return w
}

func (w *Workload) addContainer(c *corev1.Container, kind ContainerKind, index int, pod *corev1.PodTemplateSpec, h *crypto.Hasher) {
	settings, from := environment(c, pod.Annotations, h)
	w.Containers = append(w.Containers, Container{
		Name: c.Name, Kind: kind, Index: index, WorkingDir: c.WorkingDir,
		image: repository(c.Image), handler: isEventHandler(c), line: lineSettings(c, h), nonRoot: nonRoot(pod.Spec.SecurityContext, c.SecurityContext),
		Settings: settings, EnvFrom: from, Mounts: c.VolumeMounts,
	})
	// Before the pod has a node, a container of that name is a claim, or the
	// settings of the proxy that Istio is to inject.
	placed := w.Ref.Kind == "Pod" && pod.Spec.NodeName != ""
	if placed && c.Name == proxyContainer && startsProxy(c) && (kind == MainContainer || kind == NativeSidecar) {
		w.Mesh.HasProxy = true
	}
}
