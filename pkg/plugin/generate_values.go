package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/policy"
)

// GenerateValuesFlags are what was typed.
type GenerateValuesFlags struct {
	Chart            string
	SecretName       string
	ILPSecretName    string
	FSPID            string
	VerificationKeys string
	Profile          string
	Output           string

	genericiooptions.IOStreams
}

// GenerateValuesOptions are what Run needs.
type GenerateValuesOptions struct {
	Targets []Target
	Chart   *chart
	// SecretName and ILPSecretName replace the names of the Profile.
	SecretName, ILPSecretName string
	// HubName is what the hub calls itself.
	HubName string
	// VerificationKeys is a directory of public keys to copy into the values;
	// may be "".
	VerificationKeys string
	// Profile is the file to go by; "" is for the built-in values.
	Profile string
	JSON    bool

	genericiooptions.IOStreams
}

// NewCmdGenerateValues returns the command that prints chart values.
func NewCmdGenerateValues(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &GenerateValuesFlags{Output: "yaml", FSPID: defaultHubName, IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "values TARGET… [--chart CHART] [flags]",
		Short: "Print Helm values that mount the generated Secrets",
		Long: `Print values for Mojaloop's Helm charts that sign with the keys of generate jws,
verify with those of the peers, and take no published ILP secret. Nothing is read
from a cluster.

For dfsp/ID:  ` + strings.Join(chartNames(false), ", ") + `
For hub:      ` + strings.Join(chartNames(true), ", ") + `

The charts cannot take ILP_SECRET from a Secret, and sdk-scheme-adapter cannot
mount the ConfigMap of the peers' keys. The values leave both unset, and the
webhook sets them in namespaces with mojasec.io/mode: enforce. The comments say
what to do without it; --verification-keys copies the public keys into the values
instead, to be done again whenever one changes.`,
		Example: `  # a DFSP
  kubectl mojasec generate values dfsp/bank > mojasec-values.yaml
  helm upgrade bank mojaloop/sdk-scheme-adapter -f values.yaml -f mojasec-values.yaml

  # eight simulators in one release
  kubectl mojasec generate values dfsp/perffsp-{1..8} --chart mojaloop-simulator

  # all services of the hub that sign
  kubectl mojasec generate values hub`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.ToOptions(args)
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.Chart, "chart", "", "`CHART` that the values are for (default sdk-scheme-adapter, for the hub mojaloop)")
	fs.StringVar(&flags.SecretName, "secret-name", "", "`NAME` of the Secret with the signing key (default: that of the Profile)")
	fs.StringVar(&flags.ILPSecretName, "ilp-secret-name", "", "`NAME` of the Secret with the ILP secret (default: that of the Profile)")
	fs.StringVar(&flags.FSPID, "fsp-id", flags.FSPID, "`ID` by which the hub signs")
	fs.StringVar(&flags.VerificationKeys, "verification-keys", "", "copy the public keys of this `DIR` (FSP.pem) into the values of sdk-scheme-adapter")
	fs.StringVar(&flags.Profile, "profile", "", "`FILE` with the Profile to go by; - is standard input (default the built-in values)")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "yaml or json")
	complete(cmd, "chart", append(chartNames(false), chartNames(true)...)...)
	complete(cmd, "output", "yaml", "json")
	completeWith(cmd, "verification-keys", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	completeWith(cmd, "profile", cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt))
	return cmd
}

// ToOptions makes sense of what was typed.
func (f *GenerateValuesFlags) ToOptions(args []string) (*GenerateValuesOptions, error) {
	formats := []string{"yaml", "json"}
	targets, err := ParseTargets(args)
	switch {
	case err != nil:
		return nil, err
	case len(targets) == 0:
		return nil, &usageError{message: "for whom? name dfsp/ID or hub", next: displayName + " generate values dfsp/ID"}
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	case !fspID.MatchString(f.FSPID):
		return nil, &usageError{message: fmt.Sprintf("--fsp-id %q: want letters, digits, -, _ and .", visible(f.FSPID))}
	}
	for _, name := range []string{f.SecretName, f.ILPSecretName} {
		switch {
		case name != "" && len(validation.IsDNS1123Subdomain(name)) > 0:
			return nil, &usageError{message: fmt.Sprintf("%q is no name that a Secret can have", visible(name))}
		case name != "" && len(targets) > 1:
			return nil, &usageError{message: fmt.Sprintf("--secret-name and --ilp-secret-name are for one target, got %d", len(targets))}
		}
	}
	hub := targets[0].Kind == TargetHub
	for _, t := range targets {
		if t.Kind == TargetDeployment {
			return nil, &usageError{message: fmt.Sprintf("target %q: values are for dfsp/ID or hub", t)}
		}
		if (t.Kind == TargetHub) != hub {
			return nil, &usageError{message: "the hub and DFSPs have different charts: do one after the other"}
		}
	}
	name := f.Chart
	if name == "" {
		name = chartNames(hub)[0]
	}
	i := slices.IndexFunc(charts, func(c chart) bool { return c.name == name && c.hub == hub })
	switch {
	case i < 0 && slices.ContainsFunc(charts, func(c chart) bool { return c.name == name }):
		return nil, &usageError{message: fmt.Sprintf("chart %q is not for %s; want %s", name, targets[0], orList(chartNames(hub)))}
	case i < 0:
		return nil, unknown("chart", name, chartNames(hub))
	case len(targets) > 1 && !charts[i].many:
		return nil, &usageError{message: fmt.Sprintf("a release of %s is for one target, got %d", name, len(targets))}
	case f.VerificationKeys != "" && name != chartSDK:
		return nil, &usageError{message: "--verification-keys is for " + chartSDK + ": the others mount the ConfigMap"}
	}
	return &GenerateValuesOptions{
		Targets: targets, Chart: &charts[i], SecretName: f.SecretName, ILPSecretName: f.ILPSecretName, HubName: f.FSPID,
		VerificationKeys: f.VerificationKeys, Profile: f.Profile, JSON: f.Output == "json", IOStreams: f.IOStreams,
	}, nil
}

// Run prints the values.
func (o *GenerateValuesOptions) Run(ctx context.Context) error {
	var profile *v1alpha1.Profile
	if o.Profile != "" {
		var err error
		if profile, err = readProfileFile(ctx, o.Profile, o.In); err != nil {
			return err
		}
	}
	rules := newKeyRules(profile)
	in := chartInput{verification: rules.JWS.VerificationConfigMap}
	for _, t := range o.Targets {
		m, err := o.member(&rules, t)
		if err != nil {
			return err
		}
		in.members = append(in.members, m)
	}
	if o.VerificationKeys != "" {
		var err error
		if in.publicKeys, err = readPublicKeys(o.VerificationKeys); err != nil {
			return err
		}
	}
	return o.print(o.Chart.values(&in), o.Chart.comments(&in))
}

// member finds the Secrets of a target.
func (o *GenerateValuesOptions) member(rules *keyRules, t Target) (chartMember, error) {
	m := chartMember{id: t.Name, key: rules.JWS.KeyFile, ilpKey: rules.ILP.Key}
	if t.Kind == TargetHub {
		m.id, m.key = o.HubName, hubKeyFile
	}
	named := func(flag, pattern string) (string, error) {
		if flag != "" {
			return flag, nil
		}
		name, ok := policy.SecretNameFor(pattern, m.id)
		if !ok {
			return "", &usageError{message: fmt.Sprintf("%s: %q is no name that a Secret can have; name the Secrets with --secret-name and --ilp-secret-name", t, name)}
		}
		return name, nil
	}
	var err error
	if m.secret, err = named(o.SecretName, rules.JWS.SecretName); err != nil {
		return m, err
	}
	if t.Kind == TargetDFSP {
		m.ilpSecret, err = named(o.ILPSecretName, rules.ILP.SecretName)
	}
	return m, err
}

// readPublicKeys reads the files FSP.pem of a directory. Private keys are
// refused: values are no place for them.
func readPublicKeys(dir string) (map[string]string, error) {
	if err := (fileFlag{"--verification-keys", dir}).check(); err != nil {
		return nil, fmt.Errorf("read public keys: %w", err)
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read public keys: there is no folder %s", visible(dir))
	case err != nil:
		return nil, fmt.Errorf("read public keys: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("read public keys: %s is a file; want the folder that it is in", visible(dir))
	}
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.pem"))
	if err != nil {
		return nil, fmt.Errorf("read public keys: %w", err)
	}
	out := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the user names the directory
		if err != nil {
			return nil, fmt.Errorf("read public keys: %w", err)
		}
		key, err := jws.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("read public keys: %s: %w", visible(file), err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".pem")] = string(key.MarshalPEM())
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read public keys: %s has no file that ends in .pem", visible(dir))
	}
	return out, nil
}

func (o *GenerateValuesOptions) print(values map[string]any, comments []string) error {
	var text []byte
	var err error
	if o.JSON {
		text, err = json.MarshalIndent(values, "", "  ")
		text = append(text, '\n')
	} else {
		text, err = yaml.Marshal(values)
		var header strings.Builder
		for _, c := range comments {
			header.WriteString(strings.TrimRight("# "+c, " ") + "\n")
		}
		text = append([]byte(header.String()), text...)
	}
	if err != nil {
		return fmt.Errorf("encode the values: %w", err)
	}
	if _, err := o.Out.Write(text); err != nil {
		return fmt.Errorf("print the values: %w", err)
	}
	return nil
}
