package policy

import (
	"iter"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Working directories of the images, where a relative path starts.
const (
	sdkWorkingDir = "/opt/app/modules/api-svc"
	hubWorkingDir = "/opt/app"
)

// absolute resolves a path of a setting against the working directory.
func (c *Container) absolute(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	dir := c.WorkingDir
	if dir == "" {
		dir = hubWorkingDir
		if c.SDK {
			dir = sdkWorkingDir
		}
	}
	return path.Join("/", dir, p)
}

// VolumeKind tells what a volume is made of, as far as rules care.
type VolumeKind string

// The kinds of volumes.
const (
	VolumeNone      VolumeKind = "image" // no volume: the file is the image's
	VolumeSecret    VolumeKind = "Secret"
	VolumeConfigMap VolumeKind = "ConfigMap"
	VolumeProjected VolumeKind = "projected volume"
	VolumeCSI       VolumeKind = "CSI volume"
	VolumeEmptyDir  VolumeKind = "emptyDir"
	VolumeHostPath  VolumeKind = "hostPath"
	VolumeClaim     VolumeKind = "persistent volume claim"
	VolumeOther     VolumeKind = "volume"
	VolumeMissing   VolumeKind = "volume that the pod does not declare"
)

// Origin is one place a mounted file may come from.
type Origin struct {
	// Source is FromElsewhere for what the node makes: a projected token, a
	// field of the pod.
	Source SettingSource
	// Object is the Secret or ConfigMap; from elsewhere, what it is.
	Object   string
	Key      string // empty for a directory
	Optional bool
	// Listed is set when the volume lists its items and this is one.
	Listed bool
	// Unresolved is the variable of a subPathExpr that hides which key it is.
	Unresolved string
}

// isDirectory tells that the path is a directory and not a file.
func (o *Origin) isDirectory() bool { return o.Key == "" && o.Unresolved == "" }

// Target is where a path in a container leads.
type Target struct {
	Path        string // absolute
	Kind        VolumeKind
	Mount       *corev1.VolumeMount
	MountIndex  int
	VolumeIndex int
	// Origins are the Secrets and ConfigMaps that provide the path; of several
	// that have the key the first one wins. Empty when nothing in the volume
	// can provide it.
	Origins []Origin

	sub        string // the mount's sub-path
	unresolved string // the variable that hides it
}

// MountPath returns the field of the mount below its container.
func (t *Target) MountPath(container *field.Path) *field.Path {
	if t.Mount == nil {
		return container.Child("volumeMounts")
	}
	return container.Child("volumeMounts").Index(t.MountIndex)
}

// Resolve follows a path in a container to the volume that provides it, as the
// kubelet mounts it: the mount with the longest path wins, sub-paths and items
// are followed, and a path under no mount belongs to the image.
func (w *Workload) Resolve(c *Container, p string) Target {
	t := Target{Path: c.absolute(p), Kind: VolumeNone, MountIndex: -1, VolumeIndex: -1}
	longest := -1
	for i := range c.Mounts {
		at := cleanMountPath(c.Mounts[i].MountPath)
		// Of two mounts at one path the later is mounted over the earlier.
		if isBelow(t.Path, at) && len(at) >= longest {
			longest, t.Mount, t.MountIndex = len(at), &c.Mounts[i], i
		}
	}
	if t.Mount == nil {
		return t
	}
	t.sub, t.unresolved = c.subPath(t.Mount)
	t.VolumeIndex = w.volume(t.Mount.Name)
	if t.VolumeIndex < 0 {
		t.Kind = VolumeMissing
		return t
	}
	volume := &w.Volumes[t.VolumeIndex].VolumeSource
	t.Kind = kindOf(volume)
	inVolume := t.inVolume()
	for src := range volumeSources(volume) {
		if t.unresolved != "" {
			t.Origins = append(t.Origins, Origin{Source: src.source, Object: src.object, Optional: src.optional, Unresolved: t.unresolved})
		} else if o, ok := src.origin(inVolume); ok {
			t.Origins = append(t.Origins, o)
		}
	}
	return t
}

// volume returns the index of a volume; -1 when the pod does not declare it.
func (w *Workload) volume(name string) int {
	return slices.IndexFunc(w.Volumes, func(v corev1.Volume) bool { return v.Name == name })
}

// inVolume is the path below the root of the volume; empty for the root.
func (t *Target) inVolume() string {
	return volumePath(t.sub, strings.TrimPrefix(strings.TrimPrefix(t.Path, cleanMountPath(t.Mount.MountPath)), "/"))
}

// volumePath joins a sub-path and a path below it. The kubelet keeps the files
// of a Secret or ConfigMap in ..data, and links to them beside it.
func volumePath(sub, rest string) string {
	const dataDir = "..data"
	p := path.Join(sub, rest)
	if p == dataDir || p == "." {
		return ""
	}
	return strings.TrimPrefix(p, dataDir+"/")
}

// subPath returns the sub-path of a mount with the variables of subPathExpr
// expanded. unresolved names the first one whose value the kept settings of the
// container do not tell.
func (c *Container) subPath(m *corev1.VolumeMount) (sub, unresolved string) {
	if m.SubPathExpr == "" {
		return m.SubPath, ""
	}
	var b strings.Builder
	rest := m.SubPathExpr
	for {
		text, after, found := strings.Cut(rest, "$")
		b.WriteString(text)
		name, tail, closed := strings.Cut(after, ")")
		switch {
		case !found:
			return b.String(), ""
		case strings.HasPrefix(after, "$"): // $$ is an escaped $
			b.WriteByte('$')
			rest = after[1:]
		case !closed || name == "" || name[0] != '(':
			b.WriteByte('$')
			rest = after
		default:
			value, known := c.literal(name[1:])
			if !known {
				return "", name[1:]
			}
			b.WriteString(value)
			rest = tail
		}
	}
}

// literal returns the value of a variable that the pod's text tells.
func (c *Container) literal(name string) (string, bool) {
	for i := len(c.Settings) - 1; i >= 0; i-- {
		if s := &c.Settings[i]; s.Name == name {
			return s.Text, s.Source == FromLiteral && s.parts == nil && !isSecretSetting(name)
		}
	}
	return "", false
}

func cleanMountPath(p string) string {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	return path.Clean(p)
}

// isBelow tells whether p is dir or stands under it.
func isBelow(p, dir string) bool {
	return dir == "/" || p == dir || (len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir)
}

// secretDrivers are the CSI drivers that mount secrets of an outside store. Any
// other may mount anything.
var secretDrivers = []string{"secrets-store.csi.k8s.io", "secrets-store-gke.csi.k8s.io"}

// unknownDriver names the driver of a CSI volume that may hold anything; it is
// the zero Fact for one that mounts secrets and for other volumes.
func (w *Workload) unknownDriver(t *Target) Fact {
	if t.Kind != VolumeCSI {
		return Fact{}
	}
	if driver := w.Volumes[t.VolumeIndex].CSI.Driver; !slices.Contains(secretDrivers, driver) {
		return Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: "CSI driver " + driver}
	}
	return Fact{}
}

// kindOf tells what a volume is.
func kindOf(v *corev1.VolumeSource) VolumeKind {
	switch {
	case v.Secret != nil:
		return VolumeSecret
	case v.ConfigMap != nil:
		return VolumeConfigMap
	case v.Projected != nil:
		return VolumeProjected
	case v.CSI != nil:
		return VolumeCSI
	case v.EmptyDir != nil:
		return VolumeEmptyDir
	case v.HostPath != nil:
		return VolumeHostPath
	case v.PersistentVolumeClaim != nil, v.Ephemeral != nil:
		return VolumeClaim
	}
	return VolumeOther
}

// Entry finds the entry an origin list leads to. The Presence is Unknown when
// the answer depends on an object that is not known; fact then names it. It is
// Absent with an origin when the file comes from elsewhere.
func (s *Snapshot) Entry(ns string, origins []Origin) (entry *Entry, origin *Origin, presence Presence, fact Fact) {
	for i := range origins {
		o := &origins[i]
		switch {
		case o.Unresolved != "":
			return nil, o, Unknown, Fact{Kind: FactSetting, Namespace: ns, Name: o.Unresolved}
		case o.Source == FromElsewhere:
			return nil, o, Absent, Fact{}
		}
		data, presence := s.data(o.Source, ns, o.Object)
		switch presence {
		case Unknown:
			return nil, o, Unknown, o.Source.fact(ns, o.Object)
		case Present:
			if e, ok := data.Entry(o.Key); ok {
				return e, o, Present, Fact{}
			}
			s.lookedUp(o.Source.fact(ns, o.Object))
		case Absent:
		}
	}
	return nil, nil, Absent, Fact{}
}

// volumeSource is one Secret or ConfigMap of a volume, or what a projected
// volume has from elsewhere; that always lists its items.
type volumeSource struct {
	source   SettingSource
	object   string
	items    []corev1.KeyToPath
	optional bool
}

// origin returns what in the source provides a path of the volume. An empty
// path is the volume as a whole.
func (v volumeSource) origin(p string) (Origin, bool) {
	o := Origin{Source: v.source, Object: v.object, Optional: v.optional, Listed: len(v.items) > 0}
	switch {
	case p == "":
		return o, true
	case !o.Listed:
		o.Key = p
		return o, !strings.Contains(p, "/")
	}
	for _, item := range v.items {
		if path.Clean(item.Path) == p {
			o.Key = item.Key
			return o, true
		}
	}
	return o, false
}

// names returns the paths at which a key appears in the volume.
func (v volumeSource) names(key string) []string {
	if len(v.items) == 0 {
		return []string{key}
	}
	var out []string
	for _, item := range v.items {
		if item.Key == key {
			out = append(out, path.Clean(item.Path))
		}
	}
	return out
}

// volumeSources yields what fills a volume of Secrets and ConfigMaps, the
// winning one first.
func volumeSources(v *corev1.VolumeSource) iter.Seq[volumeSource] {
	return func(yield func(volumeSource) bool) {
		switch {
		case v.Secret != nil:
			yield(volumeSource{FromSecret, v.Secret.SecretName, v.Secret.Items, isTrue(v.Secret.Optional)})
		case v.ConfigMap != nil:
			yield(volumeSource{FromConfigMap, v.ConfigMap.Name, v.ConfigMap.Items, isTrue(v.ConfigMap.Optional)})
		case v.Projected != nil:
			// The kubelet writes the sources in order, so a later one wins.
			for i := len(v.Projected.Sources) - 1; i >= 0; i-- {
				if src, ok := projection(&v.Projected.Sources[i]); ok && !yield(src) {
					return
				}
			}
		}
	}
}

// projection returns one source of a projected volume; it is false for one that
// puts no file there.
func projection(p *corev1.VolumeProjection) (volumeSource, bool) {
	src := volumeSource{source: FromElsewhere}
	add := func(at string) {
		if at != "" {
			src.items = append(src.items, corev1.KeyToPath{Key: at, Path: at})
		}
	}
	switch {
	case p.Secret != nil:
		return volumeSource{FromSecret, p.Secret.Name, p.Secret.Items, isTrue(p.Secret.Optional)}, true
	case p.ConfigMap != nil:
		return volumeSource{FromConfigMap, p.ConfigMap.Name, p.ConfigMap.Items, isTrue(p.ConfigMap.Optional)}, true
	case p.DownwardAPI != nil:
		src.object = "the downward API"
		for i := range p.DownwardAPI.Items {
			add(p.DownwardAPI.Items[i].Path)
		}
	case p.ServiceAccountToken != nil:
		src.object = "a ServiceAccount token"
		add(p.ServiceAccountToken.Path)
	case p.ClusterTrustBundle != nil:
		src.object = "a ClusterTrustBundle"
		add(p.ClusterTrustBundle.Path)
	case p.PodCertificate != nil:
		src.object = "a pod certificate"
		add(p.PodCertificate.CredentialBundlePath)
		add(p.PodCertificate.KeyPath)
		add(p.PodCertificate.CertificateChainPath)
	}
	return src, len(src.items) > 0
}

// wholeSource returns the one Secret or ConfigMap that a volume is, when it is
// one as a whole.
func wholeSource(v *corev1.VolumeSource) (volumeSource, bool) {
	if v.Projected != nil {
		return volumeSource{}, false
	}
	for src := range volumeSources(v) {
		return src, len(src.items) == 0
	}
	return volumeSource{}, false
}
