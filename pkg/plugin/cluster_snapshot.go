package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/mojasec/mojasec/pkg/policy/collect/live"
)

// snapshot reads what the rule engine knows of a cluster, once. What could not
// be read is in the answer; the error is for a cluster that cannot be asked.
func (c *cluster) snapshot(ctx context.Context, o live.ReadOptions) (*live.Reading, error) {
	reading, err := live.Read(ctx, rest.CopyConfig(c.config), o)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err() // whatever went wrong on the way
	case err != nil:
		return nil, c.explain(err)
	}
	return reading, nil
}

// unreadPart is something that an answer lacks because it could not be read.
type unreadPart struct {
	// What is for example "secrets in mojaloop".
	What      string `json:"what"`
	Namespace string `json:"namespace,omitempty"`
	Reason    string `json:"reason"`
	// Role is the rule of a Role or ClusterRole that grants the missing right.
	Role string `json:"role,omitempty"`

	// right is what RBAC lacks, where Role is set.
	right missingRight
}

// missingRight is a right that RBAC refused.
type missingRight struct{ user, verb, group, resource string }

// unreadParts explains what could not be read, each reason once.
func (c *cluster) unreadParts(list []live.Unread) []unreadPart {
	var out []unreadPart
	for _, u := range list {
		part := unreadPart{What: visible(u.String()), Namespace: u.Namespace, Reason: visible(u.Err.Error())}
		if missing, ok := errors.AsType[*forbiddenError](c.explain(u.Err)); ok {
			part.Reason, part.Role = missing.parts()
			if m := forbidden.FindStringSubmatch(missing.err.Error()); m != nil {
				part.right = missingRight{user: visible(m[1]), verb: m[2], group: m[4], resource: m[3]}
			}
		}
		if !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out
}

// String says what is missing and what to ask for.
func (u unreadPart) String() string {
	if u.Role == "" {
		return fmt.Sprintf("not read: %s: %s", u.What, u.Reason)
	}
	kind := "ClusterRole"
	if u.Namespace != "" {
		kind = "Role in " + u.Namespace
	}
	return fmt.Sprintf("not read: %s: %s; ask for a %s with %s", u.What, u.Reason, kind, u.Role)
}

// unreadLines says what is missing: the rights that one user lacks in one
// namespace together, with one Role that grants them all.
func unreadLines(parts []unreadPart) []string {
	type role struct{ user, verb, namespace string }
	roleOf := func(u *unreadPart) role { return role{u.right.user, u.right.verb, u.Namespace} }
	groups := map[role][]missingRight{}
	for i := range parts {
		if u := &parts[i]; u.right != (missingRight{}) {
			groups[roleOf(u)] = append(groups[roleOf(u)], u.right)
		}
	}
	var lines []string
	said := map[role]bool{}
	for i := range parts {
		u := &parts[i]
		id := roleOf(u)
		switch rights := groups[id]; {
		case u.right == (missingRight{}) || len(rights) == 1:
			lines = append(lines, u.String())
		case !said[id]:
			said[id] = true
			lines = append(lines, lackingRole(id.user, id.verb, id.namespace, rights)...)
		}
	}
	return lines
}

// lackingRole says which rights are missing, and the rules that grant them: one
// for each API group.
func lackingRole(user, verb, ns string, rights []missingRight) []string {
	var names, groups []string
	resources := map[string][]string{}
	for _, r := range rights {
		name := r.resource
		if r.group != "" {
			name += "." + r.group
		}
		names = append(names, name)
		if !slices.Contains(groups, r.group) {
			groups = append(groups, r.group)
		}
		resources[r.group] = append(resources[r.group], r.resource)
	}
	slices.Sort(groups)
	where, kind := "in the cluster", "ClusterRole"
	if ns != "" {
		where, kind = "in "+ns, "Role in "+ns
	}
	lines := []string{fmt.Sprintf("not read: %s may not %s %s %s; ask for a %s with", user, verb, strings.Join(names, ", "), where, kind)}
	for _, g := range groups {
		slices.Sort(resources[g])
		lines = append(lines, fmt.Sprintf("  {apiGroups: [%q], resources: [%s], verbs: [%s]}", g, strings.Join(resources[g], ", "), verb))
	}
	return lines
}
