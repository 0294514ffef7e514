package plugin

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// hexDigits and ages differ from run to run.
var (
	hexDigits = regexp.MustCompile(`\b[0-9a-f]{8}([0-9a-f]{56})?\b`)
	agesRun   = regexp.MustCompile(`\b[0-9]+[smhdy]([0-9]+[smhd])?\b`)
)

func masked(text string) string {
	return agesRun.ReplaceAllString(hexDigits.ReplaceAllString(text, "FFFFFFFF"), "AGE")
}

// lines are the words of each line, joined by one blank: columns move with the
// width of what is masked.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(masked(text)) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return out
}

func TestKeysList(t *testing.T) {
	s := fixtures.NewScheme()
	s.JWS2.Data = s.JWS1.Data
	s.Without = append(s.Without, "Secret/"+s.HubKey.Name)
	s.More = append(s.More, namespaceNamed("elsewhere"))
	flags := serveObjects(t, s.Objects())
	hub := "deployment/" + s.HubDeployment.Name
	tests := []struct {
		name string
		args []string
		want []string
		code Code
	}{
		{
			name: "all", args: []string{"-n", "mojaloop"},
			want: []string{
				"DFSP STATUS SECRET FINGERPRINT ALGORITHM AGE PEERS USED BY",
				"Hub (hub) missing " + s.HubKey.Name + " <none> <none> <unknown> <none> " + hub,
				"perffsp-1 shared,old perffsp-1-jws-keys FFFFFFFF EC P-256 AGE 1/1 deployment/" + s.SDK1.Name,
				"perffsp-2 shared,peers-differ perffsp-2-jws-keys FFFFFFFF EC P-256 <unknown> 0/1 deployment/" + s.SDK2.Name,
				"",
				"PEERS HOLD STATUS SIGNS WITH IT FINGERPRINT ALGORITHM IN",
				"Hub ok elsewhere FFFFFFFF EC P-256 configmap/mojaloop-jws-verification-keys",
				"perffsp-1 shared yes FFFFFFFF EC P-256 configmap/mojaloop-jws-verification-keys",
				"perffsp-2 differs no FFFFFFFF EC P-256 configmap/mojaloop-jws-verification-keys",
			},
		},
		{
			name: "one DFSP", args: []string{"-A", "dfsp/perffsp-1"},
			want: []string{
				"NAMESPACE DFSP STATUS SECRET FINGERPRINT ALGORITHM AGE PEERS USED BY",
				"mojaloop perffsp-1 shared,old perffsp-1-jws-keys FFFFFFFF EC P-256 AGE 1/1 deployment/" + s.SDK1.Name,
				"",
				"NAMESPACE PEERS HOLD STATUS SIGNS WITH IT FINGERPRINT ALGORITHM IN",
				"mojaloop perffsp-1 shared yes FFFFFFFF EC P-256 configmap/mojaloop-jws-verification-keys",
			},
		},
		{name: "names", args: []string{"-n", "mojaloop", "-o", "name"}, want: []string{"secret/perffsp-1-jws-keys", "secret/perffsp-2-jws-keys"}},
		{name: "one that does not exist", args: []string{"-n", "mojaloop", "-o", "name", "dfsp/nobody"}, code: Failed},
		{name: "another namespace", args: []string{"-n", "elsewhere"}},
		{name: "no such namespace", args: []string{"-n", "nope"}, code: Failed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := run(t, slices.Concat([]string{"keys", "list"}, tt.args, flags)...)
			if code != tt.code {
				t.Errorf("got code %d, want %d (%s)", code, tt.code, stderr)
			}
			if diff := cmp.Diff(tt.want, lines(stdout)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func namespaceNamed(name string) *corev1.Namespace {
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestKeysBeforeAnybodyMounts reads the state right after generate: what peers
// lack, or hold instead, is told before a pod signs.
func TestKeysBeforeAnybodyMounts(t *testing.T) {
	for _, labelled := range []bool{true, false} {
		for _, tt := range []struct {
			name   string
			tweak  func(*fixtures.Scheme)
			status string
			peer   string
		}{
			{"both halves", func(*fixtures.Scheme) {}, "unmounted", "ok/unused"},
			{"no public half", func(s *fixtures.Scheme) { delete(s.VerificationKeys.Data, "perffsp-1.pem") }, "unmounted,not-held", ""},
			{"no public half of anybody", func(s *fixtures.Scheme) { s.VerificationKeys.Data = nil }, "unmounted,not-held", ""},
			{"another public half", func(s *fixtures.Scheme) {
				s.VerificationKeys.Data["perffsp-1.pem"] = string(fixtures.NewKeyPair().Public)
			}, "unmounted,peers-differ", "differs/other"},
			{"its public half, for another DFSP", func(s *fixtures.Scheme) {
				s.VerificationKeys.Data["perffsp-2.pem"] = s.VerificationKeys.Data["perffsp-1.pem"]
				delete(s.VerificationKeys.Data, "perffsp-1.pem")
			}, "shared,unmounted,not-held", ""},
		} {
			t.Run(fmt.Sprintf("%s, label %v", tt.name, labelled), func(t *testing.T) {
				s := fixtures.NewScheme()
				s.Without = append(s.Without, "Deployment/"+s.SDK1.Name)
				delete(s.JWS1.Annotations, v1alpha1.AnnotationKeySince)
				delete(s.JWS1.Labels, v1alpha1.LabelDFSP)
				if labelled {
					s.JWS1.Labels = map[string]string{v1alpha1.LabelDFSP: "perffsp-1"}
				}
				tt.tweak(s)
				flags := serveObjects(t, s.Objects())
				for _, command := range []string{"list", "show"} {
					var list KeyList
					stdout, stderr, _ := run(t, slices.Concat([]string{"keys", command, "dfsp/perffsp-1", "-n", "mojaloop", "-o", "json"}, flags)...)
					if err := json.Unmarshal([]byte(stdout), &list); err != nil || len(list.Items) != 1 {
						t.Fatalf("%s: got %v and %d keys, want one (%s)", command, err, len(list.Items), stderr)
					}
					if got := strings.Join(list.Items[0].Status, ","); got != tt.status {
						t.Errorf("%s: got status %q, want %q", command, got, tt.status)
					}
					peer := ""
					for _, v := range list.VerificationKeys {
						peer += strings.Join(v.Status, ",") + "/" + v.Match
					}
					if peer != tt.peer {
						t.Errorf("%s: got peers %q, want %q", command, peer, tt.peer)
					}
				}
			})
		}
	}
}

// TestKeysExposed: a private half among the public ones is called that, also at
// the Secret that has it.
func TestKeysExposed(t *testing.T) {
	s := fixtures.NewScheme()
	s.VerificationKeys.Data["perffsp-1.pem"] = string(s.JWS1.Data["jwsSigningKey.pem"])
	flags := append([]string{"-n", "mojaloop", "dfsp/perffsp-1"}, serveObjects(t, s.Objects())...)
	stdout, _, _ := run(t, slices.Concat([]string{"keys", "list"}, flags)...)
	for _, want := range []string{"perffsp-1 exposed,old perffsp-1-jws-keys", "perffsp-1 exposed,unusable yes"} {
		if !slices.ContainsFunc(lines(stdout), func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("no line begins with %q:\n%s", want, stdout)
		}
	}
	if stdout, _, _ := run(t, slices.Concat([]string{"keys", "show"}, flags)...); !strings.Contains(stdout, "Exposed:") {
		t.Errorf("got %q, want it to say that the key is exposed", stdout)
	}
}

// TestKeysCase: ids are case-sensitive.
func TestKeysCase(t *testing.T) {
	s := fixtures.NewScheme()
	s.Without = append(s.Without, "Deployment/"+s.SDK1.Name)
	flags := append([]string{"-n", "mojaloop"}, serveObjects(t, s.Objects())...)
	for _, command := range []string{"list", "show", "export-public"} {
		for target, want := range map[string]string{
			"dfsp/PERFFSP-1":  "ids are case-sensitive: did you mean dfsp/perffsp-1?",
			"dfsp/perfsp-1":   "did you mean dfsp/perffsp-1",
			"dfsp/unheard-of": "no JWS key of dfsp/unheard-of in namespace mojaloop\n",
		} {
			_, stderr, code := run(t, slices.Concat([]string{"keys", command, target}, flags)...)
			if code != Failed || !strings.Contains(stderr, want) {
				t.Errorf("%s %s: got code %d and %q, want %d and %q", command, target, code, stderr, Failed, want)
			}
		}
	}
}

// TestKeysRequestTimeout names the flag that was too short.
func TestKeysRequestTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	for _, tt := range []struct{ flag, other string }{{"--request-timeout", "--timeout"}, {"--timeout", "--request-timeout"}} {
		_, stderr, code := run(t, "keys", "list", "-n", "mojaloop", "--kubeconfig", "/dev/null", "--server", server.URL, tt.flag, "300ms", tt.other, "1m")
		if code != TimedOut || !strings.HasSuffix(strings.TrimSpace(stderr), "with "+tt.flag) {
			t.Errorf("%s: got code %d and %q, want %d and the flag", tt.flag, code, stderr, TimedOut)
		}
	}
}

// TestKeysDocument reads -o json and -o yaml back, in good and in bad outcomes.
func TestKeysDocument(t *testing.T) {
	flags := serveObjects(t, fixtures.NewScheme().Objects())
	down := []string{"--kubeconfig", "/dev/null", "--server", "https://127.0.0.1:1"}
	for _, command := range []string{"list", "show"} {
		for _, format := range []string{"json", "yaml"} {
			for _, tt := range []struct {
				name   string
				args   []string
				code   Code
				items  int
				errors bool
			}{
				{"good", append([]string{"dfsp/perffsp-1", "-n", "mojaloop"}, flags...), Good, 1, false},
				{"missing", append([]string{"dfsp/perffsp-1", "dfsp/nobody", "-n", "mojaloop"}, flags...), Failed, 1, true},
				{"down", append([]string{"dfsp/perffsp-1", "-n", "mojaloop"}, down...), Failed, 0, true},
				{"usage", []string{"dfsp/perffsp-1", "--nonsense"}, Usage, 0, true},
				{"target", []string{"nonsense/x"}, Usage, 0, true},
			} {
				t.Run(strings.Join([]string{command, format, tt.name}, "/"), func(t *testing.T) {
					stdout, stderr, code := run(t, slices.Concat([]string{"keys", command}, tt.args, []string{"-o", format})...)
					if code != tt.code {
						t.Errorf("got code %d, want %d (%s)", code, tt.code, stderr)
					}
					text, err := yaml.YAMLToJSONStrict([]byte(stdout))
					if err != nil {
						t.Fatal(err)
					}
					var list KeyList
					dec := json.NewDecoder(bytes.NewReader(text))
					dec.DisallowUnknownFields()
					if err := dec.Decode(&list); err != nil || list.Kind != KindKeyList {
						t.Fatalf("%v in:\n%s", err, stdout)
					}
					if len(list.Items) != tt.items || (len(list.Errors) > 0) != tt.errors {
						t.Errorf("got %d items and errors %v, want %d and some: %v", len(list.Items), list.Errors, tt.items, tt.errors)
					}
				})
			}
		}
	}
}

func TestKeysUnread(t *testing.T) {
	s := fixtures.NewScheme()
	flags := serveObjects(t, s.Objects(), "secrets")
	for _, command := range []string{"list", "show", "export-public"} {
		stdout, stderr, code := run(t, append([]string{"keys", command, "dfsp/perffsp-1", "-n", "mojaloop"}, flags...)...)
		if code != Incomplete {
			t.Errorf("%s: got code %d, want %d (%s)", command, code, Incomplete, stderr)
		}
		if want := `eve may not list secrets in mojaloop; ask for a Role in mojaloop with {apiGroups: [""], resources: ["secrets"], verbs: [list]}`; !strings.Contains(stderr, want) {
			t.Errorf("%s: got stderr %q, want it to have %q", command, stderr, want)
		}
		if command != "export-public" && !strings.Contains(stdout, "not-read") {
			t.Errorf("%s: got %q, want the key to be not-read", command, stdout)
		}
	}
}

// TestKeysNothingReadable: that nothing can be read does not say that there is
// nothing.
func TestKeysNothingReadable(t *testing.T) {
	s := fixtures.NewScheme()
	s.Without = append(s.Without, "Deployment/"+s.SDK1.Name)
	for _, forbidden := range [][]string{{"secrets", "configmaps"}, {"secrets", "configmaps", "deployments", "pods"}} {
		flags := append([]string{"-n", "mojaloop"}, serveObjects(t, s.Objects(), forbidden...)...)
		for _, args := range [][]string{{"list"}, {"list", "dfsp/perffsp-1"}, {"show", "dfsp/perffsp-1"}, {"show", "secret/perffsp-1-jws-keys"}, {"export-public", "dfsp/perffsp-1"}} {
			_, stderr, code := run(t, slices.Concat([]string{"keys"}, args, flags)...)
			if code != Incomplete {
				t.Errorf("%v: got code %d, want %d (%s)", args, code, Incomplete, stderr)
			}
			if strings.Contains(stderr, "no JWS key") {
				t.Errorf("%v: got %q, which is not known", args, stderr)
			}
			if len(args) > 1 && !strings.Contains(stderr, "it is not known whether there is a JWS key") {
				t.Errorf("%v: got %q, want it to say that it is not known", args, stderr)
			}
			if got := strings.Count(stderr, "not read:"); got != 1 {
				t.Errorf("%v: got %d lines about rights, want one:\n%s", args, got, stderr)
			}
			if want := "  {apiGroups: [\"\"], resources: [configmaps, "; !strings.Contains(stderr, want) {
				t.Errorf("%v: got %q, want %q", args, stderr, want)
			}
		}
	}
	// The Profile says nothing of which keys there are.
	_, stderr, code := run(t, append([]string{"keys", "show", "dfsp/nobody", "-n", "mojaloop"}, serveObjects(t, s.Objects(), "profiles")...)...)
	if code != Failed || !strings.Contains(stderr, "no JWS key of dfsp/nobody") {
		t.Errorf("got code %d and %q, want %d", code, stderr, Failed)
	}
	// Who may read Secrets only does not see what peers hold.
	flags := append([]string{"-n", "mojaloop", "dfsp/perffsp-1"}, serveObjects(t, fixtures.NewScheme().Objects(), "configmaps")...)
	stdout, stderr, code := run(t, slices.Concat([]string{"keys", "list"}, flags)...)
	if want := "EC P-256 AGE ? deployment/"; code != Incomplete || !strings.Contains(strings.Join(lines(stdout), "\n"), want) || strings.Contains(stdout, "not-held") {
		t.Errorf("got code %d and %q (%s), want %d and %q", code, stdout, stderr, Incomplete, want)
	}
	if stdout, _, _ := run(t, slices.Concat([]string{"keys", "show"}, flags)...); !slices.Contains(lines(stdout), "Peers hold: not read") {
		t.Errorf("got %q, want peers not read", stdout)
	}
}

func TestKeysShow(t *testing.T) {
	s := fixtures.NewScheme()
	s.VerificationKeys.Data["perffsp-1.pem"] = string(fixtures.NewKeyPair().Public)
	s.VerificationKeys.Data["elsewhere.pem"] = string(fixtures.NewKeyPair().Public)
	flags := append([]string{"-n", "mojaloop"}, serveObjects(t, s.Objects())...)
	for _, target := range []string{"dfsp/perffsp-1", "secret/perffsp-1-jws-keys", "deploy/" + s.SDK1.Name} {
		stdout, stderr, code := run(t, slices.Concat([]string{"keys", "show", target}, flags)...)
		if code != Good {
			t.Errorf("%s: got code %d, want %d (%s)", target, code, Good, stderr)
		}
		for _, want := range []string{
			"DFSP: perffsp-1", "Secret: perffsp-1-jws-keys", "Entry: jwsSigningKey.pem", "Algorithm: EC P-256, in SEC1", "Published: no",
			"deployment/" + s.SDK1.Name + " in mojaloop, container sdk, at /opt/app/secrets/jwsSigningKey.pem, signs with it",
			"perffsp-1.pem: another key, FFFFFFFF, read by 3 workloads",
			"error jws-key-pair-match: peers hold key FFFFFFFF for perffsp-1, which signs with key FFFFFFFF",
		} {
			if !slices.ContainsFunc(lines(stdout), func(line string) bool { return strings.Contains(line, want) }) {
				t.Errorf("%s: no line has %q:\n%s", target, want, stdout)
			}
		}
	}
	stdout, _, code := run(t, slices.Concat([]string{"keys", "show", "dfsp/elsewhere"}, flags)...)
	if code != Good || !strings.Contains(stdout, "not in what was read") {
		t.Errorf("got code %d and %q, want the key of a DFSP elsewhere", code, stdout)
	}
	if _, stderr, code := run(t, slices.Concat([]string{"keys", "show", "secret/nothing"}, flags)...); code != Failed || !strings.Contains(stderr, "no JWS key in secret/nothing in namespace mojaloop") {
		t.Errorf("got code %d and %q, want %d", code, stderr, Failed)
	}
}

func TestKeysExportPublic(t *testing.T) {
	s := fixtures.NewScheme()
	other := fixtures.NewKeyPair()
	s.VerificationKeys.Data["perffsp-2.pem"] = string(other.Public)
	s.VerificationKeys.Data["elsewhere.pem"] = string(other.Public)
	flags := append([]string{"-n", "mojaloop"}, serveObjects(t, s.Objects())...)
	export := func(t *testing.T, want Code, args ...string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, code := run(t, slices.Concat([]string{"keys", "export-public"}, args, flags)...)
		if code != want {
			t.Errorf("got code %d, want %d (%s)", code, want, stderr)
		}
		return stdout, stderr
	}
	own := func(secret *corev1.Secret) crypto.Fingerprint {
		set, err := crypto.ParseKeys(secret.Data["jwsSigningKey.pem"])
		if err != nil {
			t.Fatal(err)
		}
		return set.Keys[0].Fingerprint
	}
	isPublic := func(t *testing.T, text string, want crypto.Fingerprint) {
		t.Helper()
		set, err := crypto.ParseKeys([]byte(text))
		if err != nil || len(set.Keys) != 1 || set.Keys[0].Private || set.Keys[0].Fingerprint != want {
			t.Errorf("got %v, %v, want the public key %s", set.Keys, err, want.Short())
		}
	}

	t.Run("its own", func(t *testing.T) {
		stdout, stderr := export(t, Good, "dfsp/perffsp-1")
		isPublic(t, stdout, own(s.JWS1))
		if stderr != "" {
			t.Errorf("got stderr %q, want nothing", stderr)
		}
	})
	t.Run("peers hold another", func(t *testing.T) {
		stdout, stderr := export(t, Findings, "dfsp/perffsp-2")
		isPublic(t, stdout, own(s.JWS2))
		if !strings.Contains(stderr, "peers hold "+other.Fingerprint.Short()) {
			t.Errorf("got stderr %q, want the key that peers hold", stderr)
		}
	})
	t.Run("only peers have it", func(t *testing.T) {
		stdout, _ := export(t, Good, "dfsp/elsewhere")
		isPublic(t, stdout, other.Fingerprint)
	})
	t.Run("nobody has it", func(t *testing.T) {
		stdout, stderr := export(t, Failed, "dfsp/nobody", "dfsp/perffsp-1")
		isPublic(t, stdout, own(s.JWS1))
		if !strings.Contains(stderr, "no JWS key of dfsp/nobody") {
			t.Errorf("got stderr %q, want the target without a key", stderr)
		}
	})
	t.Run("files", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "keys")
		stdout, _ := export(t, Findings, "--all-dfsps", "hub", "--out", dir)
		if got := strings.Count(stdout, "\n"); got != 4 {
			t.Errorf("got %q, want four files", stdout)
		}
		isPublic(t, read(t, filepath.Join(dir, "perffsp-1.pem")), own(s.JWS1))
		info, err := os.Stat(filepath.Join(dir, "Hub.pem"))
		if err != nil || info.Mode().Perm() != fs.FileMode(publicFile) {
			t.Errorf("got %v, %v, want a file of mode %o", info, err, publicFile)
		}
		if err := os.WriteFile(filepath.Join(dir, "perffsp-1.pem"), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		export(t, Refused, "dfsp/perffsp-1", "--out", dir)
		if got := read(t, filepath.Join(dir, "perffsp-1.pem")); got != "mine" {
			t.Errorf("the file was replaced by %q", got)
		}
		export(t, Good, "dfsp/perffsp-1", "--out", dir, "--replace")
		isPublic(t, read(t, filepath.Join(dir, "perffsp-1.pem")), own(s.JWS1))
	})
	t.Run("manifest", func(t *testing.T) {
		stdout, _ := export(t, Good, "dfsp/perffsp-1", "dfsp/elsewhere", "-o", "yaml")
		var cm corev1.ConfigMap
		if err := yaml.UnmarshalStrict([]byte(stdout), &cm); err != nil || len(cm.Data) != 2 {
			t.Fatalf("got %v with %d keys, want a ConfigMap with two", err, len(cm.Data))
		}
		isPublic(t, cm.Data["perffsp-1.pem"], own(s.JWS1))
	})
}

// TestKeysImport imports files of all kinds, and reads the plan.
func TestKeysImport(t *testing.T) {
	s := fixtures.NewScheme()
	s.Without = append(s.Without, "Secret/"+s.JWS2.Name)
	delete(s.VerificationKeys.Data, "perffsp-2.pem")
	flags := append([]string{"-n", "mojaloop"}, serveObjects(t, s.Objects())...)
	pair, other := fixtures.NewKeyPair(), fixtures.NewKeyPair()
	block, _ := pem.Decode(pair.Private)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{
		"key.pem": string(pair.Private), "public.pem": string(pair.Public), "other.pem": string(other.Public),
		"one.key": string(s.JWS1.Data["jwsSigningKey.pem"]), "one.pem": s.VerificationKeys.Data["perffsp-1.pem"],
		"key.der": string(block.Bytes), "pkcs8.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), "garbage": "not a key", "empty": "\n",
	})
	file := func(name string) string { return filepath.Join(dir, name) }
	plan := []string{"--apply", "--dry-run=client"}
	tests := []struct {
		name string
		args []string
		code Code
		says string // on stdout or stderr
	}{
		{"pair", append([]string{"dfsp/perffsp-2", "--private", file("key.pem"), "--public", file("public.pem")}, plan...), Good, "secret/perffsp-2-jws-keys in mojaloop created (dry run)"},
		{"private half alone", append([]string{"dfsp/perffsp-2", "--private", file("key.pem")}, plan...), Good, "configmap/mojaloop-jws-verification-keys in mojaloop configured (dry run)"},
		{"what is there already", append([]string{"dfsp/perffsp-1", "--private", file("one.key"), "--public", file("one.pem")}, plan...), Good, "secret/perffsp-1-jws-keys in mojaloop unchanged"},
		{"public half of a DFSP elsewhere", append([]string{"dfsp/elsewhere", "--public", file("other.pem")}, plan...), Good, "configmap/mojaloop-jws-verification-keys in mojaloop configured"},
		{"manifests", []string{"dfsp/elsewhere", "--public", file("other.pem"), "-o", "yaml"}, Good, "elsewhere.pem: |"},
		{"halves of two pairs", append([]string{"dfsp/perffsp-2", "--private", file("key.pem"), "--public", file("other.pem")}, plan...), Failed, "the halves do not belong together"},
		{"key of another DFSP", append([]string{"dfsp/perffsp-2", "--private", file("one.key")}, plan...), Refused, "perffsp-1 has this key"},
		{"public half of another DFSP", append([]string{"dfsp/elsewhere", "--public", file("one.pem")}, plan...), Refused, "is that of perffsp-1 already"},
		{"another key than it signs with", append([]string{"dfsp/perffsp-1", "--public", file("other.pem")}, plan...), Refused, "its peers would refuse all it signs"},
		{"another key than there is", append([]string{"dfsp/perffsp-1", "--private", file("key.pem")}, plan...), Refused, "--apply --replace"},
		{"the same, replaced", append([]string{"dfsp/perffsp-1", "--private", file("key.pem"), "--replace"}, plan...), Good, "secret/perffsp-1-jws-keys in mojaloop configured (dry run)"},
		{"public key as private", append([]string{"dfsp/perffsp-2", "--private", file("public.pem")}, plan...), Failed, "want the private key"},
		{"private key as public", append([]string{"dfsp/perffsp-2", "--public", file("key.pem")}, plan...), Failed, "holds a private key"},
		{"DER", append([]string{"dfsp/perffsp-2", "--private", file("key.der")}, plan...), Failed, "openssl ec -inform DER -in " + file("key.der")},
		{"P-256 in PKCS#8", append([]string{"dfsp/perffsp-2", "--private", file("pkcs8.pem")}, plan...), Failed, "convert it: openssl ec -in " + file("pkcs8.pem") + " -out sec1.key"},
		{"garbage", append([]string{"dfsp/perffsp-2", "--private", file("garbage")}, plan...), Failed, "no PEM block"},
		{"empty", append([]string{"dfsp/perffsp-2", "--private", file("empty")}, plan...), Failed, "is empty"},
		{"no such file", append([]string{"dfsp/perffsp-2", "--private", file("nowhere")}, plan...), Failed, "no such file"},
		{"no key", append([]string{"dfsp/perffsp-2"}, plan...), Usage, "which key?"},
		{"no way", []string{"dfsp/perffsp-2", "--private", file("key.pem")}, Usage, "--apply writes to the cluster"},
		{"two targets", append([]string{"dfsp/perffsp-{1,2}", "--private", file("key.pem")}, plan...), Usage, "a key belongs to one target"},
		{"standard input, and nobody to ask", []string{"dfsp/perffsp-2", "--private", "-", "--apply"}, Usage, "agree with --yes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := slices.Concat([]string{"keys", "import"}, tt.args, flags)
			stdout, stderr, code := run(t, args...)
			if code != tt.code {
				t.Errorf("got code %d, want %d (%s)", code, tt.code, stderr)
			}
			if !strings.Contains(stdout+stderr, tt.says) {
				t.Errorf("got %q and %q, want %q", stdout, stderr, tt.says)
			}
		})
	}

	t.Run("from standard input", func(t *testing.T) {
		var out, errOut bytes.Buffer
		streams := genericiooptions.IOStreams{In: bytes.NewReader(pair.Private), Out: &out, ErrOut: &errOut}
		err := Execute(t.Context(), []string{"keys", "import", "dfsp/bank", "--private", "-", "-o", "json"}, streams, Build{})
		if err != nil || !strings.Contains(out.String(), base64.StdEncoding.EncodeToString(pair.Private)) {
			t.Errorf("got %v (%s), want a Secret with the key", err, &errOut)
		}
	})
	t.Run("readable by others", func(t *testing.T) {
		if err := os.Chmod(file("key.pem"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, stderr, _ := run(t, slices.Concat([]string{"keys", "import", "dfsp/perffsp-2", "--private", file("key.pem")}, plan, flags)...); !strings.Contains(stderr, "chmod 600") {
			t.Errorf("got stderr %q, want a word about the mode of the file", stderr)
		}
	})
}

// TestNoKeyInAnyAnswer plants private keys and looks for them in whatever the
// commands about keys say. Manifests that are asked for are the exception.
func TestNoKeyInAnyAnswer(t *testing.T) {
	c := &canaries{forms: map[string]string{}}
	s := fixtures.NewScheme()
	public := strings.Join(slices.Collect(maps.Values(s.VerificationKeys.Data)), "")
	plant := func(place string, text []byte) {
		for line := range strings.Lines(string(text)) {
			// The end of a private key in SEC1 is its public half.
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && !strings.Contains(public, line) {
				c.add(place, line)
			}
		}
	}
	plant("JWS1", s.JWS1.Data["jwsSigningKey.pem"])
	plant("JWS2", s.JWS2.Data["jwsSigningKey.pem"])
	for _, value := range s.HubKey.Data {
		plant("hub", value)
	}
	s.ILP1.Data["ILP_SECRET"] = []byte(c.sing("ILP secret"))
	// A Secret whose key nobody can read, and private halves where public ones
	// belong.
	s.JWS2.Data["jwsSigningKey.pem"] = []byte("-----BEGIN EC PRIVATE KEY-----\n" + c.sing("broken key") + "\n-----END EC PRIVATE KEY-----\n")
	s.VerificationKeys.Data["wrong.pem"] = c.key(t, "verification keys")
	if len(c.forms) < 6 {
		t.Fatal("no key was planted: this test proves nothing")
	}
	flags := append([]string{"-n", "mojaloop"}, serveObjects(t, s.Objects())...)
	imported := c.key(t, "imported key")
	dir := write(t, map[string]string{"key.pem": imported, "broken.pem": "-----BEGIN PRIVATE KEY-----\n" + c.sing("imported garbage") + "\n-----END PRIVATE KEY-----\n"})

	var commands [][]string
	for _, format := range keyListFormats() {
		commands = append(commands, []string{"list", "-o", format})
	}
	for _, format := range keyShowFormats() {
		commands = append(commands, []string{"show", "dfsp/perffsp-1", "dfsp/perffsp-2", "hub", "dfsp/wrong", "-o", format})
	}
	for _, format := range keyExportFormats() {
		commands = append(commands, []string{"export-public", "--all-dfsps", "hub", "dfsp/wrong", "-o", format})
	}
	for _, file := range []string{"key.pem", "broken.pem"} {
		for _, more := range [][]string{{"--apply"}, {"--apply", "--dry-run=client"}, {"--apply", "--yes"}} {
			commands = append(commands, append([]string{"import", "dfsp/bank", "--private", filepath.Join(dir, file)}, more...))
		}
		commands = append(commands, []string{"import", "dfsp/bank", "--public", filepath.Join(dir, file), "--apply", "--yes"})
	}
	for _, command := range commands {
		t.Run(strings.Join(command[:1], " ")+" "+command[len(command)-1], func(t *testing.T) {
			stdout, stderr, _ := run(t, slices.Concat([]string{"keys"}, command, flags)...)
			if stdout+stderr == "" {
				t.Error("nothing was said: this test proves nothing")
			}
			c.look(t, "stdout", []byte(stdout))
			c.look(t, "stderr", []byte(stderr))
		})
	}
}

// TestKeysUsersFitTheLine: one name and how many more, so that lines stay short.
func TestKeysUsersFitTheLine(t *testing.T) {
	t.Parallel()
	users := make([]policy.KeyUser, 0, 4)
	for _, name := range []string{"a", "b", "b", "c", "d"} {
		users = append(users, policy.KeyUser{Workload: policy.Ref{Kind: "Deployment", Name: name}})
	}
	for _, tt := range []struct {
		table keyTable
		users []policy.KeyUser
		want  string
	}{
		{keyTable{}, nil, "<none>"},
		{keyTable{}, users[:1], "deployment/a"},
		{keyTable{}, users, "deployment/a,+3"},
		{keyTable{wide: true}, users, "deployment/a,deployment/b,deployment/c,deployment/d"},
	} {
		if got := tt.table.users(tt.users); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
