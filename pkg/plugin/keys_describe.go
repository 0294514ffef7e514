package plugin

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/mojasec/mojasec/pkg/policy"
)

// writeKeyDetails prints keys as kubectl describe does.
func writeKeyDetails(w io.Writer, list *KeyList, r *keysRead, now time.Time) error {
	var text bytes.Buffer
	tabs := printers.GetNewTabWriter(&text)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(tabs, format+"\n", args...) }
	for i := range list.Items {
		if i > 0 {
			p("")
		}
		list.Items[i].describe(p, now)
	}
	for i := range list.VerificationKeys {
		// Those of keys that are here stand there already.
		if slices.ContainsFunc(r.ring.Signing, func(e policy.SigningEntry) bool { return slices.Contains(e.Holders, i) }) {
			continue
		}
		if len(list.Items) > 0 || i > 0 {
			p("")
		}
		list.VerificationKeys[i].describe(p)
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (k *KeyItem) describe(p func(string, ...any), now time.Time) {
	who := cell(k.DFSP)
	if k.Hub {
		who += " (hub)"
	}
	p("DFSP:\t%s", who)
	p("Namespace:\t%s", cell(k.Namespace))
	switch {
	case k.Source != nil:
		p("%s:\t%s", k.Source.Kind, visible(k.Source.Name))
		p("Entry:\t%s", visible(k.Source.Entry))
		if k.Injected {
			p("Mounted:\tby admission, in pods that it has seen")
		}
	case k.From != "":
		p("Comes from:\t%s", visible(k.From))
	}
	p("Status:\t%s", strings.Join(k.Status, ", "))
	k.facts(p)
	if k.Since != nil {
		least := ""
		if k.SinceAtLeast {
			least = ", or longer"
		}
		p("Since:\t%s (%s%s)", k.Since.Format(time.RFC3339), duration.HumanDuration(now.Sub(*k.Since)), least)
	} else if k.Fingerprint != "" {
		p("Since:\t<unknown>")
	}
	if k.Fingerprint != "" {
		p("Shared with:\t%s", cell(strings.Join(k.SharedWith, ", ")))
	}
	p("Mounted by:\t%s", orNone(len(k.Users)))
	for _, u := range k.Users {
		p("  %s", u.describe(true))
	}
	if k.PeersUnread {
		p("Peers hold:\tnot read")
	} else {
		p("Peers hold:\t%s", orNone(len(k.Peers)))
	}
	for _, h := range k.Peers {
		text := fmt.Sprintf("%s/%s in %s, %s: ", strings.ToLower(h.Kind), h.Name, h.Namespace, h.Entry)
		switch {
		case h.Match == string(policy.MatchOther) && h.Fingerprint != "":
			text += "another key, " + h.Fingerprint[:8]
		case h.Match == string(policy.MatchOther):
			text += "no key that can be read"
		case h.Match == string(policy.MatchUnknown):
			text += "key " + cmp.Or(h.Fingerprint, "that cannot be read")
		default:
			text += "this key"
		}
		p("  %s, read by %s", visible(text), counted(h.Verifiers, "workload"))
	}
	p("Checks:\t%s", orNone(len(k.Checks)))
	for _, c := range k.Checks {
		waived := ""
		if c.Waived {
			waived = " (waived)"
		}
		p("  %s %s%s: %s", c.Severity, c.Check, waived, c.Detail)
		p("    %s", c.Fix)
	}
}

func (k *VerificationItem) describe(p func(string, ...any)) {
	p("DFSP:\t%s", cell(k.FSP))
	p("Namespace:\t%s", cell(k.Namespace))
	p("%s:\t%s", k.Source.Kind, visible(k.Source.Name))
	p("Entry:\t%s", visible(k.Source.Entry))
	p("Private half:\t%s", map[string]string{
		string(policy.MatchExternal): "not in what was read", string(policy.MatchCurrent): "here", string(policy.MatchUnused): "here, and nobody signs with it",
		string(policy.MatchOther): "the FSP signs with another key", string(policy.MatchUnknown): "not known",
	}[k.Match])
	k.facts(p)
	p("Shared with:\t%s", cell(strings.Join(k.SharedWith, ", ")))
	p("Verified by:\t%s", orNone(len(k.Users)))
	for _, u := range k.Users {
		p("  %s", u.describe(false))
	}
}

// facts prints what both halves tell.
func (k *KeyFactsItem) facts(p func(string, ...any)) {
	if k.Fingerprint != "" {
		bits := ""
		if k.Algorithm == "RSA" {
			bits = fmt.Sprintf(" %d", k.Bits)
		}
		p("Fingerprint:\t%s", k.Fingerprint)
		p("Algorithm:\t%s%s, in %s", k.Algorithm, bits, k.Encoding)
	}
	if k.Unusable != "" {
		p("Unusable:\t%s", visible(k.Unusable))
	}
	if k.Exposed {
		p("Exposed:\tyes, the private half stands where others read it: make a new pair with generate jws --replace")
	}
	switch {
	case k.Fingerprint == "":
	case k.Published && len(k.PublishedIn) == 0:
		p("Published:\tyes, as the Profile says")
	case k.Published:
		p("Published:\tin %s", visible(strings.Join(k.PublishedIn, ", ")))
	default:
		p("Published:\tno")
	}
}

func (u *keyUserItem) describe(signing bool) string {
	text := fmt.Sprintf("%s/%s in %s, container %s", strings.ToLower(u.Kind), u.Name, u.Namespace, u.Container)
	if u.Path != "" {
		text += ", at " + u.Path
	}
	switch {
	case signing && u.Signs:
		text += ", signs with it"
	case signing:
		text += ", does not sign with it"
	}
	if u.Pods > 0 {
		text += ", " + counted(u.Pods, "pod")
	}
	return visible(text)
}

func orNone(n int) string {
	if n == 0 {
		return none
	}
	return ""
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
