package policy_test

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

func snapshot(objs []runtime.Object) *policy.Snapshot {
	return policy.NewSnapshot(options(fixtures.Fixture{}), objs)
}

func failures(snap *policy.Snapshot, inputs ...policy.Input) []string {
	r := policy.Review(policy.Checks(), inputs, snap, true)
	var out []string
	for id := range count(&r).failed {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// TestWith judges a deployment before and after what-if changes, and sees that
// the Snapshot they start from stays as it was.
func TestWith(t *testing.T) {
	s := fixtures.NewScheme()
	snap := snapshot(objects(s.Inputs()))
	subject := policy.Input{Object: s.SDK1}

	weak := s.ILP1.DeepCopy()
	weak.Data["ILP_SECRET"] = []byte(fixtures.PublishedILPDefault)
	shared := s.JWS2.DeepCopy()
	shared.Data = s.JWS1.Data
	relaxed := s.PeerAuth.DeepCopy()
	relaxed.Spec.Mtls.Mode = 2 // PERMISSIVE
	warn := s.Namespace.DeepCopy()
	warn.Labels["istio-injection"] = "disabled"

	tests := []struct {
		name string
		snap *policy.Snapshot
		want []string
	}{
		{"as it is", snap, nil},
		{"secret becomes a default", snap.With(weak), []string{"ilp-secret-not-default"}},
		{"secret deleted", snap.Without(policy.RefOf(s.ILP1)), []string{"ilp-secret-set"}},
		{"another DFSP takes the key", snap.With(shared), []string{"jws-key-unique"}},
		{"policy relaxed", snap.With(relaxed), []string{"mtls-strict"}},
		{"policy deleted", snap.Without(policy.RefOf(s.PeerAuth)), []string{"mtls-strict"}},
		{"policy relaxed, then restored", snap.With(relaxed).With(s.PeerAuth), nil},
		{"namespace leaves the mesh", snap.With(warn), []string{"mtls-in-mesh", "sdk-mutual-tls"}},
		{"as it was", snap, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := failures(tt.snap, subject); !slices.Equal(got, tt.want) {
				t.Errorf("failed: got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestWaivers sees that a waiver counts until it expires, for what it names,
// and only where the door trusts it.
func TestWaivers(t *testing.T) {
	s := fixtures.NewScheme()
	fixtures.SetEnv(s.SDK1, "JWS_SIGN", "false")
	waiver := &v1alpha1.Waiver{ObjectMeta: metav1.ObjectMeta{Name: "migration"}, Spec: v1alpha1.WaiverSpec{
		Checks: []string{"jws-signing-enabled"}, Match: v1alpha1.WaiverMatch{Names: []string{s.SDK1.Name}},
		ExpiresAt: metav1.NewTime(fixtures.Now.Add(time.Hour)),
		Reason:    "the chart is replaced in the next release", Owner: "platform team",
	}}
	other := waiver.DeepCopy()
	other.Spec.Match.Names = []string{"something-else"}
	nobodys := waiver.DeepCopy()
	nobodys.Spec.Owner = " "
	everywhere := waiver.DeepCopy()
	everywhere.Spec.Match = v1alpha1.WaiverMatch{}

	tests := []struct {
		name   string
		waiver *v1alpha1.Waiver
		judged bool // the waiver is among the objects only
		at     time.Time
		waived bool
	}{
		{name: "in force", waiver: waiver, at: fixtures.Now, waived: true},
		{name: "expired", waiver: waiver, at: fixtures.Now.Add(2 * time.Hour)},
		{name: "for another object", waiver: other, at: fixtures.Now},
		{name: "without an owner", waiver: nobodys, at: fixtures.Now},
		{name: "for everything", waiver: everywhere, at: fixtures.Now},
		{name: "among the judged files", waiver: waiver, judged: true, at: fixtures.Now},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts, objs := options(fixtures.Fixture{}), objects(s.Inputs())
			if tt.judged {
				objs = append(objs, tt.waiver)
			} else {
				opts.Waivers = []*v1alpha1.Waiver{tt.waiver}
			}
			r := policy.Review(policy.Checks(), []policy.Input{{Object: s.SDK1}}, policy.NewSnapshot(opts, objs).At(tt.at), true)
			if len(r.Findings) != 1 || r.Findings[0].Waived != tt.waived {
				t.Errorf("got %s, want one finding with waived=%t", render(&r), tt.waived)
			}
		})
	}
}

// TestActions folds severity, mode of the namespace and mode of the Profile.
func TestActions(t *testing.T) {
	tests := []struct {
		name, mode, profile string
		warning             bool
		want                policy.Action
	}{
		{name: "enforce", mode: "enforce", want: policy.ActionDeny},
		{name: "enforce, warning", mode: "enforce", warning: true, want: policy.ActionWarn},
		{name: "warn", mode: "warn", want: policy.ActionWarn},
		{name: "audit", mode: "audit", want: policy.ActionAudit},
		{name: "no label", want: policy.ActionNone},
		{name: "typing error counts as enforce", mode: "enfroce", want: policy.ActionDeny},
		{name: "profile is weaker", mode: "enforce", profile: "audit", want: policy.ActionAudit},
		{name: "namespace is weaker", mode: "audit", profile: "warn", want: policy.ActionAudit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fixtures.NewScheme()
			id := "jws-signing-enabled"
			if tt.warning {
				id = "jws-put-parties"
				fixtures.SetEnv(s.SDK1, "JWS_SIGN_PUT_PARTIES", "false")
			} else {
				fixtures.SetEnv(s.SDK1, "JWS_SIGN", "false")
			}
			delete(s.Namespace.Labels, "mojasec.io/mode")
			if tt.mode != "" {
				s.Namespace.Labels["mojasec.io/mode"] = tt.mode
			}
			if tt.profile != "" {
				p := v1alpha1.DefaultProfile()
				p.Spec.Checks = []v1alpha1.CheckMode{{ID: id, Mode: v1alpha1.Mode(tt.profile)}}
				s.More = append(s.More, p)
			}
			r := policy.Review(policy.Checks(), []policy.Input{{Object: s.SDK1}}, snapshot(objects(s.Inputs())), true)
			if len(r.Findings) != 1 || r.Findings[0].Action != tt.want {
				t.Errorf("got %v, want one finding with action %s", r.Findings, tt.want)
			}
		})
	}
}

// TestInjectableFix sees that a namespace that is only watched is told what
// enforce would do.
func TestInjectableFix(t *testing.T) {
	s := fixtures.NewScheme()
	s.Namespace.Labels["mojasec.io/mode"] = "audit"
	fixtures.SetEnv(s.SDK1, "ILP_SECRET", "")
	r := policy.Review(policy.Checks(), []policy.Input{{Object: s.SDK1}}, snapshot(objects(s.Inputs())), true)
	if len(r.Findings) != 1 || len(r.Injected) != 0 {
		t.Fatalf("got %s and %v, want one finding and nothing injected", render(&r), r.Injected)
	}
	if got := r.Findings[0].Fix; !strings.Contains(got, "mojasec.io/mode: enforce") {
		t.Errorf("fix %q does not say that enforce would inject it", got)
	}
}

// TestSnapshotHoldsNoSecret plants secrets wherever an object can hold one and
// walks all memory a Snapshot reaches.
func TestSnapshotHoldsNoSecret(t *testing.T) {
	pair := fixtures.NewKeyPair()
	canaries := map[string]string{
		"secret data":    "canary-A7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
		"string data":    "canary-B7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
		"config map":     "canary-C7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
		"literal":        "canary-D7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
		"mixed literal":  "canary-E7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
		"annotation":     "canary-F7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
		"private key":    strings.Split(string(pair.Private), "\n")[1],
		"json in config": "canary-G7cK2pQ9rT4vX8zB1dF6hJ3mN5sW0yE",
	}
	s := fixtures.NewScheme()
	s.SetKey(s.JWS1, fixtures.DFSP1, pair)
	s.ILP1.Data["ILP_SECRET"] = []byte(canaries["secret data"])
	s.ILP1.StringData = map[string]string{"OTHER": canaries["string data"]}
	s.ILP1.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": canaries["annotation"]}
	s.HubConfig.Data["ILP_SECRET"] = canaries["config map"]
	s.HubConfig.Data["user_config.json"] = `{"ILP_SECRET":"` + canaries["json in config"] + `"}`
	fixtures.SetEnv(s.SDK2, "ILP_SECRET", canaries["literal"])
	fixtures.SetEnv(s.SDK2, "CONNECTOR_ILP_SECRET", canaries["mixed literal"]+"$(DFSP_ID)")

	snap := snapshot(objects(s.Inputs()))
	failures(snap, s.Inputs()...) // builds what is built lazily
	w := walker{seen: map[uintptr]bool{}}
	w.walk(reflect.ValueOf(snap))
	memory := w.text.String()
	if !strings.Contains(memory, fixtures.DFSP1+"-jws-keys") {
		t.Fatal("the walk did not reach the names of Secrets: this test proves nothing")
	}
	for where, canary := range canaries {
		for form, text := range map[string]string{
			"plain": canary, "base64": base64.StdEncoding.EncodeToString([]byte(canary)), "hex": fmt.Sprintf("%x", canary),
		} {
			if strings.Contains(memory, text) {
				t.Errorf("the Snapshot holds the %s (%s)", where, form)
			}
		}
	}
}

// walker collects every string and byte slice that a value reaches.
type walker struct {
	seen map[uintptr]bool
	text strings.Builder
}

func (w *walker) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || w.seen[v.Pointer()] {
			return
		}
		w.seen[v.Pointer()] = true
		w.walk(v.Elem())
	case reflect.Interface:
		w.walk(v.Elem())
	case reflect.Struct:
		for _, f := range v.Fields() {
			w.walk(f)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			for i := range v.Len() {
				w.text.WriteByte(byte(v.Index(i).Uint()))
			}
			w.text.WriteByte('\n')
			return
		}
		for i := range v.Len() {
			w.walk(v.Index(i))
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			w.walk(it.Key())
			w.walk(it.Value())
		}
	case reflect.String:
		w.text.WriteString(v.String() + "\n")
	default:
	}
}

// FuzzExpand compares the environment of a container with what the rules of
// Kubernetes say about it.
func FuzzExpand(f *testing.F) {
	f.Add("a", "$(A)", "$$(B)")
	f.Add("$(B)$(B)", "$(A)$(A)", "$(C)")
	f.Add("$(", "$(A", "$")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		s := fixtures.NewScheme()
		container := fixtures.Container(s.SDK1)
		container.Env = append(container.Env,
			corev1.EnvVar{Name: "A", Value: a}, corev1.EnvVar{Name: "B", Value: b}, corev1.EnvVar{Name: "DFSP_ID", Value: c},
		)
		snap := snapshot(objects(s.Inputs()))
		sub := snap.Subject(policy.Input{Object: s.SDK1})
		got := snap.Value(sub.Workload, sub.Workload.SDKs()[0], "DFSP_ID")
		known := map[string]string{}
		for _, e := range container.Env {
			if e.ValueFrom == nil {
				known[e.Name] = expand(e.Value, known)
			}
		}
		if strings.Contains(a+b+c, "ILP_SECRET") {
			t.Skip("not a literal in the fixture")
		}
		if want := known["DFSP_ID"]; got.Presence != policy.Present || got.Text != want {
			t.Errorf("A=%q B=%q: %q expands to %q, want %q", a, b, c, got.Text, want)
		}
	})
}

// expand is the rule of Kubernetes, written without regard to speed: see
// "Define Dependent Environment Variables" in its documentation.
func expand(text string, known map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		end := strings.IndexByte(text[i:], ')')
		switch {
		case text[i+1] == '$':
			out.WriteByte('$')
			i++
		case text[i+1] == '(' && end > 0:
			name := text[i+2 : i+end]
			if value, ok := known[name]; ok {
				out.WriteString(value)
			} else {
				out.WriteString(text[i : i+end+1])
			}
			i += end
		default:
			out.WriteString(text[i : i+2])
			i++
		}
	}
	return out.String()
}

// FuzzMeshConfig reads any text as a mesh config.
func FuzzMeshConfig(f *testing.F) {
	f.Add("enableAutoMtls: false\nmeshMTLS: {minProtocolVersion: TLSV1_3}\n")
	f.Add("enableAutoMtls: [")
	f.Add("- 1")
	f.Fuzz(func(t *testing.T, text string) {
		cfg := policy.ParseMeshConfig([]byte(text))
		if cfg == nil {
			t.Fatal("no answer")
		}
		if cfg.Bad && (cfg.EnableAutoMTLS != nil || cfg.RootNamespace != "") {
			t.Errorf("a bad config has values: %+v", cfg)
		}
		s := fixtures.NewScheme()
		s.MeshConfig.Data["mesh"] = text
		failures(snapshot(objects(s.Inputs())), policy.Input{Object: s.SDK1})
	})
}
