package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultProfileName is the name of the one Profile that is used.
const DefaultProfileName = "default"

// Profile says what a Mojaloop scheme looks like and how strict mojasec is with
// it. The one named "default" is used; without it, the built-in values are.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=mjprofile
// +kubebuilder:printcolumn:name="Mesh",type=string,JSONPath=`.spec.mesh`
// +kubebuilder:printcolumn:name="Max key age",type=string,JSONPath=`.spec.jws.maxKeyAge`
// +kubebuilder:printcolumn:name="Signing keys",type=string,JSONPath=`.spec.jws.secretName`,priority=1
// +kubebuilder:printcolumn:name="ILP secrets",type=string,JSONPath=`.spec.ilp.secretName`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Profile struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +optional
	// +kubebuilder:default={}
	Spec ProfileSpec `json:"spec,omitzero"`
}

// ProfileList is a list of Profiles.
//
// +kubebuilder:object:root=true
type ProfileList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Profile `json:"items"`
}

// Mesh is how pods get into the service mesh.
//
// +kubebuilder:validation:Enum=auto;sidecar;ambient;none
type Mesh string

// The meshes. With MeshAuto the labels of namespaces and pods decide; with
// MeshNone the mesh checks do not apply.
const (
	MeshAuto    Mesh = "auto"
	MeshSidecar Mesh = "sidecar"
	MeshAmbient Mesh = "ambient"
	MeshNone    Mesh = "none"
)

// Mode is what admission does with a finding. The weaker of the namespace's
// mode and the check's counts.
//
// +kubebuilder:validation:Enum=enforce;warn;audit
type Mode string

// The modes, the strictest first.
const (
	ModeEnforce Mode = "enforce"
	ModeWarn    Mode = "warn"
	ModeAudit   Mode = "audit"
)

// ProfileSpec is the content of a Profile. Every field has a default.
type ProfileSpec struct {
	// mesh says how pods get into the mesh: auto reads the labels of
	// namespaces and pods; with none the mesh checks do not apply.
	// +optional
	// +kubebuilder:default=auto
	Mesh Mesh `json:"mesh,omitempty"`

	// revision is the Istio control plane revision that injected pods ask for
	// (label istio.io/rev). Empty: the default revision.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",message="revision must be usable as a label value: letters, digits, '-', '_' and '.', for example canary or 1-24-2"
	Revision string `json:"revision,omitempty"`

	// meshRootNamespace is where policies count for the whole mesh.
	// +optional
	// +kubebuilder:default=istio-system
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="meshRootNamespace must be the name of a namespace, for example istio-system"
	MeshRootNamespace string `json:"meshRootNamespace,omitempty"`

	// clusterDomain ends the full names of Services.
	// +optional
	// +kubebuilder:default=cluster.local
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="clusterDomain must be a DNS name without leading or trailing dot, for example cluster.local"
	ClusterDomain string `json:"clusterDomain,omitempty"`

	// checks lowers the mode of single checks. A check that is not listed is in
	// mode enforce.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=128
	Checks []CheckMode `json:"checks,omitempty"`

	// recognition adds rules by which pods are recognised. The first rule that
	// matches counts, before the built-in ones.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Recognition []RecognitionRule `json:"recognition,omitempty"`

	// jws says where the keys of the message signatures are.
	// +optional
	// +kubebuilder:default={}
	JWS JWSProfile `json:"jws,omitzero"`

	// ilp says where the secrets of the ILP conditions are.
	// +optional
	// +kubebuilder:default={}
	ILP ILPProfile `json:"ilp,omitzero"`

	// datastorePorts are outbound ports that may bypass the mesh: MySQL, Redis,
	// Kafka and MongoDB unless said otherwise. An empty list allows none.
	// +optional
	// +listType=set
	// +kubebuilder:default={3306,6379,9092,27017}
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	DatastorePorts []int32 `json:"datastorePorts,omitzero"`

	// publicGateways are Gateways that may serve TLS without a client
	// certificate.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	PublicGateways []GatewayRef `json:"publicGateways,omitempty"`

	// publishedKeys adds keys whose private half is public to the built-in
	// list.
	// +optional
	// +listType=map
	// +listMapKey=spkiSha256
	// +kubebuilder:validation:MaxItems=1024
	PublishedKeys []PublishedKey `json:"publishedKeys,omitempty"`

	// publishedSecrets adds ILP secrets that stand in public places to the
	// built-in list, in clear text: they are public, and a hash of one would
	// hide nothing. Never list a secret that is in use and not yet public.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	PublishedSecrets []string `json:"publishedSecrets,omitempty"`
}

// CheckMode is the mode of one check.
type CheckMode struct {
	// id of the check, as in kubectl mojasec explain.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9]*(-[a-z0-9]+)*$')",message="id must be the id of a check, for example jws-key-age; kubectl mojasec explain lists them"
	ID string `json:"id"`
	// mode of the check.
	Mode Mode `json:"mode"`
}

// Role is what a workload is in a Mojaloop scheme.
//
// +kubebuilder:validation:Enum=sdk;hub;backend;toolkit;datastore
type Role string

// The roles. There is none for "not Mojaloop": to excuse a workload takes a
// Waiver, with an owner and an end.
const (
	RoleSDK       Role = "sdk"       // a DFSP's sdk-scheme-adapter
	RoleHub       Role = "hub"       // a service of the switch
	RoleBackend   Role = "backend"   // what stands behind an SDK: core connector, simulator
	RoleToolkit   Role = "toolkit"   // ml-testing-toolkit
	RoleDatastore Role = "datastore" // mysql, kafka, mongodb, redis, zookeeper
)

// RecognitionRule gives a role to the pods that any of its criteria matches.
//
// +kubebuilder:validation:XValidation:rule="[has(self.images) && size(self.images) > 0, has(self.names) && size(self.names) > 0, has(self.labels) && size(self.labels) > 0].exists(given, given)",message="a recognition rule needs images, names or labels; without any it recognises nothing"
type RecognitionRule struct {
	// role of the pods.
	Role Role `json:"role"`
	// images are repositories without tag and digest; the registry and leading
	// path elements may be left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Images []string `json:"images,omitempty"`
	// names are values of the label app.kubernetes.io/name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Names []string `json:"names,omitempty"`
	// labels that the pod must have, all of them.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Labels map[string]string `json:"labels,omitempty"`
	// dfspLabel is the pod label whose value is the DFSP's id, where the
	// environment does not say it.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	DFSPLabel string `json:"dfspLabel,omitempty"`
}

// JWSProfile says where the keys of the message signatures are. "{dfsp}" stands
// for the id of the DFSP.
//
// +kubebuilder:validation:XValidation:rule="!has(self.mountPath) || !has(self.verificationDirectory) || !(self.mountPath + '/').startsWith(self.verificationDirectory + '/')",message="mountPath must not be verificationDirectory or lie below it: the private key would stand among the public keys"
type JWSProfile struct {
	// secretName is the name of the Secret with the signing key of a DFSP.
	// +optional
	// +kubebuilder:default="{dfsp}-jws-keys"
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9][-a-z0-9.]*)?[{]dfsp[}]([-a-z0-9.]*[a-z0-9])?$')",message="secretName must have {dfsp} in it once and otherwise only lower-case letters, digits, '-' and '.', so that every DFSP has a Secret of its own, for example {dfsp}-jws-keys"
	SecretName string `json:"secretName,omitempty"`

	// mountPath is the directory in the pod at which that Secret is mounted.
	// +optional
	// +kubebuilder:default="/opt/app/secrets"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/[^/:]+)+$') && !(self + '/').contains('/../')",message="mountPath must be an absolute path without '..', ':' and trailing '/', for example /opt/app/secrets"
	MountPath string `json:"mountPath,omitempty"`

	// keyFile is the file of the signing key, and its key in the Secret.
	// +optional
	// +kubebuilder:default=jwsSigningKey.pem
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..') && self != '.'",message="keyFile must be a file name of letters, digits, '-', '_' and '.', for example jwsSigningKey.pem"
	KeyFile string `json:"keyFile,omitempty"`

	// verificationDirectory is the directory in the pod with the public keys of
	// the peers, one file <FSP id>.pem each.
	// +optional
	// +kubebuilder:default="/opt/app/secrets/jwsVerificationKeys"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^(/[^/:]+)+$') && !(self + '/').contains('/../')",message="verificationDirectory must be an absolute path without '..', ':' and trailing '/', for example /opt/app/secrets/jwsVerificationKeys"
	VerificationDirectory string `json:"verificationDirectory,omitempty"`

	// verificationConfigMap is the ConfigMap (or Secret) that fills
	// verificationDirectory.
	// +optional
	// +kubebuilder:default=mojaloop-jws-verification-keys
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="verificationConfigMap must be the name of a ConfigMap, for example mojaloop-jws-verification-keys"
	VerificationConfigMap string `json:"verificationConfigMap,omitempty"`

	// maxKeyAge is the age from which a signing key is due for rotation.
	// +optional
	// +kubebuilder:default="2160h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}([.][0-9]{1,9})?s)?$') && size(self) > 0 && duration(self) >= duration('1h')",message="maxKeyAge must be at least an hour, in hours, minutes and seconds, for example 2160h for 90 days"
	MaxKeyAge metav1.Duration `json:"maxKeyAge,omitzero"`

	// minRSABits is the length in bits below which an RSA key is refused.
	// +optional
	// +kubebuilder:default=2048
	// +kubebuilder:validation:XValidation:rule="self >= 2048 && self <= 16384",message="minRSABits must be between 2048 and 16384"
	MinRSABits int32 `json:"minRSABits,omitempty"`

	// externalKeys are DFSPs whose keys come from outside the cluster on
	// purpose, for example through a connection manager.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	ExternalKeys []string `json:"externalKeys,omitempty"`
}

// ILPProfile says where the secrets of the ILP conditions are. "{dfsp}" stands
// for the id of the DFSP.
type ILPProfile struct {
	// secretName is the name of the Secret with the ILP secret of a DFSP.
	// +optional
	// +kubebuilder:default="{dfsp}-ilp"
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9][-a-z0-9.]*)?[{]dfsp[}]([-a-z0-9.]*[a-z0-9])?$')",message="secretName must have {dfsp} in it once and otherwise only lower-case letters, digits, '-' and '.', so that every DFSP has a Secret of its own, for example {dfsp}-ilp"
	SecretName string `json:"secretName,omitempty"`

	// key is the key of the ILP secret in that Secret.
	// +optional
	// +kubebuilder:default=ILP_SECRET
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="key must be a key of a Secret: letters, digits, '-', '_' and '.', for example ILP_SECRET"
	Key string `json:"key,omitempty"`

	// minLength is the number of characters below which a secret is weak.
	// +optional
	// +kubebuilder:default=32
	// +kubebuilder:validation:XValidation:rule="self >= 16 && self <= 1024",message="minLength must be between 16 and 1024"
	MinLength int32 `json:"minLength,omitempty"`
}

// GatewayRef names an Istio Gateway.
type GatewayRef struct {
	// namespace of the Gateway.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// name of the Gateway.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// PublishedKey is a key whose private half stands in a public place.
type PublishedKey struct {
	// spkiSha256 is the SHA-256 of the DER SubjectPublicKeyInfo, as
	// kubectl mojasec keys show prints it.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{64}$')",message="spkiSha256 must be 64 lower-case hex digits: the SHA-256 of the DER SubjectPublicKeyInfo (openssl pkey -pubin -outform DER | sha256sum)"
	SPKISHA256 string `json:"spkiSha256"`
	// use of the key.
	// +optional
	// +kubebuilder:default=jws
	// +kubebuilder:validation:Enum=jws;tls-or-other
	Use string `json:"use,omitempty"`
	// publishedIn says where, for example a repository and path.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	PublishedIn []string `json:"publishedIn"`
}
