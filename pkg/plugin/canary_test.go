package plugin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy/report"
)

// canaries makes secrets and knows in which forms they could come out.
type canaries struct {
	forms map[string]string // text to look for → where the secret stands
}

// sing returns a new secret that stands at a place.
func (c *canaries) sing(place string) string {
	secret := rand.Text() + "x"
	c.add(place, secret)
	return secret
}

func (c *canaries) add(place, secret string) {
	sum := sha256.Sum256([]byte(secret))
	for form, text := range map[string]string{
		"as it is":   secret,
		"base64":     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"base64url":  strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(secret)), "="),
		"hex":        hex.EncodeToString([]byte(secret)),
		"HEX":        strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"URL":        url.QueryEscape(secret),
		"SHA-256":    hex.EncodeToString(sum[:]),
		"SHA-256 64": strings.TrimRight(base64.StdEncoding.EncodeToString(sum[:]), "="),
	} {
		c.forms[text] = place + " (" + form + ")"
	}
}

// key returns a PEM block; every line of it is a secret.
func (c *canaries) key(t *testing.T, place string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines[1 : len(lines)-1] {
		c.add(place, line)
	}
	return text
}

func (c *canaries) look(t *testing.T, where string, text []byte) {
	t.Helper()
	for form, place := range c.forms {
		if bytes.Contains(text, []byte(form)) {
			t.Errorf("%s shows the secret of: %s", where, place)
		}
	}
}

// indent makes a PEM block the body of a YAML block scalar.
func indent(n int, text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", n))
}

// manifests plants a secret in every place that can hold one.
func (c *canaries) manifests(t *testing.T) map[string]string {
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return map[string]string{
		"deployment.yaml": fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: perffsp-1-sdk
  namespace: mojaloop
  annotations:
    example.org/token: %s
    kubectl.kubernetes.io/last-applied-configuration: '{"key":%q}'
spec:
  selector: {matchLabels: {dfsp: perffsp-1}}
  template:
    metadata:
      labels: {component: sdk-scheme-adapter, dfsp: perffsp-1}
      annotations: {example.org/pod-token: %s}
    spec:
      volumes: [{name: keys, secret: {secretName: perffsp-1-jws-keys}}]
      initContainers:
      - {name: init, image: busybox, command: [sh, -c, "echo %s"], env: [{name: ILP_SECRET, value: %s}]}
      containers:
      - name: sdk-scheme-adapter
        image: mojaloop/sdk-scheme-adapter:v24.0.0
        args: [--secret=%s]
        volumeMounts: [{name: keys, mountPath: /opt/app/secrets}]
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: perffsp-1-ilp}}]
        env:
        - {name: DFSP_ID, value: perffsp-1}
        - {name: ILP_SECRET, value: %s}
        - {name: OTHER, value: $(ILP_SECRET)}
        - {name: JWS_SIGN, value: %s}
        - name: KEY
          value: |
            %s
`, c.sing("annotation"), c.key(t, "annotation with a key"), c.sing("pod annotation"), c.sing("command"), c.sing("env of an init container"),
			c.sing("argument"), c.sing("env"), c.sing("env that should be a switch"), indent(12, c.key(t, "env with a key"))),
		"second.json": fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "perffsp-2-sdk", "namespace": "mojaloop",
  "labels": {"component": "sdk-scheme-adapter", "dfsp": "perffsp-2"}},
  "spec": {"containers": [{"name": "sdk", "image": "mojaloop/sdk-scheme-adapter:v24.0.0", "env": [{"name": "ILP_SECRET", "value": %q}]}]}}
`, c.sing("env in JSON in one line")),
		"data.yaml": fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: perffsp-1-ilp, namespace: mojaloop}
data: {ILP_SECRET: %s}
stringData: {OTHER: %s}
---
apiVersion: v1
kind: Secret
metadata: {name: perffsp-1-jws-keys, namespace: mojaloop}
stringData:
  jwsSigningKey.pem: |
    %s
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: mojaloop}
data:
  ILP_SECRET: %s
  default.json: '{"ILP_SECRET": %q, "ENDPOINT_SECURITY": {"JWS": {"JWS_SIGN": %q}}}'
  key.pem: |
    %s
binaryData: {blob: %s}
`, b64(c.sing("Secret data")), c.sing("Secret stringData"), indent(4, c.key(t, "signing key")), c.sing("ConfigMap"),
			c.sing("ConfigMap JSON"), c.sing("ConfigMap JSON switch"), indent(4, c.key(t, "ConfigMap with a key")), b64(c.sing("ConfigMap binaryData"))),
		"values.yaml": fmt.Sprintf(`config:
  env: {ILP_SECRET: %s, JWS_SIGN: %s}
  list: [{name: ILP_SECRET, value: %s}]
  key: |
    %s
`, c.sing("values"), c.sing("values switch"), c.sing("values list"), indent(4, c.key(t, "values with a key"))),
		"broken.yaml": fmt.Sprintf("kind: Secret\nstringData:\n  a: %s\n b: %s\n", c.sing("broken document"), c.sing("broken line")),
		"types.yaml": fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: '%%%s', b: [%s]}\nstringData: {c: {d: %s}}\n",
			c.sing("base64 that is none"), c.sing("list for a string"), c.sing("map for a string")),
		"wrong.yaml": fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {replicas: %s, paused: %s}\n",
			c.sing("text for a number"), c.sing("text for a switch")),
		"kustomize/kustomization.yaml": fmt.Sprintf(`resources: [pod.yaml]
secretGenerator: [{name: generated, literals: [ILP_SECRET=%s]}]
configMapGenerator: [{name: settings, literals: [JWS_SIGN=%s]}]
patches:
- target: {kind: Pod}
  patch: '[{"op": "add", "path": "/spec/containers/0/env", "value": [{"name": "ILP_SECRET", "value": %q}]}]'
`, c.sing("secretGenerator"), c.sing("configMapGenerator"), c.sing("patch")),
		"kustomize/pod.yaml": `apiVersion: v1
kind: Pod
metadata: {name: perffsp-3-sdk, labels: {component: sdk-scheme-adapter, dfsp: perffsp-3}}
spec: {containers: [{name: sdk, image: "mojaloop/sdk-scheme-adapter:v24.0.0", envFrom: [{secretRef: {name: generated}}]}]}
`,
		"broken-kustomize/kustomization.yaml": fmt.Sprintf("resources: [pod.yaml]\nsecretGenerator: [{name: generated, literals: [%s]}]\nnonsense: %s\n",
			c.sing("literal without name"), c.sing("unknown field of a kustomization")),
	}
}

// TestNoSecretInAnyOutput plants secrets wherever a manifest can hold one and
// looks for them in whatever comes out.
func TestNoSecretInAnyOutput(t *testing.T) {
	c := &canaries{forms: map[string]string{}}
	dir := write(t, c.manifests(t))
	input := []string{"verify", "-f", dir, "-f", filepath.Join(dir, "values.yaml"), "--strict"}
	kustomize := []string{"-k", filepath.Join(dir, "kustomize"), "-k", filepath.Join(dir, "broken-kustomize")}

	formats := append(report.Formats(), "name", "jsonpath={}", "go-template={{.}}", "custom-columns=A:.check,B:.detail,C:.fix,D:.related")
	for _, format := range formats {
		for _, more := range [][]string{kustomize, append([]string{"--no-inject"}, kustomize...), {"--color=always", "--fix"}} {
			t.Run(format+" "+more[0], func(t *testing.T) {
				stdout, stderr, code := run(t, slices.Concat(input, more, []string{"-o", format})...)
				if code != Failed && code != Refused {
					t.Errorf("got code %d, want %d", code, Failed)
				}
				if len(stdout) == 0 {
					t.Error("nothing came out")
				}
				c.look(t, "stdout", []byte(stdout))
				c.look(t, "stderr", []byte(stderr))
			})
		}
	}

	t.Run("files", func(t *testing.T) {
		out := t.TempDir()
		args := slices.Concat(input, kustomize)
		for _, format := range report.Formats() {
			args = append(args, "-o", format+"="+filepath.Join(out, format))
		}
		stdout, stderr, _ := run(t, args...)
		c.look(t, "stdout", []byte(stdout))
		c.look(t, "stderr", []byte(stderr))
		err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if len(text) == 0 {
				t.Errorf("%s is empty", path)
			}
			c.look(t, path, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	t.Run("dry run", func(t *testing.T) {
		stdout, stderr, _ := run(t, append(input, "--fix", "--dry-run")...)
		c.look(t, "stdout", []byte(stdout))
		c.look(t, "stderr", []byte(stderr))
	})
}

// typed returns secrets in the forms in which somebody may paste them into a
// command line: as one argument, or as many where quotes are missing.
func (c *canaries) typed(t *testing.T) map[string][]string {
	t.Helper()
	random := func(place string, n int, encode func([]byte) string) []string {
		text := make([]byte, n)
		_, _ = rand.Read(text) // never fails
		secret := encode(text)
		c.add(place, secret)
		return []string{secret}
	}
	return map[string][]string{
		"key":                {c.key(t, "key")},
		"key without quotes": strings.Fields(c.key(t, "key without quotes")),
		"key in one line":    {strings.ReplaceAll(c.key(t, "key in one line"), "\n", "")},
		"key without armour": {strings.Split(c.key(t, "key without armour"), "-----")[2]},
		"key in DER":         random("key in DER", 1200, base64.StdEncoding.EncodeToString),
		"ILP secret":         random("ILP secret", 32, hex.EncodeToString),
		"short ILP secret":   random("short ILP secret", 16, hex.EncodeToString),
		"base64":             random("base64", 32, base64.StdEncoding.EncodeToString),
		"base64url":          random("base64url", 32, base64.RawURLEncoding.EncodeToString),
		"word":               {c.sing("word")},
	}
}

// typedURLs are URLs with a secret in them.
func (c *canaries) typedURLs() map[string]string {
	return map[string]string{
		"password":         "http://user:" + c.sing("password") + "@127.0.0.1:1/quotes",
		"odd password":     "http://user:a/b%zz" + c.sing("odd password") + "@127.0.0.1:1/quotes",
		"token":            "https://" + c.sing("token") + "@127.0.0.1:1/quotes",
		"query":            "https://127.0.0.1:1/quotes?token=" + c.sing("query"),
		"path":             "https://127.0.0.1:1/" + c.sing("path") + "/quotes",
		"unknown scheme":   "ftp://user:" + c.sing("unknown scheme") + "@127.0.0.1:1/quotes",
		"without a scheme": "user:" + c.sing("without a scheme") + "@127.0.0.1:1",
	}
}

// TestNoTypedSecretInAnyOutput types secrets where the name of a file or folder,
// a target, a URL, a flag or a command belongs.
func TestNoTypedSecretInAnyOutput(t *testing.T) {
	c := &canaries{forms: map[string]string{}}
	key, secret := generateKeys(t, 1)[0], strings.Repeat("0123456789abcdef", 4)
	dir := write(t, map[string]string{
		"a.key": string(key.MarshalPEM()), "peers/a.pem": string(key.Public().MarshalPEM()), "body.json": `{"quoteId":"1"}`, "ilp": secret,
		"transaction.json": "{}", "deploy.yaml": "kind: Namespace\napiVersion: v1\nmetadata: {name: a}\n",
	})
	file := func(name string) string { return filepath.Join(dir, name) }
	t.Chdir(t.TempDir()) // where files would be written
	cluster := []string{"--server", "https://127.0.0.1:1", "-n", "a"}
	commands := [][]string{
		{"keys", "import", "dfsp/a", "--private", file("a.key")},
		{"keys", "list", "-f", file("deploy.yaml")},
		slices.Concat([]string{"keys", "show", "dfsp/a"}, cluster),
		slices.Concat([]string{"keys", "export-public", "dfsp/a"}, cluster),
		{"generate", "jws", "dfsp/a", "-n", "a"},
		{"generate", "ilp-secret", "dfsp/a", "-n", "a"},
		{"generate", "values", "dfsp/a"},
		{"generate", "policies"},
		{"test", "jws", "dfsp/a", "--key", file("a.key"), "--url", "http://127.0.0.1:1"},
		{"test", "jws", "sign", "--key", file("a.key"), "--source", "a", "--uri", "/quotes", "--body", file("body.json")},
		{"test", "jws", "verify", "--keys", file("peers"), "--headers", file("body.json"), "--body", file("body.json")},
		{"test", "mtls", "--url", "https://127.0.0.1:1", "--cert", file("a.key"), "--key", file("a.key")},
		{"test", "transaction", "--url", "http://127.0.0.1:1", "--key", file("a.key"), "--source", "a", "--destination", "b", "--for=10ms", "--warm-up=0s", "--timeout=1s"},
		{"test", "ilp", "generate", "--secret-file", file("ilp"), "--transaction", file("transaction.json")},
		{"test", "ilp", "verify", "--secret-file", file("ilp"), "--transfer", file("transaction.json")},
		{"test", "ilp", "decode"},
		{"verify", "-f", file("deploy.yaml")},
	}
	typed, urls := c.typed(t), c.typedURLs()
	all, some := []string{formatJSON, formatYAML, formatCurl, ""}, []string{formatJSON, ""}
	look := func(t *testing.T, name string, formats, args []string) {
		t.Helper()
		for _, format := range formats {
			line := args
			if format != "" {
				line = append(slices.Clone(args), "-o", format)
			}
			stdout, stderr, _ := run(t, line...)
			if stdout+stderr == "" {
				t.Errorf("%s -o %s: nothing came out", name, format)
			}
			c.look(t, name+" -o "+format+": stdout", []byte(stdout))
			c.look(t, name+" -o "+format+": stderr", []byte(stderr))
		}
	}
	for _, command := range commands {
		cmd, _, err := NewCmd(genericiooptions.IOStreams{}, Build{}).Find(command)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			files := 0
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				placeholder, _ := pflag.UnquoteUsage(f)
				if !slices.Contains([]string{"FILE", "DIR", "DIRECTORY", "URL", "URI", "PACKET", "TARGETS"}, placeholder) {
					return
				}
				files++
				for form, words := range typed {
					// A folder to be made may be called as it likes.
					if f.Name == "out" && !strings.HasPrefix(words[0], "-----BEGIN") {
						continue
					}
					// What is signed is printed.
					if f.Name == "uri" && cmd.Name() == "sign" {
						continue
					}
					look(t, "--"+f.Name+" "+form, all, slices.Concat(command, []string{"--" + f.Name}, words))
				}
				if placeholder == "URL" || f.Name == "body" {
					for form, word := range urls {
						look(t, "--"+f.Name+" "+form, all, slices.Concat(command, []string{"--" + f.Name + "=" + word}))
					}
				}
			})
			if files == 0 && cmd.Name() != "decode" {
				t.Error("no flag names a file")
			}
			for form, words := range typed {
				look(t, "argument "+form, all, slices.Concat(command, words))
				look(t, "first argument "+form, some, slices.Concat(strings.Fields(cmd.CommandPath())[2:], words))
				look(t, "unknown flag "+form, some, slices.Concat(command, []string{"--secert"}, words))
				look(t, "unknown flag with "+form, some, slices.Concat(command, []string{"--secret-fil=" + words[0]}, words[1:]))
				look(t, "subcommand "+form, some, slices.Concat(command[:1], words))
			}
			look(t, "target", all, slices.Concat(command, []string{"dfsp/" + typed["ILP secret"][0]}))
			look(t, "targets", all, slices.Concat(command, []string{"dfsp/{a," + typed["ILP secret"][0] + "}"}))
		})
	}
}

// TestLooksSecret: names of files, folders and targets are shown.
func TestLooksSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		word string
		want bool
	}{
		{"bank.key", false},
		{"./keys/production/perffsp-1-signing-key", false},
		{"manifests/production/overlays/perffsp-1/kustomization.yaml", false},
		{"perffsp-1-signing-key-of-the-year-2026", false},
		{"dfsp/perffsp-{1..8}", false},
		{filepath.Join(dir, "NoSuchFile20261124NoSuchFile20261124"), false},
		{strings.Repeat("ab12", 8), true},
		{"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", true},
		{"-----BEGIN EC PRIVATE KEY-----", true},
		{"two\nlines", true},
		{strings.Repeat("a", 256), true},
	}
	for _, tt := range tests {
		if got := mayBeSecret(tt.word); got != tt.want {
			t.Errorf("%q: got %t, want %t", tt.word, got, tt.want)
		}
	}
}

// TestCanariesAreHeard proves that the test above can fail.
func TestCanariesAreHeard(t *testing.T) {
	c := &canaries{forms: map[string]string{}}
	secret := c.sing("here")
	for _, text := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
		found := false
		for form := range c.forms {
			found = found || strings.Contains(text, form)
		}
		if !found {
			t.Errorf("%q was not heard", text)
		}
	}
}
