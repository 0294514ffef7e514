package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// waivers are the exceptions, by check. A Waiver for all checks is not
// possible: each one names what it waives.
type waivers map[ID]*exceptions

// exceptions are the Waivers of one check: each is found by the names that it
// lists, else by its namespaces.
type exceptions struct {
	byName, byNamespace map[string][]*waiver
	others              []*waiver
}

func (e *exceptions) add(w *waiver) {
	switch {
	case len(w.match.Names) > 0:
		for _, name := range w.match.Names {
			e.byName[name] = append(e.byName[name], w)
		}
	case len(w.match.Namespaces) > 0:
		for _, ns := range w.match.Namespaces {
			e.byNamespace[ns] = append(e.byNamespace[ns], w)
		}
	default:
		e.others = append(e.others, w)
	}
}

type waiver struct {
	name      string
	expiresAt time.Time
	match     v1alpha1.WaiverMatch
	selector  labels.Selector // of the object or its pods
}

func newWaivers(objs []*v1alpha1.Waiver) waivers {
	if len(objs) == 0 {
		return nil
	}
	out := waivers{}
	for _, o := range objs {
		w, err := newWaiver(o)
		if err != nil {
			continue // waiver-valid reports it
		}
		for _, id := range o.Spec.Checks {
			if out[ID(id)] == nil {
				out[ID(id)] = &exceptions{byName: map[string][]*waiver{}, byNamespace: map[string][]*waiver{}}
			}
			out[ID(id)].add(w)
		}
	}
	return out
}

// What is wrong with the labels of a Waiver. Alone they are refused because
// everybody could make use of them.
var (
	errLabelsAlone = errors.New("labels count only together with namespaces or names: anybody can put a label on a pod")
	errSelector    = errors.New("labels cannot be read")
)

// newWaiver prepares a Waiver. One without a match matches nothing.
func newWaiver(o *v1alpha1.Waiver) (*waiver, error) {
	m := o.Spec.Match
	w := &waiver{name: o.Name, expiresAt: o.Spec.ExpiresAt.Time, match: m, selector: labels.Everything()}
	if m.Labels != nil && !isEverything(&v1alpha1.WaiverMatch{Labels: m.Labels}) {
		if len(m.Namespaces)+len(m.Names) == 0 {
			return nil, fmt.Errorf("waiver %s: %w", o.Name, errLabelsAlone)
		}
		selector, err := metav1.LabelSelectorAsSelector(m.Labels)
		if err != nil {
			return nil, fmt.Errorf("waiver %s: %w: %w", o.Name, errSelector, err)
		}
		w.selector = selector
	}
	if strings.TrimSpace(o.Spec.Reason) == "" || strings.TrimSpace(o.Spec.Owner) == "" {
		return nil, fmt.Errorf("waiver %s: has no reason or no owner", o.Name)
	}
	if isEverything(&m) {
		w.selector = labels.Nothing()
	}
	return w, nil
}

// isEverything tells that a match leaves nothing out.
func isEverything(m *v1alpha1.WaiverMatch) bool {
	return len(m.Namespaces)+len(m.Kinds)+len(m.Names) == 0 &&
		(m.Labels == nil || len(m.Labels.MatchLabels)+len(m.Labels.MatchExpressions) == 0)
}

// waivedBy returns the name of a live waiver that covers a finding.
func (s *Snapshot) waivedBy(id ID, sub *Subject) (string, bool) {
	e := s.waivers[id]
	if e == nil {
		return "", false
	}
	for _, list := range [...][]*waiver{e.byName[sub.Ref.Name], e.byNamespace[sub.Ref.Namespace], e.others} {
		for _, w := range list {
			if w.expiresAt.After(s.now) && w.covers(sub) {
				return w.name, true
			}
		}
	}
	return "", false
}

// covers tells whether a waiver is about a subject. An empty list or selector
// matches everything.
func (w *waiver) covers(sub *Subject) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	if !in(w.match.Namespaces, sub.Ref.Namespace) || !in(w.match.Kinds, sub.Ref.Kind) || !in(w.match.Names, sub.Ref.Name) {
		return false
	}
	if w.selector.Empty() {
		return true
	}
	if m, ok := sub.Object.(metav1.Object); ok && w.selector.Matches(labels.Set(m.GetLabels())) {
		return true
	}
	return sub.Workload != nil && w.selector.Matches(labels.Set(sub.Workload.Labels))
}
