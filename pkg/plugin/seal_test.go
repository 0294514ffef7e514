package plugin

import (
	"bytes"
	stdcrypto "crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	sealed "github.com/bitnami-labs/sealed-secrets/pkg/crypto"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var sealTime = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// certificate makes a certificate as the Sealed Secrets controller does.
func certificate(t *testing.T, key stdcrypto.Signer, notAfter time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sealed"}, NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestSeal unseals with the private key what was sealed with the certificate,
// in every scope, and fails where the scope does not allow it.
func TestSeal(t *testing.T) {
	t.Parallel()
	key := rsaKey(t, 2048)
	public, err := parseSealCertificate(certificate(t, key, sealTime.Add(time.Hour)), sealTime)
	if err != nil {
		t.Fatal(err)
	}
	secret := fromYAML(t, `
apiVersion: v1
kind: Secret
metadata: {name: bank-jws-keys, namespace: mojaloop, labels: {mojasec.io/dfsp: bank}, annotations: {mojasec.io/key-since: x}}
type: Opaque
data: {jwsSigningKey.pem: `+base64.StdEncoding.EncodeToString([]byte("material"))+`}
`)
	for _, tt := range []struct {
		scope, label, foreign string
		annotation            string
	}{
		{sealStrict, "mojaloop/bank-jws-keys", "mojaloop/other", ""},
		{sealNamespace, "mojaloop", "elsewhere", annotationSealNamespace},
		{sealCluster, "", "mojaloop", annotationSealCluster},
	} {
		t.Run(tt.scope, func(t *testing.T) {
			t.Parallel()
			s := &sealer{key: public, scope: tt.scope, random: rand.Reader}
			out, err := s.seal(secret)
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := unstructured.NestedString(out.Object, "spec", "encryptedData", "jwsSigningKey.pem")
			ciphertext, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			keys := map[string]*rsa.PrivateKey{"": key}
			material, err := sealed.HybridDecrypt(rand.Reader, keys, ciphertext, []byte(tt.label))
			if err != nil || string(material) != "material" {
				t.Errorf("unseal: got %q, %v", material, err)
			}
			if _, err := sealed.HybridDecrypt(rand.Reader, keys, ciphertext, []byte(tt.foreign)); err == nil {
				t.Error("it unseals elsewhere too")
			}
			want := map[string]string{}
			if tt.annotation != "" {
				want[tt.annotation] = "true"
			}
			got := out.GetAnnotations()
			if got == nil {
				got = map[string]string{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			labels, _, _ := unstructured.NestedStringMap(out.Object, "spec", "template", "metadata", "labels")
			annotations, _, _ := unstructured.NestedStringMap(out.Object, "spec", "template", "metadata", "annotations")
			if labels["mojasec.io/dfsp"] != "bank" || annotations["mojasec.io/key-since"] != "x" || annotations[tt.annotation] != want[tt.annotation] {
				t.Errorf("the template has labels %v and annotations %v, want those of the Secret and the scope", labels, annotations)
			}
			if got, want := out.GetAPIVersion()+" "+out.GetKind()+" "+out.GetNamespace()+"/"+out.GetName(), "bitnami.com/v1alpha1 SealedSecret mojaloop/bank-jws-keys"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestParseSealCertificate(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := rsaKey(t, 2048)
	for _, tt := range []struct {
		name, want string
		text       []byte
	}{
		{"good", "", certificate(t, good, sealTime.Add(time.Hour))},
		{"expired", "expired on 2026-05-31", certificate(t, good, sealTime.Add(-time.Hour))},
		{"another kind of key", "want RSA", certificate(t, ec, sealTime.Add(time.Hour))},
		{"short", "1024 bits", certificate(t, rsaKey(t, 1024), sealTime.Add(time.Hour))},
		{"no PEM", "kubeseal --fetch-cert", []byte("x")},
		{"broken", "parse the certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseSealCertificate(tt.text, sealTime)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestSealCertificateFromStdin reads what `kubeseal --fetch-cert` prints.
func TestSealCertificateFromStdin(t *testing.T) {
	t.Parallel()
	key := rsaKey(t, 2048)
	s, err := newSealer("-", sealStrict, bytes.NewReader(certificate(t, key, sealTime.Add(time.Hour))), sealTime)
	if err != nil || !s.key.Equal(key.Public()) {
		t.Errorf("got %v, %v, want the key of the certificate", s, err)
	}
	if _, err := newSealer("-", sealStrict, strings.NewReader("x"), sealTime); err == nil || !strings.Contains(err.Error(), "standard input: no certificate") {
		t.Errorf("got %v, want that there is none", err)
	}
}
