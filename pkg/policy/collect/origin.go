package collect

import (
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// origins are the files the objects of a kustomization came from.
type origins struct {
	c             *collector
	dir           string
	kustomization string
	files         map[string]*originFile
}

// originFile is one of them.
type originFile struct {
	name    string
	text    *textFile // nil when it cannot be read
	objects []originObject
}

type originObject struct {
	kind, name string
	root       yamltree.Node
}

// file returns the file of an origin. What a generator made comes from where it
// is configured, what was fetched from the kustomization that names it.
func (o *origins) file(origin *resource.Origin) *originFile {
	name := o.kustomization
	switch {
	case origin == nil || origin.Repo != "":
	case origin.Path != "":
		name = filepath.Join(o.dir, origin.Path)
	case origin.ConfiguredIn != "":
		name = filepath.Join(o.dir, origin.ConfiguredIn)
	}
	if f, ok := o.files[name]; ok {
		return f
	}
	f := &originFile{name: name, text: o.c.readTextFile(name)}
	o.files[name] = f
	if f.text != nil {
		f.index()
	}
	return f
}

// index finds the objects of the file, and what generates objects.
func (f *originFile) index() {
	for _, chunk := range f.text.src.Split() {
		docs, _ := f.text.src.Parse(chunk) // kustomize read it, so it can be read
		for _, doc := range docs {
			kind, name := identity(doc.Root)
			root := doc.Tree().Root()
			f.objects = append(f.objects, originObject{kind, name, root})
			f.addGenerators(doc, root, "ConfigMap", "configMapGenerator")
			f.addGenerators(doc, root, "Secret", "secretGenerator")
		}
	}
}

func (f *originFile) addGenerators(doc *yamltree.Document, root yamltree.Node, kind, field string) {
	list, ok := root.Find(field)
	if !ok || list.Kind() != yamltree.Sequence {
		return
	}
	items := yamltree.Child(doc.Root, field).Content
	i := 0
	for item := range list.Children() {
		name, _ := yamltree.Text(yamltree.Child(items[i], "name"))
		f.objects = append(f.objects, originObject{kind, name, item})
		i++
	}
}

func identity(n *yaml.Node) (kind, name string) {
	kind, _ = yamltree.Text(yamltree.Child(n, "kind"))
	name, _ = yamltree.Text(yamltree.Child(yamltree.Child(n, "metadata"), "name"))
	return kind, name
}

// place finds the object that became a built one: of the same kind, with the
// same name or a name that got a prefix or suffix.
func (f *originFile) place(built yamltree.Node, fields *yaml.Node) policy.Positions {
	if f.text == nil {
		return startOf(f.name)
	}
	kind, name := identity(fields)
	best := -1
	for i, obj := range f.objects {
		switch {
		case obj.kind != kind || obj.name == "":
		case obj.name == name:
			return originPositions{f, obj.root, built}
		case strings.Contains(name, obj.name) && (best < 0 || len(obj.name) > len(f.objects[best].name)):
			best = i
		}
	}
	if best < 0 {
		return textPositions{file: f.text, root: built}
	}
	return originPositions{f, f.objects[best].root, built}
}

// originPositions are those of a built object in the file it came from.
type originPositions struct {
	file  *originFile
	root  yamltree.Node // in the file
	built yamltree.Node
}

// Locate implements policy.Positions. A value that kustomize put in or changed
// stands elsewhere: then the position is that of the object or its generator.
func (p originPositions) Locate(path string) (policy.Region, bool) {
	have, ok := p.root.Find(path)
	built, builtOK := p.built.Find(path)
	if ok != builtOK || ok && !have.Same(built) {
		path = ""
	}
	start, end := p.root.Locate(path)
	return region(p.file.name, p.file.text.src, start, end), true
}

// startOf points at the first line of a file that is not here.
type startOf string

// Locate implements policy.Positions.
func (s startOf) Locate(string) (policy.Region, bool) {
	return policy.Region{File: string(s), StartLine: 1, StartColumn: 1, EndLine: 1, EndColumn: 1}, true
}
