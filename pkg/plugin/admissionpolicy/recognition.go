package admissionpolicy

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/policy"
)

// settings are what a rule is written from.
type settings struct {
	*v1alpha1.ProfileSpec
	components []policy.Component
}

func newSettings(spec *v1alpha1.ProfileSpec) *settings {
	return &settings{ProfileSpec: spec, components: policy.Components()}
}

const (
	labelAppName   = "app.kubernetes.io/name"
	labelChart     = "helm.sh/chart"
	labelComponent = "component"

	proxyContainer = policy.ProxyContainer
)

// pod are the variables of every rule: the pod that the object is or makes.
// dyn(object) keeps the API server's type checker from asking a CronJob for the
// fields of a Pod.
func pod() []admissionregistrationv1.Variable {
	return []admissionregistrationv1.Variable{
		variable("template", `request.kind.kind == "Pod" ? dyn(object)
  : request.kind.kind == "CronJob" ? dyn(object).spec.jobTemplate.spec.template
  : dyn(object).spec.?template.orValue({})`),
		variable("spec", "variables.template.?spec.orValue({})"),
		variable("labels", "variables.template.?metadata.?labels.orValue({})"),
		variable("annotations", "variables.template.?metadata.?annotations.orValue({})"),
		variable("main", "variables.spec.?containers.orValue([])"),
		variable("others", "variables.spec.?initContainers.orValue([]) + variables.spec.?ephemeralContainers.orValue([])"),
		variable("containers", "variables.main + variables.others"),
	}
}

// recognition are the variables, after those of pod, that say what the pod is:
// "role" is a [policy.Role] or "", "sdk" are the containers that run the SDK.
func (s *settings) recognition() []admissionregistrationv1.Variable {
	return []admissionregistrationv1.Variable{
		variable("names", s.names()),
		variable("appName", member("variables.labels", labelAppName)),
		variable("chart", fmt.Sprintf(`[%s].map(c, c.substring(0, size(c) - size(c.find(%s))))[0]`, member("variables.labels", labelChart), pattern(`-[0-9][^-]*[.].*$`))),
		variable("seen", seen("variables.main", true)+"\n+ "+seen("variables.others", false)),
		variable("known", fmt.Sprintf(`variables.seen.map(s, {
  "at": s.at, "main": s.main, "image": s.image, "handler": s.handler,
  "component": dyn(%s), "byRule": dyn(%s),
  "role": dyn(%s)})`, s.roleOf("s.image"), s.matchesRule("s.at"), s.roleOfImage("s.at", s.roleOf("s.image")))),
		variable("sdkByImage", fmt.Sprintf(`variables.known.filter(k, (k.role == "sdk" && !k.handler)
  || %s || %s || (k.role == "" && %s)).map(k, k.at)`,
			sets("k.at", policy.SettingSigningKeyPath), sets("k.at", policy.SettingVerificationDir), sets("k.at", policy.SettingILPSecret))),
		variable("eventHandler", `variables.known.exists(k, k.main && k.role == "sdk" && k.handler)`),
		variable("imageRole", `size(variables.sdkByImage) > 0 ? "sdk" : ["hub", "backend", "toolkit", "datastore", ""].filter(r,
  r == "" || variables.known.exists(k, k.main && k.role == r) || r == "backend" && variables.eventHandler)[0]`),
		variable("labelRole", s.labelRole()),
		variable("role", `variables.imageRole == "sdk" || variables.eventHandler ? variables.imageRole
  : variables.labelRole == "sdk" || variables.imageRole == "" ? variables.labelRole : variables.imageRole`),
		variable("sdk", fmt.Sprintf(`variables.role != "sdk" ? [] : size(variables.sdkByImage) > 0 ? variables.sdkByImage
  : [variables.known.filter(k, k.main).map(k, k)].map(m, [m.filter(k, k.component == "" && (k.at.name == m[0].at.name || %s))].map(l, size(l) > 0 ? l : m.filter(k, k.at.name == m[0].at.name))[0])[0].map(k, k.at)`,
			sets("k.at", policy.SettingDFSPID))),
	}
}

// names maps the whole names of components to their roles.
func (s *settings) names() string {
	var entries []string
	for _, c := range s.components {
		if !c.Prefix {
			entries = append(entries, str(c.Name)+": "+str(string(c.Role)))
		}
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

// seen reads a list of containers. Istio's own do not count.
func seen(containers string, main bool) string {
	return fmt.Sprintf(`%s.filter(c, !%s).map(c, {"at": dyn(c), "main": dyn(%t), "image": dyn(%s), "handler": dyn(%s in %s && %s)})`,
		containers, isIstio("c"), main, image("c"), words, eventHandlers(), startsUpstream("c"))
}

// isIstio tells Istio's own containers from those that borrow their names.
func isIstio(container string) string {
	names, images := policy.IstioContainers()
	return fmt.Sprintf("(%s.name in %s && %s in %s)", container, strs(names), image(container), strs(images))
}

// startsUpstream tells that the words of a container start the scripts of its
// image and nothing else.
func startsUpstream(container string) string {
	return fmt.Sprintf(`%[1]s.?workingDir.orValue("") in ["", "/opt/app"]
  && !%[1]s.?volumeMounts.orValue([]).exists(m, "/opt/app/package.json/".startsWith(m.mountPath + (m.mountPath.endsWith("/") ? "" : "/")) || !m.mountPath.matches(%[2]s))
  && !%[3]s.exists(e, e.name.lowerAscii().matches("^(?:node_options|path|npm_.*|yarn_.*)$"))`,
		container, pattern(`^/(?:[^/.][^/]*/?)*$`), env(container))
}

// eventHandlers are the command lines of the SDK's event handlers.
func eventHandlers() string {
	var lines []string
	for _, tool := range []string{"yarn", "npm"} {
		for _, script := range []string{"start:cmd-evt-handler", "start:dom-evt-handler"} {
			lines = append(lines, strs([]string{tool, script}), strs([]string{tool, "run", script}))
		}
	}
	return "[" + strings.Join(lines, ", ") + "]"
}

// roleOf is the role of a component by its name, "" for none.
func (s *settings) roleOf(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%[1]s in variables.names ? variables.names[%[1]s]", name)
	for _, c := range s.components {
		if c.Prefix {
			fmt.Fprintf(&b, " : %s.startsWith(%s) ? %s", name, str(c.Name), str(string(c.Role)))
		}
	}
	return "(" + b.String() + ` : "")`
}

// profileRule is a recognition rule of the Profile in CEL. It is a rule that
// gives a role, and says nothing of what signs.
type profileRule struct{ condition, role string }

// imageRules are the recognition rules of the Profile that the image of a
// container can match.
func (s *settings) imageRules(container string) []profileRule {
	var out []profileRule
	for _, r := range s.Recognition {
		if len(r.Images) > 0 {
			out = append(out, profileRule{fmt.Sprintf(`[%s].exists(r, %s.exists(w, r == w || r.endsWith("/" + w)))`, repository(container), strs(r.Images)), str(string(r.Role))})
		}
	}
	return out
}

// roleOfImage puts the Profile's rules before a role by name.
func (s *settings) roleOfImage(container, byName string) string {
	var b strings.Builder
	for _, r := range s.imageRules(container) {
		fmt.Fprintf(&b, "%s ? %s : ", r.condition, r.role)
	}
	return b.String() + byName
}

// matchesRule tells whether a rule of the Profile made an image what it is.
func (s *settings) matchesRule(container string) string {
	return anyOf(s.imageRules(container))
}

func anyOf(rules []profileRule) string {
	conditions := []string{"false"}
	for _, r := range rules {
		conditions = append(conditions, r.condition)
	}
	return strings.Join(conditions, " || ")
}

// labelRules are the recognition rules of the Profile that labels can match.
func (s *settings) labelRules() []profileRule {
	var out []profileRule
	for _, r := range s.Recognition {
		var either []string
		if len(r.Labels) > 0 {
			var all []string
			for _, key := range sortedKeys(r.Labels) {
				all = append(all, fmt.Sprintf("variables.labels[?%s] == optional.of(%s)", str(key), str(r.Labels[key])))
			}
			either = append(either, "("+strings.Join(all, " && ")+")")
		}
		if len(r.Names) > 0 {
			either = append(either, "variables.appName in "+strs(r.Names))
		}
		if len(either) > 0 {
			out = append(out, profileRule{strings.Join(either, " || "), str(string(r.Role))})
		}
	}
	return out
}

// labelRole is the role that the labels of the pod claim.
func (s *settings) labelRole() string {
	var b strings.Builder
	for _, r := range s.labelRules() {
		fmt.Fprintf(&b, "%s ? %s\n  : ", r.condition, r.role)
	}
	byName, byChart := s.roleOf("variables.appName"), s.roleOf("variables.chart")
	fmt.Fprintf(&b, "%[1]s != \"\" ? %[1]s", byName)
	for _, p := range policy.NamePatterns() {
		fmt.Fprintf(&b, "\n  : variables.appName.matches(%s) ? %s", pattern(p.Pattern), str(string(p.Role)))
	}
	i := slices.IndexFunc(s.components, func(c policy.Component) bool { return c.Role == policy.RoleSDK && !c.Prefix })
	fmt.Fprintf(&b, "\n  : %[1]s != \"\" ? %[1]s\n  : %[2]s == %[3]s ? \"sdk\" : \"\"", byChart, member("variables.labels", labelComponent), str(s.components[i].Name))
	return b.String()
}

// labelledComponent is the name by which labels made the pod a hub service.
func (s *settings) labelledComponent() string {
	return s.roleOf("variables.appName") + ` == "hub" || ` + anyOf(s.labelRules()) + " ? variables.appName : variables.chart"
}

// mojaloop tells whether the pod takes part in the scheme.
const mojaloop = `variables.role in ["sdk", "hub", "backend", "toolkit"]`
