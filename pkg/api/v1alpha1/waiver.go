package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Waiver excuses the objects it matches from the checks it names, until it
// expires. Expiry is judged when a verdict is given: nothing has to run for a
// Waiver to end.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=mjwaiver
// +kubebuilder:printcolumn:name="Checks",type=string,JSONPath=`.spec.checks`
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.owner`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Waiver struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	Spec WaiverSpec `json:"spec"`
}

// WaiverList is a list of Waivers.
//
// +kubebuilder:object:root=true
type WaiverList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Waiver `json:"items"`
}

// WaiverSpec is the content of a Waiver.
type WaiverSpec struct {
	// checks are the ids of the checks that are waived. There is no wildcard.
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="checks must name at least one check, for example jws-key-age; kubectl mojasec explain lists them"
	// +kubebuilder:validation:XValidation:rule="self.all(id, id.matches('^[a-z][a-z0-9]*(-[a-z0-9]+)*$'))",message="checks must be ids of checks, for example jws-key-age, without wildcards; kubectl mojasec explain lists them"
	Checks []string `json:"checks"`

	// match says which objects are excused.
	Match WaiverMatch `json:"match"`

	// reason says why this is acceptable, for the person who reads it in a year.
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="size(self.trim()) >= 10",message="reason must say in at least ten characters why this is acceptable"
	Reason string `json:"reason"`

	// owner is who answers for it: a person, a team, an address.
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="size(self.trim()) > 0",message="owner must name who answers for this waiver: a person, a team or an address"
	Owner string `json:"owner"`

	// expiresAt is when the Waiver ends. Every Waiver ends.
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// WaiverMatch selects objects: those that fit every criterion that is given. An
// empty list fits every object.
//
// +kubebuilder:validation:XValidation:rule="[has(self.namespaces) && size(self.namespaces) > 0, has(self.kinds) && size(self.kinds) > 0, has(self.names) && size(self.names) > 0, has(self.labels) && (has(self.labels.matchLabels) && size(self.labels.matchLabels) > 0 || has(self.labels.matchExpressions) && size(self.labels.matchExpressions) > 0)].exists(given, given)",message="match must give namespaces, kinds, names or labels: a waiver for every object is not a waiver; to lower a check everywhere, set its mode in the Profile"
// +kubebuilder:validation:XValidation:rule="!has(self.labels) || !(has(self.labels.matchLabels) && size(self.labels.matchLabels) > 0 || has(self.labels.matchExpressions) && size(self.labels.matchExpressions) > 0) || has(self.namespaces) && size(self.namespaces) > 0 || has(self.names) && size(self.names) > 0",message="labels count only together with namespaces or names: anybody can put a label on a pod"
type WaiverMatch struct {
	// namespaces of the objects.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`
	// kinds of the objects, for example Deployment.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Kinds []string `json:"kinds,omitempty"`
	// names of the objects.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Names []string `json:"names,omitempty"`
	// labels of the objects, or of the pods they make. They count only together
	// with namespaces or names: anybody can put a label on a pod.
	// +optional
	Labels *metav1.LabelSelector `json:"labels,omitempty"`
}
