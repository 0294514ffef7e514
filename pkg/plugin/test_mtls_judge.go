package plugin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// certificateFacts are what is printed of a certificate.
type certificateFacts struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// DaysLeft are whole days; negative when it has ended.
	DaysLeft int    `json:"daysLeft"`
	IsCA     bool   `json:"isCA"`
	Key      string `json:"key"`
}

// mtlsAnswer is the document of -o json.
type mtlsAnswer struct {
	answerHead
	URL        string             `json:"url"`
	Address    string             `json:"address"`
	ServerName string             `json:"serverName"`
	Version    string             `json:"version,omitempty"`
	Cipher     string             `json:"cipher,omitempty"`
	Chain      []certificateFacts `json:"chain"`
	// AsksForCertificate tells that the server asks for a client certificate;
	// AcceptedIssuers are the CAs that it names.
	AsksForCertificate bool           `json:"asksForCertificate"`
	AcceptedIssuers    []string       `json:"acceptedIssuers,omitempty"`
	Summary            map[status]int `json:"summary"`
	Checks             []diagnosis    `json:"checks"`
	Notes              []string       `json:"notes,omitempty"`
}

// The categories of test mtls.
const (
	aboutConnection   = "Connection"
	aboutServerCert   = "Server certificate"
	aboutClientCert   = "Your certificate"
	aboutWhoIsRefused = "Who is refused"
)

// behindSidecar is what a forwarded port does not show.
const behindSidecar = "this address is on this machine: through a port-forward a connection enters the pod behind its sidecar, and proves nothing about STRICT"

// mtlsTests are what is judged, in the order in which it is printed.
var mtlsTests = []struct {
	id, category, title string
	run                 func(*TestMTLSOptions, *tlsObservation) verdict
}{
	{"connected", aboutConnection, "the endpoint speaks TLS", (*TestMTLSOptions).judgeConnection},
	{"old-versions-refused", aboutConnection, "versions below TLS %s are refused", (*TestMTLSOptions).judgeVersions},
	{"chain-trusted", aboutServerCert, "the chain leads to a CA that is trusted", (*TestMTLSOptions).judgeChain},
	{"name-matches", aboutServerCert, "the certificate is for the name that was asked for", (*TestMTLSOptions).judgeName},
	{"certificates-valid", aboutServerCert, "every certificate of the chain is valid for more than 30 days", (*TestMTLSOptions).judgeValidity},
	{"keys-strong", aboutServerCert, "every key of the chain is strong", (*TestMTLSOptions).judgeKeys},
	{"own-certificate-accepted", aboutClientCert, "your certificate is accepted", (*TestMTLSOptions).judgeAccepted},
	{"own-certificate-valid", aboutClientCert, "your certificate is for clients, and valid for more than 30 days", (*TestMTLSOptions).judgeOwn},
	{"certificate-required", aboutWhoIsRefused, "a client without a certificate is refused", (*TestMTLSOptions).judgeWithout},
	{"stranger-refused", aboutWhoIsRefused, "a certificate with the right names from an unknown CA is refused", (*TestMTLSOptions).judgeStranger},
}

// judge makes the answer of what was seen.
func (o *TestMTLSOptions) judge(seen *tlsObservation) *mtlsAnswer {
	a := &mtlsAnswer{
		answerHead: newAnswerHead("mtls"), URL: shownURL(o.URL.String()), Address: o.Address, ServerName: o.ServerName,
		Chain: []certificateFacts{}, Summary: map[status]int{}, AsksForCertificate: seen.main.asked,
	}
	if seen.main.reached {
		a.Version, a.Cipher = tls.VersionName(seen.main.state.Version), tls.CipherSuiteName(seen.main.state.CipherSuite)
	}
	for _, c := range seen.main.state.PeerCertificates {
		a.Chain = append(a.Chain, o.describe(c))
	}
	for _, raw := range seen.main.names {
		a.AcceptedIssuers = append(a.AcceptedIssuers, nameText(raw))
	}
	for s := range marks {
		a.Summary[s] = 0
	}
	for _, test := range mtlsTests {
		v := skipped("there is no connection")
		if seen.main.reached || test.id == mtlsTests[0].id {
			v = test.run(o, seen)
		}
		title := test.title
		if strings.Contains(title, "%s") {
			title = fmt.Sprintf(title, strings.TrimPrefix(tls.VersionName(o.MinVersion), "TLS "))
		}
		for i := range v.reasons {
			v.reasons[i] = visible(v.reasons[i])
		}
		a.Checks = append(a.Checks, diagnosis{test.id, test.category, title, v.status, v.reasons, visible(v.hint)})
		a.Summary[v.status]++
	}
	if ip := net.ParseIP(o.URL.Hostname()); seen.main.reached && (o.URL.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		a.Notes = append(a.Notes, behindSidecar)
	}
	return a
}

func (o *TestMTLSOptions) judgeConnection(seen *tlsObservation) verdict {
	if seen.main.reached {
		return well()
	}
	hint := "is the endpoint up, and is it reached from here?"
	if _, ok := errors.AsType[tls.RecordHeaderError](seen.main.err); ok {
		hint = "the endpoint does not speak TLS on this port"
	}
	return wrong(hint, seen.main.sentence())
}

func (o *TestMTLSOptions) judgeVersions(seen *tlsObservation) verdict {
	var accepted, unclear []string
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		a, tried := seen.old[version]
		switch {
		case !tried:
		case a.reached:
			accepted = append(accepted, tls.VersionName(version))
		case a.outcome == tlsSilent:
			unclear = append(unclear, tls.VersionName(version)+": "+a.sentence())
		}
	}
	switch {
	case len(accepted) > 0:
		return wrong("set the least version at the server: minProtocolVersion of an Istio Gateway, --tls-min-v1.2 of Node.js",
			"the server speaks "+strings.Join(accepted, " and "))
	case len(unclear) > 0:
		return verdict{statusUnknown, unclear, ""}
	}
	return well()
}

func (o *TestMTLSOptions) judgeAccepted(seen *tlsObservation) verdict {
	switch {
	case o.Certificate == nil:
		return skipped("no --cert was given")
	case !seen.main.asked:
		return skipped("the server does not ask for a certificate")
	case seen.main.outcome == tlsAnswered:
		return well()
	case seen.main.outcome == tlsSilent:
		return verdict{statusUnknown, []string{seen.main.sentence()}, ""}
	}
	hint := "is the certificate from a CA that the server trusts?"
	if len(seen.main.names) > 0 {
		var names []string
		for _, raw := range seen.main.names {
			names = append(names, nameText(raw))
		}
		hint = "the server wants a certificate from " + orList(names)
	}
	return wrong(hint, seen.main.sentence())
}

func (o *TestMTLSOptions) judgeOwn(*tlsObservation) verdict {
	if o.Certificate == nil {
		return skipped("no --cert was given")
	}
	leaf := o.Certificate.Leaf
	forClients := len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
	if !forClients {
		return wrong("issue one with the extended key usage clientAuth", fmt.Sprintf("the certificate %s is not for clients", leaf.Subject))
	}
	return o.validity([]*x509.Certificate{leaf}, "renew it, and hand it to the server's operator if that one pins it")
}

func (o *TestMTLSOptions) judgeWithout(seen *tlsObservation) verdict {
	v := o.judgeRefusal(&seen.without, seen, "without a certificate")
	if v.status == statusFailed && !seen.without.asked {
		v.reasons = append(v.reasons, "the server does not ask for one: its TLS is one-way")
	} else if v.status == statusFailed {
		v.reasons = append(v.reasons, "the server asks for one, but does not insist")
	}
	return v
}

func (o *TestMTLSOptions) judgeStranger(seen *tlsObservation) verdict {
	switch {
	case !seen.main.asked:
		return skipped("the server does not ask for a certificate")
	case seen.strangerErr != nil:
		return notKnown(seen.strangerErr)
	}
	v := o.judgeRefusal(&seen.stranger, seen, "with a certificate that no CA of the server signed")
	if v.status == statusFailed {
		v.hint = "let the server verify certificates against its CA: rejectUnauthorized in Node.js, tls.mode MUTUAL of an Istio Gateway"
	}
	return v
}

// What is said of an end that proves nothing.
const (
	anotherReason = ", which may have another reason"
	compareHint   = "compare with a client that has a certificate: --cert FILE --key FILE"
)

// judgeRefusal judges an attempt that should fail. What the client with a good
// certificate gets is the measure of answers that are no clear refusal.
func (o *TestMTLSOptions) judgeRefusal(a *tlsAttempt, seen *tlsObservation, how string) verdict {
	denied := func(status int) bool { return status == http.StatusUnauthorized || status == http.StatusForbidden }
	goodIsServed := o.Certificate != nil && seen.main.outcome == tlsAnswered
	switch a.outcome {
	case tlsRefused:
		return well()
	case tlsAnswered:
		switch {
		case !denied(a.status):
		case goodIsServed && !denied(seen.main.status):
			return well()
		case o.Certificate == nil:
			return verdict{statusUnknown, []string{how + " " + a.sentence() + anotherReason}, compareHint}
		}
		return wrong("let the server insist on client certificates: INBOUND_MUTUAL_TLS_ENABLED=true of an SDK, tls.mode MUTUAL of an Istio Gateway",
			fmt.Sprintf("%s %s", how, a.sentence()))
	case tlsClosed:
		// Node.js sends an alert to who has no certificate, and none to a stranger.
		if goodIsServed || seen.without.outcome == tlsRefused || seen.stranger.outcome == tlsRefused {
			return well()
		}
		hint := compareHint
		if o.Certificate != nil {
			hint = "your own certificate gets no answer either"
		}
		return verdict{statusUnknown, []string{how + " " + a.sentence() + anotherReason}, hint}
	case tlsSilent, tlsFailed:
	}
	return verdict{statusUnknown, []string{how + ": " + a.sentence()}, ""}
}
