package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Quarantine isolates a DFSP in the namespace it lives in. Deleting it does not
// release the DFSP: kubectl mojasec release does.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=quar
// +kubebuilder:printcolumn:name="DFSP",type=string,JSONPath=`.spec.dfsp`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Verified",type=string,JSONPath=`.status.verified`
// +kubebuilder:printcolumn:name="Opened by",type=string,JSONPath=`.spec.openedBy`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ticket",type=string,JSONPath=`.spec.ticket`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`,priority=1
type Quarantine struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	Spec QuarantineSpec `json:"spec"`
	// +optional
	Status QuarantineStatus `json:"status,omitzero"`
}

// QuarantineList is a list of Quarantines.
//
// +kubebuilder:object:root=true
type QuarantineList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Quarantine `json:"items"`
}

// QuarantineMode is how far a quarantine goes.
//
// +kubebuilder:validation:Enum=observe;isolate;lockdown
type QuarantineMode string

// The modes of a quarantine, the mildest first. It can be raised, never
// lowered.
const (
	QuarantineObserve  QuarantineMode = "observe"  // takes evidence, changes no traffic
	QuarantineIsolate  QuarantineMode = "isolate"  // cuts the traffic of the DFSP
	QuarantineLockdown QuarantineMode = "lockdown" // freezes its workloads too
)

// QuarantineSpec is what was asked for. What admission guards beyond this
// schema: openedBy, requestedBy, approvedBy and breakglass.user are the
// requesting user, approval needs the verb approve, and breakglass lasts an
// hour at most.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.release) || has(self.release)",message="release cannot be withdrawn once it was requested"
// +kubebuilder:validation:XValidation:rule="!has(self.release) || !has(self.release.approvedBy) || (self.release.approvedBy != self.openedBy && self.release.approvedBy != self.release.requestedBy)",message="release.approvedBy must be a second person: neither openedBy nor release.requestedBy"
type QuarantineSpec struct {
	// dfsp is the id of the DFSP.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",message="dfsp must be the id of a DFSP, for example perffsp-1"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="dfsp cannot be changed: open another Quarantine for another DFSP"
	DFSP string `json:"dfsp"`

	// mode says how far it goes: observe takes evidence only, isolate cuts the
	// traffic, lockdown freezes the workloads too. It can be raised, never
	// lowered.
	// +optional
	// +kubebuilder:default=isolate
	// +kubebuilder:validation:XValidation:rule="self == oldSelf || oldSelf == 'observe' || self == 'lockdown'",message="mode can only be raised, from observe to isolate to lockdown; to lower it, release the DFSP"
	Mode QuarantineMode `json:"mode,omitempty"`

	// reason for the quarantine.
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="size(self.trim()) > 0",message="reason must say why the DFSP is isolated"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="reason cannot be changed: it is part of the record"
	Reason string `json:"reason"`

	// ticket of the incident.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Ticket string `json:"ticket,omitempty"`

	// openedBy is the user who opened the quarantine.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="openedBy must be the user who opens the quarantine; kubectl mojasec quarantine fills it in"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="openedBy cannot be changed: it is part of the record"
	OpenedBy string `json:"openedBy"`

	// include lists workloads of others that the selectors hit too and that may
	// be isolated with the DFSP.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Include []WorkloadRef `json:"include,omitempty"`

	// patchPolicies allows to amend NetworkPolicies that would let the DFSP's
	// traffic through; the originals are kept for the release.
	// +optional
	PatchPolicies bool `json:"patchPolicies,omitempty"`

	// hubDisable sets the participant inactive at the hub as well.
	// +optional
	HubDisable bool `json:"hubDisable,omitempty"`

	// release asks to lift the quarantine.
	// +optional
	Release *QuarantineRelease `json:"release,omitempty"`

	// breakglass records who may change the artefacts of the quarantine by
	// hand, and until when.
	// +optional
	Breakglass *Breakglass `json:"breakglass,omitempty"`
}

// WorkloadRef names a workload in the namespace of the object.
type WorkloadRef struct {
	// kind of the workload, for example Deployment.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// name of the workload.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// QuarantineRelease is the request to lift a quarantine, and its approval by
// another person.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.approvedBy) || (has(self.approvedBy) && self.approvedBy == oldSelf.approvedBy)",message="approvedBy cannot be changed: it is part of the record"
type QuarantineRelease struct {
	// requestedBy is the user who asked for the release.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="requestedBy must be the user who asks for the release; kubectl mojasec release fills it in"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="requestedBy cannot be changed: it is part of the record"
	RequestedBy string `json:"requestedBy"`
	// reason for the release.
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="size(self.trim()) > 0",message="reason must say why the DFSP is safe again"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="reason cannot be changed: it is part of the record"
	Reason string `json:"reason"`
	// approvedBy is the second person.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ApprovedBy string `json:"approvedBy,omitempty"`
}

// Breakglass records an exception for one user, for an hour at most.
type Breakglass struct {
	// user who may act.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="user must be the user who breaks the glass"
	User string `json:"user"`
	// reason for the exception.
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="size(self.trim()) >= 10",message="reason must say in at least ten characters why the glass is broken"
	Reason string `json:"reason"`
	// until when the exception lasts.
	Until metav1.Time `json:"until"`
}

// QuarantinePhase is where a quarantine stands.
//
// +kubebuilder:validation:Enum=Applying;Standing;Partial;Releasing;Released
type QuarantinePhase string

// The phases of a quarantine.
const (
	QuarantineApplying  QuarantinePhase = "Applying"
	QuarantineStanding  QuarantinePhase = "Standing"  // every layer is verified
	QuarantinePartial   QuarantinePhase = "Partial"   // a layer failed; the others stand
	QuarantineReleasing QuarantinePhase = "Releasing" // the gate is open, layers are lifted
	QuarantineReleased  QuarantinePhase = "Released"
)

// QuarantineLayer is one way of isolation.
//
// +kubebuilder:validation:Enum=mesh-in;mesh-out;network;keys;freeze;hub
type QuarantineLayer string

// The layers, in the order in which they are applied; they are lifted in the
// reverse order.
const (
	LayerMeshIn  QuarantineLayer = "mesh-in"  // nobody calls the DFSP
	LayerMeshOut QuarantineLayer = "mesh-out" // the DFSP calls nobody
	LayerNetwork QuarantineLayer = "network"  // the same, below the mesh
	LayerKeys    QuarantineLayer = "keys"     // no verifier accepts its signature
	LayerFreeze  QuarantineLayer = "freeze"   // its workloads stay as they are
	LayerHub     QuarantineLayer = "hub"      // the participant is inactive
)

// LayerState is where one layer stands.
//
// +kubebuilder:validation:Enum=Pending;Applied;Verified;Unverifiable;Unavailable;Failed;Lifted
type LayerState string

// The states of a layer. Only Verified means protected for certain.
const (
	LayerPending      LayerState = "Pending"
	LayerApplied      LayerState = "Applied"      // written, not yet seen to work
	LayerVerified     LayerState = "Verified"     // seen to work
	LayerUnverifiable LayerState = "Unverifiable" // written; nothing here can prove it
	LayerUnavailable  LayerState = "Unavailable"  // not possible here, or not asked for
	LayerFailed       LayerState = "Failed"
	LayerLifted       LayerState = "Lifted"
)

// QuarantineStatus is written by the leader of the webhook process alone.
type QuarantineStatus struct {
	// phase of the quarantine.
	// +optional
	Phase QuarantinePhase `json:"phase,omitempty"`
	// observedGeneration is the generation that the rest speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// verified counts the verified layers of those that apply, for example
	// "5/6".
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Verified string `json:"verified,omitempty"`
	// layers of the quarantine, one by one.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Layers []LayerStatus `json:"layers,omitempty"`
	// evidence that was taken.
	// +optional
	Evidence *EvidenceRef `json:"evidence,omitempty"`
}

// LayerStatus is where one layer stands.
type LayerStatus struct {
	// name of the layer.
	Name QuarantineLayer `json:"name"`
	// state of the layer.
	State LayerState `json:"state"`
	// message says how it was verified, or what is wrong.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// appliedAt is when the layer was written.
	// +optional
	AppliedAt *metav1.Time `json:"appliedAt,omitempty"`
	// verifiedAt is when the layer was last seen to work.
	// +optional
	VerifiedAt *metav1.Time `json:"verifiedAt,omitempty"`
}

// EvidenceRef names an evidence archive. The archive itself is not in the
// cluster.
type EvidenceRef struct {
	// sha256 of the archive, in hex.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{64}$')",message="sha256 must be 64 lower-case hex digits"
	// +kubebuilder:validation:MaxLength=64
	SHA256 string `json:"sha256"`
	// takenAt is when it was taken.
	TakenAt metav1.Time `json:"takenAt"`
}
