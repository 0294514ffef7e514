package policy

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// KindValues is the kind of a subject that is a file of Helm values.
const KindValues = "HelmValues"

// ValuesInput makes a file of Helm values an input of [Review].
func ValuesInput(file string, tree map[string]any) Input {
	return Input{Ref: Ref{APIVersion: "v1", Kind: KindValues, Name: file}, Raw: tree}
}

func (sub *Subject) isValues() bool { return sub.Object == nil && sub.Ref.Kind == KindValues }

// walkValues calls visit for every scalar of a tree, in the order of keys. A
// list of {name, value} pairs, as charts have for env, counts as members.
func walkValues(tree any, at *field.Path, visit func(p *field.Path, key string, value any)) {
	switch t := tree.(type) {
	case map[string]any:
		for _, key := range sortedKeys(t) {
			visitMember(child(at, key), key, t[key], visit)
		}
	case []any:
		for i, item := range t {
			p := at.Index(i)
			if m, ok := item.(map[string]any); ok {
				if name, ok := m["name"].(string); ok && m["value"] != nil {
					visitMember(p.Child("value"), name, m["value"], visit)
					continue
				}
			}
			visitMember(p, "", item, visit)
		}
	}
}

func visitMember(p *field.Path, key string, value any, visit func(*field.Path, string, any)) {
	switch value.(type) {
	case map[string]any, []any:
		walkValues(value, p, visit)
	default:
		visit(p, key, value)
	}
}

// child is a member of a map: a key with dots or slashes is written in
// brackets.
func child(at *field.Path, key string) *field.Path {
	if strings.ContainsAny(key, "./[]") && at != nil {
		return at.Key(key)
	}
	return at.Child(key)
}
