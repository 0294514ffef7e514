package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// identity is what makes a finding the same one in two reports: the check, the
// object, and the field without its indices, as those move when a list grows.
type identity struct {
	check, kind, namespace, name, field string
}

var index = regexp.MustCompile(`\[\d+\]`)

func newIdentity(check, kind, namespace, name, field string) identity {
	return identity{check, kind, namespace, name, index.ReplaceAllString(field, "[]")}
}

// baseline counts the findings of an earlier report. Findings that were waived
// are none of them: when a waiver ends, its findings are new.
type baseline map[identity]int

// readBaseline reads a report that -o json wrote.
func readBaseline(name string) (baseline, error) {
	text, err := os.ReadFile(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", errors.Unwrap(err))
	}
	var r v1alpha1.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read baseline: not a report that -o json writes: %w", err)
	}
	if r.Kind != v1alpha1.KindReport || r.APIVersion != v1alpha1.GroupVersion.String() {
		return nil, fmt.Errorf("read baseline: want apiVersion %s and kind %s, have %q and %q",
			v1alpha1.GroupVersion, v1alpha1.KindReport, r.APIVersion, r.Kind)
	}
	b := baseline{}
	for _, f := range r.Findings {
		if !f.Waived {
			b[newIdentity(f.Check, f.Subject.Kind, f.Subject.Namespace, f.Subject.Name, f.Field)]++
		}
	}
	return b, nil
}

// mark sets Known in as many findings as the baseline has of each identity.
func (b baseline) mark(r *policy.Report) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Waived {
			continue
		}
		field := ""
		if f.Field != nil {
			field = f.Field.String()
		}
		at := r.Place(f)
		id := newIdentity(string(r.Check(f.Pair).ID), at.Kind, at.Namespace, at.Name, field)
		if b[id] > 0 {
			b[id]--
			f.Known = true
		}
	}
}
