package plugin

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mojasec/mojasec/manifests"
	"github.com/mojasec/mojasec/pkg/api/v1alpha1"
)

// modeOrder has the values of the mode label, the weakest first.
var modeOrder = []string{string(v1alpha1.ModeAudit), string(v1alpha1.ModeWarn), string(v1alpha1.ModeEnforce)}

// InstallFlags are what was typed.
type InstallFlags struct {
	Image          string
	Replicas       int
	CertManager    bool
	URL            string
	MeshRoot       string
	Namespaces     []string
	Mode           string
	Restart        bool
	ForceConflicts bool
	Output         string

	writeFlags
	cluster clusterFlags
	build   Build
	genericiooptions.IOStreams
}

// InstallOptions are what Run needs.
type InstallOptions struct {
	Manifests manifestOptions
	// Namespaces to protect; the webhook itself is installed when there are
	// none.
	Namespaces []string
	// Mode to give them; "" keeps the one they have, else warns.
	Mode string
	// Restart rolls the workloads whose pods lack what admission gives.
	Restart        bool
	ForceConflicts bool
	// Output prints the manifests in a format and changes nothing; may be "".
	Output string
	// Now is the time of the restarts.
	Now time.Time

	writer
}

// NewCmdInstall returns the command that installs the webhook and protects
// namespaces.
func NewCmdInstall(streams genericiooptions.IOStreams, build Build) *cobra.Command {
	flags := &InstallFlags{writeFlags: newWriteFlags(5 * time.Minute), cluster: newClusterFlags(), build: build, IOStreams: streams}
	cmd := &cobra.Command{
		Use:     "install [--namespace NAMESPACE …] [flags]",
		GroupID: groupInstall,
		Short:   "Install the webhook, or protect namespaces with it",
		Long: `Install the webhook: its custom resources, rights and processes, and when these
answer, the webhook configurations. Installing again changes what differs, and
keeps the flags of the first time that are not given anew, but for --image.

With --namespace, protect namespaces instead: give the webhook the right to read
the Secrets and ConfigMaps there, and set the label mojasec.io/mode:

  audit    what breaks the rules is counted and logged
  warn     and whoever applies it is warned (the default)
  enforce  and it is refused; what pods lack is injected

The mode is raised or kept, never lowered. Pods that run already stay as they
are: those that lack what admission gives are listed, and rolled with --restart,
one workload at a time.

The plan is shown first. Without a terminal nothing is done without --yes.

Exit codes: 0 done; 1 error; 4 refused; 5 stopped between two restarts;
64 usage; 124 timeout; 130 interrupted.`,
		Example: `  # install, after a look at the plan
  kubectl mojasec install --dry-run=server
  kubectl mojasec install

  # the manifests, for GitOps
  kubectl mojasec install -o yaml > mojasec.yaml

  # certificates from cert-manager
  kubectl mojasec install --cert-manager

  # see what the rules would refuse in a namespace, then enforce them
  kubectl mojasec install --namespace mojaloop --mode warn
  kubectl mojasec install --namespace mojaloop --mode enforce --restart`,
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
	fs.StringSliceVarP(&flags.Namespaces, "namespace", "n", nil, "protect this `NAMESPACE`; a further one needs a further -n")
	fs.StringVar(&flags.Mode, "mode", "", "`MODE` of the namespaces: "+orList(modeOrder)+" (default: the one they have, else warn)")
	fs.BoolVar(&flags.Restart, "restart", false, "roll the workloads whose pods lack what admission gives")
	fs.StringVar(&flags.Image, "image", "", "`IMAGE` of the webhook (default: the one of this version)")
	fs.IntVar(&flags.Replicas, "replicas", 0, "`NUMBER` of webhook processes (default 2)")
	fs.BoolVar(&flags.CertManager, "cert-manager", false, "leave the serving certificates to cert-manager")
	fs.StringVar(&flags.URL, "url", "", "register a webhook that runs outside of the cluster, at this `URL`")
	fs.StringVar(&flags.MeshRoot, "mesh-root", "", "root `NAMESPACE` of the mesh (default "+manifests.DefaultMeshRoot+")")
	fs.StringVarP(&flags.Output, "output", "o", "", "print what would be applied as yaml, json or name, and change nothing")
	fs.BoolVar(&flags.ForceConflicts, "force-conflicts", false, "take over fields that somebody else set")
	flags.addWriteFlags(fs)
	flags.cluster.addTo(fs)
	complete(cmd, "mode", modeOrder...)
	complete(cmd, "output", "yaml", "json", "name")
	complete(cmd, "dry-run", dryRunNone, dryRunClient, dryRunServer)
	return cmd
}

// release is what versions of releases look like, which have an image.
var release = regexp.MustCompile(`^v\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?$`)

// ToOptions makes sense of what was typed.
func (f *InstallFlags) ToOptions() (*InstallOptions, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	o := &InstallOptions{
		Manifests:  manifestOptions{Image: f.Image, Replicas: f.Replicas, CertManager: f.CertManager, URL: f.URL, MeshRoot: f.MeshRoot},
		Namespaces: slices.Compact(slices.Sorted(slices.Values(f.Namespaces))), Mode: f.Mode, Restart: f.Restart,
		ForceConflicts: f.ForceConflicts, Output: f.Output, Now: time.Now(),
		writer: writer{writeFlags: f.writeFlags, IOStreams: f.IOStreams},
	}
	if release.MatchString(f.build.Version) {
		o.Manifests.Version = f.build.Version
	}
	if o.Output != "" {
		return o, nil
	}
	var err error
	o.cluster, err = f.cluster.connect(f.ErrOut)
	return o, err
}

func (f *InstallFlags) validate() error {
	formats := []string{"yaml", "json", "name"}
	here := displayName + " install"
	ofWebhook := f.Image != "" || f.MeshRoot != "" || f.Replicas != 0 || f.CertManager || f.URL != ""
	switch {
	case f.Output != "" && !slices.Contains(formats, f.Output):
		return unknown("format", f.Output, formats)
	case f.Mode != "" && !slices.Contains(modeOrder, f.Mode):
		return unknown("mode", f.Mode, modeOrder)
	case f.Mode != "" && len(f.Namespaces) == 0:
		return &usageError{message: "--mode is the mode of namespaces: name them", next: here + " --namespace mojaloop --mode " + f.Mode}
	case f.Restart && len(f.Namespaces) == 0:
		return &usageError{message: "--restart rolls the workloads of namespaces: name them", next: here + " --namespace mojaloop --restart"}
	case ofWebhook && len(f.Namespaces) > 0:
		return &usageError{message: "--image, --replicas, --cert-manager, --mesh-root and --url are for installing the webhook, without --namespace; do one after the other", next: here + " --help"}
	case f.CertManager && f.URL != "":
		return &usageError{message: "--cert-manager and --url contradict each other: a webhook outside of the cluster has its own certificate"}
	case f.Replicas < 0:
		return &usageError{message: fmt.Sprintf("--replicas %d: want 1 or more", f.Replicas)}
	}
	for _, ns := range f.Namespaces {
		if errs := validation.IsDNS1123Label(ns); len(errs) > 0 {
			return &usageError{message: fmt.Sprintf("--namespace %q is no name of a namespace: %s", ns, errs[0])}
		}
		if slices.Contains(exemptNamespaces, ns) {
			return &usageError{message: fmt.Sprintf("--namespace %s: the webhook never looks at %s, so that it cannot block the cluster", ns, orList(exemptNamespaces))}
		}
	}
	if f.URL != "" {
		u, err := url.Parse(f.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return &usageError{message: fmt.Sprintf("--url %q: want an address such as https://127.0.0.1:9443", f.URL)}
		}
	}
	return f.validateWrite()
}

// exemptNamespaces are never matched by the webhook.
var exemptNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", systemNamespace}
