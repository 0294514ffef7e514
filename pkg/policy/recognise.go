package policy

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// Role is what a workload is in a Mojaloop scheme.
type Role string

// The roles.
const (
	RoleSDK       Role = "sdk"       // a DFSP's sdk-scheme-adapter
	RoleHub       Role = "hub"       // a service of the switch
	RoleBackend   Role = "backend"   // what stands behind an SDK: core connector, simulator
	RoleToolkit   Role = "toolkit"   // ml-testing-toolkit
	RoleDatastore Role = "datastore" // mysql, kafka, mongodb, redis, zookeeper
	RoleOther     Role = "other"     // not Mojaloop
)

// Mojaloop tells whether a workload takes part in the scheme and is to be
// protected. Datastores speak before the mesh does and are left out.
func (r Role) Mojaloop() bool {
	return r == RoleSDK || r == RoleHub || r == RoleBackend || r == RoleToolkit
}

const (
	labelAppName   = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelChart     = "helm.sh/chart"
	labelComponent = "component"
	annotationHook = "helm.sh/hook"

	componentSDK = "sdk-scheme-adapter"
)

// LabelDFSP says on a pod or Secret which DFSP it belongs to.
const LabelDFSP = v1alpha1.LabelDFSP

// component is what is known of a Mojaloop component by its name.
type component struct {
	role  Role
	signs bool
}

// components by image repository (last element), app name and chart name.
// Which of them sign: mojaloop/helm, endpointSecurity.jwsSigningEnabled.
var components = map[string]component{
	componentSDK:                            {RoleSDK, true},
	"sdk-scheme-adapter-cmd-evt-handler":    {RoleBackend, false},
	"sdk-scheme-adapter-dom-evt-handler":    {RoleBackend, false},
	"quoting-service":                       {RoleHub, true},
	"quoting-service-handler":               {RoleHub, true},
	"account-lookup-service":                {RoleHub, true},
	"account-lookup-service-admin":          {RoleHub, false},
	"ml-api-adapter":                        {RoleHub, false},
	"ml-api-adapter-service":                {RoleHub, false},
	"ml-api-adapter-handler-notification":   {RoleHub, true},
	"bulk-api-adapter":                      {RoleHub, false},
	"bulk-api-adapter-service":              {RoleHub, false},
	"bulk-api-adapter-handler-notification": {RoleHub, true},
	"central-ledger":                        {RoleHub, false},
	"central-settlement":                    {RoleHub, false},
	"centralledger":                         {RoleHub, false},
	"centralsettlement":                     {RoleHub, false},
	"central-event-processor":               {RoleHub, false},
	"transaction-requests-service":          {RoleHub, false},
	"als-msisdn-oracle":                     {RoleHub, false},
	"als-consent-oracle":                    {RoleHub, false},
	"als-oracle-pathfinder":                 {RoleHub, false},
	"thirdparty-api-svc":                    {RoleHub, false},
	"thirdparty-api-adapter":                {RoleHub, false},
	"fspiop-transfer-api-svc":               {RoleHub, false},
	"mojaloop-simulator":                    {RoleBackend, false},
	"mojaloop-core-connector":               {RoleBackend, false},
	"ml-testing-toolkit":                    {RoleToolkit, false},
	"ml-testing-toolkit-ui":                 {RoleToolkit, false},
	"ml-testing-toolkit-client-lib":         {RoleToolkit, false},
	"ml-testing-toolkit-backend":            {RoleToolkit, false},
	"ml-testing-toolkit-frontend":           {RoleToolkit, false},
	"mysql":                                 {RoleDatastore, false},
	"mariadb":                               {RoleDatastore, false},
	"percona-xtradb-cluster":                {RoleDatastore, false},
	"kafka":                                 {RoleDatastore, false},
	"zookeeper":                             {RoleDatastore, false},
	"mongo":                                 {RoleDatastore, false},
	"mongodb":                               {RoleDatastore, false},
	"redis":                                 {RoleDatastore, false},
	"redis-cluster":                         {RoleDatastore, false},
	"valkey":                                {RoleDatastore, false},
}

// prefixes of names that Mojaloop's charts derive from the components.
var componentPrefixes = []struct {
	prefix string
	component
}{
	{"centralledger-", component{RoleHub, false}},
	{"central-ledger-", component{RoleHub, false}},
	{"centralsettlement-", component{RoleHub, false}},
	{"central-settlement-", component{RoleHub, false}},
	{"sdk-scheme-adapter-", component{RoleSDK, true}},
}

var (
	simSDK     = regexp.MustCompile(`^(?:.+-)?sim-(.+)-scheme-adapter$`)
	simBackend = regexp.MustCompile(`^(?:.+-)?sim-(.+)-backend$`)
	simCache   = regexp.MustCompile(`^(?:.+-)?sim-(.+)-cache$`)
)

// recogniser tells what a pod is. Its zero value knows Mojaloop's own names;
// a Profile adds to them.
type recogniser struct {
	rules []v1alpha1.RecognitionRule
}

// recognise decides what a workload is by the facts that it keeps.
func (r *recogniser) recognise(w *Workload) {
	w.Role = RoleOther
	for i := range w.Containers {
		if c := &w.Containers[i]; !isIstioContainer(c.Name, c.image) {
			r.container(w, c)
		}
	}
	if w.Role != RoleSDK {
		r.byLabels(w, w.Labels)
	}
	if w.Role == RoleHub {
		r.refineHub(w, w.Labels)
	}
	w.LabelDFSP, w.LabelKey = r.dfspOfLabels(w.Labels)
}

// containerImage returns the image and the command line of c.
func containerImage(spec *corev1.PodSpec, c *Container) (image string, args [2][]string) {
	switch c.Kind {
	case MainContainer:
		s := &spec.Containers[c.Index]
		return s.Image, [2][]string{s.Command, s.Args}
	case InitContainer, NativeSidecar:
		s := &spec.InitContainers[c.Index]
		return s.Image, [2][]string{s.Command, s.Args}
	case EphemeralContainer:
		s := &spec.EphemeralContainers[c.Index]
		return s.Image, [2][]string{s.Command, s.Args}
	}
	return "", args
}

// again returns a workload as other rules recognise it.
func (r *recogniser) again(w *Workload) *Workload {
	out := *w
	out.Component, out.Signs, out.handler = "", false, false
	out.Containers = slices.Clone(w.Containers)
	for i := range out.Containers {
		out.Containers[i].SDK, out.Containers[i].component = false, ""
	}
	r.recognise(&out)
	return &out
}

// container decides what one container is, and with it perhaps the pod.
func (r *recogniser) container(w *Workload, c *Container) {
	name := repositoryName(c.image)
	known, ok := lookupComponent(name)
	if ok {
		c.component = name
	}
	if role, byRule := r.byImage(c.image); byRule {
		known, ok = component{role, role == RoleSDK}, true
	}
	switch {
	case ok && known.role == RoleSDK && !c.handler:
		c.SDK = true
	case sets(c, SettingSigningKeyPath), sets(c, SettingVerificationDir):
		// Only the SDK reads these names: the hub's have a prefix.
		c.SDK = true
	case !ok && sets(c, SettingILPSecret):
		c.SDK = true
	}
	if c.SDK {
		w.Role, w.Component, w.Signs = RoleSDK, componentSDK, true
		return
	}
	// An init container that waits for a database does not make the pod one.
	if !ok || c.Kind != MainContainer {
		return
	}
	if known.role == RoleSDK { // an event handler
		known, w.handler = component{RoleBackend, false}, true
	}
	if rank(known.role) > rank(w.Role) {
		w.Role, w.Component, w.Signs = known.role, name, known.signs
	}
}

// rank orders roles by how much they ask of a pod; the highest of its
// containers decides.
func rank(r Role) int {
	return slices.Index([]Role{RoleOther, RoleDatastore, RoleToolkit, RoleBackend, RoleHub, RoleSDK}, r)
}

func sets(c *Container, name string) bool {
	return slices.ContainsFunc(c.Settings, func(s Setting) bool { return s.Name == name })
}

// isEventHandler tells the SDK's bulk event handlers from its API service:
// same image, other start script, and they sign nothing. The whole command line
// must be that of the chart: a shell could start anything beside it, and so can
// another package.json, or a variable that tells npm what to start.
func isEventHandler(c *corev1.Container) bool {
	const scripts = hubWorkingDir + "/package.json"
	if c.WorkingDir != "" && c.WorkingDir != hubWorkingDir ||
		slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return isBelow(scripts, cleanMountPath(m.MountPath)) }) ||
		slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool {
			name := strings.ToLower(e.Name)
			return name == "node_options" || name == "path" || strings.HasPrefix(name, "npm_") || strings.HasPrefix(name, "yarn_")
		}) {
		return false
	}
	command, args := c.Command, c.Args
	if n := len(command) + len(args); n < 2 || n > 3 {
		return false
	}
	line := slices.Concat(command, args)
	if len(line) == 3 && line[1] == "run" {
		line = []string{line[0], line[2]}
	}
	return len(line) == 2 && (line[0] == "yarn" || line[0] == "npm") &&
		(line[1] == "start:cmd-evt-handler" || line[1] == "start:dom-evt-handler")
}

func lookupComponent(name string) (component, bool) {
	if c, ok := components[name]; ok {
		return c, true
	}
	for _, p := range componentPrefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.component, true
		}
	}
	return component{}, false
}

// repositoryName is the last element of an image name, without registry, tag
// and digest.
func repositoryName(image string) string {
	image = repository(image)
	return image[strings.LastIndexByte(image, '/')+1:]
}

// repository is the name of an image without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

func (r *recogniser) byImage(repository string) (Role, bool) {
	for _, rule := range r.rules {
		for _, want := range rule.Images {
			if repository == want || strings.HasSuffix(repository, "/"+want) {
				return Role(rule.Role), true
			}
		}
	}
	return "", false
}

// byLabels recognises a pod by its labels, where they ask for more than its
// images do: a known sidecar does not hide what the pod says it is.
func (r *recogniser) byLabels(w *Workload, labels map[string]string) {
	if w.handler { // the SDK's chart labels its event handlers alike
		return
	}
	set := func(name string, c component) {
		if rank(c.role) <= rank(w.Role) || (w.Role != RoleOther && c.role != RoleSDK) {
			return
		}
		w.Role, w.Component, w.Signs = c.role, name, c.signs
		if c.role == RoleSDK {
			w.Component = componentSDK
			w.markUnknownContainers()
		}
	}
	for _, rule := range r.rules {
		if len(rule.Labels) > 0 && isSubset(rule.Labels, labels) || slices.Contains(rule.Names, labels[labelAppName]) {
			set(labels[labelAppName], component{Role(rule.Role), rule.Role == v1alpha1.RoleSDK})
			return
		}
	}
	name := labels[labelAppName]
	if c, ok := lookupComponent(name); ok {
		set(name, c)
		return
	}
	switch {
	case simSDK.MatchString(name):
		set(name, component{RoleSDK, true})
		return
	case simBackend.MatchString(name):
		set(name, component{RoleBackend, false})
		return
	case simCache.MatchString(name):
		set(name, component{RoleDatastore, false})
		return
	}
	if chart := labels[labelChart]; chart != "" {
		name := chartName(chart)
		if c, ok := lookupComponent(name); ok {
			set(name, c)
			return
		}
	}
	if labels[labelComponent] == componentSDK {
		set(componentSDK, components[componentSDK])
	}
}

// markUnknownContainers marks the SDK containers of a pod that only labels
// recognise: the main ones whose image is nothing else, else the first.
func (w *Workload) markUnknownContainers() {
	var first *Container
	marked := false
	for i := range w.Containers {
		c := &w.Containers[i]
		if c.Kind != MainContainer || isIstioContainer(c.Name, c.image) {
			continue
		}
		if first == nil {
			first = c
		}
		if c.component == "" && (first == c || sets(c, SettingDFSPID)) {
			c.SDK, marked = true, true
		}
	}
	if !marked && first != nil {
		first.SDK = true
	}
}

// refineHub tells apart services that share an image, such as the API service
// and the notification handler of ml-api-adapter.
func (r *recogniser) refineHub(w *Workload, labels map[string]string) {
	names := []string{labels[labelAppName], chartName(labels[labelChart])}
	for i := range w.Containers {
		if w.Containers[i].Kind == MainContainer {
			names = append(names, w.Containers[i].Name)
		}
	}
	for _, name := range names {
		if c, ok := lookupComponent(name); ok && c.role == RoleHub && name != w.Component {
			w.Component, w.Signs = name, c.signs
			return
		}
	}
}

// chartName cuts the version off a helm.sh/chart label.
func chartName(chart string) string {
	for i := len(chart) - 1; i > 0; i-- {
		if chart[i-1] == '-' && chart[i] >= '0' && chart[i] <= '9' && strings.Contains(chart[i:], ".") {
			return chart[:i-1]
		}
	}
	return chart
}

func isSubset(want, have map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// dfspOfLabels reads the DFSP a pod says it belongs to.
func (r *recogniser) dfspOfLabels(labels map[string]string) (dfsp, key string) {
	for _, rule := range r.rules {
		if v := labels[rule.DFSPLabel]; v != "" {
			return v, rule.DFSPLabel
		}
	}
	for _, key := range []string{LabelDFSP, "dfsp"} {
		if v := labels[key]; v != "" {
			return v, key
		}
	}
	for _, re := range []*regexp.Regexp{simSDK, simBackend, simCache} {
		if m := re.FindStringSubmatch(labels[labelAppName]); m != nil {
			return m[1], labelAppName
		}
	}
	return "", ""
}

// isJob tells what runs to an end. Owner references are not asked: whoever
// writes the pod writes them.
func isJob(kind string, meta *metav1.ObjectMeta, restart corev1.RestartPolicy) bool {
	if kind == "Job" || kind == "CronJob" {
		return true
	}
	_, hook := meta.Annotations[annotationHook]
	return hook && kind == "Pod" && restart != corev1.RestartPolicyAlways && restart != ""
}
