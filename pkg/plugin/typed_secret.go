package plugin

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// elided stands for what messages do not repeat.
const elided = "…"

var (
	hexWord    = regexp.MustCompile(`^[0-9A-Fa-f]{32,}$`)
	base64Word = regexp.MustCompile(`^[A-Za-z0-9+/_-]{32,}={0,2}$`)
	plainWord  = regexp.MustCompile(`^[A-Za-z0-9]{20,}$`)
)

// maxFileName is the longest name that a file can have, in bytes.
const maxFileName = 255

// looksSecret tells whether a word of a command line may be a key or a secret,
// typed where a name belongs. It would rather err than show one.
func looksSecret(word string) bool {
	switch {
	case isNoName(word):
		return true
	case base64Word.MatchString(word):
		const all = 3 // paths and names have less
		return classes(word) == all
	case plainWord.MatchString(word):
		return classes(word) > 1
	}
	return false
}

// mayBeSecret is [looksSecret] for words that may be paths.
func mayBeSecret(word string) bool { return isNoName(word) || looksSecret(word) && !isPath(word) }

// isNoName tells whether a word is hardly the name of anything, not even of what
// is still to be made.
func isNoName(word string) bool {
	return isPEM(word) || strings.ContainsAny(word, "\r\n") || hexWord.MatchString(word) || len(filepath.Base(word)) > maxFileName
}

// isPath tells whether a word lies in a folder that exists, other than the
// present one and the root: base64 has slashes, too.
func isPath(word string) bool {
	folder := filepath.Dir(word)
	if folder == "." || folder == "/" {
		return false
	}
	info, err := os.Stat(folder) //nolint:gosec // it is looked at, not opened
	return err == nil && info.IsDir()
}

// isPEM tells whether a word is, or begins, a key in PEM.
func isPEM(word string) bool { return strings.Contains(word, "-----BEGIN") }

// classes counts the kinds of characters of a word: capitals, small letters,
// digits.
func classes(word string) int {
	n := 0
	for _, class := range []string{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"} {
		if strings.ContainsAny(word, class) {
			n++
		}
	}
	return n
}

// typedSecrets returns what of a command line looks like a secret: whole
// arguments, parts of them such as the value of a flag or the id of a target,
// and who a URL is opened as. Without quotes a shell makes many arguments of a
// key in PEM; those count, too.
func typedSecrets(args []string) []string {
	var out []string
	add := func(word string) {
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	within := false
	for _, arg := range args {
		within = within || isPEM(arg)
		const tooCommon = 8 // RSA, PRIVATE
		if within && len(arg) >= tooCommon && !strings.HasPrefix(arg, "--") {
			add(arg)
		}
		within = within && !strings.Contains(arg, "-----END")
		_, value, _ := strings.Cut(arg, "=")
		words := []string{arg, value}
		if !isPath(arg) && !isPath(value) {
			words = append(words, strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune(",=/@:?&#{}", r) })...)
		}
		for _, word := range words {
			if !mayBeSecret(word) {
				continue
			}
			add(word)
			for line := range strings.FieldsSeq(word) { // however the breaks are shown
				if len(line) >= tooCommon {
					add(line)
				}
			}
		}
		if _, rest, ok := strings.Cut(arg, "://"); ok {
			if at := strings.LastIndexByte(rest, '@'); at > 0 && rest[:at] != elided {
				add(rest[:at+1])
			}
		}
	}
	// The longest first: one may be a part of another.
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return out
}

// hideTyped removes secrets from a message.
func hideTyped(text string, secrets []string) string {
	for _, secret := range secrets {
		for _, form := range []string{secret, visible(secret), strings.Trim(fmt.Sprintf("%q", secret), `"`)} {
			text = strings.ReplaceAll(text, form, elided)
		}
	}
	return text
}

// hiddenError is an error whose message would repeat a secret.
type hiddenError struct {
	error
	text string
}

// Error returns the message without the secret.
func (e *hiddenError) Error() string { return e.text }

// Unwrap returns the error.
func (e *hiddenError) Unwrap() error { return e.error }

// hideInError makes sure that the message of an error repeats no secret that was
// typed.
func hideInError(err error, args []string) error {
	message := Message(err)
	if hidden := hideTyped(message, typedSecrets(args)); hidden != message {
		return &hiddenError{err, hidden}
	}
	return err
}

// shownURL is a URL as messages and answers show it: without who it is opened
// as, which may be a password, and without a query or a part of the path that
// looks like a secret.
func shownURL(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		if u.User != nil {
			u.User = url.User(elided)
		}
		if u.RawQuery != "" {
			u.RawQuery = elided
		}
		text = strings.ReplaceAll(u.String(), url.PathEscape(elided), elided)
	} else if at := strings.LastIndexByte(text, '@'); at >= 0 {
		scheme := ""
		if before, _, ok := strings.Cut(text, "://"); ok {
			scheme = before + "://"
		}
		text = scheme + elided + text[at:]
	}
	return visible(hideTyped(text, typedSecrets([]string{text})))
}
