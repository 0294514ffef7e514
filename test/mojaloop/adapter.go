package mojaloop

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mojasec/mojasec/test/controlplane"
)

// AdapterOptions say how an adapter is set up. What is left out is off, or has
// the default of the adapter.
type AdapterOptions struct {
	// DFSPID is the FSP the adapter speaks for.
	DFSPID string
	// SigningKey is the file with the private key for outbound messages. An
	// adapter of this version signs with RS256 only.
	SigningKey string
	// VerificationKeys is the directory of <fsp>.pem files. The adapter watches
	// it for files that come and go.
	VerificationKeys string
	// Sign signs outbound messages, Validate verifies inbound ones.
	Sign, Validate bool
	// ValidatePutParties verifies PUT /parties, too.
	ValidatePutParties bool
	// ILPSecret makes fulfilments; "" is the published default of the adapter.
	ILPSecret string
	// ILPVersion is 1 or 4, for adapters that know ILP_VERSION; 0 leaves it out.
	ILPVersion int
	// NoILPCheck accepts transfers whatever their condition.
	NoILPCheck bool
	// Peer and Backend are host:port of the switch and of the bank.
	Peer, Backend string
	// Redis is the URL of a [Redis].
	Redis string
	// TLS is set for mutual TLS of the inbound server; OutboundTLS for that of
	// requests to the peer.
	TLS, OutboundTLS *TLSFiles
	// Quiet keeps errors and warnings in the log only, as LOG_LEVEL does in
	// newer adapters. This version formats a dozen documents per message.
	Quiet bool
	// NodeArgs are arguments for node itself, such as --cpu-prof.
	NodeArgs []string
	// Env is added to the environment.
	Env []string
}

// TLSFiles are PEM files: the certificate and key of one side, and the CA that
// the other side's certificate is from.
type TLSFiles struct{ Certificate, Key, CA string }

// Adapter is a running sdk-scheme-adapter of Mojaloop.
type Adapter struct {
	// Inbound takes FSPIOP messages from the peer, Outbound requests of the
	// bank. Metrics has the figures for Prometheus. All are base URLs.
	Inbound, Outbound, Metrics string
	// Dir is the working directory of the process.
	Dir string

	processes *controlplane.Processes
	process   *controlplane.Process
}

// quiet is loaded before the adapter.
//
//go:embed quiet.js
var quiet string

// StartAdapter starts an adapter and waits until it serves. The packages come
// from [Modules].
func StartAdapter(ctx context.Context, o AdapterOptions) (*Adapter, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("node is not installed; Mojaloop's adapter runs on Node.js 20")
	}
	modules, err := Modules(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mojasec-adapter-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	a := &Adapter{
		Inbound:  fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		Outbound: fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
		Metrics:  fmt.Sprintf("http://127.0.0.1:%d", ports[2]),
		Dir:      dir, processes: controlplane.NewProcesses(dir),
	}
	if o.TLS != nil {
		a.Inbound = "https" + strings.TrimPrefix(a.Inbound, "http")
	}
	source := filepath.Join(modules, "node_modules", "@mojaloop", "sdk-scheme-adapter", "src", "index.js")
	args := append([]string{}, o.NodeArgs...)
	if o.Quiet {
		script, err := write(dir, "quiet.js", quiet)
		if err != nil {
			return nil, errors.Join(err, a.Close())
		}
		args = append(args, "--require", script)
	}
	a.process, err = a.processes.Start(controlplane.Command{
		// An empty working directory, because the adapter reads .env there.
		Name: "adapter", Path: node, Args: append(args, source), Dir: dir,
		Env: append(o.environment(ports, filepath.Dir(source)), o.Env...),
	})
	if err == nil {
		// It watches the directory of keys before it listens.
		err = waitFor(ctx, a.process, "the adapter", func(ctx context.Context) error { return connects(ctx, ports...) })
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start an adapter for %q: %w", o.DFSPID, err), a.Close())
	}
	return a, nil
}

// environment is the configuration of an adapter.
func (o AdapterOptions) environment(ports []int, source string) []string {
	onOff := strconv.FormatBool
	env := []string{
		"NODE_ENV=production",
		"MOJASEC_ADAPTER=" + source, // for quiet.js
		"LOG_INDENT=0",
		"DFSP_ID=" + o.DFSPID,
		"INBOUND_LISTEN_PORT=" + strconv.Itoa(ports[0]),
		"OUTBOUND_LISTEN_PORT=" + strconv.Itoa(ports[1]),
		"METRICS_SERVER_LISTEN_PORT=" + strconv.Itoa(ports[2]),
		"PEER_ENDPOINT=" + o.Peer,
		"BACKEND_ENDPOINT=" + o.Backend,
		"CACHE_URL=" + o.Redis,
		"JWS_SIGN=" + onOff(o.Sign),
		"VALIDATE_INBOUND_JWS=" + onOff(o.Validate),
		"VALIDATE_INBOUND_PUT_PARTIES_JWS=" + onOff(o.ValidatePutParties),
		"CHECK_ILP=" + onOff(!o.NoILPCheck),
		"INBOUND_MUTUAL_TLS_ENABLED=" + onOff(o.TLS != nil),
		"OUTBOUND_MUTUAL_TLS_ENABLED=" + onOff(o.OutboundTLS != nil),
	}
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set("JWS_SIGNING_KEY_PATH", o.SigningKey)
	set("JWS_VERIFICATION_KEYS_DIRECTORY", o.VerificationKeys)
	set("ILP_SECRET", o.ILPSecret)
	if o.ILPVersion != 0 {
		set("ILP_VERSION", strconv.Itoa(o.ILPVersion))
	}
	if t := o.TLS; t != nil {
		set("IN_SERVER_CERT_PATH", t.Certificate)
		set("IN_SERVER_KEY_PATH", t.Key)
		set("IN_CA_CERT_PATH", t.CA)
	}
	if t := o.OutboundTLS; t != nil {
		set("OUT_CLIENT_CERT_PATH", t.Certificate)
		set("OUT_CLIENT_KEY_PATH", t.Key)
		set("OUT_CA_CERT_PATH", t.CA)
	}
	return env
}

// Close stops the adapter and removes its log.
func (a *Adapter) Close() error { return errors.Join(a.processes.Stop(), os.RemoveAll(a.Dir)) }

// PID returns the process id.
func (a *Adapter) PID() int { return a.process.PID() }

// Log returns the file with what the adapter prints.
func (a *Adapter) Log() string { return a.process.Log() }

// Err tells whether the adapter ended by itself, with the end of its log.
func (a *Adapter) Err() error { return a.process.Err() }

// connects tells whether somebody listens on each port.
func connects(ctx context.Context, ports ...int) error {
	var dialer net.Dialer
	for _, port := range ports {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return err
		}
		_ = conn.Close()
	}
	return nil
}
