package plugin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// fileFlag is a file that a flag names. Its errors say which flag, and do not
// repeat a name that looks like the content: who types --key "$(cat bank.key)"
// must not find the key in a log.
type fileFlag struct {
	flag, name string
}

// String names the file in messages.
func (f fileFlag) String() string { return f.flag + " " + visible(f.name) }

// check refuses a name that looks like the content of a file. A file that is
// there may be called what it likes.
func (f fileFlag) check() error {
	if !mayBeSecret(f.name) {
		return nil
	}
	return f.refuse()
}

// checkNew is check for a folder that need not be there.
func (f fileFlag) checkNew() error {
	if !isNoName(f.name) {
		return nil
	}
	return f.refuse()
}

// refuse says that a name looks like the content, unless there is such a file.
func (f fileFlag) refuse() error {
	if _, err := os.Lstat(f.name); err == nil {
		return nil
	}
	if isPEM(f.name) && !strings.Contains(f.name, "PRIVATE") {
		return fmt.Errorf("%s wants the name of a file, and got what stands in it", f.flag)
	}
	if isPEM(f.name) {
		return fmt.Errorf("%s wants the name of a file, and got the key itself: by now it may be in the history of the shell, so replace that key", f.flag)
	}
	return fmt.Errorf("%s wants the name of a file, and there is none of that name; it is not repeated here, because it looks like a key or secret itself: if it is one, replace it", f.flag)
}

// explain makes an error of reading the file one for the user.
func (f fileFlag) explain(err error) error {
	if err == nil {
		return nil
	}
	if mistaken := f.check(); mistaken != nil {
		return mistaken
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err // the name stands in front already
	}
	// A URL is no file, and may have a password.
	name := hideTyped(f.name, typedSecrets([]string{f.name}))
	return fmt.Errorf("%s: %w", fileFlag{f.flag, name}, err)
}

// open opens the file to read it.
func (f fileFlag) open() (*os.File, error) {
	file, err := os.Open(f.name)
	if err != nil {
		return nil, f.explain(err)
	}
	return file, nil
}

// read reads the file.
func (f fileFlag) read() ([]byte, error) {
	text, err := os.ReadFile(f.name)
	return text, f.explain(err)
}

// readPrivate reads a file that nobody else should be able to read, and says so
// on warnings when others are.
func (f fileFlag) readPrivate(warnings io.Writer) ([]byte, error) {
	info, err := os.Stat(f.name)
	if err != nil {
		return nil, f.explain(err)
	}
	const others = 0o077
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&others != 0 {
		_, _ = fmt.Fprintf(warnings, "warning: %s has mode %04o: others may read the private key; type: chmod 600 %s\n",
			visible(f.name), mode.Perm(), visible(quote(f.name)))
	}
	return f.read()
}
