package admissionpolicy

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/mojasec/mojasec/pkg/policy"
)

// The functions here return CEL. Their arguments are CEL too, unless they say
// otherwise. CEL has no functions of its own making, so what repeats is text
// that repeats; what would be evaluated twice is bound by a macro over a list of
// one: [x].exists(v, …).

// str is the literal of a Go string.
func str(text string) string { return strconv.QuoteToASCII(text) }

// strs is the literal of a list of Go strings.
func strs(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, t := range texts {
		quoted = append(quoted, str(t))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// pattern is the literal of a regular expression, which must not hold a double
// quote (\x22 stands for it).
func pattern(re string) string { return `r"` + re + `"` }

func variable(name, expression string) admissionregistrationv1.Variable {
	return admissionregistrationv1.Variable{Name: name, Expression: expression}
}

// member is the value of a map of strings, "" where it is absent. key is a Go
// string.
func member(m, key string) string { return fmt.Sprintf(`%s[?%s].orValue("")`, m, str(key)) }

// env is the environment of a container.
func env(container string) string { return container + ".?env.orValue([])" }

// words are command and arguments of the container c.
const words = "(c.?command.orValue([]) + c.?args.orValue([]))"

// sets tells whether a container has a variable. name is a Go string.
func sets(container, name string) string {
	return fmt.Sprintf("%s.exists(e, e.name == %s)", env(container), str(name))
}

// fromElsewhere tells whether envFrom may bring a variable.
func fromElsewhere(container, name string) string {
	return fmt.Sprintf(`%s.?envFrom.orValue([]).exists(f, %[2]s.startsWith(f.?prefix.orValue("")) && f.?prefix.orValue("") != %[2]s)`, container, name)
}

// image is the last element of the image repository of a container.
func image(container string) string {
	return container + `.?image.orValue("").split("@")[0].find("[^/]*$").split(":")[0]`
}

// repository is the image of a container without tag and digest.
func repository(container string) string {
	return container + `.?image.orValue("").split("@")[0].find("^(?:.*/)?[^:/]*")`
}

// literal tells whether the entry of env that counts for a variable, the last
// one, is written out and satisfies a condition on x, its value; where that is
// $(NAME) as a whole, on the value of NAME. An optional reference may lead
// nowhere and leave the entry before it in force, so it is passed over.
func literal(container, name, condition string) string {
	return fmt.Sprintf(`[%[1]s].exists(all, [all.filter(e, e.name == %[2]s && !e.?valueFrom.?secretKeyRef.?optional.orValue(false) && !e.?valueFrom.?configMapKeyRef.?optional.orValue(false))].exists(l,
  size(l) > 0 && !has(l[size(l) - 1].valueFrom) && [l[size(l) - 1].?value.orValue("")].exists(v,
    ([v] + all.filter(e, v == "$(" + e.name + ")" && !has(e.valueFrom)).map(e, e.?value.orValue(""))).exists(x, %[3]s))))`,
		env(container), name, condition)
}

// hidden tells whether the variable that counts is made of others in a way that
// literal cannot follow: a reference inside longer text, or to a value that
// refers on.
func hidden(container, name string) string {
	return fmt.Sprintf(`[%[1]s].exists(all, [all.filter(e, e.name == %[2]s)].exists(l,
  size(l) > 0 && !has(l[size(l) - 1].valueFrom) && [l[size(l) - 1].?value.orValue("").replace("$$", "")].exists(v, v.contains("$(") &&
    all.exists(e, !has(e.valueFrom) && v.contains("$(" + e.name + ")") && (v != "$(" + e.name + ")" || e.?value.orValue("").contains("$("))))))`,
		env(container), name)
}

// untold tells whether the variable that counts comes from where nobody can read
// it before the pod runs: a resource, a file, a field that the pod does not say.
func untold(container, name string) string {
	elsewhere := `has(s.valueFrom) && !has(s.valueFrom.secretKeyRef) && !has(s.valueFrom.configMapKeyRef)
      && [s.valueFrom.?fieldRef.?fieldPath.orValue("")].exists(p, !(p in ["metadata.namespace", "spec.serviceAccountName"])
        && !(p == "metadata.name" && request.kind.kind == "Pod" && variables.template.metadata.?name.orValue("") != "")
        && !variables.labels.exists(k, p == "metadata.labels['" + k + "']")
        && !variables.annotations.exists(k, p == "metadata.annotations['" + k + "']"))`
	return fmt.Sprintf(`[%[1]s].exists(all, [all.filter(e, e.name == %[2]s)].exists(l, size(l) > 0 && [l[size(l) - 1]].exists(w,
  ([w] + all.filter(e, w.?value.orValue("") == "$(" + e.name + ")")).exists(s, %[3]s))))`, env(container), name, elsewhere)
}

// Conditions on x for [literal]. A switch is read as the SDK does.
const (
	isOff   = `x == "0" || x.lowerAscii() == "false"`
	isNotOn = `x != "1" && x.lowerAscii() != "true"`
	isEmpty = `x == ""`
)

// changes tells whether a request can change what is judged: everything but an
// update that leaves it as it is, so that objects from before the policy can
// still be scaled, labelled and finished. metadata includes the annotations of
// pod makers.
func changes(metadata bool) string {
	pod := []string{
		"object.spec.containers != oldObject.spec.containers",
		"object.spec.?initContainers != oldObject.spec.?initContainers",
		"object.spec.?ephemeralContainers != oldObject.spec.?ephemeralContainers",
		"object.metadata.?annotations != oldObject.metadata.?annotations",
	}
	for _, label := range []string{policy.LabelInject, policy.LabelDataplaneMode} {
		pod = append(pod, fmt.Sprintf("object.metadata.?labels[?%[1]s] != oldObject.metadata.?labels[?%[1]s]", str(label)))
	}
	annotations := ""
	if metadata {
		annotations = "\n|| object.metadata.?annotations != oldObject.metadata.?annotations"
	}
	return `request.operation != "UPDATE"
|| (request.kind.kind == "Pod" ? (` + strings.Join(pod, "\n  || ") + `)
  : request.kind.kind == "CronJob" ? object.spec.jobTemplate.spec.template != oldObject.spec.jobTemplate.spec.template
  : object.spec.template != oldObject.spec.template)` + annotations
}

// stableBase64 encodes a Go string as it stands after shift other bytes, without
// the characters that its neighbours decide too.
func stableBase64(text string, shift int) string {
	encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + text))
	first := (shift*8 + 5) / 6
	last := (shift + len(text)) * 8 / 6
	return encoded[first:last]
}
