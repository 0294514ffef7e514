package collect

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect/yamltree"
)

var (
	// templateAction is any action of a template.
	templateAction = regexp.MustCompile(`\{\{`)
	// templateLine is an action where YAML has a key or a value, which is no
	// YAML. Inside quotes and block scalars it may be anything.
	templateLine = regexp.MustCompile(`(?m)^[ \t]*(- +)?([\w./"'-]+:[ \t]+)?\{\{`)
)

// templateMessage says what to type instead of giving a template.
func templateMessage(chart string) string {
	if chart == "" {
		chart = "CHARTDIR"
	}
	return "is a Helm template, not a manifest: render it first: helm template " + chart + " | kubectl mojasec verify -f -"
}

// chartOf returns the chart whose template a file is, empty when it is none.
func chartOf(name string) string {
	for dir := filepath.Dir(name); filepath.Base(dir) == "templates" || strings.Contains(dir, "templates"); dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "templates" && isChart(filepath.Dir(dir)) {
			return filepath.Dir(dir)
		}
	}
	return ""
}

// helmSource reads the comment that Helm puts in front of what a template made:
// "# Source: chart/templates/x.yaml". It is empty when there is none.
func helmSource(text []byte) string {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if source, ok := bytes.CutPrefix(line, []byte("# Source: ")); ok {
			return string(bytes.TrimSpace(source))
		}
		if len(line) > 0 && line[0] != '#' && !bytes.HasPrefix(line, []byte("---")) {
			break
		}
	}
	return ""
}

// inTemplate finds positions in the template that made an object. It returns
// nil when the template is not here. What stands in the rendered text only is
// found there when that is a file, and at the nearest line of the template when
// it came from standard input.
func (c *collector) inTemplate(j *job, source string, root yamltree.Node, rendered policy.Positions) policy.Positions {
	template := c.template(source)
	switch {
	case template == nil:
		return nil
	case j.file.name == stdinName:
		return textPositions{file: template, root: root}
	}
	return textPositions{file: template, root: root, rendered: rendered}
}

// template looks for the file a "# Source:" comment names, relative to what was
// given and to where we are: below a chart, or below what holds the chart.
func (c *collector) template(source string) *textFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.templates[source]; ok {
		return t
	}
	t := c.findTemplate(filepath.Clean(filepath.FromSlash(source)))
	c.templates[source] = t
	return t
}

func (c *collector) findTemplate(source string) *textFile {
	if !filepath.IsLocal(source) { // the comment is data: it leads nowhere else
		return nil
	}
	_, inside, _ := strings.Cut(source, string(filepath.Separator))
	for _, base := range c.bases {
		candidates := []string{filepath.Join(base, source), filepath.Join(base, "charts", source)}
		if isChart(base) {
			candidates = append(candidates, filepath.Join(base, inside))
		}
		for _, name := range candidates {
			if t := c.readTextFile(name); t != nil {
				return t
			}
		}
	}
	return nil
}

// readTextFile reads a file that positions point into; nil when it cannot be.
func (c *collector) readTextFile(name string) *textFile {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > c.opts.MaxFileBytes {
		return nil
	}
	data, err := os.ReadFile(name) //nolint:gosec // a local path, checked by the caller
	if err != nil {
		return nil
	}
	src, err := yamltree.NewSource(data)
	if err != nil {
		return nil
	}
	return newTextFile(name, src)
}
