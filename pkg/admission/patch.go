package admission

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/pkg/policy"
)

// operation is one of RFC 6902. Only "add" is needed: nothing is ever replaced.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patchOf writes the changes of a pod as a JSON patch of its text. It touches
// nothing but what it adds, so fields that are newer than this program survive.
func patchOf(p *corev1.Pod, changes []policy.Change) ([]byte, error) {
	var ops []operation
	made := map[string]bool{} // lists and maps that an operation before this one makes
	for i := range changes {
		c := &changes[i]
		at := c.Path.String()
		there := made[at] || hasMembers(p, at)
		made[at] = true
		parent := pointer(at)
		switch {
		case c.Key != "" && there:
			ops = append(ops, operation{"add", parent + "/" + escapePointer(c.Key), c.Value})
		case c.Key != "":
			ops = append(ops, operation{"add", parent, map[string]any{c.Key: c.Value}})
		case there:
			ops = append(ops, operation{"add", parent + "/-", c.Value})
		default:
			// An absent list, null and [] become the same.
			ops = append(ops, operation{"add", parent, []any{c.Value}})
		}
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	return patch, nil
}

// pointer turns the path of a field into a JSON pointer. The paths of changes
// have no keys in brackets, only indices.
func pointer(path string) string {
	return "/" + strings.NewReplacer("[", "/", "]", "", ".", "/").Replace(path)
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escapePointer(key string) string { return pointerEscapes.Replace(key) }

// hasMembers tells whether the list or map at a path has members. What has none
// may be absent, and is made.
func hasMembers(p *corev1.Pod, path string) bool {
	switch path {
	case "metadata.labels":
		return len(p.Labels) > 0
	case "metadata.annotations":
		return len(p.Annotations) > 0
	case "spec.volumes":
		return len(p.Spec.Volumes) > 0
	}
	var list string
	var index int
	rest := strings.NewReplacer("[", " ", "].", " ").Replace(strings.TrimPrefix(path, "spec."))
	if n, err := fmt.Sscanf(rest, "%s %d", &list, &index); err != nil || n != 2 {
		return false
	}
	containers := p.Spec.Containers
	if list == "initContainers" {
		containers = p.Spec.InitContainers
	}
	if index >= len(containers) {
		return false
	}
	if strings.HasSuffix(path, ".env") {
		return len(containers[index].Env) > 0
	}
	return len(containers[index].VolumeMounts) > 0
}
