package plugin

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mojasec/mojasec/pkg/crypto/ilp"
	"github.com/mojasec/mojasec/pkg/crypto/jws"
	"github.com/mojasec/mojasec/pkg/plugin/load"
)

// ToOptions makes sense of what was typed.
func (f *TestTransactionFlags) ToOptions() (*TestTransactionOptions, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	o := &TestTransactionOptions{
		Load:      load.Options{Rate: f.Rate, For: f.For, WarmUp: f.WarmUp, Connections: f.Connections, Timeout: f.Timeout},
		SignAhead: f.SignAhead, CallbackListen: f.CallbackListen, CallbackWait: f.CallbackWait, Yes: f.Yes, Output: f.Output, IOStreams: f.IOStreams,
		Messages: load.FSPIOP{
			Source: f.Source, Destination: f.Destination, Amount: f.Amount, Currency: f.Currency, Version: f.ResourceVersion,
		},
	}
	var err error
	if o.Layers, err = f.layers(); err != nil {
		return nil, err
	}
	for _, l := range o.Layers {
		for _, u := range l.urls {
			if !onThisMachine(u.Hostname()) && !slices.Contains(o.Hosts, u.Host) {
				o.Hosts = append(o.Hosts, u.Host)
			}
		}
	}
	if err := f.messages(&o.Messages); err != nil {
		return nil, err
	}
	if o.Load.TLS, err = f.tls(); err != nil {
		return nil, err
	}
	if f.VerificationKeys != "" {
		if o.Keys, err = f.verificationKeys(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// validate looks at the flags that mean something by themselves.
func (f *TestTransactionFlags) validate() error {
	for _, k := range f.Messages {
		if !slices.Contains(kindNames(), k) {
			return unknown("kind of message", k, kindNames())
		}
	}
	for _, l := range f.Layers {
		if !slices.Contains(layerNames(), l) {
			return unknown("layer", l, layerNames())
		}
	}
	formats := []string{formatTable, formatJSON, formatYAML}
	switch {
	case !slices.Contains(formats, f.Output):
		return unknown("format", f.Output, formats)
	case len(f.URLs) == 0:
		return &usageError{message: "which peer? give --url, such as --url http://127.0.0.1:4000"}
	case f.Source == "" || f.Destination == "":
		return &usageError{message: "who sends, and to whom? give --source ID and --destination ID"}
	case !(f.Rate > 0):
		return &usageError{message: fmt.Sprintf("--rate %v: want messages per second, more than 0", f.Rate)}
	case f.For <= 0:
		return &usageError{message: fmt.Sprintf("--for %s: want more than 0, such as 60s", f.For)}
	case f.WarmUp < 0:
		return &usageError{message: fmt.Sprintf("--warm-up %s: want 0 or more", f.WarmUp)}
	case f.Connections < 1:
		return &usageError{message: fmt.Sprintf("--connections %d: want 1 or more", f.Connections)}
	case f.Timeout <= 0:
		return &usageError{message: fmt.Sprintf("--timeout %s: want more than 0", f.Timeout)}
	case (f.Cert == "") != (f.KeyTLS == ""):
		return &usageError{message: "--cert and --key-tls go together: a certificate and its private key"}
	case slices.Contains(f.Messages, string(load.Payments)) && f.CallbackListen == "":
		return &usageError{message: "--messages payments needs --callback-listen: the transfer is made of the callback of its quote"}
	case slices.Contains(f.Messages, string(load.Payments)) && f.SignAhead:
		return &usageError{message: "--sign-ahead and --messages payments contradict each other: the transfer is made of the callback of its quote"}
	case f.VerificationKeys != "" && f.CallbackListen == "":
		return &usageError{message: "--keys verifies callbacks, and needs --callback-listen"}
	}
	return nil
}

// layers gives each layer its peers.
func (f *TestTransactionFlags) layers() ([]layerRun, error) {
	urls := map[string][]*url.URL{}
	for _, value := range f.URLs {
		name, text := f.cutLayer(value)
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
			return nil, &usageError{message: fmt.Sprintf("--url %q: want an address such as http://127.0.0.1:4000", f.shownValue(name, text))}
		}
		if name != "" && !slices.Contains(f.Layers, name) {
			return nil, &usageError{message: fmt.Sprintf("--url %q is for a layer that is not in --layers", f.shownValue(name, text))}
		}
		urls[name] = append(urls[name], u)
	}
	pids := map[string][]int{}
	for _, value := range f.PeerPIDs {
		name, text := f.cutLayer(value)
		pid, err := strconv.Atoi(text)
		if err != nil || pid < 1 {
			return nil, &usageError{message: fmt.Sprintf("--peer-pid %q: want the id of a process", value)}
		}
		pids[name] = append(pids[name], pid)
	}
	if len(f.Layers) == 0 {
		if f.Key == "" {
			return nil, &usageError{message: "with which key? give --key FILE, or --layers none to send unsigned messages"}
		}
		return []layerRun{{layer: layer{jws: true, ilp: true, mtls: urls[""][0].Scheme == "https"}, urls: urls[""], pids: pids[""]}}, nil
	}
	var runs []layerRun
	for _, l := range layers {
		if !slices.Contains(f.Layers, l.name) {
			continue
		}
		run := layerRun{layer: l, urls: urls[l.name], pids: pids[l.name]}
		if len(run.urls) == 0 {
			run.urls = urls[""]
		}
		if len(run.pids) == 0 {
			run.pids = pids[""]
		}
		if err := f.checkLayer(run); err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// cutLayer splits LAYER=VALUE. What is no layer belongs to the value.
func (f *TestTransactionFlags) cutLayer(value string) (name, rest string) {
	if name, rest, ok := strings.Cut(value, "="); ok && slices.Contains(layerNames(), name) {
		return name, rest
	}
	return "", value
}

// shownValue is LAYER=URL as messages show it.
func (f *TestTransactionFlags) shownValue(layer, text string) string {
	if layer == "" {
		return shownURL(text)
	}
	return layer + "=" + shownURL(text)
}

// checkLayer wants peers that fit.
func (f *TestTransactionFlags) checkLayer(run layerRun) error {
	scheme := "http"
	if run.mtls {
		scheme = "https"
	}
	switch {
	case len(run.urls) == 0:
		return &usageError{message: fmt.Sprintf("no peer for layer %s: give --url %s=%s://HOST:PORT", run.name, run.name, scheme)}
	case run.jws && f.Key == "":
		return &usageError{message: fmt.Sprintf("layer %s signs: give --key FILE", run.name)}
	case run.mtls && f.Cert == "":
		return &usageError{message: fmt.Sprintf("layer %s has mutual TLS: give --cert FILE and --key-tls FILE", run.name)}
	}
	for _, u := range run.urls {
		if u.Scheme != scheme {
			return &usageError{message: fmt.Sprintf("layer %s wants a peer that speaks %s, got %s; give --url %s=%s://HOST:PORT", run.name, scheme, shownURL(u.String()), run.name, scheme)}
		}
	}
	return nil
}

// messages sets what is sent.
func (f *TestTransactionFlags) messages(m *load.FSPIOP) error {
	for _, k := range f.Messages {
		m.Kinds = append(m.Kinds, load.Kind(k))
	}
	var err error
	if m.Payer, err = load.ParseParty(f.Payer); err != nil {
		return &usageError{message: "--payer " + err.Error()}
	}
	if m.Payee, err = load.ParseParty(f.Payee); err != nil {
		return &usageError{message: "--payee " + err.Error()}
	}
	if _, err := (ilp.Amount{Amount: f.Amount, Currency: f.Currency}).Units(); err != nil {
		return &usageError{message: fmt.Sprintf("--amount %q --currency %q: %v", f.Amount, f.Currency, err)}
	}
	if m.ILPVersion, err = ilp.ParseVersion(f.ILPVersion); err != nil {
		return &usageError{message: "--ilp-version: " + err.Error()}
	}
	if f.Key != "" {
		if m.Key, err = readSigningKey(f.Key, f.ErrOut); err != nil {
			return err
		}
	}
	m.Secret, err = f.ilpSecret()
	return err
}

// verificationKeys reads <fsp>.pem files, as an adapter does.
func (f *TestTransactionFlags) verificationKeys() (jws.Keys, error) {
	folder := fileFlag{"--keys", verificationDir(f.VerificationKeys)}
	files, err := filepath.Glob(filepath.Join(escapeGlob(folder.name), "*.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the verification keys: %w", err)
	}
	if len(files) == 0 {
		if _, err := os.ReadDir(folder.name); err != nil {
			return nil, fmt.Errorf("read the verification keys: %w", folder.explain(err))
		}
	}
	keys := jws.Keys{}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the user names the directory
		if err != nil {
			return nil, fmt.Errorf("read the verification keys: %w", err)
		}
		key, err := jws.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("read the verification key %s: %w", visible(file), err)
		}
		keys[strings.TrimSuffix(filepath.Base(file), ".pem")] = key
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read the verification keys: %s holds no <fsp>.pem file", folder)
	}
	return keys, nil
}

// ilpSecret reads the secret, or draws one.
func (f *TestTransactionFlags) ilpSecret() (ilp.Secret, error) {
	if f.ILPSecret == "" {
		return ilp.GenerateSecret(rand.Reader)
	}
	file := fileFlag{"--ilp-secret-file", f.ILPSecret}
	text, err := file.read()
	if err != nil {
		return ilp.Secret{}, fmt.Errorf("read the ILP secret: %w", err)
	}
	text = bytes.TrimRight(text, "\r\n")
	secret, err := ilp.NewSecret(text)
	if err != nil {
		return ilp.Secret{}, fmt.Errorf("read the ILP secret: %s: %w", file, err)
	}
	if isPEM(string(text)) {
		_, _ = fmt.Fprintf(f.ErrOut, "warning: %s: %s\n", file, pemForSecret)
	}
	return secret, nil
}

// tls sets up https.
func (f *TestTransactionFlags) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if f.CA != "" {
		if config.RootCAs, err = readRoots(f.CA); err != nil {
			return nil, err
		}
	}
	if f.Cert != "" {
		pair, err := readKeyPair(fileFlag{"--cert", f.Cert}, fileFlag{"--key-tls", f.KeyTLS}, f.ErrOut)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{*pair}
	}
	return config, nil
}

// onThisMachine tells whether a host is this machine, whoever answers for names.
func onThisMachine(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
