package plugin

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// known is what was read, or why it could not be.
type known[T any] struct {
	value T
	err   error
}

func knownOf[T any](value T, err error) known[T] { return known[T]{value, err} }

// observation is what a diagnosis is made from. It holds no key.
type observation struct {
	now     time.Time
	plugin  string // version of this program
	version known[*version.Info]

	// installedWith is how mojasec was installed here, want the manifests of
	// this version for it.
	installedWith manifestOptions
	want          []*unstructured.Unstructured
	// live are the objects of the same names, by name; absent ones are not in
	// it. unread are those that could not be read, with the reason.
	live       map[string]*unstructured.Unstructured
	unread     map[string]error
	serving    known[*certificates]
	endpoints  known[int] // ready addresses of the Service
	probe      known[answer]
	mutating   known[[]unstructured.Unstructured]
	namespaces known[[]unstructured.Unstructured]
	bindings   known[[]unstructured.Unstructured]
	// granted are the namespaces without our binding in which the webhook may
	// read all the same.
	granted []string
	// mojaloop names a workload in each namespace that has some.
	mojaloop known[map[string]string]
	// lacking are the workloads of namespaces that enforce.
	lacking known[[]lacking]
}

// certificates are the public parts of the Secret of the webhook.
type certificates struct {
	leaf *x509.Certificate // nil when there is none that can be read
	// bundle is what callers are to trust, in base64 as the API has it.
	bundle string
}

// answer is what became of a call of the API server to the webhook.
type answer struct {
	// called tells that there was an entry to call; answered that the webhook
	// gave an answer, whatever it was.
	called, answered bool
	// reason is why there was none.
	reason string
}

// observe reads all it may read. What it may not is in the errors of the parts.
func (o *DoctorOptions) observe(ctx context.Context) *observation {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	seen := &observation{now: o.Now, plugin: o.Version}
	if o.noCluster != nil {
		seen.version.err = o.noCluster
		return seen
	}
	seen.version = knownOf(o.version(ctx))
	if seen.version.err != nil {
		return seen
	}
	o.readInstalled(ctx, seen)
	seen.serving = knownOf(o.readCertificates(ctx, seen.installedWith.tlsSecret()))
	seen.endpoints = knownOf(o.readEndpoints(ctx, seen))
	seen.probe = knownOf(o.callWebhook(ctx, seen))
	seen.mutating = knownOf(o.list(ctx, kindOf(groupAdmission, kindMutating), "", ""))
	seen.namespaces = knownOf(o.list(ctx, kindOf("", kindNamespace), "", ""))
	seen.bindings = knownOf(o.list(ctx, kindOf(groupRBAC, kindRoleBinding), "", ""))
	seen.granted = o.readGranted(ctx, seen)
	seen.mojaloop = knownOf(o.readMojaloop(ctx))
	seen.lacking = knownOf(o.readLacking(ctx, seen))
	return seen
}

// readInstalled reads the objects of the manifests that were applied here.
func (o *DoctorOptions) readInstalled(ctx context.Context, seen *observation) {
	seen.live, seen.unread = map[string]*unstructured.Unstructured{}, map[string]error{}
	if err := seen.installedWith.recall(ctx, o.cluster); err != nil {
		seen.unread[nameOf(kindOf("", "ServiceAccount"), systemNamespace, webhookName)] = err
	}
	var err error
	if seen.want, err = seen.installedWith.render(); err != nil { // a test renders all of them
		seen.unread["manifests"] = err
	}
	for _, want := range seen.want {
		name := nameOfObject(want)
		switch obj, err := o.read(ctx, want.GroupVersionKind().GroupKind(), want.GetNamespace(), want.GetName()); {
		case err != nil:
			seen.unread[name] = err
		case obj != nil:
			seen.live[name] = obj
		}
	}
}

// wanted returns the manifests of some kinds. The error is of the first of them
// that could not be read.
func (seen *observation) wanted(ofKind func(string) bool) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, want := range seen.want {
		if !ofKind(want.GetKind()) {
			continue
		}
		if err := seen.unread[nameOfObject(want)]; err != nil {
			return nil, err
		}
		out = append(out, want)
	}
	return out, seen.unread["manifests"]
}

func isCRD(kind string) bool { return kind == kindCRD }

func isPart(kind string) bool { return !isCRD(kind) && !isWebhookConfiguration(kind) }

func configurationKind(name string) string {
	if name == mutatingName {
		return kindMutating
	}
	return kindValidating
}

// addressOf returns the URL that a configuration calls, without the path; ""
// when it calls a Service.
func addressOf(obj *unstructured.Unstructured) string {
	found := ""
	_ = eachWebhook(obj, func(entry map[string]any) error { // the visitor has no error
		client, _ := entry[fieldClientConfig].(map[string]any)
		if address, _ := client["url"].(string); address != "" {
			found = strings.TrimSuffix(address, pathOf(client))
		}
		return nil
	})
	return found
}

// readCertificates reads the public parts of the Secret of the webhook.
func (c *cluster) readCertificates(ctx context.Context, name string) (*certificates, error) {
	secret, err := c.read(ctx, kindOf("", "Secret"), systemNamespace, name)
	if err != nil || secret == nil {
		return nil, err
	}
	out := &certificates{}
	out.bundle, _, _ = unstructured.NestedString(secret.Object, "data", tlsBundleKey)
	text, _, _ := unstructured.NestedString(secret.Object, "data", "tls.crt")
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
		if block, _ := pem.Decode(raw); block != nil {
			out.leaf, _ = x509.ParseCertificate(block.Bytes) // nil says it
		}
	}
	return out, nil
}

// readEndpoints counts the ready addresses of the Service; for a webhook at a
// URL, 1 when it answers from here.
func (o *DoctorOptions) readEndpoints(ctx context.Context, seen *observation) (int, error) {
	if address := seen.address(); address != "" {
		if seen.serving.err != nil {
			return 0, seen.serving.err
		}
		bundle := ""
		if seen.serving.value != nil {
			bundle = seen.serving.value.bundle
		}
		if err := askWebhook(ctx, address, bundle); err != nil {
			return 0, nil //nolint:nilerr // that it cannot be reached is the answer
		}
		return 1, nil
	}
	slices, err := o.list(ctx, kindOf("discovery.k8s.io", "EndpointSlice"), systemNamespace, "kubernetes.io/service-name="+webhookName)
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range slices {
		n += readyEndpoints(&slices[i])
	}
	return n, nil
}

// address is the URL of the webhook; "" when it is a Service.
func (seen *observation) address() string {
	for _, obj := range seen.live {
		if isWebhookConfiguration(obj.GetKind()) {
			if address := addressOf(obj); address != "" {
				return address
			}
		}
	}
	return seen.installedWith.URL
}

// readyEndpoints counts the addresses of a slice that take calls.
func readyEndpoints(slice *unstructured.Unstructured) int {
	endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
	n := 0
	for _, e := range endpoints {
		if e, ok := e.(map[string]any); ok {
			ready, found, _ := unstructured.NestedBool(e, "conditions", "ready")
			if ready || !found { // nil means ready
				addresses, _, _ := unstructured.NestedSlice(e, "addresses")
				n += len(addresses)
			}
		}
	}
	return n
}

// probeName is the Profile that doctor pretends to create. Only "default"
// counts, so it would do nothing even if it existed.
const probeName = "mojasec-doctor"

// callWebhook makes the API server call the webhook, by a trial run of creating
// a Profile, which changes nothing.
func (c *cluster) callWebhook(ctx context.Context, seen *observation) (answer, error) {
	if configuration := seen.configuration(validatingName); configuration == nil || !callsFor(configuration, "profiles") {
		_, err := seen.wanted(isWebhookConfiguration)
		return answer{}, err
	}
	profile := newObject(kindOf(groupMojasec, v1alpha1.KindProfile), "", probeName)
	profile.Object["spec"] = map[string]any{}
	_, err := c.create(ctx, profile, true)
	return answerOf(err)
}

// configuration returns a live webhook configuration; nil without one.
func (seen *observation) configuration(name string) *unstructured.Unstructured {
	return seen.live[nameOf(kindOf(groupAdmission, configurationKind(name)), "", name)]
}

// answerOf reads from the result of a call whether the webhook answered.
func answerOf(err error) (answer, error) {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	switch {
	case err == nil:
		return answer{called: true, answered: true}, nil
	case ok && strings.Contains(status.ErrStatus.Message, "failed calling webhook"):
		return answer{called: true, reason: status.ErrStatus.Message}, nil
	case ok && strings.Contains(status.ErrStatus.Message, "denied the request"):
		return answer{called: true, answered: true}, nil
	case ok && apierrors.IsNotFound(err): // no such kind
		return answer{}, nil
	}
	return answer{}, err
}

// callsFor tells whether a configuration has an entry that must be asked about
// a resource.
func callsFor(configuration *unstructured.Unstructured, plural string) bool {
	found := false
	_ = eachWebhook(configuration, func(entry map[string]any) error { // the visitor has no error
		rules, _ := entry["rules"].([]any)
		for _, r := range rules {
			if r, ok := r.(map[string]any); ok && entry["failurePolicy"] == failurePolicyFail {
				names, _, _ := unstructured.NestedStringSlice(r, "resources")
				found = found || slices.Contains(names, plural)
			}
		}
		return nil
	})
	return found
}

const failurePolicyFail = "Fail"

// readGranted asks the authorizer about namespaces that lack our binding: some
// other one may grant the same. Where it may not be asked, the binding counts.
func (c *cluster) readGranted(ctx context.Context, seen *observation) []string {
	var out []string
	for _, ns := range seen.unbound() {
		if ok, err := c.mayRead(ctx, ns); err == nil && ok {
			out = append(out, ns)
		}
	}
	return out
}

// readMojaloop finds the namespaces that have Mojaloop workloads.
func (o *DoctorOptions) readMojaloop(ctx context.Context) (map[string]string, error) {
	var objs []runtime.Object
	profile, err := o.readProfile(ctx)
	if err != nil {
		return nil, err
	}
	if profile != nil {
		objs = append(objs, profile)
	}
	for _, k := range typedKinds {
		if k.kind.Kind != kindDeployment && k.kind.Kind != "StatefulSet" && k.kind.Kind != "DaemonSet" {
			continue
		}
		trees, err := o.list(ctx, k.kind, "", "")
		if err != nil {
			return nil, err
		}
		for i := range trees {
			obj := k.new()
			if err := fromTree(&trees[i], obj); err != nil {
				return nil, err
			}
			objs = append(objs, obj)
		}
	}
	return mojaloopNamespaces(objs, podSnapshot(o.Now, objs)), nil
}

// mojaloopNamespaces names a Mojaloop workload in each namespace that has one.
func mojaloopNamespaces(objs []runtime.Object, snap *policy.Snapshot) map[string]string {
	out := map[string]string{}
	for _, obj := range objs {
		sub := snap.Subject(policy.Input{Object: obj})
		if sub.Pod == nil || !sub.Workload.Role.Mojaloop() || out[sub.Ref.Namespace] != "" {
			continue
		}
		out[sub.Ref.Namespace] = sub.Ref.Kind + " " + sub.Ref.Name
	}
	return out
}

// readLacking looks into every namespace that enforces.
func (o *DoctorOptions) readLacking(ctx context.Context, seen *observation) ([]lacking, error) {
	if seen.namespaces.err != nil {
		return nil, seen.namespaces.err
	}
	var out []lacking
	for i := range seen.namespaces.value {
		ns := &seen.namespaces.value[i]
		if ns.GetLabels()[v1alpha1.LabelMode] != string(v1alpha1.ModeEnforce) || ns.GetDeletionTimestamp() != nil {
			continue
		}
		found, err := o.lackingIn(ctx, ns.GetName(), o.Now)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}
