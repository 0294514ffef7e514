package report

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/mojasec/mojasec/pkg/policy"
)

// Fingerprint identifies a finding across runs: the check, the object to change
// and the field, 32 hexadecimal digits. Lines, files, API versions and the
// wording of the detail are not in it, so it survives edits elsewhere in the
// file and days that go by in a sentence. Items of a pod's lists count by name,
// not by position. Findings of one field share a fingerprint. No value of a
// manifest is hashed, hence no secret.
func Fingerprint(r *policy.Report, f *policy.Finding) string {
	return fingerprint(r, f, fieldOf(f))
}

func fingerprint(r *policy.Report, f *policy.Finding, path string) string {
	ref := r.Place(f)
	sub := r.Subject(f.Pair)
	if ref == sub.Ref && sub.Pod != nil {
		path = namedPath(path, &sub.Pod.Spec)
	}
	text := make([]byte, 0, 256)
	for _, part := range [...]string{string(r.Check(f.Pair).ID), ref.Kind, ref.Namespace, ref.Name, path} {
		text = strconv.AppendInt(text, int64(len(part)), 10) // no two lists of parts make one text
		text = append(append(text, ':'), part...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// namedPath replaces the numbers of list items in the text form of a field.Path
// by their names: spec.containers[0].env[3].value becomes
// spec.containers[sdk].env[DFSP_ID].value. Numbers without a name stay.
func namedPath(path string, pod *corev1.PodSpec) string {
	var out strings.Builder
	var container *corev1.Container
	for rest := path; rest != ""; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			out.WriteString(rest)
			break
		}
		length := strings.IndexByte(rest[open:], ']')
		if length < 0 {
			out.WriteString(rest)
			break
		}
		list, index := rest[:open], rest[open+1:open+length]
		rest = rest[open+length+1:]
		if n, err := strconv.Atoi(index); err == nil && n >= 0 {
			list := list[strings.LastIndexByte(list, '.')+1:]
			if c := containerAt(pod, list, n); c != nil {
				container, index = c, c.Name
			} else if name := nameAt(pod, container, list, n); name != "" {
				index = name
			}
		}
		out.WriteString(list + "[" + index + "]")
	}
	return out.String()
}

func containerAt(pod *corev1.PodSpec, list string, n int) *corev1.Container {
	switch {
	case list == "containers" && n < len(pod.Containers):
		return &pod.Containers[n]
	case list == "initContainers" && n < len(pod.InitContainers):
		return &pod.InitContainers[n]
	case list == "ephemeralContainers" && n < len(pod.EphemeralContainers):
		return (*corev1.Container)(&pod.EphemeralContainers[n].EphemeralContainerCommon)
	}
	return nil
}

// nameAt is the name of an item in a list of the pod or of the container that
// the path has passed; "" where it has none.
func nameAt(pod *corev1.PodSpec, c *corev1.Container, list string, n int) string {
	switch {
	case list == "volumes" && n < len(pod.Volumes):
		return pod.Volumes[n].Name
	case c == nil:
		return ""
	case list == "env" && n < len(c.Env):
		return c.Env[n].Name
	case list == "volumeMounts" && n < len(c.VolumeMounts):
		return c.VolumeMounts[n].MountPath
	case list == "envFrom" && n < len(c.EnvFrom):
		switch from := c.EnvFrom[n]; {
		case from.SecretRef != nil:
			return "Secret " + from.SecretRef.Name
		case from.ConfigMapRef != nil:
			return "ConfigMap " + from.ConfigMapRef.Name
		}
	}
	return ""
}
