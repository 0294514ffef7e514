package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// fieldManager is the name under which this program writes.
const fieldManager = "kubectl-mojasec"

// pageSize is how many objects a list asks for at a time.
const pageSize = 500

// clusterFlags are the flags by which kubectl finds a cluster.
//
// They come from client-go itself: the ConfigFlags of cli-runtime link every
// kind of Kubernetes, which costs 28 MB of memory and 4 ms at each start.
type clusterFlags struct {
	rules     *clientcmd.ClientConfigLoadingRules
	overrides *clientcmd.ConfigOverrides
}

func newClusterFlags() clusterFlags {
	return clusterFlags{clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}}
}

// addTo adds the flags, without --namespace: what a namespace means is for each
// command to say. Those that a kubeconfig says better are taken, but not shown,
// as kubectl does.
func (f clusterFlags) addTo(fs *pflag.FlagSet) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	all.StringVar(&f.rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "`FILE` that says how to reach the cluster")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ContextOverrideFlags.Namespace = clientcmd.FlagInfo{}
	names.CurrentContext.Description = "`CONTEXT` of the kubeconfig"
	names.Timeout.Description = "give up a single request after this `TIME` (default never)"
	names.AuthOverrideFlags.Impersonate.Description = "act as this `USER`"
	names.AuthOverrideFlags.ImpersonateGroups.Description = "act as a member of this `GROUP`"
	clientcmd.BindOverrideFlags(f.overrides, all, names)
	all.VisitAll(func(flag *pflag.Flag) {
		switch flag.Name {
		case "kubeconfig", "context", "as", "as-group":
		case "request-timeout":
			flag.DefValue = ""
		default:
			flag.Hidden = true
		}
		fs.AddFlag(flag)
	})
}

// connect returns the cluster that the flags and the kubeconfig name. It does
// not ask the cluster anything.
func (f clusterFlags) connect(warnings io.Writer) (*cluster, error) {
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, f.overrides).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("find the cluster: there is no kubeconfig; name one with --kubeconfig")
	case err != nil:
		return nil, fmt.Errorf("find the cluster: %w", f.explain(err))
	}
	cfg.QPS = -1 // the API server says itself when it has enough
	cfg.UserAgent = fieldManager
	cfg.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	plain := rest.CopyConfig(cfg)
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	server, err := rest.UnversionedRESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &cluster{objects: objects, server: server, config: plain}, nil
}

// namespace returns the namespace that counts where none is typed: that of the
// context, else "default".
func (f clusterFlags) namespace() (string, error) {
	ns, _, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, f.overrides).Namespace()
	if err != nil {
		return "", fmt.Errorf("find the namespace: %w", f.explain(err))
	}
	return ns, nil
}

// explain makes an error of --kubeconfig one for the user.
func (f clusterFlags) explain(err error) error {
	file := fileFlag{"--" + clientcmd.RecommendedConfigPathFlag, f.rules.ExplicitPath}
	if mistaken := file.check(); mistaken != nil {
		return mistaken
	}
	return err
}

// cluster reads and writes the objects of a cluster. It decides nothing.
type cluster struct {
	objects dynamic.Interface
	server  rest.Interface
	// config is for clients that read or connect in other ways.
	config *rest.Config
}

// resource is how the API server serves a kind.
type resource struct {
	schema.GroupVersionResource
	namespaced bool
}

// resources has the kinds this program reads or writes. It stands for
// discovery, which would cost a call for each group.
var resources = map[schema.GroupKind]resource{
	{Kind: "Namespace"}:      global("", "v1", "namespaces"),
	{Kind: "ServiceAccount"}: namespaced("", "v1", "serviceaccounts"),
	{Kind: "Service"}:        namespaced("", "v1", "services"),
	{Kind: "Secret"}:         namespaced("", "v1", "secrets"),
	{Kind: "ConfigMap"}:      namespaced("", "v1", "configmaps"),
	{Kind: "Pod"}:            namespaced("", "v1", "pods"),

	{Group: "apps", Kind: "Deployment"}:  namespaced("apps", "v1", "deployments"),
	{Group: "apps", Kind: "StatefulSet"}: namespaced("apps", "v1", "statefulsets"),
	{Group: "apps", Kind: "DaemonSet"}:   namespaced("apps", "v1", "daemonsets"),
	{Group: "apps", Kind: "ReplicaSet"}:  namespaced("apps", "v1", "replicasets"),

	{Group: "policy", Kind: "PodDisruptionBudget"}:      namespaced("policy", "v1", "poddisruptionbudgets"),
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}: namespaced("networking.k8s.io", "v1", "networkpolicies"),
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:  namespaced("discovery.k8s.io", "v1", "endpointslices"),
	{Group: "coordination.k8s.io", Kind: "Lease"}:       namespaced("coordination.k8s.io", "v1", "leases"),

	{Group: groupRBAC, Kind: "ClusterRole"}:        global(groupRBAC, "v1", "clusterroles"),
	{Group: groupRBAC, Kind: "ClusterRoleBinding"}: global(groupRBAC, "v1", "clusterrolebindings"),
	{Group: groupRBAC, Kind: "Role"}:               namespaced(groupRBAC, "v1", "roles"),
	{Group: groupRBAC, Kind: "RoleBinding"}:        namespaced(groupRBAC, "v1", "rolebindings"),

	{Group: groupAdmission, Kind: "MutatingWebhookConfiguration"}:     global(groupAdmission, "v1", "mutatingwebhookconfigurations"),
	{Group: groupAdmission, Kind: "ValidatingWebhookConfiguration"}:   global(groupAdmission, "v1", "validatingwebhookconfigurations"),
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: global("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
	{Group: "authorization.k8s.io", Kind: "SubjectAccessReview"}:      global("authorization.k8s.io", "v1", "subjectaccessreviews"),
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:               global("scheduling.k8s.io", "v1", "priorityclasses"),
	{Group: "cert-manager.io", Kind: "Certificate"}:                   namespaced("cert-manager.io", "v1", "certificates"),
	{Group: "cert-manager.io", Kind: "Issuer"}:                        namespaced("cert-manager.io", "v1", "issuers"),
	{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"}:          namespaced("monitoring.coreos.com", "v1", "servicemonitors"),
	{Group: groupMojasec, Kind: "Profile"}:                            global(groupMojasec, "v1alpha1", "profiles"),
	{Group: groupMojasec, Kind: "Waiver"}:                             global(groupMojasec, "v1alpha1", "waivers"),
	{Group: groupMojasec, Kind: "Quarantine"}:                         namespaced(groupMojasec, "v1alpha1", "quarantines"),
	{Group: groupMojasec, Kind: "Rotation"}:                           namespaced(groupMojasec, "v1alpha1", "rotations"),
}

const (
	groupRBAC      = "rbac.authorization.k8s.io"
	groupAdmission = "admissionregistration.k8s.io"
	groupMojasec   = "mojasec.io"
)

func namespaced(group, version, plural string) resource {
	return resource{schema.GroupVersionResource{Group: group, Version: version, Resource: plural}, true}
}

func global(group, version, plural string) resource {
	return resource{schema.GroupVersionResource{Group: group, Version: version, Resource: plural}, false}
}

// kindOf returns a kind of the table.
func kindOf(group, kind string) schema.GroupKind { return schema.GroupKind{Group: group, Kind: kind} }

// client returns the client for a kind in a namespace; all namespaces when that
// is empty.
func (c *cluster) client(kind schema.GroupKind, ns string) (dynamic.ResourceInterface, error) {
	r, ok := resources[kind]
	switch {
	case !ok:
		return nil, fmt.Errorf("kind %s is not known to this program", kind)
	case r.namespaced && ns != "":
		return c.objects.Resource(r.GroupVersionResource).Namespace(ns), nil
	}
	return c.objects.Resource(r.GroupVersionResource), nil
}

// read returns an object, and nil when it does not exist.
func (c *cluster) read(ctx context.Context, kind schema.GroupKind, ns, name string) (*unstructured.Unstructured, error) {
	client, err := c.client(kind, ns)
	if err != nil {
		return nil, err
	}
	obj, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // absent is an answer
	case err != nil:
		return nil, c.explain(fmt.Errorf("read %s: %w", nameOf(kind, ns, name), err))
	}
	return obj, nil
}

// list returns all objects of a kind; none when the kind does not exist.
func (c *cluster) list(ctx context.Context, kind schema.GroupKind, ns, labels string) ([]unstructured.Unstructured, error) {
	client, err := c.client(kind, ns)
	if err != nil {
		return nil, err
	}
	var out []unstructured.Unstructured
	for next := ""; ; {
		page, err := client.List(ctx, metav1.ListOptions{LabelSelector: labels, Limit: pageSize, Continue: next})
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case apierrors.IsResourceExpired(err) && next != "":
			out, next = nil, "" // the list took longer than the server keeps it
			continue
		case err != nil:
			what := resources[kind].Resource
			if ns != "" {
				what += " in " + ns
			}
			return nil, c.explain(fmt.Errorf("list %s: %w", what, err))
		}
		out = append(out, page.Items...)
		if next = page.GetContinue(); next == "" {
			return out, nil
		}
	}
}

// apply applies an object server-side. It returns what the server made of it.
func (c *cluster) apply(ctx context.Context, obj *unstructured.Unstructured, dryRun, force bool) (*unstructured.Unstructured, error) {
	kind := obj.GroupVersionKind().GroupKind()
	client, err := c.client(kind, obj.GetNamespace())
	if err != nil {
		return nil, err
	}
	o := metav1.ApplyOptions{FieldManager: fieldManager, Force: force}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	out, err := client.Apply(ctx, obj.GetName(), obj, o)
	if err != nil {
		return nil, c.explain(fmt.Errorf("apply %s: %w", nameOf(kind, obj.GetNamespace(), obj.GetName()), err))
	}
	return out, nil
}

// create creates an object, for kinds that are questions such as
// SubjectAccessReview, or for a trial.
func (c *cluster) create(ctx context.Context, obj *unstructured.Unstructured, dryRun bool) (*unstructured.Unstructured, error) {
	kind := obj.GroupVersionKind().GroupKind()
	client, err := c.client(kind, obj.GetNamespace())
	if err != nil {
		return nil, err
	}
	o := metav1.CreateOptions{FieldManager: fieldManager}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	out, err := client.Create(ctx, obj, o)
	if err != nil {
		return nil, c.explain(fmt.Errorf("create %s: %w", strings.ToLower(kind.Kind), err))
	}
	return out, nil
}

// patch merges a JSON merge patch into an object.
func (c *cluster) patch(ctx context.Context, kind schema.GroupKind, ns, name string, patch []byte, dryRun bool) error {
	client, err := c.client(kind, ns)
	if err != nil {
		return err
	}
	o := metav1.PatchOptions{FieldManager: fieldManager}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	if _, err := client.Patch(ctx, name, types.MergePatchType, patch, o); err != nil {
		return c.explain(fmt.Errorf("change %s: %w", nameOf(kind, ns, name), err))
	}
	return nil
}

// remove deletes an object with what it owns. That there is none is no error.
func (c *cluster) remove(ctx context.Context, kind schema.GroupKind, ns, name string, dryRun bool) error {
	client, err := c.client(kind, ns)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	o := metav1.DeleteOptions{PropagationPolicy: &background}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	if err := client.Delete(ctx, name, o); err != nil && !apierrors.IsNotFound(err) {
		return c.explain(fmt.Errorf("delete %s: %w", nameOf(kind, ns, name), err))
	}
	return nil
}

// version asks the API server for its version: the first call of a command, so
// that a wrong address is reported as such.
func (c *cluster) version(ctx context.Context) (*version.Info, error) {
	text, err := c.server.Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return nil, c.explain(fmt.Errorf("ask the API server for its version: %w", err))
	}
	info := &version.Info{}
	if err := json.Unmarshal(text, info); err != nil {
		return nil, fmt.Errorf("read the version of the API server: %w", err)
	}
	return info, nil
}

// explain says what to do about errors that have nothing to do with the object.
func (c *cluster) explain(err error) error {
	switch cause, ok := errors.AsType[*url.Error](err); {
	case apierrors.IsForbidden(err) && forbidden.MatchString(err.Error()): // admission uses the same code
		return &forbiddenError{err}
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w; log in again, or choose another user with --context", err)
	case ok && errors.Is(cause, context.DeadlineExceeded), ok && errors.Is(cause, context.Canceled):
		return err
	case ok:
		if dial, ok := errors.AsType[*net.OpError](err); ok {
			cause.Err = dial
		}
		return fmt.Errorf("%w; is the API server up? choose another with --context or --kubeconfig", err)
	}
	return err
}

// forbiddenError says which right is missing, and the role that grants it.
type forbiddenError struct{ err error }

// Error returns what the API server refused and the role to ask for.
func (e *forbiddenError) Error() string {
	reason, role := e.parts()
	return reason + "; ask for a role with " + role
}

// Unwrap returns the error of the client.
func (e *forbiddenError) Unwrap() error { return e.err }

// forbidden is how the API server says that RBAC refuses a request.
var forbidden = regexp.MustCompile(`User "(.*)" cannot (\S+) resource "(\S+)" in API group "(\S*)" (?:in the namespace "(\S+)"|at the cluster scope)`)

// parts are what was refused, and the rule of a Role that allows it.
func (e *forbiddenError) parts() (reason, role string) {
	m := forbidden.FindStringSubmatch(e.err.Error())
	reason = fmt.Sprintf("%s may not %s %s", m[1], m[2], m[3])
	if m[5] != "" {
		reason += " in " + m[5]
	}
	return visible(reason), fmt.Sprintf("{apiGroups: [%q], resources: [%q], verbs: [%s]}", m[4], m[3], m[2])
}

// nameOf is how kubectl names an object: deployment.apps/mojasec-webhook.
func nameOf(kind schema.GroupKind, ns, name string) string {
	text := strings.ToLower(kind.Kind)
	if kind.Group != "" {
		text += "." + kind.Group
	}
	text += "/" + name
	if ns != "" {
		text += " in " + ns
	}
	return visible(text)
}

// nameOfObject is nameOf for an object.
func nameOfObject(obj *unstructured.Unstructured) string {
	return nameOf(obj.GroupVersionKind().GroupKind(), obj.GetNamespace(), obj.GetName())
}
