// Package policy is the rule engine of mojasec: objects in, findings out.
//
// # The four nouns
//
// A [Snapshot] is what is known of a cluster or of a set of manifests. A
// [Subject] is one object that is judged. A [Check] is a rule, a pure function
// of both. A [Report] is the verdict.
//
// # The two verbs
//
// [Injector.Inject] makes a pod right by setting what is absent. [Evaluate]
// says whether it is right. Every door (verify, status, the webhook) goes
// through [Review], which does the one and then the other.
//
// # What this package never does
//
// It reads no clock, no file, no environment and no cluster: time and
// randomness are arguments. It keeps no secret: Secrets and ConfigMaps are
// reduced to facts as they enter a Snapshot. It never takes what is unknown
// for absent, and never what was skipped for passed.
package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Severity is how much a finding weighs: the three levels of SARIF.
type Severity int

// The severities, in ascending order.
const (
	Note Severity = iota
	Warning
	Error
)

// String returns "note", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return fmt.Sprintf("severity(%d)", int(s))
}

// ParseSeverity reads the text form of a Severity.
func ParseSeverity(text string) (Severity, error) {
	for _, s := range []Severity{Note, Warning, Error} {
		if s.String() == text {
			return s, nil
		}
	}
	return 0, fmt.Errorf("severity %q: want note, warning or error", text)
}

// ID names a check for ever: it is the SARIF rule, the metric label and the
// anchor in the documentation. Kebab-case.
type ID string

// Category is the layer of protection a check belongs to; reports group by it.
type Category string

// The categories, in the order in which reports show them.
const (
	CategoryMTLS     Category = "mTLS"
	CategoryIdentity Category = "Identity"
	CategoryJWS      Category = "JWS"
	CategoryKeys     Category = "Keys"
	CategoryILP      Category = "ILP"
	CategoryAccess   Category = "Access"
	CategoryPolicy   Category = "Policy"
)

// Categories lists all categories in the order of reports.
func Categories() []Category {
	return []Category{
		CategoryMTLS, CategoryIdentity, CategoryJWS, CategoryKeys,
		CategoryILP, CategoryAccess, CategoryPolicy,
	}
}

// Check is one rule of the catalogue.
type Check struct {
	ID       ID
	Category Category
	// Title is a sentence that is true when the check passes.
	Title string
	// Fix says what to do when it fails: imperative and runnable.
	Fix string
	// Doc explains the rule in Markdown: what it reads, which values it
	// accepts and why it matters. explain and docs/checks.md print it.
	Doc      string
	Severity Severity
	// Injected tells that the Injector repairs what this check asks for,
	// where that is absent.
	Injected bool
	// PodLocal tells that a pod by itself can show that it breaks this check,
	// so that a rule of the API server can refuse it.
	PodLocal bool
	// Run judges one subject. It must be pure: same arguments, same result,
	// and neither argument is changed.
	Run func(*Subject, *Snapshot) Result
}

// Result is what a check says of one subject.
//
// Violations outweigh Unknown: a subject with both has failed. With Unknown
// alone it is skipped, never passed.
type Result struct {
	// Applies is false when the check has nothing to say about the subject.
	Applies    bool
	Violations []Violation
	// Unknown names the facts without which no verdict is possible.
	Unknown []Fact
}

// Violation is one way in which a subject breaks a rule.
type Violation struct {
	// Field is the offending field of the object that At names (of the
	// subject when At is nil). Where a value is absent it is the path at
	// which it should stand.
	Field *field.Path
	// Detail quotes the value found and names the accepted one. It never
	// holds a secret.
	Detail string
	// Severity replaces the severity of the check when set.
	Severity *Severity
	// Fix replaces the fix of the check when set.
	Fix string
	// At is the object to change when that is not the subject.
	At *Ref
	// Related are the other places that explain the finding.
	Related []Location
}

// Location is a place in an object.
type Location struct {
	Ref   Ref
	Field *field.Path
	// Message says what is there, for example "the key peers hold".
	Message string
}

// FactKind is the kind of something that may be unknown.
type FactKind string

// The kinds of facts. The first group is named after API kinds; a Fact of that
// group has the namespace and name of the object.
const (
	FactSecret    FactKind = "Secret"
	FactConfigMap FactKind = "ConfigMap"
	FactNamespace FactKind = "Namespace" // labels of the namespace
	FactService   FactKind = "Service"
	// FactPeerAuthentication are all of a namespace; it has no name.
	FactPeerAuthentication FactKind = "PeerAuthentication"

	FactMesh          FactKind = "mesh"           // Istio objects at all
	FactMeshConfig    FactKind = "mesh config"    // ConfigMap istio, key mesh
	FactCA            FactKind = "CA certificate" // the mesh CA
	FactKeyAge        FactKind = "key age"
	FactSetting       FactKind = "setting" // an env value only the node or a Secret knows
	FactQuarantine    FactKind = "quarantine"
	FactSecretReaders FactKind = "secret readers" // RBAC of the cluster
)

// hint says how a fact could be made known where its name does not.
func (k FactKind) hint() string {
	switch k {
	case FactMesh:
		return " (give the PeerAuthentications and Namespaces)"
	case FactMeshConfig:
		return " (ConfigMap istio in the mesh root namespace)"
	case FactQuarantine, FactSecretReaders:
		return " (only a cluster tells)"
	default:
		return ""
	}
}

// Fact names something that may be unknown.
type Fact struct {
	Kind      FactKind
	Namespace string
	Name      string
}

// String describes the fact, for example `Secret mojaloop/perffsp-1-ilp`.
func (f Fact) String() string {
	switch {
	case f.Name == "" && f.Namespace == "":
		return string(f.Kind)
	case f.Namespace == "":
		return string(f.Kind) + " " + f.Name
	case f.Name == "":
		return string(f.Kind) + " in " + f.Namespace
	}
	return string(f.Kind) + " " + f.Namespace + "/" + f.Name
}

// Presence tells whether something exists, and whether that is known.
type Presence int

// Unknown is the zero value: nothing is taken for absent by accident.
const (
	Unknown Presence = iota
	Absent
	Present
)

// Words to build results with.

// notApplicable is the result of a check that has nothing to say.
var notApplicable = Result{}

func passed() Result { return Result{Applies: true} }

func failed(v ...Violation) Result { return Result{Applies: true, Violations: v} }

func unknown(facts ...Fact) Result { return Result{Applies: true, Unknown: facts} }

func itoa[T ~int | ~int32 | ~uint32](n T) string { return fmt.Sprintf("%d", n) }
