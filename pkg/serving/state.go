package serving

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Keys of the Secret. The first three are those of any kubernetes.io/tls
// Secret with a CA.
const (
	keyBundle = "ca.crt" // every CA that must be trusted: present, next, old
	keyLeaf   = corev1.TLSCertKey
	keyLeafPK = corev1.TLSPrivateKeyKey
	keyCAPK   = "ca.key"
	keyNextPK = "next-ca.key"
)

// state is what the Secret says. Whatever cannot be used is left out, as if it
// were not there.
type state struct {
	ca   authority           // signs; no certificate when its key is lost
	next authority           // trusted, and signs after the settling time
	old  []*x509.Certificate // trusted while a leaf of theirs may be served
	leaf tls.Certificate     // Leaf is nil when there is none

	rotate, rotated, renew, renewed string // annotations
}

// readState reads a Secret. Which authority is which follows from the keys, so
// the order in the bundle means nothing.
func readState(secret *corev1.Secret) state {
	s := state{
		rotate: secret.Annotations[AnnotationRotate], rotated: secret.Annotations[annotationRotated],
		renew: secret.Annotations[AnnotationRenew], renewed: secret.Annotations[annotationRenewed],
	}
	caKey, nextKey := parseKey(secret.Data[keyCAPK]), parseKey(secret.Data[keyNextPK])
	for _, cert := range parseCertificates(secret.Data[keyBundle]) {
		switch {
		case s.ca.cert == nil && isKeyOf(caKey, cert):
			s.ca = authority{cert, caKey}
		case s.next.cert == nil && isKeyOf(nextKey, cert):
			s.next = authority{cert, nextKey}
		default:
			s.old = append(s.old, cert)
		}
	}
	s.leaf, _ = readLeaf(secret)
	return s
}

// readLeaf reads the serving certificate of a Secret.
func readLeaf(secret *corev1.Secret) (tls.Certificate, error) {
	leaf, err := tls.X509KeyPair(secret.Data[keyLeaf], secret.Data[keyLeafPK])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read %s and %s of Secret %q: %w", keyLeaf, keyLeafPK, secret.Name, err)
	}
	return leaf, nil
}

// write puts a state into a Secret, whose metadata stays.
func (s state) write(secret *corev1.Secret) error {
	leafKey, err := marshalKey(s.leaf.PrivateKey)
	if err != nil {
		return err
	}
	data := map[string][]byte{
		keyBundle: s.bundle(),
		keyLeaf:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.leaf.Certificate[0]}),
		keyLeafPK: leafKey,
	}
	for name, a := range map[string]authority{keyCAPK: s.ca, keyNextPK: s.next} {
		if a.key == nil {
			continue
		}
		if data[name], err = marshalKey(a.key); err != nil {
			return err
		}
	}
	secret.Data = data
	for name, value := range map[string]string{
		AnnotationRotate: s.rotate, annotationRotated: s.rotated,
		AnnotationRenew: s.renew, annotationRenewed: s.renewed,
	} {
		if value != "" {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, name, value)
		}
	}
	return nil
}

// trusted returns the certificates of the bundle.
func (s state) trusted() []*x509.Certificate {
	var out []*x509.Certificate
	for _, a := range []authority{s.ca, s.next} {
		if a.cert != nil {
			out = append(out, a.cert)
		}
	}
	return append(out, s.old...)
}

// bundle returns what webhook configurations must trust, as PEM.
func (s state) bundle() []byte {
	var out bytes.Buffer
	for _, cert := range s.trusted() {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	return out.Bytes()
}

// verify says why whoever trusts some authorities would not accept a leaf.
func verify(leaf *x509.Certificate, trusted []*x509.Certificate, now time.Time) error {
	if leaf == nil {
		return errors.New("there is no serving certificate")
	}
	roots := x509.NewCertPool()
	for _, cert := range trusted {
		roots.AddCert(cert)
	}
	// A time before the first valid one means that our clock is behind: the
	// certificate is none the worse for it.
	for _, cert := range append(slices.Clone(trusted), leaf) {
		if now.Before(cert.NotBefore) {
			now = cert.NotBefore
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

func parseCertificates(data []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, cert)
		}
	}
}

// parseKey reads a PKCS #8 key; nil when it is none.
func parseKey(data []byte) crypto.Signer {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	signer, _ := key.(crypto.Signer)
	return signer
}

func marshalKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func isKeyOf(key crypto.Signer, cert *x509.Certificate) bool {
	if key == nil {
		return false
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}
