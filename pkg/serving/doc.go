// Package serving keeps the serving certificates of the webhook, and the
// caBundle of the webhook configurations that trust them.
//
// # Who trusts what
//
// A CA and a leaf live in one Secret. Every replica serves the leaf from there
// ([Certificates]). The leader ([Leader]) renews both, and writes the CA into
// every entry of the two webhook configurations. It never changes both at once,
// because API servers learn of a new caBundle when they learn of it: first the
// next CA is trusted beside the present one; after a settling time the leaf is
// signed by it; the old CA is trusted until no replica can serve its leaf any
// more. A call succeeds at every moment of this.
//
// # Decide, then do
//
// [decide] looks at a state and a time and says what comes next; [advance] makes
// the next state. Neither reads or writes anything. The state is the Secret
// alone, so any replica can go on where another one stopped.
package serving

import "time"

// Names that the manifests use too.
const (
	Namespace      = "mojasec-system"
	ServiceName    = "mojasec-webhook"
	SecretName     = "mojasec-webhook-tls" //nolint:gosec // the name of a Secret, not what is in it
	MutatingName   = "00-mojasec.io"
	ValidatingName = "mojasec.io"
	FieldManager   = "mojasec-webhook"
)

// Annotations of the Secret with which a person asks for new certificates: a
// value that was not there before starts it, by convention the present time in
// RFC 3339. Deleting the Secret does the same as AnnotationRotate.
const (
	AnnotationRotate = "mojasec.io/rotate-certificates" // a new CA, and a leaf signed by it
	AnnotationRenew  = "mojasec.io/renew-certificate"   // a new leaf of the present CA

	// What was asked for and has been done.
	annotationRotated = "mojasec.io/rotated-certificates"
	annotationRenewed = "mojasec.io/renewed-certificate"
)

// Periods are how long things last. [DefaultPeriods] suits a cluster.
type Periods struct {
	// CA and Leaf are how long certificates are valid; they are renewed after
	// two thirds of it.
	CA, Leaf time.Duration
	// Settle is longer than API servers take to learn of a caBundle.
	Settle time.Duration
	// Drain is longer than replicas take to serve a new leaf, the slowest one
	// included. A replica reads the Secret anew at least every Drain/5.
	Drain time.Duration
}

// DefaultPeriods returns the periods for a cluster.
func DefaultPeriods() Periods {
	const day = 24 * time.Hour
	return Periods{CA: 365 * day, Leaf: 90 * day, Settle: time.Minute, Drain: 10 * time.Minute}
}
