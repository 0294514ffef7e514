package v1alpha1

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultProfile returns the values that count where there is no Profile.
func DefaultProfile() *Profile {
	p := &Profile{
		TypeMeta:   metav1.TypeMeta{APIVersion: GroupVersion.String(), Kind: KindProfile},
		ObjectMeta: metav1.ObjectMeta{Name: DefaultProfileName},
	}
	p.Default()
	return p
}

// Default sets what is absent, to the values that the API server sets.
func (p *Profile) Default() { p.Spec.Default() }

// Default sets what is absent. An empty, non-nil DatastorePorts is not absent.
func (s *ProfileSpec) Default() {
	s.Mesh = cmp.Or(s.Mesh, MeshAuto)
	s.MeshRootNamespace = cmp.Or(s.MeshRootNamespace, "istio-system")
	s.ClusterDomain = cmp.Or(s.ClusterDomain, "cluster.local")
	if s.DatastorePorts == nil {
		s.DatastorePorts = []int32{3306, 6379, 9092, 27017} // MySQL, Redis, Kafka, MongoDB
	}
	for i := range s.PublishedKeys {
		s.PublishedKeys[i].Use = cmp.Or(s.PublishedKeys[i].Use, "jws")
	}
	s.JWS.setDefaults()
	s.ILP.setDefaults()
}

func (j *JWSProfile) setDefaults() {
	j.SecretName = cmp.Or(j.SecretName, "{dfsp}-jws-keys")
	j.MountPath = cmp.Or(j.MountPath, "/opt/app/secrets")
	j.KeyFile = cmp.Or(j.KeyFile, "jwsSigningKey.pem")
	j.VerificationDirectory = cmp.Or(j.VerificationDirectory, "/opt/app/secrets/jwsVerificationKeys")
	j.VerificationConfigMap = cmp.Or(j.VerificationConfigMap, "mojaloop-jws-verification-keys")
	j.MaxKeyAge.Duration = cmp.Or(j.MaxKeyAge.Duration, 90*24*time.Hour)
	j.MinRSABits = cmp.Or(j.MinRSABits, 2048)
}

func (i *ILPProfile) setDefaults() {
	i.SecretName = cmp.Or(i.SecretName, "{dfsp}-ilp")
	i.Key = cmp.Or(i.Key, "ILP_SECRET")
	i.MinLength = cmp.Or(i.MinLength, 32)
}
