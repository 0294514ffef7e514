// Command controlplane runs a real Kubernetes on one machine, without
// containers, until it is interrupted or, detached, until down.
//
//	go run ./test/controlplane/cmd/controlplane up
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mojasec/mojasec/test/controlplane"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := newCommand(os.Stdout, os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error: "+err.Error())
		return 1
	}
	return 0
}

func newCommand(out, errOut io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "controlplane",
		Short:         "Run a real Kubernetes on this machine, without containers",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.AddCommand(newUp(out, errOut), newDown(errOut), newBuild(out, errOut))
	return root
}

// upFlags is what was typed.
type upFlags struct {
	name, kubeconfig string
	nodes            int
	istio, audit     bool
	detach, worker   bool
}

func newUp(out, errOut io.Writer) *cobra.Command {
	f := upFlags{name: "default", nodes: 3}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a control plane; Ctrl-C or, with --detach, down stops it",
		Long: "Start a control plane and print the shell commands that use it.\n" +
			"The first run builds it, which takes about 12 minutes (with --istio 10 more).",
		Example: "  eval \"$(go run ./test/controlplane/cmd/controlplane up --detach)\"\n  kubectl get nodes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.detach {
				return f.runDetached(cmd.Context(), out, errOut)
			}
			return f.runHere(cmd.Context(), out, errOut)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.nodes, "nodes", f.nodes, "number of nodes")
	flags.BoolVar(&f.istio, "istio", f.istio, "run istiod, its injector and its validation too")
	flags.BoolVar(&f.audit, "audit", f.audit, "write an audit log")
	flags.BoolVar(&f.detach, "detach", f.detach, "return when it is ready and leave it running")
	flags.StringVar(&f.kubeconfig, "kubeconfig", f.kubeconfig, "also write the administrator's kubeconfig to this file, removed at the end")
	flags.StringVar(&f.name, "name", f.name, "name of the control plane, to run several")
	flags.BoolVar(&f.worker, "worker", f.worker, "be the process that --detach leaves running")
	_ = flags.MarkHidden("worker")
	return cmd
}

// runHere runs a control plane until ctx ends or one of its processes dies.
func (f upFlags) runHere(ctx context.Context, out, errOut io.Writer) (err error) {
	instance, err := controlplane.Claim(f.name)
	if err != nil {
		return err
	}
	defer instance.Release()
	begin := time.Now()
	c, err := controlplane.Start(ctx, controlplane.Options{
		Nodes: f.nodes, Istio: f.istio, Audit: f.audit, Progress: errOut,
	})
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := c.Stop(); err == nil {
			err = stopErr
		}
	}()
	kubeconfig := c.Kubeconfig()
	if f.kubeconfig != "" {
		kubeconfig = f.kubeconfig
		if err := c.WriteKubeconfig(kubeconfig, "admin", "system:masters"); err != nil {
			return err
		}
		defer func() { _ = os.Remove(kubeconfig) }()
	}
	if err := instance.Publish(controlplane.State{
		Kubeconfig: kubeconfig, BinDir: c.Binaries().BinDir(), Server: c.Config.Host, Logs: c.Dir() + "/logs",
	}); err != nil {
		return err
	}
	if !f.worker {
		announce(out, errOut, instance.State(), time.Since(begin))
		fmt.Fprintln(errOut, "press Ctrl-C to stop it")
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := c.Err(); err != nil {
				return err
			}
		}
	}
}

// runDetached starts this program again as a worker and returns when the
// worker's control plane is ready.
func (f upFlags) runDetached(ctx context.Context, out, errOut io.Writer) error {
	build := controlplane.Build
	if f.istio {
		build = controlplane.BuildIstio
	}
	if _, err := build(ctx, errOut); err != nil { // here, to show its progress
		return err
	}
	begin := time.Now()
	args := []string{
		"up", "--worker", "--name=" + f.name, "--kubeconfig=" + f.kubeconfig,
		fmt.Sprintf("--nodes=%d", f.nodes), fmt.Sprintf("--istio=%t", f.istio), fmt.Sprintf("--audit=%t", f.audit),
	}
	state, err := controlplane.Detach(ctx, f.name, args)
	if err != nil {
		return err
	}
	announce(out, errOut, state, time.Since(begin))
	fmt.Fprintf(errOut, "stop it with: go run ./test/controlplane/cmd/controlplane down%s\n", nameFlag(f.name))
	return nil
}

// announce prints what a shell can evaluate to out, and the rest to errOut.
func announce(out, errOut io.Writer, s controlplane.State, took time.Duration) {
	fmt.Fprintf(errOut, "control plane ready after %.1f s: %s, kubectl is %s/kubectl, logs are in %s\n", took.Seconds(), s.Server, s.BinDir, s.Logs)
	fmt.Fprintf(out, "export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\n", quote(s.Kubeconfig), quote(s.BinDir))
}

// quote makes one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func nameFlag(name string) string {
	if name == "default" {
		return ""
	}
	return " --name " + name
}

func newDown(errOut io.Writer) *cobra.Command {
	name := "default"
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop a control plane and remove its data",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			was, err := controlplane.Down(cmd.Context(), name)
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintf(errOut, "control plane %q does not run\n", name)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", name, "name of the control plane")
	return cmd
}

func newBuild(out, errOut io.Writer) *cobra.Command {
	var istio bool
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the control plane, unless it is built, and print where it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			build := controlplane.Build
			if istio {
				build = controlplane.BuildIstio
			}
			binaries, err := build(cmd.Context(), errOut)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, binaries.BinDir())
			return nil
		},
	}
	cmd.Flags().BoolVar(&istio, "istio", istio, "build istiod too")
	return cmd
}
