package collect

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

// addKustomization builds a kustomization; every object it makes is a job.
func (c *collector) addKustomization(dir string) {
	dir = filepath.Clean(dir)
	name := kustomizationIn(dir)
	if name == "" {
		c.fail(dir, "holds no kustomization.yaml")
		return
	}
	c.files++
	if !c.opts.AllowRemote {
		local := localCheck{seen: map[string]bool{}}
		if local.kustomization(dir); local.err != nil {
			c.addError(*local.err)
			return
		}
	}
	options := krusty.MakeDefaultOptions()
	objects, err := krusty.MakeKustomizer(options).Run(originFS{filesys.MakeFsOnDisk(), name}, dir)
	if err != nil {
		c.fail(name, "kustomize: "+withoutSecrets(err.Error()))
		return
	}
	origins := origins{c: c, dir: dir, kustomization: name, files: map[string]*originFile{}}
	for _, res := range objects.Resources() {
		c.addResource(name, res, &origins)
	}
}

// addResource makes a job of an object. What it came from is read now: jobs run
// at the same time.
func (c *collector) addResource(name string, res *resource.Resource, from *origins) {
	origin, err := res.GetOrigin()
	if err == nil {
		err = res.SetOrigin(nil) // it is ours, not the user's
	}
	var text []byte
	if err == nil {
		text, err = res.AsYAML()
	}
	var src *yamltree.Source
	if err == nil {
		src, err = yamltree.NewSource(text)
	}
	if err != nil {
		c.fail(name, "kustomize: "+withoutSecrets(err.Error()))
		return
	}
	made := from.file(origin)
	c.bytes += len(text)
	for _, chunk := range src.Split() {
		c.jobs = append(c.jobs, job{
			file: &file{name: made.name, src: src, explicit: true}, chunk: chunk,
			place: func(n yamltree.Node, fields *yaml.Node) policy.Positions { return made.place(n, fields) },
		})
	}
}

// quotedValue is how YAML libraries quote what they could not use.
var quotedValue = regexp.MustCompile("`[^`]*`")

// withoutSecrets takes out of a message of kustomize what it quotes of the
// content of files.
func withoutSecrets(message string) string {
	for _, before := range []string{"literal source", "invalid utf8 bytes"} {
		if i := strings.Index(message, before); i >= 0 {
			message = message[:i+len(before)]
		}
	}
	return quotedValue.ReplaceAllString(message, "(value)")
}

func kustomizationIn(dir string) string {
	for _, base := range kustomizationNames {
		name := filepath.Join(dir, base)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// originFS is the file system with one change: the kustomization that is built
// asks for origin annotations. kustomize has no option for that.
type originFS struct {
	filesys.FileSystem
	kustomization string
}

// ReadFile implements filesys.FileSystem.
func (fs originFS) ReadFile(path string) ([]byte, error) {
	data, err := fs.FileSystem.ReadFile(path)
	if err != nil || !sameFile(path, fs.kustomization) {
		return data, err //nolint:wrapcheck // kustomize looks at it
	}
	var fields map[string]any
	if sigsyaml.Unmarshal(data, &fields) != nil {
		return data, nil // kustomize says what is wrong
	}
	options, _ := fields["buildMetadata"].([]any)
	fields["buildMetadata"] = append(options, types.OriginAnnotations)
	return sigsyaml.Marshal(fields) //nolint:wrapcheck // cannot fail for what was just read
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// localCheck looks for what kustomize would fetch from elsewhere, before it
// does: it decides by the text of an entry alone, and never asks.
type localCheck struct {
	seen map[string]bool
	err  *policy.InputError
}

// kustomization checks a directory and the bases below it. What cannot be read
// is for kustomize to report.
func (l *localCheck) kustomization(dir string) {
	name := kustomizationIn(dir)
	if name == "" || l.seen[name] || l.err != nil {
		return
	}
	l.seen[name] = true
	data, err := os.ReadFile(name) //nolint:gosec // a path of the kustomization
	if err != nil {
		return
	}
	var k types.Kustomization
	if sigsyaml.Unmarshal(data, &k) != nil {
		return
	}
	for _, entry := range entriesOf(&k) {
		if isRemote(entry) {
			l.refuse(name, data, entry)
			return
		}
	}
	for _, entry := range slices.Concat(k.Resources, k.Bases, k.Components) { //nolint:staticcheck // bases are deprecated, not gone
		l.kustomization(filepath.Join(dir, entry))
	}
	// Configurations of built-in plugins name files too.
	for _, entry := range slices.Concat(k.Generators, k.Transformers, k.Validators) {
		path := filepath.Join(dir, entry)
		l.kustomization(path)
		if strings.Contains(entry, "\n") {
			l.plugin(name, []byte(entry))
		} else if data, err := os.ReadFile(path); err == nil { //nolint:gosec // a path of the kustomization
			l.plugin(path, data)
		}
	}
}

// plugin checks every word of the configuration of a plugin.
func (l *localCheck) plugin(name string, data []byte) {
	for word := range bytes.FieldsSeq(data) {
		if entry := strings.Trim(string(word), `"',[]{}`); isRemoteFile(entry) {
			l.refuse(name, data, entry)
			return
		}
	}
}

func (l *localCheck) refuse(name string, data []byte, entry string) {
	if l.err != nil {
		return
	}
	message := fmt.Sprintf("base %q is remote: allow it with --allow-remote, or keep a copy", withoutPassword(entry))
	l.err = &policy.InputError{File: name, Message: message}
	if src, err := yamltree.NewSource(data); err == nil {
		if i := bytes.Index(data, []byte(entry)); i >= 0 {
			p := src.Position(i)
			l.err.Line, l.err.Column = p.Line, p.Column
		}
	}
}

// withoutPassword hides the password of a URL.
func withoutPassword(entry string) string {
	if u, err := url.Parse(entry); err == nil && u.User != nil {
		return u.Redacted()
	}
	return entry
}

// entriesOf lists what a kustomization reads.
func entriesOf(k *types.Kustomization) []string {
	entries := slices.Concat(k.Resources, k.Bases, k.Components, k.Generators, k.Transformers, k.Validators, k.Configurations, k.Crds) //nolint:staticcheck // bases are deprecated, not gone
	for _, p := range k.PatchesStrategicMerge {                                                                                        //nolint:staticcheck // as above
		entries = append(entries, string(p))
	}
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) { //nolint:staticcheck // as above
		entries = append(entries, p.Path)
	}
	for _, r := range k.Replacements {
		entries = append(entries, r.Path)
	}
	entries = append(entries, k.OpenAPI["path"])
	for _, g := range k.ConfigMapGenerator {
		entries = append(entries, filesOf(g.KvPairSources)...)
	}
	for _, g := range k.SecretGenerator {
		entries = append(entries, filesOf(g.KvPairSources)...)
	}
	return entries
}

// filesOf lists the files of a generator, which may stand as name=file.
func filesOf(sources types.KvPairSources) []string {
	files := append(slices.Clone(sources.EnvSources), sources.EnvSource)
	for _, entry := range sources.FileSources {
		_, path, found := strings.Cut(entry, "=")
		if !found {
			path = entry
		}
		files = append(files, path)
	}
	return files
}

// isRemote tells whether kustomize would fetch an entry.
func isRemote(entry string) bool {
	if entry == "" || strings.Contains(entry, "\n") { // an inline patch
		return false
	}
	// Only kustomize knows what it takes for a repository, and this is where
	// it tells.
	return isRemoteFile(entry) || (&resource.Origin{}).Append(entry).Repo != ""
}

func isRemoteFile(entry string) bool {
	u, err := url.Parse(entry)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}
