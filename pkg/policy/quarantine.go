package policy

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// Quarantines returns the Quarantines that stand in a namespace, ordered by
// name: all that are not released, those that only observe included. Nobody may
// change them. The Presence is Unknown where Quarantines cannot be read.
func (s *Snapshot) Quarantines(ns string) ([]*v1alpha1.Quarantine, Presence) {
	var open []*v1alpha1.Quarantine
	if sh := s.shard(ns); sh != nil {
		for _, q := range sh.quarantines {
			if q.Status.Phase != v1alpha1.QuarantineReleased {
				open = append(open, q)
			}
		}
	}
	switch {
	case len(open) > 0:
		return open, Present
	case s.incomplete(FactQuarantine) || s.Unread(FactQuarantine, ns) != "":
		return nil, Unknown
	}
	return nil, Absent
}

// HeldBy returns the Quarantine that isolates a workload: the first of its
// namespace whose DFSP the workload belongs to, and that does more than observe.
// The Presence is Unknown, with the fact, when Quarantines cannot be read or
// nobody can tell whose the workload is.
func (s *Snapshot) HeldBy(w *Workload) (*v1alpha1.Quarantine, Presence, Fact) {
	open, presence := s.Quarantines(w.Ref.Namespace)
	if presence != Present {
		return nil, presence, Fact{Kind: FactQuarantine, Namespace: w.Ref.Namespace}
	}
	var missing *Fact
	for _, q := range open {
		if q.Spec.Mode == v1alpha1.QuarantineObserve {
			continue
		}
		belongs, presence, fact := s.belongsTo(w, q.Spec.DFSP)
		switch {
		case belongs:
			return q, Present, Fact{}
		case presence == Unknown:
			missing = &fact
		}
	}
	if missing != nil {
		return nil, Unknown, *missing
	}
	return nil, Absent, Fact{}
}

// belongsTo tells whether a workload is one of a DFSP: by its identity, by its
// label, because it uses the Secrets that the Profile names for that DFSP, or
// runs under a ServiceAccount that nobody else has. The case of letters does not
// matter: no other spelling is a way out.
func (s *Snapshot) belongsTo(w *Workload, dfsp string) (bool, Presence, Fact) {
	if strings.EqualFold(w.LabelDFSP, dfsp) {
		return true, Present, Fact{}
	}
	id := Identity{Value: Value{Presence: Absent}}
	if w.Role == RoleSDK || w.Role == RoleHub {
		id = s.DFSP(w)
	}
	switch {
	case id.Presence == Present && strings.EqualFold(id.Text, dfsp), s.runsAs(w, dfsp), s.usesSecretsOf(w, dfsp):
		return true, Present, Fact{}
	case id.Presence == Unknown:
		return false, Unknown, id.missing(w, SettingDFSPID)
	}
	return false, Present, Fact{}
}

// runsAs tells whether a ServiceAccount is that of a DFSP and of nobody else.
func (s *Snapshot) runsAs(w *Workload, dfsp string) bool {
	sh := s.shard(w.Ref.Namespace)
	if sh == nil || w.ServiceAccount == "default" {
		return false
	}
	owners := s.indexOf(sh).accounts[w.ServiceAccount]
	return len(owners) > 0 && !slices.ContainsFunc(owners, func(o owner) bool {
		return o.workload.Role == RoleHub || !strings.EqualFold(o.dfsp, dfsp)
	})
}

// usesSecretsOf tells whether a workload mounts or reads the Secret of the
// signing key or of the ILP secret of a DFSP.
func (s *Snapshot) usesSecretsOf(w *Workload, dfsp string) bool {
	var names []string
	for _, pattern := range [...]string{s.profile.JWS.SecretName, s.profile.ILP.SecretName} {
		if name, ok := forDFSP(pattern, dfsp); ok && strings.Contains(pattern, "{dfsp}") {
			names = append(names, name)
		}
	}
	uses := func(source SettingSource, object string) bool {
		return source == FromSecret && slices.Contains(names, object)
	}
	for i := range w.Volumes {
		for src := range volumeSources(&w.Volumes[i].VolumeSource) {
			if uses(src.source, src.object) {
				return true
			}
		}
	}
	for i := range w.Containers {
		c := &w.Containers[i]
		if slices.ContainsFunc(c.Settings, func(set Setting) bool { return uses(set.Source, set.Object) }) ||
			slices.ContainsFunc(c.EnvFrom, func(from EnvFrom) bool { return uses(from.Source, from.Object) }) {
			return true
		}
	}
	return false
}

// Marker is the value of the label mojasec.io/quarantine on what a Quarantine
// holds: its name, or its DFSP where the name is too long for a label.
func Marker(q *v1alpha1.Quarantine) string {
	if len(validation.IsValidLabelValue(q.Name)) > 0 {
		return q.Spec.DFSP
	}
	return q.Name
}

// InjectMarker returns a copy of a pod with the marker of the Quarantine that
// holds it, and nothing else, whatever the mode of its namespace. Without a
// change it returns the pod itself.
func (Injector) InjectMarker(pod *corev1.PodTemplateSpec, ns string, snap *Snapshot) (*corev1.PodTemplateSpec, []Change) {
	w := snap.workload(Ref{APIVersion: "v1", Kind: "Pod", Namespace: ns, Name: pod.Name}, maker{&pod.ObjectMeta, pod, nil})
	return markerOnly(pod, w, snap)
}

func markerOnly(pod *corev1.PodTemplateSpec, w *Workload, snap *Snapshot) (*corev1.PodTemplateSpec, []Change) {
	in := injection{snap: snap, w: w, from: pod}
	in.marker()
	if in.pod == nil {
		return pod, nil
	}
	return in.pod, in.changes
}

// marker labels a pod that a Quarantine holds, and that has no such label.
func (in *injection) marker() {
	if _, said := in.w.Labels[v1alpha1.LabelQuarantine]; said {
		return // quarantine-held says so when it is another's
	}
	if q, presence, _ := in.snap.HeldBy(in.w); presence == Present {
		in.label(checkQuarantineHeld.ID, v1alpha1.LabelQuarantine, Marker(q))
	}
}
