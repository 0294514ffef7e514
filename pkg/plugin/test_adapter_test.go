package plugin

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// TestCommandsOnTheRealAdapter runs test jws and test mtls on Mojaloop's own
// adapter, with mutual TLS of its own.
func TestCommandsOnTheRealAdapter(t *testing.T) {
	if os.Getenv("MOJASEC_INTEROP") == "" {
		t.Skip("this needs Node.js: make test-interop")
	}
	redis, err := mojaloop.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	var keys []*jws.PrivateKey
	for range 2 {
		key, err := generateRSA()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	dir := write(t, map[string]string{
		"keys/perffsp-1.pem": string(keys[0].Public().MarshalPEM()), "own.key": string(keys[1].MarshalPEM()),
		"body.json": `{"zebra":1.0,"quoteId":"\u00e9","1":[]}`,
	})
	file := filepath.Join(dir, "perffsp-1.key")
	if err := os.WriteFile(file, keys[0].MarshalPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newAuthority(t, "Scheme CA", nil)
	server, client := root.issue(t, "perffsp-2.example", nil), root.issue(t, "perffsp-1.example", nil)
	serverCert, serverKey, ca := files(t, &server, root)
	clientCert, clientKey, _ := files(t, &client, root)
	adapter, err := mojaloop.StartAdapter(t.Context(), mojaloop.AdapterOptions{
		DFSPID: "perffsp-2", SigningKey: filepath.Join(dir, "own.key"), VerificationKeys: filepath.Join(dir, "keys"), Validate: true,
		Peer: "127.0.0.1:1", Backend: "127.0.0.1:1", Redis: redis.URL, Quiet: true,
		TLS: &mojaloop.TLSFiles{Certificate: serverCert, Key: serverKey, CA: ca},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := adapter.Close(); err != nil {
			t.Error(err)
		}
	}()

	ask := []string{"dfsp/perffsp-1", "--url", adapter.Inbound, "--destination", "perffsp-2", "--cert", clientCert, "--key-tls", clientKey, "--ca", ca, "--key"}
	if a, stderr, code := runJWS(t, append(ask, file)...); code != Good {
		t.Errorf("current key: got code %d, want %d: %+v %s", code, Good, a.Verifiers[0], stderr)
	}
	if a, stderr, code := runJWS(t, append(ask, filepath.Join(dir, "own.key"))...); code != Findings {
		t.Errorf("another key: got code %d, want %d: %+v %s", code, Findings, a.Verifiers[0], stderr)
	}
	if a, _, code := runJWS(t, "dfsp/perffsp-1", "--url", adapter.Inbound, "--ca", ca, "--key", file); code != Incomplete {
		t.Errorf("without a certificate: got code %d, want %d: %+v", code, Incomplete, a.Verifiers[0])
	}

	mtls := []string{"--url", adapter.Inbound, "--ca", ca}
	if a, code := runMTLS(t, append(mtls, "--cert", clientCert, "--key", clientKey)...); code != Good {
		t.Errorf("mutual TLS of Node.js: got code %d, want %d: %+v", code, Good, a.Checks)
	}
	if a, code := runMTLS(t, mtls...); code != Good || a.check(t, "certificate-required").Status != statusPassed {
		t.Errorf("from outside: got code %d, want %d: %+v", code, Good, a.Checks)
	}
	stranger := newAuthority(t, "Scheme CA", nil).issue(t, "perffsp-1.example", nil)
	strangerCert, strangerKey, _ := files(t, &stranger, root)
	if a, code := runMTLS(t, append(mtls, "--cert", strangerCert, "--key", strangerKey)...); code != Findings || a.check(t, "own-certificate-accepted").Status != statusFailed {
		t.Errorf("certificate of another CA: got code %d, want %d: %+v", code, Findings, a.Checks)
	}

	// A message of sign -o curl is one that the adapter verifies.
	stdout, _, _ := run(t, "test", "jws", "sign", "--key", file, "--source", "perffsp-1", "--uri", adapter.Inbound+"/quotes", "--body", filepath.Join(dir, "body.json"), "-o", "curl")
	out, err := shell(t, strings.Replace(stdout, "curl ", "curl --silent --cacert "+ca+" --cert "+clientCert+" --key "+clientKey+" ", 1))
	if err != nil || !strings.Contains(out, `"3102"`) {
		t.Errorf("curl: got %q, %v, want FSPIOP error 3102", out, err)
	}
	out, err = shell(t, strings.Replace(strings.Replace(stdout, "curl ", "curl --silent --cacert "+ca+" --cert "+clientCert+" --key "+clientKey+" ", 1), "zebra", "ZEBRA", 1))
	if err != nil || !strings.Contains(out, `"3105"`) {
		t.Errorf("curl with another body: got %q, %v, want FSPIOP error 3105", out, err)
	}
}

func generateRSA() (*jws.PrivateKey, error) { return jws.GenerateKey(jws.RSA2048, rand.Reader) }

// shell runs a command line as a person would paste it.
func shell(t *testing.T, line string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
	return string(out), err
}
