package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mojasec/mojasec/pkg/serving"
)

// flags are what was typed.
type flags struct {
	kubeconfig string

	webhookAddress, metricsAddress, healthAddress string

	certDir      string
	servingHosts []string
	periods      serving.Periods

	clientCA    string
	clientNames []string

	selfUser      string
	leaderElect   bool
	leaseDuration time.Duration

	drainDelay, shutdownGrace time.Duration

	logLevel string
}

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func newCommand(stdout, stderr io.Writer) *cobra.Command {
	f := &flags{periods: serving.DefaultPeriods()}
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Serve the admission webhook of mojasec",
		Long: `Serve the admission webhook of mojasec.

In a cluster it needs no flags. It stops on SIGTERM without a failed call: it
reports that it is not ready, serves on for --drain-delay, and then ends its
connections in order.`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Errorf("unexpected argument %q: webhook takes flags only, see webhook --help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			level, err := f.validate()
			if err != nil {
				return &usageError{err}
			}
			log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
			return serve(cmd.Context(), f, log)
		},
	}
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w, see webhook --help", err)}
	})
	f.add(cmd)
	return cmd
}

func (f *flags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "file that says how to reach the API server; the service account of the pod when empty")
	fs.StringVar(&f.webhookAddress, "webhook-address", ":9443", "address that API servers call, over TLS")
	fs.StringVar(&f.metricsAddress, "metrics-address", ":8080", "address of /metrics; empty to have none")
	fs.StringVar(&f.healthAddress, "health-address", ":8081", "address of /healthz and /readyz")

	fs.StringVar(&f.certDir, "cert-dir", "", "directory with tls.crt and tls.key, for example of cert-manager; the webhook makes its own certificates when empty")
	fs.StringSliceVar(&f.servingHosts, "serving-host", nil, "name or address beside those of the Service that the certificate is valid for; may be repeated")
	fs.DurationVar(&f.periods.CA, "ca-life", f.periods.CA, "how long a CA of our own is valid; it is renewed after two thirds")
	fs.DurationVar(&f.periods.Leaf, "certificate-life", f.periods.Leaf, "how long a serving certificate of our own is valid; it is renewed after two thirds")
	fs.DurationVar(&f.periods.Settle, "ca-settle", f.periods.Settle, "how long a new CA is trusted before it signs; longer than API servers take to learn of it")
	fs.DurationVar(&f.periods.Drain, "ca-drain", f.periods.Drain, "how long an old CA is trusted after it signed last; longer than replicas take to serve a new certificate")

	fs.StringVar(&f.clientCA, "client-ca", "", "file with the authorities of API servers' client certificates; any caller is served when empty")
	fs.StringSliceVar(&f.clientNames, "client-name", nil, "common name of an API server's client certificate, with --client-ca; any name when there is none; may be repeated")

	fs.StringVar(&f.selfUser, "self-user", "system:serviceaccount:"+serving.Namespace+":"+serving.ServiceName, "user name that the API server knows this webhook by")
	fs.BoolVar(&f.leaderElect, "leader-elect", true, "let one replica at a time write; false for a single one")
	fs.DurationVar(&f.leaseDuration, "lease-duration", 15*time.Second, "how long the lease of a leader that is gone keeps others from taking over")

	fs.DurationVar(&f.drainDelay, "drain-delay", 10*time.Second, "how long to serve on after SIGTERM, so that no new call comes any more")
	fs.DurationVar(&f.shutdownGrace, "shutdown-grace", 20*time.Second, "how long calls in flight may take after that")
	fs.StringVar(&f.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
}

func (f *flags) validate() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return level, fmt.Errorf("--log-level %q: use debug, info, warn or error", f.logLevel)
	}
	for _, a := range []struct {
		flag, value string
		optional    bool
	}{
		{"webhook-address", f.webhookAddress, false},
		{"health-address", f.healthAddress, false},
		{"metrics-address", f.metricsAddress, true},
	} {
		if a.optional && a.value == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.value); err != nil {
			return level, fmt.Errorf("--%s %q: use HOST:PORT or :PORT", a.flag, a.value)
		}
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"ca-life", f.periods.CA},
		{"certificate-life", f.periods.Leaf},
		{"ca-settle", f.periods.Settle},
		{"ca-drain", f.periods.Drain},
		{"lease-duration", f.leaseDuration},
	} {
		if d.value <= 0 {
			return level, fmt.Errorf("--%s %s: use a duration greater than zero, for example 1h", d.flag, d.value)
		}
	}
	switch {
	case len(f.clientNames) > 0 && f.clientCA == "":
		return level, errors.New("--client-name means nothing without --client-ca")
	case f.certDir != "" && len(f.servingHosts) > 0:
		return level, errors.New("--serving-host means nothing with --cert-dir: who makes those certificates decides")
	case slices.Contains(f.servingHosts, ""):
		return level, errors.New("--serving-host is empty: use a name or address")
	case f.drainDelay < 0 || f.shutdownGrace < 0:
		return level, errors.New("--drain-delay and --shutdown-grace: use durations of zero or more")
	}
	return level, nil
}
