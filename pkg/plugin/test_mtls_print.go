package plugin

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mojasec/mojasec/pkg/policy/report"
)

func (o *TestMTLSOptions) write(a *mtlsAnswer) error {
	if o.Output != formatTable {
		return writeAnswer(o.Out, o.Output, a)
	}
	w := bufio.NewWriter(o.Out)
	o.writeTable(w, a)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

func (o *TestMTLSOptions) writeTable(w io.Writer, a *mtlsAnswer) {
	if a.Version == "" { // all other tests were skipped
		failed := a.Checks[0]
		sign, arrow := marks[failed.Status][0], "→"
		if o.Report.ASCII {
			sign, arrow = marks[failed.Status][1], "->"
		}
		emit(w, sign, " ", a.Address, ": ", strings.Join(failed.Reasons, "; "), "\n    ", arrow, " ", failed.Hint, "\n")
		return
	}
	emit(w, a.Address, " speaks ", a.Version, ", ", a.Cipher, "\n\n")
	if len(a.Chain) > 0 {
		tabs := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		emit(tabs, "SUBJECT\tISSUER\tDAYS LEFT\tEXPIRES\tKEY\tNAMES\n")
		for _, c := range a.Chain {
			const most = 3
			names := c.Names
			if len(names) > most {
				names = append(names[:most:most], "…")
			}
			emit(tabs, fmt.Sprintf("%s\t%s\t%d\t%s\t%s\t%s\n",
				c.Subject, c.Issuer, c.DaysLeft, c.NotAfter.Format(time.DateOnly), c.Key, strings.Join(names, ", ")))
		}
		_ = tabs.Flush() // into the buffer of w
		emit(w, "\n")
	}
	writeDiagnoses(w, a.Checks, o.Report)
	for _, note := range a.Notes {
		emit(w, "note: ", note, "\n")
	}
}

// writeDiagnoses prints diagnoses by category, and how many there are of each
// status.
func writeDiagnoses(w io.Writer, list []diagnosis, options report.Options) {
	d := DoctorOptions{Report: options}
	d.writeDiagnosisTable(w, list)
}
