package policy

import (
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
type waivers map[ID][]*waiver

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
			out[ID(id)] = append(out[ID(id)], w)
		}
	}
	return out
}

// newWaiver prepares a Waiver. One without a match matches nothing.
func newWaiver(o *v1alpha1.Waiver) (*waiver, error) {
	if strings.TrimSpace(o.Spec.Reason) == "" || strings.TrimSpace(o.Spec.Owner) == "" {
		return nil, fmt.Errorf("waiver %s: has no reason or no owner", o.Name)
	}
	m := o.Spec.Match
	w := &waiver{name: o.Name, expiresAt: o.Spec.ExpiresAt.Time, match: m, selector: labels.Everything()}
	if m.Labels != nil {
		selector, err := metav1.LabelSelectorAsSelector(m.Labels)
		if err != nil {
			return nil, fmt.Errorf("waiver %s: labels: %w", o.Name, err)
		}
		w.selector = selector
	}
	if len(m.Namespaces)+len(m.Kinds)+len(m.Names) == 0 && w.selector.Empty() {
		w.selector = labels.Nothing()
	}
	return w, nil
}

// waivedBy returns the name of a live waiver that covers a finding.
func (s *Snapshot) waivedBy(id ID, sub *Subject) (string, bool) {
	for _, w := range s.waivers[id] {
		if w.expiresAt.After(s.now) && w.covers(sub) {
			return w.name, true
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
