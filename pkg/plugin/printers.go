package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/jsonpath"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/report"
)

// printFunc prints a report in one of the formats every kubectl command knows.
type printFunc func(io.Writer, *policy.Report) error

// expressionFormats take an expression: -o jsonpath={.summary}. jsonpath and
// go-template see the document that -o json prints; the rows of custom-columns
// are its findings.
//
// The print flags of cli-runtime and the column printer of kubectl link a
// Kubernetes client and the texts of kubectl: 40 MB of memory and 20 ms at
// every start. Only the printers below those flags are used here.
var expressionFormats = []struct {
	name, example string
	parse         func(string) (printFunc, error)
}{
	{"jsonpath", "'{.findings[*].check}'", func(text string) (printFunc, error) { return parseJSONPath(text, false) }},
	{"jsonpath-as-json", "'{.findings[*].check}'", func(text string) (printFunc, error) { return parseJSONPath(text, true) }},
	{"jsonpath-file", "FILE", fromFile(func(text string) (printFunc, error) { return parseJSONPath(text, false) })},
	{"go-template", "'{{len .findings}}'", parseGoTemplate},
	{"go-template-file", "FILE", fromFile(parseGoTemplate)},
	{"custom-columns", "CHECK:.check,FILE:.source.file", parseColumns},
	{"custom-columns-file", "FILE", fromFile(parseColumnsFile)},
}

func fromFile(parse func(string) (printFunc, error)) func(string) (printFunc, error) {
	return func(name string) (printFunc, error) {
		text, err := os.ReadFile(name) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("read expression: %w", err)
		}
		return parse(string(text))
	}
}

func parseJSONPath(text string, asJSON bool) (printFunc, error) {
	p, err := printers.NewJSONPathPrinter(text)
	if err != nil {
		return nil, fmt.Errorf("parse expression: %w", err)
	}
	p.AllowMissingKeys(true)
	p.EnableJSONOutput(asJSON)
	return printWith(p), nil
}

func parseGoTemplate(text string) (printFunc, error) {
	p, err := printers.NewGoTemplatePrinter([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("parse expression: %w", err)
	}
	p.AllowMissingKeys(true)
	return printWith(p), nil
}

func printWith(p printers.ResourcePrinter) printFunc {
	return func(w io.Writer, r *policy.Report) error {
		tree, err := treeOf(r)
		if err != nil {
			return err
		}
		return p.PrintObj(&unstructured.Unstructured{Object: tree}, w)
	}
}

// treeOf is the document that -o json prints.
func treeOf(r *policy.Report) (map[string]any, error) {
	text, err := json.Marshal(report.ToAPI(r))
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	var tree unstructured.Unstructured // keeps integers
	if err := tree.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("decode report: %w", err)
	}
	return tree.Object, nil
}

// printNames prints the objects to change, each once, as kubectl names them.
func printNames(w io.Writer, r *policy.Report) error {
	seen := map[policy.Ref]bool{}
	var p printers.NamePrinter
	for i := range r.Findings {
		f := &r.Findings[i]
		ref := r.Place(f)
		if f.Waived || seen[ref] {
			continue
		}
		seen[ref] = true
		obj := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": ref.APIVersion, "kind": ref.Kind, "metadata": map[string]any{"name": printers.EscapeTerminal(ref.Name)},
		}}
		if err := p.PrintObj(obj, w); err != nil {
			return err
		}
	}
	return nil
}

// column is one column of custom-columns, in kubectl's syntax.
type column struct {
	header string
	path   *jsonpath.JSONPath
}

// columnPath is how kubectl takes a path: the braces and the dot before it may
// be missing.
var columnPath = regexp.MustCompile(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

func parseColumns(spec string) (printFunc, error) {
	var columns []column
	for part := range strings.SplitSeq(spec, ",") {
		header, path, ok := strings.Cut(part, ":")
		if !ok {
			return nil, fmt.Errorf("column %q: want HEADER:PATH, for example CHECK:.check", part)
		}
		c, err := newColumn(header, path)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return printColumns(columns), nil
}

// parseColumnsFile reads a line of headers and a line of paths.
func parseColumnsFile(text string) (printFunc, error) {
	first, rest, _ := strings.Cut(text, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	headers, paths := strings.Fields(first), strings.Fields(second)
	if len(headers) == 0 || len(headers) != len(paths) {
		return nil, errors.New("want a line of headers and a line of as many paths")
	}
	var columns []column
	for i, path := range paths {
		c, err := newColumn(headers[i], path)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return printColumns(columns), nil
}

func newColumn(header, path string) (column, error) {
	m := columnPath.FindStringSubmatch(path)
	if m == nil {
		return column{}, fmt.Errorf("column %s: path %q: want a path such as .check", header, path)
	}
	p := jsonpath.New(header).AllowMissingKeys(true)
	if err := p.Parse("{." + m[1] + m[2] + "}"); err != nil {
		return column{}, fmt.Errorf("column %s: %w", header, err)
	}
	return column{header, p}, nil
}

func printColumns(columns []column) printFunc {
	return func(w io.Writer, r *policy.Report) error {
		tree, err := treeOf(r)
		if err != nil {
			return err
		}
		tabs := printers.GetNewTabWriter(w)
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = c.header
		}
		_, _ = fmt.Fprintln(tabs, strings.Join(row, "\t"))
		findings, _ := tree["findings"].([]any)
		for _, finding := range findings {
			for i, c := range columns {
				if row[i], err = c.text(finding); err != nil {
					return err
				}
			}
			_, _ = fmt.Fprintln(tabs, strings.Join(row, "\t"))
		}
		return tabs.Flush()
	}
}

// text is what stands in a column of a row.
func (c *column) text(row any) (string, error) {
	results, err := c.path.FindResults(row)
	if err != nil {
		return "", fmt.Errorf("column %s: %w", c.header, err)
	}
	var values []string
	for _, result := range results {
		for _, v := range result {
			values = append(values, printers.EscapeTerminal(fmt.Sprint(v.Interface())))
		}
	}
	if len(values) == 0 {
		return "<none>", nil
	}
	return strings.Join(values, ","), nil
}
