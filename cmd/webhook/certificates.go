package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	admissionregistrationclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/mojasec/mojasec/pkg/serving"
)

// task runs until its context ends.
type task func(context.Context) error

// certificates is where the serving certificate comes from.
type certificates struct {
	get    func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	ready  func() error
	run    task
	leader task // nil when somebody else makes them
}

func newCertificates(f *flags, cfg *rest.Config, log *slog.Logger) (certificates, error) {
	if f.certDir != "" {
		return filesOf(f.certDir)
	}
	core, err := coreclient.NewForConfig(cfg)
	if err != nil {
		return certificates{}, fmt.Errorf("make a client for Secrets: %w", err)
	}
	configurations, err := admissionregistrationclient.NewForConfig(cfg)
	if err != nil {
		return certificates{}, fmt.Errorf("make a client for webhook configurations: %w", err)
	}
	more := f.servingHosts
	// Bound to one address it is called by that.
	if host, _, err := net.SplitHostPort(f.webhookAddress); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			more = append(more, host)
		}
	}
	o := serving.Options{
		Secrets: core.Secrets(serving.Namespace), Configurations: configurations,
		Hosts: serving.Hosts(more...), Periods: f.periods, Now: time.Now, Log: log,
	}
	c, err := serving.NewCertificates(o)
	if err != nil {
		return certificates{}, err
	}
	return certificates{c.GetCertificate, c.Ready, c.Start, serving.NewLeader(o).Start}, nil
}

// filesInterval is how often the files are read, whatever a watch says.
const filesInterval = 2 * time.Second

// filesOf serves what is in a directory, and what replaces it there.
func filesOf(dir string) (certificates, error) {
	w, err := certwatcher.New(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if errors.Is(err, os.ErrNotExist) {
		return certificates{}, fmt.Errorf("--cert-dir %q: %w; does the Certificate that makes it exist, and is it ready?", dir, err)
	} else if err != nil {
		return certificates{}, fmt.Errorf("--cert-dir %q: %w", dir, err)
	}
	// kubelet swaps a symbolic link, of which a watch may see nothing.
	w.WithWatchInterval(filesInterval)
	ready := func() error {
		leaf, err := w.GetCertificate(nil)
		switch {
		case err != nil:
			return err
		case leaf.Leaf != nil && time.Now().After(leaf.Leaf.NotAfter):
			return fmt.Errorf("the serving certificate in %q ended at %s", dir, leaf.Leaf.NotAfter.Format(time.RFC3339))
		}
		return nil
	}
	return certificates{get: w.GetCertificate, ready: ready, run: w.Start}, nil
}
