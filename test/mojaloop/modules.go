package mojaloop

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// The lock has no addresses in it: npm takes the registry it is configured for
// and compares what it gets with the hashes of the lock.
var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// installing lets one goroutine install at a time.
var installing sync.Mutex

// Modules returns the folder that has node_modules with the packages of
// package-lock.json. It installs them when they are missing, which takes a
// minute, and says so to log. Two processes may do so at the same time.
func Modules(ctx context.Context, log io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for Mojaloop's packages: %w", err)
	}
	sum := sha256.Sum256(append(append([]byte{}, packageJSON...), packageLock...))
	dir := filepath.Join(cache, "mojasec", "node", hex.EncodeToString(sum[:8]))

	installing.Lock()
	defer installing.Unlock()
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return dir, nil
	}
	if err := install(ctx, log, dir); err != nil {
		return "", fmt.Errorf("install Mojaloop's npm packages: %w", err)
	}
	return dir, nil
}

// install makes dir: beside it first, so that it is there with all it has to
// have, or not at all.
func install(ctx context.Context, log io.Writer, dir string) (err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is not installed; it comes with Node.js 20")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".installing-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for name, text := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return err
		}
	}
	start := time.Now()
	fmt.Fprintf(log, "installing Mojaloop's npm packages into %s, once: about a minute\n", dir)
	// No script of a package runs: what is tested is JavaScript alone.
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	cmd.Dir, cmd.WaitDelay = work, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, tail(out))
	}
	fmt.Fprintf(log, "installed in %s\n", time.Since(start).Round(time.Second))
	if err := os.Rename(work, dir); err != nil {
		// Another process was faster.
		if _, there := os.Stat(filepath.Join(dir, "node_modules")); there != nil {
			return err
		}
	}
	return nil
}

// tail is the end of what a program wrote, in one line.
func tail(out []byte) []byte {
	const most = 600
	out = bytes.TrimSpace(out)
	if len(out) > most {
		out = append([]byte("…"), out[len(out)-most:]...)
	}
	return bytes.ReplaceAll(out, []byte("\n"), []byte("; "))
}
