package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/report"
)

// formatName prints the names of the objects to change.
const formatName = "name"

// output is one -o: a format and where it goes.
type output struct {
	format string
	// file is the destination; "" is stdout.
	file string
	// printReport is set for the formats of cli-runtime.
	printReport printFunc
}

// outputFormats lists everything -o takes, as it is typed.
func outputFormats() []string {
	formats := append(report.Formats(), formatName)
	for _, e := range expressionFormats {
		formats = append(formats, e.name+"=")
	}
	return formats
}

// parseOutputs reads the values of -o. Only one of them may go to stdout.
func parseOutputs(values []string) ([]output, error) {
	if len(values) == 0 {
		values = []string{"table"}
	}
	var outs []output
	var taken []string
	for _, value := range values {
		out, err := parseOutput(value)
		if err != nil {
			return nil, err
		}
		if slices.Contains(taken, out.file) {
			if out.file == "" {
				return nil, &usageError{message: fmt.Sprintf("-o %s: stdout is taken by another -o; name a file: -o %s=FILE", value, out.format)}
			}
			return nil, &usageError{message: fmt.Sprintf("-o %s: another -o writes %s", value, out.file)}
		}
		taken = append(taken, out.file)
		outs = append(outs, out)
	}
	return outs, nil
}

// formatOfFile guesses the format that a file is to have from its ending.
var formatOfFile = map[string]string{
	".json": "json", ".yaml": "yaml", ".yml": "yaml", ".sarif": "sarif", ".xml": "junit", ".md": "markdown", ".txt": "table",
}

func parseOutput(value string) (output, error) {
	format, rest, hasRest := strings.Cut(value, "=")
	for _, e := range expressionFormats {
		if e.name != format {
			continue
		}
		if rest == "" {
			return output{}, &usageError{message: fmt.Sprintf("-o %s: want -o %s=%s", format, format, e.example)}
		}
		printReport, err := e.parse(rest)
		if err != nil {
			return output{}, &usageError{message: fmt.Sprintf("-o %s: %v", format, err)}
		}
		return output{format: format, printReport: printReport}, nil
	}
	if format != formatName && !slices.Contains(report.Formats(), format) {
		e := unknown("format", format, outputFormats())
		if guess, ok := formatOfFile[filepath.Ext(value)]; ok && !hasRest {
			e.message, e.wrong, e.right = fmt.Sprintf("-o %s: want a format before the file", value), value, guess+"="+value
		}
		return output{}, e
	}
	if hasRest && rest == "" {
		return output{}, &usageError{message: fmt.Sprintf("-o %s: want a file after the =", value)}
	}
	if rest == "-" {
		rest = ""
	}
	if rest != "" {
		rest = filepath.Clean(rest)
	}
	out := output{format: format, file: rest}
	if format == formatName {
		out.printReport = printNames
	}
	return out, nil
}

// write writes a report to where the output goes.
func (out *output) write(stdout io.Writer, r *policy.Report, o report.Options) error {
	if out.file == "" {
		return out.writeTo(stdout, r, o)
	}
	o.Colour, o.Width, o.ASCII = false, 0, false
	return writeFile(out.file, func(w io.Writer) error { return out.writeTo(w, r, o) })
}

func (out *output) writeTo(w io.Writer, r *policy.Report, o report.Options) error {
	if out.printReport != nil {
		if err := out.printReport(w, r); err != nil {
			return fmt.Errorf("write %s: %w", out.format, err)
		}
		return nil
	}
	return report.Write(out.format, w, r, o)
}

// writeFile writes a file whole or not at all. What is no regular file, such as
// /dev/stderr or a named pipe, is written to directly.
func writeFile(name string, write func(io.Writer) error) (err error) {
	mode := fs.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return fmt.Errorf("write %s: %w", name, err)
		case info.IsDir():
			return fmt.Errorf("write %s: is a directory", name)
		case !info.Mode().IsRegular():
			return writeInPlace(name, write)
		}
		mode = info.Mode().Perm()
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	switch cause, ok := errors.AsType[*fs.PathError](err); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: the directory does not exist; make it: mkdir -p %s", name, quote(filepath.Dir(name)))
	case ok: // without the name of the temporary file
		return fmt.Errorf("write %s: %w", name, cause.Err)
	case err != nil:
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(tmp.Name()))
		}
	}()
	err = errors.Join(write(tmp), tmp.Chmod(mode), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

func writeInPlace(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// writeUsageReport keeps the promise that -o json and -o yaml are one document
// in every outcome, when the command line itself is wrong.
func writeUsageReport(stdout io.Writer, args []string, usage *usageError) error {
	for _, format := range outputsOf(args) {
		format = strings.TrimSuffix(format, "=-")
		if format != "json" && format != "yaml" {
			continue
		}
		r := policy.Report{Errors: []policy.InputError{{Message: usage.message}}}
		var buf bytes.Buffer
		if err := report.Write(format, &buf, &r, report.Options{}); err != nil {
			return err
		}
		_, err := buf.WriteTo(stdout)
		return err
	}
	return nil
}

// outputsOf finds the values of -o on a command line that is wrong.
func outputsOf(args []string) []string {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	values := flags.StringArrayP("output", "o", nil, "")
	_ = flags.Parse(args) // as far as it goes
	return *values
}
