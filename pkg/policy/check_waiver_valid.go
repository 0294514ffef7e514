package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// waiver-valid: a Waiver names checks that exist and objects that exist, has a
// reason and an owner, and has not expired.
var checkWaiverValid = Check{
	ID: "waiver-valid", Category: CategoryPolicy, Severity: Warning,
	Title: "waivers are unexpired and used",
	Fix:   "delete the Waiver, or correct it and have it approved again",
	Doc: `A Waiver is an exception with an owner, a reason and an end. One that has expired does nothing, one
that names a check or an object that does not exist does not do what its owner believes, and one
without a match would waive everywhere (and is refused). Labels count only together with namespaces or
names, because anybody can put a label on a pod. Waivers among the files that are judged are
checked, not applied: those that count are given with ` + "`--waivers`" + `.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		w, ok := sub.Object.(*v1alpha1.Waiver)
		if !ok {
			return notApplicable
		}
		spec := field.NewPath("spec")
		var found []Violation
		add := func(at *field.Path, format string, args ...any) {
			found = append(found, Violation{Field: at, Detail: fmt.Sprintf(format, args...)})
		}
		switch at := w.Spec.ExpiresAt.Time; {
		case at.IsZero():
			add(spec.Child("expiresAt"), "expiresAt is not set: an exception needs an end")
		case !at.After(snap.now):
			add(spec.Child("expiresAt"), "expired on %s and no longer counts", at.UTC().Format(time.DateOnly))
		}
		if strings.TrimSpace(w.Spec.Reason) == "" {
			add(spec.Child("reason"), "reason is empty")
		}
		if strings.TrimSpace(w.Spec.Owner) == "" {
			add(spec.Child("owner"), "owner is empty")
		}
		for i, id := range w.Spec.Checks {
			if !snap.isCheck(ID(id)) {
				add(spec.Child("checks").Index(i), "%q is no check; `kubectl mojasec explain` lists them", id)
			}
		}
		m := w.Spec.Match
		_, err := newWaiver(w)
		switch {
		case isEverything(&m):
			add(spec.Child("match"), "match is empty: it would waive the checks everywhere")
		case errors.Is(err, errLabelsAlone):
			add(spec.Child("match", "labels"), "%s; give the namespaces too", errLabelsAlone)
		case errors.Is(err, errSelector):
			add(spec.Child("match", "labels"), "%s", err)
		case err == nil && !snap.incomplete(FactNamespace) && !snap.matchesAny(w):
			add(spec.Child("match"), "matches no object that is here")
		}
		return failedOrPassed(found)
	},
}

// matchesAny tells whether a Waiver covers anything that is known.
func (s *Snapshot) matchesAny(o *v1alpha1.Waiver) bool {
	w, err := newWaiver(o)
	if err != nil {
		return false
	}
	for _, sh := range s.shardsInOrder() {
		for _, o := range sh.workloads {
			if w.covers(&Subject{Ref: o.Ref, Workload: o.Workload}) {
				return true
			}
		}
		for _, d := range slices.Concat(sh.secrets, sh.configMaps) {
			if w.covers(&Subject{Ref: d.Ref}) {
				return true
			}
		}
	}
	return false
}
