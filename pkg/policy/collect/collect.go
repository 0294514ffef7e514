// Package collect is the door through which files enter: YAML and JSON become
// objects that know where each of their fields stands.
//
// # What it reads
//
// Files, directories, standard input and kustomizations; YAML streams, JSON,
// lists (kind List), what Helm printed, and files of Helm values. Nothing that
// cannot be read stops the rest: it becomes an error with file, line and column.
//
// # What a position points at
//
// At the file a person would change. For what Helm printed that is the template
// (named by its "# Source:" comment) when it is found on disk; for a
// kustomization the file an object came from. There, the line is the one that
// has the same text as the value; when a template computes the value, it is the
// nearest line before it that can be recognised. Helm output from standard
// input whose template is not on disk has positions in line 1 of the template.
package collect

import (
	"context"
	"errors"
	"io"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
)

// defaultMaxFileBytes is the largest file that is read: far above what an API
// server would take, and low enough for a laptop.
const defaultMaxFileBytes = 256 << 20

// Options says what to read.
type Options struct {
	// Paths are files, directories, and "-" for Stdin.
	Paths []string
	// Kustomize are directories with a kustomization file.
	Kustomize []string
	Stdin     io.Reader
	// Namespace is that of objects that name none; "default" when empty.
	Namespace string
	// AllowRemote lets kustomizations fetch what is not on this machine.
	AllowRemote bool
	// MaxFileBytes is the size above which a file is an error; 0 means 256 MiB.
	MaxFileBytes int64
}

// Object is an API object from a file.
type Object struct {
	Ref    policy.Ref
	Object runtime.Object
	// Raw is the tree as it was written, for kinds whose typed form loses
	// fields: Istio's, Rollout and Certificate. Nil for others.
	Raw       map[string]any
	Positions policy.Positions
}

// Values is a mapping that is no object: most likely the values of a chart.
type Values struct {
	// Ref has the kind HelmValues and the file as its name.
	Ref       policy.Ref
	Tree      map[string]any
	Positions policy.Positions
}

// NotAManifest is the key under which Result.PassedOver counts what was found
// in a directory and is something else.
const NotAManifest = "not a manifest"

// Result is what was read, in the order of the input.
type Result struct {
	Objects []Object
	Values  []Values
	Errors  []policy.InputError
	// PassedOver counts what no check reads, by "apiVersion/kind".
	PassedOver map[string]int
	// Files counts those that were read.
	Files int
}

// Files reads everything opts names. What cannot be read is in Result.Errors;
// the error is for options that make no sense, and for a context that ended.
func Files(ctx context.Context, opts Options) (*Result, error) {
	if len(opts.Paths)+len(opts.Kustomize) == 0 {
		return nil, errors.New("read manifests: no file, directory or kustomization given")
	}
	c := newCollector(opts)
	for _, path := range opts.Paths {
		c.add(path)
	}
	for _, dir := range opts.Kustomize {
		c.addKustomization(dir)
	}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.result(), nil
}
