// Package admissionpolicies says what generated admission policies must answer:
// what the Go engine answers, as far as a pod by itself shows it. The tests of
// the generator compare offline, those in this package on an API server.
package admissionpolicies

import (
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

// Unseen are the faults of fixtures, as check/name/check that fails, which are
// not in the pod, and where they are.
var Unseen = map[string]string{
	"dfsp-identity/claimed elsewhere/ilp-secret-set":                                            "the Secret it refers to does not exist in that namespace",
	"ilp-secret-set/Secret does not exist/ilp-secret-set":                                       "the Secret it refers to does not exist",
	"ilp-secret-not-default/default inside the Secret/ilp-secret-not-default":                   "the value is in a Secret",
	"ilp-secret-not-default/default through envFrom/ilp-secret-not-default":                     "the value is in a Secret",
	"ilp-secret-not-default/default through a variable of envFrom/ilp-secret-not-default":       "the value is in a ConfigMap",
	"ilp-secret-not-default/default in an annotation/ilp-secret-not-default":                    "the value is in an annotation, read through fieldRef",
	"ilp-secret-not-default/default in a variable that is an annotation/ilp-secret-not-default": "half of the value is in an annotation, read through fieldRef",
	"jws-signing-enabled/off from envFrom with a prefix/jws-signing-enabled":                    "the value is in a ConfigMap",
	"jws-signing-enabled/off from the first of two envFrom/jws-signing-enabled":                 "the value is in a ConfigMap",
	"jws-signing-enabled/hub off through envFrom/jws-signing-enabled":                           "the value is in a ConfigMap",
	"jws-signing-enabled/hub off/jws-signing-enabled":                                           "default.json is in a ConfigMap",
	"ilp-secret-not-default/unset on the command line/ilp-secret-not-default":                   "a command line is searched for NAME=value only",
	"ilp-secret-not-default/unset by env/ilp-secret-not-default":                                "a command line is searched for NAME=value only",
	"ilp-secret-not-default/unset by env, in one word/ilp-secret-not-default":                   "a command line is searched for NAME=value only",
	"ilp-secret-not-default/an environment of its own/ilp-secret-not-default":                   "a command line is searched for NAME=value only",
	"ilp-secret-not-default/default in two halves on the command line/ilp-secret-not-default":   "a shell would put the value together",
	"ilp-secret-not-default/deleted by a script/ilp-secret-not-default":                         "a command line is searched for NAME=value only",
	"ilp-secret-not-default/default in two halves/ilp-secret-not-default":                       "half of the value is in a ConfigMap",
	"jws-signing-enabled/off by a script/jws-signing-enabled":                                   "a command line is searched for NAME=value only",
	"jws-signing-enabled/off as a default of the shell/jws-signing-enabled":                     "a command line is searched for NAME=value only",
	"jws-signing-enabled/off on a command line in a variable/jws-signing-enabled":               "the name is in a variable",
	"jws-signing-enabled/off in a script in a variable/jws-signing-enabled":                     "the command line is in a variable",
	"jws-signing-enabled/off in a second process/jws-signing-enabled":                           "a command line of a hook",
	"jws-signing-enabled/off in two halves/jws-signing-enabled":                                 "the value is in two ConfigMaps",
	"jws-signing-enabled/too long to be told/jws-signing-enabled":                               "a long value that is no boolean",
	"jws-signing-enabled/perhaps off in a mounted .env/jws-signing-enabled":                     "the value is in a ConfigMap",
}

// Verdict is what the engine says of one object by one check.
type Verdict string

// The verdicts.
const (
	None    Verdict = "none" // passed, or not applicable
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Options are how the engine is asked about a fixture.
func Options(f *fixtures.Fixture) policy.SnapshotOptions {
	key := []byte("a key for tests")
	if f.Offline {
		return policy.OfflineOptions(fixtures.Now, key)
	}
	return policy.SnapshotOptions{Now: fixtures.Now, HashKey: key}
}

// PodLocal returns the checks that a pod by itself can break.
func PodLocal() []policy.Check {
	var out []policy.Check
	for _, c := range policy.Checks() {
		if c.PodLocal {
			out = append(out, c)
		}
	}
	return out
}

// Judge asks the engine about everything, without injection, and returns what
// it says of each object that makes pods by each pod-local check.
func Judge(inputs []policy.Input, opts policy.SnapshotOptions) map[runtime.Object]map[policy.ID]Verdict {
	objs := make([]runtime.Object, 0, len(inputs))
	for _, in := range inputs {
		objs = append(objs, in.Object)
	}
	checks := PodLocal()
	r := policy.Review(checks, inputs, policy.NewSnapshot(opts, objs), false)
	out := map[runtime.Object]map[policy.ID]Verdict{}
	for i := range r.Subjects {
		if sub := &r.Subjects[i]; sub.Pod != nil {
			out[sub.Object] = map[policy.ID]Verdict{}
			for _, c := range checks {
				out[sub.Object][c.ID] = None
			}
		}
	}
	note := func(p policy.Pair, v Verdict) {
		if of := out[r.Subject(p).Object]; of != nil {
			of[r.Check(p).ID] = v
		}
	}
	for _, s := range r.Skipped {
		note(s.Pair, Skipped)
	}
	for i := range r.Findings {
		note(r.Findings[i].Pair, Failed)
	}
	return out
}
