package plugin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// kindDiagnosis is the kind of the document that doctor -o json prints.
const kindDiagnosis = "Diagnosis"

// marks are the signs before a title, for terminals with and without Unicode.
var marks = map[status][2]string{
	statusPassed:  {"√", "+"},
	statusFailed:  {"×", "x"},
	statusWarning: {"‼", "!"},
	statusUnknown: {"?", "?"},
	statusSkipped: {"-", "-"},
}

// colours of the signs: the numbers of ANSI.
var markColours = map[status]string{statusPassed: "32", statusFailed: "31", statusWarning: "33", statusUnknown: "33", statusSkipped: "2"}

func (o *DoctorOptions) write(list []diagnosis) error {
	w := bufio.NewWriter(o.Out)
	switch o.Output {
	case formatJSON:
		if err := writeDiagnosisJSON(w, list); err != nil {
			return err
		}
	case formatShort:
		writeDiagnosisShort(w, list)
	default:
		o.writeDiagnosisTable(w, list)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the diagnosis: %w", err)
	}
	return nil
}

func (o *DoctorOptions) writeDiagnosisTable(w io.Writer, list []diagnosis) {
	category := ""
	counts := map[status]int{}
	for _, d := range list {
		counts[d.Status]++
		if d.Category != category {
			if category != "" {
				emit(w, "\n")
			}
			category = d.Category
			emit(w, category, "\n", strings.Repeat("-", len(category)), "\n")
		}
		sign, arrow := marks[d.Status][0], "→"
		if o.Report.ASCII {
			sign, arrow = marks[d.Status][1], "->"
		}
		if o.Report.Colour {
			sign = "\x1b[" + markColours[d.Status] + "m" + sign + "\x1b[0m"
		}
		emit(w, sign, " ", d.Title, "\n")
		for _, reason := range d.Reasons {
			emit(w, "    ", reason, "\n")
		}
		if d.Hint != "" {
			emit(w, "    ", arrow, " ", d.Hint, "\n")
		}
	}
	emit(w, "\n", tally(counts), "\n")
}

// tally sums a diagnosis up in a line.
func tally(counts map[status]int) string {
	var parts []string
	for _, s := range []status{statusFailed, statusWarning, statusUnknown, statusPassed, statusSkipped} {
		n, word := counts[s], string(s)
		if s == statusWarning {
			word = plural(n, word, word+"s")
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return strings.Join(parts, ", ")
}

// writeDiagnosisShort prints one line for each thing that is not well.
func writeDiagnosisShort(w io.Writer, list []diagnosis) {
	for _, d := range list {
		if d.Status == statusPassed || d.Status == statusSkipped {
			continue
		}
		line := fmt.Sprintf("%-7s %s: %s", d.Status, d.ID, strings.Join(d.Reasons, "; "))
		if d.Hint != "" {
			line += " [" + d.Hint + "]"
		}
		emit(w, line, "\n")
	}
}

func writeDiagnosisJSON(w io.Writer, list []diagnosis) error {
	document := struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Summary    map[status]int `json:"summary"`
		Checks     []diagnosis    `json:"checks"`
	}{v1alpha1.GroupVersion.String(), kindDiagnosis, map[status]int{}, list}
	for s := range marks {
		document.Summary[s] = 0
	}
	for _, d := range list {
		document.Summary[d.Status]++
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		return fmt.Errorf("encode the diagnosis: %w", err)
	}
	return nil
}

// writeUsageDiagnosis keeps the promise that -o json is one document in every
// outcome, when the command line itself is wrong.
func writeUsageDiagnosis(w io.Writer, args []string, usage *usageError) error {
	if !slices.Contains(outputsOf(args), formatJSON) {
		return nil
	}
	d := diagnosis{"usage", aboutKubernetes, "the command line is right", statusFailed, []string{usage.message}, usage.next}
	return writeDiagnosisJSON(w, []diagnosis{d})
}
