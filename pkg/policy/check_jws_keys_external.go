package policy

import (
	"fmt"
	"slices"
)

// jws-keys-external: PM4ML_ENABLED is on, so keys come over a websocket. A
// note where the Profile expects it, a warning elsewhere.
var checkJWSKeysExternal = Check{
	ID: "jws-keys-external", Category: CategoryKeys, Severity: Note,
	Title: "the keys come from this cluster",
	Fix:   "list the DFSP in the Profile (spec.jws.externalKeys) if its connection manager provides the keys; else set PM4ML_ENABLED to \"false\"",
	Doc: `With ` + "`PM4ML_ENABLED`" + ` an SDK gets its keys over a websocket from its connection manager; what it mounts
is a placeholder. mojasec cannot see those keys, so the checks of keys do not apply to it. That is a
note for DFSPs in ` + "`spec.jws.externalKeys`" + ` of the Profile and a warning for others, because the switch is
also a way around those checks.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload == nil || sub.Workload.Role != RoleSDK {
			return notApplicable
		}
		var all Result
		for _, c := range sub.Workload.SDKs() {
			all.join(externalKeys(sub.Workload, c, snap))
		}
		return all
	},
}

// externalKeys judges one container of an SDK.
func externalKeys(w *Workload, c *Container, snap *Snapshot) Result {
	v := snap.Value(w, c, SettingPM4ML)
	on, known := v.Switch(false)
	switch {
	case !known:
		return unknown(v.missing(w, SettingPM4ML))
	case !on:
		return passed()
	}
	found := Violation{Field: settingPath(w, c, v, SettingPM4ML)}
	id := snap.DFSP(w)
	if id.Presence == Present && slices.Contains(snap.profile.JWS.ExternalKeys, id.Text) {
		found.Detail = fmt.Sprintf("%s gets its keys from its connection manager, as the Profile says: they are not checked here", id.Text)
		return failed(found)
	}
	warning := Warning
	found.Severity = &warning
	found.Detail = fmt.Sprintf("PM4ML_ENABLED is on, so the keys of %s come from outside and are not checked, and the Profile does not list it", orUnnamed(id.Text))
	return failed(found)
}
