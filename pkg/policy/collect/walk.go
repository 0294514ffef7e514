package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
)

const stdinName = "<stdin>"

// extensions are those of the files that are read in a directory.
var extensions = []string{".yaml", ".yml", ".json"}

// kustomizationNames are the names kustomize gives a meaning.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// add reads a path of Options.Paths.
func (c *collector) add(path string) {
	if path == "-" {
		c.addStdin()
		return
	}
	name := filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.Contains(path, "://"):
		c.fail(path, "is a URL: download it first, or pipe it into -f -")
	case err != nil:
		c.fail(name, reason(err))
	case info.IsDir():
		c.bases = append(c.bases, name)
		w := walker{c: c, seen: map[string]bool{}}
		if w.dir(name, false); !w.found {
			c.fail(name, "holds no .yaml, .yml or .json file")
		}
	default:
		c.bases = append(c.bases, filepath.Dir(name))
		c.addFile(name, true)
	}
}

func (c *collector) addStdin() {
	if c.opts.Stdin == nil || c.read[stdinName] {
		c.fail(stdinName, "can be read only once")
		return
	}
	c.read[stdinName] = true
	if data, ok := c.readAll(stdinName, c.opts.Stdin, 0); ok {
		c.addText(&file{name: stdinName, explicit: true}, data)
	}
}

// addFile reads a file, once.
func (c *collector) addFile(name string, explicit bool) {
	if c.read[name] {
		return
	}
	c.read[name] = true
	f, err := os.Open(name) //nolint:gosec // reading what the user names is the job
	if err != nil {
		c.fail(name, reason(err))
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	size := int64(0)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	if data, ok := c.readAll(name, f, size); ok {
		c.addText(&file{name: name, explicit: explicit}, data)
	}
}

// readAll reads up to the limit of the options; size is what is expected.
func (c *collector) readAll(name string, r io.Reader, size int64) ([]byte, bool) {
	limit := c.opts.MaxFileBytes
	var buf bytes.Buffer
	buf.Grow(int(min(size, limit)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		c.fail(name, reason(err))
		return nil, false
	case n > limit:
		c.fail(name, fmt.Sprintf("is larger than %d MiB", limit>>20))
		return nil, false
	}
	return buf.Bytes(), true
}

func (c *collector) fail(file, message string) {
	c.addError(policy.InputError{File: file, Message: message})
}

// reason is an error of the operating system without the path, which the
// InputError has.
func reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// walker finds the files of a directory.
type walker struct {
	c     *collector
	seen  map[string]bool // real paths of directories: links may form loops
	found bool
}

// dir adds the files of a directory in the order of their names. inChart tells
// that it is part of a chart that was reported already.
func (w *walker) dir(name string, inChart bool) {
	target, err := filepath.EvalSymlinks(name)
	if err == nil && w.seen[target] {
		return
	}
	w.seen[target] = true
	entries, err := os.ReadDir(name)
	if err != nil {
		w.c.fail(name, reason(err))
		return
	}
	chart := isChart(name)
	for _, entry := range entries {
		path := filepath.Join(name, entry.Name())
		info, err := os.Stat(path) // follows links
		switch {
		case err != nil:
			w.c.fail(path, reason(err))
		case !info.IsDir():
			w.file(path, info)
		case strings.HasPrefix(entry.Name(), "."):
		case chart && entry.Name() == "templates":
			if w.found = true; !inChart && hasTemplates(path) {
				w.c.fail(name, templateMessage(name))
			}
		default:
			w.dir(path, inChart || chart)
		}
	}
}

// file adds a file that may be a manifest. Kustomizations and the descriptions
// of charts are none: they are for -k and for helm.
func (w *walker) file(path string, info fs.FileInfo) {
	base := filepath.Base(path)
	switch {
	case !info.Mode().IsRegular() || !slices.Contains(extensions, filepath.Ext(base)):
	case slices.Contains(kustomizationNames, base), isChart(filepath.Dir(path)) && (base == "Chart.yaml" || base == "values.schema.json"):
		w.found = true
		w.c.passOver(NotAManifest)
	default:
		w.found = true
		w.c.addFile(path, false)
	}
}

func isChart(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "Chart.yaml"))
	return err == nil && info.Mode().IsRegular()
}

// hasTemplates tells whether a directory holds anything for Helm to render.
func hasTemplates(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && slices.Contains(append(extensions, ".tpl"), filepath.Ext(path)) {
			found = true
			return filepath.SkipAll
		}
		return nil
	})
	return found
}
