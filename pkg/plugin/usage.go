package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that cannot be run.
type usageError struct {
	message string
	// wrong is the part of an argument to replace by right.
	wrong, right string
	// next is the command to type instead.
	next string
}

// Error returns the message and the command to type.
func (e *usageError) Error() string {
	if e.next == "" {
		return e.message
	}
	return e.message + "\ntype:  " + e.next
}

// complete finds out what to type, from what was typed. Nothing that looks like
// a secret is repeated.
func (e *usageError) complete(cmd *cobra.Command, args []string) {
	defer func() {
		secrets := typedSecrets(args)
		e.message, e.next = hideTyped(e.message, secrets), hideTyped(e.next, secrets)
	}()
	if e.next != "" {
		return
	}
	e.next = cmd.CommandPath() + " --help"
	if e.right == "" {
		return
	}
	words := []string{displayName}
	replaced := false
	for _, arg := range args {
		if !replaced {
			if i := wordIn(arg, e.wrong); i >= 0 {
				arg = arg[:i] + e.right + arg[i+len(e.wrong):]
				replaced = true
			}
		}
		words = append(words, quote(arg))
	}
	if replaced {
		e.next = strings.Join(words, " ")
	}
}

// wordIn returns where word stands in an argument such as --only=a,word; -1
// when it does not.
func wordIn(arg, word string) int {
	const separators = "=,"
	for from := 0; ; {
		i := strings.Index(arg[from:], word)
		if i < 0 {
			return -1
		}
		start := from + i
		end := start + len(word)
		if (start == 0 || strings.IndexByte(separators, arg[start-1]) >= 0) &&
			(end == len(arg) || strings.IndexByte(separators, arg[end]) >= 0) {
			return start
		}
		from = start + 1
	}
}

// quote makes an argument safe to paste into a shell.
func quote(arg string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=,./:@%+", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !safe(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// unknown is the error for a word that is none of a set: what is the noun for
// it, as in `unknown check "x"`.
func unknown(what, word string, known []string) *usageError {
	near := nearest(word, known)
	e := &usageError{message: fmt.Sprintf("unknown %s %q", what, word), wrong: word}
	if len(near) == 0 {
		if len(known) > 0 && len(known) <= 16 {
			e.message += "; want " + orList(known)
		}
		return e
	}
	e.message += "; did you mean " + orList(near) + "?"
	e.right = near[0]
	return e
}

// orList joins words as a sentence does: a, b or c.
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func unknownCommand(root *cobra.Command, word string) error {
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return unknown("command", word, names)
}

// onlySubcommands refuses arguments that are no command.
func onlySubcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{message: fmt.Sprintf("%q takes no argument, got %q", cmd.CommandPath(), args[0])}
}

// flagErrors turns what pflag says of a command line into a usageError. A flag
// behind an unknown command is not what is wrong.
func flagErrors(args []string) func(*cobra.Command, error) error {
	return func(cmd *cobra.Command, err error) error {
		depth := strings.Count(cmd.CommandPath(), " ") - strings.Count(displayName, " ")
		if cmd.HasAvailableSubCommands() && depth < len(args) && !strings.HasPrefix(args[depth], "-") && cmd.ValidateArgs(args[depth:depth+1]) != nil {
			return unknownCommand(cmd, args[depth])
		}
		return flagError(cmd, err)
	}
}

func flagError(cmd *cobra.Command, err error) error {
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return &usageError{message: err.Error()}
	}
	name := missing.GetSpecifiedName()
	if missing.GetSpecifiedShortnames() != "" {
		return &usageError{message: fmt.Sprintf("unknown flag -%s for %q", name, cmd.CommandPath())}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	e := unknown("flag", "--"+name, known)
	e.message = strings.Replace(e.message, fmt.Sprintf("%q", "--"+name), fmt.Sprintf("--%s for %q", name, cmd.CommandPath()), 1)
	return e
}

// nearest returns up to three of known that word may stand for, the most
// likely first.
func nearest(word string, known []string) []string {
	type candidate struct {
		word string
		far  int
	}
	var near []candidate
	word = strings.ToLower(word)
	for _, k := range known {
		far := distance(word, strings.ToLower(k))
		switch {
		case far <= max(2, len(k)/4):
		case len(word) >= 3 && strings.Contains(k, word):
			far += len(k) // behind those that are misspelt
		default:
			continue
		}
		near = append(near, candidate{k, far})
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, c := range near[:min(3, len(near))] {
		out = append(out, c.word)
	}
	return out
}

// distance is the number of letters to insert, delete or change between a and
// b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
