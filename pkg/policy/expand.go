package policy

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxExpansion bounds the text, in bytes, that the variables of one container
// expand to: references to references can grow exponentially.
const maxExpansion = 64 << 10

// part is a stretch of an expanded value: text, a variable that is set from
// elsewhere, or a name that only envFrom can have.
type part struct {
	text string
	ref  *Setting
	name string
}

// expander resolves $(NAME) in the literal values of one container as the
// kubelet does: in the order of env, with what stands before and what envFrom
// brings; $$(NAME) is a literal $(NAME), and a reference to an unknown name
// stays as it is.
type expander struct {
	env  []corev1.EnvVar
	from bool // the container has envFrom
	// annotations of the pod, which a variable can be taken from.
	annotations map[string]string
	known       map[string][]part
	next        int // of env, to be added to known
	spent       int
}

// annotation returns the text of a variable that is an annotation of the pod.
func (x *expander) annotation(e *corev1.EnvVar) (string, bool) {
	if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
		return "", false
	}
	key, ok := strings.CutPrefix(e.ValueFrom.FieldRef.FieldPath, "metadata.annotations['")
	if !ok {
		return "", false
	}
	text, ok := x.annotations[strings.TrimSuffix(key, "']")]
	return text, ok
}

// value expands the literal value of env[i]. ok is false when it is too long to
// be told.
func (x *expander) value(i int) (parts []part, ok bool) {
	x.fill(i)
	parts = x.expand(x.env[i].Value)
	return parts, x.spent < maxExpansion
}

// fill makes the variables before env[i] known.
func (x *expander) fill(i int) {
	if x.known == nil {
		x.known = make(map[string][]part, i)
	}
	for ; x.next < i; x.next++ {
		e := &x.env[x.next]
		if text, ok := x.annotation(e); ok {
			x.known[e.Name] = []part{{text: text}}
			continue
		}
		if e.ValueFrom != nil {
			set := newSetting(x, x.next, nil)
			x.known[e.Name] = []part{{ref: &set}}
			continue
		}
		x.known[e.Name] = x.expand(e.Value)
	}
}

// expand resolves the references in one value. Its length is bounded by what
// is left of maxExpansion.
func (x *expander) expand(value string) []part {
	var parts []part
	add := func(p part) {
		x.spent += len(p.text)
		if n := len(parts); p.ref == nil && p.name == "" && n > 0 && parts[n-1].ref == nil && parts[n-1].name == "" {
			parts[n-1].text += p.text
		} else if p != (part{}) {
			parts = append(parts, p)
		}
	}
	for value != "" && x.spent < maxExpansion {
		dollar := strings.IndexByte(value, '$')
		if dollar < 0 || dollar+1 == len(value) {
			add(part{text: value})
			break
		}
		add(part{text: value[:dollar]})
		value = value[dollar:]
		end := strings.IndexByte(value, ')')
		switch {
		case value[1] == '$': // an escaped $
			add(part{text: "$"})
			value = value[2:]
		case value[1] != '(' || end < 0:
			add(part{text: value[:2]})
			value = value[2:]
		default:
			name := value[2:end]
			known, set := x.known[name]
			switch {
			case set:
				for _, p := range known {
					add(p)
				}
			case x.from && name != "":
				add(part{name: name})
			default:
				add(part{text: value[:end+1]})
			}
			value = value[end+1:]
		}
	}
	return parts
}
