package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Modes of what holds a private key.
const (
	privateDir  fs.FileMode = 0o700
	privateFile fs.FileMode = 0o600
)

// newFile is a file to write, by its path below the directory.
type newFile struct {
	name string
	data []byte
}

// writeFileSet writes files below a directory that nobody else can read: all of
// them or none. A file that exists is refused, unless replace says otherwise;
// it is never seen half written. A signal ends it before the first file has its
// name, or not at all.
func writeFileSet(ctx context.Context, dir string, files []newFile, replace bool) (err error) {
	if !replace {
		if have := existing(dir, files); len(have) > 0 {
			return taken(have)
		}
	}
	if err := noLinks(dir, files); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return interrupted("nothing was written")
	}
	if err := os.MkdirAll(dir, privateDir); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	stage, err := os.MkdirTemp(dir, stagePattern)
	if err != nil {
		return fmt.Errorf("write to %s: %w", visible(dir), err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	staged := func(i int) string { return filepath.Join(stage, fmt.Sprintf("%d", i)) }
	for i, f := range files {
		if ctx.Err() != nil {
			return interrupted("nothing was written")
		}
		if err := writeNew(staged(i), f.data); err != nil {
			return fmt.Errorf("write %s: %w", visible(f.name), err)
		}
	}
	var undo []func() error
	for i, f := range files {
		path := filepath.Join(dir, f.name)
		back, err := place(staged(i), path, replace)
		if err != nil {
			for _, u := range slices.Backward(undo) {
				err = errors.Join(err, u())
			}
			if errors.Is(err, fs.ErrExist) {
				return taken([]string{path})
			}
			return fmt.Errorf("write %s: %w", visible(path), err)
		}
		undo = append(undo, back)
	}
	return nil
}

// stagePattern names the directory where files stand before they get their
// names.
const stagePattern = ".mojasec-*"

// taken refuses files that exist.
func taken(paths []string) error {
	verb, them := "exists", "it"
	if len(paths) > 1 {
		verb, them = "exist", "them"
	}
	return refused("%s %s already: nothing was written; choose another directory, or replace %s with --replace", visible(strings.Join(paths, ", ")), verb, them)
}

// folders lists the directories below dir that the files go into.
func folders(dir string, files []newFile) []string {
	var out []string
	for _, f := range files {
		for name := filepath.Dir(f.name); name != "."; name = filepath.Dir(name) {
			if path := filepath.Join(dir, name); !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}

// noLinks refuses to write through a link: the files would be somewhere else
// than it says.
func noLinks(dir string, files []newFile) error {
	for _, path := range folders(dir, files) {
		if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSymlink {
			to, _ := os.Readlink(path)
			return refused("%s is a link to %s: nothing was written; choose another directory, or remove the link", visible(path), visible(to))
		}
	}
	return nil
}

// inspect finds what is unsafe about directories that are there: others can look
// into them, or a run that was killed left keys.
func inspect(dir string, files []newFile) []string {
	var out []string
	for _, path := range append([]string{dir}, folders(dir, files)...) {
		if info, err := os.Stat(path); err == nil && info.IsDir() && info.Mode().Perm()&0o077 != 0 {
			out = append(out, fmt.Sprintf("others can look into %s:  chmod 700 %s", visible(path), quote(path)))
		}
	}
	left, _ := filepath.Glob(filepath.Join(escapeGlob(dir), stagePattern))
	for _, path := range left {
		out = append(out, fmt.Sprintf("%s was left by a run that was killed, unless one is under way, and holds private keys:  rm -r %s", visible(path), quote(path)))
	}
	return out
}

// escapeGlob makes a pattern that matches a path and no other.
func escapeGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// existing lists the files that are there already.
func existing(dir string, files []newFile) []string {
	var have []string
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); err == nil {
			have = append(have, path)
		}
	}
	return have
}

// writeNew writes a file that does not exist yet, and waits until it is on the
// disk.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, privateFile) //nolint:gosec // below a directory that the user names
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// place gives a staged file its name, and returns what takes that back. A link
// cannot replace a file, so a name that somebody took meanwhile is an error.
func place(staged, path string, replace bool) (undo func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(path), privateDir); err != nil {
		return nil, err
	}
	if replace {
		old := staged + ".old"
		switch err := os.Link(path, old); {
		case err == nil:
			return func() error { return os.Rename(old, path) }, os.Rename(staged, path)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if err := os.Link(staged, path); err != nil {
		return nil, err
	}
	return func() error { return os.Remove(path) }, nil
}
