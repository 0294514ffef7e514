package plugin

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/mojasec/mojasec/pkg/policy"
)

// keyTable prints keys in columns, as kubectl does.
type keyTable struct {
	// wide has more columns, namespaces one for the namespace.
	wide, namespaces bool
	now              time.Time
}

const (
	none = "<none>"
	// unreadCell stands for what could not be read.
	unreadCell = "?"
)

// maxNames and maxNamesWide are how many names stand in a column.
const (
	maxNames     = 1
	maxNamesWide = 10
)

// write prints the signing keys, and the verification keys below.
func (t *keyTable) write(w io.Writer, r *keysRead) error {
	var signing, verification [][]string
	for i := range r.ring.Signing {
		signing = append(signing, t.signing(&r.ring.Signing[i], r))
	}
	for i := range r.ring.Verification {
		verification = append(verification, t.verification(&r.ring.Verification[i]))
	}
	if len(signing) > 0 {
		header := []string{"DFSP", "STATUS", "SECRET", "FINGERPRINT", "ALGORITHM", "AGE", "PEERS", "USED BY"}
		if t.wide {
			header = append(header, "ENTRY", "ENCODING", "SINCE", "SHARED WITH", "PUBLISHED IN")
		}
		if err := t.columns(w, header, signing); err != nil {
			return err
		}
	}
	if len(verification) == 0 {
		return nil
	}
	if len(signing) > 0 {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	header := []string{"PEERS HOLD", "STATUS", "SIGNS WITH IT", "FINGERPRINT", "ALGORITHM", "IN"}
	if t.wide {
		header = append(header, "ENTRY", "ENCODING", "VERIFIERS")
	}
	return t.columns(w, header, verification)
}

func (t *keyTable) columns(w io.Writer, header []string, rows [][]string) error {
	if t.namespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	tabs := printers.GetNewTabWriter(w)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(tabs, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return tabs.Flush()
}

// signing is the row of a signing key.
func (t *keyTable) signing(e *policy.SigningEntry, r *keysRead) []string {
	who := e.DFSP
	if e.Hub {
		who = cmp.Or(who, "hub") + " (hub)"
	}
	key, kind := t.fingerprint(&e.KeyState), algorithm(&e.KeyState)
	if !e.HasKey && e.Presence == policy.Unknown {
		key, kind = unreadCell, unreadCell // there may be one
	}
	row := []string{cell(who), strings.Join(statusOfKey(e, r), ","), t.place(e), key, kind, t.age(e), peersOf(e, r), t.users(e.Users)}
	if t.wide {
		since := none
		if !e.Since.IsZero() {
			since = e.Since.UTC().Format(time.RFC3339)
		}
		row = append(row, cell(e.Entry), cell(string(e.Key.Encoding)), since, cell(strings.Join(e.SharedWith, ",")), cell(strings.Join(e.PublishedIn, ",")))
	}
	return t.in(e.Namespace, row)
}

// verification is the row of a verification key.
func (t *keyTable) verification(v *policy.VerificationEntry) []string {
	in := strings.ToLower(v.Object.Kind) + "/" + v.Object.Name
	row := []string{cell(v.FSP), strings.Join(statusOfPeerKey(v), ","), matchWord(v.Match), t.fingerprint(&v.KeyState), algorithm(&v.KeyState), cell(in)}
	if t.wide {
		row = append(row, cell(v.Entry), cell(string(v.Key.Encoding)), t.users(v.Users))
	}
	return t.in(v.Object.Namespace, row)
}

// matchWord says whether the FSP signs with the key that peers hold.
func matchWord(m policy.Match) string {
	switch m {
	case policy.MatchCurrent:
		return "yes"
	case policy.MatchOther:
		return "no"
	case policy.MatchUnused:
		return "not yet"
	case policy.MatchExternal:
		return "elsewhere"
	case policy.MatchUnknown:
	}
	return "unknown"
}

func (t *keyTable) in(ns string, row []string) []string {
	if t.namespaces {
		return append([]string{cell(ns)}, row...)
	}
	return row
}

// cell is a value of a table: never empty, and without control characters.
func cell(text string) string { return cmp.Or(visible(text), none) }

// place is where a signing key stands.
func (t *keyTable) place(e *policy.SigningEntry) string {
	switch {
	case e.Object.Name == "":
		return cell(strings.TrimPrefix(e.Elsewhere, "the "))
	case e.Object.Kind != "Secret":
		return strings.ToLower(e.Object.Kind) + "/" + visible(e.Object.Name)
	}
	return cell(e.Object.Name)
}

func (t *keyTable) fingerprint(s *policy.KeyState) string {
	switch {
	case !s.HasKey:
		return none
	case t.wide:
		return s.Key.Fingerprint.String()
	}
	return s.Key.Fingerprint.Short()
}

func algorithm(s *policy.KeyState) string {
	if !s.HasKey {
		return none
	}
	return algorithmOf(s.Key)
}

// age is how kubectl writes an age, with a + for at least.
func (t *keyTable) age(e *policy.SigningEntry) string {
	if e.Since.IsZero() {
		return "<unknown>"
	}
	text := duration.HumanDuration(t.now.Sub(e.Since))
	if e.AtLeast {
		text += "+"
	}
	return text
}

// peersOf counts the objects for verifiers that hold the public half, of those
// that have an entry for the FSP.
func peersOf(e *policy.SigningEntry, r *keysRead) string {
	switch {
	case r.peersUnread(e), !e.HasKey && e.Presence == policy.Unknown:
		return unreadCell
	case !e.HasKey:
		return none
	}
	right := 0
	for _, i := range e.Holders {
		if v := &r.ring.Verification[i]; v.HasKey && v.Key.Fingerprint == e.Key.Fingerprint {
			right++
		}
	}
	return fmt.Sprintf("%d/%d", right, len(e.Holders))
}

// users names the workloads.
func (t *keyTable) users(users []policy.KeyUser) string {
	var names []string
	seen := make(map[string]bool, len(users))
	for _, u := range users {
		if name := nameOfUser(u); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	limit := maxNames
	if t.wide {
		limit = maxNamesWide
	}
	if len(names) > limit {
		names = append(names[:limit], fmt.Sprintf("+%d", len(names)-limit))
	}
	return cell(strings.Join(names, ","))
}

func nameOfUser(u policy.KeyUser) string {
	return strings.ToLower(u.Workload.Kind) + "/" + u.Workload.Name
}
