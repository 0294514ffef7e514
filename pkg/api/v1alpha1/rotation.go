package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Rotation is the record of the replacement of one key, and what a resumed run
// continues from. It holds fingerprints, never key material.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rot
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.kind`
// +kubebuilder:printcolumn:name="DFSP",type=string,JSONPath=`.spec.dfsp`
// +kubebuilder:printcolumn:name="Strategy",type=string,JSONPath=`.spec.strategy`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.status.step`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Requested by",type=string,JSONPath=`.spec.requestedBy`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`,priority=1
type Rotation struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	Spec RotationSpec `json:"spec"`
	// +optional
	Status RotationStatus `json:"status,omitzero"`
}

// RotationList is a list of Rotations.
//
// +kubebuilder:object:root=true
type RotationList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Rotation `json:"items"`
}

// RotationKind is what is rotated.
//
// +kubebuilder:validation:Enum=jws;ilp;mesh-ca
type RotationKind string

// The kinds of rotations.
const (
	RotateJWS    RotationKind = "jws"
	RotateILP    RotationKind = "ilp"
	RotateMeshCA RotationKind = "mesh-ca"
)

// RotationStrategy is the order of steps in which a key is replaced.
//
// +kubebuilder:validation:Enum=barrier;window;emergency;managed
type RotationStrategy string

// The strategies.
const (
	StrategyBarrier   RotationStrategy = "barrier"   // new messages are held; none fails
	StrategyWindow    RotationStrategy = "window"    // messages fail for a predicted time
	StrategyEmergency RotationStrategy = "emergency" // the old key is revoked first
	StrategyManaged   RotationStrategy = "managed"   // the owner of the key issues the new one
)

// RotationSpec is what was asked for. It cannot be changed.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Rotation cannot be changed: undo it with kubectl mojasec rotate abort or rollback, and start another"
// +kubebuilder:validation:XValidation:rule="self.kind == 'mesh-ca' || has(self.dfsp)",message="dfsp must be the id of the DFSP whose key is rotated, for example perffsp-1"
// +kubebuilder:validation:XValidation:rule="self.kind != 'mesh-ca' || !has(self.dfsp)",message="dfsp must not be set for kind mesh-ca: the whole mesh shares the CA"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'emergency' || (has(self.reason) && size(self.reason.trim()) > 0)",message="reason must say why the key is revoked: strategy emergency needs one"
type RotationSpec struct {
	// kind of key.
	Kind RotationKind `json:"kind"`

	// dfsp is the id of the DFSP; not for kind mesh-ca.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",message="dfsp must be the id of a DFSP, for example perffsp-1"
	DFSP string `json:"dfsp,omitempty"`

	// strategy that the plan chose; none for kind mesh-ca.
	// +optional
	Strategy RotationStrategy `json:"strategy,omitempty"`

	// reason for the rotation; required for strategy emergency.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Reason string `json:"reason,omitempty"`

	// ticket of the change or incident.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Ticket string `json:"ticket,omitempty"`

	// requestedBy is the user who started the rotation.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="requestedBy must be the user who rotates; kubectl mojasec rotate fills it in"
	RequestedBy string `json:"requestedBy"`
}

// RotationPhase is where a rotation stands.
//
// +kubebuilder:validation:Enum=Running;Stopped;Completed;RollingBack;RolledBack
type RotationPhase string

// The phases of a rotation. Until Completed or RolledBack it can be resumed.
const (
	RotationRunning     RotationPhase = "Running"
	RotationStopped     RotationPhase = "Stopped" // safely, before its end
	RotationCompleted   RotationPhase = "Completed"
	RotationRollingBack RotationPhase = "RollingBack"
	RotationRolledBack  RotationPhase = "RolledBack"
)

// RotationTarget is the state that a rotation drives to.
//
// +kubebuilder:validation:Enum=from;to;none
type RotationTarget string

// The targets. Undoing is driving to TargetFrom.
const (
	TargetFrom RotationTarget = "from" // the old key everywhere
	TargetTo   RotationTarget = "to"   // the new key everywhere
	TargetNone RotationTarget = "none" // no key anywhere
)

// StepState is what was last observed of a step.
//
// +kubebuilder:validation:Enum=NotYet;Done;Mixed;Unknown
type StepState string

// The states of a step. Mixed is legal everywhere and is repaired by driving
// every pod to the target.
const (
	StepNotYet  StepState = "NotYet"
	StepDone    StepState = "Done"
	StepMixed   StepState = "Mixed"
	StepUnknown StepState = "Unknown"
)

// RotationStatus is the step record. It says what was intended and seen; what
// is true is read from the cluster.
type RotationStatus struct {
	// phase of the rotation.
	// +optional
	Phase RotationPhase `json:"phase,omitempty"`
	// target that the rotation drives to.
	// +optional
	Target RotationTarget `json:"target,omitempty"`
	// step that is running or was last.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Step string `json:"step,omitempty"`
	// message says what the step waits for, or why the rotation stopped.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// fence is raised by whoever takes the rotation over; every write tests it.
	// +optional
	Fence int64 `json:"fence,omitempty"`
	// from is the key that is replaced.
	// +optional
	From *KeyVersion `json:"from,omitempty"`
	// to is the key that replaces it. Its name is reserved before it is made.
	// +optional
	To *KeyVersion `json:"to,omitempty"`
	// steps of the plan, in order.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Steps []StepStatus `json:"steps,omitempty"`
	// acknowledgements are the pods that were seen to hold the key of target.
	// +optional
	// +listType=map
	// +listMapKey=uid
	// +kubebuilder:validation:MaxItems=1024
	Acknowledgements []Acknowledgement `json:"acknowledgements,omitempty"`
	// startedAt is when the first step began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// switchedAt is when the new key became the active one.
	// +optional
	SwitchedAt *metav1.Time `json:"switchedAt,omitempty"`
	// finishedAt is when the rotation was completed or rolled back.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// KeyVersion names one version of a key.
type KeyVersion struct {
	// version, counted from 1. The name of a version is used once.
	// +kubebuilder:validation:Minimum=1
	Version int64 `json:"version"`
	// secretName is the immutable Secret of the version.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`
	// secretUID of that Secret, as soon as it exists.
	// +optional
	SecretUID types.UID `json:"secretUID,omitempty"`
	// spkiSha256 is the fingerprint of the public key. ILP secrets have none: a
	// hash of a weak secret would give it away.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{64}$')",message="spkiSha256 must be 64 lower-case hex digits: the SHA-256 of the DER SubjectPublicKeyInfo"
	SPKISHA256 string `json:"spkiSha256,omitempty"`
}

// StepStatus is the record of one step.
type StepStatus struct {
	// name of the step.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// state that was last observed.
	State StepState `json:"state"`
	// message says what was observed.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// startedAt is when the step began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when the step was observed to be done.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// Acknowledgement is the proof that one pod holds a key. A restart of the
// container voids it.
type Acknowledgement struct {
	// uid of the pod.
	UID types.UID `json:"uid"`
	// pod is its name.
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod"`
	// restarts of the container when it was probed.
	// +optional
	Restarts int32 `json:"restarts,omitempty"`
	// spkiSha256 of the key the pod holds; empty when it holds none.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SPKISHA256 string `json:"spkiSha256,omitempty"`
	// at is when the pod was probed.
	At metav1.MicroTime `json:"at"`
}
