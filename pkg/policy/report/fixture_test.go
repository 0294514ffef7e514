package report

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mojasec/mojasec/pkg/policy"
)

// The checks of the fixture, as indices into its Checks.
const (
	mtlsStrict int32 = iota
	mtlsMinVersion
	dfspIdentity
	jwsMounted
	jwsKeyAge
	jwsExternal
	certificateExpiry
	ilpNotDefault
	ilpFromSecret
	namespaceProtected
)

func fixtureChecks() []policy.Check {
	return []policy.Check{
		{
			ID: "mtls-strict", Category: policy.CategoryMTLS, Severity: policy.Error,
			Title: "mutual TLS is STRICT on every port",
			Fix:   "apply a PeerAuthentication with `spec: {mtls: {mode: STRICT}}` to the namespace, and remove the exceptions",
			Doc:   "The effective mode of `PeerAuthentication` must be `STRICT`.\n\n" + strings.Repeat("In PERMISSIVE mode whoever reaches a pod speaks to it. ", 30),
		},
		{ID: "mtls-min-version", Category: policy.CategoryMTLS, Severity: policy.Warning, Title: "the mesh speaks TLS 1.3", Fix: "set minProtocolVersion"},
		{ID: "dfsp-identity", Category: policy.CategoryIdentity, Severity: policy.Error, Title: "an SDK says which DFSP it is", Fix: "set DFSP_ID"},
		{
			ID: "jws-signing-key-mounted", Category: policy.CategoryJWS, Severity: policy.Error,
			Title: "the JWS signing key is mounted from a Secret",
			Fix:   "add to the pod:\nvolumes:\n- name: jws\n  secret: {secretName: DFSP-jws-keys}\n",
		},
		{ID: "jws-key-age", Category: policy.CategoryJWS, Severity: policy.Warning, Title: "the signing key is young enough", Fix: "rotate it"},
		{ID: "jws-keys-external", Category: policy.CategoryJWS, Severity: policy.Note, Title: "keys are in Secrets of this cluster", Fix: "list the DFSP in spec.jws.externalKeys of the Profile"},
		{ID: "certificate-expiry", Category: policy.CategoryKeys, Severity: policy.Warning, Title: "certificates are valid for more than 30 days", Fix: "renew the certificate"},
		{ID: "ilp-secret-not-default", Category: policy.CategoryILP, Severity: policy.Error, Title: "the ILP secret is not a published default", Fix: "set another secret"},
		{ID: "ilp-secret-from-secret", Category: policy.CategoryILP, Severity: policy.Warning, Title: "the ILP secret comes from a Secret", Fix: "use secretKeyRef"},
		{ID: "namespace-protected", Category: policy.CategoryAccess, Severity: policy.Warning, Title: "Mojaloop runs in namespaces with a mode", Fix: "label the namespace"},
	}
}

// file is a source in which every object starts at a line of its own and every
// field stands on a line that follows from its path.
type file struct {
	name string
	line int
}

func (f file) Locate(path string) (policy.Region, bool) {
	line := f.line + len(path)%9
	return policy.Region{File: f.name, StartLine: line, StartColumn: 18, EndLine: line, EndColumn: 40}, true
}

func deployment(ns, name string) policy.Ref {
	return policy.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: name}
}

func sdkPod(env ...string) *corev1.PodTemplateSpec {
	c := corev1.Container{Name: "sdk"}
	for _, name := range env {
		c.Env = append(c.Env, corev1.EnvVar{Name: name})
	}
	return &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
}

var (
	podPath     = field.NewPath("spec", "template", "spec")
	envPath     = podPath.Child("containers").Index(0).Child("env").Index(1).Child("value")
	peers       = policy.Ref{APIVersion: "security.istio.io/v1", Kind: "PeerAuthentication", Namespace: "mojaloop", Name: "default"}
	hostileText = "evil\x1b[31m\r\n::error::x\u202e<script>|`[a](http://x.y)` @root $x$ {0} www.x.y %0A ##[add-mask]y \xff\u009b"
)

// fixture is a report with every shape that a writer meets.
func fixture() *policy.Report {
	r := &policy.Report{Checks: fixtureChecks(), Sources: policy.Sources{}, PassedOver: map[string]int{"Service": 2, "Ingress": 1}}
	add := func(ref policy.Ref, source policy.Positions) int32 {
		r.Subjects = append(r.Subjects, policy.Subject{
			Ref: ref, Pod: sdkPod("DFSP_ID", "ILP_SECRET"), Workload: &policy.Workload{LabelDFSP: strings.TrimSuffix(ref.Name, "-sdk")},
		})
		if source != nil {
			r.Sources[ref] = source
		}
		return int32(len(r.Subjects) - 1)
	}
	var sdks []int32
	for i := range 12 {
		sdks = append(sdks, add(deployment("mojaloop", fmt.Sprintf("perffsp-%d-sdk", i+1)), file{"deploy/sdk deployments.yaml", 40*i + 3}))
	}
	live := add(deployment("hub", "quoting-service"), nil)
	evil := add(deployment("bad", hostileText), file{"dir:1,/evil%\n::error::.yaml", 7})
	r.Sources[peers] = file{"mesh/peers.yaml", 1}

	at := func(check, subject int32) policy.Pair { return policy.Pair{Check: check, Subject: subject} }
	find := func(check, subject int32, action policy.Action, v policy.Violation) *policy.Finding {
		c := r.Checks[check]
		r.Findings = append(r.Findings, policy.Finding{Pair: at(check, subject), Violation: v, Severity: c.Severity, Action: action, Fix: c.Fix})
		return &r.Findings[len(r.Findings)-1]
	}
	for i, s := range sdks {
		ref := r.Subjects[s].Ref
		find(mtlsStrict, s, policy.ActionDeny, policy.Violation{
			At: &peers, Field: field.NewPath("spec", "mtls", "mode"),
			Detail: fmt.Sprintf("the effective mode of %s is PERMISSIVE; want STRICT", ref),
		})
		r.Passed = append(r.Passed, at(dfspIdentity, s))
		find(ilpNotDefault, s, policy.ActionDeny, policy.Violation{
			Field: envPath, Detail: "container sdk sets ILP_SECRET to the default that the SDK publishes",
		}).AssumesEnforce = i < 2
		r.Skipped = append(r.Skipped, policy.Skip{
			Pair: at(jwsKeyAge, s), Expected: true, Unknown: []policy.Fact{{Kind: policy.FactKeyAge}},
		})
	}
	find(jwsMounted, sdks[0], policy.ActionWarn, policy.Violation{
		Field: podPath.Child("containers").Index(0).Child("env").Index(0), Detail: "container sdk reads its signing key from /opt/app/key.pem, where no volume is mounted",
		Related: []policy.Location{
			{Ref: policy.Ref{APIVersion: "v1", Kind: "Secret", Namespace: "mojaloop", Name: "perffsp-1-jws-keys"}, Message: "the key peers hold"},
			{Ref: r.Subjects[sdks[1]].Ref, Field: podPath.Child("volumes").Index(0)},
		},
	})
	find(jwsMounted, sdks[1], policy.ActionDeny, policy.Violation{
		Field: podPath.Child("volumes"), Detail: "container sdk reads its signing key from an emptyDir",
	}).Known = true
	waived := find(ilpFromSecret, sdks[2], policy.ActionWarn, policy.Violation{Field: envPath, Detail: "ILP_SECRET is a literal"})
	waived.Waived, waived.WaivedBy = true, "perffsp-3-migration"
	find(jwsExternal, live, policy.ActionNone, policy.Violation{Detail: "keys come from outside"})
	expiry := find(certificateExpiry, live, policy.ActionNone, policy.Violation{Detail: "the certificate ends in 5 days"})
	expiry.Severity = policy.Error
	find(certificateExpiry, live, policy.ActionAudit, policy.Violation{Detail: "the certificate ends in 25 days"})
	find(ilpNotDefault, evil, policy.ActionDeny, policy.Violation{
		Field: field.NewPath("metadata", "annotations").Key(hostileText), Detail: fmt.Sprintf("the value is %q: %s", "x", hostileText), Fix: "",
	})
	r.Skipped = append(
		r.Skipped,
		policy.Skip{Pair: at(namespaceProtected, sdks[0]), Unknown: []policy.Fact{{Kind: policy.FactNamespace, Name: "mojaloop"}}},
		policy.Skip{Pair: at(namespaceProtected, evil), Unknown: []policy.Fact{{Kind: policy.FactNamespace, Name: hostileText}}},
	)
	r.Passed = append(r.Passed, at(mtlsMinVersion, live), at(jwsMounted, sdks[3]))
	r.Injected = []policy.Injection{
		{Check: "mtls-in-mesh", Subject: r.Subjects[sdks[0]].Ref, Change: `label sidecar.istio.io/inject: "true"`},
		{Check: "ilp-secret-set", Subject: r.Subjects[sdks[0]].Ref, Change: "env ILP_SECRET from Secret perffsp-1-ilp"},
		{Check: "mtls-in-mesh", Subject: r.Subjects[sdks[1]].Ref, Change: `label sidecar.istio.io/inject: "true"`},
		{Check: "mtls-in-mesh", Subject: r.Subjects[evil].Ref, Change: hostileText},
	}
	r.Errors = []policy.InputError{
		{File: "deploy/broken.yaml", Line: 3, Column: 7, Message: "mapping values are not allowed here"},
		{File: hostileText, Message: hostileText},
	}
	return r
}

// many is a report of n objects that all have the same fault.
func many(n int) *policy.Report {
	r := &policy.Report{Checks: fixtureChecks(), Sources: policy.Sources{}}
	for i := range n {
		ref := deployment("mojaloop", fmt.Sprintf("sdk-%04d", i))
		r.Subjects = append(r.Subjects, policy.Subject{Ref: ref, Pod: sdkPod("DFSP_ID", "ILP_SECRET")})
		r.Sources[ref] = file{"deploy.yaml", 40 * i}
		r.Findings = append(r.Findings, policy.Finding{
			Pair:      policy.Pair{Check: ilpNotDefault, Subject: int32(i)},
			Violation: policy.Violation{Field: envPath, Detail: "ILP_SECRET is the published default"},
			Severity:  policy.Error, Action: policy.ActionDeny, Fix: "set another secret",
		})
	}
	return r
}
