package manifests

import (
	"fmt"
	"io/fs"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Overlay is one way to install mojasec.
type Overlay string

// The overlays.
const (
	SelfManaged Overlay = "base"                  // the webhook makes its own certificates
	CertManager Overlay = "overlays/cert-manager" // cert-manager makes them
	URL         Overlay = "overlays/url"          // the webhook runs on the API server's machine
)

// The namespaces and the image the files name.
const (
	Namespace       = "mojasec-system"
	DefaultMeshRoot = "istio-system"
	DefaultImage    = "ghcr.io/mojasec/mojasec"
)

// Options are what differs between clusters. The zero value renders the files
// as they are.
type Options struct {
	// Overlay is SelfManaged where it is empty.
	Overlay Overlay
	// Image replaces the image of the Deployment: name, name:tag or
	// name@digest.
	Image string
	// Version becomes the label app.kubernetes.io/version, ManagedBy the label
	// app.kubernetes.io/managed-by of every object.
	Version, ManagedBy string
	// MeshRoot is the mesh's root namespace; istio-system where it is empty.
	MeshRoot string
}

// Render returns the objects to apply, in an order in which they can be:
// namespaces and CRDs first, webhook configurations last.
func Render(o Options) ([]*unstructured.Unstructured, error) {
	disk, err := inMemory()
	if err != nil {
		return nil, err
	}
	if o.Overlay == "" {
		o.Overlay = SelfManaged
	}
	top := types.Kustomization{Resources: []string{"../" + string(o.Overlay)}}
	if o.Image != "" {
		top.Images = []types.Image{imageOf(o.Image)}
	}
	if pairs := o.labels(); len(pairs) > 0 {
		top.Labels = []types.Label{{Pairs: pairs}}
	}
	data, err := yaml.Marshal(top)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile("/top/kustomization.yaml", data); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	rendered, err := krusty.MakeKustomizer(options).Run(disk, "/top")
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", o.Overlay, err)
	}
	var out []*unstructured.Unstructured
	for _, r := range rendered.Resources() {
		obj := &unstructured.Unstructured{}
		// By way of JSON, for its number types.
		data, err := r.MarshalJSON()
		if err == nil {
			err = obj.UnmarshalJSON(data)
		}
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", r.CurId(), err)
		}
		if root := o.MeshRoot; root != "" && root != DefaultMeshRoot {
			replaceString(obj.Object, DefaultMeshRoot, root)
		}
		out = append(out, obj)
	}
	return out, nil
}

// inMemory copies the embedded files to where kustomize can read them.
func inMemory() (filesys.FileSystem, error) {
	disk := filesys.MakeFsInMemory()
	err := fs.WalkDir(Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := Files.ReadFile(path)
		if err != nil {
			return err
		}
		return disk.WriteFile("/"+path, data)
	})
	if err != nil {
		return nil, fmt.Errorf("read the embedded manifests: %w", err)
	}
	return disk, nil
}

// imageOf takes a reference apart: a colon after the last slash begins the tag.
func imageOf(ref string) types.Image {
	image := types.Image{Name: DefaultImage}
	ref, image.Digest, _ = strings.Cut(ref, "@")
	image.NewName = ref
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		image.NewName = ref[:i]
		if image.Digest == "" {
			image.NewTag = ref[i+1:]
		}
	}
	return image
}

func (o Options) labels() map[string]string {
	out := map[string]string{}
	if o.Version != "" {
		out["app.kubernetes.io/version"] = o.Version
	}
	if o.ManagedBy != "" {
		out["app.kubernetes.io/managed-by"] = o.ManagedBy
	}
	return out
}

// replaceString replaces every string in a tree that equals old.
func replaceString(tree any, old, replacement string) {
	switch t := tree.(type) {
	case map[string]any:
		for k, v := range t {
			if v == old {
				t[k] = replacement
			}
			replaceString(v, old, replacement)
		}
	case []any:
		for i, v := range t {
			if v == old {
				t[i] = replacement
			}
			replaceString(v, old, replacement)
		}
	}
}
