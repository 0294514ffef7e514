package serving

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"time"
)

// backdate is how far a clock of an API server may be behind ours.
const backdate = time.Hour

// authority is a CA. It cannot sign without a key.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority makes a CA that signs leaves and nothing else.
func newAuthority(now time.Time, life time.Duration) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("make the key of a CA: %w", err)
	}
	template := &x509.Certificate{
		// The time tells one CA from the next where only names are shown.
		Subject:               pkix.Name{CommonName: "mojasec-webhook-ca-" + now.UTC().Format("20060102150405")},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return authority{}, fmt.Errorf("make a CA: %w", err)
	}
	return authority{cert: cert, key: key}, nil
}

// newLeaf makes a serving certificate for hosts, names or addresses. It ends no
// later than the CA: a leaf that is valid longer only looks good.
func (a authority) newLeaf(now time.Time, life time.Duration, hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a serving key: %w", err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: ServiceName},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.Add(life),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if a.cert.NotAfter.Before(template.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a serving certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// canSign tells whether a CA can make leaves now. One that is not yet valid
// can: then it is our clock that is wrong.
func (a authority) canSign(now time.Time) bool {
	return a.cert != nil && a.key != nil && now.Before(a.cert.NotAfter)
}
