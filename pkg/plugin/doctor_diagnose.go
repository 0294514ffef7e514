package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// status is what a diagnosis comes to.
type status string

// The statuses. Skipped is what does not apply here, unknown what could not be
// read.
const (
	statusPassed  status = "passed"
	statusFailed  status = "failed"
	statusWarning status = "warning"
	statusUnknown status = "unknown"
	statusSkipped status = "skipped"
)

// diagnosis is the verdict of one test of an installation.
type diagnosis struct {
	ID       string `json:"id"`
	Category string `json:"category"`
	// Title is true when the status is passed.
	Title  string `json:"title"`
	Status status `json:"status"`
	// Reasons say what is wrong, one sentence each.
	Reasons []string `json:"reasons,omitempty"`
	// Hint is what to type.
	Hint string `json:"hint,omitempty"`
}

// verdict is the part of a diagnosis that depends on the cluster.
type verdict struct {
	status  status
	reasons []string
	hint    string
}

func well() verdict { return verdict{status: statusPassed} }

func wrong(hint string, reasons ...string) verdict { return verdict{statusFailed, reasons, hint} }

func doubtful(hint string, reasons ...string) verdict { return verdict{statusWarning, reasons, hint} }

func skipped(reason string) verdict { return verdict{statusSkipped, []string{reason}, ""} }

func notKnown(err error) verdict {
	hint := ""
	text := err.Error()
	if f, ok := errors.AsType[*forbiddenError](err); ok {
		reason, role := f.parts()
		text, hint = reason, "ask for a role with "+role
	}
	return verdict{statusUnknown, []string{text}, hint}
}

// The categories of doctor.
const (
	aboutKubernetes   = "Kubernetes"
	aboutInstallation = "Installation"
	aboutWebhook      = "Webhook"
	aboutCertificates = "Certificates"
	aboutNamespaces   = "Namespaces"
)

// doctorTests are what doctor looks at, in the order in which it says so.
var doctorTests = []struct {
	id, category, title string
	run                 func(*observation) verdict
}{
	{"api-server", aboutKubernetes, "the API server answers", testServer},
	{"api-version", aboutKubernetes, fmt.Sprintf("Kubernetes is %d.%d or later", minMajor, minMinor), testVersion},
	{"definitions", aboutInstallation, "the custom resource definitions are installed, at the version of this program", testDefinitions},
	{"objects", aboutInstallation, "the rights and processes of the webhook are installed", testObjects},
	{"configurations", aboutInstallation, "both webhook configurations are complete", testConfigurations},
	{"version-skew", aboutInstallation, "webhook and plugin are at most one version apart", testSkew},
	{"injector-order", aboutInstallation, "no injector of sidecars is called before " + mutatingName, testInjectorOrder},
	{"ready", aboutWebhook, "the webhook has a ready process", testReady},
	{"answers", aboutWebhook, "the API server gets an answer from the webhook", testAnswers},
	{"not-blocked", aboutWebhook, "no dead webhook blocks the cluster", testNotBlocked},
	{"certificate", aboutCertificates, "the serving certificate is valid for more than " + days(certificateWarning), testCertificate},
	{"trust", aboutCertificates, "the webhook configurations trust the serving certificate", testTrust},
	{"modes", aboutNamespaces, "every mode label has a mode for its value", testModes},
	{"rights", aboutNamespaces, "the webhook may read every protected namespace", testRights},
	{"labelled", aboutNamespaces, "every namespace with Mojaloop workloads is protected", testLabelled},
	{"pods", aboutNamespaces, "running pods have what admission gives", testPods},
}

// diagnose runs the tests. Without an API server there is only one.
func diagnose(seen *observation) []diagnosis {
	var out []diagnosis
	for _, t := range doctorTests {
		r := t.run(seen)
		for i := range r.reasons {
			r.reasons[i] = visible(r.reasons[i])
		}
		out = append(out, diagnosis{t.id, t.category, t.title, r.status, r.reasons, r.hint})
		if seen.version.err != nil {
			break
		}
	}
	return out
}

const (
	hintInstall = displayName + " install"
	hintFix     = displayName + " doctor --fix"
	hintUnblock = displayName + " doctor --unblock"
)

func testServer(seen *observation) verdict {
	if seen.version.err != nil {
		return wrong("kubectl version", seen.version.err.Error())
	}
	return well()
}

func testVersion(seen *observation) verdict {
	if reason := tooOld(seen.version.value); reason != "" {
		return wrong("update Kubernetes", reason)
	}
	return well()
}

// installed tells whether anything of mojasec but its definitions is there.
func (seen *observation) installed() bool {
	for _, obj := range seen.live {
		if obj.GetKind() != kindCRD {
			return true
		}
	}
	return false
}

func testDefinitions(seen *observation) verdict {
	crds, err := seen.wanted(isCRD)
	if err != nil {
		return notKnown(err)
	}
	var reasons []string
	for _, want := range crds {
		switch live := seen.live[nameOfObject(want)]; {
		case live == nil:
			reasons = append(reasons, want.GetName()+" is not installed")
		case !isEstablished(live):
			reasons = append(reasons, want.GetName()+" is not established")
		case !contains(live.Object["spec"], want.Object["spec"]):
			reasons = append(reasons, want.GetName()+" is of another version")
		}
	}
	if len(reasons) > 0 {
		return wrong(hintInstall, reasons...)
	}
	return well()
}

func testObjects(seen *observation) verdict {
	parts, err := seen.wanted(isPart)
	switch {
	case err != nil:
		return notKnown(err)
	case !seen.installed():
		return wrong(hintInstall, "mojasec is not installed")
	}
	hasNamespace := func(ns string) bool {
		return ns == "" || ns == systemNamespace || slices.ContainsFunc(seen.namespaces.value, func(o unstructured.Unstructured) bool { return o.GetName() == ns })
	}
	var reasons []string
	for _, want := range parts {
		live := seen.live[nameOfObject(want)]
		switch {
		case !hasNamespace(want.GetNamespace()):
		case live == nil:
			reasons = append(reasons, nameOfObject(want)+" does not exist")
		case strings.HasSuffix(want.GetKind(), "Role") && !contains(live.Object["rules"], want.Object["rules"]):
			reasons = append(reasons, nameOfObject(want)+" grants other rights than those of this version")
		}
	}
	if len(reasons) > 0 {
		return wrong(hintInstall, reasons...)
	}
	return well()
}

func testConfigurations(seen *observation) verdict {
	wanted, err := seen.wanted(isWebhookConfiguration)
	switch {
	case err != nil:
		return notKnown(err)
	case !seen.installed():
		return skipped("mojasec is not installed")
	}
	var reasons []string
	for _, want := range wanted {
		reasons = append(reasons, incomplete(want, seen.live[nameOfObject(want)])...)
	}
	switch {
	case len(reasons) > 0 && seen.endpoints.value > 0:
		return wrong(hintFix, reasons...)
	case len(reasons) > 0: // not repaired while the webhook is down
		return wrong(hintInstall, reasons...)
	}
	return well()
}

// incomplete says in what a webhook configuration falls short of the manifests.
func incomplete(want, live *unstructured.Unstructured) []string {
	if live == nil {
		return []string{want.GetKind() + " " + want.GetName() + " does not exist"}
	}
	have := entriesOf(live)
	var reasons []string
	wanted := entriesOf(want)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		switch entry := have[name]; {
		case entry == nil:
			reasons = append(reasons, fmt.Sprintf("%s %s lacks the entry %s", want.GetKind(), want.GetName(), name))
		case !contains(entry, wanted[name]):
			reasons = append(reasons, fmt.Sprintf("%s %s has another %s in the entry %s", want.GetKind(), want.GetName(), orList(differing(wanted[name], entry)), name))
		}
	}
	return reasons
}

// entriesOf returns the entries of a webhook configuration by name, without
// where and whom they call.
func entriesOf(obj *unstructured.Unstructured) map[string]map[string]any {
	out := map[string]map[string]any{}
	_ = eachWebhook(obj.DeepCopy(), func(entry map[string]any) error { // the visitor has no error
		name, _ := entry["name"].(string)
		delete(entry, fieldClientConfig)
		out[name] = entry
		return nil
	})
	return out
}

// differing names the fields of want that have lacks.
func differing(want, have map[string]any) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if !contains(have[k], want[k]) {
			out = append(out, k)
		}
	}
	return out
}

var minorVersion = regexp.MustCompile(`^v(\d+)\.(\d+)\.`)

func testSkew(seen *observation) verdict {
	name := nameOf(kindOf("apps", kindDeployment), systemNamespace, webhookName)
	deployment := seen.live[name]
	switch {
	case seen.unread[name] != nil:
		return notKnown(seen.unread[name])
	case deployment == nil:
		return skipped("no Deployment " + webhookName + " says which version it is")
	}
	there := deployment.GetLabels()[labelVersion]
	a, b := minorVersion.FindStringSubmatch(there), minorVersion.FindStringSubmatch(seen.plugin)
	if a == nil || b == nil {
		return skipped(fmt.Sprintf("the webhook has version %q, the plugin %q: not two releases", there, seen.plugin))
	}
	x, _ := strconv.Atoi(a[2]) // digits
	y, _ := strconv.Atoi(b[2])
	if a[1] != b[1] || max(x-y, y-x) > 1 {
		return doubtful(hintInstall, fmt.Sprintf("the webhook is %s, the plugin is %s", there, seen.plugin))
	}
	return well()
}

func testInjectorOrder(seen *observation) verdict {
	if seen.mutating.err != nil {
		return notKnown(seen.mutating.err)
	}
	var early []string
	for i := range seen.mutating.value {
		if obj := &seen.mutating.value[i]; isInjector(obj) && obj.GetName() < mutatingName {
			early = append(early, fmt.Sprintf("%s sorts before %s: it does not see the label that admission sets", obj.GetName(), mutatingName))
		}
	}
	if len(early) > 0 {
		return doubtful("rename the configuration of the injector, or label the namespaces for it: kubectl label namespace NAMESPACE istio-injection=enabled", early...)
	}
	return well()
}

// isInjector tells whether a configuration belongs to Istio's injector.
func isInjector(obj *unstructured.Unstructured) bool {
	if strings.Contains(obj.GetName(), "sidecar-injector") || obj.GetLabels()["app"] == "sidecar-injector" {
		return true
	}
	for name := range entriesOf(obj) {
		if strings.HasSuffix(name, "sidecar-injector.istio.io") {
			return true
		}
	}
	return false
}

func testReady(seen *observation) verdict {
	switch {
	case len(seen.unread) == 0 && !seen.installed():
		return skipped("mojasec is not installed")
	case seen.endpoints.err != nil:
		return notKnown(seen.endpoints.err)
	case seen.endpoints.value > 0:
		return well()
	case seen.address() != "":
		return wrong("see the log of its process", "no verdict from "+seen.address()+" over trusted TLS")
	}
	return wrong("kubectl describe pods -n "+systemNamespace+" -l app.kubernetes.io/component=webhook",
		"Service "+webhookName+" has no ready endpoint")
}

func testAnswers(seen *observation) verdict {
	switch {
	case seen.probe.err != nil:
		return notKnown(seen.probe.err)
	case !seen.probe.value.called:
		return skipped("no webhook configuration to call")
	case !seen.probe.value.answered:
		return wrong("kubectl logs -n "+systemNamespace+" deployment/"+webhookName, seen.probe.value.reason)
	}
	return well()
}

// dead tells whether the webhook is dead: by a call, else by its endpoints. It
// is false for known when neither could be tried.
func (seen *observation) dead() (dead, isKnown bool) {
	if seen.probe.err == nil && seen.probe.value.called {
		return !seen.probe.value.answered, true
	}
	if seen.endpoints.err == nil {
		return seen.endpoints.value == 0, true
	}
	return false, false
}

func testNotBlocked(seen *observation) verdict {
	if _, err := seen.wanted(isWebhookConfiguration); err != nil {
		return notKnown(err)
	}
	var entries []string
	for _, name := range []string{mutatingName, validatingName} {
		if obj := seen.configuration(name); obj != nil {
			have := entriesOf(obj)
			for _, entry := range slices.Sorted(maps.Keys(have)) {
				if have[entry]["failurePolicy"] == failurePolicyFail {
					entries = append(entries, entry)
				}
			}
		}
	}
	if len(entries) == 0 {
		return well()
	}
	switch dead, isKnown := seen.dead(); {
	case !isKnown:
		return notKnown(cmp.Or(seen.probe.err, seen.endpoints.err))
	case dead:
		return wrong(hintUnblock, fmt.Sprintf("the webhook gives no answer, and API calls that need one fail: %s", strings.Join(slices.Compact(slices.Sorted(slices.Values(entries))), ", ")))
	}
	return well()
}
