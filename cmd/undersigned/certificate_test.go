package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newCertificate returns the PEM of a certificate for 127.0.0.1 and of its key.
func newCertificate(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "ledger.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// writeCertificate writes both files.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	cert, key := newCertificate(t, serial)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(certFile, cert, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// TestCertificateChanges replaces a certificate by a new one, and by others that cannot be used.
func TestCertificateChanges(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
	var log bytes.Buffer
	c, err := openCertificate(certFile, keyFile, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 { return c.current.Load().Leaf.SerialNumber.Int64() }
	touch := time.Now()
	refresh := func(always bool) {
		t.Helper()
		touch = touch.Add(time.Second) // whatever the file system's clock does
		for _, path := range []string{certFile, keyFile} {
			if err := os.Chtimes(path, touch, touch); err != nil {
				t.Fatal(err)
			}
		}
		c.refresh(always)
	}
	writeCertificate(t, filepath.Dir(certFile), 2)
	if refresh(false); serial() != 2 {
		t.Errorf("certificate %d", serial())
	}
	other, _ := newCertificate(t, 3)
	for name, spoil := range map[string]func(){
		"another's":  func() { os.WriteFile(certFile, other, 0o644) },
		"empty":      func() { os.WriteFile(certFile, nil, 0o644) },
		"for others": func() { writeCertificate(t, filepath.Dir(certFile), 4); os.Chmod(keyFile, 0o640) },
		"large":      func() { os.WriteFile(keyFile, make([]byte, maxPEM+1), 0o600) },
	} {
		spoil()
		log.Reset()
		refresh(false)
		if serial() != 2 || !strings.Contains(log.String(), "the one before stays") {
			t.Errorf("%s: certificate %d, %s", name, serial(), &log)
		}
		log.Reset()
		if c.refresh(false); log.Len() > 0 {
			t.Errorf("%s: it is told again: %s", name, &log)
		}
		if c.refresh(true); log.Len() == 0 {
			t.Errorf("%s: told to look, it says nothing", name)
		}
		os.Chmod(keyFile, 0o600)
	}
	os.Remove(keyFile)
	if c.refresh(false); serial() != 2 {
		t.Errorf("without a key: certificate %d", serial())
	}
	writeCertificate(t, filepath.Dir(certFile), 5)
	if refresh(false); serial() != 5 {
		t.Errorf("after all that: certificate %d", serial())
	}
	if config := c.config(); config.MinVersion != tls.VersionTLS12 || strings.Join(config.NextProtos, " ") != "h2 http/1.1" {
		t.Errorf("%+v", config)
	}
}

// TestCertificateRefused starts with files that cannot be used.
func TestCertificateRefused(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, 1)
	encrypted := filepath.Join(dir, "encrypted.pem")
	os.WriteFile(encrypted, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}), 0o600)
	exposed := filepath.Join(dir, "exposed.pem")
	key, _ := os.ReadFile(keyFile)
	os.WriteFile(exposed, key, 0o600)
	os.Chmod(exposed, 0o604)
	for _, c := range []struct{ cert, key, want string }{
		{certFile, exposed, "chmod 600"},
		{certFile, encrypted, "has a password"},
		{certFile, certFile, "others than its owner"},
		{keyFile, keyFile, "are not a certificate and its key"},
		{certFile, filepath.Join(dir, "none"), "no such file"},
	} {
		if _, err := openCertificate(c.cert, c.key, filepath.Join(dir, "elsewhere"), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s and %s: %v", filepath.Base(c.cert), filepath.Base(c.key), err)
		}
	}
	if _, err := openCertificate(certFile, exposed, dir+"/", slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("a credential of the service manager: %v", err)
	}
}
