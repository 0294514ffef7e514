package policy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Change is one thing the Injector adds to a pod.
type Change struct {
	// Check is the check that asks for it.
	Check ID
	// Path is the list or map of the object that gets a new member.
	Path *field.Path
	// Key is the key of the member when Path is a map.
	Key string
	// Value is the member: a corev1.EnvVar, corev1.Volume, corev1.VolumeMount
	// or, in a map, a string.
	Value any
	// Text says it in a report.
	Text string
}

// Injector makes a pod right: it sets what is absent and overrides nothing.
type Injector struct{}

// Names of the volumes the Injector adds.
const (
	volumeSigningKey       = "mojasec-jws-keys"
	volumeVerificationKeys = "mojasec-jws-verification-keys"
)

// Inject returns a copy of a pod with what its checks ask for and what is
// absent, and the list of changes. Without changes it returns the pod itself.
// Injecting into the result changes nothing more.
func (i Injector) Inject(pod *corev1.PodTemplateSpec, ns string, snap *Snapshot) (*corev1.PodTemplateSpec, []Change) {
	w := snap.workload(Ref{APIVersion: "v1", Kind: "Pod", Namespace: ns, Name: pod.Name}, maker{&pod.ObjectMeta, pod, nil})
	return i.inject(pod, w, snap)
}

// injection is a pod in the making.
type injection struct {
	snap    *Snapshot
	w       *Workload
	pod     *corev1.PodTemplateSpec // the copy; nil until the first change
	from    *corev1.PodTemplateSpec
	changes []Change
}

func (Injector) inject(pod *corev1.PodTemplateSpec, w *Workload, snap *Snapshot) (*corev1.PodTemplateSpec, []Change) {
	in := injection{snap: snap, w: w, from: pod}
	if w.Role == RoleSDK {
		in.keys()
		in.ilpSecret()
	}
	if w.Role.Mojaloop() {
		in.mesh()
	}
	in.marker()
	if in.pod == nil {
		return pod, nil
	}
	return in.pod, in.changes
}

// target returns the copy that is changed.
func (in *injection) target() *corev1.PodTemplateSpec {
	if in.pod == nil {
		in.pod = in.from.DeepCopy()
	}
	return in.pod
}

// keys mounts the signing key and the verification keys where they are absent.
func (in *injection) keys() {
	for _, c := range in.w.SDKs() {
		if c.Kind == EphemeralContainer || in.snap.usesExternalKeys(in.w, c) {
			continue
		}
		in.signingKey(c)
		in.verificationKeys(c)
	}
}

func (in *injection) signingKey(c *Container) {
	p := &in.snap.profile.JWS
	name, ok := in.secretName(p.SecretName)
	if !ok || !in.free(c, SettingSigningKeyPath, p.MountPath, defaultSigningKey) {
		return
	}
	volume := corev1.Volume{Name: volumeSigningKey, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
	in.mount("jws-signing-key-mounted", c, volume, p.MountPath, "Secret "+name)
	in.env("jws-signing-key-mounted", c, corev1.EnvVar{Name: SettingSigningKeyPath, Value: p.MountPath + "/" + p.KeyFile})
}

func (in *injection) verificationKeys(c *Container) {
	p := &in.snap.profile.JWS
	if !in.free(c, SettingVerificationDir, p.VerificationDirectory, defaultVerificationDir) {
		return
	}
	if volume, what, ok := in.verificationVolume(); ok {
		in.mount("jws-verification-keys-mounted", c, volume, p.VerificationDirectory, what)
		in.env("jws-verification-keys-mounted", c, corev1.EnvVar{Name: SettingVerificationDir, Value: p.VerificationDirectory})
	}
}

// secretName fills the DFSP of the pod into a pattern. It is false when the
// DFSP is not known, the name would be none, or no such Secret exists.
func (in *injection) secretName(pattern string) (string, bool) {
	dfsp := in.snap.DFSP(in.w)
	if dfsp.Presence != Present || !dfsp.IsText {
		return "", false
	}
	name, ok := forDFSP(pattern, dfsp.Text)
	if !ok {
		return "", false
	}
	_, presence := in.snap.Secret(in.w.Ref.Namespace, name)
	return name, presence != Absent
}

// free tells whether a setting is absent for certain and nothing is mounted
// where it would point or where the image looks.
func (in *injection) free(c *Container, setting, mountPath, byDefault string) bool {
	if sets(c, setting) || in.snap.Value(in.w, c, setting).Presence != Absent {
		return false
	}
	for _, m := range c.Mounts {
		at := cleanMountPath(m.MountPath)
		if isBelow(at, mountPath) || isBelow(c.absolute(byDefault), at) && at != "/" {
			return false
		}
	}
	return true
}

// verificationVolume is the ConfigMap of the peers' public keys, or the Secret
// of that name where only that exists.
func (in *injection) verificationVolume() (corev1.Volume, string, bool) {
	name, ns := in.snap.profile.JWS.VerificationConfigMap, in.w.Ref.Namespace
	_, configMap := in.snap.ConfigMap(ns, name)
	_, secret := in.snap.Secret(ns, name)
	v := corev1.Volume{Name: volumeVerificationKeys}
	switch {
	case configMap == Absent && secret == Absent:
		return v, "", false
	case secret == Present && configMap != Present:
		v.Secret = &corev1.SecretVolumeSource{SecretName: name}
		return v, "Secret " + name, true
	}
	v.ConfigMap = &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
	return v, "ConfigMap " + name, true
}

// ilpSecret sets ILP_SECRET from the DFSP's Secret in every container of the
// SDK that has none.
func (in *injection) ilpSecret() {
	p := &in.snap.profile.ILP
	name, ok := in.secretName(p.SecretName)
	if !ok {
		return
	}
	for i := range in.w.Containers {
		c := &in.w.Containers[i]
		if !c.SDK || c.Kind == EphemeralContainer || sets(c, SettingILPSecret) || in.snap.Value(in.w, c, SettingILPSecret).Presence != Absent {
			continue
		}
		in.env("ilp-secret-set", c, corev1.EnvVar{Name: SettingILPSecret, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: p.Key},
		}})
	}
}

// mesh enrols a pod that nothing enrols and nothing keeps out.
func (in *injection) mesh() {
	e := in.snap.enrolment(in.w)
	if e.state != meshOut || !e.silent {
		return
	}
	for _, key := range [...]string{labelInject, labelDataplaneMode} {
		if _, said := in.w.Labels[key]; said {
			return
		}
	}
	if e.mesh == meshAmbient {
		in.label(checkMTLSInMesh.ID, labelDataplaneMode, "ambient")
		return
	}
	in.label(checkMTLSInMesh.ID, labelInject, "true")
	if rev := in.snap.profile.Revision; rev != "" && in.w.Mesh.Revision == "" {
		in.label(checkMTLSInMesh.ID, labelRevision, rev)
	}
}

func (in *injection) label(check ID, key, value string) {
	pod := in.target()
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[key] = value
	in.changes = append(in.changes, Change{
		Check: check, Path: in.w.PodPath.Child("metadata", "labels"), Key: key, Value: value,
		Text: fmt.Sprintf("label %s: %q", key, value),
	})
}

// container returns the copy of a container and its path in the template.
func (in *injection) container(c *Container) (*corev1.Container, *field.Path) {
	spec := &in.target().Spec
	if c.Kind == MainContainer {
		return &spec.Containers[c.Index], c.Path(in.w)
	}
	return &spec.InitContainers[c.Index], c.Path(in.w)
}

func (in *injection) env(check ID, c *Container, v corev1.EnvVar) {
	target, path := in.container(c)
	target.Env = append(target.Env, v)
	text := fmt.Sprintf("env %s=%s in container %s", v.Name, v.Value, c.Name)
	if v.ValueFrom != nil {
		text = fmt.Sprintf("env %s from Secret %s key %s in container %s", v.Name, v.ValueFrom.SecretKeyRef.Name, v.ValueFrom.SecretKeyRef.Key, c.Name)
	}
	in.changes = append(in.changes, Change{Check: check, Path: path.Child("env"), Value: v, Text: text})
}

// mount adds a volume, unless the pod has it, and mounts it read-only.
func (in *injection) mount(check ID, c *Container, volume corev1.Volume, at, what string) {
	target, path := in.container(c)
	volumes := &in.pod.Spec.Volumes
	volume.Name = freeVolumeName(*volumes, volume)
	if !slices.ContainsFunc(*volumes, func(v corev1.Volume) bool { return v.Name == volume.Name }) {
		*volumes = append(*volumes, volume)
		in.changes = append(in.changes, Change{
			Check: check, Path: in.w.PodPath.Child("spec", "volumes"), Value: volume,
			Text: fmt.Sprintf("volume %s from %s", volume.Name, what),
		})
	}
	m := corev1.VolumeMount{Name: volume.Name, MountPath: at, ReadOnly: true}
	target.VolumeMounts = append(target.VolumeMounts, m)
	in.changes = append(in.changes, Change{
		Check: check, Path: path.Child("volumeMounts"), Value: m,
		Text: fmt.Sprintf("mount %s (%s) at %s in container %s", volume.Name, what, at, c.Name),
	})
}

// freeVolumeName returns the name of a volume, with a number when the pod uses
// the name for something else.
func freeVolumeName(have []corev1.Volume, want corev1.Volume) string {
	name := want.Name
	for n := 2; ; n++ {
		i := slices.IndexFunc(have, func(v corev1.Volume) bool { return v.Name == name })
		if i < 0 || sameSource(&have[i].VolumeSource, &want.VolumeSource) {
			return name
		}
		name = fmt.Sprintf("%s-%d", want.Name, n)
	}
}

// sameSource tells whether two volumes are the same Secret or ConfigMap as a
// whole.
func sameSource(a, b *corev1.VolumeSource) bool {
	switch {
	case a.Secret != nil && b.Secret != nil:
		return a.Secret.SecretName == b.Secret.SecretName && len(a.Secret.Items) == 0 && !isTrue(a.Secret.Optional) && a.Secret.DefaultMode == nil
	case a.ConfigMap != nil && b.ConfigMap != nil:
		return a.ConfigMap.Name == b.ConfigMap.Name && len(a.ConfigMap.Items) == 0 && !isTrue(a.ConfigMap.Optional) && a.ConfigMap.DefaultMode == nil
	}
	return false
}
