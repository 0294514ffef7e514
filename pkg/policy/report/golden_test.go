package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// render writes a report or ends the test.
func render(t testing.TB, format string, r *policy.Report, o Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(format, &out, r, o); err != nil {
		t.Fatalf("write %s: %v", format, err)
	}
	return out.String()
}

func options() Options {
	return Options{ToolVersion: "1.4.0", DocsURL: "https://mojasec.example/checks", FailOn: policy.Error}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	wrapped := options()
	wrapped.Width, wrapped.Colour = 72, true
	ascii := options()
	ascii.ASCII = true
	tests := []struct {
		name, format, file string
		options            Options
		report             *policy.Report
	}{
		{"table", "table", "table.txt", options(), fixture()},
		{"table in a terminal", "table", "table-terminal.txt", wrapped, fixture()},
		{"table in ASCII", "table", "table-ascii.txt", ascii, fixture()},
		{"table of many", "table", "table-many.txt", options(), many(1000)},
		{"table of nothing", "table", "table-empty.txt", options(), &policy.Report{}},
		{"wide", "wide", "wide.txt", options(), fixture()},
		{"short", "short", "short.txt", options(), fixture()},
		{"json", "json", "report.json", options(), fixture()},
		{"json of nothing", "json", "empty.json", options(), &policy.Report{}},
		{"yaml", "yaml", "report.yaml", options(), fixture()},
		{"sarif", "sarif", "report.sarif", options(), fixture()},
		{"junit", "junit", "junit.xml", options(), fixture()},
		{"github", "github", "github.txt", options(), fixture()},
		{"markdown", "markdown", "report.md", options(), fixture()},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.format] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := render(t, tt.format, tt.report, tt.options)
			if again := render(t, tt.format, tt.report, tt.options); again != got {
				t.Errorf("the second writing differs from the first")
			}
			path := filepath.Join("testdata", tt.file)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
	for _, format := range Formats() {
		if !covered[format] {
			t.Errorf("format %s has no golden file", format)
		}
	}
}
