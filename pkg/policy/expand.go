package policy

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxExpansion bounds the length, in bytes, of an expanded value: references
// to references can grow exponentially.
const maxExpansion = 64 << 10

// expand resolves $(NAME) in the literal value of env[i] as the kubelet does:
// only variables that stand before it (and envFrom) are known, $$(NAME) is a
// literal $(NAME), and a reference to an unknown name stays as it is.
func expand(env []corev1.EnvVar, i int, from []EnvFrom) []part {
	return expandBounded(env, i, from, new(int))
}

func expandBounded(env []corev1.EnvVar, i int, from []EnvFrom, spent *int) []part {
	value := env[i].Value
	if !strings.Contains(value, "$") {
		*spent += len(value)
		return []part{{text: value}}
	}
	var parts []part
	addText := func(text string) {
		*spent += len(text)
		if n := len(parts); n > 0 && parts[n-1].ref == nil {
			parts[n-1].text += text
		} else if text != "" {
			parts = append(parts, part{text: text})
		}
	}
	for value != "" && *spent < maxExpansion {
		dollar := strings.IndexByte(value, '$')
		if dollar < 0 || dollar+1 == len(value) {
			addText(value)
			break
		}
		addText(value[:dollar])
		value = value[dollar:]
		if value[1] == '$' { // $$ is an escaped $
			addText("$")
			value = value[2:]
			continue
		}
		end := strings.IndexByte(value, ')')
		if value[1] != '(' || end < 0 {
			addText(value[:2])
			value = value[2:]
			continue
		}
		name := value[2:end]
		for _, p := range reference(env, i, from, name, spent) {
			if p.ref == nil {
				addText(p.text)
			} else {
				parts = append(parts, p)
			}
		}
		value = value[end+1:]
	}
	return parts
}

// reference resolves one $(name) in env[i].
func reference(env []corev1.EnvVar, i int, from []EnvFrom, name string, spent *int) []part {
	// Names count too, or empty values could make the work exponential.
	if *spent += 1 + len(name); *spent >= maxExpansion {
		return nil
	}
	for j := i - 1; j >= 0; j-- {
		if env[j].Name != name {
			continue
		}
		if env[j].ValueFrom == nil {
			return expandBounded(env, j, from, spent)
		}
		set := newSetting(env, j, from, nil)
		return []part{{ref: &set}}
	}
	for j, src := range slices.Backward(from) {
		// Which keys the object has is not known here; one that could hold
		// the name is taken to.
		if key, ok := strings.CutPrefix(name, src.Prefix); ok && key != "" {
			return []part{{ref: &Setting{Name: name, Source: src.Source, Object: src.Object, Key: key, Optional: true, index: j, from: true}}}
		}
	}
	return []part{{text: "$(" + name + ")"}}
}
