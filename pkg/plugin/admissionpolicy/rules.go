package admissionpolicy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/policy"
)

// rules writes the checks that are marked PodLocal.
var rules = map[policy.ID]func(*settings) rule{
	"mtls-in-mesh":           (*settings).inMesh,
	"mtls-no-bypass":         (*settings).noBypass,
	"jws-signing-enabled":    (*settings).signingEnabled,
	"private-key-in-clear":   (*settings).privateKeyInClear,
	"ilp-secret-set":         (*settings).secretSet,
	"ilp-secret-not-default": (*settings).secretNotDefault,
}

// untoldPhrase is said of a value that [untold] finds.
const untoldPhrase = " cannot be told before it runs; take it from a Secret or ConfigMap"

// hiddenPhrase is said of a value that [hidden] finds.
const hiddenPhrase = " is put together from other variables; write its value out"

// signingEnabled is jws-signing-enabled: of an SDK, and of a hub service that
// its environment switches off or that has no configuration at all.
func (s *settings) signingEnabled() rule {
	name := str(policy.SettingJWSSign)
	hub := map[string]string{}
	for _, c := range s.components {
		if c.SignSetting != "" {
			hub[c.Name] = c.SignSetting
		}
	}
	var entries []string
	for _, component := range sortedKeys(hub) {
		entries = append(entries, str(component)+": "+str(hub[component]))
	}
	vars := append(pod(), s.recognition()...)
	vars = append(vars,
		variable("signers", "{"+strings.Join(entries, ", ")+"}"),
		variable("byRule", `variables.imageRole == "hub" ? variables.known.filter(k, k.main && k.role == "hub")[0].byRule
  : `+anyOf(s.labelRules())),
		// Services that share an image are told apart by other names.
		variable("component", `variables.imageRole == "hub" ? variables.known.filter(k, k.main && k.role == "hub")[0].image
  : `+s.labelledComponent()),
		variable("service", fmt.Sprintf(`[([variables.appName, variables.chart] + variables.main.map(c, c.name)).filter(n, n != variables.component && %s == "hub")]
  .map(l, size(l) > 0 ? l[0] : variables.byRule ? "" : variables.component)[0]`, s.roleOf("n"))),
		variable("job", `request.kind.kind in ["Job", "CronJob"]
  || request.kind.kind == "Pod" && "helm.sh/hook" in variables.annotations && !(variables.spec.?restartPolicy.orValue("") in ["", "Always"])`),
		variable("setting", `variables.role == "hub" && !variables.job && variables.service in variables.signers ? variables.signers[variables.service] : ""`),
		variable("hub", `variables.setting == "" ? []
  : variables.known.filter(k, k.main && k.component == "hub").map(k, k.at) + variables.main.filter(c, c.name == variables.service) + variables.main`),
	)
	hubOff := literal("variables.hub[0]", "variables.setting", isNotOn) + "\n  || " + hidden("variables.hub[0]", "variables.setting")
	return rule{variables: vars, broken: `variables.sdk.filter(c, ` + words + `.exists(w, w.matches(` + pattern(`(?:^|[^A-Za-z0-9_])`+policy.SettingJWSSign+`=(?:[^=~]|$)`) + `))).map(c, "the command line of container " + c.name + ` + str(" sets "+policy.SettingJWSSign) + `)
+ variables.sdk.filter(c, ` + literal("c", name, isOff) + `).map(c, ` + str(policy.SettingJWSSign+" is off in container ") + ` + c.name)
+ variables.sdk.filter(c, ` + untold("c", name) + `).map(c, ` + str(policy.SettingJWSSign+" of container ") + ` + c.name + ` + str(untoldPhrase) + `)
+ variables.sdk.filter(c, ` + hidden("c", name) + `).map(c, ` + str(policy.SettingJWSSign+" of container ") + ` + c.name + ` + str(hiddenPhrase) + `)
+ (size(variables.hub) > 0 && (` + hubOff + `) ? [variables.setting + " is not on in container " + variables.hub[0].name] : [])
+ (size(variables.hub) > 0 && ` + unconfigured("variables.hub[0]", "variables.setting") + ` ? [variables.setting + " is not set in container " + variables.hub[0].name + " and it mounts no configuration"] : [])`}
}

// unconfigured tells whether nothing but its image can set a variable of a hub
// service.
func unconfigured(container, name string) string {
	return fmt.Sprintf(`!%s.exists(e, e.name == %s) && !%s
    && !%s.?volumeMounts.orValue([]).exists(m, !m.mountPath.matches(%s) || %s.startsWith(m.mountPath + (m.mountPath.endsWith("/") ? "" : "/")))`,
		env(container), name, fromElsewhere(container, name), container, pattern(`^/(?:[^/.][^/]*/?)*$`), str(policy.HubConfigPath+"/"))
}

// secretSet is ilp-secret-set.
func (s *settings) secretSet() rule {
	name := str(policy.SettingILPSecret)
	return rule{
		variables: append(pod(), s.recognition()...),
		broken: `variables.sdk.filter(c, !` + sets("c", policy.SettingILPSecret) + ` && !` + fromElsewhere("c", name) + `).map(c, "container " + c.name + ` + str(" does not set "+policy.SettingILPSecret+", so the SDK uses its published default") + `)
+ variables.sdk.filter(c, ` + literal("c", name, isEmpty) + `).map(c, ` + str(policy.SettingILPSecret+" of container ") + ` + c.name + " is empty")`,
	}
}

// secretNotDefault is ilp-secret-not-default, for secrets that are written out.
func (s *settings) secretNotDefault() rule {
	published := crypto.PublishedILPSecrets()
	for _, more := range s.PublishedSecrets {
		published = append(published, string(crypto.TrimSecret([]byte(more))))
	}
	// White space and quotes around a secret do not count.
	const around = `\s\v\x22\x27\x60\x00\x{85}\x{FEFF}\pZ`
	isPublished := fmt.Sprintf(`x.find(%s) in variables.published`, pattern(`[^`+around+`](?:(?s:.*)[^`+around+`])?`))
	names := strs(policy.ILPSecretSettings())
	each := func(condition, phrase string) string {
		return fmt.Sprintf(`variables.containers.filter(c, %s.exists(n, %s)).map(c, %s)`, names, condition, phrase)
	}
	// NAME=value in a command: the value ends where a word of a shell does.
	onLine := fmt.Sprintf(`%s.exists(w, w.contains(n + "=") && w.split(n + "=").exists(x, x.find(%s) in variables.published))`,
		words, pattern(`[^\s\x22\x27\x60;&|]+`))
	return rule{
		variables: append(pod(), variable("published", strs(slices.Compact(published)))),
		broken: each(literal("c", "n", isPublished), `"container " + c.name + " has a published ILP secret"`) + "\n+ " +
			each(onLine, `"the command line of container " + c.name + " has a published ILP secret"`) + "\n+ " +
			each(untold("c", "n"), `"the ILP secret of container " + c.name + `+str(untoldPhrase)) + "\n+ " +
			each(hidden("c", "n"), `"the ILP secret of container " + c.name + `+str(hiddenPhrase)),
	}
}

// privateKeyInClear is private-key-in-clear, for everything in the pod and the
// annotations of its maker.
func (s *settings) privateKeyInClear() rule {
	vars := append(pod(), variable("makerAnnotations", `request.kind.kind == "Pod" ? {} : dyn(object).metadata.?annotations.orValue({})`))
	annotations := func(of string) string {
		return fmt.Sprintf(`%[1]s.filter(k, [%[1]s[k]].exists(t, %[2]s)).map(k, "annotation " + k + " holds a private key")`, of, holdsPrivateKey("t"))
	}
	return rule{
		variables: vars, metadata: true,
		broken: annotations("variables.makerAnnotations") + "\n+ " + annotations("variables.annotations") + `
+ variables.containers.filter(c, (` + env("c") + `.map(e, e.?value.orValue("")) + ` + words + `).exists(t, ` + holdsPrivateKey("t") + `)).map(c, "env or command line of container " + c.name + " holds a private key")`,
	}
}

// holdsPrivateKey finds a private key in a text as PEM, also with escaped line
// breaks, and as base64 of PEM. Texts that mention the BEGIN line only are left
// alone. What comes first is cheap: few texts get past it.
func holdsPrivateKey(text string) string {
	const blank = `(?:[\s\x22\x27\x60,]|\\+[nrt])*`
	var label strings.Builder
	for i, letter := range "PRIVATEKEY" {
		if i > 0 {
			label.WriteString(`(?:%20|[^A-Z0-9])*`)
		}
		label.WriteRune(letter)
	}
	// 0x30, an ASN.1 SEQUENCE, is M in base64; 86 characters are 64 bytes.
	der := `^` + blank + `M(?:` + blank + `[A-Za-z0-9+/=_-]){85}`
	// 60 characters are less than the shortest key takes.
	pem := fmt.Sprintf(`(size(%[1]s) >= 60 && %[1]s.contains("-----BEGIN") && %[1]s.split("-----BEGIN").exists(b, [b.split("-----", 3)].exists(p,
      size(p) > 1 && size(p[0]) <= 64 && p[0].matches(%[2]s)
      && (size(p) == 3 && p[2].matches("^-*END") || p[1].contains("ENCRYPTED") || p[1].matches(%[3]s)))))`,
		text, pattern(label.String()), pattern(der))
	encoded := fmt.Sprintf(`(%[1]s.contains("LS0t") && [%[1]s.replace("\n", "").replace("\\n", "").replace("\r", "").replace("\\r", "")].exists(u,
      %[2]s.exists(n, u.contains(n)) && %[3]s.exists(n, u.contains(n)) && %[4]s.exists(n, u.contains(n))))`,
		text, strs(inBase64("-----BEGIN")), strs(inBase64("PRIVATE KEY--")), strs(inBase64("-----END")))
	return pem + "\n    || " + encoded
}

// inBase64 is how a text looks inside base64, at each of the three alignments:
// the characters that depend on nothing else.
func inBase64(text string) []string {
	var out []string
	for shift := range 3 {
		out = append(out, stableBase64(text, shift))
	}
	return out
}
