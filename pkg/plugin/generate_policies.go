package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
	"github.com/mojasec/mojasec/pkg/plugin/admissionpolicy"
	"github.com/mojasec/mojasec/pkg/policy"
	"github.com/mojasec/mojasec/pkg/policy/collect"
)

// kindAdmission asks for ValidatingAdmissionPolicies.
const kindAdmission = "admission"

// GeneratePoliciesFlags are what was typed.
type GeneratePoliciesFlags struct {
	Kind    string
	Profile string
	Mode    string
	Output  string

	genericiooptions.IOStreams
}

// GeneratePoliciesOptions are what Run needs.
type GeneratePoliciesOptions struct {
	// Profile is the file to read; empty for the built-in values.
	Profile string
	// Limit is the strictest that the policies do.
	Limit policy.Mode
	JSON  bool

	genericiooptions.IOStreams
}

// NewCmdGeneratePolicies returns the command that prints admission policies.
func NewCmdGeneratePolicies(streams genericiooptions.IOStreams) *cobra.Command {
	flags := &GeneratePoliciesFlags{Mode: string(policy.ModeEnforce), Output: "yaml", IOStreams: streams}
	cmd := &cobra.Command{
		Use:   "policies --kind=admission [flags]",
		Short: "Print checks as policies of the API server, for clusters without the webhook",
		Long: `Print the checks that a pod by itself can break as ValidatingAdmissionPolicies and
their bindings, for clusters that cannot run the webhook. The API server (1.30 or
later) evaluates them itself.

They judge pods, ephemeral containers and everything that makes pods, in
namespaces with the label mojasec.io/mode: enforce refuses, warn warns, audit
writes to the audit log. They read no Secret and no ConfigMap, know no Waiver and
inject nothing: see docs/admission-policies.md, and use the webhook where you can.

In a cluster without a service mesh give a Profile with mesh: none.`,
		Example: `  # try them: warn in namespaces that enforce, too
  kubectl mojasec generate policies --kind=admission --mode=warn | kubectl apply -f -

  # enforce
  kubectl mojasec generate policies --kind=admission | kubectl apply -f -

  # with published secrets, datastore ports and recognition rules of a Profile
  kubectl mojasec generate policies --kind=admission --profile profile.yaml`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.ToOptions()
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.Kind, "kind", "", "`KIND` of policies: admission")
	fs.StringVar(&flags.Profile, "profile", "", "`FILE` with the Profile to go by; - is standard input (default the built-in values)")
	fs.StringVar(&flags.Mode, "mode", flags.Mode, "strictest `MODE` in any namespace: enforce, warn or audit")
	fs.StringVarP(&flags.Output, "output", "o", flags.Output, "yaml or json")
	complete(cmd, "kind", kindAdmission)
	complete(cmd, "mode", modes()...)
	complete(cmd, "output", "yaml", "json")
	completeWith(cmd, "profile", cobra.FixedCompletions([]string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt))
	return cmd
}

func modes() []string {
	return []string{string(policy.ModeEnforce), string(policy.ModeWarn), string(policy.ModeAudit)}
}

// ToOptions makes sense of what was typed.
func (f *GeneratePoliciesFlags) ToOptions() (*GeneratePoliciesOptions, error) {
	switch formats := []string{"yaml", "json"}; {
	case f.Kind == "":
		return nil, &usageError{message: "which policies? name a kind", next: displayName + " generate policies --kind=" + kindAdmission}
	case f.Kind != kindAdmission:
		return nil, unknown("kind", f.Kind, []string{kindAdmission})
	case !slices.Contains(modes(), f.Mode):
		return nil, unknown("mode", f.Mode, modes())
	case !slices.Contains(formats, f.Output):
		return nil, unknown("format", f.Output, formats)
	}
	return &GeneratePoliciesOptions{Profile: f.Profile, Limit: policy.Mode(f.Mode), JSON: f.Output == "json", IOStreams: f.IOStreams}, nil
}

// Run prints the policies.
func (o *GeneratePoliciesOptions) Run(ctx context.Context) error {
	options := admissionpolicy.Options{Limit: o.Limit}
	command := displayName + " generate policies --kind=" + kindAdmission
	if o.Profile != "" {
		profile, err := readProfileFile(ctx, o.Profile, o.In)
		if err != nil {
			return err
		}
		options.Profile = profile
		command += " --profile " + quote(o.Profile)
	}
	if o.Limit != policy.ModeEnforce {
		command += " --mode=" + string(o.Limit)
	}
	objs, err := admissionpolicy.Generate(options)
	if err != nil {
		return fmt.Errorf("generate policies: %w", err)
	}
	if o.JSON {
		err = admissionpolicy.WriteJSON(o.Out, objs)
	} else {
		err = admissionpolicy.WriteYAML(o.Out, objs, strings.Join(strings.Fields(visible(command)), " "))
	}
	if err != nil {
		return fmt.Errorf("print policies: %w", err)
	}
	return nil
}

// readProfileFile reads the one Profile of a file; - is standard input.
func readProfileFile(ctx context.Context, file string, stdin io.Reader) (*v1alpha1.Profile, error) {
	if err := (fileFlag{"--profile", file}).check(); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	in, err := collect.Files(ctx, collect.Options{Paths: []string{file}, Stdin: stdin})
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	var errs []error
	for _, e := range in.Errors {
		errs = append(errs, fmt.Errorf("read profile: %s", visible(e.Error())))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var found []*v1alpha1.Profile
	for _, obj := range in.Objects {
		if p, ok := obj.Object.(*v1alpha1.Profile); ok {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("read profile: %s has %d objects of kind %s, want 1 with apiVersion %s", visible(file), len(found), v1alpha1.KindProfile, v1alpha1.GroupVersion)
	}
	return found[0], nil
}
