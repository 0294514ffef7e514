package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this package.
var GroupVersion = schema.GroupVersion{Group: "mojasec.io", Version: "v1alpha1"}

// The kinds.
const (
	KindProfile    = "Profile"
	KindWaiver     = "Waiver"
	KindQuarantine = "Quarantine"
	KindRotation   = "Rotation"
	KindReport     = "Report"
)

// Labels and annotations that mojasec reads and writes.
const (
	// LabelMode on a namespace says what admission does there: a [Mode].
	LabelMode = "mojasec.io/mode"
	// LabelDFSP on a pod or Secret says which DFSP it belongs to.
	LabelDFSP = "mojasec.io/dfsp"
	// LabelQuarantine on a namespace, pod or policy names the Quarantine that
	// put it there.
	LabelQuarantine = "mojasec.io/quarantine"

	// AnnotationKeySince on a Secret is "<SPKI fingerprint>@<RFC 3339 time>":
	// since when the key is in use. It counts only while the fingerprint is
	// that of the key.
	AnnotationKeySince = "mojasec.io/key-since"
	// AnnotationKeyVersion on an active Secret is the version it is a copy of.
	AnnotationKeyVersion = "mojasec.io/key-version"
	// AnnotationFence on an active Secret is the fence of the rotation that
	// may write it; that of one key in a ConfigMap has "." and the FSP id
	// appended.
	AnnotationFence = "mojasec.io/fence"
)

// AddToScheme registers the kinds that an API server serves. Report is not one
// of them.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(
		GroupVersion,
		&Profile{}, &ProfileList{},
		&Waiver{}, &WaiverList{},
		&Quarantine{}, &QuarantineList{},
		&Rotation{}, &RotationList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
