package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const profileYAML = `
apiVersion: mojasec.io/v1alpha1
kind: Profile
metadata: {name: default}
spec:
  mesh: ambient
  revision: 1-24-2
  checks:
  - {id: jws-key-age, mode: audit}
  - {id: mtls-strict, mode: warn}
  recognition:
  - role: sdk
    images: [example.org/payments/adapter]
    dfspLabel: example.org/bank
  jws:
    secretName: "{dfsp}"
    maxKeyAge: 720h30m
    externalKeys: [Bank.A]
  datastorePorts: [5432]
  publicGateways:
  - {namespace: istio-ingress, name: portal}
  publishedKeys:
  - spkiSha256: "0000000000000000000000000000000000000000000000000000000000000000"
    publishedIn: [example.org/repo/key.pem]
  publishedSecrets: [changeme]
`

const waiverYAML = `
apiVersion: mojasec.io/v1alpha1
kind: Waiver
metadata: {name: legacy-bank}
spec:
  checks: [jws-key-age, jws-mount-hygiene]
  match: {namespaces: [mojaloop], names: [perffsp-1-sdk]}
  reason: moves to the new chart in May
  owner: platform@example.org
  expiresAt: "2031-05-31T00:00:00Z"
`

const quarantineYAML = `
apiVersion: mojasec.io/v1alpha1
kind: Quarantine
metadata: {name: perffsp-1, namespace: mojaloop}
spec:
  dfsp: perffsp-1
  mode: isolate
  reason: key leaked
  openedBy: alice
`

const requestedYAML = quarantineYAML + `
  release: {requestedBy: bob, reason: keys replaced, approvedBy: carol}
`

const rotationYAML = `
apiVersion: mojasec.io/v1alpha1
kind: Rotation
metadata: {name: perffsp-1-jws-7, namespace: mojaloop}
spec:
  kind: jws
  dfsp: perffsp-1
  strategy: window
  requestedBy: alice
`

func TestKinds(t *testing.T) {
	t.Parallel()
	var got []string
	for kind, r := range resources(t) {
		names := r.crd.Spec.Names
		got = append(got, fmt.Sprintf("%s %s %s %v", kind, names.Plural, r.crd.Spec.Scope, names.ShortNames))
	}
	want := []string{
		"Profile profiles Cluster [mjprofile]",
		"Quarantine quarantines Namespaced [quar]",
		"Rotation rotations Namespaced [rot]",
		"Waiver waivers Cluster [mjwaiver]",
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("sorted", sorted)); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	kinds := resources(t)
	tests := []struct {
		name string
		base string
		path string // changed in base; "" changes nothing
		to   any    // nil removes
		want string // part of the one message; "" is accepted
	}{
		{name: "profile", base: profileYAML},
		{name: "profile: no spec", base: profileYAML, path: "spec"},
		{name: "profile: unknown field", base: profileYAML, path: "spec.jws.secret", to: "x", want: "unknown field spec.jws.secret"},
		{name: "profile: mesh", base: profileYAML, path: "spec.mesh", to: "linkerd", want: `supported values: "auto", "sidecar", "ambient", "none"`},
		{name: "profile: no revision", base: profileYAML, path: "spec.revision", to: ""},
		{name: "profile: revision", base: profileYAML, path: "spec.revision", to: "a b", want: "revision must be usable as a label value"},
		{name: "profile: root namespace", base: profileYAML, path: "spec.meshRootNamespace", to: "Istio", want: "meshRootNamespace must be the name of a namespace"},
		{name: "profile: cluster domain", base: profileYAML, path: "spec.clusterDomain", to: "cluster.local.", want: "clusterDomain must be a DNS name without leading or trailing dot"},
		{name: "profile: check mode", base: profileYAML, path: "spec.checks", to: list(fields{"id": "jws-key-age", "mode": "off"}), want: `supported values: "enforce", "warn", "audit"`},
		{name: "profile: check id", base: profileYAML, path: "spec.checks", to: list(fields{"id": "jws-*", "mode": "warn"}), want: "id must be the id of a check, for example jws-key-age"},
		{name: "profile: check twice", base: profileYAML, path: "spec.checks", to: list(fields{"id": "a", "mode": "warn"}, fields{"id": "a", "mode": "warn"}), want: `spec.checks[1]: Duplicate value: {"id":"a"}`},
		{name: "profile: rule without criteria", base: profileYAML, path: "spec.recognition", to: list(fields{"role": "sdk", "images": list()}), want: "a recognition rule needs images, names or labels"},
		{name: "profile: role", base: profileYAML, path: "spec.recognition", to: list(fields{"role": "other", "names": list("x")}), want: `supported values: "sdk", "hub"`},
		{name: "profile: jws secret shared", base: profileYAML, path: "spec.jws.secretName", to: "jws-keys", want: "so that every DFSP has a Secret of its own, for example {dfsp}-jws-keys"},
		{name: "profile: jws secret, dfsp twice", base: profileYAML, path: "spec.jws.secretName", to: "{dfsp}-{dfsp}", want: "secretName must have {dfsp} in it once"},
		{name: "profile: ilp secret shared", base: profileYAML, path: "spec.ilp.secretName", to: "{dfsp}_ilp", want: "for example {dfsp}-ilp"},
		{name: "profile: relative mount path", base: profileYAML, path: "spec.jws.mountPath", to: "secrets", want: "mountPath must be an absolute path"},
		{name: "profile: mount path leaves", base: profileYAML, path: "spec.jws.mountPath", to: "/opt/..", want: "mountPath must be an absolute path without '..'"},
		{name: "profile: dots in a mount path", base: profileYAML, path: "spec.jws.mountPath", to: "/opt/a..b"},
		{name: "profile: private key among public keys", base: profileYAML, path: "spec.jws.mountPath", to: "/opt/app/secrets/jwsVerificationKeys/own", want: "the private key would stand among the public keys"},
		{name: "profile: both directories one", base: profileYAML, path: "spec.jws.verificationDirectory", to: "/opt/app/secrets", want: "the private key would stand among the public keys"},
		{name: "profile: key file", base: profileYAML, path: "spec.jws.keyFile", to: "../key.pem", want: "keyFile must be a file name"},
		{name: "profile: verification directory", base: profileYAML, path: "spec.jws.verificationDirectory", to: "/keys/", want: "verificationDirectory must be an absolute path"},
		{name: "profile: verification config map", base: profileYAML, path: "spec.jws.verificationConfigMap", to: "Keys", want: "verificationConfigMap must be the name of a ConfigMap"},
		{name: "profile: key age in days", base: profileYAML, path: "spec.jws.maxKeyAge", to: "90d", want: "for example 2160h for 90 days"},
		{name: "profile: key age empty", base: profileYAML, path: "spec.jws.maxKeyAge", to: "", want: "for example 2160h for 90 days"},
		{name: "profile: key age short", base: profileYAML, path: "spec.jws.maxKeyAge", to: "59m59.9s", want: "maxKeyAge must be at least an hour"},
		{name: "profile: key age negative", base: profileYAML, path: "spec.jws.maxKeyAge", to: "-2160h", want: "maxKeyAge must be at least an hour"},
		{name: "profile: key age as Go prints it", base: profileYAML, path: "spec.jws.maxKeyAge", to: "1h0m0.5s"},
		{name: "profile: short keys", base: profileYAML, path: "spec.jws.minRSABits", to: int64(1024), want: "minRSABits must be between 2048 and 16384"},
		{name: "profile: short ILP secrets", base: profileYAML, path: "spec.ilp.minLength", to: int64(8), want: "minLength must be between 16 and 1024"},
		{name: "profile: ILP key", base: profileYAML, path: "spec.ilp.key", to: "a/b", want: "key must be a key of a Secret"},
		{name: "profile: no datastore ports", base: profileYAML, path: "spec.datastorePorts", to: list()},
		{name: "profile: port", base: profileYAML, path: "spec.datastorePorts", to: list(int64(0)), want: "should be greater than or equal to 1"},
		{name: "profile: port twice", base: profileYAML, path: "spec.datastorePorts", to: list(int64(1), int64(1)), want: "Duplicate value: 1"},
		{name: "profile: fingerprint", base: profileYAML, path: "spec.publishedKeys", to: list(fields{"spkiSha256": "AB", "publishedIn": list("x")}), want: "spkiSha256 must be 64 lower-case hex digits"},
		{name: "profile: published nowhere", base: profileYAML, path: "spec.publishedKeys", to: list(fields{"spkiSha256": strings.Repeat("0", 64), "publishedIn": list()}), want: "spec.publishedKeys[0].publishedIn in body should have at least 1 items"},

		{name: "waiver", base: waiverYAML},
		{name: "waiver: no checks", base: waiverYAML, path: "spec.checks", to: list(), want: "checks must name at least one check"},
		{name: "waiver: wildcard", base: waiverYAML, path: "spec.checks", to: list("*"), want: "checks must be ids of checks, for example jws-key-age, without wildcards"},
		{name: "waiver: for everything", base: waiverYAML, path: "spec.match", to: fields{"names": list(), "labels": fields{}}, want: "a waiver for every object is not a waiver"},
		{name: "waiver: by kind", base: waiverYAML, path: "spec.match", to: fields{"kinds": list("Deployment")}},
		{name: "waiver: by label", base: waiverYAML, path: "spec.match", to: fields{"namespaces": list("x"), "labels": fields{"matchLabels": fields{"app": "x"}}}},
		{name: "waiver: by label alone", base: waiverYAML, path: "spec.match", to: fields{"kinds": list("Pod"), "labels": fields{"matchLabels": fields{"app": "x"}}}, want: "labels count only together with namespaces or names"},
		{name: "waiver: by expression", base: waiverYAML, path: "spec.match", to: fields{"names": list("x"), "labels": fields{"matchExpressions": list(fields{"key": "app", "operator": "Exists"})}}},
		{name: "waiver: no match", base: waiverYAML, path: "spec.match", want: "spec.match: Required value"},
		{name: "waiver: no reason", base: waiverYAML, path: "spec.reason", want: "spec.reason: Required value"},
		{name: "waiver: short reason", base: waiverYAML, path: "spec.reason", to: "because          ", want: "reason must say in at least ten characters why this is acceptable"},
		{name: "waiver: no owner", base: waiverYAML, path: "spec.owner", to: " ", want: "owner must name who answers for this waiver"},
		{name: "waiver: no end", base: waiverYAML, path: "spec.expiresAt", want: "spec.expiresAt: Required value"},
		{name: "waiver: day", base: waiverYAML, path: "spec.expiresAt", to: "2031-05-31", want: "must be of type date-time"},

		{name: "quarantine", base: quarantineYAML},
		{name: "quarantine: default mode", base: quarantineYAML, path: "spec.mode"},
		{name: "quarantine: dfsp", base: quarantineYAML, path: "spec.dfsp", to: "dfsp/perffsp-1", want: "dfsp must be the id of a DFSP, for example perffsp-1"},
		{name: "quarantine: mode", base: quarantineYAML, path: "spec.mode", to: "off", want: `supported values: "observe", "isolate", "lockdown"`},
		{name: "quarantine: no reason", base: quarantineYAML, path: "spec.reason", to: "", want: "reason must say why the DFSP is isolated"},
		{name: "quarantine: opened by nobody", base: quarantineYAML, path: "spec.openedBy", to: "", want: "openedBy must be the user who opens the quarantine"},
		{name: "quarantine: short break-glass reason", base: quarantineYAML, path: "spec.breakglass", to: fields{"user": "dave", "reason": "x", "until": "2031-01-01T00:00:00Z"}, want: "why the glass is broken"},
		{name: "quarantine: released", base: requestedYAML},
		{name: "quarantine: approved by who opened", base: requestedYAML, path: "spec.release.approvedBy", to: "alice", want: "release.approvedBy must be a second person"},
		{name: "quarantine: approved by who asked", base: requestedYAML, path: "spec.release.approvedBy", to: "bob", want: "release.approvedBy must be a second person"},
		{name: "quarantine: phase", base: quarantineYAML, path: "status.phase", to: "Off", want: `supported values: "Applying"`},

		{name: "rotation", base: rotationYAML},
		{name: "rotation: no dfsp", base: rotationYAML, path: "spec.dfsp", want: "dfsp must be the id of the DFSP whose key is rotated"},
		{name: "rotation: mesh CA of a dfsp", base: rotationYAML, path: "spec.kind", to: "mesh-ca", want: "dfsp must not be set for kind mesh-ca"},
		{name: "rotation: mesh CA", base: rotationYAML, path: "spec", to: fields{"kind": "mesh-ca", "requestedBy": "alice"}},
		{name: "rotation: emergency without reason", base: rotationYAML, path: "spec.strategy", to: "emergency", want: "strategy emergency needs one"},
		{name: "rotation: strategy", base: rotationYAML, path: "spec.strategy", to: "fast", want: `supported values: "barrier"`},
		{name: "rotation: requested by nobody", base: rotationYAML, path: "spec.requestedBy", to: "", want: "requestedBy must be the user who rotates"},
		{name: "rotation: fingerprint", base: rotationYAML, path: "status.from", to: fields{"version": int64(1), "secretName": "x", "spkiSha256": "x"}, want: "spkiSha256 must be 64 lower-case hex digits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			obj := object(t, tt.base)
			if tt.path != "" {
				obj = set(obj, tt.path, tt.to)
			}
			_, got := kinds[obj["kind"].(string)].create(t.Context(), obj)
			wantMessage(t, got, tt.want)
		})
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	kinds := resources(t)
	tests := []struct {
		name string
		base string
		path string
		to   any
		want string
	}{
		{name: "waiver: extended", base: waiverYAML, path: "spec.expiresAt", to: "2032-01-01T00:00:00Z"},
		{name: "quarantine: other dfsp", base: quarantineYAML, path: "spec.dfsp", to: "perffsp-2", want: "dfsp cannot be changed: open another Quarantine"},
		{name: "quarantine: other reason", base: quarantineYAML, path: "spec.reason", to: "test", want: "reason cannot be changed"},
		{name: "quarantine: other opener", base: quarantineYAML, path: "spec.openedBy", to: "bob", want: "openedBy cannot be changed"},
		{name: "quarantine: raised", base: quarantineYAML, path: "spec.mode", to: "lockdown"},
		{name: "quarantine: lowered", base: quarantineYAML, path: "spec.mode", to: "observe", want: "mode can only be raised, from observe to isolate to lockdown"},
		{name: "quarantine: ticket added", base: quarantineYAML, path: "spec.ticket", to: "INC-1"},
		{name: "quarantine: release requested", base: quarantineYAML, path: "spec.release", to: fields{"requestedBy": "alice", "reason": "keys replaced"}},
		{name: "quarantine: release withdrawn", base: requestedYAML, path: "spec.release", want: "release cannot be withdrawn"},
		{name: "quarantine: approval withdrawn", base: requestedYAML, path: "spec.release.approvedBy", want: "approvedBy cannot be changed"},
		{name: "quarantine: other approver", base: requestedYAML, path: "spec.release.approvedBy", to: "dave", want: "approvedBy cannot be changed"},
		{name: "quarantine: other requester", base: requestedYAML, path: "spec.release.requestedBy", to: "dave", want: "requestedBy cannot be changed"},
		{name: "quarantine: other release reason", base: requestedYAML, path: "spec.release.reason", to: "because", want: "reason cannot be changed"},
		{name: "rotation: other strategy", base: rotationYAML, path: "spec.strategy", to: "barrier", want: "a Rotation cannot be changed: undo it with kubectl mojasec rotate abort"},
		{name: "rotation: status", base: rotationYAML, path: "status.phase", to: "Running"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			old := object(t, tt.base)
			_, got := kinds[old["kind"].(string)].update(t.Context(), set(old, tt.path, tt.to), old)
			wantMessage(t, got, tt.want)
		})
	}
}

// wantMessage wants exactly one message with a text in it, or none for "".
func wantMessage(t *testing.T, got []string, want string) {
	t.Helper()
	switch {
	case want == "":
		if len(got) > 0 {
			t.Errorf("refused: %q", got)
		}
	case len(got) != 1 || !strings.Contains(got[0], want):
		t.Errorf("got %q, want one message with %q", got, want)
	}
}

func TestPrinterColumns(t *testing.T) {
	t.Parallel()
	kinds := resources(t)
	tests := []struct {
		name string
		obj  string
		want string
	}{
		{"profile", profileYAML, "Name=default Mesh=ambient Max key age=720h30m"},
		{"waiver", waiverYAML, `Name=legacy-bank Checks=["jws-key-age","jws-mount-hygiene"] Owner=platform@example.org Expires=2031-05-31T00:00:00Z`},
		{
			"quarantine", quarantineYAML + `status: {phase: Partial, verified: "4/5"}`,
			"Name=perffsp-1 DFSP=perffsp-1 Mode=isolate Phase=Partial Verified=4/5 Opened by=alice",
		},
		{
			"rotation", rotationYAML + "status: {phase: Stopped, step: ack}",
			"Name=perffsp-1-jws-7 Kind=jws DFSP=perffsp-1 Strategy=window Phase=Stopped Step=ack",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			obj := &unstructured.Unstructured{Object: object(t, tt.obj)}
			convertor, err := tableconvertor.New(kinds[obj.GetKind()].crd.Spec.Versions[0].AdditionalPrinterColumns)
			if err != nil {
				t.Fatal(err)
			}
			table, err := convertor.ConvertToTable(t.Context(), obj, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := row(table); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// row formats the columns that kubectl get shows without -o wide, except the
// age: these objects have none.
func row(table *metav1.Table) string {
	var cells []string
	for i, column := range table.ColumnDefinitions {
		if column.Priority == 0 && column.Type != "date" {
			cells = append(cells, fmt.Sprintf("%s=%v", column.Name, table.Rows[0].Cells[i]))
		}
	}
	return strings.Join(cells, " ")
}
