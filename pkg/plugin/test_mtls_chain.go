package plugin

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Days before the end of a certificate.
const (
	hoursPerDay  = 24
	daysToWarn   = 30
	daysToAlarm  = 7
	leastRSABits = 2048
)

func (o *TestMTLSOptions) describe(c *x509.Certificate) certificateFacts {
	return certificateFacts{
		Subject: visible(c.Subject.String()), Issuer: visible(c.Issuer.String()), Names: namesOf(c),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), DaysLeft: daysLeft(c, o.Now), IsCA: c.IsCA, Key: keyText(c),
	}
}

func daysLeft(c *x509.Certificate, now time.Time) int {
	return int(math.Floor(c.NotAfter.Sub(now).Hours() / hoursPerDay))
}

func namesOf(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, visible(n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range c.URIs {
		names = append(names, visible(u.String()))
	}
	return names
}

func keyText(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

// judgeChain asks whether a client that trusts the roots would trust the
// server, whatever the day is: validity is a test of its own.
func (o *TestMTLSOptions) judgeChain(seen *tlsObservation) verdict {
	chain := seen.main.state.PeerCertificates
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	options := x509.VerifyOptions{
		Roots: o.Roots, Intermediates: between, CurrentTime: o.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	_, err := chain[0].Verify(options)
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		options.CurrentTime = whenAllAreValid(chain, o.Now)
		_, err = chain[0].Verify(options)
		if again, ok := errors.AsType[x509.CertificateInvalidError](err); ok && again.Reason == x509.Expired {
			return wrong("renew the CA", fmt.Sprintf("certificate %s is not valid when the others are", again.Cert.Subject))
		}
	}
	if err == nil {
		return well()
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		return wrong("issue a new certificate for the server", strings.TrimPrefix(err.Error(), "x509: "))
	}
	last := chain[len(chain)-1]
	switch {
	case last.Subject.String() == last.Issuer.String() && len(chain) == 1 && !last.IsCA:
		return wrong("issue a certificate by a CA that the peers trust", fmt.Sprintf("the certificate %s is self-signed, and not what %s", last.Subject, o.RootsFrom))
	case last.Subject.String() == last.Issuer.String():
		return wrong("name the CA of the server with --ca", fmt.Sprintf("the chain ends with the CA %s, which is not what %s", last.Subject, o.RootsFrom))
	}
	return wrong("let the server send the certificates between its own and the CA's, or name the CA with --ca",
		fmt.Sprintf("the chain ends with %s: that of its issuer, %s, is neither sent nor what %s", last.Subject, last.Issuer, o.RootsFrom))
}

// whenAllAreValid is a time at which no certificate of a chain has ended, if
// there is one.
func whenAllAreValid(chain []*x509.Certificate, now time.Time) time.Time {
	from, until := chain[0].NotBefore, chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotBefore.After(from) {
			from = c.NotBefore
		}
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	switch {
	case now.Before(from):
		return from
	case now.After(until):
		return until
	}
	return now
}

func (o *TestMTLSOptions) judgeName(seen *tlsObservation) verdict {
	leaf := seen.main.state.PeerCertificates[0]
	if leaf.VerifyHostname(o.ServerName) == nil {
		return well()
	}
	names := namesOf(leaf)
	if len(names) == 0 {
		return wrong("issue a certificate with the name as a subject alternative name",
			fmt.Sprintf("the certificate has no names, only the subject %s, which clients ignore", leaf.Subject))
	}
	const most = 8
	more := ""
	if len(names) > most {
		names, more = names[:most], ", …"
	}
	return wrong("use a name of the certificate in the URL, or ask for one with --server-name; else issue one with this name",
		fmt.Sprintf("asked for %q, the certificate is for %s%s", o.ServerName, strings.Join(names, ", "), more))
}

func (o *TestMTLSOptions) judgeValidity(seen *tlsObservation) verdict {
	return o.validity(seen.main.state.PeerCertificates, "renew it at the server; with cert-manager: cmctl renew NAME")
}

func (o *TestMTLSOptions) validity(chain []*x509.Certificate, hint string) verdict {
	var failed, soon []string
	for _, c := range chain {
		days, ends := daysLeft(c, o.Now), c.NotAfter.UTC().Format(time.DateOnly)
		switch {
		case o.Now.Before(c.NotBefore):
			failed = append(failed, fmt.Sprintf("%s is not valid before %s", c.Subject, c.NotBefore.UTC().Format(time.DateTime)))
		case o.Now.After(c.NotAfter):
			failed = append(failed, fmt.Sprintf("%s has expired on %s", c.Subject, ends))
		case days < daysToAlarm:
			failed = append(failed, fmt.Sprintf("%s expires in %s, on %s", c.Subject, dayCount(days), ends))
		case days <= daysToWarn:
			soon = append(soon, fmt.Sprintf("%s expires in %s, on %s", c.Subject, dayCount(days), ends))
		}
	}
	switch {
	case len(failed) > 0:
		return wrong(hint, append(failed, soon...)...)
	case len(soon) > 0:
		return doubtful(hint, soon...)
	}
	return well()
}

func dayCount(n int) string {
	switch n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func (o *TestMTLSOptions) judgeKeys(seen *tlsObservation) verdict {
	var weak []string
	for _, c := range seen.main.state.PeerCertificates {
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < leastRSABits {
			weak = append(weak, fmt.Sprintf("the key of %s has %d bits, want at least %d", c.Subject, k.N.BitLen(), leastRSABits))
		}
	}
	if len(weak) > 0 {
		return wrong("issue a certificate for a new key", weak...)
	}
	return well()
}

// nameText is a distinguished name for people.
func nameText(raw []byte) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return "a name that cannot be read"
	}
	var name pkix.Name
	name.FillFromRDNSequence(&sequence)
	return visible(name.String())
}

func marshalName(name pkix.Name) ([]byte, error) { return asn1.Marshal(name.ToRDNSequence()) }
