package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/crypto"
)

// private-key-in-clear: no private key in a ConfigMap, env value, argument or
// annotation, JSON-escaped and base64 forms included.
var checkPrivateKeyInClear = Check{
	ID: "private-key-in-clear", Category: CategoryKeys, Severity: Error, PodLocal: true,
	Title: "private keys are in Secrets only",
	Fix:   "move the key into a Secret and mount it; the key itself has been seen, so replace it",
	Doc: `ConfigMaps, environment values, arguments and annotations are readable to many more people and
programs than Secrets, and end up in logs, backups and dashboards. The check finds PEM in all of them,
also with escaped line breaks (JSON inside an annotation or a ConfigMap) and in base64.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.isValues() {
			return keysInValues(sub)
		}
		var found []Violation
		if m, ok := sub.Object.(metav1.Object); ok {
			found = keysInAnnotations(found, m.GetAnnotations(), field.NewPath("metadata", "annotations"), sub.Ref.Kind)
		}
		switch {
		case isConfigMap(sub.Object):
			found = append(found, keysInConfigMap(snap.dataOf(sub))...)
		case sub.Pod != nil:
			found = append(found, keysInPod(sub)...)
		case len(found) == 0:
			return notApplicable
		}
		return failedOrPassed(found)
	},
}

// lastApplied repeats the whole object. On a Secret it is readable to those who
// may read the Secret.
const lastApplied = corev1.LastAppliedConfigAnnotation

func keysInAnnotations(found []Violation, annotations map[string]string, at *field.Path, kind string) []Violation {
	if len(annotations) == 0 {
		return found
	}
	for _, key := range sortedKeys(annotations) {
		value := annotations[key]
		if len(value) < minPEM || (key == lastApplied && kind == "Secret") {
			continue
		}
		if k, ok := privateIn(value); ok {
			found = append(found, Violation{Field: at.Key(key), Detail: fmt.Sprintf("annotation %s holds a private key (%s)", key, k)})
		}
	}
	return found
}

// minPEM is less than the shortest PEM of a private key, in bytes.
const minPEM = 60

// privateIn finds a private key in text.
func privateIn(text string) (crypto.KeyFacts, bool) {
	if len(text) < minPEM {
		return crypto.KeyFacts{}, false
	}
	return firstPrivate(crypto.ScanPEM([]byte(text)))
}

func firstPrivate(keys []crypto.KeyFacts) (crypto.KeyFacts, bool) {
	for _, k := range keys {
		if k.Private {
			return k, true
		}
	}
	return crypto.KeyFacts{}, false
}

func isConfigMap(obj runtime.Object) bool {
	_, ok := obj.(*corev1.ConfigMap)
	return ok
}

func keysInConfigMap(data *Data) []Violation {
	var found []Violation
	for i := range data.Entries {
		e := &data.Entries[i]
		k, ok := firstPrivate(e.Keys)
		if !ok {
			k, ok = firstPrivate(e.Hidden)
		}
		if ok {
			found = append(found, Violation{Field: dataField(data, e.Key), Detail: fmt.Sprintf("%s holds a private key (%s)", e.Key, k)})
		}
	}
	return found
}

func keysInPod(sub *Subject) []Violation {
	w := sub.Workload
	var found []Violation
	if w.PodPath != nil { // a Pod's own annotations are judged already
		found = keysInAnnotations(found, sub.Pod.Annotations, w.PodPath.Child("metadata", "annotations"), "Pod")
	}
	for i := range w.Containers {
		c := &w.Containers[i]
		env, lists := containerText(&sub.Pod.Spec, c)
		for j := range env {
			if k, ok := privateIn(env[j].Value); ok {
				found = append(found, Violation{Field: c.Path(w).Child("env").Index(j).Child("value"), Detail: fmt.Sprintf("env %s of container %s holds a private key (%s)", env[j].Name, c.Name, k)})
			}
		}
		for l, name := range [...]string{"command", "args"} {
			for j, arg := range lists[l] {
				if k, ok := privateIn(arg); ok {
					found = append(found, Violation{Field: c.Path(w).Child(name).Index(j), Detail: fmt.Sprintf("%s of container %s holds a private key (%s)", name, c.Name, k)})
				}
			}
		}
	}
	return found
}

// containerText returns the environment and the command line of a container.
func containerText(spec *corev1.PodSpec, c *Container) ([]corev1.EnvVar, [2][]string) {
	_, lists := containerImage(spec, c)
	switch c.Kind {
	case MainContainer:
		return spec.Containers[c.Index].Env, lists
	case InitContainer, NativeSidecar:
		return spec.InitContainers[c.Index].Env, lists
	case EphemeralContainer:
		return spec.EphemeralContainers[c.Index].Env, lists
	}
	return nil, lists
}

func keysInValues(sub *Subject) Result {
	var found []Violation
	walkValues(sub.Raw, nil, func(p *field.Path, key string, value any) {
		text, ok := value.(string)
		if !ok {
			return
		}
		if k, ok := privateIn(text); ok {
			found = append(found, Violation{Field: p, Detail: fmt.Sprintf("%s holds a private key (%s): values files are kept in version control", key, k)})
		}
	})
	if len(found) == 0 {
		return notApplicable
	}
	return failed(found...)
}
