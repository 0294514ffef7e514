package plugin

import (
	"os"
	"path/filepath"
	"strings"
)

// repository maps files to paths below the root of the Git repository that
// holds the working directory, as code hosts know them.
type repository struct {
	root  string
	wd    string
	known map[string]string
}

// newRepository looks for the root upwards from a directory. Without one it is
// the directory itself.
func newRepository(wd string) *repository {
	if target, err := filepath.EvalSymlinks(wd); err == nil {
		wd = target
	}
	r := &repository{root: wd, wd: wd, known: map[string]string{}}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			r.root = dir
			return r
		}
		if dir == filepath.Dir(dir) {
			return r
		}
	}
}

// path returns the path of a file below the root, with slashes and symbolic
// links resolved. It is "" for standard input, and the absolute path for files
// elsewhere.
func (r *repository) path(file string) string {
	if strings.HasPrefix(file, "<") {
		return ""
	}
	if path, ok := r.known[file]; ok {
		return path
	}
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.wd, path)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if below, err := filepath.Rel(r.root, path); err == nil && filepath.IsLocal(below) {
		path = below
	}
	path = filepath.ToSlash(path)
	r.known[file] = path
	return path
}
