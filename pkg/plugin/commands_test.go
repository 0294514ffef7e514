package plugin

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/test/fixtures"
)

var errNoCommand = errors.New("no such command")

// ours finds the commands of this plugin in text.
var ours = regexp.MustCompile("`kubectl mojasec ([^`]+)`")

// TestCommandsExist tries every command that a check, a finding or the
// documentation of a check tells a person to type against the command tree.
func TestCommandsExist(t *testing.T) {
	texts := map[string]bool{}
	for _, c := range policy.Checks() {
		texts[c.Fix], texts[c.Doc], texts[c.Title] = true, true, true
	}
	for _, f := range fixtures.All() {
		s := fixtures.NewScheme()
		if f.Tweak != nil {
			f.Tweak(s)
		}
		inputs := s.Inputs()
		objs := make([]runtime.Object, 0, len(inputs))
		for _, in := range inputs {
			objs = append(objs, in.Object)
		}
		r := policy.Review(policy.Checks(), inputs, policy.NewSnapshot(policy.SnapshotOptions{Now: fixtures.Now, HashKey: []byte("x")}, objs), false)
		for _, finding := range r.Findings {
			if finding.Fix == "" || finding.Detail == "" {
				t.Errorf("%s/%s: a finding of %s lacks a fix or a detail", f.Check, f.Name, r.Check(finding.Pair).ID)
			}
			texts[finding.Fix], texts[finding.Detail] = true, true
		}
	}
	found := 0
	for text := range texts {
		for _, m := range ours.FindAllStringSubmatch(text, -1) {
			found++
			if err := exists(strings.Fields(m[1])); err != nil {
				t.Errorf("`kubectl mojasec %s`: %v", m[1], err)
			}
		}
	}
	if found == 0 {
		t.Error("no command found: this test proves nothing")
	}
	if exists([]string{"no-such-command"}) == nil || exists([]string{"verify", "--no-such-flag"}) == nil {
		t.Error("a command that does not exist was accepted: this test proves nothing")
	}
}

// exists tries words against the command tree without running anything.
func exists(words []string) error {
	root := NewCmd(genericiooptions.NewTestIOStreamsDiscard(), Build{})
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root {
		return errNoCommand
	}
	return cmd.ParseFlags(rest)
}
