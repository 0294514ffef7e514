package policy

import "fmt"

// jws-signing-enabled: JWS_SIGN is not switched off (default true in the SDK);
// for the hub ENDPOINT_SECURITY.JWS.JWS_SIGN where its configuration is known.
var checkJWSSigningEnabled = Check{
	ID: "jws-signing-enabled", Category: CategoryJWS, Severity: Error, PodLocal: true,
	Title: "messages are signed",
	Fix:   "set JWS_SIGN to \"true\" or remove it; for a hub service set ENDPOINT_SECURITY.JWS.JWS_SIGN to true in its default.json",
	Doc: `Without signatures a message proves nothing about who sent it. The SDK signs unless ` + "`JWS_SIGN`" + ` says
otherwise; values are read as the SDK does (` + "`true`, `false`, `1`, `0`" + `, any case). Where nobody can tell the
value before the pod runs (a file, a resource, a command line that changes it, a mounted ` + "`.env`" + ` where it is
not set) the check fails. The hub signs the
messages it originates itself when ` + "`ENDPOINT_SECURITY.JWS.JWS_SIGN`" + ` is true in the mounted
` + "`default.json`" + ` or in an environment variable such as
` + "`QUOTE_ENDPOINT_SECURITY__JWS__JWS_SIGN`" + `; its default is false.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		const why = "messages go out without a signature"
		switch {
		case sub.Workload == nil && !sub.isValues():
			return notApplicable
		case sub.isValues() || sub.Workload.Role == RoleSDK:
			return switchRule{setting: SettingJWSSign, byDefault: true, want: true, why: why}.run(sub, snap)
		case sub.Workload.Role != RoleHub || !sub.Workload.Signs || sub.Workload.Job:
			return notApplicable
		}
		v, presence := snap.hubSwitch(sub.Workload, hubJWSSign)
		switch {
		case declaresSigningKey(sub.Workload) && presence == Unknown:
			return passed() // the chart adds the volume only when signing is on
		case presence == Unknown:
			return unknown(v.missing)
		case presence == Present && v.on:
			return passed()
		}
		at, p := hubPlace(sub.Workload, v)
		state := "not set (false)"
		if presence == Present {
			state = "false"
		}
		return failed(Violation{At: at, Field: p, Detail: fmt.Sprintf("ENDPOINT_SECURITY.JWS.JWS_SIGN of %s is %s: what the hub itself sends has no signature; want true", sub.Workload.Component, state)})
	},
}
