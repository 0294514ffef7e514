package collect

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v3"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// parallelBytes is the size of the input from which starting goroutines pays.
const parallelBytes = 64 << 10

// collector gathers the input as jobs, which can run in any order, and their
// results in the order of the jobs.
type collector struct {
	opts  Options
	bases []string        // directories in which templates are looked for
	read  map[string]bool // files read already
	files int
	bytes int
	jobs  []job

	mu        sync.Mutex
	templates map[string]*textFile // by "# Source:" text; nil when not on disk
}

// job is a part of the input: a chunk of a file or an object that kustomize
// made. It holds its own result.
type job struct {
	file  *file
	chunk yamltree.Chunk
	// place finds positions other than those of the text itself.
	place  func(n yamltree.Node, fields *yaml.Node) policy.Positions
	result Result
}

// file is one file of the input.
type file struct {
	name string
	src  *yamltree.Source
	// explicit files were named by the user; others were found in a directory.
	explicit bool
	// template is set when it turns out that the file is for Helm to render.
	template atomic.Pointer[policy.InputError]
}

func newCollector(opts Options) *collector {
	opts.Namespace = cmp.Or(opts.Namespace, "default")
	opts.MaxFileBytes = min(cmp.Or(opts.MaxFileBytes, defaultMaxFileBytes), yamltree.MaxSize)
	return &collector{opts: opts, read: map[string]bool{}, templates: map[string]*textFile{}, bases: []string{"."}}
}

// addText splits the text of a file into jobs.
func (c *collector) addText(f *file, data []byte) {
	c.files++
	src, err := yamltree.NewSource(data)
	if err != nil {
		c.fail(f.name, err.Error())
		return
	}
	f.src = src
	if chart := chartOf(f.name); chart != "" && templateAction.Match(data) {
		c.addError(f.errorAt(templateAction.FindIndex(data)[0], templateMessage(chart)))
		return
	}
	c.bytes += len(data)
	for _, chunk := range src.Split() {
		c.jobs = append(c.jobs, job{file: f, chunk: chunk})
	}
}

// addError and passOver put what is known without reading at its place among
// the results.
func (c *collector) addError(err policy.InputError) {
	c.jobs = append(c.jobs, job{result: Result{Errors: []policy.InputError{err}}})
}

func (c *collector) passOver(what string) {
	c.jobs = append(c.jobs, job{result: Result{PassedOver: map[string]int{what: 1}}})
}

// run reads the chunks, on all processors when there is much to read.
func (c *collector) run(ctx context.Context) error {
	workers := 1
	if c.bytes >= parallelBytes {
		workers = min(runtime.GOMAXPROCS(0), len(c.jobs))
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(c.jobs) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if j := &c.jobs[i]; j.file != nil {
					c.readChunk(j)
				}
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// result joins the results of the jobs. Of a file that is a template nothing
// counts but that.
func (c *collector) result() *Result {
	out := &Result{Files: c.files, PassedOver: map[string]int{}}
	told := map[*file]bool{}
	for i := range c.jobs {
		j := &c.jobs[i]
		if j.file != nil {
			if template := j.file.template.Load(); template != nil {
				if !told[j.file] {
					out.Errors = append(out.Errors, *template)
				}
				told[j.file] = true
				continue
			}
		}
		out.Objects = append(out.Objects, j.result.Objects...)
		out.Values = append(out.Values, j.result.Values...)
		out.Errors = append(out.Errors, j.result.Errors...)
		for kind, n := range j.result.PassedOver {
			out.PassedOver[kind] += n
		}
	}
	return out
}

// errorAt is an error at an offset of the file.
func (f *file) errorAt(offset int, message string) policy.InputError {
	p := f.src.Position(offset)
	return policy.InputError{File: f.name, Line: p.Line, Column: p.Column, Message: message}
}

// region converts a range of offsets.
func region(name string, src *yamltree.Source, start, end int) policy.Region {
	from, to := src.Position(start), src.Position(end)
	return policy.Region{
		File: name, StartLine: from.Line, StartColumn: from.Column, EndLine: to.Line, EndColumn: to.Column,
	}
}

// positions are those of an object in the file it was read from.
type positions struct {
	file *file
	root yamltree.Node
}

// Locate implements policy.Positions.
func (p positions) Locate(path string) (policy.Region, bool) {
	start, end := p.root.Locate(path)
	return region(p.file.name, p.file.src, start, end), true
}
