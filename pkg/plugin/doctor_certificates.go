package plugin

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// How long before its end a certificate is reported.
const certificateWarning = 7 * 24 * time.Hour

func days(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }

func testCertificate(seen *observation) verdict {
	secret := seen.installedWith.tlsSecret()
	renew := "kubectl annotate secret " + secret + " -n " + systemNamespace + " --overwrite mojasec.io/rotate-certificates=$(date -u +%FT%TZ)"
	if seen.installedWith.CertManager {
		renew = "cmctl renew " + webhookName + " -n " + systemNamespace
	}
	switch {
	case seen.serving.err != nil:
		return notKnown(seen.serving.err)
	case seen.serving.value == nil && len(seen.unread) == 0 && !seen.installed():
		return skipped("mojasec is not installed")
	case seen.serving.value == nil:
		return wrong("kubectl logs -n "+systemNamespace+" deployment/"+webhookName, "there is no Secret "+secret+": nobody has made the certificate yet")
	case seen.serving.value.leaf == nil:
		return wrong(renew, "Secret "+secret+" has no certificate that can be read")
	}
	leaf := seen.serving.value.leaf
	switch left := leaf.NotAfter.Sub(seen.now); {
	case left <= 0:
		return wrong(renew, "it ended at "+leaf.NotAfter.UTC().Format(time.RFC3339))
	case left <= certificateWarning:
		return doubtful(renew, "it ends at "+leaf.NotAfter.UTC().Format(time.RFC3339))
	case leaf.NotBefore.After(seen.now):
		return wrong("set the clock right", "it begins at "+leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return well()
}

func testTrust(seen *observation) verdict {
	_, err := seen.wanted(isWebhookConfiguration)
	switch {
	case err != nil:
		return notKnown(err)
	case seen.serving.err != nil:
		return notKnown(seen.serving.err)
	case seen.serving.value == nil || seen.serving.value.leaf == nil:
		return skipped("there is no serving certificate")
	}
	host := webhookName + "." + systemNamespace + ".svc"
	if address := seen.address(); address != "" {
		host = hostOf(address)
	}
	var reasons []string
	for _, name := range []string{mutatingName, validatingName} {
		obj := seen.configuration(name)
		if obj == nil {
			continue
		}
		bundles := bundlesOf(obj)
		for _, entry := range slices.Sorted(maps.Keys(bundles)) {
			if err := trusts(bundles[entry], seen.serving.value.leaf, host, seen.now); err != nil {
				reasons = append(reasons, fmt.Sprintf("%s, entry %s: %v", name, entry, err))
			}
		}
	}
	if len(reasons) > 0 {
		return wrong(hintFix, reasons...)
	}
	return well()
}

// trusts verifies a certificate as the API server does. The bundle is in base64.
func trusts(bundle string, leaf *x509.Certificate, host string, now time.Time) error {
	if bundle == "" {
		return errors.New("it has no caBundle")
	}
	text, err := base64.StdEncoding.DecodeString(bundle)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(text) {
		return errors.New("its caBundle has no certificate")
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("its caBundle does not match the serving certificate")
	}
	return err
}
