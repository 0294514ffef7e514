// Package arch_test holds the code to the package table of
// docs/architecture.md.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/mojasec/mojasec"

// rule is a row of the table. Paths are relative to the module.
type rule struct {
	// tree is a package with all packages below it that have no row of their
	// own.
	tree string
	// imports are the trees it may import; its own is always allowed.
	imports []string
	// any allows every tree, except those in never.
	any   bool
	never []string
	// knowsNoCluster bans clients and flags, through however many packages.
	knowsNoCluster bool
	// does no input and output of its own.
	doesNoIO bool
	// planned rows have no package yet.
	planned bool
}

var rules = []rule{
	{tree: "pkg/crypto", knowsNoCluster: true, doesNoIO: true},
	{tree: "pkg/api", knowsNoCluster: true, doesNoIO: true},
	{tree: "pkg/policy", imports: []string{"pkg/crypto", "pkg/api"}, knowsNoCluster: true, doesNoIO: true},
	{tree: "pkg/policy/collect", imports: []string{"pkg/policy", "pkg/crypto", "pkg/api"}},
	{tree: "pkg/policy/report", imports: []string{"pkg/policy", "pkg/api"}, doesNoIO: true},
	{tree: "pkg/rotate", imports: []string{"pkg/policy", "pkg/crypto", "pkg/api"}, planned: true},
	{tree: "pkg/quarantine", imports: []string{"pkg/policy", "pkg/crypto", "pkg/api"}, planned: true},
	{tree: "pkg/serving", imports: []string{"pkg/api"}},
	{tree: "pkg/admission", imports: []string{"pkg/policy", "pkg/policy/collect", "pkg/serving", "pkg/api"}},
	{
		tree:    "pkg/controller",
		imports: []string{"pkg/policy", "pkg/policy/collect", "pkg/policy/report", "pkg/quarantine", "pkg/api"},
	},
	{tree: "pkg/plugin", any: true, never: []string{"pkg/admission", "pkg/controller", "cmd/kubectl-mojasec", "cmd/webhook", "test"}},
	{tree: "manifests"},
	{tree: "cmd/kubectl-mojasec", any: true, never: []string{"pkg/admission", "pkg/controller", "test"}},
	{tree: "cmd/webhook", any: true, never: []string{"pkg/plugin", "test"}},
	{tree: "test", any: true},
}

// What the columns of the table ban, with everything below.
var (
	clusterImports = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/spf13/cobra"}
	ioImports      = []string{"os", "net/http"}
)

// goPackage is a package as go list prints it, without its tests.
type goPackage struct {
	ImportPath string
	Imports    []string // direct
	Deps       []string // transitive
}

func TestPackagesKeepToTheTable(t *testing.T) {
	t.Parallel()
	for _, v := range violations(rules, listPackages(t)) {
		t.Error(v)
	}
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// violations says in which ways packages and table disagree, the table's own
// mistakes included.
func violations(rules []rule, pkgs []goPackage) []string {
	var out []string
	used := map[string]bool{}
	for _, p := range pkgs {
		r, ok := ruleFor(rules, p.ImportPath)
		if !ok {
			out = append(out, fmt.Sprintf("%s is not in the table", relative(p.ImportPath)))
			continue
		}
		used[r.tree] = true
		out = append(out, r.violations(rules, p)...)
	}
	for _, r := range rules {
		switch {
		case r.planned && used[r.tree]:
			out = append(out, fmt.Sprintf("the table has %s as planned, but it exists", r.tree))
		case !r.planned && !used[r.tree]:
			out = append(out, fmt.Sprintf("the table has %s, but there is no such package", r.tree))
		}
		for _, tree := range slices.Concat(r.imports, r.never) {
			if !slices.ContainsFunc(rules, func(other rule) bool { return other.tree == tree }) {
				out = append(out, fmt.Sprintf("the row of %s names %s, which has no row", r.tree, tree))
			}
		}
	}
	return out
}

func (r rule) violations(rules []rule, p goPackage) []string {
	var out []string
	for _, imp := range p.Imports {
		if !isBelow(imp, module) {
			continue
		}
		// An import without a row is reported where its own package is.
		if of, ok := ruleFor(rules, imp); ok && !r.mayImport(of.tree) {
			out = append(out, fmt.Sprintf("%s must not import %s", relative(p.ImportPath), relative(imp)))
		}
	}
	if r.knowsNoCluster {
		out = append(out, banned(p, p.Deps, clusterImports, "must not depend on")...)
	}
	if r.doesNoIO {
		out = append(out, banned(p, p.Imports, ioImports, "must not import")...)
	}
	return out
}

func (r rule) mayImport(tree string) bool {
	if r.any {
		return !slices.Contains(r.never, tree)
	}
	return tree == r.tree || slices.Contains(r.imports, tree)
}

func banned(p goPackage, imports, bans []string, verb string) []string {
	var out []string
	for _, imp := range imports {
		if slices.ContainsFunc(bans, func(ban string) bool { return isBelow(imp, ban) }) {
			out = append(out, fmt.Sprintf("%s %s %s", relative(p.ImportPath), verb, imp))
		}
	}
	return out
}

// ruleFor returns the row with the longest tree that holds a package.
func ruleFor(rules []rule, importPath string) (rule, bool) {
	var found rule
	for _, r := range rules {
		if isBelow(importPath, module+"/"+r.tree) && len(r.tree) > len(found.tree) {
			found = r
		}
	}
	return found, found.tree != ""
}

// isBelow tells whether a package is root or below it.
func isBelow(importPath, root string) bool {
	return importPath == root || strings.HasPrefix(importPath, root+"/")
}

func relative(importPath string) string { return strings.TrimPrefix(importPath, module+"/") }

// Without this, a mistake in the test above would look like good architecture.
func TestViolations(t *testing.T) {
	t.Parallel()
	table := []rule{
		{tree: "pkg/api", knowsNoCluster: true, doesNoIO: true},
		{tree: "pkg/policy", imports: []string{"pkg/api"}, knowsNoCluster: true},
		{tree: "pkg/policy/collect", imports: []string{"pkg/policy"}},
		{tree: "pkg/plugin", any: true, never: []string{"pkg/policy/collect"}},
	}
	pkg := func(path string, imports ...string) goPackage {
		return goPackage{ImportPath: module + "/" + path, Imports: imports, Deps: imports}
	}
	good := []goPackage{
		pkg("pkg/api/v1alpha1", "strings", "oslo.example.org/x", "k8s.io/client-gopher", "istio.io/client-go/pkg"),
		pkg("pkg/policy", "os", module+"/pkg/api/v1alpha1"),
		pkg("pkg/policy/collect", module+"/pkg/policy", module+"/pkg/policy/collect/yamltree", "k8s.io/client-go/rest"),
		pkg("pkg/policy/collect/yamltree"),
		pkg("pkg/plugin", module+"/pkg/policy", module+"/pkg/api/v1alpha1"),
	}
	tests := []struct {
		name  string
		rules []rule
		more  []goPackage
		want  []string
	}{
		{name: "good"},
		{
			name: "import against the direction",
			more: []goPackage{pkg("pkg/api/other", module+"/pkg/policy")},
			want: []string{"pkg/api/other must not import pkg/policy"},
		},
		{
			name: "a tree below is another tree",
			more: []goPackage{pkg("pkg/policy/x", module+"/pkg/policy/collect/yamltree")},
			want: []string{"pkg/policy/x must not import pkg/policy/collect/yamltree"},
		},
		{
			name: "import that is never allowed",
			more: []goPackage{pkg("pkg/plugin/x", module+"/pkg/policy/collect")},
			want: []string{"pkg/plugin/x must not import pkg/policy/collect"},
		},
		{
			name: "client through another package",
			more: []goPackage{{
				ImportPath: module + "/pkg/policy/x",
				Imports:    []string{"example.org/y"},
				Deps:       []string{"example.org/y", "k8s.io/client-go/rest", "os"},
			}},
			want: []string{"pkg/policy/x must not depend on k8s.io/client-go/rest"},
		},
		{
			name: "input and output, direct only",
			more: []goPackage{{
				ImportPath: module + "/pkg/api/x",
				Imports:    []string{"os/exec"},
				Deps:       []string{"os/exec", "os", "net/http"},
			}},
			want: []string{"pkg/api/x must not import os/exec"},
		},
		{
			name: "package without a row",
			more: []goPackage{pkg("pkg/util")},
			want: []string{"pkg/util is not in the table"},
		},
		{
			name:  "row without a package",
			rules: []rule{{tree: "pkg/pollicy"}},
			want:  []string{"the table has pkg/pollicy, but there is no such package"},
		},
		{
			name:  "planned, and there",
			rules: []rule{{tree: "pkg/rotate", planned: true}},
			more:  []goPackage{pkg("pkg/rotate")},
			want:  []string{"the table has pkg/rotate as planned, but it exists"},
		},
		{
			name:  "row that names no row",
			rules: []rule{{tree: "pkg/rotate", planned: true, imports: []string{"pkg/pollicy"}}},
			want:  []string{"the row of pkg/rotate names pkg/pollicy, which has no row"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := violations(slices.Concat(table, tt.rules), slices.Concat(good, tt.more))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
