package probe_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/plugin/probe"
	"github.com/mojasec/mojasec/test/mojaloop"
)

// TestProbeOfTheRealAdapter asks Mojaloop's own sdk-scheme-adapter.
func TestProbeOfTheRealAdapter(t *testing.T) {
	if os.Getenv("MOJASEC_INTEROP") == "" {
		t.Skip("this needs Node.js: make test-interop")
	}
	redis, err := mojaloop.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o755); err != nil {
		t.Fatal(err)
	}
	save := func(name string, text []byte) string {
		// A new name, as the adapter watches for those.
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	generate := func(kind jws.KeyKind) *jws.PrivateKey {
		key, err := jws.GenerateKey(kind, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	own, rsa, ec, other := generate(jws.RSA2048), generate(jws.RSA2048), generate(jws.P256), generate(jws.RSA2048)
	hand := func(fsp string, key *jws.PrivateKey) {
		if err := os.Rename(save(fsp+".new", key.Public().MarshalPEM()), filepath.Join(keys, fsp+".pem")); err != nil {
			t.Fatal(err)
		}
	}
	hand("rsa", rsa)
	hand("ec", ec)
	hand("changed", other)
	options := mojaloop.AdapterOptions{
		DFSPID: "perffsp-2", SigningKey: save("own.key", own.MarshalPEM()), VerificationKeys: keys, Sign: true, Validate: true,
		Peer: "127.0.0.1:1", Backend: "127.0.0.1:1", Redis: redis.URL, Quiet: true,
	}
	start := func(o mojaloop.AdapterOptions) *mojaloop.Adapter {
		a, err := mojaloop.StartAdapter(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		return a
	}
	check := func(client *http.Client, url string, key *jws.PrivateKey, source string, want probe.Answer, code string) {
		t.Helper()
		got, err := probe.Probe(t.Context(), client, url, key, source, "perffsp-2", time.Now())
		if err != nil || got.Answer != want || got.Code != code {
			t.Errorf("%s: got %s, code %q (%s), error %v, want %s, %q", source, got.Answer, got.Code, got.Detail, err, want, code)
		}
	}

	verifying := start(options)
	client := &http.Client{Timeout: 10 * time.Second}
	check(client, verifying.Inbound, rsa, "rsa", probe.Holds, "3102")
	check(client, verifying.Inbound, ec, "ec", probe.HoldsAnother, "3105") // this version knows RS256 only
	check(client, verifying.Inbound, rsa, "changed", probe.HoldsAnother, "3105")
	check(client, verifying.Inbound, ec, "rsa", probe.HoldsAnother, "3105")
	check(client, verifying.Inbound, rsa, "nobody", probe.HoldsAnother, "3105") // and does not say that it holds none
	check(client, verifying.Outbound, rsa, "rsa", probe.NotAvailable, "")       // the wrong port

	options.Validate = false
	check(client, start(options).Inbound, rsa, "rsa", probe.DoesNotVerify, "3102")

	// Mutual TLS of the adapter itself.
	ca, server, peer := pki(t)
	options.Validate = true
	options.TLS = &mojaloop.TLSFiles{Certificate: save("tls.crt", server.certPEM), Key: save("tls.key", server.keyPEM), CA: save("ca.crt", ca.certPEM)}
	mutual := start(options)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	pair, err := tls.X509KeyPair(peer.certPEM, peer.keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	with := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	without := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	check(with, mutual.Inbound, rsa, "rsa", probe.Holds, "3102")
	check(without, mutual.Inbound, rsa, "rsa", probe.NotAvailable, "")
}

type identity struct {
	cert            *x509.Certificate
	key             *jws.PrivateKey
	certPEM, keyPEM []byte
}

// pki makes a CA, and a server and a client of it.
func pki(t *testing.T) (ca, server, client identity) {
	t.Helper()
	issue := func(name string, isCA bool, by *identity) identity {
		pkcs1, err := jws.GenerateKey(jws.RSA2048, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		id := identity{key: pkcs1, keyPEM: pkcs1.MarshalPEM()}
		block, _ := pem.Decode(id.keyPEM)
		signer, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: isCA,
		}
		parent, parentKey := template, signer
		if by != nil {
			parent = by.cert
			b, _ := pem.Decode(by.keyPEM)
			if parentKey, err = x509.ParsePKCS1PrivateKey(b.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, signer.Public(), parentKey)
		if err != nil {
			t.Fatal(err)
		}
		if id.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		id.certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		return id
	}
	ca = issue("test CA", true, nil)
	return ca, issue("perffsp-2", false, &ca), issue("perffsp-1", false, &ca)
}
