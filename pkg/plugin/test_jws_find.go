package plugin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
)

// jwsSource is whose key is tried.
type jwsSource struct {
	FSP string `json:"fsp"`
	// Key is the fingerprint of its public half, From the Secret or file.
	Key       string `json:"key,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	From      string `json:"from,omitempty"`
	// Problem is why there is no key to try.
	Problem string `json:"problem,omitempty"`
	Hint    string `json:"hint,omitempty"`

	key   *jws.PrivateKey
	entry *policy.SigningEntry
}

// target is how the source is named on a command line.
func (s *jwsSource) target() string {
	if s.entry != nil && s.entry.Hub {
		return targetHub
	}
	return targetDFSP + s.FSP
}

// findSources reads the keys to try.
func (o *TestJWSOptions) findSources(ctx context.Context, answer *jwsAnswer, read *keysRead) error {
	if o.Key != nil {
		answer.Sources = append(answer.Sources, &jwsSource{
			FSP: o.Source, Key: o.Key.Fingerprint().String(), Algorithm: string(o.Key.Algorithm()), From: "the file of --key", key: o.Key,
		})
		return nil
	}
	for i := range read.ring.Signing {
		e := &read.ring.Signing[i]
		if !e.Signed() || !o.asks(e) {
			continue
		}
		s, err := o.readSource(ctx, e)
		if err != nil {
			return err
		}
		same := func(have *jwsSource) bool { return have.FSP == s.FSP && have.Key == s.Key && have.Problem == s.Problem }
		if !slices.ContainsFunc(answer.Sources, same) {
			answer.Sources = append(answer.Sources, s)
		}
	}
	for _, t := range o.Targets {
		if !slices.ContainsFunc(answer.Sources, func(s *jwsSource) bool { return t.ofKey(s.entry) }) {
			problem := fmt.Sprintf("nobody signs as %s %s", t, o.where())
			if read.blind {
				problem = read.missingText("of "+t.String(), o.where())
			}
			answer.Sources = append(answer.Sources, &jwsSource{
				FSP: cmp.Or(t.Name, t.String()), Problem: problem, Hint: "look for it everywhere: " + displayName + " keys list -A",
				entry: &policy.SigningEntry{},
			})
		}
	}
	if len(answer.Sources) == 0 && read.blind {
		return &ExitError{Code: Incomplete, Err: fmt.Errorf("find the keys of all DFSPs: %s", read.missingText("of a DFSP", o.where()))}
	}
	if len(answer.Sources) == 0 {
		return fmt.Errorf("find the keys of all DFSPs: nobody signs %s; look everywhere with -A", o.where())
	}
	return nil
}

func (o *TestJWSOptions) where() string {
	if len(o.Namespaces) == 0 {
		return "in any namespace"
	}
	return "in namespace " + strings.Join(o.Namespaces, ", ")
}

func (o *TestJWSOptions) asks(e *policy.SigningEntry) bool {
	if o.AllDFSPs {
		return !e.Hub && e.DFSP != ""
	}
	return slices.ContainsFunc(o.Targets, func(t Target) bool { return t.ofKey(e) })
}

// readSource reads a private key from its Secret.
func (o *TestJWSOptions) readSource(ctx context.Context, e *policy.SigningEntry) (*jwsSource, error) {
	s := &jwsSource{FSP: e.DFSP, entry: e}
	problem := func(text, hint string) (*jwsSource, error) {
		s.Problem, s.Hint = visible(text), visible(hint)
		return s, nil
	}
	const fromFile = "try a key from a file: --key FILE --source ID"
	switch {
	case e.External:
		return problem("its key comes from the connection manager", fromFile)
	case e.DFSP == "":
		return problem("it is not known who signs with "+e.Object.Name, fromFile)
	case e.Elsewhere != "":
		return problem("its key comes from "+e.Elsewhere, fromFile)
	case e.Object.Kind != "Secret":
		return problem(fmt.Sprintf("its key is in a %s, want a Secret", e.Object.Kind), displayName+" verify --only private-key-in-clear")
	}
	s.From = fmt.Sprintf("Secret %s/%s, %s", e.Namespace, e.Object.Name, e.Entry)
	tree, err := o.cluster.read(ctx, kindOf("", "Secret"), e.Namespace, e.Object.Name)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return problem(err.Error(), "")
	case tree == nil:
		return problem(s.From+": there is no such Secret", displayName+" generate jws "+s.target())
	}
	text, err := secretValue(tree, e.Entry)
	if err != nil {
		return problem(s.From+": "+err.Error(), displayName+" generate jws "+s.target())
	}
	key, err := jws.ParsePrivateKey(text)
	if err != nil {
		return problem(s.From+": "+err.Error(), displayName+" keys show "+s.target())
	}
	s.key, s.Key, s.Algorithm = key, key.Fingerprint().String(), string(key.Algorithm())
	return s, nil
}

// secretValue returns an entry of a Secret. No error has any of it.
func secretValue(tree *unstructured.Unstructured, entry string) ([]byte, error) {
	encoded, found, err := unstructured.NestedString(tree.Object, "data", entry)
	if err != nil || !found {
		return nil, fmt.Errorf("there is no entry %q", entry)
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("the entry is not base64")
	}
	return text, nil
}

// podJobs are the pods to ask about a key.
func (o *TestJWSOptions) podJobs(source *jwsSource, pods []*corev1.Pod, snap *policy.Snapshot) []*probeJob {
	var jobs []*probeJob
	for _, pod := range pods {
		w := snap.Pod(pod.Namespace, pod.Name)
		if w == nil {
			continue // it came after the rest was read
		}
		who := snap.DFSP(w)
		if w.Role == policy.RoleSDK && who.Text == source.FSP || !o.isPeer(pod, w, who.Text) {
			continue // nobody verifies messages of its own
		}
		for _, v := range snap.VerifiersOf(w, source.FSP) {
			jobs = append(jobs, o.podJob(source, pod, w, who.Text, &v, snap))
		}
	}
	return jobs
}

// livePods reads the pods with what runs in them, which a snapshot leaves out.
func (o *TestJWSOptions) livePods(ctx context.Context) ([]*corev1.Pod, error) {
	namespaces := o.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	var pods []*corev1.Pod
	for _, ns := range namespaces {
		trees, err := o.list(ctx, kindOf("", "Pod"), ns, "")
		if err != nil {
			return nil, err
		}
		for i := range trees {
			pod := &corev1.Pod{}
			if err := fromTree(&trees[i], pod); err != nil {
				return nil, err
			}
			if isAlive(pod) {
				pods = append(pods, pod)
			}
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return pods, nil
}

func isAlive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

func (o *TestJWSOptions) isPeer(pod *corev1.Pod, w *policy.Workload, dfsp string) bool {
	if len(o.Peers) == 0 {
		return true
	}
	return slices.ContainsFunc(o.Peers, func(t Target) bool {
		switch t.Kind {
		case TargetDFSP:
			return w.Role == policy.RoleSDK && dfsp == t.Name
		case TargetHub:
			return w.Role == policy.RoleHub
		case TargetDeployment:
			kind, name := rollableOf(pod)
			return kind == kindDeployment && name == t.Name
		}
		return false
	})
}

// rollableOf returns what to restart for a pod; "" when there is nothing. A
// ReplicaSet bears the name of its Deployment and the hash of the template.
func rollableOf(pod *corev1.Pod) (kind, name string) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return "", ""
	}
	switch owner.Kind {
	case "ReplicaSet":
		if name, ok := strings.CutSuffix(owner.Name, "-"+pod.Labels["pod-template-hash"]); ok {
			return kindDeployment, name
		}
	case "StatefulSet", "DaemonSet":
		return owner.Kind, owner.Name
	}
	return "", ""
}

// hubResources are what the services of a hub take, and on which port by
// default.
var hubResources = map[string]struct {
	resource string
	port     int
}{
	"account-lookup-service": {"participants", 4002},
	"ml-api-adapter-service": {"transfers", 3000},
	"quoting-service":        {"quotes", 3002},
}

// defaultSDKPort is where an SDK takes messages from its peers, unless
// settingSDKPort says otherwise.
const (
	defaultSDKPort = 4000
	settingSDKPort = "INBOUND_LISTEN_PORT"
)

func (o *TestJWSOptions) podJob(source *jwsSource, pod *corev1.Pod, w *policy.Workload, dfsp string, v *policy.Verifier, snap *policy.Snapshot) *probeJob {
	out := &jwsVerifier{
		Name: pod.Namespace + "/" + pod.Name, Container: v.Container.Name, DFSP: visible(dfsp), Component: visible(w.Component),
		Source: source.FSP, Key: source.Key, restart: restartOf(pod), target: source.target(), file: source.FSP + ".pem",
		presence: v.Presence, external: v.External,
	}
	if v.HasKey {
		out.Mounted = v.Key.Fingerprint.String()
	}
	if v.Data != (policy.Ref{}) {
		out.MountedFrom = fmt.Sprintf("%s %s/%s", v.Data.Kind, v.Data.Namespace, v.Data.Name)
	}
	job := &probeJob{verifier: out, source: source, pod: pod, resource: o.Resource}
	port, scheme := defaultSDKPort, "http"
	if w.Role == policy.RoleHub {
		port = hubResources[w.Component].port
		if c := containerOf(pod, v.Container.Name); c != nil && len(c.Ports) > 0 {
			port = int(c.Ports[0].ContainerPort)
		}
		job.resource = cmp.Or(o.Resource, hubResources[w.Component].resource)
	} else {
		job.destination = dfsp
		port = portOf(containerOf(pod, v.Container.Name))
		if on, known := snap.Value(w, v.Container, policy.SettingInboundTLS).Switch(false); on && known {
			scheme = "https"
		}
	}
	if o.Port != 0 {
		port = o.Port
	}
	job.url = fmt.Sprintf("%s://%s:%d", scheme, pod.Name, port)
	switch {
	case v.Known && !v.Verifies:
		out.skip("its settings say that it does not verify: VALIDATE_INBOUND_JWS is off")
	case pod.Status.Phase != corev1.PodRunning:
		out.notAvailable("the pod is "+cmp.Or(string(pod.Status.Phase), "not started"), "wait until it runs")
	case scheme == "https" && o.Certificate == nil:
		out.notAvailable("it takes mutual TLS of its own only (INBOUND_MUTUAL_TLS_ENABLED)",
			"show a certificate that it accepts: --cert FILE --key-tls FILE --ca FILE")
	}
	return job
}

// portOf is where an SDK takes messages, as far as its pod says so itself.
func portOf(c *corev1.Container) int {
	if c == nil {
		return defaultSDKPort
	}
	for _, env := range slices.Backward(c.Env) { // the last one counts
		if n, err := strconv.Atoi(env.Value); err == nil && env.Name == settingSDKPort {
			return n
		}
	}
	return defaultSDKPort
}

func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == name {
			return c
		}
	}
	return nil
}

// restartOf is the command that makes a pod read its keys again.
func restartOf(pod *corev1.Pod) string {
	if kind, name := rollableOf(pod); name != "" {
		return fmt.Sprintf("kubectl rollout restart %s/%s -n %s", strings.ToLower(kind), name, pod.Namespace)
	}
	return fmt.Sprintf("kubectl delete pod %s -n %s", pod.Name, pod.Namespace)
}

// noteSigners says what cannot be asked: what the pods of a source sign with.
// They read their key once, when they start.
func (o *TestJWSOptions) noteSigners(answer *jwsAnswer, pods []*corev1.Pod, snap *policy.Snapshot) {
	for _, s := range answer.Sources {
		if s.key == nil {
			continue
		}
		var old []string
		for _, pod := range pods {
			if pod.Namespace != s.entry.Namespace || s.entry.Since.IsZero() || s.entry.AtLeast {
				continue
			}
			if slices.ContainsFunc(policy.SigningKeyPlaces(pod, snap), func(p policy.KeyPlace) bool {
				return p.DFSP == s.FSP && p.Secret == s.entry.Object.Name && startedBefore(pod, p.Container, s.entry)
			}) {
				old = append(old, pod.Name)
			}
		}
		if len(old) > 0 {
			slices.Sort(old)
			answer.Notes = append(answer.Notes, fmt.Sprintf("%s: %s started before this key came into use on %s, and %s with the one before until it is restarted",
				s.FSP, orListAll(old), s.entry.Since.UTC().Format("2006-01-02 15:04"), plural(len(old), "signs", "sign")))
		}
	}
	answer.Notes = append(answer.Notes, "what the pods of a source sign with shows only in the messages that they send")
}

func startedBefore(pod *corev1.Pod, container string, e *policy.SigningEntry) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == container && c.State.Running != nil {
			return c.State.Running.StartedAt.Time.Before(e.Since)
		}
	}
	return false
}

// orListAll joins words: a, b and c.
func orListAll(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
