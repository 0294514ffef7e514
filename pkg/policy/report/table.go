package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mojasec/mojasec/pkg/policy"
)

// glyphs are the signs of the table. Each is one column wide.
type glyphs struct {
	passed, err, warning, note, unexpected, skipped, waived string
	fix, more                                               string
}

var (
	unicodeGlyphs = glyphs{"√", "×", "‼", "ℹ", "?", "-", "~", "→", "…"}
	asciiGlyphs   = glyphs{"+", "x", "!", "i", "?", "-", "~", "->", "..."}
)

// limits say how much of a repetition the table shows.
type limits struct {
	places   int // findings of a check
	names    int // objects in a sentence
	reasons  int // reasons for not checking
	changed  int // objects with injected changes
	relating int // related places of a finding
}

var (
	tableLimits = limits{places: 10, names: 3, reasons: 3, changed: 10, relating: 3}
	wideLimits  = limits{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}
)

// table writes what an operator reads in a terminal.
type table struct {
	*printer
	glyph glyphs
	limit limits
	r     *policy.Report
	o     Options
	wide  bool
}

func writeTable(w io.Writer, r *policy.Report, o Options) error {
	return (&table{printer: newPrinter(w), limit: tableLimits, r: r, o: o}).write()
}

// writeWide writes the table without limits and with more columns.
func writeWide(w io.Writer, r *policy.Report, o Options) error {
	return (&table{printer: newPrinter(w), limit: wideLimits, r: r, o: o, wide: true}).write()
}

func (t *table) write() error {
	t.glyph = unicodeGlyphs
	if t.o.ASCII {
		t.glyph = asciiGlyphs
	}
	t.inputErrors()
	all := outcomes(t.r)
	for _, category := range categories(t.r) {
		headed := false
		for i := range all {
			o := &all[i]
			if o.Category != category || o.tally() == "" {
				continue
			}
			if !headed {
				t.heading(string(category))
				headed = true
			}
			t.check(o)
		}
		if headed {
			t.print("\n")
		}
	}
	t.injected()
	t.footer()
	return t.flush()
}

// categories are those of policy, then any other that a check names.
func categories(r *policy.Report) []policy.Category {
	list := policy.Categories()
	for i := range r.Checks {
		if c := r.Checks[i].Category; !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// text is the escape of this medium.
func (t *table) text(s string) string {
	if t.o.ASCII {
		return visibleASCII(s)
	}
	return visible(s)
}

// The colours of ECMA-48, as they follow ESC [.
const (
	bold   = "1m"
	faint  = "2m"
	red    = "31m"
	green  = "32m"
	yellow = "33m"
	blue   = "34m"
)

func (t *table) colour(code, s string) string {
	if !t.o.Colour || s == "" {
		return s
	}
	return "\x1b[" + code + s + "\x1b[0m"
}

func (t *table) heading(title string) {
	title = t.text(title)
	t.print(t.colour(bold, title), "\n", strings.Repeat("-", utf8.RuneCountInString(title)), "\n")
}

// paragraph prints escaped text behind a lead, wrapped to the width of the
// terminal under itself.
func (t *table) paragraph(lead, text string) {
	hang := strings.Repeat(" ", utf8.RuneCountInString(lead))
	t.print(lead)
	column := len(hang)
	for i, word := range strings.Split(t.text(text), " ") {
		width := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case t.o.Width > 0 && column+1+width > t.o.Width && column > len(hang):
			t.print("\n", hang)
			column = len(hang)
		default:
			t.print(" ")
			column++
		}
		t.print(word)
		column += width
	}
	t.print("\n")
}

func (t *table) inputErrors() {
	if len(t.r.Errors) == 0 {
		return
	}
	t.heading("Input")
	for _, e := range t.r.Errors {
		t.print(t.colour(red, t.glyph.err), " ")
		t.paragraph("", e.Error())
	}
	t.print("\n")
}

// mark is the sign of a check and its colour.
func (t *table) mark(o *outcome) (sign, code string) {
	if worst, ok := o.worst(); ok {
		switch worst {
		case policy.Error:
			return t.glyph.err, red
		case policy.Warning:
			return t.glyph.warning, yellow
		case policy.Note:
			return t.glyph.note, blue
		}
	}
	switch {
	case len(o.reasons) > 0 && !o.reasons[0].expected:
		return t.glyph.unexpected, yellow
	case o.waived > 0:
		return t.glyph.waived, blue
	case len(o.reasons) > 0:
		return t.glyph.skipped, faint
	}
	return t.glyph.passed, green
}

func (t *table) check(o *outcome) {
	sign, code := t.mark(o)
	t.print(t.colour(code, sign), " ", t.text(o.Title), "  ", t.colour(faint, "("+o.tally()+")"), "\n")

	groups := t.stacks(o)
	oneFix := sameFix(groups)
	shown := groups[:min(len(groups), t.limit.places)]
	spare := t.limit.places - len(shown) // lines left when each group has one
	for _, g := range shown {
		more := min(len(g.places)-1, spare)
		spare -= more
		t.stack(o, g, 1+more)
		if !oneFix && !g.Waived {
			t.fix(g.Fix, "        ")
		}
	}
	hidden := 0
	for _, g := range groups[len(shown):] {
		hidden += len(g.places)
	}
	t.andMore(hidden, "    ")
	if o.failed > 0 {
		if oneFix {
			t.fix(groups[0].Fix, "    ")
		}
		t.print("    ", t.colour(faint, "see: kubectl mojasec explain "+t.text(string(o.ID))), "\n")
	}
	t.reasons(o.reasons)
}

func (t *table) andMore(n int, indent string) {
	if n > 0 {
		t.printf("%s%s and %d more: -o wide\n", indent, t.glyph.more, n)
	}
}

// injected lists what admission would add, objects with the same changes
// together.
func (t *table) injected() {
	if len(t.r.Injected) == 0 {
		return
	}
	type object struct {
		ref     policy.Ref
		changes []string
	}
	var objects []object
	at := map[policy.Ref]int{}
	for _, in := range t.r.Injected {
		n, seen := at[in.Subject]
		if !seen {
			n = len(objects)
			at[in.Subject] = n
			objects = append(objects, object{ref: in.Subject})
		}
		objects[n].changes = append(objects[n].changes, fmt.Sprintf("%s (%s)", in.Change, in.Check))
	}
	t.heading("enforce would inject")
	shown := objects[:min(len(objects), t.limit.changed)]
	for i := 0; i < len(shown); {
		same := i + 1
		for same < len(shown) && slices.Equal(shown[same].changes, shown[i].changes) {
			same++
		}
		for _, o := range shown[i:same] {
			t.print("    ", t.text(o.ref.String()), "\n")
		}
		for _, change := range shown[i].changes {
			t.paragraph("        + ", change)
		}
		i = same
	}
	t.andMore(len(objects)-len(shown), "    ")
	t.print("\n")
}

// footer says what holds for the whole report, the summary last.
func (t *table) footer() {
	for _, note := range modeNotes(t.r) {
		t.paragraph("", note)
	}
	if over := passedOver(t.r); over != "" {
		t.paragraph("", over)
	}
	if t.r.Incomplete() && t.r.Sources != nil {
		t.paragraph("", t.glyph.unexpected+" marks what the input does not tell: give the missing objects too")
	}
	code := green
	switch sum := t.r.Summary(); {
	case sum.Errors > 0 || len(t.r.Errors) > 0:
		code = red
	case sum.Warnings > 0 || t.r.Incomplete():
		code = yellow
	}
	t.print(t.colour(code, summary(t.r)), "\n")
}
