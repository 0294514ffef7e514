package policy

import (
	"fmt"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// sdk-mutual-tls: an SDK outside a mesh sets INBOUND_MUTUAL_TLS_ENABLED and
// OUTBOUND_MUTUAL_TLS_ENABLED to true (default false).
var checkSDKMutualTLS = Check{
	ID: "sdk-mutual-tls", Category: CategoryMTLS, Severity: Warning,
	Title: "an SDK outside the mesh does mutual TLS itself",
	Fix:   "set INBOUND_MUTUAL_TLS_ENABLED and OUTBOUND_MUTUAL_TLS_ENABLED to \"true\" and mount the certificates they name",
	Doc: `Without a mesh nobody encrypts for the SDK. It can do mutual TLS itself, in both directions:
` + "`INBOUND_MUTUAL_TLS_ENABLED`" + ` with ` + "`IN_CA_CERT_PATH`, `IN_SERVER_CERT_PATH`, `IN_SERVER_KEY_PATH`" + `, and
` + "`OUTBOUND_MUTUAL_TLS_ENABLED`" + ` with ` + "`OUT_CA_CERT_PATH`, `OUT_CLIENT_CERT_PATH`, `OUT_CLIENT_KEY_PATH`" + `.
Both default to false.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || sub.Workload.Role != RoleSDK {
			return notApplicable
		}
		e := snap.enrolment(sub.Workload)
		if e.state == meshIn {
			return notApplicable
		}
		var all Result
		for _, c := range sub.Workload.SDKs() {
			for _, name := range [...]string{SettingInboundTLS, SettingOutboundTLS} {
				all.join(ownTLS(sub.Workload, c, name, e, snap))
			}
		}
		return all
	},
}

// ownTLS judges one direction of one container of an SDK outside the mesh.
func ownTLS(w *Workload, c *Container, name string, e enrolment, snap *Snapshot) Result {
	v := snap.Value(w, c, name)
	switch on, known := v.Switch(false); {
	case !known:
		return unknown(v.missing(w, name))
	case on:
		return passed()
	case e.state == meshUnknown:
		return unknown(e.missing)
	}
	why := "the pod is outside the mesh"
	if e.state == meshNone && snap.profile.Mesh != v1alpha1.MeshNone {
		why = "the cluster has no mesh (it does not have Istio's API)"
	}
	return failed(Violation{
		Field:  settingPath(w, c, v, name),
		Detail: fmt.Sprintf("%s is %s and %s; want true", name, shown(v, "not set (false)"), why),
	})
}
