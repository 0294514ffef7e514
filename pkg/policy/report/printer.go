package report

import (
	"bufio"
	"fmt"
	"io"
)

// printer writes lines and keeps the first error, so that a writer reads as the
// text it makes.
type printer struct {
	w   *bufio.Writer
	err error
}

func newPrinter(w io.Writer) *printer { return &printer{w: bufio.NewWriterSize(w, 32<<10)} }

// print writes strings one after the other.
func (p *printer) print(text ...string) {
	for _, s := range text {
		if p.err == nil {
			_, p.err = p.w.WriteString(s)
		}
	}
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// Write makes a printer the end of an encoder.
func (p *printer) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	var n int
	n, p.err = p.w.Write(b)
	return n, p.err
}

// flush writes what is left and returns the first error.
func (p *printer) flush() error {
	if p.err != nil {
		return p.err
	}
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}
