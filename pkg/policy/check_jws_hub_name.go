package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// jws-hub-name: HUB_PARTICIPANT.NAME, SWITCH_ID and HUB_NAME agree, within a
// hub service's default.json and between those of a namespace.
var checkJWSHubName = Check{
	ID: "jws-hub-name", Category: CategoryIdentity, Severity: Warning,
	Title: "the hub has one name",
	Fix:   "set HUB_PARTICIPANT.NAME, SWITCH_ID and HUB_NAME to the same value in every default.json of the hub",
	Doc: `The hub signs as ` + "`HUB_PARTICIPANT.NAME`" + `, calls itself ` + "`SWITCH_ID`" + ` or ` + "`HUB_NAME`" + ` elsewhere, and peers
look for ` + "`<that name>.pem`" + `. Nothing upstream makes sure that the three agree. Compared are the
` + "`default.json`" + ` files of one namespace, and environment variables that replace the name.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if sub.Workload != nil && sub.Workload.Role == RoleHub {
			return hubNameOverride(sub, snap)
		}
		if _, ok := sub.Object.(*corev1.ConfigMap); !ok {
			return notApplicable
		}
		data := snap.dataOf(sub)
		if data.Hub == nil {
			return notApplicable
		}
		at := field.NewPath("data").Key(hubConfigKey)
		if data.Hub.Bad != "" {
			return notApplicable
		}
		name, setting := data.Hub.anyName()
		if name == "" {
			return notApplicable
		}
		for other, value := range data.Hub.names() {
			if value != "" && value != name {
				return failed(Violation{Field: at, Detail: fmt.Sprintf("%s is %q but %s is %q", setting, name, other, value)})
			}
		}
		if sh := snap.shard(sub.Ref.Namespace); sh != nil {
			for _, d := range sh.configMaps { // sorted: the first one sets the tone
				if d.Hub == nil || d.Ref == data.Ref {
					continue
				}
				if value, other := d.Hub.anyName(); value != "" && value != name {
					return failed(Violation{
						Field: at, Detail: fmt.Sprintf("%s is %q but %s in %s is %q", setting, name, other, d.Ref, value),
						Related: []Location{{Ref: d.Ref, Field: at, Message: "the other name"}},
					})
				}
			}
		}
		return passed()
	},
}

// names yields the hub's names in a fixed order.
func (h *HubConfig) names() func(yield func(setting, value string) bool) {
	return func(yield func(string, string) bool) {
		_ = yield("HUB_PARTICIPANT.NAME", h.ParticipantName) &&
			yield("SWITCH_ID", h.SwitchID) && yield("HUB_NAME", h.HubName)
	}
}

// anyName returns the first name that is set.
func (h *HubConfig) anyName() (name, setting string) {
	for s, v := range h.names() {
		if v != "" {
			return v, s
		}
	}
	return "", ""
}

// hubNameOverride compares the name that a service gets from its environment
// with the names in the configuration of the namespace.
func hubNameOverride(sub *Subject, snap *Snapshot) Result {
	v := snap.hubSetting(sub.Workload, hubParticipantName)
	sh := snap.shard(sub.Ref.Namespace)
	if v.Presence != Present || !v.IsText || sh == nil {
		return notApplicable
	}
	for _, d := range sh.configMaps {
		if d.Hub == nil {
			continue
		}
		if name, setting := d.Hub.anyName(); name != "" && name != v.Text {
			return failed(Violation{
				Field:   v.Setting.Path(sub.Workload.Main().Path(sub.Workload)),
				Detail:  fmt.Sprintf("%s is %q but %s in %s is %q", v.Setting.Name, v.Text, setting, d.Ref, name),
				Related: []Location{{Ref: d.Ref, Field: field.NewPath("data").Key(hubConfigKey), Message: "the other name"}},
			})
		}
	}
	return passed()
}
