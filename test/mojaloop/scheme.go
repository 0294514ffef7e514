package mojaloop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mojasec/mojasec/pkg/crypto/jws"
)

// The DFSPs of a [Scheme].
const (
	Payer = "perffsp-1"
	Payee = "perffsp-2"
	// PayerEC signs with ES256, which adapters of this version do not know.
	PayerEC = "perffsp-3"
)

// Scheme is what adapters of the payee need around them: keys of both DFSPs,
// certificates, a Redis, a bank and a switch.
type Scheme struct {
	// PayerKey and PayeeKey are files with private keys (RSA 2048), PayerECKey is
	// one with a P-256 key. Keys is the directory with the public halves.
	PayerKey, PayeeKey, PayerECKey, Keys string
	// Server and Client are for mutual TLS, both sides of one CA.
	Server, Client TLSFiles
	Redis          *Redis
	Backend        *Backend
	Peer           *Peer

	dir string

	mu       sync.Mutex
	adapters []*Adapter
}

// StartScheme starts a scheme without adapters.
func StartScheme(ctx context.Context) (*Scheme, error) {
	dir, err := os.MkdirTemp("", "mojasec-scheme-")
	if err != nil {
		return nil, err
	}
	s := &Scheme{dir: dir, Keys: filepath.Join(dir, "keys"), Backend: StartBackend(), Peer: StartPeer(nil)}
	err = errors.Join(os.Mkdir(s.Keys, 0o700), s.writeKeys(), s.writeCertificates(time.Now()))
	if err == nil {
		s.Redis, err = StartRedis(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a scheme: %w", err), s.Close())
	}
	return s, nil
}

// Close stops everything.
func (s *Scheme) Close() error {
	errs := []error{s.CloseAdapters()}
	if s.Redis != nil {
		errs = append(errs, s.Redis.Close())
	}
	s.Backend.Close()
	s.Peer.Close()
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// Layer is what of the protections adapters have on.
type Layer struct{ MTLS, JWS, ILP bool }

// StartAdapters starts adapters of the payee at once. It may be called
// concurrently.
// Callbacks go to peer, host:port; "" is that of the scheme.
func (s *Scheme) StartAdapters(ctx context.Context, n int, l Layer, peer string) ([]*Adapter, error) {
	// Once, before several would install it at the same time.
	if _, err := Modules(ctx, os.Stderr); err != nil {
		return nil, err
	}
	o := AdapterOptions{
		DFSPID: Payee, SigningKey: s.PayeeKey, VerificationKeys: s.Keys, Sign: l.JWS, Validate: l.JWS, ValidatePutParties: l.JWS,
		ILPSecret: rand.Text(), NoILPCheck: !l.ILP, Peer: peer, Backend: s.Backend.Address(), Redis: s.Redis.URL, Quiet: true,
	}
	if peer == "" {
		o.Peer = s.Peer.Address()
	}
	if l.MTLS {
		o.TLS = &s.Server
	}
	started := make([]*Adapter, n)
	var group errgroup.Group
	for i := range n {
		group.Go(func() error {
			var err error
			started[i], err = StartAdapter(ctx, o)
			return err
		})
	}
	err := group.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range started {
		if a != nil {
			s.adapters = append(s.adapters, a)
		}
	}
	return started, err
}

// CloseAdapters stops the adapters.
func (s *Scheme) CloseAdapters() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, a := range s.adapters {
		errs = append(errs, a.Err(), a.Close())
	}
	s.adapters = nil
	return errors.Join(errs...)
}

// writeKeys makes a key for each DFSP.
func (s *Scheme) writeKeys() error {
	files := map[string]*string{Payer: &s.PayerKey, Payee: &s.PayeeKey, PayerEC: &s.PayerECKey}
	for fsp, file := range files {
		kind := jws.RSA2048
		if fsp == PayerEC {
			kind = jws.P256
		}
		key, err := jws.GenerateKey(kind, rand.Reader)
		if err != nil {
			return err
		}
		if *file, err = write(s.dir, fsp+".key", string(key.MarshalPEM())); err != nil {
			return err
		}
		if _, err := write(s.Keys, fsp+".pem", string(key.Public().MarshalPEM())); err != nil {
			return err
		}
	}
	return nil
}

// writeCertificates makes a CA and a certificate for each side.
func (s *Scheme) writeCertificates(now time.Time) error {
	ca, caKey, err := s.certificate("ca", nil, nil, now)
	if err != nil {
		return err
	}
	for name, files := range map[string]*TLSFiles{"server": &s.Server, "client": &s.Client} {
		if _, _, err := s.certificate(name, ca, caKey, now); err != nil {
			return err
		}
		file := func(suffix string) string { return filepath.Join(s.dir, suffix) }
		*files = TLSFiles{Certificate: file(name + ".crt"), Key: file(name + ".tls"), CA: file("ca.crt")}
	}
	return nil
}

// certificate writes NAME.crt and NAME.tls; without a parent it signs itself.
func (s *Scheme) certificate(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, parentKey = template, key
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		template.ExtKeyUsage, template.IPAddresses, template.DNSNames = nil, nil, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	_, err = write(s.dir, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if err == nil {
		_, err = write(s.dir, name+".tls", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	}
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}
