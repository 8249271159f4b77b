package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tccm/undersigned/verify/check"
)

// tlsFlags say with what to do TLS.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" setting:"" placeholder:"FILE" help:"Speak HTTPS with this certificate and those that follow it in the file (PEM)."`
	TLSKey  string `name:"tls-key" setting:"" placeholder:"FILE" help:"The certificate's private key (PEM), in a file that nobody else can read."`
}

const (
	// certificateEvery is how often the files of a certificate are looked at.
	certificateEvery = 30 * time.Second
	maxPEM           = 1 << 20 // bytes
)

// A certificate is read from two files, and again when they change. One that is broken leaves the one before.
type certificate struct {
	certFile, keyFile string
	guarded           string // a directory that the service manager keeps from others; "": none
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	seen              [2]fileState // of what was read last, whether it was good or not
}

// fileState tells a file from what it was before.
type fileState struct {
	size     int64
	modified time.Time
	mode     fs.FileMode
}

// openCertificate reads a certificate; the files must be good.
func openCertificate(certFile, keyFile, guarded string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, guarded: guarded, log: log}
	c.seen = c.look()
	pair, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("cannot use the TLS certificate: %w", err)
	}
	c.current.Store(pair)
	return c, nil
}

// config offers HTTP/2 and HTTP/1.1 with the newest certificate.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// look returns the states of the two files; one that cannot be looked at has the zero state.
func (c *certificate) look() (states [2]fileState) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			states[i] = fileState{info.Size(), info.ModTime(), info.Mode()}
		}
	}
	return states
}

// read reads both files.
func (c *certificate) read() (*tls.Certificate, error) {
	cert, err := readPEM(c.certFile, false)
	if err != nil {
		return nil, err
	}
	// What systemd hands a service is guarded by an access list, which looks like the rights of a group.
	key, err := readPEM(c.keyFile, c.guarded == "" || filepath.Dir(c.keyFile) != filepath.Clean(c.guarded))
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(key); block != nil && block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, fmt.Errorf("%s has a password; write it without one, readable by the server alone", c.keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a certificate and its key: %w", c.certFile, c.keyFile, err)
	}
	return &pair, nil
}

// readPEM reads a file, which nobody but its owner may be able to read if it is secret.
func readPEM(path string, secret bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if secret && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner may use %s (mode %04o), so it is not taken for a secret; run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(b) > maxPEM {
		err = fmt.Errorf("%s is larger than %s", path, check.Bytes(maxPEM))
	}
	return b, err
}

// expires returns when the certificate in use does.
func (c *certificate) expires() time.Time { return c.current.Load().Leaf.NotAfter }

// refresh reads the files if they have changed, or if it is told to.
func (c *certificate) refresh(always bool) {
	states := c.look()
	if !always && states == c.seen {
		return
	}
	c.seen = states
	pair, err := c.read()
	if err != nil {
		c.log.Warn("the new TLS certificate cannot be used; the one before stays", "error", err, "expires", c.expires())
		return
	}
	c.current.Store(pair)
	c.log.Info("there is a new TLS certificate", "expires", pair.Leaf.NotAfter)
}

// follow refreshes the certificate until ctx ends: now and then, and on SIGHUP.
func (c *certificate) follow(ctx context.Context, every time.Duration) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			c.refresh(true)
		case <-tick.C:
			c.refresh(false)
		}
	}
}
