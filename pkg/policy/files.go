package policy

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// File is a file in a directory that a container sees.
type File struct {
	Name string
	// Entry is empty when the file comes from elsewhere or is not known.
	Entry  *Entry
	Origin Origin
	Data   Ref // the object it comes from
	// Nested is set when a mount of its own puts the file there.
	Nested bool
	// Missing names what would have to be read to know the file.
	Missing Fact
}

// Files lists the files a container sees in a directory. presence is Unknown
// (with the fact) when an object behind it is not known, and Absent when the
// directory is not on a volume that Secrets and ConfigMaps fill.
func (s *Snapshot) Files(w *Workload, c *Container, dir string) (files []File, target Target, presence Presence, fact Fact) {
	target = w.Resolve(c, dir)
	if target.Kind != VolumeSecret && target.Kind != VolumeConfigMap && target.Kind != VolumeProjected {
		return nil, target, Absent, Fact{}
	}
	if target.unresolved != "" {
		return nil, target, Unknown, Fact{Kind: FactSetting, Namespace: w.Ref.Namespace, Name: target.unresolved}
	}
	prefix := target.inVolume()
	// The keys of one object differ; paths and several sources may repeat.
	_, whole := wholeSource(&w.Volumes[target.VolumeIndex].VolumeSource)
	add := func(f File, p string) {
		name, ok := below(p, prefix)
		if ok && (whole || !slices.ContainsFunc(files, func(o File) bool { return o.Name == name })) {
			f.Name = name
			files = append(files, f)
		}
	}
	for src := range volumeSources(&w.Volumes[target.VolumeIndex].VolumeSource) {
		if src.source == FromElsewhere {
			for _, item := range src.items {
				o, _ := src.origin(item.Path)
				add(File{Entry: &Entry{Key: item.Key}, Origin: o}, item.Path)
			}
			continue
		}
		data, presence := s.data(src.source, w.Ref.Namespace, src.object)
		if presence == Unknown {
			return nil, target, Unknown, src.source.fact(w.Ref.Namespace, src.object)
		}
		if presence == Absent {
			continue
		}
		for i := range data.Entries {
			e := &data.Entries[i]
			for _, p := range src.names(e.Key) {
				add(File{Entry: e, Data: data.Ref, Origin: Origin{Source: src.source, Object: src.object, Key: e.Key, Listed: len(src.items) > 0}}, p)
			}
		}
	}
	return s.withNested(w, c, files, target.Path), target, Present, Fact{}
}

// wholeObject returns the one Secret or ConfigMap that a directory is, where
// nothing is mounted below it. The Presence is Absent, without a fact, where the
// directory is something else.
func (s *Snapshot) wholeObject(w *Workload, c *Container, t *Target) (*Data, Presence, Fact) {
	if t.VolumeIndex < 0 || t.unresolved != "" || t.inVolume() != "" || c.hasNested(t.Path) {
		return nil, Absent, Fact{}
	}
	src, whole := wholeSource(&w.Volumes[t.VolumeIndex].VolumeSource)
	if !whole {
		return nil, Absent, Fact{}
	}
	d, presence := s.data(src.source, w.Ref.Namespace, src.object)
	return d, presence, src.source.fact(w.Ref.Namespace, src.object)
}

// withNested puts the mounts directly in dir over the files of the directory.
func (s *Snapshot) withNested(w *Workload, c *Container, files []File, dir string) []File {
	for i := range c.Mounts {
		at := cleanMountPath(c.Mounts[i].MountPath)
		name, ok := below(at, dir)
		if !ok {
			continue
		}
		files = slices.DeleteFunc(files, func(f File) bool { return f.Name == name })
		files = append(files, s.nested(w, c, at, name))
	}
	return files
}

// nested is what a mount of its own puts at a path.
func (s *Snapshot) nested(w *Workload, c *Container, at, name string) File {
	t := w.Resolve(c, at)
	f := File{Name: name, Nested: true, Entry: &Entry{Key: name}, Origin: Origin{Source: FromElsewhere, Object: "another mount (" + string(t.Kind) + ")"}}
	if len(t.Origins) == 0 || t.Origins[0].isDirectory() {
		return f
	}
	entry, origin, presence, missing := s.Entry(w.Ref.Namespace, t.Origins)
	switch presence {
	case Present:
		data, _ := s.data(origin.Source, w.Ref.Namespace, origin.Object)
		f.Entry, f.Origin, f.Data = entry, *origin, data.Ref
	case Unknown:
		f.Origin, f.Missing = *origin, missing
	case Absent:
	}
	return f
}

// hasNested tells whether a mount stands below a directory.
func (c *Container) hasNested(dir string) bool {
	return slices.ContainsFunc(c.Mounts, func(m corev1.VolumeMount) bool {
		at := cleanMountPath(m.MountPath)
		return at != dir && isBelow(at, dir)
	})
}

// shows tells whether a mount shows an entry of a Secret or ConfigMap, through
// whichever volume. A sub-path that is not known may lead there.
func (w *Workload) shows(c *Container, m *corev1.VolumeMount, entry *Origin) bool {
	i := w.volume(m.Name)
	if i < 0 {
		return false
	}
	sub, unresolved := c.subPath(m)
	sub = volumePath(sub, "")
	for src := range volumeSources(&w.Volumes[i].VolumeSource) {
		if src.source != entry.Source || src.object != entry.Object {
			continue
		}
		for _, p := range src.names(entry.Key) {
			if sub == "" || unresolved != "" || isBelow(p, sub) {
				return true
			}
		}
	}
	return false
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
