package policy

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// dead-setting: no security setting that no component reads. The names come
// from guides and old examples; each with what to use instead.
var checkDeadSetting = Check{
	ID: "dead-setting", Category: CategoryPolicy, Severity: Warning,
	Title: "every security setting is read by somebody",
	Fix:   "remove the setting, or use the name that is read",
	Doc: `Some settings look like security and are read by no component of Mojaloop: ` + "`JWS_SIGNING_KEY`" + `,
` + "`JWS_VERIFICATION_CACHE_SIZE`, `JWS_VERIFICATION_CACHE_TTL`, `ILP_EXPIRY_DURATION`, `AUDIT_LOG_ENABLED`,\n`AUDIT_LOG_LEVEL`" + `, ` + "`ILP_SECRET`" + ` on a hub service (the hub has no ILP secret), and ` + "`LOG_FILTER`" + ` with
anything but level names. Whoever set them believes in a protection that is not there.`,
	Run: func(sub *Subject, _ *Snapshot) Result {
		if sub.isValues() {
			return deadInValues(sub)
		}
		if sub.Workload == nil || (sub.Workload.Role != RoleSDK && sub.Workload.Role != RoleHub) {
			return notApplicable
		}
		var found []Violation
		w := sub.Workload
		for i := range w.Containers {
			c := &w.Containers[i]
			if c.Kind != MainContainer && !c.SDK {
				continue
			}
			for j := range c.Settings {
				set := &c.Settings[j]
				if instead, dead := deadSetting(set.Name, set.Text, w.Role); dead {
					found = append(found, Violation{
						Field:  c.Path(w).Child("env").Index(set.index).Child("name"),
						Detail: fmt.Sprintf("container %s sets %s, which no component reads; %s", c.Name, set.Name, instead),
					})
				}
			}
		}
		return failedOrPassed(found)
	},
}

// deadSettings are the names nobody reads, with what to do instead.
var deadSettings = map[string]string{
	"JWS_SIGNING_KEY":             "the key is read from the file that JWS_SIGNING_KEY_PATH names",
	"JWS_VERIFICATION_CACHE_SIZE": "all keys of JWS_VERIFICATION_KEYS_DIRECTORY are kept in memory",
	"JWS_VERIFICATION_CACHE_TTL":  "the directory is watched; there is no time to live",
	"ILP_EXPIRY_DURATION":         "the expiry of quotes is EXPIRY_SECONDS",
	"AUDIT_LOG_ENABLED":           "audit records are what the event framework (event-sdk) sends",
	"AUDIT_LOG_LEVEL":             "the log level is LOG_LEVEL",
}

func deadSetting(name, value string, role Role) (instead string, dead bool) {
	if instead, ok := deadSettings[name]; ok {
		return instead, true
	}
	switch {
	case name == SettingILPSecret && role == RoleHub:
		return "the hub has no ILP secret: only the payee's SDK has", true
	case name == "LOG_FILTER" && !isLevels(value):
		return "LOG_FILTER takes names of levels only, such as info,warn,error", true
	}
	return "", false
}

// isLevels tells whether a text is a list of log levels.
func isLevels(text string) bool {
	for level := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		switch strings.ToLower(level) {
		case "error", "warn", "audit", "trace", "info", "perf", "verbose", "debug", "silly":
		default:
			return false
		}
	}
	return true
}

func deadInValues(sub *Subject) Result {
	var found []Violation
	walkValues(sub.Raw, nil, func(p *field.Path, key string, value any) {
		if instead, dead := deadSettings[key]; dead && value != nil {
			found = append(found, Violation{Field: p, Detail: fmt.Sprintf("%s is read by no component; %s", key, instead)})
		}
	})
	if len(found) == 0 {
		return notApplicable
	}
	return failed(found...)
}
