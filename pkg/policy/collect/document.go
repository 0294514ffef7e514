package collect

import (
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// readChunk reads the documents of a job.
func (c *collector) readChunk(j *job) {
	docs, err := j.file.src.Parse(j.chunk)
	for _, doc := range docs {
		c.readDocument(j, doc)
	}
	var broken *yamltree.Error
	if !errors.As(err, &broken) {
		return
	}
	text := j.file.src.Bytes()[j.chunk.Start:j.chunk.End]
	if at := templateLine.FindIndex(text); at != nil {
		// Whoever gives a template sees this once, not a syntax error a line.
		told := j.file.errorAt(j.chunk.Start+at[0], templateMessage(chartOf(j.file.name)))
		j.file.template.CompareAndSwap(nil, &told)
		return
	}
	j.result.Errors = append(j.result.Errors, j.file.errorAt(broken.Offset, broken.Error()))
}

// item is one object to be: a document or an item of a list.
type item struct {
	node *yaml.Node
	// at is the same node in the skeleton.
	at func() yamltree.Node
	// path leads to it from the document; empty for the document itself.
	path string
	// apiVersion and kind of items of a typed list, which name none.
	apiVersion, kind string
}

func (c *collector) readDocument(j *job, doc *yamltree.Document) {
	if doc.Root.Kind != yaml.MappingNode {
		c.notAManifest(j, doc, "is "+yamltree.Describe(doc.Root)+", not a manifest")
		return
	}
	// Most documents of a large input may be of kinds nobody reads: their
	// skeleton is never built.
	var tree *yamltree.Tree
	root := func() yamltree.Node {
		if tree == nil {
			tree = doc.Tree()
		}
		return tree.Root()
	}
	c.readItem(j, doc, item{node: doc.Root, at: root})
}

func (c *collector) readItem(j *job, doc *yamltree.Document, it item) {
	apiVersion, hasVersion := yamltree.Text(yamltree.Child(it.node, "apiVersion"))
	kindName, hasKind := yamltree.Text(yamltree.Child(it.node, "kind"))
	if it.kind != "" && !hasVersion && !hasKind {
		apiVersion, kindName, hasVersion, hasKind = it.apiVersion, it.kind, true, true
	}
	switch {
	case !hasVersion && !hasKind && it.path == "":
		c.readValues(j, doc, it)
	case !hasKind:
		c.notAManifest(j, doc, it.prefix()+"has no kind")
	case !hasVersion:
		c.notAManifest(j, doc, it.prefix()+"has no apiVersion")
	case strings.HasSuffix(kindName, "List") && yamltree.Child(it.node, "items") != nil:
		c.readList(j, doc, it, apiVersion, kindName)
	default:
		k, ok := kindOf(apiVersion, kindName)
		if !ok {
			j.passOver(apiVersion + "/" + kindName)
			return
		}
		c.readObject(j, doc, it, k, policy.Ref{APIVersion: apiVersion, Kind: kindName})
	}
}

// prefix names an item in front of a message.
func (it *item) prefix() string {
	if it.path == "" {
		return ""
	}
	return it.path + ": "
}

// notAManifest is an error in a file that was named, and nothing to speak of in
// a directory.
func (c *collector) notAManifest(j *job, doc *yamltree.Document, message string) {
	if !j.file.explicit {
		j.passOver(NotAManifest)
		return
	}
	c.failAt(j, item{node: doc.Root, at: doc.Tree().Root}, "", message)
}

// failAt reports an error at a path of an item, in the file to change.
func (c *collector) failAt(j *job, it item, path, message string) {
	r, _ := c.place(j, it).Locate(path)
	j.result.Errors = append(j.result.Errors, policy.InputError{File: r.File, Line: r.StartLine, Column: r.StartColumn, Message: message})
}

func (j *job) passOver(what string) {
	if j.result.PassedOver == nil {
		j.result.PassedOver = map[string]int{}
	}
	j.result.PassedOver[what]++
}

// readValues takes a mapping that names no kind for Helm values. JSON found in
// a directory is the business of other tools.
func (c *collector) readValues(j *job, doc *yamltree.Document, it item) {
	if !j.file.explicit && strings.HasSuffix(j.file.name, ".json") {
		j.passOver(NotAManifest)
		return
	}
	tree, _ := doc.Value(it.node).(map[string]any)
	j.result.Values = append(j.result.Values, Values{
		Ref: policy.ValuesInput(j.file.name, nil).Ref, Tree: tree, Positions: positions{j.file, it.at()},
	})
}

func (c *collector) readList(j *job, doc *yamltree.Document, it item, apiVersion, kindName string) {
	items := yamltree.Child(it.node, "items")
	if items.Kind != yaml.SequenceNode {
		if items.Tag != "!!null" {
			c.failAt(j, it, "items", it.prefix()+"items: want a list, have "+yamltree.Describe(items))
		}
		return
	}
	list, _ := it.at().Find("items")
	i := 0
	for at := range list.Children() {
		next := item{node: items.Content[i], at: func() yamltree.Node { return at }}
		if next.path = "items[" + strconv.Itoa(i) + "]"; it.path != "" {
			next.path = it.path + "." + next.path
		}
		if kindName != "List" {
			next.apiVersion, next.kind = apiVersion, strings.TrimSuffix(kindName, "List")
		}
		c.readItem(j, doc, next)
		i++
	}
}

// readObject decodes an object of a kind that is judged.
func (c *collector) readObject(j *job, doc *yamltree.Document, it item, k kind, ref policy.Ref) {
	var obj object
	var raw map[string]any
	if k.raw {
		raw, _ = doc.Value(it.node).(map[string]any)
	}
	var errs []*yamltree.Error
	if k.new != nil {
		obj = k.new()
		errs = doc.Decode(it.node, obj)
	} else {
		obj = &unstructured.Unstructured{Object: raw}
		errs = checkUntyped(doc, it.node)
	}
	if len(errs) > 0 {
		for _, err := range errs {
			path := err.Path
			if it.path != "" {
				err.Path = strings.TrimSuffix(it.path+"."+path, ".")
			}
			c.failAt(j, it, path, err.Error())
		}
		return
	}
	if obj.GetName() == "" && obj.GetGenerateName() == "" {
		c.failAt(j, it, "metadata", it.prefix()+"metadata.name is missing")
		return
	}
	switch {
	case k.cluster:
		obj.SetNamespace("")
	case obj.GetNamespace() == "":
		obj.SetNamespace(c.opts.Namespace)
	}
	if it.kind != "" { // an item of a typed list
		obj.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind))
	}
	j.result.Objects = append(j.result.Objects, Object{
		Ref: policy.RefOf(obj), Object: obj, Raw: raw, Positions: c.place(j, it),
	})
}

// checkUntyped decodes what is read later of a kind without a type, so that an
// error in it is found where positions are known.
func checkUntyped(doc *yamltree.Document, n *yaml.Node) []*yamltree.Error {
	var known struct {
		Metadata struct {
			Name         string            `json:"name"`
			GenerateName string            `json:"generateName"`
			Namespace    string            `json:"namespace"`
			Labels       map[string]string `json:"labels"`
			Annotations  map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	return doc.Decode(n, &known)
}

// place chooses the file that positions point into.
func (c *collector) place(j *job, it item) policy.Positions {
	if j.place != nil {
		return j.place(it.at(), it.node)
	}
	if source := helmSource(j.file.src.Bytes()[j.chunk.Start:j.chunk.End]); source != "" {
		if p := c.inTemplate(j, source, it.at(), positions{j.file, it.at()}); p != nil {
			return p
		}
	}
	return positions{j.file, it.at()}
}
