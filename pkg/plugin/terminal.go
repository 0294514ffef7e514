package plugin

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/mojasec/mojasec/pkg/policy/report"
)

// The values of --color.
const (
	colourAuto   = "auto"
	colourAlways = "always"
	colourNever  = "never"
)

// forTerminal sets what a report owes to the terminal that shows it, if any.
func forTerminal(o *report.Options, out io.Writer, colour string) {
	o.Colour = colour == colourAlways
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = width
	}
	o.ASCII = !showsUTF8()
	if colour == colourAuto {
		o.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
}

// showsUTF8 reads the locale as POSIX does: the first of these that is set
// counts. None at all is taken for a modern terminal.
func showsUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return true
}
