package policy

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// certificate-expiry: certificates in Secrets and ConfigMaps and those of
// cert-manager are valid for more than 30 days (warning) or 7 (error).
var checkCertificateExpiry = Check{
	ID: "certificate-expiry", Category: CategoryMTLS, Severity: Warning,
	Title: "certificates are valid for more than 30 days",
	Fix:   "renew the certificate; with cert-manager: `cmctl renew NAME`",
	Doc: `Certificates of the mesh CA, of gateways, of SDKs and of cert-manager end silently, and with them
every payment. Less than 30 days is a warning, less than 7 days (or expired) an error. Read are all
X.509 certificates in Secrets and ConfigMaps and ` + "`status.notAfter`" + ` of cert-manager's Certificates.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if u, ok := sub.Object.(*unstructured.Unstructured); ok && u.GetKind() == "Certificate" {
			return issuedExpiry(u, snap.now)
		}
		data := snap.dataOf(sub)
		if data == nil || !snap.concernsScheme(data.Ref.Namespace) {
			return notApplicable
		}
		var found []Violation
		applies := false
		for i := range data.Entries {
			e := &data.Entries[i]
			for _, k := range e.Keys {
				if k.NotAfter.IsZero() {
					continue
				}
				applies = true
				if v, ends := expiry(k.NotAfter, snap.now); ends {
					v.Field = dataField(data, e.Key)
					v.Detail = fmt.Sprintf("certificate %s in %s %s", k.Subject, e.Key, v.Detail)
					found = append(found, v)
					break // one finding per value
				}
			}
		}
		if !applies {
			return notApplicable
		}
		return failedOrPassed(found)
	},
}

const (
	day          = 24 * time.Hour
	expiryWarns  = 30 * day
	expiryAlarms = 7 * day
)

// expiry judges an end of validity; ends is false when there is time left.
func expiry(notAfter, now time.Time) (v Violation, ends bool) {
	left := notAfter.Sub(now)
	alarm := Error
	switch {
	case left <= 0:
		v.Severity, v.Detail = &alarm, "expired on "+notAfter.UTC().Format(time.DateOnly)
	case left < expiryAlarms:
		v.Severity, v.Detail = &alarm, endsIn(left, notAfter)
	case left < expiryWarns:
		v.Detail = endsIn(left, notAfter)
	default:
		return v, false
	}
	return v, true
}

func endsIn(left time.Duration, at time.Time) string {
	days := int(left / day)
	if days == 1 {
		return "ends in 1 day, on " + at.UTC().Format(time.DateOnly)
	}
	return fmt.Sprintf("ends in %d days, on %s", days, at.UTC().Format(time.DateOnly))
}

// issuedExpiry judges a cert-manager Certificate by its status.
func issuedExpiry(u *unstructured.Unstructured, now time.Time) Result {
	text, found, err := unstructured.NestedString(u.Object, "status", "notAfter")
	if err != nil || !found {
		return unknown(Fact{Kind: FactCA, Namespace: u.GetNamespace(), Name: u.GetName()})
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return failed(Violation{Field: field.NewPath("status", "notAfter"), Detail: fmt.Sprintf("%q is no time", text)})
	}
	if v, ends := expiry(at, now); ends {
		v.Field = field.NewPath("status", "notAfter")
		v.Detail = "the certificate " + v.Detail
		return failed(v)
	}
	return passed()
}

// dataOf returns the facts of a Secret or ConfigMap that is judged; nil for
// other subjects.
func (s *Snapshot) dataOf(sub *Subject) *Data {
	var source SettingSource
	switch sub.Object.(type) {
	case *corev1.Secret:
		source = FromSecret
	case *corev1.ConfigMap:
		source = FromConfigMap
	default:
		return nil
	}
	if d, presence := s.data(source, sub.Ref.Namespace, sub.Ref.Name); presence == Present {
		return d
	}
	d, _ := s.reduce(sub.Object).(*Data)
	return d
}

// dataField is the field of a key in a Secret or ConfigMap.
func dataField(d *Data, key string) *field.Path {
	member := "data"
	if e, ok := d.Entry(key); ok && e.member != "" {
		member = e.member
	}
	return field.NewPath(member).Key(key)
}

// entryField is the field of a key in a Secret or ConfigMap by its reference.
func (s *Snapshot) entryField(ref Ref, key string) *field.Path {
	source := FromSecret
	if ref.Kind == "ConfigMap" {
		source = FromConfigMap
	}
	if d, presence := s.data(source, ref.Namespace, ref.Name); presence == Present {
		return dataField(d, key)
	}
	return field.NewPath("data").Key(key)
}

// concernsScheme tells whether a namespace is protected, has Mojaloop workloads
// or is the mesh's; what is not known counts.
func (s *Snapshot) concernsScheme(ns string) bool {
	mode, presence := s.Mode(ns)
	return presence != Present || mode != ModeNone || ns == s.mesh.root || s.selectsMojaloop(ns, nil)
}
