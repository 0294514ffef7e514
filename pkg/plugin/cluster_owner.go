package plugin

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owner is a tool that keeps an object as its source has it, and would undo
// what others write.
type owner struct {
	// tool is its name, source what it makes the object from.
	tool, source string
}

// controllers are the tools behind the kinds of what makes Secrets.
var controllers = map[string]string{
	"SealedSecret":   toolSealedSecrets,
	"ExternalSecret": "External Secrets",
	"Certificate":    "cert-manager",
}

const toolSealedSecrets = "Sealed Secrets"

// ownerOf tells who keeps an object in shape, by the marks that each tool
// leaves; nil for nobody but the people who use kubectl.
func ownerOf(obj metav1.Object) *owner {
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	switch {
	case annotations["meta.helm.sh/release-name"] != "":
		return &owner{"Helm", fmt.Sprintf("release %q", annotations["meta.helm.sh/release-name"])}
	case first(annotations["argocd.argoproj.io/tracking-id"], labels["argocd.argoproj.io/instance"]) != "":
		id := first(labels["argocd.argoproj.io/instance"], annotations["argocd.argoproj.io/tracking-id"])
		return &owner{"Argo CD", fmt.Sprintf("application %q", id)}
	case labels["kustomize.toolkit.fluxcd.io/name"] != "":
		return &owner{"Flux", fmt.Sprintf("kustomization %q", labels["kustomize.toolkit.fluxcd.io/name"])}
	case labels["helm.toolkit.fluxcd.io/name"] != "":
		return &owner{"Flux", fmt.Sprintf("Helm release %q", labels["helm.toolkit.fluxcd.io/name"])}
	case annotations["cert-manager.io/certificate-name"] != "":
		return &owner{"cert-manager", fmt.Sprintf("certificate %q", annotations["cert-manager.io/certificate-name"])}
	case labels["reconcile.external-secrets.io/managed"] == "true":
		return &owner{"External Secrets", "its ExternalSecret"}
	}
	// What made an object puts it right again. Only one owner can be the one.
	if ref := metav1.GetControllerOfNoCopy(obj); ref != nil {
		return &owner{cmp.Or(controllers[ref.Kind], "its controller"), fmt.Sprintf("%s %q", ref.Kind, ref.Name)}
	}
	for _, entry := range obj.GetManagedFields() {
		switch entry.Manager {
		case "argocd-controller", "argocd-application-controller":
			return &owner{"Argo CD", "its application"}
		case "kustomize-controller", "helm-controller":
			return &owner{"Flux", "its kustomization or Helm release"}
		}
	}
	return nil
}

// refuse is the error for a write that the owner would undo: change says what to
// do at the source.
func (o *owner) refuse(what, change string) error {
	return refused("%s is kept by %s from %s, which would undo the change; %s", what, o.tool, o.source, change)
}

// refused returns an error with the exit code for what is not safe to do.
func refused(format string, args ...any) error {
	return &ExitError{Code: Refused, Err: fmt.Errorf(format, args...)}
}
