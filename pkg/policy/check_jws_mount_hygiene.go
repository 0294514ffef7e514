package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// jws-mount-hygiene: the signing key is mounted read-only, without subPath,
// readable by the process, and in the signing container only.
var checkJWSMountHygiene = Check{
	ID: "jws-mount-hygiene", Category: CategoryKeys, Severity: Warning,
	Title: "the key mount is tidy: read-only, whole, readable, for the signer alone",
	Fix:   "mount the whole Secret at a directory of its own with `readOnly: true`, in the signing container only",
	Doc: `Four things about the mount of a signing key:

- ` + "`readOnly: true`" + `: nothing has to write there;
- no ` + "`subPath`" + `: such a mount never sees a new key, not even after the Secret changed;
- the process can read it: a Secret volume belongs to root, so with ` + "`runAsUser`" + ` or ` + "`runAsNonRoot`" + ` and a mode
  (its own or that of the item) without read permission for others it needs ` + "`fsGroup`" + `;
- only the container that signs has it, through whichever volume: not a sidecar, not an init container.`,
	Run: func(sub *Subject, _ *Snapshot) Result {
		if !signsByRole(sub) {
			return notApplicable
		}
		return sub.eachKey(func(k *keyAt) Result { return tidyMount(sub, k) })
	},
}

// tidyMount judges one signing key.
func tidyMount(sub *Subject, k *keyAt) Result {
	if k.target.Kind != VolumeSecret && k.target.Kind != VolumeProjected {
		return notApplicable
	}
	w, t := sub.Workload, &k.target
	at := func() *field.Path { return t.MountPath(k.container.Path(w)) }
	var found []Violation
	if !t.Mount.ReadOnly {
		found = append(found, Violation{Field: at(), Detail: fmt.Sprintf("the mount of the signing key at %s is not read-only", t.Mount.MountPath)})
	}
	if t.Mount.SubPath != "" || t.Mount.SubPathExpr != "" {
		member := "subPath"
		if t.Mount.SubPath == "" {
			member = "subPathExpr"
		}
		found = append(found, Violation{Field: at().Child(member), Detail: fmt.Sprintf("the mount of the signing key at %s uses %s: it never sees a new key", t.Mount.MountPath, member)})
	}
	if mode, unreadable := unreadableMode(w, k); unreadable {
		found = append(found, Violation{
			Field:  w.PodPath.Child("spec", "volumes").Index(t.VolumeIndex),
			Detail: fmt.Sprintf("volume %s has mode %04o and the process does not run as root: without fsGroup it cannot read the signing key", t.Mount.Name, mode),
		})
	}
	return failedOrPassed(append(found, keyElsewhere(w, k)...))
}

// keyElsewhere reports the containers that see the signing key and do not sign.
func keyElsewhere(w *Workload, k *keyAt) []Violation {
	if k.origin == nil {
		return nil
	}
	var found []Violation
	for i := range w.Containers {
		c := &w.Containers[i]
		if c.SDK || (c.Kind == k.container.Kind && c.Index == k.container.Index) {
			continue
		}
		for j := range c.Mounts {
			if w.shows(c, &c.Mounts[j], k.origin) {
				found = append(found, Violation{Field: c.Path(w).Child("volumeMounts").Index(j), Detail: fmt.Sprintf("container %s mounts the signing key too, and does not sign", c.Name)})
			}
		}
	}
	return found
}

// unreadableMode tells that a process cannot read a Secret volume.
func unreadableMode(w *Workload, k *keyAt) (int32, bool) {
	volume := &w.Volumes[k.target.VolumeIndex].VolumeSource
	mode := corev1.SecretVolumeSourceDefaultMode
	switch {
	case volume.Secret != nil && volume.Secret.DefaultMode != nil:
		mode = *volume.Secret.DefaultMode
	case volume.Projected != nil && volume.Projected.DefaultMode != nil:
		mode = *volume.Projected.DefaultMode
	}
	if own := itemMode(volume, k.origin); own != nil {
		mode = *own
	}
	const othersRead = 0o004
	if mode&othersRead != 0 {
		return mode, false
	}
	return mode, !w.fsGroup && k.container.nonRoot
}

// itemMode returns the mode that the item of a file sets; nil when none does.
func itemMode(volume *corev1.VolumeSource, file *Origin) *int32 {
	if file == nil {
		return nil
	}
	for src := range volumeSources(volume) {
		if src.source != file.Source || src.object != file.Object {
			continue
		}
		for i := range src.items {
			if src.items[i].Key == file.Key {
				return src.items[i].Mode
			}
		}
	}
	return nil
}

// nonRoot tells that a process certainly does not run as root.
func nonRoot(pod *corev1.PodSecurityContext, own *corev1.SecurityContext) bool {
	if own != nil && own.RunAsUser != nil {
		return *own.RunAsUser != 0
	}
	if own != nil && isTrue(own.RunAsNonRoot) {
		return true
	}
	return pod != nil && ((pod.RunAsUser != nil && *pod.RunAsUser != 0) || isTrue(pod.RunAsNonRoot))
}
