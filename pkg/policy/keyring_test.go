package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/crypto"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

func keyringOf(tweak func(*fixtures.Scheme)) policy.Keyring {
	s := fixtures.NewScheme()
	if tweak != nil {
		tweak(s)
	}
	return policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("x")}, s.Objects()).Keyring()
}

// describe says in a line what is noteworthy about a signing key.
func describe(e *policy.SigningEntry) string {
	words := []string{e.DFSP}
	add := func(when bool, word string) {
		if when {
			words = append(words, word)
		}
	}
	add(e.Hub, "hub")
	add(e.Injected, "injected")
	add(e.Elsewhere != "", "from "+e.Elsewhere)
	add(e.Presence == policy.Absent, "absent")
	add(e.Presence == policy.Unknown, "unknown")
	add(e.Problem != nil, "unusable")
	add(e.Published, "published")
	add(len(e.SharedWith) > 0, "shared with "+strings.Join(e.SharedWith, " "))
	add(e.Old, "old")
	add(e.AtLeast, "or older")
	add(e.Exposed, "exposed")
	add(e.HasKey && len(e.Users) == 0, "unmounted")
	add(e.HasKey && len(e.Users) > 0 && !e.Signed(), "unused")
	for _, u := range e.Users {
		if !u.Signs {
			words = append(words, "seen by "+u.Workload.Name+" at "+u.Path)
		}
	}
	return strings.Join(words, ", ")
}

func secretOf(name, entry string, value []byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: fixtures.Namespace, Name: name}, Data: map[string][]byte{entry: value},
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	const hub, one, two = "Hub, hub", "perffsp-1", "perffsp-2"
	tests := []struct {
		name  string
		tweak func(*fixtures.Scheme)
		want  []string
		// match is how the verification keys of the two DFSPs compare.
		match [2]policy.Match
	}{
		{name: "all is well", want: []string{hub, one, two}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent}},
		{
			name:  "the Secret is gone",
			tweak: func(s *fixtures.Scheme) { s.Without = append(s.Without, "Secret/"+s.JWS1.Name) },
			want:  []string{hub, "perffsp-1, absent", two}, match: [2]policy.Match{policy.MatchExternal, policy.MatchCurrent},
		},
		{
			name:  "two DFSPs share a key",
			tweak: func(s *fixtures.Scheme) { s.JWS2.Data = s.JWS1.Data },
			want:  []string{hub, "perffsp-1, shared with perffsp-2", "perffsp-2, shared with perffsp-1"}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchOther},
		},
		{
			name: "peers hold it for another",
			tweak: func(s *fixtures.Scheme) {
				s.VerificationKeys.Data["stranger.pem"] = s.VerificationKeys.Data["perffsp-1.pem"]
			},
			want: []string{hub, "perffsp-1, shared with stranger", two}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
		{
			name: "peers hold another key",
			tweak: func(s *fixtures.Scheme) {
				s.VerificationKeys.Data["perffsp-1.pem"] = string(fixtures.NewKeyPair().Public)
			},
			want: []string{hub, one, two}, match: [2]policy.Match{policy.MatchOther, policy.MatchCurrent},
		},
		{
			name:  "nobody runs",
			tweak: func(s *fixtures.Scheme) { s.Without = append(s.Without, "Deployment/"+s.SDK1.Name) },
			want:  []string{hub, "perffsp-1, unmounted", two}, match: [2]policy.Match{policy.MatchUnused, policy.MatchCurrent},
		},
		{
			name: "nobody runs, and peers hold another key",
			tweak: func(s *fixtures.Scheme) {
				s.Without = append(s.Without, "Deployment/"+s.SDK1.Name)
				s.VerificationKeys.Data["perffsp-1.pem"] = string(fixtures.NewKeyPair().Public)
			},
			want: []string{hub, "perffsp-1, unmounted", two}, match: [2]policy.Match{policy.MatchOther, policy.MatchCurrent},
		},
		{
			name: "a spare key, while peers hold the right one",
			tweak: func(s *fixtures.Scheme) {
				spare := secretOf("spare", "jwsSigningKey.pem", fixtures.NewKeyPair().Private)
				spare.Labels = map[string]string{"mojasec.io/dfsp": "perffsp-1"}
				s.More = append(s.More, spare)
			},
			want: []string{hub, one, "perffsp-1, unmounted", two}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
		{
			name: "the private half among the public ones",
			tweak: func(s *fixtures.Scheme) {
				s.VerificationKeys.Data["perffsp-1.pem"] = string(s.JWS1.Data["jwsSigningKey.pem"])
			},
			want: []string{hub, "perffsp-1, exposed", two}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
		{
			name: "a key by the name of its Secret",
			tweak: func(s *fixtures.Scheme) {
				s.More = append(s.More, secretOf("bank-jws-keys", "jwsSigningKey.pem", fixtures.NewKeyPair().Private))
			},
			want: []string{"bank, unmounted", hub, one, two}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
		{
			name: "a TLS key is none for JWS",
			tweak: func(s *fixtures.Scheme) {
				s.More = append(s.More, secretOf("gateway-tls", "tls.key", fixtures.NewKeyPair().Private))
			},
			want: []string{hub, one, two}, match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
		{
			name: "the signing key under another name",
			tweak: func(s *fixtures.Scheme) {
				s.More = append(s.More, secretOf("backup", "old", s.JWS1.Data["jwsSigningKey.pem"]))
			},
			want:  []string{hub, one, "perffsp-1, unmounted", two},
			match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
		{
			name: "a key that cannot be used",
			tweak: func(s *fixtures.Scheme) {
				s.JWS1.Data["jwsSigningKey.pem"] = []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
			},
			want: []string{hub, "perffsp-1, unusable", two}, match: [2]policy.Match{policy.MatchUnknown, policy.MatchCurrent},
		},
		{
			name: "another workload mounts it",
			tweak: func(s *fixtures.Scheme) {
				pod := s.SDK1.DeepCopy()
				pod.Name, pod.Labels, pod.Spec.Template.Labels = "thief", nil, map[string]string{"app": "thief"}
				spec := &pod.Spec.Template.Spec
				spec.InitContainers, spec.Containers = nil, []corev1.Container{{
					Name: "web", Image: "nginx", VolumeMounts: []corev1.VolumeMount{{Name: "stolen", MountPath: "/loot"}},
				}}
				spec.Volumes = []corev1.Volume{{Name: "stolen", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: s.JWS1.Name}}}}
				s.More = append(s.More, pod)
			},
			want:  []string{hub, one + ", seen by thief at /loot/jwsSigningKey.pem", two},
			match: [2]policy.Match{policy.MatchCurrent, policy.MatchCurrent},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ring := keyringOf(tt.tweak)
			var got []string
			for i := range ring.Signing {
				got = append(got, describe(&ring.Signing[i]))
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			match := map[string]policy.Match{}
			for _, v := range ring.Verification {
				match[v.FSP] = v.Match
				if len(v.Users) == 0 {
					t.Errorf("nobody reads the key of %s", v.FSP)
				}
			}
			if got := [2]policy.Match{match[fixtures.DFSP1], match[fixtures.DFSP2]}; got != tt.match {
				t.Errorf("got matches %q, want %q", got, tt.match)
			}
		})
	}
}

// TestKeyringAge reads the age of a key from what its Secret tells.
func TestKeyringAge(t *testing.T) {
	t.Parallel()
	wrote := fixtures.Now.Add(-100 * 24 * time.Hour)
	fields := func(field string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{
			{Manager: "kubectl", Time: &metav1.Time{Time: wrote}, FieldsV1: metav1.NewFieldsV1(`{"` + field + `":{".":{},"f:jwsSigningKey.pem":{}}}`)},
			{Manager: "labeller", Time: &metav1.Time{Time: fixtures.Now}, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{}}}`)},
		}
	}
	key := fixtures.NewKeyPair()
	tests := []struct {
		name        string
		annotations map[string]string
		fields      []metav1.ManagedFieldsEntry
		since       time.Time
		atLeast     bool
	}{
		{name: "nothing"},
		{name: "fields", fields: fields("f:data"), since: wrote, atLeast: true},
		{name: "fields of something else", fields: fields("f:spec")},
		{
			name: "annotation", fields: fields("f:data"), since: fixtures.Now.Add(-time.Hour),
			annotations: map[string]string{policy.AnnotationKeySince: key.Fingerprint.String() + "@" + fixtures.Now.Add(-time.Hour).Format(time.RFC3339)},
		},
		{
			name: "annotation for another key", fields: fields("f:data"), since: wrote, atLeast: true,
			annotations: map[string]string{policy.AnnotationKeySince: fixtures.NewKeyPair().Fingerprint.String() + "@" + fixtures.Now.Format(time.RFC3339)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			secret := secretOf("bank-jws-keys", "jwsSigningKey.pem", key.Private)
			secret.Annotations, secret.ManagedFields = tt.annotations, tt.fields
			ring := policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("x")}, []runtime.Object{secret}).Keyring()
			if len(ring.Signing) != 1 {
				t.Fatalf("got %d keys, want 1", len(ring.Signing))
			}
			e := ring.Signing[0]
			if !e.Since.Equal(tt.since) || e.AtLeast != tt.atLeast {
				t.Errorf("got since %v (or older: %v), want %v (%v)", e.Since, e.AtLeast, tt.since, tt.atLeast)
			}
			if old := fixtures.Now.Sub(tt.since) > 90*24*time.Hour && !tt.since.IsZero(); e.Old != old {
				t.Errorf("got old %v, want %v", e.Old, old)
			}
		})
	}
}

// TestKeyringCountsPods: a Deployment and its pods are one user, also where
// admission gave the pods what the Deployment lacks.
func TestKeyringCountsPods(t *testing.T) {
	t.Parallel()
	for _, injected := range []bool{false, true} {
		s := fixtures.NewScheme()
		pods := replicas(s.SDK1, "aaa", 3)
		if injected {
			bareSDK(s)
		}
		empty := policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("x")}, nil)
		var got []policy.KeyUser
		for _, e := range empty.Apply(policy.Update{Set: append(s.Objects(), pods...)}).Keyring().Signing {
			if e.DFSP == fixtures.DFSP1 {
				got = append(got, e.Users...)
			}
		}
		if len(got) != 1 || got[0].Pods != 3 || got[0].Workload.Kind != "Deployment" {
			t.Errorf("injected %v: got users %+v, want one Deployment with 3 pods", injected, got)
		}
	}
}

// TestKeyringPublished: both halves of a key that everybody has are told, also
// one that only peers hold.
func TestKeyringPublished(t *testing.T) {
	t.Parallel()
	s := fixtures.NewScheme()
	set, err := crypto.ParseKeys(s.JWS1.Data["jwsSigningKey.pem"])
	if err != nil {
		t.Fatal(err)
	}
	known := crypto.Published().With(crypto.PublishedKey{Fingerprint: set.Keys[0].Fingerprint, PublishedIn: []string{"a/b"}})
	ring := policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("x"), PublishedKeys: known}, s.Objects()).Keyring()
	var got []string
	for _, e := range ring.Signing {
		if e.Published {
			got = append(got, "signing "+e.DFSP+" "+strings.Join(e.PublishedIn, " "))
		}
	}
	for _, v := range ring.Verification {
		if v.Published {
			got = append(got, "verification "+v.FSP+" "+strings.Join(v.PublishedIn, " "))
		}
	}
	if diff := cmp.Diff([]string{"signing perffsp-1 a/b", "verification perffsp-1 a/b"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// bareSDK takes from the first SDK what admission would give it.
func bareSDK(s *fixtures.Scheme) {
	c := fixtures.Container(s.SDK1)
	c.VolumeMounts = nil
	c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return strings.HasPrefix(e.Name, "JWS_") && e.Name != "JWS_SIGN" })
}

// TestKeyringElsewhere: keys that are in no Secret.
func TestKeyringElsewhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		tweak func(*fixtures.Scheme)
		want  string
	}{
		{"admission", bareSDK, "perffsp-1, injected"},
		{"admission, which has nothing to give", func(s *fixtures.Scheme) {
			bareSDK(s)
			s.Without = append(s.Without, "Secret/"+s.JWS1.Name)
		}, "perffsp-1, injected, absent"},
		{"admission, which only warns", func(s *fixtures.Scheme) {
			bareSDK(s)
			s.Namespace.Labels[policy.LabelMode] = string(policy.ModeWarn)
		}, "perffsp-1, from the image, unknown"},
		{"the image", func(s *fixtures.Scheme) { fixtures.SetEnv(s.SDK1, "JWS_SIGNING_KEY_PATH", "secrets/jwsSigningKey.key") }, "perffsp-1, from the image, unknown"},
		{"the connection manager", func(s *fixtures.Scheme) { fixtures.SetEnv(s.SDK1, "PM4ML_ENABLED", "true") }, "perffsp-1, from the connection manager, unknown"},
		{
			"an empty directory", func(s *fixtures.Scheme) {
				for i := range s.SDK1.Spec.Template.Spec.Volumes {
					if v := &s.SDK1.Spec.Template.Spec.Volumes[i]; v.Secret != nil {
						v.VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
					}
				}
			}, "perffsp-1, from an emptyDir, unknown",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ring := keyringOf(tt.tweak)
			var got []string
			for i := range ring.Signing {
				got = append(got, describe(&ring.Signing[i]))
			}
			if !slices.Contains(got, tt.want) {
				t.Errorf("got %q, want one to be %q", got, tt.want)
			}
		})
	}
}
