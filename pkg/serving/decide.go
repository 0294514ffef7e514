package serving

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// action is one change of the Secret.
type action int

const (
	actWait       action = iota
	actMakeAll           // nothing here can serve: a new CA and a leaf of it
	actRenewLeaf         // a new leaf of the present CA
	actAddCA             // trust a next CA
	actSwitchCA          // the next CA signs the leaf
	actDropOldCAs        // trust only what signs
)

// observed is what cannot be read from the Secret. Zero times mean "not yet";
// who starts to observe anew waits a little longer, which is safe.
type observed struct {
	published time.Time // since when all webhook configurations have the bundle
	served    time.Time // since when the leaf is in the Secret
}

// decision says what to do now, or until when to wait.
type decision struct {
	action action
	until  time.Time
	why    string // for the log
}

// decide says what comes next.
func decide(s state, p Periods, hosts []string, o observed, now time.Time) decision {
	if err := verify(s.leaf.Leaf, s.trusted(), now); err != nil {
		// Nobody accepts what is served: there is nothing to be gentle with.
		if s.ca.canSign(now) {
			return decision{action: actRenewLeaf, why: err.Error()}
		}
		return decision{action: actMakeAll, why: err.Error()}
	}
	wake := soonest{}
	switch {
	case s.next.canSign(now):
		if !wake.passed(now, o.published, p.Settle) {
			break
		}
		return decision{action: actSwitchCA, why: "the next CA is trusted everywhere"}
	case len(s.old) > 0 && s.ca.cert != nil:
		// One rotation ends before another one begins, else the bundle grows.
		if verify(s.leaf.Leaf, []*x509.Certificate{s.ca.cert}, now) != nil {
			if s.ca.canSign(now) && wake.passed(now, o.published, p.Settle) {
				return decision{action: actRenewLeaf, why: "the serving certificate is of an old CA"}
			}
		} else if wake.passed(now, o.served, p.Drain) {
			return decision{action: actDropOldCAs, why: "no replica serves a leaf of the old CA any more"}
		}
	case s.ca.cert == nil:
		return decision{action: actAddCA, why: "the key of the CA is lost"}
	case s.rotate != s.rotated:
		return decision{action: actAddCA, why: "annotation " + AnnotationRotate}
	case wake.due(now, s.ca.cert.NotAfter.Add(-p.CA/3)):
		return decision{action: actAddCA, why: fmt.Sprintf("the CA ends at %s", s.ca.cert.NotAfter.Format(time.RFC3339))}
	}
	if s.ca.canSign(now) {
		switch missing := notCovered(s.leaf, hosts); {
		case missing != "":
			return decision{action: actRenewLeaf, why: fmt.Sprintf("the serving certificate lacks %q", missing)}
		case s.renew != s.renewed:
			return decision{action: actRenewLeaf, why: "annotation " + AnnotationRenew}
		case s.ca.cert.NotAfter.After(s.leaf.Leaf.NotAfter) && wake.due(now, s.leaf.Leaf.NotAfter.Add(-p.Leaf/3)):
			return decision{action: actRenewLeaf, why: fmt.Sprintf("the serving certificate ends at %s", s.leaf.Leaf.NotAfter.Format(time.RFC3339))}
		}
	}
	wake.due(now, s.leaf.Leaf.NotAfter)
	if wake.at.IsZero() {
		wake.at = now.Add(time.Second) // the last second of the leaf
	}
	return decision{until: wake.at, why: "all is well"}
}

// advance returns the state after an action.
func advance(s state, a action, p Periods, hosts []string, now time.Time) (state, error) {
	var err error
	switch a {
	case actWait:
	case actMakeAll:
		if s.ca, err = newAuthority(now, p.CA); err != nil {
			return s, err
		}
		s.next, s.old, s.rotated = authority{}, nil, s.rotate
		fallthrough
	case actRenewLeaf:
		s.renewed = s.renew
		s.leaf, err = s.ca.newLeaf(now, p.Leaf, hosts)
	case actAddCA:
		s.rotated = s.rotate
		s.next, err = newAuthority(now, p.CA)
	case actSwitchCA:
		if s.ca.cert != nil {
			s.old = append(slices.Clone(s.old), s.ca.cert)
		}
		s.ca, s.next, s.renewed = s.next, authority{}, s.renew
		s.leaf, err = s.ca.newLeaf(now, p.Leaf, hosts)
	case actDropOldCAs:
		s.old = nil
	}
	return s, err
}

// notCovered returns the first host a leaf is not valid for.
func notCovered(leaf tls.Certificate, hosts []string) string {
	for _, host := range hosts {
		if leaf.Leaf.VerifyHostname(host) != nil {
			return host
		}
	}
	return ""
}

// soonest is the first of several times at which something will be due.
type soonest struct{ at time.Time }

// due tells whether a time has come, and remembers it when not.
func (s *soonest) due(now, at time.Time) bool {
	if !now.Before(at) {
		return true
	}
	if s.at.IsZero() || at.Before(s.at) {
		s.at = at
	}
	return false
}

// passed tells whether a period has passed since a time; never when that is
// zero.
func (s *soonest) passed(now, since time.Time, period time.Duration) bool {
	return !since.IsZero() && s.due(now, since.Add(period))
}
