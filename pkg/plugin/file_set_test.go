package plugin

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// filesBelow returns the files below a directory with their content.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

func TestWriteFileSet(t *testing.T) {
	t.Parallel()
	files := []newFile{{"a/one.pem", []byte("1")}, {"a/two.pem", []byte("2")}, {"b/three.pem", []byte("3")}}
	all := map[string]string{"a/one.pem": "1", "a/two.pem": "2", "b/three.pem": "3"}
	for _, tt := range []struct {
		name    string
		before  map[string]string
		replace bool
		want    map[string]string
		code    Code
	}{
		{"new", nil, false, all, Good},
		{"beside others", map[string]string{"c": "x"}, false, map[string]string{"a/one.pem": "1", "a/two.pem": "2", "b/three.pem": "3", "c": "x"}, Good},
		{"the third exists", map[string]string{"b/three.pem": "old"}, false, map[string]string{"b/three.pem": "old"}, Refused},
		{"the third is replaced", map[string]string{"b/three.pem": "old"}, true, all, Good},
		{"the third cannot be replaced", map[string]string{"a/one.pem": "old", "b/three.pem/x": "a directory"}, true, map[string]string{"a/one.pem": "old", "b/three.pem/x": "a directory"}, Failed},
		{"a directory is a file", map[string]string{"b": "in the way"}, false, map[string]string{"b": "in the way"}, Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tt.before)
			err := writeFileSet(t.Context(), dir, files, tt.replace)
			if got := CodeOf(err); got != tt.code {
				t.Errorf("got code %d (%v), want %d", got, err, tt.code)
			}
			if diff := cmp.Diff(tt.want, filesBelow(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFilesArePrivate looks at the modes of all that is written, where the
// umask would allow more.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "keys")
	if err := writeFileSet(t.Context(), dir, []newFile{{"a/one.pem", nil}, {"two", nil}}, false); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := privateFile
		if d.IsDir() {
			want = privateDir
		}
		n++
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", path, got, want)
		}
		return nil
	})
	if err != nil || n != 4 {
		t.Errorf("looked at %d entries (%v), want 4", n, err)
	}
}

// TestPlaceLosesARace finds the name taken after it was free.
func TestPlaceLosesARace(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"staged": "new", "taken": "old"})
	_, err := place(filepath.Join(dir, "staged"), filepath.Join(dir, "taken"), false)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want that it exists", err)
	}
	if got := read(t, filepath.Join(dir, "taken")); got != "old" {
		t.Errorf("got %q, want the old file", got)
	}
}

// TestWriteFileSetThroughALink refuses a folder that is somewhere else.
func TestWriteFileSetThroughALink(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	if err := os.Symlink(other, filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	err := writeFileSet(t.Context(), dir, []newFile{{"b/one.pem", nil}, {"a/two.pem", nil}}, true)
	if CodeOf(err) != Refused {
		t.Errorf("got %v, want a refusal", err)
	}
	below, err := os.ReadDir(dir)
	if got := len(filesBelow(t, other)); got > 0 || len(below) != 1 || err != nil {
		t.Errorf("got %d files behind the link and %v (%v) beside it, want none", got, below, err)
	}
}

// TestWriteFileSetInterrupted leaves nothing.
func TestWriteFileSetInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := writeFileSet(ctx, dir, []newFile{{"a", nil}}, false); CodeOf(err) != Interrupted {
		t.Errorf("got %v, want that it was interrupted", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made (%v)", err)
	}
}

// TestTaken speaks of one file and of several.
func TestTaken(t *testing.T) {
	t.Parallel()
	for want, paths := range map[string][]string{
		"a exists already: nothing was written; choose another directory, or replace it with --replace":     {"a"},
		"a, b exist already: nothing was written; choose another directory, or replace them with --replace": {"a", "b"},
	} {
		if got := taken(paths).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestInspect finds what is unsafe about a directory that is there.
func TestInspect(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[keys]")
	files := []newFile{{"a/one.pem", nil}, {"b", nil}}
	if got := inspect(dir, files); got != nil {
		t.Errorf("no directory: got %q, want nothing", got)
	}
	if err := writeFileSet(t.Context(), dir, files, false); err != nil {
		t.Fatal(err)
	}
	if got := inspect(dir, files); got != nil {
		t.Errorf("our own: got %q, want nothing", got)
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "a"), 0o755), os.Mkdir(filepath.Join(dir, ".mojasec-123"), 0o700)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"others can look into " + dir + "/a:  chmod 700 '" + dir + "/a'",
		dir + "/.mojasec-123 was left by a run that was killed, unless one is under way, and holds private keys:  rm -r '" + dir + "/.mojasec-123'",
	}
	if diff := cmp.Diff(want, inspect(dir, files)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
