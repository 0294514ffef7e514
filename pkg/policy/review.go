package policy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/crypto"
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
	sub.Pod, sub.Workload = m.pod, s.workload(sub.Ref, m)
	sub.keys = s.signingKeys(sub.Workload)
}

// workload resolves a pod and unmasks one that hides: whoever mounts the
// signing key of a DFSP, or gets the SDK's settings from elsewhere, is an SDK,
// whatever its image is called.
func (s *Snapshot) workload(ref Ref, m maker) *Workload {
	return s.unmasked(newWorkload(ref, m.meta, m.pod, m.path, &s.profile.recogniser, s.hasher))
}

// unmasked returns the workload that w is by what it mounts and reads: w, or a
// copy.
func (s *Snapshot) unmasked(w *Workload) *Workload {
	if w.Role == RoleSDK {
		return w
	}
	out := w
	for i := range w.Containers {
		c := &w.Containers[i]
		if isIstioContainer(c.Name, c.image) || c.Kind == EphemeralContainer {
			continue
		}
		if s.mountsSigningKey(out, c) || (len(c.EnvFrom) > 0 && s.readsSDKSettings(out, c)) {
			if out == w {
				unmasked := *w
				unmasked.Containers = slices.Clone(w.Containers)
				out = &unmasked
			}
			out.Containers[i].SDK = true
			out.Role, out.Component, out.Signs = RoleSDK, componentSDK, true
		}
	}
	return out
}

// readsSDKSettings tells whether envFrom gives a container what only the SDK
// reads.
func (s *Snapshot) readsSDKSettings(w *Workload, c *Container) bool {
	for _, name := range [...]string{SettingSigningKeyPath, SettingVerificationDir, SettingILPSecret} {
		if name == SettingILPSecret && c.component != "" {
			continue
		}
		if s.envFromValue(w, c, name).Presence == Present {
			return true
		}
	}
	return false
}

// mountsSigningKey tells whether a container mounts a private key whose public
// half some verifier holds. For a hub service only the keys of DFSPs count whose
// SDK is known.
func (s *Snapshot) mountsSigningKey(w *Workload, c *Container) bool {
	for i := range w.Volumes {
		if !slices.ContainsFunc(c.Mounts, func(m corev1.VolumeMount) bool { return m.Name == w.Volumes[i].Name }) {
			continue
		}
		for src := range volumeSources(&w.Volumes[i].VolumeSource) {
			if src.source != FromSecret {
				continue
			}
			data, presence := s.data(src.source, w.Ref.Namespace, src.object)
			if presence != Present {
				continue
			}
			for _, key := range data.private {
				if s.isOthersKey(w, key) {
					return true
				}
			}
		}
	}
	return false
}

// isOthersKey tells whether verifiers hold a key for somebody a workload is
// not.
func (s *Snapshot) isOthersKey(w *Workload, key crypto.Fingerprint) bool {
	ix := s.whole()
	return slices.ContainsFunc(ix.heldKeys[key], func(fsp string) bool {
		if w.Role == RoleHub && len(ix.sdks[fsp]) == 0 {
			return false
		}
		// A public key is no secret: a stranger who holds it makes nobody an SDK.
		return slices.ContainsFunc(ix.held[fsp], func(h heldKey) bool {
			return h.key.Fingerprint == key && !s.stranger(h.verifier, w.Ref.Namespace)
		})
	})
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
			if c.Check != checkQuarantineHeld.ID {
				sub.Injectable = append(sub.Injectable, c.Check)
			}
		}
		// A quarantine stands in every mode.
		if pod, changes = markerOnly(sub.Pod, sub.Workload, snap); len(changes) == 0 {
			return nil
		}
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
