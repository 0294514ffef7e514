package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want, ascii string }{
		{"plain", `Deployment a/b "x" \n`, `Deployment a/b "x" \n`, `Deployment a/b "x" \n`},
		{"line ends and tab", "a\r\n\tb", `a\r\n\tb`, `a\r\n\tb`},
		{"ANSI", "\x1b[31mred", `\x1b[31mred`, `\x1b[31mred`},
		{"NUL and DEL", "\x00\x7f", `\x00\x7f`, `\x00\x7f`},
		{"8-bit CSI", "\u009b31m", `\u009b31m`, `\u009b31m`},
		{"right-to-left override", "a\u202eb", `a\u202eb`, `a\u202eb`},
		{"isolates and marks", "\u2066\u200f\u061c", `\u2066\u200f\u061c`, `\u2066\u200f\u061c`},
		{"zero width", "\u200b\u2060\ufeff", `\u200b\u2060\ufeff`, `\u200b\u2060\ufeff`},
		{"line separators", "\u2028\u2029\u0085", `\u2028\u2029\u0085`, `\u2028\u2029\u0085`},
		{"no-break space", "a\u00a0b", `a\u00a0b`, `a\u00a0b`},
		{"tag characters", "\U000e0041", `\U000e0041`, `\U000e0041`},
		{"invalid UTF-8", "a\xff\xc3", `a\xff\xc3`, `a\xff\xc3`},
		{"replacement character", "\ufffd", "\ufffd", `\ufffd`},
		{"workflow command", "a ::add-mask::b", `a \x3a:add-mask::b`, `a \x3a:add-mask::b`},
		{"workflow command, old form", "a###[debug]b", `a##\x23[debug]b`, `a##\x23[debug]b`},
		{"colons of an address", "::1 a::b fe80::", "::1 a::b fe80::", "::1 a::b fe80::"},
		{"letters", "zürich √", "zürich √", `z\u00fcrich \u221a`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := visible(tt.in); got != tt.want {
				t.Errorf("visible: got %q, want %q", got, tt.want)
			}
			if got := visibleASCII(tt.in); got != tt.ascii {
				t.Errorf("visibleASCII: got %q, want %q", got, tt.ascii)
			}
		})
	}
}

func TestMarkdownEscapes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		escape   func(string) string
		in, want string
	}{
		{"emphasis", markdown, "*a* _b_ ~c~", `\*a\* \_b\_ \~c\~`},
		{"HTML", markdown, "<img src=x>&amp;", "&lt;img src=x&gt;&amp;amp;"},
		{"link", markdown, "[a](http://b)", `\[a\](http&#58;//b)`},
		{"bare address", markdown, "www.b.c", "www&#46;b.c"},
		{"mention", markdown, "@root", "@&#8203;root"},
		{"table cell", markdown, "a|b\nc", `a\|b\\nc`},
		{"code", markdownCode, "a", "`a`"},
		{"code with a pipe", markdownCode, "a|b", "`a\\|b`"},
		{"code with backticks", markdownCode, "a``b`c", "```a``b`c```"},
		{"code at the edge", markdownCode, "`a", "`` `a ``"},
		{"code of nothing", markdownCode, "", ""},
		{"inline", markdownInline, "run `a<b>` *now*", "run `a<b>` \\*now\\*"},
		{"inline, unbalanced", markdownInline, "run `a", "run \\`a"},
		{"fix of one line", markdownFix, "set x", " set x"},
		{"fix of several lines", markdownFix, "a:\n  ```\n", "\n  ````\n  a:\n    ```\n  ````"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.escape(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The table is that of GitHub's toolkit, @actions/core, plus what visible adds.
func TestWorkflowEscapes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, data, property string }{
		{"plain", "a b", "a b", "a b"},
		{"percent", "100%0A", "100%250A", "100%250A"},
		{"colon and comma", "a:b,c", "a:b,c", "a%3Ab%2Cc"},
		{"line end of a stranger", "a\r\n::error::b", `a\r\n::error::b`, `a\r\n%3A%3Aerror%3A%3Ab`},
		{"ANSI", "\x1b[1m", `\x1b[1m`, `\x1b[1m`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := workflowData(tt.in); got != tt.data {
				t.Errorf("data: got %q, want %q", got, tt.data)
			}
			if got := workflowProperty(tt.in); got != tt.property {
				t.Errorf("property: got %q, want %q", got, tt.property)
			}
		})
	}
	if got, want := workflowData("a\nb", "c"), `a\nb%0Ac`; got != want {
		t.Errorf("two lines: got %q, want %q", got, want)
	}
}

// seed gives a fuzz target the texts that have bitten others.
func seed(f *testing.F) {
	for _, s := range []string{
		"", "a", hostileText, "\xff", "\u202e", "`", "``", "|", `\|`, "\\", "[a](1)", "a\r\nb", "%0A", "::", "::error::x", "##[error]x", "a\n  ::error::x", "]]>",
		"<!-- x -->", "yes", "0x1f", "- a", "# a", "{a: b}", "\u2028", "\x7f", "\U000e0041", "null", "1e3", "~", " a ", "a\tb",
	} {
		f.Add(s)
	}
}

// printableLine tells whether a text shows as it is and on one line.
func printableLine(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// runnerObeys tells whether GitHub's runner takes a line of a log for a command.
func runnerObeys(line string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(line), "::")
	return ok && name != "" && unicode.IsLetter(rune(name[0])) && name[0] < utf8.RuneSelf || strings.Contains(line, "##[")
}

func FuzzEscapeTerminal(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		got := visible(s)
		if !printableLine(got) || runnerObeys(got) {
			t.Errorf("visible(%q) = %q", s, got)
		}
		if printableLine(s) && !strings.Contains(s, "::") && !strings.Contains(s, "##[") && got != s {
			t.Errorf("visible(%q) = %q: nothing to escape", s, got)
		}
		if ascii := visibleASCII(s); strings.IndexFunc(ascii, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("visibleASCII(%q) = %q", s, ascii)
		}
		if strings.Contains(column(s), " ") || column(s) == "" {
			t.Errorf("column(%q) = %q", s, column(s))
		}
	})
}

var (
	markdownActive = regexp.MustCompile("(^|[^\\\\])(\\\\\\\\)*[`*_\\[\\]|~#<>$]")
	entity         = regexp.MustCompile(`&(amp|lt|gt|#[0-9]+);`)
)

func FuzzEscapeMarkdown(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		got := entity.ReplaceAllString(markdown(s), "x")
		if !printableLine(got) || markdownActive.MatchString(got) || strings.ContainsAny(got, "&") || strings.Contains(got, "://") {
			t.Errorf("markdown(%q) = %q", s, markdown(s))
		}
		code := markdownCode(s)
		if code == "" {
			return
		}
		fence := code[:len(code)-len(strings.TrimLeft(code, "`"))]
		body, closed := strings.CutSuffix(code[len(fence):], fence)
		if !closed || strings.Contains(body, fence) || strings.HasPrefix(body, "`") || strings.HasSuffix(body, "`") {
			t.Errorf("markdownCode(%q) = %q: the fence does not hold", s, code)
		}
		if strings.Count(body, "|") != strings.Count(body, `\|`) {
			t.Errorf("markdownCode(%q) = %q: splits a table cell", s, code)
		}
	})
}

func FuzzEscapeHTML(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		got := htmlText(s)
		if strings.ContainsAny(got, `<>"'`) || html.UnescapeString(got) != visible(s) {
			t.Errorf("htmlText(%q) = %q", s, got)
		}
	})
}

func FuzzEscapeWorkflow(f *testing.F) {
	seed(f)
	decode := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	f.Fuzz(func(t *testing.T, s string) {
		if got := workflowData(s); !printableLine(got) || decode.Replace(got) != visible(s) {
			t.Errorf("workflowData(%q) = %q", s, got)
		}
		if got := workflowProperty(s); strings.ContainsAny(got, ":,\r\n") || decode.Replace(got) != visible(s) {
			t.Errorf("workflowProperty(%q) = %q", s, got)
		}
	})
}

func FuzzEscapeSARIF(f *testing.F) {
	seed(f)
	decode := strings.NewReplacer(`\\`, `\`, `\[`, `[`, `\]`, `]`)
	link := regexp.MustCompile(`(^|[^\\])(\\\\)*[\[\]]`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := sarifText(s); link.MatchString(got) || decode.Replace(got) != visible(s) {
			t.Errorf("sarifText(%q) = %q", s, got)
		}
	})
}

func FuzzEscapeJSON(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		var out bytes.Buffer
		if err := json.NewEncoder(printable{&out, jsonEscape}).Encode(s); err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSuffix(out.String(), "\n"); !printableLine(text) || runnerObeys(text) {
			t.Errorf("%q is written as %q", s, text)
		}
		var got string
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%q is written as %q: %v", s, out.String(), err)
		}
		if utf8.ValidString(s) && got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	})
}

func FuzzEscapeYAML(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // a report goes through JSON first, which repairs it
		}
		var out bytes.Buffer
		text, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{yamlString(s), yamlString(s)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (printable{&out, yamlEscape}).Write(text); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); !printableLine(line) || runnerObeys(line) {
				t.Errorf("%q is written as %q", s, out.String())
			}
		}
		var got map[string]string
		if err := yaml.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%q is written as %q: %v", s, out.String(), err)
		}
		if len(got) != 1 || got[s] != s {
			t.Errorf("got %q, want %q twice, from %q", got, s, out.String())
		}
	})
}

func FuzzEscapeXML(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		out, err := xml.Marshal(junitCase{Name: visible(s), Failure: &junitDetail{Message: visible(s), Text: lines(s)}})
		if err != nil {
			t.Fatal(err)
		}
		var got junitCase
		if err := xml.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q is written as %q: %v", s, out, err)
		}
		if got.Name != visible(s) || got.Failure.Message != visible(s) || got.Failure.Text != lines(s) {
			t.Errorf("got %+v, want %q", got, visible(s))
		}
	})
}
