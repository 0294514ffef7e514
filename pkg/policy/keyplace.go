package policy

import (
	"k8s.io/apimachinery/pkg/runtime"
)

// SecretNameFor fills a DFSP into a name pattern of the Profile, such as
// "{dfsp}-jws-keys", as the Injector does: in lower case. It is false when that
// makes no name of a Secret.
func SecretNameFor(pattern, dfsp string) (string, bool) { return forDFSP(pattern, dfsp) }

// KeyPlace is the entry of a Secret that a workload reads its signing key or its
// ILP secret from.
type KeyPlace struct {
	// DFSP is who the workload is; the hub's own name for the hub. "" when it
	// cannot be told.
	DFSP string
	Role Role
	// Workload is who reads it, Container where.
	Workload  Ref
	Container string
	// Secret and Key name the entry. They are empty where nothing is mounted or
	// set, so that the Injector or the image decides.
	Secret, Key string
	// Elsewhere says what it is read from when that is no Secret; "" else.
	Elsewhere string
	// External tells that the SDK gets its keys over a websocket.
	External bool
}

// SigningKeyPlaces returns where the containers of a workload that sign read
// their key from; none for an object that makes no pods or does not sign.
func SigningKeyPlaces(obj runtime.Object, snap *Snapshot) []KeyPlace {
	w, ok := snap.workloadOf(obj)
	if !ok || !w.Signs {
		return nil
	}
	if w.Role == RoleHub && !declaresSigningKey(w) && !snap.signs(w) {
		return nil
	}
	base := snap.placeOf(w)
	var out []KeyPlace
	for _, c := range w.SDKs() {
		if w.Role == RoleSDK && snap.usesExternalKeys(w, c) {
			p := base
			p.Container, p.External = c.Name, true
			out = append(out, p)
		}
	}
	for _, k := range snap.signingKeys(w) {
		p := base
		p.Container = k.container.Name
		switch {
		case k.path.Presence == Unknown || k.path.Presence == Present && !k.path.IsText:
			p.Elsewhere = "a path that is not known"
		case k.target.Kind == VolumeNone: // the Injector mounts the Profile's Secret, unless a path is set
			if k.path.Setting != nil && k.path.Presence == Present {
				p.Elsewhere = "the image (" + quotedPath(k.target.Path) + ")"
			}
		case len(k.target.Origins) == 1 && k.target.Origins[0].Source == FromSecret && k.target.Origins[0].Key != "":
			p.Secret, p.Key = k.target.Origins[0].Object, k.target.Origins[0].Key
		default:
			p.Elsewhere = article(k.target.Kind) + " " + string(k.target.Kind)
		}
		out = append(out, p)
	}
	return out
}

// ILPSecretPlaces returns where the SDK containers of a workload take their ILP
// secret from.
func ILPSecretPlaces(obj runtime.Object, snap *Snapshot) []KeyPlace {
	w, ok := snap.workloadOf(obj)
	if !ok || w.Role != RoleSDK {
		return nil
	}
	base := snap.placeOf(w)
	var out []KeyPlace
	for _, c := range w.SDKs() {
		p := base
		p.Container = c.Name
		switch v := snap.Value(w, c, SettingILPSecret); {
		case v.Setting == nil: // the Injector sets it
		case v.Setting.Source == FromSecret:
			p.Secret, p.Key = v.Setting.Object, v.Setting.Key
		case v.Setting.Source == FromConfigMap:
			p.Elsewhere = "ConfigMap " + v.Setting.Object
		default:
			p.Elsewhere = "the pod template"
		}
		out = append(out, p)
	}
	return out
}

// placeOf says who a workload is.
func (s *Snapshot) placeOf(w *Workload) KeyPlace {
	p := KeyPlace{Role: w.Role, Workload: w.Ref}
	if id := s.DFSP(w); id.Presence == Present && id.IsText {
		p.DFSP = id.Text
	}
	return p
}

// workloadOf recognises an object that makes pods.
func (s *Snapshot) workloadOf(obj runtime.Object) (*Workload, bool) {
	m, ok := podOf(obj)
	if !ok {
		return nil, false
	}
	return s.workload(RefOf(obj), m), true
}
