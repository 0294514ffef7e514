package policy

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Input is an object to be judged.
type Input struct {
	// Ref names the input when Object is nil, see [ValuesInput].
	Ref    Ref
	Object runtime.Object
	Old    runtime.Object
	// Raw is the tree as written, where the door has one.
	Raw map[string]any
}

// Review is the one path from objects to a report: it makes subjects, injects
// where admission would inject, and evaluates. With inject false the objects
// are judged as they were written.
func Review(checks []Check, inputs []Input, snap *Snapshot, inject bool) Report {
	subjects := make([]Subject, 0, len(inputs))
	var injected []Injection
	for _, in := range inputs {
		sub := snap.Subject(in)
		if inject && sub.Pod != nil {
			injected = append(injected, sub.inject(snap)...)
		}
		subjects = append(subjects, sub)
	}
	r := Evaluate(checks, subjects, snap)
	r.Injected = injected
	return r
}

// Subject prepares an object for judgement.
func (s *Snapshot) Subject(in Input) Subject {
	if in.Object == nil {
		return Subject{Ref: in.Ref, Raw: in.Raw}
	}
	sub := Subject{Ref: RefOf(in.Object), Object: in.Object, Old: in.Old, Raw: in.Raw}
	if u, ok := in.Object.(*unstructured.Unstructured); ok && sub.Raw == nil {
		sub.Raw = u.Object
	}
	if m, ok := podOf(in.Object); ok {
		sub.setPod(m, s)
	}
	return sub
}

// setPod resolves the pod of a subject.
func (sub *Subject) setPod(m maker, s *Snapshot) {
	sub.Pod, sub.Workload, sub.key = m.pod, s.workload(sub.Ref, m), nil
	if sub.Workload.Signs {
		k := s.signingKey(sub.Workload)
		sub.key = &k
	}
}

// workload resolves a pod and unmasks one that hides: whoever mounts the
// signing key of a DFSP is an SDK, whatever its image is called.
func (s *Snapshot) workload(ref Ref, m maker) *Workload {
	w := newWorkload(ref, m.meta, m.pod, m.path, &s.profile.recogniser, s.hasher)
	if w.Role == RoleSDK || w.Role == RoleHub || w.Role == RoleDatastore {
		return w
	}
	for i := range w.Containers {
		if c := &w.Containers[i]; c.Kind != EphemeralContainer && s.mountsSigningKey(w, c) {
			c.SDK = true
			w.Role, w.Component, w.Signs = RoleSDK, componentSDK, true
		}
	}
	return w
}

// mountsSigningKey tells whether a container mounts a private key whose public
// half some verifier holds.
func (s *Snapshot) mountsSigningKey(w *Workload, c *Container) bool {
	for i := range c.Mounts {
		files, _, presence, _ := s.Files(w, c, c.Mounts[i].MountPath)
		if presence != Present {
			continue
		}
		for _, f := range files {
			key, ok := f.Entry.SigningKey()
			if !ok {
				continue
			}
			if s.whole().heldKeys[key.Fingerprint] {
				return true
			}
		}
	}
	return false
}

// inject makes the pod of a subject right where admission would, and notes
// what it would do where admission may not.
func (sub *Subject) inject(snap *Snapshot) []Injection {
	pod, changes := Injector{}.inject(sub.Pod, sub.Workload, snap)
	if len(changes) == 0 {
		return nil
	}
	if mode, presence := snap.modeOf(sub); presence == Present && mode != ModeEnforce {
		for _, c := range changes {
			sub.Injectable = append(sub.Injectable, c.Check)
		}
		return nil
	}
	m, _ := podOf(sub.Object)
	sub.setPod(maker{m.meta, pod, m.path}, snap)
	sub.Changes = changes
	out := make([]Injection, 0, len(changes))
	for _, c := range changes {
		out = append(out, Injection{Check: c.Check, Subject: sub.Ref, Change: c.Text})
	}
	return out
}
