package policy

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// keyMount is a mount through which a container sees something of a Secret with
// a private key.
type keyMount struct {
	workload  *Workload
	container *Container
	mount     int
	source    volumeSource
	pods      int
}

// mounted notes the mounts of a workload that lead to Secrets with private keys.
func (b *keyringBuilder) mounted(w *Workload, m member) {
	for i := range w.Containers {
		c := &w.Containers[i]
		for j := range c.Mounts {
			v := w.volume(c.Mounts[j].Name)
			if v < 0 {
				continue
			}
			for src := range volumeSources(&w.Volumes[v].VolumeSource) {
				if src.source != FromSecret {
					continue
				}
				if d, presence := b.s.data(FromSecret, w.Ref.Namespace, src.object); presence == Present && len(d.private) > 0 {
					b.mounts = append(b.mounts, keyMount{w, c, j, src, int(m.pods)})
				}
			}
		}
	}
}

// withMounts are the users of an entry together with the containers that see it
// without signing.
func (b *keyringBuilder) withMounts(e *SigningEntry) []KeyUser {
	users := e.Users
	for i := range b.mounts {
		m := &b.mounts[i]
		if e.Object.Kind != "Secret" || m.source.object != e.Object.Name || m.workload.Ref.Namespace != e.Namespace {
			continue
		}
		at, ok := m.path(e.Entry)
		same := func(u KeyUser) bool { return u.Workload == m.workload.Ref && u.Container == m.container.Name }
		if ok && !slices.ContainsFunc(users, same) {
			users = append(slices.Clip(users), KeyUser{Workload: m.workload.Ref, Container: m.container.Name, Path: at, Pods: m.pods})
		}
	}
	return users
}

// path is where the container sees an entry; false where it does not.
func (m *keyMount) path(entry string) (string, bool) {
	mount := &m.container.Mounts[m.mount]
	at := cleanMountPath(mount.MountPath)
	sub, unresolved := m.container.subPath(mount)
	if unresolved != "" {
		return at, true // it may lead there
	}
	sub = volumePath(sub, "")
	for _, name := range m.source.names(entry) {
		switch {
		case sub == "":
			return path.Join(at, name), true
		case name == sub:
			return at, true
		case isBelow(name, sub):
			return path.Join(at, name[len(sub):]), true
		}
	}
	return "", false
}

// verifier notes the objects that a container verifies with.
func (b *keyringBuilder) verifier(w *Workload, m member, v verifier) {
	if v.dir.Presence == Unknown {
		return
	}
	dir := directory(v.dir)
	t := w.Resolve(v.container, dir)
	u := KeyUser{Workload: w.Ref, Container: v.container.Name, Path: t.Path, Pods: int(m.pods)}
	if d, presence, _ := b.s.wholeObject(w, v.container, &t); presence == Present {
		b.verifiers[d.Ref] = append(b.verifiers[d.Ref], u)
		return
	}
	files, _, _, _ := b.s.Files(w, v.container, dir)
	seen := map[Ref]bool{}
	for _, f := range files {
		if f.Data != (Ref{}) && !seen[f.Data] {
			seen[f.Data] = true
			b.verifiers[f.Data] = append(b.verifiers[f.Data], u)
		}
	}
}

// joined counts pods with what makes them, and sorts: a Deployment, its
// ReplicaSet and its pods see the same. Pods tell by their name whose they are.
func joined(users []KeyUser) []KeyUser {
	var makers, pods []KeyUser
	for _, u := range users {
		if u.Workload.Kind == "Pod" || u.Workload.Kind == "ReplicaSet" {
			pods = append(pods, u)
		} else {
			makers = append(makers, u)
		}
	}
	for _, p := range pods {
		best := -1
		for i := range makers {
			m := &makers[i]
			if m.Workload.Namespace == p.Workload.Namespace && m.Container == p.Container && m.Path == p.Path && m.Signs == p.Signs &&
				strings.HasPrefix(p.Workload.Name, m.Workload.Name+"-") && (best < 0 || len(m.Workload.Name) > len(makers[best].Workload.Name)) {
				best = i
			}
		}
		switch {
		case best < 0:
			makers = append(makers, p)
		case p.Workload.Kind == "Pod":
			makers[best].Pods += max(p.Pods, 1)
		}
	}
	slices.SortFunc(makers, func(a, b KeyUser) int {
		return cmp.Or(a.Workload.Compare(b.Workload), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(makers)
}
