package plugin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string // as typed, with spaces between them
	}{
		{"none", nil, ""},
		{"one of each", []string{"dfsp/bank", "hub", "deploy/sdk"}, "dfsp/bank hub deploy/sdk"},
		{"long forms of a Deployment", []string{"deployment/a", "deployments.apps/b", "deployment.apps/c"}, "deploy/a deploy/b deploy/c"},
		{"a range", []string{"dfsp/perffsp-{1..3}"}, "dfsp/perffsp-1 dfsp/perffsp-2 dfsp/perffsp-3"},
		{"a range with zeros", []string{"dfsp/p{08..10}"}, "dfsp/p08 dfsp/p09 dfsp/p10"},
		{"a range of one", []string{"dfsp/p{3..3}"}, "dfsp/p3"},
		{"a list", []string{"dfsp/{red,blue}"}, "dfsp/red dfsp/blue"},
		{"a list of targets", []string{"{hub,dfsp/red}"}, "hub dfsp/red"},
		{"two groups", []string{"dfsp/{a,b}-{1..2}"}, "dfsp/a-1 dfsp/a-2 dfsp/b-1 dfsp/b-2"},
		{"twice", []string{"dfsp/p1", "dfsp/p{1..2}"}, "dfsp/p1 dfsp/p2"},
		{"case counts", []string{"dfsp/Bank", "dfsp/bank"}, "dfsp/Bank dfsp/bank"},
		{"a DFSP called hub", []string{"dfsp/Hub"}, "dfsp/Hub"},
		{"no name of Kubernetes", []string{"dfsp/Big_Bank.eu"}, "dfsp/Big_Bank.eu"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			targets, err := ParseTargets(tt.args)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, target := range targets {
				got = append(got, target.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTargetsRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, arg, want string }{
		{"a bare word", "bank", `want dfsp/ID, hub or deploy/NAME`},
		{"empty", "", `want dfsp/ID, hub or deploy/NAME`},
		{"another kind", "pod/sdk", `want dfsp/ID, hub or deploy/NAME`},
		{"no id", "dfsp/", `which DFSP? want dfsp/ID`},
		{"a path", "dfsp/../etc", `letters, digits`},
		{"hidden file", "dfsp/.bank", `letters, digits`},
		{"control character", "dfsp/a\x1b[2J", `letters, digits`},
		{"too long", "dfsp/" + strings.Repeat("a", 33), `at most 32 characters, got 33`},
		{"hub with a name", "hub/x", `the hub has no name`},
		{"no Deployment", "deploy/", `which Deployment?`},
		{"no name of a Deployment", "deploy/A_b", `is no name of a Deployment`},
		{"open brace", "dfsp/{1..8", `has no closing brace`},
		{"nested braces", "dfsp/{a,{b,c}}", `braces within braces`},
		{"empty member", "dfsp/{a,}", `empty member`},
		{"no list", "dfsp/{a}", `is no list`},
		{"down", "dfsp/{8..1}", `want {1..8}`},
		{"letters", "dfsp/{a..c}", `no range of numbers`},
		{"too many", "dfsp/{1..100000}", `more than 1000 targets`},
		{"too many by product", "dfsp/{1..100}-{1..100}", `more than 1000 targets`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			targets, err := ParseTargets([]string{tt.arg})
			if err == nil {
				t.Fatalf("got targets %v, want an error", targets)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want it to say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Errorf("got %q, with a control character", err)
			}
			if got := CodeOf(err); got != Usage {
				t.Errorf("got exit code %d, want %d", got, Usage)
			}
		})
	}
}
