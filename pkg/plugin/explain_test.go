package plugin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mojasec/mojasec/pkg/policy"
)

func TestPlainMarkdown(t *testing.T) {
	const in = "## Head\nOne `word` and **two** of\n[a page](https://example.org).\n\n- first\n  item\n- second\n\n| a | long |\n|---|---|\n| `bb` | c |\n\n```yaml\nkind: Pod\n```\n"
	const want = "Head\nOne word and two of a page (https://example.org).\n\n- first item\n- second\n\n  a    long\n  bb   c\n\n    kind: Pod"
	if diff := cmp.Diff(want, plainMarkdown(in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFill(t *testing.T) {
	if diff := cmp.Diff("  - aa bb\n    cc", fill("- aa bb cc", 10, "  ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestExplainTellsAll finds every check in the list, in the text and in the
// documentation.
func TestExplainTellsAll(t *testing.T) {
	list, _, _ := run(t, "explain")
	docs, _, _ := run(t, "explain", "--all", "-o", "markdown")
	for _, c := range policy.Checks() {
		if !strings.Contains(list, "  "+string(c.ID)+" ") || !strings.Contains(list, c.Title) {
			t.Errorf("%s is not in the list", c.ID)
		}
		if strings.Count(docs, "\n## "+string(c.ID)+"\n") != 1 || !strings.Contains(docs, c.Doc) {
			t.Errorf("%s has no section in the documentation", c.ID)
		}
		text, stderr, code := run(t, "explain", string(c.ID))
		if code != Good || !strings.HasPrefix(text, string(c.ID)+"\n") || strings.Contains(text, "`") {
			t.Errorf("%s: got code %d, %s%s", c.ID, code, text, stderr)
		}
	}
}
