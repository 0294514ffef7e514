package live

import (
	"fmt"
	"strings"
)

// health is what Ready and Stale tell.
type health struct {
	// notRead are the kinds that must be known and are not.
	notRead []string
	stale   []string
}

func (h *health) err() error {
	if len(h.notRead) == 0 {
		return nil
	}
	return fmt.Errorf("not read: %s", strings.Join(h.notRead, "; "))
}

// note records a problem once it lasts.
func (h *health) note(st *state, lasts bool) {
	if !lasts {
		return
	}
	what := st.source.kind.groupResource()
	if st.source.namespace != "" {
		what += " in namespace " + st.source.namespace
	}
	h.stale = append(h.stale, fmt.Sprintf("%s since %s: %v", what, st.since.UTC().Format("2006-01-02T15:04:05Z"), st.problem))
}
