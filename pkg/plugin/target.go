package plugin

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// TargetKind says what a [Target] is.
type TargetKind int

// The kinds of targets.
const (
	TargetDFSP TargetKind = iota + 1
	TargetHub
	TargetDeployment
)

// Target is what a command is about: a DFSP, the hub, or a Deployment.
type Target struct {
	Kind TargetKind
	// Name is the id of the DFSP or the name of the Deployment; "" for the hub.
	Name string
}

// String returns the target as it is typed.
func (t Target) String() string {
	switch t.Kind {
	case TargetDFSP:
		return targetDFSP + t.Name
	case TargetHub:
		return targetHub
	case TargetDeployment:
		return targetDeployment + t.Name
	}
	return "TargetKind(" + strconv.Itoa(int(t.Kind)) + ")"
}

// How targets are typed.
const (
	targetHub        = "hub"
	targetDFSP       = "dfsp/"
	targetDeployment = "deploy/"
)

// targetForms says which targets there are, for messages and usage texts.
const targetForms = "dfsp/ID, hub or deploy/NAME"

// maxTargets is how many targets one command line may name: more than a scheme
// has participants, and a typing error in a range fails at once.
const maxTargets = 1000

// maxFSPID is the longest id of an FSP, in characters, of the FSPIOP API.
const maxFSPID = 32

// fspID is what an id can be that has to be the name of a file and a key of a
// ConfigMap.
var fspID = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// ParseTargets reads the targets of a command line. Braces are expanded as a
// shell does it, so that dfsp/bank-{1..8} and dfsp/{red,blue} mean the same in
// shells that leave them alone. A target that is named twice counts once. The
// error is a usage error that says which forms there are.
func ParseTargets(args []string) ([]Target, error) {
	var out []Target
	for _, arg := range args {
		words, err := expandBraces(arg)
		if err != nil {
			return nil, &usageError{message: fmt.Sprintf("target %q: %v", visible(arg), err)}
		}
		for _, word := range words {
			t, err := parseTarget(word)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
			if len(out) > maxTargets {
				return nil, &usageError{message: fmt.Sprintf("target %q: more than %d targets", visible(arg), maxTargets)}
			}
		}
	}
	return out, nil
}

func parseTarget(word string) (Target, error) {
	bad := func(format string, args ...any) (Target, error) {
		return Target{}, &usageError{message: fmt.Sprintf("target %q: ", visible(word)) + fmt.Sprintf(format, args...)}
	}
	kind, name, slash := strings.Cut(word, "/")
	switch kind {
	case targetHub:
		if slash {
			return bad("the hub has no name; want %s", targetHub)
		}
		return Target{Kind: TargetHub}, nil
	case "dfsp":
		switch {
		case name == "":
			return bad("which DFSP? want dfsp/ID")
		case !fspID.MatchString(name):
			return bad("the id of a DFSP has letters, digits, -, _ and . only")
		case len(name) > maxFSPID:
			return bad("the id of a DFSP has at most %d characters, got %d", maxFSPID, len(name))
		}
		return Target{TargetDFSP, name}, nil
	case "deploy", "deployment", "deployments", "deployment.apps", "deployments.apps":
		if name == "" {
			return bad("which Deployment? want deploy/NAME")
		}
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			return bad("%q is no name of a Deployment: %s", visible(name), errs[0])
		}
		return Target{TargetDeployment, name}, nil
	}
	if !slash && fspID.MatchString(word) {
		e := &usageError{message: fmt.Sprintf("target %q: want %s", word, targetForms), wrong: word, right: targetDFSP + word}
		return Target{}, e
	}
	return bad("want %s", targetForms)
}

// expandBraces does what a shell does with {a,b} and {1..8}. Braces without a
// comma or a range stay as they are.
func expandBraces(word string) ([]string, error) {
	open := strings.IndexByte(word, '{')
	if open < 0 {
		return []string{word}, nil
	}
	shut := strings.IndexByte(word[open:], '}')
	if shut < 0 {
		return nil, fmt.Errorf("%q has no closing brace", word[open:])
	}
	shut += open
	inner := word[open+1 : shut]
	if strings.Contains(inner, "{") {
		return nil, fmt.Errorf("braces within braces are not supported")
	}
	middle, err := alternatives(inner)
	if err != nil {
		return nil, err
	}
	tails, err := expandBraces(word[shut+1:])
	if err != nil {
		return nil, err
	}
	if len(middle)*len(tails) > maxTargets {
		return nil, fmt.Errorf("makes more than %d targets", maxTargets)
	}
	out := make([]string, 0, len(middle)*len(tails))
	for _, m := range middle {
		for _, tail := range tails {
			out = append(out, word[:open]+m+tail)
		}
	}
	return out, nil
}

// alternatives returns what the inside of braces stands for.
func alternatives(inner string) ([]string, error) {
	if from, to, ok := strings.Cut(inner, ".."); ok && !strings.Contains(inner, ",") {
		return numbers(from, to)
	}
	words := strings.Split(inner, ",")
	switch {
	case len(words) < 2:
		return nil, fmt.Errorf("{%s} is no list; want {a,b} or {1..8}", inner)
	case slices.Contains(words, ""):
		return nil, fmt.Errorf("{%s} has an empty member", inner)
	}
	return words, nil
}

// numbers counts, with leading zeros where one of the ends has them.
func numbers(from, to string) ([]string, error) {
	first, err1 := strconv.ParseUint(from, 10, 31)
	last, err2 := strconv.ParseUint(to, 10, 31)
	switch {
	case err1 != nil || err2 != nil:
		return nil, fmt.Errorf("{%s..%s} is no range of numbers, such as {1..8}", from, to)
	case first > last:
		return nil, fmt.Errorf("{%s..%s} counts down; want {%[2]s..%[1]s}", from, to)
	case last-first >= maxTargets:
		return nil, fmt.Errorf("{%s..%s} makes more than %d targets", from, to, maxTargets)
	}
	width := 0
	if strings.HasPrefix(from, "0") && len(from) > 1 || strings.HasPrefix(to, "0") && len(to) > 1 {
		width = max(len(from), len(to))
	}
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return out, nil
}
