package plugin

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	sealed "github.com/bitnami-labs/sealed-secrets/pkg/crypto"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The scopes of a SealedSecret: what it takes to unseal it.
const (
	sealStrict    = "strict"         // the same name in the same namespace
	sealNamespace = "namespace-wide" // the same namespace
	sealCluster   = "cluster-wide"   // the same controller
)

func sealScopes() []string { return []string{sealStrict, sealNamespace, sealCluster} }

// Annotations by which the controller knows the scope.
const (
	annotationSealNamespace = "sealedsecrets.bitnami.com/namespace-wide"
	annotationSealCluster   = "sealedsecrets.bitnami.com/cluster-wide"
)

var kindSealedSecret = schema.GroupVersionKind{Group: "bitnami.com", Version: "v1alpha1", Kind: "SealedSecret"}

// minSealBits is the shortest RSA key that is sealed for. The controller makes
// 4096.
const minSealBits = 2048

// maxSealCertificate is how much is read for a certificate, in bytes.
const maxSealCertificate = 1 << 20

// sealer turns Secrets into SealedSecrets, which only the controller that has
// the private key of a certificate can open.
type sealer struct {
	key    *rsa.PublicKey
	scope  string
	random io.Reader
}

// newSealer reads the certificate of the Sealed Secrets controller, as
// `kubeseal --fetch-cert` prints it: from a file or, by the name -, from in.
func newSealer(file, scope string, in io.Reader, now time.Time) (*sealer, error) {
	var text []byte
	var err error
	if file == stdin {
		text, err = io.ReadAll(io.LimitReader(in, maxSealCertificate))
	} else {
		text, err = fileFlag{"--seal-cert", file}.read()
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate to seal with: %w", err)
	}
	key, err := parseSealCertificate(text, now)
	if err != nil {
		if file == stdin {
			file = "standard input"
		}
		return nil, fmt.Errorf("read the certificate to seal with: %s: %w", visible(file), err)
	}
	return &sealer{key: key, scope: scope, random: rand.Reader}, nil
}

func parseSealCertificate(text []byte, now time.Time) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM; get it with: kubeseal --fetch-cert")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the certificate: %w", err)
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, fmt.Errorf("has a key of type %s; want RSA, as the Sealed Secrets controller makes it", cert.PublicKeyAlgorithm)
	case key.N.BitLen() < minSealBits:
		return nil, fmt.Errorf("has an RSA key of %d bits; want at least %d", key.N.BitLen(), minSealBits)
	case now.After(cert.NotAfter):
		return nil, fmt.Errorf("expired on %s; get the present one with: kubeseal --fetch-cert", cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return key, nil
}

// label binds the ciphertext to where it may be unsealed.
func (s *sealer) label(ns, name string) []byte {
	switch s.scope {
	case sealCluster:
		return nil
	case sealNamespace:
		return []byte(ns)
	}
	return []byte(ns + "/" + name)
}

// seal returns the SealedSecret of a Secret. What is in the template, such as
// labels and the age of the key, stays readable.
func (s *sealer) seal(secret *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	data, _, err := unstructured.NestedStringMap(secret.Object, "data")
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", nameOfObject(secret), err)
	}
	encrypted := map[string]any{}
	for name, value := range data {
		material, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, fmt.Errorf("seal %s: %w", nameOfObject(secret), err)
		}
		text, err := sealed.HybridEncrypt(s.random, s.key, material, s.label(secret.GetNamespace(), secret.GetName()))
		if err != nil {
			return nil, fmt.Errorf("seal %s: %w", nameOfObject(secret), err)
		}
		encrypted[name] = base64.StdEncoding.EncodeToString(text)
	}
	metadata := map[string]any{"name": secret.GetName()}
	if ns := secret.GetNamespace(); ns != "" { // none is for the whole cluster
		metadata["namespace"] = ns
	}
	if labels := secret.GetLabels(); len(labels) > 0 {
		metadata["labels"] = toAny(labels)
	}
	annotations := maps.Clone(secret.GetAnnotations())
	out := &unstructured.Unstructured{Object: map[string]any{}}
	out.SetGroupVersionKind(kindSealedSecret)
	out.SetName(secret.GetName())
	out.SetNamespace(secret.GetNamespace())
	if scope := map[string]string{sealNamespace: annotationSealNamespace, sealCluster: annotationSealCluster}[s.scope]; scope != "" {
		out.SetAnnotations(map[string]string{scope: "true"})
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[scope] = "true"
	}
	if len(annotations) > 0 {
		metadata["annotations"] = toAny(annotations)
	}
	out.Object["spec"] = map[string]any{
		"encryptedData": encrypted,
		"template":      map[string]any{"metadata": metadata, "type": "Opaque"},
	}
	return out, nil
}

func toAny(in map[string]string) map[string]any {
	out := make(map[string]any, len(in))
	for k, v := range in {
		out[k] = v
	}
	return out
}
