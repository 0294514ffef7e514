package admission

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// reviewProfile asks for the right to weaken what a Profile enforces, and says
// what a stricter one finds wrong with the workloads that are there. That does
// not refuse it: a key that has leaked must be listed while it is still in use.
func (h *handler) reviewProfile(ctx context.Context, rv *review, snap *policy.Snapshot) (*verdict, error) {
	v := guardVerdict(rv, nil)
	if rv.name() != v1alpha1.DefaultProfileName || rv.SubResource != "" {
		return v, nil // nobody reads it
	}
	now, was := specOf(rv.object), specOf(rv.old)
	if rv.Operation == admissionv1.Delete {
		now = specOf(nil)
	}
	if what := weaker(now, was); what != "" {
		ok, err := h.mayUnenforce(ctx, rv.request)
		if err != nil {
			return nil, err
		}
		if !ok {
			v.denials = append(v.denials, *guard("%s: that weakens what is enforced, and %q may not: it takes the verb `unenforce` on profiles.mojasec.io", what, rv.UserInfo.Username))
			return v, nil
		}
	}
	return h.decide(ctx, snap, true, func(snap *policy.Snapshot, checks []policy.Check) (*verdict, error) {
		v := guardVerdict(rv, nil)
		after := rv.applied(snap)
		if rv.Operation != admissionv1.Delete {
			v = h.reviewOne(rv, after, checks, true, false)
		}
		before, then := policy.ReviewWorkloads(checks, snap, nil), policy.ReviewWorkloads(checks, after, nil)
		v.consequences(&before, &then, true)
		return v, nil
	})
}

// specOf returns the values that count with a Profile; without one, those that
// are built in.
func specOf(o object) *v1alpha1.ProfileSpec {
	p, ok := o.(*v1alpha1.Profile)
	if !ok {
		p = v1alpha1.DefaultProfile()
	}
	spec := p.Spec.DeepCopy()
	spec.Default()
	return spec
}

// weaker says what of a Profile would be enforced less; it is empty when nothing
// is. Where nobody can tell whether a change is for the better, such as where
// keys are looked for, it counts as weaker.
func weaker(now, was *v1alpha1.ProfileSpec) string {
	for _, c := range now.Checks {
		if i := slices.IndexFunc(was.Checks, func(o v1alpha1.CheckMode) bool { return o.ID == c.ID }); checkRank(c.Mode) < 2 && (i < 0 || checkRank(c.Mode) < checkRank(was.Checks[i].Mode)) {
			return fmt.Sprintf("check %s goes to mode %s", clean(c.ID, 63), c.Mode)
		}
	}
	switch {
	case now.Mesh != was.Mesh && now.Mesh == v1alpha1.MeshNone:
		return "mesh goes to none, so that no mTLS check applies"
	case now.Mesh != was.Mesh && was.Mesh != v1alpha1.MeshNone && now.Mesh != v1alpha1.MeshSidecar, now.Revision != was.Revision:
		return "mesh or revision changes, and with it which pods count as in the mesh"
	case now.ILP.MinLength < was.ILP.MinLength:
		return fmt.Sprintf("ilp.minLength goes from %d to %d", was.ILP.MinLength, now.ILP.MinLength)
	case now.JWS.MinRSABits < was.JWS.MinRSABits:
		return fmt.Sprintf("jws.minRSABits goes from %d to %d", was.JWS.MinRSABits, now.JWS.MinRSABits)
	case now.JWS.MaxKeyAge.Duration > was.JWS.MaxKeyAge.Duration:
		return fmt.Sprintf("jws.maxKeyAge goes from %s to %s", was.JWS.MaxKeyAge.Duration, now.JWS.MaxKeyAge.Duration)
	case gains(now.JWS.ExternalKeys, was.JWS.ExternalKeys):
		return "jws.externalKeys gets another DFSP"
	case gains(now.DatastorePorts, was.DatastorePorts):
		return "datastorePorts gets another port that may bypass the mesh"
	case gains(now.PublicGateways, was.PublicGateways):
		return "publicGateways gets another Gateway"
	case gains(publishedKeys(was), publishedKeys(now)), gains(was.PublishedSecrets, now.PublishedSecrets):
		return "publishedKeys or publishedSecrets loses an entry"
	case !reflect.DeepEqual(now.Recognition, was.Recognition):
		return "recognition changes, and with it what is recognised"
	case now.MeshRootNamespace != was.MeshRootNamespace || now.ClusterDomain != was.ClusterDomain:
		return "meshRootNamespace or clusterDomain changes, and with it which policies count"
	case now.JWS.SecretName != was.JWS.SecretName, now.JWS.MountPath != was.JWS.MountPath, now.JWS.KeyFile != was.JWS.KeyFile,
		now.JWS.VerificationDirectory != was.JWS.VerificationDirectory, now.JWS.VerificationConfigMap != was.JWS.VerificationConfigMap,
		now.ILP.SecretName != was.ILP.SecretName, now.ILP.Key != was.ILP.Key:
		return "where keys and secrets are looked for changes"
	}
	return ""
}

func checkRank(m v1alpha1.Mode) int {
	switch m {
	case v1alpha1.ModeAudit:
		return 0
	case v1alpha1.ModeWarn:
		return 1
	default:
		return 2
	}
}

// gains tells whether a list has a member that another has not.
func gains[T comparable](now, was []T) bool {
	return slices.ContainsFunc(now, func(v T) bool { return !slices.Contains(was, v) })
}

func publishedKeys(s *v1alpha1.ProfileSpec) []string {
	var out []string
	for _, k := range s.PublishedKeys {
		out = append(out, k.SPKISHA256)
	}
	return out
}
