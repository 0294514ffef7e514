package plugin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"
)

// Build says which build of the program this is.
type Build struct {
	Version   string `json:"gitVersion"`
	Commit    string `json:"gitCommit,omitempty"`
	Date      string `json:"buildDate,omitempty"` // RFC 3339
	GoVersion string `json:"goVersion"`
	Platform  string `json:"platform"`
}

// NewBuild completes what the linker was told by what the Go tool chain noted
// in the binary.
func NewBuild(version, commit, date string) Build {
	b := Build{
		Version: version, Commit: commit, Date: date,
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = cmp.Or(b.Commit, s.Value)
		case "vcs.time":
			b.Date = cmp.Or(b.Date, s.Value)
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified && commit == "" && b.Commit != "" {
		b.Commit += "-dirty"
	}
	if info.Main.Version != "(devel)" { // go install …@version
		b.Version = cmp.Or(b.Version, info.Main.Version)
	}
	b.Version = cmp.Or(b.Version, "dev")
	return b
}

// VersionFlags are what was typed.
type VersionFlags struct {
	Client bool
	Output string
}

// NewCmdVersion returns the command that says which build this is.
func NewCmdVersion(streams genericiooptions.IOStreams, build Build) *cobra.Command {
	var flags VersionFlags
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupOther,
		Short:   "Print the version of this program",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			return printVersion(streams.Out, build, flags.Output)
		},
	}
	cmd.Flags().BoolVar(&flags.Client, "client", false, "do not ask a cluster for a version")
	cmd.Flags().StringVarP(&flags.Output, "output", "o", "", "json or yaml")
	complete(cmd, "output", "json", "yaml")
	return cmd
}

func printVersion(w io.Writer, build Build, format string) error {
	answer := struct {
		Client Build `json:"clientVersion"`
	}{build}
	var text []byte
	var err error
	switch format {
	case "":
		text = []byte(build.String())
	case "json":
		text, err = json.MarshalIndent(answer, "", "  ")
	case "yaml":
		text, err = yaml.Marshal(answer)
	default:
		return unknown("format", format, []string{"json", "yaml"})
	}
	if err != nil {
		return fmt.Errorf("encode version: %w", err)
	}
	if format != "yaml" {
		text = append(text, '\n')
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("print version: %w", err)
	}
	return nil
}

// String is the version in one line.
func (b Build) String() string {
	line := "mojasec " + b.Version
	if b.Commit != "" {
		line += " commit " + b.Commit
	}
	if b.Date != "" {
		line += " of " + b.Date
	}
	return line + " " + b.GoVersion + " " + b.Platform
}
