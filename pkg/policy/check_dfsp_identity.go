package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// dfsp-identity: an SDK sets DFSP_ID, equal to its label, and one owner alone
// (a namespace and a ServiceAccount) claims that DFSP.
var checkDFSPIdentity = Check{
	ID: "dfsp-identity", Category: CategoryIdentity, Severity: Error,
	Title: "an SDK says which DFSP it is",
	Fix:   "set the env DFSP_ID to the DFSP's id, the same as in the label, in one namespace and under one ServiceAccount only",
	Doc: `The SDK signs and answers as ` + "`DFSP_ID`" + `. Unset it calls itself ` + "`mojaloop`" + `, like every other SDK that
forgot. The id must equal the pod's DFSP label (` + "`mojasec.io/dfsp`, `dfsp`" + `, or the simulator chart's
` + "`app.kubernetes.io/name`" + `), because policies and selectors go by labels, and one owner alone may claim
a DFSP: SDKs of one DFSP in two namespaces or under two ServiceAccounts are two owners, and one of
them is an impostor.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || sub.Workload.Role != RoleSDK {
			return notApplicable
		}
		var all Result
		for _, c := range sub.Workload.SDKs() {
			all.join(identified(sub, c, snap))
		}
		return all
	},
}

// identified judges one container of an SDK.
func identified(sub *Subject, c *Container, snap *Snapshot) Result {
	w := sub.Workload
	v := snap.Value(w, c, SettingDFSPID)
	at := func() *field.Path { return settingPath(w, c, v, SettingDFSPID) }
	if p, ok := c.onCommandLine(w, SettingDFSPID); ok {
		return failed(Violation{Field: p, Detail: fmt.Sprintf("container %s changes DFSP_ID on its command line, where no rule can follow it; set it in env", c.Name)})
	}
	switch {
	case v.Dangling != "":
		return failed(Violation{Field: at(), Detail: fmt.Sprintf("DFSP_ID comes from %s, which does not exist", v.Dangling)})
	case v.Presence == Unknown || (v.Presence == Present && !v.IsText):
		return unknown(v.missing(w, SettingDFSPID))
	case v.Presence == Absent || v.Text == "":
		return failed(Violation{Field: at(), Detail: fmt.Sprintf("container %s does not set DFSP_ID, so the SDK calls itself %q", c.Name, DefaultDFSP)})
	case !identifier.MatchString(v.Text):
		return failed(Violation{Field: at(), Detail: fmt.Sprintf("DFSP_ID is %s; want 1 to 32 letters, digits, dots, hyphens or underscores", quoted(v.Text))})
	}
	var found []Violation
	if w.LabelDFSP != "" && w.LabelDFSP != v.Text {
		found = append(found, Violation{
			Field:   at(),
			Detail:  fmt.Sprintf("DFSP_ID is %q but the label %s says %q", v.Text, w.LabelKey, w.LabelDFSP),
			Related: []Location{{Ref: sub.Ref, Field: w.PodPath.Child("metadata", "labels").Key(w.LabelKey), Message: "the label"}},
		})
	}
	if id := snap.DFSP(w); id.Presence == Present && id.Text != v.Text {
		found = append(found, Violation{Field: at(), Detail: fmt.Sprintf("DFSP_ID is %q here and %q in another container of the pod", v.Text, id.Text)})
	}
	if other := snap.otherClaim(w, v.Text); other != nil {
		v := Violation{
			Field:   at(),
			Detail:  fmt.Sprintf("DFSP %q is also claimed by %s, of another owner", v.Text, other.Ref),
			Related: []Location{{Ref: other.Ref, Message: "claims the same DFSP"}},
		}
		if snap.stranger(other, w.Ref.Namespace) {
			v.Severity = new(Warning)
		}
		found = append(found, v)
	}
	return failedOrPassed(found)
}

// otherClaim returns a workload of another owner that acts for a DFSP; a
// stranger only where nobody else does.
func (s *Snapshot) otherClaim(w *Workload, dfsp string) *Workload {
	var stranger *Workload
	for _, o := range s.whole().sdks[dfsp] {
		if o.workload.Job || w.Job || (o.workload.Ref.Namespace == w.Ref.Namespace && o.workload.ServiceAccount == w.ServiceAccount) {
			continue
		}
		if !s.stranger(o.workload, w.Ref.Namespace) {
			return o.workload
		}
		stranger = o.workload
	}
	return stranger
}
