package serving

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
)

// RequireCaller makes a TLS configuration accept only callers with a client
// certificate of one of the authorities in PEM, and, where names are given, with
// one of those common names. API servers have such a certificate when their
// --admission-control-config-file names one.
func RequireCaller(c *tls.Config, authorities []byte, names []string) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return fmt.Errorf("there is no certificate in PEM among the authorities of callers")
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool
	if len(names) == 0 {
		return nil
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		// Not PeerCertificates alone: a resumed session has been verified before.
		if len(s.PeerCertificates) == 0 {
			return fmt.Errorf("the caller shows no certificate")
		}
		if name := s.PeerCertificates[0].Subject.CommonName; !slices.Contains(names, name) {
			return fmt.Errorf("the caller is %q, not one of %q", name, names)
		}
		return nil
	}
	return nil
}
