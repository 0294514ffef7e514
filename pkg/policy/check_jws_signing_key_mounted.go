package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// jws-signing-key-mounted: the path the signer reads (JWS_SIGNING_KEY_PATH, or
// the default below the working directory) leads to a file of a Secret, a
// projected Secret or a CSI volume of a secrets store, and the key exists there.
var checkJWSSigningKeyMounted = Check{
	ID: "jws-signing-key-mounted", Category: CategoryJWS, Severity: Error, Injected: true,
	Title: "the JWS signing key is mounted from a Secret",
	Fix:   "mount the Secret with the DFSP's key and set JWS_SIGNING_KEY_PATH to the file in it; to make one: `" + generateJWS + "`",
	Doc: `The signer reads its private key from ` + "`JWS_SIGNING_KEY_PATH`" + `; a relative path starts at the working
directory (` + "`/opt/app/modules/api-svc`" + ` in the SDK's image). The check follows the path as the kubelet
mounts it: the longest mount wins, sub-paths, items and optional sources are followed.

The SDK's image contains a demo key at the default path. A chart that mounts the real key somewhere
else leaves a pod that looks healthy and signs with a key the whole world has. Hence the path must
lead to a Secret, a projected Secret or a CSI volume of a secrets store: not to the image, an
emptyDir, a hostPath, a directory or a ConfigMap. What another CSI driver mounts, or a
` + "`subPathExpr`" + ` with a variable that mojasec does not read, is unknown. Hub services are judged when
their configuration says that they sign.

A command line that sets the path itself, and a mounted ` + "`.env`" + ` where the variable is not set, fail.

In namespaces with ` + "`mojasec.io/mode: enforce`" + ` mojasec mounts the Secret of the Profile where a pod
mounts nothing.`,
	Run: func(sub *Subject, snap *Snapshot) Result {
		if !signsByRole(sub) {
			return notApplicable
		}
		w := sub.Workload
		if w.Role == RoleHub {
			if on, presence := snap.hubSwitch(w, hubJWSSign); !declaresSigningKey(w) {
				switch {
				case presence == Unknown:
					return unknown(on.missing)
				case presence == Absent || !on.on:
					return notApplicable // jws-signing-enabled speaks about it
				}
			}
		}
		return sub.eachKey(func(k *keyAt) Result { return mountedKey(sub, k, snap) })
	},
}

// mountedKey judges one signing key.
func mountedKey(sub *Subject, k *keyAt, snap *Snapshot) Result {
	if k.container == nil {
		return notApplicable
	}
	if sub.Workload.Role == RoleSDK {
		if p, ok := k.container.onCommandLine(sub.Workload, SettingSigningKeyPath); ok {
			return failed(Violation{Field: p, Detail: fmt.Sprintf("container %s changes %s on its command line, where no rule can follow it; set it in env", k.container.Name, SettingSigningKeyPath)})
		}
		if file, ok := snap.dotenv(sub.Workload, k.container); ok && k.path.Presence == Absent {
			return failed(Violation{Field: settingPath(sub.Workload, k.container, k.path, SettingSigningKeyPath), Detail: fmt.Sprintf("container %s does not set %s, and a volume provides %s, which may; set it in env", k.container.Name, SettingSigningKeyPath, quotedPath(file))})
		}
	}
	if k.target.Path == "" {
		return unknown(k.missing)
	}
	if v, bad := badMount(snap, sub.Workload, k); bad {
		v.Fix = keyFix(sub, snap)
		return failed(v)
	}
	if driver := sub.Workload.unknownDriver(&k.target); driver != (Fact{}) {
		return unknown(driver)
	}
	// A Secret that is not known but must exist holds the key. One of several
	// sources may not be the one that does.
	if k.presence == Unknown && (k.origin.Optional || k.origin.Unresolved != "" || len(k.target.Origins) > 1) {
		return unknown(k.missing)
	}
	return passed()
}

// signsByRole tells whether the checks of signing keys apply to a subject.
func signsByRole(sub *Subject) bool {
	return len(sub.keys) > 0 && (sub.Workload.Role == RoleSDK || !sub.Workload.Job)
}

// declaresSigningKey tells that a hub pod has the chart's volume for the key,
// which is there only when signing is on.
func declaresSigningKey(w *Workload) bool {
	for _, v := range w.Volumes {
		if v.Name == "jws-signing-key" {
			return true
		}
	}
	return false
}

// badMount says what is wrong with where a signing key is read from.
func badMount(snap *Snapshot, w *Workload, k *keyAt) (Violation, bool) {
	t := &k.target
	at := func() *field.Path { return k.container.Path(w) }
	mount := func() *field.Path {
		if k.path.Presence == Present && k.path.Setting != nil {
			return k.path.Setting.Path(at())
		}
		return t.MountPath(at())
	}
	bad := func(p *field.Path, format string, args ...any) (Violation, bool) {
		where := fmt.Sprintf("container %s reads its signing key from %s", k.container.Name, quotedPath(t.Path))
		return Violation{Field: p, Detail: where + ", " + fmt.Sprintf(format, args...)}, true
	}
	switch t.Kind {
	case VolumeNone:
		if w.Role == RoleSDK {
			return bad(mount(), "where no volume is mounted: the image has a published demo key there")
		}
		return bad(mount(), "where no volume is mounted")
	case VolumeMissing:
		return bad(t.MountPath(at()).Child("name"), "on volume %q that the pod does not declare", t.Mount.Name)
	case VolumeCSI:
		return Violation{}, false
	case VolumeSecret, VolumeProjected:
	default:
		return bad(t.MountPath(at()), "which is on %s %s; want a Secret", article(t.Kind), t.Kind)
	}
	if len(t.Origins) == 0 {
		return bad(w.PodPath.Child("spec", "volumes").Index(t.VolumeIndex), "but the items of volume %q do not put a file there", t.Mount.Name)
	}
	if t.Origins[0].isDirectory() {
		return bad(mount(), "which is a directory; want the file of the key in it")
	}
	if o := notSecret(k); o != nil {
		source := o.Object
		if o.Source == FromConfigMap {
			source = "a ConfigMap"
		}
		return bad(t.MountPath(at()), "which is projected from %s; want a Secret", source)
	}
	if k.presence == Absent {
		return missingKey(snap, w, k, bad)
	}
	return Violation{}, false
}

// notSecret returns the source of a signing key when it is no Secret.
func notSecret(k *keyAt) *Origin {
	secret := func(o Origin) bool { return o.Source == FromSecret }
	switch {
	case !slices.ContainsFunc(k.target.Origins, secret):
		return &k.target.Origins[0]
	case k.presence != Unknown && k.origin != nil && k.origin.Source != FromSecret:
		return k.origin
	}
	return nil
}

// missingKey tells a Secret that does not exist from one without the key.
func missingKey(snap *Snapshot, w *Workload, k *keyAt, bad func(*field.Path, string, ...any) (Violation, bool)) (Violation, bool) {
	at := w.PodPath.Child("spec", "volumes").Index(k.target.VolumeIndex)
	if len(k.target.Origins) > 1 {
		names := make([]string, 0, len(k.target.Origins))
		for _, o := range k.target.Origins {
			names = append(names, string(o.Source.fact("", "").Kind)+" "+o.Object)
		}
		return bad(at, "but none of its sources has key %q (%s)", k.target.Origins[0].Key, strings.Join(names, ", "))
	}
	o := k.target.Origins[0]
	data, presence := snap.data(o.Source, w.Ref.Namespace, o.Object)
	if presence != Present {
		return bad(at, "but Secret %s does not exist in namespace %s", o.Object, w.Ref.Namespace)
	}
	if len(data.Entries) == 0 {
		return bad(at, "but Secret %s has no key %q (it is empty)", o.Object, o.Key)
	}
	keys := make([]string, 0, len(data.Entries))
	for _, e := range data.Entries {
		keys = append(keys, e.Key)
	}
	return bad(at, "but Secret %s has no key %q (it has %s)", o.Object, o.Key, strings.Join(keys, ", "))
}

func article(k VolumeKind) string {
	if k == VolumeEmptyDir {
		return "an"
	}
	return "a"
}

// generateJWS and generateILP are the commands that make what a DFSP lacks.
const (
	generateJWS = "kubectl mojasec generate jws dfsp/ID -n NAMESPACE --apply"
	generateILP = "kubectl mojasec generate ilp-secret dfsp/ID -n NAMESPACE --apply"
)

// generateFor is one of these commands for a DFSP.
func generateFor(command, ns, dfsp string) string {
	return "`" + strings.NewReplacer("dfsp/ID", "dfsp/"+dfsp, "NAMESPACE", ns).Replace(command) + "`"
}

// keyFix names the Secret of the DFSP; "" when the DFSP is not known or the
// pod is the hub's, whose charts name it.
func keyFix(sub *Subject, snap *Snapshot) string {
	id := snap.DFSP(sub.Workload)
	if id.Presence != Present || id.Text == "" || sub.Workload.Role != RoleSDK {
		return ""
	}
	p := &snap.profile.JWS
	name, ok := forDFSP(p.SecretName, id.Text)
	if !ok {
		return ""
	}
	return fmt.Sprintf("mount Secret %s at %s and set JWS_SIGNING_KEY_PATH to %[2]s/%[3]s; to make the Secret: %[4]s",
		name, p.MountPath, p.KeyFile, generateFor(generateJWS, sub.Ref.Namespace, id.Text))
}
