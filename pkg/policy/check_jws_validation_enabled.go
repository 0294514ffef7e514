package policy

import "fmt"

// jws-validation-enabled: VALIDATE_INBOUND_JWS is not switched off (default
// true); for the hub ENDPOINT_SECURITY.JWS.JWS_VALIDATE where the version has
// it.
var checkJWSValidationEnabled = Check{
	ID: "jws-validation-enabled", Category: CategoryJWS, Severity: Error,
	Title: "signatures of inbound messages are verified",
	Fix:   "set VALIDATE_INBOUND_JWS to \"true\" or remove it; for a hub service set ENDPOINT_SECURITY.JWS.JWS_VALIDATE to true in its default.json",
	Doc: `A signature that nobody verifies protects nobody. The SDK verifies inbound messages unless
` + "`VALIDATE_INBOUND_JWS`" + ` says otherwise. The API servers of the hub verify since 2026 when
` + "`ENDPOINT_SECURITY.JWS.JWS_VALIDATE`" + ` is true; where a configuration has the setting and it is false,
that is a warning. Older versions do not have it and are not judged.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		switch {
		case sub.Workload == nil && !sub.isValues():
			return notApplicable
		case sub.isValues() || sub.Workload.Role == RoleSDK:
			return switchRule{setting: SettingValidateJWS, byDefault: true, want: true, why: "forged messages are accepted"}.run(sub, snap)
		case sub.Workload.Role != RoleHub || sub.Workload.Job:
			return notApplicable
		}
		v, presence := snap.hubSwitch(sub.Workload, hubJWSValidate)
		switch {
		case presence != Present:
			return notApplicable
		case v.on:
			return passed()
		}
		at, p := hubPlace(sub.Workload, v)
		warning := Warning
		return failed(Violation{At: at, Field: p, Severity: &warning, Detail: fmt.Sprintf("ENDPOINT_SECURITY.JWS.JWS_VALIDATE of %s is false: forged messages are accepted; want true", sub.Workload.Component)})
	},
}
