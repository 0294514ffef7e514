package policy

import (
	"iter"
	"path"
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
	Source   SettingSource // FromSecret or FromConfigMap
	Object   string
	Key      string // empty for a directory
	Optional bool
	// Listed is set when the volume lists its items and this is one.
	Listed bool
}

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
	inVolume := t.inVolume()
	for i := range w.Volumes {
		if w.Volumes[i].Name == t.Mount.Name {
			t.VolumeIndex = i
			t.Kind = kindOf(&w.Volumes[i].VolumeSource)
			for src := range volumeSources(&w.Volumes[i].VolumeSource) {
				if o, ok := src.origin(inVolume); ok {
					t.Origins = append(t.Origins, o)
				}
			}
			return t
		}
	}
	t.Kind = VolumeMissing
	return t
}

// inVolume is the path below the root of the volume; empty for the root.
func (t *Target) inVolume() string {
	rest := strings.TrimPrefix(strings.TrimPrefix(t.Path, cleanMountPath(t.Mount.MountPath)), "/")
	return path.Join(t.Mount.SubPath, rest)
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
// the answer depends on an object that is not known; fact then names it.
func (s *Snapshot) Entry(ns string, origins []Origin) (entry *Entry, origin *Origin, presence Presence, fact Fact) {
	for i := range origins {
		o := &origins[i]
		data, presence := s.data(o.Source, ns, o.Object)
		switch presence {
		case Unknown:
			return nil, o, Unknown, o.Source.fact(ns, o.Object)
		case Present:
			if e, ok := data.Entry(o.Key); ok {
				return e, o, Present, Fact{}
			}
		case Absent:
		}
	}
	return nil, nil, Absent, Fact{}
}

// File is a file in a directory that a container sees.
type File struct {
	Name   string
	Entry  *Entry
	Origin Origin
	Data   Ref // the object it comes from
}

// Files lists the files a container sees in a directory. presence is Unknown
// (with the fact) when an object behind it is not known, and Absent when the
// directory is not on a volume that Secrets and ConfigMaps fill.
func (s *Snapshot) Files(w *Workload, c *Container, dir string) (files []File, target Target, presence Presence, fact Fact) {
	target = w.Resolve(c, dir)
	if target.Kind != VolumeSecret && target.Kind != VolumeConfigMap && target.Kind != VolumeProjected {
		return nil, target, Absent, Fact{}
	}
	volume := &w.Volumes[target.VolumeIndex].VolumeSource
	prefix := target.inVolume()
	seen := map[string]bool{}
	for src := range volumeSources(volume) {
		data, presence := s.data(src.source, w.Ref.Namespace, src.object)
		if presence == Unknown {
			return nil, target, Unknown, src.source.fact(w.Ref.Namespace, src.object)
		}
		if presence == Absent {
			continue
		}
		for i := range data.Entries {
			e := &data.Entries[i]
			for _, name := range src.names(e.Key) {
				name, ok := below(name, prefix)
				if ok && !seen[name] {
					seen[name] = true
					files = append(files, File{Name: name, Entry: e, Data: data.Ref, Origin: Origin{Source: src.source, Object: src.object, Key: e.Key, Listed: len(src.items) > 0}})
				}
			}
		}
	}
	return files, target, Present, Fact{}
}

// below returns the name of a file directly in dir of a volume.
func below(p, dir string) (string, bool) {
	if dir != "" {
		rest, ok := strings.CutPrefix(p, dir+"/")
		if !ok {
			return "", false
		}
		p = rest
	}
	return p, p != "" && !strings.Contains(p, "/")
}

// volumeSource is one Secret or ConfigMap of a volume.
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

// volumeSources yields the Secrets and ConfigMaps of a volume, the winning one
// first.
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

func projection(p *corev1.VolumeProjection) (volumeSource, bool) {
	switch {
	case p.Secret != nil:
		return volumeSource{FromSecret, p.Secret.Name, p.Secret.Items, isTrue(p.Secret.Optional)}, true
	case p.ConfigMap != nil:
		return volumeSource{FromConfigMap, p.ConfigMap.Name, p.ConfigMap.Items, isTrue(p.ConfigMap.Optional)}, true
	}
	return volumeSource{}, false
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
