package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

func quantity(text string) resource.Quantity { return resource.MustParse(text) }

func checkIDs() []string {
	var out []string
	for _, c := range policy.Checks() {
		out = append(out, string(c.ID))
	}
	return out
}

// newOperator makes a user with every right in a namespace and on mojasec's
// kinds, but not the custom verbs of the security team.
func (c *cluster) newOperator(t testing.TB, ns string) (operator string) {
	t.Helper()
	operator = "operator-of-" + ns
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operator}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-operator-"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"mojasec.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "create", "update", "patch", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"namespaces", "namespaces/status", "namespaces/finalize"}, Verbs: []string{"get", "list", "create", "update", "patch", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"pods/ephemeralcontainers", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"}, Verbs: []string{"*"}},
		{APIGroups: []string{"security.istio.io", "networking.istio.io"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	}}
	c.create(t, role)
	c.create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-operator-"}, Subjects: subject,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	}, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "e2e-operator-"}, Subjects: subject,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	})
	return operator
}

// TestModeIsGuarded takes the mode away in every way there is, as somebody who
// may change namespaces but not unenforce.
func TestModeIsGuarded(t *testing.T) {
	s := world.newScheme(t)
	operator := s.c.newOperator(t, s.ns)
	without := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q},"spec":{"finalizers":["kubernetes"]}}`, s.ns)
	for _, v := range []struct {
		name, stdin string
		args        []string
	}{
		{name: "remove the label", args: []string{"label", "namespace", s.ns, "mojasec.io/mode-"}},
		{name: "warn only", args: []string{"label", "--overwrite", "namespace", s.ns, "mojasec.io/mode=warn"}},
		{name: "through status", args: []string{"patch", "namespace", s.ns, "--subresource=status", "--type=merge", "-p", `{"metadata":{"labels":{"mojasec.io/mode":null}}}`}},
		{name: "through finalize", stdin: without, args: []string{"replace", "--raw", "/api/v1/namespaces/" + s.ns + "/finalize", "-f", "-"}},
		{name: "replace", stdin: without, args: []string{"replace", "-f", "-"}},
		{name: "delete", args: []string{"delete", "namespace", s.ns, "--wait=false"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			a := s.c.kubectl(t, v.stdin, append([]string{"--as", operator}, v.args...)...)
			if a.code == 0 || !strings.Contains(a.stderr, "unenforce") {
				t.Errorf("got status %d %q, want a refusal that names the verb unenforce", a.code, a.stderr)
			}
			var ns corev1.Namespace
			if err := s.c.client.Get(t.Context(), client.ObjectKey{Name: s.ns}, &ns); err != nil || ns.Labels["mojasec.io/mode"] != "enforce" || ns.DeletionTimestamp != nil {
				t.Fatalf("got %v, labels %q", err, ns.Labels)
			}
		})
	}
	for _, mode := range []string{"Enforce", "off", ""} {
		t.Run("a typing error enforces, "+strconv.Quote(mode), func(t *testing.T) {
			s.c.kubectl(t, "", "--as", operator, "label", "--overwrite", "namespace", s.ns, "mojasec.io/mode="+mode).accepted(t)
			bad := s.pod("typo")
			bad.Spec.HostNetwork = true
			for range 5 { // at once, and once the webhook has seen the label
				s.kubectl(t, s.yaml(bad), "create", "-f", "-").refused(t, 1, "mtls-in-mesh")
			}
			s.c.setMode(t, s.ns, "enforce")
		})
	}
	t.Run("other labels pass", func(t *testing.T) {
		s.c.kubectl(t, "", "--as", operator, "label", "namespace", s.ns, "colour=blue").accepted(t)
	})
	t.Run("with the verb it passes", func(t *testing.T) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-unenforce-"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"mojasec.io"}, Resources: []string{"profiles"}, Verbs: []string{"unenforce"}},
		}}
		s.c.create(t, role)
		s.c.create(t, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-unenforce-"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: operator}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		})
		eventually(t, "the operator to be allowed", func(context.Context) (bool, string) {
			a := s.c.kubectl(t, "", "--as", operator, "label", "--overwrite", "namespace", s.ns, "mojasec.io/mode=warn")
			return a.code == 0, a.stderr
		})
	})
}

// TestProfileIsGuarded weakens the Profile as somebody who may write Profiles.
func TestProfileIsGuarded(t *testing.T) {
	s := world.newScheme(t)
	operator := s.c.newOperator(t, s.ns)
	profile := func(spec string) string {
		return "apiVersion: mojasec.io/v1alpha1\nkind: Profile\nmetadata: {name: default}\nspec:\n  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n"
	}
	for name, spec := range map[string]string{
		"a check only warns":  "checks: [{id: mtls-strict, mode: warn}]",
		"a check is off":      "checks: [{id: ilp-secret-not-default, mode: audit}]",
		"no mesh":             "mesh: none",
		"shorter secrets":     "ilp: {minLength: 16}",
		"older keys":          "jws: {maxKeyAge: 87600h}",
		"more ports":          "datastorePorts: [3306, 6379, 9092, 27017, 4000]",
		"external keys":       "jws: {externalKeys: [perffsp-1]}",
		"a gateway is public": "publicGateways: [{namespace: " + s.ns + ", name: interop}]",
	} {
		t.Run(name, func(t *testing.T) {
			a := s.c.kubectl(t, profile(spec), "--as", operator, "apply", "-f", "-")
			if a.code == 0 {
				s.c.kubectl(t, "", "delete", "profile", "default")
				t.Error("got in; want a refusal")
			} else if !strings.Contains(a.stderr, "unenforce") {
				t.Errorf("got %q, want a refusal that names the verb unenforce", a.stderr)
			}
		})
	}
	t.Run("stricter passes", func(t *testing.T) {
		s.c.kubectl(t, profile("ilp: {minLength: 40}"), "--as", operator, "apply", "--dry-run=server", "-f", "-").accepted(t)
	})
}

// TestHardCase36Waivers excuses one object from one check, for a time; nothing
// else counts as a waiver.
func TestHardCase36Waivers(t *testing.T) {
	s := world.newScheme(t)
	template := s.SDK1.Spec.Template.DeepCopy()
	literal("JWS_SIGN", "false")(template)
	bad := makers("waived", template)[0]
	waiver := func(name, check string, until time.Time) string {
		return fmt.Sprintf(`
apiVersion: mojasec.io/v1alpha1
kind: Waiver
metadata: {name: %s}
spec:
  checks: [%s]
  match: {namespaces: [%s], names: [waived-deployment]}
  reason: the client is replaced in the next quarter
  owner: security@example.org
  expiresAt: %q
`, name, check, s.ns, until.Format(time.RFC3339))
	}
	name := s.ns + "-waiver"
	t.Cleanup(func() { s.c.kubectl(t, "", "delete", "waiver", "--ignore-not-found", name, name+"-other") })

	t.Run("annotations and ConfigMaps are none", func(t *testing.T) {
		d := s.deployment(bad.(*appsv1.Deployment))
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, "mojasec.io/waiver", name)
		metav1.SetMetaDataAnnotation(&d.Spec.Template.ObjectMeta, "mojasec.io/waiver", name)
		s.kubectl(t, s.yaml(configMap("waiver", map[string]string{"waiver.yaml": waiver(name, "jws-signing-enabled", time.Now().Add(time.Hour))})), "apply", "-f", "-").accepted(t)
		s.kubectl(t, s.yaml(d), "apply", "-f", "-").refused(t, 1, "jws-signing-enabled")
	})
	t.Run("who only has a namespace may write none", func(t *testing.T) {
		a := s.c.kubectl(t, waiver(name, "jws-signing-enabled", time.Now().Add(time.Hour)), "--as", "tenant", "apply", "-f", "-")
		if a.code == 0 || !strings.Contains(a.stderr, "forbidden") {
			t.Errorf("got %q, want forbidden", a.stderr)
		}
	})
	t.Run("one that is over has no effect", func(t *testing.T) {
		a := s.c.kubectl(t, waiver(name, "jws-signing-enabled", time.Now().Add(-time.Hour)), "apply", "-f", "-")
		if a.code != 0 {
			return // refused at once: even better
		}
		s.kubectl(t, s.yaml(bad), "apply", "-f", "-").refused(t, 1, "jws-signing-enabled")
		s.c.kubectl(t, "", "delete", "waiver", name).accepted(t)
	})
	t.Run("one of another check has no effect", func(t *testing.T) {
		s.c.kubectl(t, waiver(name+"-other", "dead-setting", time.Now().Add(time.Hour)), "apply", "-f", "-").accepted(t)
		s.kubectl(t, s.yaml(bad), "apply", "-f", "-").refused(t, 1, "jws-signing-enabled")
	})
	t.Run("one of this check has", func(t *testing.T) {
		s.c.kubectl(t, waiver(name, "jws-signing-enabled", time.Now().Add(time.Hour)), "apply", "-f", "-").accepted(t)
		eventually(t, "the waiver to count", func(context.Context) (bool, string) {
			a := s.kubectl(t, s.yaml(bad), "apply", "-f", "-")
			return a.code == 0, a.stderr
		})
		pods := makers("other", template)
		s.kubectl(t, s.yaml(pods[0]), "apply", "-f", "-").refused(t, 1, "jws-signing-enabled")
	})
}

// TestHardCase34Unbound refuses in a namespace whose Secrets cannot be read, and
// says what to type.
func TestHardCase34Unbound(t *testing.T) {
	f := fixtures.NewScheme()
	ns := world.namespace(t, map[string]string{"istio-injection": "enabled"})
	s := &scheme{Scheme: f, c: world, t: t, ns: ns.Name}
	for _, o := range []client.Object{f.JWS1, f.ILP1, f.VerificationKeys, f.PeerAuth} {
		moved, _ := fixtures.In(s.ns, o.(interface{ client.Object })).(client.Object)
		world.create(t, moved)
	}
	world.setMode(t, s.ns, "enforce")
	eventually(t, "the webhook to be unable to check", func(context.Context) (bool, string) {
		a := s.kubectl(t, s.yaml(s.SDK1), "apply", "--dry-run=server", "-f", "-")
		return a.code != 0 && strings.Contains(a.stderr, "kubectl mojasec install --namespace "+s.ns), a.stderr + a.stdout
	})
	t.Run("unrelated pods pass", func(t *testing.T) {
		s.kubectl(t, "", "run", "web", "--image=docker.io/library/nginx:1.29").accepted(t)
	})
	t.Run("other namespaces go on", func(t *testing.T) {
		other := world.namespace(t, nil)
		world.kubectl(t, "", "-n", other.Name, "run", "web", "--image=docker.io/library/nginx:1.29").accepted(t)
	})
	t.Run("bound it works", func(t *testing.T) {
		world.bind(t, s.ns)
		s.t = t
		eventually(t, "the webhook to check", func(context.Context) (bool, string) {
			a := s.kubectl(t, s.yaml(s.SDK1), "apply", "--dry-run=server", "-f", "-")
			// The peers of this SDK are missing, which can now be said.
			return a.code == 0 || strings.Contains(a.stderr, "denied the request"), a.stderr
		})
	})
}

// TestNamespaceAndPodsInOneApply protects a namespace and fills it in one go:
// what cannot be checked yet is not let in.
func TestNamespaceAndPodsInOneApply(t *testing.T) {
	f := fixtures.NewScheme()
	name := fmt.Sprintf("e2e-at-once-%d", time.Now().UnixNano()%1e6)
	literal("ILP_SECRET", fixtures.PublishedILPDefault)(&f.SDK1.Spec.Template)
	s := &scheme{Scheme: f, c: world, t: t, ns: name}
	t.Cleanup(func() { world.kubectl(t, "", "delete", "namespace", name, "--wait=false") })
	a := world.kubectl(t, s.yaml(f.Namespace, f.SDK1), "apply", "-f", "-")
	if a.code == 0 || strings.Contains(a.stdout, "deployment") {
		t.Errorf("got %q, want the Deployment refused", a.stdout)
	}
}

// TestDeletionOfANamespaceEnds deletes a protected namespace with all that runs
// in it.
func TestDeletionOfANamespaceEnds(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	s.c.kubectl(t, "", "delete", "namespace", s.ns, "--wait=false").accepted(t)
	eventually(t, "the namespace to be gone", func(ctx context.Context) (bool, string) {
		var ns corev1.Namespace
		err := s.c.client.Get(ctx, client.ObjectKey{Name: s.ns}, &ns)
		return apierrors.IsNotFound(err), fmt.Sprintf("%+v", ns.Status)
	})
}

// TestHardCase33Terminating changes what is being deleted.
func TestHardCase33Terminating(t *testing.T) {
	s := world.newScheme(t)
	d := s.deployment(s.SDK1)
	d.Finalizers = []string{"example.org/hold"}
	d.Spec.Replicas = new(int32(0))
	s.c.create(t, d)
	s.kubectl(t, "", "delete", "deployment", d.Name, "--wait=false").accepted(t)
	s.kubectl(t, "", "set", "env", "deployment/"+d.Name, "JWS_SIGN=false").refused(t, 1, "jws-signing-enabled")
	s.kubectl(t, "", "label", "deployment", d.Name, "colour=blue").accepted(t)
	s.kubectl(t, "", "patch", "deployment", d.Name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`).accepted(t)
}

// TestHardCase27DryRun leaves no trace of a dry run.
func TestHardCase27DryRun(t *testing.T) {
	s := world.newScheme(t)
	if s.c.webhook == nil {
		t.Skip("needs the metrics of the webhook's processes")
	}
	before := s.c.metric(t, "mojasec_findings_total")
	template := s.SDK1.Spec.Template.DeepCopy()
	literal("JWS_SIGN", "false")(template)
	bad := s.yaml(makers("dry", template)[0])
	s.kubectl(t, bad, "apply", "--dry-run=server", "-f", "-").refused(t, 1, "jws-signing-enabled")
	if got := s.c.metric(t, "mojasec_findings_total"); got != before {
		t.Errorf("got %v findings counted after a dry run, want %v", got, before)
	}
	if got := s.kubectl(t, "", "get", "events", "-o", "name").stdout; got != "" {
		t.Errorf("got events %q, want none", got)
	}
	s.kubectl(t, bad, "apply", "-f", "-").refused(t, 1, "jws-signing-enabled")
	if got := s.c.metric(t, "mojasec_findings_total"); got <= before {
		t.Errorf("got %v findings counted after a refusal, want more than %v", got, before)
	}
}

// TestHardCase28Owners forges an owner: a pod is judged for itself.
func TestHardCase28Owners(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	var d metav1.PartialObjectMetadata
	d.SetGroupVersionKind(s.SDK1.GroupVersionKind())
	if err := s.c.client.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: s.SDK1.Name}, &d); err != nil {
		t.Fatal(err)
	}
	pod := s.pod("owned")
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", UID: d.UID, Controller: new(true)}}
	pod.Labels["sidecar.istio.io/inject"] = "false"
	s.kubectl(t, s.yaml(pod), "apply", "-f", "-").refused(t, 1, "mtls-in-mesh")
}

// TestHardCase29Hostile sends as much as the API server takes.
func TestHardCase29Hostile(t *testing.T) {
	s := world.newScheme(t)
	pod := s.pod("many")
	for i := range 1000 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "docker.io/library/nginx:1.29", Env: []corev1.EnvVar{{Name: "X", Value: strings.Repeat("y", 1000)}}})
	}
	begin := time.Now()
	s.kubectl(t, s.yaml(pod), "create", "--dry-run=server", "-f", "-").accepted(t)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
	pod.Spec.HostNetwork = true
	s.kubectl(t, s.yaml(pod), "create", "--dry-run=server", "-f", "-").refused(t, 1, "mtls-in-mesh")
}

// TestHardCase35NothingChosenFromOutside names another namespace's Secret and
// identity.
func TestHardCase35NothingChosenFromOutside(t *testing.T) {
	s := world.newScheme(t)
	s.run()
	other := world.namespace(t, map[string]string{"istio-injection": "enabled"})
	world.bind(t, other.Name)
	world.setMode(t, other.Name, "enforce")
	thief := &scheme{Scheme: s.Scheme, c: world, t: t, ns: other.Name}
	pod := thief.pod("thief")
	pod.Spec = bare(&corev1.PodTemplateSpec{Spec: pod.Spec}).Spec
	pod.Spec.ServiceAccountName = "default"
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "mojasec.io/secret", s.ns+"/"+fixtures.DFSP1+"-ilp")
	eventually(t, "the thief to be refused", func(context.Context) (bool, string) {
		a := thief.kubectl(t, thief.yaml(pod), "create", "--dry-run=server", "-f", "-")
		return a.code != 0 && strings.Contains(a.stderr, "dfsp-identity"), a.stderr + a.stdout
	})
}

// TestHardCase37EveryContainer sets what is wrong in each place that a container
// can have it.
func TestHardCase37EveryContainer(t *testing.T) {
	s := world.newScheme(t)
	s.kubectl(t, s.yaml(configMap("bad", map[string]string{"SECRET": fixtures.PublishedILPDefault})), "apply", "-f", "-").accepted(t)
	var objs []string
	for i, place := range []func(*corev1.PodTemplateSpec, corev1.Container){
		func(p *corev1.PodTemplateSpec, c corev1.Container) { sidecar(c)(p) },
		func(p *corev1.PodTemplateSpec, c corev1.Container) { initContainer(c)(p) },
		func(p *corev1.PodTemplateSpec, c corev1.Container) {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			initContainer(c)(p)
		},
	} {
		for j, c := range []corev1.Container{
			{Name: "c", Image: "mojaloop/mojaloop-core-connector:v1", Env: []corev1.EnvVar{{Name: "ILP_SECRET", Value: fixtures.PublishedILPDefault}}},
			{Name: "c", Image: "mojaloop/mojaloop-core-connector:v1", EnvFrom: []corev1.EnvFromSource{envFromMap("ILP_", "bad")}},
			{Name: "c", Image: "mojaloop/mojaloop-core-connector:v1", Env: []corev1.EnvVar{{Name: "ILP_SECRET", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "bad"}, Key: "SECRET"}}}}},
		} {
			template := s.SDK1.Spec.Template.DeepCopy()
			place(template, c)
			objs = append(objs, s.yaml(makers(fmt.Sprintf("every-%d-%d", i, j), template)[0]))
		}
	}
	s.kubectl(t, strings.Join(objs, ""), "apply", "-f", "-").refused(t, len(objs), "ilp-secret-not-default")
}

// TestHardCase38Escaping puts control characters where a message quotes them.
func TestHardCase38Escaping(t *testing.T) {
	s := world.newScheme(t)
	template := s.SDK1.Spec.Template.DeepCopy()
	delete(template.Labels, "dfsp")
	literal("DFSP_ID", "\x1b[2J\x1b[31mALL GOOD\x07\r\n::error::x")(template)
	a := s.kubectl(t, s.yaml(makers("escaped", template)[0]), "apply", "-f", "-")
	a.refused(t, 1, "dfsp-identity")
	if strings.ContainsAny(a.stderr, "\x1b\x07\r") || strings.Contains(a.stderr, "\n::error::") {
		t.Errorf("got control characters in %q", a.stderr)
	}
}
