package policy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// shown is how a detail quotes a value that is no secret.
func shown(v Value, absent string) string {
	if v.Presence == Present && v.IsText {
		return quoted(v.Text)
	}
	return absent
}

// quoted is how a detail shows text that came from outside and should be an
// identifier, a switch or a path: whoever wrote the pod may have put a secret
// there by mistake.
func quoted(text string) string {
	if len(text) <= 128 && harmless.MatchString(text) {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("a text of %d characters", utf8.RuneCountInString(text))
}

var harmless = regexp.MustCompile(`^[A-Za-z0-9]{0,32}$|^[A-Za-z0-9._@ -]{0,48}$|^[./][A-Za-z0-9._/-]*$|^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)

// quotedPath is how a detail shows a path that came from outside.
func quotedPath(path string) string {
	if len(path) <= 256 && harmless.MatchString(path) {
		return path
	}
	return quoted(path)
}

// maxEnumerated is how many names a detail lists. A report on ten thousand
// workloads that share something must not list each of them in each finding.
const maxEnumerated = 20

// enumerated is how a detail lists names: with more than maxEnumerated, the
// first of them.
func enumerated(names []string) string {
	if len(names) > maxEnumerated {
		return strings.Join(names[:maxEnumerated], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
