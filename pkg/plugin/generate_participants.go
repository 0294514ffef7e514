package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mojasec/mojasec/pkg/policy"
)

// purpose is what a Secret of a participant is for.
type purpose struct {
	// noun is what a workload reads, as in "reads its %s from".
	noun string
	// pattern and file are the names of the Profile, hubFile is the name of the
	// file for the hub; "" when it needs none.
	pattern, file, hubFile string
	// places finds where workloads read it.
	places func(runtime.Object, *policy.Snapshot) []policy.KeyPlace
}

// entry is the participant of a target.
type entry struct {
	participant
	target string // as typed
}

// resolved is what became of the targets.
type resolved struct {
	entries []entry
	// places is where the workloads of the namespace read; none without a
	// cluster.
	places []policy.KeyPlace
}

// participants finds out who the targets are and where their Secrets are. With
// a cluster, that is where their pods read them.
func (o *secretOptions) participants(ctx context.Context, what *purpose, hubName string) (*resolved, error) {
	var places []policy.KeyPlace
	if o.cluster != nil {
		var err error
		places, err = o.readPlaces(ctx, what)
		onlyIDs := !o.AllDFSPs && !slices.ContainsFunc(o.Targets, func(t Target) bool { return t.Kind == TargetDeployment })
		switch {
		case isForbidden(err) && onlyIDs:
			o.say("where the pods read their %s cannot be looked up (%v): going by the names of the Profile", what.noun, err)
		case err != nil:
			return nil, err
		}
	}
	targets := o.Targets
	if o.AllDFSPs {
		if targets = dfspsOf(places); len(targets) == 0 {
			return nil, refused("no SDK that tells its DFSP runs in namespace %s; name the DFSP: dfsp/ID", o.Namespace)
		}
	}
	out := &resolved{places: places}
	var errs []error
	for _, t := range targets {
		e, err := o.participant(t, what, places, hubName)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		same := func(have entry) bool { return have.participant == e.participant }
		if !slices.ContainsFunc(out.entries, same) { // deploy/NAME and dfsp/ID may be one
			out.entries = append(out.entries, e)
		}
	}
	if len(errs) > 0 {
		if usage, ok := errors.AsType[*usageError](errs[0]); ok {
			return nil, usage
		}
		return nil, &ExitError{Code: Refused, Err: errors.Join(errs...)}
	}
	return out, nil
}

// workloadKinds make the pods of Mojaloop; Secrets and ConfigMaps tell who they
// are.
var workloadKinds = []string{"Secret", "ConfigMap", kindDeployment, "StatefulSet", "DaemonSet"}

// readPlaces finds where the workloads of the namespace read their keys.
func (o *secretOptions) readPlaces(ctx context.Context, what *purpose) ([]policy.KeyPlace, error) {
	var objs []runtime.Object
	for _, k := range typedKinds {
		if !slices.Contains(workloadKinds, k.kind.Kind) {
			continue
		}
		trees, err := o.list(ctx, k.kind, o.Namespace, "")
		if err != nil {
			return nil, err
		}
		for i := range trees {
			obj := k.new()
			if err := fromTree(&trees[i], obj); err != nil {
				return nil, err
			}
			objs = append(objs, obj)
		}
	}
	profile, err := o.readProfile(ctx)
	if err != nil && !isForbidden(err) {
		return nil, err
	}
	if profile != nil {
		objs = append(objs, profile)
	}
	snap := podSnapshot(o.Now, objs)
	var places []policy.KeyPlace
	for _, obj := range objs {
		places = append(places, what.places(obj, snap)...)
	}
	return places, nil
}

// dfspsOf lists the DFSPs that have an SDK.
func dfspsOf(places []policy.KeyPlace) []Target {
	var out []Target
	for _, p := range places {
		t := Target{TargetDFSP, p.DFSP}
		if p.Role == policy.RoleSDK && !p.External && fspID.MatchString(p.DFSP) && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// participant finds out who one target is.
func (o *secretOptions) participant(t Target, what *purpose, places []policy.KeyPlace, hubName string) (entry, error) {
	e := entry{target: t.String(), participant: participant{FSP: t.Name, Namespace: o.Namespace, File: what.file}}
	var mine []policy.KeyPlace
	for _, p := range places {
		if p.Role == policy.RoleSDK && t.Kind == TargetDFSP && p.DFSP == t.Name ||
			p.Role == policy.RoleHub && t.Kind == TargetHub ||
			t.Kind == TargetDeployment && p.Workload.Kind == kindDeployment && p.Workload.Name == t.Name {
			mine = append(mine, p)
		}
	}
	switch t.Kind {
	case TargetDFSP:
	case TargetHub:
		if e.FSP, e.File = hubName, what.hubFile; what.hubFile == "" {
			return e, &usageError{message: fmt.Sprintf("the hub has no %s", what.noun)}
		}
		said := ""
		if len(mine) > 0 {
			said = mine[0].DFSP
		}
		switch {
		case e.FSP == "":
			e.FSP = cmp.Or(said, defaultHubName)
		case said != "" && said != e.FSP:
			o.say("%s signs as %s, not as %s: peers look for %s.pem", mine[0].Workload, visible(said), e.FSP, visible(said))
		}
	case TargetDeployment:
		if len(mine) == 0 {
			return e, fmt.Errorf("%s: there is no such Deployment in namespace %s that reads a %s", t, o.Namespace, what.noun)
		}
		e.FSP = mine[0].DFSP
		if mine[0].Role == policy.RoleHub {
			e.File = what.hubFile
		}
		if !fspID.MatchString(e.FSP) {
			return e, fmt.Errorf("%s does not tell which DFSP it is: set DFSP_ID", t)
		}
	}
	return e, o.locate(&e, what, mine)
}

// defaultHubName is what the hub calls itself when nobody changed that.
const defaultHubName = "Hub"

// locate finds the Secret of a participant: the one that is named, the one that
// the pods read, or the one of the Profile.
func (o *secretOptions) locate(e *entry, what *purpose, mine []policy.KeyPlace) error {
	var found []policy.KeyPlace
	for _, p := range mine {
		switch {
		case p.External:
			return fmt.Errorf("%s gets its keys from the connection manager (PM4ML_ENABLED): what is mounted is not used; make new keys there", p.Workload)
		case p.Secret != "":
			if !slices.ContainsFunc(found, func(f policy.KeyPlace) bool { return f.Secret == p.Secret && f.Key == p.Key }) {
				found = append(found, p)
			}
		}
	}
	switch {
	case o.SecretName != "":
		e.Secret = o.SecretName
		if i := slices.IndexFunc(found, func(f policy.KeyPlace) bool { return f.Secret == o.SecretName }); i >= 0 {
			e.File = found[i].Key
		}
		return nil
	case len(found) == 1:
		e.Secret, e.File = found[0].Secret, found[0].Key
		return nil
	case len(found) > 1:
		var names []string
		for _, f := range found {
			names = append(names, fmt.Sprintf("%s reads %s of Secret %s", f.Workload, f.Key, f.Secret))
		}
		return fmt.Errorf("%s: the workloads read different Secrets (%s): let them mount one, then choose it with --secret-name", e.target, strings.Join(names, "; "))
	}
	for _, p := range mine {
		if p.Elsewhere != "" {
			o.say("%s reads its %s from %s: let it read the new Secret", p.Workload, what.noun, p.Elsewhere)
		}
	}
	name, ok := policy.SecretNameFor(what.pattern, e.FSP)
	if !ok {
		return &usageError{message: fmt.Sprintf("%s: %q is no name that a Secret can have; name one with --secret-name, and mount that", e.target, name)}
	}
	e.Secret = name
	return nil
}
